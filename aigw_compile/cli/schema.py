"""`aigw-compile schema`: print a JSON schema, of a kind of document or of what those who refer to a part may write."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from aigw_compile import data

SCHEMAS = {
    "spec": "aigateway.schema.json",
    "part": "aigatewayconfig.schema.json",
    "project": "project.schema.json",
    "diagnostics": "diagnostics.schema.json",
    "diff": "diff.schema.json",
    "approvals": "approvals.schema.json",
}


@click.command()
@click.argument("which", default="")
@click.option("--for", "part", metavar="PART", help="What those see who refer to PART; WHICH is a path in its project.")
def command(which: str, part: str | None) -> None:
    """Print the JSON schema of WHICH: spec (an AIGateway), part (an AIGatewayConfig),
    project (aigw-compile.yaml), approvals (aigw-approvals.yaml), diagnostics or diff.

    For editors: `aigw-compile schema > .aigw.schema.json`, and on top of a spec
    `# yaml-language-server: $schema=.aigw.schema.json`.

    With --for, that of a gateway which refers to a part of the project that the current folder, or the path WHICH, is in:
    without what the part hides and locks, with its constraints, and with nothing required that it brings already.
    """
    from aigw_compile.diagnostic import did_you_mean

    if part is not None:
        click.echo(_for(part, Path(which or ".")))
    elif which and which not in SCHEMAS:
        raise click.UsageError(f'no schema "{which}": {did_you_mean(which, SCHEMAS)}')
    else:
        click.echo((data.folder("schemas") / SCHEMAS[which or "spec"]).read_text("utf-8"), nl=False)


def _for(name: str, path: Path) -> str:
    from aigw_compile import compiler
    from aigw_compile.cli import showing
    from aigw_compile.diagnostic import did_you_mean, failed
    from aigw_compile.resolve import Library
    from aigw_compile.reuse import Reuse
    from aigw_compile.view.parts import view_of

    if not path.exists():
        raise click.UsageError(f'"{path}" is not there')
    opened = compiler.open_project([path])
    library = Library(opened.parts, opened.links, opened.folder)
    part = library.parts.get(name)
    if part is None:
        raise click.UsageError(f'no part "{name}" is in this project: {did_you_mean(name, library.parts)}')
    whole = Reuse(library, opened.project, unread=opened.part_diagnostics).part(part)
    if failed(whole.said):
        with redirect_stdout(sys.stderr):  # what is printed to a file is a schema, or nothing
            code = showing.show(whole.said, opened.shown_from, "text", (), hidden=whole.source.hidden_spans)
        raise click.exceptions.Exit(code)
    return json.dumps(view_of(part, library), indent=1, ensure_ascii=False)
