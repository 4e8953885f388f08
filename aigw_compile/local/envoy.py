"""A built gateway to a real Envoy on this machine, with mock providers and made-up secrets, until a signal; then all is gone."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from aigw_compile import ir, secretfiles
from aigw_compile.compiler import Build
from aigw_compile.document import Document, text_of
from aigw_compile.emitters import emitter
from aigw_compile.emitters.envoy.observe import admin_port
from aigw_compile.local import LOOPBACK, Ports, curl, locally, ports_of
from aigw_compile.proxy.config import Config
from aigw_compile.proxy.held import StartError, mock_key, mock_password
from aigw_compile.proxy.server import NO_TRACES, Ready, bound, made_up
from aigw_compile.proxy.stores import tell

STARTS, ENDS = 30, 10
"""Seconds that Envoy may take to be ready, and to end when it is told to."""


class Ended(RuntimeError):
    """Envoy ended without having been told to."""


def run(gateway: ir.Gateway, build: Build, config: Config, binary: Path, port: int | None, ready: Ready) -> int:
    """Run Envoy until SIGINT, SIGTERM or SIGHUP; return 0. Raises StartError or Ended.

    `config` is what the reference proxy would be run with; from it come the mocks and what they believe. `port` and `ready`:
    as proxy.server.serve has them; `ready` is also told "try", a command line that calls the gateway.
    """
    return asyncio.run(_run(gateway, build, config, binary, port, ready))


async def _run(gateway: ir.Gateway, build: Build, config: Config, binary: Path, port: int | None, ready: Ready) -> int:
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        made = await made_up(stack, config)
        if gateway.observability.otlp:
            tell(NO_TRACES)
        ports = ports_of(gateway) if port is None else _free(gateway, port)
        here = locally(gateway, made.bases, made.issuers, ports)
        admin = admin_port(here)
        for one in dict.fromkeys((*ports.listeners, ports.operations, ports.metrics, admin)):
            bound(LOOPBACK, one).close()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aigw-run-")))
        _write(folder, emitter(build.target.name)(here, build.plan), config)
        envoy = await _started(binary, folder)
        telling = asyncio.create_task(_tell(envoy))
        stack.push_async_callback(asyncio.wait, {telling})
        stack.push_async_callback(_finished, envoy)
        issuers = len(made.issuers) * len(here.listeners)
        if await _before(stop, envoy, asyncio.create_task(_ready(admin, issuers))):
            ready(_state(here, ports, made.shown))
            await _before(stop, envoy, asyncio.create_task(stop.wait()))
    return 0


def _free(gateway: ir.Gateway, first: int) -> Ports:
    """Return `first` and free ports for the rest; the port after that of operations, which the admin interface takes, is free."""
    o = gateway.observability
    with contextlib.ExitStack() as stack:

        def taken(port: int) -> int:
            sock: socket.socket = stack.enter_context(bound(LOOPBACK, port))
            return int(sock.getsockname()[1])

        listeners = tuple(taken(first if index == 0 else 0) for index in range(len(gateway.listeners)))
        apart = o.prometheus is not None and o.prometheus.port != o.operations.port
        metrics = taken(0) if apart else 0
        operations = taken(0)
        while not _taken(taken, operations + 1):
            operations = taken(0)
        return Ports(listeners, operations, metrics or operations)


def _taken(take: Callable[[int], int], port: int) -> bool:
    try:
        take(port)
    except (StartError, OverflowError):
        return False
    return True


def _write(folder: Path, documents: tuple[Document, ...], config: Config) -> None:
    for document in documents:
        path = folder / document.filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(document), "utf-8")
    asked = secretfiles.read(folder)
    values = secretfiles.placeholders(asked)
    secretfiles.write(folder, {**values, **{k: v for k, v in _made_up_keys(config) if k in values}})


def _made_up_keys(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the clients' keys and passwords that the reference proxy makes up, by their names in secrets.json."""
    for c in config.consumers:
        yield f"consumers.{c.name}.0", mock_key(c)
        yield from ((f"consumers.{c.name}.login.{n}", mock_password(c)) for n in range(len(c.logins)))


