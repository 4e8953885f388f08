"""The changes of diffs to causes: what one line of a spec does at many places and gateways is told once, with the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from aigw_compile.diff import CLASSES, Change, Diff, TargetChange
from aigw_compile.diff.words import counted, estimate, reached

SAMPLES = 3

Places = Callable[[Change], str]
"""Change -> `file:line:column` of its cause, with the configRefs that it came through; "" where nobody knows."""
Told = tuple[Diff, Places]
"""What is told of one gateway."""


class Group(NamedTuple):
    """Changes of one gateway that are the same but for their place, and come from one place in the text."""

    changes: tuple[Change, ...]
    place: str

    @property
    def first(self) -> Change:
        return self.changes[0]

    @property
    def more(self) -> str:
        """Where else the same happens, in short."""
        return listed([c.place for c in self.changes[1:]], SAMPLES)


class Cause(NamedTuple):
    """What one place in the text does, to one gateway or to several."""

    gateways: tuple[str, ...]
    groups: tuple[Group, ...]
    """One for each of them."""

    @property
    def first(self) -> Change:
        return self.groups[0].first

    @property
    def place(self) -> str:
        """Of several gateways, which come by other configRefs, without these."""
        place = self.groups[0].place
        return place if len(self.gateways) == 1 else place.partition(" (")[0]

    @property
    def changes(self) -> list[Change]:
        return [c for group in self.groups for c in group.changes]

    @property
    def outputs(self) -> dict[str, int]:
        """Target -> differences of its outputs."""
        found: Counter[str] = Counter()
        for change in self.changes:
            found.update(change.outputs)
        return dict(found)

    @property
    def told_outputs(self) -> str:
        """How many differences of outputs it makes, in words."""
        found = self.outputs
        said = ", ".join(f"{name} {count}" for name, count in found.items())
        return f"{said} {'difference' if sum(found.values()) == 1 else 'differences'}" if found else ""

    @property
    def reach(self) -> tuple[int, int]:
        """How many models and consumers it reaches in all; where it is at several models, at least so many."""
        return sum(map(_models, self.groups)), sum(max(c.reach[1] for c in g.changes) for g in self.groups)

    @property
    def sentence(self) -> str:
        """What changes, for whom in all, and what that costs."""
        first, said = self.first, self.first.sentence
        if len(self.gateways) == 1:
            return said
        models, consumers = self.reach
        own = reached(first)
        what, _, rest = said.partition(own) if own else (said, "", "")
        cost = f"; {estimate(first.estimate)}" if first.estimate else ""
        who = f", for {counted(models, 'model')} and {counted(consumers, 'consumer')} in all" if models else ""
        costs = {estimate(g.first.estimate) if g.first.estimate else "" for g in self.groups}
        tail = rest.removesuffix(cost) + (
            f"{cost} in {'each' if len(costs) == 1 else self.gateways[0]}" if cost else ""
        )
        where = f", in {counted(len(self.gateways), 'gateway')} ({listed(self.gateways, SAMPLES)})"
        return f"{what if own else said.removesuffix(cost)}{where}{who}{tail if own or cost else ''}"


def _models(group: Group) -> int:
    """Changes at different models reach different ones."""
    entities = {c.place.partition("].")[0] for c in group.changes}
    own = all(c.place.startswith("models[") for c in group.changes) and len(entities) == len(group.changes)
    return sum(c.reach[0] for c in group.changes) if own else max(c.reach[0] for c in group.changes)


def grouped(diff: Diff, places: Places) -> list[Group]:
    """Return the changes of a gateway by cause, the worst first."""
    found: dict[object, list[Change]] = {}
    for number, change in enumerate(diff.changes):
        made = places(change).partition(" (")[0]
        alike = (made, change.op, repr(change.before), repr(change.after), change.classes)
        found.setdefault(alike if made else number, []).append(change)
    return [Group(tuple(changes), places(changes[0])) for changes in found.values()]


def causes(told: Sequence[Told]) -> list[Cause]:
    """Return what each place does to all gateways, the worst first, and then what reaches most of them."""
    found: dict[object, list[tuple[str, Group]]] = {}
    for diff, places in told:
        for group in grouped(diff, places):
            made, first = group.place.partition(" (")[0], group.first
            alike = (made, first.op, first.place, repr(first.before), repr(first.after), first.classes)
            found.setdefault(alike if made else (diff.gateway, len(found)), []).append((diff.gateway, group))
    every = [Cause(tuple(n for n, _ in x), tuple(g for _, g in x)) for x in found.values()]
    return sorted(every, key=lambda c: (CLASSES.index(c.first.classes[0]), -len(c.gateways)))


def counts(told: Sequence[Told]) -> dict[str, int]:
    """Return class -> how many changes have it; what is the same in several gateways counts once."""
    if len(told) == 1:
        found = Counter(name for c in told[0][0].changes for name in c.classes)
    else:
        found = Counter(name for cause in causes(told) for name in cause.first.classes)
    return {name: found[name] for name in CLASSES if found[name]}


def verdict(diff: Diff) -> str:
    """Return one line that says what the change of a gateway amounts to."""
    if diff.compared is not None:
        entities = counted(diff.compared, "entity", "entities")
        return f"{diff.gateway}: {entities}, {counted(len(diff.changes), 'difference')}"
    if diff.first:
        return f"{diff.gateway}: new, there is nothing to compare with"
    if diff.empty:
        return f"{diff.gateway}: no change"
    if not diff.changes:
        outputs = sum(map(len, diff.targets.values()))
        made = alone([t for found in diff.targets.values() for t in found])
        return f"{diff.gateway}: the spec means the same; {counted(outputs, 'difference')} in outputs made {made}"
    return f"{diff.gateway}: {counted(len(diff.changes), 'change')} ({_said(counts([(diff, _nowhere)]))})"


def verdicts(told: Sequence[Told]) -> str:
    """Return one line that says what the changes of several gateways amount to."""
    if len(told) == 1:
        return verdict(told[0][0])
    changed = sum(not quiet(diff) for diff, _ in told)
    every = counted(len(told), "gateway")
    if not changed:
        return f"{every}: no change"
    if not (found := counts(told)):
        return f"{changed} of {every} with something to see"
    return f"{changed} of {every}: {counted(len(causes(told)), 'change')} ({_said(found)})"


def quiet(diff: Diff) -> bool:
    """Whether there is nothing to tell of a gateway."""
    return diff.empty and not (diff.first or diff.accepted or diff.notes or diff.normalised)


def _said(found: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in found.items())


def _nowhere(_change: Change) -> str:
    return ""


def alone(found: Sequence[TargetChange]) -> str:
    """Return what made differences that no change of the spec did."""
    return "by nothing that is known (AIG9004)" if any(t.unexplained for t in found) else "by the compiler itself"


def by_itself(diff: Diff) -> dict[str, list[TargetChange]]:
    """Return target -> the differences of its outputs that no change of the spec made."""
    found = {name: [t for t in changes if not t.causes] for name, changes in diff.targets.items()}
    return {name: some for name, some in found.items() if some} if diff.compared is None else {}


def several(told: Iterable[tuple[str, Iterable[str]]]) -> list[str]:
    """Return what is said of gateways: what is said of several of them once, with their names."""
    pairs = [*told]
    found: dict[str, list[str]] = {}
    for gateway, said in pairs:
        for line in said:
            found.setdefault(line, []).append(gateway)
    return [line if len(pairs) == 1 else f"{listed(names, SAMPLES)}: {line}" for line, names in found.items()]


def listed(names: Sequence[str], most: int) -> str:
    """Return names, and how many more there are."""
    left = len(names) - most
    return ", ".join(names[:most]) + (f" and {left} more" if left > 0 else "")


ADVICE = {
    "breaking": "breaks callers",
    "security-relaxing": "relaxes security",
    "data-residency": "sends data elsewhere",
    "unclassified": "is of no known class",
    "cost": "changes costs",
    "availability": "touches availability",
}


def advice(told: Sequence[Told]) -> str:
    """Return what a reviewer has to look at, in one line."""
    found = counts(told)
    said = [f"{words} ({found[name]})" for name, words in ADVICE.items() if name in found]
    if said:
        return f"Look at what {', '.join(said)}."
    return "Nothing here breaks a caller, relaxes security or costs more." if found else ""
