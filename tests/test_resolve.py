"""Parts and gateways as texts to what they make together, and to what is said of them."""

from __future__ import annotations

from typing import Any

import pytest

from aigw_compile.diagnostic import Diagnostic
from aigw_compile.resolve import Library, Resolved, resolve
from aigw_compile.source import Source, parse

HEAD = "apiVersion: aigw.dev/v1alpha1\n"


def part(name: str, body: str, type_: str = "AIGateway") -> str:
    lines = "".join(f"  {line}\n" for line in body.strip("\n").splitlines())
    return f"{HEAD}kind: AIGatewayConfig\nmetadata: {{name: {name}}}\nspec:\n  for: {type_}\n{lines}"


def gateway(body: str, name: str = "gw") -> str:
    lines = "".join(f"  {line}\n" for line in body.strip("\n").splitlines())
    return f"{HEAD}kind: AIGateway\nmetadata: {{name: {name}}}\nspec:\n{lines}"


def sources(files: dict[str, str]) -> list[Source]:
    found = []
    for file, text in files.items():
        documents, wrong = parse(text, file)
        assert not [d for d in wrong if d.severity > 1], wrong
        found += documents
    return found


def resolved(*texts: str, **files: str) -> Resolved:
    """The last text, or file, is the gateway."""
    named = {f"f{n}.yaml": t for n, t in enumerate(texts)} | {k.replace("__", "/") + ".yaml": t for k, t in files.items()}
    documents = sources(named)
    parts = [s for s in documents if isinstance(s.data, dict) and s.data.get("kind") == "AIGatewayConfig"]
    return resolve(documents[-1], Library(parts))


def spec(found: Resolved) -> Any:
    data: Any = found.source.data
    return data["spec"]


def said(found: Resolved) -> list[str]:
    return [line(d) for d in found.diagnostics]


def line(d: Diagnostic) -> str:
    assert d.span
    return f"{d.span.file}:{d.span.line} {d.code} {d.message}"


