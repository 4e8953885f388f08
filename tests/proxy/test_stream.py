"""Streams as providers really send them: cut anywhere, stalled, split inside characters, broken; and clients that leave."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.proxy.harness import SPEC, Answer, Proxy, proxy, says, until

LIMITS = "  policies:\n    limits:\n      - {name: tpm, by: [consumer], per: minute, tokens: 100000}\n"
MODEL = """    - name: {name}
      targets:
        - {{name: main, provider: openai, model: x}}
        - {{name: backup, provider: claude, model: x, priority: 1}}
      fallback: {{on: [overloaded, server-error, timeout, connect-failure, bad-response]}}
      timeouts: {timeouts}
"""
MORE = "".join(
    MODEL.format(name=name, timeouts=timeouts)
    for name, timeouts in (
        ("plain", "{idle: 10s}"),
        ("idle", "{idle: 400ms}"),
        ("hasty", "{request: 1500ms}"),
    )
)
QUICK = (
    SPEC.replace("    - {name: claude, targets", f"{MORE}    - {{name: claude, targets").replace(
        "  consumers:\n", LIMITS + "  consumers:\n"
    )
    + "  observability: {accessLog: {format: json, payloads: true}}\n"
)


@pytest.fixture(scope="module")
def running() -> Iterator[Proxy]:
    with proxy(QUICK) as found:
        yield found


def chunk(content: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": content} if content is not None else {}, "finish_reason": None}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "real", "choices": [choice], **more}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
HELLO = chunk("Grüße") + chunk(" 🌍") + DONE


def said(answer: Answer) -> str:
    return "".join(
        c["delta"].get("content") or "" for e in answer.events if e != "[DONE]" for c in e.get("choices", ())
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("line", [b"\n", b"\r\n"])
def test_a_stream_may_be_split_anywhere(running: Proxy, size: int, line: bytes) -> None:
    data = (b": a comment\n\n" + HELLO).replace(b"\n", line)
    if size < 7:  # enough to split a character and every line
        data = chunk(" 🌍").replace(b"\n", line)[-60:] + DONE.replace(b"\n", line)
        data = b'data: {"choices": [{"delta": {"content": "' + data[data.index("🌍".encode()) :]
    with running.provider(openai=says(*(data[i : i + size] for i in range(0, len(data), size)))):
        answer = running.chat(stream=True)
    assert answer.events[-1] == "[DONE]"
    assert "🌍" in said(answer)
    assert {e["model"] for e in answer.events[:-1]} <= {"chat"}


def test_the_last_event_needs_no_empty_line(running: Proxy) -> None:
    with running.provider(openai=says(chunk("a"), b"data: [DONE]")):
        assert running.chat(stream=True).events[-1] == "[DONE]"


BEFORE: list[tuple[str, Any]] = [
    ("ends at once", says()),
    ("cut at once", says(then="cut")),
    ("stalls", says(hold=1.0)),
    ("no JSON", says(b"data: {nothing\n\n")),
    ("a chunk that is none", says(b"data: [1]\n\n")),
    ("choices that are none", says(b'data: {"choices": [1]}\n\n')),
    ("an error", says(b'data: {"error": {"message": "busy", "type": "server_error"}}\n\n')),
    ("JSON instead of events", says(b'{"choices": []}', kind="application/json")),
]


@pytest.mark.parametrize(("script"), [pytest.param(s, id=name) for name, s in BEFORE])
def test_before_the_first_chunk_another_target_is_tried(
    running: Proxy, script: Any, request: pytest.FixtureRequest
) -> None:
    with running.provider(openai=script):
        answer = running.chat(stream=True, model="idle" if "stalls" in request.node.name else "plain")
    assert answer.events[-1] == "[DONE]"
    assert answer.headers["x-aigw-attempts"] == "2"
    assert running.seen[-1]["provider"] == "claude"


AFTER: list[tuple[str, Any, str]] = [  # a name that is a model's is that model
    ("ends without [DONE]", says(chunk("a")), "upstream_error"),
    ("cut", says(chunk("a"), then="cut"), "upstream_error"),
    ("idle", says(chunk("a"), hold=1.0), "upstream_timeout"),
    ("no JSON", says(chunk("a"), b"data: {nothing\n\n"), "upstream_error"),
    ("an error", says(chunk("a"), b'data: {"error": {"message": "busy"}}\n\n'), "upstream_error"),
    ("hasty", says(*[chunk("a")] * 400), "upstream_timeout"),
]


@pytest.mark.parametrize(("name", "script", "code"), AFTER, ids=[a[0] for a in AFTER])
def test_after_it_an_error_event_ends_the_stream(running: Proxy, name: str, script: Any, code: str) -> None:
    before, lines = len(running.seen), running.quiet()
    with running.provider(openai=script):
        answer = running.chat(stream=True, model=name if name in ("idle", "hasty") else "plain")
    assert answer.status == 200
    assert said(answer).startswith("a")
    assert answer.events[-1]["error"]["code"] == code
    assert "[DONE]" not in answer.events
    assert len(running.seen) == before, "no other provider was asked"
    line = running.line(lines)
    assert line["code"] == code
    assert line["estimated"] is True
    assert line["completion_tokens"] > 0


def test_an_error_event_of_anthropic_falls_through_as_an_error(running: Proxy) -> None:
    event = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    script = says(b"event: error\ndata: " + json.dumps(event).encode() + b"\n\n")
    with running.provider(claude=script):
        assert running.chat(model="claude", stream=True).error == (502, "api_error", "upstream_error")


def test_usage_of_every_chunk_is_stripped_or_kept(running: Proxy) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    stream = [chunk("a", usage=None), chunk("b", usage=None), chunk(choices=[], usage=usage), DONE]
    with running.provider(openai=says(*stream)):
        without = running.chat(stream=True).events[:-1]
        assert [("usage" in e, len(e["choices"])) for e in without] == [(False, 1), (False, 1)]
        asked = running.chat(stream=True, stream_options={"include_usage": True}).events[:-1]
        assert [e["usage"] for e in asked] == [None, None, usage]


def test_what_a_stream_used_is_charged_and_shown(running: Proxy) -> None:
    """The quota drops by the provider's own figures: headers, log and metrics agree."""
    running.now += 1000
    usage = {"prompt_tokens": 100, "completion_tokens": 23, "total_tokens": 123}
    lines = running.quiet()
    with running.provider(openai=says(chunk("a"), chunk(choices=[], usage=usage), DONE)):
        running.chat(stream=True)
        line = running.line(lines)
        assert (line["prompt_tokens"], line["completion_tokens"], line["total_tokens"]) == (100, 23, 123)
        assert line["payload"] == {"messages": [{"role": "user", "content": "hello"}], "answer": "a"}
        running.quiet()
    running.now -= 1000
    refused = running.chat("mock:openai:400")
    assert refused.headers["x-ratelimit-remaining-tokens"] == str(100_000 - 123)


