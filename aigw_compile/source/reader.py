"""The events of one YAML document to plain data and findings; no place is computed for what is in order."""

from __future__ import annotations

from typing import Any, Final

from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Related, nearest
from aigw_compile.mask import scrub
from aigw_compile.source.scalars import Noted, Scalar, resolve
from aigw_compile.source.text import Text
from aigw_compile.source.walk import MOST_VALUES, Abandon, GetEvent

DEEPEST: Final = 100
MOST_ALIASES: Final = 1000
GROWTH: Final = (10, 10_000)
"""Written out, a document may have this many times the values that were written, plus this many."""
MOST_OF_A_CODE: Final = 100
"""Findings of one code that are listed for a file; the next one says that there are more."""

EMPTY: Final = object()
"""In place of data: nothing is written in this document."""
_MISSING: Final[Any] = object()
_WANTED: Final[Any] = object()
"""In place of a key: the next value of this mapping is a key."""
_DROPPED: Final[Any] = object()
"""In place of a key: its value is read, but nobody gets it, since the key is refused."""
_OF_LIST: Final[Any] = object()
"""In place of a key: this is a list."""
_OWN_WORDS: Final = frozenset(("on",))
"""Keys of the spec language that YAML 1.1 takes for booleans; `off` is exempt everywhere, see scalars.py."""
_CORE: Final = "tag:yaml.org,2002:"
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "null": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
}
_Stack = list[tuple[Any, Any]]


