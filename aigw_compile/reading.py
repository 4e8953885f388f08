"""Command line arguments to a project: its root, its project file, and the documents of every file that belongs to it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json, Severity, Span, nearest
from aigw_compile.project import FILENAME, Project, project_of, root_of
from aigw_compile.source import Source, read
from aigw_compile.validate import validate_project

CODES = {
    "AIG0101": (
        "error",
        "a second project file",
        "Only the farthest aigw-compile.yaml within a repository counts. One below it would let a folder bring its own "
        "rules, so it is an error: move its settings to the root, or delete it.",
    ),
    "AIG0102": (
        "error",
        "nearly a document of ours",
        "A document whose kind is AIGateway, or nearly so, but whose apiVersion is missing or misspelt would be "
        "skipped as somebody else's. Write `apiVersion: aigw.dev/v1alpha1`.",
    ),
    "AIG0103": (
        "error",
        "two gateways of one name",
        "Outputs go to OUTPUT/<gateway>/, so the names of the gateways of a project must differ.",
    ),
    "AIG0104": (
        "error",
        "no gateway found",
        "None of the files holds a document with `apiVersion: aigw.dev/v1alpha1` and `kind: AIGateway`.",
    ),
    "AIG0106": (
        "error",
        "a link that leads out of the project",
        "Only files below the project's root are read. A symbolic link to anything else is not followed, so that a pull "
        "request cannot make the compiler read, and show, files of the machine that it runs on.",
    ),
    "AIG0105": (
        "error",
        "the project file names what does not exist",
        "aigw-compile.yaml names a target, profile or option that this version does not know.",
    ),
}

OURS = "aigw.dev/"
KINDS = ("AIGateway", "AIGatewayConfig")


class Opened(NamedTuple):
    """A project as it was read; nothing is checked yet."""

    project: Project
    documents: tuple[Source, ...]
    """The documents that are ours, in the order of their files."""
    diagnostics: tuple[Diagnostic, ...]
    skipped: int
    """How many documents and files belong to others."""
    project_source: Source | None
    shown_from: Path
    """The folder that file names in messages are relative to: the root, or a folder with several projects."""


def open_projects(arguments: Sequence[Path]) -> list[Opened]:
    """Read everything below the arguments: one project, or several where a folder without a project file holds some.

    Raises FileNotFoundError for an argument that is not there.
    """
    by_root: dict[Path, list[Path]] = {}
    for argument in arguments:
        if not argument.exists():
            raise FileNotFoundError(argument)
        by_root.setdefault(root_of([argument]), []).append(argument)
    shown_from = Path(os.path.commonpath(by_root))
    found: list[Opened] = []
    for root, mine in by_root.items():
        inner = _projects_below(root, mine) if not (root / FILENAME).is_file() else []
        found += [open_project([folder], shown_from=shown_from) for folder in inner]
        own = open_project(mine, without=inner, shown_from=shown_from)
        if own.documents or own.diagnostics or not inner:
            found.append(own)
    return found


def _projects_below(root: Path, arguments: Sequence[Path]) -> list[Path]:
    """The outermost folders below the arguments that have a project file."""
    found: list[Path] = []
    for top in sorted({a.resolve() for a in arguments if a.is_dir()}):
        for folder, names, files in os.walk(top):
            if FILENAME in files and Path(folder) != root:
                found.append(Path(folder))
                names.clear()
            names[:] = sorted(n for n in names if not n.startswith("."))
    return found


def open_project(arguments: Sequence[Path], *, without: Sequence[Path] = (), shown_from: Path | None = None) -> Opened:
    """Read everything below the arguments that belongs to one project, but for what stands below `without`."""
    root = root_of(arguments)
    shown_root = shown_from or root
    project, source, diagnostics = _project(root, shown_root)
    documents: list[Source] = []
    skipped = 0
    for path, asked_for in _files(project, arguments):
        if any(path.is_relative_to(folder) for folder in without):
            continue
        name = _shown(path, shown_root)
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            hint = "copy the file into the project; a link out of it would read whatever it points to"
            outside = Diagnostic("AIG0106", Severity.ERROR, "this link leads out of the project", (), hint)
            diagnostics.append(_at_start(outside, name))
            continue
        if path.name == FILENAME:
            if path.parent != root:
                hint = f"the one that counts is {_shown(root / FILENAME, shown_root)}; move what is needed there"
                diagnostics.append(
                    _at_start(Diagnostic("AIG0101", Severity.ERROR, "a second project file", (), hint), name)
                )
            continue
        found, findings = read(path, name)
        if not found and findings and not asked_for and OURS.encode() not in _raw(path):
            skipped += 1
            continue
        diagnostics.extend(findings)
        for document in found:
            near = _near_miss(document)
            if near:
                diagnostics.append(document.locate(near))
            elif _ours(document.data):
                documents.append(document)
            else:
                skipped += 1
    return Opened(project, tuple(documents), tuple(diagnostics), skipped, source, shown_root)


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _project(root: Path, shown_root: Path) -> tuple[Project, Source | None, list[Diagnostic]]:
    path = root / FILENAME
    if not path.is_file():
        return Project(root), None, []
    sources, diagnostics = read(path, _shown(path, shown_root))
    if not sources:
        return Project(root), None, diagnostics
    source = sources[0]
    found = [*validate_project(source.data), *_unknown_names(source.data)]
    diagnostics = [*diagnostics, *map(source.locate, found)]
    if any(d.severity is Severity.ERROR for d in found) or not isinstance(source.data, dict):
        return Project(root), source, diagnostics
    return project_of(source.data, root), source, diagnostics


def _unknown_names(data: Json) -> Iterator[Diagnostic]:
    """Yield an AIG0105 for each profile and option of a target that does not exist."""
    targets = data.get("targets") if isinstance(data, dict) else None
    if not targets:
        return
    from aigw_compile.target import TARGETS, head

    for name, entry in (targets or {}).items() if isinstance(targets, dict) else ():
        if name not in TARGETS or not isinstance(entry, dict):
            continue
        facts = head(name)
        for key, value in entry.items():
            known = (
                tuple(facts.profiles)
                if key == "profile"
                else facts.options[key].values
                if key in facts.options
                else None
            )
            if known is not None and str(value) not in known:
                likely = nearest(str(value), known)
                hint = (f'did you mean "{likely}"? ' if likely else "") + f"known: {', '.join(known)}"
                message = f'{name} has no {key} "{value}"'
                yield Diagnostic("AIG0105", Severity.ERROR, message, ("targets", name, key), hint)
            elif known is None and key not in ("accept", "acceptSecurity"):
                known = ("profile", "accept", "acceptSecurity", *facts.options)
                hint = f"known: {', '.join(known)}"
                message = f'{name} has no option "{key}"'
                yield Diagnostic("AIG0105", Severity.ERROR, message, ("targets", name, key), hint, on_key=True)


def _files(project: Project, arguments: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield each file to read, once and in a fixed order, and whether an argument names it."""
    named = {argument.resolve() for argument in arguments if argument.is_file()}
    yield from ((path, True) for path in sorted(named))
    folders = [argument.resolve() for argument in arguments if argument.is_dir()]
    output = (project.root / project.output).resolve()
    excluded = [_glob(pattern) for pattern in project.exclude]
    sources = [(project.root / s).resolve() for s in project.sources] or [project.root]
    seen = set(named)
    for folder in folders:
        for top in sources:
            start = folder if folder.is_relative_to(top) else top if top.is_relative_to(folder) else None
            for path in _yaml_below(start, output) if start else ():
                name = path.relative_to(project.root).as_posix()
                if path not in seen and not any(pattern.fullmatch(name) for pattern in excluded):
                    seen.add(path)
                    yield path, False


