"""The whole journey, in two phases: check a project once, then build each gateway for as many targets as you like.

    open_project  arguments -> a root, a project file, documents with a place for every key and value     reading, source
    check         document -> resolve -> validate -> rules -> lower -> rules -> ir.Gateway                no target known
    build         ir.Gateway + a target's facts -> plan -> emit -> verify -> documents                    nothing written
    compare       what stood there before x what was built -> diff                                        meaning, target

Every step returns diagnostics beside its result; an exception is a mistake of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Diagnostic, Json, Related, Severity, Span, failed
from aigw_compile.lower import lower
from aigw_compile.mask import bare, overlaps
from aigw_compile.project import Accept, Project, TargetChoice
from aigw_compile.prune import pruned
from aigw_compile.reading import Opened, open_project, open_projects
from aigw_compile.resolve import (
    Library,
    Part,
    Resolved,
    blamed,
    of_parts,
    own_findings,
    required,
    resolve,
    resolve_part,
)
from aigw_compile.rules import dangling, run_data, run_gateway
from aigw_compile.schema import with_defaults
from aigw_compile.source import Source, parse
from aigw_compile.validate import validate, validate_layer, validate_part

if TYPE_CHECKING:
    from aigw_compile.document import Document
    from aigw_compile.plan import Plan
    from aigw_compile.target import TargetFacts


class Checked(NamedTuple):
    """One document after the first phase. It has a gateway unless a diagnostic is an error, or it is a part."""

    source: Source
    gateway: ir.Gateway | None
    diagnostics: tuple[Diagnostic, ...]
    part: Part | None = None

    @property
    def name(self) -> str:
        """The name of the gateway; "" where the document does not say."""
        metadata = self.source.data.get("metadata") if isinstance(self.source.data, dict) else None
        name = metadata.get("name") if isinstance(metadata, dict) else None
        return name if isinstance(name, str) else ""


class Build(NamedTuple):
    """What one target gets. No documents where a diagnostic is an error."""

    target: TargetFacts
    plan: Plan
    documents: tuple[Document, ...]
    diagnostics: tuple[Diagnostic, ...]


SHARED = frozenset(("AIG3060",))
"""Codes that are not said of what parts alone bring in: other gateways may need it."""
UNRESOLVED = frozenset(("AIG2001", "AIG2002", "AIG2003", "AIG2004", "AIG2005", "AIG2008", "AIG2010"))
"""Codes that say that something of the whole is not there."""


class Reuse(NamedTuple):
    """What a run knows of the parts of its project."""

    library: Library
    frozen: bool
    """Every configRef must name the digest of its part."""
    unread: Mapping[str, Sequence[Diagnostic]]
    """File -> what is wrong with it, where it is read for its parts alone."""
    parts: dict[Part, Checked]
    """Those that were checked already."""


def hidden_spans(checked: Iterable[Checked]) -> tuple[Span, ...]:
    """Return the regions of files that parts hide, for whoever shows a line of a file."""
    return tuple(dict.fromkeys(span for one in checked for span in one.source.hidden_spans()))


def _outside(findings: Sequence[Diagnostic], sources: Iterable[Source]) -> Iterator[Diagnostic]:
    """Leave out of findings every word that stands in a hidden region."""
    hidden = tuple(dict.fromkeys(span for source in sources for span in source.hidden_spans())) if findings else ()
    yield from (bare(d) if d.span and overlaps(d.span, hidden) else d for d in findings)


def check(opened: Opened, *, frozen: bool = False) -> tuple[tuple[Checked, ...], tuple[Diagnostic, ...]]:
    """Check every gateway of a project; return them, and the findings that belong to none of them.

    Parts that were asked for are checked by themselves; all others where a gateway or a part is made from them.
    """
    folder = opened.project.root.relative_to(opened.shown_from).as_posix()
    library = Library(opened.parts, opened.links, "" if folder == "." else folder)
    reuse = Reuse(library, frozen, opened.part_diagnostics, {})
    gateways = [check_document(source, opened.project, reuse) for source in opened.documents]
    asked = [part for part in library.every if part.source in opened.asked_parts]
    parts = [check_part(part, reuse, opened.project) for part in asked]
    checked = (*gateways, *parts)
    return checked, (*_outside(opened.diagnostics, [one.source for one in checked]), *_doubles(gateways))


def check_document(source: Source, project: Project | None = None, reuse: Reuse | None = None) -> Checked:
    """Check one gateway: everything that can be said about it comes at once, whatever else is wrong."""
    reuse = reuse or Reuse(Library([source] if source.is_part else ()), False, {}, {})
    if source.is_part:
        return check_part(reuse.library.every[0], reuse, project)
    resolved = resolve(source, reuse.library, reuse.frozen)
    said = [*_outside([*_of_layers(source, resolved, reuse, project)], [resolved.source])] if resolved.layered else []
    source = resolved.source
    if any(d.code in UNRESOLVED or "configRef" in d.at for d in said):
        return Checked(source, None, tuple(said))  # what the whole lacks may be in the part that was not found
    findings = [*validate(source.data), *run_data(source.data)]
    broken = failed(findings) or failed(said)
    whole = with_defaults(pruned(source.data, findings, _unfit) if failed(findings) else source.data)
    gateway = lower(whole) if isinstance(whole, dict) else None
    if gateway is not None:
        findings += run_gateway(gateway, [d.at for d in findings if d.severity is Severity.ERROR])
    own = (d for d in findings if d.code not in SHARED or not of_parts(source, d.at))
    located = [source.locate(blamed(d, resolved)) for d in _levelled(own, project)]
    located += [source.locate(d) for d in required(source, resolved, project, reuse.library)] if project else []
    good = gateway if not broken and not failed(located) else None
    return Checked(source, good, (*said, *_news(located, said)))


def check_part(part: Part, reuse: Reuse, project: Project | None = None) -> Checked:
    """Check one part, its contract, and how it stands with the parts that it builds on."""
    if part not in reuse.parts:
        reuse.parts[part] = Checked(part.source, None, (), part)  # parts may refer to each other in a circle
        resolved = resolve_part(part, reuse.library)
        found = [*reuse.unread.get(part.source.file, ())]
        found += [part.source.locate(d) for d in validate_part(part.source.data)]
        found += _levelled(own_findings(part, reuse.library, reuse.frozen), project)
        found += [d for own in resolved.parts for d in check_part(own, reuse, project).diagnostics]
        said = _outside([*found, *_news(resolved.diagnostics, found)], [resolved.source])
        reuse.parts[part] = Checked(resolved.source, None, tuple(said), part)
    return reuse.parts[part]


def _of_layers(source: Source, resolved: Resolved, reuse: Reuse, project: Project | None) -> Iterator[Diagnostic]:
    """Yield what is wrong with the document by itself, with its parts, and with how they fit together."""
    bound = resolved.diagnostics
    unseen = {d.span[:5] for d in bound if d.span and d.code == "AIG1001"}
    yield from (d for d in map(source.locate, validate_layer(source.data)) if not d.span or d.span[:5] not in unseen)
    yield from bound
    for part in resolved.parts:
        yield from check_part(part, reuse, project).diagnostics


def _news(findings: Iterable[Diagnostic], said: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Yield what was not said already of the same text, by whatever way it came in."""
    known = {(d.code, d.message, d.span[:5] if d.span else None) for d in said}
    for finding in findings:
        key = (finding.code, finding.message, finding.span[:5] if finding.span else None)
        if key not in known:
            known.add(key)
            yield finding


