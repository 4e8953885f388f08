"""The law of silence for Kong, on specs that use everything, in both profiles."""

from __future__ import annotations

import pytest

from aigw_compile.source import parse
from tests.silence import silent
from tests.targets.kong_specs import CASES, CHOICES, SPECS

# Where the window and every amount of a limit are refused, each by itself, its name and what it counts by say nothing more.
_REFUSED = "consumerGroups[team].policies.limits[shared]"
SAME = {("shared", "oss-3.9"): {f"{_REFUSED}.name", f"{_REFUSED}.by", f"{_REFUSED}.by[0]"}}


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_changing_anything_changes_an_output_or_is_named(name: str, profile: str) -> None:
    assert silent(parse(SPECS[name], "gateway.yaml")[0][0].data, CHOICES[profile]) <= SAME.get((name, profile), set())
