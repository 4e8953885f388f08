"""A gateway to what can be sent to its providers where one plugin of a route writes it for every target of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.policies.prompt_decorator import PromptDecorator
from aigw_compile.policies.prompt_guard import PromptGuard
from aigw_compile.policies.transformers import RequestTransformer, ResponseTransformer
from aigw_compile.providers import PROVIDERS, azure_base

OPTIONS: Mapping[str, tuple[float, float]] = {
    "max_tokens": (1, 2**31 - 1),
    "temperature": (0, 5),
    "top_p": (0, 1),
    "top_k": (0, 500),
}
"""Numbers that have a place of their own beside a target's model, with the bounds of their schema (Kong 3.9.3, llm/schemas)."""
_WHOLE = ("max_tokens", "top_k")
_CARRIED: Mapping[str, tuple[str, ...]] = {
    "openai": tuple(OPTIONS),
    "azure-openai": tuple(OPTIONS),
    "gemini": tuple(OPTIONS),
    "anthropic": ("max_tokens", "temperature"),
}
"""Dialect -> those of them that reach the provider (Kong 3.9.3, llm/drivers)."""


def called(model: ir.Model, which: str) -> tuple[ir.Target, ...]:
    """Return the targets of a model that are called; `first`: a target with one upstream for each model calls one."""
    first = model.first()
    return tuple(t for t in model.targets if t.weight and (which != "first" or t is first))


def callers(gateway: ir.Gateway, which: str) -> Iterator[tuple[ir.Model, ir.Target]]:
    """Yield every target that is called, with its model."""
    yield from ((m, t) for m in gateway.models for t in called(m, which))


def providers(gateway: ir.Gateway, which: str) -> tuple[ir.Provider, ...]:
    """Return the providers that are called."""
    used = {t.provider.name for _, t in callers(gateway, which)}
    return tuple(p for p in gateway.providers if p.name in used)


def embeds(model: ir.Model) -> bool:
    """Say whether a model makes embeddings and nothing else."""
    return "chat" not in model.capabilities


def speaks(model: ir.Model, dialect: str) -> bool:
    """Say whether every target of a chat model that is called speaks a dialect."""
    found = called(model, "all")
    return bool(found) and not embeds(model) and all(t.provider.dialect == dialect for t in found)


def usual_address(provider: ir.Provider) -> bool:
    """Say whether a provider is where its type says."""
    if provider.dialect == "azure-openai":
        return provider.base_url == azure_base(str(provider.settings.get("instance", "")))
    return provider.base_url == PROVIDERS[provider.type].base_url


# --- Parameters and headers


def is_option(target: ir.Target, name: str, value: Json) -> bool:
    """Say whether a parameter is a number that stands beside the model, within its bounds."""
    if name not in _CARRIED[target.provider.dialect] or isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    low, high = OPTIONS[name]
    return low <= value <= high and (name not in _WHOLE or value == int(value))


def is_plain(name: str, value: Json) -> bool:
    """Say whether `name:value` is a text for request-transformer, which fills in templates (3.9.3, its access.lua)."""
    if not isinstance(value, str) or not value or ":" in name:
        return False
    return "$(" not in value and not value.startswith(":") and value.isprintable()


def _shared(model: ir.Model, which: str, get: Callable[[ir.Target], Json]) -> bool:
    """Say whether all targets that are called have the same value."""
    found = [get(t) for t in called(model, which)]
    return all(value == found[0] for value in found)


def parameters_that_cannot_be_set(gateway: ir.Gateway, which: str) -> Iterator[Pointer]:
    """A default or an override that is neither a number beside the model (overrides alone) nor a text that all targets share."""
    for model, target in callers(gateway, which):
        if not target.parameters:
            continue
        for side in ("defaults", "overrides"):

            def of(one: ir.Target, name: str, side: str = side) -> Json:
                found: Json = getattr(one.parameters, side).get(name) if one.parameters else None
                return found

            for name, value in getattr(target.parameters, side).items():
                written = target.provider.dialect in ("openai", "azure-openai") and is_plain(name, value)
                text = written and _shared(model, which, lambda t, name=name: of(t, name))  # type: ignore[misc]
                if not text and not (side == "overrides" and is_option(target, name, value)):
                    yield (*target.parameters.origin, side, name)


