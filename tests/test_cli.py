"""The command line as a new user meets it: what it prints, what it writes, and the exit codes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests import support

MINIMAL = (support.ROOT / "examples/minimal/gateway.yaml").read_text()


def run(*arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Run the command; return exit code, standard output, standard error."""
    command = [sys.executable, "-m", "aigw_compile", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(support.ROOT), "NO_COLOR": "1", **(env or {})}
    done = subprocess.run(
        command, cwd=cwd or support.ROOT, capture_output=True, text=True, env=environment, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "gateway.yaml").write_text(MINIMAL)
    (tmp_path / "aigw-compile.yaml").write_text("targets:\n  kong: {profile: oss-3.9}\n  proxy: {}\n")
    return tmp_path


def edit(project: Path, old: str, new: str) -> None:
    text = (project / "gateway.yaml").read_text()
    assert old in text
    (project / "gateway.yaml").write_text(text.replace(old, new))


@pytest.mark.parametrize("arguments", [(), ("--help",), ("lint", "--help"), ("build", "-h"), ("--version",)])
def test_help_needs_no_project(arguments: tuple[str, ...], tmp_path: Path) -> None:
    code, out, err = run(*arguments, cwd=tmp_path)
    assert code in (0, 3)
    assert "aigw-compile" in out + err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("lnt",), 'did you mean "lint"'),
        (("lint", "nowhere.yaml"), "nowhere.yaml"),
        (("lint", "--fromat", "json"), "--format"),
        (("build", "--target", "kng"), 'did you mean "kong"'),
        (("build", "--target", "kong=oss-3.8"), 'did you mean "oss-3.9"'),
        (("build", "--fail-on", "braking"), 'did you mean "breaking"'),
        (("explain", "AIG9999"), "AIG9"),
        (("explain", "a", "b", "c"), "CODE"),
        (("secrets", "."), "secrets.json"),
        (("lint", "--report", "jsn=x"), "FORMAT=FILE"),
    ],
)
def test_wrong_use_ends_with_3_and_says_what_would_be_right(
    project: Path, arguments: tuple[str, ...], says: str
) -> None:
    code, out, err = run(*arguments, cwd=project)
    assert code == 3, out + err
    assert says in err


def test_lint_of_a_good_project(project: Path) -> None:
    assert run("lint", cwd=project)[0] == 0


def test_lint_says_everything_at_once_with_a_place(project: Path) -> None:
    edit(project, "provider: openai", "provider: opnai")
    edit(project, "auth: {apiKey: {headers: [x-api-key]}}", "auht: {}")
    code, out, _ = run("lint", cwd=project)
    assert code == 1
    assert "gateway.yaml:8:" in out
    assert 'did you mean "openai"' in out
    assert "gateway.yaml:9:" in out
    assert "^" in out


def test_formats_and_reports(project: Path) -> None:
    edit(project, "provider: openai", "provider: opnai")
    code, out, _ = run("lint", "--format", "json", "--report", "sarif=out.sarif", "--report", "github=gh", cwd=project)
    assert code == 1
    found = json.loads(out)
    jsonschema.validate(found, json.loads((support.ROOT / "schemas/diagnostics.schema.json").read_text()))
    (one,) = [d for d in found["diagnostics"] if d["severity"] == "error"]
    assert (one["file"], one["line"], one["pointer"]) == ("gateway.yaml", 8, "models[chat].targets[0].provider")
    assert json.loads((project / "out.sarif").read_text())["version"] == "2.1.0"
    assert "::error file=gateway.yaml,line=8" in (project / "gh").read_text()


def test_strict_makes_warnings_fail(project: Path) -> None:
    edit(project, "model: gpt-4o-mini}", "model: gpt-4o-mini, weight: 0}, {provider: openai, name: b, model: x}")
    edit(project, "spec:\n", "spec:\n  vaults: [{name: unused, type: env}]\n")
    assert run("lint", cwd=project)[0] == 0
    assert run("lint", "--strict", cwd=project)[0] == 1


def test_build_writes_and_an_unchanged_build_changes_nothing(project: Path) -> None:
    code, out, err = run("build", cwd=project)
    assert code == 0, out + err
    folder = project / "build/minimal"
    assert sorted(p.name for p in folder.iterdir()) == ["kong", "proxy"]
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert {p.name for p in before} >= {"kong.yml", "proxy.json", "diff.json", "diff.md", "secrets.json"}
    assert run("build", cwd=project)[0] == 0
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert run("build", "--check", cwd=project)[0] == 0


def test_build_check_finds_stale_outputs_and_writes_nothing(project: Path) -> None:
    run("build", cwd=project)
    before = (project / "build/minimal/kong/kong.yml").read_bytes()
    edit(project, "gpt-4o-mini", "gpt-4o")
    code, _, err = run("build", "--check", cwd=project)
    assert code == 1
    assert "kong.yml" in err
    assert (project / "build/minimal/kong/kong.yml").read_bytes() == before


