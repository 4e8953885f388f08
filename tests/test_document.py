"""Documents: what is written is read back the same by every reader, and lines and origins point at the right places."""

from __future__ import annotations

import io
import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from aigw_compile.document import Block, Document, at, lines_of, source_map, text_of

WORDS = """on 1e3 yes 12:30:45 = << 0o17 0x1F ~ null True .inf -.5 2024-01-01 - ? : # & * ! | > % @ ` "a 'b""".split()
HOSTILE = [
    *WORDS,
    "a\nb",
    "a\n b\n\nc\n",
    "a \n",
    "\n",
    "- a",
    "line\n\tx",
    " a\nb",
    "a\n\n",
    "y: z\n# c",
    "a # b",
    "\x85",
    "\u2028",
    "\ufeff",
    "",
    "é",
    "𝒳",
    "a\r\nb",
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(HOSTILE)
LEAF = (
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
TREE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)


@settings(max_examples=300, deadline=None)
@given(TREE)
def test_every_reader_reads_what_was_written(data: object) -> None:
    text = text_of(Document("a.yaml", data))
    assert yaml.load(text, yaml.CSafeLoader) == data
    assert YAML(typ="safe", pure=True).load(text) == data
    assert json.loads(text_of(Document("a.json", data))) == data


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_stay_text_as_key_and_as_value(word: str) -> None:
    data = {word: [word, {word: word}]}
    text = text_of(Document("a.yaml", data))
    assert yaml.load(text, yaml.CSafeLoader) == data
    assert YAML(typ="safe", pure=True).load(text) == data


def test_shape_of_the_text() -> None:
    body = {"a": [{"b": 1, "c": ["x", {"d": "1e3"}]}, [], [[1, 2], [3]]], "lua": "x\n  y\n", "e": {}}
    want = """\
a:
- b: 1
  c:
  - x
  - d: "1e3"
- []
- - - 1
    - 2
  - - 3
lua: |
  x
    y
e: {}
"""
    assert text_of(Document("a.yaml", body)) == want


def test_a_stream_is_several_documents() -> None:
    text = text_of(Document("a.yaml", [{"a": 1}, {"b": 2}], stream=True))
    assert list(YAML(typ="safe", pure=True).load_all(io.StringIO(text))) == [{"a": 1}, {"b": 2}]


def test_lines_know_their_places() -> None:
    document = Document("a.yaml", {"a": [{"b": 1}, {"c": "x\ny"}]})
    assert list(lines_of(document)) == [
        ("a:", ("a",)),
        ("- b: 1", ("a", 0, "b")),
        ("- c: |-", ("a", 1, "c")),
        ("    x", ("a", 1, "c")),
        ("    y", ("a", 1, "c")),
    ]


def test_origins_of_blocks_and_of_single_values() -> None:
    block = Block(("spec",), {"a": at(1, ("spec", "x"), ("spec", "y")), "b": [Block(("spec", "z"), c=2)]})
    assert block == {"a": 1, "b": [{"c": 2}]}
    assert list(source_map(block)) == [
        ((), ("spec",)),
        (("a",), ("spec", "x")),
        (("a",), ("spec", "y")),
        (("b", 0), ("spec", "z")),
    ]
