"""README.md shows real, current output."""

from __future__ import annotations

from tests.readme import BLOCK, README, ROOT, refreshed


def test_output_is_current() -> None:
    text = README.read_text("utf-8")
    assert len(BLOCK.findall(text)) >= 3
    assert refreshed(text) == text, "run `make golden` and read the diff"


def test_the_minimal_spec_is_the_example() -> None:
    assert (ROOT / "examples/minimal/gateway.yaml").read_text("utf-8") in README.read_text("utf-8")


def test_the_part_and_the_team_are_those_of_the_example() -> None:
    folder = ROOT / "examples/platform-and-teams"
    regions = (folder / "platform/regions.yaml").read_text("utf-8").partition("\n")[2]
    team = (folder / "teams/support/gateway.yaml").read_text("utf-8").partition("\n")[2]
    text = README.read_text("utf-8")
    assert f"```yaml\n{regions.partition('---')[0]}```" in text
    assert f"```yaml\n{team}```" in text


def test_a_team_s_file_as_the_example_shows_it() -> None:
    folder = ROOT / "examples/platform-and-teams"
    spec = (folder / "teams/support/gateway.yaml").read_text("utf-8").partition("spec:\n")[2]
    assert f"```yaml\nspec:\n{spec}```" in (folder / "README.md").read_text("utf-8")
