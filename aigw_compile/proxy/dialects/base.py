"""What dialects say when something does not fit: the request, the reply, or the provider's own error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Unsupported(ValueError):
    """A field that a provider's dialect cannot carry; its name is the message."""


class Malformed(ValueError):
    """A field of a request that has no meaning in any dialect; the message is (field, what it must be)."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"`{field}` must be {what}.")
        self.field = field


class StreamError(ValueError):
    """A provider's error in the middle of its stream; the message is the cause, in the words of the language."""


_STATUSES: Mapping[int, str] = {
    401: "auth-error",
    402: "quota-exceeded",
    403: "auth-error",
    429: "rate-limited",
    503: "overloaded",
    529: "overloaded",
}
_WORDS: Mapping[str, str] = {
    "insufficient_quota": "quota-exceeded",
    "billing_error": "quota-exceeded",
    "context_length_exceeded": "context-length",
    "content_filter": "content-filter",
    "content_policy_violation": "content-filter",
    "rate_limit_exceeded": "rate-limited",
    "rate_limit_error": "rate-limited",
    "overloaded_error": "overloaded",
    "authentication_error": "auth-error",
    "permission_error": "auth-error",
    "timeout_error": "timeout",
    "server_error": "server-error",
    "api_error": "server-error",
}
"""Codes and types of errors at OpenAI (platform.openai.com/docs/guides/error-codes) and Anthropic
(docs.claude.com/en/api/errors). In a stream they stand alone; beside a status they only make it more precise."""
_PRECISE = frozenset({"quota-exceeded", "context-length", "content-filter"})


def cause_of(status: int, error: Mapping[str, Any]) -> str | None:
    """Return the cause that a provider's error stands for; None for what goes to the client at once.

    `status`: 0 where there is none, in the middle of a stream. `error`: {message, type, param, code}.
    """
    named = next(
        (_WORDS[w] for w in (error.get("code"), error.get("type")) if isinstance(w, str) and w in _WORDS), None
    )
    if not status or named in _PRECISE:
        return named
    return _STATUSES.get(status) or ("server-error" if status >= 500 or 300 <= status < 400 else None)
