"""`schema --for PART`: what it accepts merges into a valid whole, and nothing in it tells of what is hidden."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile.diagnostic import Diagnostic, Severity, value_at
from aigw_compile.resolve.paths import Item, Path, parse, places
from aigw_compile.resolve.shapes import node_of
from aigw_compile.schema import document_schema
from aigw_compile.source import parse as parsed
from aigw_compile.units import key_of
from aigw_compile.validate import validate, validate_layer
from aigw_compile.view import Rules, view, words
from tests import referring
from tests.drawn import drawn

WHOLE = jsonschema_rs.Draft202012Validator({**node_of("AIGateway"), "$defs": document_schema()["$defs"]})
DIGEST = "sha256:" + "0" * 64


def document(spec: dict[str, Any], *, ref: bool = True) -> dict[str, Any]:
    head = {"apiVersion": "aigw.dev/v1alpha1", "kind": "AIGateway", "metadata": {"name": "support"}}
    return {**head, "spec": {"configRef": [{"name": "baseline"}], **spec} if ref else spec}


def repaired(spec: dict[str, Any], judge: Any, dice: Random) -> dict[str, Any] | None:
    """Take out what does not fit, and draw what is missing, until all that is left does."""
    for _ in range(60):
        referring.unique(spec)
        errors = [*judge.iter_errors(document(spec))]
        if not errors:
            return spec
        for error in errors:
            at = tuple(error.instance_path)[1:]
            here = value_at(at, spec)
            missing = getattr(error.kind, "property", None)
            if isinstance(here, dict) and hasattr(error.kind, "unexpected"):
                for key in error.kind.unexpected:
                    here.pop(key, None)
            elif isinstance(here, dict) and isinstance(missing, str) and dice.random() < 0.7:
                here.setdefault(missing, referring.without_refs(drawn(("spec", *at, missing), dice)))
            elif at:
                _without(spec, at)
            else:
                return None
    return None


def _without(spec: dict[str, Any], at: Any) -> None:
    holder = value_at(at[:-1], spec)
    if isinstance(holder, dict):
        holder.pop(at[-1], None)
    elif isinstance(holder, list) and at[-1] < len(holder):
        del holder[at[-1]]


def part(dice: Random) -> dict[str, Any]:
    """Return what a part has: mostly whole objects."""
    found: dict[str, Any] = referring.cut(referring.spec(dice.randrange(10**6)), dice, dice.choice([0.1, 0.4, 0.8]))
    for error in WHOLE.iter_errors(found) if dice.random() < 0.8 else ():
        if error.instance_path:
            _without(found, tuple(error.instance_path))
    return found


class Drawn(NamedTuple):
    """A part, what binds those who refer to it, the schema that they see, and a gateway that fits it."""

    base: dict[str, Any]
    rules: Rules
    schema: dict[str, Any]
    own: dict[str, Any]
    whole: dict[str, Any]
    """Both, merged."""
    findings: tuple[Diagnostic, ...]


def drawn_case(seed: int) -> Drawn | None:
    dice = Random(seed)
    base = part(dice)
    rules = referring.contract(base, dice)
    schema = view("AIGateway", "baseline", DIGEST, base, rules)
    own = referring.cut(referring.spec(dice.randrange(10**6)), dice, dice.choice([0.0, 0.3, 0.7]))
    found = repaired(referring.patched(own, dice), jsonschema_rs.Draft202012Validator(schema), dice)
    return None if found is None else Drawn(base, rules, schema, found, *referring.resolved(base, rules, found))


@given(st.integers(0, 10**9))
@settings(max_examples=40, deadline=None)
def test_what_fits_the_view_makes_a_valid_whole_and_tells_nothing(seed: int) -> None:
    case = drawn_case(seed)
    if case is None:
        return
    text = json.dumps(case.schema)
    assert [name for name in hidden_names(case.rules, case.base) if "-q" in name and f'"{name}"' in text] == []
    assert validate_layer(document(case.own)) == []
    assert validate(document(case.whole, ref=False)) == []
    if words.names(case.rules.hide, case.base, node_of("AIGateway")) & {*strings(case.own)}:
        return  # no schema can refuse a name that it must not tell; the compiler does
    # JSON Schema cannot compare durations and sizes, nor say what a list or map has when it is merged.
    unsaid = ("request", "maxBodySize", "accessLog")
    said = [d for d in case.findings if d.severity is Severity.ERROR and not d.place.endswith(unsaid)]
    assert said == []
    for path in (*case.rules.hide, *(path for path, add in case.rules.lock if not add)):
        if path[-1] != "name":  # it addresses the item
            assert standing(path, case.whole) == standing(path, case.base)
    for path in (path for path, add in case.rules.lock if add):
        before, after = standing(path, case.base), standing(path, case.whole)
        assert all(item in after[at] for at, listed in before.items() for item in listed)


@given(st.integers(0, 10**9))
@settings(max_examples=4, deadline=None)
def test_the_oracle_agrees(seed: int) -> None:
    case = drawn_case(seed)
    if case is not None:
        jsonschema.Draft202012Validator.check_schema(case.schema)
        assert list(jsonschema.Draft202012Validator(case.schema).iter_errors(document(case.own))) == []


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield key_of(value)
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def standing(path: Path, data: Any) -> dict[Any, Any]:
    """Return what stands at every place of a path, by the place with names instead of positions."""

    def known(at: Any) -> str | int:
        return key_of(value_at(at, data)) or at[-1] if isinstance(at[-1], int) else at[-1]

    return {tuple(known(at[: n + 1]) for n in range(len(at))): value_at(at, data) for at in places(path, data)}


def hidden_names(rules: Rules, base: dict[str, Any]) -> Iterator[str]:
    """Yield the names of items that a contract hides, with those of items below what it hides."""
    for path in rules.hide:
        of_item = path[-1] == "name" and isinstance(path[-2:][0], Item)
        for at in places(path, base):
            found = value_at(at[:-1] if of_item else at, base)
            yield from map(key_of, [found, *(found if isinstance(found, list) else ())])


@given(st.integers(0, 10**9))
@settings(max_examples=40, deadline=None)
def test_without_a_contract_whatever_merges_fits(seed: int) -> None:
    """The view forbids nothing that the contract and the language allow."""
    dice = Random(seed)
    base = part(dice)
    own = referring.cut(referring.spec(dice.randrange(10**6)), dice, dice.choice([0.7, 0.9, 0.95]))
    free = rules(open_="vaults stores providers auth")
    whole, findings = referring.resolved(base, free, own)
    if validate(document(whole, ref=False)) == [] and not findings:
        schema = view("AIGateway", "baseline", DIGEST, base, free)
        assert list(jsonschema_rs.Draft202012Validator(schema).iter_errors(document(own))) == []


BASE: dict[str, Any] = {
    "vaults": [{"name": "inner-vault", "type": "aws", "aws": {"region": "eu-west-1"}}],
    "providers": [
        {"name": "corp", "type": "openai", "auth": {"apiKey": {"vault": "inner-vault", "key": "x"}}},
        {"name": "lab", "type": "vllm", "baseUrl": "http://lab:8000/v1"},
    ],
    "models": [
        {"name": "chat", "targets": [{"provider": "corp", "model": "gpt-5"}], "policies": {"cache": {"ttl": "5m"}}},
        {"name": "embed", "targets": [{"name": "first", "provider": "lab", "model": "e5"}]},
    ],
    "auth": {"apiKey": {}},
    "policies": {
        "promptGuard": {"deny": ["x"]},
        "limits": [{"name": "rpm", "per": "minute", "requests": 60}],
    },
    "deployment": {"replicas": 2},
    "observability": {"accessLog": {"payloads": False}},
}


def rules(
    hide: str = "", lock: str = "", add: str = "", open_: str = "", constrain: tuple[tuple[str, Any, bool], ...] = ()
) -> Rules:
    def each(text: str) -> tuple[Path, ...]:
        return tuple(parse(one) or () for one in text.split())

    locked = (*((p, False) for p in each(lock)), *((p, True) for p in each(add)))
    return Rules(each(hide), locked, each(open_), tuple((parse(p) or (), s, n) for p, s, n in constrain))


TOKENS = (("models[*].policies.limits[*].tokens", {"maximum": 1000}, True),)
REQUEST = (("models[*].timeouts.request", {"maximum": 60}, False),)
SCOPE = (("models[*].policies.cache.scope", {"const": "shared"}, True),)
CACHED = "{name: %s, policies: {cache: {scope: shared}}}"
TIMES = "{models: [{name: chat, timeouts: {%s}}, {name: embed, timeouts: {%s}}]}"
BOTH = f"{{models: [{CACHED % 'chat'}, {CACHED % 'embed'}]}}"
LIMIT = "{models: [{name: chat, policies: {limits: [{name: a, per: day, tokens: %s}]}}]}"


@pytest.mark.parametrize(
    ("bound", "text", "fits"),
    [
        # what the part has need not be said again; what is new is whole
        (rules(), "{}", True),
        (rules(), "{models: [{name: chat, exposeTarget: true}]}", True),
        (rules(), "{models: [{name: more}]}", False),
        (rules(), "{models: [{name: more, targets: [{provider: lab, model: e5}]}]}", True),
        (rules(), "{models: [{name: chat, targets: [{provider: corp, model: gpt-5, weight: 3}]}]}", True),
        (rules(), "{models: [{name: chat, targets: [{name: corp-gpt-5, weight: 3}]}]}", True),
        (rules(), "{models: [{name: embed, targets: [{name: first, weight: 3}]}]}", True),
        (rules(), "{models: [{name: embed, targets: [{name: second, weight: 3}]}]}", False),
        (rules(), "{models: null}", False),
        # beside a configRef of its own, the part that it names may bring the rest
        (rules(), "{models: [{name: more, configRef: {name: other}}]}", True),
        (rules(), "{models: [{name: chat, configRef: [{name: other}], exposeTarget: true}]}", True),
        (rules(hide="models[*].targets"), "{models: [{name: more, configRef: {name: other}}]}", False),
        (rules(), "{models: [{name: chat, configRef: other}]}", False),
        # another type, or choice, is another object
        (rules(), "{providers: [{name: lab, type: ollama}]}", True),
        (rules(), "{providers: [{name: lab, type: azure-openai}]}", False),
        (rules(), "{providers: [{name: lab, type: azure-openai, azure: {instance: a}}]}", True),
        (rules(), "{auth: {anonymous: true}}", True),
        (rules(), "{auth: {anonymous: true, basic: {}}}", False),
        (rules(), "{models: [{name: chat, policies: {cache: {off: true}}}]}", True),
        (rules(lock="models[*].policies.cache.ttl"), "{models: [{name: chat, policies: {cache: {off: true}}}]}", False),
        # where the part's key goes
        (rules(), "{providers: [{name: corp, baseUrl: 'http://mine/v1'}]}", False),
        (rules(), "{providers: [{name: corp, type: anthropic}]}", False),
        (rules(), "{providers: [{name: corp, headers: {x-a: b}}]}", False),
        (rules(open_="providers[*].headers"), "{providers: [{name: corp, headers: {x-a: b}}]}", True),
        (rules(), "{providers: [{name: corp, region: eu}]}", True),
        (rules(), "{providers: [{$patch: replace}, {name: corp, type: openai, baseUrl: 'http://mine/v1'}]}", False),
        (rules(), "{vaults: [{name: inner-vault, aws: {endpointUrl: 'http://mine'}}]}", False),
        (rules(), "{vaults: [{name: inner-vault, refresh: 5m}]}", False),
        (rules(), "{vaults: [{name: mine, type: env}]}", True),
        # hide
        (rules(hide="vaults"), "{vaults: []}", False),
        (rules(hide="vaults"), "{providers: [{name: new, type: groq, auth: {apiKey: {vault: v, key: k}}}]}", False),
        (rules(hide="providers[*].auth"), "{providers: [{name: new, type: groq, auth: {apiKey: {env: K}}}]}", False),
        (rules(hide="providers[*].auth"), "{providers: [{name: new, type: groq}]}", True),
        (rules(hide="providers[*].auth"), "{providers: [{name: lab, $patch: delete}]}", False),
        (rules(hide="providers[corp]"), "{providers: [{name: corp, region: eu}]}", False),
        (rules(hide="providers[corp]"), "{providers: [{name: lab, region: eu}]}", True),
        (rules(hide="models[*].targets"), "{models: [{name: new, exposeTarget: true}]}", False),
        (rules(hide="models[*].targets"), "{models: [{name: chat, exposeTarget: true}]}", True),
        # lock
        (rules(lock="observability.accessLog.payloads"), "{observability: {accessLog: {payloads: true}}}", False),
        (rules(lock="observability.accessLog.payloads"), "{observability: {accessLog: {format: text}}}", True),
        (rules(lock="observability.accessLog.payloads"), "{observability: {$patch: delete}}", False),
        (rules(lock="observability.accessLog.payloads"), "{observability: {accessLog: {$patch: replace}}}", False),
        (rules(lock="auth"), "{auth: {anonymous: true}}", False),
        (rules(add="policies.promptGuard.deny"), "{policies: {promptGuard: {deny: [more]}}}", True),
        (rules(add="policies.promptGuard.deny"), "{policies: {promptGuard: {deny: [{$patch: replace}]}}}", False),
        (rules(add="policies.limits"), "{policies: {limits: [{name: mine, per: day, requests: 1}]}}", True),
        (rules(add="policies.limits"), "{policies: {limits: [{name: rpm, requests: 9000}]}}", False),
        (rules(add="policies.limits"), "{policies: {limits: [{name: rpm, $patch: delete}]}}", False),
        (rules(lock="policies.limits[rpm].requests"), "{policies: {limits: [{name: rpm, tokens: 9}]}}", True),
        (rules(lock="policies.limits[rpm].requests"), "{policies: {limits: [{name: rpm, requests: 9}]}}", False),
        (rules(lock="policies.limits[new].cost"), "{policies: {limits: [{name: new, per: day, cost: 9}]}}", False),
        # constrain
        (rules(constrain=TOKENS), LIMIT % 1000, True),
        (rules(constrain=TOKENS), LIMIT % 1001, False),
        (rules(constrain=TOKENS), "{models: [{name: chat, policies: {limits: [{name: a, per: day, requests: 1}]}}]}", False),
        (rules(constrain=REQUEST), TIMES % ("request: 30s", "request: 1m"), True),
        (rules(constrain=REQUEST), "{models: [{name: chat, timeouts: {request: 30s}}]}", False),  # embed has the default
        (rules(constrain=REQUEST), "{models: [{name: chat, timeouts: {idle: 30s}}]}", False),  # the default is 10m
        (rules(constrain=REQUEST), "{models: [{name: chat}]}", False),
        (rules(constrain=SCOPE), "{}", False),
        (rules(constrain=SCOPE), "{models: [{name: embed, policies: {cache: {scope: shared}}}]}", False),
        (rules(constrain=SCOPE), BOTH, True),
        # $patch
        (rules(), "{observability: {$patch: delete}}", True),
        (rules(), "{observability: {$patch: replace}}", True),
        (rules(), "{observability: {$patch: remove}}", False),
        (rules(), "{models: {$patch: delete}}", False),
        (rules(), "{models: [{name: chat, $patch: delete}]}", True),
        (rules(), "{models: [{name: chat, $patch: delete}, {name: embed, $patch: delete}]}", False),
        (rules(), "{models: [{name: new, $patch: delete}]}", False),
        (rules(), "{models: [{name: chat, targets: {$patch: delete}}]}", False),
        (rules(), "{models: [{$patch: replace}, {name: new, targets: [{provider: lab, model: m}]}]}", True),
        (rules(), "{models: [{$patch: replace}]}", False),
        (rules(), "{deployment: {autoscaling: {maxReplicas: 3}}}", False),
        (rules(), "{deployment: {replicas: {$patch: delete}, autoscaling: {maxReplicas: 3}}}", True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_may_be_written(bound: Rules, text: str, fits: bool) -> None:
    schema = view("AIGateway", "baseline", DIGEST, BASE, bound)
    own: Any = parsed(text, "x.yaml")[0][0].data
    assert (list(jsonschema_rs.Draft202012Validator(schema).iter_errors(document(own))) == []) is fits


@pytest.mark.parametrize(
    ("ref", "fits"),
    [
        ({"name": "baseline"}, True),
        ([{"name": "other"}, {"name": "baseline"}], True),
        ([{"name": "other"}], False),
        ([], False),
        (None, False),
    ],
)
def test_the_part_has_to_be_named(ref: Any, fits: bool) -> None:
    schema = view("AIGateway", "baseline", DIGEST, BASE, Rules())
    data = document({"configRef": ref} if ref is not None else {}, ref=False)
    assert (list(jsonschema_rs.Draft202012Validator(schema).iter_errors(data)) == []) is fits


@pytest.mark.parametrize(
    ("secret", "fits"),
    [
        ({"env": "SUPPORT_KEY"}, True),
        ({"env": "PLATFORM_KEY"}, False),
        ({"file": "/run/x"}, False),
        ({"vault": "inner-vault", "key": "support/a"}, True),
        ({"vault": "inner-vault", "key": "support/a/b"}, False),
        ({"vault": "inner-vault", "key": "support/.."}, False),
        ({"vault": "other", "key": "support/a"}, False),
    ],
)
def test_only_some_secrets(secret: Any, fits: bool) -> None:
    allowed = [[{"env": "SUPPORT_*"}, {"vault": "inner-vault", "key": "support/*"}]]
    schema = view("AIGateway", "baseline", DIGEST, BASE, rules(hide="vaults"), allowed)
    data = document({"providers": [{"name": "new", "type": "groq", "auth": {"apiKey": secret}}]})
    assert (list(jsonschema_rs.Draft202012Validator(schema).iter_errors(data)) == []) is fits


def test_an_object_of_another_type() -> None:
    base = {"type": "openai", "auth": {"apiKey": {"env": "KEY"}}}
    schema = view("Provider", "corp", DIGEST, base, Rules())
    judge = jsonschema_rs.Draft202012Validator(schema)
    ref = {"configRef": {"name": "corp"}}
    assert judge.is_valid({**ref, "name": "mine"})
    assert not judge.is_valid(ref)
    assert not judge.is_valid({**ref, "name": "mine", "baseUrl": "http://mine/v1"})


def test_texts_without_what_is_hidden() -> None:
    text = json.dumps(view("AIGateway", "baseline", DIGEST, BASE, rules(hide="vaults providers[corp] auth")))
    assert [word for word in ("inner-vault", '"corp"', "corp-gpt-5", "vaults", "HashicorpVault") if word in text] == []
    assert "Where clients call." in text
    assert '"lab"' in text


@pytest.mark.parametrize(
    ("hide", "words"),
    [
        ("models[*].exposeTarget", "exposeTarget"),
        ("models[*].lifecycle", "lifecycle sunset replacedBy"),
        ("auth.jwt", "jwt jwksUri issuer groupMap"),
        ("auth.anonymous", "anonymous"),
        ("policies.promptGuard models[*].policies consumers consumerGroups", "promptGuard"),
        ("deployment.autoscaling", "autoscaling maxReplicas"),
        ("observability.accessLog.payloads", "payloads"),
        ("providers[*].baseUrl", "baseUrl"),
        ("providers[*].azure providers[*].auth.azure vaults", "azure instance clientSecret tenantId"),
        ("stores policies.limitStore models[*].policies consumers consumerGroups", "limitStore redis"),
    ],
)
def test_no_hidden_field_is_in_it(hide: str, words: str) -> None:
    def keys(value: Any) -> Iterator[str]:
        for key, inner in value.items() if isinstance(value, dict) else ():
            yield from () if key in ("const", "enum") else [key]
            yield from keys(inner)
        for inner in value if isinstance(value, list) else ():
            yield from [inner] if isinstance(inner, str) else keys(inner)
        yield from re.findall(r"[\w-]+", value) if isinstance(value, str) else ()

    schema = view("AIGateway", "baseline", DIGEST, BASE, rules(hide=hide))
    assert sorted({*words.split()} & {*keys(schema)}) == []


def test_what_json_schema_cannot_say_is_in_the_description() -> None:
    bound = rules(constrain=(("models[*].timeouts.request", {"maximum": 60}, False),))
    assert "at most 60s" in json.dumps(view("AIGateway", "baseline", DIGEST, BASE, bound))
