"""Gateways for the Kong tests, as YAML: each shows something that Kong does in its own way."""

from __future__ import annotations

import pytest

from aigw_compile.project import TargetChoice
from tests import support

PROFILES = ("oss-3.9", "enterprise-3.15")

HEAD = "apiVersion: aigw.dev/v1alpha1\nkind: AIGateway\nmetadata: {name: g}\nspec:\n"
OPENAI = "  providers: [{name: openai, type: openai, auth: {apiKey: {env: OPENAI_API_KEY}}}]\n"
KEYS = "  auth: {apiKey: {headers: [authorization, x-api-key]}}\n"


def spec(body: str) -> str:
    """Return a whole document for the lines of a `spec`."""
    return HEAD + body


PLACES = spec(
    OPENAI
    + KEYS
    + r"""
  models:
    - name: chat
      targets: [{provider: openai, model: gpt-4o}]
      policies:
        promptGuard: {deny: ['model\.word'], roles: [user]}
        promptDecorator: {prepend: [{role: system, content: of the model}], append: [{role: user, content: end of model}]}
    - name: openai/gpt:4o
      aliases: [grüße]
      targets: [{provider: openai, model: gpt-4o}]
      access: {allow: {groups: [staff], consumers: [robot]}, deny: {consumers: [guest]}}
  consumerGroups:
    - name: staff
      policies:
        promptGuard: {deny: ['(?i)staff secret']}
        limits: [{name: staff-rpm, per: minute, requests: 30}]
        promptDecorator: {prepend: [{role: developer, content: of the group}]}
    - {name: testers, policies: {limits: [{name: tests, per: minute, requests: 20}, {name: all-day, per: day, requests: 500}]}}
  consumers:
    - {name: both, groups: [staff, testers], credentials: [{apiKey: {env: BOTH_KEY}}, {apiKey: {file: /run/keys/both}}]}
    - {name: guest, groups: [staff], credentials: [{apiKey: {env: GUEST_KEY}}]}
    - name: robot
      credentials: [{apiKey: {env: ROBOT_KEY}}]
      policies:
        limits: [{name: own, per: hour, requests: 40}]
        promptGuard: {deny: [robot], allow: ['^ok', 'fine$']}
    - {name: plain, credentials: [{apiKey: {env: PLAIN_KEY}}]}
  policies:
    promptGuard: {deny: ['\bcard\s+number\b']}
    promptDecorator: {prepend: [{role: system, content: of the gateway}], append: [{role: user, content: end of gateway}]}
    limits: [{name: rpm, by: [consumer], per: minute, requests: 60}, {name: month, by: [consumer], per: month, requests: 5000}]
"""
)
"""Policies at every place, a consumer in two groups, access by name, names with reserved letters."""

COUNTED = spec(
    OPENAI
    + KEYS
    + """
  models:
    - name: chat
      targets: [{provider: openai, model: chat}]
      policies: {limits: [{name: model-rpm, per: minute, requests: 100}]}
    - {name: other, targets: [{provider: openai, model: other}], policies: {limits: [{name: weekly, per: week, requests: 700}]}}
  consumerGroups: [{name: team, policies: {limits: [{name: shared, by: [group], per: hour, tokens: 9000}]}}]
  consumers:
    - {name: one, groups: [team], credentials: [{apiKey: {env: ONE_KEY}}]}
    - {name: two, groups: [team], credentials: [{apiKey: {env: TWO_KEY}}]}
  policies:
    limits:
      - {name: each, by: [consumer], per: minute, requests: 10, tokens: 1000}
      - {name: together, per: day, requests: 100000}
"""
)
"""Limits that count by different things, so that no one instance can hold them all."""

