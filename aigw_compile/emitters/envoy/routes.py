"""Models, access, decorators and doors to the outer route table and to the data that request.lua and answer.lua read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import At, Block, at
from aigw_compile.emitters.envoy import guards, limits, wire
from aigw_compile.policies.prompt_decorator import Message, PromptDecorator

ROUTE_HEADER = "x-aigw-route"


def request_data(
    gateway: ir.Gateway, guarded: tuple[guards.Placed, ...], limited: tuple[limits.Placed, ...], slots: int
) -> Block:
    """Return all that request.lua knows about the gateway."""
    return Block(
        ("spec",),
        {
            "order": [name for m in gateway.models for name in (m.name, *m.aliases)],
            "models": {m.name: _model_data(m) for m in gateway.models},
            "aliases": Block(
                ("spec", "models"),
                {alias: at(m.name, (*m.origin, "aliases")) for m in gateway.models for alias in m.aliases},
            ),
            "groups": Block(("spec",), {c.name: _groups(gateway, c) for c in gateway.consumers}),
            "limits": limits.data(limited),
            "guards": guards.data(guarded, slots),
            "decorators": [
                block
                for scope in ir.scopes(gateway)
                for decorator in ir.every(scope.policies, PromptDecorator)
                if (block := _decorator(scope, decorator))
            ],
        },
    )


def _groups(gateway: ir.Gateway, consumer: ir.Consumer) -> At:
    """The consumer's groups: those that are defined in the order of their definition, then the others."""
    defined = {g.name: g.origin for g in gateway.consumer_groups if g.name in consumer.groups}
    names = [*defined, *(name for name in consumer.groups if name not in defined)]
    return at(names, consumer.origin, *((*origin, "name") for origin in defined.values()))


def _model_data(model: ir.Model) -> Block:
    body = Block(model.origin, {"route": wire.header_safe(model.name)})
    if model.access:
        for side, who in (("allow", model.access.allow), ("deny", model.access.deny)):
            if who is not None:
                body[side] = Block(who.origin, {"groups": [*who.groups], "consumers": [*who.consumers]})
    return body


def _decorator(scope: ir.Scope, decorator: PromptDecorator) -> Block | None:
    sides = {"prepend": decorator.prepend, "append": decorator.append}
    texts = {side: at(_messages(found), (*decorator.origin, side)) for side, found in sides.items() if found}
    return Block(decorator.origin, {"scope": scope.kind, "name": scope.name, **texts}) if texts else None


def _messages(found: Sequence[Message]) -> str:
    """The messages as JSON text, ready to be put between the client's own."""
    return ",".join(json.dumps({"role": m.role, "content": m.content}) for m in found)


def routes(gateway: ir.Gateway, listener: ir.Listener, clusters: dict[str, tuple[str, ...]]) -> list[Block]:
    """Return the routes of a listener: one for each model, then the doors. Whatever else is asked for has no route."""
    chat, models = f"{listener.base_path}/v1/chat/completions", f"{listener.base_path}/v1/models"
    origin = listener.origin
    return [
        *(_model_route(m, at(chat, (*origin, "basePath")), clusters[m.name]) for m in gateway.models),
        _door(origin, "chat", chat, "POST"),
        _door(origin, "models", models, "GET"),
    ]


def _model_route(model: ir.Model, path: Any, clusters: tuple[str, ...]) -> Block:
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
    return Block(
        model.origin,
        {
            "name": f"model:{model.name}",
            "match": Block(
                model.origin,
                {
                    "path": path,
                    "headers": [{"name": ROUTE_HEADER, "string_match": {"exact": wire.header_safe(model.name)}}],
                },
            ),
            "route": Block(model.timeouts.origin, action),
            "response_headers_to_add": wire.header_values({"x-aigw-tier": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"}),
            "typed_per_filter_config": {
                "door": _method(model.origin, "POST"),
                "answer": wire.lua_data(model.origin, f"model:{model.name}", _answer_data(model)),
            },
        },
    )


def _priorities(model: ir.Model, clusters: tuple[str, ...]) -> Block:
    kind = "envoy.extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupClusterSpecifier"
    groups = [{"name": name, "clusters": [{"cluster_name": name, "weight": 1}]} for name in clusters]
    origin = (*model.origin, "targets")
    return Block(origin, {"extension": wire.extension(origin, "priorities", kind, {"priority_groups": groups})})


def _answer_data(model: ir.Model) -> Block:
    fallback = model.fallback
    body = Block(model.origin, {"each": at(model.retries.attempts + 1, model.retries.origin)})
    if fallback.response:
        response = {"status": fallback.response.status, "content": fallback.response.content}
        body["on"] = at(dict.fromkeys(fallback.on, True), fallback.origin)
        body["static"] = Block(fallback.response.origin, response)
    return body


def _door(origin: Pointer, name: str, path: str, method: str) -> Block:
    """A path that request.lua answers or sends on to a model's route; its own answer is never seen."""
    return Block(
        origin,
        {
            "name": name,
            "match": Block(origin, {"path": at(path, (*origin, "basePath"))}),
            "direct_response": {
                "status": 500,
                "body": {"inline_string": wire.error_text("api_error", "internal", "The gateway failed.")},
            },
            "typed_per_filter_config": {"door": _method(origin, method)},
        },
    )


def _method(origin: Pointer, method: str) -> Block:
    return wire.typed(origin, wire.HTTP + "lua.v3.LuaPerRoute", {"filter_context": {"method": method}})
