"""Who counts what limits count, by the option `tokenLimits`: the filters of each step, and the scripts that go with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from aigw_compile import ir
from aigw_compile.document import Block
from aigw_compile.emitters.envoy import limits, rls, wire
from aigw_compile.emitters.envoy.limits import Placed

Step = Callable[[ir.Gateway, tuple[Placed, ...]], list[Block]]


class Answer(NamedTuple):
    """What is said where a CEL expression holds."""

    when: str
    status: int
    kind: str
    code: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()


def _none(gateway: ir.Gateway, limited: tuple[Placed, ...]) -> list[Block]:
    return []


class Counting(NamedTuple):
    early: Step
    """Step 1: requests by address alone."""
    requests: Step
    """Step 7."""
    tokens: Step
    """Step 9."""
    used: Callable[[tuple[Placed, ...]], tuple[str, ...]]
    """The scripts that read what a call has used, and settle it."""
    seen: Step = _none
    """What sees every answer on its way out."""
    answers: tuple[Answer, ...] = ()
    headers: tuple[str, ...] = ()
    """What browsers may read besides."""


def _asked(*units: str) -> Step:
    return lambda gateway, limited: rls.filters(gateway, limited, *units)


def _reserved(gateway: ir.Gateway, limited: tuple[Placed, ...]) -> list[Block]:
    found = rls.filters(gateway, limited, "tokens", "cost")
    return [wire.lua(("spec",), "reserve", "reply", "windows", "reserve"), *found] if found else []


def _seen(gateway: ir.Gateway, limited: tuple[Placed, ...]) -> list[Block]:
    return [wire.lua(("spec",), "counted", "reply", "counted")] if limited else []


def _here(limited: tuple[Placed, ...]) -> tuple[str, ...]:
    counted = any(x.tokens is not None or x.cost is not None for x in limited)
    return ("tokens" if counted else "uncounted", "usage")


def _there(limited: tuple[Placed, ...]) -> tuple[str, ...]:
    return ("usage", "windows", "settle") if limited else ("uncounted", "usage")


_HERE = Counting(partial(limits.filters, early=True), partial(limits.filters, early=False), _none, _here)
_SHOWN = tuple(
    f"x-ratelimit-{what}-{unit}" for unit in ("requests", "tokens") for what in ("limit", "remaining", "reset")
)
_DETAILS = "response.code_details"
COUNTING: Mapping[str, Counting] = {
    "refuse": _HERE,
    "local": _HERE,
    "rls": Counting(
        _asked("address"),
        _asked("requests"),
        _reserved,
        _there,
        _seen,
        (
            Answer(
                f"{_DETAILS} == 'request_rate_limited'",
                429,
                "rate_limit_error",
                "rate_limit_exceeded",
                "A limit of requests, tokens or cost is reached.",
            ),
            Answer(
                f"{_DETAILS} == 'rate_limiter_error'",
                503,
                "api_error",
                "store_unavailable",
                "The gateway cannot count requests at the moment.",
                (("retry-after", "1"),),
            ),
        ),
        _SHOWN,
    ),
}
