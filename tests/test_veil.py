"""What a part hides, in messages, places, data and lines of code: never a word of it, and nothing else is lost."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile import __main__ as main
from aigw_compile import verify, write
from aigw_compile.cli import showing
from aigw_compile.cli.group import cli
from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Related, Severity, Span, value_at
from aigw_compile.document import Document, text_of
from aigw_compile.mask import HIDDEN, NO_VEIL, NOT_SHOWN, STARS, Veil, in_play, overlaps, shown, starred, veil
from aigw_compile.render import FORMATS
from aigw_compile.source import parse

DOCUMENT: Any = {
    "metadata": {"name": "support"},
    "spec": {
        "vaults": [{"name": "corp-vault", "type": "aws", "aws": {"region": "eu-west-1"}, "refresh": "10m"}],
        "providers": [
            {
                "name": "claude",
                "type": "anthropic",
                "baseUrl": "https://llm.corp.internal:8443/v1",
                "auth": {"apiKey": {"vault": "corp-vault", "key": "llm/claude", "property": "api_key"}},
                "headers": {"x-cost-centre": "CC-4711", "x-open": "yes please"},
            },
            {"name": "open", "type": "openai", "auth": {"apiKey": {"env": "TEAM_KEY"}}},
        ],
        "models": [{"name": "chat", "targets": [{"provider": "claude", "model": "claude-sonnet-4-5"}]}],
        "policies": {
            "promptDecorator": {
                "prepend": [{"role": "system", "content": "Never speak of ProjectX, whatever is said."}]
            },
            "promptGuard": {"deny": [r"\bwhite-?whale\b"]},
            "limits": [{"name": "cap", "per": "day", "cost": 5000, "tokens": 120000}],
        },
        "deployment": {"replicas": 12},
    },
}
P: tuple[Pointer, ...] = (
    ("spec", "vaults"),
    ("spec", "providers", 0, "baseUrl"),
    ("spec", "providers", 0, "auth"),
    ("spec", "providers", 0, "headers"),
    ("spec", "policies"),
    ("spec", "deployment", "replicas"),
)
VEIL = veil(DOCUMENT, P)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ('the vault "corp-vault" is asked', 'the vault "***" is asked'),
        ("it waits for 10m, that is 600s or 600 seconds", "it waits for ***, that is *** or *** seconds"),
        ("600000 ms, or 600,000", "*** ms, or ***"),
        ("at https://llm.corp.internal:8443/v1!", "at ***!"),
        ("the host llm.corp.internal:8443 or llm.corp.internal", "the host *** or ***"),
        ("never more than 5000, 5,000, $5000.00 or 5000.0", "never more than ***, ***, $*** or ***"),
        ("5000.", "***."),
        ("15000, 5000.25 and 50001", "15000, 5000.25 and 50001"),
        ('headers {"x-cost-centre": "CC-4711"}', 'headers {"***": "***"}'),
        (r'deny ["\\bwhite-?whale\\b"]', 'deny ["***"]'),
        ("do not say ProjectX", "do not say ***"),
        ('"Never speak of Projec..." is long', '"***..." is long'),
        ("a limit by tokens at the system role", "a limit by tokens at the system role"),
        ("replicas: 12", "replicas: 12"),
        ("provider claude, model claude-sonnet-4-5", "provider claude, model claude-sonnet-4-5"),
        ('did you mean "corp-vault"? (known: corp-vault, other)', "(known: other)"),
        ("known: a, corp-vault, z", "known: a, z"),
        ("known: a, corp-vault", "known: a"),
        ('no "x" (known: corp-vault)', 'no "x"'),
        ("corp-vaults and xcorp-vault", "corp-vaults and xcorp-vault"),
        ("AWS_CORP_VAULT_KEY, corp_vault", "AWS_***_KEY, ***"),
    ],
)
def test_texts(said: str, left: str) -> None:
    assert VEIL.text(said) == left


def test_what_can_be_seen_elsewhere_is_left_alone() -> None:
    data: Any = {"spec": {"providers": [{"name": "a", "region": "north"}, {"name": "b", "region": "to the north of"}]}}
    assert veil(data, [("spec", "providers", 0, "region")]).text('"north"') == '"north"'
    data["spec"]["providers"][1]["region"] = "northern"
    assert veil(data, [("spec", "providers", 0, "region")]).text('"north"') == '"***"'


def test_a_finding_at_a_hidden_place_says_its_code_and_its_place() -> None:
    at = ("spec", "providers", 0, "headers", "x-cost-centre")
    found = VEIL.finding(
        Diagnostic("AIG3001", Severity.ERROR, 'bad "CC-4711"', at, "write CC-1", (Related("see CC-4711"),), span=SPAN)
    )
    wanted = Diagnostic("AIG3001", Severity.ERROR, NOT_SHOWN, at[:-1], span=SPAN, place="providers[claude].headers")
    assert found == wanted._replace(veiled=True)
    assert VEIL.finding(found) == found


def test_a_finding_elsewhere_loses_hidden_texts_alone() -> None:
    related = (Related("the cap of 5000", ("spec", "policies", "limits", 0)), Related("chat asks for 6000"))
    given = Diagnostic("AIG5001", Severity.ERROR, "6000 is over 5000", ("spec", "models", 0), "stay at 5,000", related)
    found = VEIL.finding(given)
    assert (found.message, found.hint, found.place) == ("6000 is over ***", "stay at ***", "models[chat]")
    assert [r.message for r in found.related] == ["a place that a part hides", "chat asks for 6000"]


def test_a_guess_that_is_written_down_is_not_confirmed() -> None:
    """Whoever writes every number into the document, so that each can be seen anyway, is not told which one it was."""
    data: Any = {"spec": {"policies": {"limits": [{"name": "cap", "cost": 5000}]}, "labels": [*range(4990, 5010)]}}
    at = ("spec", "policies", "limits", 0, "cost")
    given = Diagnostic("AIG5001", Severity.ERROR, "over 5000", ("spec", "labels"), related=(Related("here", at),))
    assert veil(data, [at]).finding(given).message == "over ***"


def test_names_go_by_position() -> None:
    hidden = veil(DOCUMENT, [("spec", "providers", 0, "name"), ("spec", "providers", 0, "headers", "x-open")])
    assert hidden.named(("spec", "providers", 0, "region")) == "providers[***].region"
    assert hidden.named(("spec", "providers", 1, "region")) == "providers[open].region"
    assert hidden.named(("spec", "providers", 0, "headers", "x-open")) == "providers[***].headers.***"
    found = hidden.finding(Diagnostic("AIG3001", Severity.ERROR, "x", ("spec", "providers", 0, "region")))
    assert found.place == "providers[***].region"


def test_data() -> None:
    provider = VEIL.data(("spec", "providers", 0), DOCUMENT["spec"]["providers"][0])
    assert provider == {
        "name": "claude",
        "type": "anthropic",
        "baseUrl": HIDDEN,
        "auth": HIDDEN,
        "headers": HIDDEN,
    }
    assert VEIL.data(("spec", "models"), DOCUMENT["spec"]["models"]) is DOCUMENT["spec"]["models"]
    assert VEIL.data(("spec", "policies", "limits"), [1]) == HIDDEN


def test_no_veil_changes_nothing() -> None:
    given = Diagnostic("AIG3001", Severity.ERROR, "corp-vault", ("spec", "vaults"))
    assert NO_VEIL.finding(given) is given
    assert veil(DOCUMENT, ()) is NO_VEIL
    assert not NO_VEIL.covers(())


# --- laws

CANARY = "canary-Zq7"
LETTERS = st.text("abcdefgh .-_/\"'\\\n,:é日", min_size=0, max_size=12)
PLANTED = st.one_of(
    st.just(CANARY),
    st.builds("{} {} {}".format, LETTERS, st.just(CANARY), LETTERS),
    st.builds("https://{}.example.com/{}".format, st.just(CANARY), st.sampled_from(["", "v1"])),
    st.just(74_017_401),
    st.just(74_017_401.5),
)
SCALARS = st.one_of(LETTERS, st.integers(-50, 50), st.booleans(), st.none())
TREES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LETTERS, inner, max_size=3), max_leaves=8
)


def _told(value: Json, data: Json) -> list[str]:
    """What messages say of a value: whole, cut at any length, as text, as JSON."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    forms = [f"{value:,}", f"{value:.2f}"] if number else []
    return [*(shown(value, n) for n in range(4, 70, 7)), shown(data, 200), str(value), json.dumps(value), *forms]


