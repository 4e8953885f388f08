"""POST /v1/messages on Envoy for other dialects: the scripts against the proxy, the real Envoy before Anthropic's client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import anthropic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lupa import luajit21

from aigw_compile.emitters.envoy.tiers import STRICT
from aigw_compile.proxy import doors
from aigw_compile.proxy.dialects.anthropic import usage_of
from aigw_compile.proxy.dialects.base import NO_ANSWER, Malformed, Refused, StreamError, Unsupported, refusing
from aigw_compile.proxy.doors import MESSAGES
from aigw_compile.proxy.usage import figures
from aigw_compile.target import asset
from tests.proxy import test_gemini as gemini
from tests.targets import envoy_runner as runner
from tests.targets.envoy_scripts import Scripts, cut, latin
from tests.targets.mock_upstream import Provider, providers
from tests.targets.test_envoy_gemini import REPLIES as OF_GEMINI
from tests.targets.test_envoy_gemini import STREAM as STREAM_OF_GEMINI

_AFTER = ("messages_request", "messages_reply")
SCRIPTS = {
    "openai": Scripts("usage", "is_answer", "translate", *_AFTER),
    "gemini": Scripts("usage", "is_answer", "translate", "chat_request", "gemini_request", "gemini_reply", *_AFTER),
}
TYPES = {"openai": "openai", "vllm": "openai", "gemini": "gemini"}
"""Type of a provider -> its dialect."""


def test_who_is_strict_is_the_same_for_the_proxy() -> None:
    assert STRICT == doors._NEW_CAP == doors._STRICT - {"anthropic"}


def plain(body: Any) -> Any:
    """The arguments of calls as what they hold."""
    if isinstance(body, dict):
        return {k: json.loads(v) if k == "arguments" and v else plain(v) for k, v in body.items()}
    return [plain(v) for v in body] if isinstance(body, list) else body


def both(kind: str, fields: dict[str, Any], drop: bool = False) -> tuple[Any, Any]:
    """What the proxy and the scripts make of a request; None where they cannot."""
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}], **fields}
    assert MESSAGES.check(body) is None
    way = doors.way(MESSAGES, TYPES[kind], kind)
    assert way
    strict = kind in STRICT
    cap = "max_completion_tokens" if strict else "max_tokens"
    made = SCRIPTS[TYPES[kind]].ask(body, drop=drop, strict=strict, cap=cap)
    try:
        return plain(way.request(body, "m", (lambda _: None) if drop else refusing)), plain(made)
    except (Unsupported, Malformed):
        return None, made


TEXT = {"type": "text", "text": "é\U0001f30d"}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
CALLED = {"type": "tool_use", "id": "t", "name": "f", "input": {"n": 12345678901234567890, "é": [1.5, None]}}
SIGNED = {**CALLED, "extra_content": {"google": {"thought_signature": "c2ln"}}}
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object", "maximum": 12345678901234567890}}


def told(*blocks: Any, first: Any = CALLED) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": [first]}, *_user(blocks)]}


def _user(blocks: Any) -> list[Any]:
    return [{"role": "user", "content": [*blocks]}]


REQUESTS: list[dict[str, Any]] = [
    {},
    {"system": "S", "stop_sequences": ["a", "b"], "temperature": 0.5, "top_p": 1, "metadata": {"user_id": "me"}},
    {"system": [TEXT, {"type": "text", "text": "", "cache_control": {"type": "ephemeral"}}, TEXT], "stream": True},
    {
        "system": "",
        "stream": False,
        "stop_sequences": [],
        "tools": [],
        "metadata": None,
        "thinking": {"type": "disabled"},
    },
    {"service_tier": "auto", "cache_control": {"type": "ephemeral"}, "container": None, "mcp_servers": []},
    {"messages": [{"role": "system", "content": "late"}, *_user([TEXT, {"type": "text", "text": ""}, PNG])]},
    {"messages": _user([PNG, {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}])},
    {"messages": _user([{"type": "image", "source": {"type": "file", "file_id": "f"}}])},
    {
        "messages": [
            {"role": "assistant", "content": [TEXT, {"type": "text", "text": "b"}, CALLED, {**CALLED, "id": "u"}]}
        ]
    },
    {
        "messages": [
            {"role": "assistant", "content": []},
            {"role": "user", "content": ""},
            {"role": "user", "content": []},
        ]
    },
    told({"type": "tool_result", "tool_use_id": "t", "content": "42"}, TEXT),
    told(TEXT, {"type": "tool_result", "tool_use_id": "t", "content": [TEXT, {"type": "text", "text": '{"a": 1}'}]}),
    told({"type": "tool_result", "tool_use_id": "t"}, first=SIGNED),
    told({"type": "tool_result", "tool_use_id": "t", "content": [PNG]}),
    told({"type": "tool_result", "tool_use_id": "t", "content": "no", "is_error": True}),
    told({"type": "tool_result", "content": "whose"}),
    told(CALLED),
    told({"type": "document", "source": {"type": "text", "data": "x"}}),
    told({"type": "text", "text": "a", "citations": [{"type": "char_location"}]}),
    {"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, TEXT]}]},
    {"messages": [{"role": "assistant", "content": [{**CALLED, "input": "x"}]}]},
    {"messages": [{"role": "robot", "content": "beep"}]},
    {"tools": [TOOL, {"type": "custom", "name": "g", "input_schema": {}, "strict": True, "cache_control": None}]},
    *(
        {"tools": [TOOL], "tool_choice": choice}
        for choice in (
            None,
            {"type": "auto"},
            {"type": "any", "disable_parallel_tool_use": True},
            {"type": "none", "disable_parallel_tool_use": False},
            {"type": "tool", "name": "f"},
            {"type": "tool"},
            {"type": "some"},
            {},
            "auto",
        )
    ),
    {"tool_choice": {"type": "any"}},
    {"tools": [{**TOOL, "allowed_callers": ["x"], "input_examples": []}]},
    {"tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": {"type": "auto"}},
    {"tools": [{"name": "f"}]},
    {"tools": {"name": "f"}},
    {"top_k": 3},
    {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    {"stop_sequences": "a"},
    {"metadata": "me"},
]


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("number", range(len(REQUESTS)))
def test_a_request_is_what_the_proxy_makes_of_it(number: int, kind: str, drop: bool) -> None:
    want, made = both(kind, REQUESTS[number], drop)
    assert made == want


def test_schemas_and_arguments_keep_their_text() -> None:
    body = {**told({"type": "tool_result", "tool_use_id": "t", "content": "1"}), "model": "m", "tools": [TOOL]}
    made = SCRIPTS["openai"].ask(body)
    assert made["tools"][0]["function"]["parameters"] == TOOL["input_schema"]
    assert made["messages"][1]["tool_calls"][0]["function"]["arguments"] == json.dumps(
        CALLED["input"], ensure_ascii=False
    )


_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
_SOME = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), _TEXTS, st.just([]), st.just({}), st.just({"a": ["b"]}))
_TOLD = st.fixed_dictionaries(
    {"type": st.just("tool_result")},
    optional={
        "tool_use_id": st.sampled_from(["t", "u"]),
        "is_error": _SOME,
        "content": st.one_of(_TEXTS, st.lists(st.sampled_from([TEXT, PNG]), max_size=2), _SOME),
    },
)
_CALLS = st.fixed_dictionaries(
    {"type": st.just("tool_use"), "id": st.sampled_from(["t", "u"]), "name": _TEXTS},
    optional={"input": st.dictionaries(_TEXTS, _SOME, max_size=2), "extra_content": _SOME},
)
_BLOCKS = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": _TEXTS}, optional={"citations": _SOME}),
    st.sampled_from([TEXT, PNG, CALLED, SIGNED]),
    _TOLD,
    _CALLS,
    st.fixed_dictionaries({"type": _SOME}),
    st.fixed_dictionaries(
        {
            "type": st.just("image"),
            "source": st.one_of(_SOME, st.fixed_dictionaries({"type": st.just("url"), "url": _SOME})),
        }
    ),
)
_TURNS = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "user", "assistant", "assistant", "system", "tool"]),
        "content": st.one_of(_TEXTS, st.lists(_BLOCKS, max_size=3)),
    }
)
_TOOLS = st.fixed_dictionaries(
    {"name": _TEXTS, "input_schema": st.dictionaries(_TEXTS, _SOME, max_size=2)},
    optional={"type": st.sampled_from([None, "custom", "bash"]), "description": _SOME, "strict": _SOME, "more": _SOME},
)
_CHOICE = st.fixed_dictionaries(
    {"type": st.sampled_from(["auto", "any", "none", "tool", None])},
    optional={"name": _TEXTS, "disable_parallel_tool_use": _SOME},
)
_FIELDS = st.fixed_dictionaries(
    {"messages": st.lists(_TURNS, min_size=1, max_size=4)},
    optional={
        "system": st.one_of(_TEXTS, st.lists(st.just(TEXT), max_size=2)),
        "tools": st.one_of(_SOME, st.lists(_TOOLS, max_size=2)),
        "tool_choice": st.one_of(_CHOICE, _SOME),
        "metadata": st.one_of(_SOME, st.fixed_dictionaries({"user_id": _SOME})),
        "thinking": _SOME,
        "top_k": _SOME,
        "speed": _SOME,
        "stop_sequences": st.one_of(st.lists(_TEXTS, max_size=2), _SOME),
        "stream": st.booleans(),
        "temperature": st.floats(0, 2),
    },
)


@settings(max_examples=150)
@given(st.sampled_from([*TYPES]), _FIELDS, st.booleans())
def test_any_request_is_what_the_proxy_makes_of_it(kind: str, fields: dict[str, Any], drop: bool) -> None:
    want, made = both(kind, fields, drop)
    assert made == want


# --- replies


def completion(finish: Any = "stop", usage: Any = None, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return {**head, "usage": usage} if usage is not None else head


def calling(arguments: Any = '{"n": 12345678901234567890}', **more: Any) -> dict[str, Any]:
    return {"id": "t", "type": "function", "function": {"name": "f", "arguments": arguments}, **more}


TWICE = '{"a": {"b": 1, "b": [{"c": 2 , "\\u0063": 3}]}, "d": 4, "a": {"b": 5,\t"b": 12345678901234567890}, "d" :6}'
USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 4}}
OF_OPENAI: list[Any] = [
    *(completion(finish, content="é") for finish in ("stop", "length", "content_filter", "tool_calls", "new", None)),
    completion(content="", usage=USAGE),
    completion(content="a", usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
    completion(content="a", usage={**USAGE, "total_tokens": 40, "prompt_tokens_details": {"cache_write_tokens": 5}}),
    completion(content=[{"type": "text", "text": "a"}]),
    completion(content=None, refusal="No.", usage={"prompt_tokens": 3, "prompt_tokens_details": None}),
    completion(
        "tool_calls", content="a", tool_calls=[calling(), calling(""), calling("{}", extra_content={"google": {}})]
    ),
    completion(content=None, tool_calls=[calling(extra_content={"google": {"thought_signature": "c2ln"}})]),
    completion("length", tool_calls=[calling()]),
    completion(tool_calls=[calling(TWICE), calling({"n": 1})]),
    completion(tool_calls=[calling(TWICE)]),
    completion(tool_calls=[calling(extra_content={}, id=5)]),
    completion(tool_calls=[calling("[]")]),
    completion(tool_calls=[calling('{"a"')]),
    completion(tool_calls=[{"id": "t", "type": "function", "function": {"arguments": "{}"}}]),
    completion(tool_calls=[{"type": "custom", "id": "t", "custom": {}}]),
    completion(tool_calls=["x"]),
    {"choices": [{"message": None}], "id": None},
    {"choices": [{}]},
    {"choices": []},
    {"choices": None},
    {"hello": "there"},
]


def counted(usage: Any) -> list[int] | None:
    """What the proxy charges for usage in the hub form: input, output, read from a cache, written to one, total."""
    found = figures(usage)
    return found and [found.prompt, found.output, found.cache_read, found.cache_write, found.total]


def replied(dialect: str, body: Any) -> tuple[Any, Any, Any]:
    """(reply, the error that it is in truth, what is charged) of the proxy."""
    way = doors.way(MESSAGES, dialect, dialect)
    assert way
    try:
        reply, usage = way.reply(body, {})
        return MESSAGES.named(reply, ""), None, counted(usage)
    except Refused as refused:
        return None, refused.error, None
    except NO_ANSWER:
        return None, None, None


@pytest.mark.parametrize(
    ("dialect", "body"), [*(("openai", b) for b in OF_OPENAI), *(("gemini", b) for b in OF_GEMINI)]
)
def test_a_reply_is_what_the_proxy_makes_of_it(dialect: str, body: Any) -> None:
    made, refused = SCRIPTS[dialect].reply(body)
    used = SCRIPTS[dialect].used(body)
    assert (made and MESSAGES.named(made, ""), refused, used) == replied(dialect, body)


# --- streams


def chunk(finish: Any = None, usage: Any = None, **delta: Any) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": usage}


def grown(number: int, arguments: str, **more: Any) -> dict[str, Any]:
    return {"index": number, "function": {"arguments": arguments, **more.pop("function", {})}, **more}


def named(number: int, arguments: str = "", **more: Any) -> dict[str, Any]:
    return grown(number, arguments, id=f"t{number}", type="function", function={"name": "f"}, **more)


COUNTED = {"choices": [], "usage": USAGE}
STREAMS: list[tuple[str, list[Any]]] = [
    (
        "openai",
        [chunk(role="assistant", content=""), chunk(content="é\U0001f30d"), chunk(content="b"), chunk("stop"), COUNTED],
    ),
    (
        "openai",
        [chunk(content="a"), chunk(refusal="No"), chunk("stop"), {**COUNTED, "usage": {**USAGE, "total_tokens": 0}}],
    ),
    (
        "openai",
        [
            chunk(content="a", usage=USAGE),
            chunk(tool_calls=[named(0), named(1, '{"a"')]),
            chunk(tool_calls=[grown(1, ": 1}")]),
            chunk(tool_calls=[grown(0, "{}")], content="b"),
            chunk(tool_calls=[named(2, extra_content={"google": {"thought_signature": "c2ln"}})]),
            chunk("tool_calls"),
        ],
    ),
    ("openai", [chunk("stop", content="a"), {**COUNTED, "usage": {**USAGE, "total_tokens": 40}}]),
    ("openai", [chunk("stop", content="a"), {**COUNTED, "usage": {"prompt_tokens": 0, "completion_tokens": 0}}]),
    ("openai", [chunk(content="a"), chunk(content=[{"type": "text", "text": "a"}])]),
    ("openai", [chunk(tool_calls=[named(0)]), chunk(tool_calls=[{"index": 0, "function": {"arguments": {}}}])]),
    ("openai", [chunk("stop", tool_calls=[named(0)])]),
    ("openai", [chunk("length", tool_calls=[named(0, "{")])]),
    ("openai", [chunk("content_filter", content="a"), {"choices": None}]),
    ("openai", []),
    ("openai", [{"id": None, "choices": [{}, {"delta": None}]}]),
    ("openai", [chunk(content="a"), {"error": {"type": "server_error", "message": "sk-secret"}}]),
    ("openai", [{"error": {"type": "timeout_error"}}]),
    ("openai", [chunk(content="a"), {"error": "x"}]),
    ("openai", [chunk(content="a"), {"choices": [5]}]),
    ("openai", [chunk(content="a"), {"choices": [{"delta": "x"}]}]),
    ("openai", [chunk(tool_calls=[grown(0, "{}")])]),
    ("openai", [chunk(tool_calls=["x"])]),
    ("openai", [chunk(content="a"), []]),
    ("gemini", STREAM_OF_GEMINI),
    ("gemini", STREAM_OF_GEMINI[:2]),
    ("gemini", [STREAM_OF_GEMINI[1], gemini.candidate(reason="MALFORMED_RESPONSE")]),
    ("gemini", [STREAM_OF_GEMINI[1], {"error": {"status": "DEADLINE_EXCEEDED"}}]),
    ("gemini", [STREAM_OF_GEMINI[1], gemini.candidate(reason="SAFETY", usageMetadata={"promptTokenCount": 4})]),
]


def lines(dialect: str, sent: list[Any]) -> list[str]:
    return [*(latin(e) for e in sent), *(["[DONE]"] if dialect == "openai" else [])]


def proxied(dialect: str, sent: list[Any]) -> list[Any]:
    """The proxy's events; why a stream broke, or what is charged for it, stands last."""
    way = doors.way(MESSAGES, dialect, dialect)
    assert way
    state, found = way.stream(), list[Any]()
    try:
        for data in lines(dialect, sent):
            found.extend(state.events("", data.encode("latin-1")))
        found.extend(() if state.done else state.end())
    except StreamError as fault:
        return [*found, "timeout" if str(fault) == "timeout" else "broken"]
    except NO_ANSWER:
        return [*found, "broken"]
    return [*found, counted(state.usage)] if state.done else found


