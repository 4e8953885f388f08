"""The doors that clients call: their paths below basePath, and which of them a model is behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aigw_compile import ir

DOOR_HEADER = "x-aigw-door"
"""By this header the tiers tell each other which door was called; no client or provider sees it."""
CALL_HEADER = "x-aigw-call"
"""What a target knows of a call: where the name of the model stands in the body, if a stream is asked for, the size, the name."""
PATHS: Mapping[str, str] = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "count": "/v1/messages/count_tokens",
    "embeddings": "/v1/embeddings",
}
CAPABILITY: Mapping[str, str] = {"chat": "chat", "messages": "chat", "count": "chat", "embeddings": "embeddings"}
"""Door -> the capability that a model needs for it."""
CAPS: Mapping[str, tuple[str, ...]] = {
    "chat": ("max_completion_tokens", "max_tokens"),
    "messages": ("max_tokens",),
    "embeddings": (),
}
"""Door -> the names that a cap on the answer has there, the one to set first."""
ANTHROPIC = ("messages", "count")
"""Doors whose clients speak Anthropic's dialect; the others speak OpenAI's."""


def doors(model: ir.Model) -> Iterator[str]:
    """Yield the doors that lead to a model."""
    yield from (door for door, needed in CAPABILITY.items() if needed in model.capabilities)
