"""A record and its rules over several fields to those that it breaks; fields that nobody wrote count with their defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aigw_compile.diagnostic import Pointer
from aigw_compile.plugins.types import Fault, Field, Rule
from aigw_compile.target import Release


def broken(field: Field, record: Mapping[str, Any], release: Release, path: Pointer) -> Iterator[Fault]:
    """Yield a fault for each rule of a record that does not hold."""
    for rule in field.rules:
        if all(_is(_get(field, record, name), wanted) for name, wanted in rule.when.items()):
            for where, message, right in _RULES[rule.kind](field, record, rule):
                when = f" where {_told(rule.when)}" if rule.when else ""
                yield Fault((*path, *where), f"{message}{when}", right)


Found = Iterator[tuple[Pointer, str, str]]


def _get(field: Field, value: Any, name: str) -> Any:
    """The value at a dotted name, with the defaults that Kong would fill in."""
    for step in name.split("."):
        inner = field.fields.get(step)
        given = value.get(step) if isinstance(value, dict) else None
        if inner is None:
            return given
        if given is None:
            given = inner.default
            if given is None and inner.type == "record":
                if inner.optional:
                    return None
                given = {}
        field, value = inner, given
    return value


def _empty(value: Any) -> bool:
    return value is None or value == "" or value == [] or value == {}


def _is(value: Any, wanted: Any) -> bool:
    """Say whether a value is what `if` or `then` asks for."""
    if isinstance(wanted, list):
        return value in wanted
    if isinstance(wanted, dict):
        if "above" in wanted:
            return isinstance(value, (int, float)) and not isinstance(value, bool) and value > wanted["above"]
        if "contains" in wanted:
            some = wanted["contains"] if isinstance(wanted["contains"], list) else [wanted["contains"]]
            return isinstance(value, list) and any(one in value for one in some)
        if "set" in wanted:
            return bool(wanted["set"]) is not _empty(value)
        return value is not None and value not in wanted["not"]
    return type(value) is type(wanted) and bool(value == wanted)


def _told(wanted: Mapping[str, Any]) -> str:
    return " and ".join(_one(name, value) for name, value in wanted.items())


def _one(name: str, wanted: Any) -> str:
    if isinstance(wanted, list):
        return f"`{name}` is {' or '.join(map(_word, wanted))}"
    if isinstance(wanted, dict):
        how, value = next(iter(wanted.items()))
        if how == "set":
            return f"`{name}` is {'set' if value else 'not set'}"
        said = {"above": "is above", "contains": "contains", "not": "is none of"}[how]
        return f"`{name}` {said} {' or '.join(map(_word, value)) if isinstance(value, list) else _word(value)}"
    return f"`{name}` is {_word(wanted)}"


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_word, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _given(field: Field, record: Mapping[str, Any], rule: Rule) -> list[str]:
    return [name for name in rule.fields if not _empty(_get(field, record, name))]


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _at_least_one(field: Field, record: Mapping[str, Any], rule: Rule) -> Found:
    if not _given(field, record, rule):
        yield (), f"none of {_listed(rule.fields)} is set", "set one of them"


def _only_one(field: Field, record: Mapping[str, Any], rule: Rule) -> Found:
    given = _given(field, record, rule)
    if len(given) > 1:
        yield _path(given[-1]), f"{_listed(given)} are set together", "set one of them"


def _exactly_one(field: Field, record: Mapping[str, Any], rule: Rule) -> Found:
    yield from _at_least_one(field, record, rule)
    yield from _only_one(field, record, rule)


def _together(field: Field, record: Mapping[str, Any], rule: Rule) -> Found:
    given = _given(field, record, rule)
    if given and len(given) < len(rule.fields):
        missing = [name for name in rule.fields if name not in given]
        yield _path(given[0]), f"{_listed(given)} stands without {_listed(missing)}", "set all of them, or none"


def _ascending(field: Field, record: Mapping[str, Any], rule: Rule) -> Found:
    before: tuple[str, Any] | None = None
    for name in rule.fields:
        value = _get(field, record, name)
        if value is None:
            continue
        if before and value < before[1]:
            yield _path(name), f"`{name}` is {value}, lower than `{before[0]}`, {before[1]}", f"{before[1]} or more"
        if before is None or value > before[1]:
            before = (name, value)


def _same_length(field: Field, record: Mapping[str, Any], rule: Rule) -> Found:
    lengths = {len(value) for name in rule.fields if isinstance(value := _get(field, record, name), list)}
    if len(lengths) > 1:
        yield _path(rule.fields[0]), f"{_listed(rule.fields)} are lists of different length", "one item for each"


def _needs(field: Field, record: Mapping[str, Any], rule: Rule) -> Found:
    for name in rule.fields:
        if _empty(_get(field, record, name)):
            yield _path(name), f"`{name}` is missing", "set it"


def _forbids(field: Field, record: Mapping[str, Any], rule: Rule) -> Found:
    for name in rule.fields:
        if _get(field, record, name) is not None:
            yield _path(name), f"`{name}` may not be set", "leave it out"


def _then(field: Field, record: Mapping[str, Any], rule: Rule) -> Found:
    for name, wanted in rule.values.items():
        value = _get(field, record, name)
        if not _is(value, wanted) and (value is not None or not isinstance(wanted, (list, dict))):
            yield _path(name), f"`{name}` is {'not set' if value is None else _word(value)}", _told({name: wanted})


def _path(name: str) -> Pointer:
    return tuple(name.split("."))


_RULES: Mapping[str, Callable[[Field, Mapping[str, Any], Rule], Found]] = {
    "at_least_one": _at_least_one,
    "exactly_one": _exactly_one,
    "only_one": _only_one,
    "together": _together,
    "ascending": _ascending,
    "same_length": _same_length,
    "needs": _needs,
    "forbids": _forbids,
    "then": _then,
}
