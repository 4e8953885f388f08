"""A diff as SARIF: a result for each change by its class, at the line that made it, suppressed where it is approved; and --report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aigw_compile.diff import CLASSES
from aigw_compile.render import changed_sarif
from tests.targets.kong_admin import serving
from tests.targets.test_kong_sides import run
from tests.targets.test_live_sides import SPEC, Holds, holding

NEW = (
    SPEC.replace("headers: [authorization]", "headers: [x-api-key]")
    .replace("request: 30s", "request: 20s")
    .replace("metadata: {name: desk}", "metadata: {name: desk, labels: {team: x}}")
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "aigw-compile.yaml").write_text("targets: {envoy: {}, proxy: {}}\n")
    for name, text in (("old", SPEC), ("new", NEW)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gateway.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    return tmp_path


def log_of(text: str) -> Any:
    """The one run of a log; what SARIF 2.1.0 asks of the parts that we write."""
    log = json.loads(text)
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    run_ = log["runs"][0]
    rules = run_["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run_["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
    marks = [result["partialFingerprints"]["aigwChange/v1"] for result in run_["results"]]
    assert len({*marks}) == len(marks)
    return run_


def test_each_class_has_a_rule() -> None:
    assert [*changed_sarif.RULES] == [*CLASSES]
    levels = [("error", "warning", "note").index(level) for level, _ in changed_sarif.RULES.values()]
    assert levels == sorted(levels), "a worse class has no lower level"


def test_each_change_is_a_result(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "diff", "old", "new", "--format", "sarif")
    assert code == 0
    found = log_of(out)
    changes = json.loads(run(capsys, "diff", "old", "new", "--format", "json")[1])["gateways"][0]["changes"]
    assert len(changes) >= 3
    assert [r["ruleId"] for r in found["results"]] == [f"change/{c['classes'][0]}" for c in changes]
    for result, change in zip(found["results"], changes, strict=True):
        assert result["message"]["text"].startswith(f"desk: {change['sentence']}\nhelp: ")
        assert f"aigw-compile approve {change['fingerprint']} " in result["message"]["text"]
        assert result["properties"]["tags"] == change["classes"]
        (place,) = result["locations"]
        physical = place["physicalLocation"]
        file, line, column = change["cause"].rsplit(":", 2)
        assert physical["artifactLocation"] == {"uri": file, "uriBaseId": "PROJECT"}
        assert (physical["region"]["startLine"], physical["region"]["startColumn"]) == (int(line), int(column))
        assert place["logicalLocations"] == [{"fullyQualifiedName": f"desk/{change['place']}"}]
        assert "suppressions" not in result


def test_what_is_approved_is_suppressed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = json.loads(run(capsys, "diff", "old", "new", "--format", "json")[1])["gateways"][0]["changes"]
    one = changes[0]["fingerprint"]
    (project / "aigw-approvals.yaml").write_text(
        f"approvals:\n  - {{fingerprint: {one}, gateway: desk, until: '2099-01-01', reason: because}}\n"
    )
    results = log_of(run(capsys, "diff", "old", "new", "--format", "sarif")[1])["results"]
    reason = [{"kind": "external", "status": "accepted", "justification": "because (until 2099-01-01)"}]
    assert [r.get("suppressions") for r in results] == [reason, *[None] * (len(results) - 1)]


def test_fingerprints_outlive_a_move(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def marks() -> list[str]:
        results = log_of(run(capsys, "diff", "old", "new", "--format", "sarif")[1])["results"]
        return [r["partialFingerprints"]["aigwChange/v1"] for r in results]

    before = marks()
    (project / "new/gateway.yaml").write_text("# a line\n\n" + NEW)
    assert marks() == before


def test_several_gateways_are_one_log(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, text in (("old", SPEC), ("new", NEW)):
        (project / folder / "other.yaml").write_text(text.replace("name: desk", "name: other").replace("8080", "8081"))
    results = log_of(run(capsys, "diff", "old", "new", "--format", "sarif")[1])["results"]
    assert {r["message"]["text"].partition(":")[0] for r in results} == {"desk", "other"}
    assert log_of(run(capsys, "diff", "old", "old", "--format", "sarif")[1])["results"] == []


def test_what_runs_as_sarif(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "build", "old")[0] == 0
    (project / "build").is_dir()
    path, body = holding("proxy", project)
    with serving(Holds(path, body)) as url:
        side = url.replace("kong:", "proxy:")
        assert log_of(run(capsys, "diff", side, "old", "--format", "sarif")[1])["results"] == []
        (result, *_) = log_of(run(capsys, "diff", side, "new", "--format", "sarif")[1])["results"]
    assert (result["ruleId"], result["level"]) == ("change/unclassified", "warning")
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "new/gateway.yaml"


# --- --report


def test_reports_are_what_is_printed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    formats = ("text", "markdown", "json", "html", "sarif")
    asked = [word for name in formats for word in ("--report", f"{name}=out.{name}")]
    code, out, _ = run(capsys, "diff", "old", "new", *asked, "--fail-on", "breaking")
    assert code == 1
    assert out.startswith("desk: ")
    for name in formats:
        assert Path(f"out.{name}").read_text() == run(capsys, "diff", "old", "new", "--format", name)[1]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("sarif", 'wants FORMAT=FILE with one of text, markdown, json, html, sarif, not "sarif"'),
        ("sarif=", "wants FORMAT=FILE"),
        ("sarfi=x", 'did you mean "sarif"?'),
        ("sarif=no/such/folder/x", "cannot write no/such/folder/x: No such file or directory"),
        ("json=old", "cannot write old: Is a directory"),
    ],
)
def test_reports_that_cannot_be_written(
    value: str, words: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "diff", "old", "new", "--report", value)
    assert (code, words in err) == (3, True), err


def test_sarif_has_no_place_for_what_normalising_removed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "diff", "old", "new", "--format", "sarif", "--show-normalised")
    assert (code, "--show-normalised goes with" in err) == (3, True)
