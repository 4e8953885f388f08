"""Gemini's dialect on Envoy: the scripts against the reference proxy's own translation, and the real Envoy before a Gemini."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aigw_compile.proxy.dialects.base import Malformed, Refused, Unsupported, cause_of, refusing
from aigw_compile.proxy.dialects.gemini.replies import Stream, error
from tests.proxy import test_gemini as gemini
from tests.proxy.test_clients import CONVERSATION
from tests.targets import envoy_runner as runner
from tests.targets.envoy_gateway import fault
from tests.targets.envoy_runner import Answer, chat, events, request
from tests.targets.envoy_scripts import Scripts, cut, latin
from tests.targets.mock_upstream import Provider, providers

GEMINI = Scripts("translate", "chat_request", "gemini_request", "gemini_reply")


def both(fields: dict[str, Any]) -> tuple[Any, Any]:
    """What the proxy and the scripts make of a request; the word `refused` where they cannot."""
    body = {"model": "x", "messages": [{"role": "user", "content": "q"}], **fields}
    try:
        want: Any = gemini.CHAT.request(body, "m", refusing)
    except (Unsupported, Malformed):
        want = "refused"
    return want, GEMINI.ask(body) or "refused"


TOOLS = {"tools": [gemini.TOOL, {"type": "function", "function": {"name": "g", "parameters": {}}}]}
SIGNED = [
    {"role": "user", "content": [{"type": "text", "text": "é\U0001f30d"}, {"type": "text", "text": ""}]},
    {
        "role": "assistant",
        "content": "calling",
        "tool_calls": [
            {
                "id": "t",
                "type": "function",
                "function": {"name": "f", "arguments": '{"n": 12345678901234567890}'},
                "extra_content": {"google": {"thought_signature": "c2ln"}},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "t", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
]
REQUESTS: list[dict[str, Any]] = [
    {},
    {"messages": [m for m in CONVERSATION if "https" not in json.dumps(m)]},
    *(fields for fields, _ in gemini.CONFIG),
    *({**TOOLS, "tool_choice": choice} for choice, _ in gemini.CHOICES),
    TOOLS,
    *({"messages": gemini.told(content)} for content, _ in gemini.RESULTS),
    {"messages": gemini.told("x", called="other")},
    {"messages": SIGNED},
    *(fields for _, fields in gemini.UNSUPPORTED),
    {"logit_bias": {}, "functions": [], "stream": True, "stream_options": {"include_usage": True}},
]


@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_a_request_is_what_the_proxy_makes_of_it(number: int) -> None:
    want, made = both(REQUESTS[number])
    assert made == want


def test_what_is_to_be_embedded() -> None:
    body = {"model": "models/e", "input": ["a", "é"], "dimensions": 3, "user": "u"}
    assert GEMINI.ask(body, embeds=True) == gemini.EMBED.request(body, "models/e", refusing)
    assert GEMINI.ask({"model": "e", "input": [1, 2]}, embeds=True) is None
    counted = {"embeddings": [{"values": [0.25, -1.5e-7]}], "usageMetadata": {"promptTokenCount": 4}}
    assert GEMINI.reply(counted, embeds=True)[0] == gemini.EMBED.reply(counted)


CALL = {"functionCall": {"name": "f", "args": {"é": 12345678901234567890}}}
COUNTED = {"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 3, "thoughtsTokenCount": 2}
REPLIES: list[dict[str, Any]] = [
    *(gemini.candidate({"text": "a"}, reason=reason) for reason, _ in gemini.FINISHES),
    gemini.candidate({"text": "Hm.", "thought": True}, {"text": "Hel"}, {"text": "lo"}, usageMetadata=COUNTED),
    gemini.candidate(CALL, {**CALL, "thoughtSignature": "c2ln"}, responseId="r", modelVersion="g"),
    gemini.candidate({"text": "a"}, CALL, reason="MAX_TOKENS", usageMetadata={"promptTokenCount": 1}),
    gemini.candidate(),
    gemini.candidate(reason="MALFORMED_FUNCTION_CALL"),
    {"promptFeedback": {"blockReason": "SAFETY"}},
    {"candidates": []},
    {},
]


def plain(body: Any) -> Any:
    """Without the time; the arguments of a call as what they hold."""
    body = {k: v for k, v in body.items() if k != "created"}
    for choice in body["choices"]:
        for made in choice.get("message", choice.get("delta", {})).get("tool_calls", ()):
            made["function"]["arguments"] = json.loads(made["function"]["arguments"])
    return body


@pytest.mark.parametrize("number", range(len(REPLIES)))
def test_a_reply_is_what_the_proxy_makes_of_it(number: int) -> None:
    body = REPLIES[number]
    made, refused = GEMINI.reply(body)
    try:
        want = gemini.CHAT.reply(body)
    except Refused as told:
        want = told.error
    except (ValueError, KeyError, TypeError):
        want = None
    if want is None or "choices" not in want:
        assert (made, refused) == (None, want)
    else:
        assert plain(made) == plain(want)


@pytest.mark.parametrize(("status", "body", "cause"), [e for e in gemini.ERRORS if not isinstance(e[1], str)])
def test_why_it_failed(status: int, body: Any, cause: str | None) -> None:
    inner = (body[0] if isinstance(body, list) else body)["error"]
    assert GEMINI.fault(inner) == {k: v for k, v in error(body).items() if v is not None}
    assert cause_of(status, error(body)) == cause


STREAM = [
    gemini.candidate({"text": "Hm.", "thought": True}, reason=None, responseId="r", modelVersion="g"),
    gemini.candidate({"text": "Hel"}, reason=None),
    gemini.candidate({"text": "\U0001f30d"}, CALL, reason=None, usageMetadata=COUNTED),
    gemini.candidate(CALL, usageMetadata={**COUNTED, "candidatesTokenCount": 9}),
]


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("line", ["\r\n", "\n"])
def test_a_stream_is_what_the_proxy_makes_of_it(size: int, line: str) -> None:
    text = "".join(f"data: {latin(e)}{line}{line}" for e in STREAM)
    found = events(GEMINI.stream(*cut(text, size)))
    assert found.pop() == "[DONE]"
    state = Stream()
    want = [*(c for e in STREAM for c in state.events("", json.dumps(e).encode())), *state.end()]
    assert [*map(plain, found)] == [*map(plain, want)]


def test_a_stream_that_stops_too_early_has_no_end() -> None:
    made = GEMINI.stream(f"data: {latin(STREAM[0])}\n\n", "")
    assert "[DONE]" not in made
    broken = GEMINI.stream(f"data: {latin(gemini.candidate(reason='MALFORMED_RESPONSE'))}\n\n", "data: {}\n\n")
    assert events(broken)[-1]["error"]["code"] == "upstream_error"


# --- the real Envoy


def spec(ports: list[int], upstream: str, other: str) -> dict[str, Any]:
    """Gemini alone, with a fallback, and for embeddings."""
    base = upstream.removesuffix("/v1") + "/v1beta"
    two = [
        {"name": "first", "provider": "google", "model": "g"},
        {"name": "second", "provider": "other", "model": "o", "priority": 1},
    ]
    return {
        "apiVersion": "aigw.dev/v1alpha1",
        "kind": "AIGateway",
        "metadata": {"name": "google"},
        "spec": {
            "listeners": [{"name": "public", "address": "127.0.0.1", "port": ports[0]}],
            "providers": [
                {"name": "google", "type": "gemini", "baseUrl": base, "auth": {"apiKey": {"env": "G"}}},
                {"name": "other", "type": "openai-compatible", "baseUrl": other},
            ],
            "models": [
                {
                    "name": "google",
                    "targets": [{"provider": "google", "model": "models/gemini x"}],
                    "health": {"failures": 10_000},
                },
                {"name": "any", "targets": [{"provider": "google", "model": "*"}]},
                {"name": "two", "targets": two, "fallback": {"on": ["content-filter", "bad-response", "rate-limited"]}},
                {
                    "name": "vectors",
                    "capabilities": ["embeddings"],
                    "targets": [{"provider": "google", "model": "text-embedding-004"}],
                },
            ],
            "auth": {"anonymous": True},
            "observability": {"operations": {"port": ports[-1]}},
        },
    }


class Google(NamedTuple):
    url: str
    upstream: Provider

    def ask(self, body: dict[str, Any], path: str = "/chat/completions") -> Answer:
        return request("POST", self.url + path, json.dumps(body).encode(), [("content-type", "application/json")])


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    folder = tmp_path_factory.mktemp("google")
    with providers(2) as (upstream, other):
        ports = runner.free_ports(2)
        _, documents = runner.build(spec(ports, upstream.url, other.url))
        runner.write(folder, documents, {"providers.google": "key-of-google"})
        with runner.running(folder, ports[-1] + 1):
            yield Google(f"http://127.0.0.1:{ports[0]}/v1", upstream)


def test_envoy_asks_and_answers(google: Google) -> None:
    google.upstream.plan({"body": json.dumps(REPLIES[6])})
    answer = google.ask(chat("google", max_tokens=5))
    assert answer.json()["choices"][0]["message"]["content"] == "Hello"
    assert (answer.json()["model"], answer.json()["usage"]["total_tokens"]) == ("google", 15)
    (seen,) = google.upstream.seen
    assert seen.path == "/v1beta/models/gemini%20x:generateContent"
    assert seen.headers["x-goog-api-key"] == "key-of-google"
    assert seen.json == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "generationConfig": {"maxOutputTokens": 5},
    }


def test_envoy_passes_a_stream(google: Google) -> None:
    for usage in (False, True):
        google.upstream.plan({"parts": [f"data: {json.dumps(e)}\r\n\r\n" for e in STREAM]})
        more = {"stream_options": {"include_usage": True}} if usage else {}
        found = events(google.ask(chat("any", stream=True, **more)).text)
        assert found[-1] == "[DONE]"
        assert ("usage" in json.dumps(found)) == usage
        assert "".join(c["delta"].get("content") or "" for e in found[:-1] for c in e["choices"]) == "Hel\U0001f30d"
        assert {e["model"] for e in found[:-1]} == {"any"}
        assert google.upstream.seen[-1].path == "/v1beta/models/any:streamGenerateContent?alt=sse"


def test_the_official_client_streams_tools(google: Google) -> None:
    import openai

    google.upstream.plan({"parts": [f"data: {json.dumps(e)}\r\n\r\n" for e in STREAM]})
    tools: Any = [gemini.TOOL]
    with (
        openai.OpenAI(base_url=google.url, api_key="x", max_retries=0) as client,
        client.chat.completions.stream(
            model="google", messages=[{"role": "user", "content": "hi"}], tools=tools
        ) as stream,
    ):
        for _ in stream:
            pass
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls or []
    assert [c.function.name for c in calls] == ["f", "f"]
    assert final.choices[0].finish_reason == "tool_calls"


def test_what_failed_falls_back(google: Google) -> None:
    blocked = {"body": json.dumps({"promptFeedback": {"blockReason": "SAFETY"}})}
    busy = {"status": 429, "body": json.dumps({"error": {"status": "RESOURCE_EXHAUSTED"}})}
    for step in (blocked, {"body": json.dumps(gemini.candidate(reason="MALFORMED_RESPONSE"))}, busy):
        google.upstream.plan(step)
        answer = google.ask(chat("two"))
        assert (answer.status_code, answer.json()["model"]) == (200, "two"), step
    google.upstream.plan(blocked)
    assert fault(google.ask(chat("google"))) == (400, "invalid_request_error", "content_filter")
    refused = {"status": 400, "body": json.dumps([{"error": {"details": [{"reason": "API_KEY_INVALID"}]}}])}
    google.upstream.plan(refused)
    assert fault(google.ask(chat("google"))) == (502, "api_error", "upstream_auth")
    assert fault(google.ask(chat("google", logprobs=True))) == (400, "invalid_request_error", "unsupported_by_provider")


def test_envoy_embeds(google: Google) -> None:
    made = {"embeddings": [{"values": [0.25, -1.5e-7]}]}
    google.upstream.plan({"body": json.dumps(made)})
    answer = google.ask({"model": "vectors", "input": "a"}, "/embeddings").json()
    assert (answer["data"][0]["embedding"], answer["model"]) == ([0.25, -1.5e-7], "vectors")
    (seen,) = google.upstream.seen
    assert seen.path == "/v1beta/models/text-embedding-004:batchEmbedContents"
    assert seen.json == {"requests": [{"model": "models/text-embedding-004", "content": {"parts": [{"text": "a"}]}}]}


def test_scripts_stay_short() -> None:
    folder = Path(__file__).parents[2] / "targets" / "envoy" / "assets"
    assert all(len(path.read_text("utf-8").splitlines()) < 200 for path in folder.glob("*.lua"))
