"""The proxy as an ASGI application: a request through the steps of the request order, to an answer, a record and settled counters."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import orjson

from aigw_compile.proxy import decide
from aigw_compile.proxy.balance import Balance
from aigw_compile.proxy.config import Config, Consumer, Listener
from aigw_compile.proxy.decide import Call
from aigw_compile.proxy.errors import INTERNAL, NOT_FOUND, Refuse
from aigw_compile.proxy.exchange import Answer, Static, answer
from aigw_compile.proxy.limits import Limits, Reservation
from aigw_compile.proxy.stream import Exchange, static_chunks, streamed
from aigw_compile.proxy.telemetry import Metrics, Record, Spans, line, write_line
from aigw_compile.proxy.upstream import Reply, Streamed, Upstream

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

JSON = (b"content-type", b"application/json")
EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")


class Gateway:
    """Everything that requests share."""

    def __init__(
        self,
        config: Config,
        keys: Mapping[str, Consumer],
        upstream: Upstream,
        limits: Limits,
        balance: Balance,
        spans: Spans | None,
        out: Callable[[str], None] = write_line,
    ) -> None:
        self.config = config
        self.keys = keys
        self.upstream = upstream
        self.limits = limits
        self.balance = balance
        self.metrics = Metrics()
        self.spans = spans
        self._out = out

    def finish(self, record: Record) -> None:
        """Step 19: count, log and trace a request."""
        self.metrics.record(record)
        if self.config.access_log:
            self._out(line(record, self.config.access_log[0]))
        if self.spans:
            self.spans.add(record)


def application(gateway: Gateway, listener: Listener) -> Any:
    """Return the ASGI application of one listener."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _Request(gateway, listener, scope, receive, send).run()

    return app


