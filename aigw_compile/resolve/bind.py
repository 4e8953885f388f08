"""Layers and the contracts of their parts to findings: what somebody set that a part hides, locks or keeps for itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Related, Severity, did_you_mean
from aigw_compile.mask import shown
from aigw_compile.resolve.contract import FIELDS, allows
from aigw_compile.resolve.layers import Entry, Stack, at_key, cut, expanded, items, keys
from aigw_compile.resolve.merge import ABSENT, merge
from aigw_compile.resolve.merged import Layering, Mount
from aigw_compile.resolve.parts import Part
from aigw_compile.resolve.paths import ANY, Item, Path, Step, inner, written
from aigw_compile.resolve.shapes import KEYED, MAP, SET, Shape, destinations, secrets_in
from aigw_compile.resolve.survey import PATCH


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


def tree(mounts: list[Mount], shape: Shape) -> Node:
    """Return the paths of every contract as one tree, from the top of the whole."""
    root = Node()
    seen: set[tuple[Part, Path]] = set()
    for place in destinations() if shape.part == "AIGateway" else ():
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
        listed += [(k.path, Rule("add" if k.add else "lock", part, k.at)) for k in part.contract.lock]
        for path, rule in listed:
            node, here = root, shape
            for number, step in enumerate((*mount.path, *path)):
                further = here.step(step if isinstance(step, str) else 0)
                last = number == len(mount.path) + len(path) - 1
                if rule.kind == "hide" and last and step == "name" and number and here.join == MAP:
                    node = (
                        Node()
                    )  # the name of an item can be written, since it addresses the item; it is only not seen
                    break
                node = node.step(step)
                here = further
                if here.join not in (MAP, KEYED):
                    break  # inside of it nothing can be set by itself
            node.rules.append(rule)
    return root


class Binding:
    """One walk over the layers along the paths of the contracts. `findings` have their places."""

    def __init__(self, layering: Layering, mounts: list[Mount]) -> None:
        self._layering = layering
        self._mounts = mounts
        self._library = layering.library
        self.findings: list[Diagnostic] = []
        self._told: set[tuple[object, ...]] = set()
        self._top = tree(mounts, layering.shape)
        self._walk([self._top], layering.root, layering.shape, "")
        self._secrets()

    # --- the walk

    def _walk(self, nodes: list[Node], stack: Stack, shape: Shape, path: str) -> None:
        stack = expanded(stack, shape, self._layering.expand)
        told: set[int] = set()
        for rule in [rule for node in nodes for rule in node.rules]:
            told |= self._hidden(rule, stack, path) if rule.kind == "hide" else self._locked(rule, stack, shape, path)
        if any(node.destination for node in nodes):
            self._destination(stack, shape, path)
        nodes = [node for node in nodes if not node.leaf]
        stack = [entry for number, entry in enumerate(stack) if number not in told]
        if not nodes or not stack:
            return
        self._replaced(nodes, stack, shape, path)
        if shape.join == KEYED:
            for (name, _), found in items(stack, shape, self._layering.expand).items():
                here = [inner for node in nodes for inner in node.items(name)]
                if here:
                    self._walk(here, found, shape.step(0), f"{path}[{name}]")
            return
        known = dict.fromkeys(key for node in nodes for key in node.keys)
        if shape.other:
            known = dict.fromkeys(keys(stack))
        for key in known:
            if found := at_key(stack, key):
                here = [node.keys[key] for node in nodes if key in node.keys]
                here += [inner for node in nodes for inner in node.items(key)] if shape.other else []
                self._walk(here, found, shape.step(key), f"{path}.{key}" if path else key)

    def _bound(self, rule: Rule, entry: Entry) -> bool:
        return entry.layer.part not in self._library.exempt(rule.part)

    def _tell(
        self, code: str, message: str, entry: Entry, path: str, hint: str, *related: Related, at: Pointer = ()
    ) -> None:
        at = at or entry.at
        key = (code, id(entry.layer.source), at)
        if key not in self._told:
            self._told.add(key)
            severity = Severity.HINT if code == "AIG2021" else Severity.ERROR
            on_key = isinstance(at[-1], str)
            span = entry.layer.span(at, on_key=on_key)
            found = Diagnostic(code, severity, message, (), hint, related, on_key, span, path)
            self.findings.append(found)

    def _hidden(self, rule: Rule, stack: Stack, path: str) -> set[int]:
        """What is hidden is no field, for all that one can see from outside."""
        bound = {number for number, entry in enumerate(stack) if self._bound(rule, entry)}
        for number in sorted(bound):
            self._unknown(stack[number], path)
        return bound

    def _unknown(self, entry: Entry, path: str) -> None:
        if path.endswith("]"):
            what, _, name = path[:-1].rpartition("[")
            self._tell("AIG1001", f"`{name}` cannot be set in {what} here", entry, path, "delete it")
            return
        above, _, key = path.rpartition(".")
        seen = self._visible(above)
        hint = f"known here: {', '.join(seen)}" if seen else "nothing can be set here: delete it"
        self._tell("AIG1001", f"`{key}` is no field of {above or 'spec'}", entry, path, hint)

    def _visible(self, path: str) -> list[str]:
        """The fields of an object that no part hides from whoever refers to it."""
        nodes, shape = [self._top], self._layering.shape
        for key, name in _steps(path):
            shape = shape.step(0 if name is not None else key)
            nodes = [n for node in nodes for n in (node.items(name) if name is not None else _at(node, key))]
        hidden = {key for node in nodes for key, n in node.keys.items() if any(r.kind == "hide" for r in n.rules)}
        usable = [k for k in shape.inner if inner(shape.node, k) is not None]
        return sorted(k for k in usable if k not in hidden)

    # --- locks

    def _locked(self, rule: Rule, stack: Stack, shape: Shape, path: str) -> set[int]:
        exempt = self._library.exempt(rule.part)
        bound = [(n, e) for n, e in enumerate(stack) if e.layer.part not in exempt]
        if not bound:
            return set()
        group = [e for e in stack if e.layer.part in exempt]
        base = merge(group, shape, self._layering.expand) if group else ABSENT
        for _, entry in bound:
            places = [*self._changes([entry], base, shape, rule.kind == "add", exempt)]
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

    def _changes(
        self, stack: Stack, base: Json, shape: Shape, add: bool, exempt: frozenset[Part]
    ) -> Iterator[tuple[Entry, bool]]:
        """Yield what one layer sets at a locked place, and whether it is another value than that of the part."""
        expand = self._layering.expand
        stack = [e for e in expanded(stack, shape, expand) if e.layer.part not in exempt]
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
                    yield from self._changes(found, below.get(key, ABSENT), shape.step(key), False, exempt)
            elif shape.join == KEYED and isinstance(value, list) and (add or isinstance(base, list)):
                yield from self._items(entry, base, shape, add, exempt)
            elif shape.join == SET and isinstance(value, list) and (add or isinstance(base, list)):
                known = [json.dumps(x, sort_keys=True) for x in base] if isinstance(base, list) else []
                for index, item in enumerate(value):
                    new = json.dumps(item, sort_keys=True) not in known
                    if not (new and add) or item == {PATCH: "replace"}:
                        yield Entry(entry.layer, item, (*entry.at, index)), new
            else:
                yield entry, base is ABSENT or json.dumps(value, sort_keys=True) != json.dumps(base, sort_keys=True)

    def _items(
        self, entry: Entry, base: Json, shape: Shape, add: bool, exempt: frozenset[Part]
    ) -> Iterator[tuple[Entry, bool]]:
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
                yield from self._changes(found, known[name], shape.step(0), False, exempt)

    # --- what would be lost

    def _replaced(self, nodes: list[Node], stack: Stack, shape: Shape, path: str) -> None:
        """Deleting or replacing an object takes away what is locked or hidden in it."""
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
            at = (*entry.at, PATCH) if patched else entry.at
            self._tell("AIG2022", message, entry, path, "set only the fields that are to differ", at=at)

    # --- credentials

    def _destination(self, stack: Stack, shape: Shape, path: str) -> None:
        """Where a credential comes from a part, nobody else says where it goes."""
        whole = shape.destination == ("*",)
        owners = {
            entry.layer.part for entry in stack if entry.layer.part is not None and _holds(entry.value, shape, whole)
        }
        for part in sorted((p for p in owners if p is not None), key=lambda p: p.name):
            exempt = self._library.exempt(part)
            for entry in stack:
                if entry.layer.part in exempt or not isinstance(entry.value, dict):
                    continue
                if entry.value.get(PATCH) == "delete" and set(entry.value) <= {PATCH, "name"}:
                    continue  # who deletes it sends it nowhere
                fields = [k for k in entry.value if k not in ("name", PATCH)] if whole else [*shape.destination]
                for key in fields:
                    if key in entry.value and not self._open(part, f"{path}.{key}"):
                        self._travels(part, entry, key, path)

    def _travels(self, part: Part, entry: Entry, key: str, path: str) -> None:
        message = f'`{key}` cannot be set here: a credential of {path} comes from "{part.name}", and would go along'
        hint = "add an item with a name and a credential of your own instead"
        at = (*entry.at, key)
        related = Related("the part", (), part.source.span(("metadata", "name")))
        self._tell("AIG2023", message, entry, f"{path}.{key}", hint, related, at=at)

    def _open(self, part: Part, path: str) -> bool:
        """Say whether a part leaves a place open that the rule on credentials would close."""
        here = [s for key, name in _steps(path) for s in ((key,) if name is None else (("[", name),))]
        for mount in self._mounts:
            if mount.layer.part is part:
                for path_ in part.contract.open:
                    steps = (*mount.path, *path_)
                    if len(steps) <= len(here) and all(_same(s, h) for s, h in zip(steps, here, strict=False)):
                        return True
        return False

    # --- references to secrets

    def _secrets(self) -> None:
        shape = self._layering.shape
        judges = [m for m in self._mounts if m.layer.part is not None]
        hiding = [p for m in judges if (p := m.layer.part) and not m.path and _hides_vaults(p)]
        for mount in self._mounts:
            here = shape
            for step in mount.path:
                here = here.step(step if isinstance(step, str) else 0)
            listed = [*secrets_in(mount.value, here, mount.at)]
            if not listed:
                continue
            for judge in judges:
                part = judge.layer.part
                if part is None or part.contract.secrets is None or mount.layer.part in self._library.exempt(part):
                    continue
                if mount.path[: len(judge.path)] == judge.path:
                    for at, ref in listed:
                        if PATCH not in ref and not allows(part.contract.secrets, ref):
                            self._secret(part, mount, at)
            for part in hiding:
                if mount.layer.part not in self._library.exempt(part):
                    for at, ref in listed:
                        self._vault(part, mount, at, ref)

    def _secret(self, part: Part, mount: Mount, at: Pointer) -> None:
        patterns = ", ".join(shown(dict(p)) for p in part.contract.secrets or ()) or "none"
        message = f'this reference to a secret is not one that "{part.name}" leaves to you'
        related = Related("they are listed here", (), part.source.span((*FIELDS, "secrets")))
        entry = Entry(mount.layer, None, at)
        self._tell("AIG2024", message, entry, written(mount.path), f"allowed here: {patterns}", related)

    def _vault(self, part: Part, mount: Mount, at: Pointer, ref: object) -> None:
        """A vault that is hidden does not exist for others, unless the contract lists it."""
        name = ref.get("vault") if isinstance(ref, dict) else None
        if not isinstance(name, str):
            return
        if part.contract.secrets is not None and allows(part.contract.secrets, ref):  # type: ignore[arg-type]
            return
        exempt = self._library.exempt(part)
        own = {
            v.get("name") for m in self._mounts if not m.path and m.layer.part not in exempt for v in _vaults(m.value)
        }
        theirs = {
            v.get("name") for m in self._mounts if not m.path and m.layer.part in exempt for v in _vaults(m.value)
        }
        if name in theirs and name not in own:
            entry = Entry(mount.layer, None, (*at, "vault"))
            hint = did_you_mean(name, {str(n) for n in own})
            message = f'no vault "{name}" is defined'
            self._tell("AIG3001", message, entry, written(mount.path), hint)


def _patched(entry: Entry) -> bool:
    value = entry.value
    return (isinstance(value, dict) and PATCH in value) or (
        isinstance(value, list) and value[:1] == [{PATCH: "replace"}]
    )


def _vaults(value: Json) -> list[dict[str, Json]]:
    listed = value.get("vaults") if isinstance(value, dict) else None
    return [v for v in listed if isinstance(v, dict)] if isinstance(listed, list) else []


def _hides_vaults(part: Part) -> bool:
    return any(term.path[:1] == ("vaults",) for term in part.contract.hide)


def _holds(value: Json, shape: Shape, whole: bool) -> bool:
    """Say whether a layer has a credential in an object; of a vault, a store or an issuer any field counts."""
    if not isinstance(value, dict):
        return False
    return bool(value.keys() - {"name", PATCH, "configRef"}) if whole else any(True for _ in secrets_in(value, shape))


def _steps(path: str) -> Iterator[tuple[str, str | None]]:
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


def _same(step: Step, here: object) -> bool:
    return step.takes(here[1]) if isinstance(step, Item) and isinstance(here, tuple) else step == here


def _at(node: Node, key: str) -> Iterator[Node]:
    if key in node.keys:
        yield node.keys[key]
