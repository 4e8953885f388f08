"""A document and the parts of its project to the document as it would be without any configRef, and what the parts forbid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Related, Severity, Span, did_you_mean, named, value_at
from aigw_compile.mask import veil
from aigw_compile.project import Project, Require
from aigw_compile.resolve.advice import advice
from aigw_compile.resolve.bind import Binding, Told, unseen
from aigw_compile.resolve.bind.tree import tree
from aigw_compile.resolve.codes import CODES
from aigw_compile.resolve.constrain import constrained
from aigw_compile.resolve.digests import digest, pins
from aigw_compile.resolve.merged import Layering, Merged, Mount
from aigw_compile.resolve.nodes import hits
from aigw_compile.resolve.parts import CONFIG, Library, Part, Ref, nested
from aigw_compile.resolve.paths import Path, matches, places
from aigw_compile.schema import PLACES
from aigw_compile.source import Source
from aigw_compile.units import key_of
from aigw_compile.validate import has_refs

__all__ = [
    "CODES",
    "CONFIG",
    "PLACES",
    "Library",
    "Merged",
    "Part",
    "Ref",
    "Resolved",
    "blamed",
    "bound",
    "digest",
    "hidden",
    "key_of",
    "nested",
    "own_findings",
    "required",
    "resolve",
    "resolve_part",
    "taken_from",
    "unseen_in",
]


class Resolved(NamedTuple):
    """A document with its configRefs resolved. It is `source` itself where it had none."""

    source: Source
    diagnostics: tuple[Diagnostic, ...]
    """With their places: about references, contracts and constraints."""
    parts: tuple[Part, ...]
    """Every part that it is made from."""
    mounts: tuple[Mount, ...]
    refused: tuple[Span, ...] = ()
    """Texts of which nothing but the diagnostics is to be said: more would tell what a part hides."""

    @property
    def layered(self) -> bool:
        """Say whether anything was merged."""
        return isinstance(self.source, Merged)


def resolve(source: Source, library: Library, frozen: bool = False) -> Resolved:
    """Return a gateway as it would be written without any configRef. Reads nothing but its arguments.

    `frozen`: every reference must name the digest of its part.
    """
    data = source.data
    if not isinstance(data, dict) or not has_refs(data):
        return Resolved(source, (), (), ())
    layering = Layering(library, source, (data["spec"], ("spec",)), None)
    told = _refused(layering)
    merged = Merged(source, layering, ("spec",), {**data, "spec": layering.value()})
    found = _resolved(merged, layering, told, merged)
    refs = [ref for _, refs in nested(data["spec"], ("spec",)) for ref in refs]
    return found._replace(diagnostics=(*found.diagnostics, *pins(refs, source, library, frozen)))


def resolve_part(part: Part, library: Library) -> Resolved:
    """Return a part with what it builds on: its data is that of its type, at ("spec", "config")."""
    layering = Layering(library, part.source, (part.config, CONFIG), part)
    told = _refused(layering)
    data = part.source.data if isinstance(part.source.data, dict) else {}
    spec = data.get("spec")
    whole = {**data, "spec": {**(spec if isinstance(spec, dict) else {}), "config": layering.value()}}
    return _resolved(Merged(part.source, layering, CONFIG, whole), layering, told, None)


def _refused(layering: Layering) -> Told:
    """Say what contracts refuse, and take it out, so that nothing is said of what would follow from it."""
    told = unseen(layering)
    Binding(layering, layering.mounts(), told)
    layering.drop(told.taken)
    return told


def _resolved(source: Merged, layering: Layering, told: Told, constrains: Merged | None) -> Resolved:
    mounts = layering.mounts()
    parts = tuple(dict.fromkeys(m.layer.part for m in mounts if m.layer.part is not None))
    bare = Resolved(source, (), parts, tuple(mounts))
    source.veil = veil(source.data, hidden(bare))
    found = [*layering.findings, *told.findings]
    if constrains is not None:
        found += map(source.locate, constrained(constrains, mounts))
    return bare._replace(diagnostics=tuple(found), refused=tuple(told.refused))


def own_findings(part: Part, library: Library, frozen: bool = False) -> Iterator[Diagnostic]:
    """Yield what is to be said of a part's references and contract, with its places."""
    pinned = pins([*part.refs, *part.inner], part.source, library, frozen)
    about = (
        *_twins(part, library),
        *_friends(part, library),
        *_vaults(part, library),
        *advice(part, library.line(part)),
    )
    for found in (*part.diagnostics, *library.found(part), *pinned, *about):
        yield part.source.locate(found)


def _friends(part: Part, library: Library) -> Iterator[Diagnostic]:
    for friend in part.contract.friends:
        if library.friend(friend) is None:
            message = f'no part "{friend.name}" is in this project'
            hint = f"{did_you_mean(friend.name, library.parts)}; whoever made a part of that name would be the friend"
            if friend.name in library.parts:
                message = f'the part "{friend.name}" does not stand in {friend.path}'
                hint = "move it there, or mend the path"
            yield Diagnostic("AIG2032", Severity.ERROR, message, friend.at, hint)


def _vaults(part: Part, library: Library) -> Iterator[Diagnostic]:
    """A vault that the part leaves to others is its own: else somebody could bring one of that name that reads anything."""
    own = {key_of(vault) for p in library.line(part) for at in places(("vaults",), p.config) for vault in _list(p, at)}
    for index, pattern in enumerate(part.contract.secrets or ()):
        name = pattern.get("vault")
        if isinstance(name, str) and name not in own:
            message = f'neither this part nor one that it builds on has a vault "{name}"'
            at = ("spec", "fields", "secrets", index, "vault")
            yield Diagnostic("AIG2030", Severity.ERROR, message, at, did_you_mean(name, own))