TARGETS = spec(
    """
  vaults:
    - {name: env, type: env, env: {prefix: AIGW_}}
    - name: hv
      type: hashicorp
      hashicorp:
        {address: "https://vault.internal:8200", mount: kv, namespace: ai, auth: {method: kubernetes, role: kong}}
      refresh: 2m
    - {name: s3, type: aws, aws: {region: eu-west-1, endpointUrl: "http://localstack:4566"}}
  providers:
    - {name: openai, type: openai, auth: {apiKey: {vault: env, key: openai-key}}}
    - {name: claude, type: anthropic, auth: {apiKey: {vault: hv, key: llm/claude, property: key, version: "2"}}}
    - {name: proxy, type: anthropic, baseUrl: "http://claude.internal/api/v1", auth: {apiKey: {vault: s3, key: llm/two}}}
    - {name: pool, type: vllm, baseUrl: "http://[fd00::1]/v1", auth: {apiKey: {file: /run/pool-key}}}
    - {name: kube, type: openai-compatible, baseUrl: "https://llm.internal/v1", auth: {apiKey: {kubernetes: {name: llm, key: api}}}}
  models:
    - name: weighted
      targets:
        - {name: a, provider: openai, model: gpt-4o, weight: 3}
        - {name: b, provider: claude, model: claude-sonnet-4-5, weight: 2}
        - {name: never, provider: pool, model: llama, weight: 0}
      retries: {attempts: 2, on: [connect-failure, auth-error]}
      timeouts: {connect: 500ms, firstByte: 7s, idle: 3s, request: 0s}
    - name: layered
      targets:
        - {name: a, provider: proxy, model: claude-haiku-4-5, priority: 5}
        - {name: b, provider: pool, model: llama, priority: 9, weight: 4}
        - {name: c, provider: kube, model: qwen, priority: 9, weight: 6}
      fallback: {on: [overloaded, timeout], response: {status: 503, content: later}}
    - {name: any, targets: [{provider: pool, model: "*"}]}
  auth: {anonymous: true}
  observability:
    operations: {address: 0.0.0.0, port: 9901}
    metrics: {prometheus: {}}
    accessLog: {format: text, payloads: true}
"""
)
"""Weights, priorities, every kind of reference, nobody known."""

DOORS = spec(
    OPENAI
    + """
  listeners:
    - {name: a, port: 8080, address: 127.0.0.1, hostnames: [llm.example.com, "*.llm.example.com"], basePath: /a.b, maxBodySize: 2Mi}
    - {name: b, port: 8081, hostnames: [other.example.com], maxBodySize: 1Mi}
  models:
    - name: gpt-4o
      targets: [{provider: openai, model: gpt-4o}]
      policies: {promptGuard: {allow: [weather], scope: last, roles: [user]}}
  auth: {apiKey: {headers: [X-Key]}}
  consumers: [{name: only, credentials: [{apiKey: {env: ONLY_KEY}}]}]
  observability: {tracing: {otlp: {endpoint: "http://otel:4318/", sampling: 0.5}}, accessLog: {payloads: true}}
  deployment: {replicas: 3}
"""
)
"""Several listeners, a model that has the same name everywhere, an allow list on the last message."""

SHARED = spec(
    OPENAI
    + KEYS
    + """
  models:
    - {name: chat, targets: [{provider: openai, model: chat}], access: {deny: {groups: [team]}}}
    - {name: b, targets: [{provider: openai, model: b}]}
  consumerGroups:
    - {name: team, policies: {limits: [{name: shared, by: [group], per: week, requests: 9000, tokens: 80000}]}}
    - {name: nobody, policies: {limits: [{name: unused, per: day, requests: 3}]}}
  consumers:
    - {name: one, groups: [team], credentials: [{apiKey: {env: ONE_KEY}}]}
    - {name: two, groups: [team], credentials: [{apiKey: {env: TWO_KEY}}]}
    - {name: three, credentials: [{apiKey: {env: THREE_KEY}}]}
"""
)
"""A counter that the members of a group share, a group without members, access by deny."""

ALL = {"places": PLACES, "counted": COUNTED, "targets": TARGETS, "doors": DOORS, "shared": SHARED}
EXAMPLES = {f.name: (f / "gateway.yaml").read_text("utf-8") for f in support.EXAMPLES}
SPECS = {**EXAMPLES, **ALL}
CHOICES = {profile: TargetChoice("kong", profile, {}) for profile in PROFILES}
CASES = [pytest.param(name, profile, id=f"{name}-{profile}") for name in SPECS for profile in PROFILES]
