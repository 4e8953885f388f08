"""Importing: what is built for Kong comes back, what others wrote is in the spec or in a finding, and nothing of it shows a secret."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile import compiler, explain, plugins
from aigw_compile.cli.import_ import command as import_command
from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity
from aigw_compile.document import text_of as output_text
from aigw_compile.importers import CODES, IMPORTERS, Imported
from aigw_compile.importers.kong import paths, patterns
from aigw_compile.importers.text import text_of
from aigw_compile.project import TargetChoice
from aigw_compile.source import Source, parse
from aigw_compile.target import Release, release
from tests import coherent, support
from tests.targets.kong_specs import SPECS

CASES = sorted((support.ROOT / "tests/cases/imports").glob("*.yml"))
PROFILES = ("oss-3.9", "enterprise-3.10", "enterprise-3.13", "enterprise-3.15")
BUILT = [pytest.param(name, profile, id=f"{name}-{profile}") for name in SPECS for profile in PROFILES]
CANARY = "CANARY"


def source_of(data: Json) -> Source:
    return parse(json.dumps(data, ensure_ascii=False), "kong.yml")[0][0]


def instead(source: Source, data: Json) -> Source:
    """The same document with other data at the same places: reading it anew would take most of the time."""
    return Source(source.file, source.index, data, source._file)


def read(text: str | bytes) -> Imported:
    (source, *_), found = parse(text, "kong.yml")
    assert not [d for d in found if d.severity is Severity.ERROR], found
    return IMPORTERS["kong"](source, "")


def spec_text(one: Imported) -> str:
    assert one.spec is not None, one.findings
    return text_of(one.spec, one.comments)


@cache
def built(text: str, profile: str) -> str:
    """The kong.yml of a spec that lints without errors, every loss accepted."""
    checked = compiler.check_text(text)
    assert checked.gateway, [d for d in checked.diagnostics if d.severity is Severity.ERROR]
    build = support.build_all_accepted(checked, TargetChoice("kong", profile, {}))
    assert build.documents, build.diagnostics
    return next(output_text(d) for d in build.documents if d.filename == "kong.yml")


# --- Law 1: import, then build, gives the same back

INVENTED = {"{vault://env/azure-openai-api-key}"}
NOT_CALLED = "no target of this model can be called"


def normal(text: str) -> Any:
    """A kong.yml without what cannot come back.

    - ids of certificates, which are made from the names of listeners: Kong has no names for them;
    - certificates that are shown for no name;
    - tags behind the first two: they name limits, also such as another one makes needless;
    - keys of providers that have none in the file (the open-source edition has no identities of Entra): a spec asks for one;
    - routes of models that nobody answers, which have no target to come back, and models in the list that have no route.
    """
    body = yaml.safe_load(text)
    routes = [r for s in body["services"] for r in s["routes"]]
    dead = [r for r in routes if any(p["config"].get("message") == NOT_CALLED for p in r["plugins"])]
    for service in body["services"]:
        service["routes"] = [r for r in service["routes"] if r not in dead]
    gone = {p for r in dead for p in r["paths"]}
    for route in routes:
        if route["methods"] == ["OPTIONS"]:
            route["paths"] = [p for p in route["paths"] if p not in gone]
        for plugin in route["plugins"]:
            if "content_type" in plugin["config"]:
                listed = json.loads(plugin["config"]["body"])
                plugin["config"]["body"] = {k: v for k, v in listed.items() if k != "data"}
    if body.get("certificates"):
        body["certificates"] = [c for c in body["certificates"] if c.get("snis")]
    ids = {c["id"]: f"certificate-{i}" for i, c in enumerate(body.get("certificates", ()))}

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            made = isinstance(value.get("auth"), dict) and value["auth"].get("header_value") in INVENTED
            return {k: plain(v[:2] if k == "tags" else v) for k, v in value.items() if not (k == "auth" and made)}
        if isinstance(value, list):
            return [plain(v) for v in value]
        return ids.get(value, value) if isinstance(value, str) else value

    return plain(body)


@pytest.mark.parametrize(("name", "profile"), BUILT)
def test_what_was_built_comes_back(name: str, profile: str) -> None:
    text = built(SPECS[name], profile)
    one = read(text)
    assert normal(built(spec_text(one), profile)) == normal(text)
    assert {d.code for d in one.findings if d.severity is Severity.ERROR} == set()


@pytest.mark.parametrize("name", ["support-desk", "edge", "shared", "sent"])
def test_it_comes_back_as_the_same_spec(name: str) -> None:
    """A second time around nothing changes: what is lost is lost at once."""
    once = spec_text(read(built(SPECS[name], "enterprise-3.15")))
    twice = spec_text(read(built(once, "enterprise-3.15")))
    plain = [line for line in once.splitlines() if not line.lstrip().startswith("#")]
    assert [line for line in twice.splitlines() if not line.lstrip().startswith("#")] == plain


@pytest.mark.parametrize("profile", ["oss-3.9", "enterprise-3.15"])
def test_drawn_gateways_come_back_without_errors(profile: str) -> None:
    """Whatever a gateway holds: what was built of it becomes a spec that lints without errors and builds with the same models."""
    tried = 0
    for seed in range(16):
        data = coherent.gateway(seed)
        if data is None:
            continue
        checked = coherent.checked(data)
        build = support.build_all_accepted(checked, TargetChoice("kong", profile, {}))
        text = next((output_text(d) for d in build.documents if d.filename == "kong.yml"), "")
        one = read(text) if text else None
        if one is None or one.spec is None:
            continue  # no model has a target that can be called
        after = yaml.safe_load(built(spec_text(one), profile))
        proxy = "ai-proxy" if profile == "oss-3.9" else "ai-proxy-advanced"
        assert set(configured(yaml.safe_load(text), proxy)) <= set(configured(after, proxy)), seed
        tried += 1
    assert tried > 5


def test_names_come_back() -> None:
    spec: Any = read(built(SPECS["targets"], "enterprise-3.15")).spec
    assert [m["name"] for m in spec["spec"]["models"]] == ["weighted", "layered", "any"]
    assert {p["name"] for p in spec["spec"]["providers"]} == {"openai", "claude", "proxy", "pool", "kube"}
    assert [t["name"] for t in spec["spec"]["models"][1]["targets"]] == ["a", "b", "c"]
    money: Any = read(built(SPECS["places"], "oss-3.9")).spec
    assert [x["name"] for x in money["spec"]["policies"]["limits"]] == ["rpm", "month"]


# --- Law 2: what others wrote lints, builds, and says the same


def configured(body: Any, name: str) -> dict[str, list[Any]]:
    """Route or consumer -> configurations of a plugin, in any shape of a kong.yml, by the name of the model's last word."""
    found: dict[str, list[Any]] = {}

    def add(key: str, plugin: Any) -> None:
        if plugin["name"] == name and plugin.get("enabled", True):
            found.setdefault(key, []).append(plugin["config"])

    for plugin in body.get("plugins", ()):
        add(str(plugin.get("route") or plugin.get("consumer") or ""), plugin)
    for service in body["services"]:
        for plugin in service.get("plugins", ()):
            add(str(plugin.get("consumer") or ""), plugin)
        for route in service.get("routes", ()):
            for plugin in route.get("plugins", ()):
                add(route["name"], plugin)
    for consumer in body.get("consumers", ()):
        for plugin in consumer.get("plugins", ()):
            add(consumer["username"], plugin)
    return found


