"""The values of a diff: a side, a change of meaning, a change of an output, and the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.mask import NO_VEIL, Veil

CLASSES = (
    "breaking",
    "security-relaxing",
    "data-residency",
    "unclassified",
    "cost",
    "availability",
    "security-tightening",
    "observability",
    "behaviour",
    "cosmetic",
)
"""What a change can mean, the worst first."""

CODES: Mapping[str, tuple[str, str, str]] = {
    "AIG7001": (
        "warning",
        "an output changed although the spec did not",
        "The spec says the same as before and an output differs: this version of the compiler, or one of its tables, "
        "writes it differently. Read the target part of the diff before you deploy it.",
    ),
    "AIG7002": (
        "warning",
        "a change of a field that nobody has classed",
        "The language does not declare what a change of this field means, so the diff cannot say that it is harmless.",
    ),
    "AIG9004": (
        "warning",
        "an output differs, and nothing in the spec explains it",
        "This compiler made both outputs, and no change of the spec is known to make this difference. The difference itself "
        "is told; what made it is not. This is our mistake: please report it with both specs, and read that part of the "
        "output before you deploy it. `diff --fail-on` fails for it, whatever classes are named.",
    ),
}


class Side(NamedTuple):
    """One side of a comparison."""

    data: Json
    """The document as written."""
    documents: Mapping[str, Mapping[str, Json]]
    """Target -> {filename: body}; bodies may be Blocks, whose origins explain changes."""
    gateway: str = ""
    veil: Veil = NO_VEIL
    """What parts hide in `data`."""
    meant: ir.Gateway | None = None
    """What `data` was lowered to, where somebody has it already."""
    stood: Mapping[str, Mapping[str, Json]] = {}
    """Target -> what really stands there, where this compiler makes something else of `data`, which is in `documents`."""


Veils = tuple[Veil, Veil]
"""What is hidden on the old side, and on the new one."""


class TargetChange(NamedTuple):
    """One difference between two outputs."""

    op: str
    place: str
    before: Any
    after: Any
    causes: tuple[int, ...]
    """Positions of the changes of meaning that explain it; () means that the compiler itself does."""
    unexplained: bool = False
    """Nothing does, although this compiler made both sides: a mistake of ours."""


class Estimate(NamedTuple):
    """What something costs in US dollars before and after, and what that is worked out from."""

    before: float | None
    """None: nothing bounds it; on both sides: nobody knows."""
    after: float | None
    per: str
    """What for: a number of tokens, a window of a limit, an answer."""
    most: bool
    """It is what may be spent at most, and not what is spent."""
    assumes: str


class Change(NamedTuple):
    """One difference in meaning."""

    op: str
    """added, removed, changed, raised, lowered, on, off, moved (an ordered list in another order) or renamed."""
    entity: str
    """The named thing that it belongs to: models[chat].targets[canary]."""
    place: str
    before: Any
    after: Any
    classes: tuple[str, ...]
    sentence: str
    at: Pointer
    """Its place in the new document; in the old one where it is gone."""
    old: bool
    """Whether `at` points into the old document."""
    reach: tuple[int, int]
    """How many models and consumers it reaches."""
    outputs: Mapping[str, int] = {}
    """Target -> how many differences of its outputs it explains."""
    samples: tuple[str, ...] = ()
    """Up to three of them."""
    estimate: Estimate | None = None
    """What it costs, where the price table tells."""

    @property
    def fingerprint(self) -> str:
        """The same for the same change in any run: for approvals. Hidden values do not count in it, so none can be guessed."""
        return hashlib.sha256(f"{self.op}:{self.place}:{self.before}:{self.after}".encode()).hexdigest()[:12]


class Same(NamedTuple):
    """A difference that normalising removed. None: it stands on one side only."""

    place: str
    before: Any
    after: Any
    why: str


class Diff(NamedTuple):
    gateway: str
    first: bool
    """Nothing stood there before."""
    changes: tuple[Change, ...]
    """Worst first."""
    targets: Mapping[str, tuple[TargetChange, ...]]
    accepted: tuple[str, ...] = ()
    """Accepted losses of auth, access or a guard, in words: they weaken security for as long as they are accepted."""
    compared: int | None = None
    """How many entities were compared, where a side is no spec: then there is no meaning, and changes are those of outputs."""
    notes: tuple[str, ...] = ()
    """What was not compared, in words."""
    normalised: tuple[Same, ...] | None = None
    """What is written differently and means the same, where somebody asked for it."""

    @property
    def unexplained(self) -> tuple[TargetChange, ...]:
        return tuple(t for found in self.targets.values() for t in found if t.unexplained)

    @property
    def empty(self) -> bool:
        return not self.changes and not any(self.targets.values())

    def count(self, classes: Iterable[str]) -> int:
        """How many changes have one of these classes."""
        wanted = set(classes)
        return sum(1 for c in self.changes if wanted & set(c.classes))

    def wanted(self, classes: Iterable[str]) -> frozenset[str]:
        """The classes that fail, if any do: without a spec on both sides what a change means is not known, and it may be one."""
        wanted = frozenset(classes)
        return wanted | {"unclassified"} if wanted and self.compared is not None else wanted
