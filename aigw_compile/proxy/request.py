"""One request through the steps of the request order: to an answer, settled counters and a record of it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from aigw_compile.proxy import decide, pricing
from aigw_compile.proxy.addresses import Address, client_address
from aigw_compile.proxy.answering import Answering, Live, Whole
from aigw_compile.proxy.config import Consumer, Listener
from aigw_compile.proxy.cors import exposed, permissions, preflight
from aigw_compile.proxy.decide import Call
from aigw_compile.proxy.dialects.base import Body, dumped
from aigw_compile.proxy.doors import DEFAULT, MODELS, stream_bytes
from aigw_compile.proxy.errors import INTERNAL, OUT_OF_TIME, Refuse
from aigw_compile.proxy.exchange import Static, Tries, spent
from aigw_compile.proxy.lifecycle import day
from aigw_compile.proxy.limits import Account
from aigw_compile.proxy.policies.limits import early
from aigw_compile.proxy.stream import streamed
from aigw_compile.proxy.telemetry import Record
from aigw_compile.proxy.upstream import gone
from aigw_compile.proxy.usage import Used

if TYPE_CHECKING:
    from aigw_compile.proxy.app import Gateway

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

JSON = (b"content-type", b"application/json")
EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
CLIENT_LEFT = 499
"""Status in logs and metrics of a request whose client left before there was an answer."""
LAST_WORD = 1.0
"""Seconds that a client has to take the error event of a stream that ran out of time."""


class _ClientLeft(Exception):
    """The client closed its connection before its body was there."""


def _address(scope: dict[str, Any], listener: Listener) -> Address | None:
    forwarded = [v.decode("latin-1") for k, v in scope["headers"] if k == b"x-forwarded-for"]
    return client_address((scope.get("client") or ("",))[0], forwarded, listener.trusted_proxies)


class Request:
    """One request on its way."""

    def __init__(
        self, gateway: Gateway, listener: Listener, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        self.gateway = gateway
        self.listener = listener
        self.method: str = scope["method"]
        self.path = scope["raw_path"].decode("latin-1")
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.address = _address(scope, listener)
        """Who called, trusted proxies taken away; behind a front, whom it names."""
        self.receive = receive
        self._send = send
        self.started = time.time()
        self.clock = time.perf_counter()
        self.status = 0
        self.complete = False
        self.code = ""
        self.door = DEFAULT
        """Whose dialect errors are told in; known at the end of step 0."""
        self.consumer: Consumer | None = None
        self.call: Call | None = None
        self.tries = Tries(float("inf"))
        self.account = Account(gateway.limits, gateway.metrics.add)
        log = gateway.config.access_log
        self.payloads = bool(log and log[1])
        self.used = Used(keep=self.payloads)
        self.middle: Answering | None = None

    async def run(self) -> None:
        """Answer the request, whatever happens."""
        self.gateway.metrics.in_flight += 1
        try:
            refusal = await self._steps()
            if refusal:
                await self.refuse(refusal)
        except _ClientLeft:
            self.status, self.code = CLIENT_LEFT, "client_left"
        except Exception as bug:
            self._confess(bug)
            if not self.status:
                await self.refuse(INTERNAL)
        finally:
            await self._settle()
            self.gateway.finish(self._record())
            self.gateway.metrics.in_flight -= 1

    async def _steps(self) -> Refuse | None:
        """Steps 0 to 6, and GET /v1/models."""
        config, front = self.gateway.config, self.gateway.callers.front
        told = ""
        if front:
            passed = self.gateway.callers.passed(self.headers)
            if isinstance(passed, Refuse):
                return passed
            self.headers, self.address, told = passed
        hosts = [v.decode("latin-1") for k, v in self.headers if k == b"host"]
        door = decide.door(self.listener, hosts, self.path)
        if isinstance(door, Refuse):
            return door
        self.door = door
        cors = self.listener.cors
        if cors and preflight(cors, self.method, self.headers):
            await self._start(204, None, permissions(cors, self.headers))
            await self._end()
            return None
        wrong = decide.wrong_method(door, self.method)
        if wrong:
            return wrong
        barred = decide.barred(self.address, [config.policies])
        if barred:
            return barred
        if door is not MODELS:
            refusal = await self.account.admit(early(config, self.address))
            if refusal:
                return refusal
        body = await self._body()
        if isinstance(body, Refuse):
            return body
        callers = self.gateway.callers
        consumer = callers.told(told) if front and front.names_callers else await callers.who(self.headers)
        if isinstance(consumer, Refuse):
            return consumer
        self.consumer = consumer
        if door is MODELS:
            await self._models()
            return None
        call = decide.call(config, door, consumer, self.headers, body, day(self.gateway.clock()), self.address)
        if isinstance(call, Refuse):
            return call
        self.call = call
        barred = decide.barred(self.address, decide.placed(config, call.model, consumer))
        if barred:
            return barred
        return await self._admitted(call)

    async def _admitted(self, call: Call) -> Refuse | None:
        """Steps 7 to 18."""
        refusal = await self.account.admit(call.counters) or decide.guarded(self.gateway.config, call)
        if refusal:
            return refusal
        if call.door.tokens:
            refusal = await self.account.reserve(call.model, -(-call.size // 4), call.output_cap, call.choices)
            if refusal:
                return refusal
        await self._unless_left(self._exchange(call))
        return None

    async def _unless_left(self, work: Any) -> None:
        """Do the work; break it off when the client leaves. Then what was sent to a provider is charged by estimate.

        Where the model is to be drained, what a provider has begun is read to its end instead, for its figures.
        """
        task = asyncio.ensure_future(work)
        left = asyncio.ensure_future(self._left())
        try:
            await asyncio.wait((task, left), return_when=asyncio.FIRST_COMPLETED)
            if task.done() or self.complete:
                await task
                return
            told = self.status or CLIENT_LEFT
            self.gateway.metrics.add("aigw_clients_left_total", 1, model=self.call.model.name if self.call else "")
            if self.call and self.call.model.drain and self.tries.count:
                self.tries.last = True
                await task
            else:
                self.used.charged = self.used.charged or (self.tries.count > 0 and self.door.tokens)
            self.status, self.code = told, "client_left"
        finally:
            left.cancel()
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _left(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            continue

    async def _exchange(self, call: Call) -> None:
        """Steps 10 to 17: find what the client is given, and send it."""
        gateway, most = self.gateway, call.model.request
        tries = self.tries = Tries(asyncio.get_running_loop().time() + most if most else float("inf"))
        self.middle = Answering(gateway, call, self.headers, tries, self.used)
        found: Whole | Live | Static | Refuse
        try:
            async with asyncio.timeout_at(tries.deadline if most else None):
                found = await self.middle.run()
        except TimeoutError:
            found = spent(call, gone("timeout"))
        for provider, fields in tries.dropped.items():
            gateway.metrics.add("aigw_dropped_fields_total", fields, model=call.model.name, provider=provider)
        if isinstance(found, Refuse):
            await self.refuse(found)
        elif isinstance(found, Whole):
            await self._reply(call, 200, found.reply, {"x-aigw-cache": "hit"} if found.cached else {})
        elif isinstance(found, Live):
            self.used.charged = True
            try:
                await self._events(200, streamed(call, found.source, self.used, found.keep), {})
            finally:
                await found.source.close()
        else:
            tries.target = None
            reply = found.static(found.content, call.asked, self.started)
            await self._reply(call, found.status, reply, {"x-aigw-fallback": "static"})

    async def _reply(self, call: Call, status: int, reply: Body, extra: Mapping[str, str]) -> None:
        """Send a complete reply, as JSON or as a stream of it."""
        if call.stream:
            await self._events(status, _once(stream_bytes(call.door, reply, call.asked, call.wants_usage)), extra)
        else:
            await self._whole(status, dumped(call.door.named(reply, call.asked)), extra)

    async def _events(
        self, status: int, events: AsyncGenerator[bytes | Refuse, None], extra: Mapping[str, str]
    ) -> None:
        """Send events as they come. What goes wrong now is told in an event, since the status is out already."""
        await self._start(status, EVENTS, {**extra, "cache-control": "no-cache"})
        last: Refuse | None = None
        try:
            async with aclosing(events), asyncio.timeout_at(None if not self._limited() else self.tries.deadline):
                async for event in events:
                    if isinstance(event, Refuse):
                        last = event
                        break
                    await self._part(event)
        except TimeoutError:
            last = OUT_OF_TIME
        except Exception as bug:
            self._confess(bug)
            last = INTERNAL
        await self._settle()  # before the end, so that whoever has seen it finds what was held given back
        if last is None:
            await self._end()
            return
        self.code = last.code
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD):
                await self._part(self.door.error_event(last))
                await self._end()

    def _limited(self) -> bool:
        return self.tries.deadline != float("inf")

    async def _body(self) -> bytes | Refuse:
        """Step 2: read the body, and no more of it than is allowed."""
        declared = next((v for k, v in self.headers if k == b"content-length"), b"0")
        too_large = decide.oversized(self.listener, int(declared) if declared.isdigit() else 0)
        if too_large:
            return too_large
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise _ClientLeft
            part = message.get("body", b"")
            size += len(part)
            too_large = decide.oversized(self.listener, size)
            if too_large:
                return too_large
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)

    async def _models(self) -> None:
        config = self.gateway.config
        names = decide.models(config, self.consumer, self.address, day(self.gateway.clock())).names
        data = [{"id": n, "object": "model", "created": 0, "owned_by": config.gateway} for n in names]
        await self._whole(200, dumped({"object": "list", "data": data}), {})

    async def refuse(self, refusal: Refuse) -> None:
        """Answer with an error; what was reserved is given back first, so that the headers say so."""
        self.code = refusal.code
        await self._whole(refusal.status, self.door.error(refusal), refusal.headers)

    async def _whole(self, status: int, body: bytes, extra: Mapping[str, str]) -> None:
        await self._settle()
        await self._start(status, JSON, {**extra, "content-length": str(len(body))})
        await self._part(body, more=False)
        self.complete = True

    async def _start(self, status: int, kind: tuple[bytes, bytes] | None, extra: Mapping[str, str]) -> None:
        self.status = status
        shown = dict(extra)
        if self.tries.count:
            shown["x-aigw-attempts"] = str(self.tries.count)
        if self.call and self.call.model.expose_target and (target := self.tries.target):
            name = self.call.asked if target.model == "*" else target.model
            shown["x-aigw-target"] = f"{target.provider.name}/{name}"
        if self.call:
            shown |= self.call.notice
        shown |= self.account.headers()
        if self.listener.cors:
            shown = {**exposed(self.listener.cors, self.headers, shown), **shown}
        headers = [
            *((kind,) if kind else ()),
            *((k.encode(), v.encode("latin-1", "replace")) for k, v in shown.items()),
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _part(self, body: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _end(self) -> None:
        await self._part(b"", more=False)
        self.complete = True

    async def _settle(self) -> None:
        """Step 18, once: what was held becomes what was used."""
        await self.account.settle(self._spent())

    def _spent(self) -> pricing.Spent:
        target = self.tries.target
        tokens = self.used.tokens(self.call.size if self.call else 0)
        found = pricing.spent(tokens, target.price if target else None)
        for beside in self.middle.besides if self.middle else ():
            found = found.plus(beside.spent)
        return found

    def _confess(self, bug: Exception) -> None:
        """A mistake of ours: counted, and shown to operators by its place. Its words may hold what a client said."""
        self.gateway.metrics.add("aigw_internal_errors_total", 1, type=type(bug).__name__)
        trace = bug.__traceback__
        while trace and trace.tb_next:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
        print(f"internal error: {type(bug).__name__} at {where}", file=sys.stderr, flush=True)

    def _record(self) -> Record:
        call, target = self.call, self.tries.target
        tokens = self.used.tokens(call.size if call else 0)
        return Record(
            started=self.started,
            duration=time.perf_counter() - self.clock,
            method=self.method,
            path=self.path,
            status=self.status,
            consumer=self.consumer.name if self.consumer else "",
            known=self.consumer is None or self.consumer.known,
            model=call.model.name if call else "",
            asked=call.asked if call else "",
            provider=target.provider.name if target else "",
            provider_type=target.provider.type if target else "",
            target=target.name if target else "",
            attempts=self.tries.count,
            tokens=tokens,
            cost=None if tokens.total and target and not target.price else self._spent().cost,
            code=self.code,
            stream=bool(call and call.stream),
            traceparent=next((v.decode("latin-1") for k, v in self.headers if k == b"traceparent"), ""),
            payload=self._payload(call) if call and self.payloads else None,
            besides=tuple(self.middle.besides) if self.middle else (),
            cached=bool(self.middle and self.middle.cached),
            guarded=self.middle.guarded if self.middle else "",
        )

    def _payload(self, call: Call) -> Mapping[str, Any]:
        return {**{f: call.body[f] for f in call.door.logged if f in call.body}, "answer": self.used.said}


async def _once(data: bytes) -> AsyncGenerator[bytes | Refuse, None]:
    yield data