def secret_header(provider: ir.Provider) -> ir.Header | None:
    """Return the header with a secret that stands where the credential would, of a provider that has no other."""
    secrets = [h for h in provider.own_headers if isinstance(h.value, ir.SecretRef)]
    alone = provider.credential is None and provider.identity is None and len(secrets) == 1
    return secrets[0] if alone else None


def headers_that_cannot_be_sent(gateway: ir.Gateway, which: str) -> Iterator[Pointer]:
    """A header with a secret beside a credential, and a text that not all targets of a model share."""
    found: dict[Pointer, None] = {}
    for model, target in callers(gateway, which):
        for header in target.provider.own_headers:
            if isinstance(header.value, ir.SecretRef):
                fine = header is secret_header(target.provider)
            else:

                def of(one: ir.Target, name: str = header.name) -> Json:
                    return next((h.value for h in one.provider.own_headers if h.name == name), None)  # type: ignore[return-value]

                fine = header.name != "host" and is_plain("", header.value) and _shared(model, which, of)
            if not fine:
                found[header.origin] = None
    yield from found


# --- TLS towards providers


class OneTls(NamedTuple):
    """TLS settings that hold for every provider at once, as files."""

    ca: ir.SecretRef | None
    certificate: ir.SecretRef | None
    key: ir.SecretRef | None


def _same(one: ir.SecretRef, other: ir.SecretRef) -> bool:
    return one._replace(origin=()) == other._replace(origin=())


def one_tls(gateway: ir.Gateway, which: str) -> OneTls:
    """Return the authority that all providers called by TLS share, and the first certificate that is shown to any."""
    secure = [p for p in providers(gateway, which) if p.base_url.startswith("https:")]
    cas = [p.tls.ca if p.tls else None for p in secure]
    first = cas[0] if cas else None
    shared = first and first.source == "file" and all(ca and _same(first, ca) for ca in cas)
    pairs = [(p.tls.certificate, p.tls.key) for p in secure if p.tls and p.tls.certificate and p.tls.key]
    files = [(c, k) for c, k in pairs if c and k and c.source == k.source == "file"]
    certificate, key = files[0] if files else (None, None)
    return OneTls(first if shared else None, certificate, key)


def provider_tls_that_differs(gateway: ir.Gateway, which: str) -> Iterator[Pointer]:
    """An authority that not all providers share, a second certificate, and either where it is no file."""
    one = one_tls(gateway, which)
    for provider in providers(gateway, which):
        tls = provider.tls
        if tls is None:
            continue
        if tls.ca and not one.ca:
            yield (*tls.origin, "ca")
        for field, own, taken in (
            ("clientCertificate", tls.certificate, one.certificate),
            ("clientKey", tls.key, one.key),
        ):
            if own and not (taken and _same(own, taken)):
                yield (*tls.origin, field)


# --- What a route for a model cannot do


def dialects_elsewhere(gateway: ir.Gateway, dialect: str) -> Iterator[Pointer]:
    """A provider of a dialect at an address of its own, and its targets."""
    away = {p.name: p for p in gateway.providers if p.dialect == dialect and not usual_address(p)}
    yield from (p.origin for p in away.values())
    yield from (t.origin for m in gateway.models for t in m.targets if t.provider.name in away)


def passed_names_in_dialect(gateway: ir.Gateway, dialect: str) -> Iterator[Pointer]:
    """A target that passes the client's model name on to a provider of a dialect."""
    yield from (t.origin for m in gateway.models for t in m.targets if t.model == "*" and t.provider.dialect == dialect)


def embeddings_in_dialect(gateway: ir.Gateway, dialects: list[str]) -> Iterator[Pointer]:
    """A target of an embeddings model whose provider speaks one of some dialects."""
    for model in gateway.models:
        if embeds(model):
            yield from (t.origin for t in model.targets if t.provider.dialect in dialects)


