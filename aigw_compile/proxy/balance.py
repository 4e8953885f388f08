"""Which target of a priority is tried next: by weight among the healthy ones; targets that keep failing rest for a while."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from random import Random

from aigw_compile.proxy.config import Target

FAILURES = 5
WINDOW = 30.0
COOLDOWN = 30.0
"""Defaults of the language: so many failures within the window, and the target rests for the cooldown (seconds)."""

_COUNTS = frozenset({"overloaded", "server-error", "timeout", "connect-failure", "bad-response", "auth-error"})
"""Causes that speak against a target. A rate limit or a long prompt does not."""


class Balance:
    """The health of every target, and the dice."""

    def __init__(self, clock: Callable[[], float], dice: Random) -> None:
        self._clock = clock
        self._dice = dice
        self._failures: dict[tuple[str, str], list[float]] = {}
        self._resting: dict[tuple[str, str], float] = {}

    def choose(self, model: str, targets: Sequence[Target], tried: Collection[str], *, anyway: bool) -> Target | None:
        """Return a healthy target, one that was not tried yet where there is one. `anyway`: a resting one if need be."""
        healthy = [t for t in targets if not self._rests(model, t)]
        if not healthy and not anyway:
            return None
        pool = healthy or list(targets)
        fresh = [t for t in pool if t.name not in tried] or pool
        return self._dice.choices(fresh, [t.weight for t in fresh])[0]

    def _rests(self, model: str, target: Target) -> bool:
        return self._resting.get((model, target.name), 0.0) > self._clock()

    def report(self, model: str, target: Target, cause: str | None) -> None:
        """Remember how an attempt went; cause None is a success."""
        key, now = (model, target.name), self._clock()
        if cause is None:
            self._failures.pop(key, None)
        elif cause in _COUNTS:
            recent = [t for t in self._failures.get(key, ()) if t > now - WINDOW] + [now]
            self._failures[key] = recent
            if len(recent) >= FAILURES:
                self._resting[key] = now + COOLDOWN
                self._failures.pop(key)
