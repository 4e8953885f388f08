"""What several commands share: their options, how findings are shown, and the exit code that follows from them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from aigw_compile.diagnostic import Diagnostic, Severity, did_you_mean
from aigw_compile.project import TargetChoice
from aigw_compile.render import FORMATS, render
from aigw_compile.source import display
from aigw_compile.target import TARGETS, manifest

F = TypeVar("F", bound=Callable[..., Any])


def paths_argument(function: F) -> F:
    """The specs to work on: files or folders; the current folder if none is named."""
    argument = click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
    return argument(function)


def report_options(function: F) -> F:
    """--format, --report and --strict."""
    for option in (
        click.option("--strict", is_flag=True, help="Warnings fail too."),
        click.option(
            "--report", "reports", multiple=True, metavar="FORMAT=FILE", help="Also write the findings to a file."
        ),
        click.option("--format", "format_", type=click.Choice(list(FORMATS)), default="text", show_default=True),
    ):
        function = option(function)
    return function


def target_option(function: F) -> F:
    """--target T[=PROFILE], as often as wanted."""
    option = click.option(
        "--target",
        "targets",
        multiple=True,
        metavar="T[=PROFILE]",
        callback=lambda ctx, param, values: tuple(map(target_choice, values)),
        help=f"One of {', '.join(TARGETS)}; may be given several times.",
    )
    return option(function)


def target_choice(text: str) -> TargetChoice:
    """Return the choice that `kong=oss-3.9` names. Raises click.BadParameter with a guess."""
    name, _, profile = text.partition("=")
    if name not in TARGETS:
        raise click.BadParameter(f'no target "{name}": {did_you_mean(name, TARGETS)}')
    if profile and profile not in manifest(name).profiles:
        raise click.BadParameter(f'{name} has no profile "{profile}": {did_you_mean(profile, manifest(name).profiles)}')
    return TargetChoice(name, profile, {})


def existing(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the paths, the current folder if there are none. Raises click.BadParameter for one that is not there."""
    for path in paths:
        if not path.exists():
            raise click.BadParameter(f'"{path}" is not there')
    return tuple(paths) or (Path("."),)


def coloured() -> bool:
    """Colour on a terminal, unless NO_COLOR says no (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def show(
    diagnostics: Iterable[Diagnostic], root: Path, format_: str, reports: Sequence[str], *, strict: bool = False
) -> int:
    """Print the findings, write the reports, and return the exit code: 1 if anything fails the run."""
    findings = sorted(set(diagnostics), key=_order)
    texts = _texts(findings, root)
    click.echo(_rendered(format_, findings, texts, colour=coloured()), nl=False)
    for entry in reports:
        name, found, file = entry.partition("=")
        if not found or name not in FORMATS:
            raise click.BadParameter(f'--report wants FORMAT=FILE with one of {", ".join(FORMATS)}: "{entry}"')
        try:
            Path(file).write_text(_rendered(name, findings, texts), "utf-8")
        except OSError as error:
            raise click.ClickException(f"cannot write {file}: {error.strerror}") from None
    worst = max((d.severity for d in findings), default=Severity.HINT)
    return int(worst is Severity.ERROR or (strict and worst is Severity.WARNING))


def _rendered(format_: str, findings: Sequence[Diagnostic], texts: Mapping[str, str], *, colour: bool = False) -> str:
    if format_ != "sarif":
        return render(format_, findings, texts, colour=colour and format_ == "text")
    from aigw_compile.explain import codes

    return render(format_, findings, texts, codes=codes())


def _order(d: Diagnostic) -> tuple[Any, ...]:
    span = d.span
    place = (span.file, span.line, span.column) if span else ("", 0, 0)
    return (*place, -d.severity, d.code, d.message, d.hint)


def _texts(findings: Iterable[Diagnostic], root: Path) -> Mapping[str, str]:
    """The text of each file that a finding shows, for code frames."""
    files = {d.span.file for d in findings if d.span} | {r.span.file for d in findings for r in d.related if r.span}
    texts = {}
    for file in sorted(files):
        try:
            texts[file] = display((root / file).read_bytes())
        except OSError:
            continue
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
