"""The scripts for Envoy in a LuaJIT as Envoy has it, against Python: JSON read and written, bodies edited in place."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from lupa import luajit21

from aigw_compile.emitters.envoy.wire import header_safe
from aigw_compile.proxy.config import Parameters
from aigw_compile.proxy.policies.parameters import with_parameters
from aigw_compile.target import asset

PHASES = [phase for phase in Phase if phase is not Phase.shrink]
"""A LuaJIT for each try: making an example small would take minutes, and the texts are small anyway."""

_ECHO = r"""
local function plain(hex) return (hex:gsub('%x%x', function(x) return string.char(tonumber(x, 16)) end)) end
for line in io.lines() do
  local ok, value, spans = pcall(decode, plain(line))
  local out = ok and encode(value) or ''
  if ok and type(value) == 'table' and spans[value] then
    out = out .. '\n' .. plain(line):sub(spans[value][1], spans[value][2])
  end
  io.write(ok and '1' or '0', (out:gsub('.', function(c) return string.format('%02x', c:byte()) end)), '\n')
end
"""


def _run(script: str, lines: str) -> str:
    """Return what a script writes; it reads `lines` by io.lines. Each run has a LuaJIT of its own."""
    lua = luajit21.LuaRuntime(encoding="latin-1")
    rows = iter(lines.splitlines())
    written: list[str] = []
    lua.globals().io.lines = lambda: lambda *_: next(rows, None)
    lua.globals().io.write = lambda *parts: written.extend(map(str, parts))
    lua.execute(script)
    return "".join(written)


def _lua(*texts: bytes) -> list[bytes | None]:
    """Return for each text what decode and encode make of it, and the span of the root; None where it is refused."""
    script = asset("envoy", "json.lua") + _ECHO
    lines = "".join(f"{t.hex()}\n" for t in texts)
    answers = _run(script, lines).splitlines()
    assert len(answers) == len(texts)
    return [bytes.fromhex(a[1:]) if a[0] == "1" else None for a in answers]


def _strict(text: bytes) -> Any:
    """Python's reading, as strict as the language wants it. Raises ValueError."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({k for k, _ in items}) != len(items):
            raise ValueError("duplicate")
        return dict(items)

    def number(word: str) -> float:
        value = float(word)
        if math.isinf(value):
            raise ValueError("too large")
        return value

    def constant(word: str) -> Any:
        raise ValueError(word)

    value = json.loads(
        text.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant, parse_float=number, parse_int=number
    )
    json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is no UTF-8
    return value


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(st.lists(JSON, min_size=1, max_size=20), st.booleans())
def test_lua_reads_and_writes_json(values: list[Any], ascii_only: bool) -> None:
    texts = [json.dumps(v, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") for v in values]
    for text, answer in zip(texts, _lua(*texts), strict=True):
        assert answer is not None
        written, _, span = answer.partition(b"\n")
        read = json.loads(written, parse_int=float)
        wanted = json.loads(text, parse_int=float)
        assert read == wanted or (wanted in ([], {}) and read in ([], {}))
        assert not span or span == text


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(st.data())
def test_lua_refuses_what_is_no_json(data: st.DataObject) -> None:
    """Cut, doubled and changed bytes: both readers say yes, or both say no."""
    texts = []
    for _ in range(20):
        text = bytearray(
            json.dumps(data.draw(JSON), ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
        )
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b",", b'"', b"\\", b"0", b"\xff", b"}", b"\x01"])
        )
        texts.append(bytes(text))
    for text, answer in zip(texts, _lua(*texts), strict=True):
        try:
            _strict(text)
            fine = True
        except (ValueError, RecursionError):
            fine = False
        assert (answer is not None) == fine, text


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"\\u0061":2}',
        b'{"a":{"b":1,"b":1}}',
        b'"\\ud83d"',
        b'"\\ude00"',
        b'"\xed\xa0\x80"',
        b'"\xc0\xaf"',
        b'"\xf4\x90\x80\x80"',
        b"01",
        b"1.",
        b"+1",
        b".5",
        b"1e999",
        b"1e+300843024463627164826",
        b"NaN",
        b"nul",
        b"[1 2]",
        b'{"a" 1}',
        b"{a:1}",
        b"\xef\xbb\xbf{}",
        b"",
        b" ",
        b"[" * 300 + b"]" * 300,
        b'"\x7f\t"',
    ],
)
def test_lua_refuses(text: bytes) -> None:
    assert _lua(text) == [None]


