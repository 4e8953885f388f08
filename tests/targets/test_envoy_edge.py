"""The edges by the real Envoy: TLS, CORS, addresses, every door of authentication, and many kinds of providers."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import time
from typing import Any

import pytest

from tests.targets.envoy_edge import ENTRA, OTHER, PASSWORD, SECRETS, Edge
from tests.targets.envoy_gateway import INVALID, KEY_401, PROMPT_400, fault
from tests.targets.envoy_runner import Answer, chat, events, request

ADDRESS_403 = (403, "permission_error", "ip_not_allowed")
MODEL_403 = (403, "permission_error", "model_not_allowed")


def outcome(answer: Answer) -> int | tuple[int, str, str]:
    return 200 if answer.status_code == 200 else fault(answer)


# --- Who calls


def login(user: str, password: str = PASSWORD) -> list[tuple[str, str]]:
    return [("authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())]


def claims(**more: Any) -> dict[str, Any]:
    return {"iss": ENTRA, "aud": "ai", "azp": "app", **more}


DOORS: dict[str, tuple[Any, Any]] = {
    "no credential": (lambda g: {}, KEY_401),
    "a key": (lambda g: {"key": "key-app"}, 200),
    "another key": (lambda g: {"key": "nobody"}, KEY_401),
    "a key as Bearer": (lambda g: {"token": "key-app"}, 200),
    "a password": (lambda g: {"headers": login("pérson")}, 200),
    "a wrong password": (lambda g: {"headers": login("pérson", "x")}, KEY_401),
    "nobody's password": (lambda g: {"headers": login("other")}, KEY_401),
    "a password as a key": (lambda g: {"headers": [("x-api-key", " pérson:" + PASSWORD)]}, KEY_401),
    "a token": (lambda g: {"token": g.entra.token(**claims())}, 200),
    "a token in the other header": (lambda g: {"key": g.entra.token(**claims())}, 200),
    "the second audience": (lambda g: {"token": g.entra.token(**claims(aud=["x", "ai-too"]))}, 200),
    "another audience": (lambda g: {"token": g.entra.token(**claims(aud="x"))}, KEY_401),
    "an old token": (lambda g: {"token": g.entra.token(**claims(exp=1))}, KEY_401),
    "a token from the future": (lambda g: {"token": g.entra.token(**claims(nbf=9_999_999_999))}, KEY_401),
    "another issuer": (lambda g: {"token": g.entra.token(**claims(iss="https://else.test"))}, KEY_401),
    "signed by the other issuer": (lambda g: {"token": g.other.token(**claims())}, KEY_401),
    "no signature": (lambda g: {"token": g.entra.token(**claims()).rpartition(".")[0] + "."}, KEY_401),
    "alg none": (lambda g: {"token": unsigned(claims())}, KEY_401),
    "an unknown consumer": (lambda g: {"token": g.entra.token(**claims(azp="nobody"))}, KEY_401),
    "no consumer": (lambda g: {"token": g.entra.token(**claims(azp=["app"]))}, KEY_401),
    "an unknown one is accepted": (lambda g: {"token": g.other.token(iss=OTHER, sub="née")}, 200),
    "the first header decides": (lambda g: {"key": "nobody", "token": g.entra.token(**claims())}, KEY_401),
    "a header that comes twice": (lambda g: {"headers": [("x-api-key", "key-app"), ("x-api-key", "key-app")]}, KEY_401),
    "spoofed": (lambda g: {"headers": [(f"x-aigw-{n}", "app") for n in ("consumer", "key", "token")]}, KEY_401),
}


def unsigned(body: dict[str, Any]) -> str:
    head, middle = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({"alg": "none"}, body)
    )
    return f"{head}.{middle}."


@pytest.mark.parametrize("case", DOORS)
def test_doors(edge: Edge, case: str) -> None:
    sent, expected = DOORS[case]
    assert outcome(edge.ask(chat(), **sent(edge))) == expected
    for seen in edge.seen["openai"].seen:
        ours = {k: v for k, v in seen.headers.items() if k.startswith("x-") or k == "authorization"}
        assert ours == {"authorization": "Bearer key-of-openai"}


def test_groups_of_a_token(edge: Edge) -> None:
    for token, expected in (
        (edge.entra.token(**claims(groups=["77aa"])), 200),
        (edge.entra.token(**claims(groups=["experts"])), MODEL_403),
        (edge.entra.token(**claims(groups="4e0c 77aa")), 200),
        (edge.entra.token(**claims()), MODEL_403),
        (edge.other.token(iss=OTHER, sub="x", roles=["experts", 7]), 200),
        (edge.other.token(iss=OTHER, sub="x", groups=["experts"]), MODEL_403),
    ):
        assert outcome(edge.ask(chat("experts-only"), token=token)) == expected


def test_the_log_names_who_called(edge: Edge) -> None:
    edge.ask(chat(), headers=login("pérson"))
    edge.ask(chat(), token=edge.other.token(iss=OTHER, sub="somebody-new"))
    for _ in range(100):
        text = edge.log.read_text()
        if '"consumer":"somebody-new"' in text:
            break
        edge.ask()
    assert '"consumer":"somebody-new"' in text
    assert '"consumer":"person"' in text
    assert not any(secret in text for secret in SECRETS.values())


# --- From where


ADDRESSES: dict[str, tuple[str, str, str | None, Any]] = {
    # model, key, what proxies tell, answer
    "no proxy": ("chat", "key-app", None, 200),
    "denied": ("chat", "key-app", "203.0.113.7", ADDRESS_403),
    "denied before the key": ("chat", "nobody", "203.0.113.7", ADDRESS_403),
    "behind a trusted proxy": ("chat", "key-app", "1.1.1.1, 203.0.113.7, 198.51.100.2", ADDRESS_403),
    "a client cannot choose": ("chat", "key-app", "10.0.0.1, 203.0.113.7", ADDRESS_403),
    "what a client says of before": ("chat", "key-app", "203.0.113.7, 1.1.1.1", 200),
    "a group's": ("chat", "key-bot", "10.2.3.4", 200),
    "a group's, IPv6": ("chat", "key-bot", "2001:db8::5", 200),
    "not a group's": ("chat", "key-bot", "11.2.3.4", ADDRESS_403),
    "a model's": ("here", "key-app", "192.168.1.1", 200),
    "not a model's": ("here", "key-app", "10.1.1.1", ADDRESS_403),
    "deny wins": ("here", "key-app", "192.168.9.9", ADDRESS_403),
    "all must pass": ("here", "key-bot", "192.168.1.1", ADDRESS_403),
}


@pytest.mark.parametrize("case", ADDRESSES)
def test_addresses(edge: Edge, case: str) -> None:
    model, key, address, expected = ADDRESSES[case]
    assert outcome(edge.ask(chat(model), key=key, **({"address": address} if address else {}))) == expected


def test_addresses_of_callers(edge: Edge) -> None:
    member = edge.entra.token(**claims(groups=["4e0c"]))
    assert outcome(edge.ask(chat(), token=member, address="11.2.3.4")) == ADDRESS_403
    assert outcome(edge.ask(chat(), token=member, address="10.2.3.4")) == 200
    assert outcome(edge.ask(chat(), headers=login("pérson"), address="10.1.1.1")) == ADDRESS_403
    listed = request("GET", edge.web + "/v1/models", None, [("x-api-key", "key-bot"), ("x-forwarded-for", "11.2.3.4")])
    assert fault(listed) == ADDRESS_403


def test_limits_by_address_come_first(edge: Edge) -> None:
    answers = [edge.ask(chat(), key="nobody", address="9.9.9.9").status_code for _ in range(402)]
    assert answers[:400] == [401] * 400
    assert 429 in answers[400:]
    assert edge.ask(chat(), key="nobody", address="9.9.9.8").status_code == 401


def test_limits_by_header_and_address(edge: Edge) -> None:
    def ask(address: str, team: str | None) -> int:
        headers = [("x-team", team)] if team is not None else []
        return edge.ask(chat(), key="key-teams", address=address, headers=headers).status_code

    assert [ask("1.1.1.1", "a") for _ in range(3)] == [200, 200, 429]
    assert [ask("1.1.1.2", "a"), ask("1.1.1.1", "b"), ask("1.1.1.1", None)] == [200, 200, 200]
    assert [ask("1.1.1.1", "c" * 300 + end) for end in "xyz"] == [200, 200, 429]
    # The limit that only watches has been over since the second call.
    metrics = request("GET", edge.operations + "/metrics").text
    counted = {
        line.partition("{")[0]: line.rpartition(" ")[2]
        for line in metrics.splitlines()
        if "limit.seen" in line or "limit_seen" in line
    }
    assert any(name.endswith("rate_limited") and int(value) > 0 for name, value in counted.items()), counted


# --- TLS and browsers


def test_tls(edge: Edge) -> None:
    client = edge.folder / "client"
    for url, context in (
        (edge.plain_tls, edge.trusting()),
        (edge.plain_tls, edge.trusting(None, ssl.TLSVersion.TLSv1_2)),
        (edge.secure, edge.trusting(client)),
    ):
        assert outcome(edge.ask(chat(), key="key-app", url=url, context=context)) == 200
    for context in (edge.trusting(), edge.trusting(client, ssl.TLSVersion.TLSv1_2)):
        with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
            edge.ask(chat(), key="key-app", url=edge.secure, context=context)


def _preflight(url: str, origin: str, path: str = "/v1/chat/completions", **more: Any) -> Answer:
    return request("OPTIONS", url + path, None, [("origin", origin), ("access-control-request-method", "POST")], **more)


def test_cors(edge: Edge) -> None:
    answer = _preflight(edge.web, "https://app.test")
    allowed = {k.removeprefix("access-control-"): v for k, v in answer.headers.items() if k.startswith("access-")}
    exposed = allowed.pop("expose-headers")
    assert (answer.status_code, allowed) == (
        200,
        {
            "allow-origin": "https://app.test",
            "allow-credentials": "true",
            "allow-methods": "POST",
            "allow-headers": "content-type, x-api-key",
            "max-age": "3600",
        },
    )
    assert "retry-after" in exposed
    for key, status in (("key-app", 200), ("nobody", 401)):
        answer = edge.ask(chat(), key=key, headers=[("origin", "https://app.test")])
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, "https://app.test")
    assert (
        "access-control-allow-origin"
        not in edge.ask(chat(), key="key-app", headers=[("origin", "https://x.test")]).headers
    )
    assert fault(_preflight(edge.web, "https://evil.test")) == (405, INVALID, "method_not_allowed")
    assert fault(_preflight(edge.web, "https://app.test", "/v1/nothing")) == (404, INVALID, "not_found")
    elsewhere = _preflight(edge.plain_tls, "https://app.test", secure=edge.trusting())
    assert fault(elsewhere) == (405, INVALID, "method_not_allowed")


# --- Providers


def test_azure(edge: Edge) -> None:
    for model, deployment in (("azure", "team%2Fdeployment"), ("azure-any", "azure-any")):
        for door, body in (("chat/completions", chat(model)), ("embeddings", {"model": model, "input": "x"})):
            answer = edge.ask(body, door, key="key-app")
            assert (answer.status_code, answer.json()["model"]) == (200, model)
            seen = edge.seen["azure"].seen[-1]
            assert seen.path == f"/openai/deployments/{deployment}/{door}?api-version=2024-10-21"
            sent = {k: seen.headers[k] for k in ("api-key", "x-team", "x-vault")}
            assert sent == {"api-key": "key-of-azure", "x-team": 'a "team" %41', "x-vault": "header-of-azure"}
            assert "authorization" not in seen.headers


def test_an_identity_of_entra(edge: Edge) -> None:
    """Envoy asks for a token two seconds after its start; until then a call is refused."""
    answers = [edge.ask(chat("entra"), key="key-app")]
    deadline = time.monotonic() + 10
    while answers[-1].status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.1)  # between two looks
        answers.append(edge.ask(chat("entra"), key="key-app"))
    assert {fault(a) for a in answers[:-1]} <= {(502, "api_error", "upstream_auth")}
    assert answers[-1].status_code == 200
    seen = edge.seen["azure"].seen[-1]
    assert seen.headers["authorization"] == "Bearer token-of-entra"
    assert "api-key" not in seen.headers
    (asked, *_) = edge.seen["token"].seen
    assert asked.path == "/T/oauth2/v2.0/token"
    assert b"client_secret=secret-of-entra" in asked.body
    assert b"scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default" in asked.body


def test_tls_of_a_provider(edge: Edge) -> None:
    """Its own authority, another name than its host's, and a certificate of ours; under its own name it is refused."""
    assert outcome(edge.ask(chat("inside"), key="key-app")) == 200
    assert outcome(edge.ask(chat("wrong-name"), key="key-app")) == (502, "api_error", "upstream_error")
    assert len(edge.seen["inside"].seen) == 1
    assert edge.seen["inside"].named == {"llm.internal", "localhost"}


