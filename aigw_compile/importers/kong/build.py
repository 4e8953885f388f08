"""A flat Kong file to a spec: models, providers, people, policies and listeners, each put where it says the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.importers.kong import counts, edge, guards, models, patterns, paths, people, placing, secrets, targets
from aigw_compile.importers.kong.leftover import leftovers
from aigw_compile.importers.kong.models import Model
from aigw_compile.importers.kong.secrets import Keeper
from aigw_compile.importers.kong.shape import Instance, Kong, running
from aigw_compile.importers.record import Node
from aigw_compile.kongblocks import TAG
from aigw_compile.kongblocks.names import GATEWAY_TAG, slugs
from aigw_compile.kongblocks.upstream import NOT_FOR_PROVIDERS
from aigw_compile.units import derived_name

Spec = dict[str, Any]
Made = tuple[Spec, dict[Pointer, str]]
"""A spec, and comments for its places."""
TRANSFORMERS = {"ai-request-transformer": "requestTransformer", "ai-response-transformer": "responseTransformer"}


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
    _ours(kong, listing, alive, made, gateway)
    _route_names(kong, made, listing, gateway, [str(m["name"]) for m in whole[0]["spec"]["models"]])
    leftovers(kong, alive, gateway)
    return whole


def assembled(
    kong: Kong, keeper: Keeper, gateway: str, made: list[Model], bases: Sequence[str], listing: str = "", key: str = ""
) -> Made:
    """Return the whole spec for some models. `key`: a header for keys where no plugin asks for any."""
    alive = [*dict.fromkeys(m.route for m in made)]
    doors = people.doors(kong, alive, gateway, key)
    folk = people.people(kong, keeper, doors)
    bodies, transformed = _models(kong, keeper, made, folk, doors)
    if "anonymous" in doors.auth and folk.consumers:
        for node in folk.places:
            kong.record.tell("AIG8107", "nobody is asked who they are, so that no caller is this consumer", node.at)
        folk.consumers.clear()
        folk.groups.clear()
    out: Spec = {}
    listeners = edge.listeners(kong, keeper, alive, bases, doors.headers)
    policies = _policies(kong, keeper, made, bodies, folk, doors, out, listing)
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
        ("policies", policies),
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
        value = holder.node.raw("tags")
        yield from (t for t in value if isinstance(t, str)) if isinstance(value, list) else ()


def _gateway(kong: Kong) -> str:
    """The gateway that our own tags name, else the service of the first model."""
    tagged = next((t.removeprefix(GATEWAY_TAG) for t in _tags(kong) if t.startswith(GATEWAY_TAG)), "")
    first = next((s.name for s in kong.services.values() if s.name), "")
    return tagged or first


def _list_route(kong: Kong) -> str:
    """The route that answers with a fixed list of models, as our build makes it; "" where there is none."""
    for key, route in kong.routes.items():
        written = route.node.raw("paths")
        found = [paths.plain(p) for p in written if isinstance(p, str)] if isinstance(written, list) else []
        if found and all(p and p.exact and p.text.endswith(paths.MODELS) for p in found):
            if running(kong, "request-termination", key):
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


def _ours(kong: Kong, listing: str, alive: Sequence[str], made: Sequence[Model], gateway: str) -> None:
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
    every = [p for r in (*alive, *([listing] if listing else [])) for p in _raw_texts(kong.routes[r].node, "paths")]
    for key, route in kong.routes.items():
        one = running(kong, "request-termination", key)
        if key in alive or key == listing or one is None or route.node.raw("methods") != ["OPTIONS"]:
            continue
        if [*_raw_texts(route.node, "paths")] != every:
            kong.record.tell("AIG8104", "browsers are answered wherever a model is", route.node.place("paths"))
        else:
            route.node.texts("paths")
        one.config.usual("status_code", 405, why="any other OPTIONS gets 405")
        one.config.usual("message", "method not allowed", why="the gateway words its own answer", code="AIG8104")
        _made_route(kong, key, ["OPTIONS"])


def _route_names(kong: Kong, made: Sequence[Model], listing: str, gateway: str, names: Sequence[str]) -> None:
    why = "routes are called after the gateway and the model"
    short = slugs(names)
    for model in made:
        kong.routes[model.route].node.usual("name", f"{gateway}-{short[model.name]}", why=why, code="AIG8104")
    for key, route in kong.routes.items():
        ends = ("models", "models-list", "v1") if key == listing else ("preflight", "preflights", "options")
        if key == listing or route.node.raw("methods") == ["OPTIONS"]:
            route.node.usual("name", *(f"{gateway}-{end}" for end in ends), why=why, code="AIG8104")


def _raw_texts(node: Node, key: str) -> list[str]:
    value = node.raw(key)
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def _made_route(kong: Kong, key: str, methods: list[Json]) -> None:
    node = kong.routes[key].node
    node.usual("methods", methods, why="this route is made by the build")
    node.usual("protocols", ["http", "https"])
    for field, value in (("strip_path", False), ("preserve_host", False), ("request_buffering", True), ("response_buffering", True)):
        node.usual(field, value, code="AIG8104")
    node.usual("hosts", [*dict.fromkeys(h for r in kong.routes.values() if r.key != key for h in _raw_texts(r.node, "hosts"))])


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


# --- Models and providers


def _wished(kong: Kong, made: Sequence[Model]) -> dict[tuple[tuple[str, str], ...], str]:
    """Names of providers, and regions, that our own tags give: `NAME: TYPE`, `NAME: in REGION`."""
    wishes: dict[tuple[tuple[str, str], ...], str] = {}
    for model in made:
        tags = [t.partition(": ") for t in model.proxy.tags]
        pairs = [(name, rest) for name, sep, rest in tags if sep and not rest.startswith("in ") and name != "residency"]
        seen: dict[tuple[tuple[str, str], ...], str] = {}
        for target, _ in model.targets:
            seen.setdefault(target.provider.fields, target.provider.type)
            if target.label:
                wishes.setdefault(target.provider.fields, target.label)
        ordered = [*seen]
        if len(pairs) == len(ordered):
            for (name, kind), fields in zip(pairs, ordered, strict=True):
                del kind
                wishes.setdefault(fields, name)
    return wishes


def _models(
    kong: Kong, keeper: Keeper, made: list[Model], folk: people.People, doors: people.Doors
) -> tuple[list[Spec], list[Spec]]:
    """The models with everything but their policies, and the providers."""
    transformers, extra = _transformers(kong, keeper, made)
    headers = _sent_along(kong, made, doors)
    merged: list[Model] = [*made, *extra]
    with_headers = [
        [(t._replace(provider=_with(t.provider, headers.get(m.route, {}))), own) for t, own in m.targets] for m in merged
    ]
    merged = [m._replace(targets=t) for m, t in zip(merged, with_headers, strict=True)]
    names = targets.named((t.provider for m in merged for t, _ in m.targets), _wished(kong, merged))
    providers: dict[str, Spec] = {}
    bodies: list[Spec] = []
    for model in merged:
        body: Spec = {k: v for k, v in model.body.items() if k in ("name", "aliases", "capabilities")}
        listed = []
        for target, own in model.targets:
            name = names[target.provider.fields]
            providers.setdefault(name, {"name": name, **target.provider.body})
            one: Spec = {k: v for k, v in own.items() if k == "name"}
            one |= {"provider": name, "model": target.model}
            one |= {k: v for k, v in own.items() if k != "name"}
            one |= target.extra
            listed.append(one)
        body["targets"] = _distinct(listed)
        body |= {k: v for k, v in model.body.items() if k not in body}
        _tagged(kong, model, body, providers, names)
        rule = people.access(kong, model.route, folk, doors) if model.route in {m.route for m in made} else None
        if rule:
            body["access"] = rule
        if model.route in transformers and model in merged[: len(made)]:
            body["policies"] = dict(transformers[model.route])
        bodies.append(body)
    return bodies, [*providers.values()]


def _distinct(listed: list[Spec]) -> list[Spec]:
    """Names for targets that would have the same one."""
    taken: set[str] = set()
    for number, one in enumerate(listed, 1):
        name = str(one.get("name") or derived_name(f"{one['provider']}-{one['model']}"))
        fixed = derived_name(name) or f"target-{number}"
        while fixed in taken:
            fixed = f"{fixed[:58]}-{number}"
        taken.add(fixed)
        if "name" in one or fixed != name:
            rest = {k: v for k, v in one.items() if k != "name"}
            one.clear()
            one |= {"name": fixed, **rest}
    return listed


def _with(provider: targets.Provider, headers: dict[str, str]) -> targets.Provider:
    if not headers:
        return provider
    held = provider.body.get("headers")
    body = {**provider.body, "headers": {**(held if isinstance(held, dict) else {}), **headers}}
    return provider._replace(fields=tuple(sorted((k, repr(v)) for k, v in body.items())), body=body)


def _tagged(kong: Kong, model: Model, body: Spec, providers: dict[str, Spec], names: dict[object, str]) -> None:
    """Residency and regions, which our build looks at and writes down as tags."""
    if TAG not in model.proxy.tags:
        return
    regions = [t.removeprefix("residency: ") for t in model.proxy.tags if t.startswith("residency: ")]
    if regions:
        body["residency"] = regions
    for tag in model.proxy.tags:
        name, sep, region = tag.partition(": in ")
        if sep and name in providers:
            providers[name]["region"] = region


def _sent_along(kong: Kong, made: list[Model], doors: people.Doors) -> dict[str, dict[str, str]]:
    """Parameters go into the targets; headers are returned, by route. What is set by templates or taken away is told."""
    found: dict[str, dict[str, str]] = {}
    key = doors.auth.get("apiKey")
    own = key["headers"] if isinstance(key, dict) else []
    expected = [*(str(h) for h in _list(own)), "authorization", *NOT_FOR_PROVIDERS]
    for index, model in enumerate(made):
        one = running(kong, "request-transformer", model.route)
        if one is None:
            continue
        parameters, headers = models.sent(kong, model, one, [*expected, *_added(one)])
        wanted: dict[str, str] = {}
        for name, (value, at) in headers.items():
            if targets_secret(name):
                kong.record.tell("AIG8105", f"the header {name} carries a credential, which a spec names alone", at, "write it into `headers` of the provider as a reference")
            else:
                wanted[name] = value
        found[model.route] = wanted
        if parameters:
            made[index] = model._replace(targets=[(t._replace(extra=_merged(t.extra, parameters)), w) for t, w in model.targets])
    return found


def targets_secret(name: str) -> bool:
    """Say whether a header carries a credential, by its name."""
    from aigw_compile.rules.providers import CREDENTIAL_HEADER

    return bool(CREDENTIAL_HEADER.fullmatch(name))


def _added(one: Instance) -> list[str]:
    return [t.partition(":")[0].lower() for t in _raw_texts(one.config.child("add"), "headers")]


def _merged(extra: dict[str, Json], parameters: dict[str, Json]) -> dict[str, Json]:
    held = extra.get("parameters")
    both: dict[str, Json] = dict(held) if isinstance(held, dict) else {}
    for side in ("defaults", "overrides"):
        mine, theirs = both.get(side), parameters.get(side)
        joined = {**(mine if isinstance(mine, dict) else {}), **(theirs if isinstance(theirs, dict) else {})}
        if joined:
            both[side] = joined
    return {"parameters": both, **{k: v for k, v in extra.items() if k != "parameters"}}


def _transformers(kong: Kong, keeper: Keeper, made: Sequence[Model]) -> tuple[dict[str, Spec], list[Model]]:
    """Transformers by route; each asks a model, which may have to be made for it."""
    found: dict[str, Spec] = {}
    extra: list[Model] = []
    for route in dict.fromkeys(m.route for m in made):
        for plugin, policy in TRANSFORMERS.items():
            one = running(kong, plugin, route)
            if one is None:
                continue
            config = one.config
            target = targets.target(keeper, targets.block(config.child("llm")), {})
            prompt = config.text("prompt")
            if target is None or not prompt:
                kong.record.tell("AIG8107", "this transformer cannot be carried over", one.node.at)
                continue
            asked = _asked(target, [*made, *extra])
            if asked is None:
                asked = Model(route, one, {"name": f"{plugin.split('-')[1]}-transformer-{len(extra) + 1}"}, [(target, {})])
                extra.append(asked)
                message = f'the model that it asks is "{asked.name}" in the spec, which clients can call too'
                kong.record.note("AIG8106", message, config.place("llm"), "give it `access` for nobody but those who may")
            value: Spec = {"model": asked.name, "prompt": prompt}
            extract = config.text("transformation_extract_pattern")
            if extract:
                written = _extract(kong, config, extract)
                if written:
                    value["extract"] = written
            value["timeout"] = paths.duration(config.whole("http_timeout") or 60_000)
            config.usual("https_verify", True, why="certificates are always checked", code="AIG8106")
            config.usual("parse_llm_response_json_instructions", False, why="the language takes no instructions from an answer")
            found.setdefault(route, {})[policy] = value
    return found, extra


def _asked(target: targets.Target, made: Sequence[Model]) -> Model | None:
    def same(one: targets.Target) -> bool:
        return one.provider.fields == target.provider.fields and one.model == target.model and one.door == target.door and one.extra == target.extra

    return next((m for m in made if m.targets and same(m.targets[0][0])), None)


def _extract(kong: Kong, config: Node, pattern: str) -> str:
    """Kong takes such a pattern without case and by lines (3.9.3, llm/init.lua, "ijom"), unless it says otherwise."""
    ours = pattern.removeprefix(patterns.UTF)
    if ours.startswith("(?-im)"):
        return ours.removeprefix("(?-im)")
    try:
        return patterns.to_re2(f"(?im){pattern}")
    except patterns.Refused as why:
        kong.record.tell("AIG8110", str(why), config.place("transformation_extract_pattern"))
        return ""


# --- Policies


def _policies(
    kong: Kong,
    keeper: Keeper,
    made: Sequence[Model],
    bodies: list[Spec],
    folk: people.People,
    doors: people.Doors,
    out: Spec,
    listing: str,
) -> Spec:
    """Put every policy where it goes; return those of the gateway. Groups and stores go into `out`."""
    routes = [*dict.fromkeys(m.route for m in made)]
    callers = placing.Callers([c for c in folk.keys if "anonymous" not in doors.auth], doors.closed)
    counting = counts.Counts(kong, keeper)
    gateway: Spec = {}
    models_: dict[str, Spec] = {r: {} for r in routes}
    groups: dict[str, Spec] = {g: {} for g in folk.groups}
    consumers: dict[str, Spec] = {c: {} for c in folk.keys}
    simple: Sequence[tuple[str, placing.Kind]] = (
        ("promptGuard", placing.Kind("ai-prompt-guard", "guard", guards.guard, guards.guard_beyond)),
        ("promptDecorator", placing.Kind("ai-prompt-decorator", "decorator", guards.decorator, guards.decorator_beyond)),
        ("ipRestriction", placing.Kind("ip-restriction", "address list", guards.addresses, guards.addresses_beyond, joined=guards.addresses_joined)),
    )
    for field, kind in simple:
        found = placing.place(kong, kind, routes, callers, listing if field == "ipRestriction" else "")
        for value in found.gateway:
            gateway[field] = value
        for holder, values in ((models_, found.models), (groups, found.groups), (consumers, found.consumers)):
            for key, value in values.items():
                holder.setdefault(key, {})[field] = value
    for plugin in counts.LIMITERS:
        kind = placing.Kind(plugin, "limit", counting.limits, counts.beyond, _every_consumer)
        found = placing.place(kong, kind, routes, callers)
        _shared(found, counting)
        for limits in found.gateway:
            _limits(gateway, limits, set(), counting)
        for key, limits in found.models.items():
            _limits(models_[key], limits, {"model"}, counting)
        for key, limits in found.groups.items():
            _limits(groups.setdefault(key, {}), limits, set(), counting, "consumer")
        for key, limits in found.consumers.items():
            _limits(consumers[key], limits, {"consumer"}, counting)
    for body, model in zip(bodies, made, strict=False):
        held = {**models_[model.route], **body.pop("policies", {})}
        if held:
            body["policies"] = held
    for body, key in zip(folk.consumers, [k for k in folk.keys], strict=False):
        if consumers[key]:
            body["policies"] = consumers[key]
    if folk.groups:
        out["consumerGroups"] = [
            {"name": g, **({"policies": groups[g]} if groups.get(g) else {})} for g in dict.fromkeys(folk.groups)
        ]
    if counting.stores:
        out["stores"] = [
            {"name": _store(counting, key), "type": "redis", **store} for key, store in counting.stores.items()
        ]
    return gateway


def _every_consumer(limits: list[counts.Limit]) -> bool:
    return all(x["by"] <= {"consumer", "model"} and "consumer" in x["by"] for x in limits)


def _shared(found: placing.Placed, counting: counts.Counts) -> None:
    """Limits whose counter a group shares stand at the group, not at each of its members."""
    for key, limits in [*found.consumers.items()]:
        mine = [x for x in limits if "group" not in x["by"]]
        for limit in limits:
            label = limit.get("group", "")
            if label and limit not in found.groups.setdefault(label, []):
                found.groups[label].append(limit)
        found.consumers[key] = mine


def _store(counting: counts.Counts, key: str) -> str:
    number = [*counting.stores].index(key)
    return "redis" if number == 0 else f"redis-{number + 1}"


def _limits(policies: Spec, limits: list[counts.Limit], implied: set[str], counting: counts.Counts, usual: str = "") -> None:
    """Add limits to a place; `implied`: what limits there count by anyway, `usual`: what they count by if they say nothing."""
    listed: list[Spec] = policies.setdefault("limits", [])
    for limit in limits:
        by = sorted(limit["by"] - implied)
        if usual and by == [usual]:
            by = []
        taken = {x["name"] for x in listed}
        name, number = limit["name"], 2
        while name in taken:
            name, number = f"{limit['name']}-{number}", number + 1
        one: Spec = {"name": name}
        if by:
            one["by"] = sorted(limit["by"]) if implied == {"consumer"} else by
        one |= {k: limit[k] for k in ("per", "requests", "tokens", "cost", "count") if k in limit}
        if one.get("count") == "total":
            del one["count"]
        joined = next((x for x in listed if _joins(x, one)), None)
        if joined:
            joined |= {k: v for k, v in one.items() if k in ("requests", "tokens", "cost", "count")}
        else:
            listed.append(one)
        if limit["store"]:
            policies["limitStore"] = _store(counting, limit["store"])
    if not listed:
        del policies["limits"]


def _joins(one: Spec, other: Spec) -> bool:
    """Say whether two limits are parts of one: the same name, but for a number, and nothing said twice."""
    same = one["name"] == other["name"].rpartition("-")[0] and one["per"] == other["per"] and one.get("by") == other.get("by")
    return same and not {"requests", "tokens", "cost"} & set(one) & set(other)


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