MERGES: dict[str, tuple[str, str, Any]] = {
    "maps merge deep": ("observability: {accessLog: {format: json}}", "observability: {accessLog: {payloads: true}}",
        {"observability": {"accessLog": {"format": "json", "payloads": True}}}),
    "scalars are replaced": ("policies: {limitStore: a}", "policies: {limitStore: b}", {"policies": {"limitStore": "b"}}),
    "keyed lists merge by name": (
        "providers: [{name: a, type: openai}, {name: b, type: openai}]",
        "providers: [{name: b, region: eu}, {name: c, type: xai}]",
        {"providers": [{"name": "a", "type": "openai"}, {"name": "b", "type": "openai", "region": "eu"}, {"name": "c", "type": "xai"}]},
    ),
    "sets join": ("policies: {promptGuard: {deny: [a, b]}}", "policies: {promptGuard: {deny: [b, c]}}",
        {"policies": {"promptGuard": {"deny": ["a", "b", "c"]}}}),
    "atomic lists are replaced": (
        "auth: {apiKey: {headers: [a, b]}}", "auth: {apiKey: {headers: [c]}}", {"auth": {"apiKey": {"headers": ["c"]}}}),
    "a changed type replaces": (
        "providers: [{name: a, type: azure-openai, azure: {instance: x}}]", "providers: [{name: a, type: openai}]",
        {"providers": [{"name": "a", "type": "openai"}]}),
    "the same type does not": (
        "providers: [{name: a, type: openai, region: eu}]", "providers: [{name: a, type: openai}]",
        {"providers": [{"name": "a", "type": "openai", "region": "eu"}]}),
    "off stands alone": ("policies: {cache: {ttl: 5m}}", "policies: {cache: {off: true}}", {"policies": {"cache": {"off": True}}}),
    "and is replaced": ("policies: {cache: {off: true}}", "policies: {cache: {ttl: 5m}}", {"policies": {"cache": {"ttl": "5m"}}}),
    "anonymous stands alone": ("auth: {apiKey: {}}", "auth: {anonymous: true}", {"auth": {"anonymous": True}}),
    "ways to identify oneself stand together": ("auth: {apiKey: {}}", "auth: {basic: {}}", {"auth": {"apiKey": {}, "basic": {}}}),
    "a SecretRef is taken whole": (
        "providers: [{name: a, auth: {apiKey: {vault: v, key: k, property: p}}}]",
        "providers: [{name: a, auth: {apiKey: {vault: v, key: l}}}]",
        {"providers": [{"name": "a", "auth": {"apiKey": {"vault": "v", "key": "l"}}}]}),
    "targets without a name": (
        "models: [{name: m, targets: [{provider: p, model: x/1, weight: 2}]}]",
        "models: [{name: m, targets: [{provider: p, model: x/1, priority: 1}]}]",
        {"models": [{"name": "m", "targets": [{"provider": "p", "model": "x/1", "weight": 2, "priority": 1}]}]}),
    "targets by the name that follows": (
        "models: [{name: m, targets: [{provider: p, model: x/1, weight: 2}]}]", "models: [{name: m, targets: [{name: p-x-1, weight: 3}]}]",
        {"models": [{"name": "m", "targets": [{"provider": "p", "model": "x/1", "weight": 3, "name": "p-x-1"}]}]}),
    "delete a field": ("providers: [{name: a, region: eu, type: openai}]", "providers: [{name: a, region: {$patch: delete}}]",
        {"providers": [{"name": "a", "type": "openai"}]}),
    "delete an item": ("providers: [{name: a}, {name: b}]", "providers: [{name: a, $patch: delete}]", {"providers": [{"name": "b"}]}),
    "delete a map": ("policies: {cache: {ttl: 5m}, limitStore: s}", "policies: {cache: {$patch: delete}}", {"policies": {"limitStore": "s"}}),
    "replace a map": ("policies: {cache: {ttl: 5m, store: s}}", "policies: {cache: {$patch: replace, ttl: 1m}}", {"policies": {"cache": {"ttl": "1m"}}}),
    "replace a list": ("providers: [{name: a}]", "providers: [{$patch: replace}, {name: b}]", {"providers": [{"name": "b"}]}),
    "replace a set": ("policies: {promptGuard: {deny: [a]}}", "policies: {promptGuard: {deny: [{$patch: replace}, b]}}", {"policies": {"promptGuard": {"deny": ["b"]}}}),
    "delete what is not there": ("policies: {limitStore: s}", "policies: {cache: {$patch: delete}}", {"policies": {"limitStore": "s"}}),
    "maps of one's own keys": ("providers: [{name: a, headers: {x: a, y: b}}]", "providers: [{name: a, headers: {y: c, x: {$patch: delete}}}]",
        {"providers": [{"name": "a", "headers": {"y": "c"}}]}),
}  # fmt: skip


@pytest.mark.parametrize("name", MERGES)
def test_merging(name: str) -> None:
    below, above, expected = MERGES[name]
    found = resolved(part("p", f"config:\n  {below}"), gateway(f"configRef: {{name: p}}\n{above}"))
    assert said(found) == []
    assert spec(found) == expected


def test_parts_of_parts_and_a_diamond() -> None:
    base = part("base", "config: {policies: {promptGuard: {deny: [base]}, limitStore: base}}")
    one = part("one", "configRef: {name: base}\nconfig: {policies: {promptGuard: {deny: [one]}, limitStore: one}}")
    two = part("two", "configRef: {name: base}\nconfig: {policies: {promptGuard: {deny: [two]}}}")
    found = resolved(base, one, two, gateway("configRef: [{name: one}, {name: two}]"))
    assert said(found) == []
    assert spec(found) == {"policies": {"promptGuard": {"deny": ["base", "one", "two"]}, "limitStore": "one"}}
    span = found.source.span(("spec", "policies", "promptGuard", "deny", 0))
    assert (span.file, span.line) == ("f0.yaml", 6)
    assert span.via and (span.via.file, span.via.line) == ("f2.yaml", 6)
    assert span.via.via and (span.via.via.file, span.via.via.line) == ("f3.yaml", 5)


