"""A project whose platform hides canaries, through every command and format, in order and broken: grep finds none."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from aigw_compile import __main__ as main
from aigw_compile import comments, compiler, explain
from aigw_compile.document import lines_of
from aigw_compile.project import TargetChoice
from aigw_compile.target import TARGETS
from tests.silence import places

PROJECT = Path(__file__).parent / "cases/canaries"
GIVEN_AWAY = re.compile(r"(?i)zq.?7.?canary|74[,.]?01[78]")
COMPANY, EU, TEAM = "platform/company.yaml", "platform/eu.yaml", "teams/support.yaml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(PROJECT, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AIGW_DEBUG", "1")
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run a command; return its exit code, and what it printed when nothing of it gives a canary away."""
    monkey = pytest.MonkeyPatch()
    monkey.setattr("sys.argv", ["aigw-compile", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    monkey.undo()
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert not [line for line in text.splitlines() if GIVEN_AWAY.search(line)], arguments
    return int(str(ended.value.code)), text


def told(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> tuple[int, str]:
    """The same, with a report in each format beside it."""
    reports = {name: folder.parent / f"report.{name}" for name in ("json", "sarif", "github")}
    code, text = said(capsys, *arguments, *(f"--report={name}={file}" for name, file in reports.items()))
    for file in reports.values():
        assert not GIVEN_AWAY.search(file.read_text("utf-8")), file
    return code, text


def test_every_command(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, project, "lint", ".")[0] == 0
    assert said(capsys, "lint", "teams")[0] == 0
    for target in TARGETS:
        assert told(capsys, project, "lint", ".", "--target", target)[0] == 0
    for part in ("eu", "company", "local"):
        assert said(capsys, "schema", "--for", part)[0] == 0
    assert told(capsys, project, "build", ".", "--map")[0] == 0
    outputs = project / "build/support"
    assert GIVEN_AWAY.search((outputs / "proxy/proxy.json").read_text("utf-8")), "a hidden value works there"
    assert said(capsys, "build", ".", "--check")[0] == 0
    for path in (COMPANY, EU):
        text = (project / path).read_text("utf-8").replace("zq7canary", "zq7canaryb").replace("74017", "74018")
        (project / path).write_text(text, "utf-8")
    assert said(capsys, "build", ".", "--check")[0] == 1
    shown = {form: project.parent / f"diff.{form}" for form in ("text", "markdown", "json", "html", "sarif")}
    for base in ("build", str(PROJECT)):
        options = [f"--report={form}={file}" for form, file in shown.items()]
        for form, file in shown.items():
            code, text = said(capsys, "diff", base, ".", "--format", form, "--exit-code", *options)
            assert (code, "(hidden)" in text, text) == (2, True, file.read_text("utf-8"))
        assert not GIVEN_AWAY.search(comments.body_of(shown["markdown"].read_text("utf-8"), comments.mark("x")))
        for form in ("text", "markdown", "json", "html"):
            said(capsys, "diff", base, ".", "--format", form, "--show-normalised")
    assert told(capsys, project, "build", ".", "--map")[0] == 0
    reports = [*outputs.glob("*/diff.*"), *outputs.glob("*/*.map.json")]
    assert len(reports) > 12
    assert not [file for file in reports if GIVEN_AWAY.search(file.read_text("utf-8"))]
    assert said(capsys, "pin", ".")[0] == 0
    assert told(capsys, project, "lint", ".", "--frozen")[0] == 0
    code, text = said(capsys, "secrets", str(outputs / "envoy"))
    assert (code, text.count("***") > 2) == (main.EXIT_USAGE, True)
    assert said(capsys, "secrets", str(outputs / "envoy"), "--placeholders")[0] == 0
    assert "***" in said(capsys, "serve", TEAM, "--port", "0")[1]
    assert "***" in said(capsys, "serve", str(outputs / "proxy/proxy.json"), "--port", "0")[1]


def test_every_place_and_every_line_explained(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened = compiler.open_project([project])
    (one,) = [one for one in compiler.check(opened)[0] if one.gateway]
    builds = [compiler.build(one, TargetChoice(name, "", {}), opened.project.accepts) for name in TARGETS]
    hides = one.source.veil
    assert len(hides.hidden) > 10
    for at in places(one.source.data):
        answer = explain.explain_place(one, builds, hides.named(at))
        assert not GIVEN_AWAY.search(answer or ""), at
    for build in builds:
        for document in build.documents:
            lines = [text for text, _ in lines_of(document)]
            telling = [number for number, text in enumerate(lines, 1) if GIVEN_AWAY.search(text)]
            for number in {*telling[:: max(len(telling) // 15, 1)], 1, len(lines)}:
                answer = explain.explain_line(one, build, document.filename, number)
                assert answer
                assert not GIVEN_AWAY.search(answer), (document.filename, number)
    assert any(build.documents for build in builds)
    assert said(capsys, "explain", TEAM, "vaults[zq7canary1]".replace("zq7canary1", "other"))[0] == main.EXIT_USAGE
    assert explain.explain_place(one, builds, "vaults[zq7canary1]") is None


BROKEN = [
    (TEAM, "configRef: {name: eu}", "configRef: {name: eu}\n  policies: {promptGuard: {deny: [x]}}"),
    (TEAM, "configRef: {name: eu}", "configRef: {name: eu}\n  policies: {limits: [{$patch: replace}]}"),
    (TEAM, "configRef: {name: eu}", "configRef: {name: eu}\n  vaults: [{name: mine, type: env}]"),
    (TEAM, "configRef: {name: eu}", "configRef: {name: eu}\n  observability: {accessLog: {payloads: true}}"),
    (TEAM, "configRef: {name: eu}", "configRef: {name: euro}"),
    (TEAM, "configRef: {name: eu}", "configRef: [{name: eu}, {name: company}]"),
    (TEAM, "configRef: {name: eu}", "configRef: {name: company}"),
    (TEAM, "configRef: {name: local}", "configRef: {name: eu}"),
    (TEAM, "provider: claude", "provider: claud"),
    (TEAM, "env: TEAM_KEY", "vault: corp, key: a/b"),
    (TEAM, "groups: [internal]", "groups: [internals]"),
    (TEAM, "groups: [internal]", "groups: internal"),
    (TEAM, "name: chat", "name: base"),
    (TEAM, "name: chat", "aliases: [base]\n      name: chat"),
    (TEAM, "weight: 90", "weight: null"),
    (TEAM, "weight: 90", "wait: 90"),
    (
        TEAM,
        "{name: mine, configRef: {name: local}}",
        "{name: mine, configRef: {name: local}, baseUrl: http://127.0.0.1}",
    ),
    (TEAM, "{name: mine, configRef: {name: local}}", "{name: openai, $patch: delete}"),
    (TEAM, "{name: mine, configRef: {name: local}}", "{name: openai, headers: {host: x}}"),
    (TEAM, "models:\n", "models:\n    - {name: base, timeouts: {request: 5s}}\n"),
    (TEAM, "models:\n", "models:\n    - {name: base, $patch: delete}\n"),
    (TEAM, "  consumers:", "  consumers: {{"),
    (COMPANY, "zq7canary3}", "zq7canary3: zq7canary3}"),
    (COMPANY, "mount: zq7canary3", "mount: zq7canary3, mount: zq7canary3"),
    (COMPANY, "mount: zq7canary3", "mount: [zq7canary3]"),
    (COMPANY, "mount: zq7canary3", "mounted: zq7canary3"),
    (COMPANY, "mount: zq7canary3", "zq7canary3: 1"),
    (COMPANY, "key: llm/zq7canary5", "key: !secret llm/zq7canary5"),
    (COMPANY, "key: llm/zq7canary5", "key: *zq7canary5"),
    (COMPANY, "vault: zq7canary1", "vault: zq7canary1x"),
    (COMPANY, "https://zq7canary4.example.com/v1", "zq7canary4.example.com"),
    (COMPANY, "https://zq7canary4.example.com/v1", "http://zq7canary4.example.com/v1?zq7canary4"),
    (COMPANY, "(is|was)", "(is|was"),
    (COMPANY, "ZQ7CANARY9", "sk-zq7canary9-74017"),
    (COMPANY, "role: system", "role: zq7canary16"),
    (COMPANY, "per: day", "per: zq7canary"),
    (COMPANY, "requests: 7401718", "requests: -7401718"),
    (COMPANY, "requests: 7401718", "requests: 7401718.5"),
    (COMPANY, "requests: 7401718", "requests: '7401718'"),
    (COMPANY, "sampling: 0.74017", "sampling: 7.4017"),
    (COMPANY, "x-zq7canary10", "x zq7canary10"),
    (COMPANY, "by: [consumer]", "by: [consumer, consumer, 'header:x-zq7canary']"),
    (COMPANY, "hide: [vaults", "hide: [vault, vaults"),
    (COMPANY, "hide: [vaults", "hyde: [vaults"),
    (COMPANY, "payloads: false", "payloads: no"),
    (EU, "model: zq7canary23", "model: zq7canary23, wait: 74017"),
    (EU, "provider: claude, model", "provider: zq7canary, model"),
    (EU, "request: 74017ms", "request: 74017"),
    (EU, "region: zq7canary21", "region: yes"),
    (EU, "configRef: {name: company}", "configRef: {name: eu}"),
    (EU, "expose: [name, tls]", "expose: []"),
]


@pytest.mark.parametrize(("file", "before", "after"), BROKEN, ids=[f"{n}" for n in range(len(BROKEN))])
def test_every_mistake(file: str, before: str, after: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (project / file).read_text("utf-8")
    assert before in text
    (project / file).write_text(text.replace(before, after, 1), "utf-8")
    code, _ = told(capsys, project, "lint", ".")
    assert code in (0, 1)
    told(capsys, project, "lint", TEAM, "--target", "envoy")
    said(capsys, "diff", str(PROJECT), ".", "--target", "proxy")


def test_a_mistake_of_ours(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: object) -> None:
        raise AssertionError(data)

    monkeypatch.setattr(compiler, "validate", broken)
    code, text = said(capsys, "lint", ".")
    assert code == main.EXIT_BUG
    assert "in broken" in text
