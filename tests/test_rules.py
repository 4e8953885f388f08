"""Each rule's page shows a bad spec and a good one; here we hold the page to its word, and the rules to theirs."""

from __future__ import annotations

import json
import re
from collections import Counter
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile.compiler import Checked, check_text
from aigw_compile.diagnostic import Diagnostic, Pointer, Severity
from aigw_compile.explain import explain_code
from aigw_compile.lower import lower
from aigw_compile.rules import MOST_OF_A_RULE, RULES, run_data, run_gateway
from aigw_compile.rules.base import Rule
from aigw_compile.schema import with_defaults
from aigw_compile.source import parse

MINIMAL = """
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: minimal}
spec:
  listeners: [{name: local, address: 127.0.0.1, port: 8080}]
  providers: [{name: openai, type: openai, auth: {apiKey: {env: OPENAI_API_KEY}}}]
  models: [{name: chat, targets: [{provider: openai, model: gpt-4o-mini}]}]
  auth: {apiKey: {headers: [x-api-key]}}
  consumers: [{name: app, credentials: [{apiKey: {env: APP_KEY}}]}]
"""


def spec_with(patch: str) -> str:
    """Return the minimal gateway with the fields of `patch` in place of those of its spec; null takes one away."""
    data: Any = parse(MINIMAL, "minimal")[0][0].data
    fields: Any = parse(patch, "patch")[0][0].data if patch else {}
    data["spec"] = {key: value for key, value in {**data["spec"], **fields}.items() if value is not None}
    return json.dumps(data)


def lint(patch: str) -> Checked:
    return check_text(spec_with(patch))


def shown(rule: Rule, label: str) -> list[str]:
    """Return the specs that a page shows under a label."""
    return [dedent(block) for block in re.findall(rf"^{label}:\n((?:    .*\n?|\n)+)", rule.page, re.MULTILINE)]


PAGES = [
    pytest.param(rule, label, spec, id=f"{rule.code}-{label}-{index}")
    for rule in RULES
    for label in ("bad", "good")
    for index, spec in enumerate(shown(rule, label))
]


@pytest.mark.parametrize(("rule", "label", "spec"), PAGES)
def test_page(rule: Rule, label: str, spec: str) -> None:
    found = [d for d in lint(spec).diagnostics if d.severity is not Severity.HINT or d.code == rule.code]
    assert {d.code for d in found} == ({rule.code} if label == "bad" else set()), found
    for diagnostic in found:
        assert diagnostic.severity is rule.severity
        assert diagnostic.hint
        assert diagnostic.span


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_every_page_has_a_title_a_bad_and_a_good_spec(rule: Rule) -> None:
    assert shown(rule, "bad")
    assert shown(rule, "good")
    title = rule.page.partition("\n")[0]
    assert title.endswith(".")
    assert len(title) <= 100


def test_explain_prints_the_pages() -> None:
    for rule in RULES:
        page = explain_code(rule.code)
        assert page
        assert rule.page.partition("\n")[2].strip() in page


def test_there_are_many_of_each_kind() -> None:
    kinds = Counter(rule.code[3] for rule in RULES)
    assert kinds["3"] >= 40
    assert kinds["4"] >= 30
    assert kinds["5"] >= 15


def test_codes_and_names_are_unique_and_sorted() -> None:
    codes = [rule.code for rule in RULES]
    assert codes == sorted(set(codes))
    assert all(re.fullmatch(r"AIG[345]\d{3}", code) for code in codes)
    names = [rule.name for rule in RULES]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)


def test_the_minimal_gateway_is_clean() -> None:
    assert lint("").diagnostics == ()


def places(checked: Checked, code: str) -> list[str]:
    return [d.place for d in checked.diagnostics if d.code == code]


