"""Plain data and a shape to a list of problems: what is missing, unknown, of the wrong type or out of range, and where."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any, str, list[str]], None]
"""(value, its place, problems to add to)"""


def text(pattern: str = "", *, empty: bool = False) -> Check:
    """A text; with `pattern` it must match from end to end."""
    known = re.compile(pattern) if pattern else None

    def check(value: Any, at: str, problems: list[str]) -> None:
        if not isinstance(value, str):
            problems.append(f"{at}: a text is expected, not {_kind(value)}")
        elif not value and not empty:
            problems.append(f"{at}: is empty")
        elif known and not known.fullmatch(value):
            problems.append(f"{at}: {value[:80]!r} does not match {pattern}")

    return check


def number(least: float, most: float = float("inf"), *, whole: bool = False) -> Check:
    """A number from `least` to `most`; `whole`: without a fraction."""

    def check(value: Any, at: str, problems: list[str]) -> None:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            problems.append(f"{at}: {'a whole number' if whole else 'a number'} is expected, not {_kind(value)}")
        elif not least <= value <= most:
            problems.append(f"{at}: {value} is not from {least:g} to {most:g}")

    return check


def integer(least: int, most: float = float("inf")) -> Check:
    """A whole number from `least` to `most`."""
    return number(least, most, whole=True)


def flag(value: Any, at: str, problems: list[str]) -> None:
    """True or false."""
    if not isinstance(value, bool):
        problems.append(f"{at}: true or false is expected, not {_kind(value)}")


def one_of(*words: Any) -> Check:
    """One of these values."""

    def check(value: Any, at: str, problems: list[str]) -> None:
        if not any(value is word or (isinstance(value, str) and value == word) for word in words):
            problems.append(f"{at}: {str(value)[:80]!r} is none of {', '.join(str(w) for w in words)}")

    return check


def null_or(check: Check) -> Check:
    """null, or what `check` wants."""

    def maybe(value: Any, at: str, problems: list[str]) -> None:
        if value is not None:
            check(value, at, problems)

    return maybe


def each(check: Check, least: int = 0, unique: str = "") -> Check:
    """A list of such values; `unique`: the field by which they are told apart, or "." for the values themselves."""

    def check_all(value: Any, at: str, problems: list[str]) -> None:
        if not isinstance(value, list):
            problems.append(f"{at}: a list is expected, not {_kind(value)}")
            return
        if len(value) < least:
            problems.append(f"{at}: at least {least} is expected")
        seen = set()
        for index, item in enumerate(value):
            name = item.get(unique) if isinstance(item, dict) else item if unique == "." else None
            place = f"{at}[{name}]" if isinstance(item, dict) and isinstance(name, str) else f"{at}[{index}]"
            check(item, place, problems)
            if isinstance(name, str):
                if name in seen:
                    problems.append(f"{place}: stands twice")
                seen.add(name)

    return check_all


def texts_by_name(value: Any, at: str, problems: list[str]) -> None:
    """An object of texts."""
    if not isinstance(value, dict):
        problems.append(f"{at}: an object is expected, not {_kind(value)}")
        return
    for name, inner in value.items():
        text(r"[^\r\n]*", empty=True)(inner, f"{at}.{name}", problems)


def anything(value: Any, at: str, problems: list[str]) -> None:
    """Whatever; what is not read is not judged."""


class Object:
    """An object with these fields, all of them, and no others; those of `optional` may be absent."""

    def __init__(self, fields: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> None:
        self.fields = fields
        self.known = {**fields, **(optional or {})}

    def __call__(self, value: Any, at: str, problems: list[str]) -> None:
        if not isinstance(value, dict):
            problems.append(f"{at or 'the file'}: an object is expected, not {_kind(value)}")
            return
        dot = f"{at}." if at else ""
        for name in value:
            if name not in self.known:
                problems.append(f"{dot}{name}: unknown field; known: {', '.join(self.known) or 'none'}")
        for name, check in self.known.items():
            if name in value:
                check(value[name], f"{dot}{name}", problems)
            elif name in self.fields:
                problems.append(f"{dot}{name}: is missing")


def by_key(shapes: Mapping[str, Object]) -> Check:
    """An object of one of several shapes, told apart by the one key of `shapes` that it has."""

    def check(value: Any, at: str, problems: list[str]) -> None:
        keys = [key for key in shapes if isinstance(value, dict) and key in value]
        if len(keys) == 1:
            shapes[keys[0]](value, at, problems)
        else:
            problems.append(f"{at}: exactly one of {', '.join(shapes)} is expected")

    return check


_KINDS: Mapping[type, str] = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "something else")
