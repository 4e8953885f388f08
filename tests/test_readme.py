"""README.md shows real, current output."""

from __future__ import annotations

from tests.readme import BLOCK, README, ROOT, refreshed


def test_output_is_current() -> None:
    text = README.read_text("utf-8")
    assert len(BLOCK.findall(text)) >= 3
    assert refreshed(text) == text, "run `make golden` and read the diff"


def test_the_minimal_spec_is_the_example() -> None:
    assert (ROOT / "examples/minimal/gateway.yaml").read_text("utf-8") in README.read_text("utf-8")
