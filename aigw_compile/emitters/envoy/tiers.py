"""A model to its tiers: one internal listener for a priority that retries, one for each target, and the providers' clusters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from aigw_compile import ir
from aigw_compile.diagnostic import Json
from aigw_compile.document import At, Block, at
from aigw_compile.emitters.envoy import strip, wire
from aigw_compile.emitters.envoy.doors import CAPS, DOOR_HEADER, doors
from aigw_compile.emitters.envoy.providers import credentials, provider_cluster, secret_headers

_CHAT = ("translate", "chat_request")
_MESSAGES = ("messages_request", "messages_reply")
_DIALECTS: dict[str, tuple[str, ...]] = {
    "openai": ("translate", *_MESSAGES),
    "azure-openai": ("translate", *_MESSAGES),
    "anthropic": (*_CHAT, "anthropic_request", "anthropic_reply"),
    "gemini": (*_CHAT, "gemini_request", "gemini_reply", *_MESSAGES),
}
"""Dialect of a provider -> the assets that translate from the clients' and back."""
STRICT = frozenset({"openai", "azure-openai"})
"""Types of providers that refuse fields that they do not know, and that want a cap on the answer by its newer name."""
_AZURE = "/openai/deployments/{model}"
_PATHS: dict[str, dict[str, str]] = {
    "openai": {"chat": "/chat/completions", "messages": "/chat/completions", "embeddings": "/embeddings"},
    "anthropic": {"chat": "/messages", "messages": "/messages", "count": "/messages/count_tokens"},
    "azure-openai": {
        "chat": _AZURE + "/chat/completions?api-version={version}",
        "messages": _AZURE + "/chat/completions?api-version={version}",
        "embeddings": _AZURE + "/embeddings?api-version={version}",
    },
    "gemini": {
        "chat": "/models/{model}:generateContent",
        "messages": "/models/{model}:generateContent",
        "embeddings": "/models/{model}:batchEmbedContents",
    },
}
"""Dialect -> door -> path below the provider's address. A door that is missing cannot be opened there."""
_STREAMS = {":generateContent": ":streamGenerateContent?alt=sse", ":batchEmbedContents": ""}
"""What stands after the model's name in a path -> what stands there where a stream is asked for, if that is something else."""
_SPOKEN = {"chat": "openai", "embeddings": "openai", "messages": "anthropic", "count": "anthropic"}
"""Door -> the dialect of its clients."""


class Tiers(NamedTuple):
    """What stands behind the route of a model."""

    clusters: tuple[str, ...]
    """One for each priority, the first to be tried first."""
    listeners: list[Block]
    definitions: list[Block]


def tiers(model: ir.Model, buffer: At, ca_file: str) -> Tiers:
    """Return the listeners and clusters of a model; `buffer` is in bytes."""
    listeners: list[Block] = []
    definitions: list[Block] = []
    names: list[str] = []
    priorities = model.priorities()
    for targets in priorities:
        number = targets[0].priority
        name = f"priority:{model.name}:{number}"
        items = []
        for target in targets:
            listeners.append(_target(model, target, buffer))
            cluster = f"provider:{model.name}:{target.name}"
            definitions.append(provider_cluster(model, target, cluster, buffer, ca_file))
            item = {
                "listener": f"target:{model.name}:{target.name}",
                "weight": at(target.weight, (*target.origin, "weight")),
            }
            items.append(Block(target.origin, item))
        origin = targets[0].origin
        more = _health(model, last=targets is priorities[-1])
        if model.algorithm == "round-robin":
            # What Envoy does anyway; the weights count.
            more["lb_policy"] = at("ROUND_ROBIN", (*model.origin, "loadBalancing"), model.retries.origin)
        if model.retries.attempts:
            tries = f"tries:{model.name}:{number}"
            definitions.append(wire.internal_cluster(model.retries.origin, tries, buffer, items, more))
            listeners.append(_priority(model, name, tries, len(targets), buffer))
            items, more = [Block(model.retries.origin, {"listener": name, "weight": 1})], {}
        definitions.append(wire.internal_cluster(origin, name, buffer, items, more))
        names.append(name)
    return Tiers(tuple(names), listeners, definitions)


_LONGEST = 86400.0


