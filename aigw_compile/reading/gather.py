"""Places of files to their documents, each file read once, within the bounds of what a project may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json, Severity, Span, nearest
from aigw_compile.reading.jail import Place
from aigw_compile.source import Source, load, parse

OURS = "aigw.dev/"
KINDS = ("AIGateway", "AIGatewayConfig")
PART = "AIGatewayConfig"

MOST_BYTES = 64 * 1024 * 1024
MOST_DOCUMENTS = 10_000
"""Documents of ours that a project may have; other bounds, on one file, are in the room `source`."""
MOST_VALUES = 1_000_000
"""Keys and values of the files with documents of ours."""
MOST_FILES = 1_000
"""Files that hold parts, or that a configRef names."""

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class File(NamedTuple):
    """One file after reading."""

    name: str
    """As it is shown in messages."""
    documents: tuple[Source, ...] = ()
    """Those that are ours."""
    findings: tuple[Diagnostic, ...] = ()
    skipped: int = 0
    """Documents of others; 1 for a file that is none of ours at all, whose findings concern nobody."""
    foreign: bool = False
    refused: bool = False
    """It could not be opened, or is one too many; the finding says why."""
    whole: bool = True
    """Its text was parsed."""

    @property
    def parts(self) -> tuple[Source, ...]:
        """The parts that stand in it."""
        return tuple(d for d in self.documents if d.is_part)


class Files:
    """The files of one project that were read so far."""

    def __init__(self, root: Path, shown_from: Path) -> None:
        self.root = root
        self.held: dict[Place, File] = {}
        self.full: Diagnostic | None = None
        """Why nothing more is read."""
        self.shown_from = shown_from
        self._counted: set[Place] = set()
        self._bytes = 0
        self._documents = 0
        self._values = 0

    def name(self, place: Place) -> str:
        """Return how a place is shown: relative to where messages are shown from, without what a terminal would obey."""
        path = self.root.joinpath(*place)
        text = (path.relative_to(self.shown_from) if path.is_relative_to(self.shown_from) else path).as_posix()
        return _UNPRINTABLE.sub(lambda m: repr(m[0])[1:-1], text)

    def read(self, place: Place, *, linked: bool = False, rest: bool = False) -> File:
        """Return the file at a place. The rest, which nobody asked for, is parsed only if it can hold parts or name files."""
        held = self.held.get(place)
        if held is None or not (held.whole or rest):
            held = self.held[place] = self._read(place, rest)
        if linked or held.parts:
            self._counted.add(place)
            if len(self._counted) > MOST_FILES and not self.full:
                self._stop(held.name, f"more than {MOST_FILES:,} files hold parts, or are named by a configRef")
        return held

    def _read(self, place: Place, rest: bool) -> File:
        name = self.name(place)
        if self.full:
            return File(name, findings=(self.full,), foreign=True, refused=True)
        raw = load(self.root, place, name)
        if isinstance(raw, Diagnostic):
            foreign = raw.code != "AIG0002" or OURS.encode() not in self._beginning(place)
            return File(name, findings=(raw,), skipped=int(foreign), foreign=foreign, refused=True)
        self._bytes += len(raw)
        if self._bytes > MOST_BYTES:
            return self._stop(name, f"the files of the project have more than {MOST_BYTES // 1024 // 1024} MiB")
        if rest and not _may_matter(raw):
            return File(name, whole=False)
        sources, findings = parse(raw, name)
        documents: list[Source] = []
        skipped = 0
        for source in sources:
            near = _near_miss(source)
            if near:
                findings.append(source.locate(near))
            elif _is_ours(source.data):
                documents.append(source)
            else:
                skipped += 1
        self._documents += len(documents)
        if self._documents > MOST_DOCUMENTS:
            return self._stop(name, f"the project has more than {MOST_DOCUMENTS:,} documents")
        self._values += documents[0].size if documents else 0
        if self._values > MOST_VALUES:
            return self._stop(name, f"the project has more than {MOST_VALUES:,} keys and values")
        foreign = not sources and bool(findings) and OURS.encode() not in raw
        return File(name, tuple(documents), tuple(findings), 1 if foreign else skipped, foreign)

    def _beginning(self, place: Place) -> bytes:
        """What stands first in a file that is too large."""
        raw = load(self.root, place, "", cut=True)
        if isinstance(raw, Diagnostic):
            return b""
        self._bytes += len(raw)
        return raw

    def _stop(self, name: str, message: str) -> File:
        hint = "narrow `sources` or use `exclude` in aigw-compile.yaml, so that only specs are read"
        full = Diagnostic("AIG0108", Severity.ERROR, f"{message}; the rest is not read", (), hint)
        self.full = at_start(full, name)
        return File(name, findings=(self.full,), foreign=True, refused=True)


def at_start(diagnostic: Diagnostic, file: str) -> Diagnostic:
    """Return a finding about a whole file with its place."""
    return diagnostic._replace(span=Span(file, 1, 1, 1, 1))


def _may_matter(raw: bytes) -> bool:
    """Say whether a file can hold a part or name a file; an escape in quotes could hide the words."""
    return b"\\" in raw or PART.encode() in raw or (b"configRef" in raw and b"file" in raw)


def refers(source: Source) -> bool:
    """Say whether a document has a configRef, or may have one."""
    return "configRef" in source.text or ("\\" in source.text and any(references(source.data)))


def references(data: Json) -> Iterator[Json]:
    """Yield what stands at each `configRef` of a document."""
    todo = [data]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            if "configRef" in value:
                yield value["configRef"]
            todo += value.values()
        elif isinstance(value, list):
            todo += value


def _is_ours(data: Json) -> bool:
    version = data.get("apiVersion") if isinstance(data, dict) else None
    return isinstance(version, str) and version.startswith(OURS)


def _near_miss(document: Source) -> Diagnostic | None:
    """A document that was surely meant for us but would be skipped: our kind without our apiVersion."""
    data = document.data
    if not isinstance(data, dict) or _is_ours(data):
        return None
    version, kind = data.get("apiVersion"), data.get("kind")
    ours = isinstance(kind, str) and (kind in KINDS or nearest(kind, KINDS) is not None)
    foreign = isinstance(version, str) and "/" in version and nearest(version.partition("/")[0], ["aigw.dev"]) is None
    if not ours or foreign:
        return None
    hint = "write `apiVersion: aigw.dev/v1alpha1`"
    if version is None:
        return Diagnostic("AIG0102", Severity.ERROR, f"this {kind} has no apiVersion", ("kind",), hint)
    return Diagnostic("AIG0102", Severity.ERROR, f'unknown apiVersion "{version}" for a {kind}', ("apiVersion",), hint)
