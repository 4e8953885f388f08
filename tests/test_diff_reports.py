"""What a reviewer is shown of a diff: the comment of a pull request, one cause for a whole company, a page in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import zlib
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from aigw_compile.cli.group import cli
from aigw_compile.diff import Change, Diff, Side, diff, meaning
from aigw_compile.render.changes import as_data, text
from aigw_compile.render.html import page
from aigw_compile.render.markdown import LONGEST, markdown
from aigw_compile.source import parse
from aigw_compile.target import facts
from tests.support import ROOT
from tests.test_diff_cases import BASE, CASES, checked, edited, side, sides

EDITS = [
    {"was": ", '\\b\\d{3}-\\d{2}-\\d{4}\\b'", "now": ""},
    {"was": "cost: 5000", "now": "cost: 6000"},
    {"was": "port: 8443", "now": "port: 9443"},
    {"was": "payloads: false", "now": "payloads: true"},
    {"was": "firstByte: 20s", "now": "firstByte: 5s"},
    {"was": "team: shop", "now": "team: store"},
    {"was": "sampling: 0.5", "now": "sampling: 0.1"},
]


def place(change: Change) -> str:
    return f"gateway.yaml:{len(change.place)}:1"


@cache
def found() -> Diff:
    return diff(
        side(BASE), side(edited(BASE, EDITS)), {name: facts(name) for name in ("envoy", "proxy", "kong", "kubernetes")}
    )


# --- the comment


def test_the_comment_has_a_verdict_a_table_the_worst_five_and_the_rest_folded() -> None:
    report = markdown([(found(), place)])
    open_, _, folded = report.partition("<details>")
    assert report.startswith("<!-- aigw-compile:diff:shop -->\n### shop: 7 changes (")
    assert (
        "Look at what breaks callers (1), relaxes security (2), changes costs (1), touches availability (1)." in open_
    )
    assert "| security-relaxing | 2 |" in open_
    assert len(re.findall(r"^- \*\*", open_, re.M)) == 5
    assert "no longer refuses" in open_
    assert "2 more changes</summary>" in folded
    assert "metadata.labels.team" not in open_
    assert report.count("<details>") == report.count("</details>")


def test_a_comment_is_never_too_long_and_ends_what_it_begins() -> None:
    many = [c._replace(place=f"{c.place}{i}", before=f"{i}") for i in range(400) for c in found().changes]
    report = markdown([(found()._replace(changes=tuple(many)), place)])
    assert len(report) < LONGEST
    assert report.count("<details>") == report.count("</details>")
    assert "more lines; the report as JSON has all of them" in report


def test_nothing_to_fear_is_said_so() -> None:
    old, new = (Side(checked(text_).source.data, {}, "shop") for text_ in (BASE, edited(BASE, EDITS[5:6])))
    label = diff(old, new, {})
    assert "Nothing here breaks a caller, relaxes security or costs more." in markdown([(label, place)])


def test_what_one_line_does_at_several_places_is_told_once() -> None:
    """One part, used in two models: two changes, one cause."""
    limit = found().changes[0]
    places = [f"models[m{i}].policies.promptGuard.deny" for i in range(9)]
    same = Diff("x", False, tuple(limit._replace(place=p, outputs={"kong": 2}) for p in places), {})
    said = text([(same, lambda c: "guard.yaml:4:9 (through configRef in gateway.yaml:8)")])
    assert said.count("because of guard.yaml:4:9") == 1
    assert f"the same at 8 more: {', '.join(places[1:4])} and 5 more" in said
    assert "kong 18" in said


# --- a company


def company(folder: Path, *edits: tuple[str, str]) -> Path:
    """The example of a platform and its teams, with other words in the part of the company."""
    shutil.copytree(ROOT / "examples/platform-and-teams", folder, ignore=shutil.ignore_patterns("compiled", "bad"))
    (folder / ".git").mkdir()
    part = folder / "platform/company.yaml"
    text_ = part.read_text("utf-8")
    for was, now in edits:
        assert was in text_
        text_ = text_.replace(was, now)
    part.write_text(text_, "utf-8")
    return folder


CALLS = ("minute, requests: 120", "minute, requests: 150")
BUDGET = ("per: month, cost: 2000", "per: month, cost: 3000")


@pytest.mark.golden
def test_what_a_reviewer_reads_of_a_change_of_several_gateways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One gateway is gone, one limit reaches the two others, and one of them stands in one alone; every format is whole."""
    company(tmp_path / "old")
    new = company(tmp_path / "new", CALLS, BUDGET)
    shutil.rmtree(new / "teams/devtools")
    monkeypatch.chdir(new)
    files = {name: tmp_path / f"report.{name}" for name in ("markdown", "json", "html", "sarif")}
    options = [f"--report={name}={file}" for name, file in files.items()]
    said = CliRunner().invoke(cli, ["diff", "../old", "--exit-code", "--fail-on", "breaking", *options])
    assert said.exit_code == 1
    assert "devtools: breaking: the whole gateway is gone\n  to let it pass: aigw-compile approve " in said.stderr
    reports = {"text": said.stdout, "markdown": files["markdown"].read_text("utf-8")}
    for name, report in reports.items():
        golden = ROOT / f"tests/cases/reports/company.{name}"
        if os.environ.get("AIGW_GOLDEN"):
            golden.write_text(report, "utf-8")
        assert report == golden.read_text("utf-8")
    whole = json.loads(files["json"].read_text("utf-8"))
    jsonschema.validate(whole, json.loads((ROOT / "schemas/diff.schema.json").read_text("utf-8")))
    assert [(c["classes"], [*c["gateways"]]) for c in whole["causes"]] == [
        (["breaking"], ["devtools"]),
        (["cost"], ["search", "support"]),
        (["cost"], ["support"]),
    ]
    assert [g["gateway"] for g in whole["gateways"]] == ["search", "support", "devtools"]
    results = json.loads(files["sarif"].read_text("utf-8"))["runs"][0]["results"]
    assert sum("the whole gateway is gone" in r["message"]["text"] for r in results) == 1
    assert "devtools: the whole gateway is gone" in files["html"].read_text("utf-8")


