"""The reference proxy: a gateway to proxy.json, which holds all that the proxy needs to know, provider facts included."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, Document, at
from aigw_compile.plan import Plan
from aigw_compile.policies.limits import Limit
from aigw_compile.policies.prompt_decorator import Message, PromptDecorator
from aigw_compile.policies.prompt_guard import PromptGuard


def emit(gateway: ir.Gateway, plan: Plan) -> tuple[Document, ...]:
    """Write the gateway as it stands in the IR: the proxy is the reference because it adds nothing."""
    body = Block(
        gateway.origin,
        {
            "version": 1,
            "gateway": at(gateway.name, ("metadata", "name")),
            "listeners": [_listener(x) for x in gateway.listeners],
            "operations": _operations(gateway.observability.operations),
            "auth": _auth(gateway.auth),
            "vaults": [_vault(v) for v in gateway.vaults],
            "providers": [_provider(p) for p in gateway.providers],
            "models": [_model(m) for m in gateway.models],
            "consumers": [_consumer(c) for c in gateway.consumers],
            "consumerGroups": [
                Block(g.origin, {"name": g.name, "policies": _policies(g.policies, g.origin)})
                for g in gateway.consumer_groups
            ],
            "policies": _policies(gateway.policies, ("spec", "policies")),
            "observability": _observability(gateway.observability),
        },
    )
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    body["revision"] = digest[:16]
    return (Document("proxy.json", body),)


def _listener(x: ir.Listener) -> Block:
    fields = {
        "name": x.name,
        "address": x.address,
        "port": x.port,
        "hostnames": [*x.hostnames],
        "basePath": x.base_path or "/",
        "maxBodySize": x.max_body_size,
    }
    return Block(x.origin, fields)


def _operations(o: ir.Operations) -> Block:
    return Block(o.origin, {"address": o.address, "port": o.port})


def _auth(auth: ir.Auth | None) -> Block:
    if auth is None or auth.anonymous:
        return Block(auth.origin if auth else ("spec",), {"anonymous": True})
    return Block(auth.origin, {"apiKey": {"headers": [*auth.api_key_headers]}})


def _vault(v: ir.Vault) -> Block:
    return Block(v.origin, {"name": v.name, "type": v.type, "settings": dict(v.settings), "refresh": v.refresh})


def secret(ref: ir.SecretRef) -> Block:
    """A SecretRef as the language writes it."""
    if ref.vault:
        fields: dict[str, Any] = {"vault": ref.vault.name, "key": ref.name}
        fields |= {k: v for k, v in (("property", ref.property), ("version", ref.version)) if v}
    elif ref.source == "kubernetes":
        fields = {"kubernetes": {"name": ref.name, "key": ref.property}}
    else:
        fields = {ref.source: ref.name}
    return Block(ref.origin, fields)


def _provider(p: ir.Provider) -> Block:
    key = p.credential
    auth = {"header": p.auth_header, "prefix": p.auth_prefix, "secret": secret(key)} if key else None
    fields = {
        "name": p.name,
        "type": p.type,
        "dialect": p.dialect,
        "baseUrl": p.base_url,
        "auth": Block(key.origin, auth) if auth and key else None,
        "headers": dict(p.headers),
        "place": f"providers[{p.name}].auth.apiKey",
    }
    return Block(p.origin, fields)


def _model(m: ir.Model) -> Block:
    response = m.fallback.response
    static = response and Block(response.origin, {"status": response.status, "content": response.content})
    backoff = {"base": m.retries.backoff_base, "max": m.retries.backoff_max}
    fields = {
        "name": m.name,
        "aliases": [*m.aliases],
        "capabilities": [*m.capabilities],
        "targets": [
            Block(
                t.origin,
                {
                    "name": t.name,
                    "provider": t.provider.name,
                    "model": t.model,
                    "weight": t.weight,
                    "priority": t.priority,
                },
            )
            for t in m.targets
        ],
        "retries": Block(m.retries.origin, {"attempts": m.retries.attempts, "on": [*m.retries.on], "backoff": backoff}),
        "fallback": Block(m.fallback.origin, {"on": [*m.fallback.on], "response": static}),
        "timeouts": Block(
            m.timeouts.origin,
            {
                "connect": m.timeouts.connect,
                "firstByte": m.timeouts.first_byte,
                "idle": m.timeouts.idle,
                "request": m.timeouts.request,
            },
        ),
        "access": _access(m.access),
        "policies": _policies(m.policies, (*m.origin, "policies")),
    }
    return Block(m.origin, fields)


def _access(access: ir.Access | None) -> Block | None:
    if access is None:
        return None

    def who(w: ir.Who | None) -> Block | None:
        return w and Block(w.origin, {"groups": [*w.groups], "consumers": [*w.consumers]})

    origin = access.allow or access.deny
    return Block(origin.origin[:-1] if origin else (), {"allow": who(access.allow), "deny": who(access.deny)})


def _consumer(c: ir.Consumer) -> Block:
    credentials = [
        Block(k.origin, {"apiKey": secret(k.api_key), "place": f"consumers[{c.name}].credentials[{i}].apiKey"})
        for i, k in enumerate(c.credentials)
    ]
    fields = {
        "name": c.name,
        "groups": [*c.groups],
        "credentials": credentials,
        "policies": _policies(c.policies, (*c.origin, "policies")),
    }
    return Block(c.origin, fields)


def _policies(policies: ir.Policies, origin: Pointer) -> Block:
    block = Block(origin)
    if guard := ir.only(policies, PromptGuard):
        block["promptGuard"] = Block(
            guard.origin,
            {"deny": [*guard.deny], "allow": [*guard.allow], "roles": [*guard.roles], "scope": guard.scope},
        )
    if decorator := ir.only(policies, PromptDecorator):
        sides = {"prepend": _messages(decorator.prepend), "append": _messages(decorator.append)}
        block["promptDecorator"] = Block(decorator.origin, sides)
    if limits := ir.every(policies, Limit):
        block["limits"] = [
            Block(
                limit.origin,
                {
                    "name": limit.name,
                    "by": [*limit.by],
                    "per": limit.per,
                    "requests": limit.requests,
                    "tokens": limit.tokens,
                    "reserveOutput": limit.reserve_output,
                },
            )
            for limit in limits
        ]
    return block


def _messages(messages: tuple[Message, ...]) -> list[Block]:
    return [Block(m.origin, {"role": m.role, "content": m.content}) for m in messages]


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