def test_connections_are_used_again_after_a_stream(running: Proxy) -> None:
    running.quiet()
    running.providers.clients.clear()
    for _ in range(8):
        assert running.chat(stream=True).events[-1] == "[DONE]"
        running.quiet()
    assert len(running.providers.clients) < 8


def head(body: bytes) -> bytes:
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: x",
        "authorization: Bearer mock-key-app",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize("stream", [True, False], ids=["sse", "json"])
def test_a_client_that_leaves(running: Proxy, stream: bool) -> None:
    """Nothing is under way any more, the provider's connection is closed, and what was sent is charged by estimate."""
    gone = []

    async def endless(receive: Any, send: Any) -> None:
        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                continue
            gone.append(True)

        watching = asyncio.ensure_future(watch())
        if stream:
            kind = (b"content-type", b"text/event-stream")
            await send({"type": "http.response.start", "status": 200, "headers": [kind]})
            await send({"type": "http.response.body", "body": chunk("some words"), "more_body": True})
        await asyncio.wait_for(watching, 10)

    lines = running.quiet()
    body = {"model": "plain", "messages": [{"role": "user", "content": "x" * 400}], "stream": stream}
    running.now += 5000
    with running.provider(openai=endless):
        client = running.raw(head(json.dumps(body).encode()))
        if stream:
            assert b"some words" in client.recv(4096)
        else:
            until(lambda: running.gateway.metrics.in_flight == 1)
            until(lambda: running.gateway.upstream._session.connector._acquired)
        client.close()
        running.quiet()
        until(lambda: gone)
    line = running.line(lines)
    assert (line["code"], line["status"], line["estimated"]) == ("client_left", 200 if stream else 499, True)
    assert line["prompt_tokens"] >= 100
    assert bool(line["completion_tokens"]) == stream


def test_a_client_that_leaves_before_its_body_is_there(running: Proxy) -> None:
    lines = running.quiet()
    running.raw(head(b"x" * 5000)[:-1000]).close()
    line = running.line(lines)
    assert (line["status"], line["code"], line["total_tokens"]) == (499, "client_left", 0)


@pytest.mark.parametrize("stream", [True, False], ids=["sse", "json"])
def test_the_whole_request_has_a_deadline(running: Proxy, stream: bool) -> None:
    """Tries, pauses and waiting together: `timeouts.request` is over before `firstByte` is."""

    async def asleep(receive: Any, _send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            continue

    started = time.monotonic()
    with running.provider(openai=asleep):
        assert running.chat(stream=stream, model="hasty").error == (504, "api_error", "upstream_timeout")
    assert 1.4 < time.monotonic() - started < 4


def test_a_client_that_reads_nothing_is_dropped_at_the_deadline(running: Proxy) -> None:
    body = {"model": "hasty", "messages": [{"role": "user", "content": "x"}], "stream": True}
    big = chunk("x" * 1_000_000)
    with running.provider(openai=says(*[big] * 60)):
        client = running.raw(head(json.dumps(body).encode()))
        until(lambda: running.gateway.metrics.in_flight == 1)
        running.quiet()
        client.close()
