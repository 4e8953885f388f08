"""`aigw-compile import`: another gateway's configuration to a spec, and to findings for what the spec does not carry."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import click

from aigw_compile.cli.common import report_options, show
from aigw_compile.diagnostic import Diagnostic, Severity, failed
from aigw_compile.explain import title
from aigw_compile.importers import IMPORTERS, Imported
from aigw_compile.importers.text import text_of
from aigw_compile.source import CODES, Source, load, parse
from aigw_compile.units import derived_name


@click.command()
@click.argument("kind", type=click.Choice(list(IMPORTERS)))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", "out", type=click.Path(path_type=Path), help="Where the spec goes; else to the terminal."
)
@click.option("--name", default="", help="Name of the gateway; from the file if absent.")
@click.option("--force", is_flag=True, help="Overwrite the output.")
@report_options
def command(
    kind: str,
    file: Path,
    out: Path | None,
    name: str,
    force: bool,
    strict: bool,
    reports: tuple[str, ...],
    format_: str,
) -> None:
    """Make a spec from FILE: a kong.yml with AI plugins, or decK's AI Gateway 2.0 entities.

    The spec goes to the terminal, or to the file of -o; what it does not carry over is told beside it. No secret of FILE
    is copied or shown.
    """
    if name and derived_name(name) != name:
        raise click.BadParameter(f'"{name}" is no DNS label; "{derived_name(name)}" would be', param_hint="--name")
    if not file.is_file():
        raise click.BadParameter(f'"{file}" is no file', param_hint="FILE")
    if out and out.exists() and not force:
        raise click.ClickException(f"{out} is there already; nothing was written (--force overwrites it)")
    imported, findings = _read(kind, file, name)
    with contextlib.redirect_stdout(sys.stderr):
        # Not the file's folder: lines of a file that holds keys are not shown.
        code = show(findings, Path(os.devnull), format_, reports, strict=strict)
    if imported is None or imported.spec is None or failed(findings):
        sys.exit(1)
    text = text_of(imported.spec, imported.comments)
    if out is None:
        click.echo(text, nl=False)
    else:
        try:
            out.write_text(text, "utf-8")
        except OSError as error:
            raise click.ClickException(f"cannot write {out}: {error.strerror}") from None
    sys.exit(code)


def _read(kind: str, file: Path, name: str) -> tuple[Imported | None, list[Diagnostic]]:
    shown = file.as_posix()
    raw = load(file.parent, [file.name], shown)
    if isinstance(raw, Diagnostic):
        return None, [raw]
    documents, found = parse(raw, shown)
    findings = [_quiet(d) for d in found]
    several = len(documents) > 1
    whole = [d for d in documents if isinstance(d.data, dict)] or documents
    if not whole:
        if not failed(findings):
            findings.append(_nothing(shown))
        return None, findings
    if several:
        findings.append(_several(whole))
    if failed(findings):
        return None, findings
    imported = IMPORTERS[kind](whole[0], name)
    return imported, [*findings, *imported.findings]


def _quiet(found: Diagnostic) -> Diagnostic:
    """A finding of the reader, which quotes words of the file: any of them may be a key."""
    return found._replace(message=title(found.code), related=(), place="", hint="") if found.code in CODES else found


def _nothing(file: str) -> Diagnostic:
    return Diagnostic("AIG8101", Severity.ERROR, f"{file} is empty", hint="import a kong.yml with an AI plugin")


def _several(documents: list[Source]) -> Diagnostic:
    found = Diagnostic(
        "AIG8103", Severity.WARNING, "this is a second document of the file, and the first is imported", ()
    )
    return documents[1].locate(found)
