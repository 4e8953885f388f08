"""The kubernetes target: a gateway to manifests.yaml (a stream of objects, in the order to apply them) and secrets.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from aigw_compile import ir
from aigw_compile.document import Document
from aigw_compile.plan import Plan

Emit = Callable[[ir.Gateway, Plan], tuple[Document, ...]]

PROFILES: Mapping[str, str] = {"envoy-ai-gateway": "envoy_ai_gateway", "kong-operator": "kong_operator"}
"""Profile -> the module that writes its objects; imported only when it is asked for."""


def emit(gateway: ir.Gateway, plan: Plan) -> tuple[Document, ...]:
    """Write the objects of the plan's profile. All references stay inside one namespace, which no object names."""
    make: Emit = import_module(f"{__name__}.{PROFILES[plan.facts.profile]}").emit
    return make(gateway, plan)
