"""The two engines, real Envoy and the reference proxy, on one gateway before scripted providers: a request to what was told."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
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
from aigw_compile.target import TargetFacts, facts
from tests.conformance.table import Ask
from tests.conformance.wire import Reply, exchange, exchange_2
from tests.proxy.certificates import Authority, Pair
from tests.support import ROOT, build_all_accepted
from tests.targets import envoy_runner as runner
from tests.targets.mock_upstream import Provider, Seen, providers
from tests.targets.tokens import Issuer

HERE = Path(__file__).parent
OPTIONS: Mapping[str, Mapping[str, str]] = {"envoy": {"tokenLimits": "local"}, "proxy": {}}
"""Every engine, and the options that it is built with."""
PLAIN = ("openai", "azure", "claude", "local", "gemini")
PROVIDERS = (*PLAIN, "inside")
"""The scripted ones; `inside` speaks https, and only to those who show a certificate."""
CREDENTIALS = {
    "openai": "sk-of-openai",
    "azure": "key-of-azure",
    "claude": "sk-of-claude",
    "gemini": "key-of-gemini",
}
PASSWORD, SECOND = "p:ä ss", "another"
HTTP2 = ("envoy",)
"""Engines that speak HTTP/2 to clients."""


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
    facts: TargetFacts
    trusting: Mapping[str, ssl.SSLContext]
    """What a client shows -> how it connects to a listener with TLS."""

    def tell(self, ask: Ask, script: Mapping[str, list[dict[str, Any]]]) -> Told:
        """Send a request while the providers follow a script."""
        for name in PROVIDERS:
            self.providers[name].plan(*script.get(name, ()))
        reply = self._exchange(ask)
        arrived = [(name, seen) for name in PROVIDERS for seen in self.providers[name].seen]
        return Told(reply, tuple(sorted(arrived, key=lambda one: one[1].at)))

    def _exchange(self, ask: Ask) -> Reply:
        port, secure = self.ports[ask.listener], self.trusting[ask.shows] if ask.listener == "secure" else None
        if ask.http2 and self.name in HTTP2:
            if secure:
                secure.set_alpn_protocols(["h2"])
            return exchange_2(port, *ask.streams(self.issuer), secure)
        if secure:
            secure.set_alpn_protocols(["http/1.1"])
        return exchange(port, ask.bytes(self.issuer), secure)


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
            scheme = place[field].partition(":")[0]
            place[field] = place[field].replace(f"{scheme}://{host}", urls[host.removesuffix(".test")])
    for model in spec["models"]:
        model["health"] = {"failures": 10_000}
    return dict(whole)


class _Papers(NamedTuple):
    """Who is who, by certificates."""

    authority: Authority
    server: Pair
    """The engine's own."""
    client: Pair
    provider: Pair


def _papers() -> _Papers:
    authority = Authority("one that is trusted")
    server, client, provider = (authority.pair(name) for name in ("127.0.0.1", "client", "llm.internal"))
    return _Papers(authority, server, client, provider)


def _environ(spec: Mapping[str, Any], papers: _Papers) -> dict[str, str]:
    """A value for every environment variable that the gateway reads."""
    keys = {f"KEY_{c['name'].upper().replace('-', '_')}": f"key-{c['name']}" for c in spec["spec"]["consumers"]}
    pems = {"CA": papers.authority.pem}
    for name, pair in (("SERVER", papers.server), ("CLIENT", papers.client)):
        pems |= {f"{name}_CERTIFICATE": pair.certificate, f"{name}_KEY": pair.key}
    return {
        **keys,
        **{k.upper(): v for k, v in CREDENTIALS.items()},
        "PASSWORD": PASSWORD,
        "SECOND_PASSWORD": SECOND,
        **pems,
    }


def _trusting(folder: Path, papers: _Papers) -> dict[str, ssl.SSLContext]:
    shown = {"client": papers.client, "stranger": Authority("another one").pair("client"), "none": None}
    found = {}
    for name, pair in shown.items():
        context = found[name] = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        if pair:
            place = _written(folder / name, pair)
            context.load_cert_chain(place / "cert.pem", place / "key.pem")
    return found


def _written(folder: Path, pair: Pair) -> Path:
    folder.mkdir()
    (folder / "cert.pem").write_text(pair.certificate)
    (folder / "key.pem").write_text(pair.key)
    return folder


@contextlib.contextmanager
def engine(name: str, folder: Path, options: Mapping[str, str] | None = None) -> Iterator[Engine]:
    """Build the gateway for an engine, with other options than its own if asked to, and run it before its own providers."""
    issuer, papers, chosen = Issuer("one"), _papers(), options or OPTIONS[name]
    pki = folder / "pki"
    pki.mkdir(parents=True)
    (pki / "ca.pem").write_text(papers.authority.pem)
    secure = providers(1, _written(pki / "inside", papers.provider), pki / "ca.pem")
    with providers(len(PLAIN) + 1) as made, secure as (inside,):
        by_name = {**dict(zip((*PLAIN, "keys"), made, strict=True)), "inside": inside}
        by_name["keys"].always = {"body": issuer.jwks()}
        spec = gateway({n: p.url.removesuffix("/v1") for n, p in by_name.items()}, runner.free_ports(5))
        checked = compiler.check_text(json.dumps(spec))
        built = build_all_accepted(checked, TargetChoice(name, "", chosen))
        assert built.documents, built.diagnostics
        for document in built.documents:
            path = folder / document.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text_of(document), "utf-8")
        operations = spec["spec"]["observability"]["operations"]["port"]
        with _RUN[name](folder, operations, _environ(spec, papers)):
            listeners = {x["name"]: x["port"] for x in spec["spec"]["listeners"]}
            known = facts(name, "", chosen)
            yield Engine(name, listeners, operations, by_name, issuer, known, _trusting(pki, papers))


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
