"""How an Envoy and a reference proxy are read as a side of a diff, and what is said: laws, causes, errors, secrets, formats."""

from __future__ import annotations

import asyncio
import copy
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import yaml

from aigw_compile import compiler, live
from aigw_compile.document import text_of
from aigw_compile.live import http as asking
from aigw_compile.live import proxy as reader
from aigw_compile.proxy import config as config_
from aigw_compile.proxy.app import operations
from aigw_compile.target import facts
from tests import support
from tests.proxy.harness import SPEC as SERVED
from tests.proxy.harness import proxy, served
from tests.support import TargetChoice
from tests.targets.kong_admin import Admin, serving
from tests.targets.test_kong_sides import run

SPEC = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: desk}
spec:
  listeners: [{name: public, port: 8080}]
  providers: [{name: openai, type: openai, auth: {apiKey: {env: OPENAI_KEY}}}]
  models:
    - name: chat
      targets: [{provider: openai, model: gpt-4o}]
      timeouts: {request: 30s}
  auth: {apiKey: {headers: [authorization]}}
  consumers: [{name: bot, credentials: [{apiKey: {env: BOT_KEY}}]}]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A project whose spec is built, and the current folder."""
    (tmp_path / "gateway.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    code, _, err = run(capsys, "build", "--target", "envoy", "--target", "proxy")
    assert code == 0, err
    return tmp_path


class Holds(Admin):
    """Answers one path with JSON."""

    def __init__(self, path: str, body: Any) -> None:
        super().__init__({})
        self.odd = {path: (200, "application/json", json.dumps(body).encode())}


def dump_of(folder: Path) -> Any:
    """What an Envoy would say that runs a bootstrap, in short: `tests/targets/test_envoy_live.py` asks a real one."""
    body = yaml.safe_load((folder / "envoy.yaml").read_text())
    asked = json.loads((folder / "secrets.json").read_text())
    static = body.pop("static_resources")
    version = {"version": {"major_number": 1, "minor_number": 40}}
    body["node"] |= {"user_agent_name": "envoy", "user_agent_build_version": version, "extensions": []}
    resources = [r for file in asked["files"] for r in file["body"]["resources"]]
    kept = [r for r in resources if r["@type"].endswith(".Secret")]
    configs = {
        "Bootstrap": {"bootstrap": body, "last_updated": "2026-01-01T00:00:00Z"},
        "Clusters": {"static_clusters": [{"cluster": c, "last_updated": "x"} for c in static["clusters"]]},
        "Listeners": {"static_listeners": [{"listener": c, "last_updated": "x"} for c in static["listeners"]]},
        "Ecds": {"ecds_filters": [{"ecds_filter": _redacted(r)} for r in resources if r not in kept]},
        "Secrets": {"dynamic_active_secrets": [{"name": r["name"], "secret": _redacted(r)} for r in kept]},
    }
    return {"configs": [{"@type": f"x/envoy.admin.v3.{k}ConfigDump", **v} for k, v in configs.items()]}


def _redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return "[redacted]" if "$secret" in value else {k: _redacted(v) for k, v in value.items()}
    return [_redacted(v) for v in value] if isinstance(value, list) else value


def holding(target: str, folder: Path) -> tuple[str, Any]:
    """The path that is asked, and what answers there."""
    if target == "envoy":
        return "/config_dump", dump_of(folder / "build/desk/envoy")
    return "/config", json.loads((folder / "build/desk/proxy/proxy.json").read_text())


def changed(target: str, body: Any) -> str:
    """Change one thing by hand, and return what is said of it."""
    if target == "proxy":
        body["models"][0]["timeouts"]["request"] = 25
        return "proxy.json: models[chat].timeouts.request: 25 -> 30"
    clusters = body["configs"][1]["static_clusters"]
    (one,) = [c["cluster"] for c in clusters if "openai" in c["cluster"]["name"]][:1]
    one["connect_timeout"] = "7.000s"
    return f"envoy.yaml: static_resources.clusters[{one['name']}].connect_timeout: 7.000s -> "


BOTH = pytest.mark.parametrize("target", ["envoy", "proxy"])


@BOTH
def test_what_differs_is_told_with_its_cause(target: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, body = holding(target, project)
    with serving(Holds(path, body)) as url:
        side = url.replace("kong:", f"{target}:")
        for sides in ((side,), (side, "gateway.yaml"), ("gateway.yaml", side), (side, "build"), (side, side)):
            code, out, err = run(capsys, "diff", *sides, "--exit-code", "--fail-on", "breaking")
            assert (code, err) == (0, ""), (sides, out, err)
            assert out.startswith("desk: ")
            assert ", 0 differences" in out
    words = changed(target, body)
    with serving(Holds(path, body)) as url:
        side = url.replace("kong:", f"{target}:")
        code, out, _ = run(capsys, "diff", side, "--exit-code")
        assert code == 2
        assert words in out
        assert "because of gateway.yaml:" in out
        assert run(capsys, "diff", side, "--fail-on", "cosmetic")[0] == 1
        _, back, _ = run(capsys, "diff", "gateway.yaml", side)
        before, after = words.removesuffix(" ").rpartition(": ")[2].split(" ->")
        assert f"{after.strip()}" in back.split(" -> ")[0]
        assert f"-> {before}" in back
        found = json.loads(run(capsys, "diff", side, "--format", "json")[1])
        jsonschema.validate(found, json.loads((support.ROOT / "schemas/diff.schema.json").read_text()))
        (change,) = found["gateways"][0]["changes"]
        assert change["classes"] == ["unclassified"]
        approve = ("approve", change["fingerprint"], "--until", "2099-01-01", "--reason", "x", "--against", side)
        assert run(capsys, *approve)[0] == 0
        assert run(capsys, "diff", side, "--fail-on", "cosmetic")[0] == 0


# --- what goes wrong

BOOTSTRAP = b'"configs": [{"@type": "a.BootstrapConfigDump", "bootstrap": %s}]'
DEEP = BOOTSTRAP % (b'{"a":' * 500 + b"1" + b"}" * 500)
ODD: list[tuple[str, tuple[int, str, bytes], str, str]] = [
    ("an HTML page", (200, "text/html", b"<html>zq7-canary</html>"), "AIG7112", "an HTML page"),
    ("no JSON", (200, "application/json", b"{zq7-canary"), "AIG7112", "no JSON"),
    ("a redirect", (302, "text/html", b"http://127.0.0.1:1/zq7-canary"), "AIG7112", "it redirects"),
    ("nothing there", (404, "text/html", b""), "AIG7112", ""),
    ("it fails", (500, "application/json", b"zq7-canary"), "AIG7112", "is answered with 500"),
    ("refused", (403, "text/plain", b"zq7-canary"), "AIG7111", "is refused (403)"),
    ("JSON of another", (200, "application/json", b'{"gateway": 7, "configs": [{"zq7-canary": 1}]}'), "AIG7112", "what answers"),
    ("a list", (200, "application/json", b'["zq7-canary"]'), "AIG7112", "what answers"),
    ("a number", (200, "application/json", b"7"), "AIG7112", "what answers"),
    ("parts of no shape", (200, "application/json", b'{"gateway": {}, %s}' % (BOOTSTRAP % b"[]")), "AIG7112", ""),
    ("too deep", (200, "application/json", b'{"gateway": "x", "revision": "", %s}' % DEEP), "AIG7112", "levels deep"),
]  # fmt: skip


@BOTH
@pytest.mark.parametrize(("odd", "code", "words"), [pytest.param(*row[1:], id=row[0]) for row in ODD])
def test_odd_answers(
    target: str,
    odd: tuple[int, str, bytes],
    code: str,
    words: str,
    project: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    admin = Admin({})
    admin.odd = {"/config_dump": odd, "/config": odd}
    with serving(admin) as url:
        ended, out, err = run(capsys, "diff", url.replace("kong:", f"{target}:"))
    assert (ended, out) == (3, "")
    assert code in err
    assert words in err
    assert "canary" not in err
    assert [method for method, _ in admin.asked] == ["GET"]


@BOTH
def test_who_cannot_be_reached(
    target: str, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(asking.Client, "WAIT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{target}:http://127.0.0.1:{silent.getsockname()[1]}"
        code, _, err = run(capsys, "diff", url)
        assert (code, "AIG7110" in err, "no answer" in err) == (3, True, True)
    code, _, err = run(capsys, "diff", url)
    assert (code, "AIG7110" in err, "connection refused" in err) == (3, True, True)
    monkeypatch.setattr(asking.Client, "PAGE_BYTES", 50)
    path, body = holding(target, project)
    with serving(Holds(path, body)) as at:
        code, _, err = run(capsys, "diff", at.replace("kong:", f"{target}:"))
    assert (code, "AIG7113" in err, "is too large" in err) == (3, True, True)


@BOTH
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "wants an address"),
        ("localhost:9901", "wants an address"),
        ("file:///etc/passwd", "wants an address"),
        ("http://user:zq7-canary@localhost", "a name or password in it is not used"),
        ("http://localhost/?zq7-canary", "takes nothing behind"),
        ("http://localhost:port", "holds no address"),
        ("http://loc alhost", "letters that no address has"),
    ],
)
def test_addresses(target: str, address: str, words: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "diff", f"{target}:{address}")
    assert (code, "AIG7110" in err, words in err, "canary" in err) == (3, True, True, False), err


def test_one_of_several_gateways(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "other.yaml").write_text(SPEC.replace("name: desk", "name: other").replace("8080", "8081"))
    path, body = holding("proxy", project)
    with serving(Holds(path, body)) as url:
        side = url.replace("kong:", "proxy:")
        code, out, _ = run(capsys, "diff", side, "--exit-code")
        assert (code, out.splitlines()[0]) == (0, "desk: 1 entity, 0 differences")
        code, out, _ = run(capsys, "diff", side, "other.yaml", "--exit-code")
        assert (code, "proxy.json: gateway: desk -> other" in out) == (2, True)
        (project / "third.yaml").write_text(SPEC.replace("name: desk", "name: third").replace("8080", "8082"))
        (project / "gateway.yaml").unlink()
        code, _, err = run(capsys, "diff", side, ".")
        assert (code, "runs desk, and here are other, third" in err) == (3, True), err


def test_two_targets_are_not_compared(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Holds(*holding("proxy", project))) as a, serving(Holds(*holding("envoy", project))) as b:
        sides = (a.replace("kong:", "proxy:"), b.replace("kong:", "envoy:"))
        code, _, err = run(capsys, "diff", *sides)
    assert (code, "are of two targets: compare each with a spec" in err) == (3, True)


# --- the reference proxy


def text_of_proxy(spec: str) -> tuple[bytes, reader.Held]:
    checked = compiler.check_text(spec)
    documents = support.build_all_accepted(checked, TargetChoice("proxy", "", {})).documents
    held = {d.filename: d.body for d in documents}
    return text_of(documents[0]).encode(), reader.documents(checked.name, held, checked.source.veil)


def leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every record and list of a file, with each key whose value is no other one."""
    for key, inner in [*value.items()] if isinstance(value, dict) else [*enumerate(value)]:
        if isinstance(inner, (dict, list)) and inner:
            yield from leaves(inner)
        elif isinstance(value, dict):
            yield value, key


