"""Which instance of a plugin runs for whom, to policies at the gateway, a model, a group and a consumer that say the same.

Kong runs the most specific instance alone; in the language every policy that applies is applied. So what an inner
instance has beyond the outer one becomes the inner policy; one that takes something away cannot be said so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aigw_compile.importers.kong.shape import Instance, Kong, running


class Kind(NamedTuple):
    """A plugin whose instances are policies."""

    plugin: str
    what: str
    read: Callable[[Instance], Any]
    beyond: Callable[[Any, Any], Any]
    """(own, base) -> what has to be added to base for own; None: nothing does."""
    spreads: Callable[[Any], bool] = lambda value: True
    """Whether it says the same if every consumer has it alone."""
    joined: Callable[[Any, Any], Any] | None = None
    """(base, extra) -> what both come to, where that tells more than `beyond` can."""


class Placed(NamedTuple):
    """Values by where they go in the spec."""

    gateway: list[Any]
    models: dict[str, Any]
    groups: dict[str, Any]
    consumers: dict[str, Any]


class Callers(NamedTuple):
    """Who calls: keys of consumers, and whether nobody else can."""

    consumers: Sequence[str]
    closed: bool


def place(kong: Kong, kind: Kind, routes: Sequence[str], callers: Callers, beside: str = "") -> Placed:
    """Return where the values of a kind go. `routes`: those of models; `beside`: one that has what is the gateway's alone."""
    held: dict[int, Any] = {}

    def value(one: Instance | None) -> Any:
        if one is None:
            return None
        if id(one) not in held:
            held[id(one)] = kind.read(one)
        return held[id(one)]

    found = Placed([], {}, {}, {})
    if not routes or not any(i.name == kind.plugin for i in kong.plugins):
        return found
    bases = {r: running(kong, kind.plugin, r) for r in routes}
    base = {r: value(i) for r, i in bases.items()}
    same = all(v == base[routes[0]] for v in base.values())
    one = bases[routes[0]]
    outer = value(running(kong, kind.plugin, beside)) if beside else None
    inner = {r: kind.beyond(v, outer) if v else None for r, v in base.items()} if outer else {}
    if outer and all(v is not None for v in inner.values()):
        found.gateway.append(outer)
        found.models.update({r: v for r, v in inner.items() if v})
    elif same and base[routes[0]] and one:
        if len(routes) > 1 or not one.scope.route:
            found.gateway.append(base[routes[0]])
        else:
            found.models[routes[0]] = base[routes[0]]
    else:
        found.models.update({r: v for r, v in base.items() if v})
        _shared(kong, kind, bases)
    mine = [i.scope for i in kong.plugins if i.name == kind.plugin]
    alike = not any((s.consumer or s.group) and (s.route or s.service) for s in mine)
    each = (
        [*{id(bases[r]): r for r in reversed(routes)}.values()] if alike else [*routes]
    )  # routes that differ for anybody
    failed = _groups(kong, kind, each, bases, base, value, found)
    failed += _consumers(kong, kind, each, bases, base, value, found, callers)
    if beside and outer:
        _beside(kong, kind, callers, beside, outer, value, found)
    if failed and not (same and callers.closed and _spread(kong, kind, each, base, value, found, callers)):
        for instance in failed:
            kong.record.tell(
                "AIG8107",
                f"Kong runs this {kind.what} in place of another; the language only adds, so it is left out",
                instance.node.at,
                "what holds for everybody holds here too: move it into the spec by hand where it should differ",
            )
    return found


def _beside(
    kong: Kong,
    kind: Kind,
    callers: Callers,
    beside: str,
    outer: Any,
    value: Callable[[Instance | None], Any],
    found: Placed,
) -> None:
    """What consumers have at the route beside those of models follows from the rest; where it does not, that is told."""
    for key in callers.consumers:
        one = running(kong, kind.plugin, beside, key, kong.in_groups.get(key, []))
        if not one or not one.scope.consumer or one.scope.route != beside or not kind.joined:
            continue
        own, extra = value(one), found.consumers.get(key)
        if own != (kind.joined(outer, extra) if extra else outer):
            kong.record.tell("AIG8106", f"this {kind.what} is not that of the models", one.node.at)


