"""Guards, decorators, addresses and limits to policies at the gateway, models, groups and consumers, and to their stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aigw_compile.importers.kong import counts, guards, people, placing
from aigw_compile.importers.kong.models import Model
from aigw_compile.importers.kong.secrets import Keeper
from aigw_compile.importers.kong.shape import Kong

Spec = dict[str, Any]


def policies(
    kong: Kong,
    keeper: Keeper,
    made: Sequence[Model],
    bodies: list[Spec],
    folk: people.People,
    doors: people.Doors,
    out: Spec,
    listing: str,
) -> Spec:
    """Put every policy where it goes; return those of the gateway. Groups and stores go into `out`."""
    routes = [*dict.fromkeys(m.route for m in made)]
    callers = placing.Callers([c for c in folk.keys if "anonymous" not in doors.auth], doors.closed)
    counting = counts.Counts(kong, keeper)
    gateway: Spec = {}
    models_: dict[str, Spec] = {r: {} for r in routes}
    groups: dict[str, Spec] = {g: {} for g in folk.groups}
    consumers: dict[str, Spec] = {c: {} for c in folk.keys}
    simple: Sequence[tuple[str, placing.Kind]] = (
        ("promptGuard", placing.Kind("ai-prompt-guard", "guard", guards.guard, guards.guard_beyond)),
        (
            "promptDecorator",
            placing.Kind("ai-prompt-decorator", "decorator", guards.decorator, guards.decorator_beyond),
        ),
        (
            "ipRestriction",
            placing.Kind(
                "ip-restriction",
                "address list",
                guards.addresses,
                guards.addresses_beyond,
                joined=guards.addresses_joined,
            ),
        ),
    )
    for field, kind in simple:
        found = placing.place(kong, kind, routes, callers, listing if field == "ipRestriction" else "")
        for value in found.gateway:
            gateway[field] = value
        for holder, values in ((models_, found.models), (groups, found.groups), (consumers, found.consumers)):
            for key, value in values.items():
                holder.setdefault(key, {})[field] = value
    for plugin in counts.LIMITERS:
        kind = placing.Kind(plugin, "limit", counting.limits, counts.beyond, _every_consumer)
        found = placing.place(kong, kind, routes, callers)
        _shared(found, counting)
        for limits in found.gateway:
            _limits(gateway, limits, set(), counting)
        for key, limits in found.models.items():
            _limits(models_[key], limits, {"model"}, counting)
        for key, limits in found.groups.items():
            _limits(groups.setdefault(key, {}), limits, set(), counting, "consumer")
        for key, limits in found.consumers.items():
            _limits(consumers[key], limits, {"consumer"}, counting)
    for body, model in zip(bodies, made, strict=False):
        held = {**models_[model.route], **body.pop("policies", {})}
        if held:
            body["policies"] = held
    for body, key in zip(folk.consumers, list(folk.keys), strict=False):
        if consumers[key]:
            body["policies"] = consumers[key]
    if folk.groups:
        out["consumerGroups"] = [
            {"name": g, **({"policies": groups[g]} if groups.get(g) else {})} for g in dict.fromkeys(folk.groups)
        ]
    if counting.stores:
        out["stores"] = [
            {"name": _store(counting, key), "type": "redis", **store} for key, store in counting.stores.items()
        ]
    return gateway


def _every_consumer(limits: list[counts.Limit]) -> bool:
    return all(x["by"] <= {"consumer", "model"} and "consumer" in x["by"] for x in limits)


def _shared(found: placing.Placed, counting: counts.Counts) -> None:
    """Limits whose counter a group shares stand at the group, not at each of its members."""
    for key, limits in [*found.consumers.items()]:
        mine = [x for x in limits if "group" not in x["by"]]
        for limit in limits:
            label = limit.get("group", "")
            if label and limit not in found.groups.setdefault(label, []):
                found.groups[label].append(limit)
        found.consumers[key] = mine


def _store(counting: counts.Counts, key: str) -> str:
    number = [*counting.stores].index(key)
    return "redis" if number == 0 else f"redis-{number + 1}"


def _limits(
    policies: Spec, limits: list[counts.Limit], implied: set[str], counting: counts.Counts, usual: str = ""
) -> None:
    """Add limits to a place; `implied`: what limits there count by anyway, `usual`: what they count by if they say nothing."""
    listed: list[Spec] = policies.setdefault("limits", [])
    for limit in limits:
        by = sorted(limit["by"] - implied)
        if usual and by == [usual]:
            by = []
        taken = {x["name"] for x in listed}
        name, number = limit["name"], 2
        while name in taken:
            name, number = f"{limit['name']}-{number}", number + 1
        one: Spec = {"name": name}
        if by:
            one["by"] = sorted(limit["by"]) if implied == {"consumer"} else by
        one |= {k: limit[k] for k in ("per", "requests", "tokens", "cost", "count") if k in limit}
        if one.get("count") == "total":
            del one["count"]
        joined = next((x for x in listed if _joins(x, one)), None)
        if joined:
            joined |= {k: v for k, v in one.items() if k in ("requests", "tokens", "cost", "count")}
        else:
            listed.append(one)
        if limit["store"]:
            policies["limitStore"] = _store(counting, limit["store"])
    if not listed:
        del policies["limits"]


def _joins(one: Spec, other: Spec) -> bool:
    """Say whether two limits are parts of one: the same name, but for a number, and nothing said twice."""
    same = (
        one["name"] == other["name"].rpartition("-")[0]
        and one["per"] == other["per"]
        and one.get("by") == other.get("by")
    )
    return same and not {"requests", "tokens", "cost"} & set(one) & set(other)
