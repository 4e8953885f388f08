"""Prompt guards to the rules by which Envoy's rbac filter (RE2) refuses, and to what texts.lua must show it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at, everywhere
from aigw_compile.emitters.envoy import wire
from aigw_compile.policies.prompt_guard import PromptGuard

_NAMESPACE = "aigw.guard"
POLICY = "guard"
"""How the names of the policies begin; local replies tell a guard's refusal by it."""


class Placed(NamedTuple):
    """A guard and the place where it stands; `number` names it in the metadata."""

    number: int
    scope: ir.Scope
    guard: PromptGuard


def placed(gateway: ir.Gateway) -> tuple[Placed, ...]:
    """Return every guard that refuses anything, outermost first."""
    found = [(s, g) for s in ir.scopes(gateway) for g in ir.every(s.policies, PromptGuard) if g.deny or g.allow]
    return tuple(Placed(number, scope, guard) for number, (scope, guard) in enumerate(found))


def data(guards: tuple[Placed, ...], slots: int) -> list[Block]:
    """Return what the Lua filter needs to know: to whom a guard applies, and whose texts it wants."""
    return [_data(g, slots) for g in guards]


def _data(placed: Placed, slots: int) -> Block:
    guard = placed.guard
    fields: dict[str, Any] = {
        "id": at(placed.number, everywhere("promptGuard")),
        "scope": placed.scope.kind,
        "name": at(placed.scope.name, (*placed.scope.origin, "name"), ("metadata", "name")),
        "last": at(guard.scope == "last", (*guard.origin, "scope")),
        "deny": bool(guard.deny),
        "allow": bool(guard.allow),
        "slots": _slots(guard, slots),
    }
    if guard.roles:
        fields["roles"] = at(dict.fromkeys(guard.roles, True), (*guard.origin, "roles"))
    return Block(guard.origin, fields)


def _slots(guard: PromptGuard, slots: int) -> int:
    return 1 if guard.scope == "last" else slots


def rbac(guards: tuple[Placed, ...], slots: int) -> Block:
    """Return the filter that decides: one policy for each list of each guard."""
    origin = guards[0].guard.origin
    policies: dict[str, Block] = {}
    for g in guards:
        for side, permissions in (("deny", list(_denied(g))), ("allow", list(_not_allowed(g, slots)))):
            if permissions:
                body = {"permissions": permissions, "principals": [{"any": True}]}
                policies[f"{POLICY}-{g.number}-{side}"] = Block((*g.guard.origin, side), body)
    return wire.extension(
        origin, "guard", wire.HTTP + "rbac.v3.RBAC", {"rules": {"action": "DENY", "policies": policies}}
    )


def _denied(g: Placed) -> Iterator[Block]:
    for index, pattern in enumerate(g.guard.deny):
        any_text = {"list_match": {"one_of": {"string_match": _searched(pattern)}}}
        yield _metadata((*g.guard.origin, "deny", index), [f"deny{g.number}"], any_text)


def _not_allowed(g: Placed, slots: int) -> Iterator[Block]:
    """Refuse where a message cannot be looked at, or where one of them matches no pattern."""
    if not g.guard.allow:
        return
    origin, key = (*g.guard.origin, "allow"), f"allow{g.number}"
    yield _metadata(origin, [key, "refuse"], {"bool_match": True})
    pattern = "|".join(f"(?:{p})" for p in g.guard.allow)
    for slot in range(_slots(g.guard, slots)):
        present = _metadata(origin, [key, f"m{slot}"], {"present_match": True})
        fits = _metadata(origin, [key, f"m{slot}"], {"string_match": _searched(pattern)})
        yield Block(origin, {"and_rules": {"rules": [present, {"not_rule": fits}]}})


def _searched(pattern: str) -> dict[str, Any]:
    """Envoy matches the whole text: what stands around the pattern may be anything, and keeps its flags to itself."""
    return {"safe_regex": {"regex": f"(?s:.*)(?:{pattern})(?s:.*)"}}


def _metadata(origin: Pointer, path: list[str], value: dict[str, Any]) -> Block:
    matcher = {"filter": _NAMESPACE, "path": [{"key": key} for key in path], "value": value}
    return Block(origin, {"sourced_metadata": {"metadata_matcher": matcher, "metadata_source": "DYNAMIC"}})
