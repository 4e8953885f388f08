"""Diagnostics to text for people: a headline for each, the line it is about with carets below, help, and a count."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final
from unicodedata import combining, east_asian_width

from aigw_compile.diagnostic import Diagnostic, Related, Severity, Span
from aigw_compile.mask import STARS, scrub, starred
from aigw_compile.render import clean, ordered, ways

_WIDE: Final = 120
"""Cells of a code line that are shown; a longer one is cut around the caret."""
_FAR: Final = 2_000
_TAB: Final = 4
_PAINT: Final = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.HINT: "1;36"}
_NOT_SHOWN: Final = frozenset({"AIG1013"})
"""Findings about something that stands where a secret is named: no code frame shows it, whatever it looks like."""
_BOLD, _DIM, _GREEN = "1", "2", "1;32"
_LINES: Final = re.compile("\r\n|\r|\n")
# What would move the cursor, ring the bell or reorder the line: shown as one replacement character.
_HARMFUL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def render(diagnostics: Sequence[Diagnostic], texts: Mapping[str, str], *, colour: bool = False) -> str:
    """Return the findings with code frames, and a last line that counts them."""
    paint = _painted if colour else _plain
    hidden = [d.span for d in diagnostics if d.span and d.code in _NOT_SHOWN]
    files = {file: _File(starred(text, [s for s in hidden if s.file == file])) for file, text in texts.items()}
    blocks = ["\n".join(_block(clean(d), files, paint)) for d in ordered(diagnostics)]
    return scrub("\n\n".join([*blocks, _count(diagnostics, paint)])) + "\n"


_Paint = Callable[[str, str], str]


class _File:
    """The lines of a file as they may be shown."""

    def __init__(self, text: str) -> None:
        self.lines = _LINES.split(text)
        # A line within a PEM key looks like nothing by itself.
        self._hidden = _hidden_lines(self.lines) if "-----BEGIN" in text else set()
        self._scrubbed: dict[int, tuple[str, int, int]] = {}

    def marked(self, span: Span) -> tuple[str, str, str]:
        """Return the first line of `span` in three parts, without secrets: before, marked, after."""
        line = self.lines[span.line - 1]
        if span.line in self._hidden:
            return "", STARS, ""
        start = min(span.column - 1, len(line))
        end = len(line) if span.end_line > span.line else min(max(span.end_column - 1, start), len(line))
        if span.line not in self._scrubbed:
            self._scrubbed[span.line] = _scrubbed(line)
        whole, before, after = self._scrubbed[span.line]
        if whole != line:
            longer = len(whole) - len(line)
            start = start if start <= before else start + longer if start >= len(line) - after else before
            end = end if end <= before else end + longer if end >= len(line) - after else len(whole) - after
        marked = whole[start:end].rstrip() or whole[start : start + 1]
        return whole[:start], marked, whole[start + len(marked) :]


def _plain(text: str, style: str) -> str:
    return text


def _painted(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m"


def _block(d: Diagnostic, files: Mapping[str, _File], paint: _Paint) -> Iterator[str]:
    word = paint(d.severity.name.lower(), _PAINT[d.severity])
    message = _one_line(d.message)
    place = f" [{_one_line(d.place)}]" if d.place and not d.span else ""
    start = f"{paint(_at(d.span), _BOLD)}: " if d.span else ""
    yield f"{start}{word} {d.code} {message}{place}"
    if d.span and not d.veiled:
        yield from _frame(d.span, files, paint, _PAINT[d.severity])
    if d.hint:
        yield f"  {paint('help', _GREEN)}: {_one_line(d.hint)}"
    for related in ways(d):
        yield from _beside(related, files, paint)


def _beside(related: Related, files: Mapping[str, _File], paint: _Paint) -> Iterator[str]:
    place = f"{paint(_at(related.span), _BOLD)}: " if related.span else ""
    yield f"  {place}{paint('note', _PAINT[Severity.HINT])}: {_one_line(related.message)}"
    if related.span:
        yield from _frame(related.span, files, paint, _PAINT[Severity.HINT])


def _frame(span: Span, files: Mapping[str, _File], paint: _Paint, style: str) -> Iterator[str]:
    """Yield the first line of `span` and a line of carets; nothing where there is no such line."""
    file = files.get(span.file)
    if file is None or not 1 <= span.line <= len(file.lines):
        return
    head, marked, tail = file.marked(span)
    # Far more than is ever shown is enough: a line may have a megabyte.
    shown, before, carets = _cut(_cells(head[-_FAR:]), _cells(marked[:_FAR]), _cells(tail[:_FAR]))
    number = str(span.line)
    gutter = paint(f"{' ' * len(number)} |", _DIM)
    yield f" {paint(f'{number} |', _DIM)} {shown}".rstrip()
    yield f" {gutter} {' ' * before}{paint('^' * carets, style)}"


def _cut(head: str, marked: str, tail: str) -> tuple[str, int, int]:
    """Return the text to show, the cells before the carets, and how many carets."""
    widest = _WIDE - 20
    if _width(marked) > widest:
        marked, tail = _left(marked, widest), "..."
    room = _WIDE - _width(marked)
    if _width(head) + _width(tail) > room:
        after = min(_width(tail), max(room // 3, room - _width(head)))
        before = room - after
        if _width(head) > before:
            head = "..." + _right(head, before - 3)
        if _width(tail) > after:
            tail = _left(tail, max(after - 3, 0)) + "..."
    return head + marked + tail, _width(head), max(_width(marked), 1)


def _scrubbed(line: str) -> tuple[str, int, int]:
    """Return the line without secrets, and how many letters at its start and at its end are as they were."""
    whole = scrub(line)
    most = min(len(line), len(whole))
    before = 0
    while before < most and line[before] == whole[before]:
        before += 1
    after = 0
    while after < most - before and line[-1 - after] == whole[-1 - after]:
        after += 1
    return whole, before, after


def _hidden_lines(lines: Sequence[str]) -> set[int]:
    """Return the numbers of the lines that a private key covers."""
    covered: set[int] = set()
    inside = False
    for number, line in enumerate(lines, 1):
        inside = inside or ("-----BEGIN" in line and "PRIVATE KEY" in line)
        if inside:
            covered.add(number)
        inside = inside and "-----END" not in line
    return covered


def _cells(text: str) -> str:
    return _HARMFUL.sub("\ufffd", text.replace("\t", " " * _TAB))


def _width(text: str) -> int:
    """Return how many cells of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _left(text: str, cells: int) -> str:
    cut = text[: max(cells, 0)]
    while _width(cut) > cells and cut:
        cut = cut[:-1]
    return cut


def _right(text: str, cells: int) -> str:
    cut = text[-cells:] if cells > 0 else ""
    while _width(cut) > cells and cut:
        cut = cut[1:]
    return cut


def _at(span: Span | None) -> str:
    return f"{_one_line(span.file)}:{span.line}:{span.column}" if span else ""


def _one_line(text: str) -> str:
    return _HARMFUL.sub("\ufffd", " ".join(text.split("\n")))


def _count(diagnostics: Sequence[Diagnostic], paint: _Paint) -> str:
    if not diagnostics:
        return "no findings"
    parts = []
    for severity in reversed(Severity):
        number = sum(d.severity is severity for d in diagnostics)
        if number:
            word = f"{severity.name.lower()}{'s' if number > 1 else ''}"
            parts.append(paint(f"{number} {word}", _PAINT[severity]))
    files = len({d.span.file for d in diagnostics if d.span})
    where = f" in {files} file{'s' if files > 1 else ''}" if files else ""
    return ", ".join(parts) + where
