"""The definition and its schema: fresh, complete, and of one mind with the validator that runs."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aigw_compile import schema
from aigw_compile.diff import CLASSES
from aigw_compile.language import AIGateway
from aigw_compile.language.generate import published, strict
from aigw_compile.source import parse
from aigw_compile.validate import validate
from tests.drawn import document, mutated
from tests.support import ROOT, specs


def examples() -> list[Any]:
    return [parse(text, "x")[0][0].data for text in specs().values()]


@pytest.mark.parametrize(("name", "text"), published().items())
def test_the_schemas_are_fresh(name: str, text: str) -> None:
    assert (ROOT / "schemas" / name).read_text("utf-8") == text, "run `make schema`"
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    assert len(text) < 400_000
    assert json.loads(text)["$id"].startswith("https://aigw.dev/")


def test_a_whole_document_has_the_schema_of_the_definition() -> None:
    """What is published demands less where a configRef stands; what runs, on documents without one, demands it all."""
    found = {key: value for key, value in schema.document_schema().items() if key[0] != "$" or key == "$defs"}
    assert found == json.loads(json.dumps(strict()))
    assert schema.partial(found)["$defs"] == schema.layer_schema()["$defs"]
    jsonschema.Draft202012Validator.check_schema(schema.layer_schema())


def fields(node: dict[str, Any], path: str, seen: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of the language with its path."""
    node = schema.follow(node)
    title = str(node.get("title"))
    if title in seen and node.get("properties"):
        return
    for key, inner in node.get("properties", {}).items():
        found = schema.follow(inner)
        yield f"{path}.{key}", {**found, **inner, "is required": key in node.get("required", ())}
        yield from fields(found.get("items", found), f"{path}.{key}", (*seen, title))


def every_field() -> list[Any]:
    return [pytest.param(path, node, id=path) for path, node in fields(schema.document_schema(), "")]


@pytest.mark.parametrize(("path", "node"), every_field())
def test_every_field_says_what_it_is_and_what_a_change_means(path: str, node: dict[str, Any]) -> None:
    assert node.get("description"), path
    later = node.get("x-aigw-later") or node.get("x-aigw-reserved")
    changes = node.get("x-aigw-change")
    assert changes is not None
    assert later or changes, f"{path} declares no change"
    assert {c for classes in changes.values() for c in classes} <= set(CLASSES)
    assert set(changes) <= {"added", "removed", "changed", "raised", "lowered", "on", "off", "moved", "set", "unset"}
    if node.get("type") == "array":
        assert node["x-kubernetes-list-type"] in ("map", "set", "atomic"), path


def events(node: dict[str, Any]) -> set[str]:
    """What can happen to a field: whatever has no default may come and go, and values change in their own ways."""
    kind, unit = node.get("type"), node.get("x-aigw-unit")
    possible = set() if node["is required"] or "default" in node else {"added", "removed"}
    if kind == "boolean":
        return possible | (set() if "const" in node else {"on", "off"})
    if kind == "array":
        return {"added", "removed"}
    if kind in ("integer", "number") or unit in ("duration", "size") or "x-aigw-order" in node:
        return possible | {"raised", "lowered"}
    return possible if kind == "object" else possible | {"changed"}


@pytest.mark.parametrize(("path", "node"), every_field())
def test_whatever_can_happen_to_a_field_has_a_class(path: str, node: dict[str, Any]) -> None:
    if node.get("x-aigw-later") or node.get("x-aigw-reserved"):
        return
    changes = node["x-aigw-change"]
    for event in events(node):
        assert changes.get(event, changes.get("changed")), (path, event)
    if node.get("x-aigw-unit") in ("duration", "size"):
        assert {"raised", "lowered"} <= set(changes), path


