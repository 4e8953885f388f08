"""promptGuard at run time: a request's body and the guards that apply to a refusal, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import re2

from aigw_compile.proxy.config import Guard


@cache  # patterns come from the configuration alone
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


OUTSIDE: Mapping[str, str] = {"instructions": "system", "system": "system", "input": "user", "prompt": "user"}
"""Fields beside `messages` that other APIs have and a lenient provider may read, with the role that they speak in."""


def refuses(guards: Iterable[Guard], body: Mapping[str, Any]) -> bool:
    """Say whether any guard refuses this body. Every guard that applies must pass, each with its own settings."""
    return any(_refuses(guard, body) for guard in guards)


def _refuses(guard: Guard, body: Mapping[str, Any]) -> bool:
    messages = body["messages"] if guard.scope == "conversation" else body["messages"][-1:]
    texts = [(m["role"], text) for m in messages for text in texts_of(m)]
    beside = [(role, text) for field, role in OUTSIDE.items() for text in _content(body.get(field))]
    looked_at = texts + (beside if guard.scope == "conversation" else [])
    if any(
        _compiled(p).search(t) for role, t in looked_at if not guard.roles or role in guard.roles for p in guard.deny
    ):
        return True
    if not guard.allow:
        return False
    said = [text for role, text in texts if role == "user"]
    return not said or not all(any(_compiled(p).search(text) for p in guard.allow) for text in said)


def texts_of(message: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of a message: its text parts joined by a newline; names, refusals and tool arguments beside them."""
    yield from _content(message.get("content"))
    yield from (message[key] for key in ("name", "refusal") if isinstance(message.get(key), str))
    calls = message.get("tool_calls")
    calls = [c for c in calls if isinstance(c, dict)] if isinstance(calls, list) else []
    for function in (*(c.get(kind) for c in calls for kind in ("function", "custom")), message.get("function_call")):
        if isinstance(function, dict):
            yield from (function[k] for k in ("name", "arguments", "input") if isinstance(function.get(k), str))


def _content(content: Any) -> Iterator[str]:
    """Yield what is text in a content: itself, or its parts as one text."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list) and (parts := list(_parts(content))):
        yield "\n".join(parts)


def _parts(content: list[Any]) -> Iterator[str]:
    for part in content:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            yield from (part[key] for key in ("text", "refusal") if isinstance(part.get(key), str))
            yield from _content(part.get("content"))
