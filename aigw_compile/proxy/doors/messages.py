"""The doors POST /v1/messages and /v1/messages/count_tokens: Anthropic's dialect, version 2023-06-01."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from aigw_compile.proxy.body import FLAG, POSITIVE, Fields, fields, wrong
from aigw_compile.proxy.config import Decorator
from aigw_compile.proxy.dialects.base import Body, dumped, no_constant
from aigw_compile.proxy.doors.base import Door, Text, Texts, beside, same
from aigw_compile.proxy.doors.chat import is_stream
from aigw_compile.proxy.doors.messages_hub import Events, from_hub, to_hub
from aigw_compile.proxy.errors import Refuse

_FIELDS: Fields = {"stream": FLAG, "max_tokens": POSITIVE}

_TYPES: Mapping[int, str] = {404: "not_found_error", 413: "request_too_large", 504: "timeout_error"}
"""Statuses that Anthropic has a type of its own for (docs.claude.com/en/api/errors)."""


def check(body: Mapping[str, Any]) -> Refuse | None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return wrong("messages", "a list of messages")
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        if not isinstance(message, dict):
            return wrong(at, "an object")
        if not isinstance(message.get("role"), str):
            return wrong(f"{at}.role", "a text")
        if found := _content(message.get("content"), f"{at}.content"):
            return found
    if body.get("system") is not None and (found := _content(body["system"], "system")):
        return found
    return fields(body, _FIELDS)


def _content(content: Any, at: str) -> Refuse | None:
    if isinstance(content, str):
        return None
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        return wrong(at, "a text or a list of blocks")
    for number, block in enumerate(content):
        if block.get("text") is not None and not isinstance(block["text"], str):
            return wrong(f"{at}[{number}].text", "a text")
    return None


_NO_TEXT = frozenset({"type", "id", "tool_use_id", "signature", "media_type", "cache_control", "file_id"})
_OPAQUE = ("base64", "redacted_thinking")
"""Types whose `data` is no text."""


def texts(body: Mapping[str, Any]) -> Texts:
    turns = [list(_said(m["content"], m["role"])) for m in body["messages"]]
    outside = {field: value for field, value in body.items() if field != "system"}
    return Texts(turns, [*beside(outside), *_said(body.get("system"), "system")])


def _said(content: Any, role: str) -> Iterator[Text]:
    """Yield the texts of a content: its text blocks joined by a newline, and what else its blocks say, a result as a tool."""
    if isinstance(content, str):
        yield role, content
    if not isinstance(content, list):
        return
    blocks = [b for b in content if isinstance(b, dict)]
    if said := [b["text"] for b in blocks if isinstance(b.get("text"), str)]:
        yield role, "\n".join(said)
    for block in blocks:
        if block.get("type") == "tool_result":
            yield from _said(block.get("content"), "tool")
            continue
        if isinstance(block.get("input"), dict):
            yield role, json.dumps(block["input"], ensure_ascii=False)
        yield from ((role, text) for text in _leaves({k: v for k, v in block.items() if k != "text"}))


def _leaves(value: Any) -> Iterator[str]:
    """Yield every text inside a block, whatever it is: a document, a search result, a thought, the input of a tool."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in _NO_TEXT and not (key == "data" and value.get("type") in _OPAQUE):
                yield from _leaves(inner)


def decorated(body: Body, decorators: Sequence[Decorator]) -> Body:
    """What a decorator says as the system stands before or after the system prompt; the rest around the messages."""
    before = [m for d in decorators for m in d.prepend]
    after = [m for d in reversed(decorators) for m in d.append]
    made = {**body, "messages": [*_turns(before), *body["messages"], *_turns(after)]}
    first, last = _systems(before), _systems(after)
    if first or last:
        system = body.get("system")
        if isinstance(system, list):
            made["system"] = [*_blocks(first), *system, *_blocks(last)]
        else:
            made["system"] = "\n".join([*first, *([system] if system else []), *last])
    return made


_SYSTEM = ("system", "developer")


def _turns(messages: Iterable[Mapping[str, str]]) -> list[Body]:
    return [dict(m) for m in messages if m["role"] not in _SYSTEM]


