"""`aigw-compile serve`: a spec, or a proxy.json, to a running reference proxy."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import click

from aigw_compile import write
from aigw_compile.cli import common, serving
from aigw_compile.document import text_of
from aigw_compile.mask import Veil

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
    ready = partial(serving.ready, hides)
    serving.lasting()
    try:
        with serving.masked(hides):
            code = server.serve(
                loaded, address=address, port=port, mock=mock_providers, ready=ready, environ=os.environ
            )
    except held.StartError as wrong:
        raise click.ClickException(hides.text(str(wrong))) from None
    raise click.exceptions.Exit(code)


def _compiled(path: Path, gateway: str | None, frozen: bool) -> tuple[bytes, Veil]:
    checked, built = serving.compiled(path, gateway, frozen, "proxy")
    (proxy,) = [d for d in built.documents if d.filename == PROXY]
    return text_of(proxy).encode(), checked.source.veil
