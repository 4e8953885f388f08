"""Paths of contracts as one tree, with the rules that end at each; and the places of a value that they end at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.resolve.paths import Item, Path, Step
from aigw_compile.units import key_of

if TYPE_CHECKING:
    from aigw_compile.resolve.parts import Part


class Rule(NamedTuple):
    """What a part says of a place: hide, lock, or "add" (locked, but items may be added)."""

    kind: str
    part: Part
    at: Pointer
    """In the part's document."""


class Node:
    """A place that paths go through, and the rules that end there."""

    __slots__ = ("anys", "destination", "keys", "named", "rules")

    def __init__(self) -> None:
        self.keys: dict[str, Node] = {}
        self.named: dict[str, Node] = {}
        self.anys: dict[Item, Node] = {}
        self.rules: list[Rule] = []
        self.destination = False
        """An object stands here that may hold a credential and say where it goes."""

    def step(self, step: Step) -> Node:
        """Return the node one step further, made if it is not there."""
        if isinstance(step, str):
            return self.keys.setdefault(step, Node())
        if step.name:
            return self.named.setdefault(step.name, Node())
        return self.anys.setdefault(step, Node())

    def put(self, path: Path, rule: Rule) -> None:
        """Let a rule end at a path from here."""
        node = self
        for step in path:
            node = node.step(step)
        node.rules.append(rule)

    def items(self, name: str) -> Iterator[Node]:
        """Yield the nodes that an item, or a key of a map with keys of one's own, is at."""
        if name in self.named:
            yield self.named[name]
        yield from (node for item, node in self.anys.items() if item.takes(name))

    def inside(self) -> Iterator[Node]:
        """Yield every node below this one."""
        for node in (*self.keys.values(), *self.named.values(), *self.anys.values()):
            yield node
            yield from node.inside()

    @property
    def leaf(self) -> bool:
        """Say whether no path goes further."""
        return not (self.keys or self.named or self.anys)


def hits(nodes: list[Node], value: Json, at: Pointer) -> Iterator[Pointer]:
    """Yield every place of a value, at and below `at`, that a rule of the tree ends at; what is below one is not looked at."""
    if any(node.rules for node in nodes):
        yield at
        return
    nodes = [node for node in nodes if not node.leaf]
    if not nodes:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            here = [node.keys[key] for node in nodes if key in node.keys]
            here += [one for node in nodes for one in node.items(key)]
            if here:
                yield from hits(here, inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            name = key_of(inner)
            if here := [one for node in nodes for one in node.items(name)]:
                yield from hits(here, inner, (*at, index))