_EDIT = r"""
local function plain(hex) return (hex:gsub('%x%x', function(x) return string.char(tonumber(x, 16)) end)) end
for line in io.lines() do
  local text, before, after = line:match('^(%x*) (%x*) (%x*)$')
  text = plain(text)
  local doc, spans, members = decode(text)
  local function side(hex) return {messages = hex ~= '' and plain(hex) or nil} end
  local decorators = {{scope = 'gateway', prepend = side(before), append = side(after)}}
  local edits, asked = edits_of('chat', text, doc, spans, members, decorators, '', {}, 'm')
  local out, place = edited(text, edits, members[doc].model)
  local hex = out:gsub('.', function(c) return string.format('%02x', c:byte()) end)
  io.write(hex, ' ', place, ' ', tostring(asked), '\n')
end
"""
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": st.text()}), max_size=3
)
BODIES = st.fixed_dictionaries(
    {"model": st.text(min_size=1), "messages": MESSAGES.filter(bool)},
    optional={
        "stream": st.sampled_from([True, True, False, None]),
        "stream_options": st.none()
        | st.fixed_dictionaries({}, optional={"include_usage": st.booleans(), "x": st.lists(JSON, max_size=2)}),
        "seed": st.integers(-(2**70), 2**70),
        "tools": st.lists(JSON, max_size=2),
    },
)


@settings(max_examples=30, deadline=None, phases=PHASES)
@given(
    st.lists(
        st.tuples(BODIES, MESSAGES, MESSAGES, st.randoms(), st.sampled_from([None, 0, 3])), min_size=1, max_size=10
    )
)
def test_lua_edits_a_body_in_place(cases: list[tuple[Any, Any, Any, Any, int | None]]) -> None:
    """Decorators and include_usage: the same as if the body had been read, changed and written."""
    lines = []
    for body, before, after, random, indent in cases:
        order = random.sample(list(body), len(body))
        text = json.dumps({k: body[k] for k in order}, ensure_ascii=random.random() < 0.5, indent=indent)
        parts = (",".join(json.dumps(m) for m in side) for side in (before, after))
        lines.append(" ".join(x.encode("utf-8", "surrogatepass").hex() for x in (text, *parts)))
    script = "".join(asset("envoy", f"{n}.lua") for n in ("json", "reply", "edits", "texts", "decorators")) + _EDIT
    for (body, before, after, *_), line in zip(cases, _run(script, "\n".join(lines)).splitlines(), strict=True):
        hexed, place, asked = line.split(" ")
        raw = bytes.fromhex(hexed)
        first, last = map(int, place.split(","))
        assert json.loads(raw[first - 1 : last]) == body["model"]
        wanted = {**body, "messages": [*before, *body["messages"], *after]}
        options = body.get("stream_options")
        if body.get("stream") is True:
            wanted["stream_options"] = {**(options or {}), "include_usage": True}
            assert asked == str(bool(options and options.get("include_usage"))).lower()
        assert json.loads(raw) == wanted


_PARAMETERS = r"""
local function plain(hex) return (hex:gsub('%x%x', function(x) return string.char(tonumber(x, 16)) end)) end
for line in io.lines() do
  local text, parameters = line:match('^(%x*) (%x*)$')
  local found = decode(plain(parameters))
  local out = with_parameters(plain(text), 'named', found)
  io.write((out:gsub('.', function(c) return string.format('%02x', c:byte()) end)), '\n')
end
"""
FIELDS = st.sampled_from(["temperature", "n", "stop", "é", "max_tokens", "max_completion_tokens"])
CAPS = st.sampled_from([(), ("max_tokens",), ("max_completion_tokens", "max_tokens")])
NUMBERS = st.integers(0, 2**60) | st.floats(0, 1e6, allow_nan=False)


def _one_cap(fields: dict[str, Any]) -> bool:
    """Two names of one parameter contradict each other: which of them is last is up to nobody."""
    return not {"max_tokens", "max_completion_tokens"} <= fields.keys()


PARAMETERS = st.fixed_dictionaries(
    {
        "defaults": st.dictionaries(FIELDS, NUMBERS | JSON, max_size=3).filter(_one_cap),
        "overrides": st.dictionaries(FIELDS, JSON, max_size=2).filter(_one_cap),
        "maximum": st.dictionaries(FIELDS, st.integers(0, 100), max_size=3),
    }
)


@settings(max_examples=30, deadline=None, phases=PHASES)
@given(
    st.lists(st.tuples(st.dictionaries(FIELDS, NUMBERS | JSON, max_size=4), PARAMETERS, CAPS), min_size=1, max_size=10)
)
def test_lua_sets_parameters(cases: list[tuple[dict[str, Any], dict[str, dict[str, Any]], tuple[str, ...]]]) -> None:
    """As the reference proxy does."""
    lines = []
    for body, parameters, caps in cases:
        text = json.dumps({**body, "model": "m"})
        given_as: dict[str, Any] = {
            s: {k: json.dumps(v) for k, v in values.items()} for s, values in parameters.items()
        }
        given_as["caps"] = caps
        lines.append(f"{text.encode().hex()} {json.dumps(given_as).encode().hex()}")
    script = "".join(asset("envoy", f"{n}.lua") for n in ("json", "reply", "edits")) + _PARAMETERS
    for (body, p, caps), line in zip(cases, _run(script, "\n".join(lines)).splitlines(), strict=True):
        wanted = with_parameters({**body, "model": "named"}, Parameters(**p), caps)
        assert json.loads(bytes.fromhex(line)) == wanted