def test_embeddings(edge: Edge) -> None:
    raw = b'{"input": ["a", "b"], "model":"embed", "dimensions": 12345678901234567890}'
    answer = edge.ask(raw, "embeddings", key="key-app")
    assert (answer.status_code, answer.json()["model"], answer.json()["usage"]["total_tokens"]) == (200, "embed", 9)
    (seen,) = edge.seen["openai"].seen
    assert (seen.path, seen.headers["openai-organization"]) == ("/v1/embeddings", "org-1")
    assert seen.body == raw.replace(b'"embed"', b'"text-embedding-3-small"')
    unsupported = (400, INVALID, "model_not_supported")
    for body, door, expected in (
        ({"model": "embed", "input": ["a", "FORBIDDEN"]}, "embeddings", PROMPT_400),
        ({"model": "embed", "input": "forbidden"}, "embeddings", PROMPT_400),
        ({"model": "embed", "input": [[1, 2]]}, "embeddings", 200),
        ({"model": "embed"}, "embeddings", (400, INVALID, "invalid_request")),
        ({"model": "chat", "input": "x"}, "embeddings", unsupported),
        (chat("embed"), "chat/completions", unsupported),
        ({"model": "embed", "input": "x"}, "images", (404, INVALID, "not_found")),
    ):
        assert outcome(edge.ask(body, door, key="key-app")) == expected


