"""`aigw-compile lint`: specs to findings; nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from aigw_compile import compiler
from aigw_compile.cli import common
from aigw_compile.diagnostic import Diagnostic
from aigw_compile.project import TargetChoice


@click.command()
@common.paths_argument
@common.target_option
@common.report_options
def command(
    paths: Sequence[Path],
    targets: Sequence[TargetChoice],
    format_: str,
    reports: Sequence[str],
    strict: bool,
) -> None:
    """Check every spec below PATH (a file or a folder; the current folder if absent).

    With --target, what that target cannot do is said as well. Nothing is written.
    """
    findings: list[Diagnostic] = []
    found = skipped = 0
    shown_from = Path()
    for opened in compiler.open_projects(common.existing(paths)):
        checked, general = compiler.check(opened)
        findings += [*general, *(d for one in checked for d in one.diagnostics)]
        for one in checked:
            for choice in compiler.choices(opened.project, targets) if targets and one.gateway else ():
                findings += compiler.build(one, choice, opened.project.accepts).diagnostics
        found, skipped, shown_from = found + len(checked), skipped + opened.skipped, opened.shown_from
    code = common.show(findings, shown_from, format_, reports, strict=strict)
    if not found and not code:
        click.echo(f"no gateway found ({skipped} other documents skipped)", err=True)
    raise click.exceptions.Exit(code)
