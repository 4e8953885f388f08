"""A code, a place in a spec, or a line of an output, to what there is to say about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from textwrap import fill
from typing import Any

from aigw_compile import approvals, delegate, diff, importers, live, reading, resolve, validate, verify
from aigw_compile import source as reader
from aigw_compile.compiler import Build, Checked
from aigw_compile.diagnostic import Json, Pointer, Span, named, nearest, value_at
from aigw_compile.document import lines_of, source_map
from aigw_compile.mask import HIDDEN, NO_VEIL, STARS, Veil, scrub, shown
from aigw_compile.resolve import CONFIG, PLACES, Merged, bound, key_of
from aigw_compile.rules import RULES
from aigw_compile.schema import field, with_defaults
from aigw_compile.source import Source
from aigw_compile.target import TARGETS, Support, TargetFacts, facts, features, manifest

PLAN_CODES: Mapping[str, tuple[str, str, str]] = {
    "AIG6900": (
        "warning",
        "an accepted loss no longer occurs",
        "An entry of `accept` or `acceptSecurity` in aigw-compile.yaml speaks of a loss that none of the builds has. "
        "Delete it, so that the list says what is true.",
    ),
}


@cache
def codes() -> Mapping[str, tuple[str, str, str]]:
    """Return every code: (severity, title, page)."""
    table: dict[str, tuple[str, str, str]] = {}
    for code, (severity, title, page) in reader.CODES.items():
        table[code] = (severity.name.lower(), title, page)
    others = (reading, validate, resolve, diff, approvals, live, verify, importers, delegate)
    for own in (*(room.CODES for room in others), PLAN_CODES):
        table.update(own)
    for rule in RULES:
        title, _, page = rule.page.partition("\n")
        table[rule.code] = (rule.severity.name.lower(), title.strip(), page.strip())
    for found in features().values():
        table[found.code] = ("by target", f"a target cannot do {found.title}, or not quite", _loss_page(found.path))
    return dict(sorted(table.items()))


def title(code: str) -> str:
    """Return what a code is about, in a few words."""
    return codes().get(code, ("", "a finding", ""))[1].removesuffix(".")


@cache
def _columns() -> tuple[TargetFacts, ...]:
    return tuple(facts(name, profile) for name in TARGETS for profile in manifest(name).profiles)


def _loss_page(path: str) -> str:
    lines = [f"Feature `{path}`:"]
    for target in _columns():
        row = target.row(path)
        tail = f": {row.note}" if row.note else ""
        if row.nearest:
            tail += f" (nearest: {row.nearest})"
        lines.append(f"  {target.title}: {row.support.value}{tail}")
    key = "acceptSecurity" if features()[path].security else "accept"
    lines += [
        "",
        f"A loss is an error until it is accepted, with a reason, in targets.TARGET.{key} of aigw-compile.yaml.",
    ]
    return "\n".join(lines)


def explain_code(code: str) -> str | None:
    """Return the page of a code, or None if there is no such code."""
    found = codes().get(code)
    if not found:
        return None
    severity, title, page = found
    return f"{code} ({severity}): {title}\n\n{page if chr(10) in page else fill(page, 100)}\n"


def pointer_of(text: str, data: Json, hides: Veil = NO_VEIL) -> Pointer | None:
    """Return the place that `models[chat].targets[0].weight` names in a document, or None where there is no such place.

    A hidden name or key names nothing, so that nobody can try which there are.
    """
    at: list[str | int] = [] if re.match(r"(metadata|spec|apiVersion|kind)\b", text) or not text else ["spec"]
    if at and isinstance(data, dict) and data.get("kind") == "AIGatewayConfig":
        at += [] if re.match(r"(for|config|fields|configRef)\b", text) else ["config"]
    for key, bracket in re.findall(r"([^.\[\]]+)|\[([^\]]*)\]", text):
        here = value_at(tuple(at), data)
        if key:
            if not isinstance(here, dict) or key not in here:
                return None
            at.append(key)
            if hides.named(tuple(at)).endswith(STARS):
                return None
            continue
        if not isinstance(here, list):
            return None
        by_name = [i for i, item in enumerate(here) if bracket and key_of(item) == bracket]
        by_name = [i for i in by_name if not hides.covers((*at, i, "name"))]
        by_number = [int(bracket)] if bracket.isdigit() and int(bracket) < len(here) else []
        if not (by_name or by_number):
            return None
        at.append((by_name or by_number)[0])
    return tuple(at)


def explain_place(checked: Checked, builds: list[Build], text: str) -> str | None:
    """Return what a place in a spec holds, who set it and who lost, its default, and the outputs that it went to."""
    source = checked.source
    at = pointer_of(text, source.data, source.veil)
    if at is None:
        return _default(source, text)
    hides = source.veil
    name = hides.named(at) if hides else named(at, source.data)
    lines = [f"{name or 'spec'} = {_value(at, checked)}", *_set(source, at), *_bound(checked, at)]
    described = field(_in_gateway(checked, at))
    if described and described.get("description"):
        lines.append(f"  meaning  {described['description']}")
    if described and "default" in described:
        lines.append(f"  default  {shown(described['default'])}")
    for build in builds:
        lines += map(hides.text, _reached(build, at))
    return scrub("\n".join(lines) + "\n")


def _set(source: Source, at: Pointer) -> Iterator[str]:
    """Yield a line for each layer that set a place, the one that won first."""
    layers = source.layers(at) if isinstance(source, Merged) else []
    if not layers:
        span = source.span(at)
        yield f"  set      {span.file}:{span.line}:{span.column}"
    for entry, counts in reversed(layers):
        span = entry.layer.span(entry.at)
        name = f'"{entry.layer.name}"' if entry.layer.part else "here"
        # The items of one layer stand elsewhere in the whole, so that what is hidden among them is not known here.
        told = len(layers) > 1 and not source.veil.around(at)
        value = source.veil.data(at, entry.value) if told else None
        what = f"  {value if value == HIDDEN else shown(value)}" if told else ""
        via = "".join(f", through {s.file}:{s.line}:{s.column}" for s in _chain(span))
        yield f"  {'set' if counts else 'lost':8} {span.file}:{span.line}:{span.column}  {name}{what}{via}"


def _chain(span: Span) -> Iterator[Span]:
    while span.via:
        span = span.via
        yield span


def _bound(checked: Checked, at: Pointer) -> Iterator[str]:
    """Yield a line for each contract that binds a place."""
    for word, part, place in bound(checked.source, at):
        span = part.source.span(place)
        yield f'  {word:8} by "{part.name}", {span.file}:{span.line}:{span.column}'


def _in_gateway(checked: Checked, at: Pointer) -> Pointer:
    """A place in a part's config, as it would be in a gateway: there the language describes it."""
    here = checked.part and at[:2] == CONFIG and checked.part.type in PLACES
    return (*PLACES[checked.part.type], *at[2:]) if checked.part and here else at