def test_a_loss_is_an_error_until_it_is_accepted(project: Path) -> None:
    edit(project, "    - {name: chat, targets: [{provider: openai, model: gpt-4o-mini}]}", LIMITED)
    code, out, _ = run("build", cwd=project)
    assert code == 1
    assert "AIG6056" in out
    assert "nearest" in out
    assert not (project / "build").exists()
    accepted = '{code: AIG6056, at: "models[chat].policies.limits[tpm].tokens", reason: the edge counts tokens}'
    (project / "aigw-compile.yaml").write_text(f"targets:\n  kong:\n    profile: oss-3.9\n    accept: [{accepted}]\n")
    code, out, _ = run("build", cwd=project)
    assert code == 0, out
    edit(project, "tokens: 100, ", "")
    code, out, _ = run("build", cwd=project)
    assert "AIG6900" in out
    assert "aigw-compile.yaml:4:" in out


LIMITED = """\
    - name: chat
      targets: [{provider: openai, model: gpt-4o-mini}]
      policies: {limits: [{name: tpm, per: minute, tokens: 100, requests: 9}]}"""


def test_a_failed_build_leaves_the_outputs_as_they_were(project: Path) -> None:
    run("build", cwd=project)
    before = {p: p.read_bytes() for p in (project / "build").rglob("*") if p.is_file()}
    edit(project, "provider: openai, model", "provider: nobody, model")
    assert run("build", cwd=project)[0] == 1
    assert {p: p.read_bytes() for p in (project / "build").rglob("*") if p.is_file()} == before


def test_emit_json_and_output(project: Path, tmp_path: Path) -> None:
    code, out, err = run("build", "--emit", "json", "--output", tmp_path / "elsewhere", cwd=project)
    assert code == 0, out + err
    body = json.loads((tmp_path / "elsewhere/minimal/kong/kong.json").read_text())
    assert body["_format_version"] == "3.0"
    assert run("secrets", "--placeholders", tmp_path / "elsewhere/minimal/kong", cwd=project)[0] == 0
    assert (tmp_path / "elsewhere/minimal/kong/kong.rendered.json").exists()


def test_secrets_are_fetched_written_0600_and_never_printed(project: Path) -> None:
    run("build", cwd=project)
    folder = project / "build/minimal/kong"
    code, out, err = run("secrets", folder, cwd=project, env={"APP_KEY": ""})
    assert code == 3
    assert "consumers[app]" in err
    assert not (folder / "kong.rendered.yml").exists()
    env = {"APP_KEY": "canary-5f2a", "OPENAI_API_KEY": "canary-77b1"}
    code, out, err = run("secrets", folder, cwd=project, env=env)
    assert code == 0, err
    assert "canary" not in out + err
    rendered = folder / "kong.rendered.yml"
    assert "canary-5f2a" in rendered.read_text()
    assert stat.S_IMODE(rendered.stat().st_mode) == 0o600
    assert "canary" not in (folder / "kong.yml").read_text()


def test_explain_the_three_ways(project: Path) -> None:
    run("build", cwd=project)
    code, out, _ = run("explain", "aig6056", cwd=project)
    assert code == 0
    assert "policies.limits.tokens" in out
    code, out, _ = run("explain", "gateway.yaml", "models[chat].targets[0].model", cwd=project)
    assert code == 0
    assert "gateway.yaml:8:" in out
    assert "kong/kong.yml: line" in out
    lines = (project / "build/minimal/kong/kong.yml").read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if "gpt-4o-mini" in text)
    code, out, _ = run("explain", f"build/minimal/kong/kong.yml:{line}", cwd=project)
    assert code == 0
    assert "models[chat].targets" in out
    assert "gateway.yaml:8:" in out


def test_every_code_has_a_page() -> None:
    from aigw_compile.explain import codes, explain_code

    assert len(codes()) > 60
    for code in codes():
        page = explain_code(code)
        assert page
        assert len(page.split()) > 8, code


@pytest.mark.parametrize("which", ["spec", "project", "diagnostics", "diff"])
def test_schemas_are_schemas(which: str) -> None:
    code, out, _ = run("schema", which)
    assert code == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(out))


def test_targets_prints_the_matrix() -> None:
    code, out, _ = run("targets", "--markdown")
    assert code == 0
    assert "| AIG6056 |" in out
    code, out, _ = run("targets", "--format", "json")
    assert {"kong oss-3.9", "envoy", "proxy"} <= set(json.loads(out)[0]["targets"])


@pytest.mark.parametrize("provider", ["openai", "anthropic", "vllm", "openai-compatible"])
def test_init_makes_a_project_that_lints_and_builds(tmp_path: Path, provider: str) -> None:
    folder = tmp_path / "my gateway"
    assert run("init", folder, "--provider", provider)[0] == 0
    code, out, _ = run("lint", "--strict", folder)
    assert code == 0, out
    code, out, err = run("build", folder)
    assert code == 0, out + err
    code, _, err = run("init", folder)
    assert code == 3
    assert "already" in err
