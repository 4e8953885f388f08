"""What a listener does before it asks who calls: the address of the caller, CORS, and which addresses may call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from typing import Any, NamedTuple

from aigw_compile import ir
from aigw_compile.document import Block, at
from aigw_compile.emitters.envoy import wire
from aigw_compile.policies.ip_restriction import IpRestriction

POLICY = "address"
"""How the names of the policies begin; local replies tell a refused address by it."""
_EXPOSED = "retry-after, x-aigw-attempts, x-aigw-fallback, x-aigw-target, deprecation, sunset"


def addressing(own: ir.Listener) -> dict[str, Any]:
    """Return how a connection manager finds the caller's address: its own, or what a trusted proxy says."""
    if not own.trusted_proxies:
        return {"use_remote_address": True}
    kind = "envoy.extensions.http.original_ip_detection.xff.v3.XffConfig"
    origin = (*own.origin, "trustedProxies")
    cidrs = at([cidr for text in own.trusted_proxies for cidr in _both(text)], origin)
    fields = {"xff_trusted_cidrs": Block(origin, {"cidrs": cidrs}), "skip_xff_append": True}
    found = wire.extension(origin, "envoy.http.original_ip_detection.xff", kind, fields)
    return {"use_remote_address": False, "original_ip_detection_extensions": [found]}


def _cidr(text: str) -> dict[str, Any]:
    network = ip_network(text, strict=False)
    return {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen}


def _both(text: str) -> tuple[dict[str, Any], ...]:
    """An IPv4 network as itself and as IPv6 maps it (RFC 4291, 2.5.5.2): a proxy may write either, and Envoy compares as written."""
    network = ip_network(text, strict=False)
    if network.version == 6:
        return (_cidr(text),)
    return _cidr(text), _cidr(f"::ffff:{network.network_address}/{96 + network.prefixlen}")


def cors_filter(own: ir.Listener, cors: ir.Cors) -> Block:
    return wire.extension(cors.origin, "cors", wire.HTTP + "cors.v3.Cors")


def cors_policy(cors: ir.Cors, exposed: Sequence[str] = ()) -> Block:
    """Return what browsers may do, for the virtual host."""
    origin = cors.origin
    fields = Block(
        origin,
        {
            "allow_origin_string_match": at([{"exact": o} for o in cors.origins], (*origin, "origins")),
            "allow_methods": at(", ".join(cors.methods), (*origin, "methods")),
            "expose_headers": ", ".join((_EXPOSED, *exposed)),
            "allow_credentials": at(cors.credentials, (*origin, "credentials")),
        },
    )
    if cors.headers:
        fields["allow_headers"] = at(", ".join(cors.headers), (*origin, "headers"))
    if cors.max_age is not None:
        fields["max_age"] = at(str(int(cors.max_age)), (*origin, "maxAge"))
    return wire.typed(origin, wire.HTTP + "cors.v3.CorsPolicy", fields)


class Placed(NamedTuple):
    """A restriction and the place where it stands; `number` names it."""

    number: int
    scope: ir.Scope
    restriction: IpRestriction


def placed(gateway: ir.Gateway) -> tuple[Placed, ...]:
    """Return every restriction that refuses any address, outermost first."""
    found = [(s, r) for s in ir.scopes(gateway) for r in ir.every(s.policies, IpRestriction) if r.allow or r.deny]
    return tuple(Placed(number, scope, restriction) for number, (scope, restriction) in enumerate(found))


def rbac(name: str, restrictions: tuple[Placed, ...], *kinds: str) -> Iterator[Block]:
    """Yield the filter that refuses addresses by the restrictions at certain kinds of places, if there are any."""
    mine = [r for r in restrictions if r.scope.kind in kinds]
    policies = {
        f"{POLICY}-{r.number}": Block(
            r.restriction.origin, {"permissions": [{"any": True}], "principals": [*_principals(r)]}
        )
        for r in mine
    }
    if policies:
        rules = {"rules": {"action": "DENY", "policies": policies}}
        yield wire.extension(mine[0].restriction.origin, name, wire.HTTP + "rbac.v3.RBAC", rules)


def _principals(r: Placed) -> Iterator[Block]:
    restriction = r.restriction
    for side, origin in (("deny", (*restriction.origin, "deny")), ("allow", (*restriction.origin, "allow"))):
        cidrs = [{"remote_ip": cidr} for text in getattr(restriction, side) for cidr in _both(text)]
        if not cidrs:
            continue
        inside: dict[str, Any] = cidrs[0] if len(cidrs) == 1 else {"or_ids": {"ids": cidrs}}
        refused = inside if side == "deny" else {"not_id": inside}
        who = _who(r.scope)
        yield Block(origin, {"and_ids": {"ids": [who, refused]}} if who else refused)


def _who(scope: ir.Scope) -> dict[str, Any] | None:
    """Whom a place means: what caller.lua and request.lua noted about the request."""
    exact = {"string_match": {"exact": scope.name}}
    if scope.kind == "gateway":
        return None
    if scope.kind == "group":
        return _noted("aigw.caller", "groups", {"list_match": {"one_of": exact}})
    return _noted("aigw", scope.kind, exact)


def _noted(namespace: str, key: str, value: dict[str, Any]) -> dict[str, Any]:
    matcher = {"filter": namespace, "path": [{"key": key}], "value": value}
    return {"sourced_metadata": {"metadata_matcher": matcher, "metadata_source": "DYNAMIC"}}