def _shared(kong: Kong, kind: Kind, bases: dict[str, Instance | None]) -> None:
    """Say that an instance over several models becomes one for each, where another one stands at some of them."""
    for one in {id(i): i for i in bases.values() if i and not i.scope.route}.values():
        if sum(i is one for i in bases.values()) > 1 and kind.plugin.endswith(("limiting", "limiting-advanced")):
            message = (
                "it counts over several models in Kong, and for each of them in the spec, since others have their own"
            )
            kong.record.note("AIG8106", message, one.node.at)


def _groups(
    kong: Kong,
    kind: Kind,
    routes: Sequence[str],
    bases: dict[str, Instance | None],
    base: dict[str, Any],
    value: Callable[[Instance | None], Any],
    found: Placed,
) -> list[Instance]:
    failed: list[Instance] = []
    for group in kong.groups.values():
        mine = [i for i in kong.plugins if i.name == kind.plugin and i.scope.group == group.key]
        if not mine:
            continue
        own = {r: running(kong, kind.plugin, r, "", [group.key]) for r in routes}
        extra = _extra(kind, routes, own, bases, base, value)
        if extra is None:
            failed += mine
        elif extra:
            found.groups[group.key] = extra
    return failed


def _consumers(
    kong: Kong,
    kind: Kind,
    routes: Sequence[str],
    bases: dict[str, Instance | None],
    base: dict[str, Any],
    value: Callable[[Instance | None], Any],
    found: Placed,
    callers: Callers,
) -> list[Instance]:
    failed: list[Instance] = []
    own_ones = {i.scope.consumer for i in kong.plugins if i.name == kind.plugin}
    for key in (c for c in callers.consumers if c in own_ones):
        groups = kong.in_groups.get(key, [])
        own = {r: running(kong, kind.plugin, r, key, groups) for r in routes}
        mine = {id(i): i for i in own.values() if i and i.scope.consumer}
        if not mine:
            continue
        extra = _extra(kind, routes, own, bases, base, value)
        if extra is None:
            failed += mine.values()
        elif extra:
            found.consumers[key] = extra
    return failed


def _extra(
    kind: Kind,
    routes: Sequence[str],
    own: dict[str, Instance | None],
    bases: dict[str, Instance | None],
    base: dict[str, Any],
    value: Callable[[Instance | None], Any],
) -> Any:
    """What has to be added, the same for every model; empty: nothing, None: there is no such thing."""
    extras: list[Any] = []
    for r in routes:
        mine = value(own[r])
        if own[r] is bases[r]:
            extras.append({})
        elif mine:
            extras.append(kind.beyond(mine, base[r]))
        else:
            extras.append(None if base[r] else {})
    if all((e is not None and e == extras[0]) or (not e and not extras[0] and e is not None) for e in extras):
        return extras[0]
    for one in extras:
        if kind.joined and one and all(kind.joined(base[r], one) == value(own[r]) for r in routes):
            return one
    return None


def _spread(
    kong: Kong,
    kind: Kind,
    routes: Sequence[str],
    base: dict[str, Any],
    value: Callable[[Instance | None], Any],
    found: Placed,
    callers: Callers,
) -> bool:
    """Give every consumer its own in place of what all have. False: that would not say the same."""
    given = {}
    for key in callers.consumers:
        groups = kong.in_groups.get(key, [])
        values = [value(running(kong, kind.plugin, r, key, groups)) for r in routes]
        if any(v != values[0] for v in values) or (values[0] and not kind.spreads(values[0])):
            return False
        given[key] = values[0]
    outer = base[routes[0]]
    if not given or (outer and not kind.spreads(outer)):
        return False
    found.gateway.clear()
    found.models.clear()
    found.groups.clear()
    found.consumers.clear()
    found.consumers.update({k: v for k, v in given.items() if v})
    first = running(kong, kind.plugin, routes[0])
    if first:
        message = (
            f"some consumers have another {kind.what} in its place, so that every consumer has its own in the spec"
        )
        kong.record.note(
            "AIG8106", message, first.node.at, "a consumer that is added later has none until it is given one"
        )
    return True
