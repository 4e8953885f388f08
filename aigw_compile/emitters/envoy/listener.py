"""A listener of the gateway to Envoy's: the outer tier, where every policy stands, in the order of the language."""

from __future__ import annotations

import json
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import At, Block, at, everywhere
from aigw_compile.emitters.envoy import callers, edge, guards, limits, observe, routes, tls, wire
from aigw_compile.emitters.envoy.counting import Answer, Counting
from aigw_compile.emitters.envoy.doors import ANTHROPIC, CALL_HEADER, DOOR_HEADER, PATHS


def listener(
    gateway: ir.Gateway,
    own: ir.Listener,
    limited: tuple[limits.Placed, ...],
    clusters: dict[str, tuple[str, ...]],
    buffer: At,
    slots: int,
    counting: Counting,
) -> Block:
    """Return one public listener; `buffer` is in bytes, `slots` how many user messages an allow list can look at."""
    guarded, restricted = guards.placed(gateway), edge.placed(gateway)
    apart = tuple(r.restriction.origin for r in restricted if r.scope.kind in _OF_CALLERS)
    virtual_hosts = [
        Block(
            own.origin,
            {
                "name": own.name,
                "domains": at([*own.hostnames] or ["*"], (*own.origin, "hostnames")),
                "request_body_buffer_limit": buffer,
                "routes": routes.routes(gateway, own, clusters),
                "typed_per_filter_config": _per_filter(gateway, own, guarded, limited, slots, apart, counting),
            },
        )
    ]
    if own.hostnames:
        elsewhere = routes.nothing(own, "not-found", {"prefix": "/"}, routes.NOT_FOUND)
        virtual_hosts.append(Block(own.origin, {"name": "elsewhere", "domains": ["*"], "routes": [elsewhere]}))
    manager: dict[str, Any] = {
        "route_config": {"name": own.name, "virtual_hosts": virtual_hosts},
        "http_filters": at(
            _filters(gateway, own, guarded, limited, restricted, slots, apart, counting),
            *([gateway.auth.origin] if gateway.auth else []),
        ),
        "local_reply_config": {"mappers": _local_replies(gateway, own, counting)},
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


_OF_CALLERS = ("group", "consumer")
"""Kinds of places whose addresses are asked for once it is known who calls: a filter of its own has to find that out."""


def _per_filter(
    gateway: ir.Gateway,
    own: ir.Listener,
    guarded: tuple[guards.Placed, ...],
    limited: tuple[limits.Placed, ...],
    slots: int,
    apart: tuple[Pointer, ...],
    counting: Counting,
) -> dict[str, Any]:
    """What the scripts know, by the filter that they stand in, and what browsers may do."""
    request = routes.request_data(gateway, own, guarded, limited, slots)
    found = {"answer": wire.lua_data(("spec",), routes.answer_data(gateway))}
    auth = callers.asked(gateway)
    if auth:
        found["key"] = wire.lua_data(auth.origin, callers.key_data(gateway, auth))
        who = callers.caller_data(gateway, auth)
        if apart:
            found["caller"] = wire.lua_data(auth.origin, who)
        request["who"] = at(
            Block(apart[0], {"apart": True}) if apart else who, auth.origin, everywhere("ipRestriction")
        )
    if own.cors:
        found["cors"] = edge.cors_policy(own.cors, counting.headers)
    return {**found, "request": wire.lua_data(("spec",), request)}


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
    restricted: tuple[edge.Placed, ...],
    slots: int,
    apart: tuple[Pointer, ...],
    counting: Counting,
) -> list[Block]:
    """The steps of the language, in their order."""
    origin, auth = own.origin, callers.asked(gateway)
    finding = ("caller",) if auth and not apart else ()
    size = {"max_request_bytes": at(min(own.max_body_size, 2**32 - 1), (*origin, "maxBodySize"))}
    return [
        *([edge.cors_filter(own, own.cors)] if own.cors else []),
        *counting.seen(gateway, limited),
        wire.extension(origin, "door", wire.HTTP + "rbac.v3.RBAC"),  # what it refuses, routes say
        *edge.rbac("address", restricted, "gateway"),
        *counting.early(gateway, limited),
        wire.extension(origin, "size", wire.HTTP + "body_size_limit.v3.BodySizeLimit", Block(origin, size)),
        *(callers.filters(auth, apart=apart) if auth else ()),
        *edge.rbac("address-of-caller", restricted, *_OF_CALLERS),
        wire.lua(
            ("spec",),
            "request",
            *("json", "reply", *finding, "check", "edits", "texts", "counters", "decorators", "request"),
            chosen=(("spec", "auth"), everywhere("ipRestriction")),
        ),
        *edge.rbac("address-at-model", restricted, "model"),
        *counting.requests(gateway, limited),
        *([guards.rbac(guarded, slots)] if guarded else []),
        *counting.tokens(gateway, limited),
        wire.lua(
            ("spec",),
            "answer",
            *("json", "reply", "edits", *counting.used(limited), "static", "answer"),
            chosen=(everywhere("limits"),),
        ),
        wire.router(origin),
    ]


