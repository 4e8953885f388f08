"""Every gateway of every example that is built for Envoy, on the real one: each model answers at each listener and each door,
and nobody without a credential is answered. Only addresses, ports and secrets differ from what is compiled."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aigw_compile import compiler, ir, secretfiles
from aigw_compile.document import text_of
from aigw_compile.policies.ip_restriction import IpRestriction
from aigw_compile.project import TargetChoice
from tests.proxy.certificates import Authority
from tests.support import EXAMPLES, gateways
from tests.targets.envoy_gateway import KEY_401, fault
from tests.targets.envoy_here import HERE, Moved, World, hosts, move, port_of
from tests.targets.envoy_runner import events, request, running
from tests.targets.mock_upstream import Provider, providers
from tests.targets.tokens import Issuer

REFUSED: set[str] = set()
"""Gateways that the compiler refuses to build for Envoy: none."""
SAID = "Hello from here"
PASSWORD = "p:ä ss"


class Built(NamedTuple):
    gateway: ir.Gateway
    build: compiler.Build


def _built() -> dict[str, Built]:
    """Every gateway as its own project builds it for Envoy."""
    found = {}
    for folder in EXAMPLES:
        opened, checked = gateways(folder)
        (choice,) = compiler.choices(opened.project, [TargetChoice("envoy", "", {})])
        for one in checked:
            assert one.gateway is not None, one.diagnostics
            found[one.name] = Built(one.gateway, compiler.build(one, choice, opened.project.accepts))
    return found


BUILT = _built()
SERVED = {name: one for name, one in BUILT.items() if one.build.documents}


def test_no_gateway_drops_out() -> None:
    """A gateway that is new is served, or it is said here that it cannot be."""
    assert BUILT.keys() - SERVED.keys() == REFUSED
    assert len(BUILT) >= 9


class Example(NamedTuple):
    gateway: ir.Gateway
    moved: Moved
    secrets: dict[str, str]
    issuer: Issuer
    vendors: tuple[Provider, Provider]
    """Those that are called over https, and those over plain http."""
    trusting: ssl.SSLContext

    def url(self, listener: ir.Listener) -> str:
        scheme = "https" if listener.tls else "http"
        return f"{scheme}://{HERE}:{self.moved.listeners[listener.name]}{listener.base_path}"

    def ask(self, listener: ir.Listener, path: str, body: Any, headers: list[tuple[str, str]]) -> Any:
        host = [("host", listener.hostnames[0].replace("*", "any"))] if listener.hostnames else []
        kind = [("content-type", "application/json")]
        secure = self.trusting if listener.tls else None
        for vendor in self.vendors:
            vendor.plan()
        url = self.url(listener) + path
        return request("POST", url, json.dumps(body).encode(), [*host, *kind, *headers], secure)

    @property
    def seen(self) -> list[Any]:
        return [seen for vendor in self.vendors for seen in vendor.seen]

    def callers(self, model: ir.Model) -> Iterator[list[tuple[str, str]]]:
        """Headers of everybody who may call a model: one for each key, password and token."""
        auth = self.gateway.auth
        assert auth
        names = [c.name for c in self.gateway.consumers] or ["somebody"]
        if auth.anonymous:
            yield []
        for consumer in self.gateway.consumers:
            if not ir.may_call(model, consumer):
                continue
            where = self.place(consumer)
            for number, _ in enumerate(consumer.credentials):
                yield [*where, *_keyed(auth.api_key_headers[0], self.secrets[f"consumers.{consumer.name}.{number}"])]
            for number, login in enumerate(consumer.logins):
                password = self.secrets[f"consumers.{consumer.name}.login.{number}"]
                raw = base64.b64encode(f"{login.username}:{password}".encode()).decode()
                yield [*where, ("authorization", f"Basic {raw}")]
        for jwt in auth.jwt:
            allowed = model.access.allow.groups if model.access and model.access.allow else ()
            for name in names:
                back = {group: value for value, group in jwt.group_map.items()}
                claims = {"iss": jwt.issuer, "aud": [*jwt.audiences], jwt.consumer_claim: name}
                claims |= {jwt.groups_claim: [back.get(g, g) for g in allowed]} if jwt.groups_claim else {}
                yield [("authorization", f"Bearer {self.issuer.token(**claims)}")]

    def place(self, consumer: ir.Consumer) -> list[tuple[str, str]]:
        """The address of a caller, as a trusted proxy tells it, where only some may call."""
        groups = [g for g in self.gateway.consumer_groups if g.name in consumer.groups]
        policies = [self.gateway.policies, consumer.policies, *(g.policies for g in groups)]
        allowed = [cidr for p in policies for r in ir.every(p, IpRestriction) for cidr in r.allow]
        return [("x-forwarded-for", str(ip_network(allowed[0])[1]))] if allowed else []


def _keyed(header: str, key: str) -> list[tuple[str, str]]:
    return [(header, f"Bearer {key}" if header == "authorization" else key)]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("those of the system")


@pytest.fixture(scope="module")
def world(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, ...]]:
    """Vendors under all their names, an issuer of tokens, and a collector of traces."""
    folder = tmp_path_factory.mktemp("world")
    names = {name for one in SERVED.values() for name in hosts(one.build.documents[0].body)}
    pair = authority.pair(*sorted(names | {HERE}))
    for name, text in (("cert.pem", pair.certificate), ("key.pem", pair.key), ("ca.pem", authority.pem)):
        (folder / name).write_text(text)
    issuer = Issuer("one")
    with providers(2, folder) as (vendors, keys), providers(2) as (plain, collector):
        keys.always, collector.always = {"body": issuer.jwks()}, {"body": "{}"}
        ports = World(*(port_of(p.url) for p in (vendors, plain, keys, collector)))
        yield folder / "ca.pem", issuer, (vendors, plain), ports


@pytest.fixture(scope="module", params=list(SERVED))
def example(
    request: pytest.FixtureRequest,
    authority: Authority,
    world: tuple[Any, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Example]:
    ca, issuer, vendors, ports = world
    one, folder = SERVED[request.param], tmp_path_factory.mktemp(request.param)
    for document in one.build.documents:
        (folder / document.filename).write_text(text_of(document), "utf-8")
    moved = move(folder, ports, ca)
    secrets = _secrets(folder, authority)
    secretfiles.write(folder, secrets)
    with running(folder, moved.admin):
        trusting = ssl.create_default_context(cafile=str(ca))
        yield Example(one.gateway, moved, secrets, issuer, vendors, trusting)


def _secrets(folder: Path, authority: Authority) -> dict[str, str]:
    """A made-up value for every secret, and real certificates where one is asked for."""
    values = secretfiles.placeholders(secretfiles.read(folder))
    pair = authority.pair(HERE)
    parts = {"certificate": pair.certificate, "key": pair.key, "ca": authority.pem, "client-ca": authority.pem}
    return {
        name: parts.get(name.rpartition(".")[2], value) if name.count(".") == 2 and "consumers" not in name else value
        for name, value in values.items()
    }


def _questions(model: ir.Model) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a model can be asked: (path, body)."""
    names = (model.name, *model.aliases)
    for name in names if "embeddings" in model.capabilities else ():
        yield "/v1/embeddings", {"model": name, "input": ["a", "b"]}
    said = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}
    for stream in (False, True) if "chat" in model.capabilities else ():
        yield from (("/v1/chat/completions", {"model": name, **said, "stream": stream}) for name in names)
        yield "/v1/messages", {"model": model.name, **said, "stream": stream}


