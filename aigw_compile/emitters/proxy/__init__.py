"""The reference proxy: a gateway to proxy.json, which holds all that the proxy needs to know, provider facts included."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from aigw_compile import ir
from aigw_compile.document import Block, Document, at
from aigw_compile.emitters.proxy.models import model, provider
from aigw_compile.emitters.proxy.policies import policies
from aigw_compile.emitters.proxy.shared import client_tls, located, secret
from aigw_compile.plan import Plan


def emit(gateway: ir.Gateway, plan: Plan) -> tuple[Document, ...]:
    """Write the gateway as it stands in the IR: the proxy is the reference because it adds nothing."""
    body = Block(
        gateway.origin,
        {
            "version": 1,
            "gateway": at(gateway.name, ("metadata", "name")),
            "listeners": [_listener(x) for x in gateway.listeners],
            "operations": _operations(gateway.observability.operations),
            **({"front": _front(gateway.front)} if gateway.front else {}),
            "auth": _auth(gateway.auth, gateway.front),
            **({"stores": [_store(s) for s in gateway.stores]} if gateway.stores else {}),
            "vaults": [_vault(v) for v in gateway.vaults],
            "providers": [provider(p) for p in gateway.providers],
            "models": [model(m) for m in gateway.models],
            "consumers": [_consumer(c) for c in gateway.consumers],
            "consumerGroups": [
                Block(g.origin, {"name": g.name, "policies": policies(g.policies, g.origin)})
                for g in gateway.consumer_groups
            ],
            "policies": policies(gateway.policies, ("spec", "policies")),
            "observability": _observability(gateway.observability),
        },
    )
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    body["revision"] = digest[:16]
    return (Document("proxy.json", body),)


def _listener(x: ir.Listener) -> Block:
    fields: dict[str, Any] = {
        "name": x.name,
        "address": x.address,
        "port": x.port,
        "hostnames": [*x.hostnames],
        "basePath": x.base_path or "/",
        "maxBodySize": x.max_body_size,
    }
    if x.trusted_proxies:
        fields["trustedProxies"] = [*x.trusted_proxies]
    if x.tls:
        place = f"listeners[{x.name}].tls"
        parts = (("certificate", x.tls.certificate), ("key", x.tls.key), ("clientCA", x.tls.client_ca))
        secrets = {part: located(ref, f"{place}.{part}") for part, ref in parts if ref}
        fields["tls"] = Block(x.tls.origin, {**secrets, "minVersion": x.tls.min_version})
    if x.cors:
        c = x.cors
        lists = {"origins": [*c.origins], "methods": [*c.methods], "headers": [*c.headers]}
        fields["cors"] = Block(c.origin, {**lists, "credentials": c.credentials, "maxAge": c.max_age})
    return Block(x.origin, fields)


def _operations(o: ir.Operations) -> Block:
    return Block(o.origin, {"address": o.address, "port": o.port})


def _front(front: ir.Handover) -> dict[str, Any]:
    """Who keeps the edge, and what it is believed by. The spec says nothing of it: the project file does."""
    fields: dict[str, Any] = {
        "credential": {"secret": dict(secret(front.credential)), "place": "the credential of the front"},
        "header": front.header,
        "prefix": front.prefix,
        "addressHeader": front.address_header,
    }
    return fields | ({"consumerHeader": front.consumer_header} if front.consumer_header else {})


def _auth(auth: ir.Auth | None, front: ir.Handover | None) -> Block:
    if auth and front and front.consumer_header:
        return Block(auth.origin)
    if auth is None or auth.anonymous:
        return Block(auth.origin if auth else ("spec",), {"anonymous": True})
    doors: dict[str, Any] = {}
    if auth.api_key_headers:
        doors["apiKey"] = {"headers": [*auth.api_key_headers]}
    if auth.jwt:
        doors["jwt"] = [_jwt(j) for j in auth.jwt]
    if auth.basic:
        doors["basic"] = True
    return Block(auth.origin, doors)


def _jwt(j: ir.Jwt) -> Block:
    fields = {
        "name": j.name,
        "issuer": j.issuer,
        "audiences": [*j.audiences],
        "jwksUri": j.jwks_uri,
        "consumerClaim": j.consumer_claim,
        "groupsClaim": j.groups_claim,
        "groupMap": dict(j.group_map),
        "unknownConsumer": j.unknown_consumer,
    }
    return Block(j.origin, fields)


def _store(s: ir.Store) -> Block:
    if s.type == "memory":
        return Block(s.origin, {"name": s.name, "memory": True})
    redis: dict[str, Any] = {"address": s.address, "database": s.database, "username": s.username}
    if s.password:
        redis["password"] = located(s.password, f"stores[{s.name}].redis.auth.password")
    if s.tls:
        redis["tls"] = client_tls(s.tls, f"stores[{s.name}].redis.tls")
    return Block(s.origin, {"name": s.name, "redis": redis, "onFailure": s.on_failure})


def _vault(v: ir.Vault) -> Block:
    return Block(v.origin, {"name": v.name, "type": v.type, "settings": dict(v.settings), "refresh": v.refresh})


def _consumer(c: ir.Consumer) -> Block:
    credentials = [
        Block(k.origin, {"apiKey": secret(k.api_key), "place": _place(c, k, "apiKey")}) for k in c.credentials
    ]
    fields: dict[str, Any] = {
        "name": c.name,
        "groups": [*c.groups],
        "credentials": credentials,
        "policies": policies(c.policies, (*c.origin, "policies")),
    }
    if c.logins:
        fields["logins"] = [
            Block(
                x.origin,
                {"username": x.username, "password": secret(x.password), "place": _place(c, x, "basic.password")},
            )
            for x in c.logins
        ]
    return Block(c.origin, fields)


def _place(c: ir.Consumer, one: ir.Credential | ir.Login, field: str) -> str:
    """Where a credential stands; keys and passwords share a list."""
    return f"consumers[{c.name}].credentials[{one.origin[-1]}].{field}"


def _observability(o: ir.Observability) -> Block:
    return Block(
        o.origin,
        {
            "prometheus": o.prometheus and Block(o.prometheus.origin, {"port": o.prometheus.port}),
            "otlp": o.otlp and Block(o.otlp.origin, {"endpoint": o.otlp.endpoint, "sampling": o.otlp.sampling}),
            "accessLog": o.access_log
            and Block(o.access_log.origin, {"format": o.access_log.format, "payloads": o.access_log.payloads}),
        },
    )
