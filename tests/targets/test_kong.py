"""What is built for Kong: Kong's own judgement, what runs for each call, and that the table of capabilities is well formed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile import compiler, ir, secretfiles
from aigw_compile.document import text_of
from aigw_compile.kongblocks.names import model_slugs
from aigw_compile.plan import fits, sending
from aigw_compile.policies.ip_restriction import IpRestriction
from aigw_compile.policies.limits import Limit
from aigw_compile.target import manifest
from tests import support
from tests.targets import kong_specs
from tests.targets.kong_specs import CASES, CHOICES, PROFILES, SPECS


@cache
def built(text: str, profile: str) -> compiler.Build:
    build = support.build_all_accepted(compiler.check_text(text), CHOICES[profile])
    assert build.documents, build.diagnostics
    return build


@cache
def output(text: str, profile: str, name: str = "kong.yml") -> Any:
    """A document as a reader sees it; nobody changes it."""
    found = next(text_of(d) for d in built(text, profile).documents if d.filename == name)
    return yaml.load(found, yaml.CSafeLoader)


def plugins(body: Any) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Every plugin of a kong.yml with the names of its route and its consumer."""
    for plugin in body.get("plugins", ()):
        yield plugin, "", ""
    for service in body["services"]:
        yield from ((p, "", p.get("consumer", "")) for p in service.get("plugins", ()))
        for route in service["routes"]:
            yield from ((p, route["name"], p.get("consumer", "")) for p in route["plugins"])
    for consumer in body.get("consumers", ()):
        yield from ((p, "", consumer["username"]) for p in consumer.get("plugins", ()))


Place = tuple[str, str]
"""Route and consumer, "" for every one."""


def placed(body: Any, name: str, route: str, consumer: str) -> tuple[Place, dict[str, Any]] | None:
    """The one instance of a plugin that Kong runs: route and consumer, consumer, route, neither (plugins_iterator.lua)."""
    found = {(r, c): p["config"] for p, r, c in plugins(body) if p["name"] == name}
    places = ((route, consumer), ("", consumer), (route, ""), ("", ""))
    return next(((place, found[place]) for place in places if place in found), None)


def running(body: Any, name: str, route: str, consumer: str) -> dict[str, Any] | None:
    """The configuration of that instance."""
    found = placed(body, name, route, consumer)
    return found[1] if found else None


# --- The target's own judgement


