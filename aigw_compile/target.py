"""What is true of a target: targets/NAME/target.yaml and targets/features.yaml, read into frozen values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from aigw_compile import data
from aigw_compile.source import parse

TARGETS = ("kong", "envoy", "kubernetes", "proxy")
"""Every target there is, in the order in which they are built and shown. One name, one folder in targets/, one emitter."""


class Support(StrEnum):
    """How well a target can do what is asked, best first."""

    NATIVE = "native"
    EMULATED = "emulated"
    DELEGATED = "delegated"
    """Done as asked, by another target that this one hands its calls to; that is no loss."""
    PARTIAL = "partial"
    """Done, with a difference that the note names."""
    OUTSIDE = "outside"
    """The target has no place for it at all (replicas in a kong.yml)."""
    NONE = "none"


class Capability(NamedTuple):
    support: Support
    note: str = ""
    """partial: the difference; none and outside: the reason; emulated: how."""
    nearest: str = ""
    """For none: the nearest thing that would work."""
    see: str = ""
    """Where the fact is from."""
    weaker: bool = False
    """A partial that is weaker on auth, access or a guard."""
    alpha: tuple[str, ...] = ()
    """What of the target it stands on and the target itself does not call stable yet."""


class Feature(NamedTuple):
    path: str
    code: str
    title: str
    security: bool


class Condition(NamedTuple):
    """A row that holds only where a gateway has a certain shape; `when` names a predicate in plan/conditions.py."""

    when: str
    argument: Any
    feature: str
    capability: Capability


class Release(NamedTuple):
    """What a profile's name says: `enterprise-3.15` is ("enterprise", (3, 15)); a name without a number has no version."""

    family: str
    version: tuple[int, ...]

    def has(self, since: str) -> bool:
        """Whether it is of a version, such as "3.13", or a later one."""
        return self.version >= _version(since)


class Option(NamedTuple):
    values: tuple[str, ...]
    """() where any text of its form is one."""
    default: str
    form: str = ""
    """Of a text that is none of a few: a name of FORMS."""

    def wrong(self, value: str) -> str:
        """Say what would be right, where a value is not; "" for one that is."""
        if self.form:
            return "" if FORMS[self.form][0](value) else FORMS[self.form][1]
        return "" if value in self.values else f"known: {', '.join(self.values)}"


class Delegation(NamedTuple):
    """What a target does itself when it hands its calls to another one."""

    target: str
    """The other one."""
    keeps: tuple[str, ...]
    """Paths of features, with all that is below them."""
    windows: tuple[str, ...]
    """Those in which it counts calls."""

    def kept(self, path: str) -> bool:
        """Say whether a feature is the target's own matter."""
        return any(path == one or path.startswith((f"{one}.", f"{one}=")) for one in self.keeps)


class TargetFacts(NamedTuple):
    """The facts of one target in one profile with its options chosen."""

    name: str
    title: str
    profile: str
    options: Mapping[str, str]
    rows: Mapping[str, Capability]
    conditions: tuple[Condition, ...]
    identity: Mapping[str, str]
    """For the diff: name of a list in the output -> the field that tells its items apart, where that is not `name`."""
    settings: Mapping[str, Any]
    """Whatever else the emitter reads from target.yaml, under `settings`."""
    works_as: tuple[str, str]
    """The target and the profile that does the work: its own, or those that it inherits from."""
    delegates: Delegation | None = None
    """Where the target hands its calls to another one."""

    def row(self, path: str) -> Capability:
        """Return the row of a feature: the longest prefix counts, and a missing row is none."""
        for prefix in prefixes(path):
            if prefix in self.rows:
                return self.rows[prefix]
        return Capability(Support.NONE, "nothing is known of it", "leave it out, or build another target")


class Manifest(NamedTuple):
    """A target as its file says, before a profile is chosen."""

    name: str
    title: str
    profiles: Mapping[str, str]
    """Profile -> title."""
    default_profile: str
    options: Mapping[str, Option]
    raw: Mapping[str, Any]


@cache
def features() -> Mapping[str, Feature]:
    """Return every feature by its path."""
    rows = _read("features.yaml")
    return {path: Feature(path, r["code"], r["title"], bool(r.get("security"))) for path, r in rows.items()}


