"""Kong hands its calls to the reference proxy: both are built together, agree on a credential, and answer as the spec says."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import pytest
import yaml

from aigw_compile import compiler, secretfiles
from aigw_compile.document import text_of
from aigw_compile.kongblocks import behind
from aigw_compile.plan import handed
from aigw_compile.project import TargetChoice
from aigw_compile.proxy.doors import DOORS
from aigw_compile.proxy.front import Front
from aigw_compile.proxy.held import MOCK_FRONT, StartError, fetched
from aigw_compile.proxy.secrets import Secret
from aigw_compile.target import Support, facts, manifest
from tests import support
from tests.proxy.harness import Answer, Proxy
from tests.silence import silent
from tests.targets.kong_edge import Edge
from tests.targets.kong_specs import EXAMPLES, HEAD, OPENAI
from tests.targets.kong_specs import SPECS as SHARED
from tests.targets.test_kong import _published, _strict

DELEGATE = {"delegate": "proxy"}
OSS = TargetChoice("kong", "oss-3.9", DELEGATE)
NEWEST = TargetChoice("kong", "enterprise-3.15", DELEGATE)
ALONE = TargetChoice("proxy", "", {})


TEMPLATE = (
    HEAD
    + """  listeners: [{name: l, address: 127.0.0.1, port: 8080, basePath: /ai, maxBodySize: 4Ki}]
  providers:
    - {name: openai, type: openai, auth: {apiKey: {env: OPENAI_API_KEY}}}
    - {name: claude, type: anthropic, auth: {apiKey: {env: ANTHROPIC_API_KEY}}}
  models:
    - name: chat
      aliases: [gpt-4o]
      targets:
        - {name: main, provider: openai, model: gpt-real}
        - {name: backup, provider: claude, model: claude-real, priority: 1}
      policies: {promptDecorator: {prepend: [{role: system, content: Be kind.}]}}
    - {name: claude, targets: [{provider: claude, model: claude-real}]}
    - name: inside
      targets: [{provider: openai, model: gpt-real}]
      access: {allow: {groups: [staff]}}
      policies: {ipRestriction: {allow: [10.0.0.0/8]}}
    - {name: embed, capabilities: [embeddings], targets: [{provider: openai, model: text-embedding}]}
  auth: AUTH
  consumerGroups: [{name: staff, policies: {limits: [{name: few, by: [consumer], per: month, requests: 2, tokens: 100000}]}}]
  consumers:
    - {name: app, credentials: [{apiKey: {env: APP_KEY}}, {basic: {username: app, password: {env: APP_PASSWORD}}}]}
    - {name: person, groups: [staff], credentials: [{apiKey: {env: PERSON_KEY}}]}
    - {name: poor, credentials: [{apiKey: {env: POOR_KEY}}], policies: {limits: [{name: tokens, per: month, tokens: 60}]}}
    - {name: slow, credentials: [{apiKey: {env: SLOW_KEY}}], policies: {limits: [{name: calls, per: month, requests: 2}]}}
  policies:
    promptGuard: {deny: ['(?i)secret']}
    ipRestriction: {deny: [10.6.6.6]}
  observability: {accessLog: {payloads: true}}