@settings(max_examples=150, deadline=None)
@given(TREES, TREES, PLANTED, st.sampled_from(["scalar", "inside", "key"]), st.data())
def test_a_canary_is_in_no_finding(seen: Any, beside: Any, planted: Any, how: str, draw: st.DataObject) -> None:
    value = {"scalar": planted, "inside": [beside, {"deep": planted}], "key": {str(planted): beside}}[how]
    data: Any = {"spec": {"policies": value, "models": [{"name": "chat", "x": seen}]}}
    hidden = veil(data, [("spec", "policies")])
    said = draw.draw(st.sampled_from([*_told(value, data), *_told(planted, data)]))
    at = draw.draw(st.sampled_from([("spec",), ("spec", "models", 0), ("spec", "policies"), ()]))
    related = (Related(said, ("spec", "policies")), Related(said))
    found = hidden.finding(Diagnostic("AIG3001", Severity.ERROR, f"is {said}", at, f"not {said}", related, place=said))
    assert not {w for w in (CANARY, "74017401", "74,017,401") if w in repr(found)}
    assert CANARY not in repr(hidden.data((), data))


@settings(max_examples=150, deadline=None)
@given(TREES, TREES)
def test_text_that_is_visible_anyway_is_left_alone(seen: Any, covered: Any) -> None:
    data: Any = {"spec": {"policies": covered, "models": seen}}
    hidden = veil(data, [("spec", "policies")])
    rest: list[Any] = [seen]
    while rest:
        value = rest.pop()
        rest += [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
        if isinstance(value, str) and "..." not in value:
            assert hidden.text(f'the "{value}" here') == f'the "{value}" here'


def test_time_is_linear() -> None:
    """Ten thousand hidden texts and a long hostile message: work that grew with their product would not end here."""
    data: Any = {"spec": {"policies": [f"https://h{n}.example.com/{'a' * (n % 50)}" for n in range(10_000)]}}
    hidden = veil(data, [("spec", "policies")])
    assert STARS in hidden.text("https://h17.example.com/" + "a" * 17 + " https://..." * 2_000 + "....." * 2_000)


# --- regions

SPAN = Span("a.yaml", 2, 3, 2, 9)
TEXT = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: support}
spec:
  policies: {promptGuard: {deny: [canary]}, cache: {ttl: 5mm}}
  vaults:
    - name: canary
      type: aws
  models: []