# Every field of the tables of the language page, and of parts and merging. What is not built is there all the same.
LANGUAGE = {
    "": "apiVersion kind metadata spec",
    "metadata": "name labels annotations",
    "spec": "configRef listeners vaults providers models auth consumerGroups consumers stores policies observability "
    "deployment mcpServers agents",
    "spec.listeners": "configRef name address port hostnames basePath tls maxBodySize trustedProxies cors",
    "spec.vaults": "configRef name type env aws gcp azure hashicorp refresh",
    "spec.vaults.env": "prefix",
    "spec.vaults.aws": "region endpointUrl roleArn",
    "spec.vaults.hashicorp": "address mount kvVersion namespace auth",
    "spec.providers": "configRef name type baseUrl auth headers tls egressProxy region slo azure bedrock vertex",
    "spec.providers.auth": "apiKey aws gcp azure",
    "spec.providers.auth.apiKey": "env file vault key property version kubernetes",
    "spec.models": "configRef name aliases match capabilities targets loadBalancing retries fallback timeouts health "
    "access residency lifecycle onDisconnect exposeTarget policies",
    "spec.models.targets": "configRef name provider model weight priority parameters onUnsupported pricing",
    "spec.models.retries": "attempts on backoff",
    "spec.models.retries.backoff": "base max",
    "spec.models.fallback": "on response",
    "spec.models.fallback.response": "status content",
    "spec.models.timeouts": "connect firstByte idle request",
    "spec.models.access": "allow deny",
    "spec.auth": "configRef apiKey jwt basic hmac oidc mtls anonymous",
    "spec.auth.apiKey": "headers",
    "spec.auth.jwt": "name issuer audiences jwksUri consumerClaim groupsClaim groupMap unknownConsumer",
    "spec.auth.basic": "",
    "spec.stores": "configRef name type redis onFailure",
    "spec.stores.redis": "address database auth tls",
    "spec.listeners.tls": "certificate key clientCA minVersion",
    "spec.listeners.cors": "origins methods headers credentials maxAge",
    "spec.vaults.gcp": "projectId",
    "spec.vaults.azure": "vaultUrl tenantId clientId",
    "spec.providers.tls": "ca serverName clientCertificate clientKey",
    "spec.providers.azure": "instance apiVersion",
    "spec.providers.auth.azure": "tenantId clientId clientSecret managedIdentity",
    "spec.models.targets.parameters": "defaults overrides maximum",
    "spec.models.targets.pricing": "input output cacheRead cacheWrite",
    "spec.models.loadBalancing": "algorithm hashOn",
    "spec.models.health": "failures window cooldown",
    "spec.models.lifecycle": "deprecated sunset replacedBy",
    "spec.policies.responseGuard": "deny allow action",
    "spec.policies.requestTransformer": "model prompt extract timeout onError off",
    "spec.policies.responseTransformer": "model prompt extract timeout onError off",
    "spec.policies.cache": "type ttl scope store off embeddingModel threshold",
    "spec.policies.ipRestriction": "allow deny",
    "spec.deployment.resources": "requests limits",
    "spec.deployment.kubernetes": "namespace gatewayClassName gatewayRef serviceAccount disruptionBudget",
    "spec.consumers": "configRef name groups credentials policies",
    "spec.consumers.credentials": "apiKey basic",
    "spec.consumerGroups": "configRef name policies",
    "spec.policies": "configRef promptGuard responseGuard promptDecorator promptTemplates requestTransformer "
    "responseTransformer cache limits ipRestriction limitStore",
    "spec.policies.promptGuard": "deny allow roles scope",
    "spec.policies.promptDecorator": "prepend append",
    "spec.policies.limits": "name by per requests tokens reserveOutput cost concurrent count onExceeded",
    "spec.observability": "configRef operations metrics tracing accessLog labels usage",
    "spec.observability.operations": "address port",
    "spec.observability.tracing.otlp": "endpoint sampling",
    "spec.observability.accessLog": "format payloads",
    "spec.deployment": "configRef replicas autoscaling resources kubernetes",
    "spec.deployment.autoscaling": "minReplicas maxReplicas targetCPUUtilization",
}


@pytest.mark.parametrize("path", LANGUAGE)
def test_no_field_of_the_language_is_unknown(path: str) -> None:
    node: dict[str, Any] = schema.document_schema()
    for step in filter(None, path.split(".")):
        node = schema.follow(node["properties"][step])
        node = schema.follow(node["items"]) if "items" in node else node
    assert set(node.get("properties", {})) == set(LANGUAGE[path].split())
    assert node["additionalProperties"] is False


def test_no_value_of_the_language_is_unknown() -> None:
    def values(*pointer: str | int) -> set[str]:
        node = schema.field(pointer) or {}
        inner = schema.follow(node.get("items", node))
        known = inner.get("x-aigw-words") or inner.get("enum", [inner.get("const")])
        return {*known, *inner.get("x-aigw-later-values", ()), *node.get("x-aigw-later-values", ())}

    assert values("spec", "vaults", 0, "type") == set("env aws gcp azure hashicorp".split())
    assert values("spec", "providers", 0, "type") == set(
        "openai azure-openai anthropic gemini vertex-ai bedrock cohere mistral huggingface deepseek xai dashscope "
        "moonshot groq together openrouter ollama vllm openai-compatible".split()
    )
    assert values("spec", "models", 0, "capabilities") == set(
        "chat responses embeddings completions images audio rerank".split()
    )
    assert values("spec", "policies", "limits", 0, "by") == set("gateway consumer group model ip header:NAME".split())
    assert values("spec", "policies", "limits", 0, "per") == set("second minute hour day week month".split())
    assert values("spec", "models", 0, "fallback", "on") == set(
        "rate-limited overloaded server-error timeout connect-failure auth-error quota-exceeded context-length "
        "content-filter bad-response".split()
    )