def feature(path: str) -> Feature:
    """Return the feature that a path belongs to: by where it stands, else, for a policy, by itself."""
    known = features()
    own = policy_path(path)
    for candidate in (*(prefixes(own) if own else ()), *prefixes(path)):
        if candidate in known:
            return known[candidate]
    return Feature(path, "AIG6000", path, False)


def policy_path(path: str) -> str | None:
    """Return `policies.limits.tokens` for `consumers.policies.limits.tokens`; None for what is no policy of its own."""
    head, found, tail = path.partition("policies.")
    return f"policies.{tail}" if found and (not head or head.endswith(".")) else None


def prefixes(path: str) -> Iterator[str]:
    """Yield a path and its prefixes, the longest first; `a.b=x` comes before `a.b`."""
    yield path
    path, value, _ = path.partition("=")
    if value:
        yield path
    while "." in path:
        path = path.rpartition(".")[0]
        yield path


@cache
def manifest(name: str) -> Manifest:
    """Read targets/NAME/target.yaml. Raises KeyError or ValueError where our own file is wrong."""
    return _manifest(name, _read(f"{name}/target.yaml"))


@cache
def head(name: str) -> Manifest:
    """Read what stands before `capabilities:` in target.yaml: profiles and options, in a tenth of the time, for `lint`."""
    text = (data.folder("targets") / name / "target.yaml").read_text("utf-8")
    return _manifest(name, parse(text.partition("\ncapabilities:")[0], name)[0][0].data)


def _manifest(name: str, raw: Any) -> Manifest:
    options = {
        key: Option(tuple(str(v) for v in o.get("values", ())), str(o["default"]), o.get("form", ""))
        for key, o in raw.get("options", {}).items()
    }
    return Manifest(name, raw["title"], raw["profiles"], str(raw["defaultProfile"]), options, raw)


def facts(name: str, profile: str = "", options: Mapping[str, str] | None = None) -> TargetFacts:
    """Return the facts of a target in a profile (its default if empty). The names must exist: project.py checks them."""
    m = manifest(name)
    profile = profile or m.default_profile
    chosen = {key: (options or {}).get(key, option.default) for key, option in m.options.items()}
    variants = (*(f"{key}={value}" for key, value in chosen.items()), *_profiles(profile, m.raw), "default")
    delegation = _delegation(m.raw, chosen)
    rules = {path: rule for path, rule in m.raw["capabilities"].items() if _stays(delegation, path, rule)}
    mine = {path: _capability(row) for path, rule in rules.items() if (row := _variant(rule, variants))}
    own = tuple(
        Condition(c["if"], _argument(c.get("than", _windows(delegation, c)), variants), c["feature"], _capability(row))
        for c in m.raw.get("conditions", ())
        if _stays(delegation, c["feature"], c)
        and (row := _variant({k: v for k, v in c.items() if k not in ("if", "than", "feature")}, variants))
    )
    rows, conditions = _inherited(m, profile, mine, own)
    if delegation:
        rows, conditions = _handed_on(delegation, rows, conditions)
    title = f"{m.title} {m.profiles[profile]}".strip()
    source = m.raw.get("inherits", {}).get(profile)
    works_as = (source["target"], source["profile"]) if source else (name, profile)
    identity, settings = m.raw.get("identity", {}), m.raw.get("settings", {})
    return TargetFacts(name, title, profile, chosen, rows, conditions, identity, settings, works_as, delegation)


def _delegation(raw: Mapping[str, Any], chosen: Mapping[str, str]) -> Delegation | None:
    """`delegates: {TARGET: {keeps, windows}}`, where the option `delegate` names one."""
    found = raw.get("delegates", {}).get(chosen.get("delegate"))
    return Delegation(chosen["delegate"], tuple(found["keeps"]), tuple(found["windows"])) if found else None


def _stays(delegation: Delegation | None, path: str, rule: Mapping[str, Any]) -> bool:
    """Say whether a row holds: all do where nothing is handed on; else those of what is kept, and those written for that."""
    return delegation is None or delegation.kept(path) or f"delegate={delegation.target}" in rule


