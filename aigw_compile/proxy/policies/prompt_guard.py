"""promptGuard at run time: a request's body and the guards that apply to a refusal, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import re2

from aigw_compile.proxy.config import Guard


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def refuses(guards: Iterable[Guard], messages: Sequence[Any]) -> bool:
    """Say whether any guard refuses these messages. Every guard that applies must pass, each with its own settings."""
    return any(_refuses(guard, messages) for guard in guards)


def _refuses(guard: Guard, messages: Sequence[Any]) -> bool:
    scope = messages if guard.scope == "conversation" else messages[-1:]
    texts = [(role, text) for message in scope for role, text in texts_of(message)]
    if any(_compiled(p).search(t) for role, t in texts if not guard.roles or role in guard.roles for p in guard.deny):
        return True
    if not guard.allow:
        return False
    said = [text for role, text in texts if role == "user"]
    return not said or not all(any(_compiled(p).search(text) for p in guard.allow) for text in said)


def texts_of(message: Any) -> Iterator[tuple[str, str]]:
    """Yield (role, text) of a message: its text parts joined by a newline, tool arguments and refusals beside them."""
    if not isinstance(message, dict):
        return
    role = message.get("role")
    role = role if isinstance(role, str) else ""
    content = message.get("content")
    if isinstance(content, str):
        yield role, content
    elif isinstance(content, list):
        parts = [
            p[key] for p in content if isinstance(p, dict) for key in ("text", "refusal") if isinstance(p.get(key), str)
        ]
        if parts:
            yield role, "\n".join(parts)
    calls = message.get("tool_calls")
    functions = [c.get("function") for c in calls if isinstance(c, dict)] if isinstance(calls, list) else []
    for function in (*functions, message.get("function_call")):
        if isinstance(function, dict):
            yield from ((role, function[k]) for k in ("name", "arguments") if isinstance(function.get(k), str))
    for key in ("name", "refusal"):
        if isinstance(message.get(key), str):
            yield role, message[key]
