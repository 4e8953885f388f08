"""The rows of cases/*.yaml as values, and a row's request as the bytes that go over the wire."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aigw_compile.source import parse
from tests.targets.tokens import Issuer

HERE = Path(__file__).parent
BASE = {"public": "", "inside": "/llm", "web": "", "secure": ""}
"""Listener -> what its paths begin with."""
DOORS = {
    "chat": ("POST", "/v1/chat/completions"),
    "messages": ("POST", "/v1/messages"),
    "count": ("POST", "/v1/messages/count_tokens"),
    "embeddings": ("POST", "/v1/embeddings"),
    "models": ("GET", "/v1/models"),
}
ANTHROPIC = ("messages", "count")
PATHS = {path: door for door, (_, path) in DOORS.items()}
PAD = b"@PAD@"
TOKEN = {"iss": "https://idp.test/", "aud": "ai", "azp": "intern"}
"""Claims of a good token, which `@TOKEN@` in a header stands for."""


class Ask(NamedTuple):
    """A request: what differs from a good one of consumer `bot`, which says hi to model `plain` at the chat door."""

    door: str = "chat"
    listener: str = "public"
    method: str = ""
    path: str = ""
    """Instead of the door's own."""
    caller: Any = "bot"
    """A consumer, whose key goes as a Bearer; {login: user:password}; {token: claims, signed: by somebody else}; or null."""
    headers: Mapping[str, Any] = {}
    """Added, or instead of those that are there: null takes one away, a list sends it several times."""
    model: Any = "plain"
    say: Any = "hi"
    more: Mapping[str, Any] = {}
    """Fields of the body besides."""
    body: Any = None
    """Instead of all that."""
    text: str | None = None
    """The body as it is, in UTF-8."""
    latin1: str | None = None
    """The body as it is, each character a byte."""
    size: int = 0
    """The body is grown to so many bytes: @PAD@ in it becomes so many letters."""
    chunked: bool = False
    wire: str = ""
    """The whole request as it goes over the wire."""
    http2: bool = False
    """Over HTTP/2 to those who speak it, which is Envoy."""
    trailers: Mapping[str, str] = {}
    """After the body, of a request in chunks or over HTTP/2."""
    shows: str = "client"
    """The certificate that a listener with TLS is shown: that of a client, of a stranger, or none."""

    @property
    def at(self) -> str:
        """The path, the listener's base included."""
        return self.path or BASE[self.listener] + DOORS[self.door][1]

    @property
    def anthropic(self) -> bool:
        """Whether the door speaks Anthropic's dialect; where there is no door, errors are told in OpenAI's."""
        return PATHS.get(self.at.partition("?")[0].removeprefix(BASE[self.listener])) in ANTHROPIC

    @property
    def data(self) -> Any:
        """The body, unless it is sent as it is."""
        if self.body is not None:
            return self.body
        if self.door == "embeddings":
            return {"model": self.model, "input": self.say, **self.more}
        capped = {"max_tokens": 50} if self.door == "messages" else {}
        return {"model": self.model, "messages": [{"role": "user", "content": self.say}], **capped, **self.more}

    def content(self) -> bytes:
        if self.latin1 is not None:
            return self.latin1.encode("latin-1")
        raw = self.text.encode() if self.text is not None else json.dumps(self.data, ensure_ascii=False).encode()
        return raw.replace(PAD, b"x" * (self.size - len(raw) + len(PAD))) if self.size else raw

    def parts(self, issuer: Issuer) -> tuple[str, list[tuple[str, str]], bytes]:
        """The method, headers and body of the request."""
        method = self.method or DOORS[self.door][0]
        body = b"" if method in ("GET", "OPTIONS") else self.content()
        headers: dict[str, Any] = {"host": "gateway.test", "content-type": "application/json"}
        headers |= {"authorization": _credential(self.caller, issuer)}
        headers |= {"transfer-encoding": "chunked"} if self.chunked else {"content-length": str(len(body))}
        headers |= self.headers
        every = [(k, one) for k, v in headers.items() for one in (v if isinstance(v, list) else [v]) if one is not None]
        return method, [(k, str(v).replace("@TOKEN@", issuer.token(**TOKEN))) for k, v in every], body

    def bytes(self, issuer: Issuer) -> bytes:
        """The request as bytes of HTTP/1.1."""
        if self.wire:
            return self.wire.replace("\n", "\r\n").encode("latin-1")
        method, headers, body = self.parts(issuer)
        lines = [f"{method} {self.at} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        if self.chunked:
            half = len(body) // 2
            last = "".join(f"{name}: {value}\r\n" for name, value in self.trailers.items()).encode()
            pieces = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:half], body[half:]))
            body = pieces + b"0\r\n" + last + b"\r\n"
        return "\r\n".join([*lines, "", ""]).encode() + body

    def streams(self, issuer: Issuer) -> tuple[list[tuple[str, str]], bytes, list[tuple[str, str]]]:
        """Headers, body and trailers of the request in HTTP/2."""
        method, headers, body = self.parts(issuer)
        (host,) = (value for name, value in headers if name == "host")
        pseudo = [(":method", method), (":scheme", "http"), (":authority", host), (":path", self.at)]
        kept = [(k.lower(), v) for k, v in headers if k not in ("host", "transfer-encoding")]
        return [*pseudo, *kept], body, [*self.trailers.items()]


