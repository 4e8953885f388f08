"""Limits that a rate limit service counts: traffic through a real Envoy with two workers, before a stand-in for the service."""

from __future__ import annotations

import copy
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aigw_compile import live
from aigw_compile.diff import diff
from aigw_compile.diff.types import Side
from aigw_compile.document import Document, text_of
from aigw_compile.target import facts
from aigw_compile.verify import verify, verify_native
from aigw_compile.write import previous
from aigw_compile.write import write as put
from tests.proxy.harness import until
from tests.targets import envoy_runner as runner
from tests.targets.envoy_runner import Answer, chat, events, request
from tests.targets.mock_upstream import Provider, providers
from tests.targets.rate_limit_service import Service, serving

PRICE = {"input": 4, "output": 8}
"""The provider's answer, 11 tokens in and 5 out, costs 84 millionths of a dollar."""
LONG = "month"
"""A window that hardly ever ends while a test runs."""
TOKENS: dict[str, Any] = {"name": "t", "per": LONG, "tokens": 300}
OWN: dict[str, list[dict[str, Any]]] = {
    "exact": [TOKENS],
    "over": [TOKENS],
    "failing": [TOKENS],
    "streaming": [TOKENS],
    "leaving": [TOKENS, {"name": "money", "per": LONG, "cost": 1}],
    "hasty": [TOKENS],
    "growing": [TOKENS],
    "told-nothing": [TOKENS],
    "guarded": [TOKENS],
    "in": [{"name": "t", "per": LONG, "tokens": 100, "count": "input"}],
    "out": [{"name": "t", "per": LONG, "tokens": 100, "count": "output"}],
    "money": [{"name": "m", "per": LONG, "cost": 0.001}],
    "poor": [TOKENS, {"name": "m", "per": LONG, "cost": 0.0006}],
    "watched": [{"name": "w", "per": LONG, "requests": 1, "tokens": 1, "onExceeded": "observe"}],
    "many": [{"name": "r", "per": LONG, "requests": 6}],
    "twice": [{"name": "day", "per": "day", "requests": 2}, {"name": "month", "per": LONG, "requests": 100}],
    "brief": [{"name": "t", "per": "second", "tokens": 300}],
    "red": [{"name": "h", "by": ["header:x-team", "model"], "per": LONG, "requests": 1}],
    "member": [],
    "strict": [{"name": "r", "per": LONG, "requests": 100}, TOKENS],
    "free": [],
}


def spec(ports: list[int], url: str) -> dict[str, Any]:
    """A consumer with limits of its own for each test, so that no test spends another one's."""
    consumers: list[dict[str, Any]] = []
    for name, limits in OWN.items():
        consumers.append({"name": name, "credentials": [{"apiKey": {"env": name.upper().replace("-", "_")}}]})
        if limits:
            consumers[-1]["policies"] = {"limits": limits}
    by_name = {c["name"]: c for c in consumers}
    by_name["member"]["groups"] = ["pool", "each"]
    by_name["strict"]["policies"]["limitStore"] = "closed"
    target = {"provider": "p", "model": "x", "pricing": PRICE}
    return {
        "apiVersion": "aigw.dev/v1alpha1",
        "kind": "AIGateway",
        "metadata": {"name": "counted"},
        "spec": {
            "listeners": [
                {"name": "l", "address": "127.0.0.1", "port": ports[0], "trustedProxies": ["127.0.0.0/8"]},
                {"name": "other", "address": "127.0.0.1", "port": ports[1]},
            ],
            "stores": [
                {"name": f, "type": "redis", "redis": {"address": "redis.test:6379"}, "onFailure": f}
                for f in ("open", "closed")
            ],
            "providers": [{"name": "p", "type": "vllm", "baseUrl": url}],
            "models": [
                {"name": "m", "targets": [target], "retries": {"attempts": 0}},
                {"name": "n_1", "targets": [target, {**target, "name": "second", "priority": 1}]},
            ],
            "auth": {"apiKey": {"headers": ["x-api-key"]}},
            "consumerGroups": [
                {"name": "pool", "policies": {"limits": [{"name": "g", "by": ["group"], "per": LONG, "tokens": 300}]}},
                {"name": "each", "policies": {"limits": [{"name": "rph", "per": "hour", "requests": 100}]}},
            ],
            "consumers": consumers,
            "policies": {
                "promptGuard": {"deny": ["forbidden"]},
                "limitStore": "open",
                "limits": [
                    {"name": "short", "by": ["ip"], "per": "day", "requests": 2000},
                    {"name": "long", "by": ["ip"], "per": LONG, "requests": 100000},
                    {"name": "all", "by": ["group", "model"], "per": LONG, "requests": 100000},
                ],
            },
            "observability": {"operations": {"port": ports[-1]}},
        },
    }


