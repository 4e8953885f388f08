"""Kong's own tables in targets/kong/plugins: what they refuse, what they fill in; and the published schemas as the oracle."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile import compiler, plugins, target
from aigw_compile.diagnostic import Diagnostic, Pointer, failed, value_at
from aigw_compile.document import text_of
from aigw_compile.plugins import checking, filling, reader
from aigw_compile.plugins.types import ABSENT, Field
from aigw_compile.project import TargetChoice
from aigw_compile.verify import judged
from aigw_compile.verify.kong import faults as kong_faults
from tests import support
from tests.targets import kong_drawn, kong_published, kong_specs

OPENAI = {"route_type": "llm/v1/chat", "model": {"provider": "openai", "name": "m"}}


def faults(name: str, config: Any, profile: str, *scopes: str) -> list[str]:
    found = plugins.check(name, config, target.release(profile), scopes)
    return [f"{'.'.join(map(str, f.path))}: {f.message}; {f.right}" for f in found]


CASES: list[tuple[str, str, Any, str]] = [
    ("ai-proxy", "oss-3.9", OPENAI | {"modle": 1}, "modle: there is no field `modle` here; did you mean `model`?"),
    ("ai-proxy", "enterprise-3.10", OPENAI | {"genai_category": "text/generation"}, "Enterprise 3.11 has it"),
    ("ai-proxy", "enterprise-3.12", OPENAI | {"model": {"provider": "xai"}}, "Enterprise 3.13 has it"),
    ("ai-proxy", "oss-3.9", OPENAI | {"model": {"provider": "azure"}}, "`model.options.azure_instance` is missing"),
    ("ai-proxy", "oss-3.9", OPENAI | {"auth": {"header_name": "x"}}, "stands without `header_value`"),
    ("ai-proxy", "oss-3.9", {"model": {"provider": "openai"}}, "route_type: `route_type` is missing"),
    ("ai-proxy", "oss-3.9", OPENAI | {"max_request_body_size": 0}, "0 is out of bounds; a whole number above 0"),
    ("ai-proxy", "oss-3.9", OPENAI | {"max_request_body_size": "8"}, "a text stands where a whole number must stand"),
    ("ai-proxy", "oss-3.9", OPENAI | {"model_name_header": 1}, "a number stands where true or false must stand"),
    ("ai-prompt-guard", "oss-3.9", {}, "none of `allow_patterns`, `deny_patterns` is set"),
    ("ai-prompt-guard", "oss-3.9", {"deny_patterns": ["x"] * 11}, "a list of 11 is too long; 0 to 10 items"),
    ("ai-prompt-guard", "oss-3.9", {"deny_patterns": ["é" * 300]}, "a text of 600 bytes is too long; 1 to 500 bytes"),
    ("rate-limiting", "oss-3.9", {"second": 5, "hour": 2}, "hour: `hour` is 2, lower than `second`, 5; 5 or more"),
    ("rate-limiting", "oss-3.9", {"second": 5, "limit_by": "consumer-group"}, "only Enterprise has it"),
    ("rate-limiting", "oss-3.9", {"second": 5, "policy": "redis"}, "`redis.host` is missing where `policy` is redis"),
    ("acl", "oss-3.9", {"allow": ["a"], "deny": ["b"]}, "`allow`, `deny` are set together"),
    ("ip-restriction", "oss-3.9", {"allow": ["300.1.1.1"]}, "is no IP address or range"),
]


@pytest.mark.parametrize(("name", "profile", "config", "said"), CASES)
def test_what_is_refused(name: str, profile: str, config: Any, said: str) -> None:
    found = faults(name, config, profile)
    assert any(said in one for one in found), found


REFERENCES: list[tuple[Any, str]] = [
    ({"auth": {"header_name": "a", "header_value": "{vault://env/key}"}}, ""),
    ({"auth": {"header_name": "a", "header_value": "Bearer {vault://env/key}"}}, "only a part of this text"),
    ({"auth": {"header_name": "a", "header_value": {"vault://env/key": None}}}, "unquoted reference"),
    ({"model": {"provider": "openai", "name": "{vault://env/key}"}}, "resolves no reference"),
    ({"model": {"provider": "openai", "name": "a{vault://env/key}"}}, "resolves no reference"),
]


@pytest.mark.parametrize(("more", "said"), REFERENCES)
def test_references_that_kong_would_not_resolve(more: Any, said: str) -> None:
    found = faults("ai-proxy", OPENAI | more, "oss-3.9")
    assert all(said in one for one in found), found
    assert bool(found) == bool(said)


def test_scopes() -> None:
    assert "may not stand at a consumer" in faults("key-auth", {}, "oss-3.9", "consumer")[0]
    assert faults("key-auth", {}, "oss-3.9", "route", "service") == []
    assert "may not stand at a consumer group" in faults("rate-limiting", {"day": 1}, "oss-3.9", "consumer_group")[0]
    assert faults("rate-limiting", {"day": 1}, "enterprise-3.10", "consumer_group") == []


def test_what_is_secret_and_what_may_be_a_reference() -> None:
    assert plugins.secret("ai-proxy", ("auth", "header_value"))
    assert not plugins.secret("ai-proxy", ("auth", "header_name"))
    assert plugins.referenceable("ai-proxy", ("auth", "header_name"))
    assert not plugins.referenceable("ai-proxy", ("model", "name"))
    assert plugins.is_set("routes", "", ("methods",))
    assert not plugins.is_set("routes", "", ("paths",))


def test_defaults_by_release() -> None:
    def of(profile: str) -> dict[str, Any]:
        return plugins.filled("ai-proxy", OPENAI, target.release(profile))

    assert of("oss-3.9")["max_request_body_size"] == 8192
    assert of("enterprise-3.13")["max_request_body_size"] == 1048576
    assert of("oss-3.9")["logging"] == {"log_statistics": False, "log_payloads": False}
    assert "auth" not in of("oss-3.9")
    service = plugins.entity_filled("services", {"name": "a", "host": "b"}, target.release("oss-3.9"))
    assert (service["port"], service["retries"]) == (80, 5)
    plugin = plugins.entity_filled("plugins", {"name": "ip-restriction"}, target.release("oss-3.9"))
    assert "tcp" in plugin["protocols"]


def test_an_unknown_plugin_is_left_alone() -> None:
    assert not plugins.known("no-such")
    assert faults("no-such", {"a": 1}, "oss-3.9") == []
    assert plugins.filled("no-such", {"a": 1}, target.release("oss-3.9")) == {"a": 1}


# --- the tables against what Kong published

NAMES = sorted(reader.names())
UNPUBLISHED = {"mtls-auth"}


def config_of(name: str, profile: str) -> Field | None:
    plugin = reader.plugin(name, target.release(profile))
    return plugin.config if plugin else None


@pytest.mark.skipif(not support.shared(), reason="needs the shared folder")
@pytest.mark.parametrize("version", ["3.9", "3.15"])
@pytest.mark.parametrize("name", NAMES)
def test_tables_agree_with_the_published_schemas(name: str, version: str) -> None:
    field = config_of(name, f"enterprise-{version}")
    published = kong_published.schemas(version).get(name.replace("-", ""))
    if published is None:
        assert field is None or name in UNPUBLISHED or (name, version) == ("acl", "3.9")
        return
    assert field is not None
    assert [*kong_published.unlike(field, published["config"], version == "3.15")] == []
    plugin = reader.plugin(name, target.release(f"enterprise-{version}"))
    assert plugin
    scopes = {"route", "service", "consumer", "consumer_group"} & {*published}
    assert plugin.scopes == scopes


@pytest.mark.skipif(not support.shared(), reason="needs the shared folder")
@pytest.mark.parametrize("name", NAMES)
def test_tables_agree_with_what_each_version_changed(name: str) -> None:
    wrong = []
    for change in kong_published.changes():
        if change.plugin != name.replace("-", ""):
            continue
        minor = int(change.version.partition(".")[2])
        before, after = (config_of(name, f"enterprise-3.{n}") for n in (minor - 1, minor))
        if before is None or after is None:
            continue
        path = tuple(kong_published.steps(change.path.removesuffix("[]")))
        old, new = reader.at(before, path), reader.at(after, path)
        if before.partial and ABSENT in (old, new):
            continue
        if change.kind == "~":
            wrong += [(change, said) for said in kong_published.unlike_text(new, change.after, minor)]
        elif not change.path.endswith("{}"):
            there = (old is not ABSENT, new is not ABSENT)
            wrong += [(change, f"there: {there}")] if there != (change.kind == "-", change.kind == "+") else []
    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_tables_agree_with_kongs_own_code(name: str) -> None:
    """Of the open-source edition, 3.9.3; the published schemas are silent about sets, forms and records that are filled in."""
    schema = kong_published.lua(name)
    if schema is None:
        pytest.skip("needs luajit, the shared folder, and KONG_SRC with Kong 3.9.3's source; or is of Enterprise")
    field = config_of(name, "oss-3.9")
    assert field is not None
    fields = {key: one for pair in schema["fields"] for key, one in pair.items()}
    assert [*kong_published.unlike_lua(field, fields["config"])] == []
    plugin = reader.plugin(name, target.release("oss-3.9"))
    assert plugin
    assert ("consumer" in plugin.scopes) is (fields.get("consumer", {}).get("type") != "foreign")
    entity = plugins.entity_filled("plugins", {"name": name}, target.release("oss-3.9"))
    assert sorted(entity["protocols"]) == sorted(fields["protocols"]["default"])


# --- what the compiler says of its own outputs


def findings(text: str, profile: str, name: str = "kong") -> list[Diagnostic]:
    checked = compiler.check_text(text)
    build = support.build_all_accepted(checked, TargetChoice(name, profile, {}))
    return [d for d in build.diagnostics if d.code in ("AIG6301", "AIG6302", "AIG9001")]


BODY = """
  providers:
    - name: p
      type: openai
      baseUrl: BASE
      auth: {apiKey: {env: KEY}}
      headers: {x-team: HEADER}
    - {name: entra, type: azure-openai, azure: {instance: INSTANCE}, auth: {azure: ENTRA}}
  models:
    - name: chat
      aliases: [ALIAS]
      targets: [{provider: p, model: MODEL}]
      policies: {requestTransformer: {model: chat, prompt: PROMPT, extract: EXTRACT}}
    - {name: there, targets: [{provider: entra, model: DEPLOYMENT}]}
  consumers: [{name: c, credentials: [{basic: {username: LOGIN, password: {env: PASSWORD}}}]}]
  policies:
    promptGuard: {deny: [PATTERN]}
    promptDecorator: {prepend: [{role: system, content: CONTENT}]}
