"""`aigw-compile approve`: the fingerprint of a change to an entry of aigw-approvals.yaml that lets it pass until a day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import click

from aigw_compile import comparing, compiler
from aigw_compile.approvals import FILENAME, Approval, added, approvals
from aigw_compile.cli import common
from aigw_compile.diagnostic import failed, nearest
from aigw_compile.diff import Change, gone
from aigw_compile.diff import diff as compare
from aigw_compile.mask import scrub
from aigw_compile.project import TargetChoice


@click.command()
@click.argument("fingerprint")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The last day on which it may pass.")
@click.option("--reason", required=True, help="Why it may.")
@click.option(
    "--against", metavar="SIDE", help="What the change was found against: git:REV, kong:URL, a folder or a file."
)
@click.option("--path", type=click.Path(path_type=Path), default=Path("."), help="A file or folder of the project.")
@common.today_option
def command(fingerprint: str, until: date, reason: str, against: str | None, path: Path, today: date) -> None:
    """Write an entry for a change into aigw-approvals.yaml, which stands beside aigw-compile.yaml.

    `diff --fail-on` prints the fingerprint of each change that fails. The change must be there now, against `--against` or
    the project's `diff.against`, so that nothing is approved by mistake. Review the file as you review code.
    """
    last = date(until.year, until.month, until.day)
    if last < today:
        raise click.UsageError(f"--until {last} is over")
    if not reason.strip():
        raise click.UsageError("--reason: say why this change may pass")
    (path,) = common.existing([path])
    opened = compiler.open_project([path])
    held = approvals(opened.project.root, today)
    if failed(held.findings):
        raise click.exceptions.Exit(common.show(held.findings, opened.shown_from, "text", ()))
    try:
        found = {c.fingerprint: (name, c) for name, c in _changes(opened, path, against)}
    except comparing.SideError as wrong:
        raise click.UsageError(str(wrong)) from None
    if fingerprint not in found:
        guess = nearest(fingerprint, [*found])
        raise click.ClickException(
            f"no change {fingerprint} against that side{f': did you mean {guess}?' if guess else ''} "
            f"({len(found)} changes; `aigw-compile diff --format json` lists them)"
        )
    name, change = found[fingerprint]
    file = opened.project.root / FILENAME
    text = file.read_text("utf-8") if file.exists() else ""
    file.write_text(added(text, Approval(fingerprint, name, last, scrub(reason.strip())), change.sentence), "utf-8")
    click.echo(f"{file}: {name}: {change.sentence} may pass until {last}", err=True)


def _changes(opened: compiler.Opened, path: Path, against: str | None) -> Iterator[tuple[str, Change]]:
    project = opened.project
    base = against or project.diff_against
    if not base:
        raise comparing.SideError("found against what? --against git:origin/main, or diff.against in aigw-compile.yaml")
    running = comparing.live_of(base)
    if running:
        choice = comparing.live_choice(compiler.choices(project, ()), [running])
        for drift in comparing.drifts(running, comparing.current([path], (choice,), project), choice):
            yield from ((drift.diff.gateway, change) for change in drift.diff.changes)
        return
    nothing: Sequence[TargetChoice] = ()
    new = comparing.current([path], nothing, project)
    old = comparing.side_of(base, project, nothing)
    for name, side in new.gateways.items():
        for change in compare(old.gateways.get(name), side, {}).changes:
            yield name, change
    for name in old.gateways:
        if name not in new.gateways:
            yield from ((name, change) for change in gone(name).changes)
