"""Plain data to the findings that say where it does not fit its schema, in words that a person wants to read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from aigw_compile.diagnostic import Diagnostic, Json, Pointer
from aigw_compile.schema import document_schema, follow
from aigw_compile.validate.codes import CODES
from aigw_compile.validate.words import WORDS, other

__all__ = ["CODES", "validate", "validate_project"]


def validate(data: Json) -> list[Diagnostic]:
    """Return every place where a document does not fit the language, sorted; [] if it fits."""
    return _findings(data, "aigateway.schema.json")


def validate_project(data: Json) -> list[Diagnostic]:
    """Return every place where an aigw-compile.yaml does not fit its schema."""
    return _findings(data, "project.schema.json") if data is not None else []


@cache
def _validator(name: str) -> Any:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(document_schema(name))


def _findings(data: Json, name: str) -> list[Diagnostic]:
    root = document_schema(name)
    found: dict[tuple[Pointer, bool, str], Diagnostic] = {}
    for error in _validator(name).iter_errors(data):
        at: Pointer = tuple(error.instance_path)
        schema = _parent(root, tuple(error.schema_path))
        for finding in WORDS.get(error.kind.name, other)(error, at, schema, data):
            found.setdefault((finding.at, finding.on_key, finding.code), finding)
    return sorted(_alone(found.values()), key=lambda d: (tuple(map(str, d.at)), d.code, d.message))


_FINAL = frozenset({"AIG1009", "AIG1010", "AIG1011", "AIG1012", "AIG1013"})
"""Codes that say all there is to say of a place."""


def _alone(findings: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """One fault, one finding: drop what only follows from another finding at the same place."""
    listed = list(findings)
    final = {d.at for d in listed if d.code in _FINAL}
    typed = {d.at for d in listed if d.code == "AIG1003"}
    guessed = {
        (d.at[:-1], word) for d in listed if d.code == "AIG1001" for word in re.findall(r'mean "(\w+)"', d.message)
    }
    for d in listed:
        if d.code not in _FINAL and (d.at in final or (d.at in typed and d.code != "AIG1003")):
            continue
        missing = re.match(r"`(\w+)` is missing", d.message) if d.code == "AIG1002" else None
        if missing and (d.at, missing[1]) in guessed:
            continue
        if d.code == "AIG1008" and any(o.code == "AIG1002" and o.at == d.at for o in listed):
            continue
        yield d


def _parent(root: Any, path: tuple[str | int, ...]) -> dict[str, Any]:
    """The schema object that holds the keyword that failed."""
    node = root
    for step in path[:-1]:
        node = follow(node, root) if isinstance(node, dict) and "$ref" in node and step != "$ref" else node
        if step == "$ref":
            node = follow({"$ref": node["$ref"]}, root)
        else:
            node = node[step] if not isinstance(node, dict) or step in node else {}
    return node if isinstance(node, dict) else {}
