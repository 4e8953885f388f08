"""Shapes of a gateway that a capability row can depend on: name -> (gateway, argument) -> the places where it has that shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.plan.shapes import SHAPES
from aigw_compile.policies.limits import Limit
from aigw_compile.policies.prompt_decorator import PromptDecorator
from aigw_compile.policies.prompt_guard import PromptGuard

Predicate = Callable[[ir.Gateway, Any], Iterator[Pointer]]


def several_models(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """More than one chat model."""
    if len(gateway.models) > 1:
        yield ("spec", "models")


def several_priorities(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A model that can fall back to another priority."""
    for model in gateway.models:
        if len(model.priorities()) > 1:
            yield (*model.origin, "targets")


def several_targets(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A model with more than one target that can be chosen."""
    for model in gateway.models:
        if sum(map(len, model.priorities())) > 1:
            yield (*model.origin, "targets")


def prefixed_credential(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A provider whose credential is sent behind a prefix, such as `Bearer `."""
    for provider in gateway.providers:
        if provider.credential and provider.auth_prefix:
            yield provider.credential.origin


def prefixed_credential_in_a_vault(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A credential that is sent behind a prefix and kept in a vault, which is not the environment."""
    for provider in gateway.providers:
        ref = provider.credential
        if ref and ref.vault and ref.vault.type != "env" and provider.auth_prefix:
            yield ref.origin


def decorator_and_guard(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A prompt decorator in a gateway that also has a guard."""
    scopes = list(ir.scopes(gateway))
    if any(ir.only(s.policies, PromptGuard) for s in scopes):
        yield from (d.origin for s in scopes for d in ir.every(s.policies, PromptDecorator))


def guard_patterns_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """A guard with more than `most` patterns in one list."""
    for guard in _guards(gateway):
        for field in ("deny", "allow"):
            if len(getattr(guard, field)) > most:
                yield (*guard.origin, field)


def guard_pattern_longer_than(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """A pattern of more than `most` characters."""
    for guard in _guards(gateway):
        for field in ("deny", "allow"):
            yield from ((*guard.origin, field, i) for i, text in enumerate(getattr(guard, field)) if len(text) > most)


def guards_at_several_places(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """More than one guard, each at its own place."""
    guards = list(_guards(gateway))
    if len(guards) > 1:
        yield from (g.origin for g in guards[1:])


def decorators_at_several_places(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """More than one decorator, each at its own place."""
    places = [d.origin for s in ir.scopes(gateway) for d in ir.every(s.policies, PromptDecorator)]
    if len(places) > 1:
        yield from places[1:]


def limits_at_several_places(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """Limits at more than one kind of place."""
    placed = [(s.kind, limit.origin) for s in ir.scopes(gateway) for limit in ir.every(s.policies, Limit)]
    if len({kind for kind, _ in placed}) > 1:
        yield from (origin[:-1] for kind, origin in placed if kind != placed[0][0])


def tokens_alone(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A limit that counts tokens and no requests."""
    for limit in _limits(gateway):
        if limit.tokens is not None and limit.requests is None:
            yield limit.origin


def requests_per(gateway: ir.Gateway, window: str) -> Iterator[Pointer]:
    """A limit on requests with a certain window."""
    for limit in _limits(gateway):
        if limit.requests is not None and limit.per == window:
            yield (*limit.origin, "per")


def requests_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """A limit of more than `most` requests."""
    for limit in _limits(gateway):
        if limit.requests is not None and limit.requests > most:
            yield (*limit.origin, "requests") if limit.tokens is not None else limit.origin


def body_size_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """A listener that takes bodies of more than `most` bytes."""
    for listener in gateway.listeners:
        if listener.max_body_size > most:
            yield (*listener.origin, "maxBodySize")


def allow_over_a_conversation(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A guard that allows, and looks at every message."""
    yield from ((*g.origin, "allow") for g in _guards(gateway) if g.allow and g.scope == "conversation")


def fallback_beyond_retries(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A model that retries, and falls back for a cause for which it does not retry."""
    for model in gateway.models:
        if model.retries.attempts and len(model.priorities()) > 1 and set(model.fallback.on) - set(model.retries.on):
            yield model.fallback.origin


def idle_under_first_byte(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A model whose idle timeout is shorter than its wait for the first byte."""
    for model in gateway.models:
        first = model.timeouts.first_byte or float("inf")
        if 0 < model.timeouts.idle < first:
            yield model.timeouts.origin


def different_causes(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A model that retries and falls back, and not for the same causes."""
    for model in gateway.models:
        if model.retries.attempts and len(model.priorities()) > 1 and set(model.fallback.on) != set(model.retries.on):
            yield model.fallback.origin


def timeout_without_connect_failure(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A list of causes that names timeouts and not connections that fail."""
    for model in gateway.models:
        for causes in (model.retries, model.fallback):
            if "timeout" in causes.on and "connect-failure" not in causes.on:
                yield (*causes.origin, "on")


def gaps_in_priorities(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A target whose priority is not the next number after those before it."""
    for model in gateway.models:
        reached = sorted({t.priority for t in model.targets if t.weight > 0})
        dense = {priority for number, priority in enumerate(reached) if number == priority}
        yield from ((*t.origin, "priority") for t in model.targets if t.priority not in dense)


def targets_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """Targets of a model beyond the first `most`."""
    yield from (target.origin for model in gateway.models for target in model.targets[most:])


def names_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """A model with more than `most` names."""
    yield from ((*m.origin, "aliases") for m in gateway.models if len(m.aliases) >= most)


def chat_models(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A gateway with a chat model."""
    if any("chat" in model.capabilities for model in gateway.models):
        yield ("spec", "models")


def several_body_sizes(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """Listeners that take bodies of different sizes."""
    if len({x.max_body_size for x in gateway.listeners}) > 1:
        yield from ((*x.origin, "maxBodySize") for x in gateway.listeners)


def provider_outside_dns(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A provider at an address that means something else elsewhere: loopback, one label, none at all."""
    for provider in gateway.providers:
        try:
            split = urlsplit(provider.base_url)
            host, _ = split.hostname or "", split.port
        except ValueError:
            host = ""
        try:
            outside = ip_address(host).is_loopback
        except ValueError:
            outside = not _DOMAIN.fullmatch(host) or host.endswith(".localhost")
        if outside:
            yield provider.origin


_DOMAIN = re.compile(r"([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z0-9]([-a-z0-9]*[a-z0-9])?\.?")


def client_id(consumer: ir.Consumer, number: int) -> str:
    """Return the name of a consumer's key where each key needs its own: `bot`, `bot.2`."""
    return consumer.name if number == 0 else f"{consumer.name}.{number + 1}"


def several_keys(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A consumer with more than one key."""
    yield from ((*c.origin, "credentials") for c in gateway.consumers if len(c.credentials) > 1)


def provider_secret_key_other_than(gateway: ir.Gateway, key: str) -> Iterator[Pointer]:
    """A provider's Kubernetes Secret with another data key than `key`."""
    for provider in gateway.providers:
        if provider.credential and provider.credential.in_cluster and provider.credential.property != key:
            yield provider.credential.origin


def client_secret_key_other_than_its_name(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A consumer's Kubernetes Secret whose data key is not the name of the consumer."""
    for consumer in gateway.consumers:
        for number, credential in enumerate(consumer.credentials):
            ref = credential.api_key
            if ref.in_cluster and ref.property != client_id(consumer, number):
                yield ref.origin


def counters_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """Limits beyond the first `most` counters, where only consumers with one key each share one."""
    several = any(len(c.credentials) > 1 for c in gateway.consumers)
    count = 0
    for scope in ir.scopes(gateway):
        for limit in ir.every(scope.policies, Limit):
            models = len(gateway.models) if "model" in limit.by and scope.kind != "model" else 1
            groups = len(gateway.consumer_groups) if "group" in limit.by and scope.kind != "group" else 1
            consumers = len(gateway.consumers) if several and "consumer" in limit.by else 1
            count += models * groups * consumers * sum(x is not None for x in (limit.requests, limit.tokens))
            if count > most:
                yield limit.origin


def amount_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """An amount of a limit that is larger than `most`."""
    for limit in _limits(gateway):
        for field, amount in (("requests", limit.requests), ("tokens", limit.tokens)):
            if amount is not None and amount > most:
                yield (*limit.origin, field)


def selectors_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """Limits that have to tell names apart which, as one pattern, are longer than `most` characters."""

    def long(names: Iterable[str]) -> bool:
        return len("|".join(map(re.escape, names))) + len("^()$") > most

    models = {m.name for m in gateway.models if long([m.name, *m.aliases])}
    keys = {c.name: [client_id(c, n) for n in range(len(c.credentials))] for c in gateway.consumers}
    members = {
        g.name: [k for c in gateway.consumers if g.name in c.groups for k in keys[c.name]]
        for g in gateway.consumer_groups
    }
    groups = {name for name, ids in members.items() if long(ids)}
    consumers = {name for name, ids in keys.items() if long(ids)}
    for scope in ir.scopes(gateway):
        placed = scope.name in {"model": models, "group": groups, "consumer": consumers}.get(scope.kind, ())
        for limit in ir.every(scope.policies, Limit):
            wide = {"model": models, "group": groups, "consumer": consumers}
            if placed or any(found for kind, found in wide.items() if kind in limit.by and kind != scope.kind):
                yield limit.origin


def hostnames_over(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """Host names, where all listeners together have more than `most`."""
    if sum(max(1, len(x.hostnames)) for x in gateway.listeners) > most:
        yield from ((*x.origin, "hostnames") for x in gateway.listeners if x.hostnames)


def listeners_of_one_port(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A listener whose port and host name another one before it has, at another address."""
    taken: set[tuple[int, str]] = set()
    for own in gateway.listeners:
        mine = {(own.port, host) for host in own.hostnames or ("",)}
        if mine & taken:
            yield own.origin
        taken |= mine


def tls_to_an_address(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A provider that is reached by TLS at an IP address."""
    for provider in gateway.providers:
        try:
            split = urlsplit(provider.base_url)
            ip_address(split.hostname or "")
        except ValueError:
            continue
        if split.scheme == "https":
            yield provider.origin


def names_longer_than_a_path(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """A name of a model that, with everything but letters and digits escaped, can be longer than `most` characters."""
    bases = max(len(x.base_path) for x in gateway.listeners) * 2
    for model in gateway.models:
        for name, place in ((model.name, "name"), *((alias, "aliases") for alias in model.aliases)):
            if bases + sum(1 if c.isalnum() and c.isascii() else 14 for c in name) + 40 > most:
                yield (*model.origin, place)


def labels_outside_kubernetes(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A label whose key or value is none in Kubernetes."""
    for key, value in gateway.labels.items():
        prefix, slash, name = key.rpartition("/")
        fits = _LABEL.fullmatch(name) and (not slash or (_PREFIX.fullmatch(prefix) and len(prefix) <= 253))
        if not fits or not (value == "" or _LABEL.fullmatch(value)):
            yield ("metadata", "labels", key)


def annotations_outside_kubernetes(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """An annotation whose key is none in Kubernetes."""
    for key in gateway.annotations:
        prefix, slash, name = key.rpartition("/")
        if not _LABEL.fullmatch(name) or (slash and not (_PREFIX.fullmatch(prefix) and len(prefix) <= 253)):
            yield ("metadata", "annotations", key)


_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def _limits(gateway: ir.Gateway) -> Iterator[Limit]:
    for scope in ir.scopes(gateway):
        yield from ir.every(scope.policies, Limit)


def _guards(gateway: ir.Gateway) -> Iterator[PromptGuard]:
    for scope in ir.scopes(gateway):
        yield from ir.every(scope.policies, PromptGuard)


_OWN = (
    several_models,
    several_priorities,
    several_targets,
    prefixed_credential,
    prefixed_credential_in_a_vault,
    decorator_and_guard,
    guard_patterns_over,
    guard_pattern_longer_than,
    guards_at_several_places,
    decorators_at_several_places,
    limits_at_several_places,
    tokens_alone,
    requests_per,
    requests_over,
    body_size_over,
    allow_over_a_conversation,
    fallback_beyond_retries,
    idle_under_first_byte,
    different_causes,
    timeout_without_connect_failure,
    gaps_in_priorities,
    targets_over,
    names_over,
    chat_models,
    several_body_sizes,
    provider_outside_dns,
    several_keys,
    provider_secret_key_other_than,
    client_secret_key_other_than_its_name,
    counters_over,
    amount_over,
    selectors_over,
    hostnames_over,
    listeners_of_one_port,
    tls_to_an_address,
    names_longer_than_a_path,
    labels_outside_kubernetes,
    annotations_outside_kubernetes,
)
CONDITIONS: Mapping[str, Predicate] = {**{f.__name__.replace("_", "-"): f for f in _OWN}, **SHAPES}
