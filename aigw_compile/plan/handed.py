"""What of a gateway a target keeps that hands its calls to another one behind it: who asks callers, and which policies are its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.plan import edges, fits
from aigw_compile.policies.ip_restriction import IpRestriction
from aigw_compile.policies.limits import Limit


def knows_callers(gateway: ir.Gateway) -> bool:
    """Say whether the target in front asks callers who they are: where there is one door, and keys or passwords open it.

    Tokens and several doors are left to what stands behind it, which does them as asked.
    """
    auth = gateway.auth
    return auth is not None and edges.doors(auth) in (("apiKey",), ("basic",))


def kept(gateway: ir.Gateway, windows: Sequence[str]) -> tuple[Pointer, ...]:
    """Return the places of the policies that the target in front applies: restrictions of addresses, and limits."""
    return (*(r.origin for r in _restrictions(gateway)), *(x.origin for x in _limits(gateway, windows)))


def parted(gateway: ir.Gateway, places: Collection[Pointer], *, inside: bool) -> ir.Gateway:
    """Return the gateway with the policies at some places alone, or, where they are inside, with all others alone."""

    def some(policies: ir.Policies) -> ir.Policies:
        return tuple(p for p in policies if (p.origin in places) is not inside)

    return gateway._replace(
        policies=some(gateway.policies),
        models=tuple(m._replace(policies=some(m.policies)) for m in gateway.models),
        consumer_groups=tuple(g._replace(policies=some(g.policies)) for g in gateway.consumer_groups),
        consumers=tuple(c._replace(policies=some(c.policies)) for c in gateway.consumers),
    )


def _scopes(gateway: ir.Gateway) -> Iterator[ir.Scope]:
    """The places of which the target in front knows whether a call is theirs: it does not read which model is called."""
    known = ("gateway", "group", "consumer") if knows_callers(gateway) else ("gateway",)
    yield from (s for s in ir.scopes(gateway) if s.kind in known and not fits.nobody(gateway, s))


def _restrictions(gateway: ir.Gateway) -> list[IpRestriction]:
    return [r for s in _scopes(gateway) for r in ir.every(s.policies, IpRestriction)]


def _limits(gateway: ir.Gateway, windows: Sequence[str]) -> list[Limit]:
    """The limits on calls alone that fit into one instance of a limiter, which counts in the memory of its node."""
    found = [x for s in _scopes(gateway) for x in ir.every(s.policies, Limit) if _plain(gateway, s, x)]
    slot = {"requests": [fits.Slot(windows)]}
    while True:
        front = parted(gateway, {x.origin for x in found}, inside=False)
        # One model stands for all of them, since calls are not told apart by it.
        lost = {*fits.limits_too_much(front._replace(models=front.models[:1]), "requests", slot, True)}
        if not lost:
            return found
        found = [x for x in found if x.origin not in lost]


def _plain(gateway: ir.Gateway, scope: ir.Scope, limit: Limit) -> bool:
    """Say whether a limit says nothing but how many calls are let in: what else it says is for what stands behind."""
    by = {"gateway", "ip"} | ({"consumer"} if knows_callers(gateway) else set())
    others = (limit.tokens, limit.cost, limit.reserve_output, limit.counted, limit.on_exceeded)
    store = edges.store_of(gateway, scope)
    return (
        bool(limit.requests)
        and others == _DEFAULTS
        and set(limit.by) <= by
        and (store is None or store.type == "memory")
    )


_DEFAULTS = (None, None, 1024, "total", "refuse")
"""Tokens, cost, reserveOutput, count and onExceeded of a limit that says nothing of them."""


# --- Shapes for conditions


def callers_at_the_front(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """The keys and passwords of consumers, where the target in front asks for them."""
    if knows_callers(gateway):
        for consumer in gateway.consumers:
            yield from (key.origin for key in consumer.credentials)
            yield from (login.origin for login in consumer.logins)


def bearers_at_the_front(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """The header `authorization`, where the target in front looks for keys in it."""
    if gateway.auth and knows_callers(gateway) and "authorization" in gateway.auth.api_key_headers:
        yield (*gateway.auth.origin, "apiKey", "headers")


def addresses_at_the_front(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """The restrictions of addresses that the target in front applies."""
    yield from (r.origin for r in _restrictions(gateway))


def limits_at_the_front(gateway: ir.Gateway, windows: Sequence[str]) -> Iterator[Pointer]:
    """The limits that the target in front counts."""
    yield from ((*x.origin, "requests") for x in _limits(gateway, windows))


def limits_at_the_front_and_several_replicas(gateway: ir.Gateway, windows: Sequence[str]) -> Iterator[Pointer]:
    """The same, where each of several replicas counts for itself."""
    if gateway.deployment.most_replicas > 1:
        yield from (x.origin for x in _limits(gateway, windows))


HANDED: Mapping[str, Callable[[ir.Gateway, Any], Iterator[Pointer]]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        callers_at_the_front,
        bearers_at_the_front,
        addresses_at_the_front,
        limits_at_the_front,
        limits_at_the_front_and_several_replicas,
    )
}
"""Predicates for plan/conditions.py, which lists all there are."""
