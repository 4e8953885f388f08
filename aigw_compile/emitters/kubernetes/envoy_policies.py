"""Authentication, access and limits to Envoy Gateway's SecurityPolicy and BackendTrafficPolicy on the whole Gateway."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at
from aigw_compile.emitters.kubernetes.envoy_routes import CONSUMER_HEADER, ENVOY_API, MODEL_HEADER, TOTAL, names
from aigw_compile.emitters.kubernetes.objects import GATEWAY_API, Scene, ref
from aigw_compile.emitters.kubernetes.secrets import Secrets
from aigw_compile.plan.bounds import client_id
from aigw_compile.policies.limits import Limit

VALUES = 256
"""Values that one header match of an authorization rule takes (Envoy Gateway 1.9.0)."""


def ids(consumer: ir.Consumer) -> list[str]:
    """Return the client ids of a consumer: one for each of its keys, since Envoy Gateway knows one key for an id."""
    return [client_id(consumer, number) for number in range(len(consumer.credentials))]


def security(scene: Scene, secrets: Secrets) -> Iterator[Block]:
    """Yield the SecurityPolicy of the Gateway: who a caller is, and which models it may call."""
    gateway, spec = scene.gateway, Block(("spec", "auth"))
    spec["targetRefs"] = [ref(GATEWAY_API, "Gateway", gateway.name)]
    auth = gateway.auth
    if auth and auth.api_key_headers:
        spec["apiKeyAuth"] = Block(
            auth.origin,
            {
                "credentialRefs": [ref("", "Secret", name) for name in _clients(scene, secrets)],
                "extractFrom": [{"headers": [*auth.api_key_headers]}],
                "forwardClientIDHeader": CONSUMER_HEADER,
                "sanitize": True,
            },
        )
    rules = [*_access(scene)]
    borrowed = any(k.api_key.in_cluster for c in gateway.consumers for k in c.credentials)
    if borrowed:
        # A Secret of somebody else may hold further entries; each would be a client. Only the consumers are let in.
        known = [name for consumer in gateway.consumers for name in ids(consumer)]
        for part in _chunks(known):
            rules.append(Block(("spec", "consumers"), {"action": "Allow", "principal": _who(CONSUMER_HEADER, part)}))
    if rules:
        spec["authorization"] = {"defaultAction": "Deny" if borrowed else "Allow", "rules": rules}
    if len(spec) > 1:
        yield scene.object(spec.origin, ENVOY_API, "SecurityPolicy", gateway.name, spec)


def _clients(scene: Scene, secrets: Secrets) -> list[str]:
    """Return the Secrets with the clients' keys: data key = client id. The first is made, others are there already."""
    own = f"{scene.gateway.name}.clients"
    found = [own]
    secrets.secret(own, ("spec", "consumers"))
    for consumer in scene.gateway.consumers:
        for number, credential in enumerate(consumer.credentials):
            name = client_id(consumer, number)
            if not credential.api_key.in_cluster:
                secrets.put(own, name, secrets.consumer(consumer, number, credential.api_key))
            elif credential.api_key.property == name:
                found.append(credential.api_key.name)
    return list(dict.fromkeys(found))


def _access(scene: Scene) -> Iterator[Block]:
    """Rules in order, the first that matches decides: who may call a model, then nobody else."""
    for model in scene.gateway.models:
        if model.access is None or scene.plan.lost((*model.origin, "access")):
            continue
        origin = (*model.origin, "access")
        inside = [c for c in scene.gateway.consumers if ir.may_call(model, c)]
        named = {g for who in (model.access.allow, model.access.deny) if who for g in who.groups}
        groups = [g.origin for g in scene.gateway.consumer_groups if g.name in named]
        origins = [*(c.origin for c in inside), *groups]
        for called in ({"name": MODEL_HEADER, "values": part} for part in _chunks(names(model))):
            for part in _chunks([name for c in inside for name in ids(c)]):
                headers = [called, Block(origin, {"name": CONSUMER_HEADER, "values": at(part, *origins)})]
                yield Block(origin, {"action": "Allow", "principal": {"headers": headers}})
            if model.access.allow or scene.gateway.consumers:
                yield Block(origin, {"action": "Deny", "principal": {"headers": [called]}})


def _who(header: str, values: list[str]) -> dict[str, Any]:
    return {"headers": [{"name": header, "values": values}]}