class Gateway(NamedTuple):
    urls: tuple[str, str]
    provider: Provider
    service: Service
    folder: Path
    spec: dict[str, Any]
    options: dict[str, str]
    documents: tuple[Document, ...]
    admin: int

    def ask(self, key: str, body: dict[str, Any], *more: tuple[str, str], listener: int = 0) -> Answer:
        headers = [("x-api-key", f"key-{key}"), ("content-type", "application/json"), *more]
        return request("POST", self.urls[listener] + "/chat/completions", json.dumps(body).encode(), headers)

    def settled(self, limit: str, **used: int) -> None:
        """Wait until the counters of a limit are so: a client does not wait for what its call is settled with."""
        self.service.until(lambda: self.service.used(limit) == {f"{k.replace('_', '-')}/": n for k, n in used.items()})


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("envoy")
    with providers(1) as (provider,):
        ports = runner.free_ports(4)
        body = spec([*ports[:2], ports[-1]], provider.url)
        options = {"tokenLimits": "rls", "rateLimitService": f"http://127.0.0.1:{ports[2]}", "layout": "files"}
        documents = runner.build(body, options)[1]
        runner.write(folder, documents, {f"consumers.{name}.0": f"key-{name}" for name in OWN})
        file, workers = folder / "ratelimit" / "config.yaml", ("--concurrency", "2")
        with serving(file, ports[2]) as service, runner.running(folder, ports[-1] + 1, *workers):
            urls = [f"http://127.0.0.1:{port}/v1" for port in ports[:2]]
            yield Gateway((urls[0], urls[1]), provider, service, folder, body, options, documents, ports[-1] + 1)


@pytest.fixture
def gateway(served: Gateway) -> Gateway:
    served.provider.plan()
    return served


def _code(answer: Answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def _bytes(body: dict[str, Any]) -> int:
    return ceil(len(json.dumps(body)) / 4)


def _reserved(body: dict[str, Any]) -> int:
    return _bytes(body) + int(body["max_tokens"])


LIMITED = (429, "rate_limit_exceeded")
TOO_LARGE = (429, "request_exceeds_limit")


def test_reserved_and_settled_to_the_token(gateway: Gateway) -> None:
    key, used, body = "consumer.exact.t.total", 0, chat("m", max_tokens=200)
    while used + _reserved(body) <= 300:
        answer = gateway.ask("exact", body)
        assert answer.status_code == 200
        assert answer.headers["x-ratelimit-limit-tokens"] == "300"
        assert answer.headers["x-ratelimit-remaining-tokens"] == str(300 - used - _reserved(body))
        used += 16
        gateway.settled(key, exact=used)
    refused = gateway.ask("exact", body)
    assert _code(refused) == LIMITED
    assert 0 < int(refused.headers["retry-after"]) <= 30 * 86400
    gateway.settled(key, exact=used)
    edge = chat("m", max_tokens=100)
    edge["max_tokens"] = 300 - used - _reserved(edge) + 100
    assert _code(gateway.ask("exact", {**edge, "max_tokens": edge["max_tokens"] + 1})) == LIMITED
    gateway.settled(key, exact=used)
    assert gateway.ask("exact", edge, listener=1).status_code == 200
    gateway.settled(key, exact=used + 16)
    for large in (chat("m", max_tokens=400), chat("m", max_tokens=100, n=3), chat("m")):
        answer = gateway.ask("exact", large)
        assert _code(answer) == TOO_LARGE
        assert "retry-after" not in answer.headers
    gateway.settled(key, exact=used + 16)


def test_what_a_call_uses_above_its_reservation_is_charged(gateway: Gateway) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 300, "completion_tokens": 5, "total_tokens": 305}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "x", "choices": [choice], "usage": usage}
    gateway.provider.plan({"body": json.dumps(whole)})
    assert gateway.ask("over", chat("m", max_tokens=5)).status_code == 200
    gateway.settled("consumer.over.t.total", over=305)
    assert _code(gateway.ask("over", chat("m", max_tokens=1))) == LIMITED


