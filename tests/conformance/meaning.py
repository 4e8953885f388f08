"""A reply and the requests behind it, to what they mean: plain data that two engines can be compared by, whatever the bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.conformance.engines import CREDENTIALS, Told
from tests.conformance.table import Ask
from tests.conformance.wire import Reply

ERRORS: dict[str, tuple[int, str]] = {
    **dict.fromkeys(
        ("invalid_json", "invalid_request", "prompt_rejected", "model_not_supported", "unsupported_by_provider"),
        (400, "invalid_request_error"),
    ),
    "invalid_api_key": (401, "authentication_error"),
    **dict.fromkeys(("model_not_allowed", "ip_not_allowed"), (403, "permission_error")),
    **dict.fromkeys(("not_found", "model_not_found", "model_retired"), (404, "invalid_request_error")),
    "method_not_allowed": (405, "invalid_request_error"),
    "request_too_large": (413, "invalid_request_error"),
    "unsupported_media_type": (415, "invalid_request_error"),
    **dict.fromkeys(("rate_limit_exceeded", "request_exceeds_limit"), (429, "rate_limit_error")),
    "internal": (500, "api_error"),
    **dict.fromkeys(("upstream_error", "upstream_auth"), (502, "api_error")),
    "upstream_timeout": (504, "api_error"),
}
"""The language's table of errors: code -> status and type."""
OF_ANTHROPIC = {404: "not_found_error", 413: "request_too_large", 504: "timeout_error"}
"""Types that Anthropic's API has for a status of its own (docs.claude.com/en/api/errors)."""
PROMISED = (
    "x-aigw-",
    "x-ratelimit-",
    "retry-after",
    "allow",
    "deprecation",
    "sunset",
    "access-control-",
    "www-authenticate",
)
"""Headers of a reply, or their beginnings, that clients may rely on."""
KNOWN = {
    *PROMISED,
    "content-type",
    "content-length",
    "transfer-encoding",
    "date",
    "server",
    "vary",
    "cache-control",
    "connection",
}
"""Whatever else is in a reply is a leak: of a provider's headers, or of the engine's own."""
_OFFERED = {"content-type", "accept", "traceparent"}
_CREDENTIAL = {
    "openai": {"authorization": f"Bearer {CREDENTIALS['openai']}", "x-team": "conformance"},
    "azure": {"api-key": CREDENTIALS["azure"]},
    "claude": {"x-api-key": CREDENTIALS["claude"]},
    "gemini": {"x-goog-api-key": CREDENTIALS["gemini"]},
    "local": {},
    "inside": {},
}
_TRANSPORT = {"host", "content-length", "transfer-encoding", "connection", "accept"}
"""What differs by how bytes travel, and which answers a client of HTTP takes: not what is asked of a provider."""


def error(code: str, anthropic: bool) -> dict[str, Any]:
    """What an error of the language means at a door."""
    status, kind = ERRORS[code]
    return {"status": status, "error": {"type": OF_ANTHROPIC.get(status, kind) if anthropic else kind, "code": code}}


def of_reply(ask: Ask, reply: Reply) -> dict[str, Any]:
    """What a reply says: its status, and the fields that its kind has."""
    if "access-control-request-method" in ask.headers and (200 <= reply.status < 300 or reply.status == 405):
        # Of a preflight browsers want any 2xx, and the permission (Fetch standard, "CORS-preflight fetch").
        return {"status": 204 if "access-control-allow-origin" in reply.headers else 405}
    found: dict[str, Any] = {"status": reply.status}
    if ask.wire:  # refused before it was a request: with which status and in which words is up to the engine's HTTP
        return {"status": 400} if 400 <= reply.status < 500 else found
    kind = reply.headers.get("content-type", "").partition(";")[0]
    if kind == "text/event-stream":
        assert b":used" not in reply.raw, "what the tiers of Envoy tell each other"
        return found | {"stream": True} | (_messages if ask.anthropic else _chunks)([*_events(reply.raw)], reply.broken)
    if reply.broken:
        return found | {"end": "cut"}
    if not reply.raw:
        return found
    body = json.loads(reply.raw)
    assert kind == "application/json", kind
    if "error" in body:
        return found | {"error": _error(body, ask.anthropic)}
    if ask.door == "models":
        assert body["object"] == "list"
        return found | {"models": [m["id"] for m in body["data"]]}
    return found | (
        _whole_message(body) if ask.door == "messages" else _whole_chat(body) if ask.door == "chat" else body
    )


