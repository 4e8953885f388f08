"""promptGuard, as data with defaults, to its node: refuse a request whose text matches a denied pattern, or no allowed one."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from aigw_compile.diagnostic import Pointer


class _Fields(NamedTuple):
    deny: tuple[str, ...]
    """RE2, searched. One match in any text in scope refuses."""
    allow: tuple[str, ...]
    """RE2, searched. If there are any, every user message in scope must match one."""
    roles: tuple[str, ...]
    """Whose messages `deny` looks at; empty: all."""
    scope: str
    """conversation, or last: the last message alone."""
    origin: Pointer


class PromptGuard(_Fields):
    kind: ClassVar[str] = "promptGuard"


def lower(data: Any, at: Pointer) -> tuple[PromptGuard, ...]:
    patterns = {field: tuple(data.get(field, ())) for field in ("deny", "allow", "roles")}
    return (PromptGuard(**patterns, scope=data["scope"], origin=at),)
