"""Authentication, access, addresses and CORS to Envoy Gateway's SecurityPolicy."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at, everywhere
from aigw_compile.emitters.kubernetes.envoy_names import CONSUMER_HEADER, ENVOY_API, MODEL_HEADER, names
from aigw_compile.emitters.kubernetes.envoy_routes import http_routes
from aigw_compile.emitters.kubernetes.gateways import sections
from aigw_compile.emitters.kubernetes.objects import GATEWAY_API, WHERE, Scene, cidr, duration, ref
from aigw_compile.emitters.kubernetes.secrets import Secrets, of_consumer, of_login
from aigw_compile.plan.bounds import client_id, door, known_as
from aigw_compile.policies.ip_restriction import IpRestriction

VALUES, CLAIMS = 256, 128
"""Values that one header match, and one claim, of an authorization rule takes (Envoy Gateway 1.9.0)."""

Principal = dict[str, Any]
Network = IPv4Network | IPv6Network


def security(scene: Scene, secrets: Secrets) -> Iterator[Block]:
    """Yield the SecurityPolicy of the Gateway: who a caller is, and which models it may call, from where.

    One for each listener where browsers may do different things there; at the routes on a Gateway of somebody else.
    """
    gateway = scene.gateway
    common = {**_doors(scene, secrets), **_authorization(scene)}
    target = ref(GATEWAY_API, "Gateway", gateway.name)
    if scene.attached:
        groups = [
            (gateway.name, [ref(GATEWAY_API, "HTTPRoute", name) for name in http_routes(scene)], gateway.listeners[0])
        ]
    elif len({_origins_apart(x.cors) for x in gateway.listeners}) == 1:
        groups = [(gateway.name, [target], gateway.listeners[0])]
    else:
        listed = sections(scene)
        groups = [
            (scene.name(own.name), [{**target, "sectionName": name} for x, name, _ in listed if x is own], own)
            for own in gateway.listeners
        ]
    aimed = (("spec", "models"), ("spec", "providers")) if scene.attached else (("spec", "listeners"),)
    for name, aims, listener in groups:
        spec = Block(("spec", "auth"), {"targetRefs": at(aims, *aimed, *WHERE), **common})
        if listener.cors:
            spec["cors"] = _cors(listener.cors)
        if aims and len(spec) > 1:
            yield scene.object(spec.origin, ENVOY_API, "SecurityPolicy", name, spec, annotations=_groups(gateway))


def _groups(gateway: ir.Gateway) -> dict[str, Any]:
    """Say to people who is in which group: in the rules, groups are written out as the names of their members."""
    members = {g.name: [c for c in gateway.consumers if g.name in c.groups] for g in gateway.consumer_groups}
    texts = [f"{name}: {', '.join(c.name for c in inside)}" for name, inside in members.items() if inside]
    places = [(*c.origin, "groups") for inside in members.values() for c in inside]
    return {"aigw.dev/groups": at("; ".join(texts), *places)} if texts else {}


def _origins_apart(cors: ir.Cors | None) -> Any:
    return cors and cors._replace(origin=())


def _cors(cors: ir.Cors) -> Block:
    block = Block(
        cors.origin,
        {
            "allowOrigins": [*cors.origins],
            "allowMethods": [*cors.methods],
            "allowHeaders": [*cors.headers],
            "allowCredentials": cors.credentials,
        },
    )
    if cors.max_age is not None:
        block["maxAge"] = duration(cors.max_age)
    return block


# --- who a caller is


def _doors(scene: Scene, secrets: Secrets) -> dict[str, Any]:
    """The one way in: a caller has to pass every one that a SecurityPolicy names."""
    auth, way = scene.gateway.auth, door(scene.gateway)
    if auth is None or not way:
        return {}
    if way == "apiKey":
        fields: dict[str, Any] = {
            "credentialRefs": [ref("", "Secret", name) for name in _clients(scene, secrets)],
            "extractFrom": [{"headers": [*auth.api_key_headers]}],
            "forwardClientIDHeader": CONSUMER_HEADER,
            "sanitize": True,
        }
        return {"apiKeyAuth": Block(auth.origin, fields)}
    if way == "basic":
        name = f"{scene.gateway.name}.users"
        logins = [(x, of_login(c, x)) for c in scene.gateway.consumers for x in c.logins if not x.password.in_cluster]
        secrets.htpasswd(name, logins)
        return {
            "basicAuth": Block(
                auth.origin, {"users": ref("", "Secret", name), "forwardUsernameHeader": CONSUMER_HEADER}
            )
        }
    return {"jwt": Block(auth.origin, {"providers": [_issuer(x) for x in auth.jwt if not scene.plan.lost(x.origin)]})}


def _issuer(jwt: ir.Jwt) -> Block:
    block = Block(jwt.origin, {"name": jwt.name, "issuer": jwt.issuer})
    if jwt.audiences:
        block["audiences"] = [*jwt.audiences]
    block["remoteJWKS"] = {"uri": jwt.jwks_uri, "cacheDuration": "300s"}
    block["claimToHeaders"] = [{"claim": jwt.consumer_claim, "header": CONSUMER_HEADER}]
    return block


def _clients(scene: Scene, secrets: Secrets) -> list[str]:
    """Return the Secrets with the clients' keys: data key = client id. The first is made, others are there already."""
    own = f"{scene.gateway.name}.clients"
    found = [own]
    secrets.secret(own, ("spec", "consumers"))
    for consumer in scene.gateway.consumers:
        for number, credential in enumerate(consumer.credentials):
            name = client_id(consumer, number)
            if not credential.api_key.in_cluster:
                secrets.put(own, name, credential.api_key, of_consumer(consumer, number))
            elif credential.api_key.property == name:
                found.append(credential.api_key.name)
    return list(dict.fromkeys(found))


