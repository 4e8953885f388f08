"""The edge of the real Envoy by traffic: which ports are open to whom, overload, what is no HTTP, and what operators see."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.conformance.wire import Reply, exchange, exchange_2
from tests.targets import envoy_runner as runner
from tests.targets.envoy_gateway import fault
from tests.targets.envoy_runner import Answer, chat, request
from tests.targets.envoy_specs import smallest
from tests.targets.mock_upstream import Provider, providers

LISTENER = "127.0.0.2"
"""An address of this machine that is not 127.0.0.1, so that it is seen who listens where."""
PRICE = {"input": 4, "output": 8}


def spec(port: int, operations: int, url: str, collector: str = "") -> dict[str, Any]:
    keys = {"consumers": [{"name": "bot", "credentials": [{"apiKey": {"env": "BOT"}}]}]}
    tracing = {"tracing": {"otlp": {"endpoint": collector, "sampling": 1}}} if collector else {}
    return smallest(
        listeners=[{"name": "l", "address": LISTENER, "port": port}],
        providers=[{"name": "pool", "type": "vllm", "baseUrl": url}],
        models=[
            {"name": "m", "targets": [{"name": "t", "provider": "pool", "model": "x", "pricing": PRICE}]},
            {"name": "e", "capabilities": ["embeddings"], "targets": [{"provider": "pool", "model": "y"}]},
        ],
        auth={"apiKey": {"headers": ["x-api-key"]}},
        observability={
            "operations": {"port": operations},
            "metrics": {"prometheus": {}},
            "accessLog": {"format": "json"},
            **tracing,
        },
        **keys,
    )


class Edge(NamedTuple):
    port: int
    operations: int
    pid: int
    log: Path
    provider: Provider
    collector: Provider

    def ask(self, body: Any, door: str = "chat/completions", key: str = "key-bot") -> Answer:
        headers = [("x-api-key", key), ("content-type", "application/json")]
        return request("POST", f"http://{LISTENER}:{self.port}/v1/{door}", json.dumps(body).encode(), headers)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("hygiene")
    with providers(2) as (provider, collector):
        collector.always = {"body": "{}"}
        port, operations = runner.free_ports(2)
        body = spec(port, operations, provider.url, collector.url.removesuffix("/v1"))
        runner.write(folder, runner.build(body)[1], {"consumers.bot.0": "key-bot"})
        with runner.process(folder, operations + 1) as envoy:
            yield Edge(port, operations, envoy.pid, folder / "envoy.log", provider, collector)


@pytest.fixture
def edge(served: Edge) -> Edge:
    served.provider.plan()
    return served


def _listening(pid: int) -> set[tuple[str, int]]:
    """Where a process listens, as the kernel of Linux tells it (proc(5), /proc/net/tcp)."""
    own = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    found = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, *rest = line.split()
        if state == "0A" and f"socket:[{rest[5]}]" in own:
            address, port = local.split(":")
            found.add((socket.inet_ntoa(bytes.fromhex(address)[::-1]), int(port, 16)))
    assert not [
        x for x in Path(f"/proc/{pid}/net/tcp6").read_text().splitlines()[1:] if f"socket:[{x.split()[9]}]" in own
    ]
    return found


def test_operations_and_admin_are_on_loopback(edge: Edge) -> None:
    inside = {("127.0.0.1", edge.operations), ("127.0.0.1", edge.operations + 1)}
    assert _listening(edge.pid) == {(LISTENER, edge.port), *inside}


REFUSED_1 = {
    "two lengths": "content-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    "an encoding nobody knows": "transfer-encoding: x\r\n\r\n{}",
    "another protocol": "connection: upgrade\r\nupgrade: websocket\r\n\r\n",
}


@pytest.mark.parametrize("case", REFUSED_1)
@pytest.mark.parametrize("door", ["chat/completions", "messages"])
def test_what_is_no_request_is_refused_in_the_shape_of_its_door(edge: Edge, case: str, door: str) -> None:
    wire = f"POST /v1/{door} HTTP/1.1\r\nhost: x\r\nx-api-key: key-bot\r\n{REFUSED_1[case]}"
    reply = exchange(edge.port, wire.encode(), address=LISTENER)
    assert reply.status == 400
    error = json.loads(reply.raw)
    assert error["error"]["code"] == "invalid_request"
    # What is no HTTP has no door, so that it is told in OpenAI's shape.
    assert ("type" in error) == (door == "messages" and case == "another protocol")
    assert not edge.provider.seen


HEAD = {":method": "POST", ":scheme": "http", ":authority": "x", ":path": "/v1/chat/completions"}
GOOD = {**HEAD, "content-type": "application/json", "x-api-key": "key-bot"}
BODY = json.dumps(chat("m")).encode()
REFUSED_2: dict[str, list[tuple[str, str]]] = {
    "a capital letter": [*GOOD.items(), ("X-Aigw-Consumer", "bot")],
    "chunks": [*GOOD.items(), ("transfer-encoding", "chunked")],
    "a header of one hop": [*GOOD.items(), ("connection", "x-api-key")],
    "two paths": [*GOOD.items(), (":path", "/v1/models")],
    "a pseudo header that is none": [*GOOD.items(), (":consumer", "bot")],
    "a pseudo header behind others": [*list(GOOD.items())[1:], (":method", "POST")],
    "a line break": [*GOOD.items(), ("x-a", "b\r\nx-api-key: key-bot")],
    "a zero byte": [*GOOD.items(), ("x-a", "b\0c")],
    "a length that is not so": [*GOOD.items(), ("content-length", "3")],
    "no method": [*list(GOOD.items())[1:]],
    "no path": [(k, v) for k, v in GOOD.items() if k != ":path"],
    "a tunnel": [(k, "CONNECT" if k == ":method" else v) for k, v in GOOD.items()],
    "no credential": [(k, v) for k, v in GOOD.items() if k != "x-api-key"],
}


def _http2(edge: Edge, headers: list[tuple[str, str]]) -> Reply:
    return exchange_2(edge.port, headers, BODY, address=LISTENER)


def test_a_request_in_http_2(edge: Edge) -> None:
    reply = _http2(edge, [*GOOD.items()])
    assert (reply.status, json.loads(reply.raw)["model"]) == (200, "m")


@pytest.mark.parametrize("case", REFUSED_2)
def test_what_is_no_request_in_http_2(edge: Edge, case: str) -> None:
    assert _http2(edge, REFUSED_2[case]).status in (0, 400, 401, 404, 405)
    assert not edge.provider.seen
    assert _http2(edge, [*GOOD.items()]).status == 200


def _until(edge: Edge, found: Any) -> Any:
    """Call until something is to be seen: logs are written a moment later, spans when there are five, and no test sleeps."""
    for _ in range(400):
        if seen := found():
            return seen
        edge.ask(chat("none"))
    raise AssertionError("nothing was seen")


def test_what_operators_see(edge: Edge) -> None:
    """Tokens and cost in the log, tokens and requests by consumer, model and provider, a span by the conventions for GenAI."""
    edge.collector.plan(always={"body": "{}"})
    for body, door in ((chat("m"), "chat/completions"), ({"model": "e", "input": "x"}, "embeddings")):
        assert edge.ask(body, door).status_code == 200
    assert fault(edge.ask(chat("m"), key="nobody"))[0] == 401

    def lines(path: str) -> list[dict[str, Any]]:
        whole = [json.loads(x) for x in edge.log.read_text().splitlines() if x.startswith("{") and x.endswith("}")]
        return [x for x in whole if x["path"] == path and x["status"] == 200 and x["input_tokens"]]

    for path, tokens, cost in (("/v1/chat/completions", (11, 5), 84e-6), ("/v1/embeddings", (9, 0), 0)):
        line = _until(edge, lambda path=path: lines(path))[-1]
        assert (line["consumer"], line["provider"], line["input_tokens"], line["output_tokens"]) == (
            "bot",
            "pool",
            *tokens,
        )
        assert line["cost"] == pytest.approx(cost)
    metrics = request("GET", f"http://127.0.0.1:{edge.operations}/metrics").text
    for name, more in (("input_tokens", ""), ("output_tokens", ""), ("requests", ',status="200"')):
        labels = f'consumer="bot",model="m",target="t",provider="pool"{more}'
        assert f"envoy_aigw_{name}_total{{{labels}}} " in metrics
    wanted = (b"gen_ai.operation.name", b"embeddings", b"gen_ai.provider.name", b"vllm", b"gen_ai.request.model")
    spans = _until(
        edge, lambda: (x := b"".join(s.body for s in edge.collector.seen)) and all(word in x for word in wanted) and x
    )
    assert b"key-bot" not in spans


@pytest.mark.parametrize("what", ["connections", "heap"])
def test_too_much_at_once(tmp_path: Path, what: str) -> None:
    """The compiled limits with other numbers: more connections are closed, and with a full heap a request is refused."""
    with providers(1) as (provider,), ExitStack() as stack:
        port, operations = runner.free_ports(2)
        runner.write(tmp_path, runner.build(spec(port, operations, provider.url))[1], {"consumers.bot.0": "key-bot"})
        config = tmp_path / "envoy.yaml"
        body = yaml.load(config.read_bytes(), yaml.CSafeLoader)
        heap, open_ = (m["typed_config"] for m in body["overload_manager"]["resource_monitors"])
        assert (heap["max_heap_size_bytes"], open_["max_active_downstream_connections"]) == (2**31, 10_000)
        if what == "heap":
            heap["max_heap_size_bytes"] = 1
        else:
            open_["max_active_downstream_connections"] = 2
        config.write_text(json.dumps(body))
        envoy = stack.enter_context(runner.process(tmp_path, operations + 1))
        edge = Edge(port, operations, envoy.pid, tmp_path / "envoy.log", provider, provider)
        if what == "heap":
            # The pressure is looked at four times a second.
            refused = [answer for answer in (edge.ask(chat("m")) for _ in range(400)) if answer.status_code != 200]
            # One that was under way already is refused by the tier of its target.
            assert {fault(answer)[0] for answer in refused} <= {500, 502}
            assert fault(edge.ask(chat("m"))) == (500, "api_error", "internal")
            return
        held = [stack.enter_context(socket.create_connection((LISTENER, port), timeout=5)) for _ in range(2)]
        for wire in held:
            wire.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-api-key: key-bot\r\n\r\n")
            assert wire.recv(65536).startswith(b"HTTP/1.1 200")
        with pytest.raises((OSError, http.client.HTTPException)):
            edge.ask(chat("m"))
