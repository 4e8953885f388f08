"""What is said of a value that does not fit: the right code at the right place, once, with a way out, and no secret."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile import schema
from aigw_compile.compiler import check_text
from aigw_compile.diagnostic import Diagnostic, named
from aigw_compile.render import render
from aigw_compile.validate import CODES, validate, validate_project
from aigw_compile.validate.codes import SYNONYMS
from aigw_compile.validate.places import names
from aigw_compile.validate.right import ENUMS, LISTS, SHORT, duration, label, path, plain_name, size
from tests.drawn import ODD, document, mutated

BASE: Any = {
    "apiVersion": "aigw.dev/v1alpha1",
    "kind": "AIGateway",
    "metadata": {"name": "x"},
    "spec": {
        "providers": [{"name": "openai", "type": "openai", "auth": {"apiKey": {"env": "K"}}}],
        "models": [{"name": "chat", "targets": [{"provider": "openai", "model": "m"}]}],
        "auth": {"anonymous": True},
    },
}
GONE = object()


def edited(place: str, value: Any) -> Any:
    """BASE with a value at `models.0.name`; a place outside spec starts with a dot."""
    data = copy.deepcopy(BASE)
    steps = [int(s) if s.isdigit() else s for s in place.strip(".").split(".") if s]
    holder = data if place.startswith(".") else data["spec"]
    for step in steps[:-1]:
        holder = holder[step] if isinstance(holder, list) else holder.setdefault(step, {})
    if value is GONE:
        del holder[steps[-1]]
    else:
        holder[steps[-1]] = value
    return data


def limit(**fields: Any) -> Any:
    return [{"name": "a", "per": "minute", "requests": 1, **fields}]


def listener(**fields: Any) -> Any:
    return [{"name": "a", "port": 1, **fields}]


def vault(kind: str, **fields: Any) -> Any:
    return [{"name": "v", "type": kind, **fields}]


KEY = "providers.0.auth.apiKey"
REF = "{env: NAME}"
# place, value, and a line for each finding: code, its place, a part of the message, a part of the hint
CASES: list[tuple[str, Any, list[tuple[str, str, str, str]]]] = [
    # unknown fields
    ("models.0.timeout", "5s", [("AIG1001", "models[chat].timeout", "no field of models[chat]", "`timeouts.request`")]),
    ("models.0.alias", ["a"], [("AIG1001", "models[chat].alias", 'did you mean "aliases"?', "")]),
    ("models.0.access", {"groups": ["a"]}, [("AIG1001", "models[chat].access.groups", "no field", "`allow.groups`")]),
    ("prompGuard", {}, [("AIG1001", "prompGuard", "no field of spec", "`policies.promptGuard`")]),
    ("providers.0.baseURL", "http://a", [("AIG1001", "providers[openai].baseURL", 'mean "baseUrl"?', "")]),
    ("policies", {"$patch": "delete"}, [("AIG1016", "policies.$patch", "refers to no part", "add a configRef")]),
    ("x" * 500, 1, [("AIG1001", "x" * 500, "xx...", "known here")]),
    ("a\nb`c", 1, [("AIG1001", "a\nb`c", "`a\\nb'c`", "known here")]),
    (".metadata.labels", {"a": 1}, [("AIG1003", "metadata.labels.a", "takes text", '"1"')]),
    # a misspelt field and the missing one are one fault
    ("provider", GONE, []),
    (".spec", {**BASE["spec"], "models": GONE, "model": []}, [("AIG1001", "model", 'mean "models"?', "")]),
    ("policies", {"limits": [{"name": "a", "window": "day", "requests": 1}]}, [("AIG1001", "policies.limits[a].window", 'mean "per"?', "")]),
    (KEY, {"valt": "v", "key": "k"}, [("AIG1001", f"{KEY}.valt", 'mean "vault"?', "")]),
    # missing
    ("models", GONE, [("AIG1002", "", "`models` is missing in spec", "models: [{name: chat, targets:")]),
    ("providers", GONE, [("AIG1002", "", "`providers` is missing", "[{name: openai, type: openai, auth: {apiKey: {env:")]),
    ("policies", {"limits": [{"per": "day", "tokens": 1}]}, [("AIG1002", "policies.limits[0]", "`name` is missing", "name: rpm")]),
    ("vaults", vault("aws"), [("AIG1002", "vaults[v]", "`aws` is missing", "{region: eu-west-1}")]),
    # wrong type
    ("models", {"chat": {}}, [("AIG1003", "models", "takes a list, not a map", "- name: chat")]),
    ("models.0.targets.0", "openai/gpt-4o", [("AIG1003", "models[chat].targets[0]", "takes a map, not text", "")]),
    ("models.0.retries", 3, [("AIG1003", "models[chat].retries", "takes a map", "retries: {attempts: 3}")]),
    ("models.0.timeouts", "30s", [("AIG1003", "models[chat].timeouts", "takes a map", "timeouts: {request: 30s}")]),
    ("observability", {"metrics": {"prometheus": True}}, [("AIG1003", "observability.metrics.prometheus", "true", "prometheus: {}")]),
    ("models.0.access", {"allow": ["a"]}, [("AIG1003", "models[chat].access.allow", "not a list", "one map")]),
    ("listeners", listener(port="8080"), [("AIG1003", "listeners[a].port", "not text", "without quotes: 8080")]),
    ("listeners", listener(port=8080.0), [("AIG1003", "listeners[a].port", "not 8080.0", "write 8080")]),
    ("observability", {"accessLog": {"payloads": "yes"}}, [("AIG1003", "observability.accessLog.payloads", "true or false", "write true")]),
    ("models.0.name", 4.1, [("AIG1003", "models[0].name", "takes text, not a number (4.1)", '"4.1"')]),
    ("models.0.aliases", "gpt", [("AIG1003", "models[chat].aliases", "takes a list", '["gpt"]')]),
    ("vaults", vault("hashicorp", hashicorp={"address": "http://a", "kvVersion": 1.0}), [("AIG1003", "vaults[v].hashicorp.kvVersion", "not 1.0", "write 1")]),
    ("observability", {"tracing": {"otlp": {"endpoint": "http://a", "sampling": float("nan")}}}, [("AIG1003", "observability.tracing.otlp.sampling", "cannot be nan", "")]),
    # enums
    ("policies", {"limits": limit(per="1m")}, [("AIG1004", "policies.limits[a].per", '"1m"', 'mean "minute"?')]),
    ("policies", {"limits": limit(by=["user"])}, [("AIG1004", "policies.limits[a].by[0]", '"user"', 'mean "consumer"?')]),
    ("models.0.fallback", {"on": ["429"]}, [("AIG1004", "models[chat].fallback.on[0]", '"429"', 'mean "rate-limited"?')]),
    ("models.0.fallback", {"on": [429]}, [("AIG1003", "models[chat].fallback.on[0]", "(429)", "write rate-limited")]),
    ("vaults", vault("hashicrop", hashicorp={"address": "http://a"}), [("AIG1004", "vaults[v].type", "hashicrop", 'mean "hashicorp"?')]),
    ("vaults", vault("hashicorp", hashicorp={"address": "http://a", "kvVersion": 3}), [("AIG1004", "vaults[v].hashicorp.kvVersion", "cannot be 3", "known: 1, 2")]),
    # forms
    ("models.0.timeouts", {"idle": "30"}, [("AIG1005", "models[chat].timeouts.idle", '"30" is no duration', "has a unit: 30s")]),
    ("models.0.timeouts", {"idle": 30}, [("AIG1003", "models[chat].timeouts.idle", "whole number (30)", "has a unit: 30s")]),
    ("models.0.timeouts", {"idle": True}, [("AIG1003", "models[chat].timeouts.idle", "(true)", "250ms, 30s or 1h30m")]),
    ("listeners", listener(maxBodySize="10MB"), [("AIG1005", "listeners[a].maxBodySize", "is no size", "10Mi (powers of 1024)")]),
    ("listeners", listener(address="localhost"), [("AIG1005", "listeners[a].address", "no IP address", "write 127.0.0.1")]),
    ("listeners", listener(address="999.1.1.1"), [("AIG1005", "listeners[a].address", "no IP address", "such as")]),
    ("listeners", listener(hostnames=["https://A.test/x"]), [("AIG1005", "listeners[a].hostnames[0]", "no host name", "write a.test")]),
    ("listeners", listener(basePath="v1//x"), [("AIG1005", "listeners[a].basePath", "no path", "write /v1/x")]),
    ("models.0.name", "my model", [("AIG1005", "models[my model].name", "without spaces", "my-model")]),
    ("models.0.name", "a\u202eb", [("AIG1005", "models[a\u202eb].name", "without spaces", "nothing invisible")]),
    (".metadata.name", "Bad_Name", [("AIG1005", "metadata.name", "not a DNS label", "such as bad-name")]),
    ("auth", {"apiKey": {"headers": ["a b"]}}, [("AIG1005", "auth.apiKey.headers[0]", "right form", "x-api-key")]),
    # bounds
    ("models.0.name", "", [("AIG1006", "models[].name", "is empty", "")]),
    ("models.0.targets", [], [("AIG1006", "models[chat].targets", "is empty", "targets: [{provider: openai, model:")]),
    ("policies", {"limits": limit(requests=2**60)}, [("AIG1006", "policies.limits[a].requests", "must be", "")]),
    ("observability", {"tracing": {"otlp": {"endpoint": "http://a", "sampling": 10}}}, [("AIG1006", "observability.tracing.otlp.sampling", "0 to 1", "10 percent is 0.1")]),
    ("policies", {"promptGuard": {"deny": ["a", "b", "a"]}}, [("AIG1007", "policies.promptGuard.deny[2]", '"a" stands twice', "delete one")]),
    # choices
    ("auth", {}, [("AIG1008", "auth", "one of apiKey, jwt, basic, anonymous", "auth: {anonymous: true}")]),
    ("auth", {"anonymous": True, "apiKey": {}}, [("AIG1008", "auth.anonymous", "`anonymous` stands alone", "delete")]),
    (KEY, {}, [("AIG1008", KEY, "a SecretRef needs one of", REF)]),
    (KEY, {"env": "A", "file": "/a", "vault": "v", "key": "k"}, [("AIG1008", f"{KEY}.file", "env and file and vault", REF)]),
    (KEY, {"env": "A", "property": "p"}, [("AIG1008", f"{KEY}.property", "goes with `vault`", "delete it")]),
    (KEY, {"key": "k"}, [("AIG1008", f"{KEY}.key", "goes with `vault`", "add vault: NAME")]),
    (KEY, {"vault": "v"}, [("AIG1002", KEY, "`key` is missing", "key: llm/openai")]),
    ("policies", {"limits": [{"name": "a", "per": "day"}]}, [("AIG1008", "policies.limits[a]", "requests or tokens", "requests: 60 or tokens: 20000")]),
    ("vaults", vault("env", aws={"region": "x"}), [("AIG1008", "vaults[v].aws", "stands only with `type: aws`", "change the type")]),
    # later, reserved
    ("policies", {"limits": [{"name": "a", "per": "month", "concurrent": 5, "cost": 1}]}, [("AIG1009", "policies.limits[a].concurrent", "not in this version", "")]),
    ("policies", {"limits": limit(by=["header"])}, [("AIG1004", "policies.limits[a].by[0]", '"header"', "header:NAME")]),
    ("auth", {"anonymous": True, "hmac": []}, [("AIG1009", "auth.hmac", "not in this version", "")]),
    ("providers.0.auth", {"aws": {}}, [("AIG1009", "providers[openai].auth.aws", "not in this version", "")]),
    ("vaults", vault("gcp", gcp={"projectId": "x"}), [("AIG1005", "vaults[v].gcp.projectId", "right form", "my-project")]),
    ("agents", [], [("AIG1010", "agents", "reserved", "delete it")]),
    # null
    ("policies", None, [("AIG1011", "policies", "not the same as leaving it out", "delete the line")]),
    (".spec", None, [("AIG1011", "", "`spec` is empty (null)", "write a value")]),
    ("models.0.name", None, [("AIG1011", "models[0].name", "`name` is empty (null)", "write a value")]),
    ("models.0.targets.0.provider", None, [("AIG1011", "models[chat].targets[0].provider", "empty (null)", "write a value")]),
    # heads
    (".apiVersion", "aigw.dev/v1alpha2", [("AIG1012", "apiVersion", "v1alpha2", "apiVersion: aigw.dev/v1alpha1")]),
    (".kind", "AIGatway", [("AIG1012", "kind", "AIGatway", "kind: AIGateway")]),
    (".apiVersion", None, [("AIG1011", "apiVersion", "empty (null)", "apiVersion: aigw.dev/v1alpha1")]),
]  # fmt: skip


def lines(data: Any) -> list[tuple[str, str, str, str]]:
    return [(d.code, named(d.at, data), d.message, d.hint) for d in validate(data)]


@pytest.mark.parametrize(("place", "value", "expected"), CASES, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_what_is_said(place: str, value: Any, expected: list[tuple[str, str, str, str]]) -> None:
    if place == "provider":  # the base itself
        assert validate(BASE) == []
        return
    if place == ".spec" and isinstance(value, dict):
        value = {k: v for k, v in value.items() if v is not GONE}
    found = lines(edited(place, value))
    assert len(found) == len(expected), found
    for (code, at, message, hint), (expected_code, expected_at, part, expected_hint) in zip(
        found, expected, strict=True
    ):
        expected_at = expected_at.replace("providers.0", "providers[openai]")
        assert (code, at) == (expected_code, expected_at)
        assert part in message
        assert expected_hint in hint


@pytest.mark.parametrize("data", [None, [], "x", 1, {}, {"spec": {}}, {"spec": []}], ids=repr)
def test_anything_gets_an_answer(data: Any) -> None:
    assert validate(data)


def test_places_come_in_order() -> None:
    data = edited("models", [{**BASE["spec"]["models"][0], "name": f"m{i}", "zzz": 1} for i in range(12)])
    assert [d.at[2] for d in validate(data)] == list(range(12))


def test_a_project_file_is_not_sent_to_the_spec() -> None:
    (found,) = validate_project({"models": []})
    assert found.code == "AIG1001"
    assert "belongs" not in found.hint


# --- nothing that stands near a credential is shown

LITERAL = "hunter2x"
WRONG: list[tuple[str, Any]] = [
    (KEY, LITERAL),
    (KEY, [LITERAL]),
    (KEY, {LITERAL: None}),
    (KEY, {"value": LITERAL}),
    (KEY, {"env": f"{LITERAL}!"}),
    (KEY, {"env": [LITERAL]}),
    (KEY, {"env": {LITERAL: LITERAL}}),
    (KEY, {"file": LITERAL}),
    (KEY, {"vault": f"{LITERAL}!", "key": "k"}),
    (KEY, {"vault": "v", "key": [LITERAL]}),
    (KEY, {"kubernetes": LITERAL}),
    (KEY, {"kubernetes": {"name": f"{LITERAL}!", "key": "k"}}),
    ("providers.0.auth", LITERAL),
    ("providers.0.auth", [LITERAL]),
    ("providers", LITERAL),
    ("consumers", [{"name": "a", "credentials": LITERAL}]),
    ("consumers", [{"name": "a", "credentials": [LITERAL]}]),
    ("consumers", [{"name": "a", "credentials": {"apiKey": LITERAL}}]),
    ("consumers", [{"name": "a", "credentials": [{"apiKey": LITERAL}]}]),
    ("auth", LITERAL),
    ("auth", {"apiKey": LITERAL}),
    ("auth", {"apiKey": {"headers": f"Bearer {LITERAL}"}}),
    ("auth", {"apiKey": {"headers": [f"Bearer {LITERAL}"]}}),
    ("auth", {"anonymous": LITERAL}),
    ("vaults", vault("hashicorp", hashicorp={"address": "http://a", "auth": {"method": LITERAL}})),
    ("vaults", vault("hashicorp", hashicorp={"address": "http://a", "auth": {"method": "token", "token": LITERAL}})),
    ("vaults", vault("hashicorp", hashicorp={"address": "http://a", "auth": LITERAL})),
]


@pytest.mark.parametrize(("place", "value"), WRONG, ids=repr)
def test_what_may_be_a_credential_is_not_shown(place: str, value: Any) -> None:
    found = validate(edited(place, value))
    assert found
    for d in found:
        assert LITERAL not in d.message + d.hint, d
        assert LITERAL not in named(d.at, BASE), d


def refs(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if schema.is_secret(at):
        yield at
    for key, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from refs(inner, (*at, key))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([LITERAL, [LITERAL], {LITERAL: None}, {"env": f"{LITERAL} {LITERAL}"}]))
def test_no_literal_in_the_place_of_a_reference_is_shown(seed: int, value: Any) -> None:
    data = document(seed)
    for at in [*refs(data)]:
        holder: Any = data
        for step in at[:-1]:
            holder = holder[step]
        holder[at[-1]] = copy.deepcopy(value)
        found = validate(data)
        assert any(d.at[: len(at)] == at for d in found)
        assert all(LITERAL not in f"{d.message}{d.hint}{d.at}" for d in found)


@pytest.mark.parametrize("name", ["text", "json", "github", "sarif"])
def test_not_in_the_line_that_a_format_shows_either(name: str) -> None:
    text = (
        "apiVersion: aigw.dev/v1alpha1\nkind: AIGateway\nmetadata: {name: x, colour: red}\nspec:\n"
        f"  providers: [{{name: openai, type: opnai, auth: {{apiKey: {LITERAL}}}}}]\n"
        "  models: [{name: chat, targets: [{provider: openai, model: m}]}]\n"
        "  auth: {apiKey: {}}\n"
        f"  consumers:\n    - {{name: a, credentials: [{{apiKey: {{{LITERAL}}}}}], colour: red}}\n"
        f"    - name: b\n      credentials:\n        - apiKey: |\n            {LITERAL}\n            {LITERAL}\n"
    )
    found = check_text(text, "g.yaml").diagnostics
    assert [d.code for d in found].count("AIG1013") == 3
    shown = render(name, found, {"g.yaml": text})
    assert LITERAL not in shown
    assert "opnai" in shown


# --- laws


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 10**9))
def test_every_finding_has_a_known_code_a_place_and_words(seed: int) -> None:
    data = mutated(seed)
    found = validate(data)
    for d in found:
        assert d.code in CODES
        assert exists(d, data), d
        assert "None" not in d.message + d.hint, d
        assert "\n" not in d.message + d.hint
        assert len(d.message) < 400
    assert len({(d.at, d.code, d.message if d.code == "AIG1002" else "") for d in found}) == len(found)


def exists(d: Diagnostic, data: Any) -> bool:
    for step in d.at:
        if not (isinstance(data, dict) and step in data) and not (isinstance(data, list) and step in range(len(data))):
            return False
        data = data[step]
    return True


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["env", "apiKey"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 10**6), JSON)
def test_nothing_that_stands_anywhere_stops_it(seed: int, which: int, value: Any) -> None:
    data = document(seed)
    everywhere = [*places(data)]
    holder, key = everywhere[which % len(everywhere)]
    holder[key] = value
    validate(data)


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    for key, inner in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield data, key
        yield from places(inner)


def fits(at: tuple[Any, ...], text: str) -> bool:
    pattern = (schema.field(at) or {})["pattern"]
    return re.fullmatch(pattern, text) is not None


UNITS = st.sampled_from(["", "s", "sec", "seconds", " min", "m", "hours", "h", "d", " days", "ms", "msec", "S", "M"])


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.integers(0, 10**9), st.decimals(0, 10**6, places=2).map(str)), UNITS)
def test_a_duration_that_is_proposed_is_one(number: Any, unit: str) -> None:
    proposed = re.fullmatch(r"(?:write|a duration has a unit:) (\w+)", duration(f"{number}{unit}"))
    assert not proposed or fits(("spec", "models", 0, "timeouts", "idle"), proposed[1])


@pytest.mark.parametrize(
    ("written", "proposed"),
    [("30", "30s"), ("1.5s", "1500ms"), ("2 days", "48h"), ("5min", "5m"), ("90", "90s"), ("1.5h", "90m"), ("0.25", "250ms"), ("1000000s", "")],
)  # fmt: skip
def test_durations_that_are_proposed(written: str, proposed: str) -> None:
    assert proposed in duration(written)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80))
def test_what_is_proposed_fits(text: str) -> None:
    def proposals(hint: str) -> list[str]:
        return re.findall(r"(?:such as|write|or) (\S+?)(?=$| \(| or)", hint)

    for name in re.findall(r"such as (.+)$", label(text)):
        assert fits(("metadata", "name"), name)
    for name in re.findall(r'such as "(.+)"$', plain_name(text)):
        assert name.endswith("...") or "\\" in name or fits(("spec", "models", 0, "name"), name)
    for name in re.findall(r"^write (.+)$", path(text)):
        assert fits(("spec", "listeners", 0, "basePath"), name)
    for name in proposals(size(text)) if "powers" in size(text) else ():
        assert fits(("spec", "listeners", 0, "maxBodySize"), name)


def test_the_tables_name_what_is_there() -> None:
    enums = {
        "per": ("spec", "policies", "limits", 0, "per"),
        "on": ("spec", "models", 0, "fallback", "on", 0),
        "role": ("spec", "policies", "promptDecorator", "prepend", 0, "role"),
        "type": ("spec", "providers", 0, "type"),
        "by": ("spec", "policies", "limits", 0, "by", 0),
        "scope": ("spec", "policies", "promptGuard", "scope"),
        "algorithm": ("spec", "models", 0, "loadBalancing", "algorithm"),
        "action": ("spec", "policies", "responseGuard", "action"),
        "onExceeded": ("spec", "policies", "limits", 0, "onExceeded"),
        "onError": ("spec", "policies", "requestTransformer", "onError"),
        "onFailure": ("spec", "stores", 0, "onFailure"),
        "capabilities": ("spec", "models", 0, "capabilities", 0),
        "count": ("spec", "policies", "limits", 0, "count"),
        "minVersion": ("spec", "listeners", 0, "tls", "minVersion"),
        "method": ("spec", "vaults", 0, "hashicorp", "auth", "method"),
        "onUnsupported": ("spec", "models", 0, "targets", 0, "onUnsupported"),
        "onDisconnect": ("spec", "models", 0, "onDisconnect"),
        "unknownConsumer": ("spec", "auth", "jwt", 0, "unknownConsumer"),
    }
    assert set(ENUMS) == set(enums)
    assert set(SYNONYMS.values()) | set(LISTS) <= {*names()}
    for name, pointer in enums.items():
        found = schema.field(pointer) or {}
        also = [
            word
            for other in (("policies", "cache", name), ("vaults", 0, name), ("stores", 0, name))
            for word in (schema.field(("spec", *other)) or {}).get("enum", ())
        ]
        later = (schema.field(pointer[:-1]) or {}).get("x-aigw-later-values", ())
        assert set(ENUMS[name].values()) <= {*(found.get("enum") or found["x-aigw-words"]), *also, *later}
    assert SHORT["retries"] == "attempts"
    assert ODD
