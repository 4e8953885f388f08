"""The text of a proxy.json to a Config of frozen values, or a ConfigError that lists everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import Any

import re2

from aigw_compile.proxy.config.fields import FILE
from aigw_compile.proxy.config.making import config
from aigw_compile.proxy.config.values import Cache as Cache
from aigw_compile.proxy.config.values import ClientTls as ClientTls
from aigw_compile.proxy.config.values import Config as Config
from aigw_compile.proxy.config.values import Consumer as Consumer
from aigw_compile.proxy.config.values import Cors as Cors
from aigw_compile.proxy.config.values import Credential as Credential
from aigw_compile.proxy.config.values import Decorator as Decorator
from aigw_compile.proxy.config.values import Front as Front
from aigw_compile.proxy.config.values import Guard as Guard
from aigw_compile.proxy.config.values import Health as Health
from aigw_compile.proxy.config.values import Identity as Identity
from aigw_compile.proxy.config.values import IpRestriction as IpRestriction
from aigw_compile.proxy.config.values import Jwt as Jwt
from aigw_compile.proxy.config.values import Lifecycle as Lifecycle
from aigw_compile.proxy.config.values import Limit as Limit
from aigw_compile.proxy.config.values import Listener as Listener
from aigw_compile.proxy.config.values import ListenerTls as ListenerTls
from aigw_compile.proxy.config.values import Located as Located
from aigw_compile.proxy.config.values import Login as Login
from aigw_compile.proxy.config.values import Model as Model
from aigw_compile.proxy.config.values import Network as Network
from aigw_compile.proxy.config.values import OwnHeader as OwnHeader
from aigw_compile.proxy.config.values import Parameters as Parameters
from aigw_compile.proxy.config.values import Policies as Policies
from aigw_compile.proxy.config.values import Price as Price
from aigw_compile.proxy.config.values import Provider as Provider
from aigw_compile.proxy.config.values import Redis as Redis
from aigw_compile.proxy.config.values import ResponseGuard as ResponseGuard
from aigw_compile.proxy.config.values import Store as Store
from aigw_compile.proxy.config.values import Target as Target
from aigw_compile.proxy.config.values import Transformer as Transformer
from aigw_compile.proxy.config.values import Who as Who

VERSION = 1


class ConfigError(ValueError):
    """The text is no proxy.json that this proxy can run. `problems`: a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(["not a proxy.json that this proxy can run:", *(f"  {p}" for p in problems)]))
        self.problems = tuple(problems)


