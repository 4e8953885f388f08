"""Counters in memory: requests are counted when they are let in, tokens are reserved before sending and settled after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from math import ceil
from typing import NamedTuple

from aigw_compile.proxy.errors import Refuse, exceeds_limit, rate_limited
from aigw_compile.proxy.policies.limits import Counter

_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_MONDAY = 345_600
"""The first Monday of the epoch, 1970-01-05, in seconds."""


def window(per: str, now: float) -> tuple[int, int]:
    """Return (start, end) of the window that holds `now`, in seconds of UTC: fixed, aligned, weeks from Monday, real months."""
    if per == "month":
        day = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        after = day.replace(year=day.year + day.month // 12, month=day.month % 12 + 1)
        return int(day.timestamp()), int(after.timestamp())
    length = _SECONDS[per]
    offset = _MONDAY if per == "week" else 0
    start = int((now - offset) // length * length + offset)
    return start, start + length


class _Used:
    __slots__ = ("requests", "start", "tokens")

    def __init__(self, start: int) -> None:
        self.start = start
        self.requests = 0
        self.tokens = 0


class Reservation(NamedTuple):
    """Tokens held for a call, by counter, with the window that they were taken from."""

    tokens: tuple[tuple[Counter, int, int], ...]
    """(counter, start of its window, tokens)"""


class Limits:
    """All counters of a proxy. One event loop works on it, so that a check and its count are one step."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used: dict[tuple[str, ...], _Used] = {}

    def _at(self, counter: Counter, start: int) -> _Used:
        used = self._used.get(counter.key)
        if used is None or used.start < start:  # a clock that is set back opens no new window
            used = self._used[counter.key] = _Used(start)
        return used

    def admit(self, counters: Iterable[Counter]) -> Refuse | None:
        """Step 7: count one request on every counter with a request limit, or on none of them and return the refusal."""
        asked = [(c, c.limit.requests, 1) for c in counters if c.limit.requests is not None]
        refusal, taken = self._room(asked, "requests")
        for _, used, _ in taken:
            used.requests += 1
        return refusal

    def reserve(
        self, counters: Iterable[Counter], prompt: int, output: int | None, choices: int
    ) -> Refuse | Reservation:
        """Step 9: hold `prompt` tokens and `choices` times the output cap (or each limit's reserveOutput) on every counter."""
        asked = [
            (c, c.limit.tokens, prompt + choices * (c.limit.reserve_output if output is None else output))
            for c in counters
            if c.limit.tokens is not None
        ]
        refusal, taken = self._room(asked, "tokens")
        for _, used, tokens in taken:
            used.tokens += tokens
        return refusal or Reservation(tuple((counter, used.start, tokens) for counter, used, tokens in taken))

    def _room(
        self, asked: Iterable[tuple[Counter, int, int]], what: str
    ) -> tuple[Refuse | None, list[tuple[Counter, _Used, int]]]:
        """Return (refusal, []) where any of (counter, its most, how much) has no room for it, else (None, what to take).

        More than a whole limit is never worth a second try, whatever the other limits say; else the longest wait is named.
        """
        now = self._clock()
        waits: dict[str, int] = {}
        taken: list[tuple[Counter, _Used, int]] = []
        for counter, most, amount in asked:
            if amount > most:
                return exceeds_limit(what), []
            start, end = window(counter.limit.per, now)
            used = self._at(counter, start)
            if getattr(used, what) + amount > most:
                waits[counter.limit.per] = ceil(end - now)
            taken.append((counter, used, amount))
        if not waits:
            return None, taken
        longest = max(waits, key=lambda per: waits[per])
        return rate_limited(f"{what} per {longest}", waits[longest]), []

    def settle(self, reservation: Reservation, used: int) -> None:
        """Step 18: replace what was held by what was used; 0 refunds. A window that is over is left as it was."""
        for counter, start, tokens in reservation.tokens:
            count = self._used.get(counter.key)
            if count is not None and count.start == start:
                count.tokens += used - tokens

    def headers(self, counters: Iterable[Counter]) -> Mapping[str, str]:
        """Return x-ratelimit-{limit,remaining,reset}-{requests,tokens} of the tightest counters."""
        now = self._clock()
        best: dict[str, tuple[int, int, int]] = {}
        for counter in counters:
            start, end = window(counter.limit.per, now)
            used = self._at(counter, start)
            for what, most, count in (
                ("requests", counter.limit.requests, used.requests),
                ("tokens", counter.limit.tokens, used.tokens),
            ):
                if most is None:
                    continue
                row = (max(0, most - count), most, ceil(end - now))
                if what not in best or row < best[what]:
                    best[what] = row
        return {
            f"x-ratelimit-{name}-{what}": str(value)
            for what, (left, most, reset) in best.items()
            for name, value in (("limit", most), ("remaining", left), ("reset", reset))
        }
