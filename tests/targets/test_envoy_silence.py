"""The law of silence for Envoy, on specs that use everything."""

from __future__ import annotations

from typing import Any

import pytest

from aigw_compile.project import TargetChoice
from tests.silence import silent
from tests.targets.envoy_specs import SPECS, narrow, smallest


@pytest.mark.parametrize(("name", "tokens"), [("rich", "local"), ("support-desk", "refuse"), ("narrow", "local")])
def test_changing_anything_changes_an_output_or_is_named(name: str, tokens: str) -> None:
    assert silent({**SPECS, "narrow": narrow()}[name], TargetChoice("envoy", "1.40", {"tokenLimits": tokens})) == set()


def _priced(**pricing: float) -> dict[str, Any]:
    target = {"provider": "client-keys", "model": "x", "pricing": {"input": 2, "output": 3, **pricing}}
    return smallest(models=[{"name": "m", "targets": [target]}])


SMALL = {
    "a cache at the price of the input": _priced(cacheRead=2, cacheWrite=2),
    "browsers have no parts of seconds": smallest(
        listeners=[{"name": "l", "port": 8080, "cors": {"origins": ["https://a.test"], "maxAge": "250ms"}}]
    ),
    "which tokens, where only cost is left": smallest(
        models=_priced()["spec"]["models"],
        policies={"limits": [{"name": "n", "per": "day", "tokens": 2**32, "cost": 1, "count": "input"}]},
    ),
}


@pytest.mark.parametrize("tokens", ["refuse", "local", "rls"])
@pytest.mark.parametrize("name", SMALL)
def test_small_gateways_lose_nothing_in_silence(name: str, tokens: str) -> None:
    assert silent(SMALL[name], TargetChoice("envoy", "1.40", {"tokenLimits": tokens})) == set()
