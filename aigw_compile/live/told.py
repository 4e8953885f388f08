"""A difference from what runs to a Change: its words, its cause in the spec, and nothing that is hidden or secret."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Protocol

from aigw_compile.diagnostic import Diagnostic, Pointer
from aigw_compile.diff import Change, Diff, Origins, hides, short
from aigw_compile.live.secrets import Secret
from aigw_compile.mask import HIDDEN, Veil, scrub

CLASSES = ("unclassified",)
"""What a change means can be told of specs alone; until somebody has looked at it, it may be anything."""

Found = tuple[str, str, Any, Any, Pointer | None, Pointer | None]
"""Operation, place, before, after, where it stood, where it stands: as `differences` yields it."""


class Drift(NamedTuple):
    diff: Diff
    findings: tuple[Diagnostic, ...]


class Side(Protocol):
    """One side: compiled from a spec, or read."""

    @property
    def compiled(self) -> bool: ...
    @property
    def veil(self) -> Veil: ...


def change(found: Found, file: str, spec: Any, old: Side, new: Side) -> Change:
    """Return one difference; `spec` is the entity as it was compiled, whose origins tell the cause."""
    op, place, before, after, at_old, at_new = found
    sides = (at_new, at_old) if new.compiled else (at_old, at_new)
    at = next((side for side in sides if side is not None), ())
    origins = Origins(spec) if spec is not None else None
    cause = next(iter(origins.of(at)), ()) if origins else ()
    if any((old.veil, new.veil)):
        place = old.veil.text(new.veil.text(place))
        veil = (new if new.compiled else old).veil
        told = [v if isinstance(v, (dict, list)) else short(v) for v in (before, after) if v is not None]
        if origins and any(hides(v, origins, at, veil) for v in told):
            before, after = (HIDDEN if value is not None else None for value in (before, after))
    moved = op == "moved"
    op = "changed" if moved else op
    shown = [printable(short(v)) if v is not None else None for v in (before, after)]
    place = f"{file}: {printable(place)}"
    text = {
        "added": f"added {shown[1] or ''}",
        "removed": f"removed {shown[0] or ''}",
        "changed": f"{'moved from ' if moved else ''}{shown[0]} {'to' if moved else '->'} {shown[1]}",
    }[op].rstrip()
    if isinstance(before, Secret) and isinstance(after, Secret):
        text = "another (secret)"
    entity = place[: place.rindex("]") + 1] if "]" in place else file
    sentence = scrub(f"{place}: {text}")
    return Change(op, entity, place, shown[0], shown[1], CLASSES, sentence, cause, old.compiled, (0, 0))


_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return the same in one line, without what a terminal would obey."""
    return _CONTROL.sub(lambda m: f"\\u{ord(m[0]):04x}" if m[0] != "\n" else "\\n", text)
