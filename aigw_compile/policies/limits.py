"""limits, as data with defaults, to their nodes: how much may be asked for in a window of time."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from aigw_compile.diagnostic import Pointer

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800, "month": 2_592_000}
"""Length of a window. A month is 30 days where a target knows no calendar; the reference proxy follows the calendar."""


class _Fields(NamedTuple):
    name: str
    by: tuple[str, ...]
    """What has a counter of its own: gateway, consumer, group, model; sorted."""
    per: str
    """The window, a key of SECONDS; windows are fixed and aligned to UTC."""
    requests: int | None
    tokens: int | None
    reserve_output: int
    """Tokens reserved for the answer of a request that names no cap."""
    origin: Pointer


class Limit(_Fields):
    kind: ClassVar[str] = "limits"

    @property
    def seconds(self) -> int:
        return SECONDS[self.per]


DEFAULT_BY = {"gateway": "gateway", "model": "model", "group": "consumer", "consumer": "consumer"}
"""What a limit counts by where it does not say: where it stands; at a group, each member."""


def lower(data: Any, at: Pointer, scope: str) -> tuple[Limit, ...]:
    return tuple(
        Limit(
            item["name"],
            tuple(sorted(set(item.get("by") or [DEFAULT_BY[scope]]))),
            item["per"],
            item.get("requests"),
            item.get("tokens"),
            item["reserveOutput"],
            (*at, index),
        )
        for index, item in enumerate(data)
        if item is not None
    )
