"""A kong.yml in either shape to one list each of services, routes, consumers, groups and plugins, with whose they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Json, did_you_mean
from aigw_compile.importers.record import Node, Record

# Kong 3.9.3, db/schema/others/declarative_config.lua: an entity stands at the top level, or in the list of the one that it
# belongs to. There a service is meant by name or id; decK has an object with either (decK's file schema).


class Scope(NamedTuple):
    """Whom a plugin is for: keys of entities, "" for everybody and everything."""

    service: str = ""
    route: str = ""
    consumer: str = ""
    group: str = ""


class Entity(NamedTuple):
    """A service, route, consumer or group: `key` tells it from all others of its kind."""

    key: str
    name: str
    node: Node
    service: str = ""


class Instance(NamedTuple):
    """A plugin and where it stands."""

    name: str
    node: Node
    config: Node
    scope: Scope

    @property
    def tags(self) -> list[str]:
        return self.node.seen("tags")


class Kong(NamedTuple):
    """A file, flat."""

    root: Node
    services: dict[str, Entity]
    routes: dict[str, Entity]
    consumers: dict[str, Entity]
    groups: dict[str, Entity]
    plugins: list[Instance]
    members: dict[str, list[tuple[str, Node]]]
    """Consumer -> acl groups, each with its place."""
    in_groups: dict[str, list[str]]
    """Consumer -> its consumer groups."""
    looked: dict[str, Any]
    """What was looked up before, with how many entries there were then."""

    @property
    def record(self) -> Record:
        return self.root.record


_NAMES = {"services": "name", "routes": "name", "consumers": "username", "consumer_groups": "name"}
VIRTUAL = "\0"
"""Between the key of a route and the name of a model that has plugins of its own there (decK, plugins.model)."""
_LISTS = {"service": "services", "route": "routes", "consumer": "consumers", "consumer_group": "consumer_groups"}
_FIELDS = tuple(_LISTS)


def on(node: Node, what: str) -> bool:
    """Say whether an entity is enabled; one that is not is told."""
    if node.flag("enabled", True):
        return True
    node.record.tell("AIG8112", f"this {what} is switched off, and left out", node.at)
    return False


def flat(root: Node) -> Kong:
    """Return all entities that AI plugins may concern."""
    defaults = root.child("_info").child("defaults")
    kong = Kong(root, {}, {}, {}, {}, [], {}, {}, {})

    def below(node: Node, kind: str) -> Node:
        inner = defaults.child(kind)
        return Node(node.record, node.at, node.data, inner) if inner.data else node

    for node in root.items("services"):
        if on(node, "service"):
            _entity(kong.services, "services", below(node, "service"))
    for service in [*kong.services.values()]:
        for node in service.node.items("routes"):
            _entity(kong.routes, "routes", below(node, "route"), service.key)
    for node in root.items("routes"):
        _entity(kong.routes, "routes", below(node, "route"), _meant(kong, node, "service"))
    for node in root.items("consumers"):
        _entity(kong.consumers, "consumers", node)
    for node in root.items("consumer_groups"):
        _entity(kong.groups, "consumer_groups", node)
    _memberships(kong)
    kong.plugins.extend(_plugins(kong))
    return kong


def _entity(found: dict[str, Entity], kind: str, node: Node, service: str = "") -> None:
    name = node.text(_NAMES[kind]) or (node.text("custom_id") if kind == "consumers" else "")
    raw = node.raw("id")
    if isinstance(raw, (str, int)):
        node.record.alike("AIG8104", "ids are left out: names take their place", node.place("id"))
    key = name or (str(raw) if raw else "") or f"#{node.at[-1]}" + "".join(f"-{s}" for s in node.at[:-1])
    if key in found:
        node.record.tell("AIG8102", "another one has this name already, and Kong would refuse the file", node.at)
        return
    found[key] = Entity(key, name, node, service)


def _table(kong: Kong, field: str) -> dict[str, Entity]:
    by = {"service": kong.services, "route": kong.routes, "consumer": kong.consumers, "consumer_group": kong.groups}
    return by[field]


def meant(kong: Kong, field: str, value: Json) -> str:
    """Return the key of the entity that has a name or an id; "" where there is none."""
    table = _table(kong, field)
    size, names = kong.looked.get(field, (-1, {}))
    if size != len(table):
        names = {}
        for e in table.values():
            for name in (e.key, e.name, e.node.raw("id")):
                if name and isinstance(name, (str, int)):
                    names.setdefault(name, e.key)
        kong.looked[field] = (len(table), names)
    return str(names.get(value, "")) if isinstance(value, (str, int)) else ""


def _meant(kong: Kong, node: Node, field: str) -> str:
    """The key of the entity that a field names, by name, id or an object with either; "" where there is none."""
    value: Json = node.raw(field)
    at = node.place(field)
    if isinstance(value, dict):
        inner = node.child(field)
        key = next((k for k in ("name", "username", "id") if isinstance(inner.raw(k), str)), "")
        value, at = inner.secret(key) if key else None, inner.place(key) if key else at
    else:
        value = node.secret(field)
    if not value:
        return ""
    table = _table(kong, field)
    found = meant(kong, field, value)
    if not found:
        known = [e.name for e in table.values() if e.name]
        hint = did_you_mean(str(value), known) if known else f"the file has no {_LISTS[field]}"
        kong.record.tell("AIG8108", f"there is no such {field.replace('_', ' ')} in this file", at, hint)
        return "\0"
    return found


def _memberships(kong: Kong) -> None:
    for consumer in kong.consumers.values():
        kong.members[consumer.key] = [(n.text("group"), n) for n in consumer.node.items("acls")]
        named = consumer.node.items("groups")
        kong.in_groups[consumer.key] = [n.text("name") for n in named]
    for node in kong.root.items("acls"):
        key = _meant(kong, node, "consumer")
        if key in kong.members:
            kong.members[key].append((node.text("group"), node))
    for group in kong.groups.values():
        for node in group.node.items("consumers"):
            key = meant(kong, "consumer", node.text("username"))
            if key:
                kong.in_groups[key].append(group.name)
            else:
                kong.record.tell("AIG8108", "there is no such consumer in this file", node.at)
    known = {g.name for g in kong.groups.values()}
    for key, names in kong.in_groups.items():
        for name in names:
            if name not in known:
                kong.groups[name] = Entity(name, name, kong.consumers[key].node)
                known.add(name)


def _plugins(kong: Kong) -> Iterator[Instance]:
    shared = kong.root.child("_plugin_configs")

    def made(node: Node, scope: Scope) -> Iterator[Instance]:
        name = node.text("name")
        given = {}
        for field in _FIELDS:
            meant = _meant(kong, node, field)
            if meant == "\0":
                kong.record.tell("AIG8103", "a plugin of something that is not in this file is left out", node.at)
                return
            given[field] = meant
        model = node.secret("model")
        route = given["route"] or scope.route
        if model and route in kong.routes:
            given["route"] = f"{route}{VIRTUAL}{model}"
            kong.routes.setdefault(given["route"], kong.routes[route]._replace(key=given["route"]))
        own = Scope(given["service"], given["route"], given["consumer"], given["consumer_group"])
        scope = Scope(*(mine or outer for mine, outer in zip(own, scope, strict=True)))
        if not on(node, "plugin"):
            return
        config = node.child("config")
        if label := node.text("_config"):
            base = shared.child(label)
            config = Node(config.record, config.at, config.data, base)
        if name:
            yield Instance(name, node, config, scope)
        else:
            kong.record.tell("AIG8102", "a plugin needs a name", node.at)

    def nested(entities: Sequence[Entity], kind: str) -> Iterator[Instance]:
        for entity in entities:
            for node in entity.node.items("plugins"):
                scope = {kind: entity.key}
                yield from made(node, Scope(**scope))

    yield from nested([*kong.services.values()], "service")
    yield from nested([r for r in [*kong.routes.values()] if VIRTUAL not in r.key], "route")
    yield from nested([*kong.consumers.values()], "consumer")
    yield from nested([g for g in kong.groups.values() if g.node.at[:1] != ("consumers",)], "group")
    for node in kong.root.items("plugins"):
        yield from made(node, Scope())


_RANK: tuple[str, ...] = (
    "consumer+route+service",
    "group+route+service",
    "consumer+route",
    "consumer+service",
    "group+route",
    "group+service",
    "route+service",
    "consumer",
    "group",
    "route",
    "service",
    "",
)
"""Which instance of a plugin runs, the first that is there (Kong documentation, "Plugin precedence"; 3.9.3, plugins_iterator.lua)."""


def _candidates(kong: Kong, name: str, routes: set[str], consumers: set[str]) -> Iterator[Instance]:
    size, index = kong.looked.get("plugins", (-1, {}))
    if size != len(kong.plugins):
        index = {}
        for one in kong.plugins:
            index.setdefault((one.name, one.scope.route, one.scope.consumer), []).append(one)
        kong.looked["plugins"] = (len(kong.plugins), index)
    for route in routes:
        for consumer in consumers:
            yield from index.get((name, route, consumer), ())


def running(kong: Kong, name: str, route: str, consumer: str = "", groups: Sequence[str] = ()) -> Instance | None:
    """Return the one instance of a plugin that runs for a call."""
    service = kong.routes[route].service
    whole = route.partition(VIRTUAL)[0]
    best: tuple[tuple[int, bool], Instance] | None = None
    for one in _candidates(kong, name, {"", route, whole}, {"", consumer}):
        s = one.scope
        if s.service not in ("", service) or (s.group and s.group not in groups):
            continue
        parts = [p for p in ("consumer", "group", "route", "service") if getattr(s, p)]
        label = "+".join(p for p in ("consumer", "group") if p in parts)
        rest = "+".join(p for p in ("route", "service") if p in parts)
        key = "+".join(x for x in (label, rest) if x)
        rank = (_RANK.index(key) if key in _RANK else 0, s.route != route)
        if best is None or rank < best[0]:
            best = (rank, one)
    return best[1] if best else None
