"""`aigw-compile build`: specs to the outputs of their targets, each with a diff against what stood there before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click

from aigw_compile import comparing, compiler, write
from aigw_compile.approvals import Approvals, approvals
from aigw_compile.cli import common
from aigw_compile.diagnostic import Diagnostic, Severity, failed
from aigw_compile.document import Document
from aigw_compile.project import TargetChoice


@click.command()
@common.paths_argument
@common.target_option
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder of the outputs (build/ or as the project says)."
)
@click.option("--check", "check_only", is_flag=True, help="Write nothing; end with 1 if an output is stale.")
@click.option(
    "--emit", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Syntax of outputs."
)
@click.option("--against", metavar="SIDE", help="Compare with this instead: git:REV, a folder or a spec.")
@click.option("--diff/--no-diff", "with_diff", default=True, help="Write diff.json and diff.md beside the outputs.")
@click.option("--fail-on", metavar="CLASSES", help="End with 1 if a change has one of these classes (a,b,...).")
@click.option("--map", "with_map", is_flag=True, help="Write OUTPUT.map.json: line of an output -> place in the spec.")
@click.option("--verify", "verify", type=click.Choice(["schema", "native"]), default="schema", show_default=True)
@common.frozen_option
@common.today_option
@common.report_options
def command(
    paths: Sequence[Path],
    targets: Sequence[TargetChoice],
    output: Path | None,
    check_only: bool,
    emit: str,
    against: str | None,
    with_diff: bool,
    fail_on: str | None,
    with_map: bool,
    verify: str,
    frozen: bool,
    today: date,
    format_: str,
    reports: Sequence[str],
    strict: bool,
) -> None:
    """Compile every spec below PATH and write OUTPUT/<gateway>/<target>/.

    Without a project file all four targets are built. What a target cannot do is an error until it is accepted, with a
    reason, in aigw-compile.yaml. A gateway with an error leaves its outputs as they were. `--verify native` also asks
    the target's own binary (Envoy, with the extra "envoy").
    """
    try:
        failing = comparing.classes_of(fail_on)
        asked = Asked(targets, output, emit, against, with_diff, failing, with_map, verify == "native", frozen, today)
        results = [_project(opened, asked) for opened in compiler.open_projects(common.existing(paths))]
    except comparing.SideError as wrong:
        raise click.UsageError(str(wrong)) from None
    findings = [d for r in results for d in r.findings]
    if not any(r.checked for r in results) and not failed(findings):
        findings.append(Diagnostic("AIG0104", Severity.ERROR, "no gateway found"))
    checked = [one for r in results for one in r.checked]
    hidden = partial(compiler.hidden_spans, checked)
    code = common.show(findings, results[0].shown_from, format_, reports, strict=strict, hidden=hidden)
    failing_changes = sum(r.failing_changes for r in results)
    stale = [name for r in results for name in r.stale]
    if failing_changes:
        words = f"{failing_changes} change{'s have' if failing_changes > 1 else ' has'} a class that fails here"
        click.echo(f"{words}; see diff.md, or `aigw-compile diff`, which says how one is approved", err=True)
    if check_only:
        for name in stale:
            click.echo(f"stale: {name}", err=True)
        raise click.exceptions.Exit(1 if code or stale or failing_changes else 0)
    for result in results:
        write.write(result.folders)
        _summary(result.folders, stale)
    raise click.exceptions.Exit(1 if code or failing_changes else 0)


class Asked(NamedTuple):
    """What the options ask for."""

    targets: Sequence[TargetChoice]
    output: Path | None
    emit: str
    against: str | None
    with_diff: bool
    failing: tuple[str, ...]
    with_map: bool
    native: bool
    frozen: bool
    today: date


class Result(NamedTuple):
    """What became of one project: nothing is written yet."""

    checked: tuple[compiler.Checked, ...]
    findings: list[Diagnostic]
    folders: dict[Path, Sequence[Document]]
    stale: list[str]
    failing_changes: int
    shown_from: Path


def _project(opened: compiler.Opened, asked: Asked) -> Result:
    project = opened.project
    checked, general = compiler.check(opened, frozen=asked.frozen)
    findings: list[Diagnostic] = [*general, *(d for one in checked for d in one.diagnostics)]
    wanted = compiler.choices(project, asked.targets)
    old = comparing.side_of(asked.against, project, wanted) if asked.against else None
    progress = common.Progress(len(checked) * len(wanted))
    folders: dict[Path, Sequence[Document]] = {}
    approved = approvals(project.root, asked.today) if asked.failing or project.diff_fail_on else Approvals()
    findings += approved.findings
    every: list[compiler.Build] = []
    stale: list[str] = []
    failing_changes = 0
    for one in checked:
        builds: list[compiler.Build] = []
        for choice in wanted if one.gateway else ():
            progress.step(len(every) + len(builds) + 1, f"{one.name}: {choice.name}")
            builds.append(compiler.build(one, choice, project.accepts, native=asked.native))
        every += builds
        findings += [d for b in builds for d in b.diagnostics]
        if failed(d for b in builds for d in b.diagnostics):
            continue
        for built in builds:
            there = (asked.output or project.root / project.output) / one.name / built.target.name
            emitted = write.as_json(built.documents) if asked.emit == "json" else built.documents
            documents = [*emitted, write.spec_document(one.source.data, one.source.veil.hidden)]
            stale += [f"{there / name}" for name in write.stale(there, documents)]
            changes = comparing.of_build(one, built, there, old, emit=asked.emit)
            failing_changes += len(approved.failing(changes.diff, asked.failing or project.diff_fail_on))
            findings += comparing.findings(changes)
            extra = comparing.documents(changes, there) if asked.with_diff else ()
            maps = map(partial(comparing.map_document, one), built.documents) if asked.with_map else ()
            folders[there] = [*documents, *extra, *maps]
    progress.done()
    if not asked.targets:
        findings += compiler.unused_accepts(project, opened.project_source, every)
    return Result(checked, findings, folders, stale, failing_changes, opened.shown_from)


def _summary(folders: dict[Path, Sequence[Document]], stale: Sequence[str]) -> None:
    for folder in folders:
        changed = sum(1 for name in stale if Path(name).parent == folder)
        click.echo(f"{folder}: {f'{changed} files written' if changed else 'unchanged'}", err=True)
