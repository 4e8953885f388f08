"""tests/cases/diff: realistic edits of a spec, each with the sentences and classes that a reviewer needs; every output explained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from aigw_compile import compiler
from aigw_compile.diff import Side, diff, meaning
from aigw_compile.project import TargetChoice
from aigw_compile.render.changes import as_data
from aigw_compile.source import parse
from aigw_compile.target import facts
from tests.support import ROOT, build_all_accepted

FOLDER = ROOT / "tests/cases/diff"
BASE = (FOLDER / "base.yaml").read_text("utf-8")
TARGETS = ("envoy", "proxy", "kong", "kubernetes")


def cases() -> Iterator[Any]:
    for path in sorted(FOLDER.glob("*.yaml")):
        if path.name != "base.yaml":
            for case in yaml.safe_load(path.read_text("utf-8")):
                yield pytest.param(case, id=f"{path.stem}: {case['name']}")


CASES = [*cases()]


def edited(text: str, edits: list[dict[str, str]]) -> str:
    for edit in edits:
        assert edit["was"] in text, edit["was"]
        text = text.replace(edit["was"], edit["now"])
    return text


def sides(case: dict[str, Any]) -> tuple[str, str]:
    """The spec before and after; a case with `reverse` takes back what its edit does."""
    old = edited(BASE, case.get("before", []))
    new = edited(old, case["edit"])
    return (new, old) if case.get("reverse") else (old, new)


@cache
def checked(text: str) -> compiler.Checked:
    found = compiler.check_document(parse(text, "gateway.yaml")[0][0])
    assert found.gateway is not None, [d.message for d in found.diagnostics]
    return found


@cache
def side(text: str) -> Side:
    one = checked(text)
    documents = {}
    for name in TARGETS:
        built = build_all_accepted(one, TargetChoice(name, "", {"tokenLimits": "local"} if name == "envoy" else {}))
        documents[name] = {d.filename: d.body for d in built.documents}
    return Side(one.source.data, documents, one.name)


def test_there_are_many_and_each_has_its_name() -> None:
    names = [param.id for param in CASES]
    assert len(names) == len({*names})
    assert len(names) >= 60


@pytest.mark.parametrize("case", CASES)
def test_sentences_and_classes(case: dict[str, Any]) -> None:
    old, new = (checked(text).source.data for text in sides(case))
    found = {c.sentence: [*c.classes] for c in meaning(old, new)}
    assert found == case.get("changes", {})


@pytest.mark.parametrize("case", CASES)
def test_every_difference_of_an_output_is_explained(case: dict[str, Any]) -> None:
    """And an edit that means nothing changes no output at all."""
    old, new = map(side, sides(case))
    found = diff(old, new, {name: facts(name) for name in TARGETS})
    alone = [(name, t) for name, changes in found.targets.items() for t in changes if not t.causes]
    assert not alone


SCHEMA = Draft202012Validator(json.loads((ROOT / "schemas/diff.schema.json").read_text("utf-8")))


@pytest.mark.parametrize("case", CASES)
def test_the_json_of_every_case_fits_the_published_schema(case: dict[str, Any]) -> None:
    old, new = map(side, sides(case))
    found = as_data([(diff(old, new, {name: facts(name) for name in TARGETS}), lambda change: "gateway.yaml:1:1")])
    SCHEMA.validate(json.loads(json.dumps(found)))


def test_what_only_the_compiler_writes_otherwise_is_told_beside_what_a_spec_changes() -> None:
    """Also where the spec only changed an order, which means nothing: that is not told, and an older output still is."""
    names = {name: facts(name) for name in TARGETS}
    old = side(BASE)
    stood = {"proxy": {name: {"version": 0} for name in old.documents["proxy"] if name != "secrets.json"}}
    older = old._replace(stood=stood)
    alone = diff(older, old, names).targets
    assert alone["proxy"]
    assert all(not t.causes and not t.unexplained for t in alone["proxy"])
    data: Any = json.loads(json.dumps(parse(BASE, "gateway.yaml")[0][0].data))
    for kind in ("consumers", "models", "providers"):
        data["spec"][kind].reverse()
    mixed = side(json.dumps(data))
    assert mixed.documents != old.documents
    assert diff(old, mixed, names).empty
    assert diff(older, mixed, names).targets == alone
    edit = next(case.values[0] for case in CASES if case.values[0].get("changes"))
    before, new = map(side, sides(edit))
    found = diff(before._replace(stood=stood), new, names)
    of_spec = [t for t in found.targets["proxy"] if t.causes]
    assert of_spec == [*diff(before, new, names).targets["proxy"]]
    assert len(of_spec) < len(found.targets["proxy"])
    assert not found.unexplained
