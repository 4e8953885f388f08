"""Text to text that may be shown: without credentials, known by their shape, and without what a part hides, known by its place."""

from __future__ import annotations

from aigw_compile.mask.places import HIDDEN, NO_VEIL, Veil, hiding, in_play, veil
from aigw_compile.mask.regions import NOT_SHOWN, bare, overlaps, starred
from aigw_compile.mask.shapes import STARS, looks_secret, scrub, shown

__all__ = [
    "HIDDEN",
    "NOT_SHOWN",
    "NO_VEIL",
    "STARS",
    "Veil",
    "bare",
    "hiding",
    "in_play",
    "looks_secret",
    "overlaps",
    "scrub",
    "shown",
    "starred",
    "veil",
]
