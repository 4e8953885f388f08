"""Good YAML to the data that a YAML 1.2 reader sees, bad YAML to a code and a place, and every value to its text."""

from __future__ import annotations

import json
import os
import re
import time
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Related, Severity, Span
from aigw_compile.source import CODES, LARGEST, Source, display, load, parse, reader
from aigw_compile.source import places as places_


def one(text: bytes | str) -> Source:
    sources, found = parse(text, "a.yaml")
    assert [d for d in found if d.severity is Severity.ERROR] == []
    assert len(sources) == 1
    return sources[0]


def places(text: bytes | str) -> list[tuple[str, int, int]]:
    return [(d.code, d.span.line, d.span.column) for d in parse(text, "a.yaml")[1] if d.span]


GOOD: list[tuple[str, Json]] = [
    ("a: null\nb: ~\nc:\nd: Null\ne: ''", {"a": None, "b": None, "c": None, "d": None, "e": ""}),
    ("[true, True, FALSE, false, tRue]", [True, True, False, False, "tRue"]),
    ("[0, -1, +2, 0o17, 0x1F, 9223372036854775807, -9223372036854775808]", [0, -1, 2, 15, 31, 2**63 - 1, -(2**63)]),
    ("[1.5, -.5, 1., 1e3, 1E-2, +12.0]", [1.5, -0.5, 1.0, 1000.0, 0.01, 12.0]),
    ("[yes, No, on, OFF, y]", ["yes", "No", "on", "OFF", "y"]),
    ("[0b1, 1_000, 12:30:45, 0o8, 0xg, 1e, ., +, -x, 1.2.3]",
     ["0b1", "1_000", "12:30:45", "0o8", "0xg", "1e", ".", "+", "-x", "1.2.3"]),
    ("[2026-01-31, 2026-01-31T12:00:00Z, =, 60s, 10Mi]", ["2026-01-31", "2026-01-31T12:00:00Z", "=", "60s", "10Mi"]),
    ("['1', \"true\", ! 1, !!str 2, !!int '3', !!float 4, !!bool true, !!null '', !!float 0x10]",
     ["1", "true", "1", "2", 3, 4.0, True, None, 16.0]),
    ("on: [a]\noff: true\nx: off", {"on": ["a"], "off": True, "x": "off"}),
    ('{"a":1,"b":[{"c":null}],"url":"http://x/?a=b#c"}', {"a": 1, "b": [{"c": None}], "url": "http://x/?a=b#c"}),
    ("{u: http://x:1/y, v: a#b, w: 'it''s'}", {"u": "http://x:1/y", "v": "a#b", "w": "it's"}),
    ("a: |\n  x\n   y\n\nb: >-\n  x\n  y\nc: |+\n  z\n\n", {"a": "x\n y\n", "b": "x y", "c": "z\n\n"}),
    ('"\\u00e4\\x41\\n\\/\\U0001F600 \\u2028"', "äA\n/\U0001f600 \u2028"),
    ("? a\n: b", {"a": "b"}),
    ("'<<': 1\n\"1\": 2", {"<<": 1, "1": 2}),
    ("a: &x {b: [1]}\nc: *x\nd: &y z\n*y : *y", {"a": {"b": [1]}, "c": {"b": [1]}, "d": "z", "z": "z"}),
    ("a: &x 1\nb: &x 2\nc: *x", {"a": 1, "b": 2, "c": 2}),
    ("%YAML 1.2\n---\na: 1\n...\n", {"a": 1}),
    ("a:\r\n  - b\r\n", {"a": ["b"]}),
    ("plain", "plain"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "data"), GOOD)
def test_good_yaml_is_read_by_the_core_schema(text: str, data: Json) -> None:
    read_data = one(text).data
    assert read_data == data
    assert json.dumps(read_data) == json.dumps(data)


