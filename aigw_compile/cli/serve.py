"""`aigw-compile serve`: a spec, or a proxy.json, to a running reference proxy."""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext, redirect_stderr
from functools import partial
from io import TextIOBase
from pathlib import Path
from typing import Any, TextIO

import click

from aigw_compile import compiler, write
from aigw_compile.cli import common
from aigw_compile.diagnostic import Severity
from aigw_compile.document import text_of
from aigw_compile.mask import Veil
from aigw_compile.project import TargetChoice

PROXY = "proxy.json"


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("."))
@click.option("--gateway", help="Which gateway, where PATH holds several.")
@click.option(
    "--mock-providers", is_flag=True, help="Built-in providers and made-up secrets: nothing leaves this machine."
)
@click.option("--address", help="Listen here instead (127.0.0.1 unless told otherwise).")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port instead; 0 takes a free one.")
@common.frozen_option
def command(
    path: Path, gateway: str | None, frozen: bool, mock_providers: bool, address: str | None, port: int | None
) -> None:
    """Run the reference proxy on PATH: a spec, a folder with one, a compiled proxy.json or the output folder with it.

    With --mock-providers every provider is played by the proxy itself, every secret is made up, and what to call with
    is printed: keys, logins (user:password) and tokens; listeners speak plain HTTP then. A message that holds
    `mock:429`, `mock:500`, `mock:slow` or `mock:cut` makes the mock fail that way.
    """
    try:
        import aigw_compile.proxy.config as config
        import aigw_compile.proxy.held as held
        import aigw_compile.proxy.server as server
    except ImportError as missing:
        wanted = 'the reference proxy needs the extra "proxy": pip install "aigw-compile[proxy]"'
        raise click.ClickException(f"{wanted} ({missing})") from None
    (path,) = common.existing([path])
    if (path / write.SPEC).is_file() and (path / PROXY).is_file():
        path /= PROXY
    made = path.name.endswith(".json")
    text, hides = (path.read_bytes(), write.veil_of(path.parent)) if made else _compiled(path, gateway, frozen)
    try:
        loaded = config.load(text)
    except config.ConfigError as wrong:
        raise click.ClickException(f"{path}: {hides.text(str(wrong))}") from None
    ready = partial(_ready, hides)
    try:
        with redirect_stderr(_Masked(hides, sys.stderr)) if hides else nullcontext():
            code = server.serve(
                loaded, address=address, port=port, mock=mock_providers, ready=ready, environ=os.environ
            )
    except held.StartError as wrong:
        raise click.ClickException(hides.text(str(wrong))) from None
    raise click.exceptions.Exit(code)


def _compiled(path: Path, gateway: str | None, frozen: bool) -> tuple[bytes, Veil]:
    opened = compiler.open_project([path])
    checked, general = compiler.check(opened, frozen=frozen)
    gateways = [one for one in checked if one.part is None]
    chosen = [one for one in gateways if gateway in (None, one.name)]
    if not gateways and general:
        raise click.exceptions.Exit(common.show(general, opened.shown_from, "text", ()) or 1)
    if len(chosen) != 1:
        names = ", ".join(one.name for one in gateways) or "none"
        raise click.UsageError(f"which gateway? --gateway NAME; {path} holds: {names}")
    (one,) = chosen
    findings = [*general, *one.diagnostics]
    documents: Any = ()
    if one.gateway is not None:
        (choice,) = compiler.choices(opened.project, [TargetChoice("proxy", "", {})])
        built = compiler.build(one, choice, opened.project.accepts)
        findings += built.diagnostics
        documents = built.documents
    told = [d for d in findings if d.severity > Severity.HINT]
    hidden = partial(compiler.hidden_spans, checked)
    code = common.show(told, opened.shown_from, "text", (), hidden=hidden) if told else 0
    if code or not documents:
        raise click.exceptions.Exit(code or 1)
    (proxy,) = [d for d in documents if d.filename == PROXY]
    return text_of(proxy).encode(), one.source.veil


class _Masked(TextIOBase):
    """What the proxy tells its operator (a store at its address does not answer), without what parts hide."""

    def __init__(self, hides: Veil, out: TextIO) -> None:
        self._hides = hides
        self._out = out

    def write(self, text: str) -> int:
        self._out.write(self._hides.text(text))
        return len(text)

    def flush(self) -> None:
        self._out.flush()


def _ready(hides: Veil, state: dict[str, Any]) -> None:
    for name, url in state["listeners"].items():
        click.echo(hides.text(f"listener {name}: {url}"))
    click.echo(f"operations: {state['operations']}")
    if state["metrics"] != state["operations"]:
        click.echo(f"metrics: {state['metrics']}")
    for kind in ("key", "login", "token"):
        for whose, text in state.get(f"{kind}s", {}).items():
            click.echo(f"{kind} of {hides.text(whose)}: {text}")
    for header, text in state.get("front", {}).items():
        click.echo(f"header of the front: {header}: {text}")
    for name in state.get("plain", ()):
        click.echo(
            f"listener {hides.text(name)} speaks plain HTTP: with made-up secrets it has no certificate", err=True
        )
    click.echo(json.dumps({"ready": True}))
