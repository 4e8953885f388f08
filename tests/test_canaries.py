"""Canaries at every kind of hidden place, through whatever the compiler says: no rule, loss or command lets one out."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

import pytest

from aigw_compile import compiler
from aigw_compile.diagnostic import Diagnostic, Pointer, value_at
from aigw_compile.mask import veil
from aigw_compile.project import TargetChoice
from aigw_compile.render import FORMATS, render
from aigw_compile.schema import field, general
from aigw_compile.source import Source, parse
from aigw_compile.validate import validate
from tests.silence import leaves, mutants_of, places, value
from tests.support import ROOT

EXAMPLES = [p for p in sorted(ROOT.glob("examples/*/*.yaml")) if "kind: AIGateway\n" in p.read_text("utf-8")]
CANARY = "zq7canary"
NUMBER = 74_017
"""Every number that is planted starts with it."""
GIVEN_AWAY = re.compile(r"(?i)zq.?7.?canary|74[,.]?017")


def planted(leaf: Any, number: int) -> Iterator[Any]:
    """Yield values that may stand in place of a leaf and that nobody could write by chance."""
    mark = f"{CANARY}{number}"
    if isinstance(leaf, int) and not isinstance(leaf, bool):
        yield NUMBER * 100 + number
    elif isinstance(leaf, str):
        yield from (re.sub(r"(?<=://)[^/:]+", f"{mark}.example.com", leaf) if "://" in leaf else f"{leaf}-{mark}",)
        yield from (f"{leaf} {mark}", mark, mark.upper(), f"{NUMBER}{number:03}ms", f"{NUMBER}{number:03}")


def sources(data: Any, hidden: list[Pointer]) -> Source:
    (source,) = parse(json.dumps(data, ensure_ascii=False, indent=1), "gateway.yaml")[0]
    source.veil = veil(source.data, hidden)
    return source


@cache
def hiding(path: str) -> tuple[Any, list[Pointer]]:
    """Return a gateway in which every leaf that takes a canary has one, and the places of the canaries."""
    data = parse((ROOT / path).read_bytes(), path)[0][0].data
    hidden: list[Pointer] = []
    for number, at in enumerate(leaves(data)):
        described = field(general(at)) or {}
        if at[0] != "spec" or "enum" in described or at[-1] in ("name", "type"):
            continue
        holder: Any = value_at(at[:-1], data)
        before = holder[at[-1]]
        for other in planted(before, number):
            holder[at[-1]] = other
            if not validate(data) and compiler.check_document(sources(data, [])).gateway is not None:
                hidden.append(at)
                break
            holder[at[-1]] = before
    names = {value_at(at, data) for at in leaves(data) if at[0] == "spec" and at[-1] == "name"}
    for number, name in enumerate(sorted(map(str, names))):
        same = [at for at in leaves(data) if at[0] == "spec" and value_at(at, data) == name]
        renamed = copy.deepcopy(data)
        for at in same:
            value(renamed, at[:-1])[at[-1]] = f"{name}-{CANARY}{number}"
        if not validate(renamed) and compiler.check_document(sources(renamed, [])).gateway is not None:
            data, hidden = renamed, [*hidden, *same]
    return data, hidden


def told(findings: list[Diagnostic], source: Source) -> str:
    """Everything that the formats print of findings."""
    text = {"gateway.yaml": source.text}
    shown = [render(name, findings, {} if name == "text" else text) for name in FORMATS]
    return "\n".join([*shown, *map(str, findings)])


@pytest.mark.parametrize("path", [p.relative_to(ROOT).as_posix() for p in EXAMPLES])
def test_no_finding_of_a_rule_lets_one_out(path: str) -> None:
    """References to nothing, values out of bounds, contradictions: the gateway is changed at one place after the other."""
    data, hidden = hiding(path)
    assert len(hidden) > 3
    dice = Random(7)
    every = [*places(data)]
    for at in dice.sample(every, min(len(every), 25)):
        for _, mutant in mutants_of(data, at):
            stay = [
                h
                for h in hidden
                if h[: len(at)] != at and not (isinstance(at[-1], int) and h[: len(at) - 1] == at[:-1])
            ]
            if [h for h in hidden if h not in stay and h[: len(at)] != at]:
                continue  # what stands behind a deleted item has another place now
            source = sources(mutant, [h for h in hidden if h in stay or h == at])
            findings = [*compiler.check_document(source).diagnostics]
            assert not GIVEN_AWAY.search(told(findings, source)), (at, findings)


@pytest.mark.parametrize("target", ["kong", "envoy", "kubernetes", "proxy"])
@pytest.mark.parametrize("path", [p.relative_to(ROOT).as_posix() for p in EXAMPLES])
def test_no_loss_of_a_target_lets_one_out(path: str, target: str) -> None:
    data, hidden = hiding(path)
    whole = copy.deepcopy(data)
    checked = compiler.check_document(sources(whole, hidden))
    assert checked.gateway is not None
    built = compiler.build(checked, TargetChoice(target, "", {}))
    assert not GIVEN_AWAY.search(told([*built.diagnostics], checked.source))
