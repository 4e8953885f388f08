"""Single things of the language, each as the piece of Kong's configuration that it becomes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aigw_compile import compiler, secretfiles
from aigw_compile.document import text_of
from aigw_compile.kongblocks import names
from aigw_compile.plan import fits
from aigw_compile.policies.prompt_decorator import Message
from aigw_compile.target import Support
from tests.targets import kong_specs
from tests.targets.kong_specs import KEYS, OPENAI, spec
from tests.targets.test_kong import built, output, plugins, running

OSS, EE = "oss-3.9", "enterprise-3.15"
CHAT = "  models: [{name: chat, targets: [{provider: openai, model: gpt-4o}]}]\n"


def one(model: str = CHAT, providers: str = OPENAI, more: str = "") -> str:
    return spec(providers + model + KEYS + "  consumers: [{name: me, credentials: [{apiKey: {env: MY_KEY}}]}]\n" + more)


def plugin(body: Any, name: str) -> dict[str, Any]:
    return next(p["config"] for p, _, _ in plugins(body) if p["name"] == name)


def part(config: Any, path: str) -> Any:
    for step in path.split("/"):
        config = config[int(step)] if step.isdigit() else config.get(step)
        if config is None:
            return None
    return config


GUARD = "  policies: {promptGuard: %s}\n"
LIMITS = "  policies: {limits: [%s]}\n"
TABLE: list[tuple[str, str, str, str, Any]] = [
    # spec, profile, plugin, path in its config, value
    (one(), OSS, "ai-proxy", "auth/header_value", "{vault://env/openai-api-key-header}"),
    (one(), OSS, "ai-proxy", "model/name", "gpt-4o"),
    (one(), OSS, "ai-proxy", "model/options", {"input_cost": 2.5, "output_cost": 10}),
    (one(), OSS, "ai-proxy", "max_request_body_size", 10 * 2**20),
    (one(), OSS, "ai-proxy", "logging/log_payloads", False),
    (one(), OSS, "request-transformer", "remove/body", ["model"]),
    (one(CHAT.replace("gpt-4o", "chat")), OSS, "request-transformer", "remove/body", None),
    (one(CHAT.replace("gpt-4o", "'*'")), OSS, "ai-proxy", "model/name", None),
    (one(), OSS, "key-auth", "hide_credentials", True),
    (one(), OSS, "key-auth", "key_in_query", False),
    (one(more=GUARD % "{deny: [x]}"), OSS, "ai-prompt-guard", "match_all_roles", True),
    (one(more=GUARD % "{deny: [x], roles: [user]}"), OSS, "ai-prompt-guard", "match_all_roles", False),
    (one(more=GUARD % "{deny: [x], roles: [tool]}"), OSS, "ai-prompt-guard", "match_all_roles", True),
    (one(more=GUARD % "{deny: [x]}"), OSS, "ai-prompt-guard", "allow_all_conversation_history", False),
    (one(more=GUARD % "{deny: [x], scope: last}"), OSS, "ai-prompt-guard", "allow_all_conversation_history", False),
    (
        one(more=GUARD % "{deny: [x], scope: last, roles: [user]}"),
        OSS,
        "ai-prompt-guard",
        "allow_all_conversation_history",
        True,
    ),
    (one(more=GUARD % "{allow: [a, b]}"), OSS, "ai-prompt-guard", "allow_patterns", ["a", "b"]),
    (one(more=LIMITS % "{name: a, per: day, requests: 5}"), OSS, "rate-limiting", "limit_by", "service"),
    (
        one(more=LIMITS % "{name: a, by: [consumer], per: day, requests: 5}"),
        OSS,
        "rate-limiting",
        "limit_by",
        "consumer",
    ),
    (
        one(more=LIMITS % "{name: a, per: day, requests: 5}, {name: b, per: minute, requests: 9}"),
        OSS,
        "rate-limiting",
        "minute",
        None,  # a minute's 9 are never reached under a day's 5, and Kong refuses the pair
    ),
    (one(more=LIMITS % "{name: a, per: week, requests: 5}"), EE, "rate-limiting-advanced", "window_size", [604800]),
    (
        one(more=LIMITS % "{name: a, per: hour, tokens: 5}"),
        EE,
        "ai-rate-limiting-advanced",
        "policies",
        [
            {
                "limits": [{"limit": 5, "window_size": 3600, "tokens_count_strategy": "total_tokens"}],
                "window_type": "fixed",
            }
        ],
    ),
    (kong_specs.TARGETS, OSS, "ai-proxy", "auth/header_value", "{vault://aigw-env/openai-key_header}"),
    (kong_specs.TARGETS, EE, "ai-proxy-advanced", "balancer/algorithm", "round-robin"),
    (
        kong_specs.TARGETS,
        EE,
        "ai-proxy-advanced",
        "balancer/failover_criteria",
        ["error", "http_403", "non_idempotent"],
    ),
    (kong_specs.TARGETS, EE, "ai-proxy-advanced", "balancer/retries", 2),
    (kong_specs.TARGETS, EE, "ai-proxy-advanced", "balancer/connect_timeout", 500),
    (kong_specs.TARGETS, EE, "ai-proxy-advanced", "balancer/read_timeout", 7000),
    (kong_specs.TARGETS, EE, "ai-proxy-advanced", "targets/1/auth/header_value", "{vault://hv/llm/claude/key#2}"),
    (kong_specs.TARGETS, EE, "ai-proxy-advanced", "targets/1/weight", 2),
    (kong_specs.DOORS, OSS, "request-size-limiting", "allowed_payload_size", 2**20),
    (kong_specs.DOORS, OSS, "opentelemetry", "traces_endpoint", "http://otel:4318/v1/traces"),
    (kong_specs.DOORS, OSS, "opentelemetry", "sampling_rate", 0.5),
    (kong_specs.DOORS, OSS, "file-log", "path", "/dev/stdout"),
    (kong_specs.DOORS, OSS, "ai-proxy", "logging/log_payloads", True),
    (kong_specs.DOORS, OSS, "key-auth", "key_names", ["x-key"]),
    (kong_specs.DOORS, OSS, "key-auth", "anonymous", None),
    (kong_specs.EDGE, OSS, "key-auth", "anonymous", "nobody"),
    (kong_specs.EDGE, OSS, "basic-auth", "anonymous", "nobody"),
    (kong_specs.EDGE, EE, "openid-connect", "anonymous", "nobody"),
    (kong_specs.EDGE, EE, "openid-connect", "consumer_claims", [["azp"]]),
    (kong_specs.EDGE, EE, "openid-connect", "audience_required", ["ai", "ai-two"]),
    (kong_specs.EDGE, EE, "openid-connect", "jwks_endpoint", "https://login.example.com/keys"),
    (kong_specs.EDGE, OSS, "cors", "max_age", 10),
    (kong_specs.EDGE, OSS, "cors", "methods", ["GET", "POST"]),
    (kong_specs.MONEY, OSS, "rate-limiting", "limit_by", "ip"),
    (kong_specs.MONEY, OSS, "rate-limiting", "policy", "redis"),
    (kong_specs.MONEY, OSS, "rate-limiting", "redis/password", "{vault://env/run-redis}"),
    (kong_specs.MONEY, OSS, "rate-limiting", "redis/ssl_verify", True),
    (kong_specs.MONEY, OSS, "rate-limiting", "fault_tolerant", False),
    (kong_specs.MONEY, EE, "rate-limiting-advanced", "sync_rate", 0),
    (
        kong_specs.MONEY,
        EE,
        "ai-rate-limiting-advanced",
        "policies/0/match",
        [{"type": "consumer", "partition_by": True}],
    ),
    (
        kong_specs.MONEY,
        EE,
        "ai-rate-limiting-advanced",
        "policies/0/limits/0",
        {"limit": 9000, "window_size": 86400, "tokens_count_strategy": "prompt_tokens"},
    ),
]


@pytest.mark.parametrize(("text", "profile", "name", "path", "want"), TABLE)
def test_becomes(text: str, profile: str, name: str, path: str, want: Any) -> None:
    assert part(plugin(output(text, profile), name), path) == want


def test_priorities_become_groups_of_equal_weight() -> None:
    body = output(kong_specs.TARGETS, EE)
    config = running(body, "ai-proxy-advanced", "g-layered", "")
    assert config
    assert config["balancer"]["algorithm"] == "priority"
    assert [(t["description"], t["weight"]) for t in config["targets"]] == [("a", 2), ("b", 1), ("c", 1)]
    assert config["balancer"]["failover_criteria"] == ["timeout", "http_503", "non_idempotent"]
    assert config["balancer"]["retries"] == 1
    urls = [t["model"]["options"]["upstream_url"] for t in config["targets"]]
    # Without a port Kong would take 443, for http too.
    assert urls == [
        "http://claude.internal:80/api/v1/messages",
        "http://[fd00::1]:80/v1/chat/completions",
        "https://llm.internal:443/v1/chat/completions",
    ]


@pytest.mark.parametrize(
    ("profile", "want"),
    [
        (OSS, [("env", "aigw-env", {"prefix": "AIGW_"})]),
        (
            EE,
            [
                ("env", "aigw-env", {"prefix": "AIGW_"}),
                (
                    "hcv",
                    "hv",
                    {
                        "protocol": "https",
                        "host": "vault.internal",
                        "port": 8200,
                        "mount": "kv",
                        "kv": "v2",
                        "namespace": "ai",
                        "auth_method": "kubernetes",
                        "kube_role": "kong",
                        "ttl": 120,
                    },
                ),
                ("aws", "s3", {"region": "eu-west-1", "endpoint_url": "http://localstack:4566", "ttl": 0}),
            ],
        ),
    ],
)
def test_vaults(profile: str, want: list[Any]) -> None:
    found = output(kong_specs.TARGETS, profile)["vaults"]
    assert [(v["name"], v["prefix"], v["config"]) for v in found] == want


def test_a_model_has_a_path_for_each_name() -> None:
    body = output(kong_specs.PLACES, OSS)
    routes = {r["name"]: r["paths"] for s in body["services"] for r in s["routes"]}
    assert routes["g-openai-gpt-4o"] == ["~/openai/gpt(?::|%3A)4o/v1/chat/completions$", "~/grüße/v1/chat/completions$"]
    assert routes["g-models"] == ["~/v1/models$"]
    listed = json.loads(plugin(body, "request-termination")["body"])
    assert [m["id"] for m in listed["data"]] == ["chat", "openai/gpt:4o", "grüße"]


def test_one_model_keeps_the_path_of_the_language() -> None:
    body = output(kong_specs.DOORS, OSS)
    route = body["services"][0]["routes"][0]
    assert route["paths"] == ["~/a\\.b/v1/chat/completions$", "~/v1/chat/completions$"]
    assert route["hosts"] == ["llm.example.com", "*.llm.example.com", "other.example.com"]
    assert route["methods"] == ["POST"]


NAMES = [
    "gpt-4.1",
    "openai/gpt-4o",
    "a+b(c)",
    "ft:gpt:org::id",
    "grüße",
    "100%",
    "what?#",
    "x@y=z&$,;!*'",
    "[m]",
    "a\\b^|{}`",
]


@pytest.mark.parametrize("encoded", [True, False])
def test_a_client_reaches_the_model_that_it_names(encoded: bool) -> None:
    """Whatever a client leaves unencoded in a path; Kong decodes all but reserved characters before it compares."""
    models = "".join(
        f"    - {json.dumps({'name': n, 'targets': [{'provider': 'openai', 'model': 'm'}]})}\n" for n in NAMES
    )
    body = output(one(f"  models:\n{models}"), OSS)
    paths = [p.removeprefix("~") for s in body["services"] for r in s["routes"] for p in r["paths"]]
    assert len(paths) == len(NAMES) + 1
    for name, own in zip(NAMES, paths, strict=False):
        sent = f"/{quote(name, safe='/' if encoded else '/' + UNENCODED)}/v1/chat/completions"
        seen = re.sub("%([0-9A-F]{2})", _decoded, sent).encode("latin-1").decode()
        assert [p for p in paths if re.match(p, seen)] == [own], seen


UNENCODED = "!*'();:@&=+$,"
"""What RFC 3986 lets stand in a path, of the reserved characters."""


def _decoded(found: re.Match[str]) -> str:
    """As Kong's tools/uri.lua: reserved characters stay encoded."""
    c = chr(int(found[1], 16))
    return found[0] if c in "!*'();:@&=+$,/?%#[]" else c


