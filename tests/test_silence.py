"""The law of silence over the whole language: whatever a drawn gateway asks for is in an output or in a finding, on every target."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile.diagnostic import Pointer, failed
from aigw_compile.project import TargetChoice
from aigw_compile.schema import document_schema, follow, general
from tests import support
from tests.coherent import checked, gateway
from tests.silence import mutants_of, places, silent

SEEDS = st.integers(0, 10**6)
CHOICES = [pytest.param(choice, id=support.label(choice)) for choice in support.every_choice()]


@pytest.mark.parametrize("choice", CHOICES)
@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_whatever_is_asked_for_is_built_or_named(choice: TargetChoice, seed: int) -> None:
    """A drawn gateway builds, and a change of anything in it changes an output, or a finding names the place."""
    data = gateway(seed)
    if data is None:
        return
    built = support.build_all_accepted(checked(data), choice)
    assert not failed(built.diagnostics), built.diagnostics
    every, dice = [*places(data)], Random(seed)
    changed = [m for at in dice.sample(every, min(8, len(every))) for m in mutants_of(data, at)]
    assert silent(data, choice, changed) == set()


def named(schema: Any, at: Pointer = ()) -> Iterator[Pointer]:
    """Every field of a whole document that this version has, with list positions as 0; a SecretRef is one."""
    schema = follow(schema)
    for key, inner in schema.get("properties", {}).items():
        found = follow(inner)
        if not found.get("x-aigw-later") and not found.get("x-aigw-reserved") and key != "configRef":
            yield (*at, key)
            yield from () if found.get("x-aigw-secret") else named(found, (*at, key))
    if "items" in schema:
        yield from named(schema["items"], (*at, 0))


def test_every_field_of_the_language_is_drawn() -> None:
    """So that the law says something about all of them."""
    drawn = {general(at) for seed in range(400) for at in places(gateway(seed) or {})}
    assert {at for at in named(document_schema()) if at not in drawn} == set()
