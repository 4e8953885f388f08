"""What `lint` does: paths to findings on a terminal and an exit code; without click, so that a small lint starts fast."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aigw_compile import compiler
from aigw_compile.cli import showing
from aigw_compile.diagnostic import Diagnostic

if TYPE_CHECKING:
    from aigw_compile.project import TargetChoice


def lint(
    paths: Sequence[Path],
    targets: Sequence[TargetChoice] = (),
    format_: str = "text",
    reports: Sequence[str] = (),
    strict: bool = False,
    frozen: bool = False,
) -> int:
    """Check every spec below the paths, which exist; with targets also what those cannot do. Return the exit code.

    Raises showing.ReportError.
    """
    findings: list[Diagnostic] = []
    every: list[compiler.Checked] = []
    found = skipped = 0
    shown_from = Path()
    for opened in compiler.open_projects(tuple(paths) or (Path("."),)):
        checked, general = compiler.check(opened, frozen=frozen)
        every += checked
        findings += [*general, *(d for one in checked for d in one.diagnostics)]
        for one in checked:
            for choice in compiler.choices(opened.project, targets) if targets and one.gateway else ():
                findings += compiler.build(one, choice, opened.project.accepts).diagnostics
        found, skipped, shown_from = found + len(checked), skipped + opened.skipped, opened.shown_from
    code = showing.show(
        findings, shown_from, format_, reports, strict=strict, hidden=lambda: compiler.hidden_spans(every)
    )
    if not found and not code:
        sys.stderr.write(f"no gateway found ({skipped} other documents skipped)\n")
    return code