def test_a_name_that_fits_no_path_is_refused() -> None:
    models = "".join(f"    - {{name: '{n}', targets: [{{provider: openai, model: m}}]}}\n" for n in ("good", "../up"))
    text = one(f"  models:\n{models}")
    assert "models.routing" in {x.feature.path for x in built(text, OSS).plan.losses if x.capability.support == "none"}
    assert [r["name"] for s in output(text, OSS)["services"] for r in s["routes"]] == ["g-good", "g-models"]


def test_models_with_other_times_have_a_service_of_their_own() -> None:
    services = output(kong_specs.TARGETS, OSS)["services"]
    times = [
        (s["connect_timeout"], s["read_timeout"], s["retries"], [r["name"] for r in s["routes"]]) for s in services
    ]
    assert times == [(500, 7000, 2, ["g-weighted", "g-models"]), (5000, 60000, 0, ["g-layered", "g-any"])]


def test_environment_has_what_kong_yml_cannot_hold() -> None:
    assert output(kong_specs.DOORS, OSS, "environment.yaml") == {
        "KONG_DATABASE": "off",
        "KONG_PROXY_LISTEN": "127.0.0.1:8080, 0.0.0.0:8081",
        "KONG_NGINX_PROXY_PROXY_SSL_VERIFY": "on",
        "KONG_NGINX_PROXY_PROXY_SSL_VERIFY_DEPTH": "5",
        "KONG_NGINX_PROXY_PROXY_SSL_TRUSTED_CERTIFICATE": "/etc/ssl/certs/ca-certificates.crt",
        "KONG_STATUS_LISTEN": "127.0.0.1:9090",
        "KONG_NGINX_HTTP_CLIENT_BODY_BUFFER_SIZE": "1048576",
        "KONG_PROXY_ACCESS_LOG": "off",
        "KONG_TRACING_INSTRUMENTATIONS": "all",
        "KONG_TRACING_SAMPLING_RATE": "0.5",
        "KONG_DECLARATIVE_CONFIG": "/kong/kong.rendered.yml",
    }


