"""Hidden values to the texts that would give them away, and a message to one without any of them; in linear time."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import Any, Final

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.mask.shapes import STARS
from aigw_compile.schema import document_schema
from aigw_compile.units import derived_name, seconds, size

SHORTEST: Final = 3
"""Shorter texts, and numbers of fewer digits, are everywhere: to mask them would tell more than it hides."""
_FAR: Final = 256
"""Characters before `...` in which a text that was cut may start."""
_TOKEN: Final = re.compile(r"[^\W_]+|[\W_]")
_NUMBER: Final = re.compile(r"[0-9][0-9.,]*")
_DURATION: Final = re.compile(r"(?:\d{1,9}(?:ms|h|m|s))+")
_SIZE: Final = re.compile(r"\d{1,15}(?:\.\d{1,9})?(?:k|M|G|Ki|Mi|Gi)")
_DIGITS: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_PIECES: Final = re.compile(r"[^\s\"'`()<>{}\[\],;|\\*?^$=&#]+")
_INNER: Final = re.compile(r"(?=([^/@]+))[^/:@]+")
# What reads like a name of something: a digit in it, something that joins two words, or capitals within a word.
_TELLING: Final = re.compile(r"[0-9]|\w[._@/:%+-]\w|[a-z][A-Z]|[A-Z]{3}")
_JOINED: Final = re.compile(r"[._@/:%+-]+")
_CUT: Final = re.compile(r"\.\.\.|\u2026")
_MEANT: Final = re.compile(r'did you mean "?\*\*\*"?\? *')
_KNOWN: Final = re.compile(r"known: [^)]*")
_LISTED: Final = re.compile(r"\*\*\*, |, \*\*\*$")
_NONE_KNOWN: Final = re.compile(r" *\(?known: \*\*\*\)?$")


class Texts:
    """Texts that are looked for in messages, as whole words, the longest first."""

    __slots__ = ("_by_head", "_open", "_sorted")

    def __init__(self, texts: Collection[str], visible: Collection[str] = ()) -> None:
        self._by_head: dict[str, tuple[list[int], set[str]]] = {}
        for text in texts:
            head = _TOKEN.match(text)
            assert head
            lengths, same = self._by_head.setdefault(head[0], ([], set()))
            same.add(text)
            lengths.append(len(text))
        for lengths, _ in self._by_head.values():
            lengths[:] = sorted(set(lengths), reverse=True)
        self._sorted = sorted(texts)
        self._open = frozenset(visible)

    @classmethod
    def of(cls, hidden: Iterable[Json], visible: Iterable[Json]) -> Texts:
        """Return the texts of hidden values that no visible value holds, and that are no words of the language."""
        telling = {scalar for value in hidden for scalar in _scalars(value) if scalar not in words()}
        texts = {form for scalar in telling for form in _forms(scalar, inner=True)}
        texts = {t for t in texts if _long_enough(t) and t not in words()}
        scalars = {scalar for value in visible for scalar in _scalars(value)}
        seen = {str(scalar) for scalar in scalars}
        for scalar in scalars:  # numbers and durations are written in several ways; all other texts as they are
            if not isinstance(scalar, str) or scalar[:1].isdecimal():
                seen.update(_forms(scalar, inner=False))
        rest = cls(texts - seen)
        inside = {text for scalar in scalars if isinstance(scalar, str) for text in rest._inside(scalar)}
        return cls(texts - seen - inside, seen)

    def masked(self, message: str) -> str:
        """Return the message with `***` in place of each text, whole or cut off by `...`."""
        if not self._sorted:
            return message
        parts: list[str] = []
        end = 0
        for start, text in self._found(message):
            parts += [message[end:start], STARS]
            end = start + len(text)
        return _tidy(self._without_cut("".join([*parts, message[end:]])))

    def in_the_open(self, value: Json) -> bool:
        """Say whether a value is one that everybody sees, or a word of the language, or too short to tell anything."""
        texts = [next(_forms(scalar, inner=False)) for scalar in _scalars(value)]
        return all(t in self._open or t in words() or not _long_enough(t) for t in texts)

    def _found(self, message: str, *, every: bool = False) -> Iterator[tuple[int, str]]:
        """Yield where a text stands; also those that overlap, or of several at one place only the longest."""
        end = 0
        for head in _TOKEN.finditer(message):
            if head[0] not in self._by_head or (head.start() < end and not every):
                continue
            start = head.start()
            lengths, same = self._by_head[head[0]]
            for length in lengths:
                text = message[start : start + length]
                if text in same and _whole(message, start, start + len(text)):
                    yield start, text
                    end = start + len(text)
                    if not every:
                        break

    def _inside(self, scalar: str) -> list[str]:
        """The texts that a visible one holds."""
        if self._by_head.keys().isdisjoint(_TOKEN.findall(scalar)):
            return []
        return [text for _, text in self._found(scalar, every=True)]

    def _without_cut(self, message: str) -> str:
        """Mask the beginning of a text that the message cuts off with `...`."""
        for cut in reversed([*_CUT.finditer(message)]):
            before = message[max(cut.start() - _FAR, 0) : cut.start()]
            for head in _TOKEN.finditer(before):
                last = head.end() == len(before)
                if head[0] not in self._by_head and not last:  # only of the last word may a part be cut off
                    continue
                piece = before[head.start() :]
                if len(piece) >= SHORTEST and self._starts(piece):
                    at = cut.start() - len(piece)
                    message = message[:at] + STARS + message[cut.start() :]
                    break
        return message

    def _starts(self, piece: str) -> bool:
        at = bisect_left(self._sorted, piece)
        return at < len(self._sorted) and self._sorted[at].startswith(piece)


def of_hidden(data: Json, hidden: Collection[Pointer]) -> Texts:
    """Return the texts that would give away what stands at hidden places of a document."""
    values: list[Json] = []
    seen: list[Json] = []
    places = frozenset(hidden)
    above = frozenset(at[:n] for at in places for n in range(len(at)))
    _split(data, (), places, above, values, seen)
    return Texts.of(values, seen)


@cache
def words() -> frozenset[str]:
    """Return the words of the language: the names of its fields, and the values that it lists."""
    found: set[str] = set()
    rest: list[Any] = [document_schema()]
    while rest:
        node = rest.pop()
        if isinstance(node, list):
            rest += node
        elif isinstance(node, dict):
            found.update(node.get("properties", {}))
            listed = [*node.get("enum", ()), node.get("const")]
            found.update(word for word in listed if isinstance(word, str))
            rest += node.values()
    return frozenset(found)


def _split(
    value: Json,
    at: Pointer,
    hidden: frozenset[Pointer],
    above: frozenset[Pointer],
    values: list[Json],
    seen: list[Json],
) -> None:
    """Part a document in what is hidden and what is seen: values as large as can be, and keys."""
    if at in hidden:
        values.append(value)
        if at and isinstance(at[-1], str):
            values.append(at[-1])
    elif at not in above:
        seen.append(value)
    elif isinstance(value, dict):
        seen += [key for key in value if (*at, key) not in hidden]
        if "targets" in at[-2:-1] and "name" not in value and any((*at, k) in hidden for k in ("provider", "model")):
            values += _derived(value)
        for key, inner in value.items():
            _split(inner, (*at, key), hidden, above, values, seen)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _split(inner, (*at, index), hidden, above, values, seen)


def _derived(target: dict[str, Json]) -> Iterator[str]:
    """The name of a target that has none of its own."""
    if "provider" in target and "model" in target:
        yield derived_name(f"{target['provider']}-{target['model']}")


def _scalars(value: Json) -> Iterator[str | int | float]:
    """Yield every key and scalar in a value, and the names that are derived in it."""
    rest = [value]
    while rest:
        found = rest.pop()
        if isinstance(found, dict):
            yield from found
            rest += found.values()
            if "name" not in found:
                yield from _derived(found)
        elif isinstance(found, list):
            rest += found
        elif found is not None and not isinstance(found, bool):
            yield found


def _forms(value: str | float, *, inner: bool) -> Iterator[str]:
    """Yield a value as messages may write it, the value itself first; with `inner` also the telling words in it."""
    if not isinstance(value, str):
        yield from _numbers(value)
        return
    yield value
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    slug = derived_name(value)
    yield from (slug, slug.upper(), slug.replace("-", "_"), slug.replace("-", "_").upper()) if slug else ()
    if _DURATION.fullmatch(value):
        found = seconds(value)
        yield from (f"{found:g}s", f"{round(found * 1000)}ms", *_numbers(found), *_numbers(round(found * 1000)))
    elif _SIZE.fullmatch(value):
        yield from _numbers(size(value))
    elif _DIGITS.fullmatch(value):
        yield from _numbers(float(value) if "." in value else int(value))
    for piece in _PIECES.findall(value) if inner else ():
        inside = [part for m in _INNER.finditer(piece) for part in m.group(0, 1)] if "/" in piece else []
        for word in {word.strip(".:/-@") for word in (piece, *inside)}:
            if len(word) > SHORTEST and _TELLING.search(word) and not words().issuperset(_JOINED.split(word)):
                yield word


def _numbers(number: float) -> Iterator[str]:
    """Yield a number as people and programs write it."""
    yield from (f"{number}", f"{number:,}", f"{number:g}", f"{number:.2f}", f"{number:,.2f}")
    if float(number).is_integer():
        yield from (f"{int(number)}", f"{int(number):,}", f"{int(number)}.0", f"{int(number):,}.0")


def _long_enough(text: str) -> bool:
    digits = sum(c.isdigit() for c in text)
    return digits >= SHORTEST if _NUMBER.fullmatch(text) else len(text.strip()) >= SHORTEST


def _whole(message: str, start: int, end: int) -> bool:
    """Whether a text stands in a message as a whole: not inside a word, nor inside a longer number."""
    if message[end - 1].isalnum() and message[end : end + 1].isalnum():
        return False
    if not _NUMBER.fullmatch(message[start:end]):
        return True
    before, after = message[max(start - 2, 0) : start], message[end : end + 2]
    return not (re.fullmatch(r"[0-9][.,]", before) or re.fullmatch(r"[.,][0-9]", after))


def _tidy(message: str) -> str:
    """Leave hidden names out of guesses and lists of what is known."""
    if STARS not in message:
        return message
    message = _MEANT.sub("", message)
    return _NONE_KNOWN.sub("", _KNOWN.sub(lambda m: _LISTED.sub("", m[0]), message))
