"""Anthropic's messages as a client sends them to the hub form, and answers in the hub form to Anthropic's: JSON and events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from aigw_compile.proxy.dialects.base import Body, Cannot, Malformed, no_constant, typed

CARRIED = frozenset(
    "model messages system max_tokens stream stop_sequences temperature top_p tools tool_choice metadata thinking".split()
)
DROPPED = frozenset("service_tier cache_control inference_geo speed diagnostics".split())
"""Fields that do not change what an answer means."""

_FINISH: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_CHOICES: Mapping[str, str] = {"auto": "auto", "any": "required", "none": "none"}
_BLOCK = frozenset({"type", "cache_control"})
"""Fields of every block, which no other dialect needs."""


def to_hub(body: Body, cannot: Cannot) -> Body:
    """Return the body as a chat completion request. Raises Malformed."""
    for field, value in body.items():
        if field not in CARRIED | DROPPED and value not in (None, [], {}):
            cannot(field)
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") != "disabled":
        cannot("thinking")
    sent: Body = {"model": body["model"], "messages": [*_system(body.get("system"), cannot)]}
    for index, message in enumerate(body["messages"]):
        sent["messages"] += _turn(message, f"messages[{index}]", cannot)
    if body.get("max_tokens") is not None:
        sent["max_completion_tokens"] = body["max_tokens"]
    for field in ("temperature", "top_p", "stream"):
        if body.get(field) is not None:
            sent[field] = body[field]
    if body.get("stop_sequences"):
        sent["stop"] = typed(body["stop_sequences"], list, "stop_sequences", "a list of texts")
    user = typed(body.get("metadata") or {}, dict, "metadata", "an object").get("user_id")
    if isinstance(user, str):
        sent["user"] = user
    if body.get("tools"):
        listed = enumerate(typed(body["tools"], list, "tools", "a list"))
        tools = [made for i, t in listed if (made := _tool(t, f"tools[{i}]", cannot))]
        if tools:
            sent["tools"] = tools
            sent |= _choice(body.get("tool_choice"), cannot)
    return sent


def _system(system: Any, cannot: Cannot) -> Iterator[Body]:
    said = [system] if isinstance(system, str) else [p["text"] for p in _parts(system or [], "system", cannot, "text")]
    if text := "\n".join(t for t in said if t):
        yield {"role": "system", "content": text}


def _turn(message: Body, at: str, cannot: Cannot) -> list[Body]:
    """One message; the results of tools become messages of their own, before what the user says."""
    role, content = message["role"], message["content"]
    if role == "system":
        return [*_system(content, cannot)]
    if role not in ("user", "assistant"):
        cannot(f"messages.role={role}")
        return []
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    apart = "tool_result" if role == "user" else "tool_use"
    rest = [block for block in content if block.get("type") != apart]
    found = [(f"{at}.content[{i}]", block) for i, block in enumerate(content) if block.get("type") == apart]
    parts = _parts(rest, f"{at}.content", cannot, *(("text", "image") if role == "user" else ("text",)))
    if role == "user":
        told = [_result(block, where, cannot) for where, block in found]
        return [*told, {"role": "user", "content": parts}] if parts else told
    made: Body = {"role": "assistant", "content": "".join(p["text"] for p in parts) or None}
    if found:
        made["tool_calls"] = [_call(block, where) for where, block in found]
    return [made] if found or parts else []


def _parts(blocks: Any, at: str, cannot: Cannot, *kinds: str) -> list[Body]:
    """Blocks as parts of a content; those that are not of these kinds cannot be carried."""
    parts: list[Body] = []
    for index, block in enumerate(typed(blocks, list, at, "a text or a list of blocks")):
        block = typed(block, dict, f"{at}[{index}]", "an object")
        kind = block.get("type")
        if kind == "text" and kind in kinds:
            if block.get("citations"):
                cannot("messages.content.citations")
            text = typed(block.get("text"), str, f"{at}[{index}].text", "a text")
            parts += [{"type": "text", "text": text}] if text else []
        elif kind == "image" and kind in kinds:
            parts += _image(block, f"{at}[{index}].source", cannot)
        else:
            cannot(f"messages.content.type={kind}")
    return parts


def _image(block: Body, at: str, cannot: Cannot) -> list[Body]:
    source = typed(block.get("source"), dict, at, "an object")
    if source.get("type") == "base64":
        kind = typed(source.get("media_type"), str, f"{at}.media_type", "a text")
        url = f"data:{kind};base64,{typed(source.get('data'), str, f'{at}.data', 'a text')}"
    elif source.get("type") == "url":
        url = typed(source.get("url"), str, f"{at}.url", "a URL")
    else:
        cannot(f"messages.content.source.type={source.get('type')}")
        return []
    return [{"type": "image_url", "image_url": {"url": url}}]


def _result(block: Body, at: str, cannot: Cannot) -> Body:
    if block.get("is_error"):
        cannot("messages.content.is_error")
    called = typed(block.get("tool_use_id"), str, f"{at}.tool_use_id", "a text")
    content = block.get("content") or ""
    if not isinstance(content, str):
        content = "\n".join(p["text"] for p in _parts(content, f"{at}.content", cannot, "text"))
    return {"role": "tool", "tool_call_id": called, "content": content}


def _call(block: Body, at: str) -> Body:
    kept = {"extra_content": block["extra_content"]} if block.get("extra_content") else {}
    return {
        **kept,
        "id": typed(block.get("id"), str, f"{at}.id", "a text"),
        "type": "function",
        "function": {
            "name": typed(block.get("name"), str, f"{at}.name", "a text"),
            "arguments": json.dumps(typed(block.get("input"), dict, f"{at}.input", "an object"), ensure_ascii=False),
        },
    }


def _tool(tool: Any, at: str, cannot: Cannot) -> Body | None:
    tool = typed(tool, dict, at, "an object")
    if tool.get("type") not in (None, "custom"):
        cannot(f"tools.type={tool['type']}")
        return None
    for field in tool.keys() - _BLOCK - {"name", "description", "input_schema", "strict"}:
        if tool[field] not in (None, False, [], {}):
            cannot(f"tools.{field}")
    function = {
        "name": typed(tool.get("name"), str, f"{at}.name", "a text"),
        "parameters": typed(tool.get("input_schema"), dict, f"{at}.input_schema", "an object"),
    }
    function |= {field: tool[field] for field in ("description", "strict") if tool.get(field)}
    return {"type": "function", "function": function}


def _choice(choice: Any, cannot: Cannot) -> Body:
    if choice is None:
        return {}
    choice = typed(choice, dict, "tool_choice", "an object")
    sent: Body = {"parallel_tool_calls": False} if choice.get("disable_parallel_tool_use") else {}
    if choice.get("type") == "tool":
        function = {"name": typed(choice.get("name"), str, "tool_choice.name", "a text")}
        return {**sent, "tool_choice": {"type": "function", "function": function}}
    if choice.get("type") not in [*_CHOICES]:
        raise Malformed("tool_choice.type", f"one of tool, {', '.join(_CHOICES)}")
    return {**sent, "tool_choice": _CHOICES[choice["type"]]}


def _usage(usage: Any) -> Body:
    """Usage in Anthropic's form: what came from a cache is counted apart from the other input."""
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    cached = (details.get("cached_tokens") or 0) if isinstance(details, dict) else 0
    made = {
        "input_tokens": max(0, (usage.get("prompt_tokens") or 0) - cached),
        "output_tokens": usage.get("completion_tokens") or 0,
    }
    return {**made, "cache_read_input_tokens": cached} if cached else made