def _systems(messages: Iterable[Mapping[str, str]]) -> list[str]:
    return [m["content"] for m in messages if m["role"] in _SYSTEM]


def _blocks(said: Iterable[str]) -> list[Body]:
    return [{"type": "text", "text": text} for text in said]


def _output_cap(body: Mapping[str, Any]) -> int | None:
    return body.get("max_tokens")


def error(refusal: Refuse) -> bytes:
    """The code stands beside the type: Anthropic's clients show it, and it says more than the type alone."""
    kind = _TYPES.get(refusal.status, refusal.type)
    shown = {"type": kind, "message": refusal.message, "code": refusal.code}
    return json.dumps({"type": "error", "error": shown}, ensure_ascii=False).encode()


def error_event(refusal: Refuse) -> bytes:
    return b"event: error\ndata: " + error(refusal) + b"\n\n"


def static(text: str, model: str, _: float) -> Body:
    head = {"id": "msg_fallback", "type": "message", "role": "assistant", "model": model}
    usage = {"input_tokens": 0, "output_tokens": 0}
    return {**head, "content": _blocks([text]), "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}


def named(reply: Body, model: str) -> Body:
    return {**reply, "model": model}


def event(one: Body, model: str, _: bool) -> bytes:
    if one["type"] == "message_start":
        one = {**one, "message": {**one["message"], "model": model}}
    return f"event: {one['type']}\ndata: ".encode() + dumped(one) + b"\n\n"


_DELTAS: Mapping[str, tuple[str, str]] = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("partial_json", "input"),
}
"""Type of a delta -> (its field, the field of the block that grows by it)."""


def said(one: Body) -> Iterable[str]:
    delta = one.get("delta") or {}
    if one["type"] != "content_block_delta" or delta.get("type") not in _DELTAS:
        return []
    text = delta.get(_DELTAS[delta["type"]][0])
    return [text] if isinstance(text, str) else []


def answer_texts(reply: Body) -> Sequence[str]:
    return [text for block in reply["content"] for text in _answer(block)]


def _answer(block: Body) -> Iterator[str]:
    yield from (block[field] for field in ("text", "thinking") if isinstance(block.get(field), str))
    if isinstance(block.get("input"), dict):
        yield from _strings(block["input"])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def with_answer_texts(reply: Body, function: Callable[[str], str]) -> Body:
    """A thought that is changed is left out: its signature would not fit it any more, and Anthropic would refuse it."""
    content = []
    for block in reply["content"]:
        made = dict(block)
        if (
            isinstance(block.get("thinking"), str)
            and block["thinking"]
            and function(block["thinking"]) != block["thinking"]
        ):
            continue
        if isinstance(block.get("text"), str):
            made["text"] = function(block["text"])
        if isinstance(block.get("input"), dict):
            made["input"] = _mapped(block["input"], function)
        content.append(made)
    return {**reply, "content": content}


