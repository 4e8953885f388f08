"""What other repositories use of this one: hooks, the GitHub action, the GitLab pipeline, and the pages about them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import click
import pytest
import yaml

from aigw_compile.cli import COMMANDS, reports
from aigw_compile.cli.group import cli
from aigw_compile.language.providers import Provider
from aigw_compile.providers import PROVIDERS
from aigw_compile.render import FORMATS
from aigw_compile.rules import RULES
from tests.test_comments import Host, serving

ROOT = Path(__file__).resolve().parents[1]


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def scripts(name: str) -> Iterator[str]:
    """Yield every shell script of a file."""
    if name.endswith(".md"):
        text = (ROOT / name).read_text("utf-8")
        yield from re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    elif name == "action.yml":
        yield from (step["run"] for step in read(name)["runs"]["steps"] if "run" in step)
    elif name == ".pre-commit-hooks.yaml":
        yield from (hook["entry"] for hook in read(name))
    else:
        jobs = [job for job in read(name).values() if isinstance(job, dict)]
        yield from (
            line for job in jobs for part in ("before_script", "script", "after_script") for line in job.get(part, ())
        )


def calls(name: str) -> Iterator[list[str]]:
    """Yield the words of each call of aigw-compile, shell variables left in."""
    for script in scripts(name):
        for line in script.splitlines():
            words = shlex.split(line.strip(), comments=True) if "aigw-compile " in line else []
            while "aigw-compile" in words:
                words = words[words.index("aigw-compile") + 1 :]
                yield list(words)


USERS = ["action.yml", ".pre-commit-hooks.yaml", "examples/gitlab-ci.yml", "docs/ci.md"]


@pytest.mark.parametrize("name", USERS)
def test_every_flag_exists(name: str) -> None:
    found = [*calls(name)]
    assert found
    context = click.Context(cli)
    for words in found:
        assert words[0] in COMMANDS, words
        command = cli.get_command(context, words[0])
        assert command
        known = {
            flag: p for p in command.params if isinstance(p, click.Option) for flag in (*p.opts, *p.secondary_opts)
        }
        for flag, value in pairwise([*words[1:], ""]):
            if flag.startswith("--"):
                assert flag in known, f"{words[0]} has no {flag}"
                kind = known[flag].type
                if isinstance(kind, click.Choice):
                    assert value in kind.choices, f"{words[0]} {flag} {value}"
                if flag == "--report":
                    assert value.partition("=")[0] in (reports.FORMATS if words[0] == "diff" else FORMATS)


def test_options_that_the_action_collects_exist() -> None:
    """The action puts options into an array first; they are none of the words after the command."""
    context = click.Context(cli)
    found = 0
    for script in scripts("action.yml"):
        name = re.search(r"aigw-compile (\w+)", script)
        for flag in re.findall(r"options\+?=\((--[\w-]+)", script):
            assert name
            command = cli.get_command(context, name[1])
            assert command
            assert flag in {opt for p in command.params for opt in p.opts}
            found += 1
    assert found >= 4


def step(name: str) -> dict[str, Any]:
    (found,) = [s for s in read("action.yml")["runs"]["steps"] if s.get("name") == name]
    assert isinstance(found, dict)
    return found


def program(folder: Path) -> Path:
    """Put `aigw-compile` into a folder, and return that."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    found = programs / "aigw-compile"
    found.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m aigw_compile "$@"\n')
    found.chmod(0o755)
    return programs


def run_step(
    name: str, folder: Path, around: Mapping[str, str] | None = None, **values: str
) -> subprocess.CompletedProcess[str]:
    """Run a step of the action as a runner would: bash -eo pipefail, with the step's variables."""
    programs = program(folder)
    assert set(values) <= {*step(name)["env"], "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "RUNNER_TEMP"}
    blank = dict.fromkeys(step(name)["env"], "")
    path = {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(name)["run"]]
    return subprocess.run(
        command,
        cwd=folder,
        env={**path, **(around or {}), **blank, **values},
        capture_output=True,
        text=True,
        check=False,
    )


GOOD = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: minimal}
spec:
  listeners: [{name: local, address: 127.0.0.1, port: 8080}]
  providers: [{name: openai, type: openai, auth: {apiKey: {env: OPENAI_API_KEY}}}]
  models:
    - {name: chat, targets: [{provider: openai, model: gpt-4o-mini}]}
  auth: {apiKey: {headers: [x-api-key]}}
  consumers: [{name: app, credentials: [{apiKey: {env: APP_KEY}}]}]
