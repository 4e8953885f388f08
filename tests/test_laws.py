"""What holds for every example, every target and every profile."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML

from aigw_compile import compiler
from aigw_compile.diagnostic import Pointer, failed, named
from aigw_compile.document import source_map, text_of
from aigw_compile.plan import asks
from aigw_compile.project import TargetChoice
from aigw_compile.verify import NATIVE
from tests import support
from tests.silence import mutants_of, places, silent, value

CASES = [
    pytest.param(folder, choice, id=f"{folder.name}-{support.label(choice)}")
    for folder in support.EXAMPLES
    for choice in support.telling_choices()
]
ALL = [
    pytest.param(folder, choice, id=f"{folder.name}-{support.label(choice)}")
    for folder in support.EXAMPLES
    for choice in support.every_choice()
]


def gateways(folder: Path) -> Iterator[compiler.Checked]:
    _, checked = support.gateways(folder)
    assert checked
    yield from checked


def test_there_are_examples() -> None:
    assert {f.name for f in support.EXAMPLES} >= {"minimal", "support-desk", "local-models"}


@pytest.mark.parametrize(("folder", "choice"), ALL)
def test_builds_with_all_losses_accepted(folder: Path, choice: TargetChoice) -> None:
    for checked in gateways(folder):
        built = support.build_all_accepted(checked, choice)
        assert not failed(built.diagnostics), built.diagnostics
        assert built.documents


@pytest.mark.parametrize("choice", list(support.every_choice(*NATIVE)), ids=support.label)
@pytest.mark.parametrize("folder", support.EXAMPLES, ids=lambda f: f.name)
def test_the_targets_own_binary_takes_it(folder: Path, choice: TargetChoice) -> None:
    for checked in gateways(folder):
        built = support.build_all_accepted(checked, choice, native=True)
        assert not built.diagnostics, built.diagnostics
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


@pytest.mark.parametrize(("folder", "choice"), CASES)
def test_changing_anything_changes_an_output_or_is_named(folder: Path, choice: TargetChoice) -> None:
    """The law of silence: change or leave out anything, and an output changes, or a finding of either side names it."""
    seen: set[tuple[Pointer, str]] = set()
    for checked in gateways(folder):
        data = checked.source.data
        own = [at for at in places(data) if (at, json.dumps(value(data, at))) not in seen]
        assert silent(data, choice, (mutant for at in own for mutant in mutants_of(data, at))) == set()
        seen |= {(at, json.dumps(value(data, at))) for at in own}  # what gateways share by a part is changed once