async def _started(binary: Path, folder: Path) -> asyncio.subprocess.Process:
    # One worker: what a script counts belongs to a worker. A session of its own: Ctrl-C is for us, who then end it.
    options = ["--concurrency", "1", "--disable-hot-restart", "--file-flush-interval-msec", "200", "-l", "error"]
    try:
        return await asyncio.create_subprocess_exec(
            binary, "-c", "envoy.yaml", *options, cwd=folder, stderr=asyncio.subprocess.PIPE, start_new_session=True
        )
    except OSError as wrong:
        raise StartError(f"Envoy cannot be started: {binary}: {wrong.strerror}") from None


async def _tell(envoy: asyncio.subprocess.Process) -> None:
    """Pass on what Envoy says, line by line, so that whoever masks our standard error masks this too."""
    assert envoy.stderr
    async for line in envoy.stderr:
        sys.stderr.write(line.decode("utf-8", "replace"))
        sys.stderr.flush()


async def _finished(envoy: asyncio.subprocess.Process) -> None:
    """End Envoy, if it still runs: politely, then by force."""
    with contextlib.suppress(ProcessLookupError):
        envoy.terminate()
        try:
            await asyncio.wait_for(envoy.wait(), ENDS)
        except TimeoutError:
            envoy.kill()
            await envoy.wait()


async def _before(stop: asyncio.Event, envoy: asyncio.subprocess.Process, wanted: asyncio.Task[Any]) -> bool:
    """Wait for something; say whether it came before we were told to stop. Raises Ended where Envoy ended first."""
    told, ended = asyncio.create_task(stop.wait()), asyncio.create_task(envoy.wait())
    await asyncio.wait({told, ended, wanted}, return_when=asyncio.FIRST_COMPLETED)
    for task in (told, ended):
        task.cancel()
    if stop.is_set():
        wanted.cancel()
        return False
    if envoy.returncode is not None:
        wanted.cancel()
        raise Ended(f"Envoy ended by itself, {_how(envoy.returncode)}; what it said stands above")
    await wanted
    return True


def _how(code: int) -> str:
    return f"with code {code}" if code >= 0 else f"by the signal {signal.Signals(-code).name}"


async def _ready(admin: int, wanted: int) -> None:
    """Wait until Envoy takes requests, and has fetched the keys of issuers so many times. Raises StartError."""
    url = f"http://{LOOPBACK}:{admin}"
    try:
        async with asyncio.timeout(STARTS), aiohttp.ClientSession() as session:
            while not (await _asked(session, f"{url}/ready") and await _fetched(session, url) >= wanted):
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise StartError(f"Envoy was not ready within {STARTS} seconds") from None


async def _asked(session: aiohttp.ClientSession, url: str) -> str:
    """What Envoy's admin interface answers; "" for no answer and for a bad one."""
    try:
        async with session.get(url) as answer:
            return await answer.text() if answer.status == 200 else ""
    except aiohttp.ClientError:
        return ""


async def _fetched(session: aiohttp.ClientSession, url: str) -> int:
    text = await _asked(session, f"{url}/stats?filter=jwks_fetch_success")
    return sum(int(line.rpartition(":")[2]) for line in text.splitlines() if ":" in line)


def _state(here: ir.Gateway, ports: Ports, shown: Mapping[str, Any]) -> dict[str, Any]:
    state = {
        "listeners": {x.name: f"http://{LOOPBACK}:{x.port}{x.base_path}" for x in here.listeners},
        "operations": f"http://{LOOPBACK}:{ports.operations}",
        "metrics": f"http://{LOOPBACK}:{ports.metrics}",
        **shown,
    }
    line = curl(here, state)
    return {**state, "try": line} if line else state
