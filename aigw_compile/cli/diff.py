"""`aigw-compile diff`: two sides to what a change means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from aigw_compile import comparing, compiler, live
from aigw_compile.approvals import approvals
from aigw_compile.cli import common, reports
from aigw_compile.diff import Diff, Side, gone, normalised
from aigw_compile.diff import diff as compare
from aigw_compile.mask import scrub
from aigw_compile.project import TargetChoice
from aigw_compile.target import TargetFacts


@click.command()
@click.argument("base", required=False)
@click.argument("head", required=False)
@common.target_option
@common.frozen_option
@click.option("--format", "format_", type=click.Choice(list(reports.FORMATS)), default="text", show_default=True)
@click.option("--exit-code", is_flag=True, help="End with 2 if anything changed.")
@click.option("--fail-on", metavar="CLASSES", help="End with 1 if a change has one of these classes (a,b,...).")
@click.option("--show-normalised", is_flag=True, help="Also list what is written differently and means the same.")
@reports.option
@common.today_option
def command(**asked: Any) -> None:
    """Say what changes between BASE and HEAD: in meaning, and in each target's outputs. Nothing is written.

    A side is a spec, a folder with specs, a folder with outputs, or git:REV. BASE is the project's `diff.against` if
    absent, HEAD the specs as they are now. `--frozen` is asked of HEAD alone. What aigw-approvals.yaml approves does not
    count for --fail-on.

    \b
    A side may also be what runs, which is only read:
      kong:URL            Kong's Admin API, such as kong:https://kong.internal:8444/WORKSPACE;
                          KONG_ADMIN_TOKEN and KONG_ADMIN_CA are taken from the environment
      FILE                a kong.yml, or what `deck gateway dump` wrote
      envoy:URL           Envoy's admin interface, such as envoy:http://127.0.0.1:9091
      kubernetes:CONTEXT  a cluster, by kubectl and the name of its context
      proxy:URL           the operations port of the reference proxy

    Compared is what is a gateway's own. Such a change has no class, so any class of --fail-on fails for it.
    """
    try:
        _run(files=asked.pop("reports"), **asked)
    except comparing.SideError as wrong:
        raise click.UsageError(str(wrong)) from None


def _run(
    base: str | None,
    head: str | None,
    targets: Sequence[TargetChoice],
    frozen: bool,
    format_: str,
    exit_code: bool,
    fail_on: str | None,
    show_normalised: bool,
    files: Sequence[reports.Report],
    today: date,
) -> None:
    if show_normalised and format_ == "sarif":
        raise click.UsageError("--show-normalised goes with the formats text, markdown, json and html")
    failing = comparing.classes_of(fail_on)
    running = {side: comparing.live_of(side) for side in (base, head) if side}
    paths = [Path(x) for x in (head, base) if x and not running[x] and not x.startswith("git:") and Path(x).exists()]
    paths = paths or [Path(".")]
    opened = compiler.open_project(paths[:1])
    project = opened.project
    base = base or project.diff_against
    if not base:
        raise comparing.SideError(
            "compare with what? `aigw-compile diff git:origin/main`, or diff.against in aigw-compile.yaml"
        )
    wanted = compiler.choices(project, targets)
    if base not in running:
        running[base] = comparing.live_of(base)
    if lives := [side for side in running.values() if side]:
        wanted = (comparing.live_choice(wanted, lives),)
    new: comparing.Sides | live.Running
    if head:
        new = running[head] or comparing.side_of(head, project, wanted, frozen=frozen)
    else:
        new = comparing.current([Path(".")], wanted, project, frozen=frozen)
    approved = approvals(project.root, today)
    classes = failing or project.diff_fail_on
    code = common.show(approved.findings, opened.shown_from, "text", ()) if approved.findings else 0
    old = running[base] or comparing.side_of(base, project, wanted)
    pages: list[reports.Page] = []
    said = [finding for side in lives for finding in side.findings]
    if isinstance(old, live.Running) or isinstance(new, live.Running):
        for drift in comparing.drifts(old, new, wanted[0]):
            pages.append(reports.Page(drift.diff, drift.spans))
            said += drift.findings
    else:
        for name, side in new.gateways.items():
            found = _compared(old.gateways.get(name), side, new.facts, show_normalised=show_normalised)
            pages.append(reports.Page(found, comparing.spans(new.sources.get(name), old.sources.get(name))))
        for name in old.gateways:
            if name not in new.gateways:
                pages.append(reports.Page(gone(name), comparing.spans(None, old.sources.get(name))))
    failed = sum(len(common.failing(one.diff, approved, classes)) for one in pages)
    ours = [finding for one in pages for finding in comparing.unexplained(one.diff)]
    failed += bool(ours and classes)
    said += ours
    changed = any(one.diff.first or not one.diff.empty for one in pages)
    click.echo(reports.text(format_, pages, approved, colour=common.coloured()), nl=False)
    for finding in dict.fromkeys(said):
        hint = f" ({finding.hint})" if finding.hint else ""
        click.echo(scrub(f"{finding.severity.name.lower()} {finding.code} {finding.message}{hint}"), err=True)
    reports.write(files, pages, approved)
    raise click.exceptions.Exit(1 if failed or code else 2 if exit_code and changed else 0)


def _compared(old: Side | None, new: Side, facts: Mapping[str, TargetFacts], *, show_normalised: bool) -> Diff:
    """Compare two specs, and name what was not compared or only differs in writing."""
    if old is None:
        return compare(None, new, facts)
    old = comparing.alike(old, new)
    found = compare(old, comparing.alike(new, old), facts)
    alone = sorted(
        (name, side)
        for a, b, side in ((old, new, "old"), (new, old, "new"))
        for name in {*a.documents} - {*b.documents}
    )
    notes = tuple(
        f"{name}: only the {side} side is built for it, so its outputs are not compared" for name, side in alone
    )
    same = (*normalised(old.data, new.data, found.changes, (old.veil, new.veil)),) if show_normalised else None
    return found._replace(notes=notes, normalised=same)