def test_unchanged_gateways_have_no_heading_and_all_together_fit_a_comment() -> None:
    same = [(Diff(f"same{i}", False, (), {}), place) for i in range(30)]
    shown = markdown([(found(), place), *same])
    assert shown.count("same") == 20
    assert "\nNo change in same0, same1" in shown
    assert "and 10 more.\n" in shown
    assert markdown(same) == "<!-- aigw-compile:diff -->\n### 30 gateways: no change\n"
    assert page(same).count("same") == 3  # the title
    many = [(found()._replace(gateway=f"gw{i}"), lambda change, i=i: f"gw{i}.yaml:1:1") for i in range(120)]  # type: ignore[misc]
    report = markdown(many)
    assert len(report) < LONGEST
    assert report.count("<details>") == report.count("</details>")


def test_an_estimate_of_several_gateways_is_told_with_what_it_assumes() -> None:
    (change,) = (c for c in found().changes if c.place.endswith("[budget].cost"))
    sides_ = [(Diff(name, False, (change,), {}), lambda c: "part.yaml:1:1") for name in ("a", "b")]
    (line,) = (x for x in text(sides_).splitlines() if "[cost]" in x)
    assert line.endswith(
        "cost: 5000 -> 6000 (+20%), in 2 gateways (a, b), for 4 models and 6 consumers in all; "
        "at most US$5,000.00 -> US$6,000.00 (+20%) a month in each"
    )
    for report in (markdown(sides_), page(sides_), json.dumps(as_data(sides_))):
        assert "US$6,000.00 (+20%) a month in each" in report.replace("&gt;", ">")


