"""A document and the places in it that a part hides, to findings, places and data in which no hidden value is left."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, named, value_at
from aigw_compile.mask.regions import bare
from aigw_compile.mask.shapes import STARS
from aigw_compile.mask.texts import Texts, of_hidden, words

HIDDEN: Final = "(hidden)"
"""In place of a hidden value in data that people read."""
_RELATED: Final = "a place that a part hides"
_in_play = False


class Veil:
    """What a part hides in one document. The one printer of whatever is said about that document."""

    __slots__ = ("_above", "_data", "_texts", "hidden")

    hidden: frozenset[Pointer]
    """The hidden places; all that stands below one is hidden too."""

    def __init__(self, data: Json, hidden: Iterable[Pointer]) -> None:
        self.hidden = frozenset(hidden)
        self._above = frozenset(at[:n] for at in self.hidden for n in range(len(at)))
        self._data = data
        self._texts: Texts | None = None

    def __bool__(self) -> bool:
        return bool(self.hidden)

    def covers(self, pointer: Pointer) -> bool:
        """Say whether a place is hidden, or stands inside a hidden one."""
        return self._cover(pointer) is not None

    def around(self, pointer: Pointer) -> bool:
        """Say whether something inside a place is hidden."""
        return pointer in self._above

    def named(self, pointer: Pointer) -> str:
        """Return a place as people write it, up to where the hiding starts; a hidden name is `***`."""
        cover = self._cover(pointer)
        return named(pointer if cover is None else cover, self._data, self._hides)

    def label(self, pointer: Pointer, name: str) -> str:
        """Return the name or key of what stands at a place, or `***`."""
        keyed = isinstance(pointer[-1], int)
        return STARS if self._hides((*pointer, "name") if keyed else pointer) else self.text(name) if keyed else name

    def data(self, pointer: Pointer, value: Json) -> Json:
        """Return a value that stands at a place with everything hidden in it replaced."""
        if not self.hidden or pointer not in self._above:
            return HIDDEN if self.covers(pointer) else value
        if isinstance(value, dict):
            return {
                STARS if self._hides((*pointer, k)) and k not in words() else k: self.data((*pointer, k), v)
                for k, v in value.items()
            }
        return [self.data((*pointer, i), v) for i, v in enumerate(value)] if isinstance(value, list) else value

    def text(self, text: str) -> str:
        """Return a message with `***` in place of every hidden text, unless it can be seen elsewhere in the document."""
        return self._known().masked(text) if self.hidden and text else text

    def tells(self, value: Json) -> bool:
        """Say whether a value could tell something hidden: whatever does not stand in the open, nor in the language."""
        return bool(self.hidden) and not self._known().in_the_open(value)

    def finding(self, d: Diagnostic) -> Diagnostic:
        """Return a finding without anything hidden; one at a hidden place says no more than its code and its place."""
        if not self.hidden or d.veiled:
            return d
        cover = self._cover(d.at)
        if cover is not None:
            return bare(d)._replace(at=cover, place=self.named(cover))
        own = [value_at(r.at, self._data) for r in d.related if r.at and self.covers(r.at)]
        strict = Texts.of(own, ()) if own else None

        def text(said: str) -> str:
            return self.text(strict.masked(said) if strict else said)

        place = self.named(d.at) if d.place in ("", named(d.at, self._data)) else self.text(d.place)
        related = tuple(
            r._replace(message=_RELATED if r.at and self.covers(r.at) else text(r.message)) for r in d.related
        )
        return d._replace(message=text(d.message), hint=text(d.hint), place=place, related=related)

    def _cover(self, pointer: Pointer) -> Pointer | None:
        """The outermost hidden place that a place is, or stands inside."""
        return next((pointer[:n] for n in range(len(pointer) + 1) if pointer[:n] in self.hidden), None)

    def _hides(self, pointer: Pointer) -> bool:
        """Whether the last step of a place may not be shown: a name, or a key of one's own, that is hidden."""
        return self.covers(pointer) and (pointer[-1] == "name" or pointer[-1] not in words())

    def _known(self) -> Texts:
        if self._texts is None:
            self._texts = of_hidden(self._data, self.hidden)
        return self._texts


NO_VEIL: Final = Veil(None, ())


def veil(data: Json, hidden: Collection[Pointer]) -> Veil:
    """Return what hides these places of a document."""
    if not hidden:
        return NO_VEIL
    hiding()
    return Veil(data, hidden)


def hiding() -> None:
    """Note that something hidden was read in this run: from here on no traceback may quote a value."""
    global _in_play
    _in_play = True


def in_play() -> bool:
    """Say whether something hidden was read in this run."""
    return _in_play