_ENVOYS = "x-envoy-"
"""Headers by which clients would tell Envoy what to do. It takes them off by itself only where it trusts no proxy."""


def _strip(own: ir.Listener, gateway: ir.Gateway, limited: tuple[limits.Placed, ...]) -> Block:
    """Headers that only the gateway sets are taken from every request before anything looks at it."""
    ours = [callers.CONSUMER_HEADER, callers.KEY_HEADER, callers.TOKEN_HEADER, DOOR_HEADER]
    ours += [routes.ROUTE_HEADER, CALL_HEADER]
    ours += [f"{x.header}-{i + 1}" for x in limited for i in range(limits.keys(gateway, x))]
    mutations: list[dict[str, Any]] = [{"remove": name} for name in ours]
    if own.trusted_proxies:
        mutations.append({"remove_on_match": {"key_matcher": {"prefix": _ENVOYS}}})
    kind = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    origins = (own.origin, *(x.limit.origin for x in limited), everywhere("limits"), *limits.OF_GROUPS)
    return wire.extension(own.origin, "strip", kind, {"mutations": at(mutations, *origins)})


_DETAILS = "response.code_details"


def _denied(policy: str) -> str:
    return f"{_DETAILS}.startsWith('rbac_access_denied_matched_policy[{policy}')"


_REFUSED = "invalid_request_error"
_ANSWERS = (
    Answer(_denied(routes.NOT_FOUND), 404, _REFUSED, "not_found", "There is no such endpoint."),
    *(
        Answer(
            _denied(f"{routes.NOT_ALLOWED}-{method}"),
            405,
            _REFUSED,
            "method_not_allowed",
            "This endpoint takes another method.",
            (("allow", method),),
        )
        for method in ("POST", "GET")
    ),
    Answer(
        f"response.code == 401 || {_DETAILS}.startsWith('jwt_authn')",
        401,
        "authentication_error",
        "invalid_api_key",
        "Missing or incorrect API key.",
    ),
    Answer("response.code == 413", 413, _REFUSED, "request_too_large", "The body is too large."),
    Answer(_denied(edge.POLICY), 403, "permission_error", "ip_not_allowed", "Calls from this address are not allowed."),
    Answer(_denied(guards.POLICY), 400, _REFUSED, "prompt_rejected", "The prompt was rejected."),
    Answer(
        f"{_DETAILS} == 'local_rate_limited'", 429, "rate_limit_error", "rate_limit_exceeded", "Request limit reached."
    ),
    # The time for everything is over: answer.lua gives the static answer, where timeouts lead to it.
    Answer(
        f"response.code >= 408 && {_DETAILS}.contains('timeout')",
        504,
        "api_error",
        "upstream_timeout",
        "The request took too long.",
        (("x-aigw-cause", "timeout"),),
    ),
    Answer(
        f"response.code >= 500 && ({_DETAILS}.contains('upstream') || {_DETAILS}.contains('cluster'))",
        502,
        "api_error",
        "upstream_error",
        "No provider could serve the request.",
    ),
    # 501: a transfer-encoding that Envoy does not know. upgrade_failed: an offer to go on in another protocol.
    Answer(
        f"response.code == 400 || response.code == 501 || {_DETAILS} == 'upgrade_failed'",
        400,
        _REFUSED,
        "invalid_request",
        "The request is not well-formed.",
    ),
    Answer("response.code >= 500", 500, "api_error", "internal", "The gateway failed."),
)
"""What Envoy itself answers; scripts answer by themselves."""


def _local_replies(gateway: ir.Gateway, own: ir.Listener, counting: Counting) -> list[Block]:
    """Each answer twice: for the clients of Anthropic's dialect first, who are known by the path that they call."""
    paths = [json.dumps(own.base_path + PATHS[door]) for door in ANTHROPIC]
    anthropic = " || ".join(f"request.url_path == {path}" for path in paths)
    return [
        wire.local_reply(
            own.origin,
            f"{_DETAILS} != 'lua_response' && {when}",
            answer.status,
            body,
            _headers(gateway, answer),
            *callers.CHALLENGED,
        )
        for answer in (*counting.answers, *_ANSWERS)
        for when, body in (
            (
                f"({answer.when}) && ({anthropic})",
                wire.anthropic_error_text(answer.status, answer.kind, answer.code, answer.message),
            ),
            (f"({answer.when})", wire.error_text(answer.kind, answer.code, answer.message)),
        )
    ]


def _headers(gateway: ir.Gateway, answer: Answer) -> dict[str, str]:
    """A 401 says what to bring."""
    if answer.code == "invalid_api_key" and (auth := callers.asked(gateway)):
        return {"www-authenticate": callers.challenge(gateway, auth)}
    return dict(answer.headers)