def _windows(delegation: Delegation | None, rule: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What a condition that is written for a delegation is asked with."""
    return delegation.windows if delegation and f"delegate={delegation.target}" in rule else None


def _handed_on(
    delegation: Delegation, rows: Mapping[str, Capability], own: tuple[Condition, ...]
) -> tuple[Mapping[str, Capability], tuple[Condition, ...]]:
    """Add what the other target does of all that is not kept: what it does as asked is delegated."""
    other = facts(delegation.target)

    def handed(cell: Capability) -> Capability:
        done = cell.support in (Support.NATIVE, Support.EMULATED)
        return cell._replace(support=Support.DELEGATED) if done else cell

    taken = {path: handed(row) for path, row in other.rows.items() if not delegation.kept(path)}
    asked = tuple(
        c._replace(capability=handed(c.capability)) for c in other.conditions if not delegation.kept(c.feature)
    )
    return {**taken, **rows}, (*own, *asked)


def release(profile: str) -> Release:
    """Return the family and the version that the name of a profile says."""
    family, _, number = profile.rpartition("-")
    version = _version(number)
    return Release(family, version) if version else Release(profile, ())


def _version(text: str) -> tuple[int, ...]:
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else ()


def _profiles(profile: str, raw: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a rule may call a profile: its name, `FAMILY>=VERSION` from its own version downwards, its family."""
    mine = release(profile)
    older = sorted({r.version for r in map(release, raw["profiles"]) if r.family == mine.family}, reverse=True)
    yield profile
    for version in older:
        if version <= mine.version:
            yield f"{mine.family}>={'.'.join(map(str, version))}"
    yield mine.family


def _inherited(
    m: Manifest, profile: str, rows: Mapping[str, Capability], own: tuple[Condition, ...]
) -> tuple[Mapping[str, Capability], tuple[Condition, ...]]:
    """Put the rows of a profile over those of the target that does its work: `inherits: {PROFILE: {target, profile}}`.

    An own row wins over an inherited one of the same path, an own condition over one with the same predicate and feature.
    """
    source = m.raw.get("inherits", {}).get(profile)
    if not source:
        return rows, own
    base = facts(source["target"], source["profile"])
    taken = {(c.when, c.feature) for c in own}
    return {**base.rows, **rows}, (*(c for c in base.conditions if (c.when, c.feature) not in taken), *own)


def _variant(rule: Mapping[str, Any], variants: tuple[str, ...]) -> Mapping[str, Any] | None:
    """A rule is a row, or rows by `option=value`, profile, `FAMILY>=VERSION` or family, with `default` for the others."""
    if "support" in rule:
        return rule
    for variant in variants:
        if variant in rule:
            row: Mapping[str, Any] = rule[variant]
            return row
    return None


def _argument(than: Any, variants: tuple[str, ...]) -> Any:
    """What a predicate is asked with may differ by profile as rows do; then it has a `default`."""
    if isinstance(than, Mapping) and "default" in than:
        return next(than[variant] for variant in variants if variant in than)
    return than


def _capability(row: Mapping[str, Any]) -> Capability:
    return Capability(
        Support(row["support"]),
        row.get("note", ""),
        row.get("nearest", ""),
        row.get("see", ""),
        bool(row.get("weaker")),
        tuple(row.get("alpha", ())),
    )


_URL = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")


def _is_url(text: str) -> bool:
    if not _URL.fullmatch(text):
        return False
    try:
        return urlsplit(text).port != 0
    except ValueError:  # a port over 65535, or brackets around what is no address
        return False


FORMS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "url": (_is_url, "an http or https URL such as http://127.0.0.1:8787, without user, query or fragment")
}
"""Form of an option's text -> whether a text has it, and what would be right."""


def _read(name: str) -> Any:
    path = data.folder("targets") / name
    sources, diagnostics = parse(path.read_bytes(), name)
    if not sources:
        raise ValueError(f"{path}: {diagnostics}")
    return sources[0].data


@cache
def asset(target: str, name: str) -> str:
    """Return the text of targets/TARGET/assets/NAME."""
    return (data.folder("targets") / target / "assets" / name).read_text("utf-8")
