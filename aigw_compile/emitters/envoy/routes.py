"""Models, access, decorators and doors to the outer route table and to the data that request.lua and answer.lua read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import chain
from typing import Any

from aigw_compile import ir
from aigw_compile.document import Block, at, everywhere
from aigw_compile.emitters.envoy import guards, limits, wire
from aigw_compile.emitters.envoy.doors import PATHS, doors
from aigw_compile.policies.prompt_decorator import Message, PromptDecorator

ROUTE_HEADER = "x-aigw-route"


def request_data(
    gateway: ir.Gateway,
    own: ir.Listener,
    guarded: tuple[guards.Placed, ...],
    limited: tuple[limits.Placed, ...],
    slots: int,
) -> Block:
    """Return all that request.lua knows about the gateway behind the paths of a listener; who calls is added by callers.py."""
    return Block(
        ("spec",),
        {
            "paths": at({own.base_path + path: door for door, path in PATHS.items()}, (*own.origin, "basePath")),
            "order": at([name for m in gateway.models for name in (m.name, *m.aliases)], ("spec", "models")),
            "models": {m.name: _model_data(m) for m in gateway.models},
            "aliases": Block(
                ("spec", "models"),
                {alias: at(m.name, (*m.origin, "aliases")) for m in gateway.models for alias in m.aliases},
            ),
            "limits": at(limits.data(limited), everywhere("limits")),
            **({"shared": True} if any(x.fails for x in limited) else {}),
            "guards": at(guards.data(guarded, slots), everywhere("promptGuard")),
            "decorators": at(
                [
                    block
                    for scope in ir.scopes(gateway)
                    for decorator in ir.every(scope.policies, PromptDecorator)
                    if (block := _decorator(scope, decorator))
                ],
                everywhere("promptDecorator"),
            ),
        },
    )


def _model_data(model: ir.Model) -> Block:
    body = Block(model.origin, {"route": wire.header_safe(model.name)})
    body["doors"] = at(dict.fromkeys(doors(model), True), (*model.origin, "capabilities"))
    if model.access:
        for side, who in (("allow", model.access.allow), ("deny", model.access.deny)):
            if who is not None:
                body[side] = Block(who.origin, {"groups": [*who.groups], "consumers": [*who.consumers]})
    if model.lifecycle:
        _lifecycle(model.lifecycle, body)
    prices = {(t.price.input, t.price.output) for t in model.targets if t.weight and t.price}
    if prices:
        body["dear"] = [{"input": input_, "output": output} for input_, output in sorted(_dear(prices), reverse=True)]
    return body


def _dear(prices: set[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield those that no other is dearer than on both sides: which of them is the dearest hangs on the call."""
    for one in prices:
        if not any(other != one and other[0] >= one[0] and other[1] >= one[1] for other in prices):
            yield one


def _lifecycle(life: ir.Lifecycle, body: Block) -> None:
    """From which second on the model is gone, what replaced it, and what its clients are told before."""
    told = {}
    if life.deprecated:
        told["deprecation"] = f"@{_second(life.deprecated)}"
    if life.sunset:
        told["sunset"] = format_datetime(datetime.fromisoformat(life.sunset).replace(tzinfo=UTC), usegmt=True)
        body["sunset"] = at(_second(life.sunset), (*life.origin, "sunset"))
    if life.replaced_by:
        body["replaced"] = at(life.replaced_by, (*life.origin, "replacedBy"))
    since = _second(life.deprecated) if life.deprecated else 0
    body["notice"] = Block(life.origin, {"from": since, "headers": told})


def _second(date: str) -> int:
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())


def _decorator(scope: ir.Scope, decorator: PromptDecorator) -> Block | None:
    sides = {"prepend": decorator.prepend, "append": decorator.append}
    texts = {side: at(_texts(found), (*decorator.origin, side)) for side, found in sides.items() if found}
    name = at(scope.name, (*scope.origin, "name"), ("metadata", "name"))
    return Block(decorator.origin, {"scope": scope.kind, "name": name, **texts}) if texts else None


def _texts(found: Sequence[Message]) -> dict[str, str]:
    """The messages as JSON text, ready to be put between the client's own; for Anthropic's API in its two parts."""
    system = [m for m in found if m.role in ("system", "developer")]
    spoken = [m for m in found if m not in system]
    texts = {
        "messages": _joined({"role": m.role, "content": m.content} for m in found),
        "system": _joined({"type": "text", "text": m.content} for m in system),
        "spoken": _joined({"role": m.role, "content": m.content} for m in spoken),
    }
    return {part: text for part, text in texts.items() if text}


def _joined(items: Iterable[dict[str, str]]) -> str:
    return ",".join(json.dumps(item) for item in items)


def routes(gateway: ir.Gateway, listener: ir.Listener, clusters: dict[str, tuple[str, ...]]) -> list[Block]:
    """Return the routes of a listener: one for each model, then the doors. Whatever else is asked for has no route."""
    base, origin = listener.base_path, listener.origin
    return [
        *(_model_route(m, at(f"{base}/v1/", (*origin, "basePath")), clusters[m.name]) for m in gateway.models),
        *chain.from_iterable(_door(listener, door, base + path, "POST") for door, path in PATHS.items()),
        *_door(listener, "models", f"{base}/v1/models", "GET"),
        *([nothing(listener, "no-preflight", _OPTIONS, NOT_FOUND, browsers=False)] if listener.cors else []),
        nothing(listener, "not-found", {"prefix": "/"}, NOT_FOUND),
    ]


