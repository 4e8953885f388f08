"""A gateway to what really applies to each call: whether it is let in, every check, network and limit, and where its data goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any, NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.lower import lower
from aigw_compile.policies.cache import Cache
from aigw_compile.policies.ip_restriction import IpRestriction
from aigw_compile.policies.limits import Limit
from aigw_compile.policies.prompt_decorator import PromptDecorator
from aigw_compile.policies.prompt_guard import PromptGuard
from aigw_compile.policies.response_guard import ResponseGuard
from aigw_compile.policies.transformers import RequestTransformer, ResponseTransformer
from aigw_compile.schema import with_defaults

UNLISTED = "*"
"""How the name of a caller begins that no list of consumers has: anybody, or whoever an issuer vouches for."""


class Check(NamedTuple):
    """One thing that a text has to pass."""

    kind: str
    """prompt deny, prompt allow, response deny or response allow."""
    patterns: frozenset[str]
    roles: frozenset[str]
    """Whose messages are looked at; empty: all."""
    strength: int
    """Among checks that are equal otherwise: a whole conversation before its last message, refusing before masking."""
    origin: Pointer

    def implies(self, other: Check) -> bool:
        """Whether whatever passes this check passes the other one too."""
        if self.kind != other.kind or self.strength < other.strength:
            return False
        if self.roles and not (other.roles and self.roles >= other.roles):
            return False
        return self.patterns <= other.patterns if "allow" in self.kind else self.patterns == other.patterns


class Bound(NamedTuple):
    """One number that a counter may not pass."""

    counter: frozenset[str]
    """What has a counter of its own: a limit of a model counts for each model."""
    seconds: int
    unit: str
    """requests, total tokens, input tokens, output tokens or cost."""
    most: float
    origin: Pointer

    def implies(self, other: Bound) -> bool:
        """Whether whoever keeps to this bound keeps to the other one too."""
        units = {self.unit, *(("input tokens", "output tokens") if self.unit == "total tokens" else ())}
        if other.unit not in units or not self.counter <= other.counter or self.seconds > other.seconds:
            return False
        return self.most * _windows(self.seconds, other.seconds) <= other.most


def _windows(inner: int, outer: int) -> int:
    """How many windows of one length a longer one can hold: a month has up to 31 days, and touches six weeks."""
    if inner == outer:
        return 1
    if outer == 2_592_000:
        return 6 if inner == 604_800 else 31 * 86_400 // inner
    return outer // inner


class Call(NamedTuple):
    """What applies to the calls of one caller to one model."""

    allowed: bool
    checks: tuple[Check, ...]
    networks: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    """(allow, deny) of every restriction; each has to let the caller pass."""
    bounds: tuple[Bound, ...]
    rest: Mapping[str, Any]
    """What is compared as a whole: the cache, transformers and decorators that apply, without their places."""


class Caller(NamedTuple):
    """Consumers to whom the same applies."""

    names: tuple[str, ...]
    one: ir.Consumer
    enters: bool
    """Whether a door is open for it at all."""


class World(NamedTuple):
    """A side, ready to be asked."""

    gateway: ir.Gateway
    models: Mapping[str, ir.Model]
    consumers: Mapping[str, ir.Consumer]
    groups: Mapping[str, ir.ConsumerGroup]
    unlisted: Mapping[str, ir.Consumer]

    def enters(self, consumer: ir.Consumer) -> bool:
        auth = self.gateway.auth
        if auth is None or auth.anonymous or consumer.name in self.unlisted:
            return True
        return bool(auth.jwt or (auth.api_key_headers and consumer.credentials) or (auth.basic and consumer.logins))

    def call(self, model: ir.Model, consumer: ir.Consumer) -> Call:
        own = [self.groups[g].policies for g in consumer.groups if g in self.groups]
        scopes = [("", self.gateway.policies), ("model", model.policies), *(("group", p) for p in own)]
        scopes.append(("consumer", consumer.policies))
        policies = [p for _, some in scopes for p in some]
        return Call(
            self.enters(consumer) and ir.may_call(model, consumer),
            tuple(_checks(policies)),
            tuple(dict.fromkeys((r.allow, r.deny) for r in ir.every(policies, IpRestriction))),
            tuple(b for scope, some in scopes for limit in ir.every(some, Limit) for b in _bounds(limit, scope)),
            {
                "cache": _bare(_nearest(scopes, Cache)),
                "requestTransformer": _bare(_nearest(scopes, RequestTransformer)),
                "responseTransformer": _bare(_nearest(scopes, ResponseTransformer)),
                "promptDecorator": [
                    [[(m.role, m.content) for m in side] for side in (d.prepend, d.append)]
                    for d in ir.every(policies, PromptDecorator)
                ],
            },
        )


def world(document: Json, gateway: ir.Gateway | None = None) -> World:
    """Return a side that can be asked what applies to a call; `gateway` is what the document means, where that is known."""
    if gateway is None:
        whole = with_defaults(document)
        gateway = lower(whole if isinstance(whole, dict) else {})
    auth = gateway.auth
    unlisted: dict[str, ir.Consumer] = {}
    if auth is None or auth.anonymous:
        unlisted[UNLISTED] = somebody(UNLISTED, ())
    for issuer in auth.jwt if auth else ():
        if issuer.unknown_consumer == "accept":
            named = issuer.group_map.values() if issuer.group_map else (g.name for g in gateway.consumer_groups)
            for group in ("", *(sorted({*named}) if issuer.groups_claim else ())):
                name = f"{UNLISTED}{issuer.name}/{group}"
                unlisted[name] = somebody(name, (group,) if group else ())
    return World(
        gateway,
        {m.name: m for m in gateway.models},
        {c.name: c for c in gateway.consumers} | unlisted,
        {g.name: g for g in gateway.consumer_groups},
        unlisted,
    )


def callers(one: World, other: World) -> Iterator[tuple[Caller, Caller]]:
    """Yield whoever is on both sides: consumers to whom the same applies on each side go together."""
    listed = [{n for m in w.models.values() for n in named_by(m)} for w in (one, other)]
    alike: dict[Any, list[str]] = {}
    for name, consumer in one.consumers.items():
        if name in other.consumers:
            pair = (consumer, other.consumers[name])
            plain = not any(c.policies or name in names for c, names in zip(pair, listed, strict=True))
            doors = tuple(w.enters(c) for w, c in zip((one, other), pair, strict=True))
            alike.setdefault((name if not plain else "", *(c.groups for c in pair), doors), []).append(name)
    for (_, _, _, doors), names in alike.items():
        first = (one.consumers[names[0]], other.consumers[names[0]])
        yield Caller(tuple(names), first[0], doors[0]), Caller(tuple(names), first[1], doors[1])
    for name, consumer in (*other.unlisted.items(), *one.unlisted.items()):
        if (name in one.unlisted) != (name in other.unlisted):  # a door that is on one side only
            yield tuple(Caller((name,), consumer, name in w.unlisted) for w in (one, other))  # type: ignore[misc]


def reachable(model: ir.Model) -> list[tuple[ir.Target, ...]]:
    """Return the targets that can answer, by priority."""
    return [*model.priorities()]


def destinations(model: ir.Model) -> frozenset[tuple[str, str, str]]:
    """Return where the data of a model's calls may go."""
    targets = [t for some in model.priorities() for t in some]
    return frozenset((t.provider.type, t.provider.base_url, t.provider.region) for t in targets)