_KEY = r"""
local function plain(hex) return (hex:gsub('%x%x', function(x) return string.char(tonumber(x, 16)) end)) end
local data = decode('{"headers": [], "keys": {"authorization": true, "x-api-key": true}, "basic": true, "issuers": {"i": true}}')
for line in io.lines() do
  local name, value = line:match('^(%S+) (%x*)$')
  local to, out = kind_of(data, name, plain(value))
  io.write(to or 'none', ' ', ((out or ''):gsub('.', function(c) return string.format('%02x', c:byte()) end)), '\n')
end
"""


def _b64(text: str, *, url: bool = False) -> str:
    raw = (base64.urlsafe_b64encode if url else base64.b64encode)(text.encode()).decode()
    return raw.rstrip("=") if url else raw


TOKEN = f"{_b64('{}', url=True)}.{_b64(json.dumps({'iss': 'i', 'x': '~~??>>'}), url=True)}.AA-_"
FOREIGN = f"{_b64('{}', url=True)}.{_b64(json.dumps({'iss': 'j'}), url=True)}.AA"
DECIDED: list[tuple[str, str, str, str]] = [
    ("authorization", "Bearer key", "x-aigw-key", "key"),
    ("authorization", "bEaReR  key", "x-aigw-key", "key"),
    ("authorization", "key", "none", ""),
    ("authorization", "Bearer Bearer key", "none", ""),
    ("authorization", "Digest key", "none", ""),
    ("x-api-key", "key", "x-aigw-key", "key"),
    ("x-api-key", "Bearer key", "none", ""),
    ("x-other", "key", "none", ""),
    ("x-api-key", "a.b.c", "x-aigw-key", "a.b.c"),
    ("x-api-key", TOKEN, "x-aigw-token", TOKEN),
    ("authorization", f"Bearer {TOKEN}", "x-aigw-token", TOKEN),
    ("authorization", f"Bearer {FOREIGN}", "x-aigw-key", FOREIGN),
    ("authorization", f"Bearer {TOKEN}.AA", "x-aigw-key", f"{TOKEN}.AA"),
    ("authorization", f"Basic {_b64('a:b')}", "x-aigw-key", " a:b"),
    ("authorization", f"basic {_b64('é:p:ä ')}", "x-aigw-key", " é:p:ä "),
    ("authorization", f"Basic {_b64('a:b')[:-1]}", "none", ""),
    ("authorization", f"Basic {_b64('a:b' + chr(10))}", "none", ""),
    ("authorization", "Basic ~~~~", "none", ""),
    ("x-api-key", f"Basic {_b64('a:b')}", "x-aigw-key", f"Basic {_b64('a:b')}"),
]


def test_lua_decides_which_door() -> None:
    """A token goes to its issuer, a password is looked up behind a space, anything else is a key."""
    script = "".join(asset("envoy", f"{n}.lua") for n in ("json", "reply", "key")) + _KEY
    lines = [f"{name} {value.encode().hex()}" for name, value, *_ in DECIDED]
    for (name, value, to, out), line in zip(DECIDED, _run(script, "\n".join(lines)).splitlines(), strict=True):
        assert line == f"{to} {out.encode().hex()}", (name, value)


@settings(max_examples=30, deadline=None, phases=PHASES)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
def test_lua_reads_base64(texts: list[bytes]) -> None:
    echo = _KEY.partition("local data")[0] + (
        "for line in io.lines() do local out = unbase64(plain(line), false) "
        "io.write((out:gsub('.', function(c) return string.format('%02x', c:byte()) end)), '\\n') end"
    )
    script = "".join(asset("envoy", f"{n}.lua") for n in ("json", "reply", "key")) + echo
    lines = "\n".join(base64.b64encode(t).hex() or "" for t in texts)
    assert [bytes.fromhex(x) for x in _run(script, lines + "\n").split("\n")[: len(texts)]] == texts


@given(st.text())
def test_header_values_are_plain(text: str) -> None:
    from urllib.parse import unquote

    safe = header_safe(text.encode("utf-8", "ignore").decode())
    assert all("!" <= c <= "~" for c in safe)
    assert unquote(safe) == text.encode("utf-8", "ignore").decode()
