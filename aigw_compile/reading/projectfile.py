"""The root's aigw-compile.yaml to a Project, and what is wrong in it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json, Severity, failed, nearest
from aigw_compile.project import FILENAME, LONGEST_GLOB, Project, is_doubtful, project_of
from aigw_compile.reading.files import source
from aigw_compile.reading.gather import Files, at_start
from aigw_compile.reading.jail import Outside, follow, unfit
from aigw_compile.source import Source, load, parse
from aigw_compile.validate import validate_project

_THIS_MACHINE = re.compile(r"http://(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?(/.*)?")


class ProjectFile(NamedTuple):
    """What stands in the project file; the defaults where there is none, or where it is broken."""

    project: Project
    source: Source | None
    findings: tuple[Diagnostic, ...]


def project_file(files: Files) -> ProjectFile:
    """Read the project file of a root."""
    root = files.root
    path = root / FILENAME
    name = files.name((FILENAME,))
    if not path.exists() and not path.is_symlink():
        return ProjectFile(Project(root), None, ())
    try:
        raw = load(root, follow(root, (), FILENAME), name)
    except Outside:
        hint = "copy the file into the project; a link out of it would read whatever it points to"
        raw = at_start(Diagnostic("AIG0106", Severity.ERROR, "this link leads out of the project", (), hint), name)
    if isinstance(raw, Diagnostic):
        return ProjectFile(Project(root), None, (raw,))
    sources, findings = parse(raw, name)
    if is_doubtful(root):
        hint = "keep one of them, or work inside a git repository, where the farthest one counts"
        double = Diagnostic(
            "AIG0101", Severity.ERROR, "a second project file: another one stands in a folder above", (), hint
        )
        findings.append(at_start(double, name))
    if not sources:
        return ProjectFile(Project(root), None, tuple(findings))
    whole = sources[0]
    found = [*validate_project(whole.data), *_unknown_names(whole.data), *_bad_paths(files, whole.data)]
    findings += map(whole.locate, found)
    if failed(found) or not isinstance(whole.data, dict):
        return ProjectFile(Project(root), whole, tuple(findings))
    return ProjectFile(project_of(whole.data, root), whole, tuple(findings))


def _bad_paths(files: Files, data: Json) -> Iterator[Diagnostic]:
    """Yield what is wrong with the folders and patterns."""
    if not isinstance(data, dict):
        return
    for index, text in enumerate(_texts(data.get("sources"))):
        wrong = unfit(text)
        if wrong:
            yield Diagnostic("AIG0107", Severity.ERROR, wrong[0], ("sources", index), "write it relative to the root")
        elif source(files.root, text) is None:
            message = f"{text} leads out of the project"
            yield Diagnostic(
                "AIG0106", Severity.ERROR, message, ("sources", index), "only what is below the root is read"
            )
    for index, text in enumerate(_texts(data.get("exclude"))):
        if len(text) > LONGEST_GLOB:
            message = f"this pattern has {len(text):,} letters, and at most {LONGEST_GLOB:,} are read"
            yield Diagnostic("AIG0107", Severity.ERROR, message, ("exclude", index), "write several patterns")


def _texts(value: Json) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _unknown_names(data: Json) -> Iterator[Diagnostic]:
    """Yield an AIG0105 for each profile and option of a target that does not exist."""
    targets = data.get("targets") if isinstance(data, dict) else None
    if not targets:
        return
    from aigw_compile.target import TARGETS, Option, head

    for name, entry in (targets or {}).items() if isinstance(targets, dict) else ():
        if name not in TARGETS or not isinstance(entry, dict):
            continue
        facts = head(name)
        for key, value in entry.items():
            at = ("targets", name, key)
            if key == "profile":
                option = Option(tuple(facts.profiles), facts.default_profile)
            elif key in facts.options:
                option = facts.options[key]
            else:
                if key not in ("accept", "acceptSecurity"):
                    hint = f"known: {', '.join(('profile', 'accept', 'acceptSecurity', *facts.options))}"
                    message = f'{name} has no option "{key}"'
                    yield Diagnostic("AIG0105", Severity.ERROR, message, at, hint, on_key=True)
                continue
            right = option.wrong(str(value))
            if right:
                likely = nearest(str(value), option.values)
                hint = (f'did you mean "{likely}"? ' if likely else "") + right
                message = f"this is no {key} of {name}" if option.form else f'{name} has no {key} "{value}"'
                yield Diagnostic("AIG0105", Severity.ERROR, message, at, hint)
        yield from _handed_on(name, entry, facts.raw.get("delegates", {}))


def _handed_on(name: str, entry: Mapping[str, Json], others: Collection[str]) -> Iterator[Diagnostic]:
    """Yield what is odd about where a target hands its calls to; a URL that is none has been told already."""
    if "delegateUrl" not in entry:
        return
    at, url = ("targets", name, "delegateUrl"), str(entry["delegateUrl"])
    if entry.get("delegate") not in others:
        hint = f"add `delegate: {', '.join(others)}`" if others else ""
        yield Diagnostic("AIG0110", Severity.WARNING, "this has no effect without `delegate`", at, hint)
        return
    if url.startswith("http:") and not _THIS_MACHINE.fullmatch(url):
        hint = "an https address, or one of this machine"
        message = "prompts, answers and the credential between the two would cross the network in clear"
        yield Diagnostic("AIG0111", Severity.WARNING, message, at, hint)
