"""What of a Kong file belongs to no model, or has no place in the spec, to findings that say so in the words of Kong."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from aigw_compile import plugins
from aigw_compile.diagnostic import Json, Pointer, value_at
from aigw_compile.importers.kong.people import OTHERS
from aigw_compile.importers.kong.shape import VIRTUAL, Instance, Kong
from aigw_compile.importers.record import Node, leaves
from aigw_compile.kongblocks import TAG
from aigw_compile.kongblocks.names import gateway_tag
from aigw_compile.target import Release, release

# Kong documentation, the plugin hub; decK documentation, "File reference".

INSTEAD = {
    "proxy-cache": "`cache` keeps whole answers of a model; Kong's key holds no body",
    "proxy-cache-advanced": "`cache` keeps whole answers of a model; Kong's key holds no body",
    "ai-semantic-cache": "`cache` of type exact is there; semantic comes later",
    "ai-prompt-template": "`promptTemplates` come later",
    "correlation-id": "the gateway passes traceparent on",
    "http-log": "`accessLog` goes to the standard output: let a collector take it from there",
    "tcp-log": "`accessLog` goes to the standard output: let a collector take it from there",
    "udp-log": "`accessLog` goes to the standard output: let a collector take it from there",
    "syslog": "`accessLog` goes to the standard output: let a collector take it from there",
    "response-ratelimiting": "`limits` count requests, tokens and cost",
    "ai-model-selector": "the gateway finds a model by its name in the body",
}
GUARDS: tuple[str, ...] = (
    "ai-semantic-prompt-guard",
    "ai-semantic-response-guard",
    "ai-azure-content-safety",
    "ai-aws-guardrails",
    "ai-gcp-model-armor",
    "ai-lakera-guard",
    "ai-custom-guardrail",
    "ai-sanitizer",
    "bot-detection",
    "opa",
    "acl",
    "request-validator",
    "ip-restriction",
    "ai-prompt-guard",
    "rate-limiting",
    "rate-limiting-advanced",
    "ai-rate-limiting-advanced",
    "response-ratelimiting",
    *OTHERS,
)
READ: tuple[str, ...] = (
    "ai-proxy",
    "ai-proxy-advanced",
    "ai-prompt-guard",
    "ai-prompt-decorator",
    "ai-request-transformer",
    "cors",
    "ai-response-transformer",
    "request-transformer",
    "response-transformer",
    "request-termination",
    "acl",
    "key-auth",
    "basic-auth",
    "openid-connect",
    "ip-restriction",
    "rate-limiting",
    "rate-limiting-advanced",
    "file-log",
    "ai-rate-limiting-advanced",
    "request-size-limiting",
    "prometheus",
    "opentelemetry",
)


def leftovers(kong: Kong, alive: Sequence[str], gateway: str) -> None:
    """Tell what was left."""
    record = kong.record
    mine = {kong.routes[r].service for r in alive}
    touched = {at[:n] for at in record.read for n in range(1, len(at))}

    reached = {"", *alive, *(r.partition(VIRTUAL)[0] for r in alive)}

    def unread(one: Instance) -> bool:
        """Say whether nothing of its configuration was looked at."""
        return one.config.at not in touched and not record.covered(one.node.at)

    for plugin in kong.plugins:
        route, service = plugin.scope.route, plugin.scope.service
        foreign = route not in reached or (service and service not in mine and not route)
        if not foreign and not unread(plugin):
            _defaults(plugin)
        if plugin.name in READ and (foreign or not unread(plugin)):
            continue
        if foreign or record.covered(plugin.node.at):
            continue
        if plugin.name in READ:
            _quiet(plugin)
            code = "AIG8107" if plugin.name in GUARDS else "AIG8103"
            if plugin.config.data:
                record.tell(
                    code,
                    f"this {plugin.name} runs for no call of a model, or another one runs in its place",
                    plugin.node.at,
                )
            continue
        code = "AIG8107" if plugin.name in GUARDS else "AIG8103"
        hint = INSTEAD.get(plugin.name, "the language has nothing like it: keep it in Kong if it matters")
        if plugin.name == "ai-model-selector":
            code = "AIG8104"
        record.tell(code, f"{_shown(plugin.name)} has no place in the spec", plugin.node.at, hint)
    for key, service_ in kong.services.items():
        if key not in mine:
            record.tell("AIG8103", "no model is behind this service, so that it stays with Kong", service_.node.at)
        else:
            _sink(service_.node, gateway)
    for key, route_ in kong.routes.items():
        if key not in reached and not record.covered(route_.node.at) and not _made(record.read, route_.node):
            record.tell("AIG8103", "no AI plugin answers this route, so that it stays with Kong", route_.node.at)
    for kind, found in (("services", kong.services), ("routes", kong.routes), ("consumers", kong.consumers)):
        for entity in found.values():
            _entity_defaults(entity.node, kind)
    for plugin in kong.plugins:
        route, service = plugin.scope.route, plugin.scope.service
        foreign = route not in reached or (service and service not in mine and not route)
        if foreign and not record.covered(plugin.node.at) and unread(plugin):
            record.tell("AIG8103", "a plugin of a route or service without a model stays with Kong", plugin.node.at)
        _instance(plugin.node)
    _top(kong.root)
    _tags(kong, gateway)


def _defaults(plugin: Instance) -> None:
    """A dump holds every default of Kong: what stands there anyway and was not looked at means nothing."""
    record, config = plugin.node.record, plugin.config
    for at in leaves(config.at, config.data):
        if at in record.read or record.covered(at):
            continue
        path = at[len(config.at) :]
        for version in RELEASES:
            if default(plugin.name, config.data, path, version) == (value_at(path, config.data),):
                record.read.add(at)
                break


def _entity_defaults(node: Node, kind: str) -> None:
    for key, value in node.data.items():
        at = (*node.at, key)
        if at in node.record.read or node.record.covered(at) or isinstance(value, (dict, list)):
            continue
        rest = {k: v for k, v in node.data.items() if k != key and not isinstance(v, (dict, list))}
        if any(plugins.entity_filled(kind, rest, version).get(key) == value for version in RELEASES):
            node.record.read.add(at)


def default(name: str, config: Mapping[str, Json], path: Pointer, version: Release) -> tuple[Json] | None:
    """Return what Kong of a release puts where a configuration says nothing, in a tuple; None where it puts nothing."""
    without: Any = copy.deepcopy(dict(config))
    holder = value_at(path[:-1], without)
    if not isinstance(holder, dict):
        return None
    del holder[str(path[-1])]
    filled: Any = plugins.filled(name, without, version)
    held = value_at(path[:-1], filled)
    return (held[str(path[-1])],) if isinstance(held, dict) and str(path[-1]) in held else None


RELEASES = (release("oss-3.9"), release("enterprise-3.15"))


def _made(read: set[tuple[str | int, ...]], node: Node) -> bool:
    """Say whether a route is one that every build makes: its methods were looked at."""
    return (*node.at, "methods") in read


def _shown(name: str) -> str:
    plain = name.replace("-", "")
    return name if plain.isascii() and plain.isalnum() and len(name) < 50 else "this plugin"


def _quiet(plugin: Instance) -> None:
    plugin.config.usual("enabled", True)


def _sink(node: Node, gateway: str) -> None:
    """The address of a service before an AI plugin means nothing: the plugin calls the provider."""
    why = "the AI plugin calls the provider, so that the address of the service means nothing"
    for key, value in (("protocol", "https"), ("host", "localhost"), ("port", 443)):
        node.usual(key, value, why=why, code="AIG8104")
    for key in ("url", "path"):
        node.usual(key, why=why, code="AIG8104")
    for key in ("connect_timeout", "read_timeout", "write_timeout", "retries"):
        at = node.place(key)
        if node.raw(key) is not None and at not in node.record.read:
            node.usual(
                key,
                0 if key == "retries" else 60_000,
                why="the balancer of the AI plugin has the times",
                code="AIG8104",
            )
    node.usual("name", gateway, why="a service is called like the gateway", code="AIG8104")


def _instance(node: Node) -> None:
    why = "instances are named by the build"
    node.usual("instance_name", why=why, code="AIG8104")
    node.usual("protocols", ["grpc", "grpcs", "http", "https"], ["http", "https"], code="AIG8104")
    if isinstance(node.raw("ordering"), dict):
        node.record.tell("AIG8106", "the order of policies is that of the language", node.place("ordering"))
    for key in ("id",):
        if node.raw(key) is not None:
            node.record.alike("AIG8104", "ids are left out: names take their place", node.place(key))


def _top(root: Node) -> None:
    record = root.record
    root.usual("_format_version", "3.0", "2.1", "1.1", why="a format of Kong's that this importer does not know")
    root.usual(
        "_transform", True, why="passwords in the file are hashed; the spec names them in clear where they are kept"
    )
    for key, message in (
        ("_comment", "comments are not carried over"),
        ("_ignore", "what Kong ignores is not carried over"),
        ("_workspace", "a workspace is a matter of where decK writes to"),
        ("_konnect", "a control plane is a matter of where decK writes to"),
        ("upstreams", "the AI plugin calls the provider, so that no upstream is used"),
        ("targets", "the AI plugin calls the provider, so that no upstream is used"),
    ):
        if root.raw(key) is not None:
            code = "AIG8104" if key.startswith("_") else "AIG8103"
            record.tell(code, message, root.place(key))
    info = root.child("_info")
    for node in root.items("ai_models"):
        for key in ("name", "alias", "id"):
            if node.raw(key) is not None:
                record.alike("AIG8104", "models are made from the routes that answer for them", node.place(key))
    for key in ("select_tags", "default_lookup_tags"):
        if info.raw(key) is not None:
            record.tell("AIG8104", "which entities decK looks at is a matter of decK", info.place(key))


def _tags(kong: Kong, gateway: str) -> None:
    """Tags: ours say what the spec says; others have no place."""
    mine = (TAG, gateway_tag(gateway))
    rest: list[tuple[tuple[str | int, ...], object]] = [((), kong.record.source.data)]
    while rest:
        at, value = rest.pop()
        if isinstance(value, dict):
            tags = value.get("tags")
            place = (*at, "tags")
            if isinstance(tags, list) and len(at) >= 2:
                for index, tag in enumerate(tags):
                    if tag in mine:
                        kong.record.read.add((*place, index))
                    else:
                        code = ("AIG8104", "tags are not carried over: the build writes its own")
                        kong.record.alike(*code, (*place, index))
            rest += [((*at, key), inner) for key, inner in value.items() if key != "tags"]
        elif isinstance(value, list):
            rest += [((*at, index), inner) for index, inner in enumerate(value)]
