"""A layer as written to the same without its `$patch` directives, and what is wrong with these; places can be led back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity
from aigw_compile.mask import shown
from aigw_compile.schema import document_schema, follow, replaced_whole
from aigw_compile.validate.places import PATCH, marked, quotable

_ANY: Mapping[str, Any] = {"additionalProperties": True}
"""A map with keys of one's own, in which anything may stand."""


class Layer(NamedTuple):
    """A document without directives."""

    data: Json
    findings: tuple[Diagnostic, ...] = ()
    headed: frozenset[Pointer] = frozenset()
    """Lists whose first item was a directive, so that the places in them are one further down than in `data`."""
    said: frozenset[Pointer] = frozenset()
    """What a directive left in a state of which nothing more is to be said."""

    def back(self, at: Pointer) -> Pointer:
        """Return where a place of `data` stands in the document as written."""
        found: Pointer = ()
        for step in at:
            found = (*found, step + 1 if isinstance(step, int) and found in self.headed else step)
        return found


def stripped(data: Json, *, alone: bool = False) -> Layer:
    """Take the directives out. `alone`: the document builds on nothing, so each of them is an error."""
    walk = _Walk(alone)
    copy = walk.value(data, (), document_schema(), False)
    return Layer(copy, tuple(walk.findings), frozenset(walk.headed), frozenset(walk.said))


class _Gone:
    """What is left of a field that a directive deletes."""


_GONE: Any = _Gone()


