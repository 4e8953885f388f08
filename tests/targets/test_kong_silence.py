"""The law of silence for Kong: change anything in a spec, and an output changes or a finding names it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from aigw_compile import compiler, ir
from aigw_compile.diagnostic import Pointer, named
from aigw_compile.emitters.kong import emit
from aigw_compile.plan import plan
from aigw_compile.target import facts
from tests.targets.kong_specs import PROFILES, SPECS


def _leaves(data: Any, at: Pointer = ()) -> Iterator[Pointer]:
    if at:
        yield at
    if isinstance(data, dict):
        for key, inner in data.items():
            yield from _leaves(inner, (*at, key))
    elif isinstance(data, list):
        for index, inner in enumerate(data):
            yield from _leaves(inner, (*at, index))


OTHER = {
    "rate-limited": "quota-exceeded",
    "overloaded": "rate-limited",
    "server-error": "auth-error",
    "timeout": "server-error",
    "connect-failure": "bad-response",
    "minute": "hour",
    "day": "hour",
    "hour": "day",
    "month": "second",
    "week": "day",
    "consumer": "model",
    "group": "consumer",
    "system": "user",
    "developer": "assistant",
    "user": "assistant",
    "json": "text",
    "text": "json",
    "last": "conversation",
}


def _others(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, float):
        yield value / 2
    elif isinstance(value, str):
        if value in OTHER:
            yield OTHER[value]
        elif value[:1].isdigit() and value[-1:] in "smhi":
            yield f"{int(value.rstrip('msihMK')) + 1}{value.lstrip('0123456789')}"
        else:
            yield f"{value}x"


def _mutants(data: Any) -> Iterator[tuple[Pointer, Any]]:
    """Every change of one place: another value, an item or a key taken away."""
    for at in _leaves(data):
        for other in _others(_parent(data, at)[at[-1]]):
            mutant = copy.deepcopy(data)
            _parent(mutant, at)[at[-1]] = other
            yield at, mutant
        mutant = copy.deepcopy(data)
        del _parent(mutant, at)[at[-1]]
        yield at, mutant


def _parent(data: Any, at: Pointer) -> Any:
    for step in at[:-1]:
        data = data[step]
    return data


def _meaning(gateway: ir.Gateway) -> str:
    """The gateway without its places: what is left when only a place moved."""

    def plain(value: Any) -> Any:
        if hasattr(value, "_asdict"):
            return [type(value).__name__, {k: plain(v) for k, v in value._asdict().items() if k != "origin"}]
        if isinstance(value, (tuple, list)):
            return [plain(x) for x in value]
        return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value

    return json.dumps(plain(gateway), sort_keys=True, default=str)


def _emitted(checked: compiler.Checked, profile: str) -> tuple[list[Any], set[Pointer]]:
    """The bodies of the outputs with every loss accepted, and the places that a loss names."""
    assert checked.gateway
    decided = plan(checked.gateway, checked.source.data, facts("kong", profile))
    return [d.body for d in emit(checked.gateway, decided)], {x.at for x in decided.losses}


@pytest.mark.parametrize("name", SPECS)
def test_changing_anything_changes_an_output_or_is_named(name: str) -> None:
    """Change a value, or take something away: an output changes, a finding names it, or a loss is gone with it."""
    first = compiler.check_text(SPECS[name])
    assert first.gateway
    before = {profile: _emitted(first, profile) for profile in PROFILES}
    silent = []
    for at, mutant in _mutants(first.source.data):
        again = compiler.check_text(json.dumps(mutant))
        if again.gateway is None or _meaning(again.gateway) == _meaning(first.gateway):
            continue
        said = {d.at for d in (*first.diagnostics, *again.diagnostics)}
        for profile, (bodies, lost) in before.items():
            after, lost_after = _emitted(again, profile)
            gone = any(p[: len(at)] == at for p in lost - lost_after)
            if after == bodies and not gone and not any(p and at[: len(p)] == p for p in said | lost | lost_after):
                silent.append(f"{profile}: {named(at, first.source.data)}")
    assert silent == []
