"""What is left of a broken document: whatever is wrong with it, the rest is checked, and nothing ever raises."""

from __future__ import annotations

import json

import pytest

from aigw_compile import compiler
from aigw_compile.source import parse
from tests.silence import mutants, places, value
from tests.support import ROOT

SPECS = {
    name: parse((ROOT / f"examples/{name}/gateway.yaml").read_text(), "x")[0][0].data
    for name in ("minimal", "local-models", "support-desk")
}
WRONG = (None, 7, "x y", [], {}, [None], {"x": None})


@pytest.mark.parametrize("name", SPECS)
def test_whatever_is_changed_or_left_out_there_is_an_answer(name: str) -> None:
    for _, mutant in mutants(SPECS[name]):
        compiler.check_text(json.dumps(mutant))


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_whatever_stands_anywhere_there_is_an_answer(name: str, wrong: object) -> None:
    for at in list(places(SPECS[name])):
        data = json.loads(json.dumps(SPECS[name]))
        value(data, at[:-1])[at[-1]] = wrong
        compiler.check_text(json.dumps(data))


def test_findings_of_the_rest_come_at_once() -> None:
    text = (ROOT / "examples/support-desk/gateway.yaml").read_text()
    broken = text.replace("weight: 90", "weight: many").replace("env: INTERN_KEY", "env: ANTHROPIC_API_KEY")
    codes = {d.code for d in compiler.check_text(broken).diagnostics}
    assert "AIG1003" in codes
    assert any(code.startswith("AIG4") and code != "AIG4009" for code in codes), codes


def test_a_broken_first_item_hides_no_name_that_the_others_use() -> None:
    """A vault that is left out leaves a reference behind it, in a provider that comes after a broken one."""
    data = json.loads(json.dumps(SPECS["minimal"]))
    own = data["spec"]["providers"]
    own[:0] = [{"name": "broken"}, {"name": "b", "type": "openai", "auth": {"apiKey": {"vault": "v", "key": "x"}}}]
    data["spec"]["vaults"] = [{"name": "v"}]
    assert {d.code for d in compiler.check_text(json.dumps(data)).diagnostics} >= {"AIG1002"}