def patterns(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        for inner in node.values():
            yield from patterns(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from patterns(inner)


@pytest.mark.parametrize("pattern", sorted(set(patterns(schema.document_schema()))))
def test_patterns_mean_the_same_to_every_reader_of_the_schema(pattern: str) -> None:
    """Editors read the schema with ECMAScript's regular expressions, tests with Python's, the validator with Rust's."""
    assert pattern.startswith("^")
    assert pattern.endswith("$")
    assert not re.search(r"\\[UpPAzZQEG]|\(\?|\\u\{|(?<!\\)\[\[|&&", pattern), pattern
    re.compile(pattern)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.ip_addresses().map(str), st.text("0123456789abcdefABCDEF:.", max_size=24)))
def test_addresses_are_those_of_the_standard_library(text: str) -> None:
    try:
        ip_address(text)
        right = True
    except ValueError:
        right = False
    found = schema.field(("spec", "listeners", 0, "address"))
    assert found
    if not ("." in text and ":" in text):  # an IPv4 address at the end of an IPv6 one is not taken
        assert bool(re.fullmatch(found["pattern"][1:-1], text)) == right


def test_defaults_are_filled_in_and_nothing_is_made_up() -> None:
    data: Any = {
        "apiVersion": "aigw.dev/v1alpha1",
        "kind": "AIGateway",
        "metadata": {"name": "x"},
        "spec": {"models": [{"name": "m", "targets": [{"provider": "p", "model": "m"}]}], "providers": []},
    }
    before = copy.deepcopy(data)
    whole: Any = schema.with_defaults(data)
    assert data == before
    assert whole["spec"]["listeners"][0]["maxBodySize"] == "10Mi"
    assert whole["spec"]["models"][0]["targets"][0] == {
        "provider": "p",
        "model": "m",
        "weight": 1,
        "priority": 0,
        "onUnsupported": "error",
    }
    assert "timeouts" not in whole["spec"]["models"][0]
    assert schema.with_defaults(whole) == whole


def both(data: Any) -> tuple[bool, list[Any]]:
    """Whether the definition accepts it, and what the running validator finds."""
    try:
        AIGateway.model_validate(data)
        accepted = True
    except ValidationError:
        accepted = False
    # A list is a set in the schema alone: pydantic has no such thing for what JSON calls an array.
    return accepted, [d for d in validate(data) if d.code != "AIG1007"]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9))
def test_what_is_drawn_from_the_schema_is_accepted_by_both(seed: int) -> None:
    assert both(document(seed)) == (True, [])


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 10**9))
def test_with_one_place_changed_both_still_agree(seed: int) -> None:
    data = mutated(seed)
    accepted, found = both(data)
    assert accepted == (found == []), found


def places(data: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if isinstance(data, dict):
        for key, inner in data.items():
            yield from places(inner, (*at, key))
    elif isinstance(data, list):
        for index, inner in enumerate(data):
            yield from places(inner, (*at, index))


EXAMPLES = examples()
PLACES = [(number, at) for number, data in enumerate(EXAMPLES) for at in places(data) if at]
VALUES = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        -1,
        7,
        70000,
        0.5,
        1.0,
        8080.0,
        "",
        "x",
        "a b",
        "30s",
        "10Mi",
        "no such",
        [],
        ["x"],
        ["x", "x"],
        {},
        {"env": "A"},
        {"x": 1},
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(PLACES), VALUES, st.sampled_from(["set", "delete", "add", "twice"]))
def test_definition_and_validator_accept_the_same(where: tuple[int, tuple[Any, ...]], value: Any, how: str) -> None:
    """Change one place of an example: pydantic accepts it if and only if the running validator does."""
    number, at = where
    data = copy.deepcopy(EXAMPLES[number])
    holder = data
    for step in at[:-1]:
        holder = holder[step]
    if how == "delete":
        del holder[at[-1]]
    elif how == "add" and isinstance(holder[at[-1]], dict):
        holder[at[-1]]["zzz"] = value
    elif how == "twice" and isinstance(holder[at[-1]], list):
        holder[at[-1]] *= 2
    else:
        holder[at[-1]] = value
    accepted, found = both(data)
    assert accepted == (found == []), found


def test_running_needs_no_pydantic() -> None:
    code = "import sys, aigw_compile.compiler; print([m for m in ('pydantic', 'ruamel', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
