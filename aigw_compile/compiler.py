"""The whole journey, in two phases: check a project once, then build each gateway for as many targets as you like.

    open_project  arguments -> a root, a project file, documents with a place for every key and value     reading, source
    check         document -> resolve -> validate -> rules -> lower -> rules -> ir.Gateway                no target known
                  (with the parts that it refers to, where it does: reuse, resolve)
    build         ir.Gateway + a target's facts -> plan -> emit -> verify -> documents                    nothing written
    compare       what stood there before x what was built -> diff                                        meaning, target

Every step returns diagnostics beside its result; an exception is a mistake of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Diagnostic, Json, Related, Severity, Span, failed
from aigw_compile.lower import lower
from aigw_compile.project import Accept, Project, TargetChoice, levelled
from aigw_compile.prune import pruned
from aigw_compile.reading import Opened, open_project, open_projects
from aigw_compile.rules import dangling, run_data, run_gateway
from aigw_compile.schema import with_defaults
from aigw_compile.source import Source, parse
from aigw_compile.validate import has_refs, validate

if TYPE_CHECKING:
    from aigw_compile.document import Document
    from aigw_compile.plan import Plan
    from aigw_compile.resolve import Part
    from aigw_compile.reuse import Reuse
    from aigw_compile.target import TargetFacts


class Checked(NamedTuple):
    """One document after the first phase. It has a gateway unless a diagnostic is an error, or it is a part."""

    source: Source
    gateway: ir.Gateway | None
    diagnostics: tuple[Diagnostic, ...]
    part: Part | None = None
    beside: tuple[Source, ...] = ()
    """Parts that the diagnostics may speak of, also such as this document is not made from."""

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


def hidden_spans(checked: Iterable[Checked]) -> tuple[Span, ...]:
    """Return the regions of files that parts hide, for whoever shows a line of a file."""
    sources = dict.fromkeys(source for one in checked for source in (one.source, *one.beside))
    return tuple(dict.fromkeys(span for source in sources for span in source.hidden_spans()))


def check(opened: Opened, *, frozen: bool = False) -> tuple[tuple[Checked, ...], tuple[Diagnostic, ...]]:
    """Check every document of a project; return them, and the findings that belong to none of them.

    `frozen`: every configRef must name the digest of its part.
    """
    reuse: Reuse | None = None
    parts: tuple[Checked, ...] = ()
    found = opened.diagnostics
    if opened.parts or opened.project.require or any(has_refs(source.data) for source in opened.documents):
        from aigw_compile import reuse as parting
        from aigw_compile.resolve import Library

        library = Library(opened.parts, opened.links, opened.folder)
        reuse = parting.Reuse(library, opened.project, frozen=frozen, unread=opened.part_diagnostics)
        parts = tuple(Checked(w.source, None, w.said, p) for p, w in reuse.parts(opened.asked_parts))
    gateways = tuple(check_document(source, opened.project, reuse) for source in opened.documents)
    if reuse:
        beside = reuse.sources()
        gateways = tuple(one._replace(beside=beside) for one in gateways)
        parts = tuple(one._replace(beside=beside) for one in parts)
        found = tuple(parting.outside(found, [*(one.source for one in gateways), *beside]))
    return (*gateways, *parts), (*found, *_doubles(gateways))


def check_document(source: Source, project: Project | None = None, reuse: Reuse | None = None) -> Checked:
    """Check one document: everything that can be said about it comes at once, whatever else is wrong."""
    if reuse is None and (source.is_part or has_refs(source.data)):
        from aigw_compile.resolve import Library
        from aigw_compile.reuse import Reuse

        reuse = Reuse(Library([source] if source.is_part else ()), project)
    if reuse and source.is_part:
        return next(Checked(w.source, None, w.said, p) for p, w in reuse.parts([source]))
    whole = reuse.gateway(source) if reuse else None
    if whole and not whole.complete:
        return Checked(whole.source, None, whole.said)
    source, said = (whole.source, whole.said) if whole else (source, ())
    findings = [*validate(source.data), *run_data(source.data)]
    broken = failed(findings)
    data = with_defaults(pruned(source.data, findings, _unfit) if broken else source.data)
    gateway = lower(data) if isinstance(data, dict) else None
    if gateway is not None:
        findings += run_gateway(gateway, [d.at for d in findings if d.severity is Severity.ERROR])
    findings = [*levelled(findings, project)]
    located = whole.told(findings) if whole else [*map(source.locate, findings)]
    good = gateway if not broken and not failed((*said, *located)) else None
    return Checked(source, good, (*said, *located))


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
    from aigw_compile.delegate import clashes, split
    from aigw_compile.emitters import emitter
    from aigw_compile.plan import plan
    from aigw_compile.target import facts
    from aigw_compile.verify import judged, verify, verify_native

    assert checked.gateway is not None
    target = facts(choice.name, choice.profile, choice.options)
    decided = plan(checked.gateway, checked.source.data, target, accepts)
    findings = [*map(checked.source.locate, (*decided.diagnostics(), *clashes(checked.gateway, decided)))]
    if failed(findings):
        return Build(target, decided, (), tuple(findings))
    made = [(part.target, emitter(part.target)(part.gateway, decided)) for part in split(checked.gateway, decided)]
    documents = tuple(document for _, mine in made for document in mine)
    hides = checked.source.veil
    wrong = [*judged(target, made[0][1], checked.source.data, hides)]  # the target's own part comes first
    if not wrong:
        wrong = [found for name, mine in made for found in verify(name, mine, hides)]
    if native and not wrong:
        wrong = [*verify_native(choice.name, documents, hides)]
    findings += (checked.source.locate(d._replace(message=hides.text(d.message))) for d in wrong)
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
