"""A scripted provider on loopback: every dialect, JSON and SSE, and whatever goes wrong with providers."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

WORDS = ("Hello", " from", " here")
ANTHROPIC_STOP = {"stop_reason": "end_turn", "stop_sequence": None}


class Seen(NamedTuple):
    """A request that arrived."""

    at: float
    """When, by a clock that all providers share."""
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Provider:
    """One provider: what it saw, and what it is to do next.

    `then` holds a step for each coming request; when it is empty, `always` holds. A step may have `status`, `delay`
    (seconds), `reset`, `body` (text), `headers`, `cut` (break off after so many events), `pause` (between events), `parts`
    (texts of a body that is sent piece by piece, as `type`; with `cut` it breaks off after so many of them), `hold` (after
    how many of them it waits once, and how many seconds).
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.then: list[dict[str, Any]] = []
        self.always: dict[str, Any] = {}
        self.url = ""
        self.named: set[str | None] = set()
        """The names by which it was called in TLS (SNI)."""

    def plan(self, *steps: dict[str, Any], always: dict[str, Any] | None = None) -> None:
        self.seen, self.then, self.always = [], list(steps), always or {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        headers = {k.lower(): v for k, v in request.headers.items()}
        self.seen.append(Seen(time.monotonic(), request.method, request.raw_path, headers, raw))
        step = self.then.pop(0) if self.then else self.always
        await asyncio.sleep(step.get("delay", 0))
        if step.get("reset"):
            assert request.transport
            request.transport.abort()
            return web.Response()
        if "parts" in step:
            kind = {"content-type": step.get("type", "text/event-stream"), **step.get("headers", {})}
            return await self._stream(
                request, step["parts"], step, web.StreamResponse(status=step.get("status", 200), headers=kind)
            )
        anthropic = "/messages" in request.path
        if "body" in step:
            return web.Response(
                status=step.get("status", 200),
                text=step["body"],
                content_type="application/json",
                headers=step.get("headers"),
            )
        if "status" in step:
            fault = {"type": "mock", "message": f"says {step['status']}", "code": step.get("code")}
            shape = {"type": "error", "error": fault} if anthropic else {"error": fault}
            return web.json_response(shape, status=step["status"], headers=step.get("headers"))
        body = json.loads(raw)
        if body.get("stream") or ":stream" in request.path:
            made = _anthropic_events if anthropic else _gemini_events if ":stream" in request.path else _openai_events
            events = list(made(body))
            return await self._stream(
                request, events, step, web.StreamResponse(headers={"content-type": "text/event-stream"})
            )
        whole = _whole(request.path, body)
        return web.json_response(whole, headers=step.get("headers"))

    async def _stream(
        self, request: web.Request, events: list[str], step: dict[str, Any], response: web.StreamResponse
    ) -> web.StreamResponse:
        await response.prepare(request)
        for number, event in enumerate([*events, ""]):
            wait = step.get("hold", (-1, 0))
            if number == wait[0]:
                await asyncio.sleep(wait[1])
            if number == step.get("cut"):
                # What was written before leaves first: an abort throws away what is still in a buffer.
                await asyncio.sleep(0.02)
                assert request.transport
                request.transport.abort()
                return response
            # In two pieces, so that a reader that takes a chunk for an event is found out.
            middle = len(event) // 2
            await response.write(event[:middle].encode())
            await asyncio.sleep(step.get("pause", 0))
            await response.write(event[middle:].encode())
        await response.write_eof()
        return response


def _whole(path: str, body: dict[str, Any]) -> dict[str, Any]:
    if path.endswith("/count_tokens"):
        return {"input_tokens": 42}
    if path.endswith("/embeddings"):
        made = {"object": "embedding", "index": 0, "embedding": [0.25, -1.5e-7]}
        return {
            "object": "list",
            "data": [made],
            "model": body["model"],
            "usage": {"prompt_tokens": 9, "total_tokens": 9},
        }
    if path.endswith(":generateContent"):
        return _gemini(*WORDS, finish="STOP", tools=bool(body.get("tools")))
    if path.endswith(":batchEmbedContents"):
        return {"embeddings": [{"values": [0.25, -1.5e-7]} for _ in body["requests"]]}
    return _anthropic(body) if "/messages" in path else _openai(body)


def _gemini(*words: str, finish: str | None = None, tools: bool = False) -> dict[str, Any]:
    counted = {"promptTokenCount": 13, "candidatesTokenCount": 4, "thoughtsTokenCount": 2, "cachedContentTokenCount": 3}
    call: dict[str, Any] = {"functionCall": {"name": "weather", "args": {"city": "Paris"}}}
    content = {"role": "model", "parts": [*({"text": word} for word in words), *([call] if tools else [])]}
    head = {"responseId": "r", "modelVersion": "gemini", "usageMetadata": counted}
    return {**head, "candidates": [{"index": 0, "content": content, **({"finishReason": finish} if finish else {})}]}


def _gemini_events(body: dict[str, Any]) -> Iterator[str]:
    yield from (_data(_gemini(word)) for word in WORDS[:-1])
    yield _data(_gemini(WORDS[-1], finish="STOP", tools=bool(body.get("tools"))))


def _openai(body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(WORDS)}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
        "big": 12345678901234567890,
    }


