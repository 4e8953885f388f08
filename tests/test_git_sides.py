"""A revision of git as a side of a diff: it is read from a folder of its own, with its parts, its links and its root."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from aigw_compile import comparing, compiler, revisions
from aigw_compile.compiler import Opened
from aigw_compile.diagnostic import Diagnostic
from aigw_compile.project import Project

HEAD = "apiVersion: aigw.dev/v1alpha1\n"
PART = f"{HEAD}kind: AIGatewayConfig\nmetadata: {{name: org}}\nspec: {{for: AIGateway}}\n"
FILES = {
    "gw/aigw-compile.yaml": "sources: [teams]\nexclude: ['**/old']",
    "gw/teams/a.yaml": f"{HEAD}kind: AIGateway\nmetadata: {{name: a}}\nspec: {{configRef: [{{name: org, file: ../lib/org.yaml}}]}}",
    "gw/teams/b.yaml": f"{HEAD}kind: AIGateway\nmetadata: {{name: b}}\nspec: {{configRef: [{{name: org, file: link/org.yaml}}]}}",
    "gw/teams/c.yaml": f"{HEAD}kind: AIGateway\nmetadata: {{name: c}}\nspec: {{configRef: [{{name: org, file: ../out/org.yaml}}]}}",
    "gw/lib/org.yaml": PART,
    "gw/teams/notes.txt": "",
    "outside/org.yaml": PART,
}


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "aigw-compile.yaml").write_text("output: of-somebody-else")
    root = tmp_path / "repository"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "gw/teams/link").symlink_to("../lib")
    (root / "gw/out").symlink_to("../outside")
    git(root, "init", "-q")
    git(root, "add", "--all")
    git(root, "commit", "-qm", "first")
    (root / "gw/lib/org.yaml").unlink()
    return root


def test_a_revision_has_its_parts_links_and_root(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Opened] = []

    def keep(opened: Opened, **_: object) -> tuple[tuple[()], tuple[()]]:
        found.append(opened)
        return (), ()

    monkeypatch.setattr(compiler, "check", keep)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    comparing.side_of("git:HEAD", Project(repository / "gw"), ())
    (opened,) = found
    assert [d.file for d in opened.documents] == ["teams/a.yaml", "teams/b.yaml", "teams/c.yaml"]
    assert [d.file for d in opened.parts] == ["lib/org.yaml"]
    outside = opened.links.pop(("teams/c.yaml", "../out/org.yaml"))  # type: ignore[attr-defined]
    assert isinstance(outside, Diagnostic)
    assert outside.code == "AIG0106"
    assert opened.links == {
        ("teams/a.yaml", "../lib/org.yaml"): "lib/org.yaml",
        ("teams/b.yaml", "link/org.yaml"): "lib/org.yaml",
    }
    assert (opened.diagnostics, opened.project.sources) == ((), ("teams",))
    now = compiler.open_project([repository / "gw"])
    assert now.links["teams/c.yaml", "../out/org.yaml"] == outside
    assert now.parts == ()


def test_a_file_that_is_too_large_is_said_to_be(repository: Path) -> None:
    big = repository / "gw/teams/big.yaml"
    with big.open("w") as file:
        file.write("# aigw.dev/\n")
        file.truncate(9 << 20)
    git(repository, "add", "--all")
    git(repository, "commit", "-qm", "second")
    with pytest.raises(comparing.SideError, match=r"teams/big.yaml:1: AIG0002 the file is too large"):
        comparing.side_of("git:HEAD", Project(repository / "gw"), ())


@pytest.mark.parametrize("revision", ["", "--output=x", "nothing"])
def test_no_revision(repository: Path, revision: str) -> None:
    with pytest.raises(comparing.SideError):
        comparing.side_of(f"git:{revision}", Project(repository / "gw"), ())


def test_a_tree_that_leads_out_of_its_folder(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = git(repository, "rev-parse", "HEAD:gw/lib/org.yaml")
    real = revisions._git
    listed = "".join(f"100644 blob {blob}\t{name}\0" for name in ("gw/../../x.yaml", "/x.yaml", "gw/in.yaml"))

    def lie(root: Path, *arguments: str) -> bytes:
        return listed.encode() if arguments[0] == "ls-tree" else real(root, *arguments)

    monkeypatch.setattr(revisions, "_git", lie)
    folder = tmp_path / "a/b"
    folder.mkdir(parents=True)
    revisions.unpack("HEAD", repository / "gw", folder)
    assert [p.relative_to(tmp_path / "a").as_posix() for p in (tmp_path / "a").rglob("*.yaml")] == ["b/in.yaml"]
