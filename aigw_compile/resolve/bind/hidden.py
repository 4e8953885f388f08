"""Layers to what they set that is hidden from them: it is said, and taken out, so that nothing else can be told from it."""

from __future__ import annotations

from collections.abc import Iterator

from aigw_compile.resolve.bind.told import Told
from aigw_compile.resolve.bind.tree import at, further, steps, tree
from aigw_compile.resolve.layers import Entry, Stack, expanded, items, label
from aigw_compile.resolve.merged import Layering
from aigw_compile.resolve.nodes import Node
from aigw_compile.resolve.paths import inner
from aigw_compile.resolve.shapes import KEYED, Shape


def unseen(layering: Layering) -> Told:
    """Say of every hidden place that a referrer sets that it is no field, and merge without it.

    Whatever the value is, the same whole comes out: so nobody learns from any message whether it was guessed right.
    """
    tell = Told()
    mounts = layering.mounts()
    if any(m.layer.part and m.layer.part.contract.hide for m in mounts):
        walk = _Walk(layering, tree(mounts, layering.shape, hides=True), tell)
        walk.go([walk.top], layering.root, layering.shape, "")
        layering.unseen += tell.taken
        layering.drop(tell.taken)
    return tell


class _Walk:
    def __init__(self, layering: Layering, top: Node, tell: Told) -> None:
        self._layering = layering
        self.top = top
        self._tell = tell

    def go(self, nodes: list[Node], stack: Stack, shape: Shape, path: str) -> None:
        stack = expanded(stack, shape, self._layering.expand)
        parts = {rule.part for node in nodes for rule in node.rules}
        bound = [entry for entry in stack if any(not self._layering.free(part, entry.layer) for part in parts)]
        for entry in bound:
            self._unknown(entry, path)
        stack = [entry for entry in stack if entry not in bound] if bound else stack
        nodes = [node for node in nodes if not node.leaf]
        if not nodes or not stack:
            return
        if shape.join == KEYED:
            for (name, number), found in items(stack, shape, self._layering.expand).items():
                if here := [one for node in nodes for one in node.items(name)]:
                    self.go(here, found, shape.step(0), f"{path}[{label(name, number)}]")
            return
        for key, found, here in further(nodes, stack, shape):
            self.go(here, found, shape.step(key), f"{path}.{key}" if path else key)

    def _unknown(self, entry: Entry, path: str) -> None:
        if path.endswith("]"):
            what, _, name = path[:-1].rpartition("[")
            self._tell("AIG1001", f"`{name}` cannot be set in {what} here", entry, path, "delete it")
            return
        above, _, key = path.rpartition(".")
        seen = sorted(self._visible(above))
        hint = f"known here: {', '.join(seen)}" if seen else "nothing can be set here: delete it"
        self._tell("AIG1001", f"`{key}` is no field of {above or 'spec'}", entry, path, hint)

    def _visible(self, path: str) -> Iterator[str]:
        """The fields of an object that no part hides from whoever refers to it."""
        nodes, shape = [self.top], self._layering.shape
        for key, name in steps(path):
            shape = shape.step(0 if name is not None else key)
            nodes = [n for node in nodes for n in (node.items(name) if name is not None else at(node, key))]
        hidden = {key for node in nodes for key, n in node.keys.items() if n.rules}
        yield from (k for k in shape.inner if inner(shape.node, k) is not None and k not in hidden)
