"""Models to what Envoy AI Gateway routes with: AIGatewayRoutes, and a BackendTrafficPolicy for tries and times."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from aigw_compile import ir
from aigw_compile.document import Block, at, everywhere
from aigw_compile.emitters.kubernetes.envoy_limits import rate_limit
from aigw_compile.emitters.kubernetes.envoy_names import AIGW_API, ENVOY_API, MODEL_HEADER, names, usable
from aigw_compile.emitters.kubernetes.gateways import hostnames, parent
from aigw_compile.emitters.kubernetes.objects import GATEWAY_API, WHERE, Scene, duration, ref

NAMES = 64
"""Matches that fit one rule of the HTTPRoute that is made of an AIGatewayRoute (Gateway API 1.6.1)."""

CODES: Mapping[str, tuple[int, ...]] = {
    "rate-limited": (429,),
    "overloaded": (503, 529),
    "server-error": (500, 501, 502, 504, 505, 507, 508, 520, 521, 522, 523, 524, 525, 526, 527),
    "auth-error": (401, 403),
    "quota-exceeded": (402,),
}
"""Cause -> the statuses that say so. `server-error` is any other 5xx; these are the ones that are in use."""
TRIGGERS: Mapping[str, tuple[str, ...]] = {
    "timeout": ("reset",),
    "connect-failure": ("connect-failure", "refused-stream"),
}
"""Cause -> Envoy's retry triggers. A try that ran out of time is a reset."""


def routes(scene: Scene, costs: Mapping[str, list[Block]]) -> Iterator[Block]:
    """Yield the AIGatewayRoutes: one for each model (and each 64 names of it), so that a model's change touches its own.

    `costs` says, by the name of a model, what its calls report.
    """
    for model in scene.gateway.models:
        targets = usable(scene, model)
        named = at(",".join(t.name for t in targets), *((*t.origin, "name") for t in targets))
        notes = {"aigw.dev/targets": named}
        if model.residency:
            notes["aigw.dev/residency"] = at(",".join(model.residency), (*model.origin, "residency"))
        for name, words in route_names(scene, model):
            if targets:
                spec = _route(scene, model, words, targets, costs[model.name])
                yield scene.object(model.origin, AIGW_API, "AIGatewayRoute", name, spec, annotations=notes)


def http_routes(scene: Scene) -> list[str]:
    """Return the names of the HTTPRoutes that are made of the AIGatewayRoutes."""
    return [name for m in scene.gateway.models if usable(scene, m) for name, _ in route_names(scene, m)]


def route_names(scene: Scene, model: ir.Model) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Yield (name of a route, the names of the model that it takes, numbered)."""
    words = [*enumerate(names(model))]
    for number, start in enumerate(range(0, len(words), NAMES), 1):
        more = f".{number}" if number > 1 else ""
        yield f"{scene.name(model.name)}{more}", words[start : start + NAMES]


def _route(
    scene: Scene, model: ir.Model, words: list[tuple[int, str]], targets: list[ir.Target], costs: list[Block]
) -> dict[str, Any]:
    steps = [(*model.origin, "name") if number == 0 else (*model.origin, "aliases", number - 1) for number, _ in words]
    matches = [
        Block(origin, {"headers": [{"type": "Exact", "name": MODEL_HEADER, "value": word}]})
        for origin, (_, word) in zip(steps, words, strict=True)
    ]
    rule = Block(model.origin, {"matches": matches, "backendRefs": [_backend_ref(scene, model, t) for t in targets]})
    rule["timeouts"] = Block(model.timeouts.origin, {"request": duration(model.timeouts.request)})
    rule["streamIdleTimeout"] = at(duration(model.timeouts.idle), model.timeouts.origin)
    rule["modelsOwnedBy"] = "Envoy AI Gateway"
    spec = Block(model.origin, {"parentRefs": at([parent(scene)], *WHERE)})
    hosts = hostnames(scene) if scene.attached else []
    if hosts:
        spec["hostnames"] = at(hosts, *((*x.origin, "hostnames") for x in scene.gateway.listeners), *WHERE)
    if costs:
        # Every model decides which limits count at all.
        logged = ("spec", "observability", "accessLog")
        spec["llmRequestCosts"] = at(costs, ("spec", "models"), everywhere("limits"), logged)
    spec["rules"] = [rule]
    return spec


def _backend_ref(scene: Scene, model: ir.Model, target: ir.Target) -> Block:
    """A target. Envoy's priorities have no gaps, so they are numbered anew; a weight of 0 stands beside its neighbours."""
    reached = sorted({t.priority for t in usable(scene, model) if t.weight > 0})
    priority = sum(p < target.priority for p in reached)
    block = Block(target.origin, {"name": at(scene.name(target.provider.name), (*target.origin, "provider"))})
    if target.model != "*":
        block["modelNameOverride"] = at(target.model, (*target.origin, "model"))
    block["priority"] = at(min(priority, max(len(reached) - 1, 0)), (*target.origin, "priority"))
    alike = model.algorithm == "round-robin" and target.weight > 0
    block["weight"] = at(1 if alike else target.weight, (*target.origin, "weight"), (*model.origin, "loadBalancing"))
    fixed = _fixed(scene, target)
    if fixed:
        block["bodyMutation"] = {"set": fixed}
    return block