def _health(model: ir.Model, *, last: bool) -> dict[str, Any]:
    """Which of a priority's targets are left alone, after how many failures and for how long.

    Where all of them are, the next priority is asked; the last one is tried anyway.
    """
    health, places = model.health, (model.health.origin, model.retries.origin)
    cooldown = wire.duration(max(health.cooldown, 0.001))
    detection = Block(
        health.origin,
        {
            "consecutive_5xx": health.failures,
            "enforcing_consecutive_5xx": 100,
            "enforcing_success_rate": 0,
            "enforcing_consecutive_gateway_failure": 0,
            "max_ejection_percent": 100,
            "interval": wire.duration(min(max(health.cooldown / 10, 0.1), 1.0)),
            "base_ejection_time": cooldown,
            "max_ejection_time": cooldown,
        },
    )
    return {
        "outlier_detection": at(detection, *places),
        "common_lb_config": at({"healthy_panic_threshold": {"value": 1.0 if last else 0.0}}, *places),
    }


def _priority(model: ir.Model, name: str, cluster: str, targets: int, buffer: At) -> Block:
    """The tier that tries again inside one priority."""
    retries = model.retries
    policy = Block(
        retries.origin,
        {
            **wire.on_causes(retries.on),
            "num_retries": retries.attempts,
            "retry_back_off": {
                # Envoy wants a pause, and the first no longer than the longest.
                "base_interval": wire.duration(max(min(retries.backoff_base, retries.backoff_max), 0.001)),
                "max_interval": wire.duration(max(retries.backoff_max, 0.001)),
            },
        },
    )
    if targets > 1:
        previous = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
        policy["retry_host_predicate"] = [
            wire.extension(retries.origin, "envoy.retry_host_predicates.previous_hosts", previous)
        ]
        policy["host_selection_retry_max_attempts"] = 10
    route = {"cluster": cluster, "timeout": "0s", "idle_timeout": "0s", "retry_policy": policy}
    virtual_host = Block(
        retries.origin,
        {
            "name": "all",
            "domains": ["*"],
            "request_body_buffer_limit": buffer,
            "response_headers_to_add": wire.header_values({"x-aigw-tries": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"}),
            "routes": [{"match": {"prefix": "/"}, "route": route}],
        },
    )
    manager = wire.manager(
        retries.origin, name, {**_inner(model, name, virtual_host), "http_filters": [wire.router(retries.origin)]}
    )
    return wire.internal_listener(retries.origin, name, buffer, manager)


def _target(model: ir.Model, target: ir.Target, buffer: At) -> Block:
    """The tier that speaks to one provider: path, host, headers, model name, key, dialect, and the cause of a failure."""
    provider, name = target.provider, f"target:{model.name}:{target.name}"
    ways = {door: _way(model, target, door) for door in doors(model)}
    virtual_host = {
        "name": "all",
        "domains": ["*"],
        "response_headers_to_remove": list(wire.ENDED_HERE),
        "routes": [way.route for way in ways.values()],
        "typed_per_filter_config": {"target": wire.lua_data(target.origin, _target_data(target, ways))},
    }
    filters = [
        strip.strip(target.origin),
        # Before the script, so that the script knows what a provider must not be heard to repeat.
        *credentials(provider),
        wire.lua(
            target.origin,
            "target",
            *("json", "reply", "edits", "usage", "is_answer", *_scripts(model, provider), "faults", "target"),
            chosen=((*model.origin, "capabilities"), (*provider.origin, "type")),
        ),
        wire.router(target.origin),
    ]
    manager = wire.manager(target.origin, name, {**_inner(model, target.name, virtual_host), "http_filters": filters})
    return wire.internal_listener(target.origin, name, buffer, manager)


def _scripts(model: ir.Model, provider: ir.Provider) -> tuple[str, ...]:
    """The assets that translate what comes by the model's doors."""
    return () if all(_is_same(provider, door) for door in doors(model)) else _DIALECTS[provider.dialect]


def _is_same(provider: ir.Provider, door: str) -> bool:
    """Whether a provider speaks the dialect of a door's clients. Azure takes OpenAI's bodies."""
    return provider.dialect.removeprefix("azure-") == _SPOKEN[door]


class _Way(NamedTuple):
    """What a door leads to at a provider: the route, and what the script has to know of it."""

    route: Block
    data: Block


def _target_data(target: ir.Target, ways: Mapping[str, _Way]) -> Block:
    provider = target.provider
    return Block(
        target.origin,
        {
            "target": target.name,
            "model": at(target.model, (*target.origin, "model")),
            "drop": at(target.on_unsupported == "drop", (*target.origin, "onUnsupported")),
            "defaults": at(dict(provider.headers), provider.origin),
            "secrets": at(dict.fromkeys(secret_headers(provider), True), provider.origin),
            "headers": Block(
                provider.origin,
                {h.name: at(h.value, h.origin) for h in provider.own_headers if isinstance(h.value, str)},
            ),
            "doors": {door: way.data for door, way in ways.items()},
        },
    )


def _way(model: ir.Model, target: ir.Target, door: str) -> _Way:
    """What is called at the provider for a door, or that it cannot be."""
    provider = target.provider
    path = _PATHS[provider.dialect].get(door)
    same = _is_same(provider, door)
    data = Block(
        target.origin,
        {
            "door": door,
            "anthropic": _SPOKEN[door] == "anthropic",
            "same": same,
        },
    )
    match = {"prefix": "/", "headers": [{"name": DOOR_HEADER, "string_match": {"exact": door}}]}
    stripped = {strip.NAME: strip.at_door(target.origin, _SPOKEN[door], provider.dialect)}
    route = Block(target.origin, {"name": door, "match": match, "typed_per_filter_config": stripped})
    if door == "embeddings" and not same:
        data["embeds"] = True
    if same and door != "embeddings" and provider.type in STRICT | {"anthropic"}:
        data["strict"] = True
    if door == "messages" and not same:
        strict = provider.type in STRICT
        data["hub"] = {"strict": strict, "cap": "max_completion_tokens" if strict else "max_tokens"}
    if path is None:
        data["instead"] = "estimate" if door == "count" else "refuse"
        route["direct_response"] = wire.never_seen()
    else:
        route["route"] = _action(target, model.timeouts, f"provider:{model.name}:{target.name}", path, data)
    if target.parameters and door != "count":
        data["parameters"] = _parameters(target.parameters, CAPS[door])
    return _Way(route, data)


def _action(target: ir.Target, timeouts: ir.Timeouts, cluster: str, path: str, data: Block) -> Block:
    provider = target.provider
    url, origin = urlsplit(provider.base_url), (*provider.origin, "baseUrl")
    action = Block(
        timeouts.origin,
        {
            "cluster": cluster,
            "host_rewrite_literal": at(url.netloc.rpartition("@")[2], origin),
            "timeout": "0s",
            "idle_timeout": wire.duration(timeouts.idle),
            "retry_policy": {
                "num_retries": 0,
                "retry_on": "retriable-headers",
                "per_try_timeout": wire.duration(timeouts.first_byte),
            },
        },
    )
    version = str(provider.settings.get("apiVersion", ""))
    before, named, after = (url.path + path.replace("{version}", version)).partition("{model}")
    if after in _STREAMS or (named and target.model == "*"):
        # Whether a stream is asked for, and a name that is passed on, are known only when a request comes.
        streamed = {"stream": _STREAMS[after]} if after in _STREAMS else {}
        data["path"] = at({"before": before, "after": after, **streamed}, origin)
    else:
        whole = before + (quote(target.model, safe="") if named else "") + after
        rewrite = {"pattern": {"regex": "^.*$"}, "substitution": whole.replace("\\", "%5C")}
        action["regex_rewrite"] = at(rewrite, origin, (*provider.origin, "azure"))
    return action


def _parameters(p: ir.Parameters, caps: tuple[str, ...]) -> Block:
    """Each as JSON text, so that a number keeps its digits. `caps`: names of one parameter, a cap on the answer."""
    return Block(
        p.origin,
        {
            "caps": [*caps],
            "defaults": at({k: _text(v) for k, v in p.defaults.items()}, (*p.origin, "defaults")),
            "overrides": at({k: _text(v) for k, v in p.overrides.items()}, (*p.origin, "overrides")),
            "maximum": at({k: _text(v) for k, v in p.maximum.items()}, (*p.origin, "maximum")),
        },
    )


def _text(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"))


def _inner(model: ir.Model, name: str, virtual_host: dict[str, Any]) -> dict[str, Any]:
    """What the managers of both inner tiers share: no deadline of their own, and a cause for Envoy's own answers."""
    details = "response.code_details"
    body = wire.error_text("api_error", "upstream_error", "The provider failed.")
    own = {"x-aigw-target": header_value(name)}
    mappers = [
        # `connection_timeout` is a failure to connect, so that it stands before what is late.
        wire.local_reply(model.origin, when, 503, body, {**own, "x-aigw-cause": cause})
        for when, cause in (
            (f"response.code >= 500 && {details}.contains('after_response_started')", "bad-response"),
            (f"response.code >= 500 && {details}.contains('connect')", "connect-failure"),
            (f"response.code >= 408 && {details}.contains('timeout')", "timeout"),
            (f"response.code >= 500 && {details} != 'lua_response'", "connect-failure"),
        )
    ]
    return {
        "generate_request_id": False,
        "stream_idle_timeout": "0s",
        # A stream that breaks off is cut at once: waiting for a peer makes sense only where one is far away.
        "delayed_close_timeout": "0s",
        "local_reply_config": {"mappers": mappers},
        "route_config": {"name": "inner", "virtual_hosts": [virtual_host]},
    }


def header_value(text: str) -> str:
    return wire.header_safe(text).replace("%", "%%")