def scripted(dialect: str, text: str, size: int) -> list[Any]:
    found: list[Any] = []
    used: list[int] | None = None
    for block in filter(None, SCRIPTS[dialect].stream(*cut(text, size)).split("\n\n")):
        head, _, data = block.rpartition("\n")
        if head.startswith(":used "):
            line, _, head = head.partition("\n")
            used = [int(n) for n in line.split()[1:]]
        event = json.loads(data.removeprefix("data: "))
        if "error" in event:
            found.append("timeout" if event["error"]["type"] == "timeout_error" else "broken")
        else:
            assert head == f"event: {event['type']}"
            found.append(event)
    return [*found, used] if found[-1:] == [{"type": "message_stop"}] else found


def without_names(events: list[Any]) -> list[Any]:
    """The tier above puts the client's name of the model in their place."""
    return [
        {**e, "message": {**e["message"], "model": ""}} if isinstance(e, dict) and "message" in e else e for e in events
    ]


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(("dialect", "sent"), STREAMS)
def test_a_stream_is_what_the_proxy_makes_of_it(dialect: str, sent: list[Any], size: int) -> None:
    text = ": comment\n\n" + "".join(f"data: {line}\r\n\r\n" for line in lines(dialect, sent))
    assert without_names(scripted(dialect, text, size)) == without_names(proxied(dialect, sent))


