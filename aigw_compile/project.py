"""aigw-compile.yaml, as checked data, to a Project: which files are read, which targets are built, which losses are accepted."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Diagnostic, Pointer, Severity

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


@lru_cache(4096)  # every entry is held against every loss with its code
def _steps(place: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\[[^\]]*\]|[^.\[\]]+", place))


class Require(NamedTuple):
    """Which gateways must refer to a part, directly or through other parts."""

    path: str
    """Glob of the files of these gateways."""
    name: str
    """Of the part."""
    at: str
    """Glob of the files that the part may stand in; empty: any."""
    origin: Pointer
    """Its place in aigw-compile.yaml."""

    def covers(self, file: str) -> bool:
        """Say whether a gateway in this file must refer to the part; `file` is relative to the root."""
        return glob(self.path)(file)

    def takes(self, name: str, file: str) -> bool:
        """Say whether a part of this name in this file is the one that is asked for."""
        return name == self.name and (not self.at or glob(self.at)(file))


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
    require: tuple[Require, ...] = ()


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
        require=tuple(_required(item, index) for index, item in enumerate(data.get("require") or ())),
    )


def _required(item: Mapping[str, Any], index: int) -> Require:
    wanted = item["configRef"]
    part = wanted if isinstance(wanted, dict) else {"name": wanted}
    return Require(str(item["path"]), str(part["name"]), str(part.get("path") or ""), ("require", index))


LONGEST_GLOB = 1000
"""Letters of a glob, at most; a longer one matches nothing."""


@cache
def glob(pattern: str) -> Callable[[str], bool]:
    """Return what says whether a path matches: `**` is any number of folders, `*` and `?` stay within one name.

    As in .gitignore, a folder covers what is below it. Takes linear time, since a pull request may bring patterns and paths.

    >>> glob("teams/**")("teams/support/a.yaml"), glob("teams/*.yaml")("teams/support/a.yaml")
    (True, False)
    """
    import re2  # only where there is a pattern: the import takes a tenth of a small lint

    if len(pattern) > LONGEST_GLOB:
        return lambda path: False
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.rstrip("/"))
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    compiled: Any = re2.compile("(?s)" + "".join(words.get(part, re2.escape(part)) for part in parts) + "(?:/.*)?")
    return lambda path: compiled.fullmatch(path.encode("utf-8", "replace").decode()) is not None


def root_of(arguments: Sequence[Path]) -> Path:
    """Return the project root: the folder of the farthest aigw-compile.yaml above the arguments inside the git repository.

    Without one it is the argument's own folder (of the first argument; a file's folder is its parent). A link that leads out
    of the repository is not followed: the root then stays where the link stands, and reading it is refused.
    """
    above = _above(Path(os.path.abspath(arguments[0])))
    holders = _holders(above)
    # Outside a repository the nearest one counts, so that a stray file in a home folder does not.
    inside = _is_repository(above[0])
    return Path(os.path.realpath((holders[0] if inside else holders[-1]) if holders else above[-1]))


def is_doubtful(root: Path) -> bool:
    """Say whether another project file stands above the root, and no git repository says which of the two counts."""
    above = _above(root)
    return not _is_repository(above[0]) and len(_holders(above)) > 1


def _holders(folders: Sequence[Path]) -> list[Path]:
    return [folder for folder in folders if os.path.lexists(folder / FILENAME)]


def _stays(folder: Path, repository: Path) -> bool:
    return not folder.is_symlink() or Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(repository))


def _is_repository(folder: Path) -> bool:
    return (folder / ".git").exists()


def _above(path: Path) -> list[Path]:
    """The folders from the repository's down to the one that an argument names or stands in."""
    folders: list[Path] = []
    for folder in (*reversed(path.parents), path):
        repository = folders[0] if folders and _is_repository(folders[0]) else None
        if repository and not _stays(folder, repository):
            break
        if folder == path and folders and not folder.is_dir():
            break
        if _is_repository(folder):
            folders = []
        folders.append(folder)
    return folders


def levelled(findings: Iterable[Diagnostic], project: Project | None) -> Iterator[Diagnostic]:
    """Apply the project's `rules`: a warning or hint can be switched off or made heavier; an error stays one."""
    levels = project.rules if project else {}
    for finding in findings:
        level = levels.get(finding.code)
        if level is None or finding.severity is Severity.ERROR:
            yield finding
        elif level != "off":
            yield finding._replace(severity=Severity[level.upper()])
