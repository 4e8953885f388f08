"""Secrets that change while Envoy runs: `aigw-compile secrets` writes new ones, and the next calls use them, without a restart."""

from __future__ import annotations

import json
import os
import socket
import ssl
import stat
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.proxy.certificates import Authority, Pair
from tests.proxy.harness import until
from tests.support import ROOT
from tests.targets import envoy_runner as runner
from tests.targets.envoy_runner import Answer, chat, request
from tests.targets.mock_upstream import Provider, providers


def spec(ports: list[int], urls: list[str], folder: Path) -> dict[str, Any]:
    """Every kind of secret that Envoy reads from a file."""
    tls = {
        "certificate": {"file": f"{folder}/cert.pem"},
        "key": {"file": f"{folder}/key.pem"},
        "clientCA": {"env": "CLIENT_CA"},
    }
    listed = ("plain", {}), ("secure", {"tls": tls})
    return {
        "apiVersion": "aigw.dev/v1alpha1",
        "kind": "AIGateway",
        "metadata": {"name": "turning"},
        "spec": {
            "listeners": [
                {"name": name, "address": "127.0.0.1", "port": port, **more}
                for (name, more), port in zip(listed, ports, strict=False)
            ],
            "providers": [
                {
                    "name": "open",
                    "type": "openai-compatible",
                    "baseUrl": urls[0],
                    "auth": {"apiKey": {"env": "PROVIDER_KEY"}},
                    "headers": {"x-tenant-key": {"file": f"{folder}/tenant"}},
                },
                {
                    "name": "inside",
                    "type": "openai-compatible",
                    "baseUrl": urls[1],
                    "tls": {
                        "ca": {"env": "SERVER_CA"},
                        "clientCertificate": {"env": "OWN_CERT"},
                        "clientKey": {"env": "OWN_KEY"},
                    },
                },
            ],
            "models": [{"name": name, "targets": [{"provider": name, "model": "x"}]} for name in ("open", "inside")],
            "auth": {"apiKey": {"headers": ["authorization"]}, "basic": {}},
            "consumers": [
                {"name": "app", "credentials": [{"apiKey": {"env": "APP_KEY"}}]},
                {"name": "person", "credentials": [{"basic": {"username": "p", "password": {"env": "PASSWORD"}}}]},
            ],
            "observability": {"operations": {"port": ports[-1]}},
        },
    }


class Round(NamedTuple):
    """The secrets of one round: first the old ones, then the new."""

    number: int
    clients: Authority
    """Signs what clients show to the listener."""
    server: Pair
    servers: Authority
    """Signs what the provider shows."""
    own: Pair
    """What Envoy shows to the provider."""

    @property
    def texts(self) -> dict[str, str]:
        """Secrets that are words, by variable; TENANT is in a file."""
        names = ("PROVIDER_KEY", "APP_KEY", "PASSWORD", "TENANT")
        return {name: f"canary-{name.lower()}-{self.number}" for name in names}

    @property
    def environ(self) -> dict[str, str]:
        pems = {"CLIENT_CA": self.clients.pem, "SERVER_CA": self.servers.pem}
        return {**self.texts, **pems, "OWN_CERT": self.own.certificate, "OWN_KEY": self.own.key}


class Turning(NamedTuple):
    project: Path
    output: Path
    ports: list[int]
    open: Provider
    inside: Provider
    rounds: tuple[Round, Round]
    authority: Authority
    """Signs what the listener shows."""

    def secrets(self, one: Round, missing: str = "") -> tuple[int, str]:
        """Run `aigw-compile secrets` with the secrets of a round; return its exit code and all it said."""
        (self.project / "in").mkdir(exist_ok=True)
        (self.project / "in/cert.pem").write_text(one.server.certificate)
        (self.project / "in/key.pem").write_text(one.server.key)
        (self.project / "in/tenant").write_text(one.texts["TENANT"])
        return self.compile(
            "secrets", str(self.output), **{k: v for k, v in one.environ.items() if k not in (missing, "TENANT")}
        )

    def compile(self, *arguments: str, **environ: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "aigw_compile", *arguments]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ}
        done = subprocess.run(command, cwd=self.project, capture_output=True, text=True, env=env, check=False)
        return done.returncode, done.stdout + done.stderr

    def ask(self, credential: str, model: str = "open", **more: Any) -> Answer:
        headers = [("authorization", credential), ("content-type", "application/json")]
        url = more.pop("url", f"http://127.0.0.1:{self.ports[0]}")
        return request("POST", f"{url}/v1/chat/completions", json.dumps(chat(model)).encode(), headers, **more)

    def client(self, one: Round) -> ssl.SSLContext:
        """A client that shows a certificate of a round's authority and trusts the listener's."""
        folder = self.project / f"client-{one.number}"
        if not folder.exists():
            folder.mkdir()
            pair = one.clients.pair("client")
            (folder / "both.pem").write_text(pair.certificate + pair.key)
        context = ssl.create_default_context(cadata=self.authority.pem)
        context.load_cert_chain(folder / "both.pem")
        return context

    def shown(self, one: Round) -> bytes:
        """The certificate that the listener shows to such a client; b"" where it does not take the client's."""
        try:
            with (
                socket.create_connection(("127.0.0.1", self.ports[1]), 5) as raw,
                self.client(one).wrap_socket(raw, server_hostname="127.0.0.1") as secure,
            ):
                secure.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                return (secure.getpeercert(binary_form=True) or b"") if secure.recv(1) else b""
        except OSError:
            return b""


