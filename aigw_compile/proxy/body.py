"""The bytes of a client to the JSON object that everything else works on, or the refusal of step 4.

What a lenient reader would take in two ways is refused, since a guard and a provider must not read different things:
duplicate keys, numbers that are none, lone surrogates, fields of the wrong type that a provider might convert.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import isinf
from typing import Any, NoReturn

from aigw_compile.proxy.errors import Refuse, invalid

_JSON = "invalid_json"
_FIELD = "invalid_request"


def parsed(raw: bytes) -> dict[str, Any] | Refuse:
    """Return the object. Invalid UTF-8, invalid JSON, and a key that stands twice at any depth are refused."""
    try:
        data = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_pairs, parse_constant=_no_constant, parse_float=_finite
        )
        if b"\\ud" in raw or b"\\uD" in raw:
            json.dumps(data, ensure_ascii=False).encode("utf-8")
    except _Duplicate as twice:
        return invalid(_JSON, f"The key {twice} stands twice.")
    except (ValueError, RecursionError):
        return invalid(_JSON, "The body is not valid JSON in UTF-8.")
    return data if isinstance(data, dict) else invalid(_FIELD, "The body must be a JSON object.")


def chat(data: Mapping[str, Any]) -> Refuse | None:
    """Refuse what is no chat request: the fields that the proxy itself reads must have their type."""
    name = data.get("model")
    if not isinstance(name, str) or not name:
        return _wrong("model", "a text")
    messages = data.get("messages")
    if not isinstance(messages, list) or not messages:
        return _wrong("messages", "a list of messages")
    for index, message in enumerate(messages):
        if wrong := _message(message):
            return _wrong(f"messages[{index}]{wrong[0]}", wrong[1])
    for field, (good, what) in _FIELDS.items():
        if data.get(field) is not None and not good(data[field]):
            return _wrong(field, what)
    return None


def _message(message: Any) -> tuple[str, str] | None:
    if not isinstance(message, dict):
        return "", "an object"
    if not isinstance(message.get("role"), str):
        return ".role", "a text"
    content = message.get("content")
    if content is None or isinstance(content, str):
        return None
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        return ".content", "a text or a list of parts"
    for number, part in enumerate(content):
        if part.get("text") is not None and not isinstance(part["text"], str):
            return f".content[{number}].text", "a text"
    return None


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


_FIELDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "stream": (lambda v: isinstance(v, bool), "true or false"),
    "stream_options": (lambda v: isinstance(v, dict), "an object"),
    "n": (_count, "a whole number over 0"),
    "max_tokens": (_count, "a whole number over 0"),
    "max_completion_tokens": (_count, "a whole number over 0"),
}
"""Read by the proxy: what a provider might take for a number must be one here too, or limits would count something else."""


def _wrong(field: str, what: str) -> Refuse:
    return invalid(_FIELD, f"`{field}` must be {what}.", param=field)


class _Duplicate(ValueError):
    pass


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Keys come here unescaped, so `mod\\u0065l` beside `model` is found too."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Duplicate(ascii(key[:60]))
            seen.add(key)
    return found


def _no_constant(word: str) -> NoReturn:
    """NaN and Infinity are no JSON."""
    raise ValueError(word)


def _finite(text: str) -> float:
    """1e999 would become infinity, and null on its way to a provider."""
    value = float(text)
    if isinf(value):
        raise ValueError(text)
    return value