def test_failed_calls_are_refunded(gateway: Gateway) -> None:
    gateway.provider.plan(always={"status": 500})
    for _ in range(3):
        assert gateway.ask("failing", chat("m", max_tokens=200)).status_code == 502
        gateway.settled("consumer.failing.t.total", failing=0)


def test_streams_are_settled(gateway: Gateway) -> None:
    for n in range(1, 4):
        answer = gateway.ask("streaming", chat("m", max_tokens=200, stream=True))
        assert events(answer.text)[-1] == "[DONE]"
        gateway.settled("consumer.streaming.t.total", streaming=16 * n)


def test_a_guard_refuses_before_anything_is_reserved(gateway: Gateway) -> None:
    assert _code(gateway.ask("guarded", chat("m", "forbidden", max_tokens=200))) == (400, "prompt_rejected")
    assert gateway.ask("guarded", chat("m", max_tokens=200)).status_code == 200
    gateway.settled("consumer.guarded.t.total", guarded=16)


def _leave(gateway: Gateway, key: str, body: dict[str, Any], after: bytes) -> None:
    """Send a request and go as soon as something has come; b"" for at once, when the provider has it."""
    raw, before = json.dumps(body).encode(), len(gateway.provider.seen)
    host, port = gateway.urls[0].split("/")[2].split(":")
    lines = ["POST /v1/chat/completions HTTP/1.1", "host: g", f"x-api-key: key-{key}", "content-type: application/json"]
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall("\r\n".join([*lines, f"content-length: {len(raw)}", "", ""]).encode() + raw)
        got = b""
        while after and after not in got:
            got += wire.recv(65536)
        until(lambda: len(gateway.provider.seen) > before)


def test_a_client_that_leaves_pays_what_was_sent_and_said(gateway: Gateway) -> None:
    gateway.provider.plan({"hold": (2, 1)}, {"delay": 1})
    body = chat("m", max_tokens=200, stream=True)
    _leave(gateway, "leaving", body, b" from")
    sent = _bytes(body)  # and "Hello from"
    gateway.settled("consumer.leaving.t.total", leaving=sent + 3)
    gateway.settled("consumer.leaving.money.cost", leaving=sent * 4000 + 3 * 8000)
    body = chat("m", max_tokens=200)
    _leave(gateway, "hasty", body, b"")
    gateway.settled("consumer.hasty.t.total", hasty=_bytes(body))


