"""A difference of an output to the changes of meaning that made it: by the places of the spec that the output came from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from aigw_compile.diagnostic import Json, Pointer, value_at
from aigw_compile.diff.types import Change
from aigw_compile.document import Block, source_map
from aigw_compile.rules.references import uses

Item = tuple[str | int, ...]
"""What stands for itself in a spec, by name: ("models", "chat"), ("spec", "policies"), ("metadata", "name")."""


class Origins:
    """The places of the spec that each part of an output came from."""

    def __init__(self, body: Json) -> None:
        self.body = body

    @property
    def known(self) -> bool:
        """Whether this compiler made it just now; what was read from a file has forgotten where it came from."""
        return next(source_map(self.body), None) is not None

    def of(self, out: Pointer) -> list[Pointer]:
        """The origins of a place, of what is inside it, or else of the nearest thing around it."""
        around: list[Pointer] = []
        own: list[Pointer] = []
        here: Any = self.body
        for step in out:
            if isinstance(here, Block):
                own = [*here.origins.get(str(step), ())]
                around = own or [here.origin]
            else:
                own = []
            if not _has(here, step):  # a place of the other side alone
                return around
            here = here[step]
        return [*own, *(origin for _, origin in source_map(here))] or around

    def around(self, out: Pointer) -> list[Pointer]:
        """The origins of everything that a place is inside of, the nearest last."""
        found: list[Pointer] = []
        here: Any = self.body
        for step in out:
            if isinstance(here, Block):
                found += (here.origin, *here.origins.get(str(step), ()))
            if not _has(here, step):
                break
            here = here[step]
        return found


def _has(value: Any, step: str | int) -> bool:
    return step in value if isinstance(value, dict) else isinstance(value, list) and step in range(len(value))


WHOLE: Pointer = ("spec",)


class Causes:
    """The changes between two documents, asked which of them made a difference of an output."""

    def __init__(
        self, changes: Sequence[Change], orders: Sequence[tuple[Pointer, Pointer]], documents: tuple[Json, Json]
    ) -> None:
        self.changes, self.orders, self.documents = changes, orders, documents

    def of(self, old: Sequence[Pointer], new: Sequence[Pointer]) -> tuple[int, ...] | None:
        """Return the changes that made what came from these places of the old document, and of the new one.

        First those at, around or inside one of the places. Else those in the same item of the spec, as the retries of a
        model decide which service of Kong serves it; else those in what refers to it, or is referred to; else items of
        the same list that come or go, since one model is called without its name where there is no other; else those of a
        policy of the same kind, since what stands at several places is merged, or numbered, for a call. None: only the
        order that something is written in. (): nothing in the spec did. What is made from the whole spec names the lists
        and the kinds of policies (`everywhere`) that it is made from: `spec` alone explains nothing.
        """
        best: dict[int, int] = {}
        for number, change in enumerate(self.changes):
            for origin in (old if change.old else new) or (*old, *new):
                if origin != WHOLE and (shared := _near(origin, change.at)):
                    best[number] = max(best.get(number, 0), shared)
        order = max((_near(o, p) for o in (*old, *new) for pair in self.orders for p in pair), default=0)
        if order > max(best.values(), default=0) or (self.orders and not self.changes):
            return None  # where nothing but an order changed, numbers in names follow it too
        if best:
            nearest = max(best.values())
            return tuple(n for n, shared in best.items() if shared == nearest or shared >= 3)
        mine = {self._item(0, at) for at in old} | {self._item(1, at) for at in new}
        around = {other for one in mine for other in self._links.get(one, ())} if self._in(mine) == () else set()
        kinds = {kind for at in (*old, *new) for kind in _kinds(at)}
        alike = (n for n, found in enumerate(self._policies) if not kinds.isdisjoint(found))
        lists = {at[:2] for at in (*old, *new)}
        beside = (n for n, c in enumerate(self.changes) if len(c.at) == 3 and c.at[:2] in lists)
        return self._in(mine) or self._in(around) or tuple(beside) or tuple(alike)

    def _in(self, items: Collection[Item]) -> tuple[int, ...]:
        found = enumerate(self.changes)
        return tuple(n for n, c in found if self._item(0 if c.old else 1, c.at) in items)

    def _item(self, side: int, at: Pointer) -> Item:
        if len(at) < 3 or not isinstance(at[2], int):
            return at[:2]
        item = value_at(at[:3], self.documents[side])
        own = (at[1], str(item.get("name")) if isinstance(item, dict) else at[2])
        return self._now.get(own, own) if side == 0 else own

    @cached_property
    def _now(self) -> Mapping[Item, Item]:
        """Item of the old document that has another name now -> the same in the new one."""
        renamed = (c for c in self.changes if c.op == "renamed" and len(c.at) == 3)
        return {(c.at[1], str(c.before)): self._item(1, c.at) for c in renamed}

    @cached_property
    def _policies(self) -> list[frozenset[str]]:
        """The kinds of policies that each change touches, by its place or by what it takes away or adds."""
        return [
            frozenset((*_kinds(c.at), *_held(value_at(c.at, self.documents[0 if c.old else 1])))) for c in self.changes
        ]

    @cached_property
    def _links(self) -> Mapping[Item, set[Item]]:
        """What refers to what, both ways, on either side."""
        found: dict[Item, set[Item]] = {}
        for side, document in enumerate(self.documents):
            for kind, at, name in uses(document):
                one, other = self._item(side, at), (kind, name)
                found.setdefault(one, set()).add(other)
                found.setdefault(other, set()).add(one)
        return found


def _kinds(at: Pointer) -> Iterator[str]:
    """The kind of the policy that a place is in."""
    if "policies" in at[:-1]:
        yield str(at[at.index("policies") + 1])


def _held(value: Json) -> Iterator[str]:
    """The kinds of the policies that something holds: policies themselves, an item that has some, or a list of such items."""
    if isinstance(value, list):
        for item in value:
            yield from _held(item)
    if isinstance(value, dict):
        inner = value.get("policies")
        yield from inner if isinstance(inner, dict) else value


def _near(origin: Pointer, place: Pointer) -> int:
    shared = min(len(origin), len(place))
    return shared if origin[:shared] == place[:shared] else 0
