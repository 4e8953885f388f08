"""Limits: windows, counters, reservations that never overshoot, refunds, headers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigw_compile.proxy.config import Limit
from aigw_compile.proxy.errors import Refuse
from aigw_compile.proxy.limits import Limits, Reservation, window
from aigw_compile.proxy.policies.limits import Counter
from tests.proxy.harness import SPEC, proxy


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("per", "now", "start", "end"),
    [
        ("second", "2026-11-23T13:17:30.5", "2026-11-23T13:17:30", "2026-11-23T13:17:31"),
        ("minute", "2026-11-23T13:17:30", "2026-11-23T13:17:00", "2026-11-23T13:18:00"),
        ("hour", "2026-11-23T13:17:30", "2026-11-23T13:00:00", "2026-11-23T14:00:00"),
        ("day", "2026-11-23T13:17:30", "2026-11-23T00:00:00", "2026-11-24T00:00:00"),
        ("week", "2026-11-25T13:17:30", "2026-11-23T00:00:00", "2026-11-30T00:00:00"),
        ("month", "2026-02-15T13:17:30", "2026-02-01T00:00:00", "2026-03-01T00:00:00"),
        ("month", "2026-12-31T23:59:59", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
    ],
)
def test_windows_are_fixed_and_aligned_to_utc(per: str, now: str, start: str, end: str) -> None:
    assert window(per, at(now)) == (at(start), at(end))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.booleans()), max_size=40), st.integers(1, 100))
def test_used_and_reserved_never_exceed_the_limit(calls: list[tuple[int, int, bool]], most: int) -> None:
    """Every admitted reservation fits; settling at or below what was reserved keeps it so."""
    limits = Limits(lambda: 0.0)
    counter = Counter(Limit("x", ("gateway",), "day", None, most, 0), ("x",))
    held = 0
    for prompt, output, refund in calls:
        got = limits.reserve([counter], prompt, output, 1)
        if isinstance(got, Refuse):
            assert prompt + output + held > most
            continue
        held += prompt + output
        assert held <= most
        used = 0 if refund else prompt
        limits.settle(got, used)
        held += used - prompt - output


def test_a_refused_reservation_holds_nothing() -> None:
    limits = Limits(lambda: 0.0)
    wide = Counter(Limit("wide", ("gateway",), "day", None, 100, 0), ("wide",))
    tight = Counter(Limit("tight", ("gateway",), "day", None, 10, 0), ("tight",))
    assert isinstance(limits.reserve([wide, tight], 20, 0, 1), Refuse)
    assert limits.headers([wide])["x-ratelimit-remaining-tokens"] == "100"


def test_more_than_any_whole_limit_is_said_before_a_wait_and_the_longest_wait_is_named() -> None:
    limits = Limits(lambda: 30.0)
    minute = Counter(Limit("a", ("gateway",), "minute", 1, 100, 0), ("a",))
    day = Counter(Limit("b", ("gateway",), "day", 1, 50, 0), ("b",))
    assert isinstance(limits.reserve([minute, day], 50, 0, 1), Reservation)
    full = limits.reserve([minute, day], 50, 0, 1)
    assert isinstance(full, Refuse)
    assert full.headers["retry-after"] == str(86_400 - 30)
    large = limits.reserve([minute, day], 80, 0, 1)
    assert isinstance(large, Refuse)
    assert (large.code, large.headers) == ("request_exceeds_limit", {})
    assert limits.admit([minute, day]) is None
    refused = limits.admit([minute, day])
    assert refused
    assert refused.headers["retry-after"] == str(86_400 - 30)


def test_a_clock_that_is_set_back_opens_no_new_window() -> None:
    now = [120.0]
    limits = Limits(lambda: now[0])
    counter = Counter(Limit("a", ("gateway",), "minute", 1, None, 0), ("a",))
    assert limits.admit([counter]) is None
    now[0] = 119.0
    assert limits.admit([counter])


def test_what_is_settled_after_its_window_counts_in_none() -> None:
    now = [0.0]
    limits = Limits(lambda: now[0])
    counter = Counter(Limit("a", ("gateway",), "minute", None, 100, 0), ("a",))
    held = limits.reserve([counter], 100, 0, 1)
    assert isinstance(held, Reservation)
    now[0] = 60.0
    assert isinstance(limits.reserve([counter], 40, 0, 1), Reservation)
    limits.settle(held, 90)
    assert limits.headers([counter])["x-ratelimit-remaining-tokens"] == "60"


LIMITED = SPEC.replace(
    "  consumers:\n",
    "  policies:\n    limits:\n      - {name: rpm, by: [consumer], per: minute, requests: 3}\n  consumers:\n",
)


def test_requests_are_counted_for_each_consumer_and_the_window_opens_again() -> None:
    with proxy(LIMITED) as running:
        answers = [running.chat() for _ in range(4)]
        assert [a.status for a in answers] == [200, 200, 200, 429]
        assert answers[3].error == (429, "rate_limit_error", "rate_limit_exceeded")
        assert [a.headers["x-ratelimit-remaining-requests"] for a in answers] == ["2", "1", "0", "0"]
        assert answers[0].headers["x-ratelimit-limit-requests"] == "3"
        wait = int(answers[3].headers["retry-after"])
        assert 0 < wait <= 60
        assert running.chat(key="mock-key-other").status == 200
        running.now += wait
        assert running.chat().status == 200


def test_what_is_refused_later_still_counts_as_a_request() -> None:
    spec = LIMITED.replace("    limits:", "    promptGuard: {deny: [bad]}\n    limits:")
    with proxy(spec) as running:
        assert [running.chat("bad").status for _ in range(4)] == [400, 400, 400, 429]


TOKENS = SPEC.replace(
    "  consumers:\n",
    "  policies:\n    limits:\n      - {name: tpm, per: minute, tokens: 1000, reserveOutput: 100}\n  consumers:\n",
)


def test_tokens_are_settled_with_the_providers_figures() -> None:
    with proxy(TOKENS) as running:
        answer = running.chat(max_tokens=200)
        used = answer.json["usage"]["total_tokens"]
        left = int(running.chat(max_tokens=1).headers["x-ratelimit-remaining-tokens"])
        assert 1000 - left < used + 200


def test_failed_calls_refund_tokens() -> None:
    with proxy(TOKENS) as running:
        for _ in range(30):
            assert running.chat("mock:400", max_tokens=500).status == 400
            running.now += 0.001
        assert running.chat(max_tokens=500).status == 200


def test_more_than_the_whole_limit_needs_no_retry() -> None:
    with proxy(TOKENS) as running:
        answer = running.chat(max_tokens=2000)
        assert answer.error == (429, "rate_limit_error", "request_exceeds_limit")
        assert "retry-after" not in answer.headers


def test_n_choices_reserve_n_times() -> None:
    with proxy(TOKENS) as running:
        assert running.chat(max_tokens=300, n=4).error[2] == "request_exceeds_limit"
        assert running.chat(n=3).status == 200


def test_64_parallel_calls_never_overshoot() -> None:
    """Each reserves 100 tokens and some: of 64 at once only as many are sent as fit, and the provider's figures are lower."""
    with proxy(TOKENS) as running, ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: running.chat("mock:slow", max_tokens=100), range(64)))
        sent = [a for a in answers if a.status == 200]
        assert 0 < len(sent) <= 8
        assert {a.status for a in answers} == {200, 429}
        assert sum(a.json["usage"]["total_tokens"] for a in sent) <= 1000


def test_group_limits_count_each_member_and_both_groups() -> None:
    groups = """
  consumerGroups:
    - {name: big, policies: {limits: [{name: g, per: minute, requests: 5}]}}
    - {name: small, policies: {limits: [{name: g, per: minute, requests: 2}]}}
  consumers:
    - {name: app, groups: [big, small], credentials: [{apiKey: {env: APP_KEY}}]}
    - {name: other, groups: [big], credentials: [{apiKey: {env: OTHER_KEY}}]}
"""
    with proxy(SPEC[: SPEC.index("  consumers:")] + groups.lstrip("\n")) as running:
        assert [running.chat().status for _ in range(3)] == [200, 200, 429]
        assert [running.chat(key="mock-key-other").status for _ in range(6)] == [200] * 5 + [429]


def test_model_limits_count_per_model() -> None:
    spec = SPEC.replace(
        "    - {name: claude, targets",
        "      policies: {limits: [{name: m, per: minute, requests: 1}]}\n    - {name: claude, targets",
    )
    with proxy(spec) as running:
        assert running.chat().status == 200
        assert running.chat(model="gpt-4o", key="mock-key-other").status == 429
        assert running.chat(model="claude").status == 200
