"""The contracts of every layer to one tree of paths, from the top of the whole, with the rules that end at each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aigw_compile.resolve.layers import Stack, at_key, keys
from aigw_compile.resolve.merged import Mount
from aigw_compile.resolve.nodes import Node, Rule
from aigw_compile.resolve.parts import Part
from aigw_compile.resolve.paths import ANY, Item, Path, Step
from aigw_compile.resolve.shapes import KEYED, MAP, Shape, destinations


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
