"""The law of silence for Kong, on specs that use everything, in both profiles."""

from __future__ import annotations

import pytest

from aigw_compile.source import parse
from tests.silence import silent
from tests.targets.kong_specs import CASES, CHOICES, SPECS


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_changing_anything_changes_an_output_or_is_named(name: str, profile: str) -> None:
    assert silent(parse(SPECS[name], "gateway.yaml")[0][0].data, CHOICES[profile]) == set()
