"""A document to its meaning in a form that can be compared: defaults filled in, units normal, named things by name, sets unordered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.lower import FALLBACK_ON, RETRY_ON, seconds, size, target_name
from aigw_compile.mask import HIDDEN, NO_VEIL, Veil
from aigw_compile.policies.limits import DEFAULT_BY
from aigw_compile.schema import field, follow, with_defaults


class Leaf(NamedTuple):
    """A value as it is compared, and as people see it."""

    value: Any
    shown: str


class Node(NamedTuple):
    """A map, a keyed list or a set: what is in it by key, and its place in the document."""

    kind: str
    """map, keyed or set."""
    children: Mapping[str, Tree]
    at: Pointer


class Item(NamedTuple):
    """A leaf with its place."""

    leaf: Leaf
    at: Pointer


Tree = Node | Item


def only_different(old: Json, new: Json, kept: Collection[Pointer] = ()) -> tuple[Json, Json]:
    """Return two documents without the named things that are written alike in both: None stands where each was.

    What is left has its place, and nothing of what was taken out can mean something else on the other side. `kept`:
    places in the old document of things that are left in.
    """
    sides: list[Json] = []
    stay = {(at[1], at[2]) for at in kept if len(at) > 2}
    known = [_named(side) for side in (old, new)]
    for side, mine, other in zip((old, new), known, reversed(known), strict=True):
        if not isinstance(side, dict) or not isinstance(side.get("spec"), dict):
            return old, new
        spec: dict[str, Json] = {**side["spec"]}  # type: ignore[dict-item]
        for kind, items in mine.items():
            there = other.get(kind, {})
            alike = {n for n, item in items.items() if there.get(n) == item}
            alike -= {n for i, n in enumerate(known[0].get(kind, {})) if (kind, i) in stay}
            spec[kind] = [None if name in alike else item for name, item in items.items()]
        sides.append({**side, "spec": spec})
    return sides[0], sides[1]


def _named(document: Json) -> dict[str, dict[str, Json]]:
    """The top lists whose items have names, where no two have the same."""
    spec = document.get("spec") if isinstance(document, dict) else None
    found: dict[str, dict[str, Json]] = {}
    for kind, items in spec.items() if isinstance(spec, dict) else ():
        if isinstance(items, list) and all(isinstance(x, dict) and isinstance(x.get("name"), str) for x in items):
            named: dict[str, Json] = {x["name"]: x for x in items}  # type: ignore[index, call-overload, misc]
            found |= {kind: named} if len(named) == len(items) else {}
    return found


def tree(document: Json) -> Node:
    """Return a document in normal form. diff(x, x with its defaults written out) is empty because of this."""
    whole = completed(with_defaults(document))
    found = _tree(whole, field(()) or {}, ())
    assert isinstance(found, Node)
    return found


def written(document: Json) -> Node:
    """Return a document as it is written: nothing is filled in, so that what normalising does can be shown."""
    found = _tree(document, field(()) or {}, ())
    assert isinstance(found, Node)
    return found


def completed(document: Json) -> Json:
    """Fill in what means the same whether it is written or not: defaults that depend on where something stands."""
    if not isinstance(document, dict) or not isinstance(document.get("spec"), dict):
        return document
    spec: Any = document["spec"]
    for model in filter(None, spec.get("models", ())):
        model.setdefault("timeouts", {})
        model.setdefault("health", {})
        model.setdefault("loadBalancing", {})
        model.setdefault("retries", {}).setdefault("on", [*RETRY_ON])
        model["retries"].setdefault("backoff", {})
        model.setdefault("fallback", {}).setdefault("on", [*FALLBACK_ON])
        for target in model.get("targets", ()):
            target.setdefault("name", target_name(target))
    places = [("gateway", spec), *(("model", m) for m in filter(None, spec.get("models", ())))]
    places += [("group", g) for g in filter(None, spec.get("consumerGroups", ()))]
    places += [("consumer", c) for c in filter(None, spec.get("consumers", ()))]
    for scope, holder in places:
        for kind in ("requestTransformer", "responseTransformer", "cache"):
            if "off" in (given := holder.get("policies", {}).get(kind, {})):
                holder["policies"][kind] = {"off": given["off"]}
        for limit in holder.get("policies", {}).get("limits", ()):
            limit.setdefault("by", [DEFAULT_BY[scope]])
    seen = spec.setdefault("observability", {})
    port = seen.setdefault("operations", {}).get("port", 9090)
    if isinstance(seen.get("metrics", {}).get("prometheus"), dict):
        seen["metrics"]["prometheus"].setdefault("port", port)
    tidy: Json = _tidied(with_defaults(document))
    return tidy


THERE = ("allow", "deny", "accessLog", "prometheus", "basic")
"""What says something by being there, though it is empty."""


def _tidied(value: Any) -> Any:
    """Drop empty maps and lists: they mean the same as nothing, but for what is there by being there."""
    if isinstance(value, dict):
        kept = {key: _tidied(inner) for key, inner in value.items()}
        there = (*THERE, "tls") if "address" in kept else THERE  # TLS of a store; a provider's is in its URL
        return {k: v for k, v in kept.items() if v not in ({}, []) or k in there}
    return [_tidied(item) for item in value] if isinstance(value, list) else value


def _tree(value: Any, schema: dict[str, Any], at: Pointer) -> Tree:
    if isinstance(value, dict) and (schema.get("x-aigw-secret") or schema.get("x-aigw-text-or-secret")):
        return Item(_secret(value), at)
    if isinstance(value, dict):
        extra = schema.get("additionalProperties")
        inner = schema.get("properties", {})
        children = {
            key: _tree(v, follow(inner.get(key, extra if isinstance(extra, dict) else {})), (*at, key))
            for key, v in value.items()
        }
        return Node("map", children, at)
    if isinstance(value, list):
        return _list(value, schema, at)
    return Item(_leaf(value, schema), at)


def _list(value: list[Any], schema: dict[str, Any], at: Pointer) -> Tree:
    kind = schema.get("x-kubernetes-list-type")
    items = follow(schema.get("items", {}))
    if kind == "map":
        named = {
            str(item["name"] if "name" in item else target_name(item)): _tree(item, items, (*at, i))
            for i, item in enumerate(value)
            if item is not None
        }
        return Node("keyed", named, at)
    if kind == "set":
        return Node("set", {str(item): Item(_leaf(item, items), (*at, i)) for i, item in enumerate(value)}, at)
    shown = [plain(_tree(item, items, (*at, i))) for i, item in enumerate(value)]
    return Item(Leaf(shown, str(shown)), at)


def plain(node: Tree, hides: Veil = NO_VEIL) -> Any:
    """Return what stands in a tree as data, with every secret as its reference, and nothing of what a veil hides."""
    if hides.covers(node.at) or (isinstance(node, Item) and hides.around(node.at)):
        return HIDDEN
    if isinstance(node, Item):
        return shown(node)
    if node.kind == "set":
        return [HIDDEN if hides.covers(child.at) else key for key, child in node.children.items()]
    return {hides.label(child.at, key) if hides else key: plain(child, hides) for key, child in node.children.items()}


def shown(item: Item) -> Any:
    """Return a leaf as people wrote it: a number or a list as it is, with a unit as text."""
    value = item.leaf.value
    return value if isinstance(value, (bool, list)) or str(value) == item.leaf.shown else item.leaf.shown


def _secret(ref: Mapping[str, Any]) -> Leaf:
    """A secret is compared and shown by its reference: where it is, never what it is."""
    if isinstance(ref.get("kubernetes"), dict):
        text = f"kubernetes:{ref['kubernetes'].get('name')}/{ref['kubernetes'].get('key')}"
    elif "vault" in ref:
        text = f"vault:{ref['vault']}:{ref.get('key')}"
        text += f"#{ref['property']}" if "property" in ref else ""
        text += f"@{ref['version']}" if "version" in ref else ""
    else:
        text = next((f"{k}:{v}" for k, v in ref.items()), "nothing")
    return Leaf(text, text)


def _leaf(value: Any, schema: dict[str, Any]) -> Leaf:
    unit = schema.get("x-aigw-unit")
    if schema.get("x-aigw-secret"):
        return Leaf("***", "***")  # something else than a reference stands at a secret's place: it is not shown
    if unit == "duration" and isinstance(value, str):
        return Leaf(seconds(value), value)
    if unit == "size":
        return Leaf(size(value), str(value))
    if isinstance(value, bool):
        return Leaf(value, str(value).lower())
    return Leaf(value, str(value))
