"""Built-in providers for demos and tests: an ASGI application that answers in OpenAI's and in Anthropic's dialect.

A word in the user's last message makes it fail: `mock:429`, `mock:500` (any status from 400 to 599), `mock:slow`,
`mock:cut`, `mock:malformed`; with a provider's name in between, `mock:openai:429`, only that provider does.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

WORD = re.compile(r"mock:(?:([a-z0-9-]+):)?([45]\d\d|slow|cut|malformed)\b")

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Providers:
    """Every provider at once: the first part of the path is the provider's name. `seen` holds the last `keep` requests.

    `slow`: seconds before the first byte of `mock:slow`.
    """

    def __init__(self, slow: float = 3.0, keep: int = 100) -> None:
        self.seen: list[dict[str, Any]] = []
        self._keep = keep
        self._slow = slow

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send
    ) -> None:
        if scope["type"] != "http":
            return
        raw = b""
        while True:
            message = await receive()
            raw += message.get("body", b"")
            if not message.get("more_body"):
                break
        _, provider, path = scope["path"].split("/", 2)
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        try:
            body = json.loads(raw)
        except ValueError:
            body = {}
        self.seen.append({"provider": provider, "path": f"/{path}", "headers": headers, "body": body})
        del self.seen[: -self._keep]
        if _fault(provider, body) == "slow":
            await asyncio.sleep(self._slow)
        await _answer(send, provider, path.endswith("messages"), body)


async def _answer(send: Send, provider: str, anthropic: bool, body: dict[str, Any]) -> None:
    fault = _fault(provider, body)
    if fault.isdigit():
        await _json(send, int(fault), _error(anthropic, int(fault), provider))
        return
    if fault == "malformed":
        await _raw(send, 200, b'{"choices": [', b"application/json")
        return
    text = f"This is {body.get('model')} at {provider}: I read {len(_last(body))} characters."
    tokens = (max(1, len(json.dumps(body.get("messages", []))) // 4), len(text) // 4)
    if body.get("stream"):
        events = (_anthropic_events if anthropic else _openai_events)(body, text, tokens)
        await _events(send, events, cut=fault == "cut")
    elif fault == "cut":
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json"), (b"content-length", b"9999")],
            }
        )
        await send({"type": "http.response.body", "body": b'{"id":', "more_body": True})
        raise ConnectionAbortedError("mock:cut")
    else:
        await _json(send, 200, (_anthropic_reply if anthropic else _openai_reply)(body, text, tokens))


def _last(body: dict[str, Any]) -> str:
    """The text of the user's last message; decorators may have put others after it."""
    content = next((m.get("content") for m in reversed(body.get("messages") or ()) if m.get("role") == "user"), "")
    if isinstance(content, list):
        return " ".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
    return str(content or "")


def _fault(provider: str, body: dict[str, Any]) -> str:
    for name, fault in WORD.findall(_last(body)):
        if name in ("", provider):
            return str(fault)
    return ""


def _error(anthropic: bool, status: int, provider: str) -> dict[str, Any]:
    message = f"{provider} was told to answer {status}"
    if anthropic:
        return {"type": "error", "error": {"type": "mock_error", "message": message}}
    return {"error": {"message": message, "type": "mock_error", "param": None, "code": None}}


def _usage(tokens: tuple[int, int]) -> dict[str, int]:
    return {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}


def _tool(body: dict[str, Any]) -> str | None:
    """The tool to call: the first one, unless the client has just told what a tool said."""
    last = (body.get("messages") or [{}])[-1]
    told = last.get("content") if isinstance(last.get("content"), list) else ()
    if last.get("role") == "tool" or any(p.get("type") == "tool_result" for p in told):
        return None
    tools = body.get("tools") or ()
    return next((t.get("name") or t["function"]["name"] for t in tools), None)


def _openai_reply(body: dict[str, Any], text: str, tokens: tuple[int, int]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    finish = "stop"
    if name := _tool(body):
        function = {"name": name, "arguments": '{"city": "Paris"}'}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        }
        finish = "tool_calls"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-mock", "object": "chat.completion", "created": 1, "model": body.get("model")}
    return {**head, "choices": [choice], "usage": _usage(tokens)}


def _openai_events(body: dict[str, Any], text: str, tokens: tuple[int, int]) -> list[bytes]:
    head = {"id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 1, "model": body.get("model")}
    words = re.findall(r"\S+\s*", text)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": w} for w in words), {}]
    finish = "stop"
    if name := _tool(body):
        start = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
        parts = [{"index": 0, "function": {"arguments": part}} for part in ('{"city":', ' "Paris"}')]
        deltas = [{"role": "assistant", "content": None}, *({"tool_calls": [c]} for c in (start, *parts)), {}]
        finish = "tool_calls"
    events = []
    for number, delta in enumerate(deltas):
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish if number == len(deltas) - 1 else None,
        }
        events.append({**head, "choices": [choice]})
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append({**head, "choices": [], "usage": _usage(tokens)})
    return [*(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events), b"data: [DONE]\n\n"]


def _anthropic_reply(body: dict[str, Any], text: str, tokens: tuple[int, int]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    stop = "end_turn"
    if name := _tool(body):
        content = [{"type": "tool_use", "id": "toolu_1", "name": name, "input": {"city": "Paris"}}]
        stop = "tool_use"
    head = {"id": "msg_mock", "type": "message", "role": "assistant", "model": body.get("model")}
    usage = {"input_tokens": tokens[0], "output_tokens": tokens[1]}
    return {**head, "content": content, "stop_reason": stop, "stop_sequence": None, "usage": usage}


def _anthropic_events(body: dict[str, Any], text: str, tokens: tuple[int, int]) -> list[bytes]:
    message = {**_anthropic_reply({**body, "tools": None}, text, tokens), "content": [], "stop_reason": None}
    message["usage"] = {"input_tokens": tokens[0], "output_tokens": 1}
    start: dict[str, Any] = {"type": "text", "text": ""}
    deltas: list[dict[str, Any]] = [{"type": "text_delta", "text": w} for w in re.findall(r"\S+\s*", text)]
    stop = "end_turn"
    if name := _tool(body):
        start = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in ('{"city":', ' "Paris"}')]
        stop = "tool_use"
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": start},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": d} for d in deltas),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop, "stop_sequence": None},
            "usage": {"output_tokens": tokens[1]},
        },
        {"type": "message_stop"},
    ]
    return [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]


async def _json(send: Send, status: int, body: dict[str, Any]) -> None:
    await _raw(send, status, json.dumps(body).encode(), b"application/json")


async def _raw(send: Send, status: int, body: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if status == 429:
        headers.append((b"retry-after", b"7"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _events(send: Send, events: list[bytes], *, cut: bool) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for event in events[: len(events) // 2] if cut else events:
        await send({"type": "http.response.body", "body": event, "more_body": True})
        await asyncio.sleep(0)
    if cut:
        raise ConnectionAbortedError("mock:cut")
    await send({"type": "http.response.body", "body": b""})
