"""What is built for each version of Kong Enterprise: nothing that a later version brought, and nothing that an earlier one lost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest

from aigw_compile import plugins as tables
from aigw_compile.kongblocks import EDITIONS
from aigw_compile.target import manifest, release
from tests import support
from tests.targets.kong_specs import CASES, CHOICES, KEYS, OPENAI, SPECS, spec
from tests.targets.test_kong import built, output, plugins, running


class Step(NamedTuple):
    """A line of version-diff.txt: what a version did to a field of a plugin."""

    version: tuple[int, ...]
    sign: str
    """`+` it came, `-` it went, `~` it changed."""
    field: str
    before: str = ""
    after: str = ""


@cache
def history() -> dict[str, tuple[Step, ...]]:
    """Plugin (in small letters, without `-`) -> what each version changed of its configuration."""
    shared = support.shared()
    if not shared:
        pytest.skip("needs the shared folder")
    found: dict[str, list[Step]] = {}
    name = ""
    for line in (shared / "upstream/kong/version-diff.txt").read_text("utf-8").splitlines():
        if line.startswith("## "):
            name = line[3:].lower()
        elif match := re.match(r"  (3\.\d+) ([+~-]) (.*)", line):
            version, sign, rest = release(f"x-{match[1]}").version, match[2], match[3]
            if sign == "~":
                field, _, change = rest.partition(": ")
                before, _, after = change.partition(" -> ")
                found.setdefault(name, []).append(Step(version, sign, field, before, after))
            else:
                found.setdefault(name, []).extend(Step(version, sign, field) for field in rest.split(", "))
    return {name: tuple(steps) for name, steps in found.items()}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a configuration, as `targets[].model.name`, with its value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            here = f"{path}.{key}" if path else key
            yield here, inner
            yield from leaves(inner, here)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, f"{path}[]")


def wrong(plugin: str, config: Any, version: tuple[int, ...]) -> Iterator[str]:
    """What of a configuration a version has not, not yet or no more, as far as later or earlier changes tell."""
    steps = history().get(plugin.replace("-", ""), ())
    for field, value in leaves(config):
        mine = [s for s in steps if s.field in (field, f"{field}[]")]
        came_or_went = [s for s in mine if s.sign != "~"]
        before = [s for s in came_or_went if s.version <= version]
        after = [s for s in came_or_went if s.version > version]
        if (before and before[-1].sign == "-") or (not before and after and after[0].sign == "+"):
            yield f"{field} is not there"
        changes = [s for s in mine if s.sign == "~"]
        valid = next((s.before for s in changes if s.version > version), changes[-1].after if changes else "")
        choice = re.search(r"\{([^}]*)\}", valid)
        for one in value if isinstance(value, list) else [value]:
            if choice and isinstance(one, str) and one not in choice[1].split("|"):
                yield f"{field}: {one} is not one of {choice[1]}"
        longest = re.search(r"maxLength=(\d+)", valid)
        if longest and isinstance(value, str) and len(value.encode()) > int(longest[1]):
            yield f"{field} is longer than {longest[1]}"
        kind = valid.split("<")[0].split(" ")[0]
        if kind in ("array", "number", "integer", "string") and not isinstance(value, _KINDS[kind]):
            yield f"{field} is no {kind}"


_KINDS: dict[str, Any] = {"array": list, "number": (int, float), "integer": int, "string": str}


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_each_version_gets_what_it_has(name: str, profile: str) -> None:
    version = release(profile).version
    found = [
        (p["name"], fault)
        for p, _, _ in plugins(output(SPECS[name], profile))
        for fault in wrong(p["name"], p["config"], version)
    ]
    assert found == []


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_our_own_tables_take_it(name: str, profile: str) -> None:
    for p, route, consumer in plugins(output(SPECS[name], profile)):
        scopes = {scope for scope, where in (("route", route), ("consumer", consumer)) if where}
        assert tables.known(p["name"])
        assert [*tables.check(p["name"], p["config"], release(profile), scopes)] == [], p["name"]


def test_the_oracle_sees_what_is_too_new_and_what_is_gone() -> None:
    old = (3, 10)
    assert [*wrong("ai-proxy-advanced", {"balancer": {"max_fails": 1}}, old)] == ["balancer.max_fails is not there"]
    assert [*wrong("ai-proxy-advanced", {"balancer": {"max_fails": 1}}, (3, 13))] == []
    assert [*wrong("ai-proxy", {"llm_format": "anthropic"}, (3, 12))]
    assert [*wrong("openid-connect", {"consumer_claim": ["sub"]}, (3, 14))] == ["consumer_claim is not there"]
    assert [*wrong("openid-connect", {"consumer_claim": ["sub"]}, (3, 13))] == []
    assert [*wrong("ai-rate-limiting-advanced", {"llm_providers": [{"limit": 5}]}, old)]
    assert [*wrong("ai-prompt-decorator", {"prompts": {"append": [{"content": "x" * 501}]}}, (3, 9))]


def test_editions_are_the_profiles() -> None:
    assert [*EDITIONS] == [*manifest("kong").profiles]


CLAUDE = """
  providers:
    - {name: c, type: anthropic, auth: {apiKey: {env: CLAUDE}}}
    - {name: o, type: openai, auth: {apiKey: {env: O}}}
