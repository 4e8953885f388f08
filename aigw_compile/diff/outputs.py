"""Two outputs of a target to their differences, each with the changes of meaning that explain it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.diff.types import Change, TargetChange
from aigw_compile.document import Block, source_map
from aigw_compile.mask import HIDDEN, NO_VEIL, Veil, scrub
from aigw_compile.target import TargetFacts


def explained(
    old: Mapping[str, Json],
    new: Mapping[str, Json],
    facts: TargetFacts,
    changes: Sequence[Change],
    veils: tuple[Veil, Veil] = (NO_VEIL, NO_VEIL),
    orders: Sequence[tuple[Pointer, Pointer]] = (),
) -> Iterator[TargetChange]:
    """Yield every difference; what target.yaml calls derived (a digest of the whole) says nothing and is passed over.

    `orders`: places of lists that are written in another order; what comes of that alone means nothing and is passed over.

    What was made from a hidden place of the spec is `(hidden)`, on both sides.
    """
    derived = facts.settings.get("derived", ())
    for filename in sorted({*old, *new}):
        if filename == "secrets.json":
            continue
        sides = (Origins(old.get(filename)), Origins(new.get(filename)))
        pairs = differences(old.get(filename), new.get(filename), facts.identity, "", (), ())
        for op, place, before, after, at_old, at_new in pairs:
            if f"{filename}: {place}" in derived:
                continue
            causes = _causes(changes, orders, sides, at_old, at_new)
            if causes is None:
                continue
            if any(veils):
                place = veils[0].text(veils[1].text(place))
                if hides(before, sides[0], at_old, veils[0]) or hides(after, sides[1], at_new, veils[1]):
                    before, after = (HIDDEN if value is not None else None for value in (before, after))
            yield TargetChange(op, f"{filename}: {place}" if place else filename, short(before), short(after), causes)


def hides(value: Any, side: Origins, at: Pointer | None, veil: Veil) -> bool:
    """Whether a value of an output may come from a hidden place: it does, or nobody knows and it is not in the open."""
    if at is None or not veil or isinstance(value, (dict, list)):  # told by its size alone
        return False
    origins = side.of(at) or [()]
    return any(map(veil.covers, origins)) or (any(map(veil.around, origins)) and veil.tells(value))


class Origins:
    """The places of the spec that each part of an output came from."""

    def __init__(self, body: Json) -> None:
        self.body = body

    def of(self, out: Pointer) -> list[Pointer]:
        """The origins of a place, of what is inside it, or else of the nearest thing around it."""
        around: list[Pointer] = []
        own: list[Pointer] = []
        here: Any = self.body
        for step in out:
            if isinstance(here, Block):
                own = [*here.origins.get(str(step), ())]
                around = own or [here.origin]
            else:
                own = []
            if not _has(here, step):  # a place of the other side alone
                return around
            here = here[step]
        return [*own, *(origin for _, origin in source_map(here))] or around


def _has(value: Any, step: str | int) -> bool:
    return step in value if isinstance(value, dict) else isinstance(value, list) and step in range(len(value))


def _causes(
    changes: Sequence[Change],
    orders: Sequence[tuple[Pointer, Pointer]],
    sides: tuple[Origins, Origins],
    at_old: Pointer | None,
    at_new: Pointer | None,
) -> tuple[int, ...] | None:
    """The changes of meaning whose place is one of the origins, around or inside one; else all, as none is nearer.

    None: only the order that something is written in.
    """
    origins_old = sides[0].of(at_old) if at_old is not None else []
    origins_new = sides[1].of(at_new) if at_new is not None else []
    best: dict[int, int] = {}
    for number, change in enumerate(changes):
        origins = origins_old if change.old else origins_new
        for origin in origins or (*origins_old, *origins_new):
            if shared := _near(origin, change.at):
                best[number] = max(best.get(number, 0), shared)
    near = max((_near(o, p) for o in (*origins_old, *origins_new) for pair in orders for p in pair), default=0)
    if near > max(best.values(), default=0) or (orders and not changes):  # numbers in names follow the order too
        return None
    if best:
        nearest = max(best.values())
        return tuple(n for n, shared in best.items() if shared == nearest or shared >= 3)
    return tuple(range(len(changes)))


def _near(origin: Pointer, place: Pointer) -> int:
    shared = min(len(origin), len(place))
    return shared if origin[:shared] == place[:shared] else 0


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
    text = scrub(str(value)) if value is not None else None
    return text if text is None or len(text) <= 120 else f"{text[:117]}..."