def test_secrets_are_rendered_beside_kong_yml(tmp_path: Path) -> None:
    """The key twice, with `Bearer ` and alone; a provider's header in one piece in the environment."""
    for document in built(one(), OSS).documents:
        (tmp_path / document.filename).write_text(text_of(document), "utf-8")
    secretfiles.write(tmp_path, {"consumer-me-0": "k1", "provider-openai": "k2"})
    rendered = yaml.safe_load((tmp_path / "kong.rendered.yml").read_text("utf-8"))
    assert [c["key"] for c in rendered["consumers"][0].pop("keyauth_credentials")] == ["Bearer k1", "k1"]
    assert rendered == yaml.safe_load((tmp_path / "kong.yml").read_text("utf-8"))
    environment = yaml.safe_load((tmp_path / "secrets/environment.yaml").read_text("utf-8"))
    assert environment == {"OPENAI_API_KEY_HEADER": "Bearer k2"}
    for name in ("kong.rendered.yml", "secrets/environment.yaml"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def on_route(text: str, profile: str, name: str, route: str) -> Any:
    return running(output(text, profile), name, route, "")


SENT: list[tuple[str, str, str, str, Any]] = [
    # profile, route, plugin, path in its config, value
    (EE, "g-chat", "ai-proxy-advanced", "targets/0/auth/azure_client_secret", "{vault://env/azure-secret}"),
    (EE, "g-chat", "ai-proxy-advanced", "targets/1/auth", {"azure_use_managed_identity": True}),
    (EE, "g-chat", "ai-proxy-advanced", "targets/0/model/options/temperature", 0.5),
    (EE, "g-chat", "ai-proxy-advanced", "targets/0/model/options/azure_deployment_id", "gpt-4o"),
    (EE, "g-chat", "ai-proxy-advanced", "targets/1/model/options/cache_read_cost", 1.25),
    (EE, "g-chat", "ai-proxy-advanced", "balancer/max_fails", 3),
    (EE, "g-chat", "ai-proxy-advanced", "balancer/fail_timeout", 20000),
    (EE, "g-chat", "ai-proxy-advanced", "model_name_header", True),
    (EE, "g-chat", "request-transformer", "add/body", ["user:us"]),
    (
        OSS,
        "g-chat",
        "response-transformer",
        "add/headers",
        ["deprecation:@1767225600", "sunset:Fri, 01 Jan 2027 00:00:00 GMT"],
    ),
    (OSS, "g-chat", "ai-proxy", "auth", None),
    (OSS, "g-chat", "request-transformer", "add/body", ["user:us"]),
    (
        OSS,
        "g-shaped",
        "ai-proxy",
        "model/options/upstream_url",
        "https://azure.internal:443/x/openai/deployments/gpt-4o/chat/completions",
    ),
    (OSS, "g-shaped", "request-transformer", "add/headers", ["x-team:research"]),
    (
        EE,
        "g-shaped",
        "ai-proxy-advanced",
        "targets/0/model/options/upstream_url",
        "https://api.mistral.ai:443/v1/chat/completions",
    ),
    (OSS, "g-shaped", "ai-request-transformer", "transformation_extract_pattern", "(*UTF)(?-im)(?i)\\{.*"),
    (OSS, "g-shaped", "ai-request-transformer", "http_timeout", 5000),
    (OSS, "g-google", "ai-request-transformer", "llm", None),
    (
        OSS,
        "g-google",
        "ai-proxy",
        "model",
        {"provider": "gemini", "name": "gemini-2.5-flash", "options": {"output_cost": 2}},
    ),
    (OSS, "g-raw", "ai-proxy", "auth/header_name", "x-secret"),
    (OSS, "g-raw", "ai-request-transformer", "llm/model/provider", "azure"),
    (OSS, "g-small", "ai-proxy", "route_type", "preserve"),
    (OSS, "g-small", "request-transformer", "add/body", ["model:text-embedding-3-small"]),
    (EE, "g-small", "ai-proxy-advanced", "genai_category", "text/embeddings"),
    (EE, "g-small", "ai-proxy-advanced", "targets/0/route_type", "llm/v1/embeddings"),
    (OSS, "g-none", "request-termination", "status_code", 503),
    (OSS, "g-deployments", "request-termination", "status_code", 503),
]


@pytest.mark.parametrize(("profile", "route", "name", "path", "want"), SENT)
def test_sends(profile: str, route: str, name: str, path: str, want: Any) -> None:
    config = on_route(kong_specs.SENT, profile, name, route)
    assert (part(config, path) if config else None) == want


def test_what_is_no_template_is_sent_as_a_text() -> None:
    """request-transformer fills in `$(...)`, so a text with it would run as code."""
    assert "$(" not in json.dumps([output(kong_specs.SENT, p) for p in (OSS, EE)])


def test_tls_of_listeners() -> None:
    body = output(kong_specs.EDGE, EE)
    shown = [(c["cert"], [s["name"] for s in c["snis"]]) for c in body["certificates"]]
    assert shown == [
        ("{vault://az/tls/crt}", ["ai.example.com", "*.ai.example.com"]),
        ("{vault://env/tls-cert}", ["*"]),
    ]
    assert all(s["certificate"] == {"id": c["id"]} for c in body["certificates"] for s in c["snis"])
    environment = output(kong_specs.EDGE, EE, "environment.yaml")
    assert environment["KONG_PROXY_LISTEN"] == "0.0.0.0:8443 ssl, 0.0.0.0:8444 ssl, 127.0.0.1:8080"
    assert environment["KONG_SSL_CIPHER_SUITE"] == "modern"
    assert environment["KONG_NGINX_PROXY_SSL_CLIENT_CERTIFICATE"] == "/run/ca.crt"
    # A listener trusts nobody, so nobody is trusted on the port of another.
    assert "KONG_TRUSTED_IPS" not in environment


def test_proxies_that_every_listener_trusts() -> None:
    two = "  listeners:\n" + "".join(
        f"    - {{name: {n}, port: {p}, trustedProxies: [{cidr}]}}\n"
        for n, p, cidr in (("a", 8080, "10.0.0.0/8"), ("b", 8081, "10.1.0.0/16"))
    )
    environment = output(one(more=two), OSS, "environment.yaml")
    assert environment["KONG_TRUSTED_IPS"] == "10.1.0.0/16"
    assert environment["KONG_REAL_IP_HEADER"] == "X-Forwarded-For"


def test_a_call_with_no_good_credential_is_refused_before_anything_else_runs() -> None:
    """Several doors are an "or": whoever comes through none is a consumer whom no address lets in."""
    for profile in (OSS, EE):
        body = output(kong_specs.EDGE, profile)
        for route in ("g-chat", "g-other", "g-models"):
            config = running(body, "ip-restriction", route, "nobody")
            assert config == {"deny": ["0.0.0.0/0", "::/0"], "status": 401, "message": "Unauthorized"}
        assert "nobody" in [c["username"] for c in body["consumers"]]


def test_where_the_only_door_is_lost_nobody_gets_in() -> None:
    text = spec(
        OPENAI
        + CHAT
        + "  auth: {jwt: [{name: a, issuer: 'https://i.example.com', jwksUri: 'https://i.example.com/k'}]}\n"
        + "  consumers: [{name: me}]\n"
    )
    body = output(text, OSS)
    assert plugin(body, "key-auth")["key_names"] == ["authorization"]
    assert all("keyauth_credentials" not in c for c in body["consumers"])
    assert "openid-connect" in {p["name"] for p, _, _ in plugins(output(text, EE))}


def test_browsers_may_ask_first() -> None:
    body = output(kong_specs.EDGE, OSS)
    routes = {r["name"]: r for s in body["services"] for r in s["routes"]}
    asked = {p for r in routes.values() if r["methods"] != ["OPTIONS"] for p in r["paths"]}
    assert set(routes["g-preflight"]["paths"]) == asked
    config = running(body, "request-termination", "g-preflight", "")
    assert config
    assert config["status_code"] == 405


def test_passwords_are_rendered(tmp_path: Path) -> None:
    for document in built(kong_specs.EDGE, OSS).documents:
        (tmp_path / document.filename).write_text(text_of(document), "utf-8")
    asked = secretfiles.read(tmp_path)
    secretfiles.write(tmp_path, {name: f"s-{name}" for name in secretfiles.placeholders(asked)})
    rendered = yaml.safe_load((tmp_path / "kong.rendered.yml").read_text("utf-8"))
    robot = next(c for c in rendered["consumers"] if c["username"] == "robot")
    assert [(x["username"], x["password"]) for x in robot["basicauth_credentials"]] == [
        ("robot", "s-consumer-robot-password-0")
    ]
    assert [x["key"] for x in robot["keyauth_credentials"]] == ["Bearer s-consumer-robot-0", "s-consumer-robot-0"]
    environment = yaml.safe_load((tmp_path / "secrets/environment.yaml").read_text("utf-8"))
    assert environment["RUN_TLS_KEY"] == "s-listener-other.tls-key"


LOST = [
    # spec, profile, feature, support, security
    (kong_specs.EXAMPLES["support-desk"], OSS, "models.fallback", Support.NONE, False),
    (kong_specs.EXAMPLES["support-desk"], OSS, "models.targets", Support.NONE, False),
    (kong_specs.EXAMPLES["support-desk"], OSS, "vaults", Support.NONE, False),
    (kong_specs.EXAMPLES["support-desk"], EE, "models.fallback.response", Support.NONE, False),
    (kong_specs.EXAMPLES["support-desk"], EE, "models.targets.weight", Support.PARTIAL, False),
    (kong_specs.PLACES, OSS, "policies.promptGuard", Support.PARTIAL, True),
    (one(more=GUARD % f"{{deny: [{'x' * 501}]}}"), OSS, "policies.promptGuard", Support.NONE, True),
    (one(more=GUARD % "{allow: [a]}"), EE, "policies.promptGuard", Support.PARTIAL, True),
    (kong_specs.COUNTED, EE, "policies.limits.requests", Support.NONE, False),
    (kong_specs.COUNTED, OSS, "policies.limits.per", Support.NONE, False),
    (kong_specs.EDGE, OSS, "auth.jwt", Support.NONE, True),
    (kong_specs.EDGE, EE, "auth.jwt.groupsClaim", Support.NONE, True),
    (kong_specs.EDGE, EE, "listeners.tls.clientCA", Support.PARTIAL, False),
    (kong_specs.EDGE, OSS, "auth", Support.PARTIAL, False),
    (kong_specs.SENT, EE, "policies.responseGuard", Support.NONE, True),
    (kong_specs.SENT, EE, "policies.cache", Support.NONE, False),
    (kong_specs.SENT, OSS, "providers.auth.azure", Support.NONE, False),
    (kong_specs.SENT, OSS, "providers.tls", Support.NONE, True),
    (kong_specs.SENT, OSS, "models.targets.parameters", Support.NONE, False),
    (kong_specs.SENT, EE, "models.capabilities=embeddings", Support.NONE, False),
    (kong_specs.SENT, EE, "policies.responseTransformer", Support.NONE, False),
    (kong_specs.MONEY, OSS, "policies.limits.cost", Support.NONE, False),
    (kong_specs.MONEY, EE, "policies.limits.onExceeded", Support.NONE, False),
    (kong_specs.MONEY, EE, "stores.onFailure", Support.PARTIAL, False),
    (
        one(more="  policies: {promptGuard: {deny: [x]}, requestTransformer: {model: chat, prompt: p}}\n"),
        EE,
        "policies.order",
        Support.PARTIAL,
        True,
    ),
]


@pytest.mark.parametrize(("text", "profile", "feature", "support", "security"), LOST)
def test_is_told(text: str, profile: str, feature: str, support: Support, security: bool) -> None:
    losses = built(text, profile).plan.losses
    assert (feature, support, security) in {(x.feature.path, x.capability.support, x.security) for x in losses}


def test_a_guard_that_does_not_fit_is_not_written_by_half() -> None:
    body = output(one(more=GUARD % f"{{deny: [short, {'x' * 501}]}}"), OSS)
    assert not [p for p, _, _ in plugins(body) if p["name"] == "ai-prompt-guard"]


def test_long_decorators() -> None:
    text = one(more=f"  policies: {{promptDecorator: {{prepend: [{{role: system, content: {'x' * 501}}}]}}}}\n")
    parts = plugin(output(text, OSS), "ai-prompt-decorator")["prompts"]["prepend"]
    assert [len(p["content"]) for p in parts] == [500, 1]
    assert plugin(output(text, EE), "ai-prompt-decorator")["prompts"]["prepend"][0]["content"] == "x" * 501
    many = ", ".join("{role: user, content: c}" for _ in range(16))
    text = one(more=f"  policies: {{promptDecorator: {{append: [{many}]}}}}\n")
    assert any(x.feature.path == "policies.promptDecorator" for x in built(text, EE).plan.losses)


WORDS = st.lists(st.sampled_from(["a", "é", "日", " ", "\n", "long" * 4]), min_size=1, max_size=60).map("".join)


@given(WORDS, st.integers(12, 40))
def test_a_long_message_becomes_several_between_words(text: str, longest: int) -> None:
    message = Message("system", text, ("x",))
    parts = [p.content for p in fits.pieces(message, longest)]
    assert all(0 < len(p.encode()) <= longest for p in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert {p.role for p in fits.pieces(message, longest)} <= {"system"}
    if len(text.encode()) <= longest:
        assert parts == [text]
    elif all(len(word.encode()) <= longest for word in text.split()):
        assert [word for p in parts for word in p.split()] == text.split()


def test_bytes_count_not_letters() -> None:
    """Lua counts bytes: 300 letters of two bytes are more than 500 (3.9.3, db/schema/init.lua)."""
    text = one(more=f"  policies: {{promptDecorator: {{prepend: [{{role: system, content: {'é' * 300}}}]}}}}\n")
    parts = plugin(output(text, OSS), "ai-prompt-decorator")["prompts"]["prepend"]
    assert [len(p["content"]) for p in parts] == [250, 50]
    text = one(more=GUARD % f"{{deny: ['{'é' * 300}']}}")
    assert any(x.feature.path == "policies.promptGuard" for x in built(text, OSS).plan.losses)


def test_slugs_differ_where_names_do() -> None:
    assert names.slugs(["a.b", "a/b", "A-B", "日本"]) == {"a.b": "a-b", "a/b": "a-b-2", "A-B": "a-b-3", "日本": "x"}


def test_access_names_a_group_that_nobody_else_can_be_in() -> None:
    text = kong_specs.PLACES.replace("{name: testers,", "{name: 'may-call:openai/gpt:4o',").replace(
        "groups: [staff, testers]", "groups: [staff, 'may-call:openai/gpt:4o']"
    )
    body = output(text, OSS)
    acl = running(body, "acl", "g-openai-gpt-4o", "")
    assert acl
    assert acl["allow"] == ["may-call:openai/gpt:4o+"]
    members = {c["username"] for c in body["consumers"] if {a["group"] for a in c.get("acls", ())} & set(acl["allow"])}
    assert members == {"both", "robot"}


def test_every_spec_here_is_valid() -> None:
    for name, text in kong_specs.ALL.items():
        assert compiler.check_text(text).gateway, name
