"""A gateway to Kong's declarative configuration: kong.yml, what belongs to its environment, and which secrets it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from aigw_compile import ir, kongblocks
from aigw_compile.document import At, Block, Document, at
from aigw_compile.emitters.common import secret_ref
from aigw_compile.kongblocks import EDITIONS, Blocks, Plugin, Route, Service, grouped, tags
from aigw_compile.plan import Plan

RENDERED = "kong.rendered.yml"
"""kong.yml with the consumers' keys and passwords, which take no reference in Kong."""


def emit(gateway: ir.Gateway, plan: Plan) -> tuple[Document, ...]:
    """Return kong.yml in the one nested shape that DB-less Kong and decK both read, environment.yaml and secrets.json."""
    blocks = kongblocks.make(gateway, plan, EDITIONS[plan.facts.profile])
    own = grouped(blocks.plugins, lambda p: "" if p.route or p.service else p.consumer)
    consumers = [_consumer(block, own.get(block["username"], ())) for block in blocks.consumers]
    mine = tags(gateway)
    body = Block(
        gateway.origin,
        {
            "_format_version": "3.0",
            "_transform": True,
            "vaults": [*blocks.vaults],
            "certificates": [*blocks.certificates],
            "services": [_service(s, blocks, mine) for s in blocks.services],
            "plugins": [p.block for p in own.get("", ()) if not (p.route or p.consumer or p.service)],
            "consumers": consumers,
        },
    )
    for name in ("vaults", "certificates", "plugins", "consumers"):
        if not body[name]:
            del body[name]
    environment = blocks.environment
    rendered = blocks.keys or blocks.passwords or blocks.credentials
    chosen = f"/kong/{RENDERED if rendered else 'kong.yml'}"
    environment["KONG_DECLARATIVE_CONFIG"] = at(chosen, ("spec", "auth"), ("spec", "consumers"))
    return (
        Document("kong.yml", body),
        Document("environment.yaml", environment),
        Document("secrets.json", _secrets(gateway, blocks, body)),
    )


def _service(service: Service, blocks: Blocks, tags: At) -> Block:
    """Where calls go; else a sink: the AI proxy replaces its address, and must not be reached without it."""
    url = urlsplit(service.url or "https://localhost")
    where = {"protocol": url.scheme, "host": url.hostname, "port": url.port or (443 if url.scheme == "https" else 80)}
    block = Block(service.origins[0], {"name": at(service.name, *service.origins), **where})
    if service.timing:
        block["retries"] = at(service.timing.dials, *service.origins)
        block["connect_timeout"] = at(service.timing.connect, *service.origins)
        block["write_timeout"] = at(service.timing.read, *service.origins)
        block["read_timeout"] = at(service.timing.read, *service.origins)
    else:
        block["retries"] = 0
    block["tags"] = tags
    plugins = [_scoped(p) for p in blocks.plugins if p.service == service.name]
    if plugins:
        block["plugins"] = plugins
    streams = bool(service.url)
    at_routes = grouped(blocks.plugins, lambda p: p.route)
    block["routes"] = [_route(route, at_routes.get(route.name, ()), tags, streams) for route in service.routes]
    return block


def _route(route: Route, plugins: Sequence[Plugin], tags: At, streams: bool) -> Block:
    """`streams`: answers are passed on as they come; where an AI plugin reads them it says so by itself."""
    block = Block(
        route.origin,
        {
            "name": at(route.name, route.origin, *route.when),
            "methods": [*route.methods],
            "paths": at([*route.paths], *route.paths_from),
            "protocols": ["http", "https"],
            "strip_path": False,
            "preserve_host": False,
            "request_buffering": True,
            "response_buffering": not streams,
            "tags": tags,
        },
    )
    if route.hosts:
        block["hosts"] = at([*route.hosts], *route.paths_from)
    block["plugins"] = [_scoped(p) for p in plugins]
    return block


def _scoped(plugin: Plugin) -> Block:
    """A plugin at a route; one that is for a consumer alone names it."""
    if not plugin.consumer:
        return plugin.block
    block = Block(plugin.block.origin)
    for key, value in plugin.block.placed().items():
        block[key] = value
        if key == "instance_name":
            block["consumer"] = plugin.consumer
    return block


def _consumer(consumer: Block, plugins: Sequence[Plugin]) -> Block:
    if plugins:
        consumer["plugins"] = [p.block for p in plugins]
    return consumer


def _secrets(gateway: ir.Gateway, blocks: Blocks, body: Block) -> dict[str, Any]:
    """Which secrets are asked for, and which files they go into; Kong fetches by itself what a vault of its own holds."""
    asked: dict[str, Any] = {}
    places = {block["username"]: index for index, block in enumerate(blocks.consumers)}
    rendered: dict[tuple[int, str], list[Any]] = {}
    mine = tags(gateway).value

    def ask(name: str, ref: ir.SecretRef, purpose: str, place: str) -> str:
        asked[name] = Block(ref.origin, {"ref": secret_ref(ref), "for": purpose, "place": place})
        return name

    for key in blocks.keys:
        who, at_ = key.consumer.name, f"credentials[{key.ref.origin[-2]}].apiKey"
        name = ask(f"consumer-{who}-{key.number}", key.ref, f"consumer {who}", f"consumers[{who}].{at_}")
        values = [{"key": {"$secret": name, "prefix": prefix}, "tags": mine} for prefix in key.prefixes]
        rendered.setdefault((places[who], "keyauth_credentials"), []).extend(values)
    for one in blocks.passwords:
        who, ref = one.consumer.name, one.login.password
        place = f"consumers[{who}].credentials[{ref.origin[-3]}].basic.password"
        name = ask(f"consumer-{who}-password-{one.number}", ref, f"consumer {who} password", place)
        value = {"username": one.login.username, "password": {"$secret": name}, "tags": mine}
        rendered.setdefault((places[who], "basicauth_credentials"), []).append(Block(one.login.origin, value))
    variables: dict[str, Any] = {}
    for wanted in blocks.wanted:
        if wanted.ref.source in ("env", "file"):
            name = ask(wanted.key, wanted.ref, wanted.purpose, wanted.place)
            variables[wanted.reference.variable] = {"$secret": name, "prefix": wanted.reference.prefix}
    files: list[Any] = []
    changes: list[Any] = [
        {"at": ["consumers", index, field], "value": value} for (index, field), value in rendered.items()
    ]
    instances = _instances(body)
    for sent in blocks.credentials:
        name = ask("front", sent.ref, "what stands behind Kong", "the credential of the front")
        added = {"headers": [{"$secret": name, "prefix": sent.prefix}]}
        changes.append({"at": [*instances[sent.instance], "config", "add"], "value": added})
    if changes:
        files.append({"path": RENDERED, "from": "kong.yml", "set": changes})
    if variables:
        files.append({"path": "secrets/environment.yaml", "body": variables})
    return {"version": 1, "gateway": gateway.name, "target": "kong", "secrets": asked, "files": files}


def _instances(body: Block) -> dict[str, list[str | int]]:
    """Where in kong.yml each plugin of a route is."""
    return {
        plugin["instance_name"]: ["services", s, "routes", r, "plugins", p]
        for s, service in enumerate(body["services"])
        for r, route in enumerate(service["routes"])
        for p, plugin in enumerate(route["plugins"])
    }
