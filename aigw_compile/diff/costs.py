"""A change on both sides to what it costs: an estimate in US dollars from the spec's prices and the table that ships."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aigw_compile import ir, prices
from aigw_compile.diagnostic import Pointer
from aigw_compile.diff.effective import World
from aigw_compile.diff.types import Change, Estimate
from aigw_compile.policies.limits import Limit

MILLION = 1_000_000
TOKENS = "for a million tokens in and a million out"
CAPS = ("max_tokens", "max_completion_tokens")
"""The doors' names for the cap on an answer, which are one parameter."""


def same(old: ir.Model, new: ir.Model) -> bool:
    """Whether a call costs the same, at the first priority and at each later one."""
    return _bills(old) == _bills(new)


Places = tuple[Pointer | None, Pointer | None]
"""Where a change is on the old side, and on the new one."""


def of_model(old: ir.Model, new: ir.Model, at: Places) -> Estimate | None:
    """Return what the calls of a model cost now, beside what they cost, by what of it changed."""
    field = (at[1] or at[0] or ())[3:]
    if "parameters" in field:
        return _of_cap(*(_target(model, a) for model, a in zip((old, new), at, strict=True)))
    if field[:1] == ("retries",):
        return _of_tries(old, new)
    return _of_targets(old, new) if field[:1] == ("targets",) else None


def of_policy(
    change: Change, sides: tuple[World, World], at: Places, aspects: Sequence[str], reached: Sequence[ir.Model]
) -> Estimate | None:
    """Return what a limit lets be spent, or what a cache no longer saves."""
    if aspects == ("bounds",):
        return _of_limit(change, sides, at)
    return _of_cache(reached) if aspects == ("cache",) else None


def _of_targets(old: ir.Model, new: ir.Model) -> Estimate | None:
    """At the first priority, or where that is the same, at a later one."""
    for number, (a, b) in enumerate(zip(old.priorities(), new.priorities(), strict=False)):
        if _bill(old, a) != _bill(new, b):
            return _means((old, a), (new, b), f"{TOKENS}{' of calls that fall back' if number else ''}")
    return None


def _of_tries(old: ir.Model, new: ir.Model) -> Estimate | None:
    """Of a call that only the last try answers."""
    if not old.priorities() or not new.priorities() or old.retries.attempts == new.retries.attempts:
        return None
    found = _means((old, old.priorities()[0]), (new, new.priorities()[0]), f"{TOKENS} of calls that need every try")
    if found.before is None or found.after is None:
        return found
    tries = (1 + old.retries.attempts, 1 + new.retries.attempts)
    said = f"if each try is billed, {found.assumes}"
    return found._replace(before=found.before * tries[0], after=found.after * tries[1], most=True, assumes=said)


def _of_cache(models: Sequence[ir.Model]) -> Estimate | None:
    """What is paid again for whatever is answered from the cache no longer."""
    firsts = [(m, m.priorities()[0]) for m in models if m.priorities()]
    found = [_means(one, one, f"{TOKENS} that the cache no longer answers") for one in firsts]
    if not found or any(e.after is None for e in found):
        return next((e for e in found if e.after is None), None)
    dearest = max(found, key=lambda e: e.after or 0.0)
    said = f"{dearest.assumes}{', for the dearest model' if len(found) > 1 else ''}"
    return dearest._replace(before=0.0, most=len(found) > 1, assumes=said)


def _of_cap(old: ir.Target | None, new: ir.Target | None) -> Estimate | None:
    """What the longest answer costs that the cap of a target lets a client ask for."""
    caps = (_cap(old), _cap(new))
    if old is None or new is None or old.price is None or new.price is None or caps[0] == caps[1]:
        return None
    prices_ = (old.price.output, new.price.output)
    most = [cap if cap is None else cap * price / MILLION for cap, price in zip(caps, prices_, strict=True)]
    return Estimate(
        most[0], most[1], "for the longest answer that a client may ask for", True, f"at {_source((old, new))}"
    )


