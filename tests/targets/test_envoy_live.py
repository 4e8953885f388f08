"""Laws of a diff with the real Envoy: one that runs what was built differs in nothing, and one change shows once, at its place."""

from __future__ import annotations

import copy
import json
import random
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aigw_compile import live
from aigw_compile.document import Document
from aigw_compile.live import envoy
from aigw_compile.live.told import Drift
from aigw_compile.render.changes import FORMATS
from aigw_compile.target import facts
from tests.targets import envoy_runner as runner
from tests.targets.by_hand import Path_, another, at, leaves
from tests.targets.envoy_specs import SPECS

CASES = [
    *(pytest.param(name, "single", "local", id=f"{name}-single") for name in ("zero", "rich", "edge", "minimal")),
    *(pytest.param(name, "files", "local", id=f"{name}-files") for name in ("open", "support-desk")),
    *(pytest.param(name, "files", "rls", id=f"{name}-rls") for name in ("rich", "saas")),
]
ENVOY = facts("envoy")


def built(name: str, layout: str, limits: str = "local") -> tuple[Document, ...]:
    """What is compiled, on ports that are free now."""
    spec = copy.deepcopy(SPECS[name])
    listeners, metrics = spec["spec"]["listeners"], spec["spec"].get("observability", {}).get("metrics", {})
    ports = runner.free_ports(len(listeners) + 2)
    for listener, port in zip(listeners, ports, strict=False):
        listener["port"] = port
    if metrics:
        metrics["prometheus"]["port"] = ports[-2]
    spec["spec"].setdefault("observability", {})["operations"] = {"port": ports[-1]}
    return runner.build(spec, {"layout": layout, "tokenLimits": limits})[1]


def admin_of(documents: tuple[Document, ...]) -> int:
    body: Any = documents[0].body
    return int(body["admin"]["address"]["socket_address"]["port_value"])


def ran(
    name: str, layout: str, folder: Path, read: Callable[[str], Any], limits: str = "local"
) -> tuple[Any, tuple[Document, ...]]:
    """Run the real Envoy on what was built, and return what is read at its address. A port may be taken meanwhile: then again."""
    for attempt in range(5):
        documents = built(name, layout, limits)
        runner.write(folder / str(attempt), documents)
        try:
            with runner.running(folder / str(attempt), admin_of(documents)):
                return read(f"http://127.0.0.1:{admin_of(documents)}"), documents
        except AssertionError as wrong:
            if "Address already in use" not in str(wrong):
                raise
    raise AssertionError("no port stays free")


def compiled(documents: tuple[Document, ...], name: str) -> envoy.Held:
    return envoy.documents(name, {d.filename: d.body for d in documents})


def said(drift: Drift) -> list[str]:
    return [change.sentence for change in drift.diff.changes]


# --- the real one


@pytest.mark.parametrize(("name", "layout", "limits"), CASES)
def test_an_envoy_that_runs_what_was_built(name: str, layout: str, limits: str, tmp_path: Path) -> None:
    there, documents = ran(name, layout, tmp_path, lambda url: live.running(f"envoy:{url}", {}), limits)
    assert isinstance(there, live.Running)
    spec = live.documents("envoy", name, {d.filename: d.body for d in documents})
    for sides in ((there, spec), (spec, there), (there, there)):
        drift = live.compare(*sides, name, ENVOY)
        assert said(drift) == []
        assert drift.findings == ()
        assert drift.diff.compared == len(spec.side.parts) > 5
    assert there.findings == ()
    assert ("ratelimit/config.yaml: no Envoy holds it" in str(spec.side.notes)) == (limits == "rls")
    assert there.side.version == "1.40"
    assert [*there.gateways] == [*live.WAYS["envoy"].gateways(there.side)]


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, envoy.Held]:
    """What a real Envoy says that runs a gateway of every feature, and the same as it was compiled."""
    folder = tmp_path_factory.mktemp("dump")

    def read(url: str) -> Any:
        with urllib.request.urlopen(f"{url}/config_dump?include_eds", timeout=5) as answer:
            return json.loads(answer.read())

    found, documents = ran("support-desk", "files", folder, read)
    return found, compiled(documents, "support-desk")


