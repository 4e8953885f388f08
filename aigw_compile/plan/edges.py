"""A gateway to what its listeners, stores and doors share, for a target that has one setting for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.policies.ip_restriction import IpRestriction
from aigw_compile.policies.limits import Limit, LimitStore

Network = IPv4Network | IPv6Network
NOBODY = ("0.0.0.0/0", "::/0")
"""Every address, to be denied."""


# --- Addresses


def common(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the CIDRs of the addresses that are in every one of some lists; a single list stays as it is written."""
    if len(lists) == 1:
        return tuple(lists[0])
    found = [ip_network(x, strict=False) for x in lists[0]] if lists else []
    for other in lists[1:]:
        found = [*_both(found, [ip_network(x, strict=False) for x in other])]
    return tuple(dict.fromkeys(map(str, found)))


def _both(ones: Iterable[Network], others: Sequence[Network]) -> Iterator[Network]:
    for one in ones:
        for other in others:
            if one.version == other.version and one.overlaps(other):
                yield one if one.prefixlen >= other.prefixlen else other


class Addresses(NamedTuple):
    """Several restrictions in one: who may call, and who may not."""

    allow: tuple[str, ...]
    """() is everybody."""
    deny: tuple[str, ...]
    origins: tuple[Pointer, ...]


def addresses(restrictions: Iterable[IpRestriction]) -> Addresses | None:
    """Return one restriction that lets through whom all of several let through; None where there is none."""
    found = [*restrictions]
    if not found:
        return None
    lists = [r.allow for r in found if r.allow]
    allow = common(lists)
    deny = tuple(dict.fromkeys(x for r in found for x in r.deny))
    origins = tuple(r.origin for r in found)
    return Addresses((), NOBODY, origins) if lists and not allow else Addresses(allow, deny, origins)


# --- Listeners


def trusted(gateway: ir.Gateway) -> tuple[str, ...]:
    """Return the proxies that every listener trusts."""
    return common([x.trusted_proxies for x in gateway.listeners])


