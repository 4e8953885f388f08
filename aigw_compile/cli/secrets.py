"""`aigw-compile secrets`: an output folder to the files beside it that hold the secrets it needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from aigw_compile import secretfiles, write
from aigw_compile.mask import Veil


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="OUTPUT")
@click.option("--placeholders", is_flag=True, help="Made-up values, for validation and demos; nothing is fetched.")
def command(folder: Path, placeholders: bool) -> None:
    """Fetch what OUTPUT/secrets.json lists and write it, mode 0600, into the files that the target reads.

    OUTPUT is the folder of one target, such as build/support/envoy. The values are never printed.
    """
    try:
        asked = secretfiles.read(folder)
    except FileNotFoundError:
        hint = (
            ", ".join(str(p.parent) for p in sorted(folder.glob("**/secrets.json"))) or "run `aigw-compile build` first"
        )
        raise click.UsageError(f"{folder} holds no secrets.json; it is the folder of one target: {hint}") from None
    except ValueError as wrong:
        raise click.ClickException(str(wrong)) from None
    hides = write.veil_of(folder)
    values = secretfiles.placeholders(asked) if placeholders else _fetched(asked, hides)
    written = secretfiles.write(folder, values)
    for path in written:
        click.echo(f"wrote {hides.text(str(path))}")
    if not written:
        click.echo("this output needs no file with secrets")


_PEM = "].tls."
"""In the places of certificates and their keys, of whatever has TLS: those are texts of several lines."""


def _fetched(asked: Mapping[str, Any], hides: Veil) -> dict[str, str]:
    from aigw_compile.proxy.secrets import SecretError, fetch

    values: dict[str, str] = {}
    missing: list[str] = []
    for name, secret in asked["secrets"].items():
        try:
            values[name] = fetch(_reference(secret["ref"]), os.environ, lines=_PEM in secret["place"])
        except SecretError as wrong:
            missing.append(hides.text(f"  {secret['place']}: {wrong}"))
    if missing:
        raise click.ClickException(
            "\n".join(["nothing was written, since not every secret could be fetched:", *missing])
        )
    return values


def _reference(ref: Mapping[str, Any]) -> dict[str, Any]:
    """A reference of secrets.json as the language writes it."""
    if ref["vault"]:
        return {"vault": ref["vault"]["name"], "key": ref["name"], "property": ref["property"]}
    if ref["source"] == "kubernetes":
        return {"kubernetes": {"name": ref["name"], "key": ref["property"]}}
    return {ref["source"]: ref["name"]}