"""
TWO_DOORS = spec(
    CLAUDE
    + KEYS
    + """
  models:
    - name: claude
      targets: [{provider: c, model: claude-sonnet-4-5}, {provider: c, model: claude-haiku-4-5, weight: 2}]
      policies:
        limits: [{name: own, by: [model], per: minute, requests: 5, tokens: 50}, {name: hourly, by: [ip], per: hour, requests: 9}]
    - {name: mixed, targets: [{provider: c, model: claude-sonnet-4-5}, {provider: o, model: gpt-4o, priority: 1}]}
    - {name: claude-messages, targets: [{provider: o, model: gpt-4o}]}
  consumers: [{name: me, credentials: [{apiKey: {env: ME}}]}]
  policies:
    promptGuard: {deny: [secret]}
    promptDecorator: {prepend: [{role: system, content: be kind}]}
"""
)


def routes(body: Any) -> dict[str, dict[str, Any]]:
    return {r["name"]: r for s in body["services"] for r in s["routes"]}


def test_the_door_of_anthropics_clients() -> None:
    """From 3.13, for a model whose every target speaks their dialect; every plugin that reads a body is told of it."""
    for profile in CHOICES:
        body = output(TWO_DOORS, profile)
        known = release(profile)
        found = {name for name, r in routes(body).items() if any("/v1/messages" in path for path in r["paths"])}
        assert found == ({"g-claude-messages-2"} if known.family == "enterprise" and known.has("3.13") else set())
    body = output(TWO_DOORS, "enterprise-3.13")
    assert routes(body)["g-claude-messages-2"]["paths"] == ["~/claude/v1/messages$"]
    told = {p["name"]: p["config"].get("llm_format") for p in routes(body)["g-claude-messages-2"]["plugins"]}
    readers = ("ai-proxy-advanced", "ai-prompt-guard", "ai-prompt-decorator", "ai-rate-limiting-advanced")
    assert {name for name, value in told.items() if value} == set(readers)
    assert "ai-prompt-guard" in {p["name"] for p in routes(body)["g-claude"]["plugins"]}
    assert not [p for p in routes(body)["g-claude"]["plugins"] if "llm_format" in p["config"]]


def test_the_doors_of_a_model_share_a_counter() -> None:
    for profile in ("enterprise-3.13", "enterprise-3.15"):
        body = output(TWO_DOORS, profile)
        for plugin in ("rate-limiting-advanced", "ai-rate-limiting-advanced"):
            one, two = (running(body, plugin, route, "me") for route in ("g-claude", "g-claude-messages-2"))
            assert one
            assert two
            assert one["namespace"] == two["namespace"]
        lost = [x for x in built(TWO_DOORS, profile).plan.losses if "for itself" in x.capability.note]
        assert [x.place for x in lost] == ["models[claude].policies.limits[hourly]"]


TOKENS = spec(
    CLAUDE
    + KEYS
    + """
  models:
    - {name: a, targets: [{provider: c, model: claude-sonnet-4-5}, {provider: o, model: gpt-4o, priority: 1}]}
    - {name: b, targets: [{provider: o, model: gpt-4o}]}
  consumerGroups: [{name: team, policies: {limits: [{name: shared, by: [group], per: day, tokens: 700}]}}]
  consumers: [{name: me, credentials: [{apiKey: {env: ME}}], groups: [team]}]
"""
)


def test_tokens_before_there_were_policies() -> None:
    body = output(TOKENS, "enterprise-3.11")
    config = running(body, "ai-rate-limiting-advanced", "g-a", "me")
    assert config == {
        "llm_providers": [
            {"name": "anthropic", "limit": [700], "window_size": [86400]},
            {"name": "openai", "limit": [700], "window_size": [86400]},
        ],
        "tokens_count_strategy": "total_tokens",
        "window_type": "fixed",
        "identifier": "service",
        "namespace": "g-tokens-group-team",
        "strategy": "local",
    }
    notes = [x.capability.note for x in built(TOKENS, "enterprise-3.11").plan.losses]
    assert any("as many times as its models have kinds; 3.14 counts them together" in note for note in notes)
    assert not any(
        "as its models have kinds" in x.capability.note for x in built(TOKENS, "enterprise-3.14").plan.losses
    )
    lost = [x for x in built(TOKENS, "enterprise-3.10").plan.losses if x.capability.support == "none"]
    assert [(x.place, "3.11 has a namespace" in x.capability.note) for x in lost] == [
        ("consumerGroups[team].policies.limits[shared]", True)
    ]
    assert running(output(TOKENS, "enterprise-3.10"), "ai-rate-limiting-advanced", "g-a", "me") is None


SEVERAL = "  policies: {limits: [{name: a, by: [ip, consumer], per: day, requests: 5, tokens: 70}]}\n"
ONE = """
  models: [{name: chat, targets: [{provider: openai, model: gpt-4o}]}]
  consumers: [{name: me, credentials: [{apiKey: {env: ME}}]}]
