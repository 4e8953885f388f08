"""The bytes of a file to text that a YAML parser accepts, with a finding for all that had to be mended on the way."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from aigw_compile.diagnostic import Diagnostic, Pointer, Related, Span
from aigw_compile.source.codes import CODES

_BOMS: Final = (
    (b"\x00\x00\xfe\xff", "UTF-32", "utf-32"),
    (b"\xff\xfe\x00\x00", "UTF-32", "utf-32"),
    (b"\xfe\xff", "UTF-16", "utf-16"),
    (b"\xff\xfe", "UTF-16", "utf-16"),
)
# Not c-printable (YAML 1.2.2, production 1), and the three line separators of YAML 1.1 that 1.2 takes for letters.
_REFUSED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_REORDERS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_BREAKS: Final = re.compile("\r\n|\r|\n")
_BYTES: Final = re.compile("[\udc80-\udcff]")
_LISTED: Final = 20
"""So many bad characters of a file are named one by one; the last finding counts the rest."""


class Text:
    """The text of one file, and where its lines start; made so that indexes count code points from 0."""

    __slots__ = ("_starts", "content", "file")

    def __init__(self, content: str, file: str) -> None:
        self.content = content
        self.file = file
        self._starts: list[int] | None = None

    def position(self, index: int) -> tuple[int, int]:
        """Return line and column of the code point at `index`, both from 1."""
        if self._starts is None:
            self._starts = [0, *(m.end() for m in _BREAKS.finditer(self.content))]
        line = bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1

    def span(self, start: int, end: int) -> Span:
        """Return the span from `start` up to but not including `end`."""
        return Span(self.file, *self.position(start), *self.position(max(start, end)))

    def finding(
        self,
        code: str,
        message: str,
        start: int,
        end: int,
        hint: str = "",
        at: Pointer = (),
        on_key: bool = False,
        related: Sequence[Related] = (),
    ) -> Diagnostic:
        """Return a diagnostic of this file; its severity is that of `code` in CODES."""
        return Diagnostic(code, CODES[code][0], message, at, hint, tuple(related), on_key, self.span(start, end))


def decode(raw: bytes | str, file: str) -> tuple[Text, list[Diagnostic]]:
    """Return the text of `raw` and what is wrong with its characters.

    Characters that YAML refuses become U+FFFD, byte for code point where the file is not UTF-8, so that places stay
    true and the reading can go on. A byte order mark is left out and counts as no column.
    """
    found: list[Diagnostic] = []
    text, wrong = (raw, "") if isinstance(raw, str) else _decoded(raw)
    marked = text.startswith("\ufeff")
    content = Text(text[1:] if marked else text, file)
    if marked and not wrong:
        found.append(
            content.finding(
                "AIG0004", "the file starts with a byte order mark (BOM)", 0, 0, "save it as UTF-8 without BOM"
            )
        )
    if wrong:
        start = 0
        bytewise = _BYTES.search(content.content)
        if bytewise:
            start = bytewise.start()
            content.content = _BYTES.sub(lambda m: chr(ord(m[0]) - 0xDC00), content.content)
        found.append(
            content.finding("AIG0003", f"the file is not UTF-8: {wrong}", start, start + 1, "save it as UTF-8")
        )
    if not (content.content.isascii() and content.content.isprintable()):
        _characters(content, found, report=not wrong)
    return content, found


def display(raw: bytes) -> str:
    """Return the text of a file for code frames: lines and columns are those of the spans that `parse` gives."""
    return decode(raw, "")[0].content


def _decoded(raw: bytes) -> tuple[str, str]:
    """Return the text, and what is wrong with the encoding (with bad bytes as lone surrogates) or ''."""
    for bom, name, codec in _BOMS:
        if raw.startswith(bom):
            return raw.decode(codec, "replace"), f"it starts with the byte order mark of {name}"
    head = raw[: min(len(raw), 4096) & ~1]
    if b"\0" in head:
        for zeros, codec in ((head[1::2], "utf-16-le"), (head[0::2], "utf-16-be")):
            if zeros.count(0) > len(zeros) * 0.8:
                return raw.decode(codec, "replace"), "it looks like UTF-16 without a byte order mark"
    try:
        return raw.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        bad = raw[error.start]
    guess = f', in Latin-1 it would be "{chr(bad)}"' if bad >= 0xA0 else ""
    return raw.decode("utf-8", "surrogateescape"), f"the byte 0x{bad:02X} does not belong here{guess}"


def _characters(text: Text, found: list[Diagnostic], report: bool) -> None:
    count = 0
    for match in _REFUSED.finditer(text.content):
        count += 1
        if report and count <= _LISTED:
            found.append(_refused(text, match.start()))
    if count > _LISTED and report:
        last = found.pop()
        found.append(last._replace(message=f"{last.message} (and {count - _LISTED} more in this file)"))
    for number, match in enumerate(_REORDERS.finditer(text.content)):
        if number < _LISTED:
            found.append(
                text.finding(
                    "AIG0006",
                    f"an invisible character changes the order of the text on the screen: {_name(match[0])}",
                    match.start(),
                    match.end(),
                    f'remove it, or write it as an escape in double quotes: "{_escape(match[0])}"',
                )
            )
    if count:
        text.content = _REFUSED.sub("\ufffd", text.content)


def _refused(text: Text, index: int) -> Diagnostic:
    char = text.content[index]
    if char in "\x85\u2028\u2029":
        message = f"a line separator that not every YAML reader takes for a line break: {_name(char)}"
    elif "\ud800" <= char <= "\udfff":
        message = f"half of a surrogate pair: {_name(char)}"
    else:
        message = f"a control character is not allowed in YAML: {_name(char)}"
    hint = f'remove it, or write it as an escape in double quotes: "{_escape(char)}"'
    return text.finding("AIG0005", message, index, index + 1, "" if "\ud800" <= char <= "\udfff" else hint)


def _name(char: str) -> str:
    names = {"\x00": " (NUL)", "\x1b": " (escape)", "\x7f": " (delete)", "\x85": " (next line)"}
    return f"U+{ord(char):04X}{names.get(char, '')}"


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
