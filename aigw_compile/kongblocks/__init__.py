"""A gateway and its plan to Kong's services, routes, consumers and plugin blocks, for whatever format holds them.

blocks = kongblocks.make(gateway, plan, EDITIONS["oss-3.9"])
blocks.services, .routes    names, paths, times; no plugin
blocks.plugins              each with the name of its route and of its consumer; "" is every one
blocks.consumers            username, acls; no keys: those are asked for by `blocks.credentials`
blocks.vaults               vault entities
blocks.environment          KONG_* variables for what a declarative configuration cannot hold
"""

from __future__ import annotations

from typing import NamedTuple

from aigw_compile import ir
from aigw_compile.document import Block
from aigw_compile.kongblocks import access, limits, prompts, routes, secrets, upstream, watch
from aigw_compile.kongblocks.edition import EDITIONS, Edition
from aigw_compile.kongblocks.names import TAG
from aigw_compile.kongblocks.plugin import Plugin
from aigw_compile.kongblocks.routes import Route, Service
from aigw_compile.kongblocks.secrets import Reference
from aigw_compile.plan import Plan


class Key(NamedTuple):
    """A key of a consumer: it is asked for `prefix` and the secret, as one text."""

    consumer: ir.Consumer
    number: int
    ref: ir.SecretRef
    prefixes: tuple[str, ...]


class Wanted(NamedTuple):
    """A provider's credential that has to be in Kong's environment: the variable holds `prefix` and the secret."""

    provider: ir.Provider
    ref: ir.SecretRef
    reference: Reference


class Blocks(NamedTuple):
    """All that Kong needs to know of a gateway."""

    services: tuple[Service, ...]
    routes: tuple[Route, ...]
    plugins: tuple[Plugin, ...]
    consumers: tuple[Block, ...]
    keys: tuple[Key, ...]
    vaults: tuple[Block, ...]
    wanted: tuple[Wanted, ...]
    environment: Block


def make(gateway: ir.Gateway, plan: Plan, edition: Edition) -> Blocks:
    """Return the blocks of a gateway. What `plan` says is lost is left out; nothing warns here."""
    listed = routes.routes(gateway)
    plugins: list[Plugin] = [*access.authentication(gateway), *watch.watch(gateway, plan)]
    for route in listed:
        if route.model is None:
            plugins.append(access.model_list(gateway, route))
            continue
        plugins += access.rules(gateway, plan, route)
        plugins.append(_size(gateway, route))
        plugins += prompts.prompts(gateway, plan, edition, route)
        plugins += upstream.upstream(gateway, plan, edition, route)
    plugins += limits.limits(gateway, plan, edition, listed)
    used = _providers(gateway, plan, edition)
    prefixes = access.credential_prefixes(gateway)
    credentials = [p.credential for p in used if p.credential]
    return Blocks(
        routes.services(gateway, edition),
        listed,
        tuple(plugins),
        tuple(access.consumers(gateway, plan)),
        tuple(Key(c, i, k.api_key, prefixes) for c in gateway.consumers for i, k in enumerate(c.credentials)),
        tuple(secrets.vaults(gateway, frozenset(c.vault.name for c in credentials if c.vault), edition)),
        tuple(
            Wanted(p, p.credential, found)
            for p in used
            if p.credential and (found := secrets.reference(p.credential, p.auth_prefix, edition)).variable
        ),
        watch.environment(gateway),
    )


def _providers(gateway: ir.Gateway, plan: Plan, edition: Edition) -> list[ir.Provider]:
    called = {t.provider.name for m in gateway.models for t in upstream.targets(m, plan, edition)}
    return [p for p in gateway.providers if p.name in called]


def _size(gateway: ir.Gateway, route: Route) -> Plugin:
    from aigw_compile.kongblocks.plugin import make as instance

    size = routes.body_size(gateway)
    fields = {"allowed_payload_size": size, "size_unit": "bytes", "require_content_length": False}
    return instance("request-size-limiting", f"{route.name}-size", Block(size.origins[0], fields), route.name)


__all__ = ["EDITIONS", "TAG", "Blocks", "Edition", "Key", "Plugin", "Reference", "Route", "Service", "Wanted", "make"]