def test_a_configref_inside_an_object() -> None:
    corp = part("corp", "config: {type: openai, region: eu, auth: {apiKey: {env: CORP}}}", "Provider")
    guard = part("guard", "config: {promptGuard: {deny: [a]}}", "Policies")
    found = resolved(
        corp,
        guard,
        gateway("providers: [{name: x, configRef: {name: corp}}]\nmodels: [{name: m, policies: {configRef: {name: guard}, limitStore: s}}]"),
    )
    assert said(found) == []
    assert spec(found) == {
        "providers": [{"type": "openai", "region": "eu", "auth": {"apiKey": {"env": "CORP"}}, "name": "x"}],
        "models": [{"name": "m", "policies": {"promptGuard": {"deny": ["a"]}, "limitStore": "s"}}],
    }
    span = found.source.span(("spec", "providers", 0, "region"))
    assert (span.file, span.line) == ("f0.yaml", 6)
    assert span.via and span.via.file == "f2.yaml"


CONTRACTS: dict[str, tuple[str, str, list[str]]] = {
    # contract and config of the part `p`; what stands beside the configRef; what is said
    "hidden": ("config: {policies: {limitStore: s}}\nfields: {hide: [policies]}", "policies: {limitStore: s}",
        ["gw.yaml:6 AIG1001 `policies` is no field of spec"]),
    "hidden below": ("config: {}\nfields: {hide: ['providers[*].auth']}", "providers: [{name: mine, type: openai, auth: {apiKey: {env: A}}}]",
        ["gw.yaml:6 AIG1001 `auth` is no field of providers[mine]"]),
    "locked, other": ("config: {policies: {limitStore: s}}\nfields: {lock: [policies.limitStore]}", "policies: {limitStore: t}",
        ['gw.yaml:6 AIG2020 `policies.limitStore` is locked by "p"']),
    "locked, equal": ("config: {policies: {limitStore: s}}\nfields: {lock: [policies.limitStore]}", "policies: {limitStore: s}",
        ['gw.yaml:6 AIG2021 `policies.limitStore` is locked by "p" and has this value already']),
    "locked, unset": ("config: {}\nfields: {lock: [policies.limitStore]}", "policies: {limitStore: s}",
        ['gw.yaml:6 AIG2020 `policies.limitStore` is locked by "p"']),
    "locked, deleted": ("config: {policies: {limitStore: s}}\nfields: {lock: [policies.limitStore]}", "policies: {limitStore: {$patch: delete}}",
        ['gw.yaml:6 AIG2020 `policies.limitStore` is locked by "p"']),
    "locked, the map above deleted": ("config: {policies: {limitStore: s}}\nfields: {lock: [policies.limitStore]}", "policies: {$patch: delete}",
        ['gw.yaml:6 AIG2022 `policies` cannot be deleted here: "p" holds on to what is in it']),
    "locked, added to": ("config: {policies: {promptGuard: {deny: [a]}}}\nfields: {lock: [{path: policies.promptGuard.deny, allow: add}]}",
        "policies: {promptGuard: {deny: [b]}}", []),
    "locked, added without": ("config: {policies: {promptGuard: {deny: [a]}}}\nfields: {lock: [policies.promptGuard.deny]}",
        "policies: {promptGuard: {deny: [b]}}", ['gw.yaml:6 AIG2020 `policies.promptGuard.deny` is locked by "p"']),
    "limits, added to": ("config: {policies: {limits: [{name: d, per: day, cost: 5}]}}\nfields: {lock: [{path: policies.limits, allow: add}]}",
        "policies: {limits: [{name: e, per: day, cost: 5}]}", []),
    "limits, same name": ("config: {policies: {limits: [{name: d, per: day, cost: 5}]}}\nfields: {lock: [{path: policies.limits, allow: add}]}",
        "policies: {limits: [{name: d, per: day, cost: 50}]}", ['gw.yaml:6 AIG2020 `policies.limits` is locked by "p"']),
    "limits, loosened": ("config: {policies: {limits: [{name: d, per: day, cost: 5}]}}\nfields: {lock: [{path: policies.limits, allow: add}]}",
        "policies: {limits: [{name: d, onExceeded: observe}]}", ['gw.yaml:6 AIG2020 `policies.limits` is locked by "p"']),
    "limits, replaced": ("config: {policies: {limits: [{name: d, per: day, cost: 5}]}}\nfields: {lock: [{path: policies.limits, allow: add}]}",
        "policies: {limits: [{$patch: replace}]}", ['gw.yaml:6 AIG2020 `policies.limits` is locked by "p"']),
    "an item deleted that holds a lock": ("config: {models: [{name: m, policies: {limitStore: s}}]}\nfields: {lock: ['models[*].policies.limitStore']}",
        "models: [{name: m, $patch: delete}]", ['gw.yaml:6 AIG2022 `models[m]` cannot be deleted here: "p" holds on to what is in it']),
    "exposed": ("config: {models: [{name: m}], policies: {limitStore: s}}\nfields: {expose: [models]}", "models: [{name: n}]", []),
    "not exposed": ("config: {models: [{name: m}], policies: {limitStore: s}}\nfields: {expose: [models]}", "consumers: [{name: n}]",
        ["gw.yaml:6 AIG1001 `consumers` is no field of spec"]),
    "exposed below": ("config: {models: [{name: m}]}\nfields: {expose: ['models[m].policies.limits']}",
        "models: [{name: m, policies: {limits: [{name: x, per: day, requests: 1}], cache: {}}}, {name: n}]",
        ["gw.yaml:6 AIG1001 `cache` is no field of models[m].policies", "gw.yaml:6 AIG1001 `n` cannot be set in models here"]),
    "credential and destination": ("config: {providers: [{name: a, type: openai, auth: {apiKey: {env: A}}}]}", "providers: [{name: a, baseUrl: 'http://evil'}]",
        ['gw.yaml:6 AIG2023 `baseUrl` cannot be set here: a credential of providers[a] comes from "p", and would go along']),
    "opened": ("config: {providers: [{name: a, type: openai, auth: {apiKey: {env: A}}}]}\nfields: {open: ['providers[*].headers']}",
        "providers: [{name: a, headers: {x: y}}]", []),
    "one's own credential": ("config: {providers: [{name: a, type: openai}]}", "providers: [{name: a, baseUrl: 'http://mine', auth: {apiKey: {env: A}}}]", []),
    "a vault's endpoint": ("config: {vaults: [{name: v, type: aws, aws: {region: eu}}]}", "vaults: [{name: v, aws: {endpointUrl: 'http://evil'}}]",
        ['gw.yaml:6 AIG2023 `aws` cannot be set here: a credential of vaults[v] comes from "p", and would go along']),
    "another variable": ("config: {}\nfields: {secrets: [{env: 'TEAM_*'}]}", "providers: [{name: a, auth: {apiKey: {env: OPENAI_API_KEY}}}]",
        ['gw.yaml:6 AIG2024 this reference to a secret is not one that "p" leaves to you']),
    "a variable of one's own": ("config: {}\nfields: {secrets: [{env: 'TEAM_*'}]}", "providers: [{name: a, auth: {apiKey: {env: TEAM_KEY}}}]", []),
    "a hidden vault": ("config: {vaults: [{name: v, type: env}]}\nfields: {hide: [vaults]}", "providers: [{name: a, auth: {apiKey: {vault: v, key: k}}}]",
        ['gw.yaml:6 AIG3001 no vault "v" is defined']),
    "too much": ("config: {}\nfields: {constrain: [{path: 'policies.limits[*].tokens', schema: {maximum: 10}}]}", "policies: {limits: [{name: x, per: day, tokens: 11}]}",
        ['gw.yaml:6 AIG2025 policies.limits[x].tokens is 11, and "p" constrains it']),
    "too long": ("config: {}\nfields: {constrain: [{path: 'models[*].timeouts.request', schema: {maximum: 60}}]}", "models: [{name: m, timeouts: {request: 2m}}]",
        ['gw.yaml:6 AIG2025 models[m].timeouts.request is "2m", and "p" constrains it']),
    "missing": ("config: {}\nfields: {constrain: [{path: 'listeners[*].tls', schema: {}, required: true}]}", "listeners: [{name: l, port: 80}]",
        ['gw.yaml:6 AIG2025 `tls` is missing in listeners[l]: "p" demands it']),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRACTS)
def test_contracts(name: str) -> None:
    below, beside, expected = CONTRACTS[name]
    found = resolved(p=part("p", below), gw=gateway(f"configRef: {{name: p}}\n{beside}"))
    assert said(found) == expected
