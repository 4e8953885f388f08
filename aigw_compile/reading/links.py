"""The files that configRefs name, read on from file to file; for each reference the file that it leads to, or what is wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from aigw_compile.diagnostic import Diagnostic, Json, Severity
from aigw_compile.mask import shown
from aigw_compile.reading.gather import Files, references, refers
from aigw_compile.reading.jail import Place, referred

MOST_LINKS: Final = 10_000
"""Different files that the configRefs of a project name, counted once in each file that names them."""


class Links(dict[tuple[str, str], "str | Diagnostic"]):
    """(file of the reference as shown, `file` as written) -> the file that it leads to as shown, or what is wrong.

    The finding has no place: it belongs to the configRef, wherever that stands.
    """

    def __missing__(self, key: tuple[str, str]) -> Diagnostic:
        message = f"the configRefs of the project name more than {MOST_LINKS:,} files; the rest is not read"
        return Diagnostic(
            "AIG0108", Severity.ERROR, message, (), "name each part without `file`: parts are found anyway"
        )


def follow_all(files: Files, start: Iterable[Place]) -> tuple[Links, set[Place]]:
    """Follow every reference with a `file`, from the files at `start` on; return the links, and the places they lead to."""
    links = Links()
    reached: set[Place] = set()
    todo = deque(start)
    done = set(todo)
    while todo:
        place = todo.popleft()
        file = files.held[place]
        for text in _named(files, place):
            key = (file.name, text)
            if key in links:
                continue
            if len(links) >= MOST_LINKS:
                return links, reached
            target = _target(files, place, text)
            if isinstance(target, Diagnostic):
                links[key] = target
                continue
            links[key] = files.name(target)
            reached.add(target)
            if target not in done:
                done.add(target)
                todo.append(target)
    return links, reached


def _target(files: Files, place: Place, text: str) -> Place | Diagnostic:
    """Where one reference leads to; the file there is read."""
    target = referred(files.root, place[:-1], text)
    if isinstance(target, Diagnostic):
        return target
    found = files.read(target, linked=True)
    if not found.refused:
        return target
    (why,) = found.findings
    if why.code == "AIG0108":
        return why._replace(span=None)
    return Diagnostic(
        why.code, why.severity, f"{shown(text)}: {why.message}", (), why.hint or f"looked for {found.name}"
    )


def _named(files: Files, place: Place) -> Iterator[str]:
    """Each `file` of the configRefs in a file."""
    for document in files.held[place].documents:
        if refers(document):
            for reference in references(document.data):
                yield from _files_of(reference)


def _files_of(reference: Json) -> Iterator[str]:
    for one in reference if isinstance(reference, list) else [reference]:
        file = one.get("file") if isinstance(one, dict) else None
        if isinstance(file, str):
            yield file
