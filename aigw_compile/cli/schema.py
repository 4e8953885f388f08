"""`aigw-compile schema`: print a JSON schema."""

from __future__ import annotations

import click

from aigw_compile import data

SCHEMAS = {
    "spec": "aigateway.schema.json",
    "part": "aigatewayconfig.schema.json",
    "project": "project.schema.json",
    "diagnostics": "diagnostics.schema.json",
    "diff": "diff.schema.json",
}


@click.command()
@click.argument("which", type=click.Choice(list(SCHEMAS)), default="spec")
def command(which: str) -> None:
    """Print the JSON schema of WHICH: spec (an AIGateway), part (an AIGatewayConfig),
    project (aigw-compile.yaml), diagnostics or diff.

    For editors: `aigw-compile schema > .aigw.schema.json`, and on top of a spec
    `# yaml-language-server: $schema=.aigw.schema.json`.
    """
    click.echo((data.folder("schemas") / SCHEMAS[which]).read_text("utf-8"), nl=False)
