"""Observability to Envoy: the operations listener, access logs, counters, and spans with the GenAI attributes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from aigw_compile import ir
from aigw_compile.document import Block, at
from aigw_compile.emitters.envoy import wire
from aigw_compile.emitters.envoy.providers import remote_cluster

ADMIN, OTLP = "admin", "otlp"
TAKEN = (("spec", "observability"), ("spec", "listeners"))
"""What takes ports: the admin interface has one that nothing else has."""
_SCOPE = {"prefix": "aigw"}
_STATS = "envoy.extensions.access_loggers.stats.v3.Config"


def _known(key: str) -> str:
    """The format operator for what request.lua and answer.lua noted about a request."""
    return f"%DYNAMIC_METADATA(aigw:{key})%"


_LINE = {
    "time": "%START_TIME%",
    "request_id": "%REQ(x-request-id)%",
    "trace_id": "%TRACE_ID%",
    "method": "%REQ(:method)%",
    "path": "%PATH(NQ)%",
    "status": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "consumer": _known("consumer"),
    "model": _known("model"),
    "target": _known("target"),
    "provider": _known("provider"),
    "attempts": _known("attempts"),
    "cause": _known("cause"),
    "input_tokens": _known("input_tokens"),
    "output_tokens": _known("output_tokens"),
    "cost": _known("cost"),
    "exceeded": _known("exceeded"),
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "first_byte_ms": "%RESPONSE_DURATION%",
    "duration_ms": "%DURATION%",
}


def of_requests(gateway: ir.Gateway) -> dict[str, Any]:
    """Return the fields of the public connection manager that log, count and trace."""
    fields: dict[str, Any] = {"generate_request_id": True}
    logs = [*_logs(gateway.observability)]
    if logs:
        fields["access_log"] = logs
    if gateway.observability.otlp:
        fields["tracing"] = _tracing(gateway, gateway.observability.otlp)
    return fields


def _logs(o: ir.Observability) -> Iterator[Block]:
    if o.access_log:
        line: dict[str, Any] = {"json_format": dict(_LINE)}
        if o.access_log.format == "text":
            text = " ".join(f"{key}={operator}" for key, operator in _LINE.items()) + "\n"
            line = {"text_format_source": {"inline_string": text}}
        kind = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
        log_format = at(line, (*o.access_log.origin, "format"))
        body = Block(o.access_log.origin, {"log_format": log_format})
        yield wire.extension(o.access_log.origin, "log", kind, body)
    if o.prometheus:
        origin = o.prometheus.origin
        labels = _tags("consumer", "model", "target", "provider")
        status = {"name": "status", "value_format": "%RESPONSE_CODE%"}
        counter = {"stat": {"name": "requests_total", "tags": [*labels, status]}, "value_fixed": 1}
        yield wire.extension(origin, "requests", _STATS, {"stats_scope": _SCOPE, "counters": [counter]})
        tokens = [
            {"stat": {"name": f"{side}_total", "tags": labels}, "value_format": _known(side)}
            for side in ("input_tokens", "output_tokens")
        ]
        log = wire.extension(origin, "tokens", _STATS, {"stats_scope": _SCOPE, "counters": tokens})
        matcher = {"filter": "aigw", "path": [{"key": "total_tokens"}], "value": {"present_match": True}}
        only_used = {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": False}}
        yield Block(origin, {"name": log["name"], "filter": only_used, "typed_config": log["typed_config"]})


def _tags(*keys: str) -> list[dict[str, str]]:
    return [{"name": key, "value_format": _known(key)} for key in keys]


_ATTRIBUTES = {
    "gen_ai.operation.name": "operation",
    "gen_ai.provider.name": "provider_type",
    "gen_ai.request.model": "model",
    "gen_ai.usage.input_tokens": "input_tokens",
    "gen_ai.usage.output_tokens": "output_tokens",
    "aigw.consumer": "consumer",
    "aigw.provider": "provider",
    "aigw.target": "target",
}
"""Attribute of the span (OpenTelemetry semantic conventions for GenAI) -> what the scripts noted."""


def _tracing(gateway: ir.Gateway, otlp: ir.Otlp) -> Block:
    url = urlsplit(otlp.endpoint)
    uri = f"{otlp.endpoint.rstrip('/')}/v1/traces" if url.path in ("", "/") else otlp.endpoint
    service = {"http_uri": {"uri": uri, "cluster": OTLP, "timeout": "5s"}}
    fields = {"service_name": at(gateway.name, ("metadata", "name")), "http_service": service}
    provider = wire.extension(
        otlp.origin,
        "envoy.tracers.opentelemetry",
        "envoy.config.trace.v3.OpenTelemetryConfig",
        Block(otlp.origin, fields),
    )
    tags: list[dict[str, Any]] = []
    for tag, key in _ATTRIBUTES.items():
        place = {"kind": {"request": {}}, "metadata_key": {"key": "aigw", "path": [{"key": key}]}}
        tags.append({"tag": tag, "metadata": place})
    sampling = {"value": round(otlp.sampling * 100, 6)}
    return Block(
        otlp.origin,
        {
            "random_sampling": at(sampling, (*otlp.origin, "sampling")),
            "client_sampling": {"value": 0.0},
            "custom_tags": tags,
            "provider": provider,
        },
    )


def clusters(gateway: ir.Gateway, port: int, ca_file: str) -> Iterator[Block]:
    """Yield what is called beside the providers: Envoy's own admin interface, and the collector of traces."""
    origin = gateway.observability.operations.origin
    admin = remote_cluster(origin, ADMIN, f"http://127.0.0.1:{port}", ca_file)
    admin["load_assignment"] = at(admin["load_assignment"], *TAKEN)
    yield admin
    otlp = gateway.observability.otlp
    if otlp:
        yield remote_cluster((*otlp.origin, "endpoint"), OTLP, otlp.endpoint, ca_file)


