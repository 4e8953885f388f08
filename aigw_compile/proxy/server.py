"""A Config to running listeners: secrets are fetched, sockets opened, requests served, until a signal says stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import aiohttp
import uvicorn

from aigw_compile.proxy.app import Gateway, application, operations
from aigw_compile.proxy.balance import Balance
from aigw_compile.proxy.config import Config, Consumer
from aigw_compile.proxy.decide import digest
from aigw_compile.proxy.limits import Limits
from aigw_compile.proxy.mock import Providers
from aigw_compile.proxy.secrets import Secret, SecretError, fetch
from aigw_compile.proxy.telemetry import Spans
from aigw_compile.proxy.upstream import Upstream

GRACE = 10
"""Seconds in which requests under way may end when the proxy is told to stop."""

Ready = Callable[[dict[str, Any]], None]


class StartError(RuntimeError):
    """The proxy cannot start; the message has a line for each reason."""


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
    `ready` is called with {"listeners": {name: url}, "operations": url, "metrics": url, "keys": {consumer: key}} once
    requests are taken; the keys are there only with `mock`.
    """
    import uvloop

    keys, credentials = mocked(config) if mock else fetched(config, environ)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(config, address or "127.0.0.1", port, mock, ready, keys, credentials))


def fetched(config: Config, environ: Mapping[str, str]) -> tuple[dict[bytes, Consumer], dict[str, Secret]]:
    """Return (digest of a client's key -> consumer, provider -> credential).

    Raises StartError, which names every secret that is missing by its place in the spec.
    """
    problems: list[str] = []

    def get(ref: Mapping[str, Any], place: str) -> str:
        try:
            return fetch(ref, environ)
        except SecretError as missing:
            problems.append(f"  {place}: {missing}")
            return ""

    credentials = {p.name: Secret(get(p.auth.secret, p.place)) for p in config.providers if p.auth}
    keys: dict[bytes, Consumer] = {}
    for consumer in config.consumers:
        for ref, place in consumer.credentials:
            key = digest(get(ref, place))
            if key in keys and key != digest(""):
                problems.append(f"  {place}: the same key as one of {keys[key].name}'s")
            keys[key] = consumer
    if problems:
        hint = "--mock-providers stands in for every secret"
        raise StartError("\n".join([f"not every secret can be had ({hint}):", *problems]))
    return keys, credentials


def mocked(config: Config) -> tuple[dict[bytes, Consumer], dict[str, Secret]]:
    """Return made-up keys and credentials, the same each time."""
    keys = {digest(mock_key(c)): c for c in config.consumers}
    return keys, {p.name: Secret(f"mock-credential-{p.name}") for p in config.providers if p.auth}


def mock_key(consumer: Consumer) -> str:
    return f"mock-key-{consumer.name}"


async def _serve(
    config: Config,
    address: str,
    port: int | None,
    mock: bool,
    ready: Ready | None,
    keys: Mapping[bytes, Consumer],
    credentials: Mapping[str, Secret],
) -> int:
    bases: dict[str, str] = {}
    async with contextlib.AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, auto_decompress=True, cookie_jar=aiohttp.DummyCookieJar())
        )
        if mock:
            sock = _bound("127.0.0.1", 0)
            await stack.enter_async_context(running(Providers(), sock))
            bases = {p.name: f"http://127.0.0.1:{sock.getsockname()[1]}/{p.name}" for p in config.providers}
        spans = Spans(config, session) if config.otlp else None
        upstream = Upstream(session, credentials, bases)
        gateway = Gateway(config, keys, upstream, Limits(time.time), Balance(time.monotonic, Random()), spans)
        state: dict[str, Any] = {
            "listeners": {},
            "operations": "",
            "keys": {c.name: mock_key(c) for c in config.consumers} if mock and config.headers else {},
        }
        if spans:  # before the listeners, so that it ends after the last request
            await stack.enter_async_context(_sending(spans))
        for index, listener in enumerate(config.listeners):
            wanted = listener.port if port is None else port if index == 0 else 0
            sock = _bound(address, wanted)
            await stack.enter_async_context(running(application(gateway, listener), sock))
            state["listeners"][listener.name] = f"{_url(sock)}{listener.base_path}"
        inside, inside_port = config.operations
        apart = config.prometheus not in (None, inside_port)
        sock = _bound(inside, inside_port if port is None else 0)
        await stack.enter_async_context(running(operations(gateway, metrics=not apart), sock))
        state["operations"] = state["metrics"] = _url(sock)
        if apart and config.prometheus is not None:
            sock = _bound(inside, config.prometheus if port is None else 0)
            await stack.enter_async_context(running(operations(gateway, health=False), sock))
            state["metrics"] = _url(sock)
        stop = asyncio.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        if ready:
            ready(state)
        await stop.wait()
        gateway.ready = False
    return 0


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


def _bound(address: str, port: int) -> socket.socket:
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


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """A server without signal handlers of its own: several run in one process, and one place stops them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def running(app: Any, sock: socket.socket) -> Any:
    """Serve an ASGI application on a socket while the context lasts; requests under way are finished."""
    server = _Server(
        uvicorn.Config(
            app,
            log_level="critical",
            access_log=False,
            lifespan="off",
            http="httptools",
            ws="none",
            proxy_headers=False,
            server_header=False,
            date_header=True,
            timeout_graceful_shutdown=GRACE,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started and not task.done():
        await asyncio.sleep(0.005)
    try:
        yield server
    finally:
        server.should_exit = True
        await task