def _mapped(value: Any, function: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return function(value)
    if isinstance(value, dict):
        return {k: _mapped(v, function) for k, v in value.items()}
    return [_mapped(v, function) for v in value] if isinstance(value, list) else value


def withheld(reply: Body) -> Body:
    return {**reply, "content": [], "stop_reason": "refusal", "stop_sequence": None}


def rewritten(reply: Body, data: Any) -> Body | None:
    content = data.get("content")
    if not isinstance(content, list) or not all(_is_block(block) for block in content):
        return None
    return {**reply, "content": content, "stop_reason": data.get("stop_reason") or "end_turn", "stop_sequence": None}


def _is_block(block: Any) -> bool:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind == "text":
        return isinstance(block.get("text"), str)
    said = kind == "tool_use" and isinstance(block.get("input"), dict)
    return said and all(isinstance(block.get(f), str) for f in ("id", "name"))


def whole(events: Iterable[Body]) -> Body:
    reply: Body = {}
    blocks: dict[int, Body] = {}
    inputs: dict[int, str] = {}
    for one in events:
        match one["type"]:
            case "message_start":
                reply = {**one["message"], "usage": dict(one["message"].get("usage") or {})}
            case "content_block_start":
                blocks[one["index"]] = dict(one["content_block"])
            case "content_block_delta":
                _grow(blocks[one["index"]], one["delta"], one["index"], inputs)
            case "message_delta":
                reply |= one.get("delta") or {}
                reply["usage"] |= {k: v for k, v in (one.get("usage") or {}).items() if v is not None}
    for index, text in inputs.items():
        blocks[index]["input"] = json.loads(text or "{}", parse_constant=no_constant)
    return {**reply, "content": [blocks[i] for i in sorted(blocks)]}


def _grow(block: Body, delta: Mapping[str, Any], index: int, inputs: dict[int, str]) -> None:
    kind = delta["type"]
    if kind == "input_json_delta":
        inputs[index] = inputs.get(index, "") + delta["partial_json"]
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
    elif kind in _DELTAS:
        source, field = _DELTAS[kind]
        block[field] = (block.get(field) or "") + delta[source]
    else:  # a signature, or something new: it stands as it was said last
        block |= {k: v for k, v in delta.items() if k != "type"}


def replay(reply: Body) -> Sequence[Body]:
    usage = reply.get("usage") or {}
    stop = {k: reply.get(k) for k in ("stop_reason", "stop_sequence")}
    stop |= {k: reply[k] for k in ("stop_details", "container") if reply.get(k) is not None}
    message = {
        **reply,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 0},
    }
    events: list[Body] = [{"type": "message_start", "message": message}]
    for index, block in enumerate(reply["content"]):
        start, deltas = _apart(block)
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    return [*events, {"type": "message_delta", "delta": stop, "usage": usage}, {"type": "message_stop"}]


def _apart(block: Body) -> tuple[Body, list[Body]]:
    """A block as it begins, and what makes it whole. A block that does not grow in streams begins whole."""
    start = dict(block)
    match block:
        case {"type": "text", "text": str(text)}:
            cited = start.pop("citations", None)
            deltas: list[Body] = [{"type": "citations_delta", "citation": c} for c in cited or ()]
            return {**start, "text": ""}, [*deltas, {"type": "text_delta", "text": text}]
        case {"type": "thinking", "thinking": str(thought)}:
            signed = {"type": "signature_delta", "signature": start.get("signature", "")}
            begun = {**start, "thinking": "", "signature": ""}
            return begun, [{"type": "thinking_delta", "thinking": thought}, signed]
        case {"type": "tool_use" | "server_tool_use", "input": dict(given)}:
            part = json.dumps(given, ensure_ascii=False)
            return {**start, "input": {}}, [{"type": "input_json_delta", "partial_json": part}]
    return start, []


MESSAGES = Door(
    path="/v1/messages",
    method="POST",
    kind="chat",
    capability="chat",
    dialect="anthropic",
    tokens=True,
    caps=("max_tokens",),
    logged=("system", "messages"),
    check=check,
    texts=texts,
    decorated=decorated,
    output_cap=_output_cap,
    choices=lambda _: 1,
    stream=is_stream,
    wants_usage=lambda _: True,
    to_hub=to_hub,
    from_hub=from_hub,
    stream_from_hub=Events,
    estimate=None,
    error=error,
    error_event=error_event,
    static=static,
    named=named,
    event=event,
    end=b"",
    said=said,
    answer_texts=answer_texts,
    with_answer_texts=with_answer_texts,
    withheld=withheld,
    rewritten=rewritten,
    whole=whole,
    replay=replay,
)


def _nothing_said(_: Body) -> Sequence[str]:
    return ()


COUNT_TOKENS = MESSAGES._replace(
    path="/v1/messages/count_tokens",
    kind="count_tokens",
    tokens=False,
    stream=lambda _: False,
    estimate=lambda size: {"input_tokens": -(-size // 4)},
    static=None,
    named=lambda reply, _: reply,
    from_hub=same,
    answer_texts=_nothing_said,
    with_answer_texts=lambda reply, _: reply,
)
"""Nothing is generated: a request is charged, tokens are not. Where a provider cannot count, bytes / 4 are the estimate."""
