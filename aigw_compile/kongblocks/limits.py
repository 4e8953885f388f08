"""Limits of all places to Kong's limiters: the instance that runs for a call holds every limit that applies to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at
from aigw_compile.kongblocks.edge import host_and_port
from aigw_compile.kongblocks.edition import Edition
from aigw_compile.kongblocks.llm import NAMES
from aigw_compile.kongblocks.plugin import Plugin, make
from aigw_compile.kongblocks.routes import Route
from aigw_compile.kongblocks.secrets import reference
from aigw_compile.kongblocks.upstream import targets
from aigw_compile.plan import Plan, edges, fits
from aigw_compile.policies.limits import SECONDS, Limit, LimitStore

Windows = dict[tuple[str, str], float]
"""(what, window) -> the smallest amount that a limit allows in it; what: requests, or how tokens are counted."""
Places = dict[tuple[str, str], list[Pointer]]

STRATEGIES = {"total": "total_tokens", "input": "prompt_tokens", "output": "completion_tokens"}
"""Which tokens count -> Kong's tokens_count_strategy (3.15, ai-rate-limiting-advanced); money is `cost`."""


class Held(NamedTuple):
    """A Redis, and the place that names it for its limits."""

    store: ir.Store
    named: Pointer


class Instance(NamedTuple):
    """What one instance of a limiter holds."""

    origin: Pointer
    counter: fits.Counter
    windows: Windows
    places: Places
    namespace: str
    held: Held | None
    edition: Edition
    providers: tuple[str, ...]
    """What Kong calls the providers whose calls it counts."""

    @property
    def by(self) -> list[str]:
        """What has a counter of its own, besides the route: consumer, ip, header:NAME; nothing where all count as one."""
        return fits.keys(self.counter)


def limits(gateway: ir.Gateway, plan: Plan, edition: Edition, routes: Sequence[Route]) -> Iterator[Plugin]:
    """Yield the limiters of requests, then those of tokens and cost."""
    wide = edition.advanced or len({fits.timing(m) for m in gateway.models}) == 1
    for unit, limiters in (("requests", edition.limiters), ("tokens", edition.token_limiters)):
        slots = [slot for _, slot in limiters]
        for held in fits.placed(gateway, unit, slots, wide):
            kept = tuple(x for x in held.limits if _amounts(plan, x, held.kinds))
            if kept:
                one = held._replace(limits=kept)
                yield from _counted(gateway, plan, edition, routes, limiters[held.slot][0], unit, one)


def _held(gateway: ir.Gateway, plan: Plan, scope: ir.Scope) -> Held | None:
    """The Redis in which the limits of a place count, and where the place says so."""
    store, named = edges.store_of(gateway, scope), ir.only(scope.policies, LimitStore)
    redis = store is not None and store.type == "redis" and not plan.lost(store.origin)
    return Held(store, named.origin) if redis and store and named else None


def _amounts(plan: Plan, limit: Limit, kinds: Collection[str]) -> dict[str, float]:
    found = {field: n for unit in fits.UNITS for field, n in fits.amounts(limit, unit).items()}
    return {k: n for k, n in found.items() if fits.kind(limit, k) in kinds and not plan.lost((*limit.origin, k))}


def _counted(
    gateway: ir.Gateway,
    plan: Plan,
    edition: Edition,
    routes: Sequence[Route],
    plugin: str,
    unit: str,
    held: fits.Placed,
) -> Iterator[Plugin]:
    """The instances of one limiter for one thing that is counted.

    An instance at a route counts for that route, one that stands at no route counts over all of them.
    """
    counter, kept = held.counter, held.limits
    per_model = [r for r in routes if r.model] if "model" in counter else [None]
    first: dict[str, Route] = {}  # the routes of one model share a counter
    for one in routes:
        if one.model:
            first.setdefault(one.model.name, one)
    stores = {x.origin: _held(gateway, plan, s) for s in ir.scopes(gateway) for x in ir.every(s.policies, Limit)}

    mine = frozenset(x.origin for x in kept)
    special = _with_own(gateway, counter, mine)

    def instance(some: list[Limit], consumer: ir.Consumer | None) -> Plugin:
        store = next((found for x in some if (found := stores[x.origin])), None)
        return _instance(plan, edition, plugin, held, some, providers, where, space, route, consumer, store)

    for route in per_model:
        models = [route.model] if route and route.model else gateway.models
        providers = tuple({NAMES[t.provider.dialect]: None for m in models for t in targets(m, plan, edition)})
        # What stands at a model counts for that model, so where one counter is for all of them any model will do.
        base = _applying(gateway, models[0], None, counter, mine)
        where = route.name if route else gateway.name
        space = first[route.model.name].name if route and route.model else where
        if base:
            yield instance(base, None)
        for consumer in special:
            own = _applying(gateway, models[0], consumer, counter, mine)
            if own and own != base:
                yield instance(own, consumer)


