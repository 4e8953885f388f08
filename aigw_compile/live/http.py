"""An address to the JSON that answers there: GET alone, no redirects, TLS checked, bounded in bytes, pages and time."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from aigw_compile.live.codes import LiveError

_CHUNK = 1 << 16


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like another: the token must not go anywhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Client:
    """Asks one Kong. Raises LiveError; nothing that it says quotes the token or an answer."""

    MOST_PAGES = 10_000
    MOST_BYTES = 512 << 20
    PAGE_BYTES = 64 << 20
    SECONDS = 120.0
    WAIT = 20.0
    """Seconds without a byte."""

    def __init__(self, token: str, authority: str, now: Callable[[], float] = time.monotonic) -> None:
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "aigw-compile"}
        if token:
            if not token.isascii() or not token.isprintable():
                raise LiveError("AIG7111", "KONG_ADMIN_TOKEN holds letters that no header may have")
            self._headers["Kong-Admin-Token"] = token
        try:
            context = ssl.create_default_context(cafile=authority or None)
        except (OSError, ValueError):
            raise LiveError("AIG7110", "KONG_ADMIN_CA names no file with certificates (PEM)") from None
        self._opener = urllib.request.build_opener(_Stay, urllib.request.HTTPSHandler(context=context))
        self._now, self._end = now, now() + self.SECONDS
        self._bytes = self._pages = 0

    def get(self, url: str, shown: str, *, missing: bool = False) -> Any:
        """Return the JSON at an address; None for 404, where `missing` says that it may be so."""
        path = urlsplit(url).path
        self._pages += 1
        if self._pages > self.MOST_PAGES:
            raise LiveError("AIG7113", f"{shown}: more than {self.MOST_PAGES:,} pages")
        try:
            status, kind, raw = self._asked(url, shown)
        except ssl.SSLCertVerificationError as error:
            hint = "KONG_ADMIN_CA=FILE names the authority that signed it"
            raise LiveError(
                "AIG7110", f"{shown}: its certificate is not trusted: {error.verify_message}", hint
            ) from None
        except TimeoutError:
            raise LiveError("AIG7110", f"{shown}: no answer for {self.WAIT:.0f} seconds") from None
        except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
            raise LiveError("AIG7110", f"{shown} cannot be reached: {_reason(error)}") from None
        if status == 404 and missing:
            return None
        if status in (401, 403):
            hint = "put a token that may read it into KONG_ADMIN_TOKEN"
            raise LiveError("AIG7111", f"{shown}: {path} is refused ({status})", hint)
        if status != 200:
            what = "it redirects" if 300 <= status < 400 else f"{path} is answered with {status}"
            raise LiveError("AIG7112", f"{shown}: {what}", "is it the address of Kong's Admin API?")
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            what = "an HTML page" if "html" in kind else "no JSON"
            hint = "is it the address of Kong's Admin API?"
            raise LiveError("AIG7112", f"{shown}: {path} is {what}", hint) from None

    def _asked(self, url: str, shown: str) -> tuple[int, str, bytes]:
        request = urllib.request.Request(url, headers=self._headers, method="GET")
        try:
            answer = self._opener.open(request, timeout=self.WAIT)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, "", b""
        except urllib.error.URLError as error:
            raise error.reason if isinstance(error.reason, Exception) else OSError(str(error.reason)) from None
        parts: list[bytes] = []
        size = 0
        with answer:
            while chunk := answer.read1(_CHUNK):
                parts.append(chunk)
                size += len(chunk)
                self._bytes += len(chunk)
                if size > self.PAGE_BYTES or self._bytes > self.MOST_BYTES:
                    raise LiveError("AIG7113", f"{shown}: {urlsplit(url).path} is too large to be read")
                if self._now() > self._end:
                    raise LiveError("AIG7113", f"{shown}: reading takes more than {self.SECONDS:.0f} seconds")
            missing = answer.length  # of a body that broke off
        if missing:
            raise ConnectionError("the answer broke off")
        return answer.status, answer.headers.get_content_type(), b"".join(parts)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower() if not error.strerror.isupper() else error.strerror
    return "the connection broke off" if isinstance(error, http.client.HTTPException) else str(error) or "no answer"
