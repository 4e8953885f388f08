"""The contracts of every layer to one tree of paths, from the top of the whole, with the rules that end at each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.resolve.layers import Stack, at_key, keys
from aigw_compile.resolve.merged import Mount
from aigw_compile.resolve.parts import Part
from aigw_compile.resolve.paths import ANY, Item, Path, Step
from aigw_compile.resolve.shapes import KEYED, MAP, Shape, destinations
from aigw_compile.units import key_of


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


def tree(mounts: Sequence[Mount], shape: Shape, *, hides: bool = False, names: bool = False) -> Node:
    """Return the paths of every contract as one tree, from the top of the whole; with `hides`, what is hidden alone.

    `names`: with the names of items, which may be written all the same, since they address the item.
    """
    root = Node()
    seen: set[tuple[Part, Path]] = set()
    for place in destinations() if shape.part == "AIGateway" and not hides else ():
        node = root
        for key in place:
            node = node.step(ANY if key is None else key)
        node.destination = True
    for mount in mounts:
        part = mount.layer.part
        if part is None or (part, mount.path) in seen:
            continue
        seen.add((part, mount.path))
        listed = [(t.path, Rule("hide", part, t.at)) for t in part.contract.hide]
        locks = () if hides else part.contract.lock
        listed += [(k.path, Rule("add" if k.add else "lock", part, k.at)) for k in locks]
        for path, rule in listed:
            node, here = root, shape
            for number, step in enumerate((*mount.path, *path)):
                further = here.step(step if isinstance(step, str) else 0)
                last = number == len(mount.path) + len(path) - 1
                if rule.kind == "hide" and last and step == "name" and number and here.join == MAP and not names:
                    node = Node()
                    break
                node = node.step(step)
                here = further
                if here.join not in (MAP, KEYED):
                    break  # inside of it nothing can be set by itself
            node.rules.append(rule)
    return root


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


def further(nodes: list[Node], stack: Stack, shape: Shape) -> Iterator[tuple[str, Stack, list[Node]]]:
    """Yield every key of a map that a path goes through, with what the layers have there and the nodes there."""
    known = dict.fromkeys(keys(stack)) if shape.other else dict.fromkeys(key for node in nodes for key in node.keys)
    for key in known:
        if found := at_key(stack, key):
            here = [node.keys[key] for node in nodes if key in node.keys]
            here += [one for node in nodes for one in node.items(key)] if shape.other else []
            yield key, found, here


def steps(path: str) -> Iterator[tuple[str, str | None]]:
    """Yield the steps of a place as it is written: (key, None) or ("", name of the item)."""
    rest = path
    while rest:
        if rest[0] == "[":
            name, _, rest = rest[1:].partition("]")
            yield "", name
        else:
            end = min((i for i in (rest.find("."), rest.find("[")) if i >= 0), default=len(rest))
            if end:
                yield rest[:end], None
            rest = rest[end:].removeprefix(".") if rest[end : end + 1] == "." else rest[end:]


def same(step: Step, here: object) -> bool:
    return step.takes(here[1]) if isinstance(step, Item) and isinstance(here, tuple) else step == here


def at(node: Node, key: str) -> Iterator[Node]:
    if key in node.keys:
        yield node.keys[key]
