"""targets/kong/plugins/*.yaml and entities.yaml to the fields of one release; each file is read when somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from aigw_compile import data
from aigw_compile.plugins.types import ABSENT, Field, Plugin, Rule
from aigw_compile.source import parse
from aigw_compile.target import Release

NEWEST = Release("enterprise", (3, 15))
OLDER = (Release("enterprise", (3, 12)), Release("enterprise", (3, 9)), Release("oss", (3, 9)))
"""Asked one after another for a field that newer releases have no more."""
OPEN = "oss"
LAST_OPEN = (3, 9)
EDITIONS = {"oss": "Kong", "enterprise": "Kong Enterprise"}


def title(release: Release) -> str:
    """Return a release in words: `Kong Enterprise 3.10`."""
    return f"{EDITIONS.get(release.family, release.family)} {'.'.join(map(str, release.version))}".strip()


@cache
def names() -> frozenset[str]:
    """Return the plugins that there is a table for."""
    folder = data.folder("targets") / "kong" / "plugins"
    return frozenset(path.stem for path in folder.glob("*.yaml")) - {"shapes"}


@cache
def plugin(name: str, release: Release) -> Plugin | None:
    """Return a plugin as a release has it; None where there is no table, or not in this release."""
    if name not in names():
        return None
    raw = _read(f"plugins/{name}.yaml")
    if not _there(raw, release):
        return None
    scopes = {s for s in raw["scopes"] if s != "consumer_group" or release.family != OPEN}
    return Plugin(_field({"type": "record", **raw}, release), frozenset(scopes), tuple(raw.get("protocols", ())))


@cache
def where(name: str) -> str:
    """Say which releases have a plugin, for a message."""
    return _where(_read(f"plugins/{name}.yaml"))


@cache
def entity(kind: str, release: Release) -> Field | None:
    """Return the fields of a kind of entity (`services`), None where nothing is known of it."""
    raw = _read("entities.yaml").get(kind)
    return _field({"type": "record", **raw}, release) if raw and _there(raw, release) else None


@cache
def _read(name: str) -> Mapping[str, Any]:
    path = data.folder("targets") / "kong" / name
    sources, diagnostics = parse(path.read_bytes(), name)
    if not sources or not isinstance(sources[0].data, dict):
        raise ValueError(f"{path}: {diagnostics}")
    return sources[0].data


def _there(raw: Mapping[str, Any], release: Release) -> bool:
    since, until = raw.get("since"), raw.get("until")
    if release.family == OPEN:
        own = raw.get("oss", {})
        if raw.get("edition", OPEN) != OPEN or own is False:
            return False
        since, until = own.get("since", since), own.get("until", until)
    elif raw.get("edition") == OPEN:
        return False
    return (not since or release.has(since)) and not (until and release.has(until))


def _where(raw: Mapping[str, Any]) -> str:
    """Say which releases have what `_there` denies to another."""
    since, until = raw.get("since"), raw.get("until")
    if since:
        return f"{_version(since)} has it" + (f", until {until}" if until else "")
    if until:
        return f"it was taken out in {until}"
    return f"only {'the open-source edition' if raw.get('edition') == OPEN else 'Enterprise'} has it"


def _version(since: str) -> str:
    """Name a version: the open-source edition ends with 3.9."""
    return since if tuple(map(int, since.split("."))) <= LAST_OPEN else f"Enterprise {since}"


def _field(raw: Any, release: Release) -> Field:
    if isinstance(raw, str):
        return _plain(raw)
    said = _said(raw, release)
    kind = said["type"]
    between, length = said.get("between"), said.get("length", (int(kind == "string"), None))
    chosen, later = _choices(said, release)
    inner: dict[str, Field] = {}
    elsewhere: dict[str, str] = {}
    for name, written in said.get("fields", {}).items():
        one = _shaped(written) if isinstance(written, dict) else written
        if isinstance(one, dict) and not _there(one, release):
            elsewhere[name] = _where(one)
        else:
            inner[name] = _field(one, release)
    of, kind = _element(said, kind, release)
    return Field(
        kind,
        bool(said.get("required")),
        bool(said.get("optional")),
        said.get("default"),
        chosen,
        later,
        (between[0], between[1]) if between else None,
        said.get("above"),
        (length[0], length[1]),
        said.get("match", ""),
        said.get("form", ""),
        tuple(frozenset(group) for group in said.get("exclusive", ())),
        bool(said.get("reference")),
        bool(said.get("encrypted")),
        bool(said.get("template")),
        of,
        _field(said["keys"], release) if "keys" in said else None,
        inner,
        elsewhere,
        tuple(name for name, one in inner.items() if one.required and one.default is None),
        tuple(_rules(said.get("rules", ()), release)),
        bool(said.get("partial")),
    )


@cache
def _plain(kind: str) -> Field:
    """A field of which only the type is said: `string`, `[string]` (a list), `{string}` (a map)."""
    if kind[0] in "[{":
        return Field("array" if kind[0] == "[" else "map", length=(0, None), of=Field(kind[1:-1]))
    return Field(kind)


def _element(said: Mapping[str, Any], kind: str, release: Release) -> tuple[Field | None, str]:
    if "of" in said:
        return _field(said["of"], release), kind
    short = _plain(kind)
    return short.of, short.type


def _said(raw: Mapping[str, Any], release: Release) -> dict[str, Any]:
    """The words of a field for one release: those of its shape, its own, then what later versions or editions change."""
    said = _shaped(raw)
    for version, change in said.pop("changes", {}).items():
        if release.has(version):
            said = _over(said, change)
    if release.family == OPEN and isinstance(own := said.get("oss"), dict):
        said = _over(said, own)
    return said


def _shaped(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The words of a field's shape, and over them its own."""
    said = dict(raw)
    while name := said.pop("shape", None):
        said = _over(_read("plugins/shapes.yaml")[name], said)
    return said


def _over(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Own words over those of a base; fields and rules are put together, a field that is null is taken out."""
    made = {**base, **own}
    if "rules" in base and "rules" in own:
        made["rules"] = [*base["rules"], *own["rules"]]
    if "fields" in base and "fields" in own:
        fields = {**base["fields"], **own["fields"]}
        made["fields"] = {name: one for name, one in fields.items() if one is not None}
    return made


def _choices(said: Mapping[str, Any], release: Release) -> tuple[tuple[Any, ...], dict[Any, str]]:
    chosen, later = [*said.get("one_of", ())], {}
    for version, values in said.get("more", {}).items():
        for value in values:
            if release.has(version):
                chosen.append(value)
            else:
                later[value] = f"{_version(version)} has it"
    if release.family != OPEN:
        chosen += said.get("enterprise", ())
    else:
        later.update(dict.fromkeys(said.get("enterprise", ()), "only Enterprise has it"))
    return tuple(chosen), later


_KINDS = ("at_least_one", "exactly_one", "only_one", "together", "ascending", "same_length", "needs", "forbids", "then")


def _rules(raw: Any, release: Release) -> Iterator[Rule]:
    for one in raw:
        if not _there(one, release):
            continue
        kind = next(k for k in _KINDS if k in one)
        said = one[kind]
        fields = tuple(said)
        yield Rule(kind, fields, said if isinstance(said, dict) else {}, one.get("if", {}))


def at(field: Field, path: tuple[str | int, ...]) -> Field:
    """Return the field at a place inside a field; ABSENT where there is none."""
    for step in path:
        inner = field.of if field.type in ("array", "set", "map") else field.fields.get(str(step))
        field = inner or ABSENT
    return field