PLACES = {
    "provider of a target": (
        "models: [{name: chat, targets: [{name: main, provider: opnai, model: m}]}]",
        "AIG3001",
        ["models[chat].targets[main].provider"],
    ),
    "vault of a consumer": (
        "consumers: [{name: app, credentials: [{apiKey: {vault: v, key: k}}]}]",
        "AIG3001",
        ["consumers[app].credentials[0].apiKey.vault"],
    ),
    "groups of a consumer": (
        "consumers: [{name: app, groups: [a, b], credentials: [{apiKey: {env: K}}]}]",
        "AIG3001",
        ["consumers[app].groups[0]", "consumers[app].groups[1]"],
    ),
    "access": (
        "models: [{name: chat, access: {allow: {groups: [g], consumers: [c]}, deny: {consumers: [d]}}, "
        "targets: [{provider: openai, model: m}]}]",
        "AIG3001",
        [
            "models[chat].access.allow.groups[0]",
            "models[chat].access.allow.consumers[0]",
            "models[chat].access.deny.consumers[0]",
        ],
    ),
    "an alias that is a model": (
        "models: [{name: chat, aliases: [chat], targets: [{provider: openai, model: m}]}]",
        "AIG3002",
        ["models[chat].aliases[0]"],
    ),
    "two listeners": (
        "listeners: [{name: a, address: 127.0.0.1, port: 1}, {name: a, address: 127.0.0.1, port: 2}]",
        "AIG3002",
        ["listeners[a].name"],
    ),
    "two limits of one place": (
        "policies: {limits: [{name: a, per: day, requests: 9}, {name: a, by: [model], per: day, requests: 5}]}",
        "AIG3002",
        ["policies.limits[a].name"],
    ),
    "metrics on a listener's port": (
        "observability: {metrics: {prometheus: {port: 8080}}}",
        "AIG3004",
        ["observability.metrics.prometheus.port"],
    ),
    "a pattern at a consumer": (
        "consumers: [{name: app, credentials: [{apiKey: {env: K}}], policies: {promptGuard: {deny: [a, '(']}}}]",
        "AIG3003",
        ["consumers[app].policies.promptGuard.deny[1]"],
    ),
    "a replica count": (
        "{policies: {limits: [{name: tpm, per: minute, tokens: 5000}]}, deployment: {replicas: 3}}",
        "AIG5003",
        ["deployment.replicas"],
    ),
    "a number that a day hides": (
        "policies: {limits: [{name: a, per: minute, requests: 9, tokens: 5000}, {name: b, per: day, tokens: 4000}]}",
        "AIG5004",
        ["policies.limits[a].tokens"],
    ),
    "a day that a minute hides": (
        "policies: {limits: [{name: a, per: minute, requests: 10}, {name: b, per: day, requests: 20000}]}",
        "AIG5004",
        ["policies.limits[b].requests"],
    ),
    "equal limits: the later one": (
        "policies: {limits: [{name: a, per: day, requests: 10}, {name: b, per: day, requests: 10}]}",
        "AIG5004",
        ["policies.limits[b].requests"],
    ),
    "a model's limit above the gateway's": (
        "{policies: {limits: [{name: all, per: day, requests: 10}]}, models: [{name: chat, "
        "policies: {limits: [{name: own, per: day, requests: 20}]}, targets: [{provider: openai, model: m}]}]}",
        "AIG5004",
        ["models[chat].policies.limits[own].requests"],
    ),
    "no key at all": ("consumers: null", "AIG4008", ["auth.apiKey"]),
    "an outer address in clear": (
        "providers: [{name: openai, type: openai, baseUrl: 'http://8.8.8.8/v1', auth: {apiKey: {env: K}}}]",
        "AIG4003",
        ["providers[openai].baseUrl"],
    ),
    "a private address in clear": (
        "providers: [{name: openai, type: openai, baseUrl: 'http://10.1.2.3/v1', auth: {apiKey: {env: K}}}]",
        "AIG4004",
        ["providers[openai].baseUrl"],
    ),
    "a shared address (RFC 6598) in clear": (
        "providers: [{name: openai, type: openai, baseUrl: 'http://100.64.1.2/v1', auth: {apiKey: {env: K}}}]",
        "AIG4004",
        ["providers[openai].baseUrl"],
    ),
    "secrets of a vault in clear": (
        "{vaults: [{name: v, type: hashicorp, hashicorp: {address: 'http://vault.example.com:8200', auth: "
        "{method: kubernetes, role: r}}}], providers: [{name: openai, type: openai, auth: {apiKey: {vault: v, key: k}}}]}",
        "AIG4003",
        ["vaults[v].hashicorp.address"],
    ),
    "the password of a Redis in clear": (
        "{stores: [{name: s, type: redis, redis: {address: 'redis.internal:6379', auth: {password: {env: P}}}, "
        "onFailure: open}], policies: {cache: {store: s}}}",
        "AIG4004",
        ["stores[s].redis.address"],
    ),
    "a secret header in clear": (
        "providers: [{name: openai, type: vllm, baseUrl: 'http://8.8.8.8/v1', headers: {x-key: {env: K}}}]",
        "AIG4003",
        ["providers[openai].baseUrl"],
    ),
    "residency of a model that rewrites": (
        "{providers: [{name: openai, type: openai, region: eu, auth: {apiKey: {env: A}}}, {name: us, type: openai, "
        "region: us, auth: {apiKey: {env: B}}}], models: [{name: chat, residency: [eu], targets: "
        "[{provider: openai, model: m}]}, {name: away, targets: [{provider: us, model: m}]}], "
        "policies: {requestTransformer: {model: away, prompt: x}}}",
        "AIG4030",
        ["policies.requestTransformer.model"],
    ),
    "residency of a replacement": (
        "{providers: [{name: openai, type: openai, region: eu, auth: {apiKey: {env: A}}}, {name: us, type: openai, "
        "region: us, auth: {apiKey: {env: B}}}], models: [{name: chat, residency: [eu], lifecycle: "
        "{sunset: 2027-01-01, replacedBy: away}, targets: [{provider: openai, model: m}]}, "
        "{name: away, targets: [{provider: us, model: m}]}]}",
        "AIG4030",
        ["models[chat].lifecycle.replacedBy"],
    ),
    "a region that only begins alike": (
        "{providers: [{name: openai, type: openai, region: europe, auth: {apiKey: {env: A}}}], "
        "models: [{name: chat, residency: [eu], targets: [{name: t, provider: openai, model: m}]}]}",
        "AIG4030",
        ["models[chat].targets[t].provider"],
    ),
    "replaced in a circle": (
        "models: [{name: a, lifecycle: {sunset: 2027-01-01, replacedBy: b}, targets: [{provider: openai, model: m}]}, "
        "{name: b, lifecycle: {sunset: 2027-01-01, replacedBy: a}, targets: [{provider: openai, model: m}]}]",
        "AIG3071",
        ["models[a].lifecycle.replacedBy", "models[b].lifecycle.replacedBy"],
    ),
    "a replacement's replacement that is gone": (
        "models: [{name: a, lifecycle: {sunset: 2027-03-01, replacedBy: b}, targets: [{provider: openai, model: m}]}, "
        "{name: b, lifecycle: {sunset: 2027-02-01, replacedBy: c}, targets: [{provider: openai, model: m}]}, "
        "{name: c, lifecycle: {sunset: 2027-03-01}, targets: [{provider: openai, model: m}]}]",
        "AIG3071",
        ["models[a].lifecycle.replacedBy"],
    ),
    "halves that deny everything": (
        "policies: {ipRestriction: {deny: ['0.0.0.0/1', '128.0.0.0/1', '::/0']}}",
        "AIG4040",
        ["policies.ipRestriction.deny"],
    ),
    "an address that stands twice": (
        "policies: {ipRestriction: {deny: [10.1.2.3, 10.1.2.3/32]}}",
        "AIG4041",
        ["policies.ipRestriction.deny[1]"],
    ),
    "a browser without JSON": (
        "listeners: [{name: local, address: 127.0.0.1, port: 1, cors: {origins: ['https://a.example'], "
        "headers: [x-api-key]}}]",
        "AIG4046",
        ["listeners[local].cors.headers"],
    ),
    "a browser that only reads": (
        "listeners: [{name: local, address: 127.0.0.1, port: 1, cors: {origins: ['https://a.example'], "
        "methods: [GET]}}]",
        "AIG4046",
        ["listeners[local].cors.methods"],
    ),
    "a price of one model's limit": (
        "models: [{name: chat, policies: {limits: [{name: b, per: day, cost: 5}]}, "
        "targets: [{name: t, provider: openai, model: '*'}]}]",
        "AIG5012",
        ["models[chat].targets[t].model"],
    ),
    "money that another limit hides": (
        "policies: {limits: [{name: a, per: month, cost: 50}, {name: b, per: day, cost: 50}]}",
        "AIG5004",
        ["policies.limits[b].cost"],
    ),
    "prompts that all tokens hide": (
        "policies: {limits: [{name: a, per: day, tokens: 5000}, {name: b, per: day, tokens: 6000, count: input}]}",
        "AIG5004",
        ["policies.limits[b].tokens"],
    ),
    "a pattern of a guard of answers": (
        "policies: {responseGuard: {deny: ['(']}}",
        "AIG3003",
        ["policies.responseGuard.deny[0]"],
    ),
    "a pattern of a transformer": (
        "policies: {requestTransformer: {model: chat, prompt: x, extract: '(?=a)'}}",
        "AIG3003",
        ["policies.requestTransformer.extract"],
    ),
    "a guard of answers without pattern": (
        "policies: {responseGuard: {action: mask}}",
        "AIG4020",
        ["policies.responseGuard"],
    ),
    "azure without a credential": (
        "providers: [{name: openai, type: azure-openai, azure: {instance: mine}}]",
        "AIG3008",
        ["providers[openai].type"],
    ),
    "passwords without a login": ("auth: {basic: {}, apiKey: {}}", "AIG4008", ["auth.basic"]),
    "a service of a cluster in clear": (
        "providers: [{name: openai, type: openai, baseUrl: 'http://llm.ai.svc.cluster.local/v1', "
        "auth: {apiKey: {env: K}}}]",
        "AIG4004",
        ["providers[openai].baseUrl"],
    ),
}


