"""Findings to the exact text of each format, and never a secret in any of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aigw_compile.diagnostic import Diagnostic, Related, Severity, Span
from aigw_compile.render import FORMATS, render
from aigw_compile.source import CODES, parse

SCHEMA = json.loads(Path(__file__).parent.parent.joinpath("schemas/diagnostics.schema.json").read_text("utf-8"))
VALID = Draft202012Validator(SCHEMA)

TEXT = """\
spec:
  models:
    - name: chat
      targets: [{provider: opnai, weight: 90}]
    - name: chat\t# 日本 again
"""
TEXTS = {"gw/a.yaml": TEXT}
FILE = "gw/a.yaml"
FINDINGS = [
    Diagnostic("AIG3005", Severity.HINT, "about nothing in a file", place="models[chat]"),
    Diagnostic(
        "AIG2004", Severity.ERROR, 'two models have the name "chat"', ("spec", "models", 1, "name"), "rename one",
        (Related("the first one", span=Span(FILE, 3, 13, 3, 17)), Related("no place")),
        span=Span(FILE, 5, 13, 5, 17), place="models[chat].name",
    ),
    Diagnostic("AIG3001", Severity.WARNING, "100% of it: a, b\nc", span=Span(FILE, 4, 7, 4, 14),
               place="models[chat].targets"),
    Diagnostic(
        "AIG2001", Severity.ERROR, 'unknown provider "opnai"', hint='did you mean "openai"?',
        span=Span(FILE, 4, 28, 4, 33, Span("b.yaml", 7, 3, 7, 9)), place="models[chat].targets[0].provider",
    ),
]  # fmt: skip


def test_text() -> None:
    assert (
        render("text", FINDINGS, TEXTS)
        == """\
hint AIG3005 about nothing in a file [models[chat]]

gw/a.yaml:4:7: warning AIG3001 100% of it: a, b c
 4 |       targets: [{provider: opnai, weight: 90}]
   |       ^^^^^^^

gw/a.yaml:4:28: error AIG2001 unknown provider "opnai"
 4 |       targets: [{provider: opnai, weight: 90}]
   |                            ^^^^^
  help: did you mean "openai"?
  b.yaml:7:3: note: through this configRef

gw/a.yaml:5:13: error AIG2004 two models have the name "chat"
 5 |     - name: chat    # 日本 again
   |             ^^^^
  help: rename one
  gw/a.yaml:3:13: note: the first one
 3 |     - name: chat
   |             ^^^^
  note: no place

