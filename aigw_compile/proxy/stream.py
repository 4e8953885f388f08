"""Chunks of a provider's stream, or a static answer, to what a client gets: events of its dialect, or one JSON reply."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import orjson

from aigw_compile.proxy.decide import Call
from aigw_compile.proxy.errors import BROKEN, OUT_OF_TIME, Refuse
from aigw_compile.proxy.upstream import StreamBroken, Streamed
from aigw_compile.proxy.usage import Used

DONE = b"data: [DONE]\n\n"
NOTHING = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def event(body: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def error_event(refusal: Refuse) -> bytes:
    """The event that ends a stream that broke: never silence, and no [DONE] after it."""
    return b"data: " + refusal.body() + b"\n\n"


async def streamed(call: Call, source: Streamed, used: Used) -> AsyncGenerator[bytes | Refuse, None]:
    """Yield a client's events, several at once where they came at once.

    A Refuse is the last one where the stream breaks off, and no [DONE] follows it.
    """
    try:
        if shown := _shown(call, source.first, used):
            yield shown
        async for chunks in source.rest:
            if shown := _shown(call, chunks, used):
                yield shown
    except StreamBroken as broken:
        yield OUT_OF_TIME if str(broken) == "timeout" else BROKEN
        return
    finally:
        used.usage = source.state.usage
    yield DONE


def _shown(call: Call, chunks: Sequence[dict[str, Any]], used: Used) -> bytes:
    """Chunks as the client gets them: with the name that it asked for, and usage only if it wants it."""
    events = []
    for chunk in chunks:
        used.text(chunk)
        shown = {**chunk, "model": call.asked}
        if not call.wants_usage and "usage" in shown:
            del shown["usage"]
            if not shown.get("choices"):
                continue
        events.append(event(shown))
    return b"".join(events)


def static_reply(call: Call, content: str, now: float) -> bytes:
    """Return the static fallback response as one JSON reply; usage is 0."""
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    head = {"id": "chatcmpl-fallback", "object": "chat.completion", "created": int(now), "model": call.asked}
    return orjson.dumps({**head, "choices": [choice], "usage": NOTHING})


async def static_events(call: Call, content: str, now: float) -> AsyncGenerator[bytes | Refuse, None]:
    """Yield the static fallback response as the events of a stream; usage is 0."""
    head = {"id": "chatcmpl-fallback", "object": "chat.completion.chunk", "created": int(now), "model": call.asked}
    for delta, finish in (({"role": "assistant", "content": content}, None), ({}, "stop")):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        yield event({**head, "choices": [choice]})
    if call.wants_usage:
        yield event({**head, "choices": [], "usage": NOTHING})
    yield DONE
