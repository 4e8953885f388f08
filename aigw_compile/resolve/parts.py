"""Documents of kind AIGatewayConfig to parts, and all parts of a project to a library in which configRefs are looked up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Related, Severity, did_you_mean
from aigw_compile.mask import shown, veil
from aigw_compile.project import glob
from aigw_compile.resolve import order
from aigw_compile.resolve.contract import Contract, contract
from aigw_compile.resolve.nodes import Node, Rule, hits
from aigw_compile.resolve.survey import survey
from aigw_compile.schema import PLACES
from aigw_compile.source import Source

MOST_PARTS = 256
"""Parts in one closure, at most."""
DEEPEST = 32
MOST_REFS = 20_000
"""From part to part in a project, beside their configs."""
MOST_TOLD = 100
"""Of the references of one object: what is wrong with those after that is not listed."""
MOST_GUESSES = 100
CONFIG: Pointer = ("spec", "config")

Links = Mapping[tuple[str, str], "str | Diagnostic"]
"""(file that refers, path as written) -> the file that is meant, or why it cannot be."""


class Ref(NamedTuple):
    """One reference to a part."""

    name: str
    file: str
    digest: str
    at: Pointer
    """Its place in the document that it stands in."""


def refs_of(value: Json, at: Pointer) -> list[Ref]:
    """Return the references of a configRef; what is malformed is left out (the schema says so)."""
    listed = value if isinstance(value, list) else [value]
    places = [(*at, i) for i in range(len(listed))] if isinstance(value, list) else [at]
    return [
        Ref(str(one["name"]), str(one.get("file") or ""), str(one.get("digest") or ""), place)
        for one, place in zip(listed, places, strict=True)
        if isinstance(one, dict) and isinstance(one.get("name"), str)
    ]


class Part:
    """One part. Two are the same if they are one object."""

    __slots__ = ("config", "contract", "diagnostics", "inner", "name", "refs", "source", "survey", "type")

    def __init__(self, source: Source) -> None:
        data = source.data if isinstance(source.data, dict) else {}
        metadata, spec = data.get("metadata"), data.get("spec")
        spec = spec if isinstance(spec, dict) else {}
        self.source = source
        self.name = str(metadata.get("name") or "") if isinstance(metadata, dict) else ""
        self.type = str(spec.get("for") or "")
        config = spec.get("config")
        self.config: dict[str, Any] = dict(config) if isinstance(config, dict) else {}
        self.refs = refs_of(spec["configRef"], ("spec", "configRef")) if "configRef" in spec else []
        self.contract, found = contract(data, self.type) if self.type in PLACES else (Contract(), [])
        if self.config.pop("configRef", None) is not None:
            hint = "write it at spec.configRef, beside `config`"
            message = "a part names what it builds on beside its config"
            found.append(Diagnostic("AIG2010", Severity.ERROR, message, (*CONFIG, "configRef"), hint, on_key=True))
        self.survey = survey(self.config)
        plain = self.survey.plain
        self.inner = [] if plain else [ref for _, refs in nested(self.config, CONFIG) for ref in refs]
        """The references of the objects in its config."""
        top = Node()
        for term in self.contract.hide:
            top.put(term.path, Rule("hide", self, term.at))
        hidden = [*hits([top], self.config, CONFIG)]
        if hidden:
            source.veil = veil(source.data, hidden)
        self.diagnostics: list[Diagnostic] = found
        """About its contract; places are in its own document."""

    def __repr__(self) -> str:
        return f"Part({self.name!r})"


class Step(NamedTuple):
    """A part in an order, and the reference through which it came in."""

    part: Part
    by: Part | None
    """The part that refers to it; None: the object whose order this is."""
    ref: Ref


class Library:
    """Every part of a project by name, and what is known of their order. Looking things up changes nothing to see."""

    def __init__(self, sources: Iterable[Source], links: Links | None = None, folder: str = "") -> None:
        """`folder`: the project's root, as the names of files show it; "" where they are relative to it."""
        self.links = links or {}
        self._folder = folder
        self.every: list[Part] = []
        self.parts: dict[str, Part] = {}
        """By name; of two the first."""
        self.twins: list[tuple[Part, Part]] = []
        """(a part, the earlier one of its name)"""
        refs = 0
        for source in sources:
            part = Part(source)
            refs += len(part.refs)
            if part.refs and refs > MOST_REFS:
                message = f"the parts of this project refer to each other more than {MOST_REFS:,} times"
                part.diagnostics.append(
                    _error("AIG2008", message, ("spec", "configRef"), "this reference is not followed")
                )
                part.refs = []
            self.every.append(part)
            first = self.parts.setdefault(part.name, part)
            if first is not part:
                self.twins.append((part, first))
        self._lines: dict[Part, list[Part]] = {}
        self._open: list[Part] = []
        """Whose order is being found, from the outside in."""
        self.digests: dict[Part, str] = {}
        """Of those that were asked for."""
        self._guesses = 0
        self.values = {"gateways": 0, "parts": 0}
        """How many were merged in this run."""
        self._circles: set[Part] = set()
        self._deep: set[Part] = set()
        self._closures: dict[Part, frozenset[Part]] = {}
        self._found: dict[Part, list[Diagnostic]] = {}

    # --- looking up

    def file(self, source: Source) -> str:
        """Return the path of a document's file, relative to the root."""
        return source.file.removeprefix(f"{self._folder}/") if self._folder else source.file

    def may_refer(self, part: Part, source: Source) -> bool:
        """Say whether a document's file is one that may refer to a part."""
        allowed = part.contract.referrers
        return allowed is None or source is part.source or any(glob(p)(self.file(source)) for p in allowed)

    def _guess(self, word: str, known: Iterable[str]) -> str:
        """A hint for a name that does not exist; the thousandth wrong name of a run gets none, since that takes its time."""
        self._guesses += 1
        return did_you_mean(word, known) if self._guesses <= MOST_GUESSES else ""

    def find(self, ref: Ref, source: Source, type_: str) -> Part | Diagnostic:
        """Return the part that a reference in a document means, or what is wrong with it."""
        named = self.parts.get(ref.name)
        at = (*ref.at, "name")
        if ref.file:
            try:
                reached = self.links[source.file, ref.file]
            except KeyError:
                reached = Diagnostic("AIG2001", Severity.ERROR, f"{shown(ref.file)} was not read")
            if isinstance(reached, Diagnostic):
                return reached._replace(at=(*ref.at, "file"))
            if named is None or named.source.file != reached:
                if any(twin.name == ref.name and twin.source.file == reached for twin, _ in self.twins):
                    hint = "names of parts are unique in a project: give this one another"
                    return _error("AIG2001", f'{reached} has a second part of the name "{ref.name}"', at, hint)
                here = [p.name for p in self.parts.values() if p.source.file == reached]
                return _error("AIG2001", f'{reached} has no part "{ref.name}"', at, self._guess(ref.name, here))
        if named is None:
            of_type = [p.name for p in self.parts.values() if p.type == type_ and self.may_refer(p, source)]
            hint = self._guess(ref.name, of_type)
            return _error("AIG2001", f'no part "{ref.name}" is in this project', at, hint)
        if named.type != type_:
            hint = f"a part stands in objects of the type that it is for; refer to it from {_where(named.type)}"
            message = f'"{ref.name}" is a part for {named.type or "nothing"}, and this is {_article(type_)}'
            return _related(_error("AIG2002", message, at, hint), "it says so here", named, ("spec", "for"))
        if not self.may_refer(named, source):
            message = f'"{ref.name}" may not be referred to from {source.file}'
            hint = "refer to a part that is meant for this file; `fields.referrers` of the part lists who may"
            return _error("AIG2005", message, at, hint)
        return named

    # --- order

    def line(self, part: Part) -> list[Part]:
        """Return a part and its own parts in C3 order, strongest first; a contradiction is found once, at the part."""
        if part in self._open:
            self._circles.add(part)
            return [part]
        if part not in self._lines:
            if len(self._open) >= DEEPEST:
                self._deep.add(self._open[-1])
                return [part]
            self._open.append(part)
            steps, found = self._steps(part.refs, part.source, part.type, part)
            self._open.pop()
            if part in self._circles and (circle := self._circle(part)) is not None:
                found.append(circle)
            if part in self._deep:
                message = f"more than {DEEPEST} parts build on each other"
                found.append(_error("AIG2008", message, part.refs[0].at, "put some of them together"))
            self._lines[part] = [part, *(step.part for step in reversed(steps) if step.part is not part)]
            self._found[part] = found
        return self._lines[part]

    def found(self, part: Part) -> list[Diagnostic]:
        """Return what is wrong with the references of a part; places are in its own document."""
        self.line(part)
        return self._found[part]

    def steps(self, refs: Iterable[Ref], source: Source, type_: str) -> tuple[list[Step], list[Diagnostic]]:
        """Return the parts that the references of an object bring in, weakest first, and what is wrong with them."""
        return self._steps(list(refs), source, type_, None)

    def _steps(
        self, refs: list[Ref], source: Source, type_: str, by: Part | None
    ) -> tuple[list[Step], list[Diagnostic]]:
        found: list[Diagnostic] = []
        named: dict[Part, Ref] = {}
        for ref in refs:
            if len(found) > MOST_TOLD:
                found[-1] = found[-1]._replace(message=f"{found[-1].message}; what follows is not listed")
                break
            part = self.find(ref, source, type_)
            if isinstance(part, Diagnostic):
                found.append(part)
            elif part in named:
                hint = "delete one of them: a part is applied once"
                found.append(_error("AIG2004", f'"{ref.name}" stands here twice', ref.at, hint))
            elif part is not by:
                named[part] = ref
        direct = list(reversed(named))
        lines = [self.line(part) for part in direct]
        merged = order.c3([*lines, direct])
        if isinstance(merged, order.Clash):
            found.append(self._clash(merged, refs[0].at[:3] if refs else ()))
            merged = list(dict.fromkeys(p for line in lines for p in line))
        if len(merged) > MOST_PARTS:
            message = f"{len(merged)} parts come together here; at most {MOST_PARTS} may"
            found.append(_error("AIG2008", message, refs[0].at, "put parts together that always go together"))
            merged = merged[:MOST_PARTS]
        return list(reversed(self._through(merged, named, by))), found

    def _through(self, merged: list[Part], named: Mapping[Part, Ref], by: Part | None) -> list[Step]:
        """Say for each part by which reference it came in: by that of the strongest that names it."""
        came: dict[Part, Step] = {part: Step(part, by, ref) for part, ref in named.items()}
        for part in merged:
            for ref in part.refs:
                own = self.parts.get(ref.name)
                if own is not None and own not in came:
                    came[own] = Step(own, part, ref)
        return [came[part] for part in merged if part in came]

    def closure(self, part: Part) -> frozenset[Part]:
        """Return a part with every part that it builds on, wherever it names them."""
        if part not in self._closures:
            own = {part}
            rest = [part]
            while rest:
                here = rest.pop()
                for ref in (*here.refs, *here.inner):
                    found = self.parts.get(ref.name)
                    if found is not None and found not in own:
                        own.add(found)
                        rest.append(found)
            self._closures[part] = frozenset(own)
        return self._closures[part]

    def friends(self, part: Part) -> frozenset[Part]:
        """Return the parts that a part's contract does not bind."""
        return frozenset(p for f in part.contract.friends if (p := self.friend(f)) is not None)

    def friend(self, friend: Any) -> Part | None:
        """Return the part that a friend is, or None if there is no such part at that place."""
        known = self.parts.get(friend.name)
        named = [known, *(twin for twin, first in self.twins if first is known)] if known else []
        return next((p for p in named if not friend.path or glob(friend.path)(self.file(p.source))), None)

    # --- what is wrong

    def _circle(self, part: Part) -> Diagnostic | None:
        edges = {p.name: [r.name for r in p.refs] for p in self.parts.values()}
        way = order.ring(part.name, edges) if part.name else None
        if way is None:
            return None
        related = []
        for here, to in pairwise(way[1:]):
            ref = next(r for r in self.parts[here].refs if r.name == to)
            span = self.parts[here].source.span(ref.at)
            related.append(Related(f'"{here}" refers to "{to}" here', (), span))
        at = next(r.at for r in part.refs if r.name == way[1])
        message = f"parts refer to each other in a circle: {' -> '.join(way)}"
        found = _error("AIG2003", message, at, "take one of these references out")
        return found._replace(related=tuple(related))

    def _clash(self, clash: order.Clash, at: Pointer) -> Diagnostic:
        names = [", ".join(p.name for p in side if isinstance(p, Part)) for side in (clash.one, clash.other)]
        message = f"no order of the parts fits: [{names[0]}] here and [{names[1]}] there (weakest first)"
        related = []
        pair = {p for p in clash.one if isinstance(p, Part)} & {p for p in clash.other if isinstance(p, Part)}
        for part in self.parts.values():
            named = [r for r in part.refs if self.parts.get(r.name) in pair]
            if len(named) > 1:
                label = f'"{part.name}" has the order {", ".join(r.name for r in named)}'
                related.append(Related(label, (), part.source.span(named[0].at)))
        return _error("AIG2004", message, at, "name them in the same order everywhere")._replace(
            related=tuple(related[:4])
        )


def nested(value: Json, at: Pointer) -> Iterator[tuple[Pointer, list[Ref]]]:
    """Yield every configRef inside a value: the place of its object, and its references."""
    rest: list[tuple[Json, Pointer]] = [(value, at)]
    while rest:
        here, place = rest.pop()
        if isinstance(here, dict):
            if "configRef" in here:
                yield place, refs_of(here["configRef"], (*place, "configRef"))
            rest += [(inner, (*place, key)) for key, inner in here.items() if isinstance(inner, (dict, list))]
        elif isinstance(here, list):
            rest += [(inner, (*place, i)) for i, inner in enumerate(here) if isinstance(inner, (dict, list))]


def _error(code: str, message: str, at: Pointer, hint: str = "") -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, at, hint)


def _related(d: Diagnostic, message: str, part: Part, at: Pointer) -> Diagnostic:
    return d._replace(related=(Related(message, (), part.source.span(at)),))


def _article(type_: str) -> str:
    return f"{'an' if type_[:1] in 'AEIO' else 'a'} {type_}"


def _where(type_: str) -> str:
    keys = [str(step) if isinstance(step, str) else "" for step in PLACES.get(type_, ())]
    return ".".join(key for key in keys if key and key != "spec") or "the top of a gateway's spec"
