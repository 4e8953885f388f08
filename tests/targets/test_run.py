"""`aigw-compile run` as a user runs it: examples on a real Envoy, the printed line for curl, and nothing left at its end."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aigw_compile import ir
from aigw_compile.emitters.envoy import emit
from aigw_compile.local import curl, locally, ports_of
from aigw_compile.lower import lower
from aigw_compile.plan import plan
from aigw_compile.schema import with_defaults
from aigw_compile.target import facts
from tests.proxy.harness import until
from tests.proxy.test_examples_served import DESK
from tests.support import ROOT
from tests.targets.envoy_runner import Answer, chat, request
from tests.targets.envoy_specs import SPECS, smallest, walk
from tests.targets.mock_upstream import providers

MINIMAL = ROOT / "examples/minimal"


class Run(NamedTuple):
    process: subprocess.Popen[str]
    said: dict[str, str]

    @property
    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def end(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return the exit code and what was said on standard error."""
        self.process.send_signal(how)
        _, err = self.process.communicate(timeout=20)
        return self.process.returncode, err


def command(target: str, path: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "aigw_compile", "run", "--target", target, str(path), *options]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """No secret, and a folder of its own for temporary files."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), **more}


@contextlib.contextmanager
def started(folder: Path, target: str, path: Path, *options: str) -> Iterator[Run]:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command(target, path, *options), stdout=pipe, stderr=pipe, text=True, env=environment(folder)
    ) as process:
        try:
            said: dict[str, str] = {}
            assert process.stdout
            for line in process.stdout:
                if '"ready"' in line:
                    break
                what, _, value = line.strip().partition(": ")
                said[what] = value
            yield Run(process, said)
        finally:
            process.kill()


def as_printed(line: str) -> Answer:
    """Do what curl does with the options that are printed: -H, -u and -d."""
    name, url, *rest = shlex.split(line)
    assert name == "curl"
    given = [*zip(rest[::2], rest[1::2], strict=True)]
    headers = [tuple(value.split(": ", 1)) for option, value in given if option == "-H"]
    (body,) = (value for option, value in given if option == "-d")
    assert {option for option, _ in given} <= {"-H", "-d"}
    return request("POST", url, body.encode(), [(k, v) for k, v in headers])


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


RUNS = [*((name, "envoy") for name in ("bank", "saas", "local-models", DESK)), ("support-desk", "proxy")]
"""A token and a host, addresses, a path, a key that a part hides. test_envoy_examples.py asks every example about everything."""


@pytest.mark.parametrize(("name", "target"), RUNS, ids=lambda x: str(x))
def test_an_example_answers_and_leaves_nothing(name: str, target: str, tmp_path: Path) -> None:
    number = RUNS.index((name, target))
    with started(tmp_path, target, ROOT / "examples" / name, "--port", "0") as run:
        answer = as_printed(run.said["try"])
        assert answer.status_code == 200, answer.text
        assert "I read 2 characters" in answer.json()["choices"][0]["message"]["content"]
        health = request("GET", f"{run.said['operations']}/healthz")
        assert health.status_code == 200
        children = run.children
        assert len(children) == (1 if target == "envoy" else 0)
        code, err = run.end([signal.SIGINT, signal.SIGTERM][number % 2])
    assert code == 0, err
    assert "Traceback" not in err
    assert "mistake" not in err
    assert not alive(children)
    assert not [*tmp_path.iterdir()]


def test_no_trace_leaves_the_machine(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "tmp").mkdir()
    with providers(1) as (collector,):
        collector.always = {"body": "{}"}
        otlp = f"tracing: {{otlp: {{endpoint: '{collector.url}', sampling: 1}}}}"
        text = (MINIMAL / "gateway.yaml").read_text().rstrip()
        (tmp_path / "in/gateway.yaml").write_text(f"{text}\n  observability: {{{otlp}}}\n")
        with started(tmp_path / "tmp", "envoy", tmp_path / "in", "--port", "0") as run:
            assert as_printed(run.said["try"]).status_code == 200
            code, err = run.end()
        assert (code, err.count("no trace is sent")) == (0, 1)
        assert not collector.seen


def test_keys_and_faults_of_the_mocks(tmp_path: Path) -> None:
    """Each consumer's key works, no other does, and a mock that fails is what the gateway falls back from."""
    with started(tmp_path, "envoy", ROOT / "examples/support-desk", "--port", "0") as run:
        (url,) = (value for what, value in run.said.items() if what.startswith("listener "))

        def ask(key: str, text: str) -> Answer:
            headers = [("authorization", f"Bearer {key}"), ("content-type", "application/json")]
            return request("POST", f"{url}/v1/chat/completions", json.dumps(chat("chat", text)).encode(), headers)

        keys = {what: value for what, value in run.said.items() if what.startswith("key of ")}
        assert len(keys) == 2
        assert {ask(key, "hi").status_code for key in keys.values()} <= {200, 403}
        assert ask("mock-key-nobody", "hi").status_code == 401
        first = ask(keys["key of helpdesk-bot"], "mock:openai:500")
        assert (first.status_code, "at claude" in first.text) == (200, True)
        assert run.end(signal.SIGHUP)[0] == 0
    assert not [*tmp_path.iterdir()]


