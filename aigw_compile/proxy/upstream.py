"""One attempt at one target: a body and a target to a reply in the hub form, a stream of its chunks, or the cause of failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import aiohttp
import orjson

from aigw_compile.proxy.config import Model, Target
from aigw_compile.proxy.dialects import DIALECTS, StreamOf
from aigw_compile.proxy.secrets import Secret

PASSED = (b"traceparent", b"tracestate")
LARGEST_REPLY = 64 << 20
LARGEST_EVENT = 4 << 20


class Failed(NamedTuple):
    """Why an attempt failed. `cause` is a word of the language; None means that the client gets the answer as it is."""

    cause: str | None
    status: int
    error: Mapping[str, Any]
    retry_after: str = ""


class Reply(NamedTuple):
    body: dict[str, Any]


class Streamed(NamedTuple):
    """A stream whose first chunk is there already, so that an attempt that dies before it can still be retried."""

    first: list[dict[str, Any]]
    rest: AsyncIterator[dict[str, Any]]
    state: StreamOf
    close: Any


class StreamBroken(Exception):
    """The stream ended before its end: cut, stalled, or not understood. The message is the cause."""


def cause_of(status: int, error: Mapping[str, Any]) -> str | None:
    """Return the cause that a provider's status and error stand for; None for what goes to the client at once."""
    code, kind = str(error.get("code") or ""), str(error.get("type") or "")
    if status == 402 or "insufficient_quota" in (code, kind):
        return "quota-exceeded"
    if status == 429:
        return "rate-limited"
    if status in (503, 529):
        return "overloaded"
    if status in (401, 403):
        return "auth-error"
    if status >= 500:
        return "server-error"
    if code == "context_length_exceeded":
        return "context-length"
    if code in ("content_filter", "content_policy_violation"):
        return "content-filter"
    return None


class Upstream:
    """Sends requests to providers. Holds their credentials; nothing of them is ever shown."""

    def __init__(self, session: aiohttp.ClientSession, keys: Mapping[str, Secret], bases: Mapping[str, str]) -> None:
        self._session = session
        self._keys = keys
        self._bases = bases
        """Provider -> another base URL, for the mock providers."""

    def headers(self, target: Target, client: list[tuple[bytes, bytes]]) -> dict[str, str]:
        """What a provider is sent: its own headers and credential, and of the client's only what is on the list."""
        provider = target.provider
        passes = (*PASSED, *DIALECTS[provider.dialect].passes)
        sent = {k.decode(): v.decode("latin-1") for k, v in client if k.lower().startswith(passes)}
        sent |= {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            **provider.headers,
        }
        key = self._keys.get(provider.name)
        if provider.auth and key:
            sent[provider.auth.header] = f"{provider.auth.prefix}{key.reveal()}"
        return sent

    async def attempt(
        self, model: Model, target: Target, body: dict[str, Any], name: str, client: list[tuple[bytes, bytes]]
    ) -> Reply | Streamed | Failed:
        """Send once. Raises the dialect's Unsupported, and asyncio.TimeoutError when the whole request runs out of time."""
        dialect = DIALECTS[target.provider.dialect]
        sent = dialect.request(body, name if target.model == "*" else target.model)
        url = self._bases.get(target.provider.name, target.provider.base_url) + dialect.path
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=model.connect, sock_read=None)
        try:
            async with asyncio.timeout(model.first_byte):
                response = await self._session.post(
                    url,
                    data=_dumped(sent),
                    headers=self.headers(target, client),
                    timeout=timeout,
                    allow_redirects=False,
                )
        except aiohttp.ServerTimeoutError:
            return _gone("connect-failure")
        except TimeoutError:
            return _gone("timeout")
        except (aiohttp.ClientError, OSError):
            return _gone("connect-failure")
        try:
            return await self._answer(model, dialect, response, body.get("stream") is True)
        except BaseException:
            response.close()
            raise

    async def _answer(self, model: Model, dialect: Any, response: Any, stream: bool) -> Reply | Streamed | Failed:
        if response.status == 200 and stream and response.content_type == "text/event-stream":
            state = dialect.stream()
            rest = _chunks(response, state, model.idle)
            try:
                first = await anext(rest, None)
            except StreamBroken as broken:
                response.close()
                return _gone("timeout" if str(broken) == "timeout" else "bad-response")
            if first is None and not state.done:
                response.close()
                return _gone("bad-response")
            return Streamed([first] if first is not None else [], rest, state, response.close)
        try:
            raw = await _read(response, model.idle)
        except TimeoutError:
            response.close()
            return _gone("timeout")
        except (aiohttp.ClientError, OSError, ValueError):
            response.close()
            return _gone("bad-response")
        response.release()
        try:
            data = orjson.loads(raw)
        except ValueError:
            data = None
        if response.status != 200:
            error = dialect.error(data)
            return Failed(
                cause_of(response.status, error), response.status, error, response.headers.get("retry-after", "")
            )
        try:
            return Reply(dialect.reply(data))
        except (KeyError, TypeError, ValueError, AttributeError):
            return _gone("bad-response")


def _gone(cause: str) -> Failed:
    return Failed(cause, 504 if cause == "timeout" else 502, {})


def _dumped(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except (TypeError, ValueError):  # an integer beyond 64 bits: orjson has none, and it must arrive as it was sent
        import json

        return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")


async def _read(response: Any, idle: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        async with asyncio.timeout(idle):
            part = await response.content.readany()
        if not part:
            return b"".join(parts)
        size += len(part)
        if size > LARGEST_REPLY:
            raise ValueError("the reply is too large")
        parts.append(part)


async def _chunks(response: Any, state: StreamOf, idle: float) -> AsyncIterator[dict[str, Any]]:
    """Yield the chunks of an event stream. Raises StreamBroken where it stops before its end."""
    buffer = b""
    while not state.done:
        try:
            async with asyncio.timeout(idle):
                part = await response.content.readany()
        except TimeoutError:
            raise StreamBroken("timeout") from None
        except (aiohttp.ClientError, OSError):
            raise StreamBroken("cut") from None
        if not part:
            raise StreamBroken("cut")
        buffer = (buffer + part).replace(b"\r\n", b"\n")
        if len(buffer) > LARGEST_EVENT:
            raise StreamBroken("bad-response")
        *events, buffer = buffer.split(b"\n\n")
        for event in events:
            name, data = _event(event)
            if not data:
                continue
            try:
                for chunk in state.chunks(name, data):
                    yield chunk
            except (KeyError, TypeError, ValueError, AttributeError):
                raise StreamBroken("bad-response") from None


def _event(text: bytes) -> tuple[str, bytes]:
    """Return (event, data) of one server-sent event; comment lines are passed over."""
    name, data = "", []
    for line in text.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value.decode("utf-8", "replace")
        elif field == b"data":
            data.append(value)
    return name, b"\n".join(data)
