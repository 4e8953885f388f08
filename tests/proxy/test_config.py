"""proxy.json: what the compiler writes is read, and whatever else stands in a file is named, all of it at once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile.document import text_of
from aigw_compile.project import TargetChoice
from aigw_compile.proxy.config import ConfigError, load
from aigw_compile.proxy.config.fields import FILE as FILE_SHAPE
from tests.proxy.files import FILE, GONE, changed
from tests.support import EXAMPLES, ROOT, build_all_accepted, gateways


def problems(data: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as wrong:
        load(data if isinstance(data, bytes) else json.dumps(data).encode())
    return wrong.value.problems


def test_what_the_compiler_writes_is_read() -> None:
    for folder in EXAMPLES:
        _, checked = gateways(folder)
        for one in checked:
            (document,) = build_all_accepted(one, TargetChoice("proxy", "", {})).documents
            assert load(text_of(document).encode()).gateway == one.name


FRONT = {
    "credential": {"secret": {"env": "FRONT"}, "place": "the front"},
    "header": "proxy-authorization",
    "prefix": "Bearer ",
    "addressHeader": "x-real-ip",
}

BAD: list[tuple[str, Any, str]] = [
    ("front", {}, "front.credential: is missing"),
    ("front", {**FRONT, "credential": "abc"}, "front.credential: an object"),
    ("front", {**FRONT, "consumerHeader": ""}, "front.consumerHeader: is empty"),
    ("front", {**FRONT, "peer": "10.0.0.0/8"}, "front.peer: unknown field"),
    ("front", {**FRONT, "consumerHeader": "x-consumer"}, "auth: the front says who calls"),
    ("front", {**FRONT, "credential": {"secret": {"vault": "v", "key": "k"}, "place": "the front"}}, "the front: there is no vault"),
    ("auth", {"anonymous": False}, "auth.anonymous: "),
    ("auth", {}, "auth: exactly one of apiKey, jwt and basic together"),
    ("auth", {"anonymous": True, "apiKey": {"headers": ["x"]}}, "auth: exactly one of"),
    ("auth.apiKey.headers", [], "auth.apiKey.headers: at least 1"),
    ("auth.apiKey.headers", ["a b"], "auth.apiKey.headers[0]: "),
    ("auth.apiKey.headers", "authorization", "auth.apiKey.headers: a list"),
    ("auth.jwt", {}, "auth.jwt: a list"),
    ("auth.hmac", {}, "auth.hmac: unknown field"),
    ("listeners", [], "listeners: at least 1"),
    ("listeners.0.port", 0, "listeners[main].port: 0 is not from 1 to 65535"),
    ("listeners.0.port", True, "listeners[main].port: a whole number"),
    ("listeners.0.port", "8080", "listeners[main].port: a whole number"),
    ("listeners.0.hostnames", [1], "listeners[main].hostnames[0]: a text"),
    ("listeners.0.maxBodySize", -1, "listeners[main].maxBodySize: "),
    ("listeners.0.basePath", "ai", "listeners[main].basePath: "),
    ("operations.tls", {}, "operations.tls: unknown field; known: address, port"),
    ("gateway", GONE, "gateway: is missing"),
    ("providers.0.dialect", "cohere", "providers[openai].dialect: 'cohere' is none of openai, anthropic"),
    ("providers.0.baseUrl", "api.openai.com", "providers[openai].baseUrl: "),
    ("providers.0.headers", {"x": "a\r\nb"}, "providers[openai].headers.x: "),
    ("providers.0.auth.secret", {}, "providers[openai].auth.secret: exactly one of env, file, vault, kubernetes"),
    ("providers.0.auth.secret", {"env": ""}, "providers[openai].auth.secret.env: is empty"),
    ("providers.0.auth.secret", "sk-x", "providers[openai].auth.secret: exactly one of"),
    ("providers.0.auth.secret", {"vault": "v", "key": "k"}, "there is no vault 'v'"),
    ("models", [], "models: at least 1"),
    ("models.0.aliases", ["chat"], "'chat' is a name or an alias already"),
    ("models.0.targets.0.provider", "opnai", "models[chat].targets[main].provider: there is no provider 'opnai'"),
    ("models.0.targets.0.weight", 0, "models[chat].targets: every weight is 0"),
    ("models.0.targets.0.weight", 0.5, "models[chat].targets[main].weight: a whole number"),
    ("models.0.retries.on", ["rate-limit"], "models[chat].retries.on[0]: 'rate-limit' is none of rate-limited,"),
    ("models.0.fallback.response", {"content": "x"}, "models[chat].fallback.response.status: is missing"),
    ("models.0.timeouts.idle", -1, "models[chat].timeouts.idle: "),
    ("models.0.timeouts.idle", "60s", "models[chat].timeouts.idle: a number"),
    ("models.0.access", {}, "models[chat].access.allow: is missing"),
    ("models.0.policies.cache", {}, "models[chat].policies.cache: exactly one of"),
    ("models.0.policies.limitStore", "s", "models[chat].policies.limitStore: there is no store 's'"),
    ("models.0.policies.ipRestriction", {"allow": ["10.0.0.0/99"], "deny": []}, "ipRestriction.allow[0]: '10.0.0.0/99'"),
    ("models.0.policies.requestTransformer", {"model": "x", "prompt": "p", "extract": "", "timeout": 1, "onError": "fail"}, "there is no model 'x'"),
    ("models.0.lifecycle", {"deprecated": "", "sunset": "2027-01-31", "replacedBy": "x"}, "replacedBy: there is no model 'x'"),
    ("listeners.0.tls", {"certificate": {"secret": {"vault": "v", "key": "k"}, "place": "here"}, "key": {"secret": {"env": "K"}, "place": "there"}, "minVersion": "1.2"}, "here: there is no vault 'v'"),
    ("consumers.0.name", "other", "consumers[other]: stands twice"),
    ("consumers.0.groups", ["nobody"], "consumers[app].groups: there is no group 'nobody'"),
    ("consumers.0.policies", [], "consumers[app].policies: an object"),
    ("policies.promptGuard", {"deny": ["("], "allow": [], "roles": [], "scope": "last"}, "policies.promptGuard.deny[0]: RE2"),
    ("policies.promptGuard", {"deny": [], "allow": [], "roles": []}, "policies.promptGuard.scope: is missing"),
    ("policies.limits", [{}], "policies.limits[0].per: is missing"),
    ("observability.otlp", {"endpoint": "http://x", "sampling": 2}, "observability.otlp.sampling: 2 is not from 0 to 1"),
    ("observability.accessLog", {"format": "xml", "payloads": 1}, "observability.accessLog.payloads: true or false"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "want"), BAD, ids=[f"{p}={'left out' if v is GONE else v}"[:60] for p, v, _ in BAD]
)
def test_bad_values(path: str, value: Any, want: str) -> None:
    assert any(p.startswith(want) or want in p for p in problems(changed(FILE, {path: value})))


def test_all_problems_are_said_at_once() -> None:
    shaped = {path: value for path, value, want in BAD if path.count(".") == 1 and value is not GONE}
    assert len(problems(changed(FILE, shaped))) >= len(shaped) - 1


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b"null", b'{"version": 2}', b'{"version": true}'])
def test_no_proxy_json_at_all(text: bytes) -> None:
    assert len(problems(text)) == 1


def located(variable: str) -> dict[str, Any]:
    return {"secret": {"env": variable}, "place": "somewhere"}


FULL = changed(
    FILE,
    {
        "vaults": [{"name": "v", "type": "aws", "settings": {}, "refresh": 300}],
        "models.0.access": {"allow": {"groups": ["staff"], "consumers": []}, "deny": None},
        "models.0.fallback.response": {"status": 200, "content": "Later."},
        "policies": {
            "promptGuard": {"deny": ["x"], "allow": [], "roles": ["user"], "scope": "last"},
            "promptDecorator": {"prepend": [{"role": "system", "content": "x"}], "append": []},
            "limits": [
                {
                    "name": "l",
                    "by": ["group", "header:x-team"],
                    "per": "day",
                    "requests": 1,
                    "tokens": None,
                    "reserveOutput": 0,
                    "cost": 1.5,
                    "count": "input",
                    "onExceeded": "observe",
                }
            ],
            "limitStore": "shared",
            "responseGuard": {"deny": ["x"], "allow": [], "action": "mask"},
            "requestTransformer": {"model": "chat", "prompt": "p", "extract": "", "timeout": 30, "onError": "pass"},
            "responseTransformer": {"off": True},
            "cache": {"type": "exact", "ttl": 60, "scope": "shared", "store": "shared"},
            "ipRestriction": {"allow": ["10.0.0.0/8"], "deny": ["::1"]},
        },
        "stores": [
            {"name": "own", "memory": True},
            {
                "name": "shared",
                "redis": {
                    "address": "redis:6379",
                    "database": 0,
                    "username": "",
                    "password": located("REDIS"),
                    "tls": {"serverName": "", "ca": located("CA")},
                },
                "onFailure": "open",
            },
        ],
        "auth.jwt": [
            {
                "name": "entra",
                "issuer": "https://a",
                "audiences": ["b"],
                "jwksUri": "https://a/keys",
                "consumerClaim": "sub",
                "groupsClaim": "groups",
                "groupMap": {"1": "staff"},
                "unknownConsumer": "accept",
            }
        ],
        "auth.basic": True,
        "consumers.0.logins": [{"username": "u", "password": {"env": "P"}, "place": "consumers[app]"}],
        "listeners.0.trustedProxies": ["10.0.0.0/8"],
        "listeners.0.tls": {"certificate": located("CERT"), "key": located("KEY"), "minVersion": "1.3"},
        "listeners.0.cors": {"origins": ["*"], "methods": ["GET"], "headers": [], "credentials": False, "maxAge": None},
        "providers.0.identity": {"tenantId": "t", "clientId": "c", "clientSecret": located("S")},
        "providers.0.ownHeaders": [{"name": "x-a", "value": "b"}, {"name": "x-key", "secret": located("X")}],
        "providers.0.tls": {"serverName": "a", "certificate": located("C"), "key": located("K")},
        "providers.0.region": "eu",
        "providers.0.apiVersion": "2024-10-21",
        "models.0.targets.0.parameters": {"defaults": {"a": 1}, "overrides": {}, "maximum": {"max_tokens": 5}},
        "models.0.targets.0.onUnsupported": "drop",
        "models.0.targets.0.price": {"input": 1, "output": 2.5, "cacheRead": None, "cacheWrite": None},
        "models.0.algorithm": "round-robin",
        "models.0.residency": ["eu"],
        "models.0.lifecycle": {"deprecated": "", "sunset": "2027-01-31", "replacedBy": ""},
        "models.0.onDisconnect": "drain",
        "models.0.exposeTarget": True,
        "observability": {
            "prometheus": {"port": 1},
            "otlp": {"endpoint": "http://x", "sampling": 0.5},
            "accessLog": {"format": "json", "payloads": True},
        },
    },
)


def places(value: Any, at: str = "") -> Iterator[str]:
    """Yield the dotted path of everything below a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        path = f"{at}.{key}" if at else str(key)
        yield path
        yield from places(inner, path)


