"""The hooks of .pre-commit-hooks.yaml, run by the real pre-commit in a repository that uses this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SPEC = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: minimal}
spec:
  listeners: [{name: local, address: 127.0.0.1, port: 8080}]
  providers: [{name: openai, type: openai, auth: {apiKey: {env: OPENAI_API_KEY}}}]
  models: [{name: chat, targets: [{provider: openai, model: gpt-4o-mini}]}]
  auth: {apiKey: {headers: [x-api-key]}}
  consumers: [{name: app, credentials: [{apiKey: {env: APP_KEY}}]}]
"""
PROJECT = "output: compiled/\ntargets:\n  proxy: {}\n"


class Repository:
    """A git repository of a user, with the hooks of this checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "user"
        self.folder.mkdir()
        home = folder / "home"
        home.mkdir()
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        # The user's own settings of git and pre-commit stay out of it; those of pip (an index) come in as variables.
        self.environment = {**kept, "HOME": str(home), "PRE_COMMIT_HOME": str(folder / "cache"), "NO_COLOR": "1"}
        self.environment.pop("PYTHONPATH", None)
        self.run("git", "init", "-q")
        (self.folder / "gateway.yaml").write_text(SPEC)
        (self.folder / "aigw-compile.yaml").write_text(PROJECT)
        revision = self.run("git", "-C", str(hooks(folder, self)), "rev-parse", "HEAD").stdout.strip()
        config = f"repos:\n- repo: {folder / 'hooks'}\n  rev: {revision}\n  hooks: [{{id: aigw-lint}}, {{id: aigw-build-check}}]\n"
        (self.folder / ".pre-commit-config.yaml").write_text(config)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def hook(self, name: str) -> subprocess.CompletedProcess[str]:
        self.run("git", "add", "--all")
        return self.run(sys.executable, "-m", "pre_commit", "run", name, "--all-files", "--color", "never")


def hooks(folder: Path, repository: Repository) -> Path:
    """Commit the files of this checkout, as they are now, to a repository that pre-commit can clone."""
    copy = folder / "hooks"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    ).stdout.decode()
    needed = (
        "aigw_compile/",
        "schemas/",
        "targets/",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        ".pre-commit-hooks.yaml",
    )
    for name in listed.split("\0"):
        if name.startswith(needed) and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    for command in (
        ("init", "-q"),
        ("add", "--all", "--force"),
        ("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "as it is"),
    ):
        ended = repository.run("git", "-C", str(copy), *command)
        assert ended.returncode == 0, ended.stderr
    return copy


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """One installation serves all tests of this file; it takes most of their time."""
    return Repository(tmp_path_factory.mktemp("hooks"))


def test_lint(repository: Repository) -> None:
    spec = repository.folder / "gateway.yaml"
    ended = repository.hook("aigw-lint")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    spec.write_text(SPEC.replace("provider: openai", "provider: opnai"))
    ended = repository.hook("aigw-lint")
    assert ended.returncode == 1
    assert "- exit code: 1" in ended.stdout
    assert "gateway.yaml:7:" in ended.stdout
    assert 'did you mean "openai"?' in ended.stdout
    spec.write_text(SPEC)


def test_build_check(repository: Repository) -> None:
    ended = repository.hook("aigw-build-check")
    assert ended.returncode == 1
    assert "stale: " in ended.stdout, ended.stdout
    build = [sys.executable, "-m", "aigw_compile", "build"]
    written = subprocess.run(
        build,
        cwd=repository.folder,
        env={**repository.environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert written.returncode == 0, written.stderr
    ended = repository.hook("aigw-build-check")
    assert ended.returncode == 0, ended.stdout
    spec = repository.folder / "gateway.yaml"
    spec.write_text(SPEC.replace("gpt-4o-mini", "gpt-4o"))
    ended = repository.hook("aigw-build-check")
    assert ended.returncode == 1
    assert "proxy.json" in ended.stdout
    spec.write_text(SPEC)


def test_other_files_start_no_hook(repository: Repository) -> None:
    repository.run("git", "add", "--all")
    (repository.folder / "notes.txt").write_text("nothing for us\n")
    ended = repository.run(sys.executable, "-m", "pre_commit", "run", "aigw-lint", "--files", "notes.txt")
    assert ended.returncode == 0
    assert "Skipped" in ended.stdout
