"""Anthropic's messages, version 2023-06-01, to and from the hub form: text, images, tools, JSON and events."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import orjson

MAX_TOKENS = 4096
"""Anthropic requires a cap; this one stands in where the client names none."""

DROPPED = frozenset(
    "model messages stream stream_options max_tokens max_completion_tokens temperature top_p stop user tools tool_choice "
    "parallel_tool_calls metadata store n logprobs top_logprobs safety_identifier prompt_cache_key service_tier".split()
)
"""Fields that are carried over, or that do not change the answer's meaning."""

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


class Unsupported(ValueError):
    """A field that Anthropic's dialect cannot carry; its name is the message."""


def request(body: dict[str, Any], model: str) -> dict[str, Any]:
    """Return the body as Anthropic takes it. Raises Unsupported."""
    _refuse(body)
    cap = next((body[k] for k in ("max_completion_tokens", "max_tokens") if body.get(k) is not None), MAX_TOKENS)
    sent: dict[str, Any] = {"model": model, "max_tokens": cap}
    system, messages = _messages(body["messages"])
    if system:
        sent["system"] = system
    sent["messages"] = messages
    if body.get("temperature") is not None:
        sent["temperature"] = min(body["temperature"], 1)
    for field in ("top_p", "stream"):
        if body.get(field) is not None:
            sent[field] = body[field]
    if body.get("stop") is not None:
        sent["stop_sequences"] = [body["stop"]] if isinstance(body["stop"], str) else body["stop"]
    if isinstance(body.get("user"), str):
        sent["metadata"] = {"user_id": body["user"]}
    if body.get("tools"):
        sent["tools"] = [_tool(t) for t in body["tools"]]
        choice = _choice(body)
        if choice:
            sent["tool_choice"] = choice
    return sent


def _refuse(body: dict[str, Any]) -> None:
    for field, value in body.items():
        if field == "response_format" and isinstance(value, dict) and value.get("type") == "text":
            continue
        if field not in DROPPED and value is not None:
            raise Unsupported(field)
    if body.get("n") not in (None, 1):
        raise Unsupported("n")
    if body.get("logprobs"):
        raise Unsupported("logprobs")


def _messages(messages: list[Any]) -> tuple[str, list[dict[str, Any]]]:
    system: list[str] = []
    found: list[dict[str, Any]] = []

    def push(role: str, parts: list[dict[str, Any]]) -> None:
        """Anthropic wants turns to alternate: neighbours of one role become one message."""
        if found and found[-1]["role"] == role:
            found[-1]["content"].extend(parts)
        elif parts:
            found.append({"role": role, "content": parts})

    for message in messages:
        role = message.get("role")
        if role in ("system", "developer"):
            system += [p["text"] for p in _parts(message.get("content")) if p["type"] == "text"]
        elif role == "tool":
            result = {
                "type": "tool_result",
                "tool_use_id": message.get("tool_call_id"),
                "content": _parts(message.get("content")),
            }
            push("user", [result])
        elif role == "assistant":
            calls = [_tool_use(c) for c in message.get("tool_calls") or ()]
            push("assistant", [*_parts(message.get("content")), *calls])
        elif role == "user":
            push("user", _parts(message.get("content")))
        else:
            raise Unsupported(f"messages.role {role}")
    return "\n".join(system), found


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    parts = []
    for part in content or ():
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            parts.append({"type": "text", "text": part["text"]})
        elif kind == "refusal":
            parts.append({"type": "text", "text": part["refusal"]})
        elif kind == "image_url":
            parts.append({"type": "image", "source": _image(part["image_url"]["url"])})
        else:
            raise Unsupported(f"messages.content {kind}")
    return parts


def _image(url: str) -> dict[str, str]:
    inline = _DATA_URL.fullmatch(url)
    if inline:
        return {"type": "base64", "media_type": inline[1], "data": inline[2]}
    return {"type": "url", "url": url}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        raise Unsupported(f"tools.type {tool.get('type')}")
    function = tool["function"]
    made = {"name": function["name"], "input_schema": function.get("parameters") or {"type": "object"}}
    if function.get("description"):
        made["description"] = function["description"]
    return made


def _tool_use(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = json.loads(function.get("arguments") or "{}")
    return {"type": "tool_use", "id": call["id"], "name": function["name"], "input": arguments}


def _choice(body: dict[str, Any]) -> dict[str, Any] | None:
    asked = body.get("tool_choice")
    choice: dict[str, Any] | None = None
    if isinstance(asked, dict):
        choice = {"type": "tool", "name": asked["function"]["name"]}
    elif asked is not None:
        choice = {"type": {"required": "any", "none": "none", "auto": "auto"}[asked]}
    if body.get("parallel_tool_calls") is False:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    return choice


def usage_of(usage: dict[str, Any]) -> dict[str, Any]:
    """Return usage in the hub form: cached prompt tokens are prompt tokens too."""
    cached = usage.get("cache_read_input_tokens") or 0
    prompt = (usage.get("input_tokens") or 0) + cached + (usage.get("cache_creation_input_tokens") or 0)
    output = usage.get("output_tokens") or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def reply(data: dict[str, Any]) -> dict[str, Any]:
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
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts or not calls else None}
    if calls:
        message["tool_calls"] = calls
    finish = FINISH.get(data.get("stop_reason") or "", "stop")
    return {
        "id": data["id"],
        "object": "chat.completion",
        "created": int(time.time()),
        "model": data["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": usage_of(data["usage"]),
    }


def error(data: Any) -> dict[str, Any]:
    """Return {message, type, param, code} of an error body."""
    found = data.get("error") if isinstance(data, dict) else None
    fields = found if isinstance(found, dict) else {}
    return {
        "message": fields.get("message", "the provider failed"),
        "type": fields.get("type"),
        "param": None,
        "code": None,
    }


class Stream:
    """Anthropic's events as chunks of a chat completion."""

    def __init__(self) -> None:
        self.done = False
        self.usage: dict[str, Any] | None = None
        self._counted: dict[str, Any] = {}
        self._head: dict[str, Any] = {}
        self._tools: dict[int, int] = {}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head, "choices": [choice]}

    def chunks(self, event: str, data: bytes) -> Iterator[dict[str, Any]]:
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
                yield {**self._head, "choices": [], "usage": self.usage}
            case "error":
                raise ValueError("the provider sent an error")

    def _delta(self, index: int, delta: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if delta["type"] == "text_delta":
            yield self._chunk({"content": delta["text"]})
        elif delta["type"] == "input_json_delta":
            call = {"index": self._tools[index], "function": {"arguments": delta["partial_json"]}}
            yield self._chunk({"tool_calls": [call]})