class _Walk:
    def __init__(self, alone: bool) -> None:
        self.alone = alone
        self.findings: list[Diagnostic] = []
        self.headed: set[Pointer] = set()
        self.said: set[Pointer] = set()

    def value(self, value: Json, at: Pointer, node: Mapping[str, Any], whole: bool) -> Any:
        """Return a value without directives, or _GONE. `node`: its schema; `whole`: it is part of what is replaced whole."""
        if isinstance(value, dict):
            return self.directed(value, at, node, whole) if PATCH in value else self.fields(value, at, node, whole)
        if isinstance(value, list):
            return self.items(value, at, node, whole)
        return value

    def fields(self, value: dict[str, Any], at: Pointer, node: Mapping[str, Any], whole: bool) -> dict[str, Any]:
        node = follow(node["then"]) if "x-aigw-text-or-secret" in node else node
        whole = whole or replaced_whole(node)
        found = {}
        for key, inner in value.items():
            if key != PATCH:
                left = self.value(inner, (*at, key), _field(node, key), whole)
                if left is not _GONE:
                    found[key] = left
        return found

    def items(self, value: list[Any], at: Pointer, node: Mapping[str, Any], whole: bool) -> list[Any]:
        node = node if isinstance(node.get("items"), dict) else {"items": {}}
        keyed = node.get("x-kubernetes-list-type") == "map"
        merged = not whole and node.get("x-kubernetes-list-type") in ("map", "set")
        inner = follow(node["items"])
        found = []
        for index, item in enumerate(value):
            here = (*at, index)
            if not isinstance(item, dict) or PATCH not in item:
                found.append(self.value(item, here, inner, not (merged and keyed)))
            elif index == 0 and len(item) == 1 and merged:
                self.headed.add(at)
                if item[PATCH] != "replace" or self.alone:
                    self.head(item[PATCH], at, keyed)
            elif merged and keyed:
                found.append(self.item(item, here, inner))
            else:
                self.refuse(here, *(_IN_LIST if merged else _WHOLE))
                self.said.add(here)
                found.append(self.fields(item, here, inner, True))
        return found

    def head(self, directive: Json, at: Pointer, keyed: bool) -> None:
        """The first item of a list, with nothing but a directive."""
        if directive == "delete":
            one = f", one item with its name: {{{PATCH}: delete, name: NAME}}" if keyed else ""
            hint = f"the whole list is taken out with {at[-1]}: {{{PATCH}: delete}}{one}"
            self.refuse((*at, 0), "this takes out nothing: it does not say what", hint)
        else:
            self.known(directive, (*at, 0), "replace")

    def item(self, item: dict[str, Any], at: Pointer, node: Mapping[str, Any]) -> Any:
        """An item of a list keyed by name, with a directive and more."""
        directive = item[PATCH]
        if not self.known(directive, at):
            return self.fields(item, at, node, False)
        target = node.get("x-aigw-part") == "Target" and "name" not in item
        naming = ("provider", "model") if target else ("name",)
        if directive == "delete":
            named = {key: item[key] for key in naming if key in item}
            if len(named) < len(naming):
                words = "name, or provider and model," if target else "name"
                self.refuse(at, "this takes out nothing: it does not say which item", f"add the item's {words}")
                self.said.add(at)
            elif others := [key for key in item if key != PATCH and key not in naming]:
                self.beside(at, others)
            return self.fields(named, at, node, False)
        if len(item) == 1:
            hint = "as the first item it replaces the list; in an item with a name it replaces the item"
            self.refuse(at, f"`{PATCH}: replace` stands alone only as the first item of a list", hint)
            self.said.add(at)
        return self.fields(item, at, node, False)

    def directed(self, value: dict[str, Any], at: Pointer, node: Mapping[str, Any], whole: bool) -> Any:
        """A map with a directive, as the value of a field."""
        directive, others = value[PATCH], [key for key in value if key != PATCH]
        kinds = node.get("type", "object")
        secret = "x-aigw-secret" in node or "x-aigw-text-or-secret" in node
        takes_maps = "object" in ([kinds] if isinstance(kinds, str) else kinds) and not replaced_whole(node)
        if node is _UNKNOWN or marked(node):
            return {key: value[key] for key in others}  # the field itself is what is wrong
        if at[:1] != ("spec",) or (at == ("spec",) and directive == "delete"):
            self.refuse(at, f"`{PATCH}` has no place here: only what stands in `spec` is merged", "delete it")
            self.said.add(at)
        elif at[-1] == "configRef":
            self.refuse(
                at, "a configRef is not merged: it says what to merge", "delete the line; a ref is {name: PART}"
            )
            return _GONE
        elif whole:
            self.refuse(at, *_WHOLE)
        elif not self.known(directive, at):
            return self.fields(value, at, node, False) if takes_maps and not secret else self.gone(at)
        elif directive == "delete":
            if others:
                self.beside(at, others)
            return _GONE
        elif secret:
            hint = "leave `$patch` out: the SecretRef that stands here is the one that counts"
            self.refuse(at, "a SecretRef is always replaced as a whole", hint)
            return self.fields(value, at, node, True) if others else self.gone(at)
        elif "array" in kinds:
            hint = f"write it as the first item: {at[-1]}: [{{{PATCH}: replace}}, ...]"
            self.refuse(at, f"`{at[-1]}` is a list", hint)
            return self.gone(at)
        elif not takes_maps:
            hint = "write the value: it replaces what a weaker layer says"
            self.refuse(at, f"`{at[-1]}` is a single value, with nothing in it to replace", hint)
            return self.gone(at)
        return self.fields(value, at, node, whole) if takes_maps or others or not whole else self.gone(at)

    def gone(self, at: Pointer) -> Any:
        """A field with a wrong directive is left out, and whatever needs it says nothing of that."""
        self.said.add(at[:-1])
        return _GONE

    def known(self, directive: Json, at: Pointer, *only: str) -> bool:
        """Say whether a directive is one, and complain if it is not, or if this document has nothing to patch."""
        if directive in (only or ("delete", "replace")) and not self.alone:
            return True
        meant = _MEANT.get(str(directive).lower(), "")
        hint = f"write {meant}" if meant else "delete (take it out) or replace (do not merge with it)"
        word = shown(directive) if quotable(at) else "this"
        self.refuse(at, f"`{PATCH}` cannot be {word}", hint, "AIG1014")
        return False

    def beside(self, at: Pointer, others: list[str]) -> None:
        word = "this" if shown(others[0])[1:-1] != others[0] else f"`{others[0]}`"
        message = f"{word} stands beside `{PATCH}: delete`, which takes out what it would set"
        hint = f"delete one of them; `{PATCH}: replace` sets anew what stands beside it"
        self.add("AIG1015", message, (*at, others[0]), hint, on_key=True)

    def refuse(self, at: Pointer, message: str, hint: str, code: str = "AIG1015") -> None:
        self.add(code, message, (*at, PATCH), hint)

    def add(self, code: str, message: str, at: Pointer, hint: str, *, on_key: bool = False) -> None:
        if self.alone:
            if at[-1] == PATCH:
                self.said.add(at[:-1])
                self.findings.append(_nothing_below(at))
        else:
            self.findings.append(Diagnostic(code, Severity.ERROR, message, at, hint, on_key=on_key))


def _nothing_below(at: Pointer) -> Diagnostic:
    message = f"`{PATCH}` changes what a part sets, and this document refers to no part"
    return Diagnostic("AIG1016", Severity.ERROR, message, at, "write the result, or add a configRef", on_key=True)


_WHOLE = (
    "this is replaced as a whole: nothing in it is merged",
    "leave `$patch` out, and write all of it",
)
_IN_LIST = (
    "the items of this list have no names, so that none of them can be meant",
    "to start anew, write {$patch: replace} as the first item",
)
_MEANT = {"remove": "delete", "unset": "delete", "merge": "nothing: maps are merged", "set": "replace"}
_UNKNOWN: Mapping[str, Any] = {"unknown": True}


def _field(node: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = node.get("properties", {}).get(key)
    if found is None:
        found = node.get("additionalProperties", not node)
    if found is True:
        return _ANY
    return follow(found) if isinstance(found, dict) else _UNKNOWN