def _yaml_below(start: Path, output: Path) -> Iterator[Path]:
    if start.is_file():
        yield start
        return
    for folder, names, files in os.walk(start):
        names[:] = sorted(n for n in names if not n.startswith(".") and Path(folder, n) != output)
        for name in sorted(files):
            path = Path(folder, name)
            if path.suffix in (".yaml", ".yml") and not name.startswith(".") and path.is_file():
                yield path


def _glob(pattern: str) -> re.Pattern[str]:
    """`**` is any number of folders, `*` and `?` stay within one name, as in .gitignore; a folder covers what is below."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.rstrip("/"))
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(words.get(part, re.escape(part)) for part in parts) + "(?:/.*)?")


def _ours(data: Json) -> bool:
    version = data.get("apiVersion") if isinstance(data, dict) else None
    return isinstance(version, str) and version.startswith(OURS)


def _near_miss(document: Source) -> Diagnostic | None:
    """A document that was surely meant for us but would be skipped: our kind without our apiVersion."""
    data = document.data
    if not isinstance(data, dict) or _ours(data):
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


def _raw(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8 << 20)
    except OSError:
        return b""


def _at_start(diagnostic: Diagnostic, file: str) -> Diagnostic:
    return diagnostic._replace(span=Span(file, 1, 1, 1, 1))