def test_parameters(edge: Edge) -> None:
    edge.ask(chat("tuned"), key="key-app")
    edge.ask(chat("tuned", temperature=1, top_p=None, max_tokens=500, n=3, seed=1, user="u"), key="key-app")
    first, second = (s.json for s in edge.seen["openai"].seen)
    always = {"model": "gpt-x", "seed": 12345678901234567, "stop": ["x"]}
    assert {k: v for k, v in first.items() if k != "messages"} == {
        **always,
        "temperature": 0.2,
        "top_p": 0.5,
        "user": "é",
    }
    wanted = {**always, "temperature": 1, "top_p": 0.5, "max_tokens": 100, "n": 2, "user": "u"}
    assert {k: v for k, v in second.items() if k != "messages"} == wanted


def test_what_cannot_be_carried_is_dropped(edge: Edge) -> None:
    odd = {"seed": 1, "logit_bias": {"1": 1}}
    assert fault(edge.ask(chat("claude", **odd), key="key-app")) == (400, INVALID, "unsupported_by_provider")
    assert outcome(edge.ask(chat("dropping", **odd), key="key-app")) == 200
    (seen,) = edge.seen["claude"].seen
    assert not {"seed", "logit_bias"} & set(seen.json)


def test_a_target_is_shown_where_it_may_be(edge: Edge) -> None:
    for model, shown in (("azure-any", "azure/azure-any"), ("claude", "claude/claude-x"), ("chat", None)):
        assert edge.ask(chat(model), key="key-app").headers.get("x-aigw-target") == shown


