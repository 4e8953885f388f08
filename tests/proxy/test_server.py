"""The proxy as a process: starting, secrets, signals, logs, metrics and traces; and no credential in any of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aigw_compile.proxy.config import load
from aigw_compile.proxy.held import StartError, fetched
from aigw_compile.proxy.secrets import Secret, SecretError, fetch
from aigw_compile.proxy.telemetry import _context
from tests.proxy.files import FILE, changed
from tests.proxy.harness import until
from tests.support import ROOT

REPLY = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "real",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
}
CANARY = "sk-canary-4711"
CLIENT = "client-canary-0815"


class Outside(ThreadingHTTPServer):
    """A provider and a collector of traces on one port."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Mapping[str, str], Any]] = []
        self.traced, self.told = threading.Event(), threading.Event()
        """`told`: that it may answer what asks it to wait."""
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outside.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                if "wait" in json.dumps(body):
                    outside.told.wait(10)
                bad = "fail" in json.dumps(body)
                reply = {"error": {"message": f"wrong key {CANARY}"}} if bad else REPLY
                raw = json.dumps(reply).encode()
                self.send_response(401 if bad else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)
                if self.path == "/v1/traces":
                    outside.traced.set()

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def outside() -> Iterator[Outside]:
    with Outside() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Running(NamedTuple):
    process: subprocess.Popen[str]
    urls: Mapping[str, str]
    keys: Mapping[str, str]


@contextlib.contextmanager
def serving(path: Path, *options: str, **environ: str) -> Iterator[Running]:
    command = [sys.executable, "-m", "aigw_compile", "serve", str(path), "--port", "0", *options]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    try:
        assert process.stdout
        urls, keys = {}, {}
        for line in process.stdout:
            what, _, value = line.strip().partition(": ")
            if what.startswith("key of "):
                keys[what.removeprefix("key of ")] = value
            elif '"ready"' in line:
                break
            else:
                urls[what] = value
        yield Running(process, urls, keys)
    finally:
        process.kill()
        process.communicate()