@pytest.mark.parametrize(("patch", "code", "expected"), PLACES.values(), ids=PLACES)
def test_place(patch: str, code: str, expected: list[str]) -> None:
    assert places(lint(patch), code) == expected


SILENT = {
    "a limit that only observes": (
        "policies: {limits: [{name: a, per: day, requests: 5, onExceeded: observe}, {name: b, per: day, requests: 9}]}"
    ),
    "prompts and answers apart": (
        "policies: {limits: [{name: a, per: day, tokens: 5000, count: output}, "
        "{name: b, per: day, tokens: 6000, count: input}]}"
    ),
    "a limit on prompts below the reserve": "policies: {limits: [{name: a, per: day, tokens: 500, count: input}]}",
    "money without a price where nothing is sent": (
        "{policies: {limits: [{name: b, per: day, cost: 5}]}, models: [{name: chat, targets: "
        "[{name: t, provider: openai, model: gpt-4o}, {name: off, provider: openai, model: own, weight: 0}]}]}"
    ),
    "a replacement that lives a little longer": (
        "models: [{name: a, lifecycle: {sunset: 2027-01-01, replacedBy: b}, targets: [{provider: openai, model: m}]}, "
        "{name: b, lifecycle: {sunset: 2027-01-02}, targets: [{provider: openai, model: m}]}]"
    ),
    "a model that rewrites its own answers": (
        "models: [{name: chat, policies: {responseTransformer: {model: chat, prompt: x}}, "
        "targets: [{provider: openai, model: m}]}]"
    ),
    "a shared cache with limits and guards of consumers": (
        "{policies: {cache: {scope: shared}}, consumers: [{name: app, credentials: [{apiKey: {env: K}}], "
        "policies: {promptGuard: {deny: [x]}, limits: [{name: l, per: day, requests: 5}]}}]}"
    ),
    "a header that reads like a key and is none": (
        "providers: [{name: openai, type: openai, auth: {apiKey: {env: K}}, headers: {x-routing-key: blue}}]"
    ),
    "a store of one replica": (
        "{stores: [{name: s}], policies: {limitStore: s, limits: [{name: l, per: day, requests: 5}]}, "
        "deployment: {replicas: 1}}"
    ),
    "an address of each version": "policies: {ipRestriction: {allow: [10.0.0.0/8, 'fd00::/8'], deny: [10.0.0.1]}}",
    "a model's own network inside the gateway's": (
        "{policies: {ipRestriction: {allow: [10.0.0.0/8]}}, models: [{name: chat, policies: "
        "{ipRestriction: {allow: [10.1.0.0/16]}}, targets: [{provider: openai, model: m}]}]}"
    ),
    "a week that two months share": (
        "policies: {limits: [{name: a, per: month, requests: 100}, {name: b, per: week, requests: 150}]}"
    ),
    "hash of weights": (
        "models: [{name: chat, targets: [{name: a, provider: openai, model: m, weight: 9}, "
        "{name: b, provider: openai, model: n}]}]"
    ),
    "limits of different counters": (
        "policies: {limits: [{name: a, by: [consumer], per: day, requests: 10}, "
        "{name: b, by: [gateway], per: day, requests: 20}]}"
    ),
    "a minute within a day": (
        "policies: {limits: [{name: a, per: minute, requests: 60}, {name: b, per: day, requests: 10000}]}"
    ),
    "tokens of a day above those of its minutes": (
        "policies: {limits: [{name: a, per: minute, tokens: 2000}, {name: b, per: day, tokens: 2880000}]}"
    ),
    "a stricter limit at a consumer": (
        "{policies: {limits: [{name: a, by: [consumer], per: day, requests: 10}]}, consumers: [{name: app, "
        "credentials: [{apiKey: {env: K}}], policies: {limits: [{name: b, per: day, requests: 5}]}}]}"
    ),
    "a base URL that ends like a call": (
        "providers: [{name: openai, type: openai-compatible, baseUrl: 'https://x.services.ai.azure.com/models'}]"
    ),
    "loopback in clear": (
        "providers: [{name: openai, type: openai, baseUrl: 'http://127.0.0.1:9/v1', auth: {apiKey: {env: K}}}]"
    ),
    "loopback of version 6": (
        "providers: [{name: openai, type: openai, baseUrl: 'http://[::1]:9/v1', auth: {apiKey: {env: K}}}]"
    ),
    "empty text alone is denied": "policies: {promptGuard: {deny: ['^$']}}",
    "another account as a backup": (
        "{providers: [{name: openai, type: openai, auth: {apiKey: {env: A}}}, {name: other, type: openai, "
        "auth: {apiKey: {env: B}}}], models: [{name: chat, targets: [{provider: openai, model: m}, "
        "{provider: other, model: m, priority: 1}]}]}"
    ),
    "metrics on the operations port": "observability: {operations: {port: 9091}, metrics: {prometheus: {port: 9091}}}",
    "retries that are switched off": (
        "models: [{name: chat, retries: {attempts: 0}, targets: [{provider: openai, model: m}]}]"
    ),
    "a request timeout that a default does not fit": (
        "models: [{name: chat, timeouts: {request: 30s}, targets: [{provider: openai, model: m}]}]"
    ),
    "one provider key for two providers": (
        "{providers: [{name: openai, type: openai, auth: {apiKey: {env: A}}}, {name: second, type: openai, "
        "auth: {apiKey: {env: A}}}], models: [{name: chat, targets: [{provider: openai, model: m}, "
        "{provider: second, model: n}]}]}"
    ),
}


