"""aigw-compile.yaml, as checked data, to a Project: which files are read, which targets are built, which losses are accepted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Pointer

FILENAME = "aigw-compile.yaml"


class Accept(NamedTuple):
    """A loss that somebody accepted, with a reason."""

    code: str
    at: str
    """Place in the spec as people write it; covers its subtree; `[*]` stands for any item."""
    reason: str
    security: bool
    """From acceptSecurity, the only list that accepts weaker auth, access or guards."""
    target: str
    gateway: str
    profile: str
    origin: Pointer
    """Its place in aigw-compile.yaml."""

    def applies(self, target: str, profile: str, gateway: str) -> bool:
        """Say whether the entry speaks of this target, profile and gateway."""
        return self.target == target and self.profile in ("", profile) and self.gateway in ("", gateway)

    def covers(self, code: str, place: str) -> bool:
        """Say whether the entry accepts a loss with this code at this place."""
        return self.code == code and _covers(self.at, place)


def _covers(pattern: str, place: str) -> bool:
    wanted, found = _steps(pattern), _steps(place)
    return len(wanted) <= len(found) and all(w in ("[*]", f) for w, f in zip(wanted, found, strict=False))


def _steps(place: str) -> list[str]:
    return re.findall(r"\[[^\]]*\]|[^.\[\]]+", place)


class TargetChoice(NamedTuple):
    """A target to build, in a profile, with its options."""

    name: str
    profile: str
    """Empty: the target's default."""
    options: Mapping[str, str]


class Project(NamedTuple):
    """What is true of a whole run. Paths are relative to the root."""

    root: Path
    sources: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    output: str = "build/"
    targets: tuple[TargetChoice, ...] = ()
    """Empty: the file names none."""
    accepts: tuple[Accept, ...] = ()
    rules: Mapping[str, str] = {}
    """Rule code -> off, hint, warning or error."""
    diff_against: str = ""
    diff_fail_on: tuple[str, ...] = ()


def project_of(data: Mapping[str, Any], root: Path) -> Project:
    """Return the project that the checked data of an aigw-compile.yaml describes."""
    targets = data.get("targets") or {}
    choices = []
    accepts: list[Accept] = []
    for name, entry in targets.items():
        entry = entry or {}
        options = {k: str(v) for k, v in entry.items() if k not in ("profile", "accept", "acceptSecurity")}
        choices.append(TargetChoice(name, str(entry.get("profile", "")), options))
        for field in ("accept", "acceptSecurity"):
            for index, item in enumerate(entry.get(field) or ()):
                origin = ("targets", name, field, index)
                extra = (str(item.get("gateway", "")), str(item.get("profile", "")))
                accepts.append(
                    Accept(item["code"], item["at"], item["reason"], field == "acceptSecurity", name, *extra, origin)
                )
    diff = data.get("diff") or {}
    return Project(
        root=root,
        sources=tuple(data.get("sources") or ()),
        exclude=tuple(data.get("exclude") or ()),
        output=str(data.get("output") or "build/"),
        targets=tuple(choices),
        accepts=tuple(accepts),
        rules={code: str(level) for code, level in (data.get("rules") or {}).items()},
        diff_against=str(diff.get("against") or ""),
        diff_fail_on=tuple(diff.get("failOn") or ()),
    )


def root_of(arguments: Sequence[Path]) -> Path:
    """Return the project root: the folder of the farthest aigw-compile.yaml above the arguments inside the git repository.

    Without one it is the argument's own folder (of the first argument; a file's folder is its parent).
    """
    first = arguments[0].resolve()
    own = first if first.is_dir() else first.parent
    above = (own, *own.parents)
    repository = next((folder for folder in above if (folder / ".git").exists()), None)
    within = above[: above.index(repository) + 1] if repository else above
    holders = [folder for folder in within if (folder / FILENAME).is_file()]
    # Outside a repository the nearest one counts, so that a stray file in a home folder does not.
    return (holders[-1] if repository else holders[0]) if holders else own
