"""RE2 patterns for PCRE2: what is rewritten, and, where luajit has PCRE2, that both engines say the same of the same texts."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
import re2

from aigw_compile.policies import pcre

REWRITTEN = [
    ("plain text", "plain text"),
    (r"\b\d{3}-\d{2}\b", r"\b\d{3}-\d{2}\b"),
    ("(?i)ignore", "(*UTF)(?i)ignore"),
    ("a.b", "(*UTF)a.b"),
    ("end$", r"end\z"),
    ("(?m)^line$", "(?m)^line$"),
    ("(?m:a$)b$", r"(?m:a$)b\z"),
    ("(?P<who>me|you)", "(me|you)"),
    (r"\s+", r"[\t\n\f\r ]+"),
    (r"[\s,]", r"[\t\n\f\r ,]"),
    (r"\v", r"\x0b"),
    ("a{,3}", r"a\{,3}"),
    ("a{2,}", "a{2,}"),
    ("[[:alpha:]_]", "[[:alpha:]_]"),
    ("[[x]", r"[\[x]"),
    ("[]x]", r"[\]x]"),
    ("[^x]", "(*UTF)[^x]"),
    (r"\101", r"(*UTF)\x{41}"),
    (r"\Qa.b\E.", r"(*UTF)\Qa.b\E."),
    ("gr[üu]n", "(*UTF)gr[üu]n"),
    (r"[\]\\]", r"[\]\\]"),
    (r"\pL+\p{Greek}", r"(*UTF)\pL+\p{Greek}"),
]
TEXTS = [
    "", "plain text", "IGNORE", "ſ", "a\nb", "a\u00e9b", "axb", "end", "end\n", "x\nline\ny", "a{,3}", "aaa", "\u000b", "\u0085", " ",
    "me", "[", "]", "\\", "-", "A", "a.b.", "a.bx", "grün", "grun", "Ω", "xΩ", "ab", "b", "123-45", "x123-45", "aabb",
]  # fmt: skip
MORE = [
    r"^a", r"a$", r"(?i)s", r"\S", r"[^\S]", r"\W", r"(?s)a.b", r"(?U)a+", r"(a|b)+?", r"\x41", r"\x{3a9}",
    r"[\x{3a0}-\x{3af}]", r"\z", r"^$", r"(?-i)A", r"(?i:a)B", r"[[:^alpha:]]", r"\PL", r"(?:)", r"a|", r"\D\d",
    r"{", r"a{,", r"}", r"[a-c&&b]", r"\Ab", r"\.", r"(?i)grÜn", r"[^\s]",
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "want"), REWRITTEN)
def test_rewritten(pattern: str, want: str) -> None:
    assert re2.compile(pattern)
    assert pcre.translate(pattern).text == want


def _pcre2(pairs: list[tuple[str, str]]) -> list[object]:
    lua = shutil.which("luajit")
    script = (
        'local rex, cjson = require "rex_pcre2", require "cjson"\n'
        "for line in io.lines() do local pair = cjson.decode(line)\n"
        "  local ok, re = pcall(rex.new, pair[1])\n"
        "  print(ok and (re:find(pair[2]) and 'yes' or 'no') or tostring(re)) end"
    )
    if (
        not lua
        or subprocess.run(
            [lua, "-e", 'require "rex_pcre2" require "cjson"'], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("needs luajit with rex_pcre2 and cjson")
    text = "".join(f"{json.dumps(pair)}\n" for pair in pairs)
    done = subprocess.run([lua, "-e", script], input=text, capture_output=True, text=True, timeout=30, check=True)
    return [{"yes": True, "no": False}.get(line, line) for line in done.stdout.splitlines()]


def test_both_engines_say_the_same() -> None:
    patterns = [p for p, _ in REWRITTEN] + MORE
    pairs = [(pattern, text) for pattern in patterns for text in TEXTS]
    found = _pcre2([(pcre.translate(pattern).text, text) for pattern, text in pairs])
    assert len(found) == len(pairs)
    wrong = [pair for pair, said in zip(pairs, found, strict=True) if said != bool(re2.search(*pair))]
    assert wrong == []


def test_joined_patterns_mean_what_the_single_ones_do() -> None:
    lists = [["(?i)yes", "fine$"], ["^ok", "(?P<x>c.d)"], ["(?P<x>e|f)"]]
    texts = ["YES ok c-d", "fine", "ok fine", "OK yes e", "ok yes", "yes c\u00e9d f", "ok e fine", "e ok"]
    one = [[pcre.translate(p) for p in group] for group in lists]
    either = pcre.either([p for group in one for p in group]).text
    every = pcre.every(one).text
    found = _pcre2([(pattern, text) for pattern in (either, every) for text in texts])
    hits = [[any(re2.search(p, text) for p in group) for group in lists] for text in texts]
    assert found == [*map(any, hits), *map(all, hits)]


def test_many_patterns_go_into_ten() -> None:
    many = [pcre.translate(f"word{n:02}") for n in range(60)]
    few = pcre.packed(many, 10, 500)
    assert few
    assert len(few) <= 10
    assert max(map(len, few)) <= 500
    assert "".join(few).count("word") == 60
    assert pcre.packed([pcre.translate("x" * 501)], 10, 500) is None
    assert pcre.packed([pcre.translate(f"{'y' * 300}{n}") for n in range(11)], 10, 500) is None
    assert not pcre.translate(r"a\Cb").faithful
