"""A project to the texts of its files in which every configRef names the digest of its part; no other byte changes."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from aigw_compile.compiler import Opened, check, hidden_spans
from aigw_compile.diagnostic import Diagnostic, Json, Severity, Span, failed, value_at
from aigw_compile.resolve import CONFIG, Library, Ref, digest, nested
from aigw_compile.source import Source, parse

STALE = "AIG2006"
"""The one error that pinning mends."""
_BREAKS = re.compile("\r\n|\r|\n")


class Pin(NamedTuple):
    """One digest to write."""

    name: str
    """Of the part."""
    digest: str
    span: Span
    """The reference."""


class Pinned(NamedTuple):
    """One file with something to write in it."""

    file: str
    """As messages show it."""
    text: str
    """The new text, without a byte order mark."""
    pins: tuple[Pin, ...]


class Pinning(NamedTuple):
    """What pinning a project comes to: with an error nothing is to be written."""

    files: tuple[Pinned, ...]
    diagnostics: tuple[Diagnostic, ...]
    hidden: tuple[Span, ...]
    """The regions of files that parts hide."""


class _Edit(NamedTuple):
    """Text that takes the place of what stands between two indexes."""

    start: int
    end: int
    text: str


def pinning(opened: Opened) -> Pinning:
    """Return the files that change, of those that were asked for, and what is wrong with the project."""
    checked, general = check(opened)
    found = [d for d in (*general, *(d for one in checked for d in one.diagnostics)) if d.code != STALE]
    hidden = hidden_spans(checked)
    if failed(found):
        return Pinning((), tuple(found), hidden)
    library = Library(opened.parts, opened.links, opened.folder)
    by_file: dict[str, list[Source]] = {}
    for source in (*opened.documents, *opened.asked_parts):
        by_file.setdefault(source.file, []).append(source)
    files: list[Pinned] = []
    for _, sources in sorted(by_file.items()):
        done = pinned(sources, library)
        if isinstance(done, Diagnostic):
            found.append(done)
        elif done:
            files.append(done)
    return Pinning(tuple(files), tuple(found), hidden)


def pinned(sources: Sequence[Source], library: Library) -> Pinned | Diagnostic | None:
    """Return a file, whose documents `sources` are, with its digests; None where nothing is to be written."""
    text = sources[0].text
    index = _Indexes(text)
    edits: dict[int, _Edit] = {}
    pins: list[Pin] = []
    for source in sources:
        for ref, wanted in _wanted(source, library):
            if ref.digest == wanted:
                continue
            name = index.of(source.span((*ref.at, "name")))[0]
            if name not in edits:  # else it stands behind an alias, and what that repeats has it already
                edits[name] = _edit(source, ref, wanted, index)
                pins.append(Pin(ref.name, wanted, source.span(ref.at)))
    if not pins:
        return None
    for edit in sorted(edits.values(), reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    if not _as_meant(sources, text, library):
        hint = "write it by hand: `digest: sha256:...`, as `aigw-compile lint --frozen` says"
        wrong = Diagnostic("AIG2013", Severity.ERROR, "a digest cannot be written into this text", (), hint)
        return sources[0].locate(wrong._replace(span=pins[0].span))
    return Pinned(sources[0].file, text, tuple(pins))


def _wanted(source: Source, library: Library) -> Iterator[tuple[Ref, str]]:
    """Yield each reference of a document with the digest that it should name, in the order of the text."""
    data: Any = source.data
    spec = data.get("spec") if isinstance(data, dict) else None
    if not isinstance(spec, dict):
        return
    is_part = data.get("kind") == "AIGatewayConfig"
    tops: list[tuple[Json, tuple[str | int, ...]]] = [(spec, ("spec",))]
    if is_part:
        tops = [({k: v for k, v in spec.items() if k == "configRef"}, ("spec",)), (spec.get("config"), CONFIG)]
    refs = [ref for value, at in tops for _, found in nested(value, at) for ref in found]
    for ref in sorted(refs, key=lambda ref: source.span(ref.at)[1:5]):
        if part := library.parts.get(ref.name):
            yield ref, digest(part, library)


def _edit(source: Source, ref: Ref, wanted: str, index: _Indexes) -> _Edit:
    """Return what to change so that a reference names a digest: in its own style, right behind its name."""
    there = (*ref.at, "digest")
    holder: Any = value_at(ref.at, source.data)
    if "digest" in holder:
        start, end = index.of(source.span(there))
        quote = index.text[start] if index.text[start] in "'\"" else ""
        return _Edit(start, end, f"{quote}{wanted}{quote}")
    key = source.span((*ref.at, "name"), on_key=True)
    end = index.of(source.span((*ref.at, "name")))[1]
    if source.is_flow(ref.at):
        return _Edit(end, end, f", digest: {wanted}")
    line = _BREAKS.search(index.text, end)
    at = line.start() if line else len(index.text)
    return _Edit(at, at, f"{line[0] if line else _newline(index.text)}{' ' * (key.column - 1)}digest: {wanted}")


def _newline(text: str) -> str:
    found = _BREAKS.search(text)
    return found[0] if found else "\n"


class _Indexes:
    """The text of a file, and where its lines start."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(m.end() for m in _BREAKS.finditer(text))]

    def of(self, span: Span) -> tuple[int, int]:
        """Return the indexes of a span."""
        return self._starts[span.line - 1] + span.column - 1, self._starts[span.end_line - 1] + span.end_column - 1


def _as_meant(sources: Iterable[Source], text: str, library: Library) -> bool:
    """Say whether the new text says what the old one did, and the digests: YAML has more forms than one can foresee."""
    again, found = parse(text, "")
    if failed(found):
        return False
    by_index = {source.index: source.data for source in again}
    for source in sources:
        meant: Any = copy.deepcopy(source.data)
        for ref, wanted in _wanted(source, library):
            value: Any = value_at(ref.at, meant)
            value["digest"] = wanted
        if by_index.get(source.index) != meant:
            return False
    return True
