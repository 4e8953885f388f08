"""Anthropic's messages, version 2023-06-01, to and from the hub form: text, images, tools, JSON and events."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from aigw_compile.proxy.dialects.base import (
    Body,
    Cannot,
    Closed,
    Dialect,
    Malformed,
    NoStream,
    Operation,
    StreamError,
    Turns,
    cause_of,
    fixed,
    no_constant,
    turns,
    typed,
    usage_field,
)

MAX_TOKENS = 4096
"""Anthropic requires a cap; this one stands in where the client names none."""

CARRIED = frozenset(
    "model messages stream stream_options max_tokens max_completion_tokens temperature top_p stop user safety_identifier "
    "tools tool_choice parallel_tool_calls".split()
)
DROPPED = frozenset("metadata store prompt_cache_key service_tier top_logprobs".split())
"""Fields that do not change what an answer means."""

IDLE: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "response_format": ({"type": "text"},),
    "functions": ([],),
}
"""Fields that mean nothing at these values; clients send them without being asked."""

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "stop",
    "model_context_window_exceeded": "length",
}
_DATA_URL = re.compile(r"data:([\w/+.-]+);base64,(.*)", re.DOTALL)


def request(body: Body, model: str, cannot: Cannot) -> Body:
    """Return the body as Anthropic takes it. Raises Malformed for what no dialect takes."""
    for field, value in body.items():
        if field not in CARRIED | DROPPED and value is not None and value not in IDLE.get(field, ()):
            cannot(field)
    cap = next((body[k] for k in ("max_completion_tokens", "max_tokens") if body.get(k) is not None), MAX_TOKENS)
    sent: Body = {"model": model, "max_tokens": cap}
    system, messages = _messages(body["messages"], cannot)
    if system:
        sent["system"] = system
    sent["messages"] = messages
    for field in ("temperature", "top_p"):
        if body.get(field) is not None:
            sent[field] = min(typed(body[field], (int, float), field, "a number"), 1)
    if body.get("stream") is not None:
        sent["stream"] = body["stream"]
    if body.get("stop"):
        stop = typed(body["stop"], (str, list), "stop", "a text or a list of texts")
        sent["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    user = next((body[k] for k in ("user", "safety_identifier") if isinstance(body.get(k), str)), None)
    if user is not None:
        sent["metadata"] = {"user_id": user}
    if body.get("tools"):
        listed = enumerate(typed(body["tools"], list, "tools", "a list"))
        tools = [made for i, t in listed if (made := _tool(t, f"tools[{i}]", cannot))]
        choice = _choice(body, cannot)
        if tools:
            sent["tools"] = tools
            if choice:
                sent["tool_choice"] = choice
    return sent


def _messages(messages: list[Any], cannot: Cannot) -> tuple[str, list[Body]]:
    def result(message: Body, at: str) -> Body:
        called = typed(message.get("tool_call_id"), str, f"{at}.tool_call_id", "a text")
        parts = _parts(message.get("content"), f"{at}.content", cannot)
        return {"type": "tool_result", "tool_use_id": called, "content": parts}

    how = Turns("assistant", "content", _parts, result, lambda call, at: _tool_use(call, at, cannot))
    system, found = turns(messages, cannot, how)
    return "\n".join(part["text"] for part in system), found


def _parts(content: Any, at: str, cannot: Cannot, *, only_text: bool = False) -> list[Body]:
    """Anthropic refuses empty texts, so they are left out."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    parts: list[Body] = []
    for index, part in enumerate(content or ()):
        kind = part.get("type")
        if kind in ("text", "refusal"):
            text = typed(part.get(kind), str, f"{at}[{index}].{kind}", "a text")
            parts += [{"type": "text", "text": text}] if text else []
        elif kind == "image_url" and not only_text:
            image = typed(part.get("image_url"), dict, f"{at}[{index}].image_url", "an object")
            parts.append({"type": "image", "source": _image(typed(image.get("url"), str, f"{at}[{index}]", "a URL"))})
        else:
            cannot(f"messages.content.type={kind}")
    return parts


def _image(url: str) -> dict[str, str]:
    inline = _DATA_URL.fullmatch(url)
    if inline:
        return {"type": "base64", "media_type": inline[1], "data": inline[2]}
    return {"type": "url", "url": url}


