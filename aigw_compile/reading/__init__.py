"""Command line arguments to a project: its root, its project file, the documents that were asked for, and every part of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from aigw_compile.diagnostic import Diagnostic
from aigw_compile.project import FILENAME, Project, root_of
from aigw_compile.reading.codes import CODES
from aigw_compile.reading.files import asked, below, projects_below
from aigw_compile.reading.gather import Files, at_start, refers
from aigw_compile.reading.jail import Place
from aigw_compile.reading.links import Links, follow_all
from aigw_compile.reading.projectfile import project_file
from aigw_compile.source import Source

__all__ = ["CODES", "Opened", "open_project", "open_projects"]


class Opened(NamedTuple):
    """A project as it was read; nothing is checked yet."""

    project: Project
    documents: tuple[Source, ...]
    """The documents asked for that are ours, but for parts, in the order of their files."""
    diagnostics: tuple[Diagnostic, ...]
    """What is wrong with the files asked for, the project file, and the project as a whole."""
    skipped: int
    """How many documents and files belong to others."""
    project_source: Source | None
    shown_from: Path
    """The folder that file names in messages are relative to: the root, or a folder with several projects."""
    parts: tuple[Source, ...] = ()
    """Every part of the whole project, and of the files that a configRef names, whatever was asked for.

    If nothing that was asked for needs parts, those alone that were asked for.
    """
    asked_parts: tuple[Source, ...] = ()
    """Those of `parts` that stand in what was asked for."""
    links: Mapping[tuple[str, str], str | Diagnostic] = Links()
    """(file of the referring document, `file` of its configRef as written) -> the file that it leads to, or what is wrong.

    Files by the names that messages show. The finding has no place: it belongs to the configRef.
    """
    part_diagnostics: Mapping[str, tuple[Diagnostic, ...]] = {}
    """File -> what is wrong with a file that nobody asked for, and that is read for its parts alone."""

    @property
    def folder(self) -> str:
        """The project's root as the names of files show it; "" where they are relative to it."""
        return self.project.root.relative_to(self.shown_from).as_posix().removeprefix(".")


def open_projects(arguments: Sequence[Path]) -> list[Opened]:
    """Read everything below the arguments: one project, or several where a folder without a project file holds some.

    Raises FileNotFoundError for an argument that is not there.
    """
    by_root: dict[Path, list[Path]] = {}
    for argument in arguments:
        if not os.path.lexists(argument):
            raise FileNotFoundError(argument)
        by_root.setdefault(root_of([argument]), []).append(argument)
    shown_from = Path(os.path.commonpath(by_root))
    found: list[Opened] = []
    for root, mine in by_root.items():
        inner = projects_below(root, mine) if not os.path.lexists(root / FILENAME) else []
        found += [open_project([folder], shown_from=shown_from) for folder in inner]
        own = open_project(mine, without=inner, shown_from=shown_from)
        if own.documents or own.asked_parts or own.diagnostics or not inner:
            found.append(own)
    return found


def open_project(arguments: Sequence[Path], *, without: Sequence[Path] = (), shown_from: Path | None = None) -> Opened:
    """Read everything below the arguments that belongs to one project, but for what stands below `without`."""
    root = root_of(arguments)
    files = Files(root, shown_from or root)
    project, source, of_project_file = project_file(files)
    diagnostics = [*of_project_file]
    left_out: list[Place] = [folder.relative_to(root).parts for folder in without]
    mine: list[Place] = []
    told: set[Place] = set()
    skipped = 0
    for place, wrong, named in asked(project, arguments, left_out):
        if wrong:
            diagnostics.append(at_start(wrong, files.name(place)))
            continue
        file = files.read(place)
        mine.append(place)
        if named or not file.foreign:
            diagnostics += file.findings
            told.add(place)
        skipped += 0 if named and file.foreign else file.skipped
    documents = [d for place in mine for d in files.held[place].documents]
    links, reached = Links(), set[Place]()
    if project.require or any(d.is_part or refers(d) for d in documents):
        for place, wrong, _ in below(project, [()], left_out):
            if not wrong and place not in files.held:
                files.read(place, rest=True)
        links, reached = follow_all(files, [*files.held])
    if files.full and files.full not in diagnostics:
        diagnostics.append(files.full)
    return Opened(
        project,
        tuple(d for d in documents if not d.is_part),
        tuple(diagnostics),
        skipped,
        source,
        files.shown_from,
        tuple(d for place in sorted(files.held) for d in files.held[place].parts),
        tuple(d for d in documents if d.is_part),
        links,
        {
            f.name: f.findings
            for p, f in files.held.items()
            if p not in told and (p in reached or not f.foreign) and f.findings
        },
    )