@pytest.mark.parametrize("name", support.specs())
def test_a_proxy_that_runs_what_the_spec_says(name: str) -> None:
    """Over HTTP, as its own operations port tells it; and each field that is changed shows once."""
    text, spec = text_of_proxy(support.specs()[name])
    with served(operations(SimpleNamespace(config=config_.load(text), ready=True))) as url:
        there = live.running(f"proxy:{url}", {})
    assert there is not None
    target = facts("proxy")
    for sides in ((there.side, spec), (spec, there.side)):
        assert reader.compare(*sides, spec.gateway, target).diff.changes == ()
    whole = json.loads(text)
    del whole["revision"]
    fields = [(record, key) for record, key in leaves(whole) if key not in ("name", "header", "path", "remove")]
    assert len(fields) > 30
    for record, key in fields[:: max(1, len(fields) // 40)]:
        before = record[key]
        record[key] = not before if isinstance(before, bool) else f"{before}x"
        held = there.side._replace(parts={("proxy.json",): reader.Part("proxy.json", "", copy.deepcopy(whole))})
        (change,) = reader.compare(held, spec, spec.gateway, target).diff.changes
        assert f".{change.place}".rpartition(".")[2] == key or f" {key}" in change.place, (key, change.place)
        record[key] = before


def test_a_proxy_that_serves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    spec = tmp_path / "gateway.yaml"
    spec.write_text(SERVED)
    with proxy(SERVED) as running:
        side = f"proxy:http://127.0.0.1:{running.operations_port}"
        assert run(capsys, "diff", side, str(spec), "--exit-code")[0] == 0
        spec.write_text(SERVED.replace("maxBodySize: 64Ki", "maxBodySize: 32Ki"))
        code, out, _ = run(capsys, "diff", side, str(spec), "--exit-code")
        assert (code, "listeners[main].maxBodySize: 65536 -> 32768" in out) == (2, True), out
        assert "gateway.yaml:6:" in out
        code, _, err = run(capsys, "diff", f"proxy:http://127.0.0.1:{running.port}", str(spec))
        assert (code, "AIG7112" in err) == (3, True)


@pytest.mark.parametrize(
    ("client", "host", "method", "status"),
    [
        ("127.0.0.1", b"127.0.0.1:9090", "GET", 200),
        ("127.0.0.1", b"localhost:9090", "GET", 200),
        ("127.0.0.1", b"localhost", "GET", 200),
        ("::1", b"[::1]:9090", "GET", 200),
        ("::1", b"[::1]", "GET", 200),
        ("::ffff:127.0.0.1", b"127.0.0.1", "GET", 200),
        ("10.0.0.7", b"127.0.0.1:9090", "GET", 404),
        ("127.0.0.1", b"evil.example.com:9090", "GET", 404),
        ("127.0.0.1", b"localhost.evil.example.com", "GET", 404),
        ("127.0.0.1", b"", "GET", 404),
        ("", b"127.0.0.1:9090", "GET", 404),
        ("127.0.0.1", b"127.0.0.1:9090", "POST", 404),
    ],
)
def test_who_is_told_what_runs(client: str, host: bytes, method: str, status: int) -> None:
    """This machine alone; a page in a browser whose name leads here is not it."""
    told: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    gateway = SimpleNamespace(config=SimpleNamespace(written=b'{"a": 1}', prometheus=None), ready=True)
    headers = [(b"host", host)] if host else []
    scope = {"type": "http", "path": "/config", "method": method, "headers": headers}
    scope["client"] = (client, 5) if client else None
    for health in (True, False):
        told.clear()
        asyncio.run(operations(gateway, health=health)(scope, None, send))  # type: ignore[arg-type]
        assert told[0]["status"] == (status if health else 404)
        assert (told[1]["body"] == b'{"a": 1}') == (told[0]["status"] == 200)
