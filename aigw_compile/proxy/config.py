"""The text of a proxy.json to a Config of frozen values, or a ConfigError that lists everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

VERSION = 1


class ConfigError(ValueError):
    """The text is no proxy.json of this version; the message has a line for each problem."""


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
    connect: float
    first_byte: float
    idle: float
    request: float
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
    """Headers that may carry a client's key; () means that everybody may call."""
    providers: tuple[Provider, ...]
    models: tuple[Model, ...]
    consumers: tuple[Consumer, ...]
    groups: Mapping[str, Policies]
    policies: Policies
    prometheus: int | None
    otlp: tuple[str, float] | None
    access_log: tuple[str, bool] | None

    def names(self) -> Mapping[str, Model]:
        """Every name that a client may call, aliases included."""
        return {name: model for model in self.models for name in (model.name, *model.aliases)}


def load(text: bytes) -> Config:
    """Return the configuration. Raises ConfigError."""
    try:
        data = json.loads(text)
    except ValueError as wrong:
        raise ConfigError(f"not JSON: {wrong}") from None
    if not isinstance(data, dict) or data.get("version") != VERSION:
        found = data.get("version") if isinstance(data, dict) else None
        raise ConfigError(f"this proxy reads version {VERSION} of proxy.json; the file has version {found!r}")
    reader = _Reader()
    config = _config(reader, data)
    if reader.problems:
        raise ConfigError("\n".join(["not a proxy.json that this proxy can run:", *reader.problems]))
    assert config is not None
    return config


