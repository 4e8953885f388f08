"""The layout `files`: the same as in one file, and read again while Envoy runs."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aigw_compile.document import Document, source_map, text_of
from aigw_compile.verify import NATIVE, verify, verify_native
from aigw_compile.write import as_json
from tests.proxy.harness import until
from tests.support import ROOT
from tests.targets import envoy_runner as runner
from tests.targets.envoy_runner import Answer, chat, request
from tests.targets.envoy_specs import SPECS, smallest, walk
from tests.targets.mock_upstream import Provider, providers

FILES = {"tokenLimits": "local", "layout": "files"}


def built(name: str, **options: str) -> dict[str, Document]:
    _, documents = runner.build(copy.deepcopy(SPECS[name]), {**FILES, **options})
    return {d.filename: d for d in documents}


@pytest.mark.parametrize("name", SPECS)
def test_the_same_in_other_files(name: str) -> None:
    """Put together again it is the one file, with the same origins, so that every law that holds for one holds for both."""
    single, files = built(name, layout="single"), built(name)
    assert [*files] == ["envoy.yaml", "cds.yaml", "lds.yaml", "secrets.json"]
    assert not [*verify("envoy", tuple(files.values()))]
    body: Any = copy.deepcopy(files["envoy.yaml"].body)
    del body["dynamic_resources"]
    listed = {"listeners": files["lds.yaml"].body, "clusters": files["cds.yaml"].body}
    body["static_resources"] = {what: one["resources"] for what, one in copy.deepcopy(listed).items()}
    for resource in (*body["static_resources"]["listeners"], *body["static_resources"]["clusters"]):
        del resource["@type"]
    for _, value in walk(body):
        if isinstance(value, dict) and "route_config" in value:
            assert value["route_config"].pop("validate_clusters") is False
    assert body == single["envoy.yaml"].body
    origins = [{origin for d in side.values() for _, origin in source_map(d.body)} for side in (single, files)]
    assert origins[0] == origins[1]
    assert {k: v for k, v in files["secrets.json"].body.items() if k != "again"} == single["secrets.json"].body
    assert [*map(text_of, files.values())] == [*map(text_of, built(name).values())]


@pytest.mark.parametrize("name", ["open", "rich", "edge"])
def test_envoy_accepts_it(name: str) -> None:
    assert verify_native("envoy", tuple(built(name).values())) == ()


def test_a_fault_in_a_list_is_found(tmp_path: Path) -> None:
    """Envoy's own validation looks at the bootstrap alone; ours hands it the whole."""
    files = built("open")
    runner.write(tmp_path, tuple(files.values()))
    lists = tmp_path / "lds.yaml"
    lists.write_text(lists.read_text().replace("stat_prefix", "stat_prefixes", 1))
    (found,) = NATIVE["envoy"](tmp_path)
    assert found.code == "AIG9002"


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b["lds.yaml"]["resources"][0].pop("@type"),
        lambda b: b["cds.yaml"]["resources"][0].update({"@type": "x"}),
        lambda b: b["envoy.yaml"].update(static_resources={"listeners": [], "clusters": []}),
        lambda b: b["envoy.yaml"].pop("dynamic_resources"),
        lambda b: b["envoy.yaml"]["dynamic_resources"]["lds_config"]["path_config_source"].update(path="x.yaml"),
        lambda b: b.pop("cds.yaml"),
    ],
)
def test_the_schema_is_strict(change: Any) -> None:
    bodies: dict[str, Any] = {name: d.body for name, d in built("open").items()}
    change(bodies)
    assert [*verify("envoy", tuple(Document(name, body) for name, body in bodies.items()))]


def test_as_json_every_file_is_named_as_it_is_called() -> None:
    documents = as_json(tuple(built("open").values()))
    names = {d.filename for d in documents}
    assert names == {"envoy.json", "cds.json", "lds.json", "secrets.json"}
    named = {v["path"] for d in documents for _, v in walk(d.body) if isinstance(v, dict) and "watched_directory" in v}
    assert {name for name in named if "/" not in name} == {"cds.json", "lds.json"}
    (secrets,) = (d.body for d in documents if d.filename == "secrets.json")
    assert isinstance(secrets, dict)
    assert secrets["again"] == ["cds.json", "lds.json"]


