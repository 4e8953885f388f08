"""Shapes of a gateway that matter in Kubernetes: a Gateway of others, Secrets of one's own, doors and listeners that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.plan.bounds import door, provider_outside_dns, tls_to_an_address
from aigw_compile.policies.limits import Limit

TLS_PAIR = ("tls.crt", "tls.key")
"""Data keys of a Secret with a certificate and its key (kubernetes.io/tls)."""
CA = "ca.crt"
"""Data key of a Secret with the certificate of an authority."""


def held_as_pair(certificate: ir.SecretRef, key: ir.SecretRef) -> bool:
    """Say whether a certificate and its key are in one Secret of the cluster, as Kubernetes keeps them."""
    ours = [(ref.name, ref.property) for ref in (certificate, key)]
    return certificate.in_cluster and key.in_cluster and ours == [(certificate.name, name) for name in TLS_PAIR]


def _listeners(gateway: ir.Gateway) -> Iterator[Pointer]:
    for own in gateway.listeners:
        yield from ((*own.origin, field) for field in ("name", "port"))
        if own.max_body_size != 10 << 20:
            yield (*own.origin, "maxBodySize")
        if own.hostnames and not all(x.hostnames for x in gateway.listeners):
            yield (*own.origin, "hostnames")


def _deployment(gateway: ir.Gateway) -> Iterator[Pointer]:
    deployment = gateway.deployment
    place = deployment.kubernetes
    written = {
        (*deployment.origin, "replicas"): deployment.replicas > 1,
        (*deployment.origin, "autoscaling"): deployment.autoscaling,
        (*deployment.origin, "resources"): deployment.resources,
        (*deployment.origin, "kubernetes", "serviceAccount"): place and place.service_account,
        (*deployment.origin, "kubernetes", "disruptionBudget"): place and place.disruption_budget,
    }
    yield from (at for at, value in written.items() if value)


_PARTS: Mapping[str, Callable[[ir.Gateway], Iterator[Pointer]]] = {
    "tls": lambda g: ((*x.origin, "tls") for x in g.listeners if x.tls),
    "trustedProxies": lambda g: ((*x.origin, "trustedProxies") for x in g.listeners if x.trusted_proxies),
    "listeners": _listeners,
    "annotations": lambda g: iter([("metadata", "annotations")] if g.annotations else []),
    "observability": lambda g: (
        part.origin for part in (g.observability.prometheus, g.observability.otlp, g.observability.access_log) if part
    ),
    "deployment": _deployment,
    "auth": lambda g: iter([("spec", "auth")] if g.auth else []),
    "open": lambda g: iter(
        [("spec", "auth")] if g.auth and not g.auth.anonymous and not all(x.hostnames for x in g.listeners) else []
    ),
    "consumers": lambda g: (c.origin for c in g.consumers),
    "credentials": lambda g: (p.credential.origin for p in g.providers if p.credential),
    "place": lambda g: iter([(*g.deployment.kubernetes.origin, "gatewayRef")] if g.deployment.kubernetes else []),
}


def attached(gateway: ir.Gateway, what: str) -> Iterator[Pointer]:
    """A part (`what`) of a gateway that hangs on a Gateway which is there already."""
    place = gateway.deployment.kubernetes
    if place and place.gateway:
        yield from _PARTS[what](gateway)


def attached_without_routes(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A gateway on another Gateway of which no model can be reached, so that nothing hangs there."""
    place = gateway.deployment.kubernetes
    gone = {*provider_outside_dns(gateway, None), *tls_to_an_address(gateway, None)}
    if (
        place
        and place.gateway
        and all(m.origin in gone or gone >= {t.origin for t in m.targets} for m in gateway.models)
    ):
        yield ("spec",)


