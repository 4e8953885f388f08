"""The law of silence as a function: a spec and a target to the places that can change without an output or a finding that says so."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from aigw_compile import compiler, ir
from aigw_compile.diagnostic import Pointer, named
from aigw_compile.plan import plan
from aigw_compile.project import TargetChoice
from aigw_compile.schema import field, general
from aigw_compile.source import parse
from aigw_compile.target import facts
from tests.drawn import FIT
from tests.support import build_all_accepted


def places(data: Any, at: Pointer = ()) -> Iterator[Pointer]:
    """Yield every place of a document, outermost first."""
    if at:
        yield at
    for key, inner in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from places(inner, (*at, key))


def value(data: Any, at: Pointer) -> Any:
    for step in at:
        data = data[step]
    return data


def leaves(data: Any) -> Iterator[Pointer]:
    """Yield the places that hold no further places."""
    yield from (at for at in places(data) if not isinstance(value(data, at), (dict, list)))


def others(leaf: Any, at: Pointer) -> Iterator[Any]:
    """Yield other values for a leaf; some are invalid at their place, which a finding then says."""
    found = field(general(at)) or {}
    known = [found.get(key) for key in ("x-aigw-unit", "x-aigw-form", "pattern")]
    words = [*found.get("enum", ()), *found.get("x-aigw-words", ()), *(w for k in known if k in FIT for w in FIT[k])]
    fit = [word for word in words if word != leaf and type(word) is type(leaf)]
    if isinstance(leaf, bool):
        yield not leaf
    elif isinstance(leaf, (int, float)):
        yield leaf + 1 if isinstance(leaf, int) else leaf / 2
    elif isinstance(leaf, str):
        digits = leaf.rstrip("msihMKG")
        yield f"{int(digits) + 1}{leaf[len(digits) :]}" if digits.isdigit() else fit[-1] if fit else f"{leaf}x"


def mutants(data: Any) -> Iterator[tuple[Pointer, Any]]:
    """Yield every document that differs in one place: a leaf with another value, or anything left out."""
    for at in places(data):
        yield from mutants_of(data, at)


def mutants_of(data: Any, at: Pointer) -> Iterator[tuple[Pointer, Any]]:
    """Yield the documents that differ at one place."""
    found = value(data, at)
    for other in () if isinstance(found, (dict, list)) else others(found, at):
        mutant = copy.deepcopy(data)
        value(mutant, at[:-1])[at[-1]] = other
        yield at, mutant
    mutant = copy.deepcopy(data)
    del value(mutant, at[:-1])[at[-1]]
    yield at, mutant


def _order(model: dict[str, Any]) -> dict[str, Any]:
    """Of priorities the order is what counts."""
    steps = sorted({target["priority"] for target in model["targets"]})
    return {"targets": [{**t, "priority": steps.index(t["priority"])} for t in model["targets"]]}


def _cached(price: dict[str, Any]) -> dict[str, Any]:
    """Without a price of its own, what a cache reads or takes has the price of the input."""
    return {side: price["input"] if price[side] is None else price[side] for side in ("cache_read", "cache_write")}


def _own_counters(place: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A limit that stands at one model or consumer counts its calls alone, whether it says so or not."""

    def counted(owner: dict[str, Any]) -> dict[str, Any]:
        return {
            "policies": [
                p | {"by": sorted({*p["by"]} - {"gateway", place})} if "by" in p else p for p in owner["policies"]
            ]
        }

    return counted


SAME: dict[type, tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]] = {
    ir.Model: (_order, _own_counters("model")),
    ir.Consumer: (_own_counters("consumer"),),
    ir.Price: (_cached,),
}
"""What means the same, written in two ways, as one of them: a node's type -> the fields that it then has."""


def meaning(node: Any) -> Any:
    """A gateway, or a part of one, without the places that it was made from."""
    if hasattr(node, "_asdict"):
        found = {k: meaning(v) for k, v in node._asdict().items() if k != "origin"}
        for same in SAME.get(type(node), ()):
            found |= same(found)
        return found
    return [meaning(v) for v in node] if isinstance(node, tuple) else node


def _texts(build: compiler.Build) -> list[str]:
    """What the outputs say; not as they are written, which takes many times as long."""
    assert build.documents, build.diagnostics  # or nothing would be compared with nothing
    return [json.dumps(d.body) for d in build.documents]


def read(document: Any) -> compiler.Checked:
    """Check a document as if it stood in a file; what was read before is kept, since every target is asked about it."""
    return _checked(json.dumps(document, ensure_ascii=False))


@lru_cache(maxsize=2_000)
def _checked(text: str) -> compiler.Checked:
    return compiler.check_document(parse(text, "gateway.yaml")[0][0])


def silent(data: Any, choice: TargetChoice, changed: Iterable[tuple[Pointer, Any]] | None = None) -> set[str]:
    """Return the places where a change of meaning changes no output and no finding of either side names the place.

    `changed`: (place, document that differs there); every one there is if None. A change that means the same (a default
    left out) may be silent. All losses are accepted, so nothing is vacuous.
    """

    first = read(data)
    assert first.gateway is not None, first.diagnostics
    before = build_all_accepted(first, choice)
    said = [x.at for x in (*before.plan.losses, *first.diagnostics)]
    texts, meant = _texts(before), meaning(first.gateway)
    found = set()
    for at, mutant in mutants(data) if changed is None else changed:
        # It held what is lost, or says nothing; the cheap questions come first, a build last.
        if any(place[: len(at)] == at for place in said) or _named(at, said):
            continue
        again = read(mutant)
        if again.gateway is None and again.diagnostics:
            continue  # an error, with a place of its own, says so
        if _named(at, [d.at for d in again.diagnostics]):
            continue
        if again.gateway is not None:
            if meaning(again.gateway) == meant:
                continue
            target = facts(choice.name, choice.profile, choice.options)
            if _named(at, [x.at for x in plan(again.gateway, again.source.data, target).losses]):
                continue
            if _texts(build_all_accepted(again, choice)) != texts:
                continue
        found.add(named(at, data))
    return found


def _named(at: Pointer, said: Iterable[Pointer]) -> bool:
    return any(place and at[: len(place)] == place for place in said)
