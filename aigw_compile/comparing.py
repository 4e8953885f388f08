"""Where the sides of a diff come from, and where a diff goes: outputs on disk, a folder, a revision of git; diff.json and diff.md."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from aigw_compile import compiler, live, write
from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity, Span, did_you_mean
from aigw_compile.diff import CLASSES, Change, Diff, Side, diff
from aigw_compile.document import Document, lines_of, source_map, text_of
from aigw_compile.project import Accept, Project, TargetChoice
from aigw_compile.render.changed_sarif import Spans
from aigw_compile.render.changes import as_data
from aigw_compile.render.grouped import Places
from aigw_compile.render.markdown import markdown
from aigw_compile.revisions import SideError as SideError
from aigw_compile.revisions import unpack
from aigw_compile.source import Source, parse
from aigw_compile.target import TARGETS, TargetFacts, facts


class Sides(NamedTuple):
    """Every gateway of one side, with what is needed to say where its lines are."""

    gateways: Mapping[str, Side]
    sources: Mapping[str, Source]
    facts: Mapping[str, TargetFacts]


def classes_of(text: str | None) -> tuple[str, ...]:
    """Return the classes of `--fail-on breaking,cost`. Raises SideError with a guess."""
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    for name in names:
        if name not in CLASSES:
            raise SideError(f'no class of change "{name}": {did_you_mean(name, CLASSES)}')
    return names


# --- sides


def side_of(text: str, project: Project, choices: Sequence[TargetChoice], *, frozen: bool = False) -> Sides:
    """Return the side that a path, an output folder or git:REV names. Raises SideError."""
    if text.startswith("git:"):
        with tempfile.TemporaryDirectory(prefix="aigw-diff-") as folder:
            unpack(text.removeprefix("git:"), project.root, Path(folder))
            return _built([Path(folder)], choices, project.accepts, frozen)
    path = Path(text)
    if text.startswith((*live.PREFIXES,)) or live.file(path):
        raise SideError(f"{text}: what runs is a side of `aigw-compile diff` alone")
    if not path.exists():
        raise SideError(
            f"{text} is not there; a side is a spec, a folder, an output folder, git:REV, "
            "kong:URL, envoy:URL, kubernetes:CONTEXT or proxy:URL"
        )
    outputs = _outputs(path)
    return outputs if outputs.gateways else _built([path], choices, project.accepts, frozen)


def current(paths: Sequence[Path], choices: Sequence[TargetChoice], project: Project, *, frozen: bool = False) -> Sides:
    """Return the side of specs as they are now."""
    return _built(paths, choices, project.accepts, frozen)


def _built(
    paths: Sequence[Path], choices: Sequence[TargetChoice], accepts: Sequence[Accept], frozen: bool = False
) -> Sides:
    """Check and build; a target that one side cannot build is left out of it. Raises SideError for a broken spec."""
    gateways: dict[str, Side] = {}
    sources: dict[str, Source] = {}
    for opened in compiler.open_projects(paths):
        checked, general = compiler.check(opened, frozen=frozen)
        broken = [d for d in (*general, *(d for c in checked for d in c.diagnostics)) if d.severity is Severity.ERROR]
        if broken:
            first = broken[0]
            place = f"{first.span.file}:{first.span.line}: " if first.span else ""
            raise SideError(f"{place}{first.code} {first.message} (run `aigw-compile lint` on that side)")
        for one in (c for c in checked if c.part is None):
            builds = [compiler.build(one, choice, (*accepts, *opened.project.accepts)) for choice in choices]
            documents = {b.target.name: {d.filename: d.body for d in b.documents} for b in builds if b.documents}
            gateways[one.name] = Side(one.source.data, documents, one.name, one.source.veil, one.gateway)
            sources[one.name] = one.source
    return Sides(gateways, sources, {c.name: facts(c.name, c.profile, c.options) for c in choices})


def _outputs(path: Path) -> Sides:
    """The side that output folders hold: OUTPUT, OUTPUT/<gateway> or OUTPUT/<gateway>/<target>."""
    gateways: dict[str, Side] = {}
    sources: dict[str, Source] = {}
    # No deeper: a folder of specs may have the output folder below it, and is no output for that.
    for spec in sorted(spec for above in ("", "*/", "*/*/") for spec in path.glob(f"{above}{write.SPEC}")):
        folder = spec.parent
        if folder.name not in TARGETS:
            continue
        side = on_disk(folder)
        if side is None:
            continue
        held = gateways.get(side.gateway)
        documents = {**(held.documents if held else {}), **side.documents}
        gateways[side.gateway] = side._replace(documents=documents)
    return Sides(gateways, sources, {name: facts(name) for name in TARGETS})


def on_disk(folder: Path, again: compiler.Build | None = None, accepts: Sequence[Accept] = ()) -> Side | None:
    """Return what stands in the output folder of a target, or None if nothing does.

    The spec that is kept there is built again, since what is built knows its origins: what this compiler makes otherwise is
    told apart from what the spec changes. `again` is the build of the spec as it is now, whose target and profile are used.
    """
    texts = write.previous(folder)
    if write.SPEC not in texts:
        return None
    held = write.bodies(texts)
    data, _ = write.spec_of(held.pop(write.SPEC))
    documents: Mapping[str, Json] = held
    if again is not None:
        choice = TargetChoice(again.target.name, again.target.profile, again.target.options)
        documents = {d.filename: d.body for d in _rebuilt(data, choice, accepts)} or held
        held = write.from_json(held, documents)
    stood = {} if documents == held else {folder.name: held}
    metadata = data.get("metadata") if isinstance(data, dict) else None
    name = metadata.get("name", "") if isinstance(metadata, dict) else ""
    return Side(data, {folder.name: documents}, str(name), write.veil_of(folder), stood=stood)


def _rebuilt(data: Json, choice: TargetChoice, accepts: Sequence[Accept]) -> tuple[Document, ...]:
    sources, _ = parse(text_of(Document(write.SPEC, data)), write.SPEC)
    checked = compiler.check_document(sources[0]) if sources else None
    return compiler.build(checked, choice, accepts).documents if checked and checked.gateway else ()


# --- what runs as a side


class Drifting(NamedTuple):
    """The diff of a gateway where a side is what runs, and what is to say of it."""

    diff: Diff
    spans: Spans
    findings: tuple[Diagnostic, ...]


def live_of(text: str | None) -> live.Running | None:
    """Return what runs at kong:URL and its like, or what a file of such a thing holds; None for another side. Raises SideError."""
    try:
        if not text or text.startswith("git:"):
            return None
        return live.running(text, os.environ) or live.file(Path(text))
    except live.LiveError as wrong:
        raise SideError(str(wrong)) from None


def live_choice(choices: Sequence[TargetChoice], running: Sequence[live.Running]) -> TargetChoice:
    """Return what is compiled to be held against what runs. Raises SideError for two targets."""
    names = sorted({side.target for side in running})
    if len(names) > 1:
        raise SideError(f"{' and '.join(side.title for side in running)} are of two targets: compare each with a spec")
    return next((choice for choice in choices if choice.name in names), TargetChoice(names[0], "", {}))


def drifts(old: Sides | live.Running, new: Sides | live.Running, choice: TargetChoice) -> Iterator[Drifting]:
    """Yield the diff of each gateway of the side that is compiled; where none is, of each that either has. Raises SideError."""
    compiled = [side for side in (old, new) if isinstance(side, Sides)]
    running = [side for side in (old, new) if isinstance(side, live.Running)]
    there = sorted({name for side in running for name in side.gateways})
    named = [*compiled[0].gateways] if compiled else there
    target = compiled[0].facts[choice.name] if compiled else facts(choice.name, choice.profile)
    if not named:
        raise SideError("neither side says of which gateway it is: compare each with a spec")
    if len(named) > 1 and any(side.alone for side in running):
        named = _same(running[0], named, there)
    try:
        for name in named:
            before, after = (_as_running(side, name, target) for side in (old, new))
            drift = live.compare(before, after, name, target)
            sources = [side.sources.get(name) if isinstance(side, Sides) else None for side in (new, old)]
            yield Drifting(drift.diff, spans(*sources, whole=False), drift.findings)
    except live.LiveError as wrong:
        raise SideError(str(wrong)) from None


def _same(running: live.Running, named: Sequence[str], there: Sequence[str]) -> list[str]:
    """Of several gateways the one that runs. Raises SideError."""
    if same := [name for name in named if name in there]:
        return same
    runs = ", ".join(there) or "none that it names"
    raise SideError(f"{running.title} runs {runs}, and here are {', '.join(named)}: name the spec to compare it with")


def _as_running(side: Sides | live.Running, name: str, target: TargetFacts) -> live.Running:
    if isinstance(side, live.Running):
        return side
    one = side.gateways[name]
    held = one.documents.get(target.name)
    if not held:
        raise SideError(
            f"{name} cannot be built for {target.title}: `aigw-compile build --target {target.name}` says why"
        )
    return live.documents(target.name, name, held, one.veil)


# --- diffs


def spans(new: Source | None, old: Source | None, *, whole: bool = True) -> Spans:
    """Return what says where a change was made: in the new spec, or in the old one for what is gone.

    Without `whole` nothing is said of what no place of a spec is known for.
    """

    def of(change: Change) -> Span | None:
        source = old if change.old else new
        return None if source is None or not (whole or change.at) else source.span(change.at)

    return of


def places(of: Spans) -> Places:
    """Return what says in words where a change was made."""

    def told(change: Change) -> str:
        span = of(change)
        return written(span) if span else ""

    return told


def written(span: Span) -> str:
    """Return a place in text as people write it, with the configRefs that it came through, the nearest first."""
    chain = []
    via = span.via
    while via:
        chain.append(f"{via.file}:{via.line}")
        via = via.via
    through = f" (through configRef in {', '.join(chain)})" if chain else ""
    return f"{span.file}:{span.line}:{span.column}{through}"


class Built(NamedTuple):
    """The diff of one build against what stood there before."""

    diff: Diff
    places: Places


def alike(one: Side, other: Side) -> Side:
    """Return a side whose outputs have the names of the other's, where `--emit json` wrote those of one of them alone."""
    held = {name: write.from_json(found, other.documents.get(name, ())) for name, found in one.documents.items()}
    return one._replace(documents=held)


