"""The project: where its root is, which files are read, and what its file may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from aigw_compile.project import Accept
from aigw_compile.reading import open_project
from aigw_compile.target import TARGETS, head, manifest

SPEC = (Path(__file__).parents[1] / "examples/minimal/gateway.yaml").read_text()


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def spec(name: str) -> str:
    return SPEC.replace("name: minimal", f"name: {name}")


def names(root: Path, *arguments: str) -> list[str]:
    opened = open_project([root / a for a in arguments] or [root])
    return [d.data["metadata"]["name"] for d in opened.documents]


def codes(root: Path, *arguments: str) -> list[str]:
    return [d.code for d in open_project([root / a for a in arguments] or [root]).diagnostics]


def test_what_is_read(tmp_path: Path) -> None:
    files = {
        "aigw-compile.yaml": 'exclude: ["**/bad/**", "old*.yaml"]\noutput: out/',
        "a.yaml": spec("a") + "---\n" + spec("a2"),
        "deep/b.yml": spec("b"),
        "deep/bad/c.yaml": spec("c"),
        "old1.yaml": spec("d"),
        "out/e.yaml": spec("e"),
        ".hidden/f.yaml": spec("f"),
        "g.json": "{}",
        "helm.yaml": "{{ not: yaml",
        "k8s.yaml": "apiVersion: v1\nkind: Service",
    }
    opened = open_project([tree(tmp_path, files)])
    assert [d.data["metadata"]["name"] for d in opened.documents] == ["a", "a2", "b"]
    assert opened.skipped == 2
    assert opened.diagnostics == ()


def test_a_file_argument_means_that_file(tmp_path: Path) -> None:
    tree(tmp_path, {"aigw-compile.yaml": "", "a.yaml": spec("a"), "b.yaml": spec("b")})
    assert names(tmp_path, "b.yaml") == ["b"]
    assert open_project([tmp_path / "b.yaml"]).project.root == tmp_path


def test_a_link_out_of_the_project_is_not_followed(tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside", {"secret.yaml": spec("secret")})
    root = tree(tmp_path / "root", {"aigw-compile.yaml": "", "a.yaml": spec("a")})
    (root / "b.yaml").symlink_to(outside / "secret.yaml")
    (root / "c.yaml").symlink_to(root / "a.yaml")
    (root / "folder").symlink_to(outside)
    assert names(root) == ["a"], "a link within the project is another name of the same file"
    assert codes(root) == ["AIG0106", "AIG0109"]


def test_sources_narrow_what_is_read(tmp_path: Path) -> None:
    tree(tmp_path, {"aigw-compile.yaml": "sources: [in/]", "in/a.yaml": spec("a"), "b.yaml": spec("b")})
    assert names(tmp_path) == ["a"]


def test_the_farthest_project_file_in_a_repository_counts(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    tree(tmp_path, {"aigw-compile.yaml": "output: outside/", "repo/.git/HEAD": ""})
    tree(
        root, {"aigw-compile.yaml": "output: top/", "teams/aigw-compile.yaml": "output: x/", "teams/a.yaml": spec("a")}
    )
    opened = open_project([root / "teams" / "a.yaml"])
    assert (opened.project.root, opened.project.output) == (root, "top/")
    assert codes(root) == ["AIG0101"]
    assert codes(root, "teams") == ["AIG0101"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("kind: AIGateway\nspec: {}", "kind"),
        ("kind: AIGatway\nspec: {}", "kind"),
        ("apiVersion: aigw.dv/v1alpha1\nkind: AIGateway", "apiVersion"),
    ],
)
def test_a_near_miss_is_an_error(tmp_path: Path, text: str, place: str) -> None:
    tree(tmp_path, {"a.yaml": text})
    (found,) = open_project([tmp_path]).diagnostics
    assert (found.code, found.place) == ("AIG0102", place)


@pytest.mark.parametrize(
    "text", ["apiVersion: gateway-operator.konghq.com/v1alpha1\nkind: AIGateway", "a: 1", "- 1", ""]
)
def test_what_belongs_to_others_is_skipped(tmp_path: Path, text: str) -> None:
    tree(tmp_path, {"a.yaml": text})
    assert open_project([tmp_path]).diagnostics == ()


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("targets: {kong: {profile: oss-4}}", "AIG0105", "targets.kong.profile"),
        ("targets: {envoy: {tokenLimit: local}}", "AIG0105", "targets.envoy.tokenLimit"),
        ("targets: {envoy: {tokenLimits: loca}}", "AIG0105", "targets.envoy.tokenLimits"),
        ("targets: {kng: {}}", "AIG1001", "targets.kng"),
        ("targets: {kong: {accept: [{code: AIG6012, at: models}]}}", None, "targets.kong.accept[0]"),
        ("output: 3", None, "output"),
        ("rules: {AIG5003: of}", None, "rules.AIG5003"),
    ],
)
def test_mistakes_in_the_project_file(tmp_path: Path, text: str, code: str | None, place: str) -> None:
    tree(tmp_path, {"aigw-compile.yaml": text})
    (found,) = open_project([tmp_path]).diagnostics
    assert found.place == place
    assert code is None or found.code == code
    assert found.span
    assert found.span.file == "aigw-compile.yaml"


@pytest.mark.parametrize("name", TARGETS)
def test_profiles_and_options_stand_before_the_capabilities(name: str) -> None:
    assert (head(name).profiles, head(name).options) == (manifest(name).profiles, manifest(name).options)


@pytest.mark.parametrize(
    ("at", "place", "covers"),
    [
        ("models[chat]", "models[chat].policies.cache", True),
        ("models[*].policies", "models[chat].policies.cache", True),
        ("models[chat].policies.cache", "models[chat].policies", False),
        ("models[cha]", "models[chat]", False),
        ("models", "models[chat]", True),
    ],
)
def test_what_an_accepted_loss_covers(at: str, place: str, covers: bool) -> None:
    assert Accept("AIG6012", at, "", False, "kong", "", "", ()).covers("AIG6012", place) is covers
