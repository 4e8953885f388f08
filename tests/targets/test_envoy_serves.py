"""What the real Envoy serves: what a provider sees, streams, the other dialect, the official client, keys that change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aigw_compile import secretfiles
from tests.targets.envoy_gateway import BAD, INVALID, KEY_401, KEYS, ODD, Gateway, fault
from tests.targets.envoy_runner import chat, events, request


def test_what_a_provider_sees(gateway: Gateway) -> None:
    sent = {
        "authorization": "Bearer key-bot",
        "x-api-key": "key-intern",
        "cookie": "a=b",
        "x-forwarded-for": "9.9.9.9",
        "x-envoy-max-retries": "9",
        "x-aigw-limit-0-1": "x",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "openai-beta": "x",
        "anthropic-beta": "y",
        "idempotency-key": "once",
        "accept": "application/json",
        "accept-encoding": "gzip",
        "user-agent": "a client",
        "connection": "keep-alive",
    }
    response = gateway.ask(chat("plain", user="u"), headers=sent, url=gateway.url + "/chat/completions?key=v")
    assert response.status_code == 200
    (seen,) = gateway.openai.seen
    assert seen.path == "/v1/chat/completions"
    host = gateway.openai.url.split("/")[2]
    assert {k: v for k, v in seen.headers.items() if k != "content-length"} == {
        "host": host,
        "content-type": "application/json",
        "authorization": "Bearer sk-of-openai",
        "accept": "application/json",
        "traceparent": sent["traceparent"],
        "openai-beta": "x",
        "idempotency-key": "once",
    }
    assert seen.json["model"] == "gpt-plain"
    assert response.json()["model"] == "plain"
    assert "12345678901234567890" in response.text
    ours = {k for k in response.headers if k.startswith("x-") or k == "set-cookie"}
    assert ours <= {"x-aigw-attempts", "x-envoy-upstream-service-time"}


def test_no_key_goes_to_another_provider(gateway: Gateway) -> None:
    gateway.openai.plan(always={"status": 500})
    gateway.claude.plan(always={"status": 500})
    assert gateway.ask(chat(), headers={"anthropic-version": "x", "openai-beta": "x"}).status_code == 200
    assert {s.headers.get("authorization") for s in gateway.openai.seen} == {"Bearer sk-of-openai"}
    for seen in gateway.claude.seen:
        assert seen.headers["x-api-key"] == "sk-of-claude"
        assert seen.headers["anthropic-version"] == "2023-06-01"
        assert not {"authorization", "openai-beta"} & set(seen.headers)
        assert seen.path == "/v1/messages"
    (last,) = gateway.local.seen
    assert not {"authorization", "x-api-key", "anthropic-version"} & set(last.headers)


def test_bodies_are_edited_in_place(gateway: Gateway) -> None:
    raw = b'{ "seed": 12345678901234567890, "messages":[ {"role":"user","content":"\\u00e9 \xf0\x9f\x98\x80"} ],"model" : "gpt-4o"}'
    assert gateway.ask(raw).json()["model"] == "gpt-4o"
    text = gateway.openai.seen[0].body.decode()
    assert '"seed": 12345678901234567890' in text
    assert '{"role":"user","content":"\\u00e9 \U0001f600"}' in text
    body = json.loads(text)
    assert body["model"] == "gpt-main"
    assert [m["content"] for m in body["messages"]] == ["Out.", 'Say "please" – \\ \U0001f600', "é \U0001f600", "In."]


@pytest.mark.parametrize("name", ["org/same", ODD])
def test_the_name_passes_on(gateway: Gateway, name: str) -> None:
    assert gateway.ask(chat(name), "key-intern").json()["model"] == name
    assert gateway.local.seen[0].json["model"] == name


@pytest.mark.parametrize("size", [1024 * 1024, 2 * 1024 * 1024 - 100])
def test_large_bodies_fall_back(gateway: Gateway, size: int) -> None:
    gateway.openai.plan(always={"status": 503})
    gateway.claude.plan(always={"status": 503})
    assert gateway.ask(chat(text="é" * (size // 12))).status_code == 200
    assert gateway.local.seen[0].json["messages"][2]["content"] == "é" * (size // 12)


@pytest.mark.parametrize("options", [None, {"include_usage": True}, {"include_usage": False}, {}, {"x": 1}, "absent"])
@pytest.mark.parametrize("model", ["plain", "claude"])
def test_streams(gateway: Gateway, model: str, options: Any) -> None:
    more = {} if options == "absent" else {"stream_options": options}
    if model == "claude" and options == {"x": 1}:
        more = {}
    response = gateway.ask(chat(model, stream=True, **more))
    assert response.headers["content-type"].startswith("text/event-stream")
    *chunks, done = events(response.text)
    assert done == "[DONE]"
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == "Hello from here"
    assert {c["model"] for c in chunks} == {model}
    asked = isinstance(options, dict) and options.get("include_usage") is True
    usage = [c["usage"] for c in chunks if c.get("usage")]
    if asked:
        assert [(u["prompt_tokens"], u["completion_tokens"]) for u in usage] == [
            (11, 5) if model == "plain" else (12, 7)
        ]
    else:
        assert not usage
        assert not any("usage" in c for c in chunks)
    if model == "plain":
        assert gateway.openai.seen[0].json["stream_options"]["include_usage"] is True


TOOLS = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "maximum": 12345678901234567890}},
    }
]


def test_translates_to_anthropic(gateway: Gateway) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"n":12345678901234567890}'}}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "S1"},
        {"role": "user", "content": [{"type": "text", "text": "look"}, image]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    body = {"model": "claude", "messages": messages, "tools": TOOLS, "tool_choice": "required", "max_tokens": 50}
    response = gateway.ask(
        {**body, "stop": "x", "temperature": 0.7, "user": "u1", "n": 1, "parallel_tool_calls": False}
    )
    (seen,) = gateway.claude.seen
    assert seen.json == {
        "model": "claude-x",
        "max_tokens": 50,
        "system": "Out.\nS1\nIn.",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "c1", "name": "weather", "input": {"n": 12345678901234567890}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "sunny"}]}
                ],
            },
        ],
        "tools": [{"name": "weather", "input_schema": {"type": "object", "maximum": 12345678901234567890}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "stop_sequences": ["x"],
        "temperature": 0.7,
        "metadata": {"user_id": "u1"},
    }
    answer = response.json()
    assert answer["model"] == "claude"
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    made = answer["choices"][0]["message"]["tool_calls"]
    assert made == [
        {
            "id": "toolu_1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"n": 12345678901234567890}'},
        }
    ]
    assert answer["usage"]["prompt_tokens"] == 15
    assert answer["usage"]["total_tokens"] == 22


@pytest.mark.parametrize(
    "more",
    [
        {"n": 2},
        {"logprobs": True},
        {"response_format": {"type": "json_object"}},
        {"seed": 1},
        {"logit_bias": {"1": 1}},
        {"frequency_penalty": 0.5},
        {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
    ],
    ids=str,
)
def test_what_anthropic_cannot_carry(gateway: Gateway, more: dict[str, Any]) -> None:
    assert fault(gateway.ask({**chat("claude"), **more})) == (400, INVALID, "unsupported_by_provider")
    assert not gateway.claude.seen


def test_official_client(gateway: Gateway) -> None:
    import openai

    with openai.OpenAI(base_url=gateway.url, api_key="key-bot", max_retries=0) as client:
        user: Any = [{"role": "user", "content": "hi"}]
        whole = client.chat.completions.create(model="gpt-4o", messages=user)
        assert (whole.choices[0].message.content, whole.model) == ("Hello from here", "gpt-4o")
        tools: Any = TOOLS
        with client.chat.completions.stream(model="claude", messages=user, tools=tools) as stream:
            for _ in stream:
                pass
            final = stream.get_final_completion()
        assert final.choices[0].message.content == "Hello from here"
        calls = final.choices[0].message.tool_calls
        assert calls
        assert calls[0].function.arguments == '{"city":"Paris"}'
        assert {m.id for m in client.models.list()} >= {"chat", "plain"}
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="nope", messages=user)
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="no").models.list()


def test_a_header_that_comes_twice(gateway: Gateway) -> None:
    for keys in (("key-bot", "key-bot"), ("key-bot", "nobody")):
        headers = [*(("x-api-key", k) for k in keys), ("content-type", "application/json")]
        assert fault(request("POST", gateway.url + "/chat/completions", b"{}", headers)) == KEY_401


def test_models_are_those_that_the_caller_may_use(gateway: Gateway) -> None:
    def listed(key: str) -> set[str]:
        return {m["id"] for m in gateway.get("/models", key).json()["data"]}

    everything = listed("key-bot")
    assert everything - listed("key-intern") == {"chat", "gpt-4o"}
    assert "org/same" in everything


def test_request_limits(gateway: Gateway) -> None:
    assert [gateway.ask(chat("plain"), "key-few").status_code for _ in range(2)] == [200, 200]
    refused = gateway.ask(chat("plain"), "key-few")
    assert fault(refused) == (429, "rate_limit_error", "rate_limit_exceeded")
    assert int(refused.headers["retry-after"]) > 0
    assert len(gateway.openai.seen) == 2
    # Limits come before guards, and what is refused before them is not counted against others.
    assert fault(gateway.ask(BAD, "key-few"))[0] == 429
    assert gateway.ask(chat("plain")).status_code == 200


def test_hosts_and_base_paths(gateway: Gateway) -> None:
    for host in ("ai.example.test", "x.ai.test:99"):
        assert gateway.ask(chat("plain"), url=gateway.inside, headers={"host": host}).status_code == 200
    unknown = gateway.ask(chat("plain"), url=gateway.inside, headers={"host": "other.test", "authorization": None})
    assert fault(unknown) == (404, INVALID, "not_found")
    elsewhere = gateway.inside.replace("/llm", "")
    assert fault(gateway.ask(chat(), url=elsewhere, headers={"host": "ai.example.test"}))[0] == 404
    large = gateway.ask(chat(text="x" * 1000), url=gateway.inside, headers={"host": "ai.example.test"})
    assert fault(large) == (413, INVALID, "request_too_large")


def test_a_body_in_chunks(gateway: Gateway) -> None:
    def pieces() -> Iterator[bytes]:
        raw = json.dumps(chat("plain", stream=False)).encode()
        yield raw[:10]
        yield raw[10:]

    headers = [("x-api-key", "key-bot"), ("content-type", "application/json")]
    answer = request("POST", gateway.url + "/chat/completions", pieces(), headers)
    assert answer.status_code == 200
    assert gateway.openai.seen[0].json["model"] == "gpt-plain"


def test_operations(gateway: Gateway) -> None:
    gateway.ask(chat("plain"))
    assert gateway.get(gateway.operations + "/healthz").status_code == 200
    assert gateway.get(gateway.operations + "/readyz").status_code == 200
    metrics = gateway.get(gateway.operations + "/metrics").text
    assert (
        'envoy_aigw_input_tokens_total{consumer="bot",model="plain",target="openai-gpt-plain",provider="openai"}'
        in metrics
    )
    assert gateway.get(gateway.operations + "/config_dump").status_code == 404
    assert not any(value in metrics for value in KEYS.values())


def test_the_access_log_tells_tokens_and_no_secret(gateway: Gateway) -> None:
    gateway.ask(chat("claude", "something private"))
    line: dict[str, Any] | None = None
    for _ in range(2000):  # the log is flushed every 50 ms; each try is a call, and no test sleeps
        gateway.get(gateway.operations + "/healthz")
        text = gateway.log.read_text()
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
        line = next((x for x in lines if x["model"] == "claude" and x.get("input_tokens") == 15), None)
        if line:
            break
    assert line
    assert (line["consumer"], line["target"], line["output_tokens"], line["status"]) == (
        "bot",
        "claude-claude-x",
        7,
        200,
    )
    assert "something private" not in text
    assert not any(value in text for value in KEYS.values())
    assert "script log" not in text, text


def test_keys_change_while_envoy_runs(gateway: Gateway) -> None:
    changed = {**KEYS, "providers.openai": "sk-new", "consumers.intern.0": "key-intern-new"}
    secretfiles.write(gateway.folder, changed)
    for _ in range(200):
        new = gateway.ask(chat("plain"), "key-intern-new")
        if new.status_code == 200 and gateway.openai.seen[-1].headers["authorization"] == "Bearer sk-new":
            break
    assert gateway.openai.seen[-1].headers["authorization"] == "Bearer sk-new"
    assert fault(gateway.ask(chat("plain"), "key-intern")) == KEY_401
    assert gateway.ask(chat("plain")).status_code == 200


def test_a_broken_file_of_keys_changes_nothing(gateway: Gateway) -> None:
    name = gateway.folder / "secrets" / "client-keys.yaml"
    beside = name.with_name("broken")
    beside.write_text("resources: [{x: 1}]\n")
    beside.replace(name)
    for _ in range(200):
        gateway.get(gateway.operations + "/healthz")
        if "client-keys.yaml" in gateway.log.read_text():
            break
    assert "Filesystem config update failure: in secrets/client-keys.yaml" in gateway.log.read_text()
    assert gateway.ask(chat("plain")).status_code == 200
    assert fault(gateway.ask(chat("plain"), "nobody")) == KEY_401
