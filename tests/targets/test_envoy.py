"""What is built for Envoy, without serving: Envoy's own judgement, our schema, determinism, constant scripts."""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aigw_compile import ir
from aigw_compile.diagnostic import named
from aigw_compile.document import source_map, text_of
from aigw_compile.emitters.envoy.wire import duration
from aigw_compile.lower import lower
from aigw_compile.plan import asks
from aigw_compile.schema import with_defaults
from aigw_compile.target import asset, facts
from aigw_compile.verify import verify
from tests.targets import envoy_runner as runner
from tests.targets.envoy_specs import CASES, OPTIONS, ROOT, SPECS, rich, smallest, walk


def test_the_examples_are_there() -> None:
    assert {"minimal", "support-desk", "local-models"} <= set(SPECS)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_envoy_accepts_it(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    _, documents = runner.build(SPECS[name], options)
    assert not list(verify("envoy", documents))
    runner.write(tmp_path, documents)
    command = [runner.binary(), "--mode", "validate", "-c", "envoy.yaml", "-l", "warning"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    # Envoy's own marks on whole features are known (README); a deprecated field or a doubtful setting is not.
    # Validating asks for the keys of issuers, too.
    known = ("work-in-progress", "Jwks async fetching")
    lines = [line for line in done.stderr.splitlines() if "][warning]" in line]
    warnings = [line for line in lines if not any(mark in line for mark in known)]
    assert not warnings


@pytest.mark.parametrize(("name", "options"), CASES)
def test_same_bytes_and_no_secret(name: str, options: dict[str, str]) -> None:
    first, second = ([text_of(d) for d in runner.build(copy.deepcopy(SPECS[name]), options)[1]] for _ in range(2))
    assert first == second
    assert "$secret" in first[1] or name in ("open", "zero")
    assert "placeholder" not in first[0] + first[1]


def test_only_providers_that_are_called_have_secrets() -> None:
    """Neither one that no model names nor one whose targets weigh nothing: `aigw-compile secrets` would fetch their keys."""
    spec = smallest()
    keys = {"auth": {"apiKey": {"env": "K"}}, "headers": {"x-more": {"env": "H"}}, "tls": {"ca": {"env": "C"}}}
    for name in ("called", "unused", "weightless"):
        spec["spec"]["providers"].append({"name": name, "type": "openai", **keys})
    spec["spec"]["models"][0]["targets"] = [
        {"provider": "called", "model": "x"},
        {"provider": "weightless", "model": "x", "weight": 0},
    ]
    _, documents = runner.build(spec)
    secrets = next(d for d in documents if d.filename == "secrets.json").body
    assert {name.split(".")[1] for name in secrets["secrets"]} == {"called"}
    assert {Path(file["path"]).name.split(".")[0] for file in secrets["files"]} == {"called"}


@pytest.mark.parametrize(("name", "options"), CASES)
def test_every_leaf_has_a_place_in_the_output(name: str, options: dict[str, str]) -> None:
    decided, documents = runner.build(SPECS[name], options)
    known = {origin for d in documents for _, origin in source_map(d.body)} | {x.at for x in decided.losses}
    for ask in asks(SPECS[name]):
        around = {ask.at[:n] for n in range(2, len(ask.at) + 1)}
        assert around & known or len(ask.at) <= 2, named(ask.at, SPECS[name])


_NOT_STABLE = {
    "access_loggers.filters.cel.v3.ExpressionFilter": "envoy.access_loggers.extension_filters.cel",
    "access_loggers.stats.v3.Config": "envoy.access_loggers.stats",
    "config.trace.v3.OpenTelemetryConfig": "envoy.tracers.opentelemetry",
    "filters.http.api_key_auth.v3.ApiKeyAuth": "envoy.filters.http.api_key_auth",
    "filters.http.credential_injector.v3.CredentialInjector": "envoy.filters.http.credential_injector",
    "filters.http.header_mutation.v3.HeaderMutation": "envoy.filters.http.header_mutation",
    "http.early_header_mutation.header_mutation.v3.HeaderMutation": "envoy.http.early_header_mutation.header_mutation",
    "http.injected_credentials.oauth2.v3.OAuth2": "envoy.http.injected_credentials.oauth2",
}
"""The end of a type -> the extension that Envoy's source/extensions/extensions_metadata.yaml calls alpha or wip."""


def test_what_is_not_stable_is_marked() -> None:
    named = {name for row in facts("envoy", "1.40").rows.values() for name in row.alpha}
    used = set()
    for spec in SPECS.values():
        _, documents = runner.build(spec, {"tokenLimits": "local"})
        for document in documents:
            kinds = [v["@type"] for _, v in walk(document.body) if isinstance(v, dict) and "@type" in v]
            used |= {name for kind in kinds for end, name in _NOT_STABLE.items() if kind.endswith("." + end)}
    assert used == named == set(_NOT_STABLE.values())


def test_scripts_are_constant() -> None:
    """Whatever a spec says, the scripts of an output are the files in targets/envoy/assets; what they know is data."""
    scripts = []
    for _, value in walk(runner.build(rich())[1][0].body):
        if isinstance(value, dict) and "default_source_code" in value:
            scripts.append(value["default_source_code"]["inline_string"])
    names = [p.stem for p in (ROOT / "targets/envoy/assets").glob("*.lua")]
    parts = [asset("envoy", f"{n}.lua") for n in names]
    assert scripts
    for script in scripts:
        rest = script
        while rest:
            rest = next(rest[len(p) :] for p in parts if rest.startswith(p))


@pytest.mark.parametrize("path", sorted((ROOT / "targets/envoy/assets").glob("*.lua")), ids=lambda p: p.stem)
def test_scripts_are_short_and_plain(path: Path) -> None:
    text = path.read_text("ascii")
    assert len(text.splitlines()) < 200
    assert text.startswith("-- ")


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b["envoy.yaml"].update(extra=1),
        lambda b: b["envoy.yaml"]["static_resources"]["clusters"][0].pop("connect_timeout"),
        lambda b: b["envoy.yaml"]["static_resources"]["listeners"][0].update(address={"pipe": {"path": "x"}}),
        lambda b: b["secrets.json"]["secrets"]["providers.openai"]["ref"].update(value="sk"),
        lambda b: b["secrets.json"]["files"][0]["body"]["resources"][0].update({"@type": "x"}),
    ],
)
def test_the_schema_is_strict(change: Any) -> None:
    documents = runner.build(rich())[1]
    change({d.filename: d.body for d in documents})
    assert list(verify("envoy", documents))


