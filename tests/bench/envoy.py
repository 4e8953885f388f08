"""Print the CPU that Envoy takes for a request through a compiled gateway, as a ratio to its own pass-through, in one run.

    python -m tests.bench.envoy

Both call the same upstream with the same body of 600 bytes. What is measured is the CPU time of the Envoy process, of
/proc/PID/stat, so that a busy machine makes the run longer and the numbers little larger.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from aigw_compile.document import Document
from tests.targets import envoy_runner as runner

REQUESTS, CONNECTIONS, ROUNDS = 4000, 16, 5
BODY_SIZE = 600
KEY = "key-of-the-bench"
TICK = os.sysconf("SC_CLK_TCK")


def body() -> bytes:
    """A chat of several messages, padded to the size."""
    messages = [{"role": "system", "content": "You are the assistant of a support desk. Answer in one sentence."}]
    messages += [{"role": "user", "content": "Where is my order?"}, {"role": "assistant", "content": "On its way."}]
    whole: dict[str, Any] = {
        "model": "chat",
        "max_tokens": 64,
        "messages": [*messages, {"role": "user", "content": ""}],
    }
    whole["messages"][-1]["content"] = "x" * (BODY_SIZE - len(json.dumps(whole)))
    return json.dumps(whole).encode()


def reply() -> bytes:
    message = {"role": "assistant", "content": "It left the warehouse this morning and comes tomorrow."}
    usage = {"prompt_tokens": 150, "completion_tokens": 12, "total_tokens": 162}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "x"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({**head, "choices": [choice], "usage": usage}).encode()


def spec(port: int, operations: int, upstream: int, limits: list[dict[str, Any]], guard: bool) -> dict[str, Any]:
    policies: dict[str, Any] = {"limits": limits} if limits else {}
    if guard:
        policies["promptGuard"] = {"deny": ["(?i)ignore (all )?previous instructions", r"\b\d{3}-\d{2}-\d{4}\b"]}
    return {
        "apiVersion": "aigw.dev/v1alpha1",
        "kind": "AIGateway",
        "metadata": {"name": "bench"},
        "spec": {
            "listeners": [{"name": "l", "address": "127.0.0.1", "port": port}],
            "providers": [
                {
                    "name": "p",
                    "type": "openai-compatible",
                    "baseUrl": f"http://127.0.0.1:{upstream}/v1",
                    "auth": {"apiKey": {"env": "P"}},
                }
            ],
            "models": [{"name": "chat", "targets": [{"provider": "p", "model": "x"}]}],
            "auth": {"apiKey": {"headers": ["authorization"]}},
            "consumers": [{"name": "c", "credentials": [{"apiKey": {"env": "C"}}]}],
            "policies": policies,
            "observability": {"operations": {"port": operations}},
        },
    }


def pass_through(port: int, admin: int, upstream: int) -> Document:
    """A listener, a route and a cluster."""

    def address(number: int) -> dict[str, Any]:
        return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": number}}}

    kinds = "type.googleapis.com/envoy.extensions.filters."
    router = {"name": "router", "typed_config": {"@type": f"{kinds}http.router.v3.Router"}}
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}]}
    manager = {
        "@type": f"{kinds}network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "all",
        "route_config": {"name": "all", "virtual_hosts": [host]},
        "http_filters": [router],
    }
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": address(upstream)}]}],
        },
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    listener = {"name": "l", **address(port), "filter_chains": [chain]}
    whole = {"admin": address(admin), "static_resources": {"listeners": [listener], "clusters": [cluster]}}
    return Document("envoy.yaml", whole)


class Upstream(asyncio.Protocol):
    """Answers every request with the same reply."""

    answer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport, self._held, self._wanted = transport, bytearray(), 0

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._held[:end]).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(self._held) < end + 4 + length:
                return
            del self._held[: end + 4 + length]
            self._transport.write(self.answer)


class Client(asyncio.Protocol):
    """Sends its share of the requests, one after the other, on one connection."""

    def __init__(self, request: bytes, left: list[int], done: asyncio.Future[None]) -> None:
        self._request, self._left, self._done = request, left, done
        self._held = bytearray()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        if not self._left[0]:
            self._transport.close()
            if not self._done.done():
                self._done.set_result(None)
            return
        self._left[0] -= 1
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._held += data
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._held[:end]).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self._held) < end + 4 + length:
            return
        if not head.startswith(b"http/1.1 200"):
            self._done.set_exception(RuntimeError(self._held.decode("utf-8", "replace")))
            self._transport.close()
            return
        self._held.clear()
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or RuntimeError("the connection was closed"))


async def load(port: int, requests: int) -> None:
    sent = body()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {KEY}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(sent)}\r\n\r\n"
    loop, left = asyncio.get_running_loop(), [requests]
    ended = [loop.create_future() for _ in range(CONNECTIONS)]
    for one in ended:
        await loop.create_connection(lambda one=one: Client(head.encode() + sent, left, one), "127.0.0.1", port)
    await asyncio.gather(*ended)


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used: utime and stime, fields 14 and 15 of proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Gateway(NamedTuple):
    name: str
    port: int
    pid: int


@contextlib.contextmanager
def running(folder: Path, name: str, upstream: int, options: dict[str, Any] | None) -> Iterator[Gateway]:
    """Run an Envoy: a compiled gateway with these options, or the pass-through for None."""
    port, operations = runner.free_ports(2)
    folder.mkdir()
    if options is None:
        (folder / "envoy.yaml").write_text(json.dumps(pass_through(port, operations + 1, upstream).body))
    else:
        _, documents = runner.build(spec(port, operations, upstream, **options), {"tokenLimits": "local"})
        runner.write(folder, documents, {"consumers.c.0": KEY})
    with runner.process(folder, operations + 1) as envoy:
        yield Gateway(name, port, envoy.pid)


MANY = 4_000_000_000
REQUEST_LIMITS = [{"name": f"r{per}", "by": ["consumer"], "per": per, "requests": MANY} for per in ("minute", "day")]
TOKEN_LIMITS = [{"name": "t", "by": ["consumer"], "per": "day", "tokens": 10**12}]
CASES: dict[str, dict[str, Any] | None] = {
    "pass-through": None,
    "auth": {"limits": [], "guard": False},
    "auth, guard": {"limits": [], "guard": True},
    "auth, limits, guard": {"limits": REQUEST_LIMITS, "guard": True},
    "... tokens too": {"limits": [*REQUEST_LIMITS, *TOKEN_LIMITS], "guard": True},
}


async def measured() -> dict[str, list[float]]:
    answer = reply()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n"
    Upstream.answer = head.encode() + answer
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    upstream = server.sockets[0].getsockname()[1]
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aigw-bench-")))
        gateways = []
        for number, (name, options) in enumerate(CASES.items()):
            made = running(folder / str(number), name, upstream, options)
            gateways.append(stack.enter_context(made))
        for round_ in range(ROUNDS + 1):
            for gateway in gateways:
                before = cpu(gateway.pid)
                await load(gateway.port, REQUESTS)
                if round_:  # the first round warms up
                    taken[gateway.name].append((cpu(gateway.pid) - before) / REQUESTS)
    server.close()
    return taken


def main() -> None:
    try:
        taken = uvloop.run(measured())
    except (RuntimeError, AssertionError, subprocess.SubprocessError) as wrong:
        sys.exit(f"not measured: {wrong}")
    base = statistics.median(taken["pass-through"])
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        print(f"envoy: {name:20} median {middle * 1e6:6.1f} us of CPU  {middle / base:5.2f} x pass-through")


if __name__ == "__main__":
    main()