def test_lifecycle(edge: Edge) -> None:
    old = edge.ask(chat("old"), key="key-app")
    assert (old.status_code, old.headers["deprecation"], old.headers["sunset"]) == (
        200,
        "@1577836800",
        "Tue, 31 Dec 2999 00:00:00 GMT",
    )
    gone = edge.ask(chat("gone"), key="key-app")
    assert fault(gone) == (404, INVALID, "model_retired")
    assert gone.headers["sunset"] == "Wed, 01 Jan 2020 00:00:00 GMT"
    replaced = edge.ask(chat("replaced"), key="key-app")
    assert (replaced.status_code, replaced.json()["model"]) == (200, "replaced")
    assert edge.seen["openai"].seen[-1].json["model"] == "gpt-x"
    listed = request("GET", edge.web + "/v1/models", None, [("x-api-key", "key-app")]).json()["data"]
    names = {m["id"] for m in listed}
    assert "old" in names
    assert not {"gone", "replaced"} & names


def test_a_failing_target_rests(edge: Edge) -> None:
    edge.seen["openai"].plan(always={"status": 500})
    assert {edge.ask(chat("resting"), key="key-app").status_code for _ in range(8)} == {200}
    assert len(edge.seen["openai"].seen) == 2


# --- Anthropic's door