def _text(path: str, stream: bool, answer: Any) -> str:
    """What an answer says, in the dialect of a door."""
    whole = answer.json() if not stream else None
    if path == "/v1/embeddings":
        assert whole["data"][0]["embedding"]
        return SAID
    if path == "/v1/messages":
        if not stream:
            return "".join(block["text"] for block in whole["content"])
        parts = events(answer.text)
        assert parts[-1]["type"] == "message_stop"
        return "".join(e["delta"].get("text", "") for e in parts if e["type"] == "content_block_delta")
    if not stream:
        return str(whole["choices"][0]["message"]["content"])
    *parts, done = events(answer.text)
    assert done == "[DONE]"
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in parts if c["choices"])


def _called(example: Example, model: ir.Model) -> None:
    """Of the model's first targets one was called, under its name and with its credential."""
    (seen,) = example.seen
    first = {t.provider.name: t.provider for t in model.priorities()[0]}
    provider = next(p for p in first.values() if f"//{seen.headers['host']}/" in f"{p.base_url}/")
    if provider.credential:
        key = provider.auth_prefix + example.secrets[f"providers.{provider.name}"]
        assert seen.headers[provider.auth_header] == key
    told = json.dumps(seen.headers) + seen.body.decode()
    assert not [k for k, v in example.secrets.items() if k.startswith("consumers.") and v in told]


def test_every_model_answers_everywhere(example: Example) -> None:
    for listener in example.gateway.listeners:
        for model in example.gateway.models:
            callers = [*example.callers(model)]
            assert callers, f"nobody may call {model.name}"
            for number, (path, body) in enumerate(_questions(model)):
                for caller in callers if number == 0 else callers[-1:]:
                    answer = example.ask(listener, path, body, caller)
                    assert answer.status_code == 200, (model.name, path, body, answer.text)
                    stream = body.get("stream", False)
                    assert _text(path, stream, answer) == SAID
                    assert stream or answer.json()["model"] == body["model"]
                    _called(example, model)


def test_nobody_without_a_credential(example: Example) -> None:
    for listener in example.gateway.listeners:
        for model in example.gateway.models:
            path, body = next(_questions(model))
            for headers in ([], [("authorization", "Bearer nobody")], [("x-api-key", "nobody")]):
                assert fault(example.ask(listener, path, body, headers)) == KEY_401
    assert not example.seen