def _unfit(data: Json) -> Iterator[Diagnostic]:
    """Yield why a document cannot be lowered yet; names that lost what they refer to are among it."""
    yield from validate(data)
    yield from dangling(data)


def check_text(text: str, file: str = "gateway.yaml") -> Checked:
    """Check the first document of a text: for tests and for use as a library."""
    sources, diagnostics = parse(text, file)
    if not sources:
        raise ValueError(diagnostics)
    checked = check_document(sources[0])
    return checked._replace(diagnostics=(*diagnostics, *checked.diagnostics))


def choices(project: Project, asked: Sequence[TargetChoice] = ()) -> tuple[TargetChoice, ...]:
    """Return the targets to build: those asked for, else those of the project file, else every one in its default profile.

    A target that is asked for without a profile or options takes those of the project file.
    """
    from aigw_compile.target import TARGETS

    own = {choice.name: choice for choice in project.targets}
    if not asked:
        return project.targets or tuple(TargetChoice(name, "", {}) for name in TARGETS)
    return tuple(
        own[choice.name]._replace(profile=choice.profile or own[choice.name].profile) if choice.name in own else choice
        for choice in asked
    )


def build(checked: Checked, choice: TargetChoice, accepts: Sequence[Accept] = (), *, native: bool = False) -> Build:
    """Build a checked gateway for one target. `native` also asks the target's own binary, where there is one."""
    # The second phase has its imports here: `lint` stops before it, and starts faster without them.
    from aigw_compile.emitters import emitter
    from aigw_compile.plan import plan
    from aigw_compile.target import facts
    from aigw_compile.verify import verify, verify_native

    assert checked.gateway is not None
    target = facts(choice.name, choice.profile, choice.options)
    decided = plan(checked.gateway, checked.source.data, target, accepts)
    findings = [checked.source.locate(d) for d in decided.diagnostics()]
    if failed(findings):
        return Build(target, decided, (), tuple(findings))
    documents = emitter(choice.name)(checked.gateway, decided)
    hides = checked.source.veil
    wrong = [*verify(choice.name, documents, hides)]
    if native and not wrong:
        wrong = [*verify_native(choice.name, documents, hides)]
    findings += (d._replace(message=hides.text(d.message), span=checked.source.span(())) for d in wrong)
    return Build(target, decided, () if failed(wrong) else documents, tuple(findings))


