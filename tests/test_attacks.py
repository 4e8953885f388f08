"""A platform team's project and, one at a time, what a team tries against it, to what `aigw-compile lint` answers."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from aigw_compile.__main__ import main

FOLDER = Path(__file__).parent / "cases" / "attacks"
SHARED = ("platform", "aigw-compile.yaml")
"""What every attack is made against; an attack may have other files of the same names."""
ATTACKS = sorted(p.name for p in FOLDER.iterdir() if p.is_dir() and p.name not in SHARED)
HARMLESS = {n for n in ATTACKS if n.startswith("allowed")} | {"blind-guard-at-a-model"}
"""What a team may do: the gateway is compiled, and nothing of the platform's is lost."""
HIDDEN = ("aws-prod", "llm/openai", "llm/own", "OpenAI-Organization", "org-4711", "eu-west-1")
"""Words of the platform's that stand only where they are hidden."""


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Lay an attack over the platform's project."""
    for name in SHARED:
        from_ = FOLDER / name
        shutil.copytree(from_, tmp_path / name) if from_.is_dir() else shutil.copy(from_, tmp_path / name)
    shutil.copytree(FOLDER / request.param, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("expected.txt"))
    return tmp_path


def lint(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "argv", ["aigw-compile", "lint", "."])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    assert not said.err
    return int(left.value.code or 0), said.out


@pytest.mark.golden
@pytest.mark.parametrize(("project", "name"), [(n, n) for n in ATTACKS], indirect=["project"], ids=ATTACKS)
def test_what_a_team_reads(
    project: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = lint(project, monkeypatch, capsys)
    expected = FOLDER / name / "expected.txt"
    if os.environ.get("AIGW_GOLDEN"):
        expected.write_text(said, "utf-8")
    assert said == expected.read_text("utf-8")
    assert code == (0 if name in HARMLESS else 1)


@pytest.mark.parametrize("name", [n for n in ATTACKS if n not in HARMLESS])
def test_every_attack_is_refused_at_a_line_of_the_team_or_through_its_configref(name: str) -> None:
    findings = (FOLDER / name / "expected.txt").read_text("utf-8").split("\n\n")
    assert any(" error " in one and "teams/" in one for one in findings), findings


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_hidden_is_shown(name: str) -> None:
    own = "".join(p.read_text("utf-8") for p in sorted((FOLDER / name).rglob("*.yaml")))
    said = (FOLDER / name / "expected.txt").read_text("utf-8")
    assert not [word for word in HIDDEN if word in said and word not in own]


def test_a_right_guess_reads_like_a_wrong_one() -> None:
    right, wrong = ((FOLDER / f"guess-{n}" / "expected.txt").read_text("utf-8") for n in ("right", "wrong"))
    assert right.replace("org-4711", "org-4712") == wrong
