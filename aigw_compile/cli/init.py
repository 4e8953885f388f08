"""`aigw-compile init`: a folder to a small project that lints clean and builds."""

from __future__ import annotations

from pathlib import Path

import click
from jinja2 import Environment, StrictUndefined

from aigw_compile import data
from aigw_compile.lower import derived_name
from aigw_compile.project import FILENAME
from aigw_compile.providers import PROVIDERS

GATEWAY = """\
# yaml-language-server: $schema=.aigw.schema.json
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: {{ name }}}
spec:
  listeners:
    - {name: local, address: 127.0.0.1, port: 8080}
  providers:
    - name: {{ provider }}
      type: {{ provider }}
{%- if needs_url %}
      baseUrl: http://127.0.0.1:8000/v1
{%- endif %}
{%- if needs_key %}
      auth: {apiKey: {env: {{ variable }}}}   # the name of a variable; a key never stands here
{%- endif %}
  models:
    - name: chat
      targets: [{provider: {{ provider }}, model: {{ model }}}]
  auth:
    apiKey: {headers: [authorization]}
  consumers:
    - {name: my-app, credentials: [{apiKey: {env: MY_APP_KEY}}]}
"""

PROJECT = """\
# What is built, and where to. Without this file every target is built in its default profile.
output: build/
targets:
  proxy: {}
"""

MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-5"}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("."))
@click.option("--name", help="Name of the gateway; from the folder if absent.")
@click.option("--provider", type=click.Choice(list(PROVIDERS)), default="openai", show_default=True)
def command(folder: Path, name: str | None, provider: str) -> None:
    """Write a small project into FOLDER: gateway.yaml, aigw-compile.yaml and the schema for editors.

    Nothing that is there already is overwritten.
    """
    known = PROVIDERS[provider]
    name = name or derived_name(folder.resolve().name) or "gateway"
    if derived_name(name) != name:
        raise click.BadParameter(f'"{name}" is no DNS label; "{derived_name(name)}" would be', param_hint="--name")
    gateway = Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True).from_string(GATEWAY)
    files = {
        "gateway.yaml": gateway.render(
            name=name,
            provider=provider,
            needs_url=known.base_url is None,
            needs_key=known.needs_key,
            variable=f"{provider.upper().replace('-', '_')}_API_KEY",
            model=MODELS.get(provider, "my-model"),
        ),
        FILENAME: PROJECT,
        ".aigw.schema.json": (data.folder("schemas") / "aigateway.schema.json").read_text("utf-8"),
    }
    there = [file for file in files if (folder / file).exists()]
    if there:
        raise click.ClickException(f"{', '.join(there)} is there already; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (folder / file).write_text(text, "utf-8")
        click.echo(f"wrote {folder / file}")
    where = "" if folder == Path(".") else f" {folder}"
    click.echo(f"next: aigw-compile lint{where}; aigw-compile serve{where} --mock-providers; aigw-compile build{where}")
