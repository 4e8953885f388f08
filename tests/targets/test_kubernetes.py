"""The kubernetes target, held against the CRDs' own rules: every object of every spec, in every profile."""

from __future__ import annotations

import copy
import functools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aigw_compile import compiler, ir, secretfiles
from aigw_compile.diagnostic import Pointer, named
from aigw_compile.document import source_map, text_of
from aigw_compile.emitters.kubernetes.objects import address, duration, label, quantity
from aigw_compile.plan import asks, edges
from aigw_compile.project import TargetChoice
from aigw_compile.source import parse
from aigw_compile.target import Support, facts, manifest
from tests import support
from tests.silence import silent
from tests.targets.kubernetes_specs import SPECS

PROFILES = [*manifest("kubernetes").profiles]
CASES = [pytest.param(name, profile, id=f"{name}-{profile}") for name in SPECS for profile in PROFILES]
FOLDERS = {
    "envoy-ai-gateway": ("envoy-ai-gateway-v1.1.0", "envoy-gateway-v1.9.0", "gateway-api-v1.6.1"),
    "kong-operator": ("kong-operator-v2.2.3", "gateway-api-v1.6.1"),
}


@functools.cache
def checked(name: str) -> compiler.Checked:
    return compiler.check_text(SPECS[name])


def build(source: compiler.Checked, profile: str) -> compiler.Build:
    return support.build_all_accepted(source, TargetChoice("kubernetes", profile, {}))


@functools.cache
def outputs(name: str, profile: str) -> tuple[list[Any], dict[str, Any]]:
    """The objects, and secrets.json."""
    built = build(checked(name), profile)
    assert built.documents, built.diagnostics
    objects, secrets = (d.body for d in built.documents)
    assert isinstance(objects, list)
    assert isinstance(secrets, dict)
    return objects, secrets


@functools.cache
def cluster(profile: str) -> Any:
    shared = support.shared()
    if shared is None or not (shared / "upstream" / "crds").is_dir():
        pytest.skip("the CRDs are not here")
    from tests.targets.crdcheck import Cluster

    return Cluster(shared / "upstream" / "crds", FOLDERS[profile])


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_an_apiserver_would_take_every_object(name: str, profile: str) -> None:
    objects, secrets = outputs(name, profile)
    made = [item for file in secrets["files"] for item in secretfiles._filled(file["body"], _Any())]
    found = {f"{o['kind']} {o['metadata']['name']}": cluster(profile).errors(o) for o in [*objects, *made]}
    assert {k: v for k, v in found.items() if v} == {}