"""
WARNED = GOOD.replace("model: gpt-4o-mini", "model: gpt-4o-mini, weight: 0}, {provider: openai, model: m, priority: 1")
BAD = GOOD.replace("provider: openai", "provider: opnai")


def test_the_lint_step(tmp_path: Path) -> None:
    spec = tmp_path / "my gateway.yaml"
    spec.write_text(BAD)
    ended = run_step("Lint", tmp_path, SPECS=spec.name, SARIF="out.sarif")
    assert ended.returncode == 1, ended.stderr
    assert "::error file=my gateway.yaml,line=8" in ended.stdout
    assert '"AIG3001"' in (tmp_path / "out.sarif").read_text()
    spec.write_text(WARNED)
    assert run_step("Lint", tmp_path, SPECS=".", STRICT="false").returncode == 0
    assert run_step("Lint", tmp_path, SPECS=".", STRICT="true").returncode == 1
    spec.write_text(GOOD)
    assert run_step("Lint", tmp_path, SPECS=".", STRICT="true", TARGETS="proxy=1 proxy").returncode == 0
    part = "apiVersion: aigw.dev/v1alpha1\nkind: AIGatewayConfig\nmetadata: {name: p}\nspec: {for: AIGateway, config: {}}\n"
    (tmp_path / "part.yaml").write_text(part)
    spec.write_text(GOOD.replace("spec:\n", "spec:\n  configRef: {name: p}\n"))
    assert run_step("Lint", tmp_path, SPECS=".", FROZEN="false").returncode == 0
    assert "AIG2007" in run_step("Lint", tmp_path, SPECS=".", FROZEN="true").stdout


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def repository(folder: Path) -> str:
    """A repository whose last commit has a gateway, which was changed since; return that commit."""
    git(folder, "init", "-q")
    (folder / "gateway.yaml").write_text(GOOD)
    (folder / "aigw-compile.yaml").write_text("targets: {proxy: {}}\n")
    git(folder, "add", "gateway.yaml", "aigw-compile.yaml")
    git(folder, "commit", "-qm", "first")
    (folder / "gateway.yaml").write_text(GOOD.replace("headers: [x-api-key]", "headers: [authorization]"))
    return git(folder, "rev-parse", "HEAD")


def approve(folder: Path, commit: str) -> None:
    """Let everything pass that the diff tells."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "aigw_compile", "diff", "--format", "json", f"git:{commit}", "."]
    told = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True).stdout
    entry = "  - {{fingerprint: {}, gateway: minimal, until: '2999-01-01', reason: a test}}\n"
    entries = "".join(entry.format(change["fingerprint"]) for change in json.loads(told)["gateways"][0]["changes"])
    (folder / "aigw-approvals.yaml").write_text(f"approvals:\n{entries}")


def test_the_diff_step(tmp_path: Path) -> None:
    commit = repository(tmp_path)
    runner = {key: str(tmp_path / key.lower()) for key in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    values = {"SPECS": ".", "BASE": commit, "RUNNER_TEMP": str(tmp_path), "SARIF": "diff.sarif", **runner}
    ended = run_step("Diff", tmp_path, **values)
    assert ended.returncode == 0, ended.stderr
    assert "authorization" in Path(runner["GITHUB_STEP_SUMMARY"]).read_text()
    outputs = dict(line.split("=", 1) for line in Path(runner["GITHUB_OUTPUT"]).read_text().splitlines())
    assert outputs == {
        "file": f"{tmp_path}/aigw-diff.md",
        "page": f"{tmp_path}/aigw-diff.html",
        "changed": "true",
    }
    assert "authorization" in Path(outputs["file"]).read_text()
    assert Path(outputs["page"]).read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "diff.sarif").read_text())["runs"][0]["results"]
    assert set(outputs) == {
        re.findall(r"outputs\.(\w+)", o["value"])[0] for o in read("action.yml")["outputs"].values()
    }
    assert run_step("Diff", tmp_path, **values, FAIL_ON="breaking").returncode == 1
    approve(tmp_path, commit)
    assert run_step("Diff", tmp_path, **values, FAIL_ON="breaking").returncode == 0
    (tmp_path / "gateway.yaml").write_text(GOOD)
    assert run_step("Diff", tmp_path, **values).returncode == 0
    assert Path(runner["GITHUB_OUTPUT"]).read_text().endswith("changed=false\n")
    (tmp_path / "gateway.yaml").write_text(BAD)
    assert run_step("Diff", tmp_path, **values).returncode == 3


def test_the_comment_step(tmp_path: Path) -> None:
    """Written, written anew, and only told where it cannot be."""
    (tmp_path / "diff.md").write_text("### minimal: 1 change\n")
    values = {"DIFF": "diff.md", "CHANGED": "true", "NAME": "aigw-diff", "GITHUB_TOKEN": "t"}
    with serving(Host("github")) as host:
        host.token = "t"
        around = {**host.environment(), "no_proxy": "127.0.0.1"}
        assert run_step("Comment", tmp_path, **{**values, "CHANGED": "false"}, around=around).returncode == 0
        assert host.held == []
        for text in ("1 change", "2 changes"):
            (tmp_path / "diff.md").write_text(f"### minimal: {text}\n")
            ended = run_step("Comment", tmp_path, **values, around=around)
            assert (ended.returncode, "::warning" in ended.stdout) == (0, False), ended.stderr
            assert [h["body"].splitlines()[-1] for h in host.held] == [f"### minimal: {text}"]
        host.token = "another"
        ended = run_step("Comment", tmp_path, **values, around=around)
        assert (ended.returncode, "::warning::" in ended.stdout) == (0, True)
        assert "pull-requests: write" in ended.stderr