def test_a_limit_of_tokens_alone_leaves_nothing() -> None:
    _, documents = runner.build(rich(), {"tokenLimits": "refuse"})
    data = _request_data(documents[0].body)
    assert [x["name"] for x in data["limits"]] == ["tried", "tried", "few"]
    assert not any("amounts" in x for x in data["limits"])
    _, documents = runner.build(rich(), {"tokenLimits": "local"})
    counted = [{"what": "total", "most": 1000}]
    assert [x.get("amounts") for x in _request_data(documents[0].body)["limits"]] == [None, counted, counted, None]


def test_what_is_too_large_is_refused() -> None:
    decided, documents = runner.build(SPECS["zero"])
    refused = {x.place for x in decided.losses if x.capability.support.value == "none"}
    assert refused == {"listeners[l].maxBodySize", "policies.limits[more]"}
    assert [x["limit"] for x in _request_data(documents[0].body)["limits"]] == ["most"]


def test_a_guard_that_is_lost_is_an_error_only_where_it_is_weaker() -> None:
    for options in OPTIONS:
        decided, _ = runner.build(rich(), options)
        assert not [x for x in decided.losses if x.security]


def _request_data(body: Any) -> Any:
    host = body["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]
    return host["virtual_hosts"][0]["typed_per_filter_config"]["request"]["filter_context"]["data"]


def test_ports_of_the_admin_interface() -> None:
    from aigw_compile.emitters.envoy.observe import admin_port

    def gateway(*ports: int, operations: int = 9090, prometheus: int | None = None) -> ir.Gateway:
        body = smallest(
            listeners=[{"name": f"l{p}", "port": p} for p in ports],
            observability={
                "operations": {"port": operations},
                "metrics": {"prometheus": {"port": prometheus or operations}},
            },
        )
        return lower(with_defaults(body))

    assert admin_port(gateway(8080)) == 9091
    assert admin_port(gateway(9091, prometheus=9092)) == 9093
    assert admin_port(gateway(8080, operations=65535)) == 1024


@pytest.mark.parametrize(("seconds", "text"), [(60.0, "60s"), (0.25, "0.25s"), (600, "600s"), (0.001, "0.001s")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