class Reader:
    """Reads the documents of one file; what is wrong is gathered in `found`.

    The hot loop is one function on purpose: a method call for each event would cost as much as libyaml itself.
    """

    def __init__(self, text: Text, found: list[Diagnostic]) -> None:
        self._text = text
        self._found = found
        self._values: dict[str, Scalar | Noted] = {}
        self._keys: set[str] = set()
        self._counts: dict[str, int] = {}
        self.size = 0
        """Keys and values of the documents so far, aliases written out."""
        self._offset = 0

    def document(self, get_event: GetEvent, offset: int) -> Json | object:
        """Return the data of the document whose start event was just taken; EMPTY if nothing is written there.

        Raises Abandon where the document cannot be used, and YAMLError where libyaml stops.
        """
        self._offset = offset
        values = self._values
        good_keys = self._keys
        container: Any = []
        root = container
        key: Any = _OF_LIST
        stack: _Stack = []
        anchors: dict[str, Any] = {}
        written = aliases = 0
        most = MOST_VALUES - self.size
        repeated: Any = None
        while True:
            event = get_event()
            kind = type(event)
            value: Any
            if kind is ScalarEvent:
                written += 1
                value = event.value
                if key is _WANTED:
                    if event.tag is not None or (event.implicit[0] and value not in good_keys):
                        value = self._key(event, stack, container)
                elif event.tag is not None:
                    value = self._tagged(event, stack, container, key)
                elif event.implicit[0]:
                    plain = value
                    value = values.get(plain, _MISSING)
                    if value is _MISSING:
                        value = values[plain] = resolve(plain)
                    if type(value) is Noted:
                        value = self._noted(value, event, stack, container, key)
                    elif written == 1 and not plain and event.anchor is None:
                        value = EMPTY
                if event.anchor is not None:
                    anchors[event.anchor] = event.value if value is _DROPPED else value
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                written += 1
                value = {} if kind is MappingStartEvent else []
                if event.tag is not None:
                    self._collection_tag(event, stack, container, key, "map" if kind is MappingStartEvent else "seq")
                if written > most:
                    self._too_many(event)
                if len(stack) >= DEEPEST:
                    self._give_up("AIG0020", f"more than {DEEPEST} lists and mappings stand inside each other", event)
                if key is _WANTED:
                    self._complex_key(event, stack, container)
                elif key is _OF_LIST:
                    container.append(value)
                elif key is not _DROPPED:
                    container[key] = value
                if event.anchor is not None:
                    anchors[event.anchor] = value
                stack.append((container, key))
                container = value
                key = _WANTED if kind is MappingStartEvent else _OF_LIST
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                container, key = stack.pop()
                if key is not _OF_LIST:
                    key = _DROPPED if key is _WANTED else _WANTED
                continue
            elif kind is AliasEvent:
                written += 1
                aliases += 1
                if aliases > MOST_ALIASES:
                    self._give_up("AIG0019", f"more than {MOST_ALIASES:,} aliases in one document", event)
                value = self._alias(event, anchors, stack, container, key)
                if isinstance(value, dict | list):
                    repeated = repeated or event
                    if key is _WANTED:
                        self._complex_key(event, stack, container)
                        key = _DROPPED
                        continue
                elif key is _WANTED and not isinstance(value, str):
                    self._not_text(event, _word(value), stack, container)
                    value = _word(value)
            elif kind is DocumentEndEvent:
                break
            else:
                continue
            if key is _OF_LIST:
                container.append(value)
            elif key is not _WANTED:
                if key is not _DROPPED:
                    container[key] = value
                key = _WANTED
            elif value is _DROPPED:
                key = _DROPPED
            elif value in container:
                self._duplicate(value, event, stack, container)
                key = _DROPPED
            else:
                container[value] = None
                key = value
        if written > most:
            self._too_many(event)
        self.size += written
        data: Json | object = root[0] if root else EMPTY
        return data if repeated is None else self._written_out(data, written, repeated)

    # What follows runs only where something is unusual.

    def _note(
        self,
        code: str,
        message: str,
        event: Any,
        hint: str = "",
        at: Pointer = (),
        on_key: bool = False,
        related: tuple[Related, ...] = (),
    ) -> None:
        count = self._counts[code] = self._counts.get(code, 0) + 1
        if count > MOST_OF_A_CODE + 1:
            return
        if count > MOST_OF_A_CODE:
            message = f"{message}; more findings of this kind follow in this file and are not listed"
        start = self._offset + event.start_mark.index
        end = self._offset + event.end_mark.index
        if isinstance(event, ScalarEvent) and event.style in ("|", ">"):
            end = start + 1
        self._found.append(self._text.finding(code, message, start, end, hint, at, on_key, related))

    def _enough(self, code: str) -> bool:
        """Say whether another finding would not be listed, before anything is done to make it."""
        return self._counts.get(code, 0) > MOST_OF_A_CODE

    def _give_up(self, code: str, message: str, event: Any) -> None:
        self._note(code, message, event)
        raise Abandon

    def _too_many(self, event: Any) -> None:
        self.size = MOST_VALUES
        self._give_up("AIG0025", f"more than {MOST_VALUES:,} keys and values in one file", event)

    def _key(self, event: Any, stack: _Stack, container: Any) -> Any:
        """Return the key that a plain or tagged scalar stands for, or _DROPPED."""
        word = str(event.value)
        at = _here(stack, container, _WANTED)
        if event.tag is not None:
            value: Scalar | Noted = self._tagged(event, stack, container, _WANTED)
        else:
            value = resolve(word)
        if isinstance(value, Noted):
            if word == "<<":
                self._note(
                    "AIG0015",
                    "merge keys (<<) are not part of YAML 1.2",
                    event,
                    'use configRef to take over settings; a key that is really called so: "<<"',
                    at,
                )
                return _DROPPED
            if isinstance(value.value, str):
                if word not in _OWN_WORDS:
                    self._note(value.code, f"the key {value.message}", event, value.hint, (*at, word), True)
                else:
                    self._keys.add(word)
                return word
            value = value.value
        if not isinstance(value, str):
            self._not_text(event, word, stack, container)
        elif event.tag is None:
            self._keys.add(word)
        return word

    def _not_text(self, event: Any, word: str, stack: _Stack, container: Any) -> None:
        at = _here(stack, container, _WANTED)
        if word:
            self._note(
                "AIG0013", f"the key {_short(word)} is not text", event, f'write "{_short(word)}"', (*at, word), True
            )
        else:
            self._note("AIG0013", "a key is missing before the colon", event, 'write a key, or "" if it is empty', at)

    def _complex_key(self, event: Any, stack: _Stack, container: Any) -> None:
        if self._enough("AIG0013"):
            return
        start = self._offset + event.start_mark.index
        content = self._text.content
        if content.startswith("{", start) and content[max(start - 1, 0) : start] == "{":
            message = "{{ opens a mapping whose key is a mapping"
            hint = 'a template must stand in quotes: "{{ name }}"'
        else:
            what = "an alias" if isinstance(event, AliasEvent) else "a list or a mapping"
            message = f"{what} cannot be a key"
            hint = "keys are text; text that starts with [ or { must stand in quotes"
        self._note("AIG0013", message, event, hint, _here(stack, container, _WANTED))

    def _duplicate(self, word: str, event: Any, stack: _Stack, container: Any) -> None:
        if self._enough("AIG0012"):
            return
        at = (*_here(stack, container, _WANTED), word)
        first = Related("it is here for the first time", at=at)
        self._note(
            "AIG0012", f'the key "{_short(word)}" stands here twice', event, "remove one of them", at, True, (first,)
        )

    def _noted(self, noted: Noted, event: Any, stack: _Stack, container: Any, key: Any) -> Scalar:
        if not self._enough(noted.code):
            self._note(noted.code, noted.message, event, noted.hint, _here(stack, container, key))
        return noted.value

    def _tagged(self, event: Any, stack: _Stack, container: Any, key: Any) -> Scalar:
        word = str(event.value)
        tag = str(event.tag)
        if tag in ("!", _CORE + "str"):
            return word
        short = tag.removeprefix(_CORE)
        at = _here(stack, container, key)
        if short == tag or short not in _TYPES:
            self._unknown_tag(event, at)
            return word
        value = resolve(word)
        if isinstance(value, Noted):
            value = self._noted(value, event, stack, container, key)
        if type(value) not in _TYPES[short]:
            self._note("AIG0016", f"!!{short} does not fit what follows it", event, "remove the tag", at)
        return float(value) if short == "float" and type(value) is int else value

    def _collection_tag(self, event: Any, stack: _Stack, container: Any, key: Any, fits: str) -> None:
        if event.tag not in ("!", _CORE + fits):
            self._unknown_tag(event, _here(stack, container, key))

    def _unknown_tag(self, event: Any, at: Pointer) -> None:
        if self._enough("AIG0016"):
            return
        tag = str(event.tag)
        shown = "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
        shown = _short(shown)
        hint = "remove the tag"
        if not tag.startswith(_CORE):
            hint += '; text that starts with "!" must stand in quotes'
        if shown.startswith(("!secret", "!vault", "!env", "!file", "!ref")):
            hint = "remove the tag; a secret is named by a mapping such as {env: NAME}"
        self._note("AIG0016", f"the tag {shown} is not known", event, hint, at)

    def _alias(self, event: Any, anchors: dict[str, Any], stack: _Stack, container: Any, key: Any) -> Any:
        name = str(event.anchor)
        at = _here(stack, container, key)
        short = _short(name)
        if name not in anchors:
            likely = nearest(name, anchors)
            hint = f"did you mean *{likely}?" if likely else f'if it is text, put it in quotes: "*{short}"'
            self._note("AIG0017", f"*{short} names no anchor before it in this document", event, hint, at)
            return f"*{name}" if key is _WANTED else None
        value = anchors[name]
        if isinstance(value, dict | list) and (value is container or any(value is outer for outer, _ in stack)):
            message = f"*{short} stands inside the value that &{short} marks"
            self._note("AIG0018", message, event, "write the value out", at)
            return f"*{name}" if key is _WANTED else None
        return value

    def _written_out(self, data: Any, written: int, repeated: Any) -> Any:
        """Return `data` with a copy of its own in place of each alias; bounded, so that a bomb stays small."""
        times, plus = GROWTH
        room = MOST_VALUES - self.size + written
        left = most = min(written * times + plus, room)

        def copy(value: Any, depth: int) -> Any:
            nonlocal left
            left -= 1
            if left < 0 and most == room:
                self._too_many(repeated)
            if left < 0:
                self._give_up(
                    "AIG0019", f"written out, aliases make this document over {times} times as large", repeated
                )
            if isinstance(value, dict | list) and depth > DEEPEST:
                self._give_up(
                    "AIG0019", f"written out, aliases nest more than {DEEPEST} values in each other", repeated
                )
            if isinstance(value, dict):
                left -= len(value)
                return {key: copy(inner, depth + 1) for key, inner in value.items()}
            if isinstance(value, list):
                return [copy(inner, depth + 1) for inner in value]
            return value

        whole = copy(data, 1)
        self.size += most - left - written
        return whole


def _here(stack: _Stack, container: Any, key: Any) -> Pointer:
    """Return the place of the value that is being read, as far as it has one."""
    steps: list[str | int] = []
    for outer, step in stack[1:]:
        if step is _WANTED or step is _DROPPED:
            return tuple(steps)
        steps.append(len(outer) - 1 if step is _OF_LIST else step)
    if stack and key is not _WANTED and key is not _DROPPED:
        steps.append(len(container) if key is _OF_LIST else key)
    return tuple(steps)


def _short(word: str) -> str:
    """Return `word` as messages quote it; without secrets, since it is cut."""
    word = scrub(word)
    return word if len(word) <= 60 else word[:57] + "..."


def _word(value: Scalar) -> str:
    return "null" if value is None else str(value).lower()
