"""A gateway and its plan to Kong's services, routes, consumers and plugin blocks, for whatever format holds them.

blocks = kongblocks.make(gateway, plan, EDITIONS["oss-3.9"])
blocks.services, .routes    names, paths, times; no plugin
blocks.plugins              each with the name of its route and of its consumer; "" is every one
blocks.consumers            username, acls; no keys: those are asked for by `blocks.credentials`
blocks.passwords            the same for user names and their passwords
blocks.vaults               vault entities
blocks.certificates         certificates of listeners, with their server names
blocks.wanted               secrets that have to be in Kong's environment
blocks.credentials          what routes send to what stands behind Kong, where it hands its calls on
blocks.environment          KONG_* variables for what a declarative configuration cannot hold
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from aigw_compile import ir
from aigw_compile.document import Block, at
from aigw_compile.kongblocks import (
    access,
    behind,
    doors,
    edge,
    limits,
    names,
    prompts,
    routes,
    secrets,
    transformers,
    upstream,
    watch,
)
from aigw_compile.kongblocks.edition import EDITIONS, Edition
from aigw_compile.kongblocks.names import TAG, tags
from aigw_compile.kongblocks.plugin import Plugin, grouped, spread
from aigw_compile.kongblocks.routes import Route, Service
from aigw_compile.kongblocks.secrets import Reference
from aigw_compile.kongblocks.wanted import Wanted, wanted
from aigw_compile.kongblocks.wanted import uses as secret_uses
from aigw_compile.plan import Plan, fits
from aigw_compile.policies.ip_restriction import IpRestriction
from aigw_compile.policies.prompt_decorator import PromptDecorator
from aigw_compile.policies.prompt_guard import PromptGuard


class Key(NamedTuple):
    """A key of a consumer: it is asked for `prefix` and the secret, as one text."""

    consumer: ir.Consumer
    number: int
    ref: ir.SecretRef
    prefixes: tuple[str, ...]


class Password(NamedTuple):
    """A user name of a consumer, and the password that is asked for."""

    consumer: ir.Consumer
    number: int
    login: ir.Login


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
    passwords: tuple[Password, ...]
    certificates: tuple[Block, ...]
    credentials: tuple[behind.Credential, ...] = ()
    """What routes that hand calls on prove themselves with."""


def make(gateway: ir.Gateway, plan: Plan, edition: Edition) -> Blocks:
    """Return the blocks of a gateway. What `plan` says is lost is left out; nothing warns here."""
    handing = gateway.behind is not None
    listed = behind.listed(gateway, plan) if handing else routes.routes(gateway, plan, edition)
    watching = behind.discreet(gateway, watch.watch(gateway, plan)) if handing else watch.watch(gateway, plan)
    answering = behind.plugins if handing else _models
    services = behind.services(gateway, listed) if handing else routes.services(gateway, plan, edition)
    counting = {name for name, _ in (*edition.limiters, *edition.token_limiters)}
    made = (
        *doors.authentication(gateway, plan, edition),
        *edge.cors(gateway, plan),
        *watching,
        *answering(gateway, plan, edition, listed),
    )
    plugins = tuple(spread(gateway.name, [s.name for s in services], made, counting))
    at_route, of_caller = {r.name: (r.origin, *r.when) for r in listed}, {c.name: c.origin for c in gateway.consumers}
    for one in plugins:
        # Whether one can stand at a service or count over all models, every model decides.
        homes = (*at_route.get(one.route, (("spec", "models"),)), of_caller.get(one.consumer))
        one.block["instance_name"] = at(one.block["instance_name"], one.block.origin, *(x for x in homes if x))
    used = [*secret_uses(plan.left(gateway))]
    variables = watch.environment(gateway, plan, edition)
    prefixes = doors.credential_prefixes(gateway)
    named = frozenset(u.ref.vault.name for u in used if u.ref.vault)
    blocks = Blocks(
        services,
        listed,
        plugins,
        (*access.consumers(gateway, plan), *doors.nobodies(gateway, plan, edition)),
        tuple(
            Key(c, i, k.api_key, prefixes) for c in gateway.consumers for i, k in enumerate(c.credentials) if prefixes
        ),
        tuple(secrets.vaults(gateway, named, edition)),
        tuple(wanted(used, edition)),
        behind.environment(gateway, variables) if handing else variables,
        tuple(Password(c, i, x) for c in gateway.consumers for i, x in enumerate(c.logins)),
        tuple(edge.certificates(gateway, plan, edition)),
        behind.credentials(gateway, listed) if handing else (),
    )
    names.sign(gateway, [*(p.block for p in plugins), *blocks.consumers, *blocks.vaults, *blocks.certificates])
    return blocks


def _models(gateway: ir.Gateway, plan: Plan, edition: Edition, listed: tuple[Route, ...]) -> Iterator[Plugin]:
    """The plugins of models, each at its route, and those that count calls."""
    made = access.made_groups(gateway)
    restricted, guarded, decorated = (fits.with_own(gateway, x) for x in (IpRestriction, PromptGuard, PromptDecorator))
    for route in listed:
        if "OPTIONS" in route.methods:
            yield access.refused(route)
            continue
        yield from edge.addresses(gateway, plan, route, restricted)
        if route.model is None:
            yield access.model_list(gateway, route)
            continue
        yield from access.rules(plan, route, made)
        yield edge.size(gateway, route)
        yield from prompts.prompts(gateway, plan, edition, route, guarded, decorated)
        yield from transformers.transformers(gateway, plan, edition, route)
        yield from upstream.upstream(gateway, plan, edition, route)
    yield from limits.limits(gateway, plan, edition, listed)


__all__ = [
    "EDITIONS",
    "TAG",
    "Blocks",
    "Edition",
    "Key",
    "Password",
    "Plugin",
    "Reference",
    "Route",
    "Service",
    "Wanted",
    "grouped",
    "make",
    "tags",
]