def trusted_proxies_that_differ(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """Proxies that one listener trusts and not all do."""
    if len({frozenset(x.trusted_proxies) for x in gateway.listeners}) > 1:
        yield from ((*x.origin, "trustedProxies") for x in gateway.listeners if x.trusted_proxies)


def cors_that_differs(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """Listeners with other rules for browsers than one before them."""
    rules = {x.cors and x.cors._replace(origin=()) for x in gateway.listeners}
    if len(rules) > 1:
        yield from (x.cors.origin for x in gateway.listeners if x.cors)


def client_authority(gateway: ir.Gateway) -> ir.SecretRef | None:
    """Return the first authority for clients that is a file."""
    found = (x.tls.client_ca for x in gateway.listeners if x.tls)
    return next((ca for ca in found if ca and ca.source == "file"), None)


def client_authorities_that_differ(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """An authority for clients that is no file, or another one than the first."""
    first = client_authority(gateway)
    for listener in gateway.listeners:
        own = listener.tls and listener.tls.client_ca
        if own and not (first and own._replace(origin=()) == first._replace(origin=())):
            yield own.origin


def client_authority_of_some(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """An authority for clients on one listener with TLS, and none on another."""
    secure = [x.tls for x in gateway.listeners if x.tls]
    if any(t.client_ca is None for t in secure):
        yield from (t.client_ca.origin for t in secure if t.client_ca)


def tls_versions_that_differ(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """Listeners with different lowest versions of TLS."""
    found = [x.tls for x in gateway.listeners if x.tls]
    if len({t.min_version for t in found}) > 1:
        yield from ((*t.origin, "minVersion") for t in found)


def server_names(listener: ir.Listener) -> tuple[str, ...]:
    """Return the names under which a listener shows its certificate; `*` is any other."""
    return listener.hostnames or ("*",)


def certificates_of_one_name(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A listener's certificate for a name for which one before it has another."""
    taken: dict[str, tuple[ir.SecretRef, ir.SecretRef]] = {}
    for listener in gateway.listeners:
        if listener.tls:
            own = (listener.tls.certificate._replace(origin=()), listener.tls.key._replace(origin=()))
            if any(taken.setdefault(name, own) != own for name in server_names(listener)):
                yield listener.tls.origin


# --- Stores


def store_of(gateway: ir.Gateway, scope: ir.Scope) -> ir.Store | None:
    """Return the store in which the limits of a place count; None for the memory of each process."""
    named = ir.only(scope.policies, LimitStore)
    return next((s for s in gateway.stores if named and s.name == named.store), None)


def on_failure(gateway: ir.Gateway, scope: ir.Scope) -> str:
    """Return what happens at a place while its counters cannot be reached; where no Redis says it, calls pass: open."""
    store = store_of(gateway, scope)
    return store.on_failure if store and store.type == "redis" else "open"


def counting_stores(gateway: ir.Gateway) -> tuple[ir.Store, ...]:
    """Return the Redis stores in which limits count."""
    used = {
        s.name for scope in ir.scopes(gateway) if ir.every(scope.policies, Limit) and (s := store_of(gateway, scope))
    }
    return tuple(s for s in gateway.stores if s.type == "redis" and s.name in used)


def stores_without_limits(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A store in which no limit counts."""
    used = {
        s.name for scope in ir.scopes(gateway) if ir.every(scope.policies, Limit) and (s := store_of(gateway, scope))
    }
    yield from (s.origin for s in gateway.stores if s.name not in used)


def limits_without_a_redis(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """The first place with limits where no store of type redis says what happens while their counters cannot be reached."""
    for scope in ir.scopes(gateway):
        store, limits = store_of(gateway, scope), ir.every(scope.policies, Limit)
        if limits and not (store and store.type == "redis"):
            yield limits[0].origin[:-1]
            return


def limit_stores_in_memory(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A store for limits that is the memory of each process."""
    for scope in ir.scopes(gateway):
        store = store_of(gateway, scope)
        if store and store.type == "memory":
            yield from (x.origin for x in ir.every(scope.policies, LimitStore))


def limit_stores_that_differ(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """Limits of several places, not all in one store: where they name one, and the stores."""
    scopes = [s for s in ir.scopes(gateway) if ir.every(s.policies, Limit)]
    found = {store.name if store else "": store for s in scopes for store in (store_of(gateway, s),)}
    if len(found) > 1:
        yield from (x.origin for s in scopes for x in ir.every(s.policies, LimitStore))
        yield from (store.origin for store in found.values() if store)


def redis_authorities_from(gateway: ir.Gateway, sources: Sequence[str]) -> Iterator[Pointer]:
    """The authority of a Redis that comes from one of some sources."""
    for store in gateway.stores:
        if store.tls and store.tls.ca and store.tls.ca.source in sources:
            yield store.tls.ca.origin


def limits_in_memory_and_several_replicas(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """Limits that each of several replicas counts for itself."""
    if gateway.deployment.most_replicas > 1:
        for scope in ir.scopes(gateway):
            store = store_of(gateway, scope)
            if store is None or store.type == "memory":
                yield from (x.origin for x in ir.every(scope.policies, Limit))


# --- Secrets that a configuration names while running


def provider_secrets(provider: ir.Provider) -> Iterator[ir.SecretRef]:
    """Yield the secrets that are sent to a provider, or prove who calls it."""
    if provider.credential:
        yield provider.credential
    if provider.identity and provider.identity.client_secret:
        yield provider.identity.client_secret
    yield from (h.value for h in provider.own_headers if isinstance(h.value, ir.SecretRef))


def secrets_of(gateway: ir.Gateway, holder: str) -> Iterator[ir.SecretRef]:
    """Yield the secrets of all providers, of listeners (certificates and keys), or of the stores that count (passwords)."""
    if holder == "providers":
        yield from (r for p in gateway.providers for r in provider_secrets(p))
    elif holder == "listeners":
        yield from (r for x in gateway.listeners if x.tls for r in (x.tls.certificate, x.tls.key))
    else:
        yield from (s.password for s in counting_stores(gateway) if s.password)


# --- Limits and doors


def limits_that_observe(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A limit that refuses nothing."""
    for scope in ir.scopes(gateway):
        yield from (x.origin for x in ir.every(scope.policies, Limit) if x.on_exceeded == "observe")


def limits_without_requests(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A limit that counts tokens or cost, and no requests."""
    for scope in ir.scopes(gateway):
        yield from (x.origin for x in ir.every(scope.policies, Limit) if x.requests is None)


def doors(auth: ir.Auth) -> tuple[str, ...]:
    """Return the doors that are open: apiKey, basic, jwt."""
    found = (("apiKey", auth.api_key_headers), ("basic", auth.basic), ("jwt", auth.jwt))
    return tuple(name for name, open_ in found if open_)


def several_doors(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """More than one way for callers to say who they are."""
    if gateway.auth and len(doors(gateway.auth)) > 1:
        yield gateway.auth.origin


def issuers_beyond_the_first(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """Issuers of tokens after the first."""
    yield from (j.origin for j in (gateway.auth.jwt if gateway.auth else ())[1:])


def audiences_with_a_space(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """An issuer one of whose audiences has a space in it."""
    for issuer in gateway.auth.jwt if gateway.auth else ():
        if any(" " in audience for audience in issuer.audiences):
            yield issuer.origin


EDGES: Mapping[str, Callable[[ir.Gateway, Any], Iterator[Pointer]]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        trusted_proxies_that_differ,
        cors_that_differs,
        client_authorities_that_differ,
        client_authority_of_some,
        tls_versions_that_differ,
        certificates_of_one_name,
        stores_without_limits,
        limits_without_a_redis,
        limit_stores_in_memory,
        limit_stores_that_differ,
        redis_authorities_from,
        limits_in_memory_and_several_replicas,
        limits_that_observe,
        limits_without_requests,
        several_doors,
        issuers_beyond_the_first,
        audiences_with_a_space,
    )
}
"""Predicates for plan/conditions.py, which lists all there are."""
