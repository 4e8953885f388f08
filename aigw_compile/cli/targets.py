"""`aigw-compile targets`: what each target can do, as a table."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence

import click

from aigw_compile.cli import common
from aigw_compile.plan import matrix
from aigw_compile.project import TargetChoice
from aigw_compile.target import (
    TARGETS,
    Capability,
    Condition,
    Feature,
    Support,
    TargetFacts,
    facts,
    feature,
    manifest,
    release,
)


@click.command()
@common.target_option
@click.option("--markdown", is_flag=True, help="As Markdown, with the notes.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--notes", is_flag=True, help="Also print what differs, and why.")
def command(targets: Sequence[TargetChoice], markdown: bool, format_: str, notes: bool) -> None:
    """Show the capability matrix: native, emulated, delegated (done by another target behind this one), partial, outside
    (no place for it) or none, for every feature.

    Every target, or those named with --target. Of profiles that are versions of one thing the tables show the first and
    the last, with a list of what changes between; `--format json` has all.
    """
    every = [one for name in TARGETS for profile in manifest(name).profiles for one in _ways(name, profile)]
    chosen = [facts(t.name, t.profile, t.options) for t in targets] or (every if format_ == "json" else _ends(every))
    steps = [] if targets else _steps(every)
    rows = list(matrix(chosen))
    if format_ == "json":
        click.echo(json.dumps(_json(chosen, rows), indent=1, ensure_ascii=False))
    elif markdown:
        click.echo(_markdown(chosen, rows, steps), nl=False)
    else:
        click.echo(_text(chosen, rows, notes, steps), nl=False)


def _ways(name: str, profile: str) -> Iterator[TargetFacts]:
    """A target in a profile, and, of its default profile, what it does when it hands its calls on."""
    yield facts(name, profile)
    found = manifest(name)
    if profile == found.default_profile:
        yield from (facts(name, profile, {"delegate": other}) for other in found.raw.get("delegates", ()))


Step = tuple[TargetFacts, TargetFacts]
"""A profile, and the next version of the same thing."""


def _ends(every: Sequence[TargetFacts]) -> list[TargetFacts]:
    """Leave out the versions between the first and the last of one thing."""
    older, newer = ({id(step[side]) for step in _steps(every)} for side in (0, 1))
    return [t for t in every if not (id(t) in older and id(t) in newer)]


def _steps(every: Sequence[TargetFacts]) -> list[Step]:
    families: dict[tuple[str, str], list[TargetFacts]] = {}
    for one in (t for t in every if not t.delegates):
        families.setdefault((one.name, release(one.profile).family), []).append(one)
    return [step for found in families.values() for step in itertools.pairwise(found)]


def _changes(step: Step) -> list[str]:
    """What a version does otherwise than the one before, a line each."""
    older, newer = step
    lines = [
        f"`{path}`: {_said(older.rows[path])} -> {_said(row)}"
        for path, row in newer.rows.items()
        if path in older.rows and _said(older.rows[path]) != _said(row)
    ]
    before, after = ({(c.feature, c.when): c for c in t.conditions} for t in step)
    for key in {**before, **after}:
        was, is_ = (_said(found[key].capability) if key in found else "native" for found in (before, after))
        if was != is_:
            lines.append(f"`{key[0]}` with {key[1].replace('-', ' ')}: {was} -> {is_}")
    return lines


def _said(cell: Capability) -> str:
    return cell.support.value + (f" ({cell.note})" if cell.note else "")


def _label(t: TargetFacts) -> str:
    label = f"{t.name} {t.profile}" if len(manifest(t.name).profiles) > 1 else t.name
    return f"{label} delegate={t.delegates.target}" if t.delegates else label


Rows = list[tuple[Feature, tuple[Capability, ...]]]


def _mark(target: TargetFacts, found: Feature, cell: Capability) -> str:
    """The support, with a star where it is another for a part or value of the feature, or a gateway of a certain shape; and a
    plus where the feature, or a part of it, stands on what is not stable yet."""
    finer = _finer(target, found)
    other = any(c.support is not cell.support for _, c in finer) or _conditions(target, found)
    alpha = cell.alpha or any(c.alpha for _, c in finer)
    return cell.support.value + ("*" if other else "") + ("+" if alpha else "")


def _conditions(target: TargetFacts, found: Feature) -> list[Condition]:
    native = Support.NATIVE
    return [c for c in target.conditions if c.feature == found.path and c.capability.support is not native]


def _finer(target: TargetFacts, found: Feature) -> list[tuple[str, Capability]]:
    """The rows for a part or a value of the feature that is no feature of its own."""
    return [(path, c) for path, c in target.rows.items() if path != found.path and feature(path) == found]


def _notes(target: TargetFacts, found: Feature, cell: Capability) -> list[str]:
    """What differs and why: always, for a part or a value of the feature, and for gateways of a certain shape."""
    notes = [_note("", cell)] if cell.note else []
    notes += [_note(f"{path} {c.support.value}: ", c) for path, c in _finer(target, found) if c.note]
    notes += [_unstable(c) for c in (cell, *(c for _, c in _finer(target, found))) if c.alpha]
    for c in _conditions(target, found):
        than = f" {c.argument}" if isinstance(c.argument, (str, int, float, list)) else ""
        notes.append(_note(f"with {c.when.replace('-', ' ')}{than} {c.capability.support.value}: ", c.capability))
    return notes


def _note(lead: str, cell: Capability) -> str:
    return f"{lead}{cell.note}" + (f" (nearest: {cell.nearest})" if cell.nearest else "")


def _unstable(cell: Capability) -> str:
    return f"stands on what its maker calls alpha or work in progress: {', '.join(cell.alpha)}"


def _text(chosen: Sequence[TargetFacts], rows: Rows, notes: bool, steps: Sequence[Step]) -> str:
    labels = [_label(t) for t in chosen]
    wide = max(len(f.path) for f, _ in rows)
    widths = [max(len(label), len("delegated*+")) for label in labels]
    head = [label.ljust(width) for label, width in zip(labels, widths, strict=True)]
    lines = ["  ".join(["code   ", "feature".ljust(wide), *head]).rstrip()]
    for found, cells in rows:
        marks = [_mark(t, found, c) for t, c in zip(chosen, cells, strict=True)]
        columns = [mark.ljust(width) for mark, width in zip(marks, widths, strict=True)]
        lines.append("  ".join([found.code, found.path.ljust(wide), *columns]).rstrip())
        for target, cell in zip(chosen, cells, strict=True) if notes else ():
            lines += [f"         {_label(target)}: {note}" for note in _notes(target, found, cell)]
    lines += ["", "* another answer for some parts, values or gateways; --notes says for which"]
    lines += ["+ stands on what the target's maker calls alpha or work in progress; --notes says on what"]
    for step in steps if notes else ():
        lines += [f"{_label(step[1])}: {line}" for line in _changes(step)]
    return "\n".join(lines) + "\n"


def _markdown(chosen: Sequence[TargetFacts], rows: Rows, steps: Sequence[Step]) -> str:
    """The table, what each version changes, and the notes; what is said of several targets is said once."""
    head = ["code", "feature", *(_label(t) for t in chosen)]
    lines = [_row(head), _row(["---"] * len(head))]
    notes: dict[tuple[str, str], tuple[int, list[str]]] = {}
    for found, cells in rows:
        marks = []
        for target, cell in zip(chosen, cells, strict=True):
            numbers = []
            for note in _notes(target, found, cell):
                number, labels = notes.setdefault((found.path, note), (len(notes) + 1, []))
                labels.append(_label(target))
                numbers.append(f" [{number}]")
            marks.append(_mark(target, found, cell) + "".join(numbers))
        lines.append(_row([found.code, f"`{found.path}`", *marks]))
    changed = [(step[1], differs) for step in steps if (differs := _changes(step))]
    if changed:
        lines += ["", "## What each version changes"]
    for newer, what in changed:
        lines += ["", f"{_label(newer)}:", "", *(f"- {line}" for line in what)]
    said = [f"{number}. {', '.join(labels)}, `{path}`: {note}" for (path, note), (number, labels) in notes.items()]
    return "\n".join([*lines, "", "## Notes", "", *said, ""])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _json(chosen: Sequence[TargetFacts], rows: Rows) -> list[dict[str, object]]:
    def cell_of(target: TargetFacts, found: Feature, cell: Capability) -> dict[str, object]:
        held: dict[str, object] = {k: v for k, v in cell._asdict().items() if v}
        where = [
            {"where": c.when, "than": c.argument, **{k: v for k, v in c.capability._asdict().items() if v}}
            for c in _conditions(target, found)
        ]
        finer = [{"path": p, **{k: v for k, v in c._asdict().items() if v}} for p, c in _finer(target, found)]
        return held | ({"conditions": where} if where else {}) | ({"rows": finer} if finer else {})

    return [
        {
            "code": found.code,
            "feature": found.path,
            "title": found.title,
            "security": found.security,
            "targets": {_label(t): cell_of(t, found, cell) for t, cell in zip(chosen, cells, strict=True)},
        }
        for found, cells in rows
    ]
