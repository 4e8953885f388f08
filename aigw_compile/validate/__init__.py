"""Plain data to the findings that say where it does not fit its schema, in words that a person wants to read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity, value_at
from aigw_compile.schema import document_schema, field, follow, general, layer_schema
from aigw_compile.validate.codes import CODES
from aigw_compile.validate.errors import MOST, errors
from aigw_compile.validate.places import marks, mergeable, where
from aigw_compile.validate.words import WORDS, other, wrong_type

if TYPE_CHECKING:
    from aigw_compile.validate.patches import Layer

__all__ = ["CODES", "has_refs", "validate", "validate_approvals", "validate_layer", "validate_part", "validate_project"]

_MORE = Diagnostic(
    "AIG1099",
    Severity.ERROR,
    "this document has more places that do not fit the language than are listed",
    (),
    "mend these, and check again",
)
_LANGUAGE = "aigateway.schema.json"
_LAYER = "layer"
_ENVELOPE = "envelope"


def validate(data: Json) -> list[Diagnostic]:
    """Return every place where a document does not fit the language, sorted by place; [] if it fits.

    Places are relative to the root of the document. What stands where a credential is named is in no message.
    A gateway is whole: what it takes from parts is merged in. A part is what it is.
    """
    if isinstance(data, dict) and data.get("kind") == "AIGatewayConfig":
        return validate_part(data)
    return _sorted(_without_patches(data, _LANGUAGE))


def validate_layer(data: Json) -> list[Diagnostic]:
    """Return what is wrong with a gateway that builds on parts, before anything is merged: nothing is demanded that they may
    bring, and `$patch` may stand in it."""
    return _sorted(_layer_findings(data))


def validate_part(data: Json) -> list[Diagnostic]:
    """Return what is wrong with a part: its envelope, and its config as a layer of the type that it is for.

    Paths and schemas in `fields` are not looked at here.
    """
    from aigw_compile.validate import parts

    outside = _findings(parts.envelope(data), _ENVELOPE, marks(data).floats)
    found = [*parts.in_words_of_parts(outside)]
    config = parts.config_of(data)
    if config:
        findings = _layer_findings(config.data)
        found += [*config.findings, *(config.back(d) for d in findings if config.is_inside(d.at))]
    return _sorted(found)


def validate_project(data: Json) -> list[Diagnostic]:
    """Return every place where an aigw-compile.yaml does not fit its schema."""
    return _sorted(_findings(data, "project.schema.json")) if data is not None else []


def validate_approvals(data: Json) -> list[Diagnostic]:
    """Return every place where an aigw-approvals.yaml does not fit its schema."""
    return _sorted(_findings(data, "approvals.schema.json")) if data is not None else []


def has_refs(data: Json) -> bool:
    """Say whether a gateway builds on parts: whether a configRef stands anywhere in its spec."""
    spec = data.get("spec") if isinstance(data, dict) else None
    return isinstance(spec, dict) and marks(spec).refs


def _without_patches(data: Json, name: str) -> Iterator[Diagnostic]:
    """Yield the findings in a gateway, with places as if the `$patch` in it were no part of it."""
    found = marks(data)
    if not found.patches:
        yield from _findings(data, name, found.floats)
        return
    from aigw_compile.validate.patches import stripped

    layer = stripped(data, alone=name == _LANGUAGE)
    yield from layer.findings
    yield from _led_back(layer, data, _findings(layer.data, name, found.floats))


def _layer_findings(data: Json) -> list[Diagnostic]:
    return [*map(_unset, _without_patches(data, _LAYER))]


def _led_back(layer: Layer, data: Json, findings: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    for d in findings:
        at = layer.back(d.at)
        if at in layer.said:
            continue
        message = d.message
        for length in range(len(at), 0, -1) if at != d.at else ():  # an item without a name is named by its position
            message = message.replace(where(d.at[:length], layer.data), where(at[:length], data))
        yield d._replace(at=at, message=message)


def _unset(d: Diagnostic) -> Diagnostic:
    """In a layer, null looks like a way to take back what a part sets. What has to be there is not taken back."""
    needed = d.code != "AIG1011" or d.message.endswith("is empty (null)")
    if needed or not mergeable(d.at) or not isinstance(d.at[-1], str):
        return d
    hint = (
        f"null does not unset: to take out what a part sets, write {d.at[-1]}: {{$patch: delete}}; else delete the line"
    )
    return d._replace(hint=hint)


@cache
def _root(name: str) -> dict[str, Any]:
    if name == _ENVELOPE:
        from aigw_compile.validate.parts import envelope_schema

        return envelope_schema()
    return layer_schema() if name == _LAYER else document_schema(name)


@cache
def _validator(name: str) -> Any:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(_root(name))


def _findings(data: Json, name: str, floats: bool = False) -> list[Diagnostic]:
    root = _root(name)
    found: dict[tuple[Pointer, bool, str], Diagnostic] = {}
    wrong: tuple[Pointer, Any] | None = None
    for at, error in errors(_validator(name), data):
        if error is None:
            return [*_alone(list(found.values()), data), _MORE]
        wrong = wrong or (at, error)
        schema = _parent(root, tuple(error.schema_path))
        for finding in WORDS.get(error.kind.name, other)(error, at, schema, data):
            said = finding.message if finding.code == "AIG1002" else ""  # several fields can be missing at one place
            found.setdefault((finding.at, finding.on_key, finding.code + said), finding)
            if len(found) >= MOST:
                return [*_alone(list(found.values()), data), _MORE]
    if wrong and not found:  # nothing that does not fit passes without a word
        found.setdefault(((), False, ""), next(other(wrong[1], wrong[0], {}, data)))
    if floats:
        for finding in _whole_numbers(data):
            found.setdefault((finding.at, finding.on_key, finding.code), finding)
    return [*_alone(list(found.values()), data)]


def _sorted(findings: Iterable[Diagnostic]) -> list[Diagnostic]:
    return sorted(findings, key=_place)


def _place(d: Diagnostic) -> tuple[tuple[tuple[bool, int, str], ...], str, str]:
    steps = tuple((isinstance(s, str), 0, s) if isinstance(s, str) else (False, s, "") for s in d.at)
    return steps, d.code, d.message


def _whole_numbers(data: Json) -> Iterator[Diagnostic]:
    """JSON Schema takes 8080.0 for a whole number; what reads the outputs does not, and nothing is converted."""
    rest: list[tuple[Pointer, Any]] = [((), data)]
    while rest:
        at, value = rest.pop()
        if isinstance(value, dict):
            rest += [((*at, key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            rest += [((*at, index), inner) for index, inner in enumerate(value)]
        elif isinstance(value, float) and value.is_integer():
            schema = field(general(at)) or {}
            wanted = schema.get("type")
            kinds = wanted if isinstance(wanted, list) else [str(wanted)]
            if "integer" in kinds and "number" not in kinds:
                yield wrong_type(kinds, at, schema, data)


_FINAL = frozenset({"AIG1009", "AIG1010", "AIG1011", "AIG1012", "AIG1013"})
"""Codes that say all there is to say of a place."""
_ORDER = ("AIG1003", "AIG1006", "AIG1005", "AIG1004")
"""Of these only the first stands at one place: text of a wrong type has no form, and empty text no pattern."""


def _alone(listed: list[Diagnostic], data: Json) -> Iterator[Diagnostic]:
    """One fault, one finding: drop what only follows from another finding at the same place, or right above it."""
    codes: dict[Pointer, set[str]] = {}
    for d in listed:
        codes.setdefault(d.at, set()).add(d.code)
    guessed = {
        (d.at[:-1], word) for d in listed if d.code == "AIG1001" for word in re.findall(r'mean "(\w+)"', d.message)
    }
    for d in listed:
        here = codes[d.at]
        if d.code not in _FINAL and here & _FINAL:
            continue
        if d.code != "AIG1003" and d.code not in _FINAL and "AIG1003" in here:
            continue
        if d.code in _ORDER and here.intersection(_ORDER[: _ORDER.index(d.code)]):
            continue
        missing = re.match(r"`(\w+)` is missing", d.message) if d.code == "AIG1002" else None
        if missing and (d.at, missing[1]) in guessed:
            continue
        if d.code == "AIG1008" and any(
            (d.at, word) in guessed for word in re.findall(r" (?:needs|or) (\w+)", d.message)
        ):
            continue
        partner = re.search(r"goes with `(\w+)`", d.message) if d.code == "AIG1008" else None
        if partner and (d.at[:-1], partner[1]) in guessed:
            continue
        if d.code == "AIG1008" and "AIG1002" in here:
            continue
        if d.code == "AIG1008" and any(
            "AIG1008" in codes.get((*d.at, key), ()) for key in ("key", "property", "version")
        ):
            continue
        kind = (*d.at[:-1], "type")
        if d.code == "AIG1009" and d.on_key and "AIG1009" in codes.get(kind, ()) and value_at(kind, data) == d.at[-1]:
            continue  # the block of a type that is not there yet
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