def test_without_figures_of_the_provider(gateway: Gateway) -> None:
    """Of a whole answer what was reserved is charged, of a stream what was sent and said."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "x", "choices": [choice]}
    events = [{**whole, "choices": [{"index": 0, "delta": {"content": "four by four"}}]}]
    parts = [*(f"data: {json.dumps(event)}\n\n" for event in events), "data: [DONE]\n\n"]
    gateway.provider.plan({"body": json.dumps(whole)}, {"parts": parts})
    body = chat("m", max_tokens=100)
    assert gateway.ask("told-nothing", body).status_code == 200
    gateway.settled("consumer.told-nothing.t.total", told_nothing=_reserved(body))
    stream = {**body, "stream": True}
    assert gateway.ask("told-nothing", stream).status_code == 200
    gateway.settled("consumer.told-nothing.t.total", told_nothing=_reserved(body) + _bytes(stream) + 3)


def test_input_output_and_money_are_counted_apart(gateway: Gateway) -> None:
    body = chat("m", max_tokens=60)
    for name, limit, used in (("in", "t.input", 11), ("out", "t.output", 5), ("money", "m.cost", 84_000)):
        assert gateway.ask(name, body).status_code == 200
        gateway.settled(f"consumer.{name}.{limit}", **{name: used})
    assert _code(gateway.ask("money", chat("m", max_tokens=200))) == TOO_LARGE
    # 0.000084 of 0.001 are used: 114 tokens of output and what is sent are just too much.
    most = (1000 - 84 - 4 * _bytes(chat("m", max_tokens=100))) // 8
    assert _code(gateway.ask("money", chat("m", max_tokens=most + 1))) == LIMITED
    gateway.settled("consumer.money.m.cost", money=84_000)
    answer = gateway.ask("money", chat("m", max_tokens=most))
    assert answer.status_code == 200
    assert not [k for k in answer.headers if k.startswith("x-ratelimit") and k.endswith("-tokens")]


def test_what_one_limit_refuses_is_given_back_to_the_others(gateway: Gateway) -> None:
    body = chat("m", max_tokens=60)
    assert gateway.ask("poor", body).status_code == 200
    gateway.settled("consumer.poor.m.cost", poor=84_000)
    assert _code(gateway.ask("poor", body)) == LIMITED
    gateway.settled("consumer.poor.m.cost", poor=84_000)
    gateway.settled("consumer.poor.t.total", poor=16)
    answers = [gateway.ask("twice", chat("n_1", max_tokens=1)) for _ in range(5)]
    assert [a.status_code for a in answers] == [200, 200, 429, 429, 429]
    assert [a.headers["x-ratelimit-remaining-requests"] for a in answers] == ["1", "0", "0", "0", "0"]
    assert {a.headers["x-ratelimit-limit-requests"] for a in answers} == {"2"}
    assert 0 < int(answers[-1].headers["retry-after"]) <= 86400
    gateway.settled("consumer.twice.day.requests", twice=2)
    gateway.settled("consumer.twice.month.requests", twice=2)


def test_what_is_watched_is_not_refused(gateway: Gateway) -> None:
    assert [gateway.ask("watched", chat("m", max_tokens=60)).status_code for _ in range(3)] == [200] * 3
    gateway.settled("consumer.watched.w.total", watched=48)


def test_two_workers_and_two_listeners_count_together(gateway: Gateway) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = pool.map(lambda n: gateway.ask("many", chat("m", max_tokens=1), listener=n % 2), range(24))
        assert sorted(a.status_code for a in asked) == [200] * 6 + [429] * 18
    gateway.settled("consumer.many.r.requests", many=6)


def test_what_has_a_counter_of_its_own(gateway: Gateway) -> None:
    for team, status in (("a", 200), ("a", 429), ("b_2", 200), (None, 200)):
        more = [("x-team", team)] if team else []
        assert gateway.ask("red", chat("n_1", max_tokens=1), *more).status_code == status
    gateway.service.until(lambda: [*gateway.service.used("consumer.red.h.requests").values()] == [1, 1, 1])
    assert {*gateway.service.used("consumer.red.h.requests")} == {"a/n_1/", "b_2/n_1/", "/n_1/"}
    assert gateway.ask("member", chat("m", max_tokens=200)).status_code == 200
    gateway.settled("group.pool.g.total", pool=16)
    gateway.settled("group.each.rph.requests", member=1)
    assert {"pool/m/", "each/m/"} <= {*gateway.service.used("gateway.all.requests")}
    at = gateway.ask("free", chat("m"), ("x-forwarded-for", "192.0.2.7"))
    assert at.status_code == 200
    assert gateway.service.used("gateway.long.requests_address_remote_address")["192.0.2.7"] == 1


def test_an_address_is_refused_before_anybody_is_asked(gateway: Gateway) -> None:
    file = gateway.folder / "ratelimit" / "config.yaml"
    before = file.read_text()
    try:  # the service reads its file again while it runs
        file.write_text(before.replace("requests_per_unit: 2000", "requests_per_unit: 1"))
        gateway.service.load(file)
        here = ("x-forwarded-for", "192.0.2.99")
        assert gateway.ask("nobody", chat("m"), here).status_code == 401
        for _ in range(2):
            refused = gateway.ask("nobody", chat("m"), here)
            assert _code(refused) == LIMITED
            assert 0 < int(refused.headers["retry-after"]) <= 86400
        used = gateway.service.used
        gateway.service.until(lambda: used("gateway.long.requests_address_remote_address")["192.0.2.99"] == 1)
        gateway.service.until(lambda: used("gateway.short.requests_address_remote_address")["192.0.2.99"] == 1)
    finally:
        file.write_text(before)
        gateway.service.load(file)
    assert gateway.ask("nobody", chat("m"), here).status_code == 401


def test_what_was_held_in_a_window_that_is_over_stays_there(gateway: Gateway) -> None:
    gateway.provider.plan({"delay": 1.1})
    body = chat("m", max_tokens=200)
    assert gateway.ask("brief", body).status_code == 200
    assert gateway.ask("brief", {**body, "max_tokens": 1}).status_code == 200
    asked = [
        (d.hits, d.negative)
        for r in gateway.service.seen
        for d in r.descriptors
        if d.key == "consumer.brief.t.total" and not d.negative
    ]
    assert asked[0] == (_reserved(body), False)
    refunds = [d.hits for r in gateway.service.seen for d in r.descriptors if d.value == "brief/" and d.negative]
    assert _reserved(body) - 16 not in refunds


def test_while_the_service_is_down(gateway: Gateway) -> None:
    gateway.service.down = True
    try:
        assert gateway.ask("free", chat("m")).status_code == 200
        refused = gateway.ask("strict", chat("m", max_tokens=10))
        assert _code(refused) == (503, "store_unavailable")
        assert refused.headers["retry-after"] == "1"
    finally:
        gateway.service.down = False
    assert gateway.ask("strict", chat("m", max_tokens=10)).status_code == 200
    gateway.settled("consumer.strict.t.total", strict=16)


def test_a_larger_limit_while_everything_runs(gateway: Gateway) -> None:
    """A build writes both: the files that Envoy reads again, and the one that the service does."""
    body = copy.deepcopy(gateway.spec)
    large = chat("m", max_tokens=350)
    assert _code(gateway.ask("growing", large)) == TOO_LARGE
    own = next(c for c in body["spec"]["consumers"] if c["name"] == "growing")
    own["policies"]["limits"][0]["tokens"] = 400
    documents = runner.build(body, gateway.options)[1]
    put({gateway.folder: documents})
    gateway.service.load(gateway.folder / "ratelimit" / "config.yaml")
    until(lambda: gateway.ask("growing", large).status_code == 200)
    gateway.settled("consumer.growing.t.total", growing=16)
    put({gateway.folder: gateway.documents})
    gateway.service.load(gateway.folder / "ratelimit" / "config.yaml")
    until(lambda: gateway.ask("growing", large).status_code == 429)
    assert (
        "hits_addend" not in (gateway.folder / "envoy.log").read_text()
    )  # what Envoy says of a limit that it leaves out


def test_what_runs_is_what_was_built(gateway: Gateway) -> None:
    there = live.running(f"envoy:http://127.0.0.1:{gateway.admin}", {})
    spec = live.documents("envoy", "counted", {d.filename: d.body for d in gateway.documents})
    drift = live.compare(there, spec, "counted", facts("envoy", "", {"tokenLimits": "rls"}))
    assert [change.sentence for change in drift.diff.changes] == []
    assert not [*verify("envoy", gateway.documents), *verify_native("envoy", gateway.documents)]


def test_its_folder_comes_and_goes_with_the_option(tmp_path: Path) -> None:
    body, folder, file = (
        spec([1000, 1001, 1002], "http://provider.test/v1"),
        tmp_path / "envoy",
        "ratelimit/config.yaml",
    )
    shared, own = (runner.build(body, {"tokenLimits": option})[1] for option in ("rls", "local"))
    put({folder: shared})
    (folder / "secrets").mkdir()
    (folder / "secrets" / "p.yaml").write_text("kept: true\n")
    assert previous(folder) == {d.filename: text_of(d) for d in shared}
    assert file in previous(folder)
    put({folder: own})
    assert previous(folder) == {d.filename: text_of(d) for d in own}
    assert not (folder / file).exists()
    assert (folder / "secrets" / "p.yaml").exists()


def test_names_of_limits_have_no_other_meaning_for_the_service() -> None:
    """It parts its keys by `_`, and takes `*` for a pattern; names of models may hold anything."""
    body = spec([1000, 1001, 1002], "http://provider.test/v1")
    body["spec"]["models"][1] |= {
        "name": "a_b*/ä.c",
        "policies": {"limits": [{"name": "t", "per": "day", "cost": 50000}]},
    }
    documents = {d.filename: d.body for d in runner.build(body, {"tokenLimits": "rls"})[1]}
    file: Any = documents["ratelimit/config.yaml"]
    limits = {one["key"]: one for one in file["descriptors"]}
    assert len(limits) == len(file["descriptors"])
    assert not [key for key in limits if set(key) & set("_*")]
    assert limits["model.a%5Fb%2A%2F%C3%A4%2Ec.t.cost"]["rate_limit"] == {
        "unit": "day",
        "requests_per_unit": 500_000_000,  # of 0.0001 USD
        "name": "cost 7",
    }
    assert file["domain"] == "counted"


@pytest.mark.parametrize("url", ["https://limits.test", "http://limits.test:8081"])
def test_the_service_may_be_elsewhere(url: str) -> None:
    body = spec([1000, 1001, 1002], "http://provider.test/v1")
    documents = runner.build(body, {"tokenLimits": "rls", "rateLimitService": url})[1]
    assert not [*verify("envoy", documents), *verify_native("envoy", documents)]
    bootstrap: Any = documents[0].body
    clusters = bootstrap["static_resources"]["clusters"]
    one = next(c for c in clusters if c["name"] == "limits")
    assert ("transport_socket" in one) is url.startswith("https")
    clusters.remove(one)  # Envoy itself does not look for it
    assert [
        d.message for d in verify("envoy", documents) if 'calls the cluster "limits", which is not there' in d.message
    ]


def test_a_change_of_a_limit_is_told_of_its_file() -> None:
    """With the change of the spec that it came from."""
    options = {"tokenLimits": "rls"}
    specs = [_only(tokens) for tokens in (300, 400)]
    outputs = [{"envoy": {d.filename: d.body for d in runner.build(one, options)[1]}} for one in specs]
    old, new = (Side(one, out, "counted") for one, out in zip(specs, outputs, strict=True))
    found = diff(old, new, {"envoy": facts("envoy", "", options)})
    key = "ratelimit/config.yaml: descriptors[consumer.free.t.total].rate_limit.requests_per_unit"
    told = {change.place: change.causes for change in found.targets["envoy"]}
    assert [found.changes[n].sentence for n in told[key]] == [change.sentence for change in found.changes]
    assert len(told) == 3  # and what the scripts of both listeners know


def _only(tokens: int) -> dict[str, Any]:
    body = spec([1000, 1001, 1002], "http://provider.test/v1")
    own = next(c for c in body["spec"]["consumers"] if c["name"] == "free")
    own["policies"] = {"limits": [{**TOKENS, "tokens": tokens}]}
    return body
