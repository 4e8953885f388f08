"""Findings to a terminal, a pipe or files, and the exit code that follows; without click, whose import `lint` can do without."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aigw_compile.diagnostic import Diagnostic, Severity, Span
from aigw_compile.mask import NOT_SHOWN, starred
from aigw_compile.render import FORMATS, render, ways
from aigw_compile.source import display, load


class ReportError(ValueError):
    """A report cannot be written as it was asked for."""


def coloured() -> bool:
    """Colour on a terminal, unless NO_COLOR says no (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def show(
    diagnostics: Iterable[Diagnostic],
    root: Path,
    format_: str,
    reports: Sequence[str],
    *,
    strict: bool = False,
    hidden: Callable[[], Iterable[Span]] = tuple,
) -> int:
    """Print the findings, write the reports, and return the exit code: 1 if anything fails the run.

    `hidden` returns the regions of files that a part hides; no line is shown without stars in their place.
    """
    findings = _titled(_once(sorted(dict.fromkeys(diagnostics), key=_order)))
    texts = _texts(findings, root, [*hidden()] if findings else [])
    sys.stdout.write(_rendered(format_, findings, texts, colour=coloured()))
    sys.stdout.flush()
    for entry in reports:
        name, found, file = entry.partition("=")
        if not found or name not in FORMATS:
            raise ReportError(f'--report wants FORMAT=FILE with one of {", ".join(FORMATS)}: "{entry}"')
        report = _rendered(name, findings, texts)
        try:
            Path(file).write_text(report, "utf-8")
        except OSError as error:
            raise ReportError(f"cannot write {file}: {error.strerror}") from None
    worst = max((d.severity for d in findings), default=Severity.HINT)
    return int(worst is Severity.ERROR or (strict and worst is Severity.WARNING))


def _rendered(format_: str, findings: Sequence[Diagnostic], texts: Mapping[str, str], *, colour: bool = False) -> str:
    if format_ != "sarif":
        return render(format_, findings, texts, colour=colour and format_ == "text")
    from aigw_compile.explain import codes

    return render(format_, findings, texts, codes=codes())


def _once(findings: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Leave out what another gateway found already: the same about the same text, which several configRefs led to."""
    found: dict[tuple[Any, ...], Diagnostic] = {}
    for d in findings:
        found.setdefault((d.code, d.span._replace(via=None), d.message) if d.span else (d,), d)
    return [*found.values()]


def _titled(findings: list[Diagnostic]) -> list[Diagnostic]:
    """Say what findings at hidden places are about: what their makers left to say, or else the title of the code."""
    if not any(d.veiled for d in findings):
        return findings
    from aigw_compile.explain import title

    def told(d: Diagnostic) -> Diagnostic:
        if not d.veiled or d.message not in (NOT_SHOWN, d.plain):
            return d
        where = f"at {d.place}, which a part hides" if d.place else "at a place that a part hides"
        return d._replace(message=f"{d.plain or title(d.code)} ({where})")

    return [*map(told, findings)]


def _order(d: Diagnostic) -> tuple[Any, ...]:
    span = d.span
    place = (span.file, span.line, span.column) if span else ("", 0, 0)
    return (*place, -d.severity, d.code, d.message, d.hint)


def _texts(findings: Iterable[Diagnostic], root: Path, hidden: Sequence[Span]) -> Mapping[str, str]:
    """The text of each file that a finding shows, for code frames."""
    files = {d.span.file for d in findings if d.span} | {r.span.file for d in findings for r in ways(d) if r.span}
    texts = {}
    for file in sorted(files):
        raw = load(root, file.split("/"), file)  # follows no link: a finding about one must not show what it leads to
        if isinstance(raw, bytes):
            texts[file] = starred(display(raw), [span for span in hidden if span.file == file])
    return texts


class Progress:
    """One line on a terminal for what takes over a second; nothing anywhere else."""

    def __init__(self, total: int) -> None:
        self._start = time.monotonic()
        self._total = total
        self._on = sys.stderr.isatty()
        self._shown = False

    def step(self, number: int, what: str) -> None:
        """Say what is being done now, as `number` of the total."""
        if self._on and time.monotonic() - self._start > 1:
            self._shown = True
            sys.stderr.write(f"\r\x1b[K[{number}/{self._total}] {what}")
            sys.stderr.flush()

    def done(self) -> None:
        """Clear the line."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
