"""`aigw-compile build`: specs to the outputs of their targets, each with a diff against what stood there before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from aigw_compile import comparing, compiler, write
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
    format_: str,
    reports: Sequence[str],
    strict: bool,
) -> None:
    """Compile every spec below PATH and write OUTPUT/<gateway>/<target>/.

    Without a project file all four targets are built. What a target cannot do is an error until it is accepted, with a
    reason, in aigw-compile.yaml. A gateway with an error leaves its outputs as they were. `--verify native` also asks
    the target's own binary (Envoy, with the extra "envoy").
    """
    failing = comparing.classes_of(fail_on)
    opened = compiler.open_project(common.existing(paths))
    project = opened.project
    checked, general = compiler.check(opened)
    findings: list[Diagnostic] = [*general, *(d for one in checked for d in one.diagnostics)]
    if not checked and not failed(findings):
        findings.append(Diagnostic("AIG0104", Severity.ERROR, f"no gateway found ({opened.skipped} other documents)"))
    wanted = compiler.choices(project, targets)
    old = comparing.side_of(against, project, wanted) if against else None
    folder = output or project.root / project.output
    progress = common.Progress(len(checked) * len(wanted))
    folders: dict[Path, Sequence[Document]] = {}
    all_builds: list[compiler.Build] = []
    stale: list[str] = []
    failing_changes = 0
    for one in checked:
        if one.gateway is None:
            continue
        builds: list[compiler.Build] = []
        for choice in wanted:
            progress.step(len(all_builds) + len(builds) + 1, f"{one.name}: {choice.name}")
            builds.append(compiler.build(one, choice, project.accepts, native=verify == "native"))
        all_builds += builds
        findings += [d for b in builds for d in b.diagnostics]
        if failed(d for b in builds for d in b.diagnostics):
            continue
        for built in builds:
            there = folder / one.name / built.target.name
            documents = [*_emitted(built, emit), write.spec_document(one.source.data)]
            stale += [f"{there / name}" for name in write.stale(there, documents)]
            changes = comparing.built_diff(one, built, there, old)
            failing_changes += comparing.count(changes, failing or project.diff_fail_on)
            findings += comparing.findings(changes)
            if with_diff and changes is not None and comparing.worth_writing(changes, there):
                documents += comparing.documents(changes, one.name)
            elif with_diff:
                documents += comparing.kept(there)
            folders[there] = [*documents, *(_maps(one, built) if with_map else ())]
    progress.done()
    if not targets:
        findings += compiler.unused_accepts(project, opened.project_source, all_builds)
    code = common.show(findings, project.root, format_, reports, strict=strict)
    if check_only:
        for name in stale:
            click.echo(f"stale: {name}", err=True)
        raise click.exceptions.Exit(1 if code or stale or failing_changes else 0)
    write.write(folders)
    _summary(folders, stale)
    raise click.exceptions.Exit(1 if code or failing_changes else 0)


def _emitted(built: compiler.Build, emit: str) -> tuple[Document, ...]:
    return write.as_json(built.documents) if emit == "json" else built.documents


def _maps(one: compiler.Checked, built: compiler.Build) -> Iterator[Document]:
    for document in built.documents:
        yield comparing.map_document(one, document)


def _summary(folders: dict[Path, Sequence[Document]], stale: Sequence[str]) -> None:
    for folder in folders:
        changed = sum(1 for name in stale if Path(name).parent == folder)
        click.echo(f"{folder}: {f'{changed} files written' if changed else 'unchanged'}", err=True)