def _of_limit(change: Change, sides: tuple[World, World], places: Places) -> Estimate | None:
    """What a window of a limit can cost, where it bounds tokens or money."""
    limits = [_limit(side, at) for side, at in zip(sides, places, strict=True)]
    first = next((limit for limit in limits if limit), None)
    if first is None or any(x and (x.per, x.by) != (first.per, first.by) for x in limits):
        return None
    at = places[not change.old] or ()
    unit = at[-1] if at[-1:] in (("cost",), ("tokens",)) else ""
    targets = [t for m in _models(sides[not change.old], at) for some in m.priorities() for t in some]
    most = [_most(limit, targets, str(unit)) for limit in limits]
    unknown = next((t for t in targets if t.price is None), None)
    if unknown and unit != "cost" and any(x and x.tokens is not None and x.cost is None for x in limits):
        return Estimate(None, None, f"a {first.per}", True, f"{unknown.model} has no price")
    if most[0] == most[1]:
        return None
    each = " and ".join(key for key in first.by if key != "gateway")
    money = unit == "cost" or all(limit is None or limit.cost is not None for limit in limits)
    assumes = "" if money else f"at the dearest of {_source(targets)}"
    return Estimate(most[0], most[1], f"a {first.per}{f' for each {each}' if each else ''}", True, assumes)


def _most(limit: Limit | None, targets: Sequence[ir.Target], unit: str) -> float | None:
    """What passes a limit in one window at most; None: it does not bound that."""
    if limit is None or limit.on_exceeded != "refuse":
        return None
    found = [limit.cost] if limit.cost is not None and unit != "tokens" else []
    known = [_dearest(t.price, limit.counted) for t in targets if t.price]
    if limit.tokens is not None and unit != "cost" and targets and len(known) == len(targets):
        found.append(limit.tokens * max(known) / MILLION)
    return min(found) if found else None


def _dearest(price: ir.Price, counted: str) -> float:
    sides = {"input": (price.input,), "output": (price.output,)}
    return max(sides.get(counted, (price.input, price.output)))


Shared = tuple[ir.Model, Sequence[ir.Target]]
"""A model, and the targets of one of its priorities, which share its calls."""


def _means(old: Shared, new: Shared, per: str) -> Estimate:
    targets = (*new[1], *old[1])
    if unknown := next((t for t in targets if t.price is None), None):
        return Estimate(None, None, per, False, f"{unknown.model} has no price")
    share = "by weight, " if any(len(some) > 1 for _, some in (old, new)) else ""
    turns = {model.algorithm for model, some in (old, new) if len(some) > 1} == {"round-robin"}
    return Estimate(_mean(*old), _mean(*new), per, False, f"{'by turns, ' if turns else share}at {_source(targets)}")


def _weight(model: ir.Model, target: ir.Target) -> int:
    return 1 if model.algorithm == "round-robin" else target.weight


def _bills(model: ir.Model) -> list[object]:
    return [_bill(model, some) for some in model.priorities()]


def _bill(model: ir.Model, targets: Sequence[ir.Target]) -> object:
    """What the price of a call depends on: equal bills are equal whatever the targets are called."""
    known = [(t.price and t.price[:4]) or (t.provider.type, t.model) for t in targets]
    if len({*known}) == 1:
        return known[0]  # then it does not matter how they share the calls
    weights = sum(_weight(model, t) for t in targets)
    return sorted((str(k), _weight(model, t) / weights) for k, t in zip(known, targets, strict=True))


def _mean(model: ir.Model, targets: Sequence[ir.Target]) -> float:
    """What a million tokens in and a million out cost, over the targets that share the calls."""
    total = sum(_weight(model, t) for t in targets)
    return sum((t.price.input + t.price.output) * _weight(model, t) for t in targets if t.price) / total


def _source(targets: Sequence[ir.Target]) -> str:
    sources = {t.price.source for t in targets if t.price}
    if sources == {"spec"}:
        return "the prices of the spec"
    return f"prices of {prices.DATE}{' and of the spec' if 'spec' in sources else ''}"


def _limit(side: World, at: Pointer | None) -> Limit | None:
    if not at or "limits" not in at:
        return None
    return next((x for x in _limits(side) if x.origin == at[: at.index("limits") + 2]), None)


def _limits(side: World) -> Iterator[Limit]:
    for scope in ir.scopes(side.gateway):
        yield from ir.every(scope.policies, Limit)


def _target(model: ir.Model, at: Pointer | None) -> ir.Target | None:
    return next((t for t in model.targets if at and t.origin == at[:5]), None)


def _cap(target: ir.Target | None) -> float | None:
    most = target.parameters.maximum if target and target.parameters else {}
    return min((most[name] for name in CAPS if name in most), default=None)


def _models(side: World, at: Pointer) -> Sequence[ir.Model]:
    models = [*side.models.values()]
    return [models[n] for n in at[2:3] if isinstance(n, int)] if at[1:2] == ("models",) else models