def _with_own(gateway: ir.Gateway, counter: fits.Counter, mine: Collection[Pointer]) -> list[ir.Consumer]:
    """The consumers for whom other limits apply than for anybody: by themselves, by a group, or as a member that is counted."""
    if fits.anonymous(gateway):
        return []

    def has(policies: ir.Policies) -> bool:
        return any(x.origin in mine for x in ir.every(policies, Limit))

    groups = {g.name for g in gateway.consumer_groups if has(g.policies)} | _groups(counter)
    return [c for c in gateway.consumers if has(c.policies) or not groups.isdisjoint(c.groups)]


def _applying(
    gateway: ir.Gateway,
    model: ir.Model,
    consumer: ir.Consumer | None,
    counter: fits.Counter,
    mine: Collection[Pointer],
) -> list[Limit]:
    if not _groups(counter).issubset(consumer.groups if consumer else ()):
        return []
    return [
        limit
        for scope in fits.applying(gateway, model, consumer)
        for limit in ir.every(scope.policies, Limit)
        if limit.origin in mine and counter in fits.counters(gateway, scope, limit)
    ]


def _groups(counter: fits.Counter) -> frozenset[str]:
    return frozenset(part.removeprefix("group:") for part in counter if part.startswith("group:"))


def _instance(
    plan: Plan,
    edition: Edition,
    plugin: str,
    placed: fits.Placed,
    mine: list[Limit],
    providers: tuple[str, ...],
    where: str,
    space: str,
    route: Route | None,
    consumer: ir.Consumer | None,
    held: Held | None,
) -> Plugin:
    """`where` names the instance, `space` the counters: all routes of a model have the same ones."""
    windows: Windows = {}
    places: Places = {}
    tags = []
    for limit in mine:
        for field, number in _amounts(plan, limit, placed.kinds).items():
            what = STRATEGIES[limit.counted] if field == "tokens" else field
            windows[what, limit.per] = min(number, windows.get((what, limit.per), number))
            places.setdefault((what, limit.per), []).append((*limit.origin, field))
            shown = f"{number:g} dollars" if field == "cost" else f"{number} {field}"
            tags.append((f"{limit.name}: {shown} a {limit.per}", limit.origin))
    short = {"rate-limiting": "requests", "rate-limiting-advanced": "limits"}.get(plugin, "tokens")
    tail = f"-{consumer.name}" if consumer else ""
    # Members of a group share one counter; everything else counts in the namespace of its own instance.
    shared = [part.removeprefix("group:") for part in placed.counter if part.startswith("group:")]
    namespace = f"{space}-{short}" + (f"-group-{shared[0]}" if shared else tail)
    origin = mine[0].origin
    made = Instance(
        origin, placed.counter, _ascending(windows), places, namespace, held, edition, providers or ("openai",)
    )
    config = _CONFIG[plugin](made)
    if plugin == "ai-rate-limiting-advanced" and route and "token-policies" not in edition.has:
        config.update(route.format)
    return make(
        plugin, f"{where}-{short}{tail}", config, route.name if route else "", consumer.name if consumer else "", tags
    )


def _ascending(windows: Windows) -> Windows:
    """Leave out a window whose number a longer one never lets be reached; Kong refuses such a configuration."""
    order = sorted(windows, key=lambda key: SECONDS[key[1]])
    return {
        (what, per): windows[what, per]
        for index, (what, per) in enumerate(order)
        if all(windows[later] > windows[what, per] for later in order[index + 1 :] if later[0] == what)
    }


def _counted_by(made: Instance, nothing: str = "service") -> dict[str, Any]:
    """What a limiter counts by; `compound` where it is several things."""
    kinds = [key.partition(":")[0] for key in made.by]
    header = next((key.partition(":")[2] for key in made.by if key.startswith("header:")), "")
    found: dict[str, Any] = {"by": kinds[0] if kinds else nothing}
    if len(kinds) > 1:
        found["compound_identifier"] = kinds
    return {**found, **({"header_name": header} if header else {})}