def drift_of(dump: Any, spec: envoy.Held) -> Drift:
    return envoy.compare(envoy.read(dump, "envoy:http://envoy"), spec, spec.gateway, ENVOY)


# --- one change shows once


def bodies(dump: Any) -> list[tuple[str, Any]]:
    """Every listener, cluster, filter and secret of a dump, with its name, and the bootstrap."""
    found: list[tuple[str, Any]] = []
    for config in dump["configs"]:
        kind = config["@type"].rpartition(".")[2]
        if kind == "BootstrapConfigDump":
            found.append(("envoy.yaml", config["bootstrap"]))
        found += [(e["cluster"]["name"], e["cluster"]) for e in config.get("dynamic_active_clusters", ())]
        found += [(e["name"], e["active_state"]["listener"]) for e in config.get("dynamic_listeners", ())]
        found += [(e["ecds_filter"]["name"], e["ecds_filter"]) for e in config.get("ecds_filters", ())]
    return found


def told_of(body: Any) -> list[Path_]:
    """The fields whose change is one difference: not names, which tell what belongs together, nor what Envoy hides or adds."""
    return [
        path
        for path in leaves(body)
        if path[-1] not in ("name", "@type", "remove")
        and at(body, path) != "[redacted]"
        and not (path[0] == "node" and path[1] in envoy.RUNTIME)
    ]


def test_each_field_that_changes_shows_once_at_its_place(dump: tuple[Any, envoy.Held]) -> None:
    """In each round one field of every part."""
    whole, spec = copy.deepcopy(dump[0]), dump[1]
    left = [(name, body, told_of(body)) for name, body in bodies(whole)]
    assert sum(len(paths) for _, _, paths in left) > 1200
    assert len(left) > 25
    chosen = random.Random(7)
    for _, _, paths in left:  # alike parts have alike fields, so a share of each is enough
        chosen.shuffle(paths)
        del paths[40:]
    while left := [(name, body, paths) for name, body, paths in left if paths]:
        undo = [(body, path, at(body, path)) for _, body, paths in left for path in [paths.pop()]]
        for body, path, before in undo:
            at(body, path[:-1])[path[-1]] = another(before)
        changes = drift_of(whole, spec).diff.changes
        assert len(changes) == len(undo), ([c.sentence for c in changes], [u[1] for u in undo])
        ends = sorted(next(s for s in reversed(path) if isinstance(s, str)) for _, path, _ in undo)
        assert sorted(c.place.rpartition(".")[2].partition("[")[0] for c in changes) == ends
        assert {c.classes for c in changes} == {("unclassified",)}
        for body, path, before in undo:
            at(body, path[:-1])[path[-1]] = before
    assert said(drift_of(whole, spec)) == []


def test_each_field_that_is_gone_or_new_shows_once(dump: tuple[Any, envoy.Held]) -> None:
    chosen = random.Random(3)
    for _ in range(8):
        gone, more, number = copy.deepcopy(dump[0]), copy.deepcopy(dump[0]), 0
        for (_, less), (_, plus) in zip(bodies(gone), bodies(more), strict=True):
            path = chosen.choice([p for p in told_of(less) if isinstance(p[-1], str)])
            del at(less, path[:-1])[path[-1]]
            at(plus, path[:-1])["by_hand"] = 1
            number += 1
        changes = drift_of(gone, dump[1]).diff.changes
        assert [c.op for c in changes] == ["added"] * number, [c.sentence for c in changes]
        changes = drift_of(more, dump[1]).diff.changes
        assert [(c.op, c.place.endswith(".by_hand") or c.place) for c in changes] == [("removed", True)] * number