@pytest.mark.parametrize("name", SPECS)
def test_kongs_own_schema_code(name: str, tmp_path: Path) -> None:
    """Of the open-source edition: the code of Enterprise is not public, and its published schemas are asked below."""
    source, lua, shared = os.environ.get("KONG_SRC"), shutil.which("luajit"), support.shared()
    if not source or not lua or not shared:
        pytest.skip("needs luajit, the shared folder, and KONG_SRC with Kong 3.9.3's source")
    for document in built(SPECS[name], "oss-3.9").documents:
        (tmp_path / document.filename).write_text(text_of(document), "utf-8")
    asked = secretfiles.read(tmp_path)
    secretfiles.write(tmp_path, secretfiles.placeholders(asked))
    for file in ("kong.yml", "kong.rendered.yml"):
        if (tmp_path / file).exists():
            command = [lua, str(shared / "tools/kongcheck/kongcheck.lua"), str(tmp_path / file)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "OK" in done.stdout


def _published(shared: Path, version: str) -> dict[str, Any]:
    """Published plugin schemas by plugin name."""
    folder = shared / "upstream/kong" / f"plugins-{version}"
    return {p.stem.lower(): json.loads(p.read_text("utf-8")) for p in folder.glob("*.json")}


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_published_schemas(name: str, profile: str) -> None:
    shared = support.shared()
    if not shared:
        pytest.skip("needs the shared folder")
    body = output(SPECS[name], profile)
    deck = json.loads((shared / "upstream/kong/deck-kong_json_schema.json").read_text("utf-8"))
    assert [*jsonschema_rs.validator_for(deck).iter_errors(body)] == []
    known = _published(shared, profile.partition("-")[2])
    if not known:
        return  # test_kong_versions.py asks what each version changed
    asked = 0
    for plugin, _, consumer in plugins(body):
        schema = known.get(plugin["name"].replace("-", ""))
        if schema is None:
            assert plugin["name"] == "acl"  # not among those published for 3.9
            continue
        asked += 1
        properties = schema["properties"]["config"]
        strict = _strict(properties)
        errors = [
            f"{e.instance_path} {e.message}" for e in jsonschema_rs.validator_for(strict).iter_errors(plugin["config"])
        ]
        assert errors == [], (plugin["name"], errors)
        assert not consumer or "consumer" in schema["properties"], plugin["name"]
    assert asked > 3


def _strict(schema: Any) -> Any:
    """The same schema, with unknown fields refused: Kong refuses them."""
    if isinstance(schema, dict):
        made = {k: _strict(v) for k, v in schema.items() if k != "$schema"}
        if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
            made["additionalProperties"] = False
        return made
    return [_strict(x) for x in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_same_bytes_and_no_secret(name: str, profile: str) -> None:
    first, second = ([text_of(d) for d in built(SPECS[name], profile).documents] for _ in range(2))
    assert first == second
    assert "keyauth_credentials" not in first[0]


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_names_are_unique_and_references_are_whole(name: str, profile: str) -> None:
    body = output(SPECS[name], profile)
    instances = [p["instance_name"] for p, _, _ in plugins(body)]
    assert len(instances) == len(set(instances))
    at_services = [(p["name"], s["name"], p.get("consumer")) for s in body["services"] for p in s.get("plugins", ())]
    elsewhere = {id(p) for s in body["services"] for p in s.get("plugins", ())}
    scopes = [*at_services, *((p["name"], r, c) for p, r, c in plugins(body) if id(p) not in elsewhere)]
    assert len(scopes) == len(set(scopes))
    prefixes = {v["prefix"] for v in body.get("vaults", ())} | {"env"}

    def texts(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for inner in value.values():
                yield from texts(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from texts(inner)
        elif isinstance(value, str):
            yield value

    for text in texts(body):
        if "{vault:" in text:
            assert text.startswith("{vault://"), text
            assert text.endswith("}"), text
            assert text.removeprefix("{vault://").partition("/")[0] in prefixes


# --- What runs for a call


SECONDS = {1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week", 2592000: "month"}
WINDOWS = list(SECONDS.values())
STRATEGIES = {"total": "total_tokens", "input": "prompt_tokens", "output": "completion_tokens"}

Amounts = dict[tuple[str, str], float]
"""(what is counted, window) -> how much of it."""
Counts = tuple[str, bool, str]
"""By consumer, ip, header:NAME, several with a space between them, or ""; by model; the group that shares the counter, or ""."""


def _minimum(limits: list[tuple[Limit, str]]) -> Amounts:
    found: Amounts = {}
    for limit, field in limits:
        number = getattr(limit, field)
        key = (STRATEGIES[limit.counted] if field == "tokens" else field, limit.per)
        found[key] = min(number, found.get(key, number))
    return found


def _held(body: Any, unit: str, route: str, consumer: str) -> Iterator[tuple[Counts, Amounts]]:
    """What the limiters that run for a call count by, and their numbers. An instance at a route counts for that route."""
    limiters = {"requests": ("rate-limiting-advanced", "rate-limiting"), "tokens": ("ai-rate-limiting-advanced",)}
    for plugin in limiters[unit]:
        found = placed(body, plugin, route, consumer)
        if not found:
            continue
        (at_route, _), config = found
        kinds = config.get("compound_identifier") or [config.get("limit_by") or config.get("identifier", "service")]
        by = [(kind, config.get("header_name")) for kind in kinds if kind != "service"]
        numbers = {("requests", w): config[w] for w in WINDOWS if w in config}
        if plugin == "rate-limiting-advanced":
            sizes = zip(config["window_size"], config["limit"], strict=True)
            numbers = {("requests", SECONDS[size]): number for size, number in sizes}
        if "llm_providers" in config:
            first = config["llm_providers"][0]
            assert all({**x, "name": ""} == {**first, "name": ""} for x in config["llm_providers"])
            sizes = zip(first["window_size"], first["limit"], strict=True)
            numbers = {(config["tokens_count_strategy"], SECONDS[size]): number for size, number in sizes}
        elif plugin == "ai-rate-limiting-advanced":
            (policy,) = config["policies"]
            by = [(match["type"], match.get("key")) for match in policy.get("match", ())]
            assert all(match["partition_by"] for match in policy.get("match", ()))
            numbers = {(x["tokens_count_strategy"], SECONDS[x["window_size"]]): x["limit"] for x in policy["limits"]}
            assert len(numbers) == len(policy["limits"])
        group = config.get("namespace", "").partition("-group-")[2]
        parts = sorted(f"header:{header}" if kind == "header" else kind for kind, header in by)
        yield (" ".join(parts), bool(at_route), group), numbers


def assert_limits(text: str, profile: str, unit: str) -> None:
    """Every limit that applies to a call is in an instance that runs for it and counts the right thing, or is lost."""
    gateway = compiler.check_text(text).gateway
    assert gateway
    build = built(text, profile)
    body = output(text, profile)
    routes = _routes(gateway)
    lost = {x.at for x in build.plan.losses if x.capability.support == "none"}

    def gone(limit: Limit, field: str) -> bool:
        places = ((*limit.origin, field), (*limit.origin, "per"))
        return any(place[: len(p)] == p for p in lost for place in places)

    for model, consumer in fits.calls(gateway):
        wanted: dict[Counts, list[tuple[Limit, str]]] = {}
        for scope in fits.applying(gateway, model, consumer):
            for limit in ir.every(scope.policies, Limit):
                fields = [x for x in fits.UNITS[unit] if getattr(limit, x) is not None and not gone(limit, x)]
                for counter in fits.counters(gateway, scope, limit) if fields else ():
                    group = next((part.removeprefix("group:") for part in counter if part.startswith("group:")), "")
                    if not group or (consumer and group in consumer.groups):
                        counts = (" ".join(sorted(fits.keys(counter))), "model" in counter, group)
                        wanted.setdefault(counts, []).extend((limit, x) for x in fields)
        held = dict(_held(body, unit, routes[model.name], consumer.name if consumer else ""))
        assert set(held) == set(wanted), (model.name, consumer and consumer.name)
        for counts, limits in wanted.items():
            least = _minimum(limits)
            assert set(held[counts]) <= set(least)
            for (what, window), number in least.items():
                order = WINDOWS[WINDOWS.index(window) :]
                longer = [held[counts][what, w] for w in order if (what, w) in held[counts]]
                assert min(longer) <= number
                assert held[counts].get((what, window), number) == number


@pytest.mark.parametrize(("name", "profile"), CASES)
@pytest.mark.parametrize("unit", ["requests", "tokens"])
def test_every_limit_that_applies_is_in_the_instance_that_runs(name: str, profile: str, unit: str) -> None:
    assert_limits(SPECS[name], profile, unit)


LIMIT = st.fixed_dictionaries(
    {"per": st.sampled_from(WINDOWS), "requests": st.integers(1, 5)},
    optional={
        "tokens": st.integers(1, 5),
        "cost": st.integers(1, 5),
        "count": st.sampled_from(["total", "input"]),
        "onExceeded": st.sampled_from(["refuse", "observe"]),
        "by": st.lists(
            st.sampled_from(["gateway", "consumer", "group", "model", "ip", "header:x-a"]),
            min_size=1,
            max_size=2,
            unique=True,
        ),
    },
)
PLACES = ("gateway", "m1", "m2", "g1", "g2", "c1", "c2")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.dictionaries(st.sampled_from(PLACES), st.lists(LIMIT, min_size=1, max_size=2), max_size=5),
    st.sampled_from(PROFILES),
)
def test_any_limits_at_any_places(limits: dict[str, list[dict[str, Any]]], profile: str) -> None:
    def policies(place: str) -> dict[str, Any]:
        named = [{"name": f"{place}-{i}", **limit} for i, limit in enumerate(limits.get(place, ()))]
        return {"policies": {"limits": named}} if named else {}

    provider = {"name": "p", "type": "vllm", "baseUrl": "http://vllm.internal:8000/v1"}
    keys = [{"apiKey": {"env": "KEY"}}]
    price = {"pricing": {"input": 1, "output": 2}}
    body = {
        "providers": [provider],
        "models": [
            {"name": n, "targets": [{"provider": "p", "model": n, **price}], **policies(n)} for n in ("m1", "m2")
        ],
        "auth": {"apiKey": {"headers": ["x-key"]}},
        "consumerGroups": [{"name": n, **policies(n)} for n in ("g1", "g2")],
        "consumers": [
            {"name": "c1", "groups": ["g1", "g2"], "credentials": keys, **policies("c1")},
            {"name": "c2", "groups": ["g2"], "credentials": [{"apiKey": {"env": "KEY2"}}], **policies("c2")},
            {"name": "c3", "credentials": [{"apiKey": {"env": "KEY3"}}]},
        ],
        **policies("gateway"),
    }
    head = {"apiVersion": "aigw.dev/v1alpha1", "kind": "AIGateway", "metadata": {"name": "g"}}
    for unit in ("requests", "tokens"):
        assert_limits(json.dumps({**head, "spec": body}), profile, unit)


def _routes(gateway: ir.Gateway) -> dict[str, str]:
    """Model -> the name of its route."""
    return {model: f"{gateway.name}-{slug}" for model, slug in model_slugs(gateway).items()}


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_every_guard_and_decorator_that_applies_is_in_the_instance_that_runs(name: str, profile: str) -> None:
    gateway = compiler.check_text(SPECS[name]).gateway
    assert gateway
    body = output(SPECS[name], profile)
    routes = _routes(gateway)
    for model, consumer in fits.calls(gateway):
        scopes = [*fits.applying(gateway, model, consumer)]
        who = consumer.name if consumer else ""
        guards = fits.guards_of(scopes)
        if sending.embeds(model):
            assert running(body, "ai-prompt-guard", routes[model.name], who) is None
            continue
        config = running(body, "ai-prompt-guard", routes[model.name], who)
        want = fits.merged(guards, 10, 500) if guards else None
        assert (config is None) == (want is None)
        if want and config:
            assert tuple(config.get("deny_patterns", ())) == want.deny
            assert tuple(config.get("allow_patterns", ())) == want.allow
            assert config["match_all_roles"] is any(g.deny and set(g.roles) != {"user"} for g in guards)
            assert sum(len(g.deny) for g in guards) == len(want.deny)
        before, after = fits.decorations(scopes)
        config = running(body, "ai-prompt-decorator", routes[model.name], who)
        told = config["prompts"] if config else {}
        assert [m["content"] for m in told.get("prepend", ())] == [m.content for m in before]
        assert [m["content"] for m in told.get("append", ())] == [m.content for m in after]


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_acl_lets_in_exactly_whom_access_names(name: str, profile: str) -> None:
    gateway = compiler.check_text(SPECS[name]).gateway
    assert gateway
    body = output(SPECS[name], profile)
    routes = _routes(gateway)
    groups = {c["username"]: {a["group"] for a in c.get("acls", ())} for c in body.get("consumers", ())}
    made = {r["name"] for s in body["services"] for r in s["routes"]}
    for model in gateway.models:
        if routes[model.name] not in made:  # a model that is lost, of which a finding speaks
            continue
        acl = running(body, "acl", routes[model.name], "")
        for consumer in gateway.consumers:
            allowed = acl is None or bool(set(acl["allow"]) & groups[consumer.name])
            assert allowed == ir.may_call(model, consumer), (model.name, consumer.name)


ADDRESSES = ("10.0.0.7", "10.1.2.3", "10.9.9.9", "192.168.1.1", "172.16.5.5", "8.8.8.8", "2001:db8::1", "fd00::1")


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_an_address_may_call_where_every_restriction_lets_it(name: str, profile: str) -> None:
    gateway = compiler.check_text(SPECS[name]).gateway
    assert gateway
    body = output(SPECS[name], profile)
    routes = _routes(gateway)

    def inside(address: str, nets: Sequence[str]) -> bool:
        return any(ip_address(address) in ip_network(net, strict=False) for net in nets)

    for model, consumer in fits.calls(gateway):
        scopes = [*fits.applying(gateway, model, consumer)]
        rules = [r for s in scopes for r in ir.every(s.policies, IpRestriction)]
        config = running(body, "ip-restriction", routes[model.name], consumer.name if consumer else "") or {}
        for address in ADDRESSES:
            want = all((not r.allow or inside(address, r.allow)) and not inside(address, r.deny) for r in rules)
            allow, deny = config.get("allow", []), config.get("deny", [])
            assert want == ((not allow or inside(address, allow)) and not inside(address, deny)), (model.name, address)


def test_every_row_is_well_formed() -> None:
    """A comma in an unquoted note would make another key of its tail."""
    raw = manifest("kong").raw

    def rows(rule: Any) -> Iterator[Any]:
        if "support" in rule:
            yield rule
        else:
            for inner in rule.values():
                yield from rows(inner)

    rules = [*raw["capabilities"].values()]
    rules += [{k: v for k, v in c.items() if k not in ("if", "than", "feature")} for c in raw["conditions"]]
    for rule in rules:
        for row in rows(rule):
            assert set(row) <= {"support", "note", "nearest", "see", "weaker"}, row
            assert row["support"] in ("native", "emulated", "partial", "outside", "none")
            assert row.get("note") or row["support"] in ("native", "emulated"), row
            assert row.get("nearest") or row["support"] != "none", row
            assert row.get("see") or row["support"] not in ("none", "partial"), row


def test_no_limit_is_lost_twice_or_half() -> None:
    """What does not fit any limiter is named, and nothing of it is written."""
    body = output(kong_specs.COUNTED, "oss-3.9")
    assert "model-rpm" not in json.dumps(body)
    assert "together" not in json.dumps(body)
    assert running(body, "rate-limiting", "g-chat", "one") == {
        "minute": 10,
        "limit_by": "consumer",
        "policy": "local",
        "fault_tolerant": True,
        "hide_client_headers": False,
    }


def test_a_group_shares_a_counter() -> None:
    body = output(kong_specs.SHARED, "enterprise-3.15")
    for plugin in ("rate-limiting-advanced", "ai-rate-limiting-advanced"):
        one, two = (running(body, plugin, "g-b", name) for name in ("one", "two"))
        assert one
        assert one == two
        assert one["namespace"].endswith("-group-team")
        assert running(body, plugin, "g-b", "three") is None
