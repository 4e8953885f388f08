"""The rest of what Envoy serves: tokens counted by one worker, traces, nobody asked for a key, https to providers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.proxy.certificates import Authority
from tests.support import DAY, whole_window
from tests.targets import envoy_runner as runner
from tests.targets.envoy_runner import Answer, chat, events, request
from tests.targets.mock_upstream import Provider, providers

LONG = "week"
"""A window that ends at midnight, which no test is begun before."""


PRICE = {"input": 4, "output": 8}
"""The provider's answer, 11 tokens in and 5 out, costs 84 millionths of a dollar."""


def _tokens(name: str, tokens: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "per": LONG, "tokens": tokens, **more}


def spec(ports: list[int], urls: list[str]) -> dict[str, Any]:
    """Consumers with a budget each, so that no test spends another one's."""
    names = ("exact", "large", "failing", "streaming", "many", "refused", "grouped-a", "grouped-b", "default", "slow")
    parts: dict[str, dict[str, Any]] = {
        "inputs": {"tokens": 100, "count": "input"},
        "outputs": {"tokens": 100, "count": "output"},
        "money": {"cost": 0.001},
        "watched": {"tokens": 1, "cost": 0.000001, "onExceeded": "observe"},
    }
    names = (*names, *parts)
    consumers: list[dict[str, Any]] = [
        {"name": n, "credentials": [{"apiKey": {"env": n.upper().replace("-", "_")}}]} for n in names
    ]
    for consumer in consumers:
        if consumer["name"].startswith("grouped"):
            consumer["groups"] = ["shared", "each"]
        elif consumer["name"] in parts:
            consumer["policies"] = {"limits": [{"name": "own", "per": LONG, **parts[consumer["name"]]}]}
        elif consumer["name"] != "slow":
            consumer["policies"] = {"limits": [_tokens("own", 300)]}
    return {
        "apiVersion": "aigw.dev/v1alpha1",
        "kind": "AIGateway",
        "metadata": {"name": "counted"},
        "spec": {
            "listeners": [{"name": "l", "address": "127.0.0.1", "port": ports[0]}],
            "providers": [{"name": "p", "type": "vllm", "baseUrl": urls[0]}],
            "models": [
                {
                    "name": "m",
                    "targets": [{"provider": "p", "model": "x", "pricing": PRICE}],
                    "fallback": {"on": ["timeout"]},
                },
                {
                    "name": "hurried",
                    "targets": [{"provider": "p", "model": "x", "pricing": PRICE}],
                    "timeouts": {"request": "300ms"},
                    "fallback": {"response": {"status": 503, "content": "late"}},
                },
            ],
            "auth": {"apiKey": {"headers": ["x-api-key"]}},
            "consumerGroups": [
                {"name": "shared", "policies": {"limits": [_tokens("pool", 300, by=["group"])]}},
                {"name": "each", "policies": {"limits": [{"name": "rph", "per": "hour", "requests": 2}]}},
            ],
            "consumers": consumers,
            "policies": {
                "promptGuard": {"deny": ["forbidden"]},
                "limits": [
                    {"name": "all", "by": ["group", "model"], "per": "month", "requests": 1000, "tokens": 100000}
                ],
            },
            "observability": {
                "operations": {"port": ports[-1]},
                "tracing": {"otlp": {"endpoint": urls[1].removesuffix("/v1"), "sampling": 1}},
                "accessLog": {"format": "text"},
            },
        },
    }


class Gateway(NamedTuple):
    url: str
    log: Path
    provider: Provider
    collector: Provider

    def ask(self, key: str, body: dict[str, Any]) -> Answer:
        headers = [("x-api-key", f"key-{key}"), ("content-type", "application/json")]
        return request("POST", self.url + "/chat/completions", json.dumps(body).encode(), headers)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("envoy")
    with providers(2) as made:
        ports = runner.free_ports(2)
        body = spec(ports, [p.url for p in made])
        _, documents = runner.build(body, {"tokenLimits": "local"})
        keys = {f"consumers.{c['name']}.0": f"key-{c['name']}" for c in body["spec"]["consumers"]}
        runner.write(folder, documents, keys)
        made[1].always = {"body": "{}"}
        with runner.running(folder, ports[-1] + 1) as log:
            yield Gateway(f"http://127.0.0.1:{ports[0]}/v1", log, *made)


@pytest.fixture
def gateway(served: Gateway) -> Gateway:
    whole_window(DAY, 60)
    served.provider.plan()
    return served


