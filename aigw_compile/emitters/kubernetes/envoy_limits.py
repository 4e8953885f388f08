"""Limits to rules of Envoy Gateway's BackendTrafficPolicy, and to what a call has to say of itself: tokens and costs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at, everywhere
from aigw_compile.emitters.kubernetes.envoy_names import (
    CONSUMER_HEADER,
    ENVOY_API,
    METADATA,
    MODEL_HEADER,
    names,
    usable,
)
from aigw_compile.emitters.kubernetes.objects import GATEWAY_API, WHERE, Scene, ref
from aigw_compile.plan.bounds import known_as
from aigw_compile.policies.limits import Limit

TOKENS = {
    "total": ("llm_total_token", "TotalToken"),
    "input": ("llm_input_token", "InputToken"),
    "output": ("llm_output_token", "OutputToken"),
}
"""Which tokens a limit counts -> (key of the metadata, type of Envoy AI Gateway)."""
COST = "llm_cost"
LARGEST = 2**32 - 1
"""An amount of a rule has 32 bits (Envoy Gateway 1.9.0)."""
EVERY_ADDRESS = ("0.0.0.0/0", "::/0")


class Pick(NamedTuple):
    """What tells the requests of one counter, or of one set of counters, from others."""

    headers: tuple[Block, ...] = ()
    addresses: str = ""
    """A range in which each address has a counter."""


COUNTED = (everywhere("limits"), *(("spec", kind) for kind in ("models", "consumerGroups", "consumers")))
"""What has counters, and is written out where Envoy Gateway cannot make them by itself."""


def limits(scene: Scene) -> list[Block]:
    """Return a rule for every counter of every limit."""
    return [
        rule
        for scope in ir.scopes(scene.gateway)
        for limit in ir.every(scope.policies, Limit)
        if not scene.plan.lost(limit.origin)
        for rule in _rules(scene, scope, limit)
    ]


def shared(scene: Scene, rules: Sequence[Block]) -> Iterator[Block]:
    """Yield the BackendTrafficPolicy of the Gateway with every limit; its counters are shared by all routes.

    On a Gateway of somebody else the rules stand at the routes instead.
    """
    if rules and not scene.attached:
        aims = [ref(GATEWAY_API, "Gateway", scene.gateway.name)]
        spec = Block(("spec",), {"targetRefs": aims, **rate_limit(rules)})
        yield scene.object(("spec",), ENVOY_API, "BackendTrafficPolicy", scene.gateway.name, spec)


def rate_limit(rules: Sequence[Block]) -> dict[str, Any]:
    """Return the field of a BackendTrafficPolicy that holds the rules."""
    return {"rateLimit": at({"type": "Global", "global": {"rules": [*rules]}}, *COUNTED, *WHERE)}


def _rules(scene: Scene, scope: ir.Scope, limit: Limit) -> Iterator[Block]:
    """A rule for each counter that Envoy Gateway cannot make by itself, and for requests, tokens and cost each."""
    gateway = scene.gateway
    for chosen in product(*_dimensions(gateway, scope, limit)):
        headers = [*_scope(gateway, scope), *(h for pick in chosen for h in pick.headers)]
        unique = [h for n, h in enumerate(headers) if h not in headers[:n]]
        addresses = next((pick.addresses for pick in chosen if pick.addresses), "")
        for field, amount, key in _amounts(scene, limit):
            rule = Block(limit.origin)
            selector: dict[str, Any] = {"headers": unique} if unique else {}
            if addresses:
                selector["sourceCIDR"] = {"type": "Distinct", "value": addresses, "invert": False}
            if selector:
                rule["clientSelectors"] = [selector]
            unit = limit.per.capitalize()
            rule["limit"] = Block(limit.origin, {"requests": at(amount, (*limit.origin, field)), "unit": unit})
            if key:
                response = Block(limit.origin, {"namespace": METADATA, "key": key})
                request = {"from": "Number", "number": 0}
                rule["cost"] = {"request": request, "response": {"from": "Metadata", "metadata": response}}
            if limit.on_exceeded == "observe":
                rule["shadowMode"] = at(True, (*limit.origin, "onExceeded"))
            rule["shared"] = True
            yield rule


def _amounts(scene: Scene, limit: Limit) -> Iterator[tuple[str, int, str]]:
    """Yield (field, amount, key of the metadata that is counted; "" counts requests)."""
    cost = None if limit.cost is None else max(1, round(limit.cost * 1_000_000 / coin(scene.gateway)))
    wanted = (
        ("requests", limit.requests, ""),
        ("tokens", limit.tokens, TOKENS[limit.counted][0]),
        ("cost", cost, COST),
    )
    for field, amount, key in wanted:
        if amount is not None and not scene.plan.lost((*limit.origin, field)):
            yield field, amount, key


def _scope(gateway: ir.Gateway, scope: ir.Scope) -> Iterator[Block]:
    """The header that says whether a request is one of those that a limit speaks of."""
    if scope.kind == "model":
        yield from (_called(m) for m in gateway.models if m.name == scope.name)
    elif scope.kind == "group":
        yield from (_members(gateway, g) for g in gateway.consumer_groups if g.name == scope.name)
    elif scope.kind == "consumer":
        yield from (_keys(gateway, c) for c in gateway.consumers if c.name == scope.name)


def _dimensions(gateway: ir.Gateway, scope: ir.Scope, limit: Limit) -> Iterator[list[Pick]]:
    """What has a counter of its own: what tells the counters of one dimension apart."""
    if "model" in limit.by and scope.kind != "model":
        yield [Pick((_called(m),)) for m in gateway.models]
    if "group" in limit.by and scope.kind != "group":
        yield [Pick((_members(gateway, g),)) for g in gateway.consumer_groups]
    if "consumer" in limit.by and scope.kind != "consumer":
        if all(len(known_as(gateway, c)) < 2 for c in gateway.consumers):
            yield [Pick((_distinct(limit, CONSUMER_HEADER),))]
        else:
            inside = [c for c in gateway.consumers if scope.kind != "group" or scope.name in c.groups]
            yield [Pick((_keys(gateway, c),)) for c in inside if known_as(gateway, c)]
    for name in limit.headers:
        # Requests without the header have one counter together.
        absent = Block(limit.origin, {"name": name, "type": "RegularExpression", "value": ".*", "invert": True})
        yield [Pick((_distinct(limit, name),)), Pick((absent,))]
    if "ip" in limit.by:
        yield [Pick((), addresses) for addresses in EVERY_ADDRESS]


def _distinct(limit: Limit, header: str) -> Block:
    return Block(limit.origin, {"name": header, "type": "Distinct", "invert": False})


def _called(model: ir.Model) -> Block:
    return _one_of(MODEL_HEADER, names(model), model.origin)


def _keys(gateway: ir.Gateway, consumer: ir.Consumer) -> Block:
    return _one_of(CONSUMER_HEADER, known_as(gateway, consumer), consumer.origin, ("spec", "auth"))


def _members(gateway: ir.Gateway, group: ir.ConsumerGroup) -> Block:
    inside = [c for c in gateway.consumers if group.name in c.groups]
    origins = (("spec", "consumers"), ("spec", "auth"), *((*c.origin, "groups") for c in inside))
    return _one_of(CONSUMER_HEADER, [name for c in inside for name in known_as(gateway, c)], group.origin, *origins)


def _one_of(header: str, values: list[str], origin: Pointer, *others: Pointer) -> Block:
    """A header that has one of some values; all that match count together."""
    if len(values) == 1:
        kind, value = "Exact", values[0]
    else:
        kind, value = "RegularExpression", f"^({'|'.join(map(re.escape, values))})$"
    places = (origin, *others)
    fields = {"name": header, "type": at(kind, *places), "value": at(value, *places), "invert": False}
    return Block(origin, fields)


# --- what a call says of itself


def costs(scene: Scene) -> dict[str, list[Block]]:
    """Return, by the name of each model, what its calls have to say that they took: for limits, and for the access log."""
    wanted = [x for s in ir.scopes(scene.gateway) for x in ir.every(s.policies, Limit) if not scene.plan.lost(x.origin)]
    counted = {x.counted for x in wanted if x.tokens is not None}
    if scene.gateway.observability.access_log:
        counted.add("total")
    tokens = [TOKENS[which] for which in TOKENS if which in counted]
    money = any(x.cost is not None for x in wanted)
    return {
        model.name: [
            *(Block(("spec",), {"metadataKey": key, "type": kind}) for key, kind in tokens),
            *([_cost(scene, model)] if money else []),
        ]
        for model in scene.gateway.models
    }


def coin(gateway: ir.Gateway) -> int:
    """Return what one unit of a cost limit is worth, in millionths of a dollar: the least power of ten that all fit in."""
    largest = max((x.cost or 0 for s in ir.scopes(gateway) for x in ir.every(s.policies, Limit)), default=0)
    worth = 1
    while largest * 1_000_000 / worth > LARGEST:
        worth *= 10
    return worth


def _cost(scene: Scene, model: ir.Model) -> Block:
    """The cost of a call, by the target that answered. A price for a million tokens is one for a token in millionths."""
    targets = usable(scene, model)
    text = "0.0"
    for number, target in reversed([*enumerate(targets)]):
        if target.price:
            amount = _amount(target.price)
            text = amount if len(targets) == 1 else f'backend.endsWith("/rule/0/ref/{number}") ? {amount} : ({text})'
    origins = [t.price.origin for t in targets if t.price]
    whole = f"uint(({text}) / {coin(scene.gateway)}.0 + 0.5)"
    return Block(model.origin, {"metadataKey": COST, "type": "CEL", "cel": at(whole, *origins, everywhere("limits"))})


def _amount(price: ir.Price) -> str:
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    parts = {
        "input_tokens": price.input,
        "cached_input_tokens": read - price.input,
        "cache_creation_input_tokens": write - price.input,
        "output_tokens": price.output,
    }
    return " + ".join(f"double({what}) * {each:.9f}" for what, each in parts.items() if each) or "0.0"