def _value(at: Pointer, checked: Checked) -> str:
    value = checked.source.veil.data(at, value_at(at, checked.source.data))
    return HIDDEN if value == HIDDEN else shown(value, 200)


def _default(source: Source, text: str) -> str | None:
    """A place that nobody wrote may still have a default."""
    whole = with_defaults(source.data)
    at = pointer_of(text, whole)
    if at is None or source.veil.covers(at):
        return None
    return f"{named(at, whole)} = {shown(value_at(at, whole), 200)}\n  default  nobody set it\n"


def _reached(build: Build, at: Pointer) -> Iterator[str]:
    losses = [x for x in build.plan.losses if at[: len(x.at)] == x.at or x.at[: len(at)] == at]
    for loss in losses:
        accepted = f" (accepted: {loss.accepted})" if loss.accepted else ""
        support = loss.capability.support
        word = "lost in" if support is Support.NONE else "outside" if support is Support.OUTSIDE else "partial"
        yield f"  {word:8} {build.target.title}: {loss.feature.code} {loss.capability.note}{accepted}"
    for document in build.documents:
        places = [out for out, origin in source_map(document.body) if origin[: len(at)] == at]
        if not places:
            places = [
                out for out, origin in source_map(document.body) if origin == at[: len(origin)] and len(origin) > 1
            ]
            places = [p for p in places if len(p) == max(map(len, places))]
        if places and document.filename != "secrets.json":
            sample = ", ".join(f"line {_line(document, p)}" for p in places[:3])
            more = f" and {len(places) - 3} more" if len(places) > 3 else ""
            yield f"  output   {build.target.name}/{document.filename}: {sample}{more}"


def _line(document: Any, out: Pointer) -> int:
    return next((n for n, (_, at) in enumerate(lines_of(document), 1) if at[: len(out)] == out), 1)


def explain_line(checked: Checked, build: Build, filename: str, line: int) -> str | None:
    """Return the place of the spec that a line of an output came from."""
    document = next((d for d in build.documents if d.filename == filename), None)
    lines = list(lines_of(document)) if document else []
    if not document or not 0 < line <= len(lines):
        return None
    out = lines[line - 1][1]
    mapped: dict[Pointer, list[Pointer]] = {}
    for place, origin in source_map(document.body):
        mapped.setdefault(place, []).append(origin)
    here = out
    while here not in mapped and here:
        here = here[:-1]
    origins = [*dict.fromkeys(mapped.get(here, [()]))]
    hides = checked.source.veil
    text = HIDDEN if hides and _may_tell(hides, origins, value_at(out, document.body)) else lines[line - 1][0].strip()
    answer = [f"{filename}:{line}: {scrub(hides.text(text))}", f"  place    {hides.text(_path(out))}"]
    for origin in origins:
        span = checked.source.span(origin)
        label = (hides.named(origin) if hides else named(origin, checked.source.data)) or "the gateway"
        answer.append(f"  because  {label}  {span.file}:{span.line}:{span.column}")
    return "\n".join(answer) + "\n"


def _may_tell(hides: Veil, origins: Iterable[Pointer], value: Json) -> bool:
    """Whether a line of an output may come from a hidden place."""
    whole = isinstance(value, (dict, list)) and bool(value)
    return any(hides.covers(o) or (hides.around(o) and not whole and hides.tells(value)) for o in origins)


def _path(out: Pointer) -> str:
    return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in out).removeprefix(".")


def guess(code: str) -> str:
    """Return the code that was probably meant."""
    likely = nearest(code.upper(), codes())
    return f"; did you mean {likely}?" if likely else ""
