"""How a priority's targets share the load: the counts of many calls on both engines, and what is tried where one fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance.engines import Engine
from tests.conformance.table import Ask

BY_TURNS, BY_DICE = "by-turns", "by-dice"
SHARES: dict[str, tuple[int, dict[str, tuple[int, int]]]] = {
    # model: calls, upstream model -> the fewest and the most of them
    BY_TURNS: (16, {"share-a": (12, 12), "share-b": (4, 4)}),
    # Three of four by dice: more than four standard deviations (3.5) around 48 are one run in a hundred thousand.
    BY_DICE: (64, {"share-a": (32, 63), "share-b": (1, 32)}),
}
"""`share-c` weighs nothing, so that it is in none."""


def called(engine: Engine, model: str, number: int) -> Counter[str]:
    """Upstream model -> how many of so many calls went there."""
    found: Counter[str] = Counter()
    for _ in range(number):
        told = engine.tell(Ask(model=model), {})
        assert told.reply.status == 200, told
        found.update(seen.json["model"] for _, seen in told.sent)
    return found


@pytest.mark.parametrize("model", SHARES)
def test_shares(engines: Mapping[str, Engine], model: str) -> None:
    number, shares = SHARES[model]
    with ThreadPoolExecutor() as pool:
        for found in pool.map(lambda engine: called(engine, model, number), engines.values()):
            assert found.keys() <= shares.keys()
            assert found.total() == number
            assert all(least <= found[one] <= most for one, (least, most) in shares.items()), found


def test_turns_are_spread_as_evenly_as_it_goes(engines: Mapping[str, Engine]) -> None:
    """In every four calls one goes to the lighter target, wherever one begins to count."""
    for engine in engines.values():
        told = [engine.tell(Ask(model=BY_TURNS), {}).sent[0][1].json["model"] for _ in range(8)]
        assert all(Counter(told[at : at + 4])["share-b"] == 1 for at in range(5)), (engine.name, told)


def test_another_target_is_tried_again(engines: Mapping[str, Engine]) -> None:
    """Whichever of two fails, the second try is at the other one."""
    for engine in engines.values():
        for _ in range(4):
            told = engine.tell(Ask(model="another-one"), {"openai": [{"status": 500}]})
            assert told.reply.status == 200
            assert [name for name, _ in told.sent] in (["openai", "local"], ["local"]), engine.name
