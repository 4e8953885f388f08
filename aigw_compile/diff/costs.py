"""A model or a limit on both sides to what the change costs, in words: an estimate from the spec's prices and the table that ships."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from aigw_compile import ir, prices
from aigw_compile.diagnostic import Pointer
from aigw_compile.diff.effective import World
from aigw_compile.diff.types import Change
from aigw_compile.policies.limits import Limit


class Estimate(NamedTuple):
    same: bool
    """Nothing about what a call costs has changed."""
    words: str


def of_model(old: ir.Model, new: ir.Model) -> Estimate:
    """Return what a call costs now, beside what it cost: at the first priority, or where that is the same, at a later one."""
    before, after = old.priorities(), new.priorities()
    if [*map(_bill, before)] == [*map(_bill, after)]:
        return Estimate(True, "")
    for number, (a, b) in enumerate(zip(before, after, strict=False)):
        if _bill(a) == _bill(b):
            continue
        unknown = next((t for t in (*b, *a) if t.price is None), None)
        if unknown:
            return Estimate(False, f"; what it costs is not known: {unknown.model} has no price")
        change = (_mean(b) - _mean(a)) / _mean(a) if _mean(a) else 0.0
        if f"{change:+.0%}" in ("+0%", "-0%"):
            return Estimate(False, "; a call costs the same")
        call = "a call" if number == 0 else "a call that falls back"
        return Estimate(False, f"; about {change:+.0%} for {call} at equal tokens, by {_source((*a, *b))}")
    return Estimate(False, "")


def of_limit(change: Change, side: World, at: Pointer | None) -> str:
    """Return how much more may be spent by a limit that was raised."""
    if change.op != "raised" or at is None or change.place.rpartition(".")[2] not in ("cost", "tokens"):
        return ""
    limit = next((x for x in _limits(side) if x.origin == at[:-1]), None)
    if limit is None or limit.on_exceeded != "refuse":
        return ""
    more, by = change.after - change.before, ""
    if at[-1] == "tokens":
        targets = [t for m in _models(side, at) for some in m.priorities() for t in some]
        known = [_dearest(t.price, limit.counted) for t in targets if t.price]
        if not targets or len(known) < len(targets):
            return ""
        more *= max(known) / 1_000_000
        by = f", at the dearest of {_source(targets)}"
    each = " and ".join(key for key in limit.by if key != "gateway")
    return f"; up to US${more:,.2f} more a {limit.per}{f' for each {each}' if each else ''}{by}"


def _dearest(price: ir.Price, counted: str) -> float:
    sides = {"input": (price.input,), "output": (price.output,)}
    return max(sides.get(counted, (price.input, price.output)))


def _bill(targets: Sequence[ir.Target]) -> object:
    """What the price of a call depends on: equal bills are equal whatever the targets are called."""
    known = [(t.price and t.price[:4]) or (t.provider.type, t.model) for t in targets]
    if len({*known}) == 1:
        return known[0]  # then it does not matter how they share the calls
    weights = sum(t.weight for t in targets)
    return sorted((str(k), t.weight / weights) for k, t in zip(known, targets, strict=True))


def _mean(targets: Sequence[ir.Target]) -> float:
    """What as many tokens in as out cost, over the targets that share the calls."""
    total = sum(t.weight for t in targets)
    return sum((t.price.input + t.price.output) * t.weight for t in targets if t.price) / total


def _source(targets: Sequence[ir.Target]) -> str:
    sources = {t.price.source for t in targets if t.price}
    if sources == {"spec"}:
        return "the prices of the spec"
    return f"prices of {prices.DATE}{' and of the spec' if 'spec' in sources else ''}"


def _limits(side: World) -> Iterator[Limit]:
    for scope in ir.scopes(side.gateway):
        yield from ir.every(scope.policies, Limit)


def _models(side: World, at: Pointer) -> Sequence[ir.Model]:
    models = [*side.models.values()]
    return [models[n] for n in at[2:3] if isinstance(n, int)] if at[1:2] == ("models",) else models