def unmet(wanted: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """Return the checks or bounds that nothing on the other side implies."""
    if wanted == given:
        return []
    same = {item[:-1] for item in given}
    return [item for item in wanted if item[:-1] not in same and not any(other.implies(item) for other in given)]


def beyond(wide: Sequence[Any], narrow: Sequence[Any]) -> bool:
    """Whether some address passes the first restrictions and not the second ones."""
    if {*wide} == {*narrow}:
        return False
    return any(_less(_let_in(wide, v), _let_in(narrow, v)) for v in (4, 6))


Span = tuple[int, int]


def _let_in(restrictions: Iterable[tuple[tuple[str, ...], tuple[str, ...]]], version: int) -> list[Span]:
    spans: list[Span] = [(0, 2 ** (32 if version == 4 else 128) - 1)]
    for allow, deny in restrictions:
        if allow:
            allowed = _spans(allow, version)
            spans = [(max(a, c), min(b, d)) for a, b in spans for c, d in allowed if max(a, c) <= min(b, d)]
        spans = _less(spans, _spans(deny, version))
    return spans


def _spans(cidrs: Iterable[str], version: int) -> list[Span]:
    nets = [ip_network(c, strict=False) for c in cidrs]
    return [(int(n.network_address), int(n.broadcast_address)) for n in nets if n.version == version]


def _less(spans: list[Span], without: list[Span]) -> list[Span]:
    for low, high in without:
        spans = [
            piece
            for a, b in spans
            for piece in ([(a, b)] if high < a or low > b else [(a, low - 1), (high + 1, b)])
            if piece[0] <= piece[1]
        ]
    return spans


def _checks(policies: list[ir.Policy]) -> Iterator[Check]:
    for guard in ir.every(policies, PromptGuard):
        roles, whole = frozenset(guard.roles), int(guard.scope == "conversation")
        for i, pattern in enumerate(guard.deny):
            yield Check("prompt deny", frozenset([pattern]), roles, whole, (*guard.origin, "deny", i))
        if guard.allow:
            yield Check("prompt allow", frozenset(guard.allow), frozenset(), whole, (*guard.origin, "allow"))
    for answer in ir.every(policies, ResponseGuard):
        strength = ("log", "mask", "refuse").index(answer.action)
        for i, pattern in enumerate(answer.deny):
            at = (*answer.origin, "deny", i)
            yield Check("response deny", frozenset([pattern]), frozenset(), strength, at)
        if answer.allow:
            at = (*answer.origin, "allow")
            yield Check("response allow", frozenset(answer.allow), frozenset(), strength, at)


def _bounds(limit: Limit, scope: str) -> Iterator[Bound]:
    if limit.on_exceeded != "refuse":
        return
    counter = frozenset({*limit.by, scope}) - {"gateway", ""}
    units = (("requests", limit.requests), ("tokens", limit.tokens), ("cost", limit.cost))
    for unit, most in units:
        if most is not None:
            named = f"{limit.counted} tokens" if unit == "tokens" else unit
            yield Bound(counter, limit.seconds, named, most, (*limit.origin, unit))


def _nearest(scopes: Sequence[tuple[str, ir.Policies]], node: type[Any]) -> Any:
    """The one that wins: the consumer's, then the first group's in the order of the spec, the model's, the gateway's."""
    order = {"consumer": 0, "group": 1, "model": 2, "": 3}
    for _, policies in sorted(scopes, key=lambda s: order[s[0]]):
        if (found := ir.only(policies, node)) is not None:
            return None if found.off else found
    return None


def _bare(node: Any) -> Any:
    return None if node is None else tuple(node)[:-1]


def named_by(model: ir.Model) -> Iterator[str]:
    for who in (model.access.allow, model.access.deny) if model.access else ():
        yield from who.consumers if who else ()


def somebody(name: str, groups: tuple[str, ...]) -> ir.Consumer:
    return ir.Consumer(name, groups, (), (), (), ())
