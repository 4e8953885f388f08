"""Laws of the diff over the whole language: gateways drawn from the schema, edited anywhere, on their own and made of parts."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile.diff import CLASSES, Change, Diff, Side, TargetChange, diff, meaning
from aigw_compile.diff.meaning import classes
from aigw_compile.diff.renames import renamed
from aigw_compile.meaning import THERE, plain, tree
from aigw_compile.project import TargetChoice
from aigw_compile.schema import field, follow, general, list_type, with_defaults
from aigw_compile.target import facts
from tests import referring
from tests.coherent import checked, gateway
from tests.silence import mutants_of, places
from tests.support import build_all_accepted
from tests.test_language import events, every_field

SEEDS = st.integers(0, 10**6)
TARGETS = {
    "proxy": ("", {}),
    "envoy": ("", {"tokenLimits": "local"}),
    "kong": ("oss-3.9", {}),
    "kong=": ("enterprise-3.15", {}),
    "kubernetes": ("envoy-ai-gateway", {}),
    "kubernetes=": ("kong-operator", {}),
}
"""Target, with = where it is there twice -> profile and options."""


def chain(seed: int, edits: int) -> list[Any]:
    """A gateway, and the same after one edit more each time: a place changed, or taken away; [] where nothing valid comes of it."""
    found = [old] if (old := gateway(seed)) else []
    dice = Random(seed)
    for _ in range(edits if found else 0):
        at = [*places(found[-1])]
        choices = (m for place in dice.sample(at, min(len(at), 4)) for _, m in mutants_of(found[-1], place))
        found += islice((m for m in choices if checked(m).gateway is not None), 1)
    return found


def pair(seed: int, edits: int = 3) -> tuple[Any, Any] | None:
    """A gateway, and the same after some edits, in either order: so things are put in, too."""
    found = chain(seed, edits)
    if not found:
        return None
    return (found[0], found[-1]) if seed % 2 else (found[-1], found[0])


def shuffled(data: Any, dice: Random, at: tuple[Any, ...] = ()) -> Any:
    """The same with whatever has no order in another one."""
    if isinstance(data, dict):
        return {key: shuffled(inner, dice, (*at, key)) for key, inner in data.items()}
    if not isinstance(data, list):
        return data
    items = [shuffled(item, dice, (*at, i)) for i, item in enumerate(data)]
    if list_type(at) in ("map", "set"):
        dice.shuffle(items)
    return items


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_what_means_the_same_is_no_change(seed: int) -> None:
    spec = gateway(seed)
    if spec is None:
        return
    assert meaning(spec, copy.deepcopy(spec)) == []
    assert meaning(spec, with_defaults(spec)) == []
    assert meaning(with_defaults(spec), spec) == []
    mixed = shuffled(spec, Random(seed))
    assert meaning(spec, mixed) == []


# --- applying


STEP = re.compile(r"\[([^\]]*)\]|\.?([^.\[]+)")


def steps(place: str) -> list[str]:
    return [a or b for a, b in STEP.findall(place)]


def applied(data: Any, changes: list[Change]) -> Any:
    """A document in plain normal form after the edits that a diff tells: by name, value and place alone."""
    data = copy.deepcopy(data)
    for change in sorted(changes, key=lambda c: c.op != "renamed"):
        path = (
            ["spec", *steps(change.place)]
            if not change.place.startswith(("metadata", "apiVersion", "kind"))
            else steps(change.place)
        )
        holder = data
        for step in path[:-1]:
            if step not in holder and change.op == "added":
                holder[step] = {}
            holder = holder[step]
        last = path[-1]
        if change.op == "renamed":
            if str(change.before) in holder:  # else `renamed` did it, with all that refers to it
                holder[last] = holder.pop(str(change.before)) | {"name": last}
        elif isinstance(holder.get(last), list) and not isinstance(
            change.after if change.op != "removed" else change.before, list
        ):
            if change.op == "added":
                holder[last] = [*holder[last], change.after]
            else:
                holder[last] = [x for x in holder[last] if x != change.before]
        elif change.op == "removed":
            del holder[last]
        else:
            holder[last] = change.after
    return data


def normal(data: Any) -> Any:
    return _sorted(plain(tree(data)))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _sorted(inner)
            for key, inner in sorted(value.items())
            if inner not in ({}, []) or key in (*THERE, "tls")
        }
    return sorted(value, key=repr) if isinstance(value, list) else value


MIRROR = {"added": "removed", "removed": "added", "raised": "lowered", "lowered": "raised", "on": "off", "off": "on"}


def assert_mirrored(old: Any, new: Any) -> None:
    """The same changes are told both ways, each with its opposite."""
    there, back = meaning(old, new), meaning(new, old)

    def told(changes: list[Change], flip: bool) -> list[tuple[str, ...]]:
        sides = [(c.after, c.before) if flip else (c.before, c.after) for c in changes]
        ops = [MIRROR.get(c.op, c.op) if flip else c.op for c in changes]
        # A place has the new name of what was renamed; what is inside it is compared without.
        bare = [re.sub(r"\[[^\]]*\]", "", c.place) for c in changes]
        return sorted((op, place, str(a), str(b)) for op, place, (a, b) in zip(ops, bare, sides, strict=True))

    assert told(there, True) == told(back, False)


def assert_applied(old: Any, new: Any) -> None:
    """The edits that are told make the new one of the old one."""
    before = renamed(old, new).old  # references follow a rename, which is told once
    assert _sorted(applied(plain(tree(before)), meaning(old, new))) == normal(new)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_changes_can_be_applied_mirror_each_other_and_are_told_with_a_class_and_a_sentence(seed: int) -> None:
    found = pair(seed)
    if found is None:
        return
    assert_applied(*found)
    assert_mirrored(*found)
    for change in meaning(*found):
        assert "unclassified" not in change.classes, change
        assert change.classes
        assert change.sentence.startswith(change.place or "the spec")


# --- classes


@pytest.mark.parametrize(("path", "node"), every_field())
def test_no_change_of_a_field_is_unclassified(path: str, node: dict[str, Any]) -> None:
    if node.get("x-aigw-later") or node.get("x-aigw-reserved") or path.endswith("configRef"):
        return
    at = tuple(path.strip(".").split("."))
    place: tuple[Any, ...] = ()
    for step in at:
        inner = follow(field(place) or {})
        if inner.get("type") == "array":
            place = (*place, 0)
        place = (*place, step)
    assert field(place) is not None, place
    for event in {*events(node), *(("set", "unset") if node.get("type") == "array" else ())}:
        found = classes(event, general(place))
        assert found != ("unclassified",), (path, event)
        assert {*found} <= {*CLASSES}


# --- outputs


def outputs(one: Any, kinds: Iterable[str]) -> Side:
    documents = {}
    for kind in kinds:
        built = build_all_accepted(one, TargetChoice(kind.rstrip("="), *TARGETS[kind]))
        documents[kind] = {d.filename: d.body for d in built.documents}
    return Side(one.source.data, documents, one.name, one.source.veil, one.gateway)


KNOWN = {kind: facts(kind.rstrip("="), *TARGETS[kind]) for kind in TARGETS}


def compared(old: Any, new: Any, kinds: Sequence[str] = (*TARGETS,)) -> Diff:
    return diff(outputs(old, kinds), outputs(new, kinds), KNOWN)


def alone(found: Diff) -> list[tuple[str, TargetChange]]:
    return [(name, t) for name, changes in found.targets.items() for t in changes if not t.causes]


@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_every_difference_of_an_output_has_a_cause(seed: int) -> None:
    """Edits anywhere in the language, each by itself and all at once: what no place of the source map leads to has no cause."""
    sides = [outputs(checked(spec), TARGETS) for spec in chain(seed, 3)]
    for old, new in [*pairwise(sides), *([(sides[-1], sides[0])] if sides else [])]:
        found = diff(old, new, KNOWN)
        assert not alone(found), found.changes
        assert not found.unexplained


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_another_order_changes_no_output_that_is_told(seed: int) -> None:
    spec = gateway(seed)
    if spec is None:
        return
    mixed = shuffled(spec, Random(seed))
    kinds = ("proxy", "envoy", Random(seed).choice([*TARGETS]))
    found = compared(checked(spec), checked(mixed), kinds)
    assert found.empty, found.targets


# --- parts


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_a_gateway_of_parts_is_compared_as_if_it_were_written_in_one_piece(seed: int) -> None:
    """Two versions of a part, with the same contract: the laws hold for what is merged."""
    found = pair(seed)
    if found is None:
        return
    dice = Random(seed)
    rules = referring.contract(found[0]["spec"], dice)
    own = referring.cut(found[0]["spec"], dice, 0.5) or {}
    specs = [referring.resolved(one["spec"], rules, own)[0] for one in found]
    wholes = [{**found[0], "spec": spec} for spec in specs]
    sides = [checked(w) for w in wholes]
    if any(one.gateway is None for one in sides):
        return
    assert meaning(wholes[0], copy.deepcopy(wholes[0])) == []
    assert (not meaning(*wholes)) == (normal(wholes[0]) == normal(wholes[1]))
    assert_mirrored(*wholes)
    assert_applied(*wholes)
    assert meaning(wholes[0], with_defaults(wholes[0])) == []
    assert meaning(wholes[0], shuffled(wholes[0], dice)) == []
    kinds = (dice.choice([*TARGETS]),)
    result = compared(*sides, kinds)
    assert not alone(result), result.changes