@pytest.mark.parametrize("patch", SILENT.values(), ids=SILENT)
def test_no_noise(patch: str) -> None:
    assert lint(patch).diagnostics == ()


def test_did_you_mean() -> None:
    (found,) = lint("models: [{name: chat, targets: [{provider: opnai, model: m}]}]").diagnostics[:1]
    assert found.message == 'no provider "opnai" is defined'
    assert found.hint == 'did you mean "openai"? (known: openai)'


CANARY = "sk-proj-" + "4f9aT2mQx81LzVb7Yc3NeR5w"


@pytest.mark.parametrize(
    "patch",
    [
        f"providers: [{{name: openai, type: openai, auth: {{apiKey: {{env: {CANARY}}}}}}}]",
        f"policies: {{promptGuard: {{deny: ['({CANARY}']}}}}",
        f"policies: {{promptDecorator: {{prepend: [{{role: system, content: 'use {CANARY}'}}]}}}}",
        f"providers: [{{name: openai, type: vllm, baseUrl: 'http://u:{CANARY}@h/v1/chat/completions'}}]",
        f"observability: {{{CANARY}: 1}}",
    ],
)
def test_a_literal_secret_is_found_and_never_shown(patch: str) -> None:
    found = [d for d in lint(patch).diagnostics if d.code[3] in "345"]
    assert "AIG4001" in {d.code for d in found}
    assert CANARY not in repr(found)


