"""Arguments and a project to the places of the files that are read, in a fixed order, and what is wrong on the way to them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from aigw_compile.diagnostic import Diagnostic, Severity
from aigw_compile.project import FILENAME, Project, glob
from aigw_compile.reading.jail import YAML, Outside, Place, follow, is_yaml

MOST_FOLDERS = 100_000
"""Folders that are looked into, at most."""

_COPY = "copy the file into the project; a link out of it would read whatever it points to"
_LINK = Diagnostic("AIG0106", Severity.ERROR, "this link leads out of the project", (), _COPY)
_NAME = "if specs stand there, copy them into the project; if not, name the link in `exclude` of aigw-compile.yaml"
_FOLDER = Diagnostic("AIG0109", Severity.HINT, "this link leads out of the project and is not followed", (), _NAME)
_MANY = Diagnostic(
    "AIG0108",
    Severity.ERROR,
    f"the project has more than {MOST_FOLDERS:,} folders; the others are not read",
    (),
    "narrow `sources` in aigw-compile.yaml to the folders with specs",
)


class Found(NamedTuple):
    """A file to read, or what is wrong with the link, the argument or the second project file that stands there."""

    place: Place
    wrong: Diagnostic | None = None
    named: bool = False
    """An argument names it."""


def asked(project: Project, arguments: Sequence[Path], without: Sequence[Place]) -> Iterator[Found]:
    """Yield what the arguments name: files, and what belongs to the project below folders but for the folders `without`."""
    root = project.root
    places: list[Place] = []
    for argument in arguments:
        try:
            places.append(_placed(root, argument))
        except Outside:
            path = Path(os.path.abspath(argument))
            yield Found((path.relative_to(root) if path.is_relative_to(root) else path).parts, _LINK)
    above = {place[:depth] for place in places for depth in range(1, len(place))}
    for folder in sorted(above):
        if os.path.lexists(root.joinpath(*folder, FILENAME)):
            yield Found((*folder, FILENAME), second(project))
    folders = [place for place in dict.fromkeys(places) if os.path.isdir(root.joinpath(*place))]
    files = {place for place in places if place[-1:] not in ((), (FILENAME,))} - {*folders}
    yield from (Found(place, named=True) for place in sorted(files))
    for found in below(project, folders, without):
        if found.place not in files:
            yield found


def _placed(root: Path, argument: Path) -> Place:
    """The place below the root that an argument names. Raises Outside."""
    path = Path(os.path.abspath(argument))
    folder = Path(os.path.realpath(path.parent))
    if not folder.is_relative_to(root):
        if path == root or Path(os.path.realpath(path)) == root:
            return ()
        raise Outside
    place = follow(root, folder.relative_to(root).parts, path.name)
    if path.is_symlink() and not is_yaml(place) and not os.path.isdir(root.joinpath(*place)):
        raise Outside
    return place


def second(project: Project) -> Diagnostic:
    """Return the finding about a project file that stands below the one that counts."""
    hint = f"the one that counts is {FILENAME} of the root; move what is needed there"
    return Diagnostic("AIG0101", Severity.ERROR, "a second project file", (), hint)


def below(project: Project, folders: Sequence[Place], without: Sequence[Place] = ()) -> Iterator[Found]:
    """Yield what belongs to the project below folders, each file once, whatever links lead to it."""
    root = project.root
    excluded = [glob(pattern) for pattern in project.exclude]
    sources = [place for text in project.sources if (place := source(root, text)) is not None] or [()]
    output = source(root, project.output)
    seen: set[Place] = set()

    def left_out(place: Place) -> bool:
        if place == output or place in without or place in seen:
            return True
        name = "/".join(place)
        return any(matches(name) for matches in excluded)

    for folder in folders:
        for top in sources:
            start = folder if folder[: len(top)] == top else top if top[: len(folder)] == folder else None
            if start is None:
                continue
            for found in _tree(root, start, left_out):
                if found.place not in seen:
                    seen.add(found.place)
                    if found.place[-1] != FILENAME:
                        yield found
                    elif len(found.place) > 1:
                        yield Found(found.place, second(project))


def source(root: Path, text: str) -> Place | None:
    """Return the place that an entry of `sources`, or `output`, names; None where it is not below the root."""
    try:
        return None if text.startswith("/") else follow(root, (), text)
    except Outside:
        return None


def _tree(root: Path, start: Place, left_out: Callable[[Place], bool]) -> Iterator[Found]:
    """The YAML files from a folder on, or one file; hidden ones are not looked at."""
    if not os.path.isdir(root.joinpath(*start)):
        if os.path.lexists(root.joinpath(*start)) and not left_out(start):
            yield Found(start)
        return
    entered: set[Place] = set()
    todo = [start]
    while todo:
        folder = todo.pop()
        if folder in entered:
            continue
        entered.add(folder)
        if len(entered) > MOST_FOLDERS:
            yield Found(folder, _MANY)
            return
        inner: list[Place] = []
        for entry in _entries(root.joinpath(*folder)):
            place: Place = (*folder, entry.name)
            if left_out(place):
                continue
            if entry.is_symlink():
                try:
                    place = follow(root, folder, entry.name)
                except Outside:
                    yield Found(place, _LINK if entry.name.endswith(YAML) else _FOLDER)
                    continue
                if left_out(place):
                    continue
                if os.path.isdir(root.joinpath(*place)):
                    if not any(name.startswith(".") for name in place):
                        inner.append(place)
                elif entry.name.endswith(YAML) and is_yaml(place):
                    yield Found(place)
            elif entry.is_dir(follow_symlinks=False):
                inner.append(place)
            elif entry.name.endswith(YAML):
                yield Found(place)
        todo += reversed(inner)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError:
        return []


def projects_below(root: Path, arguments: Sequence[Path]) -> list[Path]:
    """Return the outermost folders below the arguments that have a project file of their own."""
    found: list[Path] = []

    def enter_no_further(place: Place) -> bool:
        folder = root.joinpath(*place)
        if not os.path.isdir(folder) or not os.path.lexists(folder / FILENAME):
            return False
        found.append(folder)
        return True

    for argument in arguments:
        try:
            place = _placed(root, argument)
        except Outside:
            continue
        for _ in _tree(root, place, enter_no_further):
            pass
    return sorted(set(found))
