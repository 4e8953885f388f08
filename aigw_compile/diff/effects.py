"""Two sides to what their differences do to calls: whatever gets weaker, looser or dearer, for whom, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.diff.effective import Call, Caller, World, beyond, callers, unmet


class Effect(NamedTuple):
    """Something that got weaker or stronger for the calls of some callers to a model."""

    aspect: str
    classes: tuple[str, ...]
    model: str
    callers: tuple[str, ...]
    origin_old: Pointer | None = None
    """What it was made by on the old side, or on the new one; both None: by all of its aspect together."""
    origin_new: Pointer | None = None


RELAXED = ("security-relaxing",)
TIGHTENED = ("security-tightening",)
CLOSED = ("security-tightening", "breaking")


def effects(old: World, new: World) -> Iterator[Effect]:
    """Yield what differs for each model that is on both sides and each caller; whoever is alike goes together."""
    outer_same = _outer(old) == _outer(new)
    groups = [*callers(old, new)]
    changed = [(a, b) for a, b in groups if a.enters != b.enters or not _same(a, b)]
    for name in old.models:
        if name not in new.models:
            continue
        models = (old.models[name], new.models[name])
        same = _policies(models[0].policies) == _policies(models[1].policies) and _who(models[0]) == _who(models[1])
        for before, after in changed if outer_same and same else groups:
            a, b = old.call(models[0], before.one), new.call(models[1], after.one)
            a, b = a._replace(allowed=a.allowed and before.enters), b._replace(allowed=b.allowed and after.enters)
            yield from _between(a, b, name, after)


def _between(a: Call, b: Call, model: str, caller: Caller) -> Iterator[Effect]:
    def effect(aspect: str, classes: tuple[str, ...], old: Pointer | None = None, new: Pointer | None = None) -> Effect:
        return Effect(aspect, classes, model, caller.names, old, new)

    if a.allowed != b.allowed:
        yield effect("entry", RELAXED if b.allowed else CLOSED)
    if not b.allowed:
        return
    if not a.allowed:
        return
    yield from (effect("checks", RELAXED, old=x.origin) for x in unmet(a.checks, b.checks))
    yield from (effect("checks", TIGHTENED, new=x.origin) for x in unmet(b.checks, a.checks))
    yield from (effect("bounds", ("cost",), old=x.origin) for x in unmet(a.bounds, b.bounds))
    yield from (effect("bounds", ("breaking",), new=x.origin) for x in unmet(b.bounds, a.bounds))
    if beyond(b.networks, a.networks):
        yield effect("networks", RELAXED)
    if beyond(a.networks, b.networks):
        yield effect("networks", CLOSED)
    for aspect, value in a.rest.items():
        other = b.rest[aspect]
        if value != other:
            yield effect(aspect, _cached(value, other) if aspect == "cache" else ("behaviour",))


def _cached(old: Any, new: Any) -> tuple[str, ...]:
    """off, type, ttl, scope, store: less kept is paid for again; shared answers are seen by others."""
    found = ["behaviour"]
    if (
        new is None
        or (old is not None and new[2] < old[2])
        or (old is not None and (old[3], new[3]) == ("shared", "consumer"))
    ):
        found.append("cost")
    if new is not None and new[3] == "shared" and (old is None or old[3] != "shared"):
        found.append("security-relaxing")
    return tuple(found)


def _outer(side: World) -> Any:
    return (_policies(side.gateway.policies), [(g.name, _policies(g.policies)) for g in side.gateway.consumer_groups])


def _policies(policies: ir.Policies) -> list[Any]:
    """Policies without their places."""
    return [(p.kind, _bare(p)) for p in policies]


def _bare(node: Any) -> Any:
    """A node without the places it was made from, whose last field that is."""
    return tuple(
        tuple(_bare(x) for x in value) if isinstance(value, tuple) and value and hasattr(value[0], "origin") else value
        for value in tuple(node)[:-1]
    )


def _who(model: ir.Model) -> Any:
    access = model.access
    return access and tuple(who and (who.groups, who.consumers) for who in (access.allow, access.deny))


def _same(one: Caller, other: Caller) -> bool:
    return one.one.groups == other.one.groups and _policies(one.one.policies) == _policies(other.one.policies)