def test_the_ports_of_the_spec(tmp_path: Path) -> None:
    """Without --port they are taken as they stand; where one is taken, that is said, and nothing is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = (MINIMAL / "gateway.yaml").read_text()
        (tmp_path / "in").mkdir()
        (tmp_path / "tmp").mkdir()
        assert "listeners" not in text
        (tmp_path / "in/gateway.yaml").write_text(f"{text.rstrip()}\n  listeners: [{{name: l, port: {port}}}]\n")
        for options in ((), ("--port", str(port))):
            code, _, err = ended(tmp_path / "tmp", "envoy", tmp_path / "in/gateway.yaml", *options)
            assert code == 3
            assert f"cannot listen on 127.0.0.1:{port}: Address already in use; --port 0 takes a free one" in err
    assert not [*(tmp_path / "tmp").iterdir()]


def ended(folder: Path, target: str, path: Path, *options: str, **more: str) -> tuple[int, str, str]:
    """Run to the end; return the exit code, standard output and standard error."""
    done = subprocess.run(
        command(target, path, *options),
        capture_output=True,
        text=True,
        env=environment(folder, **more),
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def test_what_cannot_be_built_is_not_run(tmp_path: Path) -> None:
    spec = tmp_path / "gateway.yaml"
    text = (MINIMAL / "gateway.yaml").read_text()
    (tmp_path / "tmp").mkdir()
    lost = f"{text.rstrip()}\n  policies: {{responseGuard: {{deny: [secret]}}}}\n"
    for wrong, says in ((lost, "responseGuard"), (text.replace("models:", "modles:"), 'did you mean "models"')):
        spec.write_text(wrong)
        code, out, err = ended(tmp_path / "tmp", "envoy", spec, "--port", "0")
        assert code == 1
        assert says in out + err
    assert not [*(tmp_path / "tmp").iterdir()]


def test_a_target_that_cannot_be_run_here_and_a_path_that_is_none(tmp_path: Path) -> None:
    for target, path, says in (("kong", MINIMAL, "envoy"), ("envoy", tmp_path / "none", "is not there")):
        code, _, err = ended(tmp_path, target, path)
        assert (code, says in err) == (3, True)


@pytest.mark.parametrize(("module", "extra"), [("envoy", "envoy"), ("uvicorn", "proxy")])
def test_without_the_extra(module: str, extra: str, tmp_path: Path) -> None:
    (tmp_path / "hidden" / module).mkdir(parents=True)
    (tmp_path / "hidden" / module / "__init__.py").write_text("raise ImportError('not installed')\n")
    (tmp_path / "tmp").mkdir()
    path = os.pathsep.join([str(tmp_path / "hidden"), str(ROOT)])
    code, _, err = ended(tmp_path / "tmp", "envoy", MINIMAL, "--port", "0", PYTHONPATH=path)
    assert code == 3
    assert f'the extra "{extra}": pip install "aigw-compile[envoy,proxy]"' in err
    assert not [*(tmp_path / "tmp").iterdir()]


def test_envoy_that_dies_is_told(tmp_path: Path) -> None:
    with started(tmp_path, "envoy", MINIMAL, "--port", "0") as run:
        (envoy,) = run.children
        os.kill(envoy, signal.SIGKILL)
        _, err = run.process.communicate(timeout=20)
    assert run.process.returncode == 1
    assert "Envoy ended by itself, by the signal SIGKILL" in err
    assert "Traceback" not in err
    assert not [*tmp_path.iterdir()]


def test_envoy_that_does_not_start_is_told(tmp_path: Path) -> None:
    """A binary that is none, and one that says something and ends."""
    package = tmp_path / "in" / "envoy"
    package.mkdir(parents=True)
    binary = package / "binary"
    binary.write_text("#!/bin/sh\necho no luck today >&2\nexit 9\n")
    (package / "__init__.py").write_text(
        "from pathlib import Path\nget_envoy_path = lambda: Path(__file__).parent / 'binary'\n"
    )
    (tmp_path / "tmp").mkdir()
    path = os.pathsep.join([str(package.parent), str(ROOT)])
    for mode, wanted, says in ((0o600, 3, "Envoy cannot be started"), (0o700, 1, "Envoy ended by itself, with code 9")):
        binary.chmod(mode)
        code, _, err = ended(tmp_path / "tmp", "envoy", MINIMAL, "--port", "0", PYTHONPATH=path)
        assert (code, says in err) == (wanted, True), err
    assert "no luck today" in err
    assert not [*(tmp_path / "tmp").iterdir()]


def placed(**more: Any) -> ir.Gateway:
    """A gateway with one model and these parts of a spec."""
    return lower(with_defaults(smallest(**more)))


KEYS = {
    "auth": {"apiKey": {"headers": ["x-key"]}},
    "consumers": [{"name": "c", "credentials": [{"apiKey": {"env": "K"}}]}],
}
BASIC = {"username": "u", "password": {"env": "P"}}
JWT = {"name": "j", "issuer": "https://i", "jwksUri": "https://i/k", "groupsClaim": "g", "unknownConsumer": "accept"}
TARGET = {"provider": "client-keys", "model": "x"}
OPEN: dict[str, Any] = {"auth": {"anonymous": True}, "consumers": []}
LINES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "anonymous": (OPEN, []),
    "a key": (KEYS, ["-H", "x-key: of c"]),
    "a password": (
        {"auth": {"basic": {}}, "consumers": [{"name": "c", "credentials": [{"basic": BASIC}]}]},
        ["-u", "u:of c"],
    ),
    "a host": (
        {**OPEN, "listeners": [{"name": "l", "port": 1, "hostnames": ["*.ai.test"]}]},
        ["-H", "host: any.ai.test"],
    ),
    "a token in a group": (
        {
            "auth": {"jwt": [JWT]},
            "consumers": [],
            "models": [{"name": "m", "targets": [TARGET], "access": {"allow": {"groups": ["b"]}}}],
        },
        ["-H", "authorization: Bearer of b"],
    ),
}


@pytest.mark.parametrize("case", LINES)
def test_the_line_for_curl(case: str) -> None:
    spec, options = LINES[case]
    tokens = {f"somebody in {group} (jwt j)": f"of {group}" for group in "ab"}
    state = {"listeners": {"l": "http://here"}, "keys": {"c": "of c"}, "logins": {"c": "u:of c"}, "tokens": tokens}
    if "basic" in spec["auth"]:
        state["keys"] = {}
    line = curl(placed(**spec), state)
    assert line is not None
    body = '{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
    head = ["curl", "http://here/v1/chat/completions", "-H", "content-type: application/json"]
    assert shlex.split(line) == [*head, *options, "-d", body]


def test_no_line_where_nobody_may_call() -> None:
    model = {"name": "m", "targets": [TARGET], "access": {"allow": {"groups": ["nobody"]}}}
    state: dict[str, Any] = {"listeners": {"l": "http://here"}, "keys": {"c": "k"}, "logins": {}}
    assert curl(placed(**KEYS, models=[model]), state) is None
    embeds = {"name": "e", "capabilities": ["embeddings"], "targets": [TARGET]}
    assert "/v1/embeddings" in (curl(placed(**KEYS, models=[embeds]), state) or "")


@pytest.mark.parametrize("name", ["rich", "edge", "bank"])
def test_nothing_but_loopback(name: str) -> None:
    """Whatever a spec names, the Envoy that is run speaks to this machine alone."""
    gateway = lower(with_defaults(SPECS[name]))
    issuers = {j.name: "http://127.0.0.1:2" for j in gateway.auth.jwt} if gateway.auth else {}
    here = locally(
        gateway, {p.name: f"http://127.0.0.1:1/{p.name}" for p in gateway.providers}, issuers, ports_of(gateway)
    )
    decided = plan(gateway, SPECS[name], facts("envoy", "", {"tokenLimits": "local"}))
    envoy, secrets = emit(here, decided)
    sockets = [value for _, value in walk(envoy.body) if isinstance(value, dict) and "port_value" in value]
    assert {value["address"] for value in sockets} == {"127.0.0.1"}
    assert "transport_socket.tls" not in json.dumps(envoy.body)
    assert not [f["path"] for f in secrets.body["files"] if "listener" in f["path"] or ".ca." in f["path"]]


def test_a_signal_while_it_starts(tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command("envoy", MINIMAL, "--port", "0"), stdout=pipe, stderr=pipe, text=True, env=environment(tmp_path)
    ) as process:
        until(lambda: any(tmp_path.glob("aigw-run-*")))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert not [*tmp_path.iterdir()]