# text, and each finding: code, line, column
BAD: list[tuple[bytes | str, list[tuple[str, int, int]]]] = [
    # encodings and characters
    (b"\xef\xbb\xbfa: 1", [("AIG0004", 1, 1)]),
    ("a: 1\nb: ä\n".encode("utf-16"), [("AIG0003", 1, 1)]),
    ("a: 1\nb: ä\n".encode("utf-32"), [("AIG0003", 1, 1)]),
    ("a: 1\nb: xyz\ncde: fgä\n".encode("utf-16-le"), [("AIG0003", 1, 1)]),
    ("a: 1\nb: 2\n".encode("utf-16-be"), [("AIG0003", 1, 1)]),
    ("a: ü\nb: Zü".encode("latin-1"), [("AIG0003", 1, 4)]),
    ("ä: 1\nb: ".encode() + b"x\xff\xfe", [("AIG0003", 2, 5)]),
    ("ä: \x00b\nc: \x1b", [("AIG0005", 1, 4), ("AIG0005", 2, 4)]),
    ("a: x\u2028b # \x85", [("AIG0005", 1, 5), ("AIG0005", 1, 10)]),
    ("a: \ud800", [("AIG0005", 1, 4)]),
    ("a: x\u202eb", [("AIG0006", 1, 5)]),
    # syntax
    ("a: b: c", [("AIG0010", 1, 5)]),
    ("a: 1 b: 2", [("AIG0010", 1, 7)]),
    ("key without colon\nb: 1", [("AIG0010", 1, 1)]),
    ("a: 1\n b: 2", [("AIG0010", 2, 3)]),
    ("a:\n  b: 1\n c: 2", [("AIG0010", 3, 2)]),
    ("a: 1\n- b", [("AIG0010", 2, 1)]),
    ("- a\nb: 1", [("AIG0010", 2, 1)]),
    ("a: [1, 2\nb: 3", [("AIG0010", 2, 2)]),
    ("a: [1, 2\n", [("AIG0010", 1, 4)]),
    ("a: {x: 1\nb: 3", [("AIG0010", 2, 2)]),
    ("a: [1,\n---\nb: 1", [("AIG0010", 2, 1)]),
    ("a: }", [("AIG0010", 1, 4)]),
    ("a: {b,,c}", [("AIG0010", 1, 7)]),
    ("a: 1\n}", [("AIG0010", 2, 1)]),
    ("a: 'x", [("AIG0010", 1, 4)]),
    ("a: 'it's'", [("AIG0010", 1, 8)]),
    ("a: @x", [("AIG0010", 1, 4)]),
    ("a: `x`", [("AIG0010", 1, 4)]),
    ("h: [*.example.com]", [("AIG0010", 1, 5)]),
    ('a: "\\d+"', [("AIG0010", 1, 5)]),
    ('a: "\\ud83d\\ude00"', [("AIG0010", 1, 5)]),
    ('a: "\\xg0"', [("AIG0010", 1, 5)]),
    ("a: - b", [("AIG0010", 1, 4)]),
    ("a: ? b", [("AIG0010", 1, 4)]),
    (": x", [("AIG0010", 1, 1)]),
    ("{a: 1}\nb: 2", [("AIG0010", 2, 1)]),
    ("a: | x\n  y", [("AIG0010", 1, 6)]),
    ("a: |0\n  y", [("AIG0010", 1, 5)]),
    ("...\na: 1", [("AIG0010", 1, 1)]),
    ("%YAML 2.0\n---\na: 1", [("AIG0010", 1, 1)]),
    ("%FOO x\n---\na: 1", [("AIG0010", 1, 1)]),
    # tabs
    ("a:\n\tb: 1", [("AIG0011", 2, 1)]),
    ("a:\n  b: 1\n \tc: 1", [("AIG0011", 3, 2)]),
    ("-\ta: 1", [("AIG0011", 1, 2)]),
    ("a: |\n  x\n\ty", [("AIG0011", 3, 1)]),
    # keys
    ("a: 1\nb: 2\n'a': 3", [("AIG0012", 3, 1)]),
    ('a: {b: 1, "\\x62": 2}', [("AIG0012", 1, 11)]),
    ("1: a\n'1': b", [("AIG0013", 1, 1), ("AIG0012", 2, 1)]),
    ("1.5: a\ntrue: b\nnull: c\n~: d", [("AIG0013", n, 1) for n in (1, 2, 3, 4)]),
    ("{: a}", [("AIG0010", 1, 2)]),
    ("?\n: a", [("AIG0013", 1, 2)]),
    ("[a]: b\n{c: d}: e\n", [("AIG0013", 1, 1), ("AIG0013", 2, 1)]),
    ("a: &x [1]\n*x : 2", [("AIG0013", 2, 1)]),
    ("a: &x 1\n*x : 2", [("AIG0013", 2, 1)]),
    ("a: {{ name }}", [("AIG0013", 1, 5)]),
    ("yes: 1\nn: 2\n2026-01-31: 3", [("AIG0014", n, 1) for n in (1, 2, 3)]),
    # values
    ("- yes\n- 012\n- 1_0\n- 12:30:45\n- 2026-01-31\n- =\n- <<\n- 0o7\n- 08",
     [("AIG0014", n, 3) for n in range(1, 10)]),
    ("a: &x {b: 1}\n<<: *x", [("AIG0015", 2, 1)]),
    ("- !foo 1\n- !!python/object:os.x {}\n- !!binary YQ==\n- !!map []\n- !!int x",
     [("AIG0016", n, 3) for n in range(1, 6)]),
    ("a: !e!x 1", [("AIG0016", 1, 4)]),
    ("a: !<x", [("AIG0016", 1, 4)]),
    ("a: *x\nb: &y 1\nc: *Y", [("AIG0017", 1, 4), ("AIG0017", 3, 4)]),
    ("a: &x [1, {b: *x}]", [("AIG0018", 1, 15)]),
    ("&x *x : 1", [("AIG0013", 1, 1), ("AIG0010", 1, 4)]),
    ("a: &x 1\nb: [" + "*x, " * 1001 + "]", [("AIG0019", 2, 4005)]),
    ("- 9223372036854775808\n- -9223372036854775809\n- 1e999\n- " + "9" * 5000,
     [("AIG0022", n, 3) for n in (1, 2, 3, 4)]),
    ("- .inf\n- -.INF\n- .NaN", [("AIG0023", n, 3) for n in (1, 2, 3)]),
    # depth
    ("[" * 101 + "]" * 101, [("AIG0020", 1, 101)]),
    ("[" * 100 + "]" * 100, []),
    ("- " * 101 + "a", [("AIG0020", 1, 201)]),
    # documents
    ("%YAML 1.1\n---\na: 1", [("AIG0024", 1, 1)]),
    ("---\n# nothing\n---\n...\n", []),
    ("a: [\n---\nb: 1\n---\nc: 'x\n---\nd: *x\n", [("AIG0010", 2, 1), ("AIG0010", 5, 4), ("AIG0017", 7, 4)]),
    ("a: b: c\n...\n%YAML 1.1\n---\na: 1", [("AIG0010", 1, 5), ("AIG0024", 3, 1)]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "found"), BAD)