def _fixed(scene: Scene, target: ir.Target) -> list[Block]:
    """Fields of the body that are always set; each value is JSON text."""
    if target.parameters is None:
        return []
    places = {name: (*target.parameters.origin, "overrides", name) for name in target.parameters.overrides}
    return [
        Block(places[name], {"path": name, "value": json.dumps(value, ensure_ascii=False)})
        for name, value in target.parameters.overrides.items()
        if not scene.plan.lost(places[name])
    ]


def traffic(scene: Scene, limits: Sequence[Block]) -> Iterator[Block]:
    """Yield a BackendTrafficPolicy for each model: retries, falling back, what is left alone, and how long things take.

    `limits` stand in a policy of the Gateway, with which these merge, or, where that is of somebody else, in each of them.
    """
    merged = bool(limits) and not scene.attached
    merging = {
        "mergeType": at("StrategicMerge", ("spec", "models"), everywhere("limits"), *WHERE, *(x.origin for x in limits))
    }
    for model in scene.gateway.models:
        targets = usable(scene, model)
        if not targets:
            continue
        refs = [ref(GATEWAY_API, "HTTPRoute", name) for name, _ in route_names(scene, model)]
        spec: dict[str, Any] = {"targetRefs": refs, **(merging if merged else {})}
        spec["retry"] = _retry(scene, model, targets)
        spec["timeout"] = {"tcp": Block(model.timeouts.origin, {"connectTimeout": duration(model.timeouts.connect)})}
        spec["healthCheck"] = {"passive": Block(model.health.origin, _passive(model.health))}
        if limits and scene.attached:
            spec |= rate_limit(limits)
        if model.algorithm == "round-robin":
            spec["loadBalancer"] = at(Block(model.origin, {"type": "RoundRobin"}), (*model.origin, "loadBalancing"))
        spec = Block(model.origin, spec)
        yield scene.object(model.origin, ENVOY_API, "BackendTrafficPolicy", scene.name(model.name), spec)


def _passive(health: ir.Health) -> dict[str, Any]:
    """A target is left alone after failures in a row; the rest are the CRD's own defaults."""
    return {
        "alwaysEjectOneEndpoint": False,
        "baseEjectionTime": duration(health.cooldown),
        "consecutive5XxErrors": health.failures,
        "consecutiveLocalOriginFailures": health.failures,
        "interval": "3s",
        "maxEjectionPercent": 100,
        "splitExternalLocalOriginErrors": False,
    }


def _retry(scene: Scene, model: ir.Model, targets: list[ir.Target]) -> Block:
    """Tries inside a priority and over the priorities: Envoy has one number and one list of causes for both."""
    levels = len({t.priority for t in targets if t.weight > 0}) or 1
    tries = model.retries.attempts + 1
    causes: list[str] = []
    if model.retries.attempts:
        causes += [c for n, c in enumerate(model.retries.on) if not scene.plan.lost((*model.retries.origin, "on", n))]
    if levels > 1:
        causes += [c for n, c in enumerate(model.fallback.on) if not scene.plan.lost((*model.fallback.origin, "on", n))]
    block = Block(model.retries.origin, {"numRetries": at(levels * tries - 1 if causes else 0, *_both(model))})
    block["numAttemptsPerPriority"] = at(tries, *_both(model))
    block["perRetry"] = Block(model.timeouts.origin, {"timeout": duration(model.timeouts.first_byte)})
    pause = {"baseInterval": duration(model.retries.backoff_base), "maxInterval": duration(model.retries.backoff_max)}
    block["perRetry"]["backOff"] = Block(model.retries.origin, pause)
    if causes:
        codes = _each(CODES, causes)
        triggers = [*_each(TRIGGERS, causes), *(["retriable-status-codes"] if codes else [])]
        on = {"triggers": triggers, **({"httpStatusCodes": sorted(codes)} if codes else {})}
        block["retryOn"] = at(Block(model.fallback.origin, on), *_both(model))
    return block


def _both(model: ir.Model) -> tuple[Any, ...]:
    return (model.retries.origin, model.fallback.origin)


def _each(table: Mapping[str, tuple[Any, ...]], causes: Iterable[str]) -> list[Any]:
    return list(dict.fromkeys(value for cause in causes for value in table.get(cause, ())))
