"""Chunks of a provider's stream to the events that a client gets, and what was used on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson

from aigw_compile.proxy.decide import Call
from aigw_compile.proxy.errors import Refuse
from aigw_compile.proxy.upstream import StreamBroken, Streamed

DONE = b"data: [DONE]\n\n"


class Exchange:
    """What a call has used: the provider's own figures, or an estimate from what was sent."""

    def __init__(self) -> None:
        self.answered = False
        self.usage: dict[str, Any] | None = None
        self.said = ""
        self.broken = ""

    def text(self, body: dict[str, Any]) -> None:
        """Remember the text of a chunk or of a reply."""
        for choice in body.get("choices") or ():
            part = choice.get("delta") or choice.get("message") or {}
            if isinstance(part.get("content"), str):
                self.said += part["content"]
            for call in part.get("tool_calls") or ():
                self.said += (call.get("function") or {}).get("arguments") or ""

    def tokens(self, call: Call) -> tuple[int, int, bool]:
        """Return (prompt, completion, whether it is an estimate)."""
        if self.usage is not None:
            return self.usage.get("prompt_tokens") or 0, self.usage.get("completion_tokens") or 0, False
        return -(-call.size // 4), -(-len(self.said.encode()) // 4), True

    def total(self, call: Call) -> int:
        """Tokens to charge: the provider's own total where it names one; 0 for a call that failed."""
        if not self.answered:
            return 0
        if self.usage is not None and isinstance(self.usage.get("total_tokens"), int):
            total: int = self.usage["total_tokens"]
            return total
        prompt, completion, _ = self.tokens(call)
        return prompt + completion


async def streamed(call: Call, source: Streamed, used: Exchange) -> AsyncIterator[bytes]:
    """Yield a client's events. A stream that breaks off ends with an error event, never with [DONE] or in silence."""
    try:
        for chunk in source.first:
            if event := _event(call, chunk, used):
                yield event
        async for chunk in source.rest:
            if event := _event(call, chunk, used):
                yield event
    except StreamBroken as broken:
        used.broken = "upstream_timeout" if str(broken) == "timeout" else "upstream_error"
        words = "The provider stopped in the middle of its answer."
        yield b"data: " + Refuse(502, "api_error", used.broken, words).body() + b"\n\n"
        return
    finally:
        used.usage = source.state.usage
    yield DONE


def _event(call: Call, chunk: dict[str, Any], used: Exchange) -> bytes | None:
    """A chunk as the client gets it: with the name that it asked for, and usage only if it wants it."""
    used.text(chunk)
    shown = {**chunk, "model": call.asked}
    if not call.wants_usage:
        shown.pop("usage", None)
        if not chunk.get("choices") and "usage" in chunk:
            return None
    return b"data: " + orjson.dumps(shown) + b"\n\n"


async def static_chunks(call: Call, content: str, now: float) -> AsyncIterator[bytes]:
    """Yield the static fallback response: one JSON reply, or the events of a stream; usage is 0."""
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    head = {"id": "chatcmpl-fallback", "created": int(now), "model": call.asked}
    if not call.stream:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": content},
            "logprobs": None,
            "finish_reason": "stop",
        }
        yield orjson.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
        return
    head["object"] = "chat.completion.chunk"
    for delta, finish in (({"role": "assistant", "content": content}, None), ({}, "stop")):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        yield b"data: " + orjson.dumps({**head, "choices": [choice]}) + b"\n\n"
    if call.wants_usage:
        yield b"data: " + orjson.dumps({**head, "choices": [], "usage": usage}) + b"\n\n"
    yield DONE