def admin_port(gateway: ir.Gateway) -> int:
    """Return the first port after the operations port that nothing in the spec takes."""
    o = gateway.observability
    taken: set[int] = {listener.port for listener in gateway.listeners}
    if o.prometheus:
        taken.add(o.prometheus.port)
    first = o.operations.port + 1
    return next(port for port in chain(range(first, 65536), range(1024, first)) if port not in taken)


def operations(gateway: ir.Gateway) -> list[Block]:
    """Return the listeners for /healthz, /readyz and /metrics. Nothing else of the admin interface can be reached there."""
    o = gateway.observability
    routes = [
        {"match": {"path": "/healthz"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}},
        {"match": {"path": "/readyz"}, "route": {"cluster": ADMIN, "prefix_rewrite": "/ready"}},
    ]
    if o.prometheus is None:
        return [_operations(o.operations, "operations", o.operations.port, routes)]
    metrics = Block(
        o.prometheus.origin,
        {"match": {"path": "/metrics"}, "route": {"cluster": ADMIN, "prefix_rewrite": "/stats/prometheus"}},
    )
    if o.prometheus.port == o.operations.port:
        return [_operations(o.operations, "operations", o.operations.port, [*routes, metrics])]
    listener = _operations(o.operations, "metrics", o.prometheus.port, [metrics])
    listener.origin = o.prometheus.origin
    return [_operations(o.operations, "operations", o.operations.port, routes), listener]


def _operations(o: ir.Operations, name: str, port: int, routes: list[Any]) -> Block:
    host = {"name": name, "domains": ["*"], "routes": routes}
    fields = {
        "route_config": {"name": name, "virtual_hosts": [host]},
        "http_filters": [wire.router(o.origin)],
    }
    address = {"socket_address": {"address": o.address, "port_value": port}}
    return Block(
        o.origin,
        {
            "name": f"aigw:{name}",
            "address": address,
            "filter_chains": [{"filters": [wire.manager(o.origin, name, fields)]}],
        },
    )