def test_what_is_more_or_less_shows_once(dump: tuple[Any, envoy.Held]) -> None:
    whole, spec = copy.deepcopy(dump[0]), dump[1]
    for config in whole["configs"]:
        for kind, key in (("dynamic_active_clusters", "cluster"), ("dynamic_listeners", "active_state")):
            if entries := config.get(kind):
                more = copy.deepcopy(entries[0])
                (more[key] if key == "cluster" else more[key]["listener"])["name"] = "by-hand"
                more["name"] = "by-hand"
                entries[:] = [more, *entries[1:]]
    sentences = said(drift_of(whole, spec))
    assert len(sentences) == 4
    assert {s.rpartition(" ")[2] for s in sentences} == {"added", "removed"}
    assert "cds.yaml: resources[by-hand]: removed" in sentences


# --- secrets


def test_no_secret_is_shown(dump: tuple[Any, envoy.Held]) -> None:
    """Envoy hides what it knows for a secret; what somebody wrote elsewhere is masked where it is read."""
    whole, spec = copy.deepcopy(dump[0]), dump[1]
    listener = next(body for name, body in bodies(whole) if name == "public")
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["by_hand"] = [
        {"header": {"key": "Authorization", "value": "Bearer zq7-canary"}},
        {"inline_string": "zq7-canary", "name": "in"},
        {"token": "zq7-canary"},
        {"uri": "https://user:zq7-canary@example.com"},
    ]
    manager["http_filters"].append({"name": "x", "client_secret": "zq7-canary"})
    manager["request_headers_to_add"] = [{"header": {"key": "x-api-key", "value": "zq7-canary"}}]
    there = envoy.read(whole, "envoy:http://envoy")
    assert "zq7" not in str(there)
    for sides in ((there, spec), (spec, there)):
        drift = envoy.compare(*sides, "support-desk", ENVOY)
        assert len(drift.diff.changes) == 3
        assert "zq7" not in "".join(render([(drift.diff, lambda _: "")]) for render in FORMATS.values())


def test_keys_are_compared_by_number(dump: tuple[Any, envoy.Held]) -> None:
    whole, spec = copy.deepcopy(dump[0]), dump[1]
    keys = next(body for name, body in bodies(whole) if name == "client-keys")["typed_config"]["credentials"]
    keys.append(keys[0])
    drift = drift_of(whole, spec)
    (sentence,) = said(drift)
    assert sentence.endswith(f"credentials: {len(keys)} items -> {len(keys) - 1} items")
    assert "values that Envoy does not show were compared by number alone" in drift.diff.notes[0]


STATES = {"refused": {"error_state": {"details": "zq7-canary"}}, "waiting": {"warming_state": {}}}


@pytest.mark.parametrize("kind", STATES)
def test_what_envoy_did_not_take_is_a_warning(dump: tuple[Any, envoy.Held], kind: str) -> None:
    whole, spec = copy.deepcopy(dump[0]), dump[1]
    (config,) = [c for c in whole["configs"] if "dynamic_listeners" in c]
    config["dynamic_listeners"][0] |= STATES[kind]
    there = envoy.read(whole, "envoy:http://envoy")
    assert said(envoy.compare(there, spec, "support-desk", ENVOY)) == []
    (finding,) = there.findings
    assert finding.code == "AIG7105"
    assert config["dynamic_listeners"][0]["name"] in finding.message
    assert "zq7" not in finding.message


def test_another_version_is_a_warning(dump: tuple[Any, envoy.Held]) -> None:
    whole, spec = copy.deepcopy(dump[0]), dump[1]
    whole["configs"][0]["bootstrap"]["node"]["user_agent_build_version"]["version"]["minor_number"] = 39
    (finding,) = drift_of(whole, spec).findings
    assert (finding.code, "is Envoy 1.39, and the profile is Envoy 1.40" in finding.message) == ("AIG7101", True)
