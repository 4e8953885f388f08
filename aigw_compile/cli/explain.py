"""`aigw-compile explain`: a CODE, a FILE and a place, or an OUTPUT:LINE, to a page of text."""

from __future__ import annotations

import re
from pathlib import Path

import click

from aigw_compile import compiler, explain
from aigw_compile.project import FILENAME, TargetChoice
from aigw_compile.target import TARGETS


@click.command()
@click.argument("what", nargs=-1, required=True)
def command(what: tuple[str, ...]) -> None:
    """Explain CODE (`AIG3001`), FILE PLACE (`gateway.yaml models[chat].timeouts`), or OUTPUT:LINE (`build/x/kong/kong.yml:12`)."""
    answer: str | None
    if len(what) == 2:
        answer = _place(Path(what[0]), what[1])
    elif len(what) == 1 and (found := re.fullmatch(r"(.+):(\d+)", what[0])):
        answer = _line(Path(found[1]), int(found[2]))
    elif len(what) == 1:
        answer = explain.explain_code(what[0].upper())
        if answer is None:
            raise click.UsageError(f'no code "{what[0]}"{explain.guess(what[0])}')
    else:
        raise click.UsageError("explain takes a CODE, a FILE and a place, or an OUTPUT:LINE")
    click.echo(answer, nl=False)


def _place(path: Path, place: str) -> str:
    if not path.exists():
        raise click.UsageError(f'"{path}" is not there')
    opened = compiler.open_project([path])
    checked, _ = compiler.check(opened)
    for one in checked:
        builds = _builds(one, opened.project) if one.gateway else []
        answer = explain.explain_place(one, builds, place)
        if answer:
            return answer
    raise click.UsageError(f'"{place}" names no place in {path}; write it like models[chat].targets[backup].weight')


def _builds(one: compiler.Checked, project: compiler.Project) -> list[compiler.Build]:
    return [compiler.build(one, choice, project.accepts) for choice in compiler.choices(project)]


def _line(path: Path, line: int) -> str:
    """The output's folder says which gateway and target it is of: OUTPUT/<gateway>/<target>/FILE."""
    full = path.resolve()
    target, gateway = full.parent.name, full.parent.parent.name
    if not full.is_file() or target not in TARGETS:
        raise click.UsageError(f"{path} is no output of a build: they stand in OUTPUT/<gateway>/<target>/")
    root = next((f for f in full.parents if (f / FILENAME).is_file()), full.parent.parent.parent.parent)
    opened = compiler.open_project([root])
    checked, _ = compiler.check(opened)
    one = next((c for c in checked if c.name == gateway and c.gateway), None)
    if one is None:
        raise click.UsageError(f'no spec below {root} compiles to a gateway "{gateway}"')
    (choice,) = compiler.choices(opened.project, [TargetChoice(target, "", {})])
    built = compiler.build(one, choice, opened.project.accepts)
    answer = explain.explain_line(one, built, full.name, line)
    if answer is None:
        raise click.UsageError(f"{path} has no line {line} in a build of the spec as it is now")
    return answer
