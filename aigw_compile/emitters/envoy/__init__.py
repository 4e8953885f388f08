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
    models = tuple(m for m in gateway.models if m.priorities())
    called = {target.provider.name for model in models for targets in model.priorities() for target in targets}
    # Nobody should have to find a key for a provider that is never called.
    gateway = gateway._replace(models=models, providers=tuple(p for p in gateway.providers if p.name in called))
    ca_file, slots = str(settings["caFile"]), int(settings["allowSlots"])
    largest = max((x.max_body_size for x in gateway.listeners), default=0)
    buffer = min(2 * largest + _DECORATED, 2**32 - 1)
    limited = limits.placed(gateway, plan)
    counting, shared = COUNTING[plan.facts.options["tokenLimits"]], any(x.fails for x in limited)
    held = at(buffer, *((*x.origin, "maxBodySize") for x in gateway.listeners))
    built = {model.name: tiers(model, held, ca_file) for model in gateway.models}
    clusters = {name: found.clusters for name, found in built.items()}
    port = observe.admin_port(gateway)
    name = at(gateway.name, ("metadata", "name"))
    body = Block(
        gateway.origin,
        {
            "node": Block(gateway.origin, {"id": name, "cluster": name}),
            "admin": at({"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}, *observe.TAKEN),
            "bootstrap_extensions": at([_internal_listeners(buffer)], *held.origins),
            "overload_manager": at(
                _overload(int(settings["maxConnections"]), max(int(settings["maxHeap"]), _BODIES * buffer)),
                *held.origins,
            ),
            "static_resources": {
                "listeners": [
                    *(listener(gateway, own, limited, clusters, held, slots, counting) for own in gateway.listeners),
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
    service = (rls.document(gateway, limited),) if shared else ()
    return (*documents, secrets(gateway, again), *service)


def _internal_listeners(buffer: int) -> Block:
    kind = "envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
    return wire.extension((), "envoy.bootstrap.internal_listener", kind, {"buffer_size_kb": min(buffer // 1024, 4096)})


_BODIES = 8
"""Of the largest bodies at least so many fit into the heap."""
_PRESSED = {"shrink_heap": 0.95, "stop_accepting_requests": 0.98}
"""What is done at which part of the heap (Envoy, "Configuring Envoy as an edge proxy"): give memory back, then refuse requests."""


def _overload(connections: int, heap: int) -> dict[str, Any]:
    monitors = "envoy.extensions.resource_monitors."
    fixed, open_ = "envoy.resource_monitors.fixed_heap", "envoy.resource_monitors.global_downstream_max_connections"
    kinds = (
        monitors + "fixed_heap.v3.FixedHeapConfig",
        monitors + "downstream_connections.v3.DownstreamConnectionsConfig",
    )
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            wire.extension((), fixed, kinds[0], {"max_heap_size_bytes": heap}),
            wire.extension((), open_, kinds[1], {"max_active_downstream_connections": connections}),
        ],
        "actions": [
            {"name": f"envoy.overload_actions.{name}", "triggers": [{"name": fixed, "threshold": {"value": part}}]}
            for name, part in _PRESSED.items()
        ],
    }
