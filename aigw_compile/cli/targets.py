"""`aigw-compile targets`: what each target can do, as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from aigw_compile.cli import common
from aigw_compile.plan import matrix
from aigw_compile.project import TargetChoice
from aigw_compile.target import TARGETS, Capability, Feature, TargetFacts, facts, manifest


@click.command()
@common.target_option
@click.option("--markdown", is_flag=True, help="As Markdown, with the notes.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--notes", is_flag=True, help="Also print what differs, and why.")
def command(targets: Sequence[TargetChoice], markdown: bool, format_: str, notes: bool) -> None:
    """Show the capability matrix: native, emulated, partial, outside (no place for it) or none, for every feature.

    Every target in every profile, or those named with --target.
    """
    chosen = [facts(t.name, t.profile, t.options) for t in targets] or [
        facts(name, profile) for name in TARGETS for profile in manifest(name).profiles
    ]
    rows = list(matrix(chosen))
    if format_ == "json":
        click.echo(json.dumps(_json(chosen, rows), indent=1, ensure_ascii=False))
    elif markdown:
        click.echo(_markdown(chosen, rows), nl=False)
    else:
        click.echo(_text(chosen, rows, notes), nl=False)


def _label(t: TargetFacts) -> str:
    return f"{t.name} {t.profile}" if len(manifest(t.name).profiles) > 1 else t.name


Rows = list[tuple[Feature, tuple[Capability, ...]]]


def _text(chosen: Sequence[TargetFacts], rows: Rows, notes: bool) -> str:
    labels = [_label(t) for t in chosen]
    wide = max(len(f.path) for f, _ in rows)
    lines = ["  ".join(["code   ", "feature".ljust(wide), *labels]).rstrip()]
    for found, cells in rows:
        columns = [c.support.value.ljust(len(label)) for c, label in zip(cells, labels, strict=True)]
        lines.append("  ".join([found.code, found.path.ljust(wide), *columns]).rstrip())
        for cell, label in zip(cells, labels, strict=True):
            if notes and cell.note:
                lines.append(f"         {label}: {cell.note}" + (f" (nearest: {cell.nearest})" if cell.nearest else ""))
    return "\n".join(lines) + "\n"


def _markdown(chosen: Sequence[TargetFacts], rows: Rows) -> str:
    head = ["code", "feature", *(_label(t) for t in chosen)]
    lines = [_row(head), _row(["---"] * len(head))]
    notes: list[str] = []
    for found, cells in rows:
        marks = []
        for target, cell in zip(chosen, cells, strict=True):
            if cell.note:
                nearest = f" Nearest: {cell.nearest}." if cell.nearest else ""
                notes.append(f"{len(notes) + 1}. {_label(target)}, `{found.path}`: {cell.note}.{nearest}")
            marks.append(cell.support.value + (f" [{len(notes)}]" if cell.note else ""))
        lines.append(_row([found.code, f"`{found.path}`", *marks]))
    return "\n".join([*lines, "", *notes, ""])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _json(chosen: Sequence[TargetFacts], rows: Rows) -> list[dict[str, object]]:
    return [
        {
            "code": found.code,
            "feature": found.path,
            "title": found.title,
            "security": found.security,
            "targets": {
                _label(t): {k: v for k, v in cell._asdict().items() if v} for t, cell in zip(chosen, cells, strict=True)
            },
        }
        for found, cells in rows
    ]
