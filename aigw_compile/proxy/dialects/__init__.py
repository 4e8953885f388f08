"""The dialects of providers, each to and from one hub form (OpenAI's chat completions), never dialect to dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from aigw_compile.proxy.dialects import anthropic, openai


class StreamOf(Protocol):
    """Turns a provider's events into chunks of the hub form; remembers usage and whether the end was seen."""

    done: bool
    usage: dict[str, Any] | None

    def chunks(self, event: str, data: bytes) -> Iterator[dict[str, Any]]: ...


class Dialect(NamedTuple):
    path: str
    """Added to a provider's base URL."""
    passes: tuple[str, ...]
    """Client headers that a provider of this dialect is sent besides the usual ones; with a dash at the end, a prefix."""
    request: Callable[[dict[str, Any], str], dict[str, Any]]
    """(body in the hub form, provider's model) -> body. Raises Unsupported or Malformed."""
    reply: Callable[[Any], dict[str, Any]]
    """A provider's reply -> the hub form. Raises KeyError, TypeError or ValueError for what is none."""
    stream: Callable[[], StreamOf]
    error: Callable[[Any], dict[str, Any]]
    """A provider's error body -> {message, type, param, code}, each a text or None."""


DIALECTS: Mapping[str, Dialect] = {
    "openai": Dialect(
        "/chat/completions", ("openai-", "idempotency-key"), openai.request, openai.reply, openai.Stream, openai.error
    ),
    "anthropic": Dialect("/messages", (), anthropic.request, anthropic.reply, anthropic.Stream, anthropic.error),
}
