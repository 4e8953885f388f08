"""The policies of the language: one file = one policy, its node and its lower(); this is the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.policies import limits, prompt_decorator, prompt_guard

LOWER: Mapping[str, Callable[[Any, Pointer, str], ir.Policies]] = {
    "promptGuard": lambda data, at, scope: prompt_guard.lower(data, at),
    "promptDecorator": lambda data, at, scope: prompt_decorator.lower(data, at),
    "limits": limits.lower,
}
"""Field of `policies` -> (its data, its place, the scope it stands at) -> nodes."""


def lower(data: Mapping[str, Any], at: Pointer, scope: str) -> ir.Policies:
    """Turn a `policies` object into nodes, in the order of the registry."""
    return tuple(
        node for field, make in LOWER.items() if field in data for node in make(data[field], (*at, field), scope)
    )