def _code(answer: Answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def _reserved(body: dict[str, Any]) -> int:
    return ceil(len(json.dumps(body)) / 4) + body.get("n", 1) * body["max_tokens"]


LIMITED = (429, "rate_limit_exceeded")


def test_reserved_and_settled_to_the_token(gateway: Gateway) -> None:
    used, body = 0, chat("m", max_tokens=200)
    assert _reserved(body) < 300
    while used + _reserved(body) <= 300:
        assert gateway.ask("exact", body).status_code == 200
        used += 16
    refused = gateway.ask("exact", body)
    assert _code(refused) == LIMITED
    assert 0 < int(refused.headers["retry-after"]) <= 7 * 86400
    edge = chat("m", max_tokens=100)
    edge["max_tokens"] = 300 - used - _reserved(edge) + 100
    assert _reserved(edge) == 300 - used
    assert _code(gateway.ask("exact", {**edge, "max_tokens": edge["max_tokens"] + 1})) == LIMITED
    assert gateway.ask("exact", edge).status_code == 200


def test_larger_than_a_whole_limit(gateway: Gateway) -> None:
    for body in (chat("m", max_tokens=400), chat("m", max_tokens=100, n=3), chat("m")):
        refused = gateway.ask("large", body)
        assert _code(refused) == (429, "request_exceeds_limit")
        assert "retry-after" not in refused.headers
    assert not gateway.provider.seen


def _admitted(gateway: Gateway, key: str, body: dict[str, Any], reserve: float, used: float, most: float) -> None:
    """Calls pass for as long as what was used and what one reserves fit; a whole reservation is settled with each."""
    fitting = int((most - reserve) // used) + 1
    answers = [gateway.ask(key, body) for _ in range(fitting + 1)]
    assert [a.status_code for a in answers[:-1]] == [200] * fitting
    assert _code(answers[-1]) == LIMITED


def test_input_output_and_money_are_counted_apart(gateway: Gateway) -> None:
    body = chat("m", max_tokens=60)
    asked = ceil(len(json.dumps(body)) / 4)
    _admitted(gateway, "inputs", body, asked, 11, 100)
    _admitted(gateway, "outputs", body, 60, 5, 100)
    _admitted(gateway, "money", body, (asked * 4 + 60 * 8) / 1e6, 84 / 1e6, 0.001)
    assert _code(gateway.ask("money", chat("m", max_tokens=200))) == (429, "request_exceeds_limit")


def test_what_is_watched_is_not_refused(gateway: Gateway) -> None:
    assert [gateway.ask("watched", chat("m", max_tokens=60)).status_code for _ in range(3)] == [200] * 3
    for _ in range(100):
        text = gateway.log.read_text()
        if "exceeded=own,own" in text:
            break
        gateway.ask("watched", {})
    assert "exceeded=own,own" in text


def test_failed_calls_are_refunded(gateway: Gateway) -> None:
    gateway.provider.plan(always={"status": 500})
    for _ in range(5):
        assert gateway.ask("failing", chat("m", max_tokens=200)).status_code == 502


def test_streams_are_settled(gateway: Gateway) -> None:
    for _ in range(5):
        answer = gateway.ask("streaming", chat("m", max_tokens=200, stream=True))
        assert events(answer.text)[-1] == "[DONE]"
        assert '"usage"' not in answer.text


def test_a_refusal_reserves_nothing(gateway: Gateway) -> None:
    for _ in range(5):
        assert _code(gateway.ask("refused", chat("m", "forbidden", max_tokens=200))) == (400, "prompt_rejected")
    assert gateway.ask("refused", chat("m", max_tokens=200)).status_code == 200


def test_a_group_shares_tokens_and_each_member_has_requests(gateway: Gateway) -> None:
    body = chat("m", max_tokens=220)
    assert [gateway.ask("grouped-a", body).status_code for _ in range(3)] == [200, 200, 429]
    assert gateway.ask("grouped-b", body).status_code == 200
    assert _code(gateway.ask("grouped-b", {**body, "max_tokens": 240})) == LIMITED


def test_the_time_for_everything(gateway: Gateway) -> None:
    gateway.provider.plan(always={"delay": 1})
    answer = gateway.ask("slow", chat("hurried"))
    assert (answer.status_code, answer.headers["x-aigw-fallback"]) == (503, "static")
    assert answer.json()["choices"][0]["message"]["content"] == "late"


def test_traces_name_model_and_tokens(gateway: Gateway) -> None:
    gateway.ask("default", chat("m", max_tokens=1))
    for _ in range(200):
        spans = b"".join(s.body for s in gateway.collector.seen)
        if b"gen_ai.usage.input_tokens" in spans:
            break
        gateway.ask("default", chat("nope"))
    assert {s.path for s in gateway.collector.seen} == {"/v1/traces"}
    for word in (b"gen_ai.request.model", b"gen_ai.usage.input_tokens", b"counted"):
        assert word in spans
    assert b"key-default" not in spans
    assert "traceparent" in gateway.provider.seen[0].headers


def test_nobody_is_asked_for_a_key(tmp_path: Path) -> None:
    with providers(1) as (provider,):
        ports = runner.free_ports(2)
        limits = [{"name": "all", "by": ["consumer"], "per": "hour", "requests": 3}]
        body = {
            "listeners": [{"name": "l", "address": "127.0.0.1", "port": ports[0]}],
            "providers": [{"name": "p", "type": "vllm", "baseUrl": provider.url}],
            "models": [
                {"name": "m", "targets": [{"provider": "p", "model": "x"}]},
                {
                    "name": "closed",
                    "targets": [{"provider": "p", "model": "x"}],
                    "access": {"allow": {"groups": ["g"]}},
                },
            ],
            "auth": {"anonymous": True},
            "policies": {"limits": limits},
            "observability": {"operations": {"port": ports[1]}},
        }
        head = {"apiVersion": "aigw.dev/v1alpha1", "kind": "AIGateway", "metadata": {"name": "open"}}
        runner.write(tmp_path, runner.build({**head, "spec": body})[1])
        url = f"http://127.0.0.1:{ports[0]}/v1"
        json_type = ("content-type", "application/json")
        with runner.running(tmp_path, ports[1] + 1):
            sent = [
                ("authorization", "Bearer a-client's"),
                ("x-api-key", "too"),
                ("x-aigw-consumer", "spoofed"),
                json_type,
            ]
            raw = json.dumps(chat("m")).encode()
            answers = [request("POST", url + "/chat/completions", raw, sent).status_code for _ in range(4)]
            assert answers == [200, 200, 200, 429]
            assert not {"authorization", "x-api-key", "x-aigw-consumer"} & set(provider.seen[0].headers)
            closed = request("POST", url + "/chat/completions", json.dumps(chat("closed")).encode(), [json_type])
            assert _code(closed) == (403, "model_not_allowed")
            assert [m["id"] for m in request("GET", url + "/models").json()["data"]] == ["m"]


def test_without_keys_nobody_passes(tmp_path: Path) -> None:
    """An Envoy that never got its client keys, or a provider's, refuses: it does not go without."""
    with providers(2) as made:
        ports = runner.free_ports(2)
        body = spec(ports, [p.url for p in made])
        body["spec"]["providers"][0]["auth"] = {"apiKey": {"env": "P"}}
        runner.write(tmp_path, runner.build(body, {"tokenLimits": "local"})[1], {"consumers.exact.0": "key-exact"})
        keys, key = (tmp_path / "secrets" / name for name in ("client-keys.yaml", "p.yaml"))
        good = keys.read_text()
        key.write_text("resources: []\n")
        keys.write_text("resources: []\n")
        gateway = Gateway(f"http://127.0.0.1:{ports[0]}/v1", tmp_path / "envoy.log", *made)
        with runner.running(tmp_path, ports[-1] + 1):
            assert _code(gateway.ask("exact", chat("m", max_tokens=1))) == (500, "internal")
        keys.write_text(good)
        with runner.running(tmp_path, ports[-1] + 1):
            assert _code(gateway.ask("exact", chat("m", max_tokens=1))) == (502, "upstream_auth")
        assert not made[0].seen


def test_https_checks_the_provider(tmp_path: Path) -> None:
    """SNI and the name in the certificate: `localhost` is in it, 127.0.0.1 is not."""
    authority = Authority("those of the system")
    pair = authority.pair("localhost")
    for name, text in (("cert.pem", pair.certificate), ("key.pem", pair.key), ("ca.pem", authority.pem)):
        (tmp_path / name).write_text(text)
    with providers(1, tmp_path) as (provider,):
        ports = runner.free_ports(2)
        named = provider.url.replace("127.0.0.1", "localhost")
        body = {
            "listeners": [{"name": "l", "address": "127.0.0.1", "port": ports[0]}],
            "providers": [
                {"name": "named", "type": "openai-compatible", "baseUrl": named, "auth": {"apiKey": {"env": "K"}}},
                {"name": "other", "type": "openai-compatible", "baseUrl": provider.url},
            ],
            "models": [
                {"name": "good", "targets": [{"provider": "named", "model": "x"}]},
                {"name": "bad", "targets": [{"provider": "other", "model": "x"}]},
            ],
            "auth": {"anonymous": True},
            "observability": {"operations": {"port": ports[1]}},
        }
        head = {"apiVersion": "aigw.dev/v1alpha1", "kind": "AIGateway", "metadata": {"name": "secure"}}
        runner.write(tmp_path, runner.build({**head, "spec": body})[1], {"providers.named": "sk-x"})
        config = tmp_path / "envoy.yaml"
        config.write_text(config.read_text().replace("/etc/ssl/certs/ca-certificates.crt", "ca.pem"))
        url, kind = f"http://127.0.0.1:{ports[0]}/v1/chat/completions", [("content-type", "application/json")]
        with runner.running(tmp_path, ports[1] + 1):
            assert request("POST", url, json.dumps(chat("good")).encode(), kind).status_code == 200
            assert provider.seen[0].headers["authorization"] == "Bearer sk-x"
            refused = request("POST", url, json.dumps(chat("bad")).encode(), kind)
            assert _code(refused) == (502, "upstream_error")
            assert len(provider.seen) == 1
