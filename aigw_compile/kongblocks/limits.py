"""Limits of all places to Kong's limiters: the instance that runs for a call holds every limit that applies to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at
from aigw_compile.kongblocks.edition import Edition
from aigw_compile.kongblocks.plugin import Plugin, make
from aigw_compile.kongblocks.routes import Route, services
from aigw_compile.plan import Plan, fits
from aigw_compile.policies.limits import SECONDS, Limit

Windows = dict[str, int]
"""Window -> the smallest number that a limit allows in it."""


def limits(gateway: ir.Gateway, plan: Plan, edition: Edition, routes: Sequence[Route]) -> Iterator[Plugin]:
    """Yield the limiters of requests, then those of tokens."""
    wide = edition.advanced or len(services(gateway, edition)) == 1
    for unit, limiters in (("requests", edition.limiters), ("tokens", edition.token_limiters)):
        slots = [windows for _, windows in limiters]
        for held in fits.placed(gateway, unit, slots, edition.shared, wide):
            kept = tuple(x for x in held.limits if not plan.lost((*x.origin, unit)))
            if kept:
                yield from _counted(gateway, routes, limiters[held.slot][0], unit, held.counter, kept)


def _counted(
    gateway: ir.Gateway,
    routes: Sequence[Route],
    plugin: str,
    unit: str,
    counter: fits.Counter,
    kept: tuple[Limit, ...],
) -> Iterator[Plugin]:
    """The instances of one limiter for one thing that is counted.

    An instance at a route counts for that route, one that stands at no route counts over all of them.
    """
    per_model = [r for r in routes if r.model] if "model" in counter else [None]
    for route in per_model:
        models = [route.model] if route and route.model else [*gateway.models]
        base = _applying(gateway, models, None, counter, kept, unit)
        where = route.name if route else gateway.name
        if base:
            yield _instance(plugin, unit, counter, base, where, route, None)
        if fits.anonymous(gateway):
            continue
        for consumer in gateway.consumers:
            own = _applying(gateway, models, consumer, counter, kept, unit)
            if own and own != base:
                yield _instance(plugin, unit, counter, own, where, route, consumer)


def _applying(
    gateway: ir.Gateway,
    models: Sequence[ir.Model],
    consumer: ir.Consumer | None,
    counter: fits.Counter,
    kept: tuple[Limit, ...],
    unit: str,
) -> list[Limit]:
    found: dict[Pointer, Limit] = {}
    for model in models:
        for scope in fits.applying(gateway, model, consumer):
            for limit in ir.every(scope.policies, Limit):
                if limit in kept and counter in fits.counters(gateway, scope, limit) and _member(counter, consumer):
                    found[limit.origin] = limit
    return [*found.values()]


def _member(counter: fits.Counter, consumer: ir.Consumer | None) -> bool:
    groups = [part.removeprefix("group:") for part in counter if part.startswith("group:")]
    return all(consumer is not None and group in consumer.groups for group in groups)


def _instance(
    plugin: str,
    unit: str,
    counter: fits.Counter,
    mine: list[Limit],
    where: str,
    route: Route | None,
    consumer: ir.Consumer | None,
) -> Plugin:
    windows: Windows = {}
    places: dict[str, list[Pointer]] = {}
    for limit in mine:
        number = getattr(limit, unit)
        windows[limit.per] = min(number, windows.get(limit.per, number))
        places.setdefault(limit.per, []).append((*limit.origin, unit))
    short = {"rate-limiting": "requests", "rate-limiting-advanced": "limits"}.get(plugin, "tokens")
    instance = f"{where}-{short}" + (f"-{consumer.name}" if consumer else "")
    # Members of a group share one counter; everything else counts in the namespace of its own instance.
    shared = [part.removeprefix("group:") for part in counter if part.startswith("group:")]
    namespace = f"{where}-{short}-group-{shared[0]}" if shared else instance
    config = _CONFIG[plugin](mine[0].origin, counter, _ascending(windows), places, namespace)
    tags = [(f"{x.name}: {getattr(x, unit)} {unit} a {x.per}", x.origin) for x in mine]
    return make(plugin, instance, config, route.name if route else "", consumer.name if consumer else "", tags)


def _ascending(windows: Windows) -> Windows:
    """Leave out a window whose number a longer one never lets be reached; Kong refuses such a configuration."""
    order = sorted(windows, key=SECONDS.__getitem__)
    return {
        window: windows[window]
        for index, window in enumerate(order)
        if all(windows[later] > windows[window] for later in order[index + 1 :])
    }


def _rate_limiting(
    origin: Pointer, counter: fits.Counter, windows: Windows, places: dict[str, list[Pointer]], namespace: str
) -> Block:
    config = Block(origin, {window: at(number, *places[window]) for window, number in windows.items()})
    config["limit_by"] = "consumer" if "consumer" in counter else "service"
    config["policy"] = "local"
    config["fault_tolerant"] = True
    config["hide_client_headers"] = False
    return config


def _rate_limiting_advanced(
    origin: Pointer, counter: fits.Counter, windows: Windows, places: dict[str, list[Pointer]], namespace: str
) -> Block:
    every = [p for window in windows for p in places[window]]
    return Block(
        origin,
        {
            "limit": at([*windows.values()], *every),
            "window_size": at([SECONDS[w] for w in windows], *((*p[:-1], "per") for p in every)),
            "window_type": "fixed",
            "identifier": "consumer" if "consumer" in counter else "service",
            "strategy": "local",
            "namespace": namespace,
            # A refused call is no call: the language counts what was let in.
            "disable_penalty": True,
        },
    )


def _ai_rate_limiting(
    origin: Pointer, counter: fits.Counter, windows: Windows, places: dict[str, list[Pointer]], namespace: str
) -> Block:
    """One policy for each instance: what Kong does where several match is not documented."""
    numbers = [
        Block(
            places[window][0][:-1],
            {
                "limit": at(number, *places[window]),
                "window_size": SECONDS[window],
                "tokens_count_strategy": "total_tokens",
            },
        )
        for window, number in windows.items()
    ]
    policy: dict[str, Any] = {"limits": numbers, "window_type": "fixed"}
    if "consumer" in counter:
        policy = {"match": [{"type": "consumer", "partition_by": True}], **policy}
    return Block(origin, {"policies": [Block(origin, policy)], "strategy": "local", "namespace": namespace})


_CONFIG: dict[str, Callable[[Pointer, fits.Counter, Windows, dict[str, list[Pointer]], str], Block]] = {
    "rate-limiting": _rate_limiting,
    "rate-limiting-advanced": _rate_limiting_advanced,
    "ai-rate-limiting-advanced": _ai_rate_limiting,
}