"""
)
KEYS = "{apiKey: {headers: [authorization, x-api-key]}}"
AUTHS = {
    "keys": KEYS,
    "passwords": "{basic: {}}",
    "two doors": "{apiKey: {headers: [x-api-key, authorization]}, basic: {}}",
    "tokens": "{jwt: [{name: idp, issuer: https://idp.test/, jwksUri: https://idp.test/keys, audiences: [ai], consumerClaim: azp}]}",
    "nobody is asked": "{anonymous: true}",
}
"""What stands in the place of AUTH."""
DESK = TEMPLATE.replace("AUTH", KEYS)


SPECS = {**SHARED, **{kind: TEMPLATE.replace("AUTH", auth) for kind, auth in AUTHS.items() if "anonymous" not in auth}}


def built(text: str, choice: TargetChoice = OSS) -> compiler.Build:
    build = support.build_all_accepted(compiler.check_text(text), choice)
    assert build.documents, build.diagnostics
    return build


def outputs(text: str, choice: TargetChoice = OSS) -> dict[str, Any]:
    return {d.filename: yaml.safe_load(text_of(d)) for d in built(text, choice).documents}


def written(build: compiler.Build, folder: Path) -> None:
    for document in build.documents:
        (folder / document.filename).write_text(text_of(document), "utf-8")


# --- What is built


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("choice", [OSS, NEWEST], ids=support.label)
def test_nothing_is_lost_but_what_the_proxy_cannot_do(name: str, choice: TargetChoice) -> None:
    """And what Kong cannot do of what it keeps, which is TLS and several listeners."""
    lost = [
        (x.place, x.feature.path)
        for x in built(SPECS[name], choice).plan.losses
        if x.capability.support is Support.NONE
    ]
    alone = [
        (x.place, x.feature.path) for x in built(SPECS[name], ALONE).plan.losses if x.capability.support is Support.NONE
    ]
    assert [one for one in lost if one not in alone and not one[1].startswith("listeners")] == []
    assert name not in EXAMPLES or lost == alone


@pytest.mark.parametrize("name", SPECS)
def test_kongs_own_schema_code(name: str, tmp_path: Path) -> None:
    source, lua, shared = os.environ.get("KONG_SRC"), shutil.which("luajit"), support.shared()
    if not source or not lua or not shared:
        pytest.skip("needs luajit, the shared folder, and KONG_SRC with Kong 3.9.3's source")
    written(built(SPECS[name]), tmp_path)
    secretfiles.write(tmp_path, secretfiles.placeholders(secretfiles.read(tmp_path)))
    for file in ("kong.yml", "kong.rendered.yml"):
        command = [lua, str(shared / "tools/kongcheck/kongcheck.lua"), str(tmp_path / file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SPECS)
def test_published_schemas(name: str, tmp_path: Path) -> None:
    """decK's of the file, and those of each plugin in the oldest and the newest version."""
    shared = support.shared()
    if not shared:
        pytest.skip("needs the shared folder")
    for choice, version in ((OSS, "3.9"), (NEWEST, "3.15")):
        written(built(SPECS[name], choice), tmp_path)
        secretfiles.write(tmp_path, secretfiles.placeholders(secretfiles.read(tmp_path)))
        body = yaml.safe_load((tmp_path / "kong.rendered.yml").read_text("utf-8"))
        deck = json.loads((shared / "upstream/kong/deck-kong_json_schema.json").read_text("utf-8"))
        assert [*jsonschema_rs.validator_for(deck).iter_errors(body)] == []
        known = _published(shared, version)
        for plugin, _ in Edge(body, 0)._plugins():
            schema = known.get(plugin["name"].replace("-", ""))
            assert schema, plugin["name"]
            errors = jsonschema_rs.validator_for(_strict(schema["properties"]["config"])).iter_errors(plugin["config"])
            assert [f"{e.instance_path} {e.message}" for e in errors] == [], plugin["name"]


@pytest.mark.parametrize("name", SPECS)
def test_no_ai_plugin_and_no_secret(name: str) -> None:
    found = outputs(SPECS[name])
    plugins = {plugin["name"] for plugin, _ in Edge(found["kong.yml"], 0)._plugins()}
    assert not {one for one in plugins if one.startswith("ai-")}
    instances = [p["instance_name"] for p, _ in Edge(found["kong.yml"], 0)._plugins()]
    assert len(instances) == len({*instances})
    assert "Bearer" not in json.dumps(found["kong.yml"])
    assert found["environment.yaml"]["KONG_DECLARATIVE_CONFIG"].endswith("kong.rendered.yml")


