"""A request to a port and what came back: bytes as they are over HTTP/1.1, or headers and a body over HTTP/2."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

HERE = "127.0.0.1"
PATIENCE = 20
"""Seconds that an engine has for an answer."""


class Reply(NamedTuple):
    """What a client got. A connection that broke off is told by `broken`, with what had come by then."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    broken: bool = False


NOTHING = Reply(0, {}, b"", True)


@contextlib.contextmanager
def _connected(address: str, port: int, secure: ssl.SSLContext | None) -> Iterator[socket.socket]:
    with socket.create_connection((address, port), timeout=PATIENCE) as wire:
        if secure is None:
            yield wire
            return
        with secure.wrap_socket(wire, server_hostname=address) as inside:
            yield inside


def exchange(port: int, data: bytes, secure: ssl.SSLContext | None = None, address: str = HERE) -> Reply:
    """Send bytes as they are and read the reply: http.client reads no reply that breaks off, and hides what it holds."""
    parts, broken = [], False
    with contextlib.ExitStack() as stack:
        try:
            wire = stack.enter_context(_connected(address, port, secure))
        except ssl.SSLError:
            return NOTHING
        with contextlib.suppress(OSError):  # who is refused early may find the door shut before everything is said
            wire.sendall(data)
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


Header = tuple[str, str]


def exchange_2(
    port: int,
    headers: Sequence[Header],
    body: bytes = b"",
    trailers: Sequence[Header] = (),
    secure: ssl.SSLContext | None = None,
    address: str = HERE,
) -> Reply:
    """Send one request over HTTP/2: by ALPN with TLS, by prior knowledge without. Nothing of it is mended on the way out."""
    config = h2.config.H2Configuration(
        validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding="latin-1"
    )
    speaker = h2.connection.H2Connection(config)
    with _connected(address, port, secure) as wire:
        speaker.initiate_connection()
        speaker.send_headers(1, [(k.encode(), v.encode()) for k, v in headers], end_stream=not body and not trailers)
        return _Exchange(wire, speaker).run(body, trailers)


class _Exchange:
    """The rest of a request on its way out, and the reply on its way in."""

    def __init__(self, wire: socket.socket, speaker: h2.connection.H2Connection) -> None:
        self._wire = wire
        self._speaker = speaker
        self._status = 0
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._ended: bool | None = None
        """Whether it ended well."""

    def run(self, body: bytes, trailers: Sequence[Header]) -> Reply:
        try:
            self._send(body, trailers)
            while self._ended is None:
                self._read()
        except OSError:
            self._ended = False
        return Reply(self._status, self._headers, b"".join(self._parts), not self._ended)

    def _send(self, body: bytes, trailers: Sequence[Header]) -> None:
        speaker, at = self._speaker, 0
        while at < len(body) and self._ended is None:
            size = min(speaker.local_flow_control_window(1), speaker.max_outbound_frame_size, len(body) - at)
            if size:
                at += size
                speaker.send_data(1, body[at - size : at], end_stream=at == len(body) and not trailers)
                self._flush()
            else:
                self._read()
        if trailers and self._ended is None:
            speaker.send_headers(1, [(k.encode(), v.encode()) for k, v in trailers], end_stream=True)
        self._flush()

    def _flush(self) -> None:
        self._wire.sendall(self._speaker.data_to_send())

    def _read(self) -> None:
        self._flush()
        data = self._wire.recv(65536)
        if not data:
            self._ended = False
            return
        for event in self._speaker.receive_data(data):
            self._hear(event)
        self._flush()

    def _hear(self, event: Any) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            found = dict(event.headers)
            self._status = int(found.pop(":status"))
            self._headers = found
        elif isinstance(event, h2.events.DataReceived):
            self._parts.append(event.data)
            self._speaker.acknowledge_received_data(event.flow_controlled_length, 1)
        elif isinstance(event, h2.events.StreamEnded):
            self._ended = True
        elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
            self._ended = self._ended or False
