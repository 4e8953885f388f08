"""Gateways for the Kong tests, as YAML: each shows something that Kong does in its own way."""

from __future__ import annotations

import pytest

from aigw_compile.project import TargetChoice
from aigw_compile.target import manifest
from tests import support

PROFILES = (*manifest("kong").profiles,)

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

EDGE = spec(
    OPENAI
    + """
  vaults:
    - {name: az, type: azure, azure: {vaultUrl: "https://v.vault.azure.net", tenantId: t, clientId: c}, refresh: 90s}
    - {name: gc, type: gcp, gcp: {projectId: my-project}}
  listeners:
    - name: public
      port: 8443
      hostnames: [ai.example.com, "*.ai.example.com"]
      tls: {certificate: {vault: az, key: tls, property: crt}, key: {vault: gc, key: tls-key}, minVersion: "1.3", clientCA: {file: /run/ca.crt}}
      trustedProxies: [10.0.0.0/8, "fd00::/8"]
      cors: {origins: ["https://app.example.com"], maxAge: 1h}
    - name: other
      port: 8444
      tls: {certificate: {env: Tls_Cert}, key: {file: /run/tls.key}}
      trustedProxies: [10.1.0.0/16]
      cors: {origins: ["https://c.example.com", "https://b.example.com"], methods: [POST], headers: [X-A], credentials: true, maxAge: 10s}
    - {name: inside, port: 8080, address: 127.0.0.1, hostnames: [inside.example.com]}
  auth:
    apiKey: {headers: [authorization, x-api-key]}
    basic: {}
    jwt:
      - name: entra
        issuer: https://login.example.com/
        audiences: [ai, ai-two]
        jwksUri: https://login.example.com/keys
        consumerClaim: azp
        groupsClaim: groups
        groupMap: {4e0c: staff}
        unknownConsumer: accept
      - {name: second, issuer: "https://two.example.com/", jwksUri: "https://two.example.com/keys", audiences: [a b]}
  models:
    - name: chat
      targets: [{provider: openai, model: gpt-4o}]
      policies: {ipRestriction: {allow: [10.0.0.0/8, 192.168.0.0/16]}}
    - {name: other, targets: [{provider: openai, model: gpt-4o-mini}]}
  consumerGroups: [{name: staff, policies: {ipRestriction: {allow: [10.1.0.0/16]}}}]
  consumers:
    - name: robot
      credentials: [{basic: {username: robot, password: {env: ROBOT_PASSWORD}}}, {apiKey: {env: ROBOT_KEY}}]
      policies: {ipRestriction: {allow: [172.16.0.0/12]}}
    - {name: person, groups: [staff], credentials: [{basic: {username: person, password: {file: /run/person}}}]}
  policies: {ipRestriction: {deny: [10.0.0.7, "2001:db8::/32"]}}
"""
)
"""TLS, proxies, browsers, addresses at every place, and three doors at once."""

SENT = spec(
    """
  providers:
    - name: azure
      type: azure-openai
      azure: {instance: my-res, apiVersion: "2024-10-21"}
      auth: {azure: {tenantId: t, clientId: c, clientSecret: {env: AZURE_SECRET}}}
      region: eu-west-1
    - {name: managed, type: azure-openai, azure: {instance: two}, auth: {azure: {managedIdentity: true}}, region: eu-west-2}
    - name: private
      type: azure-openai
      azure: {instance: three}
      baseUrl: https://azure.internal/x
      auth: {apiKey: {env: AZURE_KEY}}
      headers: {x-team: research}
      region: eu-north
      tls: {ca: {file: /run/ca.crt}, serverName: azure.example.com, clientCertificate: {file: /run/c.crt}, clientKey: {file: /run/c.key}}
    - {name: gemini, type: gemini, auth: {apiKey: {env: GEMINI_KEY}}}
    - {name: gemini-elsewhere, type: gemini, baseUrl: "https://g.internal/v1beta", auth: {apiKey: {env: GEMINI_KEY}}}
    - {name: mistral, type: mistral, auth: {apiKey: {env: MISTRAL_KEY}}, headers: {x-org: {env: ORG}, x-team: research}, region: eu}
    - {name: groq, type: groq, auth: {apiKey: {env: GROQ_KEY}}}
    - {name: plain, type: openai-compatible, baseUrl: "http://llm.internal/v1", headers: {x-secret: {file: /run/secret}, x-b: "$(x)"}}
    - {name: claude, type: anthropic, auth: {apiKey: {env: CLAUDE_KEY}}}
  models:
    - name: chat
      aliases: [old-chat]
      residency: [eu]
      targets:
        - {name: a, provider: azure, model: gpt-4o, parameters: {overrides: {temperature: 0.5, max_tokens: 300, user: us, seed: 7}, defaults: {service_tier: flex, top_p: 0.4}, maximum: {max_tokens: 5}}}
        - {name: b, provider: managed, model: gpt-4o-mini, weight: 3, onUnsupported: drop, pricing: {input: 2.5, output: 10, cacheRead: 1.25, cacheWrite: 3}, parameters: {overrides: {user: us}}}
      loadBalancing: {algorithm: round-robin}
      health: {failures: 3, window: 10s, cooldown: 20s}
      lifecycle: {deprecated: "2026-01-01", sunset: "2027-01-01", replacedBy: shaped}
      onDisconnect: drain
      exposeTarget: true
    - name: shaped
      targets: [{name: a, provider: mistral, model: mistral-large, parameters: {overrides: {safe_prompt: "yes", temperature: 9}}}, {name: b, provider: private, model: gpt-4o, weight: 2}]
      loadBalancing: {algorithm: weighted}
      onDisconnect: estimate
      policies:
        requestTransformer: {model: chat, prompt: "Say it better.", extract: '(?i)\\{.*', timeout: 5s, onError: pass}
        responseTransformer: {model: chat, prompt: "Say it worse.", extract: '<(.*)>'}
    - name: google
      targets: [{provider: gemini, model: gemini-2.5-flash, pricing: {input: 0, output: 2}}, {provider: gemini-elsewhere, model: g, priority: 1}]
      policies: {requestTransformer: {off: true}}
      lifecycle: {deprecated: "2026-02-03"}
    - {name: raw, targets: [{provider: plain, model: "*"}, {provider: groq, model: llama, weight: 0}], health: {failures: 9}}
    - {name: claude, targets: [{provider: claude, model: claude-sonnet-4-5, onUnsupported: error, parameters: {overrides: {max_tokens: 900, top_p: 0.5}}}]}
    - {name: small, capabilities: [embeddings], targets: [{provider: private, model: text-embedding-3-small}], policies: {promptDecorator: {prepend: [{role: user, content: x}]}}}
    - {name: both, capabilities: [chat, embeddings], targets: [{provider: plain, model: both}]}
    - {name: none, capabilities: [embeddings], targets: [{provider: gemini, model: x}]}
    - {name: deployments, targets: [{provider: private, model: "*"}]}
  auth: {anonymous: true}
  policies:
    requestTransformer: {model: chat, prompt: "Correct it.", onError: fail}
    responseGuard: {deny: [secret], action: mask}
    cache: {ttl: 1m, scope: shared}
"""
)
"""Every kind of provider, parameter and header; embeddings, transformers, days, prices."""