_CHUNKS = st.lists(
    st.one_of(
        st.builds(chunk, content=_TEXTS),
        st.builds(chunk, refusal=_TEXTS),
        st.builds(
            chunk, content=st.just(""), finish=st.sampled_from(["stop", "length", "tool_calls", "content_filter"])
        ),
        st.builds(lambda n, arguments: chunk(tool_calls=[named(n, arguments)]), st.integers(0, 2), _TEXTS),
        st.builds(lambda n, arguments: chunk(tool_calls=[grown(n, arguments)]), st.integers(0, 2), _TEXTS),
        st.sampled_from([COUNTED, {"error": {"type": "timeout_error"}}, {"choices": [5]}]),
    ),
    max_size=8,
)


@settings(max_examples=100)
@given(_CHUNKS, st.integers(1, 400))
def test_any_stream_is_what_the_proxy_makes_of_it(sent: list[Any], size: int) -> None:
    text = "".join(f"data: {line}\n\n" for line in lines("openai", sent))
    assert without_names(scripted("openai", text, size)) == without_names(proxied("openai", sent))


def test_a_stream_without_its_end_and_one_whose_last_line_does_not_end() -> None:
    text = f"data: {latin(chunk('stop', content='a'))}\n\n"
    assert [e["type"] for e in scripted("openai", text, 9)][-1] == "content_block_delta"
    assert scripted("openai", text + "data: [DONE]", 9)[-2]["type"] == "message_stop"
    assert scripted("openai", text + "data: {oops\n\ndata: [DONE]\n\n", 9)[-1] == "broken"