def message(model: str = "claude", **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}], **more}


def said(answer: Answer) -> tuple[int, str]:
    body = answer.json()
    assert body["type"] == "error"
    return answer.status_code, body["error"]["type"]


def test_messages_pass(edge: Edge) -> None:
    sent = [("anthropic-version", "2099-01-01"), ("anthropic-beta", "x"), ("openai-beta", "y")]
    answer = edge.ask(
        message(thinking={"type": "enabled", "budget_tokens": 2**60 + 1}), "messages", key="key-app", headers=sent
    )
    assert (answer.status_code, answer.json()["model"], answer.json()["usage"]["input_tokens"]) == (200, "claude", 12)
    (seen,) = edge.seen["claude"].seen
    assert (seen.path, seen.json["model"], seen.json["thinking"]["budget_tokens"]) == (
        "/v1/messages",
        "claude-x",
        2**60 + 1,
    )
    kept = {k: v for k, v in seen.headers.items() if k.startswith(("anthropic-", "openai-", "x-"))}
    assert kept == {"anthropic-version": "2099-01-01", "anthropic-beta": "x", "x-api-key": "key-of-claude"}


@pytest.mark.parametrize(
    ("system", "wanted"),
    [
        (None, ["Be brief.", "Be kind."]),
        ("", ["Be brief.", "Be kind."]),
        ("S\né", ["Be brief.", "S\né", "Be kind."]),
        ([], ["Be brief.", "Be kind."]),
        ([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}], ["Be brief.", "a", "Be kind."]),
    ],
)
def test_messages_are_decorated(edge: Edge, system: Any, wanted: list[str]) -> None:
    edge.ask(message(**({} if system is None else {"system": system})), "messages", key="key-app")
    (seen,) = edge.seen["claude"].seen
    assert [block["text"] for block in seen.json["system"]] == wanted
    assert [m["content"] for m in seen.json["messages"]] == ["First.", "hi"]


def test_messages_stream(edge: Edge) -> None:
    answer = edge.ask(message(stream=True), "messages", key="key-app")
    kinds = [e["type"] for e in events(answer.text)]
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert events(answer.text)[0]["message"]["model"] == "claude"
    for _ in range(100):
        lines = [json.loads(x) for x in edge.log.read_text().splitlines() if x.startswith("{")]
        line = next((x for x in lines if x["path"] == "/ai/v1/messages" and x["output_tokens"]), None)
        if line:
            break
        edge.ask()
    assert line
    assert (line["model"], line["consumer"], line["output_tokens"]) == ("claude", "app", 7)


