"""A compiled spec as a running proxy on a free port, with scripted providers and a clock that tests move by hand."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from random import Random
from typing import Any, NamedTuple

import aiohttp
import uvloop

from aigw_compile import compiler
from aigw_compile.document import text_of
from aigw_compile.project import TargetChoice
from aigw_compile.proxy import config as config_
from aigw_compile.proxy import server, stores
from aigw_compile.proxy.app import Gateway, application, operations
from aigw_compile.proxy.balance import Balance
from aigw_compile.proxy.callers.making import callers
from aigw_compile.proxy.entra import entra_of
from aigw_compile.proxy.held import fetched, mocked
from aigw_compile.proxy.limits import Limits
from aigw_compile.proxy.mock import Providers
from aigw_compile.proxy.mock_issuer import Issuer
from aigw_compile.proxy.telemetry import Metrics
from aigw_compile.proxy.upstream import Upstream
from tests.support import build_all_accepted

SPEC = """
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: test}
spec:
  listeners: [{name: main, address: 127.0.0.1, port: 8080, maxBodySize: 64Ki}]
  providers:
    - {name: openai, type: openai, auth: {apiKey: {env: OPENAI_API_KEY}}}
    - {name: claude, type: anthropic, auth: {apiKey: {env: ANTHROPIC_API_KEY}}}
  models:
    - name: chat
      aliases: [gpt-4o]
      targets:
        - {name: main, provider: openai, model: gpt-real}
        - {name: backup, provider: claude, model: claude-real, priority: 1}
    - {name: claude, targets: [{provider: claude, model: claude-real}]}
  auth: {apiKey: {headers: [authorization, x-api-key]}}
  consumers:
    - {name: app, credentials: [{apiKey: {env: APP_KEY}}]}
    - {name: other, credentials: [{apiKey: {env: OTHER_KEY}}]}
"""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> tuple[int, str, str]:
        body = self.json["error"]
        return self.status, body["type"], body["code"]

    @property
    def events(self) -> list[Any]:
        """The data of every event; [DONE] as a text."""
        found = [line[6:] for line in self.raw.decode().split("\n") if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in found]


Script = Callable[[Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]
"""(receive, send): what a provider does with a request."""


class Scripted(Providers):
    """The mock providers, and instead of some of them what a test wants."""

    def __init__(self) -> None:
        super().__init__(slow=1.0, keep=10_000)
        self.scripts: dict[str, Script] = {}
        self.told: list[tuple[str, Any]] = []
        """(provider, body): what those were sent that do what a test wants."""
        self.clients: set[Any] = set()
        """Address and port of everybody who called."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.clients.add(scope.get("client"))
        script = self.scripts.get(scope["path"].split("/")[1]) if scope["type"] == "http" else None
        if script is None:
            await super().__call__(scope, receive, send)
            return
        raw = b""
        while True:
            message = await receive()
            raw += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.told.append((scope["path"].split("/")[1], json.loads(raw or b"null")))
        await script(receive, send)


