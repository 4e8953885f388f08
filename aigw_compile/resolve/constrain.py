"""The whole, its constraints and its defaults to findings: each is told to whoever wrote the value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Related, Severity, named
from aigw_compile.mask import shown
from aigw_compile.resolve.contract import Constraint, validator
from aigw_compile.resolve.merged import Merged, Mount
from aigw_compile.resolve.parts import Part
from aigw_compile.resolve.paths import Item, Path, written
from aigw_compile.resolve.shapes import Shape, document
from aigw_compile.units import key_of, seconds, size

MOST_LOOKS: Final = 500_000
"""Places that the constraints of a gateway's parts look at, at most."""
MOST_TOLD: Final = 1_000


def constrained(source: Merged, mounts: list[Mount]) -> Iterator[Diagnostic]:
    """Yield every value that does not meet a constraint, and every place that must have one and has none."""
    data = source.data.get("spec") if isinstance(source.data, dict) else None
    looks = told = 0
    seen: set[tuple[Path, Part]] = set()
    for mount in mounts:
        part = mount.layer.part
        if part is None or (mount.path, part) in seen:
            continue
        seen.add((mount.path, part))
        for constraint in part.contract.constrain:
            for found in _one(source, data, mount.path, part, constraint):
                looks += 1
                told += found is not None
                if looks > MOST_LOOKS or told > MOST_TOLD:
                    what = f"constraints look at more than {MOST_LOOKS:,} places"
                    what = what if looks > MOST_LOOKS else f"more than {MOST_TOLD:,} values do not meet a constraint"
                    yield Diagnostic("AIG2008", Severity.ERROR, f"{what}: what follows is not looked at", ("spec",))
                    return
                if found is not None:
                    yield found


def _one(source: Merged, data: Json, mount: Path, part: Part, one: Constraint) -> Iterator[Diagnostic | None]:
    """Yield for every place that a constraint looks at what is wrong there, or None."""
    path = (*mount, *one.path)
    judge = _validator(json.dumps(one.schema, sort_keys=True))
    for place, value, shape in _effective(path, data, document().step("spec"), ("spec",)):
        wrong = next(iter(judge.iter_errors(normal(value, shape))), None)
        if wrong is not None:
            by = "" if source.stack(place) else " by default"
            message = f'{named(place, source.data)} is {shown(value)}{by}, and "{part.name}" constrains it'
            at = place if source.stack(place) else _written(source, place)
            yield _finding(source, part, one, message, at, _said(one, shape))
        else:
            yield None
    if one.required:
        last = max((i + 1 for i, step in enumerate(path) if isinstance(step, Item)), default=0)
        for holder, inside, shape in _effective(path[:last], data, document().step("spec"), ("spec",)):
            if next(_effective(path[last:], inside, shape), None) is None:
                message = f"`{written(path[last:])}` is missing in {named(holder, source.data) or 'spec'}"
                message += f': "{part.name}" demands it'
                yield _finding(source, part, one, message, _written(source, holder), _said(one, None))
            else:
                yield None


def _effective(path: Path, data: Json, shape: Shape, at: Pointer = ()) -> Iterator[tuple[Pointer, Json, Shape]]:
    """Yield every place that a path matches, with its value; what no layer set has its default."""
    if not path:
        yield at, data, shape
        return
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        inner = shape.step(step)
        if isinstance(data, dict):
            always: Json = {} if rest and "x-aigw-always" in inner.node else None
            value = data.get(step, inner.node.get("default", always))
            if value is not None:
                yield from _effective(rest, value, inner, (*at, step))
    elif isinstance(data, list):
        inner = shape.step(0)
        for index, item in enumerate(data):
            if step.takes(key_of(item)):
                yield from _effective(rest, item, inner, (*at, index))
    elif isinstance(data, dict):
        for key, item in data.items():
            if step.takes(key):
                yield from _effective(rest, item, shape.step(key), (*at, key))


def _finding(source: Merged, part: Part, one: Constraint, message: str, at: Pointer, hint: str) -> Diagnostic:
    related = Related("the constraint", (), part.source.span(one.at))
    return Diagnostic("AIG2025", Severity.ERROR, message, at, hint, (related,))


def _written(source: Merged, at: Pointer) -> Pointer:
    """A default was written by nobody: its place is that of the nearest thing above it that somebody wrote."""
    while len(at) > 1 and source.stack(at) is None:
        at = at[:-1]
    return at


def _said(one: Constraint, shape: Shape | None) -> str:
    unit = {"duration": " (seconds)", "size": " (bytes)"}.get(str(shape.node.get("x-aigw-unit")) if shape else "", "")
    return f"it must fit {shown(dict(one.schema), 120)}{unit}"


@lru_cache(256)
def _validator(schema: str) -> Any:
    return validator(json.loads(schema))


def normal(value: Json, shape: Shape) -> Json:
    """Return a value as constraints see it: durations in seconds, sizes in bytes."""
    unit = shape.node.get("x-aigw-unit")
    try:
        if unit == "duration" and isinstance(value, str):
            return seconds(value)
        if unit == "size" and isinstance(value, (str, int)) and not isinstance(value, bool):
            return size(value)
    except (ValueError, KeyError, AssertionError):
        return value  # of a wrong form, which the schema says
    if isinstance(value, dict):
        return {key: normal(inner, shape.step(key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [normal(inner, shape.step(0)) for inner in value]
    return value
