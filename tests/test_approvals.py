"""Approvals: who may let a change pass, until when, and what is wrong in the file."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aigw_compile.approvals import FILENAME, Approval, added, approvals
from aigw_compile.cli.group import cli
from aigw_compile.diagnostic import Severity

NEW = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: shop}
spec:
  listeners: [{name: public, address: 127.0.0.1, port: 8080}]
  providers: [{name: openai, type: openai, auth: {apiKey: {env: KEY}}}]
  models: [{name: chat, targets: [{provider: openai, model: gpt-5}]}]
  auth: {apiKey: {}}
  consumers: [{name: app, credentials: [{apiKey: {env: APP}}]}]
"""
OLD = NEW + "  policies: {promptGuard: {deny: [secret, password]}}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "gateway.yaml").write_text(OLD)
    (tmp_path / "gateway.yaml").write_text(NEW)
    (tmp_path / "aigw-compile.yaml").write_text(
        "sources: [gateway.yaml]\ntargets: {proxy: {}}\n"
        "diff: {against: old/gateway.yaml, failOn: [security-relaxing]}\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--today", "2026-06-01"])


def asked() -> str:
    """The fingerprint that the diff says to approve."""
    said = run("diff")
    assert said.exit_code == 1
    (line,) = [line for line in said.output.splitlines() if "aigw-compile approve" in line]
    return line.split("approve ")[1].split()[0]


def test_a_change_passes_until_its_day(project: Path) -> None:
    found = asked()
    done = run("approve", found, "--until", "2026-06-30", "--reason", "OPS-1: the provider guards")
    assert done.exit_code == 0, done.output
    assert "may pass until 2026-06-30" in done.output
    assert run("diff").exit_code == 0
    built = run("build")
    assert built.exit_code == 0, built.output
    over = CliRunner().invoke(cli, ["diff", "--today", "2026-07-01"])
    assert over.exit_code == 1
    assert "AIG7003" in over.output
    assert f"{FILENAME}:4" in over.output


def test_an_entry_is_for_one_gateway_and_one_change(project: Path) -> None:
    run("approve", asked(), "--until", "2026-06-30", "--reason", "x")
    text = (project / FILENAME).read_text()
    (project / FILENAME).write_text(text.replace("gateway: shop", "gateway: other"))
    assert run("diff").exit_code == 1
    (project / FILENAME).write_text(text)
    (project / "old" / "gateway.yaml").write_text(OLD.replace("password", "passphrase"))
    assert run("diff").exit_code == 1, "another change of the same place is not approved"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["0123456789ab", "--until", "2026-06-30", "--reason", "x"], 1, "no change 0123456789ab"),
        (["FOUND", "--until", "2026-05-31", "--reason", "x"], 2, "is over"),
        (["FOUND", "--until", "2026-06-30", "--reason", " "], 2, "say why"),
        (["FOUND", "--until", "tomorrow", "--reason", "x"], 2, "tomorrow"),
        (["FOUND", "--until", "2026-06-30", "--reason", "x", "--against", "nowhere"], 2, "nowhere is not there"),
    ],
)
def test_nothing_is_approved_by_mistake(project: Path, arguments: list[str], code: int, says: str) -> None:
    found = asked()
    done = run("approve", *(found if a == "FOUND" else a for a in arguments))
    assert (done.exit_code, says in done.output) == (code, True), done.output
    assert not (project / FILENAME).exists()


BAD: list[tuple[str, str, str]] = [
    ("approvals: [{fingerprint: 0123456789ab, gateway: g, until: 2026-02-30, reason: x}]", "AIG1005", "no day"),
    ("approvals: [{fingerprint: x, gateway: g, until: 2026-02-03, reason: x}]", "AIG1005", "fingerprint"),
    ("approvals: [{fingerprint: 0123456789ab, until: 2026-02-03, reason: x}]", "AIG1002", "gateway"),
    ("approval: []", "AIG1001", "approval"),
    ("approvals: [", "AIG0", ""),
    ("a: 1\na: 2\n", "AIG0", ""),
]


@pytest.mark.parametrize(("text", "code", "says"), BAD)
def test_a_file_with_a_mistake_approves_nothing(project: Path, text: str, code: str, says: str) -> None:
    (project / FILENAME).write_text(text)
    found = approvals(project, date(2026, 1, 1))
    assert not found.entries
    wrong = [f for f in found.findings if f.severity is Severity.ERROR]
    assert wrong
    assert wrong[0].code.startswith(code)
    assert says in f"{wrong[0].place} {wrong[0].message}"
    assert wrong[0].span
    assert run("diff").exit_code == 1
    assert run("build").exit_code == 1


def test_what_people_wrote_stays() -> None:
    entry = '  - fingerprint: "0123456789ab" # first\n    gateway: g\n    until: "2026-02-03"\n    reason: x\n'
    old = f"# who: platform\napprovals:\n{entry}"
    one = Approval("ba9876543210", "h", date(2026, 3, 4), 'it is: "fine" # really')
    text = added(old, one, "models[chat]: removed")
    assert text.startswith(old)
    again = added(text, one._replace(until=date(2026, 4, 5)), "models[chat]: removed")
    assert again == text.replace("2026-03-04", "2026-04-05")
    fresh: Any = added("", one, "s")
    assert fresh.count("fingerprint") == 1