def test_bad_yaml_is_told_with_its_place(text: bytes | str, found: list[tuple[str, int, int]]) -> None:
    assert places(text) == found


@pytest.mark.parametrize("text", [text for text, _ in BAD])
def test_every_finding_is_whole(text: bytes | str) -> None:
    for d in parse(text, "a.yaml")[1]:
        assert d.code in CODES
        assert d.severity is CODES[d.code][0]
        assert d.message
        assert "\n" not in d.message + d.hint
        assert d.span is not None
        assert d.span.file == "a.yaml"
        assert (d.span.end_line, d.span.end_column) >= (d.span.line, d.span.column)
        assert all(r.span for r in d.related)


def test_every_code_has_a_case() -> None:
    told = {code for _, found in BAD for code, _, _ in found}
    # What a table of texts cannot show is tested below: unreadable, too large, too many documents or values.
    assert told | {"AIG0001", "AIG0002", "AIG0021", "AIG0025"} == set(CODES)
    for severity, title, page in CODES.values():
        assert isinstance(severity, Severity)
        assert title[0].islower() or title.startswith("%")
        assert page.endswith(".")


def test_words_of_the_spec_language_need_no_quotes() -> None:
    assert places("retries: {on: [timeout]}\npromptDecorator: {off: true}\nrules: {AIG5003: off}\n") == []
    assert places("a: on\nb: Off\nOn: c\n") == [("AIG0014", 1, 4), ("AIG0014", 2, 4), ("AIG0014", 3, 1)]


