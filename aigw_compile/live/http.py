"""An address to the JSON that answers there: GET alone, of that address alone, TLS checked, bounded in bytes, pages and time."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from aigw_compile.live.codes import LiveError

_CHUNK = 1 << 16


class Door(NamedTuple):
    """What is asked, and what the environment holds for it."""

    what: str
    token: str = ""
    """The variable with the token; "" where none is sent."""
    header: str = ""
    """The header that the token is sent in."""
    authority: str = "SSL_CERT_FILE"
    """The variable with a file of authorities; Python's TLS reads the default one by itself."""


class Client:
    """Asks at one door, over one connection. Raises LiveError; nothing that it says quotes the token or an answer."""

    MOST_PAGES = 10_000
    MOST_BYTES = 512 << 20
    PAGE_BYTES = 64 << 20
    SECONDS = 120.0
    WAIT = 20.0
    """Seconds without a byte."""

    def __init__(self, door: Door, environment: Mapping[str, str]) -> None:
        self._door = door
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "aigw-compile"}
        if token := environment.get(door.token, "").strip():
            if not token.isascii() or not token.isprintable():
                raise LiveError("AIG7111", f"{door.token} holds letters that no header may have")
            self._headers[door.header] = token
        self._authority = environment.get(door.authority, "")
        self._held: http.client.HTTPConnection | None = None
        self._end = time.monotonic() + self.SECONDS
        self._bytes = self._pages = 0

    def get(self, url: str, shown: str, *, missing: bool = False) -> Any:
        """Return the JSON at an address; None for 404, where `missing` says that it may be so."""
        path, hint = urlsplit(url).path, f"is it the address of {self._door.what}?"
        self._pages += 1
        if self._pages > self.MOST_PAGES:
            raise LiveError("AIG7113", f"{shown}: more than {self.MOST_PAGES:,} pages")
        try:
            status, kind, raw = self._answer(url, shown)
        except ssl.SSLCertVerificationError as error:
            hint = f"{self._door.authority}=FILE names the authority that signed it"
            raise LiveError(
                "AIG7110", f"{shown}: its certificate is not trusted: {error.verify_message}", hint
            ) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() > self._end:
                raise LiveError("AIG7113", f"{shown}: reading takes more than {self.SECONDS:.0f} seconds") from None
            if isinstance(error, TimeoutError):
                raise LiveError("AIG7110", f"{shown}: no answer for {self.WAIT:.0f} seconds") from None
            raise LiveError("AIG7110", f"{shown} cannot be reached: {_reason(error)}") from None
        if status == 404 and missing:
            return None
        if status in (401, 403):
            own = self._door.token
            hint = f"put a token that may read it into {own}" if own else "something before it asks who calls"
            raise LiveError("AIG7111", f"{shown}: {path} is refused ({status})", hint)
        if status != 200:
            what = "it redirects" if 300 <= status < 400 else f"{path} is answered with {status}"
            raise LiveError("AIG7112", f"{shown}: {what}", hint)
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            what = "an HTML page" if "html" in kind else "no JSON"
            raise LiveError("AIG7112", f"{shown}: {path} is {what}", hint) from None

    def _answer(self, url: str, shown: str) -> tuple[int, str, bytes]:
        """Ask; once more where a connection that was kept turns out to be closed."""
        kept = self._held is not None
        try:
            return self._asked(url, shown)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self._held = None
            if not kept:
                raise
            return self._asked(url, shown)

    def _asked(self, url: str, shown: str) -> tuple[int, str, bytes]:
        split = urlsplit(url)
        connection = self._held or self._connection(split.scheme, split.hostname or "", split.port)
        self._held = None
        if connection.sock is None:
            connection.connect()
        # A server may also dribble the head of its answer, which no timeout of a socket bounds.
        guard = threading.Timer(max(self._end - time.monotonic(), 0), _cut, [connection.sock])
        guard.daemon = True
        guard.start()
        try:
            target = f"{split.path}?{split.query}" if split.query else split.path
            connection.request("GET", target, headers=self._headers)
            answer = connection.getresponse()
            raw = self._body(answer, f"{shown}: {split.path}")
        finally:
            guard.cancel()
        self._held = connection
        return answer.status, answer.headers.get_content_type(), raw

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme != "https":
            return http.client.HTTPConnection(host, port, timeout=self.WAIT)
        try:
            context = ssl.create_default_context(cafile=self._authority or None)
        except (OSError, ValueError):
            raise LiveError("AIG7110", f"{self._door.authority} names no file with certificates (PEM)") from None
        return http.client.HTTPSConnection(host, port, timeout=self.WAIT, context=context)

    def _body(self, answer: http.client.HTTPResponse, what: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        while chunk := answer.read1(_CHUNK):
            parts.append(chunk)
            size += len(chunk)
            self._bytes += len(chunk)
            if size > self.PAGE_BYTES or self._bytes > self.MOST_BYTES:
                raise LiveError("AIG7113", f"{what} is too large to be read")
        if answer.length:
            raise ConnectionError("the answer broke off")
        answer.close()  # or the connection would not take another request
        return b"".join(parts)


def _cut(sock: socket.socket) -> None:
    """End what is waited for: below TLS, whose own end would wait too."""
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return "the connection broke off" if isinstance(error, http.client.HTTPException) else str(error) or "no answer"
