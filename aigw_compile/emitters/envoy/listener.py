"""A listener of the gateway to Envoy's: the outer tier, where every policy stands, in the order of the language."""

from __future__ import annotations

from typing import Any

from aigw_compile import ir
from aigw_compile.document import Block, at
from aigw_compile.emitters.envoy import guards, limits, observe, routes, wire
from aigw_compile.emitters.envoy.tiers import CLIENT_KEYS

CONSUMER_HEADER, KEY_HEADER, KEYS = "x-aigw-consumer", "x-aigw-key", "client-keys"


def listener(
    gateway: ir.Gateway,
    own: ir.Listener,
    limited: tuple[limits.Placed, ...],
    clusters: dict[str, tuple[str, ...]],
    buffer: int,
    slots: int,
) -> Block:
    """Return one public listener; `buffer` is in bytes, `slots` how many user messages an allow list can look at."""
    guarded = guards.placed(gateway)
    data = routes.request_data(gateway, guarded, limited, slots)
    per_filter = {"request": wire.lua_data(("spec",), "gateway", data)}
    auth = gateway.auth
    if auth and auth.api_key_headers:
        per_filter["key"] = wire.lua_data(auth.origin, "key", Block(auth.origin, {"headers": [*auth.api_key_headers]}))
    virtual_host = Block(
        own.origin,
        {
            "name": own.name,
            "domains": at([*own.hostnames] or ["*"], (*own.origin, "hostnames")),
            "request_body_buffer_limit": buffer,
            "routes": routes.routes(gateway, own, clusters),
            "typed_per_filter_config": per_filter,
        },
    )
    manager: dict[str, Any] = {
        "route_config": {"name": own.name, "virtual_hosts": [virtual_host]},
        "http_filters": at(_filters(gateway, own, guarded, limited, slots), *([auth.origin] if auth else [])),
        "local_reply_config": {"mappers": _local_replies(own)},
        "early_header_mutation_extensions": [_strip(own, gateway, limited)],
        **_HARDENED,
        **observe.of_requests(gateway),
    }
    return Block(
        own.origin,
        {
            "name": own.name,
            "address": Block(own.origin, {"socket_address": {"address": own.address, "port_value": own.port}}),
            "per_connection_buffer_limit_bytes": buffer,
            "filter_chains": [{"filters": [wire.manager(own.origin, own.name, manager)]}],
        },
    )


_HARDENED: dict[str, Any] = {
    "use_remote_address": True,
    "strip_any_host_port": True,
    # A path is one of the doors, letter for letter, or 404; the path that a provider sees is ours.
    "normalize_path": False,
    "merge_slashes": False,
    "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
    "common_http_protocol_options": {"idle_timeout": "300s", "headers_with_underscores_action": "DROP_HEADER"},
    "request_headers_timeout": "10s",
    "stream_idle_timeout": "60s",
    "http2_protocol_options": {
        "max_concurrent_streams": 100,
        "initial_stream_window_size": 65536,
        "initial_connection_window_size": 1048576,
    },
}
"""Envoy, "Configuring Envoy as an edge proxy": what it advises where clients are not trusted, but for paths."""


def _filters(
    gateway: ir.Gateway,
    own: ir.Listener,
    guarded: tuple[guards.Placed, ...],
    limited: tuple[limits.Placed, ...],
    slots: int,
) -> list[Block]:
    origin, size = (
        own.origin,
        Block(own.origin, {"max_request_bytes": at(min(own.max_body_size, 2**32 - 1), (*own.origin, "maxBodySize"))}),
    )
    found = [
        wire.lua(origin, "door", "reply", "door"),
        wire.extension(origin, "size", wire.HTTP + "body_size_limit.v3.BodySizeLimit", size),
    ]
    if gateway.auth and gateway.auth.api_key_headers:
        found += [wire.lua(gateway.auth.origin, "key", "reply", "key"), _client_keys(gateway.auth)]
    found.append(wire.lua(("spec",), "request", "json", "reply", "texts", "request"))
    found += limits.filters(gateway, limited)
    if guarded:
        found.append(guards.rbac(guarded, slots))
    found += [wire.lua(("spec",), "answer", "json", "reply", "tokens", "answer"), wire.router(origin)]
    return found


def _client_keys(auth: ir.Auth) -> Block:
    """The api_key_auth filter comes from a file of its own, so that keys change while Envoy runs."""
    source = {
        "path_config_source": {"path": CLIENT_KEYS, "watched_directory": {"path": "secrets"}},
        "resource_api_version": "V3",
    }
    urls = [wire.type_url(wire.HTTP + "api_key_auth.v3.ApiKeyAuth")]
    return Block(auth.origin, {"name": KEYS, "config_discovery": {"config_source": source, "type_urls": urls}})


def _strip(own: ir.Listener, gateway: ir.Gateway, limited: tuple[limits.Placed, ...]) -> Block:
    """Headers that only the gateway sets are taken from every request before anything looks at it."""
    ours = [CONSUMER_HEADER, KEY_HEADER, routes.ROUTE_HEADER, "x-aigw-edit", "x-aigw-asked"]
    ours += [f"{x.header}-{i + 1}" for x in limited for i in range(limits.keys(gateway, x))]
    kind = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    return wire.extension(own.origin, "strip", kind, {"mutations": [{"remove": name} for name in ours]})


_DETAILS = "response.code_details"
_ANSWERS: tuple[tuple[str, int, str, str, str], ...] = (
    ("response.code == 401", 401, "authentication_error", "invalid_api_key", "Missing or incorrect API key."),
    ("response.code == 413", 413, "invalid_request_error", "request_too_large", "The body is too large."),
    (
        f"{_DETAILS}.startsWith('rbac_access_denied_matched_policy[{guards.POLICY}')",
        400,
        "invalid_request_error",
        "prompt_rejected",
        "The prompt was rejected.",
    ),
    (f"{_DETAILS} == 'local_rate_limited'", 429, "rate_limit_error", "rate_limit_exceeded", "Request limit reached."),
    (
        f"response.code >= 408 && {_DETAILS}.contains('timeout')",
        504,
        "api_error",
        "upstream_timeout",
        "The request took too long.",
    ),
    (
        f"response.code >= 500 && ({_DETAILS}.contains('upstream') || {_DETAILS}.contains('cluster'))",
        502,
        "api_error",
        "upstream_error",
        "No provider could serve the request.",
    ),
    ("response.code >= 500", 500, "api_error", "internal", "The gateway failed."),
    ("response.code == 400", 400, "invalid_request_error", "invalid_request", "The request is not well-formed."),
)
"""CEL expression -> status, type, code and message of what Envoy itself answers. Scripts answer by themselves."""

_CAUSE = {"upstream_timeout": {"x-aigw-cause": "timeout"}}
"""The time for everything is over: answer.lua gives the static answer, where timeouts lead to it."""


def _local_replies(own: ir.Listener) -> list[Block]:
    return [
        wire.local_reply(
            own.origin,
            f"{_DETAILS} != 'lua_response' && {when}",
            status,
            wire.error_text(kind, code, message),
            _CAUSE.get(code),
        )
        for when, status, kind, code, message in _ANSWERS
    ]
