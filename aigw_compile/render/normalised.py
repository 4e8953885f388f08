"""What normalising removed from a diff, to the lines of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aigw_compile.diff import Same


def title(found: Sequence[Same]) -> str:
    return f"written differently, with the same meaning: {len(found)}"


def line(same: Same) -> str:
    """Return one difference that means nothing, and why."""
    sides = [_short(x) for x in (same.before, same.after) if x is not None]
    return f"{same.place}: {' -> '.join(sides)} ({same.why})"


def _short(value: Any) -> str:
    text = str(value).replace("\n", " ")
    return text if len(text) <= 80 else f"{text[:77]}..."
