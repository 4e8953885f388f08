"""The `fields` of a part to its contract with whoever refers to it, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity
from aigw_compile.resolve import paths
from aigw_compile.resolve.paths import Path
from aigw_compile.resolve.shapes import node_of

FIELDS: Pointer = ("spec", "fields")


class Term(NamedTuple):
    """A path of a contract, and where in the part it is written."""

    path: Path
    at: Pointer


class Lock(NamedTuple):
    path: Path
    add: bool
    """Items may be added."""
    at: Pointer


class Constraint(NamedTuple):
    path: Path
    schema: Mapping[str, Any]
    required: bool
    at: Pointer


class Friend(NamedTuple):
    name: str
    path: str
    """Glob of the file that it must stand in; "" for any."""
    at: Pointer


class Contract(NamedTuple):
    """What a part allows others. Paths are relative to the type that the part is for."""

    hide: tuple[Term, ...] = ()
    """With what `expose` leaves out."""
    lock: tuple[Lock, ...] = ()
    open: tuple[Path, ...] = ()
    constrain: tuple[Constraint, ...] = ()
    secrets: tuple[Mapping[str, Any], ...] | None = None
    """None: any reference may be written."""
    referrers: tuple[str, ...] | None = None
    friends: tuple[Friend, ...] = ()
    exposed: tuple[Path, ...] | None = None


def contract(data: Json, type_: str) -> tuple[Contract, list[Diagnostic]]:
    """Return the contract of a part's document, and findings; what is malformed is left out (the schema says so)."""
    spec = data.get("spec") if isinstance(data, dict) else None
    fields = spec.get("fields") if isinstance(spec, dict) else None
    if not isinstance(fields, dict):
        return Contract(), []
    found: list[Diagnostic] = []
    node = node_of(type_)

    def terms(key: str) -> Iterator[tuple[Path, Json, Pointer]]:
        listed = fields.get(key)
        for index, item in enumerate(listed if isinstance(listed, list) else ()):
            text = item if isinstance(item, str) else item.get("path") if isinstance(item, dict) else None
            if not isinstance(text, str):
                continue
            at: Pointer = (*FIELDS, key, index) if isinstance(item, str) else (*FIELDS, key, index, "path")
            path = paths.parse(text)
            if path is None:
                hint = "write it like models[*].policies.limits[daily].tokens"
                found.append(_error("AIG2030", f"`{text}` is no path", at, hint))
            elif wrong := paths.wrong(path, node):
                hint = "paths start at the fields of the type, without `spec`" if path[0] == "spec" else ""
                found.append(_error("AIG2030", f"this path can match nothing: {wrong}", at, hint))
            else:
                yield path, item, at

    hide = [Term(path, at) for path, _, at in terms("hide")]
    exposed = [path for path, _, _ in terms("expose")] if isinstance(fields.get("expose"), list) else None
    if exposed:
        hide += [Term(path, (*FIELDS, "expose")) for path in paths.complement(exposed, node)]
    locks = []
    for path, item, at in terms("lock"):
        add = isinstance(item, dict) and item.get("allow") == "add"
        if add and not _only_tightens(path, node):
            found.append(_error("AIG2031", f"adding to `{paths.written(path)}` can loosen it", at, _ADD))
            add = False
        locks.append(Lock(path, add, at))
    constraints = []
    for path, item, at in terms("constrain"):
        schema = item.get("schema", {}) if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(schema, dict):
            continue
        if wrong := _bad_schema(schema):
            found.append(_error("AIG2031", wrong, (*at[:-1], "schema"), _KEYWORDS_HINT))
        else:
            constraints.append(Constraint(path, schema, item.get("required") is True, at))
    secrets = fields.get("secrets")
    referrers = fields.get("referrers")
    friends = fields.get("friends")
    return (
        Contract(
            tuple(hide),
            tuple(locks),
            tuple(path for path, _, _ in terms("open")),
            tuple(constraints),
            tuple(s for s in secrets if isinstance(s, dict)) if isinstance(secrets, list) else None,
            tuple(str(r["path"]) for r in referrers if isinstance(r, dict) and isinstance(r.get("path"), str))
            if isinstance(referrers, list)
            else None,
            tuple(_friends(friends)),
            tuple(exposed) if exposed is not None else None,
        ),
        found,
    )


_ADD = "`allow: add` stands for deny lists, limits and ipRestriction.deny alone; lock the field without it"


def _error(code: str, message: str, at: Pointer, hint: str = "") -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, at, hint)