_COUNTS = st.one_of(st.none(), st.integers(0, 9), st.just("x"))
_DETAILS = st.one_of(
    st.none(), st.fixed_dictionaries({}, optional={"cached_tokens": _COUNTS, "cache_write_tokens": _COUNTS})
)
_OF_OPENAI = st.fixed_dictionaries(
    {},
    optional={
        **{f"{part}_tokens": _COUNTS for part in ("prompt", "completion", "total")},
        "prompt_tokens_details": _DETAILS,
    },
)
_FIGURE = st.one_of(st.none(), st.integers(0, 9))
_OF_ANTHROPIC = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"), _FIGURE
    ),
)


class Figures:
    """The script that reads figures, in a LuaJIT."""

    def __init__(self) -> None:
        lua = luajit21.LuaRuntime(encoding="latin-1")
        lua.execute(
            "".join(asset("envoy", f"{n}.lua") for n in ("json", "usage"))
            + "function _G.read(a, b) local u = figures(figures(nil, (decode(a))), b and (decode(b)))"
            + " return u and used_text(u) end"
        )
        self._read = lua.globals().read

    def __call__(self, *said: Any) -> list[int] | None:
        found = self._read(*(json.dumps(u) for u in said))
        return found and [int(n) for n in found.split()]


FIGURES = Figures()