"""
BODY = BODY.replace("ENTRA", "{tenantId: TENANT, clientId: CLIENT, clientSecret: {env: S}}")
USUAL = {"BASE": "https://own.example/v1", "PATTERN": "word", "EXTRACT": "word"}
WORDS = sorted({*re.findall(r"\b[A-Z]{4,}\b", BODY)} - {"PASSWORD"})
TAKEN = {
    "MODEL": {"AIG6302"},
    "BASE": {"AIG6302"},
    "DEPLOYMENT": {"AIG6302"},
}
"""Where Kong looks for templates. A header with one is lost by a row of target.yaml."""


def written(word: str, text: str) -> str:
    values = {w: USUAL.get(w, w.lower()) for w in WORDS} | {word: text}
    return kong_specs.HEAD + "  auth: {basic: {}}\n" + re.sub("|".join(WORDS), lambda m: json.dumps(values[m[0]]), BODY)


@pytest.mark.parametrize("profile", ["oss-3.9", "enterprise-3.15"])
@pytest.mark.parametrize("word", WORDS)
def test_a_text_of_a_spec_is_no_template_of_kongs(word: str, profile: str) -> None:
    """What could be one is refused where Kong looks for templates, at its place; elsewhere it is a text like any other."""
    text = f"{USUAL.get(word, 'x')}/$(headers.x)" if word == "BASE" else f"{USUAL.get(word, 'x')}$(headers.x)"
    checked = compiler.check_text(written(word, text))
    if checked.gateway is None or failed(checked.diagnostics):
        return  # the language takes no such text here
    found = findings(written(word, text), profile)
    assert {d.code for d in found} == TAKEN.get(word, set()), found
    assert all(value_at(d.at, checked.source.data) == text for d in found)


@pytest.mark.parametrize("profile", ["oss-3.9", "enterprise-3.15"])
@pytest.mark.parametrize("word", WORDS)
def test_a_text_of_a_spec_is_no_reference_of_kongs(word: str, profile: str) -> None:
    """Or a spec could ask Kong for any variable of its environment and send it to a provider."""
    text = "{vault://env/home}"
    checked = compiler.check_text(written(word, text))
    if checked.gateway is None or failed(checked.diagnostics):
        return
    build = support.build_all_accepted(checked, TargetChoice("kong", profile, {}))
    found = [d for d in build.diagnostics if d.code in ("AIG6301", "AIG6302", "AIG9001")]
    assert {d.code for d in found} <= {"AIG6302"}, found
    assert all(value_at(d.at, checked.source.data) == text for d in found)
    if not found:
        assert not any(text in text_of(d) for d in build.documents if d.filename != "secrets.json")


def test_a_text_of_a_spec_is_nothing_that_deck_fills_in() -> None:
    found = findings(written("CONTENT", '${{ env "DECK_TOKEN" }}'), "oss-3.9")
    assert [(d.code, d.place) for d in found] == [("AIG6302", "policies.promptDecorator.prepend[0].content")]


def test_our_references_are_quoted() -> None:
    """Unquoted, YAML reads a mapping (Kong/kong#8726)."""
    build = support.build_all_accepted(compiler.check_text(written("MODEL", "m")), TargetChoice("kong", "oss-3.9", {}))
    lines = [line for d in build.documents for line in text_of(d).splitlines() if "{vault://" in line]
    assert lines
    assert all(re.search(r'"\{vault://[^"]*\}"', line) for line in lines)


CHANGED: list[tuple[str, Pointer, Any, str, str]] = [
    (
        "an unknown field",
        ("services", 0, "plugins", 0, "config", "no_such"),
        1,
        "AIG9001",
        "there is no field `no_such` here",
    ),
    (
        "a constant of ours",
        ("services", 0, "plugins", 0, "config", "hide_credentials"),
        "yes",
        "AIG9001",
        "true or false must stand",
    ),
    ("an entity", ("services", 0, "port"), -1, "AIG9001", "-1 is out of bounds"),
    ("a value of the spec", ("services", 0, "routes", 0, "methods"), ["post"], "AIG9001", "not of the form"),
    ("a vault that nobody has", ("services", 0, "host"), "{vault://nowhere/x}", "AIG9001", "no vault has the prefix"),
    (
        "a scope",
        ("consumers", 0, "plugins"),
        [{"name": "key-auth", "config": {}}],
        "AIG9001",
        "may not stand at a consumer",
    ),
]


@pytest.mark.parametrize(("about", "path", "value", "code", "said"), CHANGED, ids=[c[0] for c in CHANGED])
def test_a_mistake_of_ours_is_told_as_one(about: str, path: Pointer, value: Any, code: str, said: str) -> None:
    checked = compiler.check_text(written("MODEL", "m"))
    choice = TargetChoice("kong", "oss-3.9", {})
    build = support.build_all_accepted(checked, choice)
    assert not failed(build.diagnostics)
    holder: Any = build.documents[0].body
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    found = [*judged(build.target, build.documents, checked.source.data)]
    assert {d.code for d in found} == {code}, found
    assert any(said in d.message for d in found), found


def test_a_value_of_the_spec_is_told_at_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a release took fewer: the compiler's own bounds come first otherwise."""
    real = plugins.check

    def strict(name: str, config: Any, release: Any, scopes: Any = ()) -> Iterator[plugins.Fault]:
        yield from real(name, config, release, scopes)
        if name == "ai-prompt-decorator":
            yield plugins.Fault(("prompts", "prepend", 0, "content"), "`content` is too long", "less")

    monkeypatch.setattr(plugins, "check", strict)
    for name, profile in (("kong", "oss-3.9"), ("kubernetes", "kong-operator")):
        found = findings(written("CONTENT", "say less"), profile, name)
        assert {(d.code, d.place) for d in found} == {("AIG6301", "policies.promptDecorator.prepend[0].content")}
        assert "plugin `ai-prompt-decorator`, field `prompts.prepend[0].content`" in found[0].message


# --- drawn configurations, judged by our tables and by others


def strict(schema: Any) -> Any:
    """A published schema that refuses unknown fields, as Kong does."""
    if isinstance(schema, dict):
        made = {key: strict(inner) for key, inner in schema.items()}
        if isinstance(schema.get("properties"), dict):
            made.setdefault("additionalProperties", False)
        return made
    return [strict(inner) for inner in schema] if isinstance(schema, list) else schema


@cache
def published(name: str, version: str) -> tuple[Field, Any]:
    """A plugin's field without its rules, and its published schema."""
    field = config_of(name, f"enterprise-{version}")
    assert field
    schema = kong_published.schemas(version)[name.replace("-", "")]["config"]
    return kong_drawn.without_rules(field), jsonschema_rs.validator_for(schema if field.partial else strict(schema))


PUBLISHED = [
    (name, version)
    for version in ("3.9", "3.15")
    if support.shared()
    for name in NAMES
    if name.replace("-", "") in kong_published.schemas(version)
]


@pytest.mark.parametrize(("name", "version"), PUBLISHED)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_tables_and_published_schemas_judge_alike(name: str, version: str, seed: int) -> None:
    """Of a drawn configuration and of one with a slip. The published schemas know no rules over several fields."""
    field, validator = published(name, version)
    release = target.release(f"enterprise-{version}")
    rnd = random.Random(seed)
    config = filling.filled(field, kong_drawn.drawn(field, rnd, 0.2))
    assert [*checking.check(field, config, release)] == []
    assert [f"{e.instance_path}: {e.message}" for e in validator.iter_errors(config)] == []
    kind, path, wrong = kong_drawn.slipped(field, config, rnd)
    assert not validator.is_valid(wrong), (kind, path)
    faults = [*checking.check(field, wrong, release)]
    assert [f for f in faults if f.path[: len(path)] == path], (kind, path, faults)


@pytest.mark.parametrize("name", NAMES)
def test_tables_and_kongs_own_code_judge_alike(name: str, tmp_path: Path) -> None:
    """Of the open-source edition: rules over several fields, forms of texts, and every default that is filled in."""
    if kong_published.lua(name) is None:
        pytest.skip("needs luajit, the shared folder, and KONG_SRC with Kong 3.9.3's source; or is of Enterprise")
    field, release = config_of(name, "oss-3.9"), target.release("oss-3.9")
    assert field
    configs = []
    for seed in range(40):
        rnd = random.Random(f"{name} {seed}")
        config = kong_drawn.drawn(field, rnd, rnd.choice((0.1, 0.3, 0.6)))
        configs.append(config if seed % 3 else kong_drawn.slipped(field, config, rnd, records=False)[2])
    refused = kong_published.refused(name, configs, tmp_path)
    mine = {i for i, config in enumerate(configs) if [*plugins.check(name, config, release)]}
    unlike = [(i, configs[i], refused.get(i), faults(name, configs[i], "oss-3.9")) for i in {*refused} ^ mine]
    assert unlike == []
    sound = [config for i, config in enumerate(configs) if i not in mine]
    for config, in_kong in zip(sound, kong_published.filled(name, sound, tmp_path), strict=True):
        assert kong_published.same(plugins.filled(name, config, release)) == kong_published.same(in_kong)


# --- entities

NAMED = {
    "services": "name",
    "routes": "name",
    "consumers": "username",
    "upstreams": "name",
    "targets": "target",
    "vaults": "prefix",
}
STANDING = {"id", "url", "client_certificate", "ca_certificates"}
ROUTED = {"expression", "priority", "headers", "tls_verify", "tls_verify_depth"}
APART = STANDING | ROUTED
"""What names an entity that must be there, or is for a router that kongcheck does not have."""


def drawn_entity(kind: str, seed: int) -> dict[str, Any]:
    """An entity with a name of its own; some are wrong."""
    field = reader.entity(kind, target.release("oss-3.9"))
    assert field
    rnd = random.Random(f"{kind} {seed}")
    left = {
        name: one
        for name, one in field.fields.items()
        if name not in APART and one.type not in ("any", "entities", "config") and name != NAMED[kind]
    }
    plain = field._replace(fields=left, needed=tuple(n for n in field.needed if n != NAMED[kind]))
    entity = kong_drawn.drawn(plain, rnd, rnd.choice((0.1, 0.3, 0.6)))
    if seed % 3 == 0:
        entity = kong_drawn.slipped(plain, entity, rnd, records=False)[2]
    if {"grpc", "grpcs"} & {*map(str, entity.get("protocols", ()) or ())} and kind == "routes":
        del entity["protocols"]  # strip_path has another default there, which the tables do not say
    own = {"targets": f"10.0.0.{seed}:80", "upstreams": f"u{seed}.example"}.get(kind, f"{kind[0]}-{seed}x")
    return {**entity, NAMED[kind]: own}


def file_of(kind: str, items: Any) -> dict[str, Any]:
    parent = {"routes": ("services", {"name": "s", "host": "h"}), "targets": ("upstreams", {"name": "u.example"})}.get(
        kind
    )
    body = {parent[0]: [{**parent[1], kind: items}]} if parent else {kind: items}
    return {"_format_version": "3.0", **body}


@pytest.mark.parametrize("kind", NAMED)
def test_entities_and_kongs_own_code_judge_alike(kind: str, tmp_path: Path) -> None:
    if kong_published.lua("acl") is None:
        pytest.skip("needs luajit, the shared folder, and KONG_SRC with Kong 3.9.3's source")
    release = target.release("oss-3.9")
    drawn = [drawn_entity(kind, seed) for seed in range(30)]
    place = {"routes": r"services\[1\]\.routes\[(\d+)\]", "targets": r"upstreams\[1\]\.targets\[(\d+)\]"}.get(kind)
    refused = kong_published.judged(lambda items: file_of(kind, items), place or rf"{kind}\[(\d+)\]", drawn, tmp_path)
    mine = {i: [*found] for i, one in enumerate(drawn) if (found := [*plugins.check_entity(kind, one, release)])}
    assert [(drawn[i], refused.get(i), mine.get(i)) for i in {*refused} ^ {*mine}] == []
    sound = [one for i, one in enumerate(drawn) if i not in mine]
    in_kong = {e[NAMED[kind]]: e for e in kong_published.entities(file_of(kind, sound), tmp_path)[kind].values()}
    for one in sound:
        kept = in_kong[one[NAMED[kind]]]
        filled = plugins.entity_filled(kind, one, release)
        assert {n: kong_published.same(kept.get(n)) for n in filled} == kong_published.same(filled)


REFUSED_ENTITIES: list[tuple[str, Any, str]] = [
    ("services", {"name": "a b", "host": "h"}, "is no name"),
    ("services", {"name": "a"}, "none of `host`, `url` is set"),
    ("services", {"host": "h", "hots": "x"}, "did you mean `host`?"),
    ("services", {"host": "h", "protocol": "tcp", "path": "/a"}, "`path` may not be set"),
    ("services", {"host": "{vault://env/host}"}, "resolves no reference"),
    ("routes", {"name": "r"}, "none of `methods`"),
    ("routes", {"paths": ["/a"], "sources": [{"port": 1}]}, "`sources` may not be set"),
    ("routes", {"paths": ["/a"], "protocols": ["http"], "snis": ["a.example"]}, "`snis` is"),
    ("routes", {"paths": ["/a"], "protocols": ["http", "tcp"]}, "these do not go together"),
    ("routes", {"paths": ["a"]}, "is no path of a route"),
    ("routes", {"headers": {"Host": ["a"]}}, "not of the form"),
    ("consumers", {"tags": ["a"]}, "none of `username`, `custom_id` is set"),
    ("consumers", {"username": "a", "tags": ["a,b"]}, "is no tag"),
    ("keyauth_credentials", {"key": "{vault://env/key}"}, "resolves no reference"),
    ("acls", {}, "`group` is missing"),
    ("upstreams", {"name": "u", "hash_on": "header"}, "`hash_on_header` is missing"),
    ("targets", {"target": "10.0.0.1:99999"}, "is no address"),
    ("vaults", {"name": "aws", "prefix": "mine"}, "only Enterprise has it"),
    ("vaults", {"name": "env", "prefix": "My_Vault"}, "not of the form"),
    ("vaults", {"name": "env", "prefix": "env"}, "not of the form"),
    ("certificates", {"cert": "a"}, "`key` is missing"),
    ("jwt_secrets", {"algorithm": "RS256"}, "`rsa_public_key` is missing"),
]


@pytest.mark.parametrize(("kind", "entity", "said"), REFUSED_ENTITIES)
def test_what_is_refused_in_an_entity(kind: str, entity: Any, said: str) -> None:
    found = [f"{f.message}; {f.right}" for f in plugins.check_entity(kind, entity, target.release("oss-3.9"))]
    assert any(said in one for one in found), found


def test_a_model_without_a_name_is_one_that_passes_the_clients_name_on() -> None:
    """Kong takes a block without `model.name`, and sends on whatever a client asks for."""
    text = written("MODEL", "m")
    passing = text.replace('model: "m"}', "model: '*'}")
    assert passing != text
    assert findings(passing, "oss-3.9") == []
    checked = compiler.check_text(text)
    build = support.build_all_accepted(checked, TargetChoice("kong", "oss-3.9", {}))
    route = build.documents[0].body["services"][0]["routes"][0]  # type: ignore[index, call-overload]
    for plugin in route["plugins"]:
        plugin["config"].get("model", {}).pop("name", None)
    found = [*judged(build.target, build.documents, checked.source.data)]
    assert [(d.code, "`model.name` is missing" in d.message) for d in found] == [("AIG9001", True)]


HIDING = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGatewayConfig
metadata: {name: base}
spec:
  for: AIGateway
  config:
    providers: [{name: two, type: openai-compatible, baseUrl: "http://canary-host.test/$(headers.x)/v1"}]
    policies: {promptDecorator: {prepend: [{role: system, content: "canary-words {vault://env/canary-name}"}]}}
  fields: {hide: ["providers[*].baseUrl", policies]}
"""
REFERRING = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: team}
spec:
  configRef: {name: base}
  listeners: [{name: public, address: 127.0.0.1, port: 8080}]
  models: [{name: chat, targets: [{provider: two, model: m}]}]
  auth: {apiKey: {headers: [x-api-key]}}
  consumers: [{name: app, credentials: [{apiKey: {env: APP_KEY}}]}]
"""


@pytest.mark.parametrize("format_", ["text", "json", "github", "sarif"])
def test_what_a_part_hides_is_not_told(format_: str, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from aigw_compile.cli.group import cli

    (tmp_path / "part.yaml").write_text(HIDING)
    (tmp_path / "gateway.yaml").write_text(REFERRING)
    asked = ["build", str(tmp_path / "gateway.yaml"), "--target", "kong=enterprise-3.15", "--format", format_]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 1
    assert done.output.count("AIG6302") >= 2
    assert "canary" not in done.output
    assert not (tmp_path / "build").exists()


DOORS = """
  providers: [{name: p, type: openai, auth: {apiKey: {env: KEY}}}]
  models: [{name: chat, targets: [{provider: p, model: gpt-4o}]}]
  auth:
    jwt: [{name: i, issuer: "https://i.example", audiences: [a], jwksUri: "https://i.example/keys"}]
  policies: {limits: [{name: tpm, per: minute, tokens: 1000}]}
"""


def test_no_two_plugins_have_one_instance_name() -> None:
    """What asks for tokens of an issuer and what counts tokens of a model stand at one service."""
    build = support.build_all_accepted(
        compiler.check_text(kong_specs.HEAD + DOORS), TargetChoice("kong", "enterprise-3.15", {})
    )
    assert [d for d in build.diagnostics if d.code == "AIG6301"] == []
    kong = next(d for d in build.documents if d.filename == "kong.yml")
    found = [
        p
        for s in kong.body["services"]
        for p in s["plugins"]
        if p["name"] in ("openid-connect", "ai-rate-limiting-advanced")
    ]
    assert len(found) == 2
    assert not [*kong_faults([kong], target.release("enterprise-3.15"), {})]
    found[0]["instance_name"] = found[1]["instance_name"]
    [wrong] = kong_faults([kong], target.release("enterprise-3.15"), {})
    assert wrong.path[-1] == "instance_name"
