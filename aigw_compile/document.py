"""An output file as data, each part of which remembers what in the spec it came from; and that data as YAML or JSON text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Json, Pointer


class At(NamedTuple):
    """A value of a Block that came from other places of the spec than the block itself."""

    value: Any
    origins: tuple[Pointer, ...]


def at(value: Any, *origins: Pointer) -> At:
    """Say where one value of a Block came from: `Block(model.origin, {"timeout": at("60s", model.timeouts.origin)})`."""
    return At(value, origins)


def everywhere(kind: str) -> Pointer:
    """Return the place that stands for all policies of a kind, at whichever models, groups or consumers they are."""
    return ("spec", "policies", kind)


class Block(dict[str, Any]):
    """A mapping in an output document, and the places of the spec that it was made from."""

    __slots__ = ("origin", "origins")

    def __init__(self, origin: Pointer, fields: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        super().__init__()
        self.origin = origin
        self.origins: dict[str, tuple[Pointer, ...]] = {}
        for key, value in {**(fields or {}), **more}.items():
            self[key] = value

    def __setitem__(self, key: str, value: Any) -> None:
        if isinstance(value, At):
            self.origins[key] = value.origins
            value = value.value
        super().__setitem__(key, value)

    def placed(self) -> dict[str, Any]:
        """Return the fields with their places, as another Block takes them."""
        return {key: at(value, *self.origins[key]) if key in self.origins else value for key, value in self.items()}


class Document(NamedTuple):
    """One output file: YAML, or JSON or Markdown by the end of its name. `stream`: `body` is a list of YAML documents."""

    filename: str
    body: Json
    stream: bool = False


def source_map(body: Json, pointer: Pointer = ()) -> Iterator[tuple[Pointer, Pointer]]:
    """Yield (place in the output, place in the spec) for each block and for each value that has a place of its own."""
    if isinstance(body, Block):
        yield pointer, body.origin
        for key, origins in body.origins.items():
            for origin in origins:
                yield (*pointer, key), origin
    if isinstance(body, dict):
        for key, value in body.items():
            yield from source_map(value, (*pointer, key))
    elif isinstance(body, list):
        for index, value in enumerate(body):
            yield from source_map(value, (*pointer, index))


def text_of(document: Document) -> str:
    """Return the bytes-to-be of a document: the same data gives the same text, on any machine."""
    return "".join(f"{line}\n" for line, _ in lines_of(document))


def lines_of(document: Document) -> Iterator[tuple[str, Pointer]]:
    """Yield each line of the output with the place in the document that it shows."""
    if document.filename.endswith(".md") and isinstance(document.body, str):
        yield from ((line, ()) for line in document.body.splitlines())
    elif document.filename.endswith(".json"):
        yield from _json(document.body, "", (), "", "")
    elif document.stream and isinstance(document.body, list):
        for index, body in enumerate(document.body):
            if index:
                yield "---", ()
            yield from _yaml(body, 0, (index,), "")
    else:
        yield from _yaml(document.body, 0, (), "")


# --- YAML. Written by ourselves: every library leaves some word bare that a YAML 1.1 or a 1.2 reader takes for something
# else (on, 1e3, 12:30:45). Bare are only words that both read as the same text; everything else is quoted as in JSON.

_BARE = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_RESERVED = frozenset("y n yes no on off true false null".split())
_ESCAPE = re.compile('[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff"\\\\]')
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def _scalar(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    assert isinstance(value, str)
    if _BARE.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    return _quoted(value)


def _quoted(text: str) -> str:
    return '"' + _ESCAPE.sub(lambda m: _SHORT.get(m[0]) or f"\\u{ord(m[0]):04x}", text) + '"'


def _number(value: float) -> str:
    """A float that a YAML 1.1 reader also takes for one: with a point before the exponent."""
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}{e}{exponent}"


def _literal(text: str) -> bool:
    """Say whether a text can stand as a literal block and be read back the same."""
    first, _, rest = text.partition("\n")
    plain = not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]", text)
    return bool(rest) and plain and bool(first) and not first[0].isspace() and not text.endswith("\n\n")


def _yaml(value: Json, depth: int, pointer: Pointer, lead: str) -> Iterator[tuple[str, Pointer]]:
    """Yield the lines of a value; `lead` is what stands before its first line (`- ` or `key: `)."""
    pad = "  " * depth
    if isinstance(value, dict) and value:
        if lead and not lead.endswith("- "):
            yield lead.rstrip(), pointer
            lead = ""
        for key, inner in value.items():
            start = (lead or pad) + _scalar(key) + ": "
            lead = ""
            yield from _yaml(inner, depth + 1, (*pointer, key), start)
    elif isinstance(value, list) and value:
        if lead and not lead.endswith("- "):
            yield lead.rstrip(), pointer
            lead = ""
            pad = pad[2:]  # a list stands under its key without indentation
            depth -= 1
        for index, inner in enumerate(value):
            start = (lead or pad) + "- "
            lead = ""
            yield from _yaml(inner, depth + 1, (*pointer, index), start)
    elif isinstance(value, str) and depth and _literal(value):
        yield f"{lead}|" + ("" if value.endswith("\n") else "-"), pointer
        for line in value.removesuffix("\n").split("\n"):
            yield (pad + line if line else ""), pointer
    else:
        empty = "{}" if isinstance(value, dict) else "[]" if isinstance(value, list) else _scalar(value)
        yield lead + empty, pointer


def _json(value: Json, pad: str, pointer: Pointer, lead: str, tail: str) -> Iterator[tuple[str, Pointer]]:
    """JSON with an indent of one space, in the order of the data."""
    if isinstance(value, (dict, list)) and value:
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        yield f"{pad}{lead}{opening}", pointer
        items: list[tuple[str | int, Json]] = list(value.items() if isinstance(value, dict) else enumerate(value))
        for number, (key, inner) in enumerate(items, 1):
            name = f"{json.dumps(key, ensure_ascii=False)}: " if isinstance(key, str) else ""
            yield from _json(inner, pad + " ", (*pointer, key), name, "," if number < len(items) else "")
        yield f"{pad}{closing}{tail}", pointer
    else:
        yield f"{pad}{lead}{json.dumps(value, ensure_ascii=False)}{tail}", pointer