class Live:
    """A project whose outputs an Envoy reads again."""

    def __init__(self, folder: Path, provider: Provider) -> None:
        self.folder, self.provider = folder, provider
        self.ports = runner.free_ports(2)
        self.output = folder / "build/open/envoy"
        self.spec = smallest(
            listeners=[{"name": "l", "address": "127.0.0.1", "port": self.ports[0]}],
            providers=[{"name": "p", "type": "openai-compatible", "baseUrl": provider.url}],
            models=[{"name": "m", "targets": [{"provider": "p", "model": "x"}]}],
            observability={"operations": {"port": self.ports[1]}},
        )
        (folder / "aigw-compile.yaml").write_text("targets: {envoy: {layout: files}}\n")

    def build(self) -> None:
        (self.folder / "gateway.yaml").write_text(json.dumps(self.spec))
        self._run("build")

    def secrets(self, **environ: str) -> None:
        self._run("secrets", str(self.output), **environ)

    def _run(self, *arguments: str, **environ: str) -> None:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ}
        command = [sys.executable, "-m", "aigw_compile", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def ask(self, model: str = "m", text: str = "hi") -> Answer:
        url = f"http://127.0.0.1:{self.ports[0]}/v1/chat/completions"
        return request("POST", url, json.dumps(chat(model, text)).encode(), [("content-type", "application/json")])

    def admin(self, path: str) -> str:
        return request("GET", f"http://127.0.0.1:{self.ports[1] + 1}/{path}").text

    def count(self, name: str) -> int:
        """A counter of Envoy's."""
        return int(self.admin(f"stats?filter={name}$").rpartition(":")[2])


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with providers(1) as (provider,):
        found = Live(tmp_path, provider)
        found.build()
        (found.output / "secrets").mkdir()
        with runner.running(found.output, found.ports[1] + 1, "--drain-strategy", "immediate"):
            yield found


def test_a_change_is_live(live: Live) -> None:
    """A guard, a model, a provider with a new key, another address: each is there without a restart, and stays if a fault comes."""
    started = json.loads(live.admin("server_info"))["uptime_all_epochs"]
    spec = live.spec["spec"]
    assert live.ask().status_code == 200
    assert live.ask("n").status_code == 404
    assert live.ask(text="forbidden").status_code == 200

    spec["policies"] = {"promptGuard": {"deny": ["forbidden"]}}
    spec["models"].append({"name": "n", "targets": [{"provider": "q", "model": "y"}]})
    spec["providers"].append(
        {"name": "q", "type": "openai-compatible", "baseUrl": live.provider.url, "auth": {"apiKey": {"env": "Q_KEY"}}}
    )
    live.build()
    until(lambda: live.ask(text="forbidden").status_code == 400)
    assert live.ask().status_code == 200
    assert live.ask("n").status_code == 502  # its key is not there yet, so that nothing is sent
    live.secrets(Q_KEY="key-of-q")
    until(lambda: live.ask("n").status_code == 200)
    assert live.provider.seen[-1].headers["authorization"] == "Bearer key-of-q"

    spec["providers"][0]["baseUrl"] = f"{live.provider.url}/elsewhere"
    del spec["models"][1]
    del spec["providers"][1]
    live.build()
    until(lambda: live.ask("n").status_code == 404)
    until(lambda: live.ask().status_code == 200 and "/elsewhere/" in live.provider.seen[-1].path)

    lists = live.output / "lds.yaml"
    good, refused = lists.read_text(), live.count("lds.update_rejected")
    beside = live.output / "beside"
    beside.write_text(good.replace("stat_prefix", "stat_prefixes"))
    beside.replace(lists)
    until(lambda: live.count("lds.update_rejected") > refused)
    assert live.ask().status_code == 200
    assert live.ask(text="forbidden").status_code == 400
    assert json.loads(live.admin("server_info"))["uptime_all_epochs"] >= started