PATTERNS = {
    "(?=a)": "look-around",
    "(?<!a)b": "look-around",
    r"(a)\1": "a back-reference",
    "(?P<x>a)(?P=x)": "a back-reference",
    "(?>a)": "an atomic group",
    "a++": "a possessive quantifier",
    r"a\Z": "an anchor of another engine",
    "(a": "missing )",
    "[z-a]": "character class range",
}


@pytest.mark.parametrize(("pattern", "reason"), PATTERNS.items(), ids=PATTERNS)
def test_reason_of_a_pattern(pattern: str, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    (found,) = run_data({"spec": {"auth": {}, "policies": {"promptGuard": {"deny": [pattern]}}}})
    assert found.code == "AIG3003"
    assert reason in found.message
    assert capfd.readouterr().err == ""


def codes(found: tuple[Diagnostic, ...]) -> set[str]:
    return {d.code for d in found}


@pytest.mark.parametrize(
    ("patch", "never"),
    [
        # A second target that is misspelt leaves one; nothing about the one that is left is sure.
        (
            "models: [{name: chat, fallback: {on: [timeout]}, targets: [{provider: openai, model: m}, "
            "{provider: opnai, model: n, priority: 1}]}]",
            "AIG3012",
        ),
        # A group whose consumer is broken is not unused.
        (
            "{consumerGroups: [{name: g}], "
            "consumers: [{name: app, groups: [g], credentials: [{apiKey: {env: K}}], x: 1}]}",
            "AIG3060",
        ),
        ("{auth: {apikey: {}}}", "AIG4002"),
        (
            "{consumerGroups: [{name: g}], consumers: [{name: job, credentials: [{apiKey: {env: J}}]}, "
            "{name: app, groups: [g], credentials: [{apiKey: APP_KEY}]}], "
            "models: [{name: chat, access: {allow: {groups: [g]}}, targets: [{provider: openai, model: m}]}]}",
            "AIG3030",
        ),
    ],
)
def test_one_mistake_is_reported_once(patch: str, never: str) -> None:
    found = lint(patch).diagnostics
    assert any(d.severity is Severity.ERROR for d in found)
    assert never not in codes(found)


def test_all_findings_come_at_once() -> None:
    """Names, secrets and patterns are checked whatever is wrong beside them, and so is what is whole."""
    patch = """
        auth: null
        nonsense: 1
        models:
          - {name: chat, targets: [{provider: opnai, model: m}]}
          - {name: chat, targets: [{provider: openai, model: n, weight: 7}]}
          - {name: idle, targets: [{provider: openai, model: n, weight: 0}]}
        policies: {promptGuard: {deny: ['(', 'ok', '.*']}}
    """
    expected = {"AIG3001", "AIG3002", "AIG3003", "AIG3015", "AIG3017", "AIG4002", "AIG4021"}
    assert codes(lint(patch).diagnostics) >= expected


def test_large_gateways_take_no_square_of_the_time() -> None:
    """5,000 consumers with limits, groups and a misspelt group each: what compared all with all would take minutes."""
    count = 5000
    data: Any = json.loads(spec_with("consumerGroups: [{name: everybody}, {name: nobody}]"))
    limits = [
        {"name": "own", "per": "day", "requests": 5, "cost": 5},
        {"name": "more", "per": "day", "requests": 900},
    ]
    data["spec"]["consumers"] = [
        {
            "name": f"app-{i}",
            "groups": ["everybody", "missing"],
            "credentials": [{"apiKey": {"env": f"KEY_{i}"}}],
            "policies": {
                "limits": limits,
                "cache": {"off": True},
                "ipRestriction": {"allow": [f"10.0.{i % 256}.0/24"]},
            },
        }
        for i in range(count)
    ]
    data["spec"]["policies"] = {"limits": [{"name": "all", "by": ["consumer"], "per": "day", "requests": 10}]}
    data["spec"]["models"] = [
        {
            "name": f"model-{i}",
            "access": {"allow": {"groups": ["nobody"]}},
            "targets": [{"provider": "openai", "model": "m"}],
        }
        for i in range(200)
    ]
    assert sum(d.code == "AIG3001" for d in run_data(data)) == min(count, MOST_OF_A_RULE + 1)
    for consumer in data["spec"]["consumers"]:
        consumer["groups"] = ["everybody"]
    found = [d.code for d in run_gateway(lower(with_defaults(data)))]
    assert found.count("AIG5004") == count
    assert found.count("AIG3030") == 200


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 70000)
    | st.text("ab1:/.*( ", max_size=5)
    | st.sampled_from(["openai", "chat"])
)
keys = st.sampled_from(
    [*sorted(set(re.findall(r"\w+", " ".join(rule.page for rule in RULES)))), "spec", "policies", "models", "targets"]
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


def leaves(data: Any, at: Pointer = ()) -> list[Pointer]:
    if isinstance(data, (dict, list)) and data:
        pairs = data.items() if isinstance(data, dict) else enumerate(data)
        return [place for key, inner in pairs for place in [(*at, key), *leaves(inner, (*at, key))]]
    return []


WHOLE = json.loads(
    spec_with("""
        vaults: [{name: v, type: env}, {name: h, type: hashicorp, hashicorp: {address: "http://h:1"}}]
        stores: [{name: s, type: redis, redis: {address: "r:1", auth: {password: {env: P}}}, onFailure: open}]
        listeners:
          - name: local
            address: 127.0.0.1
            port: 8080
            trustedProxies: [10.0.0.0/8]
            cors: {origins: ['*'], headers: [content-type], credentials: true}
        providers:
          - name: openai
            type: openai
            region: eu
            auth: {apiKey: {env: OPENAI_API_KEY}}
            headers: {x-team: blue, x-key: {env: K}}
            tls: {ca: {file: /ca}}
        auth:
          apiKey: {headers: [x-api-key]}
          basic: {}
          jwt: [{name: j, issuer: i, jwksUri: "https://i/k", groupsClaim: g, groupMap: {a: g}, unknownConsumer: accept}]
        consumerGroups: [{name: g, policies: {limits: [{name: l, per: day, requests: 9}]}}]
        consumers: [{name: app, groups: [g], credentials: [{apiKey: {vault: v, key: k}}, {basic: {username: u, password: {env: U}}}]}]
        models:
          - name: chat
            aliases: [a]
            access: {allow: {groups: [g]}, deny: {consumers: [app]}}
            retries: {attempts: 1, on: [timeout], backoff: {base: 1s, max: 2s}}
            fallback: {on: [timeout], response: {content: sorry}}
            timeouts: {connect: 1s, firstByte: 2s, idle: 3s, request: 60s}
            residency: [eu]
            lifecycle: {deprecated: 2027-01-01, sunset: 2027-02-01, replacedBy: other}
            health: {failures: 3}
            loadBalancing: {algorithm: round-robin}
            targets:
              - provider: openai
                model: m
                weight: 2
                priority: 1
                pricing: {input: 1, output: 2}
                parameters: {defaults: {a: 1}, overrides: {b: 2}, maximum: {a: 3}}
            policies: {promptDecorator: {prepend: [{role: system, content: x}]}, cache: {off: true}}
          - {name: other, capabilities: [embeddings], targets: [{provider: openai, model: m}]}
        policies:
          promptGuard: {deny: [x], roles: [user]}
          responseGuard: {deny: [x], action: mask}
          requestTransformer: {model: chat, prompt: x, extract: '(x)', timeout: 5s}
          cache: {ttl: 5m, scope: shared, store: s}
          ipRestriction: {allow: [10.0.0.0/8], deny: [10.1.0.0/16]}
          limitStore: s
          limits: [{name: l, by: ['header:x'], per: day, tokens: 9000, cost: 5, count: input}]
        observability: {operations: {port: 9191}, metrics: {prometheus: {port: 9292}}}
        deployment:
          replicas: 1
          resources: {requests: {cpu: '1', memory: 1Mi}, limits: {cpu: '2', memory: 2Mi}}
          kubernetes: {disruptionBudget: {minAvailable: 1}}
    """)
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(leaves(WHOLE)), anything)
def test_rules_on_data_take_any_shape(at: Pointer, other: Any) -> None:
    """Whatever stands at any place, the rules say what they can and never raise."""
    data = json.loads(json.dumps(WHOLE))
    holder = data
    for step in at[:-1]:
        holder = holder[step]
    holder[at[-1]] = other
    for found in run_data(data):
        assert found.message
        assert found.hint


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(leaves(WHOLE)), anything)
def test_a_broken_part_never_raises(at: Pointer, other: Any) -> None:
    """What is left of a gateway without its broken parts goes on to the rules on the meaning."""
    data = json.loads(json.dumps(WHOLE))
    holder = data
    for step in at[:-1]:
        holder = holder[step]
    holder[at[-1]] = other
    assert all(found.message for found in check_text(json.dumps(data)).diagnostics)


@settings(max_examples=100, deadline=None)
@given(anything)
def test_rules_on_data_take_anything(data: Any) -> None:
    assert all(found.code for found in run_data(data))
