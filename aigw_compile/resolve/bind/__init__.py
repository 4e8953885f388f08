"""Layers and the contracts of their parts to findings: what somebody set that a part hides, locks or keeps for itself."""

from __future__ import annotations

import json
from collections.abc import Iterator

from aigw_compile.diagnostic import Json, Related
from aigw_compile.resolve.bind.hidden import unseen
from aigw_compile.resolve.bind.secrets import Named
from aigw_compile.resolve.bind.told import Told
from aigw_compile.resolve.bind.tree import further, same, steps, tree
from aigw_compile.resolve.layers import Entry, Stack, cut, expanded, items, keys, label
from aigw_compile.resolve.merge import ABSENT, merge
from aigw_compile.resolve.merged import Layering, Mount
from aigw_compile.resolve.nodes import Node, Rule
from aigw_compile.resolve.parts import Part
from aigw_compile.resolve.shapes import KEYED, MAP, SET, Shape, secrets_in
from aigw_compile.resolve.survey import PATCH


class Binding:
    """One walk over the layers along the paths of the contracts. What is wrong is told."""

    def __init__(self, layering: Layering, mounts: list[Mount], told: Told) -> None:
        self._layering = layering
        self._mounts = mounts
        self._tell = told
        self._top = tree(mounts, layering.shape)
        self._walk([self._top], layering.root, layering.shape, "")
        Named(layering, mounts, self._tell)

    # --- the walk

    def _walk(self, nodes: list[Node], stack: Stack, shape: Shape, path: str) -> None:
        stack = expanded(stack, shape, self._layering.expand)
        told: set[int] = set()
        for rule in [rule for node in nodes for rule in node.rules if rule.kind != "hide"]:
            told |= self._locked(rule, stack, shape, path)
        if any(node.destination for node in nodes):
            self._destination(stack, shape, path)
        nodes = [node for node in nodes if not node.leaf]
        stack = [entry for number, entry in enumerate(stack) if number not in told]
        if not nodes or not stack:
            return
        self._replaced(nodes, stack, shape, path)
        if shape.join == KEYED:
            for (name, number), found in items(stack, shape, self._layering.expand).items():
                here = [inner for node in nodes for inner in node.items(name)]
                if here:
                    self._walk(here, found, shape.step(0), f"{path}[{label(name, number)}]")
            return
        for key, found, here in further(nodes, stack, shape):
            self._walk(here, found, shape.step(key), f"{path}.{key}" if path else key)

    def _bound(self, rule: Rule, entry: Entry) -> bool:
        return not self._layering.free(rule.part, entry.layer)

    # --- locks

    def _locked(self, rule: Rule, stack: Stack, shape: Shape, path: str) -> set[int]:
        bound = [(n, e) for n, e in enumerate(stack) if self._bound(rule, e)]
        if not bound:
            return set()
        group = [e for e in stack if not self._bound(rule, e)]
        base = merge(group, shape, self._layering.expand) if group else ABSENT
        for _, entry in bound:
            places = [*self._changes([entry], base, shape, rule.kind == "add", rule)]
            changed = [place for place, changes in places if changes]
            for place in changed:
                self._lock(rule, place, True, group, path)
            if places and not changed:
                self._lock(rule, entry, False, group, path)
        return {number for number, _ in bound}

    def _lock(self, rule: Rule, entry: Entry, changed: bool, group: Stack, path: str) -> None:
        at = (*entry.at, PATCH) if isinstance(entry.value, dict) and PATCH in entry.value else entry.at
        if not changed:
            message = f'`{path}` is locked by "{rule.part.name}" and has this value already'
            self._tell("AIG2021", message, entry, path, "delete the line", at=at)
            return
        related = [Related("it is locked here", (), rule.part.source.span(rule.at))]
        if group:
            related.insert(0, Related("its value comes from here", (), group[-1].layer.span(group[-1].at)))
            hint = "delete it: the part's value stands"
        else:
            hint = f'delete it: "{rule.part.name}" keeps it unset'
        if rule.kind == "add":
            hint = "items can be added here; what is there already stays as it is"
        message = f'`{path}` is locked by "{rule.part.name}"'
        self._tell("AIG2020", message, entry, path, hint, *related, at=at)

    def _changes(self, stack: Stack, base: Json, shape: Shape, add: bool, rule: Rule) -> Iterator[tuple[Entry, bool]]:
        """Yield what one layer sets at a locked place, and whether it is another value than that of the part."""
        expand = self._layering.expand
        stack = [e for e in expanded(stack, shape, expand) if self._bound(rule, e)]
        for entry in stack:
            value = entry.value
            if isinstance(value, dict) and PATCH in value:
                yield entry, True
            elif shape.join == MAP and isinstance(value, dict) and value:
                below = base if isinstance(base, dict) else {}
                if not isinstance(base, dict) and not add:
                    yield entry, True
                    continue
                for key, found in keys([entry]).items():
                    if key == "name" and below.get("name") == value.get("name"):
                        continue
                    yield from self._changes(found, below.get(key, ABSENT), shape.step(key), False, rule)
            elif shape.join == KEYED and isinstance(value, list) and (add or isinstance(base, list)):
                yield from self._items(entry, base, shape, add, rule)
            elif shape.join == SET and isinstance(value, list) and (add or isinstance(base, list)):
                known = [json.dumps(x, sort_keys=True) for x in base] if isinstance(base, list) else []
                for index, item in enumerate(value):
                    new = json.dumps(item, sort_keys=True) not in known
                    if not (new and add) or item == {PATCH: "replace"}:
                        yield Entry(entry.layer, item, (*entry.at, index)), new
            else:
                yield entry, base is ABSENT or json.dumps(value, sort_keys=True) != json.dumps(base, sort_keys=True)

    def _items(self, entry: Entry, base: Json, shape: Shape, add: bool, rule: Rule) -> Iterator[tuple[Entry, bool]]:
        expand = self._layering.expand
        value = entry.value if isinstance(entry.value, list) else []
        if value[:1] == [{PATCH: "replace"}]:
            yield Entry(entry.layer, value[0], (*entry.at, 0)), True
        named = items([Entry(entry.layer, base, ())], shape, expand) if isinstance(base, list) else {}
        known = {name: found[0].value for (name, _), found in named.items()}
        for (name, again), found in items([entry], shape, expand).items():
            if name not in known or again:
                if not add or again or any(isinstance(e.value, dict) and PATCH in e.value for e in found):
                    yield found[0], True
            else:
                yield from self._changes(found, known[name], shape.step(0), False, rule)

    # --- what would be lost

    def _replaced(self, nodes: list[Node], stack: Stack, shape: Shape, path: str) -> None:
        """Deleting or replacing an object takes away what is locked or hidden in it."""
        if len(stack) == 1 and stack[0].layer.plain:
            return
        start = cut(stack, shape)
        removing = [
            (n, e)
            for n, e in enumerate(stack)
            if (n and n <= start and n == cut(stack[: n + 1], shape))
            or (isinstance(e.value, dict) and PATCH in e.value)
            or (isinstance(e.value, list) and e.value[:1] == [{PATCH: "replace"}])
        ]
        if not removing:
            return
        rules = [rule for node in nodes for inside in node.inside() for rule in inside.rules]
        for number, entry in removing:
            rule = next((r for r in rules if self._bound(r, entry)), None)
            if rule is None or (number == 0 and not _patched(entry)):
                continue
            patched = isinstance(entry.value, dict) and PATCH in entry.value
            word = "deleted" if patched and entry.value[PATCH] == "delete" else "replaced"  # type: ignore[index,call-overload]
            message = f'`{path or "spec"}` cannot be {word} here: "{rule.part.name}" holds on to what is in it'
            at = (*entry.at, PATCH) if patched else (*entry.at, 0) if _patched(entry) else entry.at
            self._tell("AIG2022", message, entry, path, "set only the fields that are to differ", at=at)

    # --- credentials

    def _destination(self, stack: Stack, shape: Shape, path: str) -> None:
        """Where a credential comes from a part, nobody else says where it goes."""
        whole = shape.destination == ("*",)
        owners = {
            entry.layer.part for entry in stack if entry.layer.part is not None and _holds(entry.value, shape, whole)
        }
        for part in sorted((p for p in owners if p is not None), key=lambda p: p.name):
            for entry in stack:
                if self._layering.free(part, entry.layer) or not isinstance(entry.value, dict):
                    continue
                if not whole and entry.value.get(PATCH) == "delete":
                    continue  # who deletes it with its credential sends it nowhere
                fields = [k for k in entry.value if k != "name"] if whole else [*shape.destination]
                for key in fields:
                    if key in entry.value and not self._open(part, f"{path}.{key}"):
                        self._travels(part, entry, key, path, whole)

    def _travels(self, part: Part, entry: Entry, key: str, path: str, whole: bool) -> None:
        message = f'`{key}` cannot be set here: a credential of {path} comes from "{part.name}", and would go along'
        hint = "delete it: a destination of your own needs an item with a credential of your own"
        if whole:
            message, hint = f'{path} is that of "{part.name}"', "add an item of another name instead"
            message = f"{message}, and cannot be deleted" if key == PATCH else f"`{key}` cannot be set here: {message}"
        at = (*entry.at, key)
        related = Related("the part", (), part.source.span(("metadata", "name")))
        self._tell("AIG2023", message, entry, f"{path}.{key}", hint, related, at=at)

    def _open(self, part: Part, path: str) -> bool:
        """Say whether a part leaves a place open that the rule on credentials would close."""
        here = [s for key, name in steps(path) for s in ((key,) if name is None else (("[", name),))]
        for mount in self._mounts:
            if mount.layer.part is part:
                for path_ in part.contract.open:
                    whole = (*mount.path, *path_)
                    if len(whole) <= len(here) and all(same(s, h) for s, h in zip(whole, here, strict=False)):
                        return True
        return False


def _patched(entry: Entry) -> bool:
    value = entry.value
    return (isinstance(value, dict) and PATCH in value) or (
        isinstance(value, list) and value[:1] == [{PATCH: "replace"}]
    )


def _holds(value: Json, shape: Shape, whole: bool) -> bool:
    """Say whether a layer has a credential in an object; of a vault, a store or an issuer any field counts."""
    if not isinstance(value, dict):
        return False
    return bool(value.keys() - {"name", PATCH, "configRef"}) if whole else any(True for _ in secrets_in(value, shape))


__all__ = ["Binding", "Told", "unseen"]