def _list(part: Part, at: Pointer) -> list[Json]:
    found = value_at(at, part.config)
    return found if isinstance(found, list) else []


def _twins(part: Part, library: Library) -> Iterator[Diagnostic]:
    """Yield that two parts have one name, at each of them."""
    for two in library.twins:
        for one, other in (two, two[::-1]) if part in two else ():
            span = other.source.span(("metadata", "name"))
            message = f'another part named "{part.name}" stands in {span.file}:{span.line}'
            related = (Related("the other one", (), span),)
            hint = "names of parts are unique in a project: give the newer one another"
            found = Diagnostic("AIG2009", Severity.ERROR, message, ("metadata", "name"), hint, related)
            yield one.source.locate(found)


def required(source: Source, resolved: Resolved, project: Project, library: Library) -> Iterator[Diagnostic]:
    """Yield an error for each part that the project requires of a gateway and that it is not made from."""
    for one in project.require:
        made_from = any(one.takes(part.name, library.file(part.source)) for part in resolved.parts)
        if one.covers(library.file(source)) and not made_from:
            where = f" in {one.at}" if one.at else ""
            message = f'gateways in {one.path} must refer to the part "{one.name}"{where}'
            led = [p.name for p in library.parts.values() if _leads_to(one, p, source, library)]
            hint = f"write configRef: {{name: {led[0] if led else one.name}}} at the top of spec"
            hint += f"; these lead to it: {', '.join(led)}" if len(led) > 1 else ""
            at: Pointer = ("spec", "configRef") if "configRef" in _spec(source) else ("spec",)
            yield source.locate(Diagnostic("AIG2011", Severity.ERROR, message, at, hint, (), True))


def _leads_to(one: Require, part: Part, source: Source, library: Library) -> bool:
    """Say whether a document that refers to a part, as it may, is made from what is required."""
    usable = part.type == "AIGateway" and library.may_refer(part, source)
    return usable and any(one.takes(p.name, library.file(p.source)) for p in library.line(part))


def _spec(source: Source) -> dict[str, Json]:
    spec = source.data.get("spec") if isinstance(source.data, dict) else None
    return spec if isinstance(spec, dict) else {}


def hidden(resolved: Resolved) -> frozenset[Pointer]:
    """Return every place of the whole that a part hides; what is below one is hidden too."""
    base: Pointer = CONFIG if resolved.source.is_part else ("spec",)
    if not isinstance(resolved.source, Merged) or not any(True for _ in _hiding(resolved)):
        return frozenset()
    top = tree(resolved.mounts, resolved.source.layering.shape, hides=True, names=True)
    return frozenset(hits([top], value_at(base, resolved.source.data), base))


def _hiding(resolved: Resolved) -> Iterator[tuple[Path, Part, Pointer]]:
    for mount in resolved.mounts:
        if part := mount.layer.part:
            yield from (((*mount.path, *term.path), part, term.at) for term in part.contract.hide)


def bound(source: Source, at: Pointer) -> Iterator[tuple[str, Part, Pointer]]:
    """Yield what contracts say of a place: (hidden, locked, ...; the part; where its contract says so)."""
    if not isinstance(source, Merged):
        return
    base: Pointer = CONFIG if source.is_part else ("spec",)
    data = value_at(base, source.data)
    for mount in source.layering.mounts():
        if part := mount.layer.part:
            told = part.contract
            listed = [("hidden", t.path, t.at) for t in told.hide]
            listed += [("add only" if k.add else "locked", k.path, k.at) for k in told.lock]
            listed += [("must fit", c.path, c.at) for c in told.constrain]
            for word, path, place in listed:
                if at[: len(base)] == base and matches((*mount.path, *path), at[len(base) :], data):
                    yield word, part, place


def unseen_in(source: Source, resolved: Resolved) -> list[Pointer]:
    """Return the places of a document that are hidden from it: whatever stands there, nothing else is said of it."""
    unseen = resolved.source.layering.unseen if isinstance(resolved.source, Merged) else ()
    return [at for layer, at in unseen if layer.source is source]


def taken_from(at: Pointer, resolved: Resolved) -> bool:
    """Say whether a layer has something at a place, or right above, that was not merged: who knows what would be right then."""
    source = resolved.source
    if not isinstance(source, Merged) or not source.layering.taken:
        return False
    broken = source.layering.robbed
    stacks = [found[0] for found in (source.stack(at), source.stack(at[:-1])) if found]
    return any((entry.layer, entry.at) in broken for stack in stacks for entry in stack)


def blamed(finding: Diagnostic, resolved: Resolved) -> Diagnostic:
    """Return the finding about the whole, told to whoever can mend it: a missing field may be one that a part hides."""
    missing = re.match(r"`(\w+)` is missing", finding.message) if finding.code == "AIG1002" else None
    if missing is None or not isinstance(resolved.source, Merged):
        return finding
    place = (*finding.at, missing[1])
    holding = resolved.source.stack(finding.at)
    layering = resolved.source.layering
    for path, part, at in _hiding(resolved):
        if not matches(path, place[1:], value_at(("spec",), resolved.source.data)):
            continue
        if any(layering.free(part, entry.layer) for entry in (holding[0] if holding else ())):
            message = f"`{missing[1]}` is required and hidden here, and nobody sets it"
            hint = f"set it in the config of this part, or do not hide it; {finding.hint}" if finding.hint else ""
            return part.source.locate(Diagnostic("AIG2026", Severity.ERROR, message, at, hint))
        message = f'{named(finding.at, resolved.source.data)} cannot be added here: "{part.name}" leaves only some fields open'
        hint = "change an item that is there already"
        return Diagnostic("AIG2027", Severity.ERROR, message, finding.at, hint)
    return finding