def embeddings_of_another_model(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A target of an embeddings model that has another name for it than the first one."""
    for model in gateway.models:
        found = called(model, "all") if embeds(model) else ()
        yield from (t.origin for t in found if t.model != found[0].model)


def embeddings_beside_chat(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A model that makes embeddings and chats."""
    for model in gateway.models:
        if not embeds(model):
            yield from _embeddings(model)


def embeddings_under_a_guard(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """An embeddings model for which a prompt guard stands, for anybody."""
    for model in gateway.models:
        if embeds(model):
            scopes = (s for s in ir.scopes(gateway) if s.kind != "model" or s.origin == model.origin)
            if any(g.deny or g.allow for s in scopes for g in ir.every(s.policies, PromptGuard)):
                yield from _embeddings(model)


def guards_without_chat(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A prompt guard in a gateway without a chat model."""
    if all(embeds(m) for m in gateway.models):
        yield from (g.origin for s in ir.scopes(gateway) for g in ir.every(s.policies, PromptGuard))


def _embeddings(model: ir.Model) -> Iterator[Pointer]:
    at = (*model.origin, "capabilities")
    yield from ((*at, i) for i, one in enumerate(model.capabilities) if one == "embeddings")


def chat_policies_without_chat(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A decorator or a transformer at a model that makes embeddings alone."""
    for model in gateway.models:
        if embeds(model):
            scope = ir.Scope("model", model.name, model.policies, model.origin)
            yield from (p.origin for p in (*ir.every(model.policies, PromptDecorator), *transformers(scope)))


# --- Transformers


def extract_with_a_group(gateway: ir.Gateway, which: str) -> Iterator[Pointer]:
    """A transformer of requests or of responses (`which`) that takes a group out of the answer, not the whole match."""
    node = {"request": RequestTransformer, "response": ResponseTransformer}[which]
    for scope in ir.scopes(gateway):
        for one in transformers(scope):
            if isinstance(one, node) and one.extract:
                import re2

                if re2.compile(one.extract).groups:
                    yield one.origin


def transformer_before_a_guard(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A request transformer in a gateway that has a prompt guard too."""
    scopes = [*ir.scopes(gateway)]
    if any(ir.only(s.policies, PromptGuard) for s in scopes):
        yield from (t.origin for s in scopes for t in ir.every(s.policies, RequestTransformer) if not t.off)


def transformers(scope: ir.Scope) -> Iterator[RequestTransformer | ResponseTransformer]:
    """Yield the transformers of a place."""
    yield from ir.every(scope.policies, RequestTransformer)
    yield from ir.every(scope.policies, ResponseTransformer)


# --- Prices


def costs_without_a_price(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A limit on cost in a gateway with a target of which nobody knows the price."""
    from aigw_compile.policies.limits import Limit

    if any(t.price is None for _, t in callers(gateway, "all")):
        for scope in ir.scopes(gateway):
            yield from ((*x.origin, "cost") for x in ir.every(scope.policies, Limit) if x.cost is not None)


def costs_of_passed_names(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A limit on cost in a gateway with a target that passes the client's model name on."""
    from aigw_compile.policies.limits import Limit

    if any(t.model == "*" for _, t in callers(gateway, "all")):
        for scope in ir.scopes(gateway):
            yield from ((*x.origin, "cost") for x in ir.every(scope.policies, Limit) if x.cost is not None)


SENDING: Mapping[str, Callable[[ir.Gateway, Any], Iterator[Pointer]]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        parameters_that_cannot_be_set,
        headers_that_cannot_be_sent,
        provider_tls_that_differs,
        dialects_elsewhere,
        passed_names_in_dialect,
        embeddings_in_dialect,
        embeddings_of_another_model,
        embeddings_beside_chat,
        embeddings_under_a_guard,
        guards_without_chat,
        chat_policies_without_chat,
        extract_with_a_group,
        transformer_before_a_guard,
        costs_without_a_price,
        costs_of_passed_names,
    )
}
"""Predicates for plan/conditions.py, which lists all there are."""
