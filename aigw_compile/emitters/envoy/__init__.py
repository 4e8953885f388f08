"""The envoy target: a gateway to a bootstrap in tiers (one file or three), the file of limits, and secrets.json (its keys)."""

from __future__ import annotations

from typing import Any

from aigw_compile import ir
from aigw_compile.document import Block, Document, at
from aigw_compile.emitters.envoy import callers, limits, observe, rls, routes, wire
from aigw_compile.emitters.envoy.counting import COUNTING
from aigw_compile.emitters.envoy.layout import LAYOUTS
from aigw_compile.emitters.envoy.listener import listener
from aigw_compile.emitters.envoy.providers import identities
from aigw_compile.emitters.envoy.secrets import secrets
from aigw_compile.emitters.envoy.tiers import tiers
from aigw_compile.plan import Plan

_DECORATED = 1 << 20
"""Bytes that a body may grow by, beyond twice its size: decorators, and another dialect's words."""


def emit(gateway: ir.Gateway, plan: Plan) -> tuple[Document, ...]:
    """Write the bootstrap and its secrets.json. Paths in it are relative to its own folder, where Envoy is started."""
    settings = plan.facts.settings
    gateway = gateway._replace(models=tuple(m for m in gateway.models if m.priorities()))
    ca_file, slots = str(settings["caFile"]), int(settings["allowSlots"])
    largest = max((x.max_body_size for x in gateway.listeners), default=0)
    buffer = min(2 * largest + _DECORATED, 2**32 - 1)
    limited = limits.placed(gateway, plan)
    counting, shared = COUNTING[plan.facts.options["tokenLimits"]], any(x.fails for x in limited)
    built = {model.name: tiers(model, buffer, ca_file) for model in gateway.models}
    clusters = {name: found.clusters for name, found in built.items()}
    port = observe.admin_port(gateway)
    body = Block(
        gateway.origin,
        {
            "node": Block(gateway.origin, {"id": at(gateway.name, ("metadata", "name")), "cluster": gateway.name}),
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}},
            "bootstrap_extensions": [_internal_listeners(buffer)],
            "overload_manager": _overload(int(settings["maxConnections"])),
            "static_resources": {
                "listeners": [
                    *(listener(gateway, own, limited, clusters, buffer, slots, counting) for own in gateway.listeners),
                    *observe.operations(gateway),
                    *(block for found in built.values() for block in found.listeners),
                ],
                "clusters": [
                    *(block for found in built.values() for block in found.definitions),
                    routes.nowhere(),
                    *([rls.cluster(plan.facts.options["rateLimitService"], ca_file)] if shared else []),
                    *callers.clusters(gateway, ca_file),
                    *identities(gateway, ca_file),
                    *observe.clusters(gateway, port, ca_file),
                ],
            },
        },
    )
    documents, again = LAYOUTS[plan.facts.options["layout"]](body)
    documents = (*documents, rls.document(gateway, limited)) if shared else documents
    return (*documents, secrets(gateway, again))


def _internal_listeners(buffer: int) -> Block:
    kind = "envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
    return wire.extension((), "envoy.bootstrap.internal_listener", kind, {"buffer_size_kb": min(buffer // 1024, 4096)})


def _overload(connections: int) -> dict[str, Any]:
    monitor = "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    name = "envoy.resource_monitors.global_downstream_max_connections"
    return {
        "resource_monitors": [wire.extension((), name, monitor, {"max_active_downstream_connections": connections})]
    }