def call(url: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as wrong:
        with wrong:
            return wrong.code, wrong.read()


def written(tmp_path: Path, **values: Any) -> Path:
    path = tmp_path / "proxy.json"
    path.write_text(json.dumps(changed(FILE, {k.replace("__", "."): v for k, v in values.items()})))
    return path


def question(text: str) -> dict[str, Any]:
    return {"model": "chat", "messages": [{"role": "user", "content": text}]}


def test_with_real_secrets_and_a_collector(tmp_path: Path, outside: Outside) -> None:
    """A provider that repeats the credential, a wrong key, an answer: one span each that is sampled, and no secret."""
    (tmp_path / "key").write_text(f"{CLIENT}\n")
    path = written(
        tmp_path,
        providers__0__baseUrl=f"{outside.url}/v1",
        consumers__0__credentials=[{"apiKey": {"file": str(tmp_path / "key")}, "place": "x"}],
        observability={
            "prometheus": {"port": 9191},
            "otlp": {"endpoint": outside.url, "sampling": 1},
            "accessLog": {"format": "json", "payloads": False},
        },
    )
    trace = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
    with serving(path, OPENAI_API_KEY=CANARY, BOTH_KEY="b", OTHER_KEY="o") as running:
        url = running.urls["listener main"] + "/v1/chat/completions"
        good = call(url, question("hi there"), authorization=f"Bearer {CLIENT}", traceparent=trace)
        bad = call(url, question("fail"), authorization=f"Bearer {CLIENT}")
        wrong = call(url, question("hi there"), authorization=f"Bearer {CLIENT}-not")
        metrics = call(running.urls["metrics"] + "/metrics")
        assert call(running.urls["operations"] + "/metrics")[0] == 404
        assert [good[0], bad[0], wrong[0], metrics[0]] == [200, 502, 401, 200]
        assert outside.traced.wait(10)
        running.process.send_signal(signal.SIGTERM)
        out, err = running.process.communicate(timeout=15)
    assert running.process.returncode == 0
    provider = [s for s in outside.seen if s[0] == "/v1/chat/completions"]
    assert provider[0][1]["authorization"] == f"Bearer {CANARY}"
    bodies = [body for p, _, body in outside.seen if p == "/v1/traces"]
    spans = [s for b in bodies for r in b["resourceSpans"] for c in r["scopeSpans"] for s in c["spans"]]
    assert len(spans) == 3
    (mine,) = [s for s in spans if s.get("parentSpanId") == "cd" * 8]
    attributes = {a["key"]: next(iter(a["value"].values())) for a in mine["attributes"]}
    assert mine["traceId"] == "ab" * 16
    assert mine["name"] == "chat chat"
    assert (attributes["gen_ai.provider.name"], attributes["gen_ai.usage.input_tokens"]) == ("openai", "5")
    assert int(mine["endTimeUnixNano"]) >= int(mine["startTimeUnixNano"])
    lines = [json.loads(x) for x in out.splitlines() if x.startswith('{"time"')]
    told = {(x["status"], x["code"]) for x in lines}
    assert told == {(200, ""), (502, "upstream_auth"), (401, "invalid_api_key")}
    assert b'aigw_tokens_total{consumer="app",model="chat",provider="openai",type="input"} 5\n' in metrics[1]
    shown = out + err + str([good, bad, wrong, metrics]) + json.dumps(spans)
    for secret in (CANARY, CLIENT, "hi there"):
        assert secret not in shown
    assert "internal error" not in err


def test_mock_providers_need_no_secret(tmp_path: Path) -> None:
    path = written(tmp_path, observability__accessLog={"format": "text", "payloads": True})
    with serving(path, "--mock-providers") as running:
        assert running.keys == {name: f"mock-key-{name}" for name in ("app", "both", "other")}
        url = running.urls["listener main"]
        assert url.startswith("http://127.0.0.1:")
        status, raw = call(f"{url}/v1/chat/completions", question("hi"), **{"x-api-key": running.keys["app"]})
        assert status == 200
        assert "openai" in json.loads(raw)["choices"][0]["message"]["content"]
        running.process.send_signal(signal.SIGINT)
        out, _ = running.process.communicate(timeout=15)
    assert running.process.returncode == 0
    assert 'consumer="app"' in out
    assert '"content":"hi"' in out


def test_a_request_under_way_is_finished_and_traced_before_the_process_ends(tmp_path: Path, outside: Outside) -> None:
    path = written(
        tmp_path,
        providers__0__baseUrl=f"{outside.url}/v1",
        observability__otlp={"endpoint": outside.url, "sampling": 1},
        observability__prometheus={"port": 9090},
    )
    keys = {"OPENAI_API_KEY": CANARY, "APP_KEY": CLIENT, "BOTH_KEY": "b", "OTHER_KEY": "o"}
    with serving(path, **keys) as running, ThreadPoolExecutor(1) as pool:
        url = running.urls["listener main"] + "/v1/chat/completions"
        answer = pool.submit(call, url, question("wait"), **{"x-api-key": CLIENT})
        until(lambda: bool(outside.seen))
        running.process.send_signal(signal.SIGTERM)
        outside.told.set()
        assert answer.result(15)[0] == 200
        running.process.communicate(timeout=15)
    assert running.process.returncode == 0
    assert [p for p, _, _ in outside.seen] == ["/v1/chat/completions", "/v1/traces"]


def test_with_mock_providers_no_trace_is_sent(tmp_path: Path, outside: Outside) -> None:
    path = written(tmp_path, observability__otlp={"endpoint": outside.url, "sampling": 1})
    with serving(path, "--mock-providers") as running:
        url = running.urls["listener main"] + "/v1/chat/completions"
        assert call(url, question("hi"), **{"x-api-key": "mock-key-app"})[0] == 200
        running.process.send_signal(signal.SIGTERM)
        _, err = running.process.communicate(timeout=15)
    assert (running.process.returncode, err.count("no trace is sent")) == (0, 1)
    assert not outside.seen


def test_every_missing_secret_is_named_by_its_place(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        vaults=[{"name": "v", "type": "aws", "settings": {}, "refresh": None}],
        providers__0__auth__secret={"vault": "v", "key": "llm/openai"},
        consumers__1__credentials__0__apiKey={"kubernetes": {"name": "keys", "key": "both"}},
        consumers__2__credentials__0__apiKey={"file": str(tmp_path / "absent")},
    )
    conf = load(path.read_bytes())
    with pytest.raises(StartError) as wrong:
        fetched(conf, {"APP_KEY": "k"})
    lines = str(wrong.value).splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("  providers[openai].auth.apiKey: the vault v (key llm/openai) is not read")
    assert lines[2].startswith("  consumers[both].credentials[0]: the Kubernetes Secret keys (key both) is not read")
    assert "No such file" in lines[3]
    command = [sys.executable, "-m", "aigw_compile", "serve", str(path), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)
    assert done.returncode == 3
    assert "consumers[app].credentials[0]: the environment variable APP_KEY is not set" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_consumers_with_one_key_are_refused() -> None:
    conf = load(json.dumps(FILE).encode())
    with pytest.raises(StartError, match="the same key as one of app's"):
        fetched(conf, {"OPENAI_API_KEY": "x", "APP_KEY": "same", "BOTH_KEY": "same", "OTHER_KEY": "o"})


def test_a_taken_port_is_said(tmp_path: Path, outside: Outside) -> None:
    port = str(outside.server_address[1])
    command = [
        sys.executable,
        "-m",
        "aigw_compile",
        "serve",
        str(written(tmp_path)),
        "--mock-providers",
        "--port",
        port,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)
    assert done.returncode == 3
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


FETCHED: list[tuple[dict[str, Any], str]] = [
    ({"env": "NONE"}, "the environment variable NONE is not set"),
    ({"env": "BLANK"}, "the environment variable BLANK is not set"),
    ({"env": "TWO"}, "holds a line break"),
    ({"file": "/nowhere/at/all"}, "cannot be read: No such file"),
    ({"file": "/"}, "cannot be read"),
    ({"vault": "v", "key": "k"}, "the vault v"),
    ({"kubernetes": {"name": "n", "key": "k"}}, "the Kubernetes Secret n"),
    ({}, "no reference to a secret"),
]


@pytest.mark.parametrize(("ref", "want"), FETCHED)
def test_secrets_that_cannot_be_had(ref: dict[str, Any], want: str) -> None:
    with pytest.raises(SecretError) as wrong:
        fetch(ref, {"BLANK": " \n", "TWO": "canary\ncanary"})
    assert want in str(wrong.value)
    assert "canary" not in str(wrong.value)


def test_secrets_are_fetched_without_the_white_space_around_them_and_do_not_print() -> None:
    assert fetch({"env": "KEY"}, {"KEY": " abc\n"}) == "abc"
    secret = Secret("abc")
    assert f"{secret} {secret!r} {[secret]}" == "[redacted] [redacted] [[redacted]]"
    assert secret.reveal() == "abc"


@pytest.mark.parametrize(
    "text", ["", "x", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "00-" + "g" * 32 + "-" + "1" * 16 + "-01"]
)
def test_a_traceparent_that_is_none_starts_a_new_trace(text: str) -> None:
    trace, parent, sampled = _context(text)
    assert len(bytes.fromhex(trace)) == 16
    assert (parent, sampled) == ("", None)
