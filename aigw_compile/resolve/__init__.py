"""A document and the parts of its project to the document as it would be without any configRef, and what the parts forbid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Related, Severity, did_you_mean, value_at
from aigw_compile.project import Project
from aigw_compile.resolve.bind import Binding
from aigw_compile.resolve.codes import CODES
from aigw_compile.resolve.constrain import constrained
from aigw_compile.resolve.layers import plain
from aigw_compile.resolve.merged import Layering, Merged, Mount
from aigw_compile.resolve.parts import CONFIG, Library, Part
from aigw_compile.resolve.paths import Path, places
from aigw_compile.resolve.shapes import PLACES
from aigw_compile.source import Source

__all__ = ["CODES", "Library", "Part", "Resolved", "library_findings", "required", "resolve", "resolve_part"]


class Resolved(NamedTuple):
    """A document with its configRefs resolved. It is `source` itself where it had none."""

    source: Source
    diagnostics: tuple[Diagnostic, ...]
    """With their places: about references, contracts and constraints."""
    parts: tuple[Part, ...]
    """Every part that it is made from."""
    mounts: tuple[Mount, ...]

    @property
    def layered(self) -> bool:
        """Say whether anything was merged."""
        return isinstance(self.source, Merged)


def refers(data: Json) -> bool:
    """Say whether a document has a configRef, or a `$patch`, anywhere in its spec."""
    spec = data.get("spec") if isinstance(data, dict) else None
    return isinstance(spec, dict) and ("configRef" in spec or not plain([spec]))


def resolve(source: Source, library: Library) -> Resolved:
    """Return a gateway as it would be written without any configRef. Reads nothing but its arguments."""
    data = source.data
    if not isinstance(data, dict) or not refers(data):
        return Resolved(source, (), (), ())
    layering = Layering(library, source, (data["spec"], ("spec",)), None)
    merged = Merged(source, layering, ("spec",), {**data, "spec": layering.value()})
    return _resolved(merged, layering, merged)


def resolve_part(part: Part, library: Library) -> Resolved:
    """Return a part with what it builds on: its data is that of its type, at ("spec", "config")."""
    layering = Layering(library, part.source, (part.config, CONFIG), part)
    data = part.source.data if isinstance(part.source.data, dict) else {}
    spec = data.get("spec")
    whole = {**data, "spec": {**(spec if isinstance(spec, dict) else {}), "config": layering.value()}}
    return _resolved(Merged(part.source, layering, CONFIG, whole), layering, None)


def _resolved(source: Merged, layering: Layering, constrains: Merged | None) -> Resolved:
    mounts = layering.mounts()
    parts = tuple(dict.fromkeys(m.layer.part for m in mounts if m.layer.part is not None))
    binding = Binding(layering, mounts)
    found = [*layering.findings, *binding.findings]
    if constrains is not None:
        found += map(source.locate, constrained(constrains, mounts))
    for part in parts:
        found += own_findings(part, layering.library)
    return Resolved(source, tuple(found), parts, tuple(mounts))


def own_findings(part: Part, library: Library) -> Iterator[Diagnostic]:
    """Yield what is wrong with a part's references and contract, with its places."""
    for found in (*part.diagnostics, *library.found(part), *_friends(part, library)):
        yield part.source.locate(found)


def _friends(part: Part, library: Library) -> Iterator[Diagnostic]:
    for friend in part.contract.friends:
        if library.friend(friend) is None:
            message = f'no part "{friend.name}" is in this project'
            if friend.name in library.parts:
                message = f'the part "{friend.name}" does not stand in {friend.path}'
            hint = f"{did_you_mean(friend.name, library.parts)}; whoever made a part of that name would be the friend"
            yield Diagnostic("AIG2032", Severity.ERROR, message, friend.at, hint)


def library_findings(library: Library) -> Iterator[tuple[Part, Diagnostic]]:
    """Yield what is wrong between parts: two of one name. With its place, and the part that it is about."""
    for part, first in library.twins:
        span = first.source.span(("metadata", "name"))
        message = f'a part named "{part.name}" stands in {span.file}:{span.line} already'
        related = (Related("the first one", (), span),)
        hint = "names of parts are unique in a project: give this one another"
        found = Diagnostic("AIG2009", Severity.ERROR, message, ("metadata", "name"), hint, related)
        yield part, part.source.locate(found)


def required(source: Source, resolved: Resolved, project: Project, library: Library) -> Iterator[Diagnostic]:
    """Yield an error for each part that the project requires of a gateway and that it is not made from."""
    for one in project.require:
        made_from = any(one.takes(part.name, library.file(part.source)) for part in resolved.parts)
        if one.covers(library.file(source)) and not made_from:
            where = f" in {one.at}" if one.at else ""
            message = f'gateways in {one.path} must refer to the part "{one.name}"{where}'
            hint = f"write configRef: [{{name: {one.name}}}] at the top of spec"
            at: Pointer = ("spec", "configRef") if "configRef" in _spec(source) else ("spec",)
            yield source.locate(Diagnostic("AIG2011", Severity.ERROR, message, at, hint, (), True))


def _spec(source: Source) -> dict[str, Json]:
    spec = source.data.get("spec") if isinstance(source.data, dict) else None
    return spec if isinstance(spec, dict) else {}


def hidden(resolved: Resolved) -> frozenset[Pointer]:
    """Return every place of the whole that a part hides; what is below one is hidden too."""
    base: Pointer = CONFIG if _kind(resolved.source) == "AIGatewayConfig" else ("spec",)
    value = value_at(base, resolved.source.data)
    found: set[Pointer] = set()
    paths: set[Path] = {
        (*m.path, *term.path) for m in resolved.mounts if m.layer.part for term in m.layer.part.contract.hide
    }
    for path in paths:
        found.update(places(path, value, base))
    return frozenset(found)


def _kind(source: Source) -> Json:
    return source.data.get("kind") if isinstance(source.data, dict) else None


def type_place(type_: str) -> Pointer:
    """Return a place in a gateway where an object of a type stands."""
    return PLACES[type_]