@pytest.mark.parametrize("forms", [("json", "json"), ("json", "yaml"), ("yaml", "json")], ids="-".join)
def test_outputs_as_json_and_as_yaml_are_compared_by_what_they_hold(
    forms: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every target; the files of Envoy name each other."""
    folder = company(tmp_path / "project")
    for team in ("search", "devtools"):
        shutil.rmtree(folder / "teams" / team)
    monkeypatch.chdir(folder)
    for form, edits in zip((forms[0], *forms), ((), (), (CALLS,)), strict=True):
        part = folder / "platform/company.yaml"
        for was, now in edits:
            part.write_text(part.read_text("utf-8").replace(was, now), "utf-8")
        if edits:
            beside = CliRunner().invoke(cli, ["diff", "compiled", "."], catch_exceptions=False).stdout
            assert beside.startswith("support: 1 change (1 cost)\n")
        done = CliRunner().invoke(cli, ["build", "--emit", form], catch_exceptions=False)
        assert "AIG7001" not in done.output
        assert "AIG9004" not in done.output
        whole = {p.parent.name: json.loads(p.read_text("utf-8")) for p in folder.glob("compiled/support/*/diff.json")}
        assert {*whole} == {"kong", "envoy", "kubernetes", "proxy"}
        for target, one in whole.items():
            (gateway,) = one["gateways"]
            (changes,) = gateway["targets"].values() if edits else ((),)
            assert len(gateway["changes"]) == len(edits)
            assert len(changes) in ((1, 2, 3, 4) if edits else (0,)), target
            held = {name.name for name in (folder / "compiled/support" / target).iterdir()}
            assert {c["place"].partition(": ")[0] for c in changes} <= held


def test_one_limit_of_a_whole_company_is_one_cause_with_its_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        shutil.copytree(ROOT / "examples/platform-and-teams", folder, ignore=shutil.ignore_patterns("compiled"))
        (folder / ".git").mkdir()
    company = new / "platform/company.yaml"
    was = "{name: calls, by: [consumer], per: minute, requests: 120}"
    assert was in company.read_text()
    company.write_text(company.read_text().replace(was, was.replace("120", "150")))
    monkeypatch.chdir(new)
    said = CliRunner().invoke(cli, ["diff", str(old)], catch_exceptions=False).output
    assert said.count("because of ") == 1, said
    assert re.search(r"because of platform/company\.yaml:19:\d+ -> kong \d+, envoy \d+, kubernetes \d+, proxy 3", said)
    assert "in 3 gateways (devtools, search, support), for 3 models and 5 consumers in all" in said
    assert said.endswith("nothing else changes in devtools, search, support\n")
    assert len(said.splitlines()) <= 9
    shown = (
        CliRunner()
        .invoke(cli, ["diff", str(old), "--format", "html", "--show-normalised"], catch_exceptions=False)
        .output
    )
    assert shown.count("<!doctype html>") == 1
    assert shown.count("<h1>") == 1
    assert shown.count("<summary>written differently, with the same meaning: 0</summary>") == 3


# --- json


@pytest.mark.parametrize("case", CASES[::7])
def test_the_json_of_a_case_fits_the_schema(case: dict[str, Any]) -> None:
    old, new = (Side(checked(t).source.data, {}, "shop") for t in sides(case))
    schema = json.loads((ROOT / "schemas/diff.schema.json").read_text())
    jsonschema.validate(as_data([(diff(old, new, {}), place)]), schema)


def test_the_json_of_every_golden_output_fits_the_schema() -> None:
    """Every gateway that the examples keep as built, compared with itself as it would be without its limits."""
    schema = json.loads((ROOT / "schemas/diff.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    specs = sorted((ROOT / "examples").glob("*/compiled/*/*/gateway.json"))
    assert specs
    for path in specs:
        new = parse(path.read_text(), path.name)[0][0].data
        old: Any = json.loads(json.dumps(new))
        old.pop("x-aigw-hidden", None), new.pop("x-aigw-hidden", None)  # type: ignore[union-attr, call-arg, arg-type]
        old["spec"].get("policies", {}).pop("limits", None)
        assert [*validator.iter_errors(as_data([(Diff("x", False, tuple(meaning(old, new)), {}), place)]))] == []


# --- the page


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.outside += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "style") or k.startswith("on")]


def test_the_page_loads_nothing_runs_nothing_and_escapes_what_it_shows() -> None:
    odd = found()._replace(gateway="<b>x</b>", notes=("<script>alert(1)</script>",))
    odd = odd._replace(changes=tuple(c._replace(sentence="<img src=x onerror=alert(1)>") for c in odd.changes))
    shown = page([(odd, place)])
    tags = Tags()
    tags.feed(shown)
    assert not tags.seen & {"script", "img", "link", "iframe", "b"}
    assert not tags.outside
    assert "url(" not in shown
    assert "@import" not in shown
    assert len(page([(found(), place)])) < 40_000


def browser() -> str:
    """A Chromium, which Debian has as a package; the test installs it where it may."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    known = next((path for name in names if (path := shutil.which(name))), "")
    if not known and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-qq", names[0]], check=False, capture_output=True)
        known = shutil.which(names[0]) or ""
    if not known:
        pytest.skip("no Chromium: apt-get install chromium-headless-shell")
    return known


def run(folder: Path, shown: str, *options: str) -> str:
    (folder / "page.html").write_text(shown, "utf-8")
    fixed = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]
    done = subprocess.run(
        [browser(), *fixed, *options, f"file://{folder}/page.html"], capture_output=True, text=True, check=True
    )
    return done.stdout


def corner(png: Path) -> tuple[int, int, int]:
    """The colour of the first pixel; whatever filter its line has, nothing stands before it."""
    raw = png.read_bytes()
    data, at = b"", 8
    while at < len(raw):
        (size,), kind = struct.unpack(">I", raw[at : at + 4]), raw[at + 4 : at + 8]
        data += raw[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    line = zlib.decompress(data)
    return line[1], line[2], line[3]


def test_a_real_browser_shows_it_on_a_phone_light_and_dark(tmp_path: Path) -> None:
    shown = page([(found(), place), (found()._replace(gateway="a-long-name-of-a-gateway" * 3), lambda _: "p.yaml:1:1")])
    colours = []
    for scheme in ("1", "0"):  # light, dark
        picture = tmp_path / f"{scheme}.png"
        options = [
            f"--blink-settings=preferredColorScheme={scheme}",
            "--window-size=390,900",
            f"--screenshot={picture}",
        ]
        run(tmp_path, shown, *options)
        colours.append(corner(picture))
    assert colours == [(255, 255, 255), (0x14, 0x17, 0x1A)]
    # The page itself runs nothing: a copy without its policy measures whether anything is wider than the phone.
    measure = '<script>document.title = "wide " + document.documentElement.scrollWidth</script></body>'
    copy = (
        re.sub(r"<meta http-equiv[^>]*>", "", shown).replace("<details>", "<details open>").replace("</body>", measure)
    )
    width = re.search(r"<title>wide (\d+)", run(tmp_path, copy, "--window-size=390,900", "--dump-dom"))
    assert width
    assert int(width[1]) <= 390