def _error(body: Any, anthropic: bool) -> dict[str, Any]:
    """The type and code of an error, which has the shape of the dialect that was called, and no other."""
    inner = body["error"]
    assert not any(secret in json.dumps(body) for secret in CREDENTIALS.values()), body
    if anthropic:
        assert set(body) == {"type", "error"}, body
        assert body["type"] == "error", body
        assert {"type", "message"} <= set(inner) <= {"type", "message", "code"}, body
    else:
        assert set(body) == {"error"}, body
        assert set(inner) == {"message", "type", "param", "code"}, body
    assert inner["message"], body
    return {"type": inner["type"], "code": inner.get("code")}


def _events(raw: bytes) -> Iterator[tuple[str, Any]]:
    """(event, data) of server-sent events; [DONE] stays text."""
    for block in raw.decode().replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "data" in fields:
            data = fields["data"]
            yield fields.get("event", ""), data if data == "[DONE]" else json.loads(data)


def _call(name: Any, arguments: str) -> dict[str, Any]:
    return {"name": name, "arguments": json.loads(arguments or "{}")}


def _usage_of_chat(usage: Any) -> list[int] | None:
    return [usage["prompt_tokens"], usage["completion_tokens"]] if usage else None


def _without_nothing(found: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in found.items() if v not in (None, [], "")}


