"""Paths of a contract, such as `models[*].policies.limits[daily].tokens`, to steps; and what they match in the schema and in data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Json, Pointer, did_you_mean
from aigw_compile.schema import follow
from aigw_compile.units import key_of


class Item(NamedTuple):
    """A step into a list keyed by name, or into a map with keys of one's own: one item, or (name "") all but `but`."""

    name: str = ""
    but: frozenset[str] = frozenset()

    def takes(self, name: object) -> bool:
        """Say whether the step goes into the item of this name; one without a name is taken by `[*]` alone."""
        return name == self.name if self.name else name not in self.but


Step = str | Item
Path = tuple[Step, ...]
"""Relative to the object that a part is `for`: ("models", Item(), "policies")."""

ANY = Item()
_STEPS = re.compile(r"(?P<key>[A-Za-z][A-Za-z0-9_-]*)(?P<items>(?:\[[^\[\]]+\])?)(?:\.|$)")


def parse(text: str) -> Path | None:
    """Return the steps of a path, or None where it is not written like one."""
    steps: list[Step] = []
    at = 0
    while at < len(text):
        found = _STEPS.match(text, at)
        if not found or (found.end() == len(text) and text.endswith(".")):
            return None
        steps.append(found["key"])
        if found["items"]:
            name = found["items"][1:-1]
            steps.append(ANY if name == "*" else Item(name))
        at = found.end()
    return tuple(steps) or None


def written(path: Path) -> str:
    """Return a path as people write it.

    >>> written(("models", ANY, "policies"))
    'models[*].policies'
    """
    text = ""
    for step in path:
        text += f"[{step.name or '*'}]" if isinstance(step, Item) else f".{step}" if text else step
    return text


def inner(node: Mapping[str, Any], step: Step) -> dict[str, Any] | None:
    """Return the schema one step further, or None where nothing can stand there."""
    found: Any
    if isinstance(step, Item):
        if isinstance(node.get("items"), dict):
            keyed = node.get("x-kubernetes-list-type") == "map"
            found = node["items"] if keyed or not step.name else None
        else:
            found = node.get("additionalProperties")
    else:
        found = node.get("properties", {}).get(step)
        found = found if found is not None else node.get("additionalProperties")
    if not isinstance(found, dict):
        return None
    found = follow(found)
    return None if "not" in found and not found["not"] else found


def wrong(path: Path, node: Mapping[str, Any]) -> str:
    """Return why a path can match nothing below a schema, and what would be right; "" if it can match."""
    for number, step in enumerate(path):
        further = inner(node, step)
        here = written(path[:number])
        if further is None:
            if isinstance(step, Item):
                if "items" in node and step.name:
                    return f"the items of `{here}` have no names: write [*]"
                return f"`{here}` is no list"
            if isinstance(node.get("items"), dict):
                return f"`{here}` is a list: write {here}[*].{step}"
            known = [k for k, v in node.get("properties", {}).items() if inner(node, k) is not None]
            where = f"`{here}`" if here else "this type"
            return f"{where} has no field `{step}`: {did_you_mean(step, known)}"
        if further.get("x-aigw-secret") and number < len(path) - 1:
            return f"a SecretRef is taken as a whole: end the path at `{written(path[: number + 1])}`"
        node = further
    return ""


def complement(exposed: Iterable[Path], node: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the paths that hide everything below a schema but the exposed ones, the names of items included."""
    heads: dict[Step, list[Path]] = {}
    for path in exposed:
        if not path:
            return
        heads.setdefault(path[0], []).append(path[1:])
    items = [step for step in heads if isinstance(step, Item)]
    if items or not node.get("properties"):
        if ANY not in heads:
            yield (Item("", frozenset(i.name for i in items)),)
    else:
        usable = (key for key in node["properties"] if inner(node, key) is not None)
        yield from ((key,) for key in usable if key not in heads and key != "configRef")
    for step, tails in heads.items():
        further = inner(node, step)
        shared = heads.get(ANY, []) if isinstance(step, Item) and step.name else []
        for path in complement([*tails, *shared], further or {}):
            yield (step, *path)


def places(path: Path, data: Json, at: Pointer = ()) -> Iterator[Pointer]:
    """Yield every place in data that a path matches, below `at` (which `data` stands at)."""
    if not path:
        yield at
        return
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        if isinstance(data, dict) and step in data:
            yield from places(rest, data[step], (*at, step))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            if step.takes(key_of(item)):
                yield from places(rest, item, (*at, index))
    elif isinstance(data, dict):
        for key, item in data.items():
            if step.takes(key):
                yield from places(rest, item, (*at, key))


def matches(path: Path, pointer: Pointer, data: Json) -> bool:
    """Say whether a path matches a place of data, which need not be there; what is below a match counts too."""
    if len(path) > len(pointer):
        return False
    for step, here in zip(path, pointer, strict=False):
        inner_: Json = None
        if isinstance(data, dict) and isinstance(here, str):
            inner_ = data.get(here)
        elif isinstance(data, list) and isinstance(here, int) and here < len(data):
            inner_ = data[here]
        name = key_of(inner_) if isinstance(here, int) else here
        if not (step.takes(name) if isinstance(step, Item) else step == here):
            return False
        data = inner_
    return True
