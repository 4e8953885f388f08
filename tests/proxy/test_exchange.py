"""Retries, fallback, broken streams, the static answer, and clients that leave."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.proxy.harness import SPEC, Proxy, proxy

FALLBACK = SPEC.replace(
    "      aliases: [gpt-4o]\n",
    """      aliases: [gpt-4o]
      retries: {attempts: 1, backoff: {base: 1ms, max: 2ms}}
      fallback: {on: [rate-limited, overloaded, server-error, timeout, connect-failure, bad-response]}
      timeouts: {firstByte: 500ms, idle: 500ms, request: 20s}
""",
)
STATIC = FALLBACK.replace("bad-response]}", "bad-response], response: {status: 200, content: Later.}}")


@pytest.fixture(scope="module")
def running() -> Iterator[Proxy]:
    with proxy(FALLBACK) as found:
        yield found


@pytest.fixture(autouse=True)
def rested(request: pytest.FixtureRequest) -> None:
    """Let every target rest out its cooldown between two tests."""
    for name in ("running", "static"):
        if name in request.fixturenames:
            request.getfixturevalue(name).now += 1000


# words in the message, attempts, what answers: (status, code), or the provider
MATRIX: list[tuple[str, int, Any]] = [
    ("hello", 1, "openai"),
    ("mock:openai:429", 3, "claude"),
    ("mock:openai:500", 3, "claude"),
    ("mock:openai:503", 2, "claude"),
    ("mock:openai:529", 2, "claude"),
    ("mock:openai:slow", 3, "claude"),
    ("mock:openai:cut", 2, "claude"),
    ("mock:openai:malformed", 2, "claude"),
    ("mock:openai:401", 1, (502, "upstream_auth")),
    ("mock:openai:403", 1, (502, "upstream_auth")),
    ("mock:openai:402", 1, (502, "upstream_auth")),
    ("mock:openai:400", 1, (400, "invalid_request")),
    ("mock:openai:404", 1, (404, "invalid_request")),
    ("mock:openai:422", 1, (422, "invalid_request")),
    ("mock:500", 4, (502, "upstream_error")),
    ("mock:429", 4, (429, "rate_limit_exceeded")),
]


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
@pytest.mark.parametrize(("words", "attempts", "want"), MATRIX, ids=[m[0] for m in MATRIX])
def test_matrix(running: Proxy, words: str, attempts: int, want: Any, stream: bool) -> None:
    if stream and words in ("mock:openai:cut", "mock:openai:malformed"):
        words = words.replace("cut", "500").replace("malformed", "500")
        attempts = 3
    answer = running.chat(words, stream=stream)
    assert answer.headers["x-aigw-attempts"] == str(attempts)
    if isinstance(want, str):
        assert answer.status == 200
        assert running.seen[-1]["provider"] == want
    else:
        assert (answer.status, answer.json["error"]["code"]) == want


def test_a_refused_connection_falls_back(running: Proxy) -> None:
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    bases: dict[str, str] = running.gateway.upstream._bases  # type: ignore[assignment]
    old = bases["openai"]
    bases["openai"] = f"http://127.0.0.1:{free.getsockname()[1]}"
    try:
        assert running.chat().status == 200
        assert running.seen[-1]["provider"] == "claude"
    finally:
        bases["openai"] = old
        free.close()


def test_both_slow_is_a_timeout(running: Proxy) -> None:
    assert running.chat("mock:slow").error == (504, "api_error", "upstream_timeout")


def test_a_stream_that_is_cut_ends_with_an_error_and_without_done(running: Proxy) -> None:
    answer = running.chat("mock:cut", stream=True)
    assert answer.status == 200
    assert answer.events[-1]["error"]["code"] == "upstream_error"
    assert "[DONE]" not in answer.events
    assert len(answer.events) > 1


def test_nothing_is_retried_after_a_byte_reached_the_client(running: Proxy) -> None:
    before = len(running.seen)
    running.chat("mock:openai:cut", stream=True)
    assert len(running.seen) == before + 1


@pytest.fixture(scope="module")
def static() -> Iterator[Proxy]:
    with proxy(STATIC) as found:
        yield found


def test_the_static_answer_as_json(static: Proxy) -> None:
    answer = static.chat("mock:500", model="gpt-4o")
    assert answer.status == 200
    assert answer.headers["x-aigw-fallback"] == "static"
    assert answer.json["choices"][0]["message"]["content"] == "Later."
    assert answer.json["model"] == "gpt-4o"
    assert answer.json["usage"]["total_tokens"] == 0


def test_the_static_answer_as_a_stream(static: Proxy) -> None:
    answer = static.chat("mock:500", stream=True, stream_options={"include_usage": True})
    assert answer.headers["x-aigw-fallback"] == "static"
    assert answer.events[0]["choices"][0]["delta"]["content"] == "Later."
    assert answer.events[-2]["usage"]["total_tokens"] == 0
    assert answer.events[-1] == "[DONE]"


def test_a_cause_that_is_not_listed_gets_no_static_answer(static: Proxy) -> None:
    assert static.chat("mock:401").error == (502, "api_error", "upstream_auth")


def test_a_field_that_a_dialect_cannot_carry(running: Proxy) -> None:
    answer = running.chat(model="claude", seed=1)
    assert answer.error == (400, "invalid_request_error", "unsupported_by_provider")
    assert answer.json["error"]["param"] == "seed"
    assert running.chat(seed=1).status == 200


def test_a_target_that_keeps_failing_rests(running: Proxy) -> None:
    for _ in range(3):
        running.chat("mock:openai:500")
    before = len(running.seen)
    running.chat("hello")
    assert [s["provider"] for s in running.seen[before:]] in (["openai"], ["claude"])
    running.now += 31
    before = len(running.seen)
    running.chat("hello")
    assert running.seen[-1]["provider"] == "openai"


def test_weights() -> None:
    spec = SPEC.replace(
        "{name: main, provider: openai, model: gpt-real}",
        "{name: a, provider: openai, model: a, weight: 3}\n        - {name: b, provider: openai, model: b}"
        "\n        - {name: never, provider: openai, model: never, weight: 0}",
    )
    with proxy(spec) as found:
        for _ in range(60):
            found.chat()
        models = [s["body"]["model"] for s in found.seen]
    assert set(models) == {"a", "b"}
    assert 30 < models.count("a") < 58


def test_a_client_that_leaves_is_forgotten(running: Proxy) -> None:
    body = b'{"model":"chat","messages":[{"role":"user","content":"mock:slow"}]}'
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: x",
        "authorization: Bearer mock-key-app",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    head = "\r\n".join([*lines, "", ""])
    with socket.create_connection(("127.0.0.1", running.port)) as client:
        client.sendall(head.encode() + body)
        _until(lambda: running.gateway.metrics.in_flight == 1)
    _until(lambda: running.gateway.metrics.in_flight == 0)


def _until(true: Any) -> None:
    """Wait for something that happens by itself; fail after ten seconds."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