def test_what_the_outputs_schema_allows_is_read() -> None:
    """Compiler and proxy cannot drift: every change of every field that the schema lets pass, the proxy's shape does too."""
    schema = json.loads((ROOT / "targets" / "proxy" / "output.schema.json").read_text("utf-8"))
    validator = jsonschema_rs.validator_for(schema)
    changes = [
        (path, value) for path in places(FULL) for value in (GONE, None, "x", "http://x", 0, 1, 0.5, True, [], {})
    ]
    changes += [(f"{path}.unknown", 1) for path in places(FULL) if isinstance(at(path), dict)]
    allowed = 0
    for path, value in changes:
        if value is GONE and path.split(".")[-1].isdigit():
            continue
        data = changed(FULL, {path: value})
        if validator.is_valid({"proxy.json": data}):
            found: list[str] = []
            FILE_SHAPE(data, "", found)
            assert found == [], (path, value)
            allowed += 1
    assert 100 < allowed < len(changes) / 2


def at(path: str) -> Any:
    found: Any = FULL
    for step in path.split("."):
        found = found[int(step)] if isinstance(found, list) else found[step]
    return found


LEAVES = [
    "gateway", "listeners.0", "listeners.0.hostnames", "operations", "auth", "providers.0", "providers.0.auth", "models.0",
    "models.0.targets", "models.0.targets.0.model", "models.0.retries", "models.0.fallback", "models.0.timeouts",
    "models.0.access", "models.0.policies", "consumers.0.credentials", "consumerGroups.0", "policies", "observability",
]  # fmt: skip
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("name env allow on".split()), inner),
    max_leaves=6,
)


@given(st.sampled_from(LEAVES), JUNK)
@settings(deadline=None)
def test_junk_is_refused_or_read_and_never_raises(path: str, junk: Any) -> None:
    with contextlib.suppress(ConfigError):
        load(json.dumps(changed(FILE, {path: junk})).encode())
