"""Two sides of a gateway to what changed: in meaning, with classes and words, and in each target, explained by the meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aigw_compile.diff.causes import Causes, Origins
from aigw_compile.diff.meaning import meaning
from aigw_compile.diff.normalised import normalised, orders
from aigw_compile.diff.outputs import differences, explained, hides, short
from aigw_compile.diff.types import CLASSES, CODES, Change, Diff, Same, Side, TargetChange
from aigw_compile.target import TargetFacts

__all__ = [
    "CLASSES",
    "CODES",
    "Change",
    "Diff",
    "Origins",
    "Same",
    "Side",
    "TargetChange",
    "diff",
    "differences",
    "gone",
    "hides",
    "meaning",
    "normalised",
    "short",
]


NO_CAUSES = Causes((), (), ({}, {}))
"""Of what this compiler writes differently."""


def diff(old: Side | None, new: Side, facts: Mapping[str, TargetFacts], accepted: Sequence[str] = ()) -> Diff:
    """Compare two sides. `old` None is the first build."""
    if old is None:
        return Diff(new.gateway, True, (), {}, tuple(accepted))
    veils = (old.veil, new.veil)
    changes = sorted(
        meaning(old.data, new.data, veils, (old.meant, new.meant)),
        key=lambda c: (CLASSES.index(c.classes[0]), c.place, c.op),
    )
    targets: dict[str, tuple[TargetChange, ...]] = {}
    causes = Causes(changes, orders(old.data, new.data), (old.data, new.data))
    for name, documents in new.documents.items():
        if name in old.documents:
            found = explained(old.documents[name], documents, facts[name], causes, veils)
            stood = old.stood.get(name)
            before = explained(stood, old.documents[name], facts[name], NO_CAUSES, veils) if stood else ()
            targets[name] = (*found, *before)
    counted = tuple(_counted(number, change, targets) for number, change in enumerate(changes))
    return Diff(new.gateway, False, counted, targets, tuple(accepted))


def gone(name: str) -> Diff:
    """Return the diff of a gateway that only the old side has."""
    words = "the whole gateway is gone"
    return Diff(name, False, (Change("removed", "", "", name, None, ("breaking",), words, (), True, (0, 0)),), {})


def _counted(number: int, change: Change, targets: Mapping[str, tuple[TargetChange, ...]]) -> Change:
    caused = {name: [t for t in found if number in t.causes] for name, found in targets.items()}
    samples = [f"{name}/{t.place}" for name, found in caused.items() for t in found]
    return change._replace(outputs={n: len(f) for n, f in caused.items() if f}, samples=tuple(samples[:3]))
