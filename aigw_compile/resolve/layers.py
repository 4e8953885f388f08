"""Layers of one place, weakest first, to the layers one step further: what a configRef brings in, what replaces what is below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Json, Pointer, Span
from aigw_compile.resolve.parts import Part
from aigw_compile.resolve.shapes import KEYED, MAP, SET, Shape
from aigw_compile.resolve.survey import PATCH
from aigw_compile.source import Source
from aigw_compile.units import key_of


class Layer:
    """A document as it was brought in at one place: by the gateway itself, or through a configRef."""

    def __init__(
        self,
        source: Source,
        part: Part | None,
        by: Layer | None,
        ref: Pointer,
        plain: bool,
        host: Layer | None = None,
        beside: frozenset[Part] = frozenset(),
    ) -> None:
        self.source = source
        self.part = part
        """None: the gateway itself."""
        self.by = by
        self.ref = ref
        """The place of the configRef, in the document of `by`."""
        self.plain = plain
        """Nothing below its top is a configRef or a `$patch`."""
        self.host = host
        """The layer inside of which the object with the configRef stands; None at the top of the whole."""
        self.beside = beside
        """The parts that came in at the same object."""

    @property
    def name(self) -> str:
        """The name of the part; "" for the gateway itself."""
        return self.part.name if self.part else ""

    @cached_property
    def via(self) -> Span | None:
        """The configRef through which the layer came, and those through which that one came."""
        return self.by.source.span(self.ref)._replace(via=self.by.via) if self.by else None

    def span(self, at: Pointer, *, on_key: bool = False) -> Span:
        """Return where a place of its document stands, with the chain of configRefs."""
        return self.source.span(at, on_key=on_key)._replace(via=self.via)


class Entry(NamedTuple):
    """What one layer has at a place."""

    layer: Layer
    value: Json
    at: Pointer
    """In the document of the layer."""
    fresh: bool = False
    """Replaces everything that is weaker."""
    group: tuple[int, Pointer] | None = None
    """Of entries that one configRef below the top brought together: they are one layer to what is weaker and stronger."""

    def step(self, step: str | int) -> Entry:
        """Return what the layer has one step further, where it has something."""
        return Entry(self.layer, self.value[step], (*self.at, step), False, self.group)  # type: ignore[index]


GONE: Json = {PATCH: "gone"}
"""In place of an item that was taken out of a list: the places of the others stay what they are."""

Stack = list[Entry]
"""What every layer has at one place, weakest first."""
Expand = Callable[[Entry, Shape], Stack]
"""An entry whose object has a configRef to the entries that it stands for."""


def skipped(item: Json) -> bool:
    """Say whether an item of a list is none: a directive, or taken out."""
    return item is GONE or item == {PATCH: "replace"}


def without(value: Json, places: list[Pointer]) -> Json:
    """Return a value as if nobody had written what stands at these places of it."""
    inside: dict[str | int, list[Pointer]] = {}
    for place in places:
        inside.setdefault(place[0], []).append(place[1:])
    new: dict[str | int, Json] = {}
    for step, tails in inside.items():
        one = GONE if () in tails else without(value[step], tails)  # type: ignore[index]
        new[step] = GONE if one == {} else one  # of what is empty a directive stood there alone
    if isinstance(value, dict):
        return {k: new.get(k, v) for k, v in value.items() if new.get(k) is not GONE}
    return [new.get(i, v) for i, v in enumerate(value)] if isinstance(value, list) else value


def expanded(stack: Stack, shape: Shape, expand: Expand) -> Stack:
    """Return the stack with every configRef at this place taken in."""
    if not shape.part or not any(isinstance(e.value, dict) and "configRef" in e.value for e in stack):
        return stack
    found: Stack = []
    for entry in stack:
        has = isinstance(entry.value, dict) and "configRef" in entry.value
        if not has:
            found.append(entry)
            continue
        group = entry.group or (id(entry.layer), entry.at)
        found += [one._replace(group=group) for one in expand(entry, shape)]
    return found


def cut(stack: Stack, shape: Shape) -> int:
    """Return how many of the weakest entries of an expanded stack have no effect, since a stronger one replaces them."""
    start = first = 0
    below: _Choice | None = None
    chosen: _Choice | None = None
    for number, entry in enumerate(stack):
        value = entry.value
        if not number or entry.group is None or entry.group != stack[number - 1].group:
            first = number
            below, chosen = (below.joined(chosen) if below and chosen else chosen or below), None
        if type(value) is dict:
            patch = value.get(PATCH)
            if patch == "delete":
                start, below, chosen = number + 1, None, None
                continue
            if shape.join != MAP or entry.fresh or patch == "replace":
                start, below, chosen = number, None, None
            if shape.typed or shape.choices:
                own = _choice(value, shape)
                if chosen is not None and chosen.clashes(own):
                    start, below, chosen = number, None, None
                chosen = own if chosen is None else chosen.joined(own)
                if below is not None and below.clashes(chosen):
                    start, below = max(start, first), None
        elif type(value) is list and shape.join in (SET, KEYED):
            if value and isinstance(value[0], dict) and value[0] == {PATCH: "replace"}:
                start = number
        else:
            start, below, chosen = number, None, None
    return start


class _Choice(NamedTuple):
    """What an object is, as far as its fields decide it."""

    type: Json
    alone: bool
    others: bool
    """Fields stand in it that cannot stand beside the one that stands alone."""
    choice: frozenset[str]
    """Of alternatives of which only one may stand."""

    def clashes(self, stronger: _Choice) -> bool:
        """Say whether both cannot be one object."""
        typed = self.type is not None and stronger.type is not None and self.type != stronger.type
        alone = (self.alone and stronger.others) or (self.others and stronger.alone)
        chosen = bool(self.choice and stronger.choice) and self.choice != stronger.choice
        return typed or alone or chosen

    def joined(self, stronger: _Choice) -> _Choice:
        """Return what both are together."""
        return _Choice(
            self.type if stronger.type is None else stronger.type,
            self.alone or stronger.alone,
            self.others or stronger.others,
            self.choice | stronger.choice,
        )


def _choice(value: Mapping[str, Any], shape: Shape) -> _Choice:
    own = value.keys() - {PATCH, "configRef"}
    alone = bool(shape.alone) and shape.alone in own
    exclusive = own & shape.choices if shape.choices and not shape.alone else frozenset[str]()
    return _Choice(
        value.get("type") if shape.typed else None,
        alone,
        bool(shape.alone and own - {shape.alone}),
        frozenset(exclusive),
    )


def keys(stack: Stack) -> dict[str, Stack]:
    """Return what the entries of a map have at each key; keys in the order in which they come up."""
    found: dict[str, Stack] = {}
    for layer, value, at, _, group in stack:
        for key, inner in value.items() if isinstance(value, dict) else ():
            if key != PATCH:
                found.setdefault(key, []).append(Entry(layer, inner, (*at, key), False, group))
    return found


def at_key(stack: Stack, key: str) -> Stack:
    """Return what the entries of a map have at one key."""
    return [entry.step(key) for entry in stack if isinstance(entry.value, dict) and key in entry.value]


def items(stack: Stack, shape: Shape, expand: Expand) -> dict[tuple[str, int], Stack]:
    """Return what the entries of a keyed list have for each name; of a name that one layer has twice, each by itself."""
    found: dict[tuple[str, int], Stack] = {}
    inner = shape.step(0)
    for number, (layer, value, at, _, group) in enumerate(stack):
        seen: dict[str, int] = {}
        for index, item in enumerate(value if isinstance(value, list) else ()):
            entry = Entry(layer, item, (*at, index), False, group)
            if type(item) is dict:
                if skipped(item):
                    continue
                name = item.get("name")
                if type(name) is not str:
                    name = _derived(entry, inner, expand)
            else:
                name = ""
            again = seen.get(name, 0)
            seen[name] = again + 1
            key = (name, again) if name else (f"\0{number}", index)
            found.setdefault(key, []).append(entry)
    return found


def label(name: str, number: int) -> str:
    """Return how messages call an item that `items` has under a key: by its name, or by its position where it has none.

    >>> label("chat", 0), label("\\0" + "1", 3)
    ('chat', '3')
    """
    return str(number) if name.startswith("\0") else name


def _derived(entry: Entry, shape: Shape, expand: Expand) -> str:
    """The name of an item that says none: a target's provider and model may come from a part."""
    said: dict[str, Any] = {}
    for one in expanded([entry], shape, expand):
        if isinstance(one.value, dict):
            said |= {k: v for k, v in one.value.items() if k in ("name", "provider", "model")}
    return key_of(said)


def union(stack: Stack) -> list[Stack]:
    """Return what the entries of a set have for each item, in the order in which they come up."""
    found: dict[str, Stack] = {}
    for layer, value, at, _, _ in stack:
        for index, item in enumerate(value if isinstance(value, list) else ()):
            if not skipped(item):
                found.setdefault(repr(item), []).append(Entry(layer, item, (*at, index)))
    return list(found.values())