@pytest.fixture(scope="module")
def turning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Turning]:
    with made(tmp_path_factory.mktemp("turning")) as found:
        yield found


@contextmanager
def made(folder: Path) -> Iterator[Turning]:
    authority, servers = Authority("the listener's"), Authority("the provider's")
    wrong = Authority("nobody's")
    rounds = tuple(
        Round(number, Authority(f"clients {number}"), authority.pair("127.0.0.1"), ca, servers.pair(f"envoy-{number}"))
        for number, ca in enumerate((wrong, servers))
    )
    shown = servers.pair("127.0.0.1")
    (folder / "provider").mkdir()
    (folder / "provider/cert.pem").write_text(shown.certificate)
    (folder / "provider/key.pem").write_text(shown.key)
    (folder / "provider/ca.pem").write_text(servers.pem)
    with providers(1) as (plain,), providers(1, folder / "provider", folder / "provider/ca.pem") as (inside,):
        ports = runner.free_ports(3)
        (folder / "project").mkdir()
        (folder / "project/gateway.yaml").write_text(
            json.dumps(spec(ports, [plain.url, inside.url], folder / "project/in"))
        )
        output = folder / "project/build/turning/envoy"
        found = Turning(folder / "project", output, ports, plain, inside, (rounds[0], rounds[1]), authority)
        code, said = found.compile("build", "--target", "envoy")
        assert code == 0, said
        code, said = found.secrets(found.rounds[0])
        assert code == 0, said
        with runner.running(output, ports[-1] + 1):
            yield found


def basic(password: str) -> str:
    return "Basic " + b64encode(f"p:{password}".encode()).decode()


def files(turning: Turning) -> Mapping[Path, os.stat_result]:
    return {path: path.lstat() for path in (turning.output / "secrets").iterdir()}


def test_secrets_turn_while_envoy_runs(turning: Turning) -> None:
    old, new = turning.rounds
    # Each secret of the first round is used.
    assert turning.ask(f"Bearer {old.texts['APP_KEY']}").status_code == 200
    assert turning.ask(basic(old.texts["PASSWORD"])).status_code == 200
    assert seen(turning) == (f"Bearer {old.texts['PROVIDER_KEY']}", old.texts["TENANT"])
    first = turning.shown(old)
    assert first
    assert not turning.shown(new)
    assert turning.ask(f"Bearer {old.texts['APP_KEY']}", "inside").status_code == 502  # its CA is nobody's yet
    before = files(turning)
    held = {path: (path.open(), path.read_text()) for path in before}

    # What cannot be had whole is not written at all.
    code, said = turning.secrets(new, missing="PASSWORD")
    assert (code, "consumers[person]" in said) == (3, True)
    assert files(turning) == before

    code, said = turning.secrets(new)
    assert code == 0, said
    after = files(turning)
    assert {stat.S_IMODE(s.st_mode) for s in after.values()} == {0o600}
    assert stat.S_IMODE((turning.output / "secrets").stat().st_mode) == 0o700
    assert {*after} == {*before}  # nothing is left beside them
    for path, (stream, text) in held.items():  # replaced as a whole: who reads the old file reads all of it
        with stream:
            assert stream.read() == text != path.read_text()
        assert after[path].st_ino != before[path].st_ino

    until(lambda: turning.ask(f"Bearer {new.texts['APP_KEY']}").status_code == 200)
    until(lambda: turning.ask(basic(new.texts["PASSWORD"])).status_code == 200)
    for credential in (f"Bearer {old.texts['APP_KEY']}", basic(old.texts["PASSWORD"])):
        assert turning.ask(credential).status_code == 401
    app = f"Bearer {new.texts['APP_KEY']}"

    def used() -> bool:
        turning.ask(app)
        return seen(turning) == (f"Bearer {new.texts['PROVIDER_KEY']}", new.texts["TENANT"])

    until(used)
    until(lambda: turning.shown(new) not in (b"", first))
    assert not turning.shown(old)  # the new authority does not know the old client
    assert turning.ask(app, url=f"https://127.0.0.1:{turning.ports[1]}", secure=turning.client(new)).status_code == 200
    until(lambda: turning.ask(app, "inside").status_code == 200)


def seen(turning: Turning) -> tuple[str, str]:
    """The key and the tenant of the last call that the provider saw."""
    headers = turning.open.seen[-1].headers
    return headers["authorization"], headers["x-tenant-key"]


def test_no_secret_outside_the_folder_of_secrets(turning: Turning) -> None:
    """Not in the outputs, not in what the command says, and not in what Envoy's own admin interface shows."""
    code, said = turning.secrets(turning.rounds[1])
    assert code == 0
    outputs = "".join(path.read_text() for path in turning.output.iterdir() if path.is_file())
    dump = request("GET", f"http://127.0.0.1:{turning.ports[-1] + 1}/config_dump?include_eds").text
    assert "turning" in outputs
    assert "envoy.extensions.filters.http.api_key_auth" in dump
    for one in turning.rounds:
        key_lines = one.server.key.splitlines()[1:-1] + one.own.key.splitlines()[1:-1]
        for secret in (*one.texts.values(), *key_lines):
            for where, text in (("outputs", outputs), ("said", said), ("config_dump", dump)):
                assert secret not in text, where