# --- what a caller may


def _authorization(scene: Scene) -> dict[str, Any]:
    """Rules in order, the first that matches decides: addresses, then access to models, then who is known at all."""
    gateway = scene.gateway
    issuers = (
        [x for x in gateway.auth.jwt if not scene.plan.lost(x.origin)]
        if door(gateway) == "jwt" and gateway.auth
        else []
    )
    strangers = any(k.api_key.in_cluster for c in gateway.consumers for k in c.credentials) or bool(issuers)
    rules = [*_addresses(scene, issuers), *_access(scene, issuers)]
    if strangers:
        # A Secret of somebody else may hold further entries, a token may name anybody: only those are let in who are
        # consumers, or whose issuer the spec believes in this too.
        known = [name for consumer in gateway.consumers for name in known_as(gateway, consumer)]
        for who in _chunks(known):
            rules.append(Block(("spec", "consumers"), {"action": "Allow", "principal": _has(CONSUMER_HEADER, who)}))
        for issuer in issuers:
            if issuer.unknown_consumer == "accept":
                claim = {"name": "iss", "valueType": "String", "values": [issuer.issuer]}
                principal = {"jwt": {"provider": issuer.name, "claims": [claim]}}
                rules.append(Block(issuer.origin, {"action": "Allow", "principal": principal}))
    if not rules:
        return {}
    default = at("Deny" if strangers else "Allow", ("spec", "consumers"), *(x.origin for x in issuers))
    places = (("spec", kind) for kind in ("auth", "models", "consumers"))
    ruled = at(rules, *places, everywhere("ipRestriction"))
    return {"authorization": Block(("spec", "auth"), {"defaultAction": default, "rules": ruled})}


def _access(scene: Scene, issuers: list[ir.Jwt]) -> Iterator[Block]:
    """Who may call a model, then nobody else."""
    for model in scene.gateway.models:
        if model.access is None or scene.plan.lost((*model.origin, "access")):
            continue
        for called in _chunks(names(model)):
            yield from (_by_token if issuers else _by_name)(
                scene, model, model.access, _has(MODEL_HEADER, called), issuers
            )


def _by_name(
    scene: Scene, model: ir.Model, access: ir.Access, called: Principal, issuers: list[ir.Jwt]
) -> Iterator[Block]:
    gateway, origin = scene.gateway, (*model.origin, "access")
    inside = [c for c in gateway.consumers if ir.may_call(model, c)]
    named = {g for who in (access.allow, access.deny) if who for g in who.groups}
    groups = [g.origin for g in gateway.consumer_groups if g.name in named]
    origins = [("spec", "consumers"), ("spec", "auth"), *(c.origin for c in inside), *groups]
    for part in _chunks([name for c in inside for name in known_as(gateway, c)]):
        who = Block(origin, {"name": CONSUMER_HEADER, "values": at(part, *origins)})
        yield Block(origin, {"action": "Allow", "principal": {"headers": [*called["headers"], who]}})
    if access.allow or gateway.consumers:
        yield Block(origin, {"action": "Deny", "principal": called})