def of_build(
    one: compiler.Checked, built: compiler.Build, there: Path, against: Sides | None, *, emit: str = "yaml"
) -> Built:
    """Compare a build with what stands in its folder, or with another side; told under the names of what is written."""
    found = _of_build(one, built, there, against)
    names = {d.filename: write.json_name(d.filename) for d in built.documents} if emit == "json" else {}
    targets = {
        name: tuple(t._replace(place=_renamed(t.place, names)) for t in changes)
        for name, changes in found.diff.targets.items()
    }
    samples = [tuple(_renamed(s, names, f"{built.target.name}/") for s in c.samples) for c in found.diff.changes]
    changes = tuple(c._replace(samples=s) for c, s in zip(found.diff.changes, samples, strict=True))
    return found._replace(diff=found.diff._replace(targets=targets, changes=changes))


def _renamed(place: str, names: Mapping[str, str], before: str = "") -> str:
    file, colon, rest = place.removeprefix(before).partition(": ")
    return f"{before}{names.get(file, file)}{colon}{rest}"


def _of_build(one: compiler.Checked, built: compiler.Build, there: Path, against: Sides | None) -> Built:
    name = built.target.name
    hides = one.source.veil
    new = Side(one.source.data, {name: {d.filename: d.body for d in built.documents}}, one.name, hides, one.gateway)
    losses = [x for x in built.plan.losses if x.accepted and x.security]
    accepted = [f"{built.target.title}: {hides.text(f'{x.place}: {x.capability.note}')} ({x.accepted})" for x in losses]
    if against is not None:
        old = against.gateways.get(one.name)
        found = diff(old and alike(old, new), new, {name: built.target}, accepted)
        return Built(found, places(spans(one.source, against.sources.get(one.name))))
    reasons = [
        Accept(x.feature.code, x.place, x.accepted, x.security, name, "", "", ("accepted", i))
        for i, x in enumerate(built.plan.losses)
        if x.accepted
    ]
    old = on_disk(there, built, reasons)
    return Built(diff(old, new, {name: built.target}, accepted), places(spans(one.source, None)))


