"""A spec as data, with comments for its places, to YAML that a person likes to read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.document import Document, lines_of

WIDEST = 100
"""Columns that something written on one line may take."""


def text_of(spec: Json, comments: Mapping[Pointer, str]) -> str:
    """Return the text: small things on one line, a comment above what it is about."""
    above = frozenset(at[:depth] for at in comments for depth in range(len(at)))
    return "".join(f"{line}\n" for line in _lines(spec, (), "", comments, above))


_AMOUNT = re.compile(r"[0-9]+(ms|s|m|h|Ki|Mi|Gi)")


def _key(key: str) -> str:
    """A key; `on` is a word of the language, which our reader takes for what it is."""
    return key if key == "on" else _scalar(key)


def _scalar(value: Json) -> str:
    """A value as the writer of outputs has it: bare only where every reader takes it for the same text."""
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        return value
    if isinstance(value, str) and "\\" in value and re.fullmatch("[ -&(-~]+", value):
        return f"'{value}'"
    ((line, _),) = lines_of(Document("x.yaml", [value]))
    return line.removeprefix("- ")


def _short(value: Json) -> str | None:
    """A value on one line; None where there is no such form."""
    if isinstance(value, dict):
        parts = [(_key(k), _short(v)) for k, v in value.items()]
        return None if any(v is None for _, v in parts) else "{" + ", ".join(f"{k}: {v}" for k, v in parts) + "}"
    if isinstance(value, list):
        items = [_short(v) for v in value]
        return None if any(v is None for v in items) else "[" + ", ".join(map(str, items)) + "]"
    return None if isinstance(value, str) and "\n" in value else _scalar(value)


def _lines(
    value: Json, at: Pointer, pad: str, comments: Mapping[Pointer, str], above: Collection[Pointer]
) -> Iterator[str]:
    """The lines of a value; `above`: places with a comment somewhere below them."""
    items: list[tuple[str | int, str, Json]] = []
    if isinstance(value, dict):
        items = [(key, f"{_key(key)}:", inner) for key, inner in value.items()]
    elif isinstance(value, list):
        items = [(index, "-", inner) for index, inner in enumerate(value)]
    for step, lead, inner in items:
        place = (*at, step)
        if place in comments:
            yield f"{pad}# {' '.join(comments[place].split())}"
        short = _short(inner)
        nested = isinstance(inner, (dict, list)) and bool(inner)
        small = short is not None and len(pad) + len(lead) + len(short) < WIDEST and (at or step == "metadata")
        if not nested or (small and place not in above):
            written = short if short is not None else _block(inner, pad)
            yield f"{pad}{lead} {written}"
        elif lead == "-":
            lines = [*_lines(inner, place, f"{pad}  ", comments, above)]
            first = next(i for i, line in enumerate(lines) if not line.lstrip().startswith("#"))
            yield from lines[:first]
            yield f"{pad}- {lines[first][len(pad) + 2 :]}"
            yield from lines[first + 1 :]
        else:
            yield f"{pad}{lead}"
            yield from _lines(inner, place, f"{pad}  ", comments, above)


def _block(value: Json, pad: str) -> str:
    """A text of several lines."""
    lines = [line for line, _ in lines_of(Document("x.yaml", {"x": value}))]
    head, *rest = lines
    return "\n".join([head.removeprefix("x: "), *(f"{pad}{line}" if line else "" for line in rest)])
