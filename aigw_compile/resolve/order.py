"""Parts that refer to parts to one order, weakest first: C3, each part once; or what contradicts it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T", bound=Hashable)


class Clash(NamedTuple):
    """Two orders that cannot both be kept, each weakest first."""

    one: tuple[Hashable, ...]
    other: tuple[Hashable, ...]


def c3(sequences: Sequence[Sequence[T]]) -> list[T] | Clash:
    """Merge sequences, strongest first, to one that keeps the order of each (Barrett et al. 1996), in linear time."""
    rest = [s for s in sequences if s]
    place = [0] * len(rest)
    behind: dict[T, int] = {}
    for sequence in rest:
        for member in sequence[1:]:
            behind[member] = behind.get(member, 0) + 1
    heads: dict[T, list[int]] = {}
    for number, sequence in enumerate(rest):
        heads.setdefault(sequence[0], []).append(number)
    order: list[T] = []
    left = sum(1 for s in rest if s)
    while left:
        # Of those that are nobody's weaker, the head of the first sequence: C3 takes them in the order given.
        found = next((s[p] for s, p in zip(rest, place, strict=True) if p < len(s) and not behind.get(s[p])), None)
        if found is None:
            return _clash(rest, place)
        order.append(found)
        for number in heads.pop(found, []):
            sequence = rest[number]
            place[number] += 1
            if place[number] == len(sequence):
                left -= 1
                continue
            head = sequence[place[number]]
            behind[head] -= 1
            heads.setdefault(head, []).append(number)
    return order


def _clash(rest: Sequence[Sequence[T]], place: Sequence[int]) -> Clash:
    open_ = [list(s[p:]) for s, p in zip(rest, place, strict=True) if p < len(s)]
    first = open_[0]
    other = next((s for s in open_[1:] if first[0] in s[1:]), open_[-1])
    return Clash(tuple(reversed(first)), tuple(reversed(other)))


def ring(start: T, edges: Mapping[T, Sequence[T]]) -> list[T] | None:
    """Return a way from `start` back to itself, with `start` at both ends; None if there is none."""
    way: dict[T, T] = {}
    rest = [start]
    seen: set[T] = set()
    while rest:
        here = rest.pop(0)
        for to in edges.get(here, ()):
            if to == start:
                found = [start]
                while here != start:
                    found.append(here)
                    here = way[here]
                return [start, *reversed(found)]
            if to not in seen:
                seen.add(to)
                way[to] = here
                rest.append(to)
    return None