class _Any(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "a-placeholder"


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_no_default_is_left_to_the_apiserver(name: str, profile: str) -> None:
    """So that nothing drifts where a repository is the truth."""
    objects, _ = outputs(name, profile)
    for obj in objects:
        assert cluster(profile).defaulted(obj) == obj


BAD: list[tuple[str, Pointer, Any, str]] = [
    ("AIGatewayRoute", ("spec", "rules", 0, "unknown"), 1, "unknown field"),
    ("AIGatewayRoute", ("spec", "parentRefs", 0, "kind"), "Service", "Gateway"),
    ("AIGatewayRoute", ("spec", "rules", 0, "backendRefs", 0, "weight"), -1, "out of range"),
    ("AIGatewayRoute", ("spec", "rules", 0, "timeouts", "backendRequest"), "90m", "request"),
    ("AIServiceBackend", ("spec", "backendRef", "kind"), "Service", "Backend"),
    ("BackendSecurityPolicy", ("spec", "type"), "AWSCredentials", "AWSCredentials"),
    ("BackendTrafficPolicy", ("spec", "targetRefs", 0, "kind"), "AIGatewayRoute", "targetRef"),
    ("EnvoyProxy", ("spec", "provider", "kubernetes", "envoyHpa", "minReplicas"), 99, "maxReplicas"),
    ("ClientTrafficPolicy", ("spec", "connection", "bufferLimit"), True, "neither"),
    ("Gateway", ("spec", "listeners", 0, "port"), 70000, "out of range"),
    ("Gateway", ("metadata", "name"), "a_b", "metadata.name"),
    ("Gateway", ("apiVersion",), "gateway.networking.k8s.io/v1alpha2", "not served"),
    ("BackendTLSPolicy", ("apiVersion",), "gateway.networking.k8s.io/v1alpha3", "not served"),
    ("BackendTLSPolicy", ("spec", "validation", "wellKnownCACertificates"), "Mine", "does not match"),
    ("SecurityPolicy", ("spec", "apiKeyAuth", "extractFrom", 0, "params"), ["key"], "specified"),
]


@pytest.mark.parametrize(("kind", "at", "value", "said"), BAD)
def test_the_checker_sees_faults(kind: str, at: Pointer, value: Any, said: str) -> None:
    objects, _ = outputs("support-desk", "envoy-ai-gateway")
    obj = copy.deepcopy(_plain(next(o for o in objects if o["kind"] == kind)))
    _at(obj, at[:-1])[at[-1]] = value
    assert any(said in error for error in cluster("envoy-ai-gateway").errors(obj))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else value


def _at(value: Any, at: Pointer) -> Any:
    for step in at:
        value = value[step]
    return value


# --- references


def references(obj: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (kind, name) of everything that an object refers to."""

    def walk(value: Any) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            if isinstance(value.get("name"), str) and "kind" in value and "metadata" not in value:
                yield value["kind"], value["name"]
            if "secretKeyRef" in value:
                yield "Secret", value["secretKeyRef"]["name"]
            yield from (found for inner in value.values() for found in walk(inner))
        elif isinstance(value, list):
            yield from (found for inner in value for found in walk(inner))

    yield from walk({k: v for k, v in obj.items() if k not in ("config",)})
    notes = obj["metadata"].get("annotations", {})
    yield from (("KongPlugin", n) for n in notes.get("konghq.com/plugins", "").split(",") if n)
    if "aigateway.envoyproxy.io/gateway-config" in notes:
        yield "GatewayConfig", notes["aigateway.envoyproxy.io/gateway-config"]
    if obj["kind"] == "AIGatewayRoute":
        yield from (("AIServiceBackend", b["name"]) for rule in obj["spec"]["rules"] for b in rule["backendRefs"])
    if obj["kind"] == "Gateway":
        yield "GatewayClass", obj["spec"]["gatewayClassName"]
    if obj["kind"] == "KongConsumer":
        yield from (("KongConsumerGroup", name) for name in obj.get("consumerGroups", ()))
        yield from (("Secret", name) for name in obj.get("credentials", ()))


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_no_reference_dangles(name: str, profile: str) -> None:
    objects, secrets = outputs(name, profile)
    made = [item for file in secrets["files"] for item in file["body"]]
    there = {(o["kind"], o["metadata"]["name"]) for o in [*objects, *made]}
    # Envoy AI Gateway makes an HTTPRoute of the same name out of each of its routes.
    there |= {("HTTPRoute", n) for kind, n in there if kind == "AIGatewayRoute"}
    gateway = checked(name).gateway
    assert gateway
    place = gateway.deployment.kubernetes
    others = (
        {("GatewayClass", place.gateway_class), ("Gateway", place.gateway and place.gateway[1])} if place else set()
    )
    own = {("Secret", r.name) for r in _refs(gateway) if r.in_cluster}
    # What has to be copied by hand out of a Secret of the cluster under another key; a finding says so.
    listeners = [x for x in gateway.listeners if x.tls and x.tls.certificate.in_cluster]
    by_hand = {
        *(label(gateway.name, p.name) for p in gateway.providers if p.credential and p.credential.in_cluster),
        *(label(gateway.name, p.name, "ca") for p in gateway.providers if p.tls and p.tls.ca and p.tls.ca.in_cluster),
        *(label(gateway.name, x.name, kind) for x in listeners for kind in ("tls", "clients-ca")),
    }
    wanted = {ref for obj in objects for ref in references(obj)}
    copied = {
        ("Secret", ref)
        for kind, ref in wanted
        if kind == "Secret" and any(ref.startswith(f"{gateway.name}.{c.name}.key.") for c in gateway.consumers)
        if any(k.api_key.in_cluster for c in gateway.consumers for k in c.credentials)
    } | {
        ("Secret", f"{gateway.name}.{c.name}.password.{number + 1}")
        for c in gateway.consumers
        for number, login in enumerate(c.logins)
        if login.password.in_cluster
    }
    assert wanted - there - own - {("Secret", n) for n in by_hand} - copied - others == set()


def _refs(gateway: ir.Gateway) -> Iterator[ir.SecretRef]:
    yield from (ref for _, ref in ir.secrets(gateway))


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_names_are_unique_and_all_is_in_the_namespace_that_was_asked_for(name: str, profile: str) -> None:
    objects, secrets = outputs(name, profile)
    names = Counter((o["kind"], o["metadata"]["name"]) for o in objects)
    assert [n for n, count in names.items() if count > 1] == []
    gateway = checked(name).gateway
    assert gateway
    place = gateway.deployment.kubernetes
    made = [item for file in secrets["files"] for item in file["body"]]
    found = {
        o["metadata"].get("namespace") for o in [*objects, *made] if o["kind"] not in ("GatewayClass", "KongVault")
    }
    assert found == {place.namespace if place else None}
    assert not any("namespace" in o["metadata"] for o in objects if o["kind"] in ("GatewayClass", "KongVault"))


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_each_policy_has_its_target_alone(name: str, profile: str) -> None:
    """Of two policies of a kind on one target the older wins whole (Envoy Gateway)."""
    objects, _ = outputs(name, profile)
    aims = Counter(
        (o["kind"], ref["kind"], ref["name"], ref.get("sectionName"))
        for o in objects
        if o["kind"].endswith("Policy")
        for ref in o["spec"]["targetRefs"]
    )
    assert [aim for aim, count in aims.items() if count > 1] == []


# --- secrets


def test_secrets_are_written_from_values(tmp_path: Path) -> None:
    for document in build(checked("support-desk"), "envoy-ai-gateway").documents:
        (tmp_path / document.filename).write_text(text_of(document), "utf-8")
    asked = secretfiles.read(tmp_path)
    (written,) = secretfiles.write(tmp_path, secretfiles.placeholders(asked))
    assert written.stat().st_mode & 0o777 == 0o600
    sources, diagnostics = parse(written.read_bytes(), written.name)
    assert not diagnostics
    found: dict[str, Any] = {}
    for source in sources:
        data: Any = source.data
        found[data["metadata"]["name"]] = data["stringData"]
    assert {name: sorted(data) for name, data in found.items()} == {
        "support-desk-openai": ["apiKey"],
        "support-desk-claude": ["apiKey"],
        "support-desk.clients": ["helpdesk-bot", "intern"],
    }


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_every_secret_is_asked_for_or_in_the_cluster(name: str, profile: str) -> None:
    objects, secrets = outputs(name, profile)
    gateway = checked(name).gateway
    assert gateway
    lost = build(checked(name), profile).plan.lost
    # A password of a Redis is an affair of Envoy Gateway's own configuration; Kong asks for one that counts.
    counting = edges.counting_stores(gateway) if profile == "kong-operator" else ()
    others = [s.password for s in gateway.stores if s.password and s not in counting]
    # Files of the data plane are named, not asked for.
    tls = [x.tls for x in (*gateway.providers, *gateway.stores) if x.tls and profile == "kong-operator"]
    others += [r for t in tls for r in (t.ca, t.certificate, t.key) if r]
    refs = [r for r in _refs(gateway) if not r.in_cluster and not lost(r.origin) and r not in others]
    by_kong = {v["metadata"]["name"] for v in objects if v["kind"] == "KongVault" and v["spec"]["backend"] != "env"}
    asked = [r for r in refs if not (r.vault and label(gateway.name, "vault", r.vault.name) in by_kong)]
    assert len(secrets["secrets"]) == len(asked)
    # What the manifests hold as a Secret is none: the operator of Kong reads a consumer's groups from one.
    held = [o for o in objects if o["kind"] == "Secret"]
    assert all(o["metadata"]["labels"]["konghq.com/credential"] == "acl" and [*o["data"]] == ["group"] for o in held)


# --- what the gateway of the language page becomes


def picked(objects: list[Any], kind: str, name: str) -> Any:
    return next(o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)


def test_falling_back_tries_each_priority() -> None:
    objects, _ = outputs("support-desk", "envoy-ai-gateway")
    refs = picked(objects, "AIGatewayRoute", "support-desk-chat")["spec"]["rules"][0]["backendRefs"]
    assert [(r["priority"], r["weight"]) for r in refs] == [(0, 90), (0, 10), (1, 1), (2, 1)]
    retry = picked(objects, "BackendTrafficPolicy", "support-desk-chat")["spec"]["retry"]
    assert (retry["numRetries"], retry["numAttemptsPerPriority"]) == (5, 2)
    assert retry["perRetry"] == {"timeout": "20s", "backOff": {"baseInterval": "250ms", "maxInterval": "2s"}}


def test_who_may_call_a_model() -> None:
    objects, _ = outputs("support-desk", "envoy-ai-gateway")
    rules = picked(objects, "SecurityPolicy", "support-desk")["spec"]["authorization"]
    called = {"name": "x-ai-eg-model", "values": ["chat", "gpt-4o"]}
    assert rules == {
        "defaultAction": "Allow",
        "rules": [
            {
                "action": "Allow",
                "principal": {"headers": [called, {"name": "x-aigw-consumer", "values": ["helpdesk-bot"]}]},
            },
            {"action": "Deny", "principal": {"headers": [called]}},
        ],
    }


def test_a_borrowed_secret_lets_in_nobody_else() -> None:
    """A Secret that is in the cluster may hold further entries; Envoy Gateway takes each for a client."""
    objects, _ = outputs("in-cluster", "envoy-ai-gateway")
    spec = picked(objects, "SecurityPolicy", "in-cluster")["spec"]
    assert [r["name"] for r in spec["apiKeyAuth"]["credentialRefs"]] == ["in-cluster.clients", "app-keys"]
    assert spec["authorization"]["defaultAction"] == "Deny"
    last = spec["authorization"]["rules"][-1]
    ids = ["app", "app.2", "batch", "guest"]
    assert last == {"action": "Allow", "principal": {"headers": [{"name": "x-aigw-consumer", "values": ids}]}}


def test_limits_count_what_they_say() -> None:
    objects, _ = outputs("in-cluster", "envoy-ai-gateway")
    rules = picked(objects, "BackendTrafficPolicy", "in-cluster")["spec"]["rateLimit"]["global"]["rules"]
    assert all(rule["shared"] for rule in rules)
    each = [r for r in rules if r["limit"]["unit"] == "Second"]
    assert len(each) == 3 * 2 * 2  # consumers, models, groups
    (whole,) = [r for r in rules if r["limit"] == {"requests": 100000, "unit": "Hour"} and "cost" not in r]
    assert "clientSelectors" not in whole
    (group,) = [r for r in rules if r["limit"]["unit"] == "Month"]
    assert group["clientSelectors"][0]["headers"][0]["value"] == "^(batch|guest)$"


def test_a_model_with_many_names_gets_several_routes() -> None:
    objects, _ = outputs("wide", "envoy-ai-gateway")
    routes = [o for o in objects if o["kind"] == "AIGatewayRoute" and o["metadata"]["name"].startswith("wide-many")]
    assert [len(r["spec"]["rules"][0]["matches"]) for r in routes] == [64, 64, 23]
    policy = picked(objects, "BackendTrafficPolicy", "wide-many")
    assert [r["name"] for r in policy["spec"]["targetRefs"]] == [r["metadata"]["name"] for r in routes]


def test_what_is_refused_is_not_half_written() -> None:
    objects, _ = outputs("local-models", "envoy-ai-gateway")
    text = json.dumps(objects)
    assert "workstation" not in text
    assert "local-models-home" not in text
    assert "/llm" not in text


# --- small parts


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "250ms"), (90, "1m30s"), (600, "10m"), (3661.5, "1h1m1s500ms"), (360000, "100h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0"), (1000, "1000"), (1024, "1Ki"), (10 << 20, "10Mi"), (3 << 30, "3Gi")]
)
def test_quantities(size: int, text: str) -> None:
    assert quantity(size) == text


def test_names_stay_apart() -> None:
    words = ["gpt-4.1", "gpt-4-1", "GPT-4-1", "gpt/4/1", "x" * 80, "x" * 81, "é", "ü"]
    found = [label("gw", w) for w in words]
    assert len(set(found)) == len(words)
    assert all(len(f) <= 63 for f in found)


def test_addresses() -> None:
    assert address("https://api.openai.com/v1") == (True, "api.openai.com", 443, "/v1")
    assert address("http://[fd00::1]:8000") == (False, "fd00::1", 8000, "")


# --- laws


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_same_bytes_every_time(name: str, profile: str) -> None:
    first, second = ([*map(text_of, build(compiler.check_text(SPECS[name]), profile).documents)] for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_every_leaf_is_emitted_or_reported(name: str, profile: str) -> None:
    built = build(checked(name), profile)
    emitted = {origin for d in built.documents for _, origin in source_map(d.body)}
    reported = {loss.at for loss in built.plan.losses}
    data = checked(name).source.data
    for ask in asks(data):
        around = {ask.at[:n] for n in range(2, len(ask.at) + 1)} | {ask.at}
        assert around & (emitted | reported) or len(ask.at) <= 2, named(ask.at, data)


# What a spec says twice: without it, or with another name there, the same consumers may call.
# And what a limit counts by says nothing where the whole limit is refused.
SAME = {
    "support-desk": {"models[chat].access.deny.consumers[0]"},
    "in-cluster": {"policies.limits[each].by[2]"},
    # Its password is copied by hand, and behind the door of passwords it is known by its user name.
    "logins": {"consumers[three].name"},
}


@pytest.mark.parametrize(("name", "profile"), [c for c in CASES if c.values[0] not in ("strange", "wide")])
def test_changing_any_leaf_changes_an_output_or_is_named(name: str, profile: str) -> None:
    choice = TargetChoice("kubernetes", profile, {})
    found = silent(checked(name).source.data, choice) - SAME.get(name, set())
    assert found == set()


WITHOUT_A_MODEL = """
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: g}
spec:
  listeners: [{name: l, address: 127.0.0.1, port: 8080}]
  auth:
    jwt:
      - {name: j, issuer: "https://i.test", jwksUri: "https://i.test/keys", audiences: [a], groupsClaim: g, groupMap: {a: x, b: y}}
  consumers: [{name: c, groups: [x]}]
  consumerGroups: [{name: x}, {name: y}]
  providers: [{name: p, type: vllm, baseUrl: "http://127.0.0.1:8000/v1"}]
  models: [{name: m, access: {deny: {groups: [x]}}, targets: [{provider: p, model: y}]}]
"""


@pytest.mark.parametrize("profile", ["envoy-ai-gateway", "kong-operator"])
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "models.test"])
def test_what_a_token_says_of_groups_is_built_or_named(host: str, profile: str) -> None:
    data = compiler.check_text(WITHOUT_A_MODEL.replace("127.0.0.1:8000", host)).source.data
    assert silent(data, TargetChoice("kubernetes", profile, {})) == set()


# --- Kong Operator


def test_a_bearer_is_put_before_a_key_by_the_pod() -> None:
    """Variables are sorted by name, and one can only name those before it (Kong Operator 2.2.3, FillContainerEnvs)."""
    objects, _ = outputs("in-cluster", "kong-operator")
    deployment = picked(objects, "GatewayConfiguration", "in-cluster")["spec"]["dataPlaneOptions"]["deployment"]
    env = sorted(deployment["podTemplateSpec"]["spec"]["containers"][0]["env"], key=lambda e: e["name"])
    known: set[str] = set()
    composed = 0
    for variable in env:
        value = variable.get("value", "")
        if value.startswith("Bearer "):
            composed += 1
            assert value.removeprefix("Bearer $(").removesuffix(")") in known
        known.add(variable["name"])
    assert composed == 2
    assert len(known) == len(env)


@pytest.mark.parametrize("name", [c.values[0] for c in CASES if c.values[1] == "kong-operator"])
def test_the_same_plugins_as_for_kong(name: str) -> None:
    """Each plugin of kong.yml is an object, and hangs where it stood."""
    kong = support.build_all_accepted(checked(name), TargetChoice("kong", "enterprise-3.15", {})).documents[0].body
    assert isinstance(kong, dict)
    objects, _ = outputs(name, "kong-operator")
    plugins = {o["metadata"]["name"]: o for o in objects if o["kind"] == "KongPlugin"}

    def hung(kind: str, at: str) -> set[tuple[str, str]]:
        notes = picked(objects, kind, at)["metadata"]["annotations"].get("konghq.com/plugins", "")
        return {(plugins[n]["plugin"], plugins[n]["instance_name"]) for n in notes.split(",") if n}

    def said(block: Any, consumer: str = "") -> set[tuple[str, str]]:
        mine = (p for p in block.get("plugins", ()) if p.get("consumer", "") == consumer or "methods" in block)
        return {(p["name"], p["instance_name"]) for p in mine}

    gateway = checked(name).gateway
    assert gateway
    (service,) = kong["services"]
    assert "plugins" not in kong, "other APIs of a Kong are left alone"
    assert said(service) == hung("Service", f"{gateway.name}-egress")
    for route in service["routes"]:
        assert said(route) == hung("HTTPRoute", label(route["name"])), route["name"]
    for consumer in kong.get("consumers", ()):
        assert said(service, consumer["username"]) <= hung("KongConsumer", label(gateway.name, consumer["username"]))


def test_a_profile_inherits_the_rows_of_the_target_that_does_its_work() -> None:
    kong, operator = facts("kong", "enterprise-3.15"), facts("kubernetes", "kong-operator")
    assert operator.row("models.retries.backoff") == kong.row("models.retries.backoff")
    assert operator.row("deployment").support is Support.NATIVE
    assert kong.row("deployment").support is Support.OUTSIDE
    both = [(c.when, c.feature) for c in operator.conditions]
    assert both.count(("prefixed-credential", "providers.auth")) == 1
    assert facts("kubernetes", "envoy-ai-gateway").row("models.retries.backoff").support is Support.NATIVE