def _stop(finish: str | None, tools: bool) -> str:
    stop = _FINISH.get(finish or "", "end_turn")
    return "tool_use" if tools and stop == "end_turn" else stop


def from_hub(reply: Body, _: Body) -> Body:
    """Return a chat completion as a message. Raises KeyError, TypeError or ValueError for what cannot be one."""
    choice = reply["choices"][0]
    message = choice["message"] or {}
    texts = (message.get("content"), message.get("refusal"))
    content: list[Body] = [{"type": "text", "text": _text(t)} for t in texts if t]
    calls = message.get("tool_calls") or []
    content += [_use(call) for call in calls]
    return {
        "id": reply.get("id") or "msg",
        "type": "message",
        "role": "assistant",
        "model": reply.get("model"),
        "content": content,
        "stop_reason": "refusal" if message.get("refusal") else _stop(choice.get("finish_reason"), bool(calls)),
        "stop_sequence": None,
        "usage": _usage(reply.get("usage")),
    }


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def _use(call: Body) -> Body:
    found = json.loads(_text(call["function"].get("arguments") or "{}"), parse_constant=no_constant)
    if not isinstance(found, dict):
        raise ValueError("the arguments of a tool are no object")
    return {**_named(call), "input": found}


def _named(call: Body) -> Body:
    """A block of a call without its input. What a provider wants back with it stays: a signature of a thought."""
    made = {"type": "tool_use", "id": _text(call["id"]), "name": _text(call["function"]["name"]), "input": {}}
    return {**made, "extra_content": call["extra_content"]} if call.get("extra_content") else made


