"""POST /v1/chat/completions on Envoy for Anthropic's dialect: what the scripts make of an answer, against the proxy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aigw_compile.proxy import doors
from aigw_compile.proxy.dialects.base import NO_ANSWER, StreamError
from aigw_compile.proxy.doors import CHAT
from tests.targets.envoy_scripts import Scripts, cut, latin

SCRIPTS = Scripts("usage", "is_answer", "translate", "chat_request", "anthropic_request", "anthropic_reply")
_way = doors.way(CHAT, "anthropic", "anthropic")
assert _way
WAY = _way

TEXT = {"type": "text", "text": "é"}
USE = {"type": "tool_use", "id": "t", "name": "f", "input": {"n": 1}}
ALL = {"input_tokens": 5, "output_tokens": 2, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4}


def message(*content: Any, stop: Any = "end_turn", **more: Any) -> dict[str, Any]:
    return {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "x",
        "content": [*content],
        "stop_reason": stop,
        **more,
    }


def same(body: Any) -> Any:
    """An answer without what is not told, and without when it was made."""
    if isinstance(body, dict):
        return {k: same(v) for k, v in body.items() if v is not None and k != "created"}
    return [same(v) for v in body] if isinstance(body, list) else body


@pytest.mark.parametrize(
    "body",
    [
        message(TEXT, usage=ALL),
        message(TEXT, TEXT, stop="max_tokens", usage={"input_tokens": 1, "output_tokens": None}),
        message(usage={"input_tokens": 0, "output_tokens": 0}),
        message(TEXT, usage={}),
        message(TEXT),
        message(TEXT, USE, stop="tool_use", usage={"cache_creation_input_tokens": 4}),
        message(USE, {"type": "thinking", "thinking": "hm", "signature": "s"}, stop=None, usage=ALL),
        {"type": "message"},
        {},
    ],
)
def test_a_reply_is_what_the_proxy_makes_of_it(body: Any) -> None:
    try:
        want = same(WAY.reply(body, {})[0])
    except NO_ANSWER:
        want = None
    assert same(SCRIPTS.reply(body)[0]) == want


def start(**more: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {**message(), **more}}


def delta(index: int = 0, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": fields}


def stopped(reason: str, **more: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, **more}


BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
SAID = delta(type="text_delta", text="é")
STOP = {"type": "message_stop"}
STREAMS: list[list[Any]] = [
    [start(usage={**ALL, "output_tokens": 1}), BLOCK, SAID, stopped("end_turn", usage={"output_tokens": 7}), STOP],
    [
        start(usage=ALL),
        SAID,
        stopped("max_tokens", usage={**ALL, "input_tokens": 9, "cache_read_input_tokens": None}),
        STOP,
    ],
    [start(), SAID, stopped("end_turn", usage={"input_tokens": 0, "output_tokens": 0}), STOP],
    [start(usage=None), {"type": "ping"}, SAID, stopped("end_turn"), STOP],
    [
        start(usage={}),
        {"type": "content_block_start", "index": 1, "content_block": {**USE, "input": {}}},
        delta(1, type="input_json_delta", partial_json='{"n": 1}'),
        delta(2, type="input_json_delta", partial_json='{"of": "a tool that Anthropic runs"}'),
        stopped("tool_use"),
        STOP,
    ],
    [start(), SAID, {"type": "error", "error": {"type": "overloaded_error", "message": "sk-secret"}}],
]


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize("sent", STREAMS)
def test_a_stream_is_what_the_proxy_makes_of_it(sent: list[Any], size: int) -> None:
    state, want = WAY.stream(), list[Any]()
    try:
        for event in sent:
            want.extend(same(made) for made in state.events(event["type"], json.dumps(event).encode()))
        want.append("[DONE]")
    except StreamError:
        want.append("broken")
    text = "".join(f"event: {e['type']}\ndata: {latin(e)}\n\n" for e in sent)
    blocks = [b.removeprefix("data: ") for b in SCRIPTS.stream(*cut(text, size)).split("\n\n") if b]
    found = [b if b == "[DONE]" else "broken" if '"error"' in b else same(json.loads(b)) for b in blocks]
    assert found == want