MESSAGES = [
    ("a: b: c", 'a second ": " stands in one line', 'a: "..."'),
    ("a:\n\tb: 1\n\tc: 1", "a tab is used for indentation (1 more line below with a tab)", "two spaces"),
    ("1: a", "the key 1 is not text", 'write "1"'),
    ("a: no", "no is text here, but the boolean false to readers of YAML 1.1", 'write "no"'),
    ("a: 012", "012 is the number 12 here, but an octal number", 'write 12, or "012"'),
    ("<<: {}", "merge keys (<<) are not part of YAML 1.2", "configRef"),
    ("a: {{ b }}", "{{ opens a mapping", "quotes"),
    ("a: *.x", "for the start of an alias", '"*..."'),
    ("b: &abc 1\na: *abd", "*abd names no anchor before it", "did you mean *abc?"),
    ('a: "\\d"', "\\d is no escape", "'\\d...'"),
    (b"a: \xfc", 'the byte 0xFC does not belong here, in Latin-1 it would be "ü"', "UTF-8"),
    ("a: 1".encode("utf-16"), "byte order mark of UTF-16", "UTF-8"),
    ("a: \x7f", "U+007F (delete)", '"\\x7f"'),
    ("a: !secret x", "the tag !secret is not known", "{env: NAME}"),
    ("x" * 500 + ": 1\n" + "x" * 500 + ": 2", "the key \"" + "x" * 57 + '..." stands here twice', "remove one"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message", "hint"), MESSAGES)
def test_messages_say_what_would_be_right(text: bytes | str, message: str, hint: str) -> None:
    first = parse(text, "a.yaml")[1][0]
    assert message in first.message
    assert hint in first.hint


def test_a_key_that_stands_twice_names_both_places_and_keeps_the_first() -> None:
    sources, (found,) = parse("spec:\n  models:\n  - a: 1\n    b: {x: 1}\n    a: {x: [2]}\n", "a.yaml")
    assert sources[0].data == {"spec": {"models": [{"a": 1, "b": {"x": 1}}]}}
    assert (found.at, found.on_key, found.place) == (("spec", "models", 0, "a"), True, "models[0].a")
    assert found.span == Span("a.yaml", 5, 5, 5, 6)
    assert found.related[0].span == Span("a.yaml", 3, 5, 3, 6)


def test_documents_keep_their_number_whatever_is_wrong_before_them() -> None:
    sources, _ = parse("a: 1\n---\nb: [\n---\n---\nc: &x 1\n---\nd: *x\n", "a.yaml")
    assert [(s.index, s.data) for s in sources] == [(0, {"a": 1}), (3, {"c": 1}), (4, {"d": None})]
    assert sources[1].span(("c",)) == Span("a.yaml", 6, 4, 6, 8)
    assert sources[2].span(("d",), on_key=True) == Span("a.yaml", 8, 1, 8, 2)


def test_too_many_documents() -> None:
    sources, found = parse("---\na\n" * 1001, "a.yaml")
    assert len(sources) == 1000
    assert [(d.code, d.span and d.span.line) for d in found] == [("AIG0021", 2001)]


@pytest.mark.parametrize("text", ["[" + "[]," * 20 + "]", "[" + "a," * 20 + "]", "a: &x [1,2,3,4,5,6]\nb: [*x,*x,*x]"])
def test_too_many_values(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    for module in (reader, places_):
        monkeypatch.setattr(module, "MOST_VALUES", 20)
    sources, found = parse(f"a: 1\n---\n{text}\n---\nb: 2\n---\nc: [{{d: 1, d: 2}}]\n", "a.yaml")
    assert [s.data for s in sources] == [{"a": 1}]
    assert {d.code for d in found} == {"AIG0025"}, "what comes after it is not counted again"
    sources, found = parse("- a\n---\n" * 9 + "- b", "a.yaml")
    assert (len(sources), found, sources[0].size) == (10, [], 20)


def test_aliases_are_copies_and_a_bomb_stays_small() -> None:
    data = one("a: &x {b: [1]}\nc: *x\n").data
    assert isinstance(data, dict)
    assert data["a"] is not data["c"]
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
    sources, found = parse(bomb + "---\nb: 1\n", "a.yaml")
    assert [d.code for d in found] == ["AIG0019"]
    assert [s.data for s in sources] == [{"b": 1}]
    ladder = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 120))
    assert [d.code for d in parse(ladder, "a.yaml")[1]] == ["AIG0019"]


HOSTILE = (
    "[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 50_000, "[a, " * 50_000, "{" * 200_000, "'" * 100_001,
    "*" * 100_000, "&a " * 50_000, "!!" * 50_000, "%\n" * 50_000, "---\n[\n" * 900, "x\n" * 100_000,
    "a: b: c\n" * 50_000, "a:\n" * 20_000, "\x00" * 100_000, "a: yes\n---\n" * 900, "- yes\n" * 20_000,
    "a" * 300_000 + ": b", "\t" * 100_000, "|" * 10_000, '"\\' * 50_000, "\n" * 300_000,
    "-----BEGIN PRIVATE KEY-----" * 5_000,
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:8]))
def test_hostile_text_ends_soon_and_without_a_traceback(text: str) -> None:
    start = time.perf_counter()
    _, found = parse(text, "a.yaml")
    assert time.perf_counter() - start < 5
    assert len(found) <= 1000
    assert all(d.span for d in found)


@given(st.text(alphabet=st.sampled_from("ab:-?[]{},&*!|>'\"%@#\n\t \\.~<=1é\u2028\x00"), max_size=60))
@settings(max_examples=400, deadline=None)
def test_no_text_makes_a_traceback(text: str) -> None:
    sources, found = parse(text, "a.yaml")
    lines = text.count("\n") + 1
    assert all(d.span and 1 <= d.span.line <= lines for d in found)
    for source in sources:
        json.dumps(source.data, allow_nan=False)
        for pointer in pointers(source.data):
            assert source.span(pointer).line <= lines


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_no_bytes_make_a_traceback(raw: bytes) -> None:
    for d in parse(raw, "a.yaml")[1]:
        assert d.span


# The oracle: ruamel.yaml reads YAML 1.2, and several writers give their own shapes to the same data.
KEYS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C"]), max_size=12)
ANY = st.text(alphabet=st.characters(codec="utf-8"), max_size=30)
TAME = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]) | st.just("\n"), max_size=30
)
WORDS = st.sampled_from(
    ["yes", "on", "012", "1_0", "0x1", "1e3", "=", "<<", "~", "null",
     "- a", "a: b", "#", "2026-01-31", "a\nb\n", " x ", "\t"]
)  # fmt: skip


