"""A Config to running listeners: secrets are fetched, sockets opened, requests served, until a signal says stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple

import aiohttp
import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from aigw_compile.proxy import stores
from aigw_compile.proxy.app import Gateway, application, operations
from aigw_compile.proxy.balance import Balance
from aigw_compile.proxy.callers.making import callers
from aigw_compile.proxy.config import Config
from aigw_compile.proxy.entra import entra_of
from aigw_compile.proxy.held import MOCK_FRONT, Held, StartError, fetched, mock_key, mock_login, mocked
from aigw_compile.proxy.limits import Limits
from aigw_compile.proxy.mock import Providers
from aigw_compile.proxy.pricing import unpriced
from aigw_compile.proxy.telemetry import Metrics, Spans
from aigw_compile.proxy.upstream import Upstream

GRACE = 10
"""Seconds in which requests under way may end when the proxy is told to stop."""

NO_TRACES = "tracing: with mock providers no trace is sent, since nothing leaves this machine"

Ready = Callable[[dict[str, Any]], None]


def serve(
    config: Config,
    *,
    address: str | None = None,
    port: int | None = None,
    mock: bool = False,
    ready: Ready | None = None,
    environ: Mapping[str, str],
) -> int:
    """Serve until SIGINT or SIGTERM; return 0. Raises StartError.

    `address`: 127.0.0.1 unless told otherwise. `port`: for the first listener, and 0 (free ones) for all others.
    `ready` is called once requests are taken, with {"listeners": {name: url}, "operations": url, "metrics": url} and, with
    `mock`, what to call with: {"keys": {consumer: key}, "logins": {consumer: user:password}, "tokens": {whose: token}}, and
    "plain": the listeners that would speak TLS with a real certificate, "front": what the front before the proxy sends.
    """
    import uvloop

    if problems := list(unpriced(config)):
        raise StartError("\n".join(["not every limit can be counted:", *(f"  {p}" for p in problems)]))
    held = mocked(config) if mock else fetched(config, environ)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(config, address or "127.0.0.1", port, mock, ready, held))


async def _serve(
    config: Config,
    address: str,
    port: int | None,
    mock: bool,
    ready: Ready | None,
    held: Held,
) -> int:
    async with contextlib.AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, auto_decompress=True, cookie_jar=aiohttp.DummyCookieJar())
        )
        made = await made_up(stack, config) if mock else MadeUp({}, {}, {})
        metrics = Metrics()
        who = callers(config, held, session, metrics, time.time, made.issuers)
        entra = None if mock else entra_of(config, held, session, metrics, time.time)
        spans = Spans(config, session) if config.otlp and not mock else None
        if config.otlp and mock:
            stores.tell(NO_TRACES)
        upstream = Upstream(session, held.providers, made.bases, entra)
        shared = {} if mock else stores.opened(config.stores, held.stores)
        for unused in (s.name for s in config.stores.values() if mock and s.redis):
            stores.tell(
                f"store {unused}: with --mock-providers it is the memory of this process, and no Redis is called"
            )
        for store in shared.values():
            stack.push_async_callback(store.close)
        limits = Limits(time.time, config.gateway, shared)
        balance = Balance(time.monotonic, Random())
        gateway = Gateway(config, who, upstream, limits, balance, spans, metrics=metrics, stores=shared)
        state: dict[str, Any] = {
            "listeners": {},
            "operations": "",
            **made.shown,
        }
        if spans:  # before the listeners, so that it ends after the last request
            await stack.enter_async_context(_sending(spans))
        for index, listener in enumerate(config.listeners):
            wanted = listener.port if port is None else port if index == 0 else 0
            sock = bound(address, wanted)
            tls = held.listeners.get(listener.name)
            await stack.enter_async_context(running(application(gateway, listener), sock, tls))
            state["listeners"][listener.name] = f"{url_of(sock, tls)}{listener.base_path}"
        inside, inside_port = config.operations
        apart = config.prometheus not in (None, inside_port)
        sock = bound(inside, inside_port if port is None else 0)
        await stack.enter_async_context(running(operations(gateway, metrics=not apart), sock))
        state["operations"] = state["metrics"] = url_of(sock)
        if apart and config.prometheus is not None:
            sock = bound(inside, config.prometheus if port is None else 0)
            await stack.enter_async_context(running(operations(gateway, health=False), sock))
            state["metrics"] = url_of(sock)
        stop = asyncio.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        if ready:
            ready(state)
        await stop.wait()
        gateway.ready = False
    return 0


class MadeUp(NamedTuple):
    """What stands in for the world outside."""

    bases: Mapping[str, str]
    """Provider -> its base URL."""
    issuers: Mapping[str, str]
    """Issuer of tokens -> where its keys are."""
    shown: Mapping[str, Any]
    """What a user is told of it."""


async def made_up(stack: contextlib.AsyncExitStack, config: Config) -> MadeUp:
    """Serve the mock providers, and a mock issuer where tokens are asked for."""
    sock = bound("127.0.0.1", 0)
    await stack.enter_async_context(running(Providers(), sock))
    bases = {p.name: f"{url_of(sock)}/{p.name}" for p in config.providers}
    issuers: dict[str, str] = {}
    shown: dict[str, Any] = {
        "keys": {c.name: mock_key(c) for c in config.consumers if c.credentials and config.headers},
        "logins": {c.name: mock_login(c, x) for c in config.consumers for x in c.logins if config.basic},
        "plain": [x.name for x in config.listeners if x.tls],
        "front": {config.front.header: f"{config.front.prefix}{MOCK_FRONT}"} if config.front else {},
    }
    if config.jwt:
        from aigw_compile.proxy.mock_issuer import Issuer

        issuer, sock = Issuer(), bound("127.0.0.1", 0)
        await stack.enter_async_context(running(issuer, sock))
        issuers = {one.name: url_of(sock) for one in config.jwt}
        shown["tokens"] = dict(issuer.tokens(config))
    return MadeUp(bases, issuers, shown)


@contextlib.asynccontextmanager
async def _sending(spans: Spans) -> Any:
    """Send spans while the context lasts, and the rest at its end."""
    task = asyncio.create_task(spans.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await spans.flush()


def bound(address: str, port: int) -> socket.socket:
    """A listening socket. Raises StartError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((address, port))
        sock.listen(1024)
    except OSError as wrong:
        sock.close()
        raise StartError(f"cannot listen on {address}:{port}: {wrong.strerror}; --port 0 takes a free one") from None
    return sock