def _only_tightens(path: Path, node: Mapping[str, Any]) -> bool:
    here: Mapping[str, Any] | None = node
    for step in path:
        here = paths.inner(here, step) if here is not None else None
    return bool(here and here.get("x-aigw-only-tightens"))


def _friends(listed: Json) -> Iterator[Friend]:
    for index, item in enumerate(listed if isinstance(listed, list) else ()):
        at = (*FIELDS, "friends", index)
        if isinstance(item, str):
            yield Friend(item, "", at)
        elif isinstance(item, dict) and isinstance(item.get("name"), str):
            yield Friend(str(item["name"]), str(item.get("path") or ""), at)


_PLAIN = frozenset(
    "type const enum minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength minItems maxItems "
    "uniqueItems required minProperties maxProperties description title".split()
)
_NESTED = frozenset(("not", "items", "contains", "additionalProperties", "propertyNames", "if", "then", "else"))
_LISTS = frozenset(("allOf", "anyOf", "oneOf"))
_KEYWORDS_HINT = (
    "a constraint may use: "
    + ", ".join(sorted({*_PLAIN, *_NESTED, *_LISTS, "pattern", "properties"} - {"description", "title"}))
    + "; for example {maximum: 200000}"
)


def _bad_schema(schema: Json, depth: int = 0) -> str:
    """Return what is wrong with the schema of a constraint; a reference could lead out of the file."""
    if isinstance(schema, bool):
        return ""
    if not isinstance(schema, dict):
        return "the schema of a constraint is a map"
    if depth > 8:
        return "the schema of a constraint is nested too deeply"
    for key, value in schema.items():
        if key == "pattern":
            if not isinstance(value, str) or not _re2(value):
                return "`pattern` is no RE2 pattern"
        elif key in _NESTED:
            if wrong := _bad_schema(value, depth + 1):
                return wrong
        elif key in _LISTS:
            for inner in value if isinstance(value, list) else (None,):
                if wrong := _bad_schema(inner, depth + 1):
                    return wrong
        elif key == "properties":
            for inner in value.values() if isinstance(value, dict) else (None,):
                if wrong := _bad_schema(inner, depth + 1):
                    return wrong
        elif key not in _PLAIN:
            return f"`{key}` cannot stand in the schema of a constraint"
    return "" if depth or _compiles(schema) else "this is no JSON Schema"


def _re2(pattern: str) -> bool:
    import re2

    try:
        re2.compile(pattern)
    except re2.error:
        return False
    return True


def _compiles(schema: Mapping[str, Any]) -> bool:
    import jsonschema_rs

    try:
        validator(schema)
    except (jsonschema_rs.ValidationError, ValueError, TypeError):
        return False
    return True


def validator(schema: Mapping[str, Any]) -> Any:
    """Return a compiled constraint; its patterns run in linear time."""
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(dict(schema), pattern_options=jsonschema_rs.RegexOptions())


def allows(secrets: tuple[Mapping[str, Any], ...], ref: Mapping[str, Any]) -> bool:
    """Say whether a SecretRef is one of those that a contract lists. `*` and `?` do not cross a `/`, `**` does."""
    return any(_allows(pattern, ref) for pattern in secrets)


def _allows(pattern: Mapping[str, Any], ref: Mapping[str, Any]) -> bool:
    if "env" in pattern:
        return isinstance(ref.get("env"), str) and fnmatchcase(ref["env"], str(pattern["env"]).replace("[", "[[]"))
    if "file" in pattern:
        return _path(str(pattern["file"]), ref.get("file"))
    if "vault" in pattern:
        return ref.get("vault") == pattern["vault"] and _path(str(pattern.get("key", "**")), ref.get("key"))
    wanted, given = pattern.get("kubernetes"), ref.get("kubernetes")
    return (
        isinstance(wanted, dict)
        and isinstance(given, dict)
        and all(
            isinstance(given.get(k), str) and fnmatchcase(given[k], str(wanted.get(k, "*")).replace("[", "[[]"))
            for k in ("name", "key")
        )
    )


def _path(pattern: str, text: Json) -> bool:
    """A path with `.`, `..` or empty steps, or with escapes, could mean another one than it looks like."""
    if not isinstance(text, str) or "%" in text or "\\" in text or "\0" in text:
        return False
    if any(step in (".", "..", "") for step in text.removeprefix("/").split("/")):
        return False
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.fullmatch("".join(words.get(p, re.escape(p)) for p in parts), text, re.DOTALL) is not None
