"""Parts and gateways as texts to what they make together, and to what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from aigw_compile import compiler
from aigw_compile.diagnostic import Diagnostic
from aigw_compile.resolve import Library, Resolved, resolve
from aigw_compile.reuse import Reuse
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
    named = {f"f{n}.yaml": t for n, t in enumerate(texts)} | {
        k.replace("__", "/") + ".yaml": t for k, t in files.items()
    }
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


CASES = Path(__file__).parent / "cases"
MERGES: dict[str, dict[str, Any]] = yaml.safe_load((CASES / "merging.yaml").read_text("utf-8"))
CONTRACTS: dict[str, dict[str, Any]] = yaml.safe_load((CASES / "contracts.yaml").read_text("utf-8"))


@pytest.mark.parametrize("name", MERGES)
def test_merging(name: str) -> None:
    case = MERGES[name]
    found = resolved(part("p", case["part"]), gateway(f"configRef: {{name: p}}\n{case['gateway']}"))
    assert said(found) == []
    assert spec(found) == case["together"]


def test_parts_of_parts_and_a_diamond() -> None:
    base = part("base", "config: {policies: {promptGuard: {deny: [base]}, limitStore: base}}")
    one = part("one", "configRef: {name: base}\nconfig: {policies: {promptGuard: {deny: [one]}, limitStore: one}}")
    two = part("two", "configRef: {name: base}\nconfig: {policies: {promptGuard: {deny: [two]}}}")
    found = resolved(base, one, two, gateway("configRef: [{name: one}, {name: two}]"))
    assert said(found) == []
    assert spec(found) == {"policies": {"promptGuard": {"deny": ["base", "one", "two"]}, "limitStore": "one"}}
    span = found.source.span(("spec", "policies", "promptGuard", "deny", 0))
    assert (span.file, span.line) == ("f0.yaml", 6)
    assert span.via
    assert (span.via.file, span.via.line) == ("f2.yaml", 6)
    assert span.via.via
    assert (span.via.via.file, span.via.via.line) == ("f3.yaml", 5)


def test_a_configref_inside_an_object() -> None:
    corp = part("corp", "config: {type: openai, region: eu, auth: {apiKey: {env: CORP}}}", "Provider")
    guard = part("guard", "config: {promptGuard: {deny: [a]}}", "Policies")
    found = resolved(
        corp,
        guard,
        gateway(
            "providers: [{name: x, configRef: {name: corp}}]\nmodels: [{name: m, policies: {configRef: {name: guard}, limitStore: s}}]"
        ),
    )
    assert said(found) == []
    assert spec(found) == {
        "providers": [{"type": "openai", "region": "eu", "auth": {"apiKey": {"env": "CORP"}}, "name": "x"}],
        "models": [{"name": "m", "policies": {"promptGuard": {"deny": ["a"]}, "limitStore": "s"}}],
    }
    span = found.source.span(("spec", "providers", 0, "region"))
    assert (span.file, span.line) == ("f0.yaml", 6)
    assert span.via
    assert span.via.file == "f2.yaml"


@pytest.mark.parametrize("name", CONTRACTS)
def test_contracts(name: str) -> None:
    case = CONTRACTS[name]
    found = resolved(p=part("p", case["part"]), gw=gateway(f"configRef: {{name: p}}\n{case['gateway']}"))
    assert said(found) == case["said"]


def test_a_part_inside_of_an_object_is_one_layer_with_what_stands_beside_it() -> None:
    """The type beside it replaces the weaker provider, and not the part that came in with it."""
    corp = part("corp", "config: {region: eu}", "Provider")
    base = part("base", "config: {providers: [{name: x, type: openai, headers: {a: b}}]}")
    found = resolved(
        corp, base, gateway("configRef: {name: base}\nproviders: [{name: x, configRef: {name: corp}, type: mistral}]")
    )
    assert said(found) == []
    assert spec(found) == {"providers": [{"region": "eu", "name": "x", "type": "mistral"}]}


def test_a_part_that_somebody_else_brings_in_at_another_object_is_bound() -> None:
    """A part of one's own is no referrer where one brings it in oneself; where another does, it is theirs."""
    eu = part("eu", "config: {type: openai, region: eu}", "Provider")
    us = part("us", "config: {type: openai, region: us}", "Provider")
    org = part(
        "org",
        "config: {providers: [{name: a, configRef: {name: eu}}, {name: b, configRef: {name: us}}]}\n"
        "fields: {lock: ['providers[*].region']}",
    )
    found = resolved(eu, us, org, gateway("configRef: {name: org}\nproviders: [{name: a, configRef: {name: us}}]"))
    assert said(found) == ['f1.yaml:6 AIG2020 `providers[a].region` is locked by "org"']
    assert spec(found)["providers"][0]["region"] == "eu"


def test_a_directive_without_any_part_below_is_told_in_a_project_that_has_parts() -> None:
    documents = sources({"p.yaml": part("p", "config: {}"), "g.yaml": gateway("policies: {cache: {$patch: delete}}")})
    checked = compiler.check_document(documents[1], None, Reuse(Library(documents[:1])))
    assert "AIG1016" in [d.code for d in checked.diagnostics]
