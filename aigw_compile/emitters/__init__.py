"""The emitters, one for each folder in targets/: a gateway and its plan to the documents of a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from aigw_compile import ir
from aigw_compile.document import Document
from aigw_compile.plan import Plan

Emit = Callable[[ir.Gateway, Plan], tuple[Document, ...]]

_MODULES: Mapping[str, str] = {"kong": "kong", "envoy": "envoy", "kubernetes": "kubernetes", "proxy": "proxy"}


def emitter(target: str) -> Emit:
    """Return the `emit` of a target; its module is imported only when it is asked for."""
    emit: Emit = import_module(f"aigw_compile.emitters.{_MODULES[target]}").emit
    return emit
