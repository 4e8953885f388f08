"""Two documents to what differs in how they are written and not in what they mean, so that nobody has to trust an empty diff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.diff.types import Change, Same, Veils
from aigw_compile.mask import HIDDEN, NO_VEIL
from aigw_compile.meaning import Item, Node, Tree, only_different, plain, written


def normalised(old: Json, new: Json, changes: Sequence[Change], veils: Veils = (NO_VEIL, NO_VEIL)) -> Iterator[Same]:
    """Yield every difference in writing that is no change of meaning, nor a part of one. Hidden places are passed over."""
    told = ({c.at for c in changes if c.old}, {c.at for c in changes if not c.old})
    # A change stands in one document; what is at the same named place in the other belongs to it too.
    places = {c.place for c in changes}
    if isinstance(old, dict) and isinstance(new, dict):
        for found, at_old, at_new in _walk(written(old), written(new), ""):
            sides = ((at_old, told[0], veils[0]), (at_new, told[1], veils[1]))
            known = any(at is not None and _touches(at, changed) for at, changed, _ in sides)
            hidden = any(at is not None and (veil.covers(at) or veil.around(at)) for at, _, veil in sides)
            if (
                not known
                and not hidden
                and not _within(found.place, places)
                and HIDDEN not in (found.before, found.after)
            ):
                yield found


def orders(old: Json, new: Json) -> list[tuple[Pointer, Pointer]]:
    """Return the places, on each side, of lists whose common items stand in another order, which means nothing."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return []
    sides: list[Any] = [spec if isinstance(spec := x.get("spec"), dict) else {} for x in (old, new)]
    found: list[tuple[Pointer, Pointer]] = []
    for kind in (k for k in sides[0] if k in sides[1] and isinstance(sides[0][k], list)):
        names = [[str(x.get("name")) if isinstance(x, dict) else str(x) for x in side[kind]] for side in sides]
        if names[0] != names[1]:
            both = {*names[0]} & {*names[1]}
            common = [[n for n in some if n in both] for some in names]
            found += [(("spec", kind), ("spec", kind))] if common[0] != common[1] else []
    left = only_different(old, new)
    return [*found, *_orders(written(left[0]), written(left[1]))]


def _orders(old: Tree, new: Tree) -> Iterator[tuple[Pointer, Pointer]]:
    if isinstance(old, Node) and isinstance(new, Node):
        if old.kind != "map" and _common(old, new) != _common(new, old):
            yield old.at, new.at
        for key, node in old.children.items():
            if key in new.children:
                yield from _orders(node, new.children[key])


def _common(one: Node, other: Node) -> list[str]:
    return [key for key in one.children if key in other.children]


def _touches(at: Pointer, changed: set[Pointer]) -> bool:
    return any(at[: len(c)] == c or c[: len(at)] == at for c in changed)


def _within(place: str, places: set[str]) -> bool:
    return any(place == p or place.startswith((f"{p}.", f"{p}[")) for p in places)


Found = tuple[Same, Pointer | None, Pointer | None]


def _walk(old: Node, new: Node, path: str) -> Iterator[Found]:
    for key, node in old.children.items():
        place = _step(path, old.kind, key)
        if key in new.children:
            yield from _both(node, new.children[key], place)
        else:
            yield Same(place, plain(node), None, "left out, it is what holds anyway"), node.at, None
    for key, node in new.children.items():
        if key not in old.children:
            yield Same(_step(path, new.kind, key), None, plain(node), "written out, it holds anyway"), None, node.at
    common = (_common(old, new), _common(new, old))
    if old.kind != "map" and common[0] != common[1]:
        yield Same(path, common[0], common[1], "the order of names means nothing here"), None, None


def _both(old: Tree, new: Tree, place: str) -> Iterator[Found]:
    if isinstance(old, Node) and isinstance(new, Node):
        yield from _walk(old, new, place)
    elif isinstance(old, Item) and isinstance(new, Item) and old.leaf.shown != new.leaf.shown:
        yield Same(place, old.leaf.shown, new.leaf.shown, "two ways to write the same"), old.at, new.at


def _step(path: str, kind: str, key: str) -> str:
    if kind == "keyed":
        return f"{path}[{key}]"
    if kind == "set":
        return path
    return key if not path or path == "spec" else f"{path}.{key}"