@given(_OF_OPENAI)
def test_figures_are_what_the_proxy_reads(usage: Any) -> None:
    assert FIGURES(usage) == counted(usage)


@given(st.lists(_OF_ANTHROPIC, min_size=1, max_size=2))
def test_figures_of_anthropic_are_what_the_proxy_reads(said: Any) -> None:
    merged = {k: v for usage in said for k, v in usage.items() if v is not None}
    assert FIGURES(*said) == counted(usage_of(merged))


@pytest.mark.parametrize(
    ("usage", "found"),
    [
        ({}, None),
        ({"total_tokens": None}, None),
        ({"input_tokens": 0, "output_tokens": 0}, [0, 0, 0, 0, 0]),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, [0, 0, 0, 0, 0]),
        ({"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 4}, [5, 2, 0, 4, 7]),
        ({"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 9}, [2, 7, 0, 0, 9]),
    ],
)
def test_figures_of_zero_are_figures(usage: Any, found: Any) -> None:
    assert FIGURES(usage) == found


# --- the real Envoy, and Anthropic's own client


def spec(ports: list[int], openai: str, google: str) -> dict[str, Any]:
    """A model for each dialect, and one that goes from one to another to none."""
    apology = {"on": ["server-error"], "response": {"status": 200, "content": "Busy."}}
    two = [
        {"name": "first", "provider": "google", "model": "g"},
        {"name": "second", "provider": "other", "model": "o", "priority": 1},
    ]
    return {
        "apiVersion": "aigw.dev/v1alpha1",
        "kind": "AIGateway",
        "metadata": {"name": "messages"},
        "spec": {
            "listeners": [{"name": "public", "address": "127.0.0.1", "port": ports[0]}],
            "providers": [
                {"name": "other", "type": "openai", "baseUrl": openai, "auth": {"apiKey": {"env": "O"}}},
                {
                    "name": "google",
                    "type": "gemini",
                    "baseUrl": google.removesuffix("/v1") + "/v1beta",
                    "auth": {"apiKey": {"env": "G"}},
                },
            ],
            "models": [
                {"name": "openai", "targets": [{"provider": "other", "model": "o"}], "health": {"failures": 10_000}},
                {"name": "gemini", "targets": [{"provider": "google", "model": "g"}], "health": {"failures": 10_000}},
                {"name": "both", "targets": two, "fallback": apology, "health": {"failures": 10_000}},
            ],
            "auth": {"anonymous": True},
            "observability": {"operations": {"port": ports[-1]}},
        },
    }


class Running(NamedTuple):
    client: anthropic.Anthropic
    seen: dict[str, Provider]
    """Model -> what it asks first."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("messages")
    with providers(2) as (openai, google):
        ports = runner.free_ports(2)
        _, documents = runner.build(spec(ports, openai.url, google.url))
        runner.write(folder, documents)
        url = f"http://127.0.0.1:{ports[0]}"
        with (
            runner.running(folder, ports[-1] + 1),
            anthropic.Anthropic(base_url=url, api_key="x", max_retries=0) as client,
        ):
            yield Running(client, {"openai": openai, "gemini": google})


TURNS: Any = [{"role": "user", "content": [TEXT, PNG]}]
FOUND = {"city": "Paris", "n": 12345678901234567890}
_CALL: dict[str, Any] = {"name": "weather", "args": FOUND}
WHOLE = {
    "openai": completion("tool_calls", USAGE, content="Hm.", tool_calls=[{**calling(json.dumps(FOUND)), "id": "t"}]),
    "gemini": gemini.candidate({"text": "Hm."}, {"functionCall": _CALL}, usageMetadata={"promptTokenCount": 10}),
}
PARTS = {
    "openai": [
        chunk(content="Hm."),
        chunk(tool_calls=[named(0, '{"city": "Paris", ')]),
        chunk(tool_calls=[grown(0, '"n": 12345678901234567890}')]),
        chunk("tool_calls"),
        COUNTED,
        "[DONE]",
    ],
    "gemini": [gemini.candidate({"text": "Hm."}, reason=None), gemini.candidate({"functionCall": _CALL})],
}


def sse(parts: list[Any]) -> list[str]:
    return [f"data: {p if isinstance(p, str) else json.dumps(p)}\n\n" for p in parts]


@pytest.mark.parametrize("model", ["openai", "gemini"])
def test_anthropics_client_asks_and_streams_and_calls_tools(running: Running, model: str) -> None:
    client, upstream, tools = (
        running.client,
        running.seen[model],
        [{"name": "weather", "input_schema": {"type": "object"}}],
    )
    asked: dict[str, Any] = {"model": model, "max_tokens": 50, "system": "S", "messages": TURNS, "tools": tools}
    upstream.plan()
    said = client.messages.create(**{**asked, "tools": []})
    assert (said.content[0].text, said.model, said.stop_reason) == ("Hello from here", model, "end_turn")
    assert said.usage.output_tokens > 0
    with client.messages.stream(**{**asked, "tools": []}) as stream:
        assert "".join(stream.text_stream) == "Hello from here"
    upstream.plan({"body": json.dumps(WHOLE[model])})
    called = client.messages.create(**asked)
    upstream.plan({"parts": sse(PARTS[model])})
    with client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    for found in (called, streamed):
        text, use = found.content
        assert (text.text, use.name, use.input, found.stop_reason) == (
            "Hm.",
            "weather" if model == "gemini" else "f",
            FOUND,
            "tool_use",
        )
        assert use.id
    result: Any = {"type": "tool_result", "tool_use_id": called.content[1].id, "content": "sunny"}
    turns = [*TURNS, {"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
    assert client.messages.create(**{**asked, "messages": turns}).content[0].text == "Hello from here"
    assert "sunny" in upstream.seen[-1].body.decode()
    assert client.messages.count_tokens(model=model, messages=TURNS).input_tokens > 9


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ({"status": 400}, anthropic.BadRequestError),
        ({"status": 404}, anthropic.NotFoundError),
        ({"status": 429}, anthropic.RateLimitError),
        ({"status": 401}, anthropic.InternalServerError),
        ({"body": "{}"}, anthropic.InternalServerError),
    ],
)
@pytest.mark.parametrize("model", ["openai", "gemini"])
def test_anthropics_client_raises_the_right_error(running: Running, model: str, step: Any, error: Any) -> None:
    running.seen[model].plan(step)
    with pytest.raises(error) as raised:
        running.client.messages.create(model=model, max_tokens=5, messages=TURNS)
    assert raised.value.body["type"] == "error"


@pytest.mark.parametrize("model", ["openai", "gemini"])
def test_anthropics_client_raises_on_a_stream_that_breaks(running: Running, model: str) -> None:
    running.seen[model].plan({"parts": sse(PARTS[model][:1])})
    with (
        pytest.raises(anthropic.APIError),
        running.client.messages.stream(model=model, max_tokens=5, messages=TURNS) as s,
    ):
        s.get_final_message()


def test_anthropics_client_falls_back_and_is_answered_in_its_own_words(running: Running) -> None:
    client, (openai, google) = running.client, running.seen.values()
    for failed, text in ([{}], "Hello from here"), ([{"status": 500}], "Busy."):
        google.plan({"status": 500}, {"status": 500})
        openai.plan(*failed * 2)
        said = client.messages.create(model="both", max_tokens=5, messages=TURNS)
        assert (said.content[0].text, said.model) == (text, "both")
        with client.messages.stream(model="both", max_tokens=5, messages=TURNS) as stream:
            assert "".join(stream.text_stream) == text
    with pytest.raises(anthropic.BadRequestError) as raised:
        client.messages.create(model="both", max_tokens=5, messages=TURNS, extra_body={"top_k": 3})
    assert raised.value.body["error"]["code"] == "unsupported_by_provider"
