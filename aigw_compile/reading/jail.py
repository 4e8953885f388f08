"""A path as somebody wrote it to the place below the project's root that it leads to, or to the finding that says why it may not.

Nothing is asked about what stands outside the root, not even whether it is there: each step and each link is followed by
itself, and the first that leaves the root ends the way.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aigw_compile.diagnostic import Diagnostic, Severity
from aigw_compile.mask import shown

Place = tuple[str, ...]
"""Names of folders and of a file below the root, none of them a link. () is the root itself."""

YAML: Final = (".yaml", ".yml")
LONGEST: Final = 4096
"""Letters of a path, at most: PATH_MAX of Linux."""
_MOST_LINKS: Final = 40
"""As Linux has it; more is a ring, which is no file."""
_DRIVE: Final = re.compile(r"[A-Za-z]:(?!//)")
_OUTSIDE: Final = "only files below the project's root are read; the root is the folder of aigw-compile.yaml"


class Outside(Exception):
    """The path leads out of the root."""


def follow(root: Path, start: Sequence[str], path: str) -> Place:
    """Return the place that `path` leads to from the folder `start`; nothing need stand there. Raises Outside.

    `root` has no link in it. An absolute link is fine as long as it leads below the root.
    """
    done = list(start)
    todo = path.split("/")[::-1]
    links = 0
    while todo:
        step = todo.pop()
        if step in ("", "."):
            continue
        if step == "..":
            if not done:
                raise Outside
            done.pop()
            continue
        try:
            target = os.readlink(root.joinpath(*done, step)) if links <= _MOST_LINKS else ""
        except (OSError, ValueError):  # no link, or nothing at all; opening it will tell
            target = ""
        if not target:
            done.append(step)
            continue
        links += 1
        if target.startswith("/"):
            names = Path(target).parts
            if names[: len(root.parts)] != root.parts:
                raise Outside
            done, target = [], "/".join(names[len(root.parts) :])
        todo += target.split("/")[::-1]
    return tuple(done)


def referred(root: Path, start: Sequence[str], path: str) -> Place | Diagnostic:
    """Return the place that the `file` of a configRef names, in a document that stands in the folder `start`."""
    wrong = unfit(path)
    if wrong:
        message, hint = wrong
        return Diagnostic("AIG0107", Severity.ERROR, message, (), hint)
    try:
        place = follow(root, start, path)
    except Outside:
        return Diagnostic("AIG0106", Severity.ERROR, f"{shown(path)} leads out of the project", (), _OUTSIDE)
    if not path.endswith(YAML) or not is_yaml(place):
        what = f"{shown(path)} leads to what" if path.endswith(YAML) else shown(path)
        hint = "name the file with its ending, such as ../platform/parts.yaml"
        return Diagnostic("AIG0107", Severity.ERROR, f"{what} is no .yaml or .yml file", (), hint)
    return place


def is_yaml(place: Place) -> bool:
    """Say whether a place that a link or a reference leads to may be read: what else stands in a repository is no spec."""
    return place[-1:] != () and place[-1].endswith(YAML) and ".git" not in place


def unfit(path: str) -> tuple[str, str] | None:
    """What is wrong with a path before anything is looked up, and what would be right."""
    relative = "write the way from this file to the other one, such as ../platform/parts.yaml"
    if not path:
        return "`file` is empty", relative
    if "\0" in path:
        return "`file` contains a NUL character", relative
    if len(path) > LONGEST:
        return f"`file` has {len(path):,} letters, and at most {LONGEST:,} are read", relative
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path):
        return (
            f"{shown(path)} is no file of this project",
            "nothing is fetched: copy the parts into the project, and name that file",
        )
    if "\\" in path:
        return f"{shown(path)} contains a backslash", "write / between the folders"
    if path.startswith(("/", "~/")) or _DRIVE.match(path):
        return f"{shown(path)} is an absolute path", relative
    return None
