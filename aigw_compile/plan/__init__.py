"""A gateway and the facts of a target to a Plan: what the target will do natively, what it loses, and what of that is accepted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity, named
from aigw_compile.plan.conditions import CONDITIONS, OF_WHAT_IS_LEFT
from aigw_compile.plan.left import left
from aigw_compile.project import Accept
from aigw_compile.target import Capability, Condition, Feature, Support, TargetFacts, feature, policy_path, prefixes


class Ask(NamedTuple):
    """One leaf that the spec wrote: its path among the features, and its place."""

    path: str
    at: Pointer


class Loss(NamedTuple):
    """Something asked for that the target does not do as asked."""

    feature: Feature
    capability: Capability
    at: Pointer
    place: str
    """`at` as people write it."""
    accepted: str = ""
    """The reason with which somebody accepted it."""

    @property
    def security(self) -> bool:
        """Whether auth, access or a guard gets weaker, so that only acceptSecurity accepts it."""
        lost = self.capability.support is Support.NONE
        return self.capability.weaker or (self.feature.security and lost)


class Plan(NamedTuple):
    """The decision, made before anything is emitted. Emitters ask it and never warn by themselves."""

    facts: TargetFacts
    losses: tuple[Loss, ...]
    unused: tuple[Accept, ...]
    """Accepted losses of this target and gateway that no longer occur."""
    gone: frozenset[Pointer]
    """The places that the target does nothing with."""

    def lost(self, at: Pointer) -> bool:
        """Say whether what stands at a place is not done by the target at all (it, or what is around it)."""
        return any(at[:depth] in self.gone for depth in range(len(at) + 1))

    def left(self, gateway: ir.Gateway) -> ir.Gateway:
        """Return the gateway without what the target does nothing with."""
        return left(gateway, [x.at for x in self.losses if x.capability.support is not Support.PARTIAL])

    def diagnostics(self) -> Iterator[Diagnostic]:
        """Yield a finding for each loss: partial a warning, none an error, outside a hint; nothing where accepted."""
        for loss in self.losses:
            if not loss.accepted:
                yield _finding(self.facts, loss)


def plan(gateway: ir.Gateway, written: Json, facts: TargetFacts, accepts: Sequence[Accept] = ()) -> Plan:
    """Hold what the spec wrote (`written`: the document, without defaults) against what the target can do."""
    mine = [a for a in accepts if a.applies(facts.name, facts.profile, gateway.name)]
    losses: list[Loss] = []
    used: set[Accept] = set()
    for found, capability, at in _losses(gateway, written, facts):
        loss = Loss(found, capability, at, named(at, written))
        taken = next((a for a in mine if a.covers(found.code, loss.place) and a.security == loss.security), None)
        if taken:
            used.add(taken)
            loss = loss._replace(accepted=taken.reason)
        losses.append(loss)
    gone = frozenset(loss.at for loss in losses if loss.capability.support is Support.NONE)
    return Plan(facts, tuple(losses), tuple(a for a in mine if a not in used), gone)


def asks(written: Json) -> Iterator[Ask]:
    """Yield every leaf of a document: `spec.models[0].timeouts.connect` is `models.timeouts.connect`."""

    def walk(value: Json, path: str, at: Pointer) -> Iterator[Ask]:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                yield from walk(inner, f"{path}.{key}" if path else "" if key == "spec" else key, (*at, key))
        elif isinstance(value, list) and value:
            for index, inner in enumerate(value):
                yield from walk(inner, path, (*at, index))
        else:
            worded = isinstance(value, (str, bool)) and path
            yield Ask(f"{path}={_word(value)}" if worded else path, at)

    yield from walk(written, "", ())


def _word(value: Json) -> str:
    """A word as rows name it: `header:x-team` is a `header`."""
    return str(value).lower() if isinstance(value, bool) else str(value).partition(":")[0]


def _losses(gateway: ir.Gateway, written: Json, facts: TargetFacts) -> Iterator[tuple[Feature, Capability, Pointer]]:
    seen: set[tuple[str, Pointer]] = set()
    gone: list[Pointer] = []

    def once(path: str, capability: Capability, at: Pointer) -> Iterator[tuple[Feature, Capability, Pointer]]:
        done = capability.support in (Support.NATIVE, Support.EMULATED, Support.DELEGATED)
        if not done and (path, at) not in seen:
            seen.add((path, at))
            if capability.support is not Support.PARTIAL:
                gone.append(at)
            yield feature(path.partition("#")[0]), capability, at

    def shaped(one: ir.Gateway, conditions: Iterable[Condition]) -> Iterator[tuple[Feature, Capability, Pointer]]:
        for condition in conditions:
            for at in CONDITIONS[condition.when](one, condition.argument):
                yield from once(f"{condition.feature}#{condition.when}", condition.capability, at)

    for ask in asks(written):
        for row in _rows(ask.path, facts):
            yield from once(row, facts.rows.get(row) or facts.row(row), _truncated(ask.at, row, ask.path))
    yield from shaped(gateway, (c for c in facts.conditions if c.when not in OF_WHAT_IS_LEFT))
    yield from shaped(left(gateway, gone), (c for c in facts.conditions if c.when in OF_WHAT_IS_LEFT))


def _rows(path: str, facts: TargetFacts) -> Iterator[str]:
    """Yield the paths of the rows that speak of a leaf: the one for where a policy stands, and the policy's own."""
    own = policy_path(path)
    if own is None or own == path:
        yield next((p for p in prefixes(path) if p in facts.rows), path.partition("=")[0])
        return
    stop = path[: path.index("policies.") + len("policies")]
    placed = next((p for p in prefixes(path) if p in facts.rows and len(p) >= len(stop)), None)
    if placed:
        yield placed
    yield next((p for p in prefixes(own) if p in facts.rows), own.partition("=")[0])