MONEY = spec(
    OPENAI
    + KEYS
    + """
  stores:
    - name: counters
      type: redis
      redis:
        address: redis.internal:6380
        database: 3
        auth: {username: aigw, password: {file: /run/redis}}
        tls: {ca: {file: /run/redis-ca.crt}, serverName: redis.example.com, clientCertificate: {env: C}, clientKey: {env: K}}
      onFailure: closed
    - {name: spare, type: redis, redis: {address: "other:6379", auth: {password: {env: OTHER}}, tls: {ca: {env: CA}}}, onFailure: open}
    - {name: idle, type: memory}
  models:
    - name: chat
      targets: [{provider: openai, model: gpt-4o, pricing: {input: 2.5, output: 10}}]
      policies: {limits: [{name: by-team, by: ["header:X-Team"], per: hour, requests: 50}], limitStore: spare}
    - name: other
      targets: [{provider: openai, model: gpt-4o-mini}]
      policies: {limits: [{name: by-address, by: [ip], per: minute, requests: 20}], limitStore: counters}
    - {name: third, targets: [{provider: openai, model: gpt-4.1}], policies: {limitStore: spare, cache: {off: true}}}
  consumers:
    - name: one
      credentials: [{apiKey: {env: ONE_KEY}}]
      policies: {requestTransformer: {model: chat, prompt: p}, responseTransformer: {off: true}}
    - {name: two, credentials: [{apiKey: {env: TWO_KEY}}]}
  policies:
    limitStore: counters
    cache: {store: spare}
    limits:
      - {name: money, by: [consumer], per: month, cost: 50.5}
      - {name: read, by: [consumer], per: day, tokens: 9000, count: input, cost: 7}
      - {name: written, by: [consumer], per: day, tokens: 800, count: output}
      - {name: look, per: day, requests: 5, onExceeded: observe}
      - {name: odd, by: [ip, consumer], per: day, requests: 5}
      - {name: seen, by: [ip], per: day, requests: 5, tokens: 100}
  deployment: {replicas: 2, resources: {requests: {cpu: 500m}}, kubernetes: {namespace: ai}}
"""
)
"""Redis stores, cost, kinds of tokens, addresses and headers."""

ALL = {
    "places": PLACES,
    "counted": COUNTED,
    "targets": TARGETS,
    "doors": DOORS,
    "shared": SHARED,
    "edge": EDGE,
    "sent": SENT,
    "money": MONEY,
}
EXAMPLES = support.specs()
SPECS = {**EXAMPLES, **ALL}
CHOICES = {profile: TargetChoice("kong", profile, {}) for profile in PROFILES}
TELLING = [profile for profile in PROFILES if ("kong", profile) not in support.BETWEEN]
"""Profiles for what is slow."""
CASES = [pytest.param(name, profile, id=f"{name}-{profile}") for name in SPECS for profile in PROFILES]
TELLING_CASES = [pytest.param(name, profile, id=f"{name}-{profile}") for name in ALL for profile in TELLING]
"""Those without the examples, which tests/test_laws.py asks the same."""