def _tool(tool: Any, at: str, cannot: Cannot) -> Body | None:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if kind != "function":
        cannot(f"tools.type={kind}")
        return None
    function = typed(tool.get("function"), dict, f"{at}.function", "an object")
    if function.get("strict"):
        cannot("tools.function.strict")
    made = {
        "name": typed(function.get("name"), str, f"{at}.function.name", "a text"),
        "input_schema": function.get("parameters") or {"type": "object"},
    }
    if function.get("description"):
        made["description"] = function["description"]
    return made


def _tool_use(call: Any, at: str, cannot: Cannot) -> Body | None:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        cannot("messages.tool_calls of another type")
        return None
    try:
        arguments = json.loads(function.get("arguments") or "{}", parse_constant=no_constant)
    except (TypeError, ValueError, RecursionError):
        arguments = None
    return {
        "type": "tool_use",
        "id": typed(call.get("id"), str, f"{at}.id", "a text"),
        "name": typed(function.get("name"), str, f"{at}.function.name", "a text"),
        "input": typed(arguments, dict, f"{at}.function.arguments", "the text of a JSON object"),
    }


_CHOICES: Mapping[str, str] = {"required": "any", "none": "none", "auto": "auto"}


def _choice(body: Body, cannot: Cannot) -> Body | None:
    asked = body.get("tool_choice")
    choice: Body | None = None
    if isinstance(asked, dict):
        if asked.get("type") != "function":
            cannot(f"tool_choice.type={asked.get('type')}")
            return None
        function = typed(asked.get("function"), dict, "tool_choice.function", "an object")
        choice = {"type": "tool", "name": typed(function.get("name"), str, "tool_choice.function.name", "a text")}
    elif asked is not None:
        if asked not in [*_CHOICES]:
            raise Malformed("tool_choice", f"an object or one of {', '.join(_CHOICES)}")
        choice = {"type": _CHOICES[asked]}
    if body.get("parallel_tool_calls") is False:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    return choice


_FIGURES = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def usage_of(usage: Any) -> Body | None:
    """Return usage in the hub form: cached prompt tokens are prompt tokens too. None where it names no figure."""
    if not usage or all(usage.get(field) is None for field in _FIGURES):
        return None
    cached = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    prompt = (usage.get("input_tokens") or 0) + cached + written
    output = usage.get("output_tokens") or 0
    details = {"cached_tokens": cached, **({"cache_write_tokens": written} if written else {})}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": details,
    }