class _Reader:
    """Takes fields out of objects and remembers every problem, so that all of them are said at once."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def take(self, data: Any, at: str, **kinds: Any) -> list[Any]:
        """Return the values of the named fields, all of which must be there, and nothing else may be."""
        if not isinstance(data, dict):
            self.problems.append(f"  {at or 'the file'}: an object is expected")
            return [_EMPTY.get(kind if isinstance(kind, type) else kind[0]) for kind in kinds.values()]
        for key in sorted(set(data) - set(kinds)):
            self.problems.append(f"  {at}.{key}: unknown field".replace("  .", "  "))
        values = []
        for key, kind in kinds.items():
            value = data.get(key)
            good = isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)
            if not good:
                word = "is missing" if key not in data else "has the wrong type"
                self.problems.append(f"  {at}.{key}: {word}".replace("  .", "  "))
                value = _EMPTY.get(kind if isinstance(kind, type) else kind[0])
            values.append(value)
        return values


_EMPTY: Mapping[Any, Any] = {str: "", int: 0, float: 0.0, list: [], dict: {}, bool: False}
NULL = type(None)
NUMBER = (int, float)


def _config(r: _Reader, data: dict[str, Any]) -> Config | None:
    (
        _version,
        gateway,
        revision,
        listeners,
        operations,
        auth,
        _vaults,
        providers,
        models,
        consumers,
        groups,
        policies,
        seen,
    ) = r.take(
        data,
        "",
        version=int,
        gateway=str,
        revision=str,
        listeners=list,
        operations=dict,
        auth=dict,
        vaults=list,
        providers=list,
        models=list,
        consumers=list,
        consumerGroups=list,
        policies=dict,
        observability=dict,
    )
    known = {p.name: p for p in _each(r, providers, "providers", _provider)}
    address, port = r.take(operations, "operations", address=str, port=int)
    prometheus, otlp, log = r.take(
        seen, "observability", prometheus=(dict, NULL), otlp=(dict, NULL), accessLog=(dict, NULL)
    )
    group_policies = {}
    for index, group in enumerate(groups):
        name, own = r.take(group, f"consumerGroups[{index}]", name=str, policies=dict)
        group_policies[name] = _policies(r, own, f"consumerGroups[{index}].policies")
    headers: list[str] = []
    if "anonymous" not in auth:
        (api_key,) = r.take(auth, "auth", apiKey=dict)
        (headers,) = r.take(api_key, "auth.apiKey", headers=list)
    config = Config(
        gateway=gateway,
        revision=revision,
        listeners=tuple(_each(r, listeners, "listeners", _listener)),
        operations=(address, port),
        headers=tuple(h.lower() for h in headers),
        providers=tuple(known.values()),
        models=tuple(_each(r, models, "models", lambda r, m, at: _model(r, m, at, known))),
        consumers=tuple(_each(r, consumers, "consumers", _consumer)),
        groups=group_policies,
        policies=_policies(r, policies, "policies"),
        prometheus=r.take(prometheus, "observability.prometheus", port=int)[0] if prometheus else None,
        otlp=_pair(r, otlp, "observability.otlp", endpoint=str, sampling=NUMBER),
        access_log=_pair(r, log, "observability.accessLog", format=str, payloads=bool),
    )
    if not config.listeners:
        r.problems.append("  listeners: there is none")
    return config


def _each(r: _Reader, items: list[Any], at: str, make: Callable[[_Reader, Any, str], Any]) -> list[Any]:
    return [make(r, item, f"{at}[{index}]") for index, item in enumerate(items)]


def _pair(r: _Reader, data: Any, at: str, **kinds: Any) -> Any:
    if not data:
        return None
    first, second = r.take(data, at, **kinds)
    return (first, second)


def _listener(r: _Reader, data: Any, at: str) -> Listener:
    name, address, port, hosts, base, size = r.take(
        data, at, name=str, address=str, port=int, hostnames=list, basePath=str, maxBodySize=int
    )
    return Listener(name, address, port, tuple(h.lower() for h in hosts), base.rstrip("/"), size)


def _provider(r: _Reader, data: Any, at: str) -> Provider:
    name, kind, dialect, url, auth, headers, place = r.take(
        data, at, name=str, type=str, dialect=str, baseUrl=str, auth=(dict, NULL), headers=dict, place=str
    )
    if dialect not in ("openai", "anthropic"):
        r.problems.append(f"  {at}.dialect: this proxy speaks openai and anthropic, not {dialect!r}")
    credential = None
    if auth:
        credential = Credential(*r.take(auth, f"{at}.auth", header=str, prefix=str, secret=dict))
    return Provider(name, kind, dialect, url.rstrip("/"), credential, headers, place)


def _who(r: _Reader, data: Any, at: str) -> Who | None:
    if data is None:
        return None
    groups, consumers = r.take(data, at, groups=list, consumers=list)
    return Who(frozenset(groups), frozenset(consumers))


def _model(r: _Reader, data: Any, at: str, providers: Mapping[str, Provider]) -> Model:
    name, aliases, _, targets, retries, fallback, timeouts, access, policies = r.take(
        data,
        at,
        name=str,
        aliases=list,
        capabilities=list,
        targets=list,
        retries=dict,
        fallback=dict,
        timeouts=dict,
        access=(dict, NULL),
        policies=dict,
    )
    attempts, on, backoff = r.take(retries, f"{at}.retries", attempts=int, on=list, backoff=dict)
    base, most = r.take(backoff, f"{at}.retries.backoff", base=NUMBER, max=NUMBER)
    fallback_on, response = r.take(fallback, f"{at}.fallback", on=list, response=(dict, NULL))
    connect, first, idle, whole = r.take(
        timeouts, f"{at}.timeouts", connect=NUMBER, firstByte=NUMBER, idle=NUMBER, request=NUMBER
    )
    allow, deny = r.take(access, f"{at}.access", allow=(dict, NULL), deny=(dict, NULL)) if access else (None, None)
    found = []
    for index, target in enumerate(targets):
        place = f"{at}.targets[{index}]"
        own, provider, model, weight, priority = r.take(
            target, place, name=str, provider=str, model=str, weight=int, priority=int
        )
        if provider not in providers:
            r.problems.append(f"  {place}.provider: no provider {provider!r}")
        elif weight > 0:
            found.append(Target(own, providers[provider], model, weight, priority))
    levels = sorted({t.priority for t in found})
    return Model(
        name=name,
        aliases=tuple(aliases),
        priorities=tuple(tuple(t for t in found if t.priority == level) for level in levels),
        attempts=attempts,
        retry_on=frozenset(on),
        backoff_base=base,
        backoff_max=most,
        fallback_on=frozenset(fallback_on),
        response=response,
        connect=connect,
        first_byte=first,
        idle=idle,
        request=whole,
        allow=_who(r, allow, f"{at}.access.allow"),
        deny=_who(r, deny, f"{at}.access.deny"),
        policies=_policies(r, policies, f"{at}.policies"),
    )


def _consumer(r: _Reader, data: Any, at: str) -> Consumer:
    name, groups, credentials, policies = r.take(data, at, name=str, groups=list, credentials=list, policies=dict)
    keys = [r.take(c, f"{at}.credentials[{i}]", apiKey=dict, place=str) for i, c in enumerate(credentials)]
    return Consumer(
        name, tuple(groups), tuple((ref, place) for ref, place in keys), _policies(r, policies, f"{at}.policies")
    )


def _policies(r: _Reader, data: Any, at: str) -> Policies:
    for key in sorted(set(data) - {"promptGuard", "promptDecorator", "limits"}):
        r.problems.append(f"  {at}.{key}: unknown field")
    guard = decorator = None
    if "promptGuard" in data:
        deny, allow, roles, scope = r.take(
            data["promptGuard"], f"{at}.promptGuard", deny=list, allow=list, roles=list, scope=str
        )
        guard = Guard(tuple(deny), tuple(allow), frozenset(roles), scope)
    if "promptDecorator" in data:
        prepend, append = r.take(data["promptDecorator"], f"{at}.promptDecorator", prepend=list, append=list)
        decorator = Decorator(tuple(prepend), tuple(append))
    return Policies(guard, decorator, tuple(_each(r, data.get("limits", []), f"{at}.limits", _limit)))


def _limit(r: _Reader, data: Any, at: str) -> Limit:
    name, by, per, requests, tokens, reserve = r.take(
        data, at, name=str, by=list, per=str, requests=(int, NULL), tokens=(int, NULL), reserveOutput=int
    )
    return Limit(name, tuple(by), per, requests, tokens, reserve)
