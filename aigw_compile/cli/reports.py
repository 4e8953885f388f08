"""The diffs of several gateways to the text of one format, or to files; `--report FORMAT=FILE`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from aigw_compile import comparing
from aigw_compile.approvals import Approvals
from aigw_compile.diagnostic import did_you_mean
from aigw_compile.diff import Change, Diff
from aigw_compile.render import changed_sarif, changes

FORMATS = (*changes.FORMATS, "sarif")


class Page(NamedTuple):
    """What is told of one gateway."""

    diff: Diff
    spans: changed_sarif.Spans


def text(format_: str, pages: Sequence[Page], approved: Approvals, *, colour: bool = False) -> str:
    """Return one document for all gateways."""
    told = [(page.diff, comparing.places(page.spans)) for page in pages]
    if format_ == "sarif":
        return changed_sarif.render(pages, lambda name, change: _reason(approved, name, change))
    return changes.text(told, colour=colour) if format_ == "text" else changes.FORMATS[format_](told)


def _reason(approved: Approvals, gateway: str, change: Change) -> str:
    found = approved.of(gateway, change.fingerprint)
    return f"{found.reason} (until {found.until})" if found else ""


class Report(NamedTuple):
    format: str
    file: Path


def option(function: Any) -> Any:
    """--report FORMAT=FILE, as often as wanted."""
    text = "Also write the diff to a file; may be given several times."
    made = click.option("--report", "reports", multiple=True, metavar="FORMAT=FILE", callback=_reports, help=text)
    return made(function)


def _reports(_context: click.Context, _option: click.Parameter, values: Sequence[str]) -> tuple[Report, ...]:
    found = []
    for value in values:
        name, equals, file = value.partition("=")
        if name not in FORMATS or not equals or not file:
            wrong = "" if name in FORMATS else f": {did_you_mean(name, FORMATS)}"
            raise click.BadParameter(f'wants FORMAT=FILE with one of {", ".join(FORMATS)}, not "{value}"{wrong}')
        found.append(Report(name, Path(file)))
    return tuple(found)


def write(reports: Sequence[Report], pages: Sequence[Page], approved: Approvals) -> None:
    """Write the reports. Raises SideError for a file that cannot be written."""
    for report in reports:
        try:
            report.file.write_text(text(report.format, pages, approved), "utf-8")
        except OSError as error:
            raise comparing.SideError(f"cannot write {report.file}: {error.strerror}") from None
