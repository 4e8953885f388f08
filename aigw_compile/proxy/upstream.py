"""One attempt at one target: a body and a target to a reply or a stream in the client's dialect, or the cause of failure."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
import orjson
from yarl import URL

from aigw_compile.proxy.asking import Unreachable
from aigw_compile.proxy.config import Model, Target
from aigw_compile.proxy.dialects.base import NO_ANSWER, Body, Refused, StreamError, StreamOf, cause_of, dumped, refusing
from aigw_compile.proxy.doors import Door, Way, way
from aigw_compile.proxy.entra import Entra
from aigw_compile.proxy.held import Outgoing
from aigw_compile.proxy.policies.parameters import with_parameters
from aigw_compile.proxy.secrets import Secret

PASSED = ("traceparent",)
"""Client headers that every provider is sent."""
OWN = ("User-Agent", "Accept-Encoding")
"""Headers that aiohttp would add by itself."""
BEARER = ("authorization", "Bearer ")
LARGEST_REPLY = 64 << 20
LARGEST_ERROR = 1 << 20
LARGEST_EVENT = 4 << 20

Headers = Sequence[tuple[bytes, bytes]]


class Failed(NamedTuple):
    """Why an attempt failed. `cause` is a word of the language; None means that the client gets the answer as it is."""

    cause: str | None
    status: int
    error: Mapping[str, Any]
    """{message, type, param, code} as the provider said it, without its credential."""
    retry_after: str = ""


class Reply(NamedTuple):
    body: Body
    """In the client's dialect."""
    usage: Any
    """In the hub form."""


class Prepared(NamedTuple):
    """A request on its way to one target."""

    way: Way
    path: str
    """Added to the provider's base URL, encoded."""
    body: bytes
    asked: Body
    """What the client wants, in its own dialect."""
    stream: bool
    dropped: int
    """Fields that the provider's dialect cannot carry, and that the target lets fall."""


class Streamed:
    """A stream whose first event is there already, so that an attempt that dies before it can still be retried."""

    def __init__(self, response: Any, state: StreamOf, idle: float | None) -> None:
        self.state = state
        self.first: list[Body] = []
        self.rest = _decoded(response, state, idle)
        self._response = response

    async def begin(self) -> Failed | None:
        """Wait for the first event. Returns the failure where there is none."""
        try:
            self.first = await anext(self.rest)
        except StopAsyncIteration:
            return None if self.state.done else gone("bad-response")
        except StreamBroken as broken:
            return _early(str(broken))
        return None

    async def close(self) -> None:
        """Give the connection back where the stream came to its end; else close it, which tells the provider to stop."""
        if self.state.done:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with asyncio.timeout(0.2):
                    while await self._response.content.readany():
                        continue
                self._response.release()
                return
        self._response.close()


class StreamBroken(Exception):
    """The stream ended before its end. The message is `cut`, or a cause in the words of the language."""


_CODES = {"content-filter": "content_filter", "context-length": "context_length_exceeded"}
"""Causes that are about the client's own request, and their codes."""


def _early(cause: str) -> Failed:
    """A stream that broke before its first event."""
    if cause in _CODES:
        return Failed(cause, 400, {"code": _CODES[cause]})
    return gone("bad-response" if cause == "cut" else cause)


def gone(cause: str) -> Failed:
    """A failure without an answer."""
    return Failed(cause, 504 if cause == "timeout" else 502, {})