@pytest.mark.parametrize("name", ["places", "counted", "edge", "money"])
def test_changing_anything_changes_an_output_or_is_named(name: str) -> None:
    data = compiler.check_text(SPECS[name]).source.data
    assert silent(data, OSS) == set()


def test_every_door_has_its_route() -> None:
    assert {(method, path) for method, path in behind.DOORS.values()} == {(d.method, p) for p, d in DOORS.items()}


@pytest.mark.parametrize(("choice", "vault", "told"), [(OSS, "aws", True), (NEWEST, "aws", False), (OSS, "env", False)])
def test_a_certificate_in_a_vault_that_kong_does_not_read(choice: TargetChoice, vault: str, told: bool) -> None:
    settings = {"aws": "region: eu-west-1", "env": "prefix: X_"}[vault]
    ref = "{vault: v, key: tls}"
    listener = f"{{name: l, address: 127.0.0.1, port: 8443, tls: {{certificate: {ref}, key: {ref}}}}}"
    text = DESK.replace("{name: l, address: 127.0.0.1, port: 8080, basePath: /ai, maxBodySize: 4Ki}", listener)
    text += f"  vaults: [{{name: v, type: {vault}, {vault}: {{{settings}}}}}]\n"
    places = [x.place for x in built(text, choice).plan.losses if x.feature.path == "listeners.tls"]
    assert any("certificate" in place for place in places) == told


def test_texts_that_kong_would_read_are_the_proxys() -> None:
    """A prompt may look like a template or a reference of Kong: Kong does not see it."""
    text = DESK.replace("content: Be kind.", 'content: "Say {vault://env/key}, ${{ env }} and $(headers.x)."')
    assert "{vault://env/key}" in json.dumps(outputs(text)["proxy.json"])
    assert "headers.x" not in json.dumps(outputs(text)["kong.yml"])


def test_the_credential_is_one() -> None:
    found = outputs(DESK)
    asked = found["secrets.json"]["secrets"]["front"]["ref"]
    assert found["proxy.json"]["front"]["credential"]["secret"] == {asked["source"]: asked["name"]}


@pytest.mark.parametrize(
    ("url", "listens", "calls"),
    [
        ("http://127.0.0.1:8787", ("127.0.0.1", 8787, "/"), ("http", "127.0.0.1", 8787, "/v1/models")),
        ("http://localhost:1", ("127.0.0.1", 1, "/"), ("http", "localhost", 1, "/v1/models")),
        ("https://ai.internal/a/b/", ("0.0.0.0", 443, "/a/b"), ("https", "ai.internal", 443, "/a/b/v1/models")),
        ("http://[::1]:80/x", ("::1", 80, "/x"), ("http", "::1", 80, "/x/v1/models")),
    ],
)
def test_where_the_proxy_is(url: str, listens: tuple[str, int, str], calls: tuple[str, str, int, str]) -> None:
    found = outputs(DESK, OSS._replace(options={**DELEGATE, "delegateUrl": url}))
    (listener,) = found["proxy.json"]["listeners"]
    assert (listener["address"], listener["port"], listener["basePath"]) == listens
    (service,) = (s for s in found["kong.yml"]["services"] if s["name"].endswith("-uncounted"))
    (route,) = (r for r in service["routes"] if r["name"].endswith("-models"))
    (uri,) = (p["config"]["replace"]["uri"] for p in route["plugins"] if p["name"] == "request-transformer")
    assert (service["protocol"], service["host"], service["port"], uri) == calls
    checked = "KONG_NGINX_PROXY_PROXY_SSL_VERIFY" in found["environment.yaml"]
    assert checked == url.startswith("https")