def _truncated(at: Pointer, row: str, path: str) -> Pointer:
    """Cut a leaf's place down to the part that its row speaks of."""
    if "=" in row:
        return at
    depth = row.count(".") + 1
    if row.startswith("policies.") and not path.startswith("policies."):
        depth += path[: path.index("policies.")].count(".")
    taken: list[str | int] = []
    names = 0
    for step in at:
        if isinstance(step, str) and not (step == "spec" and not taken):
            if names == depth:
                break
            names += 1
        taken.append(step)
    return tuple(taken)


_SEVERITY = {Support.PARTIAL: Severity.WARNING, Support.OUTSIDE: Severity.HINT, Support.NONE: Severity.ERROR}
_SAYS = {
    Support.PARTIAL: "{target} does {title} differently",
    Support.OUTSIDE: "{target} has no place for {title}",
    Support.NONE: "{target} cannot do {title}",
}


def _finding(facts: TargetFacts, loss: Loss) -> Diagnostic:
    capability = loss.capability
    severity = Severity.ERROR if loss.security else _SEVERITY[capability.support]
    plain = _SAYS[capability.support].format(target=facts.title, title=loss.feature.title)
    hints = [f"nearest: {capability.nearest}"] if capability.nearest else []
    if severity is not Severity.HINT:
        key = "acceptSecurity" if loss.security else "accept"
        entry = f'{{code: {loss.feature.code}, at: "{loss.place}", reason: ...}}'
        hints.append(f"to accept it, add to targets.{facts.name}.{key} in aigw-compile.yaml: {entry}")
    message = f"{plain}: {capability.note}"
    return Diagnostic(loss.feature.code, severity, message, loss.at, "; ".join(hints), plain=plain)


def matrix(facts: Iterable[TargetFacts]) -> Iterator[tuple[Feature, tuple[Capability, ...]]]:
    """Yield a row of the capability matrix for each feature: how well each of the targets does it."""
    from aigw_compile.target import features

    columns = list(facts)
    for found in features().values():
        yield found, tuple(column.row(found.path) for column in columns)