def findings(built: Built) -> Iterator[Diagnostic]:
    """Yield a warning where an output changed although the spec did not, and where nobody has said what a change means."""
    for change in built.diff.changes:
        if "unclassified" in change.classes:
            message = f"{built.diff.gateway}: {change.place} changed, and no class of change is declared for it"
            yield Diagnostic("AIG7002", Severity.WARNING, message, (), "look at it yourself: the diff cannot judge it")
    yield from unexplained(built.diff)
    for name, found in built.diff.targets.items():
        alone = [t for t in found if not t.causes and not t.unexplained]
        if alone:
            message = f"{built.diff.gateway}: {name} changed in {len(alone)} places although the spec did not"
            yield Diagnostic("AIG7001", Severity.WARNING, message, (), f"the first is {alone[0].place}; see diff.md")


def unexplained(found: Diff) -> Iterator[Diagnostic]:
    """Yield what this compiler made of both sides, and no change of the spec explains: a mistake of ours."""
    if mine := found.unexplained:
        message = f"{found.gateway}: nothing explains {len(mine)} differences of the outputs"
        yield Diagnostic("AIG9004", Severity.WARNING, message, (), f"the first is {mine[0].place}; please report it")


def documents(built: Built, there: Path) -> list[Document]:
    """Return diff.json and diff.md; nothing where nothing changed, so that an unchanged build leaves the old ones."""
    if built.diff.empty and not built.diff.first and (there / "diff.json").exists():
        return []
    return [
        Document("diff.json", as_data([built])),
        Document("diff.md", markdown([built])),
    ]


def map_document(one: compiler.Checked, document: Document) -> Document:
    """Return OUTPUT.map.json: for each line of an output the places of the spec that it came from."""
    mapped: dict[Pointer, list[Pointer]] = {}
    for out, origin in source_map(document.body):
        mapped.setdefault(out, []).append(origin)
    lines: list[Json] = []
    for _, out in lines_of(document):
        here = out
        while here not in mapped and here:
            here = here[:-1]
        spans = [one.source.span(origin) for origin in dict.fromkeys(mapped.get(here, [()]))]
        lines.append([f"{s.file}:{s.line}:{s.column}" for s in spans])
    return Document(f"{document.filename}.map.json", {"version": 1, "output": document.filename, "lines": lines})