def _rate_limiting(made: Instance) -> Block:
    config = Block(made.origin, {per: at(n, *made.places[what, per]) for (what, per), n in made.windows.items()})
    by = _counted_by(made)
    config["limit_by"] = by.pop("by")
    config.update(by)
    held = made.held
    config["policy"] = at("redis", held.named) if held else "local"
    if held:
        config["redis"] = _redis(held.store, made.edition)
    closed = held is not None and held.store.on_failure == "closed"
    config["fault_tolerant"] = at(not closed, *([(*held.store.origin, "onFailure")] if held else []))
    config["hide_client_headers"] = False
    return config


def _rate_limiting_advanced(made: Instance) -> Block:
    every = [p for window in made.windows for p in made.places[window]]
    by = _counted_by(made)
    config = Block(
        made.origin,
        {
            "limit": at([*made.windows.values()], *every),
            "window_size": at([SECONDS[per] for _, per in made.windows], *((*p[:-1], "per") for p in every)),
            "window_type": "fixed",
            "identifier": by.pop("by"),
            **by,
            "namespace": made.namespace,
            # A refused call is no call: the language counts what was let in.
            "disable_penalty": True,
        },
    )
    for field, value in _strategy(made).items():
        config[field] = value  # not by update, which would take an At for its value
    return config


def _ai_rate_limiting(made: Instance) -> Block:
    config = _by_policy(made) if "token-policies" in made.edition.has else _by_provider(made)
    if "token-namespace" in made.edition.has:
        config["namespace"] = made.namespace
    for field, value in _strategy(made).items():
        config[field] = value  # not by update, which would take an At for its value
    if made.held and any(what == "cost" for what, _ in made.windows):
        config["decrease_by_fractions_in_redis"] = True  # else a Redis counts whole dollars
    return config


def _by_provider(made: Instance) -> Block:
    """The form before policies: each kind of provider has counters of its own, and all count one kind of tokens."""
    every = [p for window in made.windows for p in made.places[window]]
    kinds = {what for what, _ in made.windows}
    assert len(kinds) == 1, kinds
    numbers = {
        "limit": at([*made.windows.values()], *every),
        "window_size": at([SECONDS[per] for _, per in made.windows], *((*p[:-1], "per") for p in every)),
    }
    by = _counted_by(made)
    fields = {
        "llm_providers": [Block(made.origin, {"name": name, **numbers}) for name in made.providers],
        "tokens_count_strategy": at(kinds.pop(), *((*p[:-1], "count") for p in every)),
        "window_type": "fixed",
        "identifier": by.pop("by"),
        **by,
    }
    return Block(made.origin, fields)


def _by_policy(made: Instance) -> Block:
    """One policy for each instance: what Kong does where several match is not documented."""
    numbers = [
        Block(
            made.places[what, per][0][:-1],
            {
                "limit": at(number, *made.places[what, per]),
                "window_size": SECONDS[per],
                "tokens_count_strategy": at(what, *((*p[:-1], "count") for p in made.places[what, per])),
            },
        )
        for (what, per), number in made.windows.items()
    ]
    policy: dict[str, Any] = {"limits": numbers, "window_type": "fixed"}
    matches = []
    for key in made.by:
        kind, _, header = key.partition(":")
        matches.append({"type": kind, **({"key": header} if header else {}), "partition_by": True})
    if matches:
        policy = {"match": matches, **policy}
    return Block(made.origin, {"policies": [Block(made.origin, policy)]})


def _strategy(made: Instance) -> dict[str, Any]:
    """Where the advanced plugins count; sync_rate 0 asks the Redis for each call."""
    held = made.held
    if not held:
        return {"strategy": "local"}
    return {"strategy": at("redis", held.named), "sync_rate": 0, "redis": _redis(held.store, made.edition)}


def _redis(store: ir.Store, edition: Edition) -> Block:
    place = (*store.origin, "redis")
    host, port = host_and_port(store.address)
    secure = store.tls is not None
    fields: dict[str, Any] = {"host": host, "port": port, "database": store.database, "ssl": secure}
    fields["ssl_verify"] = secure  # its default is another one since 3.14
    if store.tls and store.tls.server_name:
        fields["server_name"] = store.tls.server_name
    if store.username:
        fields["username"] = store.username
    if store.password:
        fields["password"] = at(reference(store.password, "", edition).text, store.password.origin)
    return Block(place, fields)


_CONFIG: dict[str, Callable[[Instance], Block]] = {
    "rate-limiting": _rate_limiting,
    "rate-limiting-advanced": _rate_limiting_advanced,
    "ai-rate-limiting-advanced": _ai_rate_limiting,
}
