"""A listener of the gateway to Envoy's: the outer tier, where every policy stands, in the order of the language."""

from __future__ import annotations

from typing import Any

from aigw_compile import ir
from aigw_compile.document import Block, at
from aigw_compile.emitters.envoy import callers, edge, guards, limits, observe, routes, tls, wire
from aigw_compile.emitters.envoy.doors import ANTHROPIC, DOOR_HEADER


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
    per_filter: dict[str, Any] = {"request": wire.lua_data(("spec",), "gateway", data)}
    auth = callers.asked(gateway)
    if auth:
        per_filter |= callers.data(gateway, auth)
    if own.cors:
        per_filter["cors"] = edge.cors_policy(own.cors)
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
        "http_filters": at(
            _filters(gateway, own, guarded, limited, slots), *([gateway.auth.origin] if gateway.auth else [])
        ),
        "local_reply_config": {"mappers": _local_replies(gateway, own)},
        "early_header_mutation_extensions": [_strip(own, gateway, limited)],
        **edge.addressing(own),
        **_HARDENED,
        **observe.of_requests(gateway),
    }
    chain: dict[str, Any] = {"filters": [wire.manager(own.origin, own.name, manager)]}
    if own.tls:
        chain["transport_socket"] = tls.downstream(own.name, own.tls)
    return Block(
        own.origin,
        {
            "name": own.name,
            "address": Block(own.origin, {"socket_address": {"address": own.address, "port_value": own.port}}),
            "per_connection_buffer_limit_bytes": buffer,
            "filter_chains": [chain],
        },
    )


_HARDENED: dict[str, Any] = {
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
    """The steps of the language, in their order."""
    origin, auth, restricted = own.origin, callers.asked(gateway), edge.placed(gateway)
    size = {"max_request_bytes": at(min(own.max_body_size, 2**32 - 1), (*origin, "maxBodySize"))}
    return [
        *([edge.cors_filter(own, own.cors)] if own.cors else []),
        wire.lua(origin, "door", "reply", "door"),
        *edge.rbac("address", restricted, "gateway"),
        *limits.filters(gateway, limited, early=True),
        wire.extension(origin, "size", wire.HTTP + "body_size_limit.v3.BodySizeLimit", Block(origin, size)),
        *(callers.filters(auth) if auth else ()),
        *edge.rbac("address-of-caller", restricted, "group", "consumer"),
        wire.lua(("spec",), "request", "json", "reply", "check", "edits", "texts", "counters", "decorators", "request"),
        *edge.rbac("address-at-model", restricted, "model"),
        *limits.filters(gateway, limited, early=False),
        *([guards.rbac(guarded, slots)] if guarded else []),
        wire.lua(("spec",), "answer", "json", "reply", "edits", "tokens", "usage", "static", "answer"),
        wire.router(origin),
    ]


_ENVOYS = "x-envoy-"
"""Headers by which clients would tell Envoy what to do. It takes them off by itself only where it trusts no proxy."""


def _strip(own: ir.Listener, gateway: ir.Gateway, limited: tuple[limits.Placed, ...]) -> Block:
    """Headers that only the gateway sets are taken from every request before anything looks at it."""
    ours = [callers.CONSUMER_HEADER, callers.KEY_HEADER, callers.TOKEN_HEADER, DOOR_HEADER]
    ours += [routes.ROUTE_HEADER, "x-aigw-edit", "x-aigw-asked", "x-aigw-size"]
    ours += [f"{x.header}-{i + 1}" for x in limited for i in range(limits.keys(gateway, x))]
    mutations: list[dict[str, Any]] = [{"remove": name} for name in ours]
    if own.trusted_proxies:
        mutations.append({"remove_on_match": {"key_matcher": {"prefix": _ENVOYS}}})
    kind = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    return wire.extension(own.origin, "strip", kind, {"mutations": mutations})


_DETAILS = "response.code_details"
_ANSWERS: tuple[tuple[str, int, str, str, str], ...] = (
    (
        f"(response.code == 401 || {_DETAILS}.startsWith('jwt_authn'))",
        401,
        "authentication_error",
        "invalid_api_key",
        "Missing or incorrect API key.",
    ),
    ("response.code == 413", 413, "invalid_request_error", "request_too_large", "The body is too large."),
    (
        f"{_DETAILS}.startsWith('rbac_access_denied_matched_policy[{edge.POLICY}')",
        403,
        "permission_error",
        "ip_not_allowed",
        "Calls from this address are not allowed.",
    ),
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
    # 501: a transfer-encoding that Envoy does not know.
    (
        "response.code == 400 || response.code == 501",
        400,
        "invalid_request_error",
        "invalid_request",
        "The request is not well-formed.",
    ),
    ("response.code >= 500", 500, "api_error", "internal", "The gateway failed."),
)
"""CEL expression -> status, type, code and message of what Envoy itself answers. Scripts answer by themselves."""


def _headers(gateway: ir.Gateway, code: str) -> dict[str, str] | None:
    """The time for everything is over: answer.lua gives the static answer, where timeouts lead to it. A 401 says what to bring."""
    if code == "invalid_api_key" and (auth := callers.asked(gateway)):
        return {"www-authenticate": callers.challenge(gateway, auth)}
    return {"x-aigw-cause": "timeout"} if code == "upstream_timeout" else None


_OF_ANTHROPIC = " || ".join(f"request.headers['{DOOR_HEADER}'] == '{door}'" for door in ANTHROPIC)


def _local_replies(gateway: ir.Gateway, own: ir.Listener) -> list[Block]:
    """Each answer twice: for the clients of Anthropic's dialect first."""
    return [
        wire.local_reply(own.origin, f"{_DETAILS} != 'lua_response' && {when}", status, body, _headers(gateway, code))
        for condition, status, kind, code, message in _ANSWERS
        for when, body in (
            (f"{condition} && ({_OF_ANTHROPIC})", wire.anthropic_error_text(status, kind, code, message)),
            (condition, wire.error_text(kind, code, message)),
        )
    ]
