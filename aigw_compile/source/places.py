"""The text of a file to the place of every key and value in it; made only when somebody asks for a place."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from yaml.error import YAMLError
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from aigw_compile.diagnostic import Pointer, Span
from aigw_compile.source.text import Text
from aigw_compile.source.walk import MOST_VALUES, Abandon, GetEvent, TooManyDocuments, walk


class Place:
    """Where a value stands (indexes into the text, end exclusive), and the places of what is inside it."""

    __slots__ = ("end", "flow", "items", "keys", "start")

    def __init__(self, start: int, end: int, flow: bool = True) -> None:
        self.start = start
        self.end = end
        self.flow = flow
        self.keys: dict[str, tuple[int, int, Place]] = _NO_KEYS
        self.items: list[Place] = _NO_ITEMS


# Most places have nothing inside; these two are shared by them and never written to.
_NO_KEYS: dict[str, tuple[int, int, Place]] = {}
_NO_ITEMS: list[Place] = []


def places(text: Text) -> list[Place]:
    """Return the place of each document's value, by index of the document; a broken one as far as it could be read."""
    found: list[Place] = []
    left = [MOST_VALUES]

    def build(get_event: GetEvent, event: Any, index: int, offset: int) -> None:
        at = offset + event.end_mark.index
        found.append(Place(at, at))
        _document(get_event, offset, text.content, found, left)

    def ignore(error: YAMLError, offset: int) -> None:
        """The reader has told this already."""

    with suppress(TooManyDocuments):
        walk(text.content, build, ignore)
    return found


def span(text: Text, place: Place, pointer: Pointer, on_key: bool) -> Span:
    """Return the span of `pointer` below `place`, or of what should hold it where it is missing."""
    key: tuple[int, int] | None = None
    for step in pointer:
        if isinstance(step, str) and step in place.keys:
            start, end, place = place.keys[step]
            key = start, end
        elif isinstance(step, int) and 0 <= step < len(place.items):
            place = place.items[step]
            key = None
        else:
            return text.span(*(key or _head(place)))
    return text.span(*(key if on_key and key else (place.start, place.end)))


def at(place: Place, pointer: Pointer) -> Place:
    """Return the place of `pointer` below `place`, or of the last step that is there."""
    for step in pointer:
        if isinstance(step, str) and step in place.keys:
            place = place.keys[step][2]
        elif isinstance(step, int) and 0 <= step < len(place.items):
            place = place.items[step]
    return place


def _head(place: Place) -> tuple[int, int]:
    """What shows best that something is missing in `place`: all of a short form, the first key of a block."""
    if not place.flow and place.keys:
        start, end, _ = next(iter(place.keys.values()))
        return start, end
    return place.start, place.end


def _document(get_event: GetEvent, offset: int, content: str, found: list[Place], left: list[int]) -> None:
    """Put the place of the document's value in place of the last of `found`; mirrors Reader.document.

    `left` holds how many values may follow in this file.
    """
    stack: list[tuple[Place, bool, tuple[int, int, str | None] | None]] = []
    anchors: dict[str, tuple[Place, str | None]] = {}
    parent: Place | None = None
    in_mapping = False
    key: tuple[int, int, str | None] | None = None
    while True:
        event = get_event()
        kind = type(event)
        if kind is DocumentEndEvent:
            return
        if kind is MappingEndEvent or kind is SequenceEndEvent:
            assert parent is not None
            if parent.flow:
                parent.end = offset + event.end_mark.index
            closed = parent
            parent, in_mapping, key = stack.pop()[0:3] if len(stack) > 1 else (None, False, None)
            if parent is not None:
                parent.end = max(parent.end, closed.end)
            continue
        start = offset + event.start_mark.index
        end = offset + event.end_mark.index
        word: str | None = None
        if kind is ScalarEvent:
            if event.style in ("|", ">"):
                end = _trimmed(content, start, end)
            place = Place(start, end)
            word = event.value
        elif kind is AliasEvent:
            place = Place(start, end)
            if event.anchor in anchors:
                target, word = anchors[event.anchor]
                place.keys, place.items = target.keys, target.items
        elif kind is MappingStartEvent or kind is SequenceStartEvent:
            place = Place(start, start if not event.flow_style else end, bool(event.flow_style))
            if kind is MappingStartEvent:
                place.keys = {}
            else:
                place.items = []
        else:
            raise Abandon
        if kind is not AliasEvent and event.anchor is not None:
            anchors[event.anchor] = (place, word)
        collection = kind is MappingStartEvent or kind is SequenceStartEvent
        left[0] -= 1
        if left[0] < 0 and collection:
            raise Abandon
        opened = key
        if parent is None:
            found[-1] = place
        else:
            parent.end = max(parent.end, place.end)
            if not in_mapping:
                parent.items.append(place)
            elif key is None:
                merge = word == "<<" and kind is ScalarEvent and event.implicit[0]
                opened = (start, end, None if merge else word)
            else:
                opened = None
                if key[2] is not None and key[2] not in parent.keys:
                    parent.keys[key[2]] = (key[0], key[1], place)
        if collection:
            stack.append((parent, in_mapping, opened)) if parent is not None else stack.append((place, False, None))
            parent = place
            in_mapping = kind is MappingStartEvent
            key = None
        else:
            key = opened


def _trimmed(content: str, start: int, end: int) -> int:
    """Return the end of a block scalar without the empty lines after it, unless it keeps them ("|+")."""
    head_end = content.find("\n", start)
    header = content[start : head_end if head_end >= 0 else end].split(" #", 1)[0]
    if "+" in header:
        return end
    return start + len(content[start:end].rstrip())