def load(text: bytes) -> Config:
    """Return the configuration. Raises ConfigError, which says everything that is wrong at once."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as wrong:
        raise ConfigError([f"not JSON: {wrong}"]) from None
    version = data.get("version") if isinstance(data, dict) else None
    if version != VERSION or isinstance(version, bool):
        raise ConfigError([f"this proxy reads version {VERSION}; the file has version {version!r}"])
    problems: list[str] = []
    FILE(data, "", problems)
    if not problems:
        problems += _dangling(data)
    if problems:
        raise ConfigError(problems)
    return config(data)._replace(written=text)


def _dangling(data: dict[str, Any]) -> Iterator[str]:
    """Yield what fits the shape and means nothing: unknown names, names with two meanings, patterns that are none."""
    providers = {p["name"] for p in data["providers"]}
    groups = {g["name"] for g in data["consumerGroups"]}
    vaults = {v["name"] for v in data["vaults"]}
    names: set[str] = set()
    for model in data["models"]:
        at = f"models[{model['name']}]"
        for name in (model["name"], *model["aliases"]):
            if name in names:
                yield f"{at}: {name!r} is a name or an alias already"
            names.add(name)
        for target in model["targets"]:
            if target["provider"] not in providers:
                yield f"{at}.targets[{target['name']}].provider: there is no provider {target['provider']!r}"
        if not any(target["weight"] for target in model["targets"]):
            yield f"{at}.targets: every weight is 0, so none can be chosen"
        yield from _patterns(model["policies"], f"{at}.policies")
    for consumer in data["consumers"]:
        at = f"consumers[{consumer['name']}]"
        for group in consumer["groups"]:
            if group not in groups:
                yield f"{at}.groups: there is no group {group!r}"
        yield from _patterns(consumer["policies"], f"{at}.policies")
    for group in data["consumerGroups"]:
        yield from _patterns(group["policies"], f"consumerGroups[{group['name']}].policies")
    yield from _patterns(data["policies"], "policies")
    told = "consumerHeader" in data.get("front", {})
    if told and data["auth"]:
        yield "auth: the front says who calls (front.consumerHeader), so nothing is expected here"
    elif not told and (not data["auth"] or ("anonymous" in data["auth"] and len(data["auth"]) > 1)):
        yield "auth: exactly one of apiKey, jwt and basic together, or anonymous alone, is expected"
    yield from _uses(data, names)
    refs = [(p["auth"]["secret"], p["place"]) for p in data["providers"] if p["auth"]]
    refs += [(k["apiKey"], k["place"]) for c in data["consumers"] for k in c["credentials"]]
    refs += [(k["password"], k["place"]) for c in data["consumers"] for k in c.get("logins", ())]
    refs += _located({**data, "providers": [{**p, "auth": None} for p in data["providers"]]})
    for ref, place in refs:
        if "vault" in ref and ref["vault"] not in vaults:
            yield f"{place}: there is no vault {ref['vault']!r}"


def _located(data: Any) -> list[tuple[Mapping[str, Any], str]]:
    """Every secret that stands with its place, wherever."""
    if isinstance(data, dict):
        if data.keys() == {"secret", "place"}:
            return [(data["secret"], data["place"])]
        return [found for inner in data.values() for found in _located(inner)]
    return [found for inner in data for found in _located(inner)] if isinstance(data, list) else []


def _uses(data: Mapping[str, Any], models: Collection[str]) -> Iterator[str]:
    """Yield the stores and models that are named and not there, and addresses that are none."""
    stores = {s["name"] for s in data.get("stores", ())}
    holders = [("", data)]
    for part in ("models", "consumers", "consumerGroups"):
        holders += [(f"{part}[{x['name']}].", x) for x in data[part]]
    for at, holder in holders:
        policies = holder["policies"]
        named = [("limitStore", policies.get("limitStore")), ("cache.store", policies.get("cache", {}).get("store"))]
        yield from (f"{at}policies.{f}: there is no store {n!r}" for f, n in named if n and n not in stores)
        for kind in ("requestTransformer", "responseTransformer"):
            name = policies.get(kind, {}).get("model")
            if name and name not in models:
                yield f"{at}policies.{kind}.model: there is no model {name!r}"
        name = holder.get("lifecycle", {}).get("replacedBy")
        if name and name not in models:
            yield f"{at}lifecycle.replacedBy: there is no model {name!r}"
        for side, texts in policies.get("ipRestriction", {}).items():
            yield from _addresses(f"{at}policies.ipRestriction.{side}", texts)
    for listener in data["listeners"]:
        yield from _addresses(f"listeners[{listener['name']}].trustedProxies", listener.get("trustedProxies", ()))


def _addresses(at: str, texts: Iterable[str]) -> Iterator[str]:
    for index, written in enumerate(texts):
        try:
            ip_network(written, strict=False)
        except ValueError:
            yield f"{at}[{index}]: {written!r} is no range of addresses"


def _patterns(policies: Mapping[str, Any], at: str) -> Iterator[str]:
    options = re2.Options()
    options.log_errors = False
    found = [
        (f"{kind}.{side}[{index}]", pattern)
        for kind in ("promptGuard", "responseGuard")
        for side in ("deny", "allow")
        for index, pattern in enumerate(policies.get(kind, {}).get(side, ()))
    ]
    for kind in ("requestTransformer", "responseTransformer"):
        found.append((f"{kind}.extract", policies.get(kind, {}).get("extract") or ""))
    for place, pattern in found:
        try:
            re2.compile(pattern, options)
        except re2.error as wrong:
            why = wrong.args[0].decode("utf-8", "replace") if isinstance(wrong.args[0], bytes) else wrong.args[0]
            yield f"{at}.{place}: RE2 refuses it: {why}"
