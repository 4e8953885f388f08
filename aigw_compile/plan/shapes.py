"""Shapes of a gateway that show when all places are taken together, or when one target of each model is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.plan import edges, fits, sending
from aigw_compile.policies import pcre
from aigw_compile.policies.limits import Limit, LimitStore
from aigw_compile.policies.prompt_decorator import PromptDecorator
from aigw_compile.policies.prompt_guard import PromptGuard


def targets_beyond_the_first(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """Every target but the one that a target with one upstream per model calls."""
    for model in gateway.models:
        first = model.first()
        yield from (t.origin for t in model.targets if t is not first)


def targets_without_weight(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A target that is never chosen."""
    yield from (t.origin for m in gateway.models for t in m.targets if not t.weight)


def weights_and_priorities(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A weight in a model that has several priorities."""
    for model in gateway.models:
        if len(model.priorities()) > 1:
            yield from ((*t.origin, "weight") for t in model.targets if t.weight > 1)


def turns_and_priorities(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """Taking turns (round-robin) in a model that has several priorities."""
    found = (m for m in gateway.models if m.algorithm == "round-robin" and len(m.priorities()) > 1)
    yield from ((*m.origin, "loadBalancing") for m in found)


def passed_names_among_others(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A target that passes the client's model name on, beside one that has a name of its own."""
    for model in gateway.models:
        names = {t.model for t in model.targets if t.weight}
        if len(names) > 1:
            yield from (t.origin for t in model.targets if t.model == "*" and t.weight)


def renamed_models(gateway: ir.Gateway, which: str) -> Iterator[Pointer]:
    """A model that a provider knows by another name than clients; `first`: only the first target of each model counts."""
    for model in gateway.models:
        targets = [model.first()] if which == "first" else [t for t in model.targets if t.weight]
        names = {t.model for t in targets if t}
        if names and "*" not in names and names != {model.name, *model.aliases}:
            yield (*model.origin, "targets")


def unused_providers(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A provider that no target calls."""
    used = {p.name for p in sending.providers(gateway, "all")}
    yield from (p.origin for p in gateway.providers if p.name not in used)


def unused_vaults(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A vault from which nothing is taken while running."""
    refs = [r for p in sending.providers(gateway, "all") for r in edges.provider_secrets(p)]
    refs += [*edges.secrets_of(gateway, "listeners"), *edges.secrets_of(gateway, "stores")]
    used = {r.vault.name for r in refs if r.vault}
    yield from (v.origin for v in gateway.vaults if v.name not in used)


def parts_of_a_second(gateway: ir.Gateway, of: str) -> Iterator[Pointer]:
    """A time that is no number of whole seconds: until vaults are read again, or that browsers remember what cors says (`of`)."""
    times = {
        "vaults": [((*v.origin, "refresh"), v.refresh) for v in gateway.vaults],
        "cors": [((*x.cors.origin, "maxAge"), x.cors.max_age) for x in gateway.listeners if x.cors],
    }
    yield from (at for at, seconds in times[of] if seconds and seconds % 1)


def refreshed_environments(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """An environment that is to be read again."""
    yield from ((*v.origin, "refresh") for v in gateway.vaults if v.type == "env" and v.refresh)


def unreachable_models(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A model none of whose targets can be called."""
    yield from (m.origin for m in gateway.models if not m.priorities())


def vaults_of_type(gateway: ir.Gateway, types: Sequence[str]) -> Iterator[Pointer]:
    """A vault of one of some types."""
    yield from (v.origin for v in gateway.vaults if v.type in types)


def secrets_from(gateway: ir.Gateway, than: Mapping[str, Any]) -> Iterator[Pointer]:
    """A secret of providers, listeners or stores (`of`) that comes from one of some `sources`; `vault:aws` is a kind of vault."""
    for ref in edges.secrets_of(gateway, than["of"]):
        if {ref.source, f"vault:{ref.vault.type if ref.vault else ''}"} & {*than["sources"]}:
            yield ref.origin


def provider_secrets_from(gateway: ir.Gateway, sources: Sequence[str]) -> Iterator[Pointer]:
    """A secret of a provider that comes from one of some sources."""
    yield from secrets_from(gateway, {"of": "providers", "sources": sources})


def env_names_not_in_capitals(gateway: ir.Gateway, of: str | None) -> Iterator[Pointer]:
    """A secret of providers, or of listeners or stores, in an environment variable whose name has small letters."""
    for ref in edges.secrets_of(gateway, of or "providers"):
        if ref.source == "env" and ref.name != ref.name.upper():
            yield ref.origin


def names_unfit_for_a_path(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A model name or alias that cannot stand in a path, in a gateway with several models."""
    if len(gateway.models) > 1:
        for model in gateway.models:
            if fits.pathless(model.name):
                yield (*model.origin, "name")
            yield from ((*model.origin, "aliases", i) for i, name in enumerate(model.aliases) if fits.pathless(name))


def several_listeners(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """More than one listener."""
    if len(gateway.listeners) > 1:
        yield ("spec", "listeners")


def policies_of_nobody(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """Policies of a group without members."""
    for scope in ir.scopes(gateway):
        if scope.policies and fits.nobody(gateway, scope):
            yield (*scope.origin, "policies")


def limits_of_nobody(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A limit for each group, where no group has a member."""
    for scope in ir.scopes(gateway):
        if not fits.nobody(gateway, scope):
            yield from (x.origin for x in ir.every(scope.policies, Limit) if fits.of_nobody(gateway, scope, x))


def groups_without_members(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A group to which no consumer belongs."""
    yield from (g.origin for g in gateway.consumer_groups if not fits.members(gateway, g.name))


def groups_of_nobody(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A group to which no consumer belongs, and of which no token can speak."""
    issuers = [j for j in (gateway.auth.jwt if gateway.auth else ()) if j.groups_claim]
    spoken = {group for j in issuers for group in j.group_map.values()}
    if all(j.group_map for j in issuers):
        nobody = (g for g in gateway.consumer_groups if g.name not in spoken and not fits.members(gateway, g.name))
        yield from (g.origin for g in nobody)


def _slots(limiters: Mapping[str, Any]) -> dict[str, list[fits.Slot]]:
    """What a table says of limiters: unit -> [{windows, shared, compound, mixed}]."""
    return {unit: [fits.Slot(**slot) for slot in slots] for unit, slots in limiters.items()}


def limits_that_do_not_fit(gateway: ir.Gateway, than: Mapping[str, Any]) -> Iterator[Pointer]:
    """A limit that finds no limiter (see fits.limits_too_much for `unit`, `limiters` and `gatewayWide`)."""
    wide = than["gatewayWide"]
    if wide == "with-equal-timeouts":
        wide = len({fits.timing(m) for m in gateway.models}) == 1
    yield from fits.limits_too_much(gateway, than["unit"], _slots(than["limiters"]), bool(wide))


def limits_in_two_limiters(gateway: ir.Gateway, limiters: Mapping[str, Any]) -> Iterator[Pointer]:
    """A limit on requests in another limiter than the first, where both are used."""
    found = fits.placed(gateway, "requests", _slots(limiters)["requests"], True)
    if len({held.slot for held in found}) > 1:
        yield from (x.origin for held in found if held.slot for x in held.limits)


def limits_at_two_doors(gateway: ir.Gateway, limiters: Mapping[str, Any]) -> Iterator[Pointer]:
    """A limit of a model with two doors, in a limiter whose instances share no counter."""
    if any(sending.speaks(m, "anthropic") for m in gateway.models):
        slots = _slots(limiters)["requests"]
        for held in fits.placed(gateway, "requests", slots, True):
            if "model" in held.counter and not slots[held.slot].shared:
                yield from (x.origin for x in held.limits)


def tokens_at_two_doors(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A limit on tokens or cost that holds for several models, one of which has two doors."""
    if any(sending.speaks(m, "anthropic") for m in gateway.models):
        for scope in ir.scopes(gateway):
            if scope.kind != "model":
                yield from (x.origin for x in ir.every(scope.policies, Limit) if fits.amounts(x, "tokens"))


def guards_at_two_doors(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A guard that stands before a model with two doors."""
    two = {m.origin for m in gateway.models if sending.speaks(m, "anthropic")}
    for scope in ir.scopes(gateway):
        if two and (scope.kind != "model" or scope.origin in two):
            yield from (guard.origin for guard in ir.every(scope.policies, PromptGuard))


def tokens_of_several_dialects(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A limit on tokens or cost for models, or one model, whose targets' providers speak several dialects."""
    for scope in ir.scopes(gateway):
        mine = [m for m in gateway.models if scope.kind != "model" or m.origin == scope.origin]
        for limit in ir.every(scope.policies, Limit):
            groups = [[m] for m in mine] if "model" in limit.by else [mine]
            spoken = ({t.provider.dialect for m in group for t in sending.called(m, "all")} for group in groups)
            if any(len(dialects) > 1 for dialects in spoken):
                yield from ((*limit.origin, field) for field in fits.amounts(limit, "tokens"))


def limit_stores_without_limits(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A store for limits at a place that has none."""
    for scope in ir.scopes(gateway):
        if not ir.every(scope.policies, Limit):
            yield from (x.origin for x in ir.every(scope.policies, LimitStore))


def guards_that_do_not_fit(gateway: ir.Gateway, than: Mapping[str, int]) -> Iterator[Pointer]:
    """A guard that cannot be had together with those before it in `patterns` patterns of `bytes` bytes."""
    yield from fits.guards_too_much(gateway, than["patterns"], than["bytes"])


def guards_that_differ(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A guard with other roles or another scope than one that may apply together with it."""
    guards = [*_guards(gateway)]
    if len({(frozenset(g.roles), g.scope) for g in guards}) > 1:
        yield from (g.origin for g in guards[1:])


def guard_with_an_anchor(gateway: ir.Gateway, _: Any) -> Iterator[Pointer]:
    """A pattern that asks for the begin or end of a text, in a guard that looks at more than one message."""
    for guard in _guards(gateway):
        if guard.scope != "last" or set(guard.roles) != {"user"}:
            for field in ("deny", "allow"):
                yield from (
                    (*guard.origin, field, i) for i, text in enumerate(getattr(guard, field)) if pcre.anchored(text)
                )


def decorators_that_do_not_fit(gateway: ir.Gateway, than: Mapping[str, int]) -> Iterator[Pointer]:
    """A decorator that brings a call over a number of `messages` of at most so many `bytes` on one side."""
    yield from fits.decorators_too_much(gateway, than["messages"], than["bytes"])


def decorator_message_longer_than(gateway: ir.Gateway, most: int) -> Iterator[Pointer]:
    """A decorator's message of more than `most` bytes."""
    for scope in ir.scopes(gateway):
        for decorator in ir.every(scope.policies, PromptDecorator):
            yield from (m.origin for m in (*decorator.prepend, *decorator.append) if len(m.content.encode()) > most)


def _guards(gateway: ir.Gateway) -> Iterator[PromptGuard]:
    for scope in ir.scopes(gateway):
        yield from ir.every(scope.policies, PromptGuard)


SHAPES: Mapping[str, Callable[[ir.Gateway, Any], Iterator[Pointer]]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        targets_beyond_the_first,
        targets_without_weight,
        weights_and_priorities,
        turns_and_priorities,
        passed_names_among_others,
        renamed_models,
        unused_providers,
        unused_vaults,
        parts_of_a_second,
        refreshed_environments,
        unreachable_models,
        vaults_of_type,
        secrets_from,
        provider_secrets_from,
        env_names_not_in_capitals,
        names_unfit_for_a_path,
        several_listeners,
        policies_of_nobody,
        limits_of_nobody,
        groups_of_nobody,
        groups_without_members,
        limits_that_do_not_fit,
        guards_at_two_doors,
        limits_at_two_doors,
        limits_in_two_limiters,
        tokens_at_two_doors,
        tokens_of_several_dialects,
        limit_stores_without_limits,
        guards_that_do_not_fit,
        guards_that_differ,
        guard_with_an_anchor,
        decorators_that_do_not_fit,
        decorator_message_longer_than,
    )
}
"""Predicates for plan/conditions.py, which lists all there are."""
