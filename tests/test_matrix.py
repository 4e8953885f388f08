"""The capability tables: in every target, profile and option each feature has an answer, with what a reader needs to go on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from aigw_compile.diagnostic import Json
from aigw_compile.project import TargetChoice
from aigw_compile.target import (
    TARGETS,
    Capability,
    Support,
    TargetFacts,
    facts,
    features,
    manifest,
    policy_path,
    prefixes,
)
from tests import support
from tests.readme import MATRIX, matrix

CHOICES = [pytest.param(choice, id=support.label(choice)) for choice in support.every_choice()]


def answers(target: TargetFacts) -> Iterator[tuple[str, Capability]]:
    """Every row of a target, and every row that holds for gateways of a certain shape."""
    yield from target.rows.items()
    yield from ((f"{c.feature} with {c.when}", c.capability) for c in target.conditions)


@pytest.mark.parametrize("choice", CHOICES)
def test_every_feature_has_a_row(choice: TargetChoice) -> None:
    target = facts(choice.name, choice.profile, choice.options)
    assert [path for path in features() if not any(p in target.rows for p in prefixes(path))] == []


@pytest.mark.parametrize("choice", CHOICES)
def test_what_is_not_as_asked_says_why_and_what_is_nearest(choice: TargetChoice) -> None:
    """And no answer is about this version: what a target could do and we do not make yet has its nearest alternative."""
    target = facts(choice.name, choice.profile, choice.options)
    for path, cell in answers(target):
        if cell.support in (Support.PARTIAL, Support.OUTSIDE, Support.NONE):
            assert cell.note, path
            assert "this version does not make it" not in cell.note, path
        if cell.support is Support.NONE:
            assert cell.nearest, path


def fields(schema: Json, path: str = "", around: tuple[str, ...] = ()) -> Iterator[tuple[str, Json]]:
    """Every field of the language by its path among the features, those that it reserves too, with its schema."""
    if not isinstance(schema, dict):
        return
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name:
        if name not in around:
            yield from fields(SCHEMA["$defs"][name], path, (*around, name))
        return
    yield path, schema
    for word in ("anyOf", "oneOf", "allOf"):
        for inner in schema.get(word, ()):
            yield from fields(inner, path, around)
    for key, inner in schema.get("properties", {}).items():
        yield from fields(inner, key if path in ("", "spec") else f"{path}.{key}", around)
    for word in ("items", "additionalProperties"):
        yield from fields(schema.get(word), path, around)


def later(path: str, schema: Json) -> Iterator[str]:
    """The words that a field will take in a later version."""
    assert isinstance(schema, dict)
    yield from (f"{path}={word}" for word in schema.get("x-aigw-later-values", ()))


SCHEMA = json.loads((support.ROOT / "schemas" / "aigateway.schema.json").read_text("utf-8"))
KNOWN = dict(fields(SCHEMA))
POLICIES = {own for path in KNOWN if (own := policy_path(path))}
RESERVED = {path for path, schema in fields(SCHEMA) if isinstance(schema, dict) and "x-aigw-later" in schema}
LATER = {word for path, schema in fields(SCHEMA) for word in later(path, schema)}
LATER |= {own for path in LATER if (own := policy_path(path))}


@pytest.mark.parametrize("target", TARGETS)
def test_every_row_is_of_something_in_the_language(target: str) -> None:
    """Also of what the language reserves and answers with AIG1009: what a target will do of it is known before."""
    for path in (
        *manifest(target).raw["capabilities"],
        *(c["feature"] for c in manifest(target).raw.get("conditions", ())),
    ):
        field = path.partition("=")[0]
        assert field in {*KNOWN, *POLICIES, *features()} or RESERVED & {*prefixes(field)}, path


def test_kong_answers_for_all_that_the_language_reserves() -> None:
    for choice in support.every_choice("kong"):
        target = facts(choice.name, choice.profile, choice.options)
        if target.delegates:  # then these are matters of the other target
            continue
        shown = {policy_path(path) or path for path in RESERVED | LATER}
        assert [path for path in sorted(shown) if path not in target.rows] == []


def test_the_page_of_the_matrix_is_current() -> None:
    assert matrix() == MATRIX.read_text("utf-8"), "run `make golden` and read the diff"
