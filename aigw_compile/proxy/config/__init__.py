"""The text of a proxy.json to a Config of frozen values, or a ConfigError that lists everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import re2

from aigw_compile.proxy.config.fields import FILE

VERSION = 1


class ConfigError(ValueError):
    """The text is no proxy.json that this proxy can run. `problems`: a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(["not a proxy.json that this proxy can run:", *(f"  {p}" for p in problems)]))
        self.problems = tuple(problems)


class Listener(NamedTuple):
    name: str
    address: str
    port: int
    hostnames: tuple[str, ...]
    base_path: str
    """Without a slash at the end: "" for the root."""
    max_body_size: int


class Credential(NamedTuple):
    """What a provider is sent: a header, a prefix, and where the secret is."""

    header: str
    prefix: str
    secret: Mapping[str, Any]


class Provider(NamedTuple):
    name: str
    type: str
    dialect: str
    base_url: str
    auth: Credential | None
    headers: Mapping[str, str]
    place: str


class Target(NamedTuple):
    name: str
    provider: Provider
    model: str
    weight: int
    priority: int


class Who(NamedTuple):
    groups: frozenset[str]
    consumers: frozenset[str]


class Guard(NamedTuple):
    deny: tuple[str, ...]
    allow: tuple[str, ...]
    roles: frozenset[str]
    scope: str


class Decorator(NamedTuple):
    prepend: tuple[Mapping[str, str], ...]
    append: tuple[Mapping[str, str], ...]


class Limit(NamedTuple):
    name: str
    by: tuple[str, ...]
    per: str
    requests: int | None
    tokens: int | None
    reserve_output: int


class Policies(NamedTuple):
    guard: Guard | None
    decorator: Decorator | None
    limits: tuple[Limit, ...]


class Model(NamedTuple):
    name: str
    aliases: tuple[str, ...]
    priorities: tuple[tuple[Target, ...], ...]
    """Targets that can be chosen (weight over 0), the priority that is tried first at the front."""
    attempts: int
    retry_on: frozenset[str]
    backoff_base: float
    backoff_max: float
    fallback_on: frozenset[str]
    response: Mapping[str, Any] | None
    connect: float | None
    """Timeouts in seconds; None (0 in the file) means none."""
    first_byte: float | None
    idle: float | None
    request: float | None
    allow: Who | None
    deny: Who | None
    policies: Policies


class Consumer(NamedTuple):
    name: str
    groups: tuple[str, ...]
    credentials: tuple[tuple[Mapping[str, Any], str], ...]
    """(SecretRef, its place in the spec)"""
    policies: Policies


class Config(NamedTuple):
    gateway: str
    revision: str
    listeners: tuple[Listener, ...]
    operations: tuple[str, int]
    headers: tuple[str, ...]
    """Headers that may carry a client's key, in small letters; () only where `anonymous: true` stands in the file."""
    providers: tuple[Provider, ...]
    models: tuple[Model, ...]
    names: Mapping[str, Model]
    """Every name that a client may call, aliases included."""
    consumers: tuple[Consumer, ...]
    groups: Mapping[str, Policies]
    policies: Policies
    prometheus: int | None
    otlp: tuple[str, float] | None
    access_log: tuple[str, bool] | None


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
    return _config(data)


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
    refs = [(p["auth"]["secret"], p["place"]) for p in data["providers"] if p["auth"]]
    refs += [(k["apiKey"], k["place"]) for c in data["consumers"] for k in c["credentials"]]
    for ref, place in refs:
        if "vault" in ref and ref["vault"] not in vaults:
            yield f"{place}: there is no vault {ref['vault']!r}"


def _patterns(policies: Mapping[str, Any], at: str) -> Iterator[str]:
    guard = policies.get("promptGuard", {})
    options = re2.Options()
    options.log_errors = False
    for side in ("deny", "allow"):
        for index, pattern in enumerate(guard.get(side, ())):
            try:
                re2.compile(pattern, options)
            except re2.error as wrong:
                why = wrong.args[0].decode("utf-8", "replace") if isinstance(wrong.args[0], bytes) else wrong.args[0]
                yield f"{at}.promptGuard.{side}[{index}]: RE2 refuses it: {why}"