def _chunks(values: list[str]) -> Iterator[list[str]]:
    yield from (values[start : start + VALUES] for start in range(0, len(values), VALUES))


def limits(scene: Scene) -> Iterator[Block]:
    """Yield the BackendTrafficPolicy of the Gateway with every limit; its counters are shared by all routes."""
    rules = [
        rule
        for scope in ir.scopes(scene.gateway)
        for limit in ir.every(scope.policies, Limit)
        if not scene.plan.lost(limit.origin)
        for rule in _rules(scene, scope, limit)
    ]
    if rules:
        spec = {
            "targetRefs": [ref(GATEWAY_API, "Gateway", scene.gateway.name)],
            "rateLimit": {"type": "Global", "global": {"rules": rules}},
        }
        yield scene.object(("spec",), ENVOY_API, "BackendTrafficPolicy", scene.gateway.name, spec)


def _rules(scene: Scene, scope: ir.Scope, limit: Limit) -> Iterator[Block]:
    """A rule for each counter that Envoy Gateway cannot make by itself, and for requests and tokens each."""
    gateway = scene.gateway
    for chosen in product(*_dimensions(gateway, scope, limit)):
        headers = [*_scope(gateway, scope), *chosen]
        unique = [h for n, h in enumerate(headers) if h not in headers[:n]]
        for field, amount in (("requests", limit.requests), ("tokens", limit.tokens)):
            if amount is None or scene.plan.lost((*limit.origin, field)):
                continue
            rule = Block(limit.origin)
            if unique:
                rule["clientSelectors"] = [{"headers": unique}]
            unit = limit.per.capitalize()
            rule["limit"] = Block(limit.origin, {"requests": at(amount, (*limit.origin, field)), "unit": unit})
            if field == "tokens":
                source = {"namespace": "io.envoy.ai_gateway", "key": TOTAL}
                request = {"from": "Number", "number": 0}
                rule["cost"] = {"request": request, "response": {"from": "Metadata", "metadata": source}}
            rule["shared"] = True
            yield rule


def _scope(gateway: ir.Gateway, scope: ir.Scope) -> Iterator[Block]:
    """The header that says whether a request is one of those that a limit speaks of."""
    if scope.kind == "model":
        yield from (_called(m) for m in gateway.models if m.name == scope.name)
    elif scope.kind == "group":
        yield from (_members(gateway, g) for g in gateway.consumer_groups if g.name == scope.name)
    elif scope.kind == "consumer":
        yield from (_keys(c) for c in gateway.consumers if c.name == scope.name)


def _dimensions(gateway: ir.Gateway, scope: ir.Scope, limit: Limit) -> Iterator[list[Block]]:
    """What has a counter of its own: the headers that tell the counters of one dimension apart."""
    if "model" in limit.by and scope.kind != "model":
        yield [_called(m) for m in gateway.models]
    if "group" in limit.by and scope.kind != "group":
        yield [_members(gateway, g) for g in gateway.consumer_groups]
    if "consumer" in limit.by and scope.kind != "consumer":
        if all(len(c.credentials) < 2 for c in gateway.consumers):
            yield [Block(limit.origin, {"name": CONSUMER_HEADER, "type": "Distinct", "invert": False})]
        else:
            inside = [c for c in gateway.consumers if scope.kind != "group" or scope.name in c.groups]
            yield [_keys(c) for c in inside if c.credentials]


def _called(model: ir.Model) -> Block:
    return _one_of(MODEL_HEADER, names(model), model.origin)


def _keys(consumer: ir.Consumer) -> Block:
    return _one_of(CONSUMER_HEADER, ids(consumer), consumer.origin)


def _members(gateway: ir.Gateway, group: ir.ConsumerGroup) -> Block:
    inside = [c for c in gateway.consumers if group.name in c.groups]
    origins = ((*c.origin, "groups") for c in inside)
    return _one_of(CONSUMER_HEADER, [name for c in inside for name in ids(c)], group.origin, *origins)


def _one_of(header: str, values: list[str], origin: Pointer, *others: Pointer) -> Block:
    """A header that has one of some values; all that match count together."""
    if len(values) == 1:
        kind, value = "Exact", values[0]
    else:
        kind, value = "RegularExpression", f"^({'|'.join(map(re.escape, values))})$"
    fields = {"name": header, "type": kind, "value": at(value, origin, *others), "invert": False}
    return Block(origin, fields)