def says(
    *parts: bytes, status: int = 200, kind: str = "text/event-stream", hold: float = 0, then: str = "end"
) -> Script:
    """A provider that sends these parts, waits `hold` seconds, and then ends, or cuts the connection."""

    async def script(_receive: Any, send: Any) -> None:
        headers = [(b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(0.01)
        await asyncio.sleep(hold)
        if then == "cut":
            raise ConnectionAbortedError
        await send({"type": "http.response.body", "body": b""})

    return script


class Proxy:
    """A running proxy. At its end no mistake of its own may have been counted.

    `environ`: where its secrets are; then providers are called where the spec says, and Entra at `entra`.
    `choice`: what is built, if not the proxy alone; its proxy.json is run, and `documents` are all of it.
    """

    def __init__(
        self,
        spec: str,
        environ: Mapping[str, str] | None = None,
        entra: str = "",
        choice: TargetChoice | None = None,
    ) -> None:
        checked = compiler.check_text(spec)
        assert checked.gateway is not None, checked.diagnostics
        self.documents = build_all_accepted(checked, choice or TargetChoice("proxy", "", {})).documents
        (document,) = (d for d in self.documents if d.filename == "proxy.json")
        self.config = config_.load(text_of(document).encode())
        self.now = 1_700_000_000.0
        self.providers = Scripted()
        self.issuer = Issuer()
        self._environ = environ
        self._entra = entra
        self.lines: list[str] = []
        self.port = self.operations_port = 0
        self.gateway: Gateway
        self._loop = uvloop.new_event_loop()
        self._ready = threading.Event()
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        held = mocked(self.config) if self._environ is None else fetched(self.config, self._environ)
        async with contextlib.AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            sock = server.bound("127.0.0.1", 0)
            await stack.enter_async_context(server.running(self.providers, sock))
            base = f"http://127.0.0.1:{sock.getsockname()[1]}"
            bases = {p.name: f"{base}/{p.name}" for p in self.config.providers if self._environ is None}
            shared = stores.opened(self.config.stores, held.stores, clock=lambda: self.now)
            for store in shared.values():
                stack.push_async_callback(store.close)
            limits = Limits(lambda: self.now, self.config.gateway, shared)
            balance = Balance(lambda: self.now, Random(7))
            issuers: dict[str, str] = {}
            if self.config.jwt:
                front = server.bound("127.0.0.1", 0)
                await stack.enter_async_context(server.running(self.issuer, front))
                issuers = {one.name: server.url_of(front) for one in self.config.jwt}
            metrics = Metrics()
            entra = entra_of(self.config, held, session, metrics, lambda: self.now, self._entra, self._entra)
            upstream = Upstream(session, held.providers, bases, entra if self._environ is not None else None)
            who = callers(self.config, held, session, metrics, lambda: self.now, issuers)
            self.base = base
            self.gateway = Gateway(
                self.config,
                who,
                upstream,
                limits,
                balance,
                None,
                self.lines.append,
                clock=lambda: self.now,
                metrics=metrics,
                stores=shared,
            )
            front = server.bound("127.0.0.1", 0)
            self.port = front.getsockname()[1]
            await stack.enter_async_context(server.running(application(self.gateway, self.config.listeners[0]), front))
            inside = server.bound("127.0.0.1", 0)
            self.operations_port = inside.getsockname()[1]
            await stack.enter_async_context(server.running(operations(self.gateway), inside))
            self._ready.set()
            await self._stop.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def seen(self) -> list[dict[str, Any]]:
        """What the providers were sent."""
        return self.providers.seen

    def request(
        self,
        method: str = "POST",
        path: str = "/v1/chat/completions",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = "mock-key-app",
        port: int | None = None,
    ) -> Answer:
        """Send one request; a body that is no bytes is sent as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        sent = {"content-type": "application/json", **(headers or {})}
        if key is not None:
            sent.setdefault("authorization", f"Bearer {key}")
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)
        try:
            connection.request(method, path, raw, {k: v for k, v in sent.items() if v})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    @contextlib.contextmanager
    def provider(self, **scripts: Script) -> Iterator[None]:
        """Let providers do something else while the context lasts."""
        self.providers.scripts.update(scripts)
        try:
            yield
        finally:
            self.providers.scripts.clear()
            self.now += 1000

    def raw(self, data: bytes) -> socket.socket:
        """Send bytes as they are, and return the socket."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        client.sendall(data)
        return client

    def quiet(self) -> int:
        """Wait until nothing is under way, and return how many lines the access log has: they are written after the answer."""
        until(lambda: self.gateway.metrics.in_flight == 0)
        return len(self.lines)

    def line(self, before: int) -> dict[str, Any]:
        """The last line of the access log, once there are more than `before`."""
        until(lambda: len(self.lines) > before)
        found: dict[str, Any] = json.loads(self.lines[-1])
        return found

    def chat(self, text: str = "hello", model: str = "chat", **more: Any) -> Answer:
        """Send a chat request with one message of the user."""
        key = more.pop("key", "mock-key-app")
        headers = more.pop("headers", None)
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        return self.request(body=body, key=key, headers=headers)

    def __enter__(self) -> Proxy:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        mistakes = [x for x in self.gateway.metrics.text().splitlines() if x.startswith("aigw_internal_errors_total")]
        self._close()
        assert mistakes == []

    def _close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()


def until(true: Callable[[], Any]) -> None:
    """Wait for something that happens by itself; fail after ten seconds."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


@contextlib.contextmanager
def proxy(spec: str = SPEC, environ: Mapping[str, str] | None = None, entra: str = "") -> Iterator[Proxy]:
    """Run a proxy on a spec while the context lasts."""
    with Proxy(spec, environ, entra) as running:
        yield running


@contextlib.contextmanager
def served(app: Any, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve an ASGI application in a thread of its own while the context lasts; yield where it is."""
    sock = server.bound("127.0.0.1", 0)
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with server.running(app, sock, tls):
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    try:
        yield server.url_of(sock, tls)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
