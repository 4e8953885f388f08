"""`aigw-compile pin`: specs and parts to the same files with the digest of every part that they refer to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from aigw_compile import compiler
from aigw_compile.cli import common
from aigw_compile.diagnostic import failed
from aigw_compile.pinning import pinning


@click.command()
@common.paths_argument
@click.option("--check", "check_only", is_flag=True, help="Write nothing; end with 1 if a digest is missing or stale.")
def command(paths: Sequence[Path], check_only: bool) -> None:
    """Write `digest: sha256:...` into every configRef of the specs and parts below PATH.

    Nothing else in a file changes, and nothing is written if there are errors. `lint`, `build`, `diff` and `serve` take
    `--frozen`: then a reference without a digest, or to a part that changed since, is an error.
    """
    projects = [(opened, pinning(opened)) for opened in compiler.open_projects(common.existing(paths))]
    errors = [d for _, done in projects for d in done.diagnostics if failed([d])]
    if errors:
        hidden = tuple(span for _, done in projects for span in done.hidden)
        code = common.show(errors, projects[0][0].shown_from, "text", (), hidden=lambda: hidden)
        click.echo("nothing was written", err=True)
        raise click.exceptions.Exit(code)
    pins = 0
    for opened, done in projects:
        for file in done.files:
            if not check_only:
                _write(opened.shown_from / file.file, file.text)
            for pin in file.pins:
                click.echo(f"{pin.span.file}:{pin.span.line}: {pin.name} {pin.digest}")
            pins += len(file.pins)
    if not pins:
        click.echo("every configRef names the digest of its part", err=True)
    elif check_only:
        words = "1 digest is" if pins == 1 else f"{pins} digests are"
        click.echo(f"{words} missing or stale: run `aigw-compile pin`", err=True)
    raise click.exceptions.Exit(1 if pins and check_only else 0)


def _write(path: Path, text: str) -> None:
    """A byte order mark stays, and so does every line end."""
    try:
        mark = b"\xef\xbb\xbf" if path.read_bytes().startswith(b"\xef\xbb\xbf") else b""
        path.write_bytes(mark + text.encode())
    except OSError as wrong:
        raise click.ClickException(f"cannot write {path}: {wrong.strerror}") from None