LIMITS = """
  models:
    - name: m
      targets: [{provider: openai, model: x, pricing: {input: 1, output: 1}}]
      policies: {limits: [{name: at-a-model, per: minute, requests: 5}]}
  consumerGroups:
    - name: g
      policies: {limits: [{name: members, per: hour, requests: 7}, {name: shared, by: [group], per: day, requests: 9}]}
  consumers: [{name: c, groups: [g], credentials: [{apiKey: {env: C}}, {basic: {username: c, password: {env: P}}}]}]
  stores: [{name: r, type: redis, redis: {address: "redis:6379"}, onFailure: open}]
  policies:
    limits:
      - {name: each, by: [consumer], per: minute, requests: 60}
      - {name: from-one-address, by: [ip], per: minute, requests: 60}
      - {name: all, per: minute, requests: 600}
      - {name: weekly, by: [consumer], per: week, requests: 600}
      - {name: seen, by: [consumer], per: day, requests: 5, onExceeded: observe}
      - {name: both, by: [consumer], per: day, requests: 5, tokens: 100}
      - {name: of-a-team, by: ["header:x-team"], per: day, requests: 5}
"""


@pytest.mark.parametrize(
    ("auth", "kept"),
    [
        ("apiKey: {headers: [x-api-key]}", ["each", "members"]),
        ("basic: {}", ["each", "members"]),
        ("apiKey: {headers: [x-api-key]}, basic: {}", ["from-one-address"]),
    ],
)
def test_which_limits_kong_keeps(auth: str, kept: list[str]) -> None:
    """Those on calls alone that one instance can count; all others are in proxy.json, and none in both."""
    found = outputs(f"{HEAD}{OPENAI}  auth: {{{auth}}}{LIMITS}")
    tags = {t for p, _ in Edge(found["kong.yml"], 0)._plugins() if p["name"] == "rate-limiting" for t in p["tags"]}
    assert sorted(t.partition(":")[0] for t in tags if " requests a " in t) == sorted(kept)
    holders = [
        found["proxy.json"],
        *(x for part in ("models", "consumers", "consumerGroups") for x in found["proxy.json"][part]),
    ]
    inside = {x["name"] for holder in holders for x in holder["policies"].get("limits", ())}
    every = {
        "at-a-model",
        "members",
        "shared",
        "each",
        "from-one-address",
        "all",
        "weekly",
        "seen",
        "both",
        "of-a-team",
    }
    assert inside == every - {*kept}


def test_a_limit_in_a_redis_is_the_proxys() -> None:
    auth = "  auth: {apiKey: {headers: [x-api-key]}}"
    text = f"{HEAD}{OPENAI}{auth}{LIMITS}    limitStore: r\n"
    tags = [t for p, _ in Edge(outputs(text)["kong.yml"], 0)._plugins() for t in p["tags"] if " requests a " in t]
    assert tags == ["members: 7 requests a hour"]


# --- Traffic: a client, what Kong does at the edge, the real proxy, mock providers


