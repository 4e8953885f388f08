"""A document that builds on parts to the whole that they make together, and everything that is said of its layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from aigw_compile.diagnostic import Diagnostic, Span
from aigw_compile.mask import bare, overlaps
from aigw_compile.project import Project, levelled
from aigw_compile.resolve import (
    Library,
    Part,
    Resolved,
    blamed,
    own_findings,
    required,
    resolve,
    resolve_part,
    taken_from,
    unseen_in,
)
from aigw_compile.source import Source
from aigw_compile.validate import validate_layer, validate_part

UNRESOLVED = frozenset(
    ("AIG0106", "AIG0107", "AIG2001", "AIG2002", "AIG2003", "AIG2004", "AIG2005", "AIG2008", "AIG2009", "AIG2010")
)
"""Codes that say that something of the whole is not there, or another than was meant."""

SPARE = frozenset(("AIG3060",))
"""Codes of what is defined and not used: what one gateway does not use of a part is there for another."""


class Whole(NamedTuple):
    """A gateway, or a part, with everything that it builds on."""

    source: Source
    """Its data is merged; its places are those of the layers."""
    said: tuple[Diagnostic, ...]
    """About the layers by themselves, their order and their contracts."""
    resolved: Resolved

    @property
    def complete(self) -> bool:
        """Say whether everything that it refers to is there; else nothing can be said of the whole."""
        return not any(d.code in UNRESOLVED or "configRef" in d.at for d in self.said)

    def told(self, findings: Iterable[Diagnostic]) -> list[Diagnostic]:
        """Return what else there is to say, about the whole: with its places, to whoever can mend it, each thing once."""
        own = (d for d in findings if not taken_from(d.at, self.resolved))
        located = (self.source.locate(blamed(d, self.resolved)) for d in own)
        return [*news((d for d in located if not self._beside(d)), self.said)]

    def _beside(self, finding: Diagnostic) -> bool:
        """Say whether nobody can use a finding, or somebody could use it to guess at what a part hides."""
        span = finding.span
        return span is not None and (
            (finding.code in SPARE and span.via is not None) or any(_inside(span, one) for one in self.resolved.refused)
        )


class Reuse:
    """The parts of a project, each checked once. `unread`: file -> what is wrong with it, where only its parts were asked for."""

    def __init__(
        self,
        library: Library,
        project: Project | None = None,
        *,
        frozen: bool = False,
        unread: Mapping[str, Sequence[Diagnostic]] | None = None,
    ) -> None:
        self.library = library
        self._project = project
        self._frozen = frozen
        self._unread = unread or {}
        self._parts: dict[Part, Whole] = {}
        self._single: dict[Part, Whole] = {}

    def gateway(self, source: Source) -> Whole:
        """Return a gateway with its parts, and what the project requires of it."""
        resolved = resolve(source, self.library, self._frozen)
        said: list[Diagnostic] = []
        if resolved.layered:
            said = [*outside([*self._layers(source, resolved)], [resolved.source])]
        if self._project:
            said += required(source, resolved, self._project, self.library)
        return Whole(resolved.source, tuple(said), resolved)

    def part(self, part: Part) -> Whole:
        """Return a part with those that it builds on: its contract, and how it keeps theirs."""
        if part not in self._parts:
            whole = self._alone(part)
            said = [*whole.said, *(d for own in whole.resolved.parts if own is not part for d in self._alone(own).said)]
            self._parts[part] = whole._replace(said=tuple(news(outside(said, [whole.source]), ())))
        return self._parts[part]

    def _alone(self, part: Part) -> Whole:
        """Return a part with what is said of it, but not of those that it builds on."""
        if part not in self._single:
            resolved = resolve_part(part, self.library)
            found = [*self._unread.get(part.source.file, ())]
            found += map(part.source.locate, validate_part(part.source.data))
            found += levelled(own_findings(part, self.library, self._frozen), self._project)
            said = outside([*found, *news(resolved.diagnostics, found)], [resolved.source])
            self._single[part] = Whole(resolved.source, tuple(said), resolved)
        return self._single[part]

    def parts(self, sources: Sequence[Source]) -> Iterator[tuple[Part, Whole]]:
        """Yield the parts that stand in some documents."""
        yield from ((part, self.part(part)) for part in self.library.every if part.source in sources)

    def sources(self) -> tuple[Source, ...]:
        """Return every part that anything was said of, with what it hides."""
        return tuple(whole.source for whole in self._single.values())

    def _layers(self, source: Source, resolved: Resolved) -> Iterator[Diagnostic]:
        """Yield what is wrong with the document by itself, with how the layers fit together, and with the parts."""
        unseen = unseen_in(source, resolved)
        seen = (d for d in validate_layer(source.data) if not any(d.at[: len(at)] == at for at in unseen))
        own = [*map(source.locate, seen)]
        misspelt = {d.span[:5] for d in own if d.span and "configRef" in d.at}
        yield from own
        yield from (d for d in resolved.diagnostics if not d.span or d.span[:5] not in misspelt)
        for part in resolved.parts:
            yield from self.part(part).said


def _inside(span: Span, region: Span) -> bool:
    """Say whether a text starts in a region of a file."""
    start, end = (region.line, region.column), (region.end_line, region.end_column)
    return span.file == region.file and start <= (span.line, span.column) < end


def outside(findings: Sequence[Diagnostic], sources: Iterable[Source]) -> Iterator[Diagnostic]:
    """Leave out of findings every word that stands in a region of a file that is hidden."""
    hidden = tuple(dict.fromkeys(span for source in sources for span in source.hidden_spans())) if findings else ()
    yield from (bare(d) if d.span and overlaps(d.span, hidden) else d for d in findings)


def news(findings: Iterable[Diagnostic], said: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Yield what was not said already of the same text, by whatever way it came in."""
    known = {(d.code, d.message, d.span and d.span[:5]) for d in said}
    for finding in findings:
        key = (finding.code, finding.message, finding.span and finding.span[:5])
        if key not in known:
            known.add(key)
            yield finding
