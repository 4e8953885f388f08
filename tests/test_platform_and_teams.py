"""examples/platform-and-teams: each attack to the answer that a team reads, each leaf of a part to what changes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from aigw_compile import compiler
from aigw_compile.cli import linting
from aigw_compile.diagnostic import Diagnostic, Json
from aigw_compile.project import FILENAME
from aigw_compile.resolve import Library, digest
from aigw_compile.reuse import Reuse
from aigw_compile.source import Source, parse
from tests.silence import mutants
from tests.support import ROOT

FOLDER = ROOT / "examples" / "platform-and-teams"
ATTACKS = sorted(path for path in FOLDER.glob("bad/**/*.yaml") if path.name != FILENAME)
HIDDEN = ("llm/openai", "llm/anthropic", "eu-west-1", "us-east-1", "eu.api.openai.com", "PLATFORM_PROBE_KEY")


def lint(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what `aigw-compile lint` prints in the folder of the example."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(FOLDER)
    assert linting.lint([path.relative_to(FOLDER)]) == 1, "an attack that works"
    return capsys.readouterr().out


@pytest.mark.golden
@pytest.mark.parametrize("path", ATTACKS, ids=lambda path: path.relative_to(FOLDER / "bad").as_posix())
def test_attack(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = path.with_suffix(".out")
    said = lint(path, capsys, monkeypatch)
    if os.environ.get("AIGW_GOLDEN"):
        expected.write_text(said, "utf-8")
    assert said == expected.read_text("utf-8")
    assert said.replace("\n", "").isprintable()
    assert [word for word in HIDDEN if word in said and word not in path.read_text("utf-8")] == []


def test_every_attack_has_its_answer() -> None:
    assert {path.with_suffix("") for path in ATTACKS} == {path.with_suffix("") for path in FOLDER.glob("bad/**/*.out")}
    assert len(ATTACKS) >= 25


def test_a_guess_gets_the_same_answer_right_or_wrong() -> None:
    right, wrong = ((FOLDER / f"bad/guess{name}.out").read_text("utf-8") for name in ("", "-wrong"))
    assert wrong.replace("guess-wrong", "guess").replace("//de.", "//eu.") == right


OPENED = compiler.open_project([FOLDER])


def whole(sources: list[Source], part: Source) -> tuple[list[Json], str, list[Diagnostic]]:
    """Return what the gateways are made from some parts, the digest of one of these, and all that is said."""
    library = Library(sources)
    reuse = Reuse(library, OPENED.project)
    wholes = [reuse.gateway(source) for source in OPENED.documents]
    (one,) = (p for p in library.every if p.source is part)
    alone = reuse.part(one)
    said = [d for w in (*wholes, alone) for d in w.said]
    return [w.source.data for w in wholes], digest(one, library), said


@pytest.mark.parametrize("part", OPENED.parts, ids=lambda part: part.data["metadata"]["name"])
def test_each_leaf_of_a_part_has_its_effect(part: Source) -> None:
    """Change or leave out anything: a gateway is another one or somebody is told; of the contract at least the digest is."""
    others = [source for source in OPENED.parts if source is not part]
    before, pinned, said = whole([*others, part], part)
    assert [d for d in said if d.severity > 1] == []
    for at, mutant in mutants(part.data):
        (changed,) = parse(json.dumps(mutant), part.file)[0]
        if at[:1] == ("spec",) and changed.is_part:
            after, again, told = whole([*others, changed], changed)
            assert after != before or told or (at[1] == "fields" and again != pinned), at


def test_the_page_names_every_attack() -> None:
    page = (FOLDER / "README.md").read_text("utf-8")
    patterns = re.findall(r"`bad/([^`]+)`", page)
    named = {
        path for pattern in patterns for path in (FOLDER / "bad").glob(pattern.replace("own-rules/", "own-rules/*"))
    }
    assert {path.name for path in ATTACKS} <= {path.name for path in named}