class Events:
    """Chunks of the hub form as Anthropic's events: one block at a time, what was used in the last but one."""

    def __init__(self) -> None:
        self._started = False
        self._open: tuple[str, int] | None = None
        """What grows now: (text or tool, its number in the hub form)."""
        self._blocks = 0
        self._tools: dict[int, int] = {}
        """Number of a tool call in the hub form -> its block."""
        self._finish: str | None = None
        self._refused = False
        self._usage: Any = None

    def events(self, chunk: Body) -> Iterator[Body]:
        yield from self._start(chunk)
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            self._refused = self._refused or bool(delta.get("refusal"))
            for text in (delta.get("content"), delta.get("refusal")):
                if text:
                    yield from self._begin(("text", 0), {"type": "text", "text": ""})
                    yield self._delta(self._blocks - 1, {"type": "text_delta", "text": _text(text)})
            for call in delta.get("tool_calls") or ():
                yield from self._call(call)
            self._finish = choice.get("finish_reason") or self._finish

    def _start(self, chunk: Body) -> Iterator[Body]:
        if self._started:
            return
        self._started = True
        head = {"id": chunk.get("id") or "msg", "type": "message", "role": "assistant", "model": chunk.get("model")}
        usage = {"input_tokens": 0, "output_tokens": 0}
        stop = {"stop_reason": None, "stop_sequence": None}
        yield {"type": "message_start", "message": {**head, "content": [], **stop, "usage": usage}}

    def _begin(self, what: tuple[str, int], block: Body) -> Iterator[Body]:
        """Close what grew before, and open a block, unless it is the one that grows already."""
        if self._open == what:
            return
        yield from self._close()
        yield {"type": "content_block_start", "index": self._blocks, "content_block": block}
        self._open = what
        self._blocks += 1

    def _close(self) -> Iterator[Body]:
        if self._open:
            yield {"type": "content_block_stop", "index": self._blocks - 1}
        self._open = None

    def _call(self, call: Body) -> Iterator[Body]:
        number, function = call.get("index") or 0, call.get("function") or {}
        if number not in self._tools:
            yield from self._begin(("tool", number), _named(call))
            self._tools[number] = self._blocks - 1
        if function.get("arguments"):
            delta = {"type": "input_json_delta", "partial_json": _text(function["arguments"])}
            yield self._delta(self._tools[number], delta)

    def _delta(self, index: int, delta: Body) -> Body:
        return {"type": "content_block_delta", "index": index, "delta": delta}

    def end(self) -> Iterator[Body]:
        yield from self._start({})
        yield from self._close()
        reason = "refusal" if self._refused else _stop(self._finish, bool(self._tools))
        yield {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": _usage(self._usage),
        }
        yield {"type": "message_stop"}
