"""A pattern as the language has it (RE2) to one that PCRE2 reads the same way, and many patterns to a few."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

UTF = "(*UTF)"
"""Makes PCRE2 read characters instead of bytes (pcre2syntax, "Setting the newline convention and other options")."""


class Pcre(NamedTuple):
    """A pattern for PCRE2."""

    body: str
    characters: bool
    """Whether bytes are not enough: it has a `.`, a negated class, a letter beyond ASCII, or ignores case."""
    anchored: bool
    """Whether it asks for the begin or the end of a text or a line."""
    faithful: bool = True
    """False: it has `\\C`, which PCRE2 refuses among characters."""

    @property
    def text(self) -> str:
        return (UTF if self.characters else "") + self.body


def translate(pattern: str) -> Pcre:
    """Return what PCRE2 has to be given to match what RE2 matches (RE2's syntax page; pcre2pattern(3)).

    The differences: `$` is the very end, `\\s` has no vertical tab, `\\v` is that tab alone, `{,n}` is plain text.
    """
    reader = _Reader(pattern)
    return Pcre("".join(reader.parts()), reader.characters, reader.anchored, reader.faithful)


def anchored(pattern: str) -> bool:
    """Say whether a pattern asks for the begin or end of a text or a line."""
    return translate(pattern).anchored


def either(patterns: Sequence[Pcre]) -> Pcre:
    """Return one pattern that matches where any of several does."""
    if len(patterns) == 1:
        return patterns[0]
    return _joined("|".join(f"(?:{p.body})" for p in patterns), patterns)


def every(lists: Sequence[Sequence[Pcre]]) -> Pcre:
    """Return one pattern that matches a text in which each list has a match, wherever: by looking ahead."""
    flat = [p for one in lists for p in one]
    return _joined("\\A" + "".join(f"(?=[\\s\\S]*(?:{either(one).body}))" for one in lists), flat)


def packed(patterns: Sequence[Pcre], most: int, size: int) -> tuple[str, ...] | None:
    """Return at most `most` patterns of at most `size` bytes that match what the given ones do; None: too many."""
    if len(patterns) <= most and all(len(p.text.encode()) <= size for p in patterns):
        return tuple(p.text for p in patterns)
    bins: list[list[Pcre]] = []
    for pattern in patterns:
        if bins and len(either([*bins[-1], pattern]).text.encode()) <= size:
            bins[-1].append(pattern)
        else:
            bins.append([pattern])
    texts = tuple(either(one).text for one in bins)
    return texts if len(texts) <= most and all(len(t.encode()) <= size for t in texts) else None


def _joined(body: str, patterns: Sequence[Pcre]) -> Pcre:
    return Pcre(
        body,
        any(p.characters for p in patterns),
        any(p.anchored for p in patterns),
        all(p.faithful for p in patterns),
    )


_REPEAT = re.compile(r"\{\d+(,\d*)?\}")
_GROUP = re.compile(r"\(\?P?<[^>]+>")
_FLAGS = re.compile(r"\(\?([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)])")
_SPACE = "\\t\\n\\f\\r "


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.place = 0
        self.characters = not pattern.isascii()
        self.anchored = False
        self.faithful = True
        self.lines = [False]
        """Whether (?m) holds, for each group that is open."""

    def parts(self) -> Iterator[str]:
        while self.place < len(self.pattern):
            yield self._part()

    def _take(self, count: int) -> str:
        text = self.pattern[self.place : self.place + count]
        self.place += count
        return text

    def _part(self) -> str:
        c = self.pattern[self.place]
        if c == "\\":
            return self._escape(inside=False)
        if c == "[":
            return self._class()
        if c == "(":
            return self._group()
        if c == ")":
            if len(self.lines) > 1:
                self.lines.pop()
            return self._take(1)
        if c == "{":
            repeat = _REPEAT.match(self.pattern, self.place)
            if not repeat:
                self.place += 1
                return "\\{"
            return self._take(len(repeat[0]))
        if c in "^$":
            self.anchored = True
            self.place += 1
            return "\\z" if c == "$" and not self.lines[-1] else c
        if c == ".":
            self.characters = True
        return self._take(1)

    def _group(self) -> str:
        named, flags = _GROUP.match(self.pattern, self.place), _FLAGS.match(self.pattern, self.place)
        if named:
            self.lines.append(self.lines[-1])
            self.place += len(named[0])
            return "("
        if not flags:
            self.lines.append(self.lines[-1])
            return self._take(1)
        on, off, end = flags[1], flags[2] or "", flags[3]
        lines = (self.lines[-1] or "m" in on) and "m" not in off
        self.characters |= "i" in on
        if end == ":":
            self.lines.append(lines)
        else:
            self.lines[-1] = lines
        return self._take(len(flags[0]))

    def _escape(self, inside: bool) -> str:
        c = self.pattern[self.place + 1 : self.place + 2]
        if c in "sSv" and c:
            self.place += 2
            if c == "v":
                return "\\x0b"
            if c == "S":
                self.characters = True
                return "\\S\\x0b" if inside else f"[^{_SPACE}]"
            return _SPACE if inside else f"[{_SPACE}]"
        if c == "Q" and not inside:
            end = self.pattern.find("\\E", self.place)
            return self._take((end + 2 if end >= 0 else len(self.pattern)) - self.place)
        if c in "pP" and c:
            self.characters = True
            brace = self.pattern[self.place + 2 : self.place + 3] == "{"
            end = self.pattern.find("}", self.place) if brace else self.place + 2
            return self._take(end + 1 - self.place)
        if c == "x":
            self.characters = True
            brace = self.pattern[self.place + 2 : self.place + 3] == "{"
            end = self.pattern.find("}", self.place) if brace else self.place + 3
            return self._take(end + 1 - self.place)
        octal = re.match(r"\\([0-7]{1,3})", self.pattern[self.place : self.place + 4])
        if octal:
            self.characters = True
            self.place += len(octal[0])
            return f"\\x{{{int(octal[1], 8):x}}}"
        self.characters |= c in "DWC"
        self.anchored |= c in "Az" and not inside
        self.faithful &= c != "C"
        return self._take(2)

    def _class(self) -> str:
        self.place += 1
        out = "["
        if self.pattern[self.place : self.place + 1] == "^":
            self.characters = True
            out += self._take(1)
        first = True
        while self.place < len(self.pattern) and (first or self.pattern[self.place] != "]"):
            c = self.pattern[self.place]
            if c == "\\":
                out += self._escape(inside=True)
            elif c == "[":
                named = re.match(r"\[:\^?[a-z]+:\]", self.pattern[self.place :])
                self.characters |= bool(named and "^" in named[0])
                out += self._take(len(named[0])) if named else "\\" + self._take(1)
            else:
                out += ("\\" if c == "]" else "") + self._take(1)
            first = False
        self.place += 1
        return out + "]"
