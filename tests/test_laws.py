"""What holds for every example, every target and every profile."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from aigw_compile import compiler
from aigw_compile.diagnostic import Pointer, failed, named
from aigw_compile.document import source_map, text_of
from aigw_compile.plan import asks
from aigw_compile.project import TargetChoice
from aigw_compile.source import Source, parse
from tests import support

CASES = [
    pytest.param(folder, choice, id=f"{folder.name}-{support.label(choice)}")
    for folder in support.EXAMPLES
    for choice in support.every_choice()
]


def gateways(folder: Path) -> Iterator[compiler.Checked]:
    _, checked = support.check_example(folder)
    assert checked
    yield from checked


def test_there_are_examples() -> None:
    assert {f.name for f in support.EXAMPLES} >= {"minimal", "support-desk", "local-models"}


@pytest.mark.parametrize(("folder", "choice"), CASES)
def test_builds_with_all_losses_accepted(folder: Path, choice: TargetChoice) -> None:
    for checked in gateways(folder):
        built = support.build_all_accepted(checked, choice)
        assert not failed(built.diagnostics), built.diagnostics
        assert built.documents


@pytest.mark.parametrize(("folder", "choice"), CASES)
def test_same_bytes_every_time(folder: Path, choice: TargetChoice) -> None:
    first, second = ([*map(text_of, support.build_all_accepted(c, choice).documents)] for c in _twice(folder))
    assert first == second


def _twice(folder: Path) -> tuple[compiler.Checked, compiler.Checked]:
    return next(gateways(folder)), next(gateways(folder))


@pytest.mark.parametrize(("folder", "choice"), CASES)
def test_every_reader_reads_the_same(folder: Path, choice: TargetChoice) -> None:
    """YAML 1.1 (PyYAML) and 1.2 (ruamel.yaml) readers see the data that was written."""
    for checked in gateways(folder):
        for document in support.build_all_accepted(checked, choice).documents:
            text = text_of(document)
            want = document.body if document.stream else [document.body]
            assert list(yaml.load_all(text, yaml.CSafeLoader)) == want, document.filename
            assert list(YAML(typ="safe", pure=True).load_all(io.StringIO(text))) == want, document.filename


@pytest.mark.parametrize(("folder", "choice"), CASES)
def test_nothing_is_lost_in_silence(folder: Path, choice: TargetChoice) -> None:
    """Every leaf that the spec wrote is the origin of something in an output, stands inside such an origin, or is reported.

    The name and the type of a thing are in an output when anything of that thing is.
    """
    for checked in gateways(folder):
        built = support.build_all_accepted(checked, choice)
        emitted = {origin for d in built.documents for _, origin in source_map(d.body)}
        reported = {loss.at for loss in built.plan.losses}
        for ask in asks(checked.source.data):
            around = {ask.at[:n] for n in range(2, len(ask.at) + 1)} | {ask.at}
            thing = ask.at[:-1] if ask.at[-1] in ("name", "type") else ask.at
            inside = any(place[: len(thing)] == thing for place in emitted | reported)
            covered = around & (emitted | reported) or inside or len(ask.at) <= 2
            assert covered, named(ask.at, checked.source.data)


def leaves(data: Any, at: Pointer = ()) -> Iterator[Pointer]:
    if isinstance(data, dict) and data:
        for key, inner in data.items():
            yield from leaves(inner, (*at, key))
    elif isinstance(data, list) and data:
        for index, inner in enumerate(data):
            yield from leaves(inner, (*at, index))
    else:
        yield at


OTHER: dict[str, str] = {
    "rate-limited": "context-length",
    "overloaded": "quota-exceeded",
    "server-error": "auth-error",
    "timeout": "content-filter",
    "connect-failure": "bad-response",
    "minute": "hour",
    "day": "hour",
    "consumer": "gateway",
    "system": "user",
    "json": "text",
}
"""A value of an enum -> another one that is as valid at its place."""


def changed(value: Any, at: Pointer) -> Iterator[Any]:
    """Yield other values for a leaf: some are invalid at their place, which a diagnostic then says."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield value + 1 if isinstance(value, int) else value / 2
    elif isinstance(value, str):
        if value in OTHER:
            yield OTHER[value]
        elif value[:1].isdigit() and value[-1:] in "smhi":
            yield f"{int(value.rstrip('msihMK')) + 1}{value.lstrip('0123456789')}"
        else:
            yield f"{value}x"


@pytest.mark.parametrize(("folder", "choice"), CASES)
def test_changing_any_leaf_changes_an_output_or_is_named(folder: Path, choice: TargetChoice) -> None:
    """The law of silence: change any leaf, and an output changes, or a finding of either side names the leaf."""
    for checked in gateways(folder):
        before = support.build_all_accepted(checked, choice)
        texts = [text_of(d) for d in before.documents]
        silent = []
        for at in leaves(checked.source.data):
            for other in changed(_value(checked.source.data, at), at):
                mutant = _with(checked.source, at, other)
                again = compiler.check_document(mutant)
                places = [d.at for d in again.diagnostics] + [x.at for x in before.plan.losses]
                if again.gateway is not None:
                    after = support.build_all_accepted(again, choice)
                    if [text_of(d) for d in after.documents] != texts:
                        continue
                    places += [x.at for x in after.plan.losses]
                if not any(at[: len(place)] == place and place for place in places):
                    silent.append(f"{named(at, checked.source.data)} -> {other!r}")
        assert not silent


def _value(data: Any, at: Pointer) -> Any:
    for step in at:
        data = data[step]
    return data


def _with(source: Source, at: Pointer, value: Any) -> Source:
    data = copy.deepcopy(source.data)
    _value(data, at[:-1])[at[-1]] = value
    import json

    sources, _ = parse(json.dumps(data), source.file)
    return sources[0]
