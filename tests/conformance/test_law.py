"""Whatever is sent: both engines decide the same, and ask a provider the same. Requests are drawn, and then something is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conformance import meaning
from tests.conformance.engines import Engine
from tests.conformance.table import Ask

TEXT = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["hi", "", "please", "forbidden", "a\nb", "é\U0001f600"]
)
SCALAR = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([2**31, 2**63, 10**20, 0.5, 1.0, 1e300]) | TEXT
)
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2), max_leaves=4
)
PART = st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}) | st.sampled_from(
    [
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "refusal", "refusal": "forbidden"},
        {"type": "odd", "content": [{"type": "text", "text": "forbidden"}]},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
    ]
)
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"n": 1}'}}
USER = st.fixed_dictionaries({"role": st.just("user"), "content": TEXT | st.lists(PART, max_size=3)})
OTHER = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "assistant"]), "content": TEXT}
) | st.sampled_from(
    [
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}], "refusal": None},
    ]
)
TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"n": {}}}},
}
FIELDS = {
    "stream": st.booleans() | st.none(),
    "stream_options": st.none() | st.sampled_from([{}, {"include_usage": True}, {"include_usage": False}]),
    "max_tokens": st.integers(1, 5000) | st.none(),
    "max_completion_tokens": st.integers(1, 5000),
    "n": st.sampled_from([1, 2, None]),
    "temperature": st.sampled_from([0, 0.5, 1, 2, None]),
    "top_p": st.sampled_from([0.1, 1]),
    "stop": st.sampled_from([None, "", "x", [], ["x", "y"]]),
    "user": TEXT,
    "seed": st.sampled_from([1, 12345678901234567890]),
    "tools": st.sampled_from([None, [], [TOOL], [TOOL, TOOL]]),
    "tool_choice": st.sampled_from([None, "auto", "none", "required", {"type": "function", "function": {"name": "f"}}]),
    "parallel_tool_calls": st.booleans(),
    "response_format": st.sampled_from([{"type": "text"}, {"type": "json_object"}, None]),
    "logit_bias": st.sampled_from([{}, {"1": 2}]),
    "metadata": st.sampled_from([{}, {"a": "b"}]),
}
CHAT = st.fixed_dictionaries(
    {
        "model": st.sampled_from(
            ["plain", "claude", "claude", "gpt-4o", "azure", "org/same", "tuned", "capped", "tuned-claude", "gemini"]
        )
        | st.sampled_from(
            ["dropping", "decorated", "guarded", "polite", "staff-only", "retired", "replaced", "embed", "none"]
        ),
        "messages": st.lists(USER | OTHER, min_size=1, max_size=4),
    },
    optional=FIELDS,
)
BLOCK = st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}) | st.sampled_from(
    [
        {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
        {"type": "tool_result", "tool_use_id": "t", "content": "please"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"forbidden": ["forbidden"]}},
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "forbidden"}},
    ]
)
MESSAGES = st.fixed_dictionaries(
    {
        "model": st.sampled_from(
            ["claude", "decorated-claude", "tuned-claude", "pair-of-claudes", "retired", "embed", "none"]
        )
        | st.sampled_from(["plain", "azure", "org/same", "gemini", "capped", "dropping-openai", "dropping-gemini"]),
        "messages": st.lists(
            st.fixed_dictionaries(
                {"role": st.sampled_from(["user", "assistant"]), "content": TEXT | st.lists(BLOCK, max_size=3)}
            ),
            min_size=1,
            max_size=3,
        ),
    },
    optional={
        "max_tokens": st.integers(1, 5000),
        "system": TEXT | st.lists(BLOCK, max_size=2),
        "stream": st.booleans(),
        "metadata": st.just({"user_id": "u"}),
        "tools": st.just([{"name": "f", "input_schema": {"type": "object"}}]),
        "tool_choice": st.sampled_from([None, {"type": "any"}, {"type": "tool", "name": "f"}, {"type": "maybe"}]),
    },
)
EMBEDDINGS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["embed", "azure", "plain"]),
        "input": TEXT | st.lists(TEXT, max_size=3) | st.lists(st.integers(0, 9), max_size=3),
    },
    optional={"dimensions": st.integers(-1, 9), "encoding_format": st.sampled_from(["float", "base64", "x", None])},
)
HEADERS: dict[str, st.SearchStrategy[Any]] = {
    "content-type": st.sampled_from(
        [
            None,
            "",
            "application/json;charset=utf-8",
            "APPLICATION/JSON ",
            "application/json, text/plain",
            "text/json",
            "application/json;;",
        ]
    ),
    "content-encoding": st.sampled_from(
        ["", "identity", "IDENTITY", "gzip", "identity, gzip", ["identity", "identity"]]
    ),
    "authorization": st.sampled_from(
        [
            None,
            "",
            "Bearer",
            "Bearer  key-bot",
            "bearer key-bot ",
            "Bearer key-bot x",
            "Basic a2V5",
            "Bearer a.b.c",
            "Token key-bot",
        ]
    ),
    "x-api-key": st.sampled_from(["key-bot", "", " key-bot ", "key-nobody", ["key-bot", "key-bot"]]),
    "accept": st.sampled_from(["*/*", "text/event-stream"]),
    "openai-beta": st.just("x"),
    "anthropic-beta": st.just("y"),
    "idempotency-key": TEXT.filter(str.isascii).filter(str.isprintable).map(str.strip),
    "expect": st.none(),
}


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a body below its root."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from places(inner, (*at, key))


def changed(body: Any, at: tuple[Any, ...], how: str, value: Any) -> Any:
    """The body with a value replaced, taken away, or put beside."""
    body = deepcopy(body)
    holder = body
    for step in at[:-1]:
        holder = holder[step]
    if how == "remove":
        del holder[at[-1]]
    elif how == "add" and isinstance(holder, dict):
        holder["added"] = value
    else:
        holder[at[-1]] = value
    return body


@st.composite
def asks(draw: Any) -> Ask:
    door = draw(st.sampled_from(["chat", "chat", "chat", "messages", "embeddings", "count"]))
    body = draw({"chat": CHAT, "embeddings": EMBEDDINGS}.get(door, MESSAGES))
    for _ in range(draw(st.integers(0, 2))):
        if found := [*places(body)]:
            how = draw(st.sampled_from(["remove", "add", "replace", "replace"]))
            body = changed(body, draw(st.sampled_from(found)), how, draw(JSON))
    text = json.dumps(body, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + draw(st.sampled_from(["", " ", ",", '"', "0", "}", "\\", "\x00", '"model":"plain",']))
            + text[at + 1 :]
        )
    some = draw(st.integers(0, 3)) == 0
    headers = draw(st.fixed_dictionaries({}, optional=HEADERS)) if some else {}
    return Ask(door=door, caller=draw(st.sampled_from(["bot", "intern", "double"])), headers=headers, text=text)


_EITHER = ("invalid_request", "unsupported_by_provider")
"""Of a body with several faults each engine names the one that it finds first; the table holds each of them alone."""


def decided(engine: Engine, ask: Ask) -> dict[str, Any]:
    """What an engine told a client, and a provider; what it says of its own accord is not compared but by its code."""
    told = engine.tell(ask, {})
    means = meaning.of_reply(ask, told.reply)
    if means.get("error", {}).get("code") in _EITHER:
        means = {**means, "error": {**means["error"], "code": "|".join(_EITHER)}}
    hosts = {name: p.url.split("/")[2] for name, p in engine.providers.items()}
    return {"means": means, "sent": _plain(meaning.of_sent(told)), "unfit": [*meaning.unfit(ask, told, hosts)]}


def _plain(sent: Any) -> Any:
    """The arguments of calls as what they hold: one engine keeps their text, the other one writes it anew."""
    if isinstance(sent, dict):
        return {k: json.loads(v) if k == "arguments" and isinstance(v, str) else _plain(v) for k, v in sent.items()}
    return [_plain(v) for v in sent] if isinstance(sent, list) else sent


@settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(asks(), min_size=3, max_size=6))
def test_both_engines_decide_the_same(engines: Mapping[str, Engine], batch: list[Ask]) -> None:
    with ThreadPoolExecutor() as pool:
        envoy, proxy = pool.map(lambda engine: [decided(engine, ask) for ask in batch], engines.values())
    for ask, one, other in zip(batch, envoy, proxy, strict=True):
        assert one == other, f"\n{ask.door} {ask.caller} {ask.headers}\n{ask.text}\nEnvoy: {one}\nproxy: {other}"
        assert not one["unfit"], ask