_OPTIONS = {"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "OPTIONS"}}]}
"""What is not there has no preflight either; whatever else asks for it is refused in a way that a page can read."""


def _model_route(model: ir.Model, prefix: Any, clusters: tuple[str, ...]) -> Block:
    """The route that request.lua chooses, whichever door was called."""
    action: dict[str, Any] = {
        "timeout": wire.duration(model.timeouts.request),
        # The tiers below watch over silence; here only the time for everything counts.
        "idle_timeout": "0s",
    }
    if len(clusters) == 1:
        action = {"cluster": clusters[0], **action}
    else:
        action = {"inline_cluster_specifier_plugin": _priorities(model, clusters), **action}
        action["retry_policy"] = Block(
            model.fallback.origin,
            {
                **wire.on_causes(model.fallback.on),
                "num_retries": len(clusters) - 1,
                "refresh_cluster_on_retry": True,
                "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.001s"},
            },
        )
    route = Block(
        model.origin,
        {
            "name": f"model:{model.name}",
            "match": Block(
                model.origin,
                {
                    "prefix": prefix,
                    "headers": [{"name": ROUTE_HEADER, "string_match": {"exact": wire.header_safe(model.name)}}],
                },
            ),
            "route": Block(model.timeouts.origin, action),
            "response_headers_to_add": wire.header_values({"x-aigw-tier": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"}),
        },
    )
    if model.residency:
        origin = (*model.origin, "residency")
        route["metadata"] = at({"filter_metadata": {"aigw": {"residency": [*model.residency]}}}, origin)
    return route


def _priorities(model: ir.Model, clusters: tuple[str, ...]) -> Block:
    kind = "envoy.extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupClusterSpecifier"
    groups = [{"name": name, "clusters": [{"cluster_name": name, "weight": 1}]} for name in clusters]
    origin = (*model.origin, "targets")
    return Block(origin, {"extension": wire.extension(origin, "priorities", kind, {"priority_groups": groups})})


def answer_data(gateway: ir.Gateway) -> Block:
    """Return what answer.lua knows of each model."""
    return Block(("spec",), {model.name: _answer_data(model) for model in gateway.models})


def _answer_data(model: ir.Model) -> Block:
    fallback = model.fallback
    body = Block(model.origin, {"each": at(model.retries.attempts + 1, model.retries.origin)})
    if fallback.response:
        response = {"status": fallback.response.status, "content": fallback.response.content}
        body["on"] = at(dict.fromkeys(fallback.on, True), fallback.origin)
        body["static"] = Block(fallback.response.origin, response)
    targets = [t for t in model.targets if t.weight]
    body["whose"] = {t.name: _whose(t) for t in targets}
    if model.expose_target:
        shown = {t.name: Block(t.origin, {"provider": t.provider.name, "model": t.model}) for t in targets}
        body["exposed"] = at(shown, (*model.origin, "exposeTarget"))
    prices = {t.name: _price(t.price) for t in targets if t.price}
    if prices:
        body["prices"] = prices
    return body


def _whose(target: ir.Target) -> Block:
    provider = target.provider
    name, kind = at(provider.name, (*target.origin, "provider")), at(provider.type, (*provider.origin, "type"))
    return Block(target.origin, {"provider": name, "type": kind})


def _price(p: ir.Price) -> Block:
    cache = {"read": p.cache_read, "write": p.cache_write}
    sides = {side: p.input if price is None else price for side, price in cache.items()}
    return Block(p.origin, {"input": p.input, "output": p.output, **sides})


NOWHERE = "nowhere"
"""A cluster without endpoints. Envoy's cors filter does nothing where a route answers by itself (direct_response)."""


def nowhere() -> Block:
    """Return the cluster that a request would go to if no script had sent it elsewhere."""
    endpoints = {"cluster_name": NOWHERE, "endpoints": []}
    fields = {"name": NOWHERE, "type": "STATIC", "connect_timeout": "1s", "circuit_breakers": wire.BREAKERS}
    return Block(("spec",), {**fields, "load_assignment": endpoints})


NOT_FOUND, NOT_ALLOWED = "door-not-found", "door-method"
"""How the names of the policies begin by which a route refuses what it is asked for; local replies tell them apart by it."""


def _door(listener: ir.Listener, name: str, path: str, method: str) -> Iterator[Block]:
    """A path that request.lua answers or sends on to a model's route; with another method it leads nowhere."""
    origin = listener.origin
    at_path = {"path": at(path, (*origin, "basePath"))}
    by_method = {"headers": [{"name": ":method", "string_match": {"exact": method}}]}
    yield Block(origin, {"name": name, "match": Block(origin, {**at_path, **by_method}), "route": {"cluster": NOWHERE}})
    yield nothing(listener, f"{name}-method", at_path, f"{NOT_ALLOWED}-{method}")


def nothing(listener: ir.Listener, name: str, match: dict[str, Any], policy: str, *, browsers: bool = True) -> Block:
    """Return a route that refuses whatever comes, at the front of the filters: step 0."""
    origin = listener.origin
    everything = {policy: {"permissions": [{"any": True}], "principals": [{"any": True}]}}
    rules = {"rbac": {"rules": {"action": "DENY", "policies": everything}}}
    filters = {"door": wire.typed(origin, wire.HTTP + "rbac.v3.RBACPerRoute", rules)}
    if not browsers:
        filters["cors"] = wire.typed(origin, "envoy.config.route.v3.FilterConfig", {"disabled": True})
    route = {"name": name, "match": Block(origin, match), "route": {"cluster": NOWHERE}}
    return Block(origin, {**route, "typed_per_filter_config": filters})
