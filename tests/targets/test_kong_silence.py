"""The law of silence for Kong, on specs that use everything, in the profiles that tell."""

from __future__ import annotations

import pytest

from aigw_compile.source import parse
from tests.silence import silent
from tests.targets.kong_specs import CHOICES, SPECS, TELLING, TELLING_CASES


@pytest.mark.parametrize(("name", "profile"), TELLING_CASES)
def test_changing_anything_changes_an_output_or_is_named(name: str, profile: str) -> None:
    assert silent(parse(SPECS[name], "gateway.yaml")[0][0].data, CHOICES[profile]) == set()


HEAD = "apiVersion: aigw.dev/v1alpha1\nkind: AIGateway\nmetadata: {name: g}\nspec:\n"
HEAD += "  listeners: [{name: l, address: 127.0.0.1, port: 8080}]\n"
ONE = "  providers: [{name: p, type: openai, auth: {apiKey: {env: KEY}}}]\n  models: [{name: m, targets: [{provider: p, model: x}]}]\n"
WITHOUT_USE = {
    "a vault of a target that is left out": """
  auth: {anonymous: true}
  vaults: [{name: v, type: aws, aws: {region: eu-west-1}, refresh: 5m}]
  providers: [{name: p, type: openai, auth: {apiKey: {vault: v, key: a}}}, {name: q, type: openai, auth: {apiKey: {env: KEY}}}]
  models: [{name: m, targets: [{provider: q, model: x, weight: 2}, {provider: p, model: "*"}]}]
""",
    "a model that has no route": """
  auth: {anonymous: true}
  providers: [{name: p, type: openai, auth: {apiKey: {env: KEY}}}]
  models: [{name: e, capabilities: [embeddings], targets: [{provider: p, model: x, pricing: {input: 1, output: 0}}]}]
  policies: {promptGuard: {deny: [secret]}}
""",
    "one of two memories": f"""
  auth: {{anonymous: true}}
  stores: [{{name: a}}, {{name: b}}]
  policies: {{limits: [{{name: n, per: minute, requests: 5}}], limitStore: b}}
{ONE}""",
    "a fallback to an answer alone": """
  auth: {anonymous: true}
  providers: [{name: p, type: openai, auth: {apiKey: {env: KEY}}}]
  models: [{name: m, fallback: {on: [timeout, rate-limited], response: {content: x}}, targets: [{provider: p, model: x}]}]
""",
    "a cache for nothing": """
  auth: {anonymous: true}
  providers: [{name: p, type: openai, auth: {apiKey: {env: KEY}}}]
  models: [{name: m, targets: [{provider: p, model: x, pricing: {input: 1, output: 0, cacheRead: 0, cacheWrite: 0}}]}]
""",
    "a guard of users among others": f"""
  auth: {{anonymous: true}}
  policies: {{promptGuard: {{deny: [x], roles: [tool, user]}}}}
{ONE}""",
    "a limit that says where it stands": f"""
  auth: {{apiKey: {{headers: [x-api-key]}}}}
  consumers:
    - name: c
      credentials: [{{apiKey: {{env: C}}}}]
      policies: {{limits: [{{name: n, by: [consumer, gateway], per: minute, requests: 5}}]}}
{ONE}""",
    "a key for a door that is not there": f"""
  auth: {{jwt: [{{name: j, issuer: "https://i.test", jwksUri: "https://i.test/keys", audiences: [a]}}]}}
  consumers: [{{name: c, credentials: [{{apiKey: {{env: C}}}}]}}]
{ONE}""",
}


@pytest.mark.parametrize("profile", TELLING)
@pytest.mark.parametrize("name", WITHOUT_USE)
def test_what_a_loss_leaves_without_use_is_named(name: str, profile: str) -> None:
    assert silent(parse(HEAD + WITHOUT_USE[name], "gateway.yaml")[0][0].data, CHOICES[profile]) == set()