class Desk(NamedTuple):
    edge: Edge
    proxy: Proxy

    def call(
        self,
        body: Any = None,
        path: str = "/ai/v1/chat/completions",
        who: str | None = "app",
        peer: str = "10.1.1.1",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Answer:
        """`who`: whose key is shown."""
        method = "GET" if body is None else "POST"
        raw = b"" if body is None else json.dumps(body).encode()
        shown = [("authorization", f"Bearer mock-key-{who}")] if who else []
        return self.edge.call(method, path, raw, [("content-type", "application/json"), *shown, *headers], peer)

    def chat(self, text: str = "hello", model: str = "chat", **more: Any) -> Answer:
        given = {k: more.pop(k) for k in ("who", "peer", "headers", "path") if k in more}
        return self.call({"model": model, "messages": [{"role": "user", "content": text}], **more}, **given)


@contextlib.contextmanager
def desk(text: str, folder: Path) -> Iterator[Desk]:
    """Build both, render Kong's file, and run the proxy from its proxy.json. No secret of either may get out."""
    with Proxy(text, choice=OSS) as proxy:
        for document in proxy.documents:
            (folder / document.filename).write_text(text_of(document), "utf-8")
        asked = secretfiles.read(folder)["secrets"]
        values = {name: _made_up(one["for"]) for name, one in asked.items()}
        secretfiles.write(folder, values)
        rendered = yaml.safe_load((folder / "kong.rendered.yml").read_text("utf-8"))
        yield Desk(Edge(rendered, proxy.port), proxy)
        told = json.dumps([proxy.seen, proxy.lines])
        assert [secret for secret in {*values.values(), MOCK_FRONT} if secret in told] == []


def _made_up(purpose: str) -> str:
    """The values with which the proxy runs."""
    _, name, *rest = purpose.split()
    return (
        MOCK_FRONT if purpose == "what stands behind Kong" else f"mock-password-{name}" if rest else f"mock-key-{name}"
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk(DESK, tmp_path_factory.mktemp("keys")) as running:
        yield running


def test_chat_whole_and_in_events(keys: Desk) -> None:
    whole = keys.chat(model="gpt-4o")
    assert (whole.status, whole.json["model"]) == (200, "gpt-4o")
    sent = keys.proxy.seen[-1]
    assert (sent["provider"], sent["body"]["model"]) == ("openai", "gpt-real")
    assert [m["content"] for m in sent["body"]["messages"]] == ["Be kind.", "hello"]
    events = keys.chat(stream=True)
    assert events.headers["content-type"].startswith("text/event-stream")
    assert events.events[-1] == "[DONE]"
    assert len(events.events) > 3


def test_the_other_doors(keys: Desk) -> None:
    body = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
    answer = keys.call(body, "/ai/v1/messages")
    assert (answer.status, answer.json["type"], answer.json["model"]) == (200, "message", "claude")
    counted = keys.call({k: v for k, v in body.items() if k != "max_tokens"}, "/ai/v1/messages/count_tokens")
    assert counted.json["input_tokens"] > 0
    assert keys.call({"model": "embed", "input": "x"}, "/ai/v1/embeddings").json["data"]
    wrong = keys.call({**body, "model": "none"}, "/ai/v1/messages")
    assert (wrong.status, wrong.json["type"]) == (404, "error")
    assert keys.chat(path="/v1/chat/completions").status == 404
    assert keys.chat(path="/ai/v1/chat/completions/").status == 404


def test_fallback_guard_and_access(keys: Desk) -> None:
    assert keys.chat("mock:openai:500").status == 200
    assert keys.proxy.seen[-1]["provider"] == "claude"
    assert keys.chat("tell me the Secret").error[2] == "prompt_rejected"
    assert keys.chat(model="inside").error == (403, "permission_error", "model_not_allowed")
    assert keys.chat(model="inside", who="person").status == 200
    assert keys.chat(model="none").error[2] == "model_not_found"


def test_the_list_of_models_is_the_callers(keys: Desk) -> None:
    def names(who: str, peer: str = "10.1.1.1") -> list[str]:
        return [row["id"] for row in keys.call(None, "/ai/v1/models", who, peer).json["data"]]

    assert names("app") == ["chat", "gpt-4o", "claude", "embed"]
    assert names("person") == ["chat", "gpt-4o", "claude", "inside", "embed"]
    assert names("person", "8.8.8.8") == ["chat", "gpt-4o", "claude", "embed"]


def test_limits_on_both_sides(keys: Desk) -> None:
    """Tokens and what stands beside them are counted behind, calls alone by Kong; a list of models is no call."""
    assert keys.chat(who="poor", max_tokens=10).status == 200
    refused = keys.chat(who="poor", max_tokens=60)
    assert (refused.status, refused.error[2]) == (429, "request_exceeds_limit")
    listed = [keys.call(None, "/ai/v1/models", "slow").status for _ in range(4)]
    assert listed == [200] * 4
    assert [keys.chat(who="slow").status for _ in range(3)] == [200, 200, 429]
    assert b"API rate limit exceeded" in keys.chat(who="slow").raw


def test_addresses(keys: Desk) -> None:
    """The client's address is Kong's word, and no header of the client."""
    assert keys.chat(peer="10.6.6.6").status == 403
    outside = keys.chat(model="inside", who="person", peer="8.8.8.8", headers=(("x-forwarded-for", "10.0.0.1"),))
    assert outside.error[2] == "ip_not_allowed"
    spoofed = keys.chat(model="inside", who="person", peer="8.8.8.8", headers=(("X-Real-IP", "10.0.0.1"),))
    assert spoofed.error[2] == "ip_not_allowed"


def test_no_key_a_wrong_one_and_a_large_body(keys: Desk) -> None:
    before = len(keys.proxy.seen)
    assert keys.chat(who=None).status == 401
    assert keys.chat(who="nobody").status == 401
    assert keys.chat("x" * 5000).status == 413
    assert len(keys.proxy.seen) == before


SPOOFS = [
    ("x-consumer-username", "person"),
    ("X-Consumer-Username", "person"),
    ("x-consumer-custom-id", "person"),
    ("proxy-authorization", f"Bearer {MOCK_FRONT}"),
    ("Proxy-Authorization", "Bearer wrong"),
]


@pytest.mark.parametrize("header", SPOOFS, ids=str)
def test_a_client_is_nobody_else(keys: Desk, header: tuple[str, str]) -> None:
    assert keys.chat(model="inside", headers=(header,)).error[2] == "model_not_allowed"
    assert keys.chat(who=None, headers=(header,)).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"proxy-authorization": "Bearer wrong"},
        {"proxy-authorization": MOCK_FRONT},
        {"authorization": f"Bearer {MOCK_FRONT}", "x-consumer-username": "app"},
        {"proxy-authorization": "Bearer wrong", "x-consumer-username": "app"},
        {"authorization": "Bearer mock-key-app"},
        {"proxy-authorization": f"Bearer {MOCK_FRONT}"},
        {"proxy-authorization": f"Bearer {MOCK_FRONT}", "x-consumer-username": "stranger"},
        {"proxy-authorization": f"Bearer {MOCK_FRONT}", "x-consumer-username": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/nowhere"])
def test_who_passes_kong_by_gets_nothing(keys: Desk, headers: dict[str, str], path: str) -> None:
    """Before anything else is looked at; with the credential a known caller has to be named."""
    before = len(keys.proxy.seen)
    answer = keys.proxy.request("GET" if path == "/v1/models" else "POST", path, None, headers, key=None)
    right = headers.get("proxy-authorization") == f"Bearer {MOCK_FRONT}"
    assert answer.status == (404 if right and path == "/nowhere" else 401)
    assert answer.status == 404 or answer.error[2] == "invalid_api_key"
    assert len(keys.proxy.seen) == before


def test_two_credentials_are_none() -> None:
    settings = handed_front()
    right = (b"proxy-authorization", b"Bearer right-right-right")
    front = Front(settings, Secret("right-right-right"))
    assert front.passed([right]) is not None
    assert front.passed([right, right]) is None
    assert front.passed([right, (b"Proxy-Authorization", b"Bearer x")]) is None
    passed = front.passed(
        [right, (b"x-consumer-username", b"a"), (b"x-consumer-username", b"b"), (b"x-real-ip", b"::ffff:10.0.0.1")]
    )
    assert passed
    assert (passed.consumer, str(passed.address), passed.headers) == ("", "10.0.0.1", [])


def handed_front() -> Any:
    from aigw_compile.proxy import config

    found = config.load(text_of(next(d for d in built(DESK).documents if d.filename == "proxy.json")).encode()).front
    assert found
    return found


def test_logs_have_no_credential(keys: Desk) -> None:
    keys.chat("in the log")
    told = json.dumps(keys.edge.log) + "".join(keys.proxy.lines)
    assert MOCK_FRONT not in told
    assert "mock-key" not in json.dumps(keys.edge.log[-1:])


LETS_IN: dict[str, list[tuple[tuple[tuple[str, str], ...], int]]] = {
    "passwords": [
        ((("authorization", f"Basic {base64.b64encode(b'app:mock-password-app').decode()}"),), 200),
        ((("authorization", f"Basic {base64.b64encode(b'app:wrong').decode()}"),), 401),
        ((("authorization", "Bearer mock-key-app"),), 401),
        ((), 401),
    ],
    "two doors": [
        ((("authorization", f"Basic {base64.b64encode(b'app:mock-password-app').decode()}"),), 200),
        ((("x-api-key", "mock-key-app"),), 200),
        ((("x-api-key", "wrong"), ("authorization", "Bearer mock-key-app")), 401),
        ((("authorization", "Bearer mock-key-app"), ("x-consumer-username", "person")), 200),
        ((), 401),
    ],
    "tokens": [((("authorization", "Bearer a.b.c"),), 401), ((("x-consumer-username", "app"),), 401), ((), 401)],
    "nobody is asked": [((), 200), ((("x-consumer-username", "person"),), 200)],
}


@pytest.mark.parametrize("kind", LETS_IN)
def test_who_asks_callers(kind: str, tmp_path: Path) -> None:
    """Kong where there is one door that it can make, else the proxy; always through Kong alone."""
    auth = AUTHS[kind]
    text = TEMPLATE.replace("AUTH", auth)
    if kind == "nobody is asked":
        text = f"{HEAD}{OPENAI}  auth: {auth}\n  models: [{{name: chat, targets: [{{provider: openai, model: x}}]}}]\n"
    gateway = compiler.check_text(text).gateway
    assert gateway
    base = gateway.listeners[0].base_path
    assert handed.knows_callers(gateway) == (kind in ("keys", "passwords"))
    with desk(text, tmp_path) as running:
        for headers, status in LETS_IN[kind]:
            chat = running.chat(who=None, headers=headers, path=f"{base}/v1/chat/completions")
            assert chat.status == status, headers
            assert running.call(None, f"{base}/v1/models", None, headers=headers).status == status, headers
        if kind == "tokens":
            (token,) = (t for whose, t in running.proxy.issuer.tokens(running.proxy.config) if "app" in whose)
            assert running.chat(who=None, headers=(("authorization", f"Bearer {token}"),)).status == 200
        assert running.proxy.request("GET", "/v1/models", key="mock-key-app").status == 401
        shown = json.dumps(running.edge.log)
        assert "mock-key" not in shown
        assert MOCK_FRONT not in shown


# --- Starting it


def test_the_credential_has_to_be_there_and_long(tmp_path: Path) -> None:
    from aigw_compile.proxy import config

    loaded = config.load(text_of(next(d for d in built(DESK).documents if d.filename == "proxy.json")).encode())
    environ = {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b"}
    for value in ("", "short", "$(os.exit())-and-a-long-tail", "twenty letters and spaces"):
        with pytest.raises(StartError, match="the credential of the front"):
            fetched(loaded, {**environ, "AIGW_FRONT_CREDENTIAL": value})
    held = fetched(loaded, {**environ, "AIGW_FRONT_CREDENTIAL": "0123456789abcdef"})
    assert held.front is not None
    assert "0123456789abcdef" not in repr(held)


def test_serve_takes_the_output_folder(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(DESK, "utf-8")
    project = "targets: {kong: {profile: oss-3.9, delegate: proxy, delegateUrl: 'http://127.0.0.1:8787'}}"
    (tmp_path / "aigw-compile.yaml").write_text(project, "utf-8")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(support.ROOT)}
    command = [sys.executable, "-m", "aigw_compile"]
    done = subprocess.run(
        [*command, "build", "--no-diff"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "build" / "g" / "kong"
    assert (folder / "proxy.json").is_file()
    stale = subprocess.run(
        [*command, "build", "--check"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert stale.returncode == 0, stale.stdout + stale.stderr
    subprocess.run([*command, "secrets", "--placeholders", str(folder)], env=env, check=True, capture_output=True)
    live = [*command, "diff", str(folder / "kong.rendered.yml"), "."]
    same = subprocess.run(live, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert "0 differences" in same.stdout, same.stdout + same.stderr
    assert "placeholder-" not in same.stdout
    serve = [*command, "serve", str(folder), "--mock-providers", "--port", "0"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if '"ready"' in line:
                    break
            assert f"header of the front: proxy-authorization: Bearer {MOCK_FRONT}\n" in said
        finally:
            process.kill()


WRONG_URLS = [
    "ftp://x",
    "http://",
    "127.0.0.1:8787",
    "http://user:pass@host",
    "http://host/?a=b",
    "http://host/#x",
    "http://h:99999",
    "http://h/$(x)",
    "http://h:0",
]


@pytest.mark.parametrize("url", WRONG_URLS)
def test_what_is_no_url(url: str, tmp_path: Path) -> None:
    (tmp_path / "aigw-compile.yaml").write_text(json.dumps({"targets": {"kong": {"delegateUrl": url}}}), "utf-8")
    opened = compiler.open_project([tmp_path])
    (found,) = (d for d in opened.diagnostics if d.code == "AIG0105")
    assert found.at == ("targets", "kong", "delegateUrl")
    assert "http or https URL" in found.hint
    assert url not in found.message


def found_in(project: dict[str, Any], folder: Path) -> list[tuple[str, Any]]:
    (folder / "aigw-compile.yaml").write_text(json.dumps({"targets": {"kong": project}}), "utf-8")
    return [(d.code, d.at) for d in compiler.open_project([folder]).diagnostics if d.code != "AIG0102"]


AT = ("targets", "kong", "delegateUrl")


@pytest.mark.parametrize(
    ("project", "code"),
    [
        ({"delegateUrl": "http://127.0.0.1:1"}, "AIG0110"),
        ({"delegate": "off", "delegateUrl": "http://127.0.0.1:1"}, "AIG0110"),
        ({**DELEGATE, "delegateUrl": "http://proxy.internal:8787"}, "AIG0111"),
        ({**DELEGATE, "delegateUrl": "http://127.0.0.1.evil.test/"}, "AIG0111"),
        ({**DELEGATE, "delegateUrl": "http://[::1]:1/a"}, ""),
        ({**DELEGATE, "delegateUrl": "http://localhost"}, ""),
        ({**DELEGATE, "delegateUrl": "https://proxy.internal"}, ""),
        (DELEGATE, ""),
    ],
    ids=str,
)
def test_what_is_odd_about_an_option(project: dict[str, Any], code: str, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(DESK, "utf-8")
    assert found_in(project, tmp_path) == ([(code, AT)] if code else [])


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("http://127.0.0.1:8080", ["spec.listeners.0.port"]),
        ("http://localhost:9090", ["spec.observability.operations.port"]),
        ("http://[::1]:8080", ["spec.listeners.0.port"]),
        ("http://ai.internal:8080", []),
        ("http://127.0.0.1:8787", []),
    ],
)
def test_two_cannot_listen_on_one_port(url: str, places: list[str]) -> None:
    build = support.build_all_accepted(
        compiler.check_text(DESK), OSS._replace(options={**DELEGATE, "delegateUrl": url})
    )
    assert [".".join(map(str, d.at)) for d in build.diagnostics if d.code == "AIG6401"] == places
    assert bool(build.documents) == (not places)


def test_what_is_no_delegate(tmp_path: Path) -> None:
    (tmp_path / "aigw-compile.yaml").write_text("targets: {kong: {delegate: proxi}}", "utf-8")
    (found,) = (d for d in compiler.open_project([tmp_path]).diagnostics if d.code == "AIG0105")
    assert 'did you mean "proxy"' in found.hint


def test_kong_operator_hands_nothing_on() -> None:
    assert "delegate" not in manifest("kubernetes").options
    assert facts("kubernetes", "kong-operator").delegates is None