def test_every_step_that_writes_a_comment_or_a_page_asks_for_it() -> None:
    assert "inputs.comment == 'true'" in step("Comment")["if"]
    kept = step("Keep the page")
    assert "inputs.page == 'true'" in kept["if"]
    assert kept["with"]["path"] == "${{ steps.diff.outputs.page }}"
    assert all(s["if"].startswith("always()") for s in (step("Diff"), step("Comment"), kept))


def test_the_job_of_a_merge_request(tmp_path: Path) -> None:
    """The template's own lines, as GitLab's runner would run them: each in one shell, `after_script` in another."""
    template = read("examples/gitlab-ci.yml")
    commit = repository(tmp_path)
    program(tmp_path)
    job = template["aigw-diff"]
    own = {k: str(v) for k, v in template["variables"].items()} | {"CI_MERGE_REQUEST_DIFF_BASE_SHA": commit}
    around = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "no_proxy": "127.0.0.1"}

    def ran(lines: list[str], **more: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-eo", "pipefail", "-c", "\n".join(lines)]
        env = {**around, **own, "HOME": str(tmp_path), **more}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    ended = ran(job["script"])
    assert ended.returncode == 1, ended.stderr
    assert "security-relaxing" in own["FAIL_ON"]
    for path in job["artifacts"]["paths"]:
        assert (tmp_path / path).stat().st_size > 100
    assert ran(job["script"], FAIL_ON="").returncode == 0
    with serving(Host("gitlab")) as host:
        assert ran(job["after_script"]).returncode == 0
        for _ in range(2):
            ended = ran(job["after_script"], **host.environment())
            assert ended.returncode == 0, ended.stderr
        (note,) = host.held
        assert "authorization" in note["body"]
    approve(tmp_path, commit)
    assert ran(job["script"]).returncode == 0
    lint = template["aigw-lint"]
    assert ran(lint["script"]).returncode == 0
    assert (tmp_path / lint["artifacts"]["paths"][0]).exists()


def test_no_input_is_pasted_into_a_script() -> None:
    """An expression inside a script would be run as code; inputs come in as variables."""
    assert not [script for script in scripts("action.yml") if "${{" in script]


def test_own_hooks_are_local() -> None:
    repos = read(".pre-commit-config.yaml")["repos"]
    assert {repo["repo"] for repo in repos} == {"local"}
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for hook in (hook for repo in repos for hook in repo["hooks"]):
        program, target = hook["entry"].split()
        assert program == "make"
        assert target in targets


def test_pre_commit_takes_the_files() -> None:
    """pre-commit's own validation, warnings of unknown keys included."""
    for kind, name in (("manifest", ".pre-commit-hooks.yaml"), ("config", ".pre-commit-config.yaml")):
        command = [sys.executable, "-m", "pre_commit", f"validate-{kind}", str(ROOT / name)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout
        assert not ended.stdout + ended.stderr


def test_the_page_about_pipelines_uses_what_is_there() -> None:
    text = (ROOT / "docs/ci.md").read_text("utf-8")
    hooks, workflow, pipeline = (yaml.safe_load(b) for b in re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S))
    ids = {hook["id"] for hook in read(".pre-commit-hooks.yaml")}
    assert {hook["id"] for repo in hooks["repos"] for hook in repo["hooks"]} == ids
    (own,) = [s for s in workflow["jobs"]["gateways"]["steps"] if "aigw-compile@" in s["uses"]]
    assert set(own["with"]) <= set(read("action.yml")["inputs"])
    assert pipeline["include"]


def test_every_input_of_the_action_is_used() -> None:
    text = (ROOT / "action.yml").read_text("utf-8")
    for name, declared in read("action.yml")["inputs"].items():
        assert f"inputs.{name}" in text
        assert declared["description"].endswith(".")


def test_the_pages_name_what_is_there() -> None:
    for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/ci.md"):
        text = (ROOT / name).read_text("utf-8")
        for path in re.findall(r"`((?:aigw_compile|targets|tests|schemas|examples)/[\w./-]+)`", text):
            assert (ROOT / path).exists() or "NAME" in path, f"{name} names {path}"
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert ((ROOT / name).parent / link).exists(), f"{name} links to {link}"
        for code in re.findall(r"AIG[345]\d{3}", text):
            assert code in {rule.code for rule in RULES}


def test_the_catalog_and_the_language_know_the_same_providers() -> None:
    assert set(PROVIDERS) == set(get_args(Provider.model_fields["type"].annotation))


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    for part in ("Version 2.0, January 2004", "9. Accepting Warranty", "END OF TERMS AND CONDITIONS", "APPENDIX"):
        assert part in text