def reply(data: Any) -> Body:
    """Return a message as a chat completion. Raises KeyError or TypeError for what is no message."""
    texts = [p["text"] for p in data["content"] if p["type"] == "text"]
    calls = [
        {
            "id": p["id"],
            "type": "function",
            "function": {"name": p["name"], "arguments": json.dumps(p["input"], ensure_ascii=False)},
        }
        for p in data["content"]
        if p["type"] == "tool_use"
    ]
    message: Body = {"role": "assistant", "content": "".join(texts) if texts or not calls else None}
    if calls:
        message["tool_calls"] = calls
    finish = FINISH.get(data.get("stop_reason") or "", "stop")
    usage = usage_of(data.get("usage"))
    made = {
        "id": data["id"],
        "object": "chat.completion",
        "created": int(time.time()),
        "model": data["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
    }
    return {**made, "usage": usage} if usage else made


_TYPES: Mapping[str, str] = {"not_found_error": "invalid_request_error", "request_too_large": "invalid_request_error"}
"""Types of errors that the client's dialect has no word for."""
_CODES: tuple[tuple[str, str], ...] = (
    ("prompt is too long", "context_length_exceeded"),
    ("Your credit balance is too low", "insufficient_quota"),
)
"""Anthropic has no codes; what these messages begin with, other dialects have a code for."""


def error(data: Any) -> Body:
    """Return {message, type, param, code} of an error body."""
    found = data.get("error") if isinstance(data, dict) else None
    fields = found if isinstance(found, dict) else {}
    message, kind = (fields.get(k) if isinstance(fields.get(k), str) else None for k in ("message", "type"))
    code = next((code for start, code in _CODES if (message or "").startswith(start)), None)
    return {"message": message, "type": _TYPES.get(kind or "", kind), "param": None, "code": code}


class Stream(Closed):
    """Anthropic's events as chunks of a chat completion."""

    def __init__(self) -> None:
        self.done = False
        self.usage: Body | None = None
        self._counted: Body = {}
        self._head: Body = {}
        self._tools: dict[int, int] = {}

    def _chunk(self, delta: Body, finish: str | None = None) -> Body:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head, "choices": [choice]}

    def events(self, name: str, data: bytes) -> Iterator[Body]:
        body = orjson.loads(data)
        match body["type"]:
            case "message_start":
                message = body["message"]
                self._head = {
                    "id": message["id"],
                    "object": "chat.completion.chunk",
                    "created": int(time.time()),
                    "model": message["model"],
                }
                self._counted = dict(message.get("usage") or {})
                yield self._chunk({"role": "assistant", "content": ""})
            case "content_block_start" if body["content_block"]["type"] == "tool_use":
                block, number = body["content_block"], len(self._tools)
                self._tools[body["index"]] = number
                function = {"name": block["name"], "arguments": ""}
                yield self._chunk(
                    {"tool_calls": [{"index": number, "id": block["id"], "type": "function", "function": function}]}
                )
            case "content_block_delta":
                yield from self._delta(body["index"], body["delta"])
            case "message_delta":
                self._counted |= {k: v for k, v in (body.get("usage") or {}).items() if v is not None}
                yield self._chunk({}, FINISH.get(body["delta"].get("stop_reason") or "", "stop"))
            case "message_stop":
                self.usage = usage_of(self._counted)
                self.done = True
                if self.usage:
                    yield {**self._head, "choices": [], "usage": self.usage}
            case "error":
                raise StreamError(cause_of(0, error(body)) or "server-error")

    def _delta(self, index: int, delta: Body) -> Iterator[Body]:
        if delta["type"] == "text_delta":
            yield self._chunk({"content": delta["text"]})
        elif delta["type"] == "input_json_delta" and index in self._tools:  # else a tool that Anthropic runs itself
            call = {"index": self._tools[index], "function": {"arguments": delta["partial_json"]}}
            yield self._chunk({"tool_calls": [call]})


def passed(body: Body, model: str, _: Cannot) -> Body:
    """Return the body of a client that speaks Anthropic's dialect itself."""
    return {**body, "model": model}


def own_reply(data: Any) -> Body:
    """Return a message as it is. Raises ValueError for what is none."""
    content = data.get("content") if isinstance(data, dict) else None
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise ValueError("no message")
    return {**data}


class OwnStream(Closed):
    """Anthropic's events as they come."""

    def __init__(self) -> None:
        self.done = False
        self.usage: Body | None = None
        self._counted: Body = {}

    def events(self, name: str, data: bytes) -> Iterator[Body]:
        body = orjson.loads(data)
        match body["type"]:
            case "message_start":
                self._counted = dict(body["message"].get("usage") or {})
            case "content_block_start":
                _object(body["content_block"])
            case "content_block_delta":
                _object(body["delta"])
            case "message_delta":
                self._counted |= {k: v for k, v in (body.get("usage") or {}).items() if v is not None}
            case "message_stop":
                self.usage = usage_of(self._counted)
                self.done = True
            case "error":
                raise StreamError(cause_of(0, error(body)) or "server-error")
            case str():
                pass
            case _:
                raise ValueError("an event without a type")
        yield body


def _object(value: Any) -> None:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise ValueError("a part of an event is no object with a type")


def _counted(data: Any) -> Body:
    count = data["input_tokens"]
    if not isinstance(count, int):
        raise ValueError("no count")
    return {**data}


ANTHROPIC = Dialect(
    {
        ("openai", "chat"): Operation(fixed("/messages"), request, reply, Stream, usage_field),
        ("anthropic", "chat"): Operation(
            fixed("/messages"), passed, own_reply, OwnStream, lambda reply: usage_of(reply.get("usage"))
        ),
        ("anthropic", "count_tokens"): Operation(
            fixed("/messages/count_tokens"), passed, _counted, NoStream, lambda _: None
        ),
    },
    "anthropic",
    ("anthropic-", "idempotency-key"),
    error,
)