def test_tokens_are_counted_for_a_client(edge: Edge) -> None:
    assert edge.ask(message(), "messages/count_tokens", key="key-app").json() == {"input_tokens": 42}
    assert edge.seen["claude"].seen[0].path == "/v1/messages/count_tokens"
    estimate = edge.ask(message("chat"), "messages/count_tokens", key="key-app")
    assert 0 < estimate.json()["input_tokens"] < 100
    assert not edge.seen["openai"].seen


MESSAGES: dict[str, tuple[Any, dict[str, Any], tuple[int, str]]] = {
    "no key": (message(), {}, (401, "authentication_error")),
    "a wrong key": (message(), {"key": "nobody"}, (401, "authentication_error")),
    "a wrong address": (message(), {"key": "key-app", "address": "203.0.113.7"}, (403, "permission_error")),
    "no such model": (message("nope"), {"key": "key-app"}, (404, "not_found_error")),
    "not this model": (message("experts-only"), {"key": "key-app"}, (403, "permission_error")),
    "what another dialect lacks": (message("chat", top_k=3), {"key": "key-app"}, (400, "invalid_request_error")),
    "too large": (message(x="a" * 110_000), {"key": "key-app"}, (413, "request_too_large")),
    "no JSON": (b"{", {"key": "key-app"}, (400, "invalid_request_error")),
    "a tool's result": (
        message(
            messages=[
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "content": [{"type": "text", "text": "Forbidden"}]}],
                }
            ]
        ),
        {"key": "key-app"},
        (400, "invalid_request_error"),
    ),
    "a tool's input": (
        message(
            messages=[
                {"role": "assistant", "content": [{"type": "tool_use", "name": "n", "input": {"q": ["forbidden"]}}]}
            ]
        ),
        {"key": "key-app"},
        (400, "invalid_request_error"),
    ),
    "a system prompt": (message(system="forbidden"), {"key": "key-app"}, (400, "invalid_request_error")),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_messages_are_refused_in_their_shape(edge: Edge, case: str) -> None:
    body, sent, expected = MESSAGES[case]
    assert said(edge.ask(body, "messages", **sent)) == expected
    assert not edge.seen["claude"].seen


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, (400, "mock")), (401, (502, "api_error")), (429, (429, "rate_limit_error")), (500, (502, "api_error"))],
)
def test_messages_fail_in_their_shape(edge: Edge, status: int, expected: tuple[int, str]) -> None:
    edge.seen["claude"].plan({"status": status})
    assert said(edge.ask(message(), "messages", key="key-app")) == expected


def test_anthropics_own_client(edge: Edge) -> None:
    import anthropic

    with anthropic.Anthropic(base_url=edge.web, api_key="key-app", max_retries=0) as client:
        user: Any = [{"role": "user", "content": "hi"}]
        whole: Any = client.messages.create(model="claude", max_tokens=5, messages=user)
        assert (whole.content[0].text, whole.model) == ("Hello from here", "claude")
        with client.messages.stream(model="claude", max_tokens=5, messages=user) as stream:
            assert "".join(stream.text_stream) == "Hello from here"
        assert client.messages.count_tokens(model="claude", messages=user).input_tokens == 42
        edge.seen["claude"].plan({"status": 529}, {"status": 529})
        busy: Any = client.messages.create(model="claude", max_tokens=5, messages=user)
        assert busy.content[0].text == "Busy."
        with client.messages.stream(model="claude", max_tokens=5, messages=user) as stream:
            assert "".join(stream.text_stream) == "Busy."
        with pytest.raises(anthropic.NotFoundError):
            client.messages.create(model="nope", max_tokens=5, messages=user)
        with pytest.raises(anthropic.AuthenticationError):
            client.with_options(api_key="no").messages.create(model="claude", max_tokens=5, messages=user)
