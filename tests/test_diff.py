"""The semantic diff: its laws, formats, hidden values; the table of edits is in cases/diff."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile import comparing, compiler, write
from aigw_compile.diagnostic import value_at
from aigw_compile.diff import Change, Diff, Side, diff, meaning
from aigw_compile.document import Document, text_of
from aigw_compile.mask import HIDDEN, NO_VEIL, veil
from aigw_compile.meaning import plain, tree
from aigw_compile.project import TargetChoice
from aigw_compile.render.changes import as_data, text
from aigw_compile.render.markdown import LONGEST, markdown
from aigw_compile.schema import with_defaults
from aigw_compile.source import parse
from aigw_compile.target import facts
from tests.silence import leaves, others
from tests.support import ROOT, build_all_accepted

DESK = (ROOT / "examples/support-desk/gateway.yaml").read_text()


def data(spec: str) -> Any:
    return parse(spec, "gateway.yaml")[0][0].data


def edited(*pairs: tuple[str, str]) -> Any:
    spec = DESK
    for old, new in pairs:
        assert old in spec, old
        spec = spec.replace(old, new)
    return data(spec)


def nowhere(change: Change) -> str:
    return ""


GUARD = "    promptGuard: {deny: ['(?i)ignore (all )?previous instructions', '\\b\\d{3}-\\d{2}-\\d{4}\\b']}\n"


@pytest.mark.parametrize(
    ("before", "after", "classes"),
    [
        ("cost: 3000", "cost: 3500", ["cost"]),
        ("cost: 3500", "cost: 3000", ["breaking"]),
        ("tokens: 9, count: input", "tokens: 9, count: output", ["breaking", "cost"]),
        ("requests: 9", "requests: 9, onExceeded: observe", ["cost"]),
        ("tokens: 9", "tokens: 9, reserveOutput: 2048", ["breaking"]),
    ],
)
def test_what_changes_at_a_limit(before: str, after: str, classes: list[str]) -> None:
    limit = "    limits:\n      - {name: more, per: month, %s}\n"
    old, new = (edited(("    limits:\n", limit % text)) for text in (before, after))
    found = diff(Side(old, {}, "g"), Side(new, {}, "g"), {})
    assert [sorted(change.classes) for change in found.changes] == [classes]


# --- laws

SPECS = [
    data((ROOT / f"examples/{name}/gateway.yaml").read_text()) for name in ("support-desk", "local-models", "minimal")
]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SPECS), st.integers())
def test_shuffling_sets_and_named_things_is_no_change(spec: Any, seed: int) -> None:
    dice = Random(seed)
    mixed = copy.deepcopy(spec)
    body = mixed["spec"]
    for name in ("models", "providers", "consumers"):
        dice.shuffle(body.get(name, []))
    for model in body["models"]:
        dice.shuffle(model["targets"])
        dice.shuffle(model.get("aliases", []))
    assert meaning(spec, mixed) == []


@pytest.mark.parametrize("spec", SPECS)
def test_nothing_changes_between_equals_and_with_defaults(spec: Any) -> None:
    assert meaning(spec, copy.deepcopy(spec)) == []
    assert meaning(spec, with_defaults(spec)) == []


def mutants() -> list[tuple[int, tuple[Any, ...], Any]]:
    found = []
    for number, spec in enumerate(SPECS):
        for at in leaves(spec):
            value = spec
            for step in at:
                value = value[step]
            found += [(number, at, other) for other in others(value, at)]
    return found


def unnamed(place: str) -> str:
    """A place without the names of targets: where nobody wrote one, it follows what changed."""
    return re.sub(r"targets\[[^]]*\]", "targets", place)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(mutants()), st.sampled_from(mutants()))
def test_the_two_directions_mirror_each_other(one: Any, two: Any) -> None:
    """What is added one way is removed the other way; what changed is the same place with the values swapped."""
    spec = copy.deepcopy(SPECS[one[0]])
    for number, at, value in (one, two):
        if number == one[0]:
            holder = spec
            for step in at[:-1]:
                holder = holder[step]
            holder[at[-1]] = value
    checked = compiler.check_document(parse(json.dumps(spec), "x")[0][0])
    if checked.gateway is None:
        return
    there, back = meaning(SPECS[one[0]], spec), meaning(spec, SPECS[one[0]])
    mirror = {
        "added": "removed",
        "removed": "added",
        "raised": "lowered",
        "lowered": "raised",
        "on": "off",
        "off": "on",
    }
    renamed = [c for c in (*there, *back) if c.op == "renamed"]
    if not renamed:
        forth = sorted((mirror.get(c.op, c.op), unnamed(c.place), str(c.after), str(c.before)) for c in there)
        assert forth == sorted((c.op, unnamed(c.place), str(c.before), str(c.after)) for c in back)
    assert len(there) == len(back)


# --- outputs

TARGETS = ("envoy", "proxy")


def side(spec: Any) -> Side:
    checked = compiler.check_document(parse(json.dumps(spec), "gateway.yaml")[0][0])
    documents = {}
    for name in TARGETS:
        built = build_all_accepted(checked, TargetChoice(name, "", {"tokenLimits": "local"} if name == "envoy" else {}))
        documents[name] = {d.filename: d.body for d in built.documents}
    return Side(spec, documents, checked.name)


def compared(old: Any, new: Any) -> Diff:
    return diff(side(old), side(new), {name: facts(name) for name in TARGETS})


def test_equal_sides_have_no_difference_in_any_output() -> None:
    found = compared(data(DESK), data(DESK))
    assert found.empty
    assert "no change" in text([(found, nowhere)])


def test_json_fits_its_schema_and_markdown_has_its_marker() -> None:
    found = compared(data(DESK), edited(("tokens: 2000000", "tokens: 3000000"), (GUARD, "")))
    schema = json.loads((ROOT / "schemas/diff.schema.json").read_text())
    jsonschema.validate(as_data([(found, nowhere)]), schema)
    jsonschema.validate(as_data([(diff(None, side(data(DESK)), {}), nowhere)]), schema)
    report = markdown([(found, nowhere)])
    assert report.startswith("<!-- aigw-compile:diff:support-desk -->")
    assert "| security-relaxing | 1 |" in report
    assert "<details>" in report
    assert found.changes[0].classes[0] == "security-relaxing"


def test_markdown_is_cut_with_a_count() -> None:
    many = data(DESK)
    consumers = many["spec"]["consumers"]
    consumers += [{"name": f"c{i}", "credentials": [{"apiKey": {"env": f"KEY_{i}"}}]} for i in range(1500)]
    report = markdown([(Diff("x", False, tuple(meaning(data(DESK), many)), {}), nowhere)])
    assert len(report) < LONGEST
    assert "more lines; the report as JSON has all of them" in report


def test_what_stands_at_a_secrets_place_is_never_shown() -> None:
    """A literal is refused long before; should one ever come here, it is masked by its position."""
    bad = copy.deepcopy(data(DESK))
    bad["spec"]["providers"][1]["auth"]["apiKey"] = "c4n4ry-value"
    assert "c4n4ry" not in str(plain(tree(bad)))


def test_an_output_that_changed_without_the_spec_is_said_to_be_the_compilers(tmp_path: Path) -> None:
    checked = compiler.check_text(DESK)
    built = build_all_accepted(checked, TargetChoice("proxy", "", {}))
    (tmp_path / "proxy").mkdir()
    for document in (*built.documents, Document("gateway.json", checked.source.data)):
        text_ = text_of(document).replace('"maxBodySize": 10485760', '"maxBodySize": 1')
        (tmp_path / "proxy" / document.filename).write_text(text_)
    found = comparing.of_build(checked, built, tmp_path / "proxy", None)
    assert [d.code for d in comparing.findings(found)] == ["AIG7001"]


def test_a_change_that_nobody_has_classed_is_a_warning() -> None:
    change = meaning(data(DESK), edited(("attempts: 1", "attempts: 3")))[0]._replace(classes=("unclassified",))
    built = comparing.Built(Diff("desk", False, (change,), {}), nowhere)
    assert [(d.code, d.message) for d in comparing.findings(built)] == [
        ("AIG7002", "desk: models[chat].retries.attempts changed, and no class of change is declared for it")
    ]


# --- what parts hide

HIDES: list[tuple[tuple[str | int, ...], list[tuple[str, str, str]]]] = [
    (("spec", "vaults", 0), [("region: eu-west-1", "region: aa-canary-1", "region: bb-canary-2")]),
    (("spec", "providers", 1, "auth"), [("ANTHROPIC_API_KEY", "CANARY_1", "CANARY_2")]),
    (("spec", "providers", 2, "baseUrl"), [("vllm.internal", "canary-1.example.com", "canary-2.example.com")]),
    (("spec", "models", 0, "fallback", "response"), [("The assistant is busy.", "Canary one.", "Canary two.")]),
    (("spec", "models", 0, "policies"), [("Example Corp.", "CanaryCorp.", "Canary's Corp.")]),
    (("spec", "models", 0, "aliases"), [("gpt-4o]  ", "canary-1]", "canary-2]")]),
    (("spec", "models", 0, "targets", 2, "model"), [("model: claude-sonnet-4-5,", "model: canary-1,", "model: canary-2,")]),
    (("spec", "consumers"), [("name: helpdesk-bot", "name: canary-1", "name: canary-2"), ("HELPDESK_KEY", "CANARY_A", "CANARY_B")]),
    (("spec", "policies", "promptGuard"), [("previous instructions", "(canary|words)", "(canaries|words)")]),
    (("spec", "policies", "limits"), [("name: daily", "name: canary", "name: canary"), ("tokens: 2000000", "tokens: 74017401", "tokens: 74017402")]),
    (("spec", "policies", "limits", 1, "requests"), [("requests: 10000", "requests: 7401740", "requests: 7401741")]),
    (("spec", "models", 0, "timeouts", "request"), [("request: 60s", "request: 7401ms", "request: 7402ms")]),
    (("spec", "observability", "tracing"), [("otel-collector", "canary-1", "canary-2"), ("sampling: 0.1", "sampling: 0.1234", "sampling: 0.4321")]),
    (("spec", "observability", "accessLog", "payloads"), [("payloads: false", "payloads: false", "payloads: true")]),
    (("metadata", "labels", "team"), [("team: support", "team: canary-1", "team: canary-2")]),
]  # fmt: skip
GIVEN_AWAY = re.compile(r"(?i)canar(y|ies)(?!, provider)|7,?401|7,?402|0\.1234|0\.4321")


@pytest.mark.parametrize(("at", "edits"), HIDES, ids=[".".join(map(str, at[1:])) for at, _ in HIDES])
def test_hidden_values_are_in_no_diff(at: tuple[str | int, ...], edits: list[tuple[str, str, str]]) -> None:
    """Changed, added and removed: it is said that, where and of which class, in every format, and never what."""
    plain_desk = DESK.replace("name: canary,", "name: second,")
    sides = {}
    for which in (1, 2):
        spec = plain_desk
        for edit in edits:
            assert edit[0] in spec
            spec = spec.replace(edit[0], edit[which])
        sides[which] = side(data(spec))._replace(veil=veil(data(spec), [at]))
    gone = copy.deepcopy(sides[1].data)
    holder = value_at(at[:-1], gone)
    assert isinstance(holder, (dict, list))
    del holder[at[-1]]  # type: ignore[arg-type]
    without = Side(gone, {}, "support-desk")
    targets = {name: facts(name) for name in TARGETS}
    open_ = diff(sides[1]._replace(veil=NO_VEIL), sides[2]._replace(veil=NO_VEIL), targets)
    assert GIVEN_AWAY.search(markdown([(open_, nowhere)])) or at[-1] == "payloads"
    pairs = [(sides[1], sides[2]), (sides[2], sides[1])]
    if compiler.check_document(parse(json.dumps(gone), "gateway.yaml")[0][0]).gateway:
        pairs += [(without, sides[1]), (sides[1], without)]
    for old, new in pairs:
        found = diff(old, new, targets)
        shown = [text([(found, nowhere)]), markdown([(found, nowhere)]), json.dumps(as_data([(found, nowhere)]))]
        assert not [line for one in shown for line in one.splitlines() if GIVEN_AWAY.search(line)]
        if old.documents and new.documents:
            assert any(found.targets.values()) or at[0] == "metadata"
            assert HIDDEN in shown[0]
            assert all(c.op in ("changed", "added", "removed", "renamed") for c in found.changes)


def test_a_change_of_what_is_not_hidden_is_told_as_ever() -> None:
    old, new = (data(DESK), edited(("requests: 60}", "requests: 30}"), ("weight: 10}", "weight: 20}")))
    hidden = [("spec", "providers", 1, "auth"), ("spec", "policies", "promptGuard")]
    sides = [side(spec)._replace(veil=veil(spec, hidden)) for spec in (old, new)]
    found = diff(sides[0], sides[1], {name: facts(name) for name in TARGETS})
    assert {c.sentence for c in found.changes} == {c.sentence for c in meaning(old, new)}
    assert sum(t.after == HIDDEN for changes in found.targets.values() for t in changes) == 0


def test_the_spec_beside_outputs_says_what_is_hidden() -> None:
    spec = data(DESK)
    spec["metadata"]["labels"] = {"a/b~c": "x"}
    hidden = {("spec", "providers", 1, "auth"), ("metadata", "labels", "a/b~c")}
    kept = write.spec_document(spec, hidden)
    assert isinstance(kept.body, dict)
    assert kept.body["x-aigw-hidden"] == ["/metadata/labels/a~1b~0c", "/spec/providers/1/auth"]
    read, places = write.spec_of(kept.body)
    assert (read, {*places}) == (spec, hidden)
    assert write.spec_document(spec).body is spec


def test_a_diff_with_outputs_on_disk_hides_the_old_side_too(tmp_path: Path) -> None:
    spec = data(DESK.replace("vllm.internal", "canary.example.com"))
    old = side(spec)
    folder = tmp_path / "proxy"
    folder.mkdir()
    documents = [Document(name, body) for name, body in old.documents["proxy"].items()]
    for document in (*documents, write.spec_document(spec, [("spec", "providers", 2, "baseUrl")])):
        (folder / document.filename).write_text(text_of(document))
    checked = compiler.check_text(DESK)
    built = build_all_accepted(checked, TargetChoice("proxy", "", {}))
    found = comparing.of_build(checked, built, folder, None)
    assert found.diff.changes[0].before == HIDDEN
    assert "canary.example" not in "".join(text_of(d) for d in comparing.documents(found, folder))


def test_ten_thousand_entities_diff_in_linear_time() -> None:
    """No quadratic step: twenty times the entities take nowhere near four hundred times the comparisons."""
    big = copy.deepcopy(data(DESK))
    big["spec"]["consumers"] += [{"name": f"c{i}", "credentials": [{"apiKey": {"env": f"K_{i}"}}]} for i in range(3000)]
    other = copy.deepcopy(big)
    for i in range(20):
        other["spec"]["consumers"][100 + i]["credentials"][0]["apiKey"]["env"] = f"N_{i}"
    assert len(meaning(big, other)) == 20