def _by_token(
    scene: Scene, model: ir.Model, access: ir.Access, called: Principal, issuers: list[ir.Jwt]
) -> Iterator[Block]:
    """With tokens, groups are those of the consumer and those that the token names; deny wins over both."""
    gateway, origin = scene.gateway, (*model.origin, "access")
    for who in _names_and_claims(gateway, access.deny, issuers):
        yield Block(
            origin, {"action": "Deny", "principal": {**who, "headers": called["headers"] + who.get("headers", [])}}
        )
    if access.allow is None:
        return
    known = [*_chunks([name for consumer in gateway.consumers for name in known_as(gateway, consumer)])]
    refuses = {x.name for x in issuers if x.unknown_consumer == "refuse"}
    for who in _names_and_claims(gateway, access.allow, issuers):
        # A token of a stranger is no better for the group that it names.
        within = known if who.get("jwt", {}).get("provider") in refuses else [None]
        for part in within:
            headers = (
                called["headers"] + who.get("headers", []) + (_has(CONSUMER_HEADER, part)["headers"] if part else [])
            )
            yield Block(origin, {"action": "Allow", "principal": {**who, "headers": headers}})
    yield Block(origin, {"action": "Deny", "principal": called})


def _names_and_claims(gateway: ir.Gateway, who: ir.Who | None, issuers: list[ir.Jwt]) -> Iterator[Principal]:
    """Yield the principals that consumers and groups stand for."""
    if who is None:
        return
    inside = [c for c in gateway.consumers if c.name in who.consumers or set(c.groups) & set(who.groups)]
    groups = [g.origin for g in gateway.consumer_groups if g.name in who.groups]
    origins = [("spec", "consumers"), ("spec", "auth"), *(c.origin for c in inside), *groups]
    for part in _chunks([name for c in inside for name in known_as(gateway, c)]):
        yield {"headers": [Block(who.origin, {"name": CONSUMER_HEADER, "values": at(part, *origins)})]}
    yield from _claims(who.groups, issuers, groups)


def _claims(groups: tuple[str, ...], issuers: list[ir.Jwt], origins: list[Pointer]) -> Iterator[Principal]:
    for issuer in issuers:
        mapped = (
            [value for value, group in issuer.group_map.items() if group in groups] if issuer.group_map else [*groups]
        )
        for part in _chunks(mapped, CLAIMS) if issuer.groups_claim else ():
            claim = {"name": issuer.groups_claim, "valueType": "StringArray", "values": part}
            yield {"jwt": Block(issuer.origin, {"provider": issuer.name, "claims": at([claim], *origins)})}


def _has(header: str, values: list[str]) -> Principal:
    return {"headers": [{"name": header, "values": values}]}


def _chunks(values: list[str], most: int = VALUES) -> Iterator[list[str]]:
    yield from (values[start : start + most] for start in range(0, len(values), most))


# --- from where


def _addresses(scene: Scene, issuers: list[ir.Jwt]) -> Iterator[Block]:
    """Refuse what is denied, and what is outside of what is allowed; a rule cannot say `not`, so that is written out."""
    for scope in ir.scopes(scene.gateway):
        for restriction in ir.every(scope.policies, IpRestriction):
            if scene.plan.lost(restriction.origin):
                continue
            for field, ranges in (("deny", restriction.deny), ("allow", outside(restriction.allow))):
                if ranges:
                    where = at([cidr(x) for x in ranges], (*restriction.origin, field))
                    for who in _whom(scene, scope, issuers):
                        principal = Block(restriction.origin, {**who, "clientCIDRs": where})
                        yield Block(restriction.origin, {"action": "Deny", "principal": principal})


def _whom(scene: Scene, scope: ir.Scope, issuers: list[ir.Jwt]) -> Iterator[Principal]:
    gateway = scene.gateway
    if scope.kind == "gateway":
        yield {}
    elif scope.kind == "model":
        called = next(names(m) for m in gateway.models if m.name == scope.name)
        yield from (_has(MODEL_HEADER, part) for part in _chunks(called))
    else:
        groups, consumers = ((), (scope.name,)) if scope.kind == "consumer" else ((scope.name,), ())
        yield from _names_and_claims(gateway, ir.Who(groups, consumers, scope.origin), issuers)


def outside(allowed: tuple[str, ...]) -> list[str]:
    """Return every address that is in none of some ranges, as ranges; [] where there are none.

    >>> outside(("0.0.0.0/1",))
    ['128.0.0.0/1', '::/0']
    """
    inside = [ip_network(text, strict=False) for text in allowed]
    found: list[str] = []
    for whole in (ip_network("0.0.0.0/0"), ip_network("::/0")) if inside else ():
        rest: list[Network] = [whole]
        for cut in inside:
            rest = [part for one in rest for part in _without(one, cut)]
        found += map(str, collapse_addresses(sorted(rest)))  # type: ignore[type-var]
    return found


def _without(one: Network, cut: Network) -> list[Network]:
    if one.version != cut.version or not one.overlaps(cut):
        return [one]
    return [] if one.subnet_of(cut) else [*one.address_exclude(cut)]  # type: ignore[arg-type]