class _Request:
    """One request on its way."""

    def __init__(
        self, gateway: Gateway, listener: Listener, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        self.gateway = gateway
        self.listener = listener
        self.scope = scope
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.receive = receive
        self._send = send
        self.started = time.time()
        self.clock = time.perf_counter()
        self.status = 0
        self.code = ""
        self.consumer: Consumer | None = None
        self.call: Call | None = None
        self.answer: Answer | None = None
        self.used = Exchange()

    async def run(self) -> None:
        self.gateway.metrics.in_flight += 1
        try:
            outcome = await self._steps()
            if isinstance(outcome, Refuse):
                await self.refuse(outcome)
        except asyncio.CancelledError:
            raise
        except Exception as bug:
            self.gateway.metrics.add("aigw_internal_errors_total", 1, type=type(bug).__name__)
            if not self.status:
                await self.refuse(INTERNAL)
        finally:
            self.gateway.metrics.in_flight -= 1
            self._record()

    async def _steps(self) -> Refuse | None:
        method, path = self.scope["method"], self.scope["path"]
        host = next((v.decode("latin-1") for k, v in self.headers if k == b"host"), "")
        door = decide.door(self.listener, method, host, path)
        if isinstance(door, Refuse):
            return door
        body = await self._body()
        if isinstance(body, Refuse):
            return body
        consumer = decide.who(self.gateway.config, self.gateway.keys, self.headers)
        if isinstance(consumer, Refuse):
            return consumer
        self.consumer = consumer
        if door == decide.MODELS:
            await self._models()
            return None
        call = decide.call(self.gateway.config, consumer, self.headers, body)
        if isinstance(call, Refuse):
            return call
        self.call = call
        return await self._admitted(call)

    async def _admitted(self, call: Call) -> Refuse | None:
        limits = self.gateway.limits
        refusal = limits.admit(call.counters) or decide.guarded(self.gateway.config, call)
        if refusal:
            return refusal
        reservation = limits.reserve(call.counters, -(-call.size // 4), call.output_cap, call.choices)
        if isinstance(reservation, Refuse):
            return reservation
        try:
            await self._exchange(call)
        finally:
            limits.settle(reservation, self.used.total(call) if isinstance(reservation, Reservation) else 0)
        return None

    async def _exchange(self, call: Call) -> None:
        body = decide.sent(self.gateway.config, call)
        task = asyncio.ensure_future(answer(self.gateway.upstream, self.gateway.balance, call, body, self.headers))
        left = asyncio.ensure_future(self._disconnected())
        try:
            await asyncio.wait((task, left), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self.status, self.code = 499, "client_left"
                return
            found = self.answer = task.result()
            await self._reply(call, found, left)
        finally:
            for pending in (task, left):
                pending.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await pending

    async def _reply(self, call: Call, found: Answer, left: asyncio.Future[None]) -> None:
        extra = {"x-aigw-attempts": str(found.attempts), **self.gateway.limits.headers(call.counters)}
        result = found.result
        if isinstance(result, Refuse):
            await self.refuse(result._replace(headers={**result.headers, "x-aigw-attempts": str(found.attempts)}))
        elif isinstance(result, Reply):
            self.used.usage = result.body.get("usage") if isinstance(result.body.get("usage"), dict) else None
            self.used.text(result.body)
            self.used.answered = True
            await self.send(200, orjson.dumps({**result.body, "model": call.asked}), JSON, extra)
        elif isinstance(result, Static):
            extra["x-aigw-fallback"] = "static"
            self.used.usage = {}
            self.used.answered = True
            chunks = static_chunks(call, result.content, time.time())
            if call.stream:
                await self._events(result.status, chunks, extra, left)
            else:
                await self.send(result.status, await _whole(chunks), JSON, extra)
        else:
            self.used.answered = True
            try:
                await self._events(200, streamed(call, result, self.used), extra, left)
            finally:
                result.close()

    async def _events(
        self, status: int, events: AsyncIterator[bytes], extra: Mapping[str, str], left: asyncio.Future[None]
    ) -> None:
        await self._start(status, EVENTS, {**extra, "cache-control": "no-cache"})
        step = None
        try:
            while not left.done():
                step = asyncio.ensure_future(anext(events, None))
                await asyncio.wait((step, left), return_when=asyncio.FIRST_COMPLETED)
                if not step.done():
                    self.code = "client_left"
                    return
                event = step.result()
                if event is None:
                    break
                await self._send({"type": "http.response.body", "body": event, "more_body": True})
            await self._send({"type": "http.response.body", "body": b""})
        finally:
            if step and not step.done():
                step.cancel()
                with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                    await step

    async def _disconnected(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            continue

    async def _body(self) -> bytes | Refuse:
        """Read the body, and no more of it than is allowed."""
        declared = next((v for k, v in self.headers if k == b"content-length"), b"0")
        too_large = decide.oversized(self.listener, int(declared) if declared.isdigit() else 0)
        if too_large:
            return too_large
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                return b""
            size += len(message.get("body", b""))
            too_large = decide.oversized(self.listener, size)
            if too_large:
                return too_large
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(parts)

    async def _models(self) -> None:
        names = decide.models(self.gateway.config, self.consumer).names
        data = [{"id": n, "object": "model", "created": 0, "owned_by": self.gateway.config.gateway} for n in names]
        await self.send(200, orjson.dumps({"object": "list", "data": data}), JSON, {})

    async def refuse(self, refusal: Refuse) -> None:
        self.code = refusal.code
        extra = dict(refusal.headers)
        if self.call and refusal.status == 429:
            extra |= self.gateway.limits.headers(self.call.counters)
        await self.send(refusal.status, refusal.body(), JSON, extra)

    async def send(self, status: int, body: bytes, kind: tuple[bytes, bytes], extra: Mapping[str, str]) -> None:
        await self._start(status, kind, {**extra, "content-length": str(len(body))})
        await self._send({"type": "http.response.body", "body": body})

    async def _start(self, status: int, kind: tuple[bytes, bytes], extra: Mapping[str, str]) -> None:
        self.status = status
        headers = [kind, *((k.encode(), v.encode("latin-1", "replace")) for k, v in extra.items())]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    def _record(self) -> None:
        call, found = self.call, self.answer
        target = found.target if found else None
        prompt, completion, estimated = self.used.tokens(call) if call and self.used.answered else (0, 0, False)
        payload = None
        if call and self.gateway.config.access_log and self.gateway.config.access_log[1]:
            payload = {"messages": call.body["messages"], "answer": self.used.said}
        self.gateway.finish(
            Record(
                started=self.started,
                duration=time.perf_counter() - self.clock,
                method=self.scope["method"],
                path=self.scope["path"],
                status=self.status,
                consumer=self.consumer.name if self.consumer else "",
                model=call.model.name if call else "",
                asked=call.asked if call else "",
                provider=target.provider.name if target else "",
                target=target.name if target else "",
                attempts=found.attempts if found else 0,
                prompt_tokens=prompt,
                completion_tokens=completion,
                estimated=estimated,
                code=self.code or self.used.broken,
                stream=bool(call and call.stream),
                traceparent=next((v.decode("latin-1") for k, v in self.headers if k == b"traceparent"), ""),
                payload=payload,
            )
        )


async def _whole(events: AsyncIterator[bytes]) -> bytes:
    return b"".join([event async for event in events])


def operations(gateway: Gateway, *, only_metrics: bool = False) -> Any:
    """Return the ASGI application of the operations port: /healthz, /readyz, /metrics."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path, kind, status = scope["path"], JSON, 200
        if path == "/metrics" and gateway.config.prometheus is not None:
            body, kind = gateway.metrics.text().encode(), (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
        elif path in ("/healthz", "/readyz") and not only_metrics:
            body = json.dumps({"status": "ok", "gateway": gateway.config.gateway}).encode()
        else:
            body, status = NOT_FOUND.body(), 404
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [kind, length]})
        await send({"type": "http.response.body", "body": body})

    return app


__all__ = ["Gateway", "Streamed", "application", "operations"]