def url_of(sock: socket.socket, tls: ssl.SSLContext | None = None) -> str:
    host, port = sock.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


_OFFER = (b"upgrade", b"connection", b"http2-settings")
"""Headers of an offer to go on in another protocol."""


class _Protocol(HttpToolsProtocol):
    """HTTP/1.1 that believes no trailer, and answers a request whatever protocol it offers to go on in (RFC 9110, 7.8)."""

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            # The parser stops behind the headers of such a request. Another one goes on, which was never told of the offer.
            method, self.parser = self.parser.get_method(), httptools.HttpRequestParser(self)
            if method == b"CONNECT":
                self.send_400_response("Invalid HTTP request received.")
                return
            kept = [b"%s: %s" % (name, value) for name, value in self.headers if name not in _OFFER]
            head = b"\r\n".join([b"%s %s HTTP/1.1" % (method, self.url), *kept, b"", b""])
            self.data_received(head + data[offer.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def on_headers_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self.headers: list[tuple[bytes, bytes]] = []  # trailers go here, not to those that the application sees

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()


class _Server(uvicorn.Server):
    """A server without signal handlers of its own: several run in one process, and one place stops them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def running(app: Any, sock: socket.socket, tls: ssl.SSLContext | None = None) -> Any:
    """Serve an ASGI application on a socket while the context lasts; requests under way are finished."""
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        lifespan="off",
        http=_Protocol,
        ws="none",
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=GRACE,
    )
    config.load()
    config.ssl = tls  # uvicorn's own settings want certificates in files
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started and not task.done():
        await asyncio.sleep(0.005)
    try:
        yield server
    finally:
        server.should_exit = True
        await task
