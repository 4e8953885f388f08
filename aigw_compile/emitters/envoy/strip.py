"""Headers that reach a target's tier and do not go on to its provider, to the filter that takes them off.

The tier of policies lets a closed list of a client's headers through (request.lua). What is left to take off is what that list
has for the tiers themselves, what Envoy adds, and what belongs to another dialect.
"""

from __future__ import annotations

from typing import Any

from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block
from aigw_compile.emitters.envoy import wire

NAME = "strip"
_NEVER = ("x-request-id", "tracestate", "x-aigw-route")
_NEVER_BEGINNING = ("x-aigw-limit-", "x-envoy-", "x-forwarded-")
_REPEATED = "idempotency-key"
_OF_DIALECT = {"openai": "openai-", "anthropic": "anthropic-"}
_MUTATION = wire.HTTP + "header_mutation.v3.HeaderMutation"


def strip(origin: Pointer) -> Block:
    """Return the filter. It stands before anything that sets a header of the provider's own."""
    return wire.extension(origin, NAME, _MUTATION, _removing(_NEVER, _NEVER_BEGINNING))


def at_door(origin: Pointer, spoken: str, dialect: str) -> Block:
    """Return what goes besides at a door: the headers of every dialect (`spoken` by clients) that the provider does not speak.

    Azure takes OpenAI's bodies, but OpenAI's own headers are none of its business.
    """
    passes = spoken == dialect
    others = [prefix for name, prefix in _OF_DIALECT.items() if not (passes and name == dialect)]
    return wire.typed(origin, _MUTATION + "PerRoute", _removing(() if passes else (_REPEATED,), others))


def _removing(names: tuple[str, ...], beginnings: Any) -> dict[str, Any]:
    mutations: list[dict[str, Any]] = [{"remove": name} for name in names]
    mutations += [{"remove_on_match": {"key_matcher": {"prefix": prefix}}} for prefix in beginnings]
    return {"mutations": {"request_mutations": mutations}}
