"""OpenAI's chat completions, which is the hub form: the model's name and the wish for usage are all that changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson


def request(body: dict[str, Any], model: str) -> dict[str, Any]:
    """Return the body with the provider's model name; usage is always asked for."""
    sent = {**body, "model": model}
    if body.get("stream") is True:
        options = body.get("stream_options")
        sent["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    return sent


def reply(data: dict[str, Any]) -> dict[str, Any]:
    """Return the reply. Raises ValueError for what is no chat completion."""
    if not isinstance(data.get("choices"), list):
        raise ValueError("no choices")
    return data


def error(data: Any) -> dict[str, Any]:
    """Return {message, type, param, code} of an error body."""
    found = data.get("error") if isinstance(data, dict) else None
    fields = (
        found if isinstance(found, dict) else {"message": found if isinstance(found, str) else "the provider failed"}
    )
    return {key: fields.get(key) for key in ("message", "type", "param", "code")}


class Stream:
    """Chunks as they come; `[DONE]` is the end."""

    def __init__(self) -> None:
        self.done = False
        self.usage: dict[str, Any] | None = None

    def chunks(self, event: str, data: bytes) -> Iterator[dict[str, Any]]:
        if data == b"[DONE]":
            self.done = True
            return
        chunk = orjson.loads(data)
        if not isinstance(chunk, dict):
            raise ValueError("a chunk is no object")
        if isinstance(chunk.get("error"), (dict, str)):
            raise ValueError("the provider sent an error")
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        yield chunk
