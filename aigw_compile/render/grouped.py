"""The changes of a diff to groups with one cause: what one line of a spec does at many places is told once, with the count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aigw_compile.diff import CLASSES, Change, Diff

SAMPLES = 3


class Group(NamedTuple):
    """Changes that are the same but for their place, and come from one place in the text."""

    changes: tuple[Change, ...]
    place: str
    """`file:line:column`, with the configRefs that it came through; "" where nobody knows."""

    @property
    def first(self) -> Change:
        return self.changes[0]

    @property
    def more(self) -> str:
        """Where else the same happens, in short."""
        others = [c.place for c in self.changes[1:]]
        left = len(others) - SAMPLES
        return ", ".join(others[:SAMPLES]) + (f" and {left} more" if left > 0 else "")

    @property
    def outputs(self) -> dict[str, int]:
        """Target -> differences of its outputs."""
        found: dict[str, int] = {}
        for change in self.changes:
            for name, count in change.outputs.items():
                found[name] = found.get(name, 0) + count
        return found


def grouped(diff: Diff, places: Sequence[str]) -> list[Group]:
    """Return the changes by cause, the worst first. `places`: where each change was made, in the order of the diff."""
    found: dict[object, list[int]] = {}
    for number, (change, place) in enumerate(zip(diff.changes, places, strict=True)):
        made = place.partition(" (")[0]
        alike = (made, change.op, repr(change.before), repr(change.after), change.classes)
        found.setdefault(alike if made else number, []).append(number)
    return [Group(tuple(diff.changes[n] for n in numbers), places[numbers[0]]) for numbers in found.values()]


class Shared(NamedTuple):
    """One cause in several gateways."""

    gateways: tuple[str, ...]
    groups: tuple[Group, ...]
    """One for each of them."""

    @property
    def outputs(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for group in self.groups:
            for name, count in group.outputs.items():
                found[name] = found.get(name, 0) + count
        return found


def shared(diffs: Sequence[tuple[Diff, Sequence[str]]]) -> list[Shared]:
    """Return what one place of a part does to several gateways, the worst first."""
    found: dict[object, list[tuple[str, Group]]] = {}
    for diff, places in diffs:
        for group in grouped(diff, places):
            made, first = group.place.partition(" (")[0], group.first
            alike = (made, first.op, first.place, repr(first.before), repr(first.after), first.classes)
            if made:
                found.setdefault(alike, []).append((diff.gateway, group))
    several = [Shared(tuple(n for n, _ in x), tuple(g for _, g in x)) for x in found.values() if len(x) > 1]
    return sorted(several, key=lambda s: CLASSES.index(s.groups[0].first.classes[0]))


def advice(diff: Diff) -> str:
    """Return what a reviewer has to look at, in one line."""
    if not diff.changes:
        return ""
    words = {
        "breaking": "break callers",
        "security-relaxing": "relax security",
        "data-residency": "send data elsewhere",
        "unclassified": "are of no known class",
        "cost": "change costs",
        "availability": "touch availability",
    }
    counts = [(diff.count([name]), name) for name in CLASSES if name in words]
    told = [f"{count} {_one(words[name]) if count == 1 else words[name]}" for count, name in counts if count]
    return (
        f"Look at this: {', '.join(told)}." if told else "Nothing here breaks a caller, relaxes security or costs more."
    )


def _one(words: str) -> str:
    """The same of one change: break callers -> breaks callers."""
    verb, _, rest = words.partition(" ")
    irregular = {"are": "is", "touch": "touches", "relax": "relaxes"}
    return f"{irregular.get(verb, f'{verb}s')} {rest}"
