"""A flat Kong file to a spec: models, providers, people, policies and listeners, each put where it says the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.importers.kong import doubles, edge, models, paths, people, policies, providers, secrets
from aigw_compile.importers.kong.leftover import leftovers
from aigw_compile.importers.kong.models import Model
from aigw_compile.importers.kong.secrets import Keeper
from aigw_compile.importers.kong.shape import Kong, running
from aigw_compile.kongblocks.names import GATEWAY_TAG, slugs
from aigw_compile.units import derived_name

Spec = dict[str, Any]
Made = tuple[Spec, dict[Pointer, str]]
"""A spec, and comments for its places."""


def spec(kong: Kong, name: str) -> Made | None:
    """Return the spec of a kong.yml; None where no route is answered by an AI plugin."""
    routes = models.answered(kong)
    keeper = Keeper(kong.record, secrets.vaults(kong.root))
    gateway = derived_name(name or _gateway(kong)) or "gateway"
    listing = _list_route(kong)
    bases, listed = _bases(kong, listing)
    made = [m for m in models.models(kong, keeper, routes, bases, listed) if m.targets]
    if not made:
        return None
    alive = [*dict.fromkeys(m.route for m in made)]
    bases = bases or _own_bases(kong, alive)
    whole = assembled(kong, keeper, gateway, made, bases, listing)
    pairs = {second: first for second, first in doubles.twins(kong, routes).items() if first in alive}
    doubles.compared(kong, pairs)
    alive = [r for r in kong.routes if r in alive or r in pairs]
    _ours(kong, listing, alive, made, pairs)
    _route_names(kong, made, pairs, listing, gateway, [str(m["name"]) for m in whole[0]["spec"]["models"]])
    leftovers(kong, alive, gateway)
    return whole


def assembled(
    kong: Kong, keeper: Keeper, gateway: str, made: list[Model], bases: Sequence[str], listing: str = "", key: str = ""
) -> Made:
    """Return the whole spec for some models. `key`: a header for keys where no plugin asks for any."""
    alive = [*dict.fromkeys(m.route for m in made)]
    doors = people.doors(kong, alive, gateway, key)
    folk = people.people(kong, keeper, doors)
    bodies, transformed = providers.written(kong, keeper, made, folk, doors)
    if "anonymous" in doors.auth and folk.consumers:
        for node in folk.places:
            kong.record.tell("AIG8107", "nobody is asked who they are, so that no caller is this consumer", node.at)
        folk.consumers.clear()
        folk.groups.clear()
    out: Spec = {}
    listeners = edge.listeners(kong, keeper, alive, bases, doors.headers)
    held = policies.policies(kong, keeper, made, bodies, folk, doors, out, listing)
    seen = edge.observability(kong, alive, gateway)
    vaults, vault_places = secrets.written(keeper)
    ordered: Spec = {"listeners": listeners}
    for key, value in (
        ("vaults", vaults),
        ("stores", out.get("stores")),
        ("providers", transformed),
        ("models", bodies),
        ("auth", doors.auth),
        ("consumerGroups", out.get("consumerGroups")),
        ("consumers", folk.consumers),
        ("policies", held),
        ("observability", seen),
    ):
        if value:
            ordered[key] = value
    whole: Spec = {
        "apiVersion": "aigw.dev/v1alpha1",
        "kind": "AIGateway",
        "metadata": {"name": gateway},
        "spec": ordered,
    }
    return whole, _comments(kong, ordered, made, folk, vault_places)


# --- Names


def _tags(kong: Kong) -> Iterable[str]:
    for holder in (*kong.services.values(), *kong.routes.values(), *kong.consumers.values()):
        yield from holder.node.seen("tags")


def _gateway(kong: Kong) -> str:
    """The gateway that our own tags name, else the service of the first model."""
    tagged = next((t.removeprefix(GATEWAY_TAG) for t in _tags(kong) if t.startswith(GATEWAY_TAG)), "")
    first = next((s.name for s in kong.services.values() if s.name), "")
    return tagged or first


def _list_route(kong: Kong) -> str:
    """The route that answers with a fixed list of models, as our build makes it; "" where there is none."""
    for key, route in kong.routes.items():
        found = [paths.plain(p) for p in route.node.seen("paths")]
        exact = bool(found) and all(p and p.exact and p.text.endswith(paths.MODELS) for p in found)
        if exact and running(kong, "request-termination", key):
            return key
    return ""


def _bases(kong: Kong, listing: str) -> tuple[list[str], list[str]]:
    if not listing:
        return [], []
    found = [paths.plain(p) for p in kong.routes[listing].node.texts("paths")]
    one = running(kong, "request-termination", listing)
    return [p.text.removesuffix(paths.MODELS) for p in found if p], models.listed(one) if one else []


def _own_bases(kong: Kong, routes: Sequence[str]) -> list[str]:
    """The base that all routes of models share; none where they differ."""
    found = {paths.called(kong.routes[r].node.texts("paths"), ()).bases for r in routes}
    return [*found.pop()] if len(found) == 1 else []


def _ours(kong: Kong, listing: str, alive: Sequence[str], made: Sequence[Model], pairs: Mapping[str, str]) -> None:
    """The list of models and the answer to browsers are made by every build: what says the same as that was read."""
    names = [n for m in made for n in (m.body["name"], *_list(m.body.get("aliases")))]
    if listing:
        one = running(kong, "request-termination", listing)
        assert one
        same = models.listed(one) == names
        if not same:
            kong.record.tell("AIG8104", "the gateway lists its models by itself", one.config.place("body"))
        one.config.usual("status_code", 200)
        one.config.usual("content_type", "application/json")
        _made_route(kong, listing, ["GET"])
    every = [p for r in (*alive, *([listing] if listing else [])) for p in kong.routes[r].node.seen("paths")]
    for key, route in kong.routes.items():
        one = running(kong, "request-termination", key)
        if key in alive or key == listing or one is None or route.node.raw("methods") != ["OPTIONS"]:
            continue
        if [*route.node.seen("paths")] != every:
            kong.record.tell("AIG8104", "browsers are answered wherever a model is", route.node.place("paths"))
        else:
            route.node.texts("paths")
        one.config.usual("status_code", 405, why="any other OPTIONS gets 405")
        one.config.usual("message", "method not allowed", why="the gateway words its own answer", code="AIG8104")
        _made_route(kong, key, ["OPTIONS"])


def _route_names(
    kong: Kong, made: Sequence[Model], pairs: Mapping[str, str], listing: str, gateway: str, names: Sequence[str]
) -> None:
    """Names that a build gives anyway need no word."""
    short = slugs(names)
    for model in made:
        _called(kong, model.route, re.escape(f"{gateway}-{short[model.name]}"))
        for second in (s for s, first in pairs.items() if first == model.route):
            models.quiet(kong.routes[second].node)
            _called(kong, second, re.escape(f"{gateway}-{short[model.name]}-messages") + "(-[0-9]+)?")
    for key, route in kong.routes.items():
        if key == listing:
            _called(kong, key, re.escape(gateway) + "-models(-list)?(-[0-9]+)?")
        elif route.node.raw("methods") == ["OPTIONS"]:
            _called(kong, key, re.escape(gateway) + "-preflights?(-[0-9]+)?")


def _called(kong: Kong, route: str, name: str) -> None:
    node = kong.routes[route].node
    own = node.raw("name")
    usual = own if isinstance(own, str) and re.fullmatch(name, own) else None
    node.usual("name", usual, why="routes are called after the gateway and the model", code="AIG8104")


def _made_route(kong: Kong, key: str, methods: list[Json]) -> None:
    node = kong.routes[key].node
    node.usual("methods", methods, why="this route is made by the build")
    models.quiet(node)
    node.usual("hosts", [*dict.fromkeys(h for r in kong.routes.values() if r.key != key for h in r.node.seen("hosts"))])


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _comments(
    kong: Kong, spec: Spec, made: Sequence[Model], folk: people.People, vaults: Sequence[Pointer]
) -> dict[Pointer, str]:
    """Where each piece came from."""
    source = kong.record.source
    where: Callable[[Pointer], str] = lambda at: f"line {source.span(at).line}"  # noqa: E731
    found: dict[Pointer, str] = {("spec", "listeners"): "ports are Kong's usual ones: look at KONG_PROXY_LISTEN"}
    for index, model in enumerate(made):
        route = kong.routes[model.route]
        found["spec", "models", index] = f"route {route.name or model.route}, {where(route.node.at)}".replace("\n", " ")
    for index, node in enumerate(folk.places if "consumers" in spec else ()):
        found["spec", "consumers", index] = where(node.at)
    for index, at in enumerate(vaults):
        if at:
            found["spec", "vaults", index] = where(at)
    return found
