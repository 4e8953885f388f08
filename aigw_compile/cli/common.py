"""What several commands share: their options, how findings are shown, and the exit code that follows from them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import click

from aigw_compile.approvals import Approvals
from aigw_compile.cli import showing
from aigw_compile.cli.showing import Progress, coloured
from aigw_compile.diagnostic import Diagnostic, Span, did_you_mean
from aigw_compile.diff import Change, Diff
from aigw_compile.project import TargetChoice
from aigw_compile.render import FORMATS
from aigw_compile.target import TARGETS, manifest

__all__ = [
    "Progress",
    "coloured",
    "existing",
    "frozen_option",
    "paths_argument",
    "report_options",
    "show",
    "target_option",
]

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


def frozen_option(function: F) -> F:
    """--frozen."""
    text = "Every configRef must name the digest that its part has (see `pin`)."
    return click.option("--frozen", is_flag=True, help=text)(function)


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


def today_option(function: F) -> F:
    """--today DATE: the one clock there is, for approvals alone."""
    option = click.option(
        "--today",
        type=click.DateTime(["%Y-%m-%d"]),
        callback=lambda ctx, param, value: value.date() if value else date.today(),
        help="The day on which approvals are looked at, if not today.",
    )
    return option(function)


def failing(found: Diff, approved: Approvals, classes: Collection[str]) -> tuple[Change, ...]:
    """Say which changes fail and how each could be approved; return them."""
    changes = approved.failing(found, classes)
    for change in changes:
        words = f"{found.gateway}: {', '.join(change.classes)}: {change.sentence}"
        click.echo(
            f"{words}\n  to let it pass: aigw-compile approve {change.fingerprint} --until DATE --reason TEXT", err=True
        )
    return changes


def existing(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the paths, the current folder if there are none. Raises click.BadParameter for one that is not there."""
    for path in paths:
        if not path.exists():
            raise click.BadParameter(f'"{path}" is not there')
    return tuple(paths) or (Path("."),)


def show(
    diagnostics: Iterable[Diagnostic],
    root: Path,
    format_: str,
    reports: Sequence[str],
    *,
    strict: bool = False,
    hidden: Callable[[], Iterable[Span]] = tuple,
) -> int:
    """Print the findings, write the reports, and return the exit code. Raises click.UsageError."""
    try:
        return showing.show(diagnostics, root, format_, reports, strict=strict, hidden=hidden)
    except showing.ReportError as wrong:
        raise click.UsageError(str(wrong)) from None
