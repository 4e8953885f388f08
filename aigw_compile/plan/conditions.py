"""Shapes of a gateway that a capability row can depend on: name -> (gateway, argument) -> the places where it has that shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.plan.bounds import BOUNDS
from aigw_compile.plan.cluster import CLUSTER
from aigw_compile.plan.edges import EDGES
from aigw_compile.plan.handed import HANDED
from aigw_compile.plan.sending import SENDING
from aigw_compile.plan.shapes import SHAPES
from aigw_compile.policies.limits import Limit
from aigw_compile.policies.prompt_decorator import PromptDecorator
from aigw_compile.policies.prompt_guard import PromptGuard

Predicate = Callable[[ir.Gateway, Any], Iterator[Pointer]]


def several_models(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """More than one chat model."""
    if len(gateway.models) > 1:
        yield ("spec", "models")


def several_priorities(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A model that can fall back to another priority."""
    for model in gateway.models:
        if len(model.priorities()) > 1:
            yield (*model.origin, "targets")


def several_targets(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A model with more than one target that can be chosen."""
    for model in gateway.models:
        if sum(map(len, model.priorities())) > 1:
            yield (*model.origin, "targets")


def prefixed_credential(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A provider whose credential is sent behind a prefix, such as `Bearer `."""
    for provider in gateway.providers:
        if provider.credential and provider.auth_prefix:
            yield provider.credential.origin


def prefixed_credential_in_a_vault(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A credential that is sent behind a prefix and kept in a vault, which is not the environment."""
    for provider in gateway.providers:
        ref = provider.credential
        if ref and ref.vault and ref.vault.type != "env" and provider.auth_prefix:
            yield ref.origin


def decorator_and_guard(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A prompt decorator in a gateway that also has a guard."""
    scopes = list(ir.scopes(gateway))
    if any(ir.only(s.policies, PromptGuard) for s in scopes):
        yield from (d.origin for s in scopes for d in ir.every(s.policies, PromptDecorator))


def guard_patterns_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """A guard with more than `most` patterns in one list."""
    for guard in _guards(gateway):
        for field in ("deny", "allow"):
            if len(getattr(guard, field)) > most:
                yield (*guard.origin, field)


def guard_pattern_longer_than(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """A pattern of more than `most` characters."""
    for guard in _guards(gateway):
        for field in ("deny", "allow"):
            yield from ((*guard.origin, field, i) for i, text in enumerate(getattr(guard, field)) if len(text) > most)


def guards_at_several_places(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """More than one guard, each at its own place."""
    guards = list(_guards(gateway))
    if len(guards) > 1:
        yield from (g.origin for g in guards[1:])


def users_among_other_roles(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """The role `user` of a guard that looks at other roles too."""
    for guard in _guards(gateway):
        if "user" in guard.roles and set(guard.roles) != {"user"}:
            yield (*guard.origin, "roles", guard.roles.index("user"))


def decorators_at_several_places(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """More than one decorator, each at its own place."""
    places = [d.origin for s in ir.scopes(gateway) for d in ir.every(s.policies, PromptDecorator)]
    if len(places) > 1:
        yield from places[1:]


def limits_at_several_places(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """Limits at more than one kind of place."""
    placed = [(s.kind, limit.origin) for s in ir.scopes(gateway) for limit in ir.every(s.policies, Limit)]
    if len({kind for kind, _ in placed}) > 1:
        yield from (origin[:-1] for kind, origin in placed if kind != placed[0][0])


def tokens_alone(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A limit that counts tokens and no requests."""
    for limit in _limits(gateway):
        if limit.tokens is not None and limit.requests is None:
            yield limit.origin


def no_requests(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """A limit that counts no requests, or more of them than `most`."""
    yield from (limit.origin for limit in _limits(gateway) if limit.requests is None or limit.requests > most)


def requests_per(gateway: ir.Gateway, window: str) -> Iterator[Pointer]:
    """A limit on requests with a certain window."""
    for limit in _limits(gateway):
        if limit.requests is not None and limit.per == window:
            yield (*limit.origin, "per")


def requests_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """A limit of more than `most` requests."""
    for limit in _limits(gateway):
        if limit.requests is not None and limit.requests > most:
            yield (*limit.origin, "requests") if limit.tokens is not None else limit.origin


def tokens_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """A limit of more than `most` tokens."""
    for limit in _limits(gateway):
        if limit.tokens is not None and limit.tokens > most:
            others = limit.cost is not None or (limit.requests is not None and limit.requests <= most)
            yield (*limit.origin, "tokens") if others else limit.origin
            if others and limit.counted != "total":
                yield (*limit.origin, "count")


def body_size_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """A listener that takes bodies of more than `most` bytes."""
    for listener in gateway.listeners:
        if listener.max_body_size > most:
            yield (*listener.origin, "maxBodySize")


def allow_over_a_conversation(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A guard that allows, and looks at every message."""
    yield from ((*g.origin, "allow") for g in _guards(gateway) if g.allow and g.scope == "conversation")


def fallback_beyond_retries(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A model that retries, and falls back for a cause for which it does not retry."""
    for model in gateway.models:
        if model.retries.attempts and len(model.priorities()) > 1 and set(model.fallback.on) - set(model.retries.on):
            yield model.fallback.origin


def fallback_to_an_answer_alone(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A model of one priority, whose fallback is an answer that is written down."""
    for model in gateway.models:
        if model.fallback.response and len(model.priorities()) == 1:
            yield model.fallback.origin


def idle_under_first_byte(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A model whose idle timeout is shorter than its wait for the first byte."""
    for model in gateway.models:
        first = model.timeouts.first_byte or float("inf")
        if 0 < model.timeouts.idle < first:
            yield model.timeouts.origin


def different_causes(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A model that retries and falls back, and not for the same causes."""
    for model in gateway.models:
        if model.retries.attempts and len(model.priorities()) > 1 and set(model.fallback.on) != set(model.retries.on):
            yield model.fallback.origin


def timeout_without_connect_failure(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A list of causes that names timeouts and not connections that fail."""
    for model in gateway.models:
        for causes in (model.retries, model.fallback):
            if "timeout" in causes.on and "connect-failure" not in causes.on:
                yield (*causes.origin, "on")


def gaps_in_priorities(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A target whose priority is not the next number after those before it."""
    for model in gateway.models:
        reached = sorted({t.priority for t in model.targets if t.weight > 0})
        dense = {priority for number, priority in enumerate(reached) if number == priority}
        yield from ((*t.origin, "priority") for t in model.targets if t.priority not in dense)


def chat_models(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A gateway with a chat model."""
    if any("chat" in model.capabilities for model in gateway.models):
        yield ("spec", "models")


def _limits(gateway: ir.Gateway) -> Iterator[Limit]:
    for scope in ir.scopes(gateway):
        yield from ir.every(scope.policies, Limit)


def _guards(gateway: ir.Gateway) -> Iterator[PromptGuard]:
    for scope in ir.scopes(gateway):
        yield from ir.every(scope.policies, PromptGuard)


_OWN = (
    several_models,
    several_priorities,
    several_targets,
    prefixed_credential,
    prefixed_credential_in_a_vault,
    decorator_and_guard,
    guard_patterns_over,
    guard_pattern_longer_than,
    guards_at_several_places,
    users_among_other_roles,
    decorators_at_several_places,
    limits_at_several_places,
    tokens_alone,
    no_requests,
    requests_per,
    requests_over,
    tokens_over,
    body_size_over,
    allow_over_a_conversation,
    fallback_beyond_retries,
    fallback_to_an_answer_alone,
    idle_under_first_byte,
    different_causes,
    timeout_without_connect_failure,
    gaps_in_priorities,
    chat_models,
)
OF_WHAT_IS_LEFT = frozenset(
    {
        "unused-providers",
        "unused-vaults",
        "unreachable-models",
        "group-maps-without-effect",
        "stores-without-limits",
        "limit-stores-without-limits",
    }
)
"""Those that look at a gateway without what the target does not do (plan/left.py)."""
CONDITIONS: Mapping[str, Predicate] = {
    **{f.__name__.replace("_", "-"): f for f in _OWN},
    **SHAPES,
    **BOUNDS,
    **CLUSTER,
    **EDGES,
    **SENDING,
    **HANDED,
}