def data_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    scalars: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts | WORDS
    scalars |= st.floats(allow_nan=False, allow_infinity=False)
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=15
    )


def _ruamel(data: Json) -> str:
    out = StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.dump(data, out)
    return out.getvalue()


DUMPERS = {
    "json": lambda data: json.dumps(data, ensure_ascii=False),
    "json indented": lambda data: json.dumps(data, indent=2, ensure_ascii=False),
    "pyyaml": lambda data: yaml.safe_dump(data),
    "pyyaml wide": lambda data: yaml.safe_dump(data, allow_unicode=True, width=20, sort_keys=False),
    "pyyaml quoted": lambda data: yaml.safe_dump(data, default_style='"'),
    "pyyaml single": lambda data: yaml.safe_dump(data, default_style="'", allow_unicode=True),
    "pyyaml literal": lambda data: yaml.safe_dump({"a": data}, default_style="|", default_flow_style=False),
    "pyyaml flow": lambda data: yaml.safe_dump(data, default_flow_style=True),
    "ruamel": _ruamel,
}


def oracle(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def plain(value: Any) -> bool:
    """Say whether the oracle's value is JSON; it makes dates and infinities of some plain words."""
    if isinstance(value, dict):
        return all(isinstance(k, str) and plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and isfinite(value))


@given(data_of(ANY), st.sampled_from(sorted(DUMPERS)))
@settings(max_examples=300, deadline=None)
def test_data_written_by_others_is_read_as_a_1_2_reader_reads_it(data: Json, name: str) -> None:
    text = DUMPERS[name](data)
    sources, found = parse(text, "a.yaml")
    refused = {d.code for d in found if d.severity is Severity.ERROR}
    if refused:
        # Writers leave a control character or a YAML 1.1 line break raw, and 1e3 or 1e999 without quotes.
        assert refused <= {"AIG0005", "AIG0013", "AIG0022"}
        assert ("AIG0005" in refused) == bool(re.search("[\x7f-\x9f\u2028\u2029\ufffe\uffff]", text))
        return
    expected = oracle(text)
    if not plain(expected):
        return
    got = sources[0].data if sources else None
    assert got == expected
    assert json.dumps(got) == json.dumps(expected)


def pointers(data: Json) -> list[Pointer]:
    found: list[Pointer] = [()]
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inner:
        found += [(key, *rest) for rest in pointers(value)]
    return found


def cut(text: str, span: Span) -> str:
    lines = text.split("\n")[span.line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return "\n".join(lines)


@given(
    data_of(TAME),
    st.sampled_from(["json", "json indented", "pyyaml", "pyyaml wide", "pyyaml quoted", "pyyaml single", "ruamel"]),
)
@settings(max_examples=200, deadline=None)
def test_the_text_at_a_span_is_the_value_at_its_pointer(data: Json, name: str) -> None:
    text = DUMPERS[name](data)
    sources, found = parse(text, "a.yaml")
    if any(d.severity is Severity.ERROR for d in found) or not sources:
        return
    source = sources[0]
    for pointer in pointers(source.data):
        value: Json = source.data
        for step in pointer:
            value = value[step]
        span = source.span(pointer)
        piece = " " * (span.column - 1) + cut(text, span)
        if value is None and not piece.strip():
            continue
        # A value that goes on in a line further left than it starts stands on its own only inside a list.
        again, _ = parse(piece if isinstance(value, dict | list) else f"-\n {piece}", "b.yaml")
        assert again, piece
        assert (again[0].data if isinstance(value, dict | list) else again[0].data[0]) == value
        if pointer and isinstance(pointer[-1], str):
            key = cut(text, source.span(pointer, on_key=True))
            assert parse(f"? {key}\n: 1", "c.yaml")[0][0].data == {pointer[-1]: 1}


SPEC = """\
# a gateway
spec:
  models:
    - name: chat   # the first
      aliases: [gpt-4o, "ä b"]
      prompt: |
        line one
        line two

    - name: embed
  inline: {a: 1, b: {c: }}
  shared: &s {deep: [1, 2]}
  again: *s
  none:
"""


@pytest.mark.parametrize(
    ("pointer", "on_key", "text"),
    [
        (("spec", "models", 0, "name"), False, "chat"),
        (("spec", "models", 0, "name"), True, "name"),
        (("spec", "models", 0, "aliases"), False, '[gpt-4o, "ä b"]'),
        (("spec", "models", 0, "aliases", 1), False, '"ä b"'),
        (("spec", "models", 0, "aliases", 1), True, '"ä b"'),
        (("spec", "models", 0, "prompt"), False, "|\n        line one\n        line two"),
        (("spec", "models", 1), False, "name: embed"),
        (("spec", "inline", "b", "c"), False, ""),
        (("spec", "inline", "b", "c"), True, "c"),
        (("spec", "again"), False, "*s"),
        (("spec", "again", "deep", 1), False, "2"),
        (("spec", "none"), False, ""),
        # what is not there: the key that should hold it, the list item's first key, a short form as a whole
        (("spec", "auth"), False, "spec"),
        (("spec", "models", 1, "targets", 0, "name"), False, "name"),
        (("spec", "inline", "b", "x"), False, "b"),
        (("spec", "models", 7), False, "models"),
        (("kind",), False, "spec"),
        (("spec", "models", 0, "name", "x"), False, "name"),
    ],
)
def test_places(pointer: Pointer, on_key: bool, text: str) -> None:
    assert cut(SPEC, one(SPEC).span(pointer, on_key=on_key)) == text


def test_columns_count_code_points_and_ends_are_exclusive() -> None:
    source = one("ä\U0001f600b: \U0001f600x # c\r\nc: 1\r\n")
    assert source.span(("ä\U0001f600b",)) == Span("a.yaml", 1, 6, 1, 8)
    assert source.span(("c",)) == Span("a.yaml", 2, 4, 2, 5)


def test_locate_fills_in_what_is_missing_and_nothing_else() -> None:
    source = one(SPEC)
    given_span = Span("other.yaml", 1, 1, 1, 2)
    d = Diagnostic(
        "AIG2001", Severity.ERROR, "m", ("spec", "models", 0, "aliases", 0), "h",
        (Related("first", ("spec", "models", 1, "name")), Related("text only"), Related("there", ("x",), given_span)),
    )  # fmt: skip
    located = source.locate(d)
    assert located.span == Span("a.yaml", 5, 17, 5, 23)
    assert located.place == "models[chat].aliases[0]"
    assert [r.span for r in located.related] == [Span("a.yaml", 10, 13, 10, 18), None, given_span]
    assert source.locate(located) == located
    assert located._replace(span=None, place="", related=d.related) == d


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    def code(path: Path) -> tuple[str, str]:
        found = load(path.parent, [path.name], "x/a.yaml")
        assert isinstance(found, Diagnostic)
        assert found.span == Span("x/a.yaml", 1, 1, 1, 1)
        return found.code, found.message

    assert code(tmp_path / "a.yaml") == ("AIG0001", "the file does not exist")
    assert code(tmp_path) == ("AIG0001", "this is a folder, not a file")
    os.mkfifo(tmp_path / "pipe")
    assert code(tmp_path / "pipe") == ("AIG0001", "this is no regular file")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert code(tmp_path / "loop") == ("AIG0001", "this is no regular file")
    assert code(tmp_path / "pipe" / "a.yaml") == ("AIG0001", "a part of the path is a file, not a folder")
    assert code(Path("a\x00b"))[0] == "AIG0001"
    (tmp_path / "big.yaml").write_bytes(b"#" * (LARGEST + 1))
    assert code(tmp_path / "big.yaml") == ("AIG0002", "the file is too large: 8.0 MiB, and at most 8 MiB are read")
    (tmp_path / "full.yaml").write_bytes(b"#" * LARGEST)
    assert load(tmp_path, ["full.yaml"], "full.yaml") == b"#" * LARGEST
    (tmp_path / "good.yaml").write_text("a: 1")
    assert load(tmp_path, ["good.yaml"], "good.yaml") == b"a: 1"


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.yaml").write_text("a: 1")
    (tmp_path / "folder").symlink_to("in")
    (tmp_path / "b.yaml").symlink_to("in/a.yaml")
    assert load(tmp_path, ["in", "a.yaml"], "a.yaml") == b"a: 1"
    assert load(tmp_path / "folder", ["a.yaml"], "a.yaml") == b"a: 1", "the folder to start from is taken as it is"
    for steps in (["folder", "a.yaml"], ["b.yaml"]):
        assert isinstance(load(tmp_path, steps, "a.yaml"), Diagnostic)


def test_a_file_without_permission(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1")
    (tmp_path / "a.yaml").chmod(0)
    me = os.geteuid()
    if me == 0:  # root may read every file, so be nobody for a moment
        os.seteuid(65534)
    try:
        found = load(tmp_path, ["a.yaml"], "a.yaml")
    finally:
        os.seteuid(me)
    assert isinstance(found, Diagnostic)
    assert (found.code, found.message) == ("AIG0001", "the file may not be read: permission denied")


def test_the_text_for_code_frames_has_the_columns_of_the_spans() -> None:
    raw = b"\xef\xbb\xbfa: 1\nb: \xfcx!\x00\n"
    assert display(raw) == "a: 1\nb: \xfcx!\ufffd\n"
    assert one("a: 1").text == "a: 1"
