"""Small pieces to Envoy's wording: typed configs, durations, Lua filters, local replies, internal addresses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aigw_compile.diagnostic import Pointer
from aigw_compile.document import At, Block, at
from aigw_compile.target import asset

_TYPE = "type.googleapis.com/"
HTTP = "envoy.extensions.filters.http."
LUA = HTTP + "lua.v3.Lua"

ENDED_HERE = ("x-aigw-cause", "x-aigw-target", "x-aigw-own", "x-aigw-tries", "x-aigw-tier", "x-aigw-used")
"""Headers by which the tiers tell each other about a reply; a provider cannot set them."""

BREAKERS: Mapping[str, Any] = {
    "thresholds": [
        {"max_connections": 100000, "max_pending_requests": 100000, "max_requests": 100000, "max_retries": 100000}
    ]
}
"""Envoy's defaults (1024 requests, 3 retries at a time) would refuse what no limit of the spec refuses."""

Json = Mapping[str, Any]


def typed(origin: Pointer, kind: str, fields: Json | None = None) -> Block:
    """Return a message of Envoy's API behind its type URL."""
    more = fields.placed() if isinstance(fields, Block) else fields or {}
    return Block(origin, {"@type": _TYPE + kind, **more})


def extension(origin: Pointer, name: str, kind: str, fields: Json | None = None) -> Block:
    """Return `{name, typed_config}`, the shape of every extension."""
    return Block(origin, {"name": name, "typed_config": typed(origin, kind, fields)})


def type_url(kind: str) -> str:
    return _TYPE + kind


def duration(seconds: float) -> str:
    """Return seconds as protobuf's JSON has them: `0.25s`, `60s`."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def lua(origin: Pointer, name: str, *assets: str, chosen: Sequence[Pointer] = ()) -> Block:
    """Return a Lua filter made of constant files, which `chosen` chose; else gateways differ in the data of a virtual host."""
    text = "".join(asset("envoy", f"{part}.lua") for part in assets)
    # By default Envoy looks for a route again after each change of a header; the script says itself when it wants that.
    code = at({"inline_string": text}, *chosen)
    return extension(origin, name, LUA, {"default_source_code": code, "clear_route_cache": False})


def lua_data(origin: Pointer, data: Json) -> Block:
    """Return the data of a virtual host for a Lua filter, which reads it once (reply.lua)."""
    return typed(origin, HTTP + "lua.v3.LuaPerRoute", {"filter_context": {"data": data}})


def router(origin: Pointer) -> Block:
    return extension(origin, "router", HTTP + "router.v3.Router", {"suppress_envoy_headers": True})


def error_text(kind: str, code: str, message: str) -> str:
    """Return the body of a refusal, in the shape of the OpenAI API."""
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


def anthropic_error_text(status: int, kind: str, code: str, message: str) -> str:
    """Return the body of a refusal, in the shape of the Anthropic API (reply.lua does the same)."""
    named = {404: "not_found_error", 413: "request_too_large", 504: "timeout_error"}.get(status, kind)
    return json.dumps({"type": "error", "error": {"type": named, "message": message, "code": code}})


def local_reply(
    origin: Pointer, when: str, status: int, body: str, headers: Mapping[str, str] | None = None, *said: Pointer
) -> Block:
    """Return a mapper that gives Envoy's own answers our status and body, where the CEL expression `when` holds.

    `said`: what the headers are from.
    """
    expression = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
    mapper = Block(
        origin,
        {
            "filter": {"extension_filter": extension(origin, "cel", expression, {"expression": when})},
            "status_code": status,
            "body_format_override": {
                "text_format_source": {"inline_string": body.replace("%", "%%")},
                "content_type": "application/json",
            },
        },
    )
    if headers:
        mapper["headers_to_add"] = at(header_values(headers), origin, *said)
    return mapper


def header_values(headers: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return headers to be set, whatever stood there before."""
    overwrite = "OVERWRITE_IF_EXISTS_OR_ADD"
    return [{"header": {"key": key, "value": value}, "append_action": overwrite} for key, value in headers.items()]


def internal_listener(origin: Pointer, name: str, buffer: At, manager: Block) -> Block:
    """Return a listener that only this Envoy itself can reach."""
    return Block(
        origin,
        {
            "name": name,
            "internal_listener": {},
            "per_connection_buffer_limit_bytes": buffer,
            "filter_chains": [{"filters": [manager]}],
        },
    )


def manager(origin: Pointer, prefix: str, fields: Json) -> Block:
    kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    return extension(origin, "http", kind, {"stat_prefix": prefix, **fields})


def never_seen() -> dict[str, Any]:
    """Return the answer of a route that a script answers before."""
    text = error_text("api_error", "internal", "The gateway failed.")
    return {"status": 500, "body": {"inline_string": text}}


def internal_cluster(
    origin: Pointer, name: str, buffer: At, listeners: Sequence[Block], more: Json | None = None
) -> Block:
    """Return a cluster of internal listeners; each item is `{listener, weight}`."""
    raw = extension(origin, "raw", "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer")
    inner = "envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport"
    endpoints = [
        Block(
            item.origin,
            {
                "endpoint": {
                    "address": {
                        "envoy_internal_address": {
                            "server_listener_name": item["listener"],
                            "endpoint_id": item["listener"],
                        }
                    }
                },
                "load_balancing_weight": item["weight"],
            },
        )
        for item in listeners
    ]
    return Block(
        origin,
        {
            "name": name,
            "type": "STATIC",
            "connect_timeout": "1s",
            "per_connection_buffer_limit_bytes": buffer,
            "circuit_breakers": BREAKERS,
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
            "transport_socket": extension(origin, "internal", inner, {"transport_socket": raw}),
            **(more or {}),
        },
    )


def on_causes(causes: Sequence[str]) -> dict[str, Any]:
    """Return the part of a retry policy that says: again, where the tier below named one of these causes."""
    headers = [{"name": "x-aigw-cause", "string_match": {"exact": cause}} for cause in causes]
    return {"retry_on": "retriable-headers", "retriable_headers": headers}


def header_safe(text: str) -> str:
    """Return text as a header value: what is no plain ASCII, a space or % becomes %XX (request.lua does the same)."""
    return "".join(chr(b) if 32 < b < 127 and b != 37 else f"%{b:02X}" for b in text.encode())