def _whole_chat(body: Any) -> dict[str, Any]:
    assert body["object"] == "chat.completion", body
    (choice,) = body["choices"]
    message = choice["message"]
    calls = [_call(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls") or ()]
    return _without_nothing(
        {
            "model": body["model"],
            "says": message.get("content"),
            "tools": calls,
            "finish": choice["finish_reason"],
            "usage": _usage_of_chat(body.get("usage")),
            "big": body.get("big"),
        }
    )


def _whole_message(body: Any) -> dict[str, Any]:
    assert (body["type"], body["role"]) == ("message", "assistant"), body
    text = "".join(b["text"] for b in body["content"] if b["type"] == "text")
    calls = [{"name": b["name"], "arguments": b["input"]} for b in body["content"] if b["type"] == "tool_use"]
    assert "total_tokens" not in body["usage"], body
    usage = [body["usage"]["input_tokens"], body["usage"]["output_tokens"]]
    return _without_nothing(
        {"model": body["model"], "says": text, "tools": calls, "finish": body["stop_reason"], "usage": usage}
    )


def _end(done: bool, fault: Any, anthropic: bool, broken: bool) -> Any:
    if fault:
        assert not done, "something follows an error event"
        return {"error": _error(fault, anthropic)}
    return "done" if done and not broken else "cut"


def _chunks(events: list[tuple[str, Any]], broken: bool) -> dict[str, Any]:
    text, finish, usage, fault, models = "", None, None, None, set()
    calls: dict[int, list[str]] = {}
    for _, data in events:
        if data == "[DONE]":
            continue
        if "error" in data:
            fault = data
            continue
        assert data["object"] == "chat.completion.chunk", data
        models.add(data["model"])
        usage = data.get("usage") or usage
        for choice in data["choices"]:
            text += choice["delta"].get("content") or ""
            finish = choice.get("finish_reason") or finish
            for call in choice["delta"].get("tool_calls") or ():
                one = calls.setdefault(call["index"], ["", ""])
                one[0] += call["function"].get("name") or ""
                one[1] += call["function"].get("arguments") or ""
    done = bool(events) and events[-1][1] == "[DONE]"
    end = _end(done, fault, False, broken)
    tools = [_call(*one) if end == "done" else {"name": one[0]} for one in calls.values()]
    return _of_stream(models, text, tools, finish, _usage_of_chat(usage), end)


def _messages(events: list[tuple[str, Any]], broken: bool) -> dict[str, Any]:
    text, finish, fault, models, usage = "", None, None, set(), {}
    calls: dict[int, list[str]] = {}
    for name, data in events:
        assert name == data["type"], data
        match name:
            case "error":
                fault = data
            case "message_start":
                models.add(data["message"]["model"])
                usage = data["message"]["usage"]
            case "content_block_start" if data["content_block"]["type"] == "tool_use":
                calls[data["index"]] = [data["content_block"]["name"], ""]
            case "content_block_delta":
                text += data["delta"].get("text", "")
                if "partial_json" in data["delta"]:
                    calls[data["index"]][1] += data["delta"]["partial_json"]
            case "message_delta":
                finish = data["delta"]["stop_reason"]
                usage = {**usage, **data.get("usage", {})}
    assert "total_tokens" not in usage, usage
    done = bool(events) and events[-1][0] == "message_stop"
    end = _end(done, fault, True, broken)
    tools = [_call(*one) if end == "done" else {"name": one[0]} for one in calls.values()]
    counted = [usage["input_tokens"], usage["output_tokens"]] if usage else None
    return _of_stream(models, text, tools, finish, counted, end)


def _of_stream(models: set[str], text: str, tools: Any, finish: Any, usage: Any, end: Any) -> dict[str, Any]:
    assert len(models) <= 1, models
    return _without_nothing(
        {"model": "".join(models), "says": text, "tools": tools, "finish": finish, "usage": usage, "end": end}
    )


def promised(ask: Ask, reply: Reply) -> dict[str, str]:
    """The headers of a reply that the language speaks of; a wait is there or not, since it hangs on the clock."""
    if ask.wire:
        return {}
    found = {k: v for k, v in reply.headers.items() if k.startswith(PROMISED) and not k.startswith("x-ratelimit-")}
    found.pop("access-control-expose-headers", None)  # test_conformance.py holds it to what is there
    permitted = reply.status < 300 and "access-control-allow-origin" in reply.headers
    if "access-control-request-method" in ask.headers and not permitted:
        return {}  # a browser takes it for a failure, whatever else it says
    return found | ({"retry-after": "some"} if int(found.get("retry-after", 0)) > 60 else {})


def leaks(headers: Mapping[str, str]) -> list[str]:
    """Headers of a reply that nobody promised."""
    return [k for k in headers if k not in KNOWN and not k.startswith(PROMISED)]


def of_sent(told: Told) -> list[dict[str, Any]]:
    """What each provider was asked."""
    return [
        {
            "to": name,
            "method": seen.method,
            "path": seen.path,
            "headers": {k: v for k, v in seen.headers.items() if k not in _TRANSPORT},
            "body": _asked(json.loads(seen.body)),
        }
        for name, seen in told.sent
    ]


def _asked(body: Any) -> Any:
    """A body, with a system prompt of plain blocks as the text that it is."""
    system = body.get("system")
    if isinstance(system, list) and all(set(block) == {"type", "text"} for block in system):
        return {**body, "system": "\n".join(block["text"] for block in system)}
    return body


def unfit(ask: Ask, told: Told, hosts: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with requests to providers whatever the row says: headers that may not go, credentials, the host."""
    for name, seen in told.sent:
        own = _CREDENTIAL[name]
        same = name != "gemini" and (name == "claude") == ask.anthropic
        passed = ("anthropic-" if ask.anthropic else "openai-", "idempotency-key") if same else ()
        extra = ("anthropic-version",) if name == "claude" else ()
        for header, value in seen.headers.items():
            if header in _TRANSPORT | _OFFERED or header.startswith((*passed, *extra)):
                continue
            if own.get(header) != value:
                yield f"{name} was sent {header}: {value}"
        yield from (f"{name} was not sent {header}" for header in own if header not in seen.headers)
        if seen.headers["host"] != hosts[name]:
            yield f"{name} was called as {seen.headers['host']}"
        if seen.headers.get("content-type", "").partition(";")[0] != "application/json":
            yield f"{name} was sent a body of {seen.headers.get('content-type')}"


def within(expected: Any, found: Any) -> bool:
    """Whether all that is expected is there: objects may hold more, lists and values are equal, `any` is anything."""
    if expected == "any":
        return found is not None
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(within(v, found.get(k)) for k, v in expected.items())
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(within, expected, found))
    return bool(expected == found) and (expected is True) == (found is True)


def names(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """`sent` as a list of objects: a provider's name alone says nothing else of the request."""
    return [{"to": row} if isinstance(row, str) else dict(row) for row in rows]