def _config(data: dict[str, Any]) -> Config:
    """Make the values; the data is known to fit."""
    providers = {p["name"]: _provider(p) for p in data["providers"]}
    models = tuple(_model(m, providers) for m in data["models"])
    seen = data["observability"]
    prometheus, otlp, log = seen["prometheus"], seen["otlp"], seen["accessLog"]
    return Config(
        gateway=data["gateway"],
        revision=data["revision"],
        listeners=tuple(_listener(x) for x in data["listeners"]),
        operations=(data["operations"]["address"], data["operations"]["port"]),
        headers=tuple(h.lower() for h in data["auth"]["apiKey"]["headers"]) if "apiKey" in data["auth"] else (),
        providers=tuple(providers.values()),
        models=models,
        names=MappingProxyType({name: model for model in models for name in (model.name, *model.aliases)}),
        consumers=tuple(_consumer(c) for c in data["consumers"]),
        groups=MappingProxyType({g["name"]: _policies(g["policies"]) for g in data["consumerGroups"]}),
        policies=_policies(data["policies"]),
        prometheus=prometheus and prometheus["port"],
        otlp=otlp and (otlp["endpoint"], otlp["sampling"]),
        access_log=log and (log["format"], log["payloads"]),
    )


def _listener(x: Mapping[str, Any]) -> Listener:
    hosts = tuple(h.lower() for h in x["hostnames"])
    return Listener(x["name"], x["address"], x["port"], hosts, x["basePath"].rstrip("/"), x["maxBodySize"])


def _provider(p: Mapping[str, Any]) -> Provider:
    auth = p["auth"]
    credential = auth and Credential(auth["header"].lower(), auth["prefix"], auth["secret"])
    headers = MappingProxyType({k.lower(): v for k, v in p["headers"].items()})
    return Provider(p["name"], p["type"], p["dialect"], p["baseUrl"].rstrip("/"), credential, headers, p["place"])


def _who(data: Any) -> Who | None:
    return data and Who(frozenset(data["groups"]), frozenset(data["consumers"]))


def _model(m: Mapping[str, Any], providers: Mapping[str, Provider]) -> Model:
    found = [
        Target(t["name"], providers[t["provider"]], t["model"], t["weight"], t["priority"])
        for t in m["targets"]
        if t["weight"]
    ]
    levels = sorted({t.priority for t in found})
    access = m["access"] or {"allow": None, "deny": None}
    times = m["timeouts"]
    return Model(
        name=m["name"],
        aliases=tuple(m["aliases"]),
        priorities=tuple(tuple(t for t in found if t.priority == level) for level in levels),
        attempts=m["retries"]["attempts"],
        retry_on=frozenset(m["retries"]["on"]),
        backoff_base=m["retries"]["backoff"]["base"],
        backoff_max=m["retries"]["backoff"]["max"],
        fallback_on=frozenset(m["fallback"]["on"]),
        response=m["fallback"]["response"],
        connect=times["connect"] or None,
        first_byte=times["firstByte"] or None,
        idle=times["idle"] or None,
        request=times["request"] or None,
        allow=_who(access["allow"]),
        deny=_who(access["deny"]),
        policies=_policies(m["policies"]),
    )


def _consumer(c: Mapping[str, Any]) -> Consumer:
    keys = tuple((k["apiKey"], k["place"]) for k in c["credentials"])
    return Consumer(c["name"], tuple(c["groups"]), keys, _policies(c["policies"]))


def _policies(data: Mapping[str, Any]) -> Policies:
    guard, decorator = data.get("promptGuard"), data.get("promptDecorator")
    return Policies(
        guard and Guard(tuple(guard["deny"]), tuple(guard["allow"]), frozenset(guard["roles"]), guard["scope"]),
        decorator and Decorator(tuple(decorator["prepend"]), tuple(decorator["append"])),
        tuple(
            Limit(x["name"], tuple(x["by"]), x["per"], x["requests"], x["tokens"], x["reserveOutput"])
            for x in data.get("limits", ())
        ),
    )
