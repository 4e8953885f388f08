"""Two documents to what changed in meaning: each change with its classes, judged on what really applies, and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.diff.judge import Found, Judge
from aigw_compile.diff.renames import Renames, renamed
from aigw_compile.diff.types import CLASSES, Change, Veils
from aigw_compile.mask import HIDDEN, NO_VEIL
from aigw_compile.meaning import Item, Node, Tree, only_different, plain, tree
from aigw_compile.meaning import shown as shown_as
from aigw_compile.schema import change as declared
from aigw_compile.schema import field

Meant = ir.Gateway | None


def meaning(
    old: Json, new: Json, veils: Veils = (NO_VEIL, NO_VEIL), meant: tuple[Meant, Meant] = (None, None)
) -> list[Change]:
    """Return what changed in meaning between two documents, judged on the policies that really apply.

    `meant`: what each document was lowered to, where somebody has it already.
    What stands at a hidden place on either side is `(hidden)` in every value, name and sentence.
    """
    before, names = renamed(old, new)
    left = only_different(before, new, names)
    found = [*_Walk(names, veils).maps(tree(left[0]), tree(left[1]), "", ())]
    if not found:
        return []
    judge = Judge((before, new), veils, (None if names else meant[0], meant[1]))
    return [judge.judged(one) for one in found]


class _Walk:
    def __init__(self, names: Renames, veils: Veils) -> None:
        self.names, self.veils = names, veils

    def maps(self, old: Node, new: Node, path: str, generic: Pointer) -> Iterator[Found]:
        under = dict(_same_content(old, new)) if old.kind == "keyed" else {}
        for was, key in under.items():
            before, after = old.children[was], new.children[key]
            label = self.veils[1].label(after.at, key)
            shown = (self.veils[0].label(before.at, was), label)
            change = _change("renamed", "changed", _step(path, old.kind, label), *shown, (*generic, 0, "name"))
            yield Found(change._replace(at=after.at), before.at, after.at)
        for key, node in old.children.items():
            if key not in new.children and key not in under:
                place = _step(path, old.kind, self.veils[0].label(node.at, key))
                change = _whole("removed", place, plain(node, self.veils[0]), node, _generic(generic, old, key))
                yield Found(change._replace(at=node.at, old=True), node.at, _other(old, key, new.at))
        for key, node in new.children.items():
            if key not in old.children and key not in under.values():
                place = _step(path, new.kind, self.veils[1].label(node.at, key))
                change = _whole("added", place, plain(node, self.veils[1]), node, _generic(generic, new, key))
                yield Found(change._replace(at=node.at), _other(new, key, old.at), node.at)
        for key, before in old.children.items():
            if key in new.children:
                after = new.children[key]
                label = self.veils[1].label(after.at, self.veils[0].label(before.at, key))
                place = _step(path, new.kind, label)
                inner = _generic(generic, new, key)
                if old.kind == "keyed" and (name := self.names.get(before.at)):
                    shown = (self.veils[0].label(before.at, name), self.veils[1].label(after.at, key))
                    change = _change("renamed", "changed", place, *shown, (*inner, "name"))
                    yield Found(change._replace(at=after.at), before.at, after.at)
                yield from self.both(before, after, place, inner)

    def both(self, old: Tree, new: Tree, place: str, generic: Pointer) -> Iterator[Found]:
        if isinstance(old, Node) and isinstance(new, Node):
            yield from self.maps(old, new, place, generic)
            return
        op = event = "changed"
        if isinstance(old, Item) and isinstance(new, Item):
            values = (old.leaf.value, new.leaf.value)
            if values[0] == values[1] and type(values[0]) is type(values[1]):
                return
            op, event = _op(*values, generic)
            if not op:
                return
            shown: tuple[Any, Any] = (shown_as(old), shown_as(new))
        else:
            shown = (plain(old, self.veils[0]), plain(new, self.veils[1]))
        if any(v.covers(side.at) or v.around(side.at) for v, side in zip(self.veils, (old, new), strict=True)):
            shown = (HIDDEN, HIDDEN)  # neither is told, since the other may well be the same again
        yield Found(_change(op, event, place, *shown, generic)._replace(at=new.at), old.at, new.at)


def _op(old: Any, new: Any, generic: Pointer) -> tuple[str, str]:
    """What happened to a value, and under which name its field declares what that means; ("", "") for nothing."""
    if isinstance(old, bool) and isinstance(new, bool):
        return ("on", "on") if new else ("off", "off")
    if isinstance(old, (int, float)) and isinstance(new, (int, float)):
        op = "raised" if new > old else "lowered" if new < old else ""
        return op, op
    if isinstance(old, list) and isinstance(new, list):
        texts = [Counter(map(repr, side)) for side in (old, new)]
        if texts[0] == texts[1]:
            return "moved", "moved"
        less, more = texts[0] - texts[1], texts[1] - texts[0]
        return "changed", "changed" if less and more else "added" if more else "removed"
    order = (field(generic) or {}).get("x-aigw-order", ())
    if old in order and new in order:
        return "changed", "raised" if order.index(new) > order.index(old) else "lowered"
    return "changed", "changed"


def _same_content(old: Node, new: Node) -> Iterator[tuple[str, str]]:
    """Items that only changed their name: equal otherwise, and the only ones that are."""
    sides: list[dict[str, list[str]]] = [{}, {}]
    for mine, one, other in zip(sides, (old, new), (new, old), strict=True):
        for key, node in one.children.items():
            if key not in other.children:
                data = plain(node)
                content = sorted((k, v) for k, v in data.items() if k != "name") if isinstance(data, dict) else data
                mine.setdefault(repr(content), []).append(key)
    for content, was in sides[0].items():
        now = sides[1].get(content, [])
        if len(was) == len(now) == 1:
            yield was[0], now[0]


def _step(path: str, kind: str, key: str) -> str:
    if kind == "keyed":
        return f"{path}[{key}]"
    if kind == "set":
        return path
    if not path and key == "spec":
        return ""
    return f"{path}.{key}" if path else key


def _generic(generic: Pointer, node: Node, key: str) -> Pointer:
    return (*generic, key) if node.kind == "map" else (*generic, 0)


def _other(node: Node, key: str, at: Pointer) -> Pointer | None:
    """Where on the other side something changed by this, though it has no such thing: its set, or the policy it is a field of."""
    last = at[-1] if at else ""
    if node.kind == "set":
        return at if last != "deny" else None
    fields = ("roles", "by", "requests", "tokens", "cost")
    return at if node.kind == "map" and key in fields else None


def _whole(op: str, place: str, value: Any, node: Tree, generic: Pointer) -> Change:
    """Something that comes or goes as a whole: with an object, whatever in it differs from its default."""
    whole = isinstance(node, Node) and (node.kind == "set" or not (field(generic) or {}).get("properties"))
    event = {"added": "set", "removed": "unset"}[op] if whole and isinstance(generic[-1], str) else op
    before, after = (None, value) if op == "added" else (value, None)
    change = _change(op, event, place, before, after, generic)
    free = not (field(generic) or {}).get("properties")
    if not isinstance(node, Node) or free or isinstance(generic[-1], int) or "policies" in generic:
        return change
    found = {*change.classes, *(c for c in _inside(op, node, generic) if c in SEVERE)}
    return change._replace(classes=by_weight(found - {"behaviour", "cosmetic"} or found))


SEVERE = ("breaking", "security-relaxing", "security-tightening", "data-residency", "cost")


def _inside(op: str, node: Tree, generic: Pointer) -> Iterator[str]:
    if isinstance(node, Node):
        for key, child in node.children.items():
            yield from _inside(op, child, _generic(generic, node, key)) if node.kind == "map" else ()
        return
    value, default = node.leaf.value, (field(generic) or {}).get("default")
    if isinstance(value, bool) and default is not None:
        yield from classes({"added": "on", "removed": "off"}[op], generic) if value else ()
    elif default is None:
        yield from classes(op, generic)


def _change(op: str, event: str, place: str, before: Any, after: Any, generic: Pointer) -> Change:
    entity = place[: place.rindex("]") + 1] if "]" in place else place.partition(".")[0]
    if HIDDEN in (before, after) and op in ("on", "off", "raised", "lowered", "moved"):
        op = "changed"  # the direction alone would tell a switch, and a number by halves
    return Change(op, entity, place, before, after, classes(event, generic), "", (), False, (0, 0))


def classes(event: str, generic: Pointer) -> tuple[str, ...]:
    """Return the classes that the language declares for an event; for an item of a set or a free map, those of the whole.

    `set` and `unset` are for a list as a whole, where an absent one means all: the first item then does the opposite of a
    second one. Without them, `added` and `removed` hold.
    """
    while (held := declared(generic)) is None and generic and "properties" not in (field(generic[:-1]) or {}):
        generic = generic[:-1]
    plainer = {"set": "added", "unset": "removed"}.get(event, event)
    for name in (event, plainer, "changed"):
        if held and name in held:
            return by_weight(held[name]) or ("behaviour",)
    return ("unclassified",)


def by_weight(found: Iterable[str]) -> tuple[str, ...]:
    """Return classes once each, the worst first."""
    return tuple(sorted(set(found), key=CLASSES.index))