def _openai_events(body: dict[str, Any]) -> Iterator[str]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    asked = (body.get("stream_options") or {}).get("include_usage")
    extra: dict[str, Any] = {"usage": None} if asked else {}
    for word in WORDS:
        choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
        yield _data({**head, "choices": [choice], **extra})
    yield _data({**head, **extra, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if asked:
        usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
        yield _data({**head, "choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


def _anthropic(body: dict[str, Any]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": "".join(WORDS)}]
    if body.get("tools"):
        content.append({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"n": 12345678901234567890}})
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": "tool_use" if body.get("tools") else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 7, "cache_read_input_tokens": 3},
    }


def _anthropic_events(body: dict[str, Any]) -> Iterator[str]:
    usage = {"input_tokens": 12, "output_tokens": 1}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [],
        "usage": usage,
    }
    yield _event({"type": "message_start", "message": message})
    yield _event({"type": "ping"})
    yield _event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for word in WORDS:
        yield _event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}})
    yield _event({"type": "content_block_stop", "index": 0})
    if body.get("tools"):
        block = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
        yield _event({"type": "content_block_start", "index": 1, "content_block": block})
        for part in ('{"city":', '"Paris"}'):
            delta = {"type": "input_json_delta", "partial_json": part}
            yield _event({"type": "content_block_delta", "index": 1, "delta": delta})
        yield _event({"type": "content_block_stop", "index": 1})
    stop = {"stop_reason": "tool_use"} if body.get("tools") else ANTHROPIC_STOP
    yield _event({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 7}})
    yield _event({"type": "message_stop"})


def _data(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body)}\n\n"


def _event(body: dict[str, Any]) -> str:
    return f"event: {body['type']}\ndata: {json.dumps(body)}\n\n"


@contextmanager
def providers(
    count: int, certificate: Path | None = None, clients: Path | None = None
) -> Iterator[tuple[Provider, ...]]:
    """Serve `count` providers, each on a port of its own, from a thread of their own.

    With a folder that holds cert.pem and key.pem they speak https, and with `clients`, the certificate of an authority,
    only to those who show a certificate of it.
    """
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        if clients:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
    made = tuple(Provider() for _ in range(count))
    if context:
        context.sni_callback = lambda _, name, __: made[0].named.add(name)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runners = [asyncio.run_coroutine_threadsafe(_serve(p, context), loop).result(10) for p in made]
    try:
        yield made
    finally:
        for runner in runners:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _serve(provider: Provider, context: ssl.SSLContext | None) -> web.AppRunner:
    application = web.Application(client_max_size=64 << 20)
    application.router.add_route("*", "/{path:.*}", provider.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    provider.url = f"http{'s' if context else ''}://127.0.0.1:{port}/v1"
    return runner
