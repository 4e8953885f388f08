"""YAML text to plain data, and a place for every key and value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from yaml.error import YAMLError

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Span, named, value_at
from aigw_compile.mask import NO_VEIL, Veil
from aigw_compile.source.codes import CODES
from aigw_compile.source.files import LARGEST, load
from aigw_compile.source.parts import without_words
from aigw_compile.source.text import Text, decode, display

if TYPE_CHECKING:
    from aigw_compile.source.places import Place

__all__ = ["CODES", "LARGEST", "Source", "display", "load", "parse"]


class _File:
    """One file's text, and its places as soon as somebody asks for one."""

    __slots__ = ("_places", "size", "text")

    def __init__(self, text: Text) -> None:
        self.text = text
        self.size = 0
        self._places: list[Place] | None = None

    def span(self, index: int, pointer: Pointer, on_key: bool) -> Span:
        from aigw_compile.source import places

        return places.span(self.text, self._document(index), pointer, on_key)

    def place(self, index: int, pointer: Pointer) -> Place:
        from aigw_compile.source import places

        return places.at(self._document(index), pointer)

    def _document(self, index: int) -> Place:
        from aigw_compile.source import places

        if self._places is None:
            self._places = places.places(self.text)
        return self._places[index]


class Source:
    """One YAML document of one file. Nobody changes it, nor its data."""

    __slots__ = ("_file", "data", "file", "index", "veil")

    file: str
    """The path as it is shown in messages: posix, relative to the root of the project."""
    index: int
    """Which document of the file this is; from 0, and empty or broken ones count too."""
    data: Json
    """None, bool, int, float, str, list or dict with str keys; no object stands in it twice."""
    veil: Veil
    """What a part hides in it."""

    def __init__(self, file: str, index: int, data: Json, held: _File) -> None:
        self.file = file
        self.index = index
        self.data = data
        self._file = held
        self.veil = NO_VEIL

    def __repr__(self) -> str:
        return f"Source({self.file!r}, {self.index})"

    @property
    def is_part(self) -> bool:
        """Say whether the document is a part: of kind AIGatewayConfig."""
        return isinstance(self.data, dict) and self.data.get("kind") == "AIGatewayConfig"

    @property
    def text(self) -> str:
        """The text of the whole file, as spans count it (without a byte order mark)."""
        return self._file.text.content

    @property
    def size(self) -> int:
        """How many keys and values the whole file holds, aliases written out."""
        return self._file.size

    def span(self, pointer: Pointer, *, on_key: bool = False) -> Span:
        """Return where the value at `pointer` stands, or its key.

        Where the pointer does not exist, it is the place of what should hold it: the key above it, or a list item.
        Inside an alias it is the place of what the alias repeats.
        """
        return self._file.span(self.index, pointer, on_key)

    def is_flow(self, pointer: Pointer) -> bool:
        """Say whether the mapping or list at `pointer` is written in short form, `{...}` or `[...]`."""
        return self._file.place(self.index, pointer).flow

    def hidden_spans(self) -> tuple[Span, ...]:
        """Return the regions of files that show what is hidden here: whoever shows a line puts stars there."""
        return tuple(self.span(at) for at in sorted(self.veil.hidden, key=str) if _stands(at, self.data))

    def locate(self, diagnostic: Diagnostic) -> Diagnostic:
        """Return `diagnostic` with its span, its place as people write it, and the spans of what is related to it.

        Every finding of a document passes here, so here is what the document hides left out.
        """
        span = diagnostic.span or self.span(diagnostic.at, on_key=diagnostic.on_key)
        related = tuple(
            r._replace(span=self.span(r.at, on_key=diagnostic.on_key)) if r.span is None and r.at else r
            for r in diagnostic.related
        )
        place = diagnostic.place or named(diagnostic.at, self.data)
        return self.veil.finding(diagnostic._replace(span=span, related=related, place=place))


def _stands(at: Pointer, data: Json) -> bool:
    """Say whether there is anything at a place."""
    holder = value_at(at[:-1], data)
    if isinstance(holder, list):
        return bool(at) and isinstance(at[-1], int) and at[-1] < len(holder)
    return not at or (isinstance(holder, dict) and at[-1] in holder)


def parse(raw: bytes | str, file: str) -> tuple[list[Source], list[Diagnostic]]:
    """Return the documents of `raw` and all findings, in the order of their places, with their spans.

    A document with a syntax error, or with too many or too deep values, is left out, and so is an empty one. Values
    that cannot be used (infinity, a number out of range, an alias to nothing) are None; of a key that stands twice
    the first one counts; the key of a merge is left out with its value.
    """
    from aigw_compile.source import reader, syntax, walk

    text, found = decode(raw, file)
    held = _File(text)
    sources: list[Source] = []
    one = reader.Reader(text, found)

    def build(get_event: walk.GetEvent, event: Any, index: int, offset: int) -> None:
        if event.version and tuple(event.version) != (1, 2):
            version = ".".join(map(str, event.version))
            start = text.content.find("%YAML", offset + event.start_mark.index)
            end = start + len(f"%YAML {version}")
            message = f"%YAML {version} has no effect: files are read by YAML 1.2"
            found.append(text.finding("AIG0024", message, start, end, "remove the line, or write %YAML 1.2"))
        before = len(found)
        data: Any = None
        try:
            data = one.document(get_event, offset)
            if data is not reader.EMPTY:
                sources.append(Source(file, index, cast(Json, data), held))
        finally:
            whole = Source(file, index, None if data is reader.EMPTY else data, held)
            found[before:] = [whole.locate(d) for d in found[before:]]

    def failed(error: YAMLError, offset: int) -> None:
        told = syntax.explain(error, offset, text)
        if told not in found[-1:]:
            found.append(told)

    try:
        walk.walk(text.content, build, failed)
    except walk.TooManyDocuments as many:
        message = f"more than {walk.MOST_DOCUMENTS:,} documents in one file"
        found.append(text.finding("AIG0021", message, many.index, many.index + 3, "split the file"))
    held.size = one.size
    return sources, without_words(sorted(found, key=_order), text)


def _order(diagnostic: Diagnostic) -> tuple[int, int, int, str]:
    span = diagnostic.span
    return (span.line, span.column, -diagnostic.severity, diagnostic.code) if span else (0, 0, 0, diagnostic.code)
