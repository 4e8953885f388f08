"""The law of silence for Envoy: change any leaf, and an output changes, or a finding names the leaf or what is around it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from aigw_compile.diagnostic import Pointer, named
from aigw_compile.lower import lower
from aigw_compile.schema import with_defaults
from aigw_compile.validate import validate
from tests.targets import envoy_runner as runner
from tests.targets.envoy_specs import SPECS, walk

_OTHER = {
    "timeout": "content-filter",
    "rate-limited": "context-length",
    "server-error": "auth-error",
    "overloaded": "quota-exceeded",
    "connect-failure": "bad-response",
    "minute": "hour",
    "hour": "day",
    "day": "hour",
    "month": "week",
    "consumer": "gateway",
    "group": "gateway",
    "model": "gateway",
    "system": "user",
    "user": "assistant",
    "last": "conversation",
    "json": "text",
    "openai": "anthropic",
    "anthropic": "openai",
    "vllm": "openai-compatible",
    "openai-compatible": "anthropic",
}


def _others(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, float):
        yield value / 2
    elif isinstance(value, str):
        digits = value.rstrip("msihMK")
        yield _OTHER.get(value) or (f"{int(digits) + 1}{value[len(digits) :]}" if digits.isdigit() else f"{value}x")


def _mutants(data: Any) -> Iterator[tuple[Pointer, Any]]:
    for at, value in walk(data):
        holder = _at(data, at[:-1]) if at else None
        if not isinstance(value, (dict, list)):
            for other in _others(value):
                mutant = copy.deepcopy(data)
                _at(mutant, at[:-1])[at[-1]] = other
                yield at, mutant
        if (isinstance(holder, list) and len(holder) > 1) or (isinstance(holder, dict) and len(at) > 3):
            mutant = copy.deepcopy(data)
            del _at(mutant, at[:-1])[at[-1]]
            yield at, mutant


def _at(data: Any, at: Pointer) -> Any:
    for step in at:
        data = data[step]
    return data


def _dangling(data: Any) -> bool:
    """Whether a consumer is in a group that is not there, which a rule reports."""
    known = {g["name"] for g in data["spec"].get("consumerGroups", ())}
    return any(set(c.get("groups", ())) - known for c in data["spec"].get("consumers", ()))


def _meaning(value: Any) -> Any:
    """A gateway without the places that it was made from."""
    if hasattr(value, "_asdict"):
        return {key: _meaning(inner) for key, inner in value._asdict().items() if key != "origin"}
    return [_meaning(inner) for inner in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize(("name", "tokens"), [("rich", "local"), ("support-desk", "refuse")])
def test_changing_any_leaf_changes_an_output_or_is_named(name: str, tokens: str) -> None:
    data, options = SPECS[name], {"tokenLimits": tokens}
    decided, documents = runner.build(data, options)
    before = [d.body for d in documents]
    meant = _meaning(lower(with_defaults(data)))
    lost = [x.at for x in decided.losses]
    silent = []
    for at, mutant in _mutants(data):
        if any(at[: len(place)] == place for place in lost if place):
            continue
        if list(validate(mutant)):
            continue  # a finding of the first phase, which has its own law
        try:
            again, after = runner.build(mutant, options)
        except KeyError:
            continue  # a dangling name, which a rule reports before anything is built
        if _dangling(mutant):
            continue
        places = [x.at for x in again.losses if x.at]
        places += [at] if any(place[: len(at)] == at for place in lost) else []  # it held what is lost
        if [d.body for d in after] == before and not any(at[: len(p)] == p for p in places):
            if _meaning(lower(with_defaults(mutant))) == meant:
                continue  # what was written is the default
            silent.append(f"{named(at, data)}: {_at(data, at)!r}")
    # apiVersion and kind have one value each.
    assert not silent
