"""`aigw-compile lint`: its options; the work is in linting.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from aigw_compile.cli import common, linting, showing
from aigw_compile.project import TargetChoice


@click.command()
@common.paths_argument
@common.target_option
@common.frozen_option
@common.report_options
def command(
    paths: Sequence[Path],
    targets: Sequence[TargetChoice],
    frozen: bool,
    format_: str,
    reports: Sequence[str],
    strict: bool,
) -> None:
    """Check every spec below PATH (a file or a folder; the current folder if absent).

    With --target, what that target cannot do is said as well. Nothing is written.
    """
    try:
        code = linting.lint(common.existing(paths), targets, format_, reports, strict, frozen)
    except showing.ReportError as wrong:
        raise click.UsageError(str(wrong)) from None
    raise click.exceptions.Exit(code)
