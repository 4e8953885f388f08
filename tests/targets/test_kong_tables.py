"""Kong's own tables in targets/kong/plugins: what they refuse, what they fill in; and the published schemas as the oracle."""

from __future__ import annotations

from typing import Any

import pytest

from aigw_compile import plugins, target

OPENAI = {"route_type": "llm/v1/chat", "model": {"provider": "openai", "name": "m"}}


def faults(name: str, config: Any, profile: str, *scopes: str) -> list[str]:
    found = plugins.check(name, config, target.release(profile), scopes)
    return [f"{'.'.join(map(str, f.path))}: {f.message}; {f.right}" for f in found]


CASES: list[tuple[str, str, Any, str]] = [
    ("ai-proxy", "oss-3.9", OPENAI | {"modle": 1}, "modle: there is no field `modle` here; did you mean `model`?"),
    ("ai-proxy", "enterprise-3.10", OPENAI | {"genai_category": "text/generation"}, "Enterprise 3.11 has it"),
    ("ai-proxy", "enterprise-3.12", OPENAI | {"model": {"provider": "xai"}}, "Enterprise 3.13 has it"),
    ("ai-proxy", "oss-3.9", OPENAI | {"model": {"provider": "azure"}}, "`model.options.azure_instance` is missing"),
    ("ai-proxy", "oss-3.9", OPENAI | {"auth": {"header_name": "x"}}, "stands without `header_value`"),
    ("ai-proxy", "oss-3.9", {"model": {"provider": "openai"}}, "route_type: `route_type` is missing"),
    ("ai-proxy", "oss-3.9", OPENAI | {"max_request_body_size": 0}, "0 is out of bounds; a whole number above 0"),
    ("ai-proxy", "oss-3.9", OPENAI | {"max_request_body_size": "8"}, "a text stands where a whole number must stand"),
    ("ai-proxy", "oss-3.9", OPENAI | {"model_name_header": 1}, "a number stands where true or false must stand"),
    ("ai-prompt-guard", "oss-3.9", {}, "none of `allow_patterns`, `deny_patterns` is set"),
    ("ai-prompt-guard", "oss-3.9", {"deny_patterns": ["x"] * 11}, "a list of 11 is too long; 0 to 10 items"),
    ("ai-prompt-guard", "oss-3.9", {"deny_patterns": ["é" * 300]}, "a text of 600 bytes is too long; 1 to 500 bytes"),
    ("rate-limiting", "oss-3.9", {"second": 5, "hour": 2}, "hour: `hour` is 2, lower than `second`, 5; 5 or more"),
    ("rate-limiting", "oss-3.9", {"second": 5, "limit_by": "consumer-group"}, "only Enterprise has it"),
    ("rate-limiting", "oss-3.9", {"second": 5, "policy": "redis"}, "`redis.host` is missing where `policy` is redis"),
    ("acl", "oss-3.9", {"allow": ["a"], "deny": ["b"]}, "`allow`, `deny` are set together"),
    ("ip-restriction", "oss-3.9", {"allow": ["300.1.1.1"]}, "is no IP address or range"),
]


@pytest.mark.parametrize(("name", "profile", "config", "said"), CASES)
def test_what_is_refused(name: str, profile: str, config: Any, said: str) -> None:
    found = faults(name, config, profile)
    assert any(said in one for one in found), found


REFERENCES: list[tuple[Any, str]] = [
    ({"auth": {"header_name": "a", "header_value": "{vault://env/key}"}}, ""),
    ({"auth": {"header_name": "a", "header_value": "Bearer {vault://env/key}"}}, "only a part of this text"),
    ({"auth": {"header_name": "a", "header_value": {"vault://env/key": None}}}, "unquoted reference"),
    ({"model": {"provider": "openai", "name": "{vault://env/key}"}}, "resolves no reference"),
    ({"model": {"provider": "openai", "name": "a{vault://env/key}"}}, "resolves no reference"),
]


@pytest.mark.parametrize(("more", "said"), REFERENCES)
def test_references_that_kong_would_not_resolve(more: Any, said: str) -> None:
    found = faults("ai-proxy", OPENAI | more, "oss-3.9")
    assert all(said in one for one in found), found
    assert bool(found) == bool(said)


def test_scopes() -> None:
    assert "may not stand at a consumer" in faults("key-auth", {}, "oss-3.9", "consumer")[0]
    assert faults("key-auth", {}, "oss-3.9", "route", "service") == []
    assert "may not stand at a consumer group" in faults("rate-limiting", {"day": 1}, "oss-3.9", "consumer_group")[0]
    assert faults("rate-limiting", {"day": 1}, "enterprise-3.10", "consumer_group") == []


def test_what_is_secret_and_what_may_be_a_reference() -> None:
    assert plugins.secret("ai-proxy", ("auth", "header_value"))
    assert not plugins.secret("ai-proxy", ("auth", "header_name"))
    assert plugins.referenceable("ai-proxy", ("auth", "header_name"))
    assert not plugins.referenceable("ai-proxy", ("model", "name"))
    assert plugins.is_set("routes", "", ("methods",))
    assert not plugins.is_set("routes", "", ("paths",))


def test_defaults_by_release() -> None:
    def of(profile: str) -> dict[str, Any]:
        return plugins.filled("ai-proxy", OPENAI, target.release(profile))

    assert of("oss-3.9")["max_request_body_size"] == 8192
    assert of("enterprise-3.13")["max_request_body_size"] == 1048576
    assert of("oss-3.9")["logging"] == {"log_statistics": False, "log_payloads": False}
    assert "auth" not in of("oss-3.9")
    service = plugins.entity_filled("services", {"name": "a", "host": "b"}, target.release("oss-3.9"))
    assert (service["port"], service["retries"]) == (80, 5)
    plugin = plugins.entity_filled("plugins", {"name": "ip-restriction"}, target.release("oss-3.9"))
    assert "tcp" in plugin["protocols"]


def test_an_unknown_plugin_is_left_alone() -> None:
    assert not plugins.known("no-such")
    assert faults("no-such", {"a": 1}, "oss-3.9") == []
    assert plugins.filled("no-such", {"a": 1}, target.release("oss-3.9")) == {"a": 1}
