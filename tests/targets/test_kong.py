"""What is built for Kong: Kong's own judgement, what runs for each call, and that the table of capabilities is well formed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from aigw_compile import compiler, ir, secretfiles
from aigw_compile.document import text_of
from aigw_compile.kongblocks.names import model_slugs
from aigw_compile.plan import fits
from aigw_compile.policies.limits import Limit
from aigw_compile.target import manifest
from tests import support
from tests.targets import kong_specs
from tests.targets.kong_specs import CASES, CHOICES, SPECS


def built(text: str, profile: str) -> compiler.Build:
    build = support.build_all_accepted(compiler.check_text(text), CHOICES[profile])
    assert build.documents, build.diagnostics
    return build


def output(text: str, profile: str, name: str = "kong.yml") -> Any:
    return next(yaml.safe_load(text_of(d)) for d in built(text, profile).documents if d.filename == name)


def plugins(body: Any) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Every plugin of a kong.yml with the names of its route and its consumer."""
    for plugin in body.get("plugins", ()):
        yield plugin, "", ""
    for service in body["services"]:
        for route in service["routes"]:
            yield from ((p, route["name"], p.get("consumer", "")) for p in route["plugins"])
    for consumer in body.get("consumers", ()):
        yield from ((p, "", consumer["username"]) for p in consumer.get("plugins", ()))


def running(body: Any, name: str, route: str, consumer: str) -> dict[str, Any] | None:
    """The one instance of a plugin that Kong runs: route and consumer, consumer, route, neither (plugins_iterator.lua)."""
    found = {(r, c): p["config"] for p, r, c in plugins(body) if p["name"] == name}
    places = ((route, consumer), ("", consumer), (route, ""), ("", ""))
    return next((found[place] for place in places if place in found), None)


# --- The target's own judgement


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_kongs_own_schema_code(name: str, profile: str, tmp_path: Path) -> None:
    if profile != "oss-3.9":
        return  # the code of Enterprise is not public; its published schemas are asked below
    source, lua, shared = os.environ.get("KONG_SRC"), shutil.which("luajit"), support.shared()
    if not source or not lua or not shared:
        pytest.skip("needs luajit, the shared folder, and KONG_SRC with Kong 3.9.3's source")
    for document in built(SPECS[name], profile).documents:
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
    known = _published(shared, "3.9" if profile == "oss-3.9" else "3.15")
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
    scopes = [(p["name"], r, c) for p, r, c in plugins(body)]
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


def _minimum(limits: list[Limit], unit: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for limit in limits:
        number = getattr(limit, unit)
        found[limit.per] = min(number, found.get(limit.per, number))
    return found


SECONDS = {1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week", 2592000: "month"}
WINDOWS = list(SECONDS.values())


def _held(body: Any, unit: str, route: str, consumer: str) -> list[tuple[str, dict[str, int]]]:
    """What the limiters that run for a call count by, and their numbers."""
    held = []
    if unit == "tokens":
        config = running(body, "ai-rate-limiting-advanced", route, consumer)
        for policy in config["policies"] if config else ():
            by = "consumer" if policy.get("match") else "service"
            held.append((by, {SECONDS[x["window_size"]]: x["limit"] for x in policy["limits"]}))
        return held
    if config := running(body, "rate-limiting-advanced", route, consumer):
        numbers = zip(config["window_size"], config["limit"], strict=True)
        held.append((config["identifier"], {SECONDS[size]: number for size, number in numbers}))
    if config := running(body, "rate-limiting", route, consumer):
        held.append((config["limit_by"], {w: config[w] for w in WINDOWS if w in config}))
    return held


@pytest.mark.parametrize(("name", "profile"), CASES)
@pytest.mark.parametrize("unit", ["requests", "tokens"])
def test_every_limit_that_applies_is_in_the_instance_that_runs(name: str, profile: str, unit: str) -> None:
    checked = compiler.check_text(SPECS[name])
    gateway = checked.gateway
    assert gateway
    build = built(SPECS[name], profile)
    body = yaml.safe_load(text_of(build.documents[0]))
    routes = _routes(gateway)
    lost = {(*x.at,) for x in build.plan.losses if x.capability.support == "none"}
    for model, consumer in fits.calls(gateway):
        if consumer and not ir.may_call(model, consumer):
            continue
        wanted: dict[str, list[Limit]] = {}
        for scope in fits.applying(gateway, model, consumer):
            for limit in ir.every(scope.policies, Limit):
                place = (*limit.origin, unit)
                if getattr(limit, unit) is None or any(place[: len(p)] == p for p in lost):
                    continue
                if (*limit.origin, "per") in lost:
                    continue
                for counter in fits.counters(gateway, scope, limit):
                    wanted.setdefault("consumer" if "consumer" in counter else "service", []).append(limit)
        held = dict(_held(body, unit, routes[model.name], consumer.name if consumer else ""))
        assert set(held) == set(wanted), (model.name, consumer and consumer.name)
        for by, limits in wanted.items():
            for window, number in _minimum(limits, unit).items():
                longer = [held[by][w] for w in WINDOWS[WINDOWS.index(window) :] if w in held[by]]
                assert min(longer) <= number
                assert held[by].get(window, number) == number
            assert set(held[by]) <= {limit.per for limit in limits}


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
    for model in gateway.models:
        acl = running(body, "acl", routes[model.name], "")
        for consumer in gateway.consumers:
            allowed = acl is None or bool(set(acl["allow"]) & groups[consumer.name])
            assert allowed == ir.may_call(model, consumer), (model.name, consumer.name)


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