2 errors, 1 warning, 1 hint in 1 file
"""
    )


def test_text_in_colour_is_the_same_text() -> None:
    coloured = render("text", FINDINGS[3:], TEXTS, colour=True)
    assert coloured.startswith("\x1b[1mgw/a.yaml:4:28\x1b[0m: \x1b[1;31merror\x1b[0m AIG2001 ")
    assert "\x1b" not in render("text", FINDINGS, TEXTS)
    plain = coloured
    for code in ("1", "2", "0", "1;31", "1;32", "1;36"):
        plain = plain.replace(f"\x1b[{code}m", "")
    assert plain == render("text", FINDINGS[3:], TEXTS)


def test_nothing_found() -> None:
    assert render("text", [], {}) == "no findings\n"
    assert json.loads(render("json", [], {})) == {"diagnostics": []}
    assert render("github", [], {}) == ""
    assert json.loads(render("sarif", [], {}))["runs"][0]["results"] == []


@pytest.mark.parametrize(
    ("line", "span", "shown", "carets"),
    [
        ("\ta:\tb", (5, 6), "    a:    b", "          ^"),
        ("日本: x", (5, 6), "日本: x", "      ^"),
        ("a: 日本", (4, 6), "a: 日本", "   ^^^^"),
        ("e\u0301: x", (5, 6), "e\u0301: x", "   ^"),
        ("a: b", (5, 5), "a: b", "    ^"),
        ("a: b", (99, 120), "a: b", "    ^"),
        ("a: b  # c", (4, 7), "a: b  # c", "   ^"),
        ("a: \x1b[2J\u202eb", (4, 6), "a: �[2J�b", "   ^^"),
        ("a: " + "x" * 300, (4, 304), "a: " + "x" * 100 + "...", "   " + "^" * 100),
        ("x" * 300 + "!" + "y" * 300, (301, 302), "..." + "x" * 77 + "!" + "y" * 36 + "...", " " * 80 + "^"),
        ("a: b" + " " * 300 + "c", (1, 2), "a: b", "^"),
    ],
)
def test_code_frames(line: str, span: tuple[int, int], shown: str, carets: str) -> None:
    d = Diagnostic("AIG1001", Severity.ERROR, "m", span=Span("f", 2, span[0], 2, span[1]))
    frame = render("text", [d], {"f": f"first\n{line}\r\nlast"}).split("\n")[1:3]
    if "..." in frame[0] and not shown.endswith("..."):
        frame[0] = frame[0].removesuffix("...").rstrip()
    assert frame == [f" 2 | {shown}", f"   | {carets}"]


def test_a_span_of_several_lines_marks_the_first() -> None:
    d = Diagnostic("AIG1001", Severity.ERROR, "m", span=Span("f", 1, 4, 3, 2))
    assert render("text", [d], {"f": "a: [1,\n 2\n ]"}).split("\n")[1:3] == [" 1 | a: [1,", "   |    ^^^"]


def test_a_text_that_is_not_known_has_no_frame() -> None:
    d = Diagnostic("AIG1001", Severity.ERROR, "m", span=Span("f", 9, 4, 9, 5))
    for texts in ({}, {"f": "short"}):
        assert render("text", [d], texts) == "f:9:4: error AIG1001 m\n\n1 error in 1 file\n"


def test_json() -> None:
    found = json.loads(render("json", FINDINGS, TEXTS))
    VALID.validate(found)
    assert [d["code"] for d in found["diagnostics"]] == ["AIG3005", "AIG3001", "AIG2001", "AIG2004"]
    assert found["diagnostics"][0] == {
        "code": "AIG3005", "severity": "hint", "message": "about nothing in a file", "file": None, "line": None,
        "column": None, "endLine": None, "endColumn": None, "pointer": "models[chat]", "hint": "", "related": [],
    }  # fmt: skip
    assert found["diagnostics"][2]["related"] == [
        {"file": "b.yaml", "line": 7, "column": 3, "message": "through this configRef"}
    ]
    assert found["diagnostics"][3] == {
        "code": "AIG2004", "severity": "error", "message": 'two models have the name "chat"', "file": FILE, "line": 5,
        "column": 13, "endLine": 5, "endColumn": 17, "pointer": "models[chat].name", "hint": "rename one",
        "related": [
            {"file": FILE, "line": 3, "column": 13, "message": "the first one"},
            {"file": None, "line": None, "column": None, "message": "no place"},
        ],
    }  # fmt: skip


def test_the_schema_is_one_and_refuses_what_is_not_ours() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    good = json.loads(render("json", FINDINGS, TEXTS))
    for key in good["diagnostics"][0]:
        broken = json.loads(json.dumps(good))
        del broken["diagnostics"][0][key]
        assert not VALID.is_valid(broken)
    assert not VALID.is_valid({"diagnostics": [{**good["diagnostics"][0], "x": 1}]})
    assert not VALID.is_valid({"diagnostics": [{**good["diagnostics"][0], "severity": "info"}]})


def test_github() -> None:
    assert render("github", FINDINGS, TEXTS).split("\n") == [
        "::notice title=AIG3005::about nothing in a file [models[chat]]",
        "::warning file=gw/a.yaml,line=4,col=7,endLine=4,endColumn=14,title=AIG3001::100%25 of it: a, b%0Ac",
        "::error file=gw/a.yaml,line=4,col=28,endLine=4,endColumn=33,title=AIG2001::"
        'unknown provider "opnai"%0Ahelp: did you mean "openai"?%0Ab.yaml:7:3: through this configRef',
        "::error file=gw/a.yaml,line=5,col=13,endLine=5,endColumn=17,title=AIG2004::"
        'two models have the name "chat"%0Ahelp: rename one%0Agw/a.yaml:3:13: the first one%0Ano place',
        "",
    ]


def test_github_escapes_what_would_end_a_property_or_a_line() -> None:
    d = Diagnostic("AIG1001", Severity.ERROR, "a::b\r\n::error::c%0A", span=Span("a,b:c%.yaml", 1, 1, 2, 1))
    assert render("github", [d], {}) == (
        "::error file=a%2Cb%3Ac%25.yaml,line=1,col=1,endLine=2,title=AIG1001::a::b%0D%0A::error::c%250A\n"
    )


def test_sarif() -> None:
    codes = {"AIG2001": ("error", "an unknown name", "Its page.")}
    log = json.loads(render("sarif", FINDINGS, TEXTS, codes=codes))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    rules = run["tool"]["driver"]["rules"]
    assert rules[2] == {
        "id": "AIG2001",
        "shortDescription": {"text": "an unknown name"},
        "fullDescription": {"text": "Its page."},
        "defaultConfiguration": {"level": "error"},
    }
    assert rules[0]["shortDescription"] == {"text": "about nothing in a file"}
    assert [rules[r["ruleIndex"]]["id"] for r in run["results"]] == [r["ruleId"] for r in run["results"]]
    assert "physicalLocation" not in run["results"][0]["locations"][0]
    last = run["results"][3]
    assert last["level"] == "error"
    assert last["message"] == {"text": 'two models have the name "chat"\nhelp: rename one'}
    assert last["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "gw/a.yaml", "uriBaseId": "PROJECT"},
                "region": {"startLine": 5, "startColumn": 13, "endLine": 5, "endColumn": 17},
            },
            "logicalLocations": [{"fullyQualifiedName": "models[chat].name"}],
        }
    ]
    assert [r["message"]["text"] for r in last["relatedLocations"]] == ["the first one"]
    assert run["results"][2]["relatedLocations"][0]["message"] == {"text": "through this configRef"}


def test_sarif_paths_are_relative_uris() -> None:
    d = Diagnostic("AIG1001", Severity.ERROR, "m", span=Span("a b/ü#?.yaml", 1, 1, 1, 2))
    (result,) = json.loads(render("sarif", [d], {}))["runs"][0]["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "a%20b/%C3%BC%23%3F.yaml"


def fingerprints(*findings: Diagnostic) -> list[str]:
    results = json.loads(render("sarif", findings, {}))["runs"][0]["results"]
    return [r["partialFingerprints"]["aigwFinding/v1"] for r in results]


def test_sarif_fingerprints_outlive_a_move_and_tell_twins_apart() -> None:
    d = Diagnostic("AIG1001", Severity.ERROR, "m", span=Span("f", 3, 1, 3, 2), place="models[chat]")
    (mark,) = fingerprints(d)
    assert fingerprints(d._replace(span=Span("f", 30, 5, 30, 6))) == [mark]
    assert fingerprints(d, d) == [mark, mark[:-1] + "2"]
    others = (
        d._replace(code="AIG1002"),
        d._replace(message="n"),
        d._replace(place="x"),
        d._replace(span=Span("g", 3, 1, 3, 2)),
    )
    assert len({mark, *(fingerprints(o)[0] for o in others)}) == 5


def test_findings_of_a_file_in_order() -> None:
    sources, found = parse("b: !x 1\na: {no: 1, no: 2}\n", "f")
    assert sources
    codes = ["AIG0016", "AIG0014", "AIG0012"]
    for name in FORMATS:
        text = render(name, list(reversed(found)), {})
        if name == "sarif":
            text = text[text.index('"results"') :]
        assert sorted(codes, key=text.index) == ["AIG0016", "AIG0014", "AIG0012"]
        assert render(name, found, {}) == render(name, list(reversed(found)), {})


R = "Zx9Qw3Er7Ty1Ui5Op2As8Df4Gh6Jk0Lm3Nb7Vc1Xz5"
SECRETS = {
    "anthropic": "sk-ant-" + "api03-" + R,
    "openai": "sk-proj-" + R,
    "github": "ghp_" + R[:36],
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + R,
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "google": "AIza" + R[:35],
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize(
    "text",
    [
        'apiKey: "SECRET" x',
        "apiKey: SECRET: x",
        "SECRET: 1\nSECRET: 2",
        "a: *SECRET",
        "a: !SECRET 1",
        "a: [SECRET, yes]",
        "a: yes # SECRET",
        'a: "\\dSECRET"',
        "%SECRET\n---\na: 1",
        "SECRET\na: 1",
    ],
)
def test_a_secret_in_a_spec_is_in_no_format(name: str, secret: str, text: str) -> None:
    written = text.replace("SECRET", secret)
    _, found = parse(written, "f")
    assert found
    out = render(name, found, {"f": written}, colour=name == "text", codes=CODES)
    assert secret not in out
    assert secret[-12:] not in out
    if name in ("json", "sarif"):
        json.loads(out)


@pytest.mark.parametrize("name", FORMATS)
def test_no_line_of_a_private_key_is_shown(name: str) -> None:
    begin, end = f"-----BEGIN PRIVATE {'KEY'}-----", f"-----END PRIVATE {'KEY'}-----"
    text = f"a: |\n  {begin}\n  {R}\n  {R}\n  {end}\nb: yes\n"
    found = [Diagnostic("AIG4001", Severity.ERROR, "m", span=Span("f", n, 3, n, 9)) for n in range(1, 7)]
    out = render(name, found, {"f": text})
    assert R not in out
    assert "PRIVATE" not in out
    if name == "text":
        assert out.count("***") == 4
        assert " 6 | b: yes" in out


TEXTS_OF_ANY_KIND = st.text(max_size=30) | st.sampled_from([*SECRETS.values(), "a\nb", "::", "%", "\x1b[2J"])
SPANS = st.builds(
    lambda file, line, column, lines, columns: Span(file, line, column, line + lines, column + columns),
    st.sampled_from(["f", "g/ü.yaml", "a,b:c"]), st.integers(1, 5), st.integers(1, 40), st.integers(0, 2),
    st.integers(0, 20),
)  # fmt: skip
RELATED = st.builds(lambda m, s: Related(m, (), s), TEXTS_OF_ANY_KIND.filter(bool), st.none() | SPANS)
DIAGNOSTICS = st.builds(
    lambda code, severity, message, hint, related, span, place: Diagnostic(
        code, severity, message, (), hint, related, False, span, place
    ),
    st.sampled_from(["AIG0010", "AIG1001", "AIG6001"]), st.sampled_from(Severity), TEXTS_OF_ANY_KIND.filter(bool),
    TEXTS_OF_ANY_KIND, st.lists(RELATED, max_size=2).map(tuple), st.none() | SPANS, TEXTS_OF_ANY_KIND,
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(DIAGNOSTICS, max_size=4), st.text(max_size=80))
def test_every_finding_can_be_rendered_and_written(found: list[Diagnostic], text: str) -> None:
    texts = {"f": text}
    for name in FORMATS:
        out = render(name, found, texts)
        assert not any(secret in out for secret in SECRETS.values())
        assert out == "" or out.endswith("\n")
        if name != "text":
            out.encode("utf-8")
    shown: dict[str, Any] = json.loads(render("json", found, texts))
    VALID.validate(shown)
    assert len(shown["diagnostics"]) == len(found)
    assert len(render("github", found, texts).split("\n")) == len(found) + 1
    assert "\x1b" not in render("text", found, texts)