def _credential(caller: Any, issuer: Issuer) -> str | None:
    if isinstance(caller, str):
        return f"Bearer key-{caller}"
    if caller and "login" in caller:
        return "Basic " + base64.b64encode(caller["login"].encode()).decode()
    if caller:
        signer = Issuer(issuer.kid) if caller.get("forged") else issuer
        return "Bearer " + signer.token(**{**TOKEN, "azp": None, **caller["token"]})
    return None


class Step(NamedTuple):
    """A request, what the providers do meanwhile, and what has to come of it."""

    ask: Ask
    providers: Mapping[str, list[dict[str, Any]]]
    answer: Any
    """By the language: a code of an error, `ok`, or fields of a meaning (meaning.py) and `headers`."""
    sent: Any
    """What the providers have to get; None: one request where the answer is a 2xx of theirs, else nothing."""
    excused: Mapping[str, str]
    """Engine -> the row of its target.yaml that says why it does something else."""
    instead: Mapping[str, Mapping[str, Any]]
    """Engine -> {answer, sent}: what it does."""


class Case(NamedTuple):
    name: str
    steps: tuple[Step, ...]


_ASK = {"as": "caller", "with": "more"}
"""Words of the table -> fields of an Ask that Python has other words for."""
_STEP = {"ask", "providers", "answer", "sent", "excused", "instead"}


def cases(only: str = "*") -> list[Case]:
    """Every row of every file, or of one, in order."""
    return [_case(path.stem, row) for path in sorted((HERE / "cases").glob(f"{only}.yaml")) for row in _rows(path)]


def every_name() -> list[str]:
    """The models of gateway.yaml, each with its aliases, as GET /v1/models lists them to whom nothing is closed."""
    models = parse((HERE / "gateway.yaml").read_bytes(), "gateway.yaml")[0][0].data["spec"]["models"]
    return [name for model in models for name in (model["name"], *model.get("aliases", ()))]


def _listed(answer: Any) -> Any:
    """`models: {but: names}` as the list that it means."""
    if isinstance(answer, dict) and isinstance(answer.get("models"), dict):
        return {**answer, "models": [name for name in every_name() if name not in answer["models"]["but"]]}
    return answer


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    yield from _whole(parse(path.read_bytes(), path.name)[0][0].data["cases"])


def _whole(value: Any) -> Any:
    """Twenty digits stand as they are written: no reader of YAML here takes them for a number."""
    if isinstance(value, dict):
        return {k: _whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_whole(v) for v in value]
    return int(value) if isinstance(value, str) and len(value) == 20 and value.isdecimal() else value


def _case(subject: str, row: dict[str, Any]) -> Case:
    steps = row.pop("steps", None) or [{k: v for k, v in row.items() if k != "name"}]
    return Case(f"{subject}: {row['name']}", tuple(_step(row["name"], step) for step in steps))


def _step(name: str, step: dict[str, Any]) -> Step:
    assert not step.keys() - _STEP, f"{name}: {step.keys() - _STEP}"
    ask = Ask(**{_ASK.get(k, k): v for k, v in step.get("ask", {}).items()})
    script = {p: [_said(s) for s in steps] for p, steps in step.get("providers", {}).items()}
    excused = step.get("excused", {})
    instead = {k: {**v, "answer": _listed(v["answer"])} for k, v in step.get("instead", {}).items()}
    assert excused.keys() == instead.keys(), f"{name}: `excused` says why, `instead` what is done"
    return Step(ask, script, _listed(step["answer"]), step.get("sent"), excused, instead)


def _said(step: Any) -> dict[str, Any]:
    """A status, `reset`, or all of what mock_upstream.py knows."""
    if isinstance(step, int):
        return {"status": step}
    return {"reset": True} if step == "reset" else {} if step == "ok" else dict(step)