def unused_accepts(project: Project, source: Source | None, builds: Iterable[Build]) -> Iterator[Diagnostic]:
    """Yield a warning for each accepted loss that occurred in none of the builds it speaks of."""
    builds = list(builds)
    used = {accept for b in builds for accept in project.accepts if accept not in b.plan.unused and _speaks(accept, b)}
    idle = {accept for b in builds for accept in b.plan.unused} - used
    for accept in sorted(idle, key=lambda a: tuple(map(str, a.origin))):
        message = f"{accept.target} no longer loses {accept.at} ({accept.code}): delete this entry"
        finding = Diagnostic("AIG6900", Severity.WARNING, message, accept.origin)
        yield source.locate(finding) if source else finding


def _speaks(accept: Accept, build: Build) -> bool:
    return accept.target == build.target.name and accept.profile in ("", build.target.profile)


def _levelled(findings: Iterable[Diagnostic], project: Project | None) -> Iterator[Diagnostic]:
    """Apply the project's `rules`: a warning or hint can be switched off or made heavier; an error stays one."""
    levels = project.rules if project else {}
    for finding in findings:
        level = levels.get(finding.code)
        if level is None or finding.severity is Severity.ERROR:
            yield finding
        elif level != "off":
            yield finding._replace(severity=Severity[level.upper()])


def _doubles(checked: Sequence[Checked]) -> Iterator[Diagnostic]:
    first: dict[str, Checked] = {}
    for one in checked:
        if one.name and one.name in first:
            other = first[one.name].source
            place = other.span(("metadata", "name"))
            message = f'a gateway named "{one.name}" stands in {place.file}:{place.line} already'
            related = (Related("the first one", ("metadata", "name"), place),)
            hint = "outputs go to OUTPUT/<gateway>/: give each gateway of a project its own name"
            at = ("metadata", "name")
            yield one.source.locate(Diagnostic("AIG0103", Severity.ERROR, message, at, hint, related))
        first.setdefault(one.name, one)


__all__ = [
    "Build",
    "Checked",
    "Opened",
    "Project",
    "build",
    "check",
    "check_document",
    "check_text",
    "choices",
    "hidden_spans",
    "open_project",
    "open_projects",
    "unused_accepts",
]
