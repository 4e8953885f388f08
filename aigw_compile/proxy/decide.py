"""What to do with a request: a pure function of configuration and request, and so the meaning of a spec in code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from aigw_compile.proxy import body as body_
from aigw_compile.proxy import lifecycle
from aigw_compile.proxy.addresses import Address, permitted
from aigw_compile.proxy.config import Cache, Config, Consumer, Listener, Model, Policies, Transformer, Who
from aigw_compile.proxy.doors import DOORS, Door
from aigw_compile.proxy.errors import (
    FORBIDDEN,
    IP_NOT_ALLOWED,
    MEDIA_TYPE,
    NO_HOST,
    NOT_FOUND,
    REJECTED,
    TOO_LARGE,
    Refuse,
    method_not_allowed,
    model_not_found,
    model_not_supported,
)
from aigw_compile.proxy.policies.limits import Caller, Counter, counters
from aigw_compile.proxy.policies.prompt_guard import refuses

Headers = Sequence[tuple[bytes, bytes]]


class Models(NamedTuple):
    """GET /v1/models: the names that the caller may use."""

    names: tuple[str, ...]


class Call(NamedTuple):
    """A request that passed steps 0 to 6 of the request order."""

    door: Door
    model: Model
    asked: str
    """The name that the client used; replies carry it."""
    consumer: Consumer | None
    body: dict[str, Any]
    size: int
    """Bytes of the client's body as received."""
    counters: tuple[Counter, ...]
    notice: Mapping[str, str]
    """Headers about the lifecycle of the model that was asked for."""

    @property
    def stream(self) -> bool:
        return self.door.stream(self.body)

    @property
    def wants_usage(self) -> bool:
        return self.door.wants_usage(self.body)

    @property
    def output_cap(self) -> int | None:
        """The client's cap on the answer."""
        return self.door.output_cap(self.body)

    @property
    def choices(self) -> int:
        return self.door.choices(self.body)


def door(listener: Listener, hosts: Sequence[str], path: str) -> Door | Refuse:
    """Step 0: the door that a request came to, before anything else is looked at.

    `path` is the path as it was sent: what is percent-encoded, doubled or dotted is another path, and no door.
    """
    if len(hosts) > 1:
        return NOT_FOUND
    if not hosts:
        return NO_HOST
    if listener.hostnames and not any(_host(name, host) for name in listener.hostnames for host in hosts):
        return NOT_FOUND
    inner = path.removeprefix(listener.base_path) if path.startswith(listener.base_path) else ""
    return DOORS.get(inner, NOT_FOUND)


def wrong_method(door: Door, method: str) -> Refuse | None:
    """Step 0, once the door is known."""
    return None if method == door.method else method_not_allowed(door.method)


def _host(name: str, host: str) -> bool:
    """A name of a listener, or any name below `*.name`; ports and case do not count."""
    host = host.lower()
    host = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.startswith("*."):
        return len(host) >= len(name) and host.endswith(name[1:]) and not host.startswith(".")
    return host == name


def barred(address: Address | None, places: Iterable[Policies]) -> Refuse | None:
    """Step 1 for the gateway's ipRestriction, step 6 for those of model, groups and consumer: every one must pass."""
    return None if permitted(address, [p.ip_restriction for p in places if p.ip_restriction]) else IP_NOT_ALLOWED


def oversized(listener: Listener, size: int) -> Refuse | None:
    """Step 2."""
    return TOO_LARGE if size > listener.max_body_size else None


def models(config: Config, consumer: Consumer | None, address: Address | None, today: str) -> Models:
    """The names that a caller may use from this address; those of retired models are left out, also where another one
    answers for them."""
    usable = [
        m
        for m in config.models
        if allowed(m, consumer) and not lifecycle.retired(m, today) and not barred(address, placed(config, m, consumer))
    ]
    return Models(tuple(n for m in usable for n in (m.name, *m.aliases)))


def call(
    config: Config,
    door: Door,
    consumer: Consumer | None,
    headers: Headers,
    body: bytes,
    today: str,
    address: Address | None = None,
) -> Call | Refuse:
    """Steps 4 to 6: the body, the model, and whether the caller may use it."""
    if _field(headers, b"content-encoding") not in ("", "identity"):
        return MEDIA_TYPE
    if _field(headers, b"content-type").partition(";")[0].strip() != "application/json":
        return MEDIA_TYPE
    data = body_.parsed(body)
    if isinstance(data, Refuse):
        return data
    refusal = body_.named(data) or door.check(data)
    if refusal:
        return refusal
    name = data["model"]
    called = config.names.get(name)
    if called is None:
        return model_not_found(name)
    model = lifecycle.answering(config.names, called, today)
    if isinstance(model, Refuse):
        return model
    if not allowed(model, consumer):
        return FORBIDDEN
    if door.capability not in model.capabilities:
        return model_not_supported(name, door.capability)
    notice = lifecycle.notice(called, today)
    held = tuple(counters(config, model, Caller(consumer, address, headers)))
    return Call(door, model, name, consumer, data, len(body), held, notice)


def _field(headers: Headers, name: bytes) -> str:
    """A header in small letters; one that came twice is none of the values that are looked for."""
    return ", ".join(value.decode("latin-1").strip().lower() for key, value in headers if key.lower() == name)


def guarded(config: Config, one: Call) -> Refuse | None:
    """Step 8: every guard that applies must pass, on the client's own body."""
    guards = [p.guard for p in placed(config, one.model, one.consumer) if p.guard]
    return REJECTED if guards and refuses(guards, one.door.texts(one.body)) else None


def sent(config: Config, one: Call) -> dict[str, Any]:
    """Step 11: the body that goes to a provider, decorated, before it is translated for one."""
    decorators = [p.decorator for p in placed(config, one.model, one.consumer) if p.decorator]
    return one.door.decorated(one.body, decorators)


def placed(config: Config, model: Model, consumer: Consumer | None) -> list[Policies]:
    """The policies that apply: gateway, model, groups, consumer."""
    groups = [config.groups[g] for g in consumer.groups] if consumer else []
    own = [consumer.policies] if consumer else []
    return [config.policies, model.policies, *groups, *own]


T = TypeVar("T", Cache, Transformer)


def specific(config: Config, one: Call, policy: Callable[[Policies], T | None]) -> T | None:
    """A policy of which the most specific wins whole: the consumer's, a group's in the order of the spec, the model's, the
    gateway's. None where there is none, or where it is switched off."""
    consumer = one.consumer
    groups: list[Policies] = [
        policies for name, policies in config.groups.items() if consumer and name in consumer.groups
    ]
    own: list[Policies] = [consumer.policies] if consumer else []
    places = [*own, *groups, one.model.policies, config.policies]
    found = next((p for p in map(policy, places) if p is not None), None)
    return None if found is None or found.off else found


def allowed(model: Model, consumer: Consumer | None) -> bool:
    """Step 6: deny wins; an absent allow means everybody."""

    def hit(some: Who) -> bool:
        return consumer is not None and (consumer.name in some.consumers or not some.groups.isdisjoint(consumer.groups))

    if model.deny is not None and hit(model.deny):
        return False
    return model.allow is None or hit(model.allow)