"""


def test_lines_of_code_have_stars_in_their_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(TEXT, "utf-8")
    ((source,), _) = parse(TEXT, "a.yaml")
    source.veil = veil(source.data, [("spec", "policies", "promptGuard"), ("spec", "vaults"), ("spec", "nothing")])
    found = source.locate(Diagnostic("AIG1005", Severity.ERROR, "no duration", ("spec", "policies", "cache", "ttl")))
    veiled = source.locate(Diagnostic("AIG1004", Severity.ERROR, "no canary", ("spec", "vaults", 0, "type")))
    showing.show([found, veiled], tmp_path, "text", (), hidden=source.hidden_spans)
    assert (
        capsys.readouterr().out
        == """\
a.yaml:5:58: error AIG1005 no duration
 5 |   policies: {promptGuard: ****************, cache: {ttl: 5mm}}
   |                                                          ^^^

a.yaml:8:13: error AIG1004 not one of the allowed values (at vaults, which a part hides)

2 errors in 1 file
"""
    )
    for name in FORMATS:
        showing.show([found, veiled], tmp_path, name, (), hidden=source.hidden_spans)
        out = capsys.readouterr().out
        assert "canary" not in out
        assert "vaults[" not in out


def test_regions() -> None:
    assert starred("ab\ncde\r\nf", [Span("", 1, 2, 2, 3)]) == "a*\n**e\r\nf"
    assert starred("ab", [Span("", 4, 1, 5, 1)]) == "ab"
    here = Span("a", 2, 3, 2, 9)
    assert overlaps(here, [Span("a", 1, 1, 2, 4)])
    assert overlaps(Span("a", 2, 5, 2, 5), [here])
    assert not overlaps(here, [Span("b", 1, 1, 9, 4), Span("a", 2, 9, 3, 1), Span("a", 1, 1, 2, 3)])


PART = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGatewayConfig
metadata: {name: corp}
spec:
  for: AIGateway
"""


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        ("  config: canary: yes\n", 'a second ": " stands in one line'),
        ("  config: {vaults: 1, canary: 2, canary: 3}\n", NOT_SHOWN),
        ("  config: {vaults: !canary x}\n", NOT_SHOWN),
        ("  config: {vaults: *canary}\n", NOT_SHOWN),
        ("  config: [canary\n", "the list that opens here is never closed"),
        ("  config: canary\n  x\x01: yes\n", NOT_SHOWN),
    ],
)
def test_a_part_that_cannot_be_read_is_told_without_its_words(
    tail: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "---\nkind: Other\nword: yes\n"
    _, found = parse(PART + tail + other, "corp.yaml")
    assert said in {d.message for d in found}
    (tmp_path / "corp.yaml").write_text(PART + tail + other, "utf-8")
    for name in FORMATS:
        showing.show(found, tmp_path, name, ())
        assert "canary" not in capsys.readouterr().out
    assert any(d.code == "AIG0014" and "yes" in d.message for d in found)  # another document of the file is as before


def test_the_same_finding_of_several_gateways_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chains = [Span("teams/a.yaml", 8, 3, 8, 9), Span("teams/b.yaml", 9, 3, 9, 9)]
    found = [Diagnostic("AIG3001", Severity.ERROR, "x", span=SPAN._replace(via=via)) for via in chains]
    showing.show([*found, found[0]._replace(message="y")], tmp_path, "text", ())
    assert capsys.readouterr().out.count("error AIG3001 x") == 1


def test_value_at_is_what_the_law_hides() -> None:
    assert value_at(P[1], DOCUMENT) == "https://llm.corp.internal:8443/v1"
    assert isinstance(VEIL, Veil)


# --- what is said of outputs, and of mistakes of ours


def _broken(word: str) -> None:
    try:
        int(word)
    except ValueError as first:
        raise KeyError(word) from first


def test_a_traceback_quotes_nothing_where_a_part_hides(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aigw_compile.mask.places._in_play", True)
    monkeypatch.setenv("AIGW_DEBUG", "1")
    with pytest.raises(KeyError) as caught:
        _broken(CANARY)
    assert main._report(caught.value) == main.EXIT_BUG
    told = capsys.readouterr().err
    assert CANARY not in told
    assert "a part hides values" in told
    assert re.search(r"ValueError\n  \S+test_veil.py:\d+ in _broken", told)
    assert "KeyError\n" in told
    monkeypatch.setattr("aigw_compile.mask.places._in_play", False)
    main._report(KeyError(CANARY))
    assert CANARY in capsys.readouterr().err


def test_reading_a_part_is_enough_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aigw_compile.mask.places._in_play", False)
    parse("kind: AIGateway\n", "a.yaml")
    assert not in_play()
    parse(PART, "a.yaml")
    assert in_play()


def test_the_targets_judgement_quotes_nothing_that_may_be_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = (Document("proxy.json", {CANARY: [CANARY]}),)
    (found,) = [*verify.verify("proxy", documents, VEIL)][:1]
    assert CANARY not in found.message
    said = f'envoy: error at \'{CANARY}\' in {{"a": "{CANARY}"}}: bad port'
    monkeypatch.setitem(verify.NATIVE, "proxy", lambda _: iter([Diagnostic("AIG9002", Severity.ERROR, said)]))
    made = (*documents, Document("secrets.json", {"version": 1, "secrets": {}, "files": []}))
    (found,) = verify.verify_native("proxy", made, VEIL)
    assert found.message == "envoy: error at *** in ***: bad port"


def test_what_secrets_are_missing_is_told_without_what_is_hidden(tmp_path: Path) -> None:
    ref = {"source": "env", "name": "CORP_KEY", "vault": None}
    asked = {"version": 1, "secrets": {"a": {"ref": ref, "place": "providers[corp].auth"}}, "files": []}
    spec = {"spec": {"providers": [{"name": "corp", "auth": {"apiKey": {"env": "CORP_KEY"}}}]}}
    (tmp_path / "secrets.json").write_text(json.dumps(asked))
    (tmp_path / "gateway.json").write_text(text_of(write.spec_document(spec, [("spec", "providers", 0)])))
    done = CliRunner().invoke(cli, ["secrets", str(tmp_path)])
    assert done.exit_code
    assert "providers[***].auth" in done.output
    assert not re.search(r"(?i)corp", done.output.replace(str(tmp_path), ""))