class Upstream:
    """Sends requests to providers. Holds their credentials; nothing of them is ever shown."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        held: Mapping[str, Outgoing],
        bases: Mapping[str, str],
        entra: Entra | None = None,
    ) -> None:
        self._session = session
        self._held = held
        self._entra = entra
        self._bases = bases
        """Provider -> another base URL, for the mock providers."""

    def headers(self, target: Target, way: Way, client: Headers, credential: Secret | None) -> dict[str, str]:
        """What a provider is sent: its own headers and credential, and of the client's only what is on the list."""
        provider = target.provider
        passes: tuple[str, ...] = (*PASSED, *way.passes)
        sent = dict(provider.headers)
        sent |= {
            name: value.decode("latin-1")
            for name, value in ((k.decode("latin-1").lower(), v) for k, v in client)
            if any(name.startswith(p) if p.endswith("-") else name == p for p in passes)
        }
        sent |= {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        held = self._held[provider.name]
        sent |= {h.name: h.value for h in provider.own_headers if not h.secret}
        sent |= {name: secret.reveal() for name, secret in held.headers.items()}
        if credential:
            header, prefix = (provider.auth.header, provider.auth.prefix) if provider.auth else BEARER
            sent[header] = f"{prefix}{credential.reveal()}"
        return sent

    def prepared(self, door: Door, target: Target, body: Body, name: str) -> Prepared | None:
        """Return what to send to a target: its parameters applied, in its dialect. None where it has no such operation.

        Raises the dialects' Unsupported and Malformed.
        """
        found = way(door, target.provider.dialect, target.provider.type)
        if found is None:
            return None
        model = name if target.model == "*" else target.model
        dropped: list[str] = []
        given = with_parameters(body, target.parameters if door.tokens else None, door.caps)
        sent = found.request(given, model, dropped.append if target.drop_unsupported else refusing)
        stream = door.stream(body)
        path = found.operation.path(target.provider, model, stream)
        return Prepared(found, path, dumped(sent), given, stream, len(dropped))

    async def attempt(
        self, model: Model, target: Target, prepared: Prepared, client: Headers
    ) -> Reply | Streamed | Failed:
        """Send a prepared request once. Never raises for what a provider does."""
        provider = target.provider
        held = self._held[provider.name]
        credential, tls = held.credential, held.tls
        try:
            if self._entra and provider.identity:
                credential = await self._entra.token(provider)
        except Unreachable:
            return gone("auth-error")
        try:
            async with asyncio.timeout(model.first_byte):
                response = await self._session.post(
                    URL(self._bases.get(provider.name, provider.base_url) + prepared.path, encoded=True),
                    data=prepared.body,
                    headers=self.headers(target, prepared.way, client, credential),
                    timeout=aiohttp.ClientTimeout(total=None, connect=model.connect, sock_connect=model.connect),
                    skip_auto_headers=OWN,
                    allow_redirects=False,
                    ssl=tls or True,
                    server_hostname=(tls and provider.tls and provider.tls.server_name) or None,
                )
        except aiohttp.ServerTimeoutError:  # no connection in time
            return gone("connect-failure")
        except TimeoutError:
            return gone("timeout")
        except (aiohttp.ClientError, OSError, ValueError):
            return gone("connect-failure")
        if self._entra and credential and response.status == 401:
            self._entra.forget(provider, credential)
        handed_on = False
        try:
            result = await self._answer(model, (credential, *held.headers.values()), prepared, response)
            handed_on = isinstance(result, Streamed)
            return result
        finally:
            if not handed_on:  # an answer that was read to its end gave its connection back already
                response.close()

    async def _answer(
        self, model: Model, secrets: Sequence[Secret | None], prepared: Prepared, response: Any
    ) -> Reply | Streamed | Failed:
        if response.status == 200 and prepared.stream:
            if response.content_type != "text/event-stream":
                return gone("bad-response")
            streamed = Streamed(response, prepared.way.stream(), model.idle)
            return await streamed.begin() or streamed
        try:
            raw = await _read(response, model.idle, LARGEST_REPLY if response.status == 200 else LARGEST_ERROR)
        except TimeoutError:
            return gone("timeout")
        except (aiohttp.ClientError, OSError, ValueError):
            raw = b""
            if response.status == 200:
                return gone("bad-response")
        try:
            data = orjson.loads(raw)
        except ValueError:
            data = None
        if response.status != 200:
            error = {name: _scrubbed(secrets, words) for name, words in prepared.way.dialect.error(data).items()}
            cause, wait = cause_of(response.status, error), response.headers.get("retry-after", "")
            return Failed(cause, response.status, error, wait if wait.isascii() and wait.isdigit() else "")
        try:
            return Reply(*prepared.way.reply(data, prepared.asked))
        except Refused as refused:
            return Failed(cause_of(400, refused.error), 400, refused.error)
        except NO_ANSWER:
            return gone("bad-response")


def _scrubbed(secrets: Sequence[Secret | None], words: str | None) -> str | None:
    """A provider's words, without what it was sent of secrets if it repeats that."""
    for secret in secrets:
        words = secret.hidden(words) if words and secret else words
    return words


async def _read(response: Any, idle: float | None, most: int) -> bytes:
    """Read a body. Raises TimeoutError, aiohttp.ClientError, and ValueError where it is over `most` bytes."""
    parts: list[bytes] = []
    size = 0
    while True:
        async with asyncio.timeout(idle):
            part = await response.content.readany()
        if not part:
            return b"".join(parts)
        size += len(part)
        if size > most:
            raise ValueError("the reply is too large")
        parts.append(part)


async def _decoded(response: Any, state: StreamOf, idle: float | None) -> AsyncIterator[list[Body]]:
    """Yield the events of a stream in the client's dialect until its end, as many at once as came at once.

    Raises StreamBroken where it stops before its end, once everything before has been yielded.
    """
    async for events in _events(response, idle):
        found: list[Body] = []
        broken = ""
        for name, data in events:
            try:
                found.extend(state.events(name, data))
            except StreamError as told:
                broken = str(told)
            except NO_ANSWER:
                broken = "bad-response"
            if broken or state.done:
                break
        if found:
            yield found
        if broken:
            raise StreamBroken(broken)
        if state.done:
            return
    try:
        if left := list(state.end()):
            yield left
    except NO_ANSWER:
        raise StreamBroken("bad-response") from None
    if not state.done:
        raise StreamBroken("cut")


async def _events(response: Any, idle: float | None) -> AsyncIterator[list[tuple[str, bytes]]]:
    """Yield (event, data) of server-sent events as they come, the last one also without the empty line after it."""
    buffer = b""
    while True:
        try:
            async with asyncio.timeout(idle):
                part = await response.content.readany()
        except TimeoutError:
            raise StreamBroken("timeout") from None
        except (aiohttp.ClientError, OSError):
            raise StreamBroken("cut") from None
        buffer = (buffer + part).replace(b"\r\n", b"\n")
        *events, buffer = buffer.split(b"\n\n")
        if not part:
            events.append(buffer)
        yield [found for found in map(_fields, events) if found[1]]
        if not part:
            return
        if len(buffer) > LARGEST_EVENT:
            raise StreamBroken("bad-response")


def _fields(event: bytes) -> tuple[str, bytes]:
    """Return (event, data) of one server-sent event; comment lines are passed over."""
    name, data = "", []
    for line in event.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value.decode("utf-8", "replace")
        elif field == b"data":
            data.append(value)
    return name, b"\n".join(data)
