"""What a dialect is, and what it says when something does not fit: the request, the reply, or the provider's own error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn, Protocol

import orjson

from aigw_compile.proxy.config import Provider

Body = dict[str, Any]

Cannot = Callable[[str], None]
"""Told the name of a field that a provider's dialect cannot carry. Raises Unsupported; or returns, and the field is left out."""


NO_ANSWER = (LookupError, TypeError, ValueError, AttributeError, RecursionError)
"""What reading something raises that is no answer of its dialect."""


class StreamOf(Protocol):
    """Turns a provider's events into those of a form; remembers usage, in the hub form, and whether the end was seen."""

    @property
    def done(self) -> bool: ...

    @property
    def usage(self) -> Body | None: ...

    def events(self, name: str, data: bytes) -> Iterator[Body]:
        """Raises StreamError; one of NO_ANSWER for what is no event."""

    def end(self) -> Iterator[Body]:
        """The bytes have ended, and `done` was not seen: what is left to say, where that is an end too."""


class Closed:
    """For streams whose end is an event of its own."""

    def end(self) -> Iterator[Body]:
        yield from ()


class Operation(NamedTuple):
    """One thing that a provider can be asked, with bodies and replies in one form."""

    path: Callable[[Provider, str, bool], str]
    """(provider, its model, whether it streams) -> what is added to the base URL, encoded."""
    request: Callable[[Body, str, Cannot], Body]
    """(body, provider's model, what to do about fields that cannot be carried) -> body. Raises Malformed."""
    reply: Callable[[Any], Body]
    """A provider's reply -> the form. Raises Refused; one of NO_ANSWER for what is none."""
    stream: Callable[[], StreamOf]
    usage: Callable[[Body], Any]
    """A reply in the form -> its usage in the hub form."""


class Dialect(NamedTuple):
    operations: Mapping[tuple[str, str], Operation]
    """(form of bodies and replies, kind) -> how to ask for it. The hub form is `openai`."""
    speaks: str
    """The dialect of clients whose bodies go to such a provider as they are; "" for none."""
    passes: tuple[str, ...]
    """Client headers that a provider of this dialect is sent where the client speaks it too."""
    error: Callable[[Any], Body]
    """A provider's error body -> {message, type, param, code}, each a text or None."""


def fixed(path: str) -> Callable[[Provider, str, bool], str]:
    """A path that is the same for every model."""
    return lambda _provider, _model, _stream: path


def usage_field(reply: Body) -> Any:
    return reply.get("usage")


class NoStream(Closed):
    """For operations that do not stream."""

    done = False
    usage: Body | None = None

    def events(self, name: str, data: bytes) -> Iterator[Body]:
        raise ValueError("this is never streamed")


def refusing(field: str) -> None:
    """The Cannot of a target that refuses what it cannot carry."""
    raise Unsupported(field)


class Unsupported(ValueError):
    """A field that a provider's dialect cannot carry; its name is the message."""


class Malformed(ValueError):
    """A field of a request that has no meaning in any dialect; the message is (field, what it must be)."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"`{field}` must be {what}.")
        self.field = field


def typed(value: Any, kind: type | tuple[type, ...], field: str, what: str) -> Any:
    """Return a value that has the type it must have. Raises Malformed."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise Malformed(field, what)
    return value


class Turns(NamedTuple):
    """How a dialect that wants its turns to alternate writes the messages of a chat."""

    speaker: str
    """What an assistant is called."""
    holds: str
    """The field of a turn that holds its parts."""
    parts: Callable[..., list[Body]]
    """(content, its place, cannot, only_text) -> parts."""
    result: Callable[[Body, str], Body]
    """(a message of a tool, its place) -> the part that carries what it said."""
    use: Callable[[Any, str], Body | None]
    """(a call of a tool, its place) -> the part that carries it; None where it cannot be carried."""


def turns(messages: list[Any], cannot: Cannot, how: Turns) -> tuple[list[Body], list[Body]]:
    """Return (parts of the system prompt, turns): neighbours of one role are one turn, and a turn without parts is none."""
    system: list[Body] = []
    found: list[Body] = []

    def push(role: str, parts: list[Body]) -> None:
        if found and found[-1]["role"] == role:
            found[-1][how.holds].extend(parts)
        elif parts:
            found.append({"role": role, how.holds: parts})

    for index, message in enumerate(messages):
        role, content, at = message["role"], message.get("content"), f"messages[{index}]"
        if role in ("system", "developer"):
            system += how.parts(content, f"{at}.content", cannot, only_text=True)
        elif role == "tool":
            push("user", [how.result(message, at)])
        elif role == "assistant":
            if message.get("function_call"):
                cannot("messages.function_call")
            calls = typed(message.get("tool_calls") or [], list, f"{at}.tool_calls", "a list")
            uses = [made for i, c in enumerate(calls) if (made := how.use(c, f"{at}.tool_calls[{i}]"))]
            push(how.speaker, [*how.parts(content, f"{at}.content", cannot, only_text=True), *uses])
        elif role == "user":
            push("user", how.parts(content, f"{at}.content", cannot))
        else:
            cannot(f"messages.role={role}")
    return system, found


class Refused(ValueError):
    """A reply that is an error in truth; `error` is {message, type, param, code}."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__("refused")
        self.error = error


def dumped(body: Any) -> bytes:
    """JSON as it was read: also integers beyond 64 bits, and what is very deep."""
    try:
        return orjson.dumps(body)
    except (TypeError, ValueError):
        return json.dumps(body, ensure_ascii=False).encode("utf-8")


def no_constant(word: str) -> NoReturn:
    """NaN and Infinity are no JSON."""
    raise ValueError(word)


class StreamError(ValueError):
    """A provider's error in the middle of its stream; the message is the cause, in the words of the language."""


_STATUSES: Mapping[int, str] = {
    401: "auth-error",
    402: "quota-exceeded",
    403: "auth-error",
    429: "rate-limited",
    503: "overloaded",
    529: "overloaded",
}
_WORDS: Mapping[str, str] = {
    "insufficient_quota": "quota-exceeded",
    "billing_error": "quota-exceeded",
    "context_length_exceeded": "context-length",
    "content_filter": "content-filter",
    "content_policy_violation": "content-filter",
    "rate_limit_exceeded": "rate-limited",
    "rate_limit_error": "rate-limited",
    "overloaded_error": "overloaded",
    "authentication_error": "auth-error",
    "permission_error": "auth-error",
    "timeout_error": "timeout",
    "server_error": "server-error",
    "api_error": "server-error",
}
"""Codes and types of errors at OpenAI (platform.openai.com/docs/guides/error-codes) and Anthropic
(docs.claude.com/en/api/errors). In a stream they stand alone; beside a status they only make it more precise."""
_PRECISE = frozenset({"quota-exceeded", "context-length", "content-filter", "auth-error"})


def cause_of(status: int, error: Mapping[str, Any]) -> str | None:
    """Return the cause that a provider's error stands for; None for what goes to the client at once.

    `status`: 0 where there is none, in the middle of a stream. `error`: {message, type, param, code}.
    """
    named = next(
        (_WORDS[w] for w in (error.get("code"), error.get("type")) if isinstance(w, str) and w in _WORDS), None
    )
    if not status or named in _PRECISE:
        return named
    return _STATUSES.get(status) or ("server-error" if status >= 500 else "bad-response" if status < 400 else None)
