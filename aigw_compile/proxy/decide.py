"""What to do with a request: a pure function of configuration and request, and so the meaning of a spec in code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from aigw_compile.proxy.config import Config, Consumer, Decorator, Guard, Listener, Model, Who
from aigw_compile.proxy.errors import (
    FORBIDDEN,
    MEDIA_TYPE,
    NOT_FOUND,
    REJECTED,
    TOO_LARGE,
    UNAUTHORISED,
    Refuse,
    invalid,
    method_not_allowed,
    model_not_found,
)
from aigw_compile.proxy.policies.limits import Counter, counters
from aigw_compile.proxy.policies.prompt_decorator import decorated
from aigw_compile.proxy.policies.prompt_guard import refuses

CHAT = "/v1/chat/completions"
MODELS = "/v1/models"
DOORS: Mapping[str, str] = {CHAT: "POST", MODELS: "GET"}

Headers = Sequence[tuple[bytes, bytes]]


class Models(NamedTuple):
    """GET /v1/models: the names that the caller may use."""

    names: tuple[str, ...]


class Call(NamedTuple):
    """A chat request that passed steps 0 to 6 of the request order."""

    model: Model
    asked: str
    """The name that the client used; replies carry it."""
    consumer: Consumer | None
    body: dict[str, Any]
    size: int
    """Bytes of the client's body as received."""
    counters: tuple[Counter, ...]

    @property
    def stream(self) -> bool:
        return self.body.get("stream") is True

    @property
    def wants_usage(self) -> bool:
        options = self.body.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    @property
    def output_cap(self) -> int | None:
        for field in ("max_completion_tokens", "max_tokens"):
            value = self.body.get(field)
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                return value
        return None

    @property
    def choices(self) -> int:
        n = self.body.get("n")
        return n if isinstance(n, int) and not isinstance(n, bool) and n > 0 else 1


def door(listener: Listener, method: str, host: str, path: str) -> str | Refuse:
    """Step 0: the door that a request came to, before anything else is looked at."""
    if listener.hostnames and not any(_host(name, host) for name in listener.hostnames):
        return NOT_FOUND
    inner = path.removeprefix(listener.base_path) if path.startswith(listener.base_path) else ""
    if inner not in DOORS:
        return NOT_FOUND
    return inner if method == DOORS[inner] else method_not_allowed(DOORS[inner])


def _host(name: str, host: str) -> bool:
    host = host.lower().rsplit(":", 1)[0] if not host.startswith("[") else host.lower()
    return host.endswith(name[1:]) and host != name[2:] if name.startswith("*.") else host == name


def oversized(listener: Listener, size: int) -> Refuse | None:
    """Step 2."""
    return TOO_LARGE if size > listener.max_body_size else None


def who(config: Config, keys: Mapping[str, Consumer], headers: Headers) -> Consumer | Refuse | None:
    """Step 3: the caller. The first configured header that is present decides; None is an anonymous caller."""
    if not config.headers:
        return None
    for name in config.headers:
        values = [value for key, value in headers if key.lower() == name.encode()]
        if not values:
            continue
        key = values[0].decode("latin-1")
        if name == "authorization":
            scheme, _, key = key.partition(" ")
            key = key.strip() if scheme.lower() == "bearer" else ""
        return keys.get(key, UNAUTHORISED) if len(values) == 1 else UNAUTHORISED
    return UNAUTHORISED


def models(config: Config, consumer: Consumer | None) -> Models:
    """The names that a caller may use."""
    return Models(tuple(n for m in config.models if allowed(m, consumer) for n in (m.name, *m.aliases)))


def call(config: Config, consumer: Consumer | None, headers: Headers, body: bytes) -> Call | Refuse:
    """Steps 4 to 6: the body, the model, and whether the caller may use it."""
    fields = {key.lower(): value.decode("latin-1").strip().lower() for key, value in headers}
    if fields.get(b"content-encoding", "identity") != "identity":
        return MEDIA_TYPE
    if fields.get(b"content-type", "").partition(";")[0].strip() != "application/json":
        return MEDIA_TYPE
    try:
        data = json.loads(body.decode("utf-8"), object_pairs_hook=_pairs, parse_constant=_no_constant)
    except _Duplicate as twice:
        return invalid("invalid_json", f"The key {twice} stands twice.")
    except (ValueError, RecursionError):
        return invalid("invalid_json", "The body is not valid JSON in UTF-8.")
    if not isinstance(data, dict):
        return invalid("invalid_request", "The body must be a JSON object.")
    name = data.get("model")
    if not isinstance(name, str) or not name:
        return invalid("invalid_request", "`model` must be a text.", param="model")
    messages = data.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
        return invalid("invalid_request", "`messages` must be a list of messages.", param="messages")
    model = config.names().get(name)
    if model is None:
        return model_not_found(name)
    if not allowed(model, consumer):
        return FORBIDDEN
    return Call(model, name, consumer, data, len(body), tuple(counters(config, model, consumer)))


def guarded(config: Config, one: Call) -> Refuse | None:
    """Step 8: every guard that applies must pass, on the client's own body."""
    guards = [guard for guard in _placed(config, one, "guard") if isinstance(guard, Guard)]
    return REJECTED if refuses(guards, one.body["messages"]) else None


def sent(config: Config, one: Call) -> dict[str, Any]:
    """Step 11: the body that goes to a provider, decorated, before it is translated for one."""
    decorators = [d for d in _placed(config, one, "decorator") if isinstance(d, Decorator)]
    return {**one.body, "messages": decorated(one.body["messages"], decorators)}


def _placed(config: Config, one: Call, field: str) -> list[Any]:
    """The policies of a kind that apply: gateway, model, groups, consumer."""
    groups = [config.groups[g] for g in one.consumer.groups if g in config.groups] if one.consumer else []
    own = [one.consumer.policies] if one.consumer else []
    return [getattr(p, field) for p in (config.policies, one.model.policies, *groups, *own) if getattr(p, field)]


def allowed(model: Model, consumer: Consumer | None) -> bool:
    """Step 6: deny wins; an absent allow means everybody."""

    def hit(some: Who) -> bool:
        return consumer is not None and (consumer.name in some.consumers or not some.groups.isdisjoint(consumer.groups))

    if model.deny is not None and hit(model.deny):
        return False
    return model.allow is None or hit(model.allow)


class _Duplicate(ValueError):
    pass


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Keys come here unescaped, so `mod\\u0065l` beside `model` is found too."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Duplicate(repr(key[:60]))
            seen.add(key)
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError(word)
