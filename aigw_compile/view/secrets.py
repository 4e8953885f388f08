"""The references to secrets that a part allows, with `*` in them, to the schema of a SecretRef that is one of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Schema = dict[str, Any]
_ASTRAY = r"[%\\]|//|/$|(^|/)\.{1,2}(/|$)"
"""A path with empty or relative steps, or escapes, could mean another one than it looks like."""
_FORMS = {
    "env": ("env",),
    "file": ("file",),
    "vault": ("vault", "key", "property", "version"),
    "kubernetes": ("kubernetes",),
}


def only(whole: Schema, allowed: Iterable[Iterable[Mapping[str, Any]]], without: frozenset[str]) -> Schema:
    """Return the schema of a SecretRef that is one of each list of `allowed`, and of no form in `without`."""
    lists = [[*one] for one in allowed]
    forms = [f for f in _FORMS if f not in without and all(any(f in form for form in one) for one in lists)]
    if not forms:
        return {"not": {}, "description": "No secret can be named here."}
    fields = [field for form in forms for field in _FORMS[form]]
    result = {k: v for k, v in whole.items() if k not in ("examples", "dependentRequired")}
    result["properties"] = {key: whole["properties"][key] for key in fields}
    result["x-aigw-one-of"] = forms
    result["oneOf"] = [{"required": [form]} for form in forms]
    if needs := {k: v for k, v in whole.get("dependentRequired", {}).items() if k in fields}:
        result["dependentRequired"] = needs
    ways = [[_one(form) for form in one if any(f in form for f in forms)] for one in lists]
    return {**result, "allOf": [{"anyOf": way} for way in ways]} if ways else result


def vaults(allowed: Iterable[Iterable[Mapping[str, Any]]]) -> frozenset[str]:
    """Return the names of vaults that the lists let others name."""
    return frozenset(str(form["vault"]) for one in allowed for form in one if "vault" in form)


def _one(allowed: Mapping[str, Any]) -> Schema:
    if "env" in allowed:
        return {"required": ["env"], "properties": {"env": _glob(str(allowed["env"]), {"*": ".*", "?": "."})}}
    if "file" in allowed:
        return {"required": ["file"], "properties": {"file": _path(str(allowed["file"]))}}
    if "vault" in allowed:
        key = _path(str(allowed.get("key", "**")))
        return {"required": ["vault", "key"], "properties": {"vault": {"const": allowed["vault"]}, "key": key}}
    inner = {k: _glob(str(v), {"*": ".*", "?": "."}) for k, v in allowed["kubernetes"].items()}
    return {"required": ["kubernetes"], "properties": {"kubernetes": {"properties": inner}}}


def _path(text: str) -> Schema:
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return {**_glob(text, words), "not": {"pattern": _ASTRAY}}


def _glob(text: str, words: Mapping[str, str]) -> Schema:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", text) if "**" in words else re.split(r"(\*|\?)", text)
    return {"pattern": "^" + "".join(words.get(part, _plain(part)) for part in parts) + "$"}


def _plain(text: str) -> str:
    """Escape what every dialect of regular expressions escapes, and nothing that one of them refuses to."""
    return re.sub(r"([.^$*+?()\[\]{}|\\])", r"\\\1", text)
