"""Models with their targets to the models and providers of a spec, with parameters, headers and transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aigw_compile.diagnostic import Json
from aigw_compile.importers.kong import models, paths, patterns, people, targets
from aigw_compile.importers.kong.models import Model
from aigw_compile.importers.kong.secrets import Keeper
from aigw_compile.importers.kong.shape import Instance, Kong, running
from aigw_compile.importers.record import Node
from aigw_compile.kongblocks import TAG
from aigw_compile.kongblocks.upstream import NOT_FOR_PROVIDERS
from aigw_compile.rules.providers import CREDENTIAL_HEADER
from aigw_compile.units import derived_name

Spec = dict[str, Any]
TRANSFORMERS = {"ai-request-transformer": "requestTransformer", "ai-response-transformer": "responseTransformer"}


def _wished(made: Sequence[Model]) -> dict[tuple[tuple[str, str], ...], str]:
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


def written(
    kong: Kong, keeper: Keeper, made: list[Model], folk: people.People, doors: people.Doors
) -> tuple[list[Spec], list[Spec]]:
    """The models with everything but their policies, and the providers."""
    transformers, extra = _transformers(kong, keeper, made)
    headers = _sent_along(kong, made, doors)
    merged: list[Model] = [*made, *extra]
    with_headers = [
        [(t._replace(provider=_with(t.provider, headers.get(m.route, {}))), own) for t, own in m.targets]
        for m in merged
    ]
    merged = [m._replace(targets=t) for m, t in zip(merged, with_headers, strict=True)]
    names = targets.named((t.provider for m in merged for t, _ in m.targets), _wished(merged))
    providers: dict[str, Spec] = {}
    bodies: list[Spec] = []
    for index, model in enumerate(merged):
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
        _tagged(model, body, providers)
        rule = people.access(kong, model.route, folk, doors) if index < len(made) else None
        if rule:
            body["access"] = rule
        if model.route in transformers and index < len(made):
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


def _tagged(model: Model, body: Spec, providers: dict[str, Spec]) -> None:
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
    expected = [*doors.headers, "authorization", *NOT_FOR_PROVIDERS]
    for index, model in enumerate(made):
        one = running(kong, "request-transformer", model.route)
        if one is None:
            continue
        parameters, headers = models.sent(kong, model, one, [*expected, *_added(one)])
        wanted: dict[str, str] = {}
        for name, (value, at) in headers.items():
            if CREDENTIAL_HEADER.fullmatch(name):
                kong.record.tell(
                    "AIG8105",
                    f"the header {name} carries a credential, which a spec names alone",
                    at,
                    "write it into `headers` of the provider as a reference",
                )
            else:
                wanted[name] = value
        found[model.route] = wanted
        if parameters:
            made[index] = model._replace(
                targets=[(t._replace(extra=_merged(t.extra, parameters)), w) for t, w in model.targets]
            )
    return found


def _added(one: Instance) -> list[str]:
    return [t.partition(":")[0].lower() for t in one.config.child("add").seen("headers")]


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
                asked = Model(
                    route, one, {"name": f"{plugin.split('-')[1]}-transformer-{len(extra) + 1}"}, [(target, {})]
                )
                extra.append(asked)
                message = f'the model that it asks is "{asked.name}" in the spec, which clients can call too'
                kong.record.note(
                    "AIG8106", message, config.place("llm"), "give it `access` for nobody but those who may"
                )
            value: Spec = {"model": asked.name, "prompt": prompt}
            extract = config.text("transformation_extract_pattern")
            if extract:
                written = _extract(kong, config, extract)
                if written:
                    value["extract"] = written
            value["timeout"] = paths.duration(config.whole("http_timeout") or 60_000)
            config.usual("https_verify", True, why="certificates are always checked", code="AIG8106")
            config.usual(
                "parse_llm_response_json_instructions", False, why="the language takes no instructions from an answer"
            )
            found.setdefault(route, {})[policy] = value
    return found, extra


def _asked(target: targets.Target, made: Sequence[Model]) -> Model | None:
    def same(one: targets.Target) -> bool:
        return (
            one.provider.fields == target.provider.fields
            and one.model == target.model
            and one.door == target.door
            and one.extra == target.extra
        )

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