PROFILE = {"failover": "enterprise-3.15", "entities": "enterprise-3.15"}


def profile_of(case: Path) -> str:
    return PROFILE.get(case.stem, "oss-3.9")


def case(name: str) -> tuple[Any, Any]:
    """A file of others, and what comes out when it was imported and built."""
    path = next(c for c in CASES if c.stem == name)
    text = path.read_text("utf-8")
    return yaml.safe_load(text), yaml.safe_load(built(spec_text(read(text)), profile_of(path)))


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_kongs_own_code_takes_what_comes_out(path: Path, tmp_path: Path) -> None:
    out = built(spec_text(read(path.read_bytes())), profile_of(path))
    source, lua, shared = os.environ.get("KONG_SRC"), shutil.which("luajit"), support.shared()
    if not source or not lua or not shared or profile_of(path) != "oss-3.9":
        pytest.skip(
            "needs luajit, the shared folder, and KONG_SRC with Kong 3.9.3's source; and an open-source profile"
        )
    (tmp_path / "kong.yml").write_text(out, "utf-8")
    command = [lua, str(shared / "tools/kongcheck/kongcheck.lua"), str(tmp_path / "kong.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "OK" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_what_others_wrote_lints_without_errors(path: Path) -> None:
    checked = compiler.check_text(spec_text(read(path.read_bytes())))
    assert [d for d in checked.diagnostics if d.severity is Severity.ERROR] == []


def only(found: dict[str, list[Any]]) -> Any:
    ((config,),) = found.values()
    return config


def test_one_provider() -> None:
    before, after = case("one-provider")
    mine, theirs = only(configured(after, "ai-proxy")), only(configured(before, "ai-proxy"))
    assert {k: v for k, v in mine["model"].items() if k != "options"} == {"provider": "openai", "name": "gpt-4o"}
    assert theirs["model"]["options"].items() <= mine["model"]["options"].items()
    assert mine["auth"] == {
        "header_name": "authorization",
        "header_value": "{vault://env/openai-api-key-header}",
        "allow_override": False,
    }
    guard = only(configured(after, "ai-prompt-guard"))
    assert guard["deny_patterns"][0] == "(*UTF).*(P|p)assword.*"
    assert len(guard["deny_patterns"]) == 2  # the third looks behind
    assert (guard["allow_all_conversation_history"], guard["match_all_roles"]) == (True, False)
    decorator = only(configured(after, "ai-prompt-decorator"))["prompts"]
    assert decorator == only(configured(before, "ai-prompt-decorator"))["prompts"]
    limits = configured(after, "rate-limiting")
    assert {
        k: {p: n for p, n in v[0].items() if isinstance(n, int) and n is not True} for k, v in limits.items()
    }.keys() == {
        "alice",
        "bob-jones",
    }
    assert (limits["alice"][0]["minute"], limits["alice"][0]["hour"]) == (20, 500)
    assert limits["bob-jones"][0]["minute"] == 100
    assert "hour" not in limits["bob-jones"][0]
    assert only(configured(after, "key-auth"))["key_names"] == ["apikey"]
    assert after["services"][0]["retries"] == 5


def test_top_level() -> None:
    _, after = case("top-level")
    proxies = {k.removeprefix("sink-"): v[0]["model"] for k, v in configured(after, "ai-proxy").items()}
    assert proxies["azure"]["options"] == {
        "azure_instance": "my-resource",
        "azure_api_version": "2024-10-21",
        "azure_deployment_id": "gpt-4o",
    }
    assert proxies["llama-3-1-8b"]["options"]["upstream_url"] == "http://llm.internal:8000/v1/chat/completions"
    assert proxies["text-embedding-3-small"]["provider"] == "openai"
    assert configured(after, "acl") == {
        "sink-claude-sonnet-4-5": [
            {"allow": ["staff"], "hide_groups_header": True, "always_use_authenticated_groups": False}
        ]
    }
    for config in configured(after, "ip-restriction").values():
        assert config[0] == {"allow": ["10.0.0.0/8"], "deny": ["10.9.0.0/16"], "status": 403}
    service = after["services"][0]
    assert (service["connect_timeout"], service["read_timeout"], service["retries"]) == (2000, 120000, 0)
    assert after["certificates"][0]["cert"] == "{vault://llm/tls-crt}"
    assert after["vaults"][0]["config"] == {"prefix": "LLM_"}


def test_failover() -> None:
    before, after = case("failover")
    mine, theirs = configured(after, "ai-proxy-advanced"), configured(before, "ai-proxy-advanced")
    balancer = theirs["smart"][0]["balancer"]
    assert mine["ai-smart"][0]["balancer"] == balancer
    for got, written in zip(mine["ai-smart"][0]["targets"], theirs["smart"][0]["targets"], strict=True):
        assert got["auth"]["header_value"] == written["auth"]["header_value"]
        assert got["model"]["name"] == written["model"]["name"]
        # The build writes the prices of its list, too.
        assert written["model"]["options"].items() <= got["model"]["options"].items()
        assert got["description"] == written["description"]
    assert [t["weight"] for t in mine["ai-cheap"][0]["targets"]] == [3, 1]
    (tokens,) = configured(after, "ai-rate-limiting-advanced")["ai-smart"]
    assert tokens["policies"] == configured(before, "ai-rate-limiting-advanced")["smart"][0]["policies"]
    limits = configured(after, "rate-limiting-advanced")
    assert {k: (v[0]["limit"], v[0]["window_size"]) for k, v in limits.items()} == {
        "app": ([100], [60]),
        "job": ([10], [60]),
    }
    assert only(configured(after, "openid-connect"))["issuer"] == "https://login.example.com/"


def test_deck() -> None:
    _, after = case("deck")
    clean = {k: v[0] for k, v in configured(after, "request-transformer").items()}["assistants-gpt-4o-mini"]
    assert clean["add"] == {"headers": ["x-team:research"], "body": ["user:fixed"]}
    assert "user" in clean["remove"]["body"]
    asked = {k: v[0] for k, v in configured(after, "ai-request-transformer").items()}["assistants-gpt-4o-mini"]
    assert asked["transformation_extract_pattern"].endswith("(?im)[a-z]+")
    assert asked["llm"]["model"]["name"] == "gpt-4.1-nano"
    assert [c["username"] for c in after["consumers"]] == ["team"]
    guards = configured(after, "ai-prompt-guard")
    assert all(g[0]["match_all_roles"] for g in guards.values())


def test_entities() -> None:
    _, after = case("entities")
    proxies = configured(after, "ai-proxy-advanced")
    support_ = proxies["gateway-support-chat"][0]
    assert [t["model"]["name"] for t in support_["targets"]] == ["gpt-4o", "claude-sonnet-4-5"]
    assert [t["weight"] for t in support_["targets"]] == [90, 10]
    assert support_["balancer"]["retries"] == 2
    azure = proxies["gateway-deployments"][0]["targets"][0]
    assert azure["auth"]["azure_client_id"] == "c"
    assert azure["model"]["options"]["azure_deployment_id"] == "gpt4o"
    routes = {r["name"]: r["paths"] for s in after["services"] for r in s["routes"]}
    assert routes["gateway-support-chat"] == [
        "~/ai/support-chat/v1/chat/completions$",
        "~/ai/helpdesk/v1/chat/completions$",
    ]
    assert [v["prefix"] for v in after["vaults"]] == ["keys"]
    assert configured(after, "rate-limiting-advanced")["app"][0]["limit"] == [30]


def test_the_shared_prototype() -> None:
    shared = support.shared()
    if not shared:
        pytest.skip("needs the shared folder")
    one = read((shared / "prototypes/kong/example.kong.yml").read_bytes())
    after = yaml.safe_load(built(spec_text(one), "oss-3.9"))
    assert len(configured(after, "ai-proxy")) == 4


def dump(data: Any, known: Release) -> None:
    """Fill a file with every default of Kong, as a dump of it is."""
    if isinstance(data, dict):
        for kind in ("services", "routes", "consumers"):
            found = data.get(kind)
            data |= {kind: [plugins.entity_filled(kind, x, known) for x in found]} if isinstance(found, list) else {}
        found = data.get("plugins")
        for plugin in found if isinstance(found, list) else ():
            if "config" in plugin:
                plugin["config"] = plugins.filled(plugin["name"], plugin["config"], known)
    for inner in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        dump(inner, known)


@pytest.mark.parametrize("name", ["one-provider", "top-level", "failover"])
def test_a_dump_with_every_default_is_the_same(name: str) -> None:
    path = next(c for c in CASES if c.stem == name)
    data = yaml.safe_load(path.read_text("utf-8"))
    first = IMPORTERS["kong"](source_of(data), "")
    dump(data, release(profile_of(path)))
    one: Any = IMPORTERS["kong"](source_of(data), "")
    whole: Any = first.spec
    for spec in (one.spec, whole):
        # Kong's own defaults of prices, sizes and times are written out in one of them.
        for model in spec["spec"]["models"]:
            model.pop("retries", None), model.pop("timeouts", None)
        for listener in spec["spec"]["listeners"]:
            listener.pop("maxBodySize", None), listener.pop("cors", None)
        spec["spec"].pop("observability", None)
    assert one.spec == whole
    assert sum(len(d.related) + 1 for d in one.findings if d.code == "AIG8103") < 15


# --- Nothing is lost in silence


def leaves(value: Json, at: Pointer = ()) -> Iterator[tuple[Pointer, Json]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*at, key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, (*at, index))
    else:
        yield at, value


def others(value: Json) -> Iterator[Json]:
    """Values of the same kind: a leaf that means something has one that means something else."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield value * 2 + 1
        yield 1
    elif isinstance(value, str):
        yield f"{value}x"
        yield f"x{value}"


def changed(data: Any, at: Pointer, value: Json) -> Any:
    out = copy.deepcopy(data)
    inner = out
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = value
    return out


def said(one: Imported) -> Any:
    return one.spec, one.told, {(d.code, d.message, d.hint, d.at) for d in one.findings}


def silent(data: Any, step: int = 1) -> list[Pointer]:
    """Leaves that are in no finding, and whose change changes nothing. `step`: one in so many is looked at."""
    source = source_of(data)
    first = IMPORTERS["kong"](source, "")
    assert first.spec is not None, first.findings
    before = said(first)
    found = []
    for at, value in [*leaves(data)][::step]:
        told = any(at[:depth] in first.told for depth in range(len(at) + 1))
        if told or value in (None, [], {}):
            continue
        changes = (changed(data, at, other) for other in others(value))
        if all(said(IMPORTERS["kong"](instead(source, new), "")) == before for new in changes):
            found.append(at)
    return found


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_every_leaf_is_in_the_spec_or_in_a_finding(path: Path) -> None:
    assert silent(yaml.safe_load(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("support-desk", "oss-3.9"),
        ("edge", "enterprise-3.15"),
        ("money", "enterprise-3.15"),
        ("targets", "enterprise-3.15"),
    ],
)
def test_every_leaf_of_what_was_built_too(name: str, profile: str) -> None:
    assert silent(yaml.safe_load(built(SPECS[name], profile)), 3) == []


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_findings_have_places_and_codes(path: Path) -> None:
    one = read(path.read_bytes())
    for d in one.findings:
        assert d.code in CODES
        assert explain.explain_code(d.code)
        assert d.span, d
        assert d.message
    places = {d.at for d in one.findings} | {r.at for d in one.findings for r in d.related}
    assert set(one.told) <= places


# --- Secrets


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_no_secret_is_copied_or_shown(path: Path) -> None:
    assert CANARY in path.read_text("utf-8") or path.stem == "deck"
    for format_ in ("sarif",) if path.stem == "entities" else ("text",):
        done = CliRunner().invoke(import_command, ["kong", str(path), "--format", format_])
        assert done.exit_code == 0, done.stderr
        assert CANARY not in done.stdout + done.stderr
        assert "aigw.dev/v1alpha1" in done.stdout


SECRET_PLACES = (
    "header_value",
    "key",
    "password",
    "azure_client_secret",
    "api_key",
    "value",
    "cert",
    "param_value",
    "client_secret",
)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_secret_of_any_shape_is_not_shown(data: st.DataObject) -> None:
    """Also where it is none that Kong would take: half a reference, a template with more around it, a list."""
    body = yaml.safe_load(data.draw(st.sampled_from(CASES)).read_text("utf-8"))
    places = [at for at, value in leaves(body) if at[-1] in SECRET_PLACES and isinstance(value, str)]
    at = data.draw(st.sampled_from(places))
    shape: Any = data.draw(
        st.sampled_from(
            [
                "ZEBRA",
                "Bearer ZEBRA",
                "{vault:ZEBRA",
                "Bearer {vault://env/x}ZEBRA",
                '${{ env "X" }}ZEBRA',
                ["ZEBRA"],
                {"ZEBRA": None},
                {"a": "ZEBRA"},
            ]
        )
    )
    one = IMPORTERS["kong"](source_of(changed(body, at, shape)), "")
    shown = json.dumps([one.spec, [d._replace(span=None, at=(), related=()) for d in one.findings]], default=str)
    assert "ZEBRA" not in shown


# --- Bad input


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aigw_compile", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(support.ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


BAD = {
    "not YAML": ("a: [", "AIG00"),
    "a text": ("hello", "AIG8101"),
    "a list": ("[1, 2]", "AIG8101"),
    "empty": ("", "AIG8101"),
    "something else": ("apiVersion: v1\nkind: Pod\n", "AIG8101"),
    "no AI plugin": (
        '_format_version: "3.0"\nservices: [{name: a, host: b, routes: [{name: r, paths: [/]}]}]\n',
        "AIG8101",
    ),
    "only a format": ('_format_version: "3.0"\n', "AIG8101"),
    "no models": ("models: []\n", "AIG8101"),
    "a key twice": ('_format_version: "3.0"\nservices: []\nservices: []\n', "AIG00"),
    "types": ("_format_version: 3\nservices: {a: b}\nroutes: text\nplugins: [1, [2], null, {name: 5}]\n", "AIG8101"),
    "deep": ("{a: " * 200 + "1" + "}" * 200, "AIG0020"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_a_finding(name: str, tmp_path: Path) -> None:
    text, code = BAD[name]
    (tmp_path / "kong.yml").write_text(text, "utf-8")
    done = CliRunner().invoke(import_command, ["kong", str(tmp_path / "kong.yml")])
    assert (done.exit_code, done.stdout) == (1, ""), done.stderr
    assert code in done.stderr


def test_an_unquoted_reference() -> None:
    text = next(c for c in CASES if c.stem == "one-provider").read_text("utf-8")
    one = read(text.replace("Bearer sk-CANARY-openai-0123456789abcdef", "{vault://env/openai}"))
    (found,) = [d for d in one.findings if d.code == "AIG8102"]
    assert "quotes" in found.hint
    assert found.span
    assert found.span.line == 16


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_junk_anywhere_is_no_traceback(data: st.DataObject) -> None:
    body = yaml.safe_load(data.draw(st.sampled_from(CASES)).read_text("utf-8"))
    every: list[Pointer] = []

    def walk(value: Json, at: Pointer) -> None:
        if at:
            every.append(at)
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for step, deeper in inner:
            walk(deeper, (*at, step))

    walk(body, ())
    for at in data.draw(st.lists(st.sampled_from(every), min_size=1, max_size=2)):
        try:
            body = changed(body, at, data.draw(JUNK))
        except (KeyError, IndexError, TypeError):
            continue  # what held it is gone
    one = IMPORTERS["kong"](source_of(body), "")
    if one.spec is not None:
        text = spec_text(one)
        assert parse(text, "x.yaml")[0][0].data == one.spec
        compiler.check_text(text)


# --- The command


def test_the_command(tmp_path: Path) -> None:
    source = str(next(c for c in CASES if c.stem == "top-level"))
    done = run("import", "kong", source, "-o", "spec.yaml", "--name", "mine", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "AIG8109" in done.stderr
    assert "metadata: {name: mine}" in (tmp_path / "spec.yaml").read_text("utf-8")
    again = run("import", "kong", source, "-o", "spec.yaml", folder=tmp_path)
    assert again.returncode == 3
    assert "--force" in again.stderr
    forced = run("import", "kong", source, "-o", "spec.yaml", "--force", "--strict", folder=tmp_path)
    assert forced.returncode == 1
    assert run("import", "kong", "missing.yml", folder=tmp_path).returncode == 3
    assert "nginx" in CliRunner().invoke(import_command, ["nginx", source]).stderr
    assert "not-a-label" in CliRunner().invoke(import_command, ["kong", source, "--name", "Not A Label"]).stderr


# --- Patterns and paths


@pytest.mark.parametrize(
    ("pcre", "re2"),
    [
        (r"\bcard\b", r"\bcard\b"),
        (r"(?i)a\sb", r"(?i)a[\s\v]b"),
        (r"[\s,]", r"[\s\v,]"),
        (r"end$", "end\\n?\\z"),
        (r"\$5", r"\$5"),
        (r"a\Z", "a\\n?\\z"),
        (r"(?<year>\d{4})", r"(?P<year>\d{4})"),
        (r"[$]", r"[$]"),
        (r"(*UTF).\z", r".\z"),
        (r"[]a]$", "[]a]\\n?\\z"),
    ],
)
def test_patterns(pcre: str, re2: str) -> None:
    assert patterns.to_re2(pcre) == re2


@pytest.mark.parametrize("pcre", [r"(?=a)", r"(?<!a)b", r"(a)\1", r"a++", r"(?>a)", r"(?R)", "(", r"\k<a>", "(?x) a"])
def test_patterns_that_cannot_be_written(pcre: str) -> None:
    with pytest.raises(patterns.Refused):
        patterns.to_re2(pcre)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/plain", "/plain"),
        ("~/a\\.b/v1$", "/a.b/v1"),
        ("~/gpt(?:\\:|%3A)4$", "/gpt:4"),
        ("~/x%3Fy$", "/x?y"),
        ("~/any/.*$", None),
        ("~/(a|b)$", None),
    ],
)
def test_paths(path: str, text: str | None) -> None:
    found = paths.plain(path)
    assert (found.text if found else None) == text


def test_a_plugin_for_a_model_of_decks_converter() -> None:
    """`deck file ai2kong` writes plugins for a model at a route that several models share."""
    target: Any = {
        "route_type": "llm/v1/chat",
        "auth": {"header_name": "Authorization", "header_value": "{vault://env/k-header}"},
    }
    text: Any = {
        "_format_version": "3.0",
        "services": [
            {"name": "ai-gateway", "url": "http://x", "routes": [{"name": "chat", "paths": ["/ai/chat/completions"]}]}
        ],
        "plugins": [
            {
                "name": "ai-proxy-advanced",
                "route": "chat",
                "model": name,
                "config": {
                    "targets": [{**target, "model": {"provider": "openai", "name": f"{name}-1", "model_alias": name}}]
                },
            }
            for name in ("one", "two")
        ]
        + [{"name": "ai-prompt-guard", "route": "chat", "model": "two", "config": {"deny_patterns": ["bad"]}}],
        "ai_models": [{"name": "one"}, {"name": "two"}],
    }
    spec: Any = IMPORTERS["kong"](source_of(text), "").spec
    assert [m["name"] for m in spec["spec"]["models"]] == ["one", "two"]
    assert ["policies" in m for m in spec["spec"]["models"]] == [False, True]


def test_diagnostics_are_values() -> None:
    assert all(isinstance(d, Diagnostic) for d in read(CASES[0].read_bytes()).findings)
