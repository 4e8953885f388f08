"""Retries, fallback and errors of providers, by the real Envoy: how often each is asked, and what the client is told."""

from __future__ import annotations

import http.client
from typing import Any

import pytest

from tests.targets.envoy_gateway import STATIC, Gateway, fault
from tests.targets.envoy_runner import chat, events

FAILING = {"status": 500}
OVERLOADED, LIMITED, SLOW, RESET = {"status": 503}, {"status": 429}, {"delay": 2}, {"reset": True}
TRIES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], list[int], str]] = {
    # what openai does, what claude does -> how often each was asked, who answered
    "fine": ([], [], [1, 0, 0], "gpt"),
    "one retry": ([FAILING], [], [2, 0, 0], "gpt"),
    "retries are spent": ([FAILING, FAILING], [], [2, 1, 0], "claude"),
    "rate-limited": ([LIMITED, LIMITED], [], [2, 1, 0], "claude"),
    "overloaded is no retry": ([OVERLOADED], [], [1, 1, 0], "claude"),
    "529": ([{"status": 529}], [], [1, 1, 0], "claude"),
    "a slow provider": ([SLOW], [], [1, 1, 0], "claude"),
    "a broken connection": ([RESET], [], [1, 1, 0], "claude"),
    "each has its own retries": ([FAILING, OVERLOADED], [LIMITED, FAILING], [2, 2, 1], "local"),
    "all spent": ([FAILING, FAILING], [OVERLOADED], [2, 1, 1], "static"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", TRIES)
def test_tries(gateway: Gateway, case: str, stream: bool) -> None:
    openai, claude, expected, answers = TRIES[case]
    gateway.openai.plan(*openai)
    gateway.claude.plan(*claude)
    if answers == "static":
        gateway.local.plan(always=OVERLOADED)
    response = gateway.ask(chat(stream=stream, **({"stream_options": {"include_usage": True}} if stream else {})))
    assert response.status_code == 200
    assert [len(p.seen) for p in (gateway.openai, gateway.claude, gateway.local)] == expected
    if stream:
        *chunks, done = events(response.text)
        assert done == "[DONE]"
        text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
        usage = chunks[-1]["usage"]
        models = {c["model"] for c in chunks}
    else:
        body = response.json()
        text, usage, models = body["choices"][0]["message"]["content"], body["usage"], {body["model"]}
    assert models == {"chat"}
    if answers == "static":
        assert (response.headers["x-aigw-fallback"], text, usage["total_tokens"]) == ("static", STATIC, 0)
    else:
        assert "x-aigw-fallback" not in response.headers
        assert text == "Hello from here"
    if "overloaded" not in case and case not in ("529", "a slow provider", "a broken connection", "all spent"):
        assert response.headers["x-aigw-attempts"] == str(sum(expected))


UPSTREAM: dict[str, tuple[str, dict[str, Any], tuple[int, str | None, str | None]]] = {
    "500": ("plain", FAILING, (502, "api_error", "upstream_error")),
    "503": ("plain", OVERLOADED, (502, "api_error", "upstream_error")),
    "429": ("plain", LIMITED, (429, "rate_limit_error", "rate_limit_exceeded")),
    "401": ("plain", {"status": 401}, (502, "api_error", "upstream_auth")),
    "403": ("plain", {"status": 403}, (502, "api_error", "upstream_auth")),
    "402": ("plain", {"status": 402}, (502, "api_error", "upstream_auth")),
    "quota": ("plain", {"status": 429, "code": "insufficient_quota"}, (502, "api_error", "upstream_auth")),
    "slow": ("plain", SLOW, (504, "api_error", "upstream_timeout")),
    "reset": ("plain", RESET, (502, "api_error", "upstream_error")),
    "redirect": (
        "plain",
        {"status": 307, "headers": {"location": "http://x.test"}},
        (502, "api_error", "upstream_error"),
    ),
    "no JSON": ("plain", {"body": "<html>"}, (502, "api_error", "upstream_error")),
    "half JSON": ("claude", {"body": '{"id": 1}'}, (502, "api_error", "upstream_error")),
    "the client's mistake": ("plain", {"status": 400, "code": "bad"}, (400, "mock", "bad")),
    "too long": ("plain", {"status": 400, "code": "context_length_exceeded"}, (400, "mock", "context_length_exceeded")),
    "the client's mistake, translated": ("claude", {"status": 400}, (400, "mock", "invalid_request")),
    "anthropic 529": ("claude", {"status": 529}, (502, "api_error", "upstream_error")),
}


@pytest.mark.parametrize("case", UPSTREAM)
def test_upstream_errors(gateway: Gateway, case: str) -> None:
    model, step, expected = UPSTREAM[case]
    gateway.openai.plan(always=step)
    gateway.claude.plan(always=step)
    response = gateway.ask(chat(model))
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"]) == expected
    assert "sk-of" not in response.text + str(response.headers)


def test_a_provider_cannot_speak_for_a_tier(gateway: Gateway) -> None:
    told = {"x-aigw-cause": "timeout", "x-aigw-target": "evil", "x-aigw-own": "1", "x-aigw-fallback": "static"}
    gateway.openai.plan(always={"headers": {**told, "x-aigw-tries": "9", "set-cookie": "a=b", "server": "theirs"}})
    answer = gateway.ask(chat())
    assert answer.json()["choices"][0]["message"]["content"] == "Hello from here"
    assert answer.headers["x-aigw-attempts"] == "1"
    assert not {"x-aigw-cause", "x-aigw-target", "x-aigw-fallback", "set-cookie"} & set(answer.headers)
    assert len(gateway.openai.seen) == 1


def test_retry_after_of_a_provider(gateway: Gateway) -> None:
    gateway.openai.plan(always={"status": 429, "headers": {"retry-after": "7"}})
    assert gateway.ask(chat("plain")).headers["retry-after"] == "7"


def test_nobody_listens(gateway: Gateway) -> None:
    assert gateway.ask(chat("dead")).json()["model"] == "dead"
    assert gateway.local.seen[0].json["model"] == "y"
    assert fault(gateway.ask(chat("gone"))) == (502, "api_error", "upstream_error")


def test_weights(gateway: Gateway) -> None:
    for _ in range(40):
        assert gateway.ask(chat("split")).status_code == 200
    assert (len(gateway.openai.seen), len(gateway.local.seen)) == (30, 10)
    assert {s.json["model"] for s in gateway.local.seen} == {"split-b"}


def test_a_retry_takes_another_target(gateway: Gateway) -> None:
    gateway.openai.plan(always=FAILING)
    for _ in range(6):
        assert gateway.ask(chat("split")).status_code == 200


def test_a_long_stream_is_not_cut(gateway: Gateway) -> None:
    gateway.openai.plan({"pause": 0.2})
    response = gateway.ask(chat("plain", stream=True))
    assert events(response.text)[-1] == "[DONE]"


def test_a_stream_breaks_off(gateway: Gateway) -> None:
    gateway.openai.plan({"cut": 2})
    with pytest.raises((http.client.HTTPException, OSError)):
        gateway.ask(chat("chat", stream=True))
    assert len(gateway.openai.seen) == 1
    assert not gateway.claude.seen
