"""A gateway to the same gateway on this machine alone: loopback ports, mock providers; and a command line that calls it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from aigw_compile import ir

LOOPBACK = "127.0.0.1"


class Ports(NamedTuple):
    listeners: tuple[int, ...]
    operations: int
    metrics: int
    """The same as `operations` where the metrics stand there."""


def ports_of(gateway: ir.Gateway) -> Ports:
    """Return the ports that the spec asks for."""
    o = gateway.observability
    listeners = tuple(x.port for x in gateway.listeners)
    return Ports(listeners, o.operations.port, o.prometheus.port if o.prometheus else o.operations.port)


def locally(gateway: ir.Gateway, bases: Mapping[str, str], issuers: Mapping[str, str], ports: Ports) -> ir.Gateway:
    """Return the gateway with nothing but loopback in it: `bases` and `issuers` say where its providers and issuers are.

    Listeners speak plain HTTP, since a made-up secret is no certificate; traces go nowhere.
    """
    providers = {p.name: _provider(p, bases[p.name]) for p in gateway.providers}
    o = gateway.observability
    return gateway._replace(
        listeners=tuple(
            x._replace(address=LOOPBACK, port=port, tls=None)
            for x, port in zip(gateway.listeners, ports.listeners, strict=True)
        ),
        providers=tuple(providers.values()),
        models=tuple(
            m._replace(targets=tuple(t._replace(provider=providers[t.provider.name]) for t in m.targets))
            for m in gateway.models
        ),
        auth=gateway.auth
        and gateway.auth._replace(jwt=tuple(j._replace(jwks_uri=issuers[j.name]) for j in gateway.auth.jwt)),
        observability=o._replace(
            operations=o.operations._replace(address=LOOPBACK, port=ports.operations),
            prometheus=o.prometheus and o.prometheus._replace(port=ports.metrics),
            otlp=None,
        ),
    )


def _provider(provider: ir.Provider, base: str) -> ir.Provider:
    return provider._replace(base_url=base, tls=None, identity=None)


class _Caller(NamedTuple):
    """Somebody who can call: what curl is told, and what `access` looks at."""

    options: tuple[str, ...]
    consumer: ir.Consumer


def curl(gateway: ir.Gateway, state: Mapping[str, Any]) -> str | None:
    """Return a command line that calls a running gateway, or None where nobody could be found who may call a model of it.

    `state` is what a running gateway tells: listeners, and keys, logins and tokens by whose they are.
    """
    listener = gateway.listeners[0]
    for caller in _callers(gateway, state):
        model = next((m for m in _models(gateway) if ir.may_call(m, caller.consumer)), None)
        if model:
            door, body = _question(model)
            options = ["-H", "content-type: application/json", *caller.options]
            if listener.hostnames:
                options += ["-H", f"host: {listener.hostnames[0].replace('*', 'any')}"]
            url = f"{state['listeners'][listener.name]}{door}"
            return shlex.join(["curl", url, *options, "-d", json.dumps(body, ensure_ascii=False)])
    return None


def _models(gateway: ir.Gateway) -> list[ir.Model]:
    """Those that answer, first those that chat and have no last day."""
    answering = (m for m in gateway.models if m.priorities() and {"chat", "embeddings"} & {*m.capabilities})
    return sorted(answering, key=lambda m: ("chat" not in m.capabilities, bool(m.lifecycle and m.lifecycle.sunset)))


def _question(model: ir.Model) -> tuple[str, dict[str, Any]]:
    if "chat" in model.capabilities:
        return "/v1/chat/completions", {"model": model.name, "messages": [{"role": "user", "content": "hi"}]}
    return "/v1/embeddings", {"model": model.name, "input": "hi"}


def _callers(gateway: ir.Gateway, state: Mapping[str, Any]) -> Iterator[_Caller]:
    auth = gateway.auth
    nobody = ir.Consumer("", (), (), (), (), ())
    if auth is None or auth.anonymous:
        yield _Caller((), nobody)
        return
    for consumer in gateway.consumers:
        if consumer.name in state["keys"]:
            header, key = auth.api_key_headers[0], state["keys"][consumer.name]
            yield _Caller(("-H", f"{header}: {_bearer(header)}{key}"), consumer)
        if consumer.name in state["logins"]:
            yield _Caller(("-u", state["logins"][consumer.name]), consumer)
    known = {g.name for g in gateway.consumer_groups} | {
        name for m in gateway.models if m.access and m.access.allow for name in m.access.allow.groups
    }
    for whose, token in state.get("tokens", {}).items():
        # "somebody in traders (jwt entra)"
        named = next((c for c in gateway.consumers if whose.startswith(f"{c.name} ")), nobody)
        groups = tuple(name for name in known if f" in {name} (" in whose)
        yield _Caller(("-H", f"authorization: Bearer {token}"), named._replace(groups=(*named.groups, *groups)))


def _bearer(header: str) -> str:
    return "Bearer " if header == "authorization" else ""
