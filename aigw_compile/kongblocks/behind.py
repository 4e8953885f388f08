"""A gateway that keeps the edge to what hands its calls on: a route for each door of the language, and no AI plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from aigw_compile import ir
from aigw_compile.document import Block, at
from aigw_compile.kongblocks import access, edge, limits, names, routes
from aigw_compile.kongblocks.edition import PERIODS, Edition
from aigw_compile.kongblocks.plugin import Plugin, make
from aigw_compile.kongblocks.routes import Route, Service
from aigw_compile.plan import Plan, fits
from aigw_compile.policies.ip_restriction import IpRestriction

DOORS: Mapping[str, tuple[str, str]] = {
    "chat": ("POST", "/v1/chat/completions"),
    "messages": ("POST", "/v1/messages"),
    "count": ("POST", "/v1/messages/count_tokens"),
    "embeddings": ("POST", "/v1/embeddings"),
    "models": ("GET", "/v1/models"),
}
"""Every door of the language; also those that no model has, since what is behind says so in the client's dialect."""

CONNECT = 5.0
LAST_WORD = 5.0
"""Seconds beyond the longest request, in which what is behind says that its time is over."""
KONGS_OWN = (
    "x-consumer-id",
    "x-consumer-custom-id",
    "x-consumer-username",
    "x-credential-identifier",
    "x-anonymous-consumer",
)
"""Headers in which Kong tells who calls, and which it does not take away where it asks nobody (3.9.3, constants.lua)."""


class Credential(NamedTuple):
    """What has to be put into a plugin of a route when the secrets are there."""

    route: str
    instance: str
    ref: ir.SecretRef
    prefix: str
    """The header and all that stands before the secret, as request-transformer writes it."""


def listed(gateway: ir.Gateway, plan: Plan) -> tuple[Route, ...]:
    """Return a route for each door, and one for the preflights of browsers."""
    bases = tuple(dict.fromkeys(x.base_path for x in gateway.listeners))
    origins = tuple(x.origin for x in gateway.listeners)
    hosts = routes.hosts_of(gateway)
    made = []
    for door, (method, path) in DOORS.items():
        paths = tuple(names.only_path(base, path) for base in bases)
        plain = tuple(f"{base}{path}" for base in bases)
        made.append(Route(f"{gateway.name}-{door}", None, (method,), paths, hosts, ("spec",), origins, plain, door))
    browsers = [x.cors.origin for x in gateway.listeners if x.cors and not plan.lost(x.cors.origin)]
    if browsers:
        every = tuple(p for r in made for p in r.paths)
        shown = tuple(p for r in made for p in r.plain_paths)
        made.append(Route(f"{gateway.name}-preflight", None, ("OPTIONS",), every, hosts, browsers[0], origins, shown))
    return tuple(made)


def services(gateway: ir.Gateway, found: tuple[Route, ...]) -> tuple[Service, ...]:
    """Return the service for calls, and the one for what is no call and counts for no limit."""
    assert gateway.behind
    longest = gateway.models[0].timeouts
    read = fits.milliseconds(longest.request + LAST_WORD if longest.request else 0)
    timing = fits.Timing(fits.milliseconds(CONNECT), read, 0)
    calls = tuple(r for r in found if r.door and r.door != "models")
    others = tuple(r for r in found if r not in calls)
    return tuple(
        Service(name, timing, mine, (longest.origin,), gateway.behind.url)
        for name, mine in ((gateway.name, calls), (f"{gateway.name}-uncounted", others))
    )


def plugins(gateway: ir.Gateway, plan: Plan, edition: Edition, found: tuple[Route, ...]) -> Iterator[Plugin]:
    """Yield what stands at the routes and at the service for calls."""
    restricted = fits.with_own(gateway, IpRestriction)
    for route in found:
        if not route.door:
            yield access.refused(route)
            continue
        yield from edge.addresses(gateway, plan, route, restricted)
        yield _handing(gateway, route)
        if route.door != "models":
            yield edge.size(gateway, route)
    counting = edition._replace(limiters=(("rate-limiting", fits.Slot(PERIODS)),), token_limiters=())
    for plugin in limits.limits(gateway, plan, counting, ()):
        yield plugin._replace(service=gateway.name)


def _handing(gateway: ir.Gateway, route: Route) -> Plugin:
    """Take away what a client could be believed by, and write the true path; the credential is put in with the secrets.

    What is removed here and added later is never the client's: removing comes first (3.9.3, request-transformer/access.lua).
    """
    behind = gateway.behind
    assert behind
    own = [h for h in KONGS_OWN if h != behind.consumer_header]
    keys = [*(gateway.auth.api_key_headers if gateway.auth else ())]
    removed = [behind.header, *own, *(h for h in keys if h not in own), "cookie"]
    path = urlsplit(behind.url).path.rstrip("/") + DOORS[route.door][1]
    config = Block(("spec",), {"remove": {"headers": removed}, "replace": {"uri": path}})
    return make("request-transformer", f"{route.name}-hand", config, route.name)


def credentials(gateway: ir.Gateway, found: tuple[Route, ...]) -> tuple[Credential, ...]:
    """Return what the routes need of the secrets."""
    behind = gateway.behind
    assert behind
    prefix = f"{behind.header}:{behind.prefix}"
    return tuple(Credential(r.name, f"{r.name}-hand", behind.credential, prefix) for r in found if r.door)


def discreet(gateway: ir.Gateway, watching: Iterator[Plugin]) -> Iterator[Plugin]:
    """Yield the plugins of observability so that no log has a key that passes through: Kong hides `authorization` alone.

    A field whose expression gives nil is left out (3.9.3, pdk/log.lua, set_serialize_value).
    """
    assert gateway.behind
    passing = [h for h in gateway.behind.passing if h != "authorization"]
    for plugin in watching:
        if plugin.name == "file-log" and passing:
            hidden = {f"request.headers.{header}": "return nil" for header in passing}
            plugin.block["config"]["custom_fields_by_lua"] = at(hidden, ("spec", "auth", "apiKey", "headers"))
        yield plugin


def environment(gateway: ir.Gateway, block: Block) -> Block:
    """Return the environment without what only AI plugins need, and with the check of a certificate of what is behind."""
    assert gateway.behind
    del block["KONG_NGINX_HTTP_CLIENT_BODY_BUFFER_SIZE"]
    if gateway.behind.url.startswith("https:"):
        checks = {"": "on", "_DEPTH": edge.DEPTH}
        block.update({f"KONG_NGINX_PROXY_PROXY_SSL_VERIFY{end}": value for end, value in checks.items()})
        block["KONG_NGINX_PROXY_PROXY_SSL_TRUSTED_CERTIFICATE"] = edge.SYSTEM
    return block