"""


def test_several_things_counted_at_once() -> None:
    text = spec(OPENAI + KEYS + ONE + SEVERAL)
    config = running(output(text, "enterprise-3.15"), "rate-limiting-advanced", "g-chat", "me")
    assert config
    assert config["compound_identifier"] == ["consumer", "ip"]
    tokens = running(output(text, "enterprise-3.14"), "ai-rate-limiting-advanced", "g-chat", "me")
    assert tokens
    assert tokens["policies"][0]["match"] == [
        {"type": "consumer", "partition_by": True},
        {"type": "ip", "partition_by": True},
    ]
    assert running(output(text, "enterprise-3.13"), "ai-rate-limiting-advanced", "g-chat", "me") is None
    assert running(output(text, "oss-3.9"), "rate-limiting", "g-chat", "me") is None


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_names_and_tags_everywhere_and_no_ids(name: str, profile: str) -> None:
    """A certificate has no name, and decK asks for its id; a server name names it again (README)."""
    body = output(SPECS[name], profile)
    for kind in ("services", "consumers", "vaults", "plugins", "certificates"):
        for entity in body.get(kind, ()):
            nested = [x for key in ("routes", "plugins", "acls", "snis") for x in entity.get(key, ())]
            nested += [x for route in entity.get("routes", ()) for x in route["plugins"]]
            for one in (entity, *nested):
                assert one["tags"][:2] == ["managed-by-aigw-compile", f"aigw-gateway:{_name(name)}"], one
                assert "id" not in one or "cert" in one


def _name(name: str) -> str:
    text = SPECS[name]
    return re.search(r'"?metadata"?: \{"?name"?: "?([^",}]*)', text)[1]  # type: ignore[index]


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_no_plugin_keeps_its_own_idea_of_how_large_a_body_is(name: str, profile: str) -> None:
    """8 KiB in 3.9 and up to 3.12: whatever reads a body is told of maxBodySize."""
    shared = support.shared()
    if not shared:
        pytest.skip("needs the shared folder")
    for p, _, _ in plugins(output(SPECS[name], profile)):
        if p["name"].startswith("ai-") and "max_request_body_size" in _fields(p["name"]):
            assert p["config"]["max_request_body_size"] > 0


@cache
def _fields(plugin: str) -> frozenset[str]:
    shared = support.shared()
    assert shared
    found = (
        p for p in (shared / "upstream/kong/plugins-3.15").glob("*.json") if p.stem.lower() == plugin.replace("-", "")
    )
    return frozenset(json.loads(next(found).read_text("utf-8"))["properties"]["config"]["properties"])


MONEY = spec(
    OPENAI
    + KEYS
    + """
  stores: [{name: r, type: redis, redis: {address: "redis.internal:6379"}, onFailure: open}]
  models:
    - {name: any, targets: [{provider: openai, model: "*", pricing: {input: 1, output: 2}}]}
    - {name: chat, targets: [{provider: openai, model: gpt-4o}]}
  consumers: [{name: me, credentials: [{apiKey: {env: ME}}]}]
  policies: {limits: [{name: budget, by: [consumer], per: month, cost: 5}], limitStore: r}
"""
)


def test_money_is_counted_in_parts_of_a_dollar() -> None:
    for profile in ("enterprise-3.11", "enterprise-3.15"):
        config = running(output(MONEY, profile), "ai-rate-limiting-advanced", "g-chat", "me")
        assert config
        assert config["decrease_by_fractions_in_redis"] is True
    lost = [x.place for x in built(MONEY, "enterprise-3.10").plan.losses if x.capability.support == "none"]
    assert lost == ["policies.limits[budget]"]
    assert running(output(MONEY, "enterprise-3.10"), "ai-rate-limiting-advanced", "g-chat", "me") is None


def test_names_that_are_passed_on_cost_nothing_before_3_13() -> None:
    for profile, told in (("enterprise-3.11", True), ("enterprise-3.12", True), ("enterprise-3.13", False)):
        notes = [x.capability.note for x in built(MONEY, profile).plan.losses]
        assert any("costs nothing where the client's own name" in note for note in notes) is told
