"""Two outputs of a target to their differences, each with the changes of meaning that explain it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.diff.causes import Causes, Origins
from aigw_compile.diff.types import TargetChange
from aigw_compile.mask import HIDDEN, NO_VEIL, Veil, scrub
from aigw_compile.target import TargetFacts


def explained(
    old: Mapping[str, Json],
    new: Mapping[str, Json],
    facts: TargetFacts,
    made: Causes,
    veils: tuple[Veil, Veil] = (NO_VEIL, NO_VEIL),
) -> Iterator[TargetChange]:
    """Yield every difference; what target.yaml calls derived (a digest of the whole) says nothing and is passed over.

    So is what comes of another order alone, of lists that have none.
    What was made from a hidden place of the spec is `(hidden)`, on both sides.
    """
    derived = facts.settings.get("derived", ())
    for filename in sorted({*old, *new}):
        if filename == "secrets.json":
            continue
        sides = (Origins(old.get(filename)), Origins(new.get(filename)))
        ours = all(side.known for side in sides if side.body is not None)
        pairs = differences(old.get(filename), new.get(filename), facts.identity, "", (), ())
        for op, place, before, after, at_old, at_new in pairs:
            if f"{filename}: {place}" in derived:
                continue
            stands = [(side, at) for side, at in zip(sides, (at_old, at_new), strict=True)]
            causes = made.of(*(side.of(at) if at is not None else [] for side, at in stands))
            if causes == ():
                causes = made.of(*(side.around(at) if at is not None else [] for side, at in stands))
            if causes == () and not ours:  # where nobody knows where it came from, any of them may have made it
                causes = tuple(range(len(made.changes)))
            if causes is None:
                continue
            if any(veils):
                place = veils[0].text(veils[1].text(place))
                if hides(before, sides[0], at_old, veils[0]) or hides(after, sides[1], at_new, veils[1]):
                    before, after = (HIDDEN if value is not None else None for value in (before, after))
            whole = f"{filename}: {place}" if place else filename
            yield TargetChange(op, whole, short(before), short(after), causes, ours and not causes)


def hides(value: Any, side: Origins, at: Pointer | None, veil: Veil) -> bool:
    """Whether a value of an output may come from a hidden place: it does, or nobody knows and it is not in the open."""
    if at is None or not veil or isinstance(value, (dict, list)):  # told by its size alone
        return False
    origins = side.of(at) or [()]
    return any(map(veil.covers, origins)) or (any(map(veil.around, origins)) and veil.tells(value))


Pair = tuple[str, str, Any, Any, Pointer | None, Pointer | None]


def differences(
    old: Any, new: Any, identity: Mapping[str, Any], place: str, at_old: Pointer, at_new: Pointer
) -> Iterator[Pair]:
    """Yield (operation, place, before, after, where it stood, where it stands) of each difference; items of lists go by identity."""
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(k for k in new if k not in old)]:
            step = f"{place}.{key}" if place else key
            if key not in new:
                yield "removed", step, old[key], None, (*at_old, key), None
            elif key not in old:
                yield "added", step, None, new[key], None, (*at_new, key)
            else:
                yield from differences(old[key], new[key], identity, step, (*at_old, key), (*at_new, key))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(old, new, identity, place, at_old, at_new)
    elif old != new:
        op = "added" if old is None else "removed" if new is None else "changed"
        yield op, place, old, new, at_old, at_new


def _lists(
    old: list[Any], new: list[Any], identity: Mapping[str, Any], place: str, at_old: Pointer, at_new: Pointer
) -> Iterator[Pair]:
    keys_old, keys_new = _keys(old, identity, place), _keys(new, identity, place)
    if keys_old is None or keys_new is None:
        if len(old) == len(new):  # nothing tells the items apart, and as many are there as before
            for i, (before, after) in enumerate(zip(old, new, strict=True)):
                yield from differences(before, after, identity, f"{place}[{i}]", (*at_old, i), (*at_new, i))
        elif old != new:
            yield "changed", place, old, new, at_old, at_new
        return
    index_old = {key: i for i, key in enumerate(keys_old)}
    index_new = {key: i for i, key in enumerate(keys_new)}
    for key, i in index_old.items():
        if key not in index_new:
            yield "removed", f"{place}[{key}]", old[i], None, (*at_old, i), None
    for key, j in index_new.items():
        if key not in index_old:
            yield "added", f"{place}[{key}]", None, new[j], None, (*at_new, j)
            continue
        i = index_old[key]
        yield from differences(old[i], new[j], identity, f"{place}[{key}]", (*at_old, i), (*at_new, j))
    both = [key for key in keys_old if key in index_new]
    for key in _moved(both, [key for key in keys_new if key in index_old]):
        i, j = index_old[key], index_new[key]
        yield "moved", f"{place}[{key}]", i, j, (*at_old, i), (*at_new, j)


def _keys(items: list[Any], identity: Mapping[str, Any], place: str) -> list[str] | None:
    """The identity of every item, or None where the items of a list have none."""
    declared_fields = identity.get(place.rpartition(".")[2].partition("[")[0], "name")
    fields = [declared_fields] if isinstance(declared_fields, str) else [*declared_fields]
    keys = []
    for item in items:
        if not isinstance(item, dict):
            return None
        key = _object_key(item) or "/".join(str(item[f]) for f in fields if isinstance(item.get(f), (str, int)))
        if not key:
            return None
        keys.append(key)
    counted: dict[str, int] = {}
    for number, key in enumerate(keys):
        counted[key] = counted.get(key, 0) + 1
        if counted[key] > 1:
            keys[number] = f"{key}#{counted[key]}"
    return keys


def _object_key(item: dict[str, Any]) -> str:
    """A Kubernetes object by group, kind, namespace and name; the version is no part of its identity."""
    meta = item.get("metadata")
    if not (isinstance(meta, dict) and "kind" in item and "apiVersion" in item):
        return ""
    group = str(item["apiVersion"]).rpartition("/")[0]
    return "/".join(str(x) for x in (group, item["kind"], meta.get("namespace"), meta.get("name")) if x)


def _moved(old: list[str], new: list[str]) -> list[str]:
    """The fewest items whose move turns one order into the other: all but a longest increasing run."""
    if old == new:
        return []
    position = {key: i for i, key in enumerate(old)}
    tails: list[int] = []
    last: list[str] = []
    before: dict[str, str | None] = {}
    for key in new:
        slot = bisect_left(tails, position[key])
        before[key] = last[slot - 1] if slot else None
        tails[slot : slot + 1] = [position[key]]
        last[slot : slot + 1] = [key]
    kept: set[str] = set()
    step: str | None = last[-1]
    while step is not None:
        kept.add(step)
        step = before[step]
    return [key for key in new if key not in kept]


def short(value: Any) -> Any:
    """A value of an output for a report: long ones by their size."""
    if isinstance(value, (dict, list)):
        return f"{len(value)} {'fields' if isinstance(value, dict) else 'items'}"
    if isinstance(value, bool):
        return str(value).lower()
    text = scrub(str(value)) if value is not None else None
    return text if text is None or len(text) <= 120 else f"{text[:117]}..."