def attached_cors(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """CORS of a listener that differs from that of the first, where all listeners are those of another Gateway."""
    place = gateway.deployment.kubernetes
    if place and place.gateway:
        yield from ((*x.origin, "cors") for x in gateway.listeners[1:] if shared_cors(gateway) is not x.cors and x.cors)


def shared_cors(gateway: ir.Gateway) -> ir.Cors | None:
    """Return the CORS of the first listener."""
    return gateway.listeners[0].cors


def attached_limits_over_models(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A limit over several models, where policies stand at the routes of each."""
    place = gateway.deployment.kubernetes
    if place and place.gateway and len(gateway.models) > 1:
        for scope in ir.scopes(gateway):
            if scope.kind != "model":
                yield from (x.origin for x in ir.every(scope.policies, Limit) if "model" not in x.by)


def doors_beyond_the_first(gateway: ir.Gateway, which: str) -> Iterator[Pointer]:
    """A way to identify oneself (jwt, basic) beside one that comes before it (apiKey, jwt)."""
    auth = gateway.auth
    if auth is None:
        return
    if which == "jwt" and auth.jwt and auth.api_key_headers:
        yield (*auth.origin, "jwt")
    if auth.basic and (auth.api_key_headers or auth.jwt):
        if which == "basic":
            yield (*auth.origin, "basic")
        if which == "logins":
            yield from ((*x.origin, "basic") for c in gateway.consumers for x in c.logins)


def jwt_over(gateway: ir.Gateway, than: Mapping[str, int]) -> Iterator[Pointer]:
    """An issuer beyond the first `issuers`, with more than `audiences`, or with a text of more than `chars` characters."""
    for number, one in enumerate(gateway.auth.jwt if gateway.auth else ()):
        texts = (one.issuer, one.jwks_uri, one.consumer_claim, one.groups_claim)
        many = number >= than["issuers"] or len(one.audiences) > than["audiences"]
        if many or max(map(len, texts)) > than["chars"]:
            yield one.origin


def group_map_without_claim(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A map of groups of an issuer whose tokens name none."""
    issuers = gateway.auth.jwt if gateway.auth else ()
    yield from ((*one.origin, "groupMap") for one in issuers if one.group_map and not one.groups_claim)


def group_limits_by_token(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A limit of a group, or by group, where tokens say who is a member."""
    if gateway.auth and any(one.groups_claim for one in gateway.auth.jwt):
        for scope in ir.scopes(gateway):
            for limit in ir.every(scope.policies, Limit):
                if scope.kind == "group" or "group" in limit.by:
                    yield limit.origin


def secret_headers(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A header to a provider whose value is a secret."""
    yield from (h.origin for p in gateway.providers for h in p.own_headers if isinstance(h.value, ir.SecretRef))


def headers_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """Headers to a provider beyond the first `most`, or with an empty value."""
    for provider in gateway.providers:
        yield from (h.origin for n, h in enumerate(provider.own_headers) if n >= most or h.value == "")


def overrides_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """Fields that a target always sets, beyond the first `most`."""
    for model in gateway.models:
        for target in model.targets:
            if target.parameters:
                names = [*target.parameters.overrides][most:]
                yield from ((*target.parameters.origin, "overrides", name) for name in names)


def tls_without_effect(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """TLS settings of a provider that is called without TLS."""
    for provider in gateway.providers:
        tls = provider.tls
        if tls and not provider.base_url.startswith("https:"):
            yield tls.origin


def _asked_groups(gateway: ir.Gateway, models: Iterable[ir.Model], kinds: Sequence[str]) -> set[str]:
    """The groups for whom something holds: a policy of some kinds, or access to one of some models."""
    named = {g for m in models if m.access for who in (m.access.allow, m.access.deny) if who for g in who.groups}
    return named | {g.name for g in gateway.consumer_groups if any(p.kind in kinds for p in g.policies)}


def group_maps_without_effect(gateway: ir.Gateway, kinds: Sequence[str]) -> Iterator[Pointer]:
    """What a token calls a group for whom nothing holds; all that is said of groups where nothing holds for any."""
    asked = _asked_groups(gateway, (m for m in gateway.models if m.targets), kinds)
    for issuer in gateway.auth.jwt if gateway.auth else ():
        said = {"groupsClaim": issuer.groups_claim, "groupMap": issuer.group_map}
        if not asked:
            yield from ((*issuer.origin, field) for field, value in said.items() if value)
        elif issuer.groups_claim:
            unasked = (word for word, group in issuer.group_map.items() if group not in asked)
            yield from ((*issuer.origin, "groupMap", word) for word in unasked)


def groups_without_effect(gateway: ir.Gateway, kinds: Sequence[str]) -> Iterator[Pointer]:
    """A group to which nobody belongs, or for whom nothing holds: no policy of some kinds, no access, no limit by group."""
    tokens = bool(gateway.auth and any(one.groups_claim for one in gateway.auth.jwt))
    asked = _asked_groups(gateway, gateway.models, kinds)
    by_group = any("group" in x.by for scope in ir.scopes(gateway) for x in ir.every(scope.policies, Limit))
    for group in gateway.consumer_groups:
        members = [c for c in gateway.consumers if group.name in c.groups]
        if not (by_group or group.name in asked) or not (tokens or (members and door(gateway))):
            yield group.origin
            yield from ((*c.origin, "groups", c.groups.index(group.name)) for c in members)


def secrets_to_be_copied(gateway: ir.Gateway, where: str) -> Iterator[Pointer]:
    """Certificates and keys in Secrets of the cluster under other data keys than tls.crt, tls.key and ca.crt."""
    if where == "listeners":
        for listener in gateway.listeners:
            if listener.tls:
                yield from _copied((listener.tls.certificate, listener.tls.key), listener.tls.client_ca)
    else:
        for tls in (p.tls for p in gateway.providers if p.tls):
            yield from _copied((tls.certificate, tls.key) if tls.certificate and tls.key else None, tls.ca)


def _copied(pair: tuple[ir.SecretRef, ir.SecretRef] | None, authority: ir.SecretRef | None) -> Iterator[Pointer]:
    if pair and any(ref.in_cluster for ref in pair) and not held_as_pair(*pair):
        yield from (ref.origin for ref in pair)
    if authority and authority.in_cluster and authority.property != CA:
        yield authority.origin


def passwords_to_be_copied(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A user name whose password is in a Secret of the cluster, so that somebody has to put them together."""
    for consumer in gateway.consumers:
        yield from (x.origin for x in consumer.logins if x.password.in_cluster)


def secrets_from_vaults(gateway: ir.Gateway, where: str) -> Iterator[Pointer]:
    """A secret of listeners, headers, certificates or identities that is kept in a vault."""
    wanted = [(what, ref) for what, ref in ir.secrets(gateway) if ref.vault]
    yield from (ref.origin for what, ref in wanted if what.startswith(where))


def path_of_an_azure_address(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """An Azure OpenAI address that has a path."""
    for provider in gateway.providers:
        if provider.dialect == "azure-openai" and urlsplit(provider.base_url).path.strip("/"):
            yield (*provider.origin, "baseUrl")


def price_without_a_cost_limit(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A price of a target in a gateway without limits on cost."""
    limits = [x for scope in ir.scopes(gateway) for x in ir.every(scope.policies, Limit)]
    if all(x.cost is None for x in limits):
        prices = [t.price for m in gateway.models for t in m.targets]
        yield from (p.origin for p in prices if p and p.origin[-1:] == ("pricing",))


def plain_listeners_differ(gateway: ir.Gateway, field: str) -> Iterator[Pointer]:
    """Listeners without TLS of one port that differ in a field (maxBodySize, trustedProxies)."""
    for group in by_connection(gateway):
        if len({_VALUE[field](x) for x in group}) > 1:
            yield from ((*x.origin, field) for x in group)


_VALUE: Mapping[str, Callable[[ir.Listener], Any]] = {
    "maxBodySize": lambda x: x.max_body_size,
    "trustedProxies": lambda x: frozenset(x.trusted_proxies),
}


def by_connection(gateway: ir.Gateway) -> list[list[ir.Listener]]:
    """Return the listeners in groups that can only be told apart after a connection was made: without TLS, by port."""
    groups: dict[tuple[int, str], list[ir.Listener]] = {}
    for listener in gateway.listeners:
        groups.setdefault((listener.port, listener.name if listener.tls else ""), []).append(listener)
    return [*groups.values()]


_OWN = (
    attached,
    attached_without_routes,
    attached_cors,
    attached_limits_over_models,
    doors_beyond_the_first,
    jwt_over,
    group_map_without_claim,
    group_maps_without_effect,
    group_limits_by_token,
    secret_headers,
    headers_over,
    overrides_over,
    tls_without_effect,
    groups_without_effect,
    secrets_to_be_copied,
    passwords_to_be_copied,
    secrets_from_vaults,
    path_of_an_azure_address,
    price_without_a_cost_limit,
    plain_listeners_differ,
)
CLUSTER: Mapping[str, Callable[[ir.Gateway, Any], Iterator[Pointer]]] = {f.__name__.replace("_", "-"): f for f in _OWN}
"""Predicates for plan/conditions.py, which lists all there are."""
