"""The two engines, real Envoy and the reference proxy, on one gateway before scripted providers: a request to what was told."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aigw_compile import compiler, secretfiles
from aigw_compile.document import text_of
from aigw_compile.project import TargetChoice
from aigw_compile.source import parse
from tests.conformance.table import Ask
from tests.support import ROOT, build_all_accepted
from tests.targets import envoy_runner as runner
from tests.targets.mock_upstream import Provider, Seen, providers
from tests.targets.tokens import Issuer

HERE = Path(__file__).parent
OPTIONS = {"envoy": {"tokenLimits": "local"}, "proxy": {}}
"""Every engine, and the options that it is built with."""
PROVIDERS = ("openai", "azure", "claude", "local", "gemini")
CREDENTIALS = {"openai": "sk-of-openai", "azure": "key-of-azure", "claude": "sk-of-claude", "gemini": "key-of-gemini"}
PASSWORD = "p:ä ss"


class Reply(NamedTuple):
    """What a client got. A connection that broke off is told by `broken`, with what had come by then."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    broken: bool = False


class Told(NamedTuple):
    """What became of a request."""

    reply: Reply
    sent: tuple[tuple[str, Seen], ...]
    """(provider, request) in the order in which they came."""


class Engine(NamedTuple):
    name: str
    ports: Mapping[str, int]
    """Listener -> port."""
    operations: int
    providers: Mapping[str, Provider]
    issuer: Issuer

    def tell(self, ask: Ask, script: Mapping[str, list[dict[str, Any]]]) -> Told:
        """Send a request while the providers follow a script."""
        for name in PROVIDERS:
            self.providers[name].plan(*script.get(name, ()))
        reply = _exchange(self.ports[ask.listener], ask.bytes(self.issuer))
        arrived = [(name, seen) for name in PROVIDERS for seen in self.providers[name].seen]
        return Told(reply, tuple(sorted(arrived, key=lambda one: one[1].at)))


def _exchange(port: int, data: bytes) -> Reply:
    """Send bytes as they are and read the reply: http.client reads no reply that breaks off, and hides what it holds."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        with contextlib.suppress(OSError):  # who is refused early may find the door shut before everything is said
            wire.sendall(data)
        parts, broken = [], False
        try:
            while not _complete(b"".join(parts)) and (part := wire.recv(65536)):
                parts.append(part)
        except OSError:
            broken = True
    return _reply(b"".join(parts), broken)


def _complete(raw: bytes) -> bool:
    """Whether a whole reply is there, so that nobody has to wait for the connection to end."""
    head, found, body = raw.partition(b"\r\n\r\n")
    if not found:
        return False
    headers = _headers(head)
    if head.split(b" ", 2)[1:2] == [b"204"]:
        return True
    if "transfer-encoding" in headers:
        return body.endswith(b"0\r\n\r\n")
    return "content-length" in headers and len(body) >= int(headers["content-length"])


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _reply(raw: bytes, broken: bool) -> Reply:
    head, _, body = raw.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 "):
        return Reply(0, {}, raw, True)
    status, headers = int(head.split(b" ", 2)[1]), _headers(head)
    if "transfer-encoding" in headers:
        body, broken = _unchunked(body)
    else:
        broken = broken or len(body) < int(headers.get("content-length", 0))
    return Reply(status, headers, body, broken)


def _unchunked(body: bytes) -> tuple[bytes, bool]:
    out = b""
    while True:
        size, found, rest = body.partition(b"\r\n")
        if not found:
            return out, True
        if int(size, 16) == 0:
            return out, False
        out, body = out + rest[: int(size, 16)], rest[int(size, 16) + 2 :]


def gateway(urls: Mapping[str, str], ports: list[int]) -> dict[str, Any]:
    """The gateway of gateway.yaml with real addresses, and with targets that no failure puts to rest."""
    whole = parse((HERE / "gateway.yaml").read_bytes(), "gateway.yaml")[0][0].data
    spec = whole["spec"]
    for listener, port in zip(spec["listeners"], ports, strict=False):
        listener["port"] = port
    spec["observability"]["operations"]["port"] = ports[-1]
    for place, field in [(p, "baseUrl") for p in spec["providers"]] + [(j, "jwksUri") for j in spec["auth"]["jwt"]]:
        host = place[field].split("/")[2]
        if host.endswith(".test"):
            place[field] = place[field].replace(f"http://{host}", urls[host.removesuffix(".test")])
    for model in spec["models"]:
        model["health"] = {"failures": 10_000}
    return dict(whole)


def _environ(spec: Mapping[str, Any]) -> dict[str, str]:
    """A value for every environment variable that the gateway reads."""
    keys = {f"KEY_{c['name'].upper().replace('-', '_')}": f"key-{c['name']}" for c in spec["spec"]["consumers"]}
    return {**keys, **{k.upper(): v for k, v in CREDENTIALS.items()}, "PASSWORD": PASSWORD}


@contextlib.contextmanager
def engine(name: str, folder: Path) -> Iterator[Engine]:
    """Build the gateway for an engine and run it, before providers of its own."""
    issuer = Issuer("one")
    with providers(len(PROVIDERS) + 1) as made:
        by_name = dict(zip((*PROVIDERS, "keys"), made, strict=True))
        by_name["keys"].always = {"body": issuer.jwks()}
        ports = runner.free_ports(4)
        spec = gateway({n: p.url.removesuffix("/v1") for n, p in by_name.items()}, ports)
        checked = compiler.check_text(json.dumps(spec))
        built = build_all_accepted(checked, TargetChoice(name, "", OPTIONS[name]))
        assert built.documents, built.diagnostics
        folder.mkdir(parents=True)
        for document in built.documents:
            path = folder / document.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text_of(document), "utf-8")
        environ = _environ(spec)
        with _RUN[name](folder, ports[-1], environ):
            listeners = {x["name"]: x["port"] for x in spec["spec"]["listeners"]}
            yield Engine(name, listeners, ports[-1], by_name, issuer)


@contextlib.contextmanager
def _envoy(folder: Path, operations: int, environ: Mapping[str, str]) -> Iterator[None]:
    asked = secretfiles.read(folder)
    values = {name: environ[one["ref"]["name"]] for name, one in asked["secrets"].items()}
    secretfiles.write(folder, values)
    with runner.running(folder, operations + 1):
        yield


@contextlib.contextmanager
def _proxy(folder: Path, operations: int, environ: Mapping[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "aigw_compile", "serve", str(folder / "proxy.json")]
    log = folder / "proxy.log"
    with log.open("w") as out:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ}
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=env)
        try:
            _ready(process, operations, log)
            yield
            metrics = _get(f"http://127.0.0.1:{operations}/metrics").splitlines()
            assert not [line for line in metrics if line.startswith("aigw_internal_errors_total")]
        finally:
            process.kill()
            process.wait(10)


_RUN = {"envoy": _envoy, "proxy": _proxy}


def _ready(process: subprocess.Popen[bytes], operations: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            _get(f"http://127.0.0.1:{operations}/readyz")
            return
        time.sleep(0.05)
    raise AssertionError(f"the proxy did not start:\n{log.read_text()[-3000:]}")


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read().decode())
