"""Parts of a project, the files that configRefs name, and the root that nothing leads out of."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from aigw_compile.diagnostic import Diagnostic, Severity
from aigw_compile.mask import shown
from aigw_compile.project import Require, glob, project_of
from aigw_compile.reading import Opened, gather, links, open_project, open_projects

HEAD = "apiVersion: aigw.dev/v1alpha1\n"
SECRET = "canary-of-the-machine"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


def gateway(name: str, refs: str = "") -> str:
    return f"{HEAD}kind: AIGateway\nmetadata: {{name: {name}}}\nspec: {{{f'configRef: {refs}' if refs else ''}}}\n"


def part(name: str, refs: str = "") -> str:
    spec = f"for: AIGateway, {f'configRef: {refs}' if refs else ''}"
    return f"{HEAD}kind: AIGatewayConfig\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"


def opened(root: Path, *arguments: str) -> Opened:
    return open_project([root / a for a in arguments] or [root])


def parts(found: Opened) -> list[str]:
    return [f"{d.file}:{d.data['metadata']['name']}" for d in found.parts]


def codes(found: Opened) -> list[str]:
    return [d.code for d in found.diagnostics]


PLATFORM = {
    "aigw-compile.yaml": "",
    "platform/org.yaml": part("org") + "---\n" + part("base", "[{name: org}]"),
    "teams/a.yaml": gateway("a", "{name: org}"),
    "teams/b.yaml": gateway("b"),
    "teams/c.yaml": part("team", "{name: org}"),
}
ALL = ["platform/org.yaml:org", "platform/org.yaml:base", "teams/c.yaml:team"]


@pytest.mark.parametrize(
    ("arguments", "documents", "asked", "found"),
    [
        ([], ["a", "b"], ["org", "base", "team"], ALL),
        (["teams"], ["a", "b"], ["team"], ALL),
        (["teams/a.yaml"], ["a"], [], ALL),
        (["teams/b.yaml"], ["b"], [], []),
        (["teams/c.yaml"], [], ["team"], ALL),
        (["platform"], [], ["org", "base"], ALL),
        (["platform/org.yaml", "teams/b.yaml"], ["b"], ["org", "base"], ALL),
    ],
)
def test_parts_of_the_whole_project(
    tmp_path: Path, arguments: list[str], documents: list[str], asked: list[str], found: list[str]
) -> None:
    one = opened(tree(tmp_path, PLATFORM), *arguments)
    assert [d.data["metadata"]["name"] for d in one.documents] == documents
    assert [d.data["metadata"]["name"] for d in one.asked_parts] == asked
    assert parts(one) == found
    assert {*map(id, one.asked_parts)} <= {*map(id, one.parts)}
    assert one.diagnostics == ()


def test_a_requirement_needs_the_parts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, PLATFORM)
    wanted = project_of({"require": [{"path": "teams/**", "configRef": "org"}]}, tmp_path)
    monkeypatch.setattr("aigw_compile.reading.projectfile.project_of", lambda data, root: wanted)
    (tmp_path / "aigw-compile.yaml").write_text("{}")
    assert parts(opened(tmp_path, "teams/b.yaml")) == ALL


def test_what_may_be_left_out_is_left_out_of_the_parts(tmp_path: Path) -> None:
    files = {
        "aigw-compile.yaml": "sources: [platform, teams]\nexclude: ['**/old/**']",
        "platform/old/x.yaml": part("old"),
        "elsewhere/y.yaml": part("elsewhere"),
        "build/z.yaml": part("z"),
    }
    assert parts(opened(tree(tmp_path, {**PLATFORM, **files}), "teams/a.yaml")) == ALL


def test_a_broken_file_that_nobody_asked_for(tmp_path: Path) -> None:
    files = {
        "platform/broken.yaml": part("broken") + "a: 1\na: 2\n",
        "platform/near.yaml": "kind: AIGatewayConfg\nmetadata: {name: near}",
        "platform/helm.yaml": "{{ AIGatewayConfig",
        "teams/broken.yaml": gateway("broken") + "a: 1\na: 2\n",
    }
    root = tree(tmp_path, {**PLATFORM, **files})
    one = opened(root, "teams/a.yaml")
    assert one.diagnostics == ()
    assert {f: [d.code for d in ds] for f, ds in one.part_diagnostics.items()} == {"platform/broken.yaml": ["AIG0012"]}
    assert "platform/broken.yaml:broken" in parts(one)
    whole = opened(root)
    assert codes(whole) == ["AIG0012", "AIG0102", "AIG0012"]
    assert whole.part_diagnostics == {}


# --- files that a configRef names


def linked(root: Path, text: str, start: str = "teams/a.yaml") -> str | Diagnostic:
    """Return what the `file` of a gateway's configRef leads to."""
    tree(root, {start: gateway("a", f'[{{name: x, file: "{text}"}}]')})
    one = opened(root, start)
    assert one.diagnostics == ()
    (key,) = one.links
    assert key[0] == start
    return one.links[key]


@pytest.mark.parametrize(
    ("text", "leads"),
    [
        ("../platform/x.yaml", "platform/x.yaml"),
        ("./../platform//x.yaml", "platform/x.yaml"),
        ("../platform/sub/../x.yaml", "platform/x.yaml"),
        ("x.yml", "teams/x.yml"),
        ("../link.yaml", "platform/x.yaml"),
        ("../absolute.yaml", "platform/x.yaml"),
        ("../folder/x.yaml", "platform/x.yaml"),
        ("../excluded/x.yaml", "excluded/x.yaml"),
        ("../.hidden/x.yaml", ".hidden/x.yaml"),
        ("a.yaml", "teams/a.yaml"),
    ],
)
def test_a_file_leads_to_a_file(tmp_path: Path, text: str, leads: str) -> None:
    places = ("platform/x.yaml", "teams/x.yml", "excluded/x.yaml", ".hidden/x.yaml")
    tree(tmp_path, {"aigw-compile.yaml": "exclude: [excluded]", **{n: part(n[0]) for n in places}})
    (tmp_path / "link.yaml").symlink_to("platform/x.yaml")
    (tmp_path / "absolute.yaml").symlink_to(tmp_path / "platform/x.yaml")
    (tmp_path / "folder").symlink_to("platform")
    assert linked(tmp_path, text) == leads


def _fifo(root: Path) -> None:
    os.mkfifo(root / "teams/pipe.yaml")


def _ring(root: Path) -> None:
    (root / "teams/ring.yaml").symlink_to("ring.yaml")


def _device(root: Path) -> None:
    (root / "teams/zero.yaml").symlink_to("/dev/zero")


def _git(root: Path) -> None:
    tree(root, {".git/config": f"token: {SECRET}"})
    (root / "teams/git.yaml").symlink_to("../.git/config")


def _big(root: Path) -> None:
    with (root / "teams/big.yaml").open("wb") as file:
        file.truncate(9 << 20)


def _escapes(root: Path) -> None:
    (root / "teams/file.yaml").symlink_to(root.parent / "outside/secret.yaml")
    (root / "teams/gone.yaml").symlink_to(root.parent / "outside/gone.yaml")
    (root / "teams/folder").symlink_to(root.parent / "outside")
    (root / "teams/out-and-in").symlink_to("../../outside/deep")


REFUSED: list[tuple[str, str, str, Callable[[Path], None] | None]] = [
    # The six escapes of reuse.md, each whether something stands there or not.
    ("../../outside/secret.yaml", "AIG0106", '"../../outside/secret.yaml" leads out of the project', None),
    ("../../outside/gone.yaml", "AIG0106", '"../../outside/gone.yaml" leads out of the project', None),
    ("/etc/passwd", "AIG0107", '"/etc/passwd" is an absolute path', None),
    ("file.yaml", "AIG0106", '"file.yaml" leads out of the project', _escapes),
    ("gone.yaml", "AIG0106", '"gone.yaml" leads out of the project', _escapes),
    ("folder/secret.yaml", "AIG0106", '"folder/secret.yaml" leads out of the project', _escapes),
    ("folder/gone.yaml", "AIG0106", '"folder/gone.yaml" leads out of the project', _escapes),
    ("../../root-2/secret.yaml", "AIG0106", '"../../root-2/secret.yaml" leads out of the project', None),
    ("a\\0.yaml", "AIG0107", "`file` contains a NUL character", None),
    # Out of the root and back into it would tell what stands there.
    ("out-and-in/../../root/teams/a.yaml", "AIG0106", '"out-and-in/../../root/teams/a.yaml" leads out of the project', _escapes),
    ("../../root/teams/a.yaml", "AIG0106", '"../../root/teams/a.yaml" leads out of the project', None),
    # Other ways to write a path.
    ("", "AIG0107", "`file` is empty", None),
    ("~/x.yaml", "AIG0107", '"~/x.yaml" is an absolute path', None),
    ("C:/x.yaml", "AIG0107", '"C:/x.yaml" is an absolute path', None),
    ("..\\\\x.yaml", "AIG0107", '"..\\\\x.yaml" contains a backslash', None),
    ("https://example.com/x.yaml", "AIG0107", '"https://example.com/x.yaml" is no file of this project', None),
    ("a" * 5000 + ".yaml", "AIG0107", "`file` has 5,005 letters, and at most 4,096 are read", None),
    ("a" * 300 + ".yaml", "AIG0001", f'{shown("a" * 300 + ".yaml")}: the file cannot be read: File name too long', None),
    # What is there and cannot be a spec.
    ("gone.yaml", "AIG0001", '"gone.yaml": the file does not exist', None),
    ("a.yaml/x.yaml", "AIG0001", '"a.yaml/x.yaml": a part of the path is a file, not a folder', None),
    ("sub.yaml", "AIG0001", '"sub.yaml": this is a folder, not a file', None),
    ("..", "AIG0107", '".." is no .yaml or .yml file', None),
    ("notes.txt", "AIG0107", '"notes.txt" is no .yaml or .yml file', None),
    ("pipe.yaml", "AIG0001", '"pipe.yaml": this is no regular file', _fifo),
    ("ring.yaml", "AIG0001", '"ring.yaml": this is no regular file', _ring),
    ("zero.yaml", "AIG0106", '"zero.yaml" leads out of the project', _device),
    ("git.yaml", "AIG0107", '"git.yaml" leads to what is no .yaml or .yml file', _git),
    ("../.git/x.yaml", "AIG0107", '"../.git/x.yaml" leads to what is no .yaml or .yml file', None),
    ("big.yaml", "AIG0002", '"big.yaml": the file is too large: 9.0 MiB, and at most 8 MiB are read', _big),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code", "message", "prepare"), REFUSED, ids=lambda v: getattr(v, "__name__", str(v))[:30]
)
def test_a_file_that_leads_nowhere(
    tmp_path: Path, text: str, code: str, message: str, prepare: Callable[[Path], None] | None
) -> None:
    tree(tmp_path, {"outside/secret.yaml": f"{part('x')}# {SECRET}", "root-2/secret.yaml": part("x")})
    (tmp_path / "outside/deep").mkdir()
    root = tree(tmp_path / "root", {"aigw-compile.yaml": "", "teams/notes.txt": "", "teams/sub.yaml/x": ""})
    if prepare:
        prepare(root)
    found = linked(root, text)
    assert isinstance(found, Diagnostic)
    assert (found.code, found.message, found.severity) == (code, message, Severity.ERROR)
    assert found.span is None
    assert found.at == ()
    assert found.hint
    assert SECRET not in repr(found)


def test_references_are_followed_from_file_to_file(tmp_path: Path) -> None:
    files = {
        "aigw-compile.yaml": "sources: [teams]",
        "teams/a.yaml": gateway("a", "[{name: one, file: ../lib/one.yaml}]"),
        "teams/b.yaml": gateway("b", "[{name: four, file: ../lib/four.yaml}]"),
        "lib/one.yaml": part("one", "{file: two.yaml, name: two}"),
        "lib/two.yaml": f"{part('two')}---\n{gateway('g')}---\n{part('back', '{file: one.yaml, name: one}')}",
        "lib/three.yaml": part("three"),
        "lib/four.yaml": part("four", '{name: "x", "\\x66ile": three.yaml}'),
    }
    one = opened(tree(tmp_path, files), "teams/a.yaml")
    assert parts(one) == [
        "lib/four.yaml:four",
        "lib/one.yaml:one",
        "lib/three.yaml:three",
        "lib/two.yaml:two",
        "lib/two.yaml:back",
    ]
    assert one.links == {
        ("teams/a.yaml", "../lib/one.yaml"): "lib/one.yaml",
        ("teams/b.yaml", "../lib/four.yaml"): "lib/four.yaml",
        ("lib/one.yaml", "two.yaml"): "lib/two.yaml",
        ("lib/two.yaml", "one.yaml"): "lib/one.yaml",
        ("lib/four.yaml", "three.yaml"): "lib/three.yaml",
    }
    assert [d.data["metadata"]["name"] for d in one.documents] == ["a"]
    assert parts(opened(tmp_path)) == parts(one), "what a project's parts are does not depend on what is asked for"


def test_a_file_that_is_named_and_broken_has_its_findings(tmp_path: Path) -> None:
    for text, code in (("a: [", "AIG0010"), ("a: 1\na: 2", "AIG0012")):
        tree(tmp_path, {"aigw-compile.yaml": "", "teams/x.yaml": text})
        assert linked(tmp_path, "x.yaml") == "teams/x.yaml"
        assert [d.code for d in opened(tmp_path, "teams/a.yaml").part_diagnostics["teams/x.yaml"]] == [code]
    (tmp_path / "teams/x.yaml").write_text("{{ a")
    assert codes(opened(tmp_path)) == []
    assert [d.code for d in opened(tmp_path).part_diagnostics["teams/x.yaml"]] == ["AIG0010", "AIG0013"]


def test_references_inside_objects_count(tmp_path: Path) -> None:
    spec = (
        "{providers: [{name: p, configRef: {name: x, file: x.yaml}}], models: [{configRef: [{name: y, file: y.yaml}]}]}"
    )
    text = f"{HEAD}kind: AIGateway\nmetadata: {{name: a}}\nspec: {spec}"
    one = opened(tree(tmp_path, {"a.yaml": text, "x.yaml": part("x"), "y.yaml": part("y")}), "a.yaml")
    assert {key[1] for key in one.links} == {"x.yaml", "y.yaml"}


# --- the root


def test_arguments_lead_out_of_the_project_no_more_than_references(tmp_path: Path) -> None:
    outside = tree(
        tmp_path / "outside", {"aigw-compile.yaml": "", "secret.yaml": gateway(SECRET), ".git/config": SECRET}
    )
    root = tree(tmp_path / "root", {".git/config": SECRET, "aigw-compile.yaml": "", "teams/a.yaml": gateway("a")})
    (root / "teams/file.yaml").symlink_to(outside / "secret.yaml")
    (root / "teams/gone.yaml").symlink_to(outside / "gone.yaml")
    (root / "teams/git.yaml").symlink_to("../.git/config")
    (root / "teams/folder").symlink_to(outside)
    for argument in ("file.yaml", "gone.yaml", "git.yaml", "folder", "folder/secret.yaml"):
        (one,) = open_projects([root / "teams" / argument])
        assert one.project.root == root
        assert [(d.code, d.span.file if d.span else "") for d in one.diagnostics] == [("AIG0106", f"teams/{argument}")]
        assert SECRET not in repr(one)
    assert codes(opened(root)) == ["AIG0106", "AIG0109", "AIG0106"]


def test_the_project_file_does_not_lead_out_either(tmp_path: Path) -> None:
    tree(tmp_path / "outside", {"x.yaml": f"output: {SECRET}"})
    for number, target in enumerate(("x.yaml", "gone.yaml")):
        root = tree(tmp_path / f"root{number}", {".git/config": "", "a.yaml": gateway("a")})
        (root / "aigw-compile.yaml").symlink_to(tmp_path / "outside" / target)
        one = opened(root)
        assert codes(one) == ["AIG0106"]
        assert one.project.output == "build/"
    tree(tmp_path / "root3", {"aigw-compile.yaml": "sources: [../outside, /etc, x]"})
    assert codes(opened(tmp_path / "root3")) == ["AIG0106", "AIG0107"]


def test_links_within_the_project(tmp_path: Path) -> None:
    root = tree(tmp_path, {"aigw-compile.yaml": "", "teams/a.yaml": gateway("a"), "..data/c.yaml": gateway("c")})
    (root / "teams/ring").symlink_to("..")
    (root / "teams/b.yaml").symlink_to("a.yaml")
    (root / "shared").symlink_to("teams")
    (root / "c.yaml").symlink_to("..data/c.yaml")  # as a ConfigMap is mounted
    (root / "gone.yaml").symlink_to("nowhere.yaml")
    one = opened(root)
    assert [d.file for d in one.documents] == ["..data/c.yaml", "teams/a.yaml"]
    assert (one.diagnostics, one.skipped) == ((), 1)
    assert [d.file for d in opened(root, "shared").documents] == ["teams/a.yaml", "..data/c.yaml"], "by way of the ring"
    assert codes(opened(root, "gone.yaml")) == ["AIG0001"]


@pytest.mark.parametrize("argument", ["teams", "teams/a.yaml", "teams/sub", "teams/sub/b.yaml", "."])
def test_a_second_project_file_is_found_and_never_counts(tmp_path: Path, argument: str) -> None:
    files = {
        ".git/config": "",
        "aigw-compile.yaml": "output: top/",
        "teams/aigw-compile.yaml": "output: lax/\nrules: {AIG5003: off}",
        "teams/a.yaml": gateway("a"),
        "teams/sub/b.yaml": gateway("b"),
    }
    one = opened(tree(tmp_path, files), argument)
    assert (one.project.root, one.project.output, one.project.rules) == (tmp_path, "top/", {})
    assert [(d.code, d.span.file if d.span else "") for d in one.diagnostics] == [
        ("AIG0101", "teams/aigw-compile.yaml")
    ]


def test_without_a_repository_two_project_files_are_one_too_many(tmp_path: Path) -> None:
    root = tree(tmp_path, {"aigw-compile.yaml": "", "teams/aigw-compile.yaml": "", "teams/a.yaml": gateway("a")})
    assert codes(opened(root)) == ["AIG0101"]
    assert codes(opened(root, "teams")) == ["AIG0101"]
    assert codes(opened(root, "teams/a.yaml")) == ["AIG0101"]


def test_names_that_a_terminal_would_obey(tmp_path: Path) -> None:
    names = [b"a\n::error::x.yaml", b"b\x1b[31m.yaml", b"c\xff.yaml"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_text(gateway("a"))
    found = [d.file for d in opened(tmp_path).documents]
    assert found == ["a\\n::error::x.yaml", "b\\x1b[31m.yaml", "c\\udcff.yaml"]


# --- requirements and globs


def test_requirements() -> None:
    data = {
        "require": [
            {"path": "teams/**", "configRef": "org"},
            {"path": "*", "configRef": {"name": "b", "path": "platform/**"}},
        ]
    }
    first, second = project_of(data, Path("/")).require
    assert first == Require("teams/**", "org", "", ("require", 0))
    assert second == Require("*", "b", "platform/**", ("require", 1))
    assert [first.covers(f) for f in ("teams/a.yaml", "teams/x/a.yaml", "teamsx/a.yaml", "a.yaml")] == [
        True,
        True,
        False,
        False,
    ]
    assert [first.takes("org", "x.yaml"), first.takes("other", "x.yaml")] == [True, False]
    assert [second.takes("b", "platform/a/b.yaml"), second.takes("b", "teams/platform/b.yaml")] == [True, False]


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("**/bad/**", ["bad/a", "x/bad/a", "x/y/bad/a/b"], ["bad", "badx/a", "x/abad/a"]),
        ("teams", ["teams", "teams/a", "teams/a/b"], ["teams2", "x/teams"]),
        ("teams/", ["teams", "teams/a"], ["teamsx"]),
        ("a*.yaml", ["a.yaml", "ab.yaml"], ["b/a.yaml", "a/b.yml"]),
        ("a?c", ["abc", "aéc"], ["ac", "a/c"]),
        ("**", ["a", "a/b"], []),
        ("a.b", ["a.b"], ["axb"]),
        ("a\nb", ["a\nb"], ["ab"]),
        ("x" * 1001, [], ["x" * 1001]),
    ],
)
def test_globs(pattern: str, yes: list[str], no: list[str]) -> None:
    matches = glob(pattern)
    assert [n for n in yes if not matches(n)] == []
    assert [n for n in no if matches(n)] == []


def test_globs_take_linear_time() -> None:
    assert not glob("**/" * 300 + "x")("a/" * 2000)
    assert not glob("*a" * 400 + "b")("a" * 4000)


# --- bounds


@pytest.mark.parametrize(
    ("bound", "files", "message"),
    [
        (("MOST_BYTES", 400), {}, "the files of the project have more than 0 MiB; the rest is not read"),
        (("MOST_DOCUMENTS", 3), {}, "the project has more than 3 documents; the rest is not read"),
        (("MOST_FILES", 2), {}, "more than 2 files hold parts, or are named by a configRef; the rest is not read"),
    ],
)
def test_bounds_of_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: tuple[str, int], files: dict[str, str], message: str
) -> None:
    tree(tmp_path, {"aigw-compile.yaml": "", **{f"{n}.yaml": part(n) for n in "abcdef"}, **files})
    monkeypatch.setattr(gather, *bound)
    for arguments in ([], ["a.yaml"]):
        one = opened(tmp_path, *arguments)
        assert [(d.code, d.message) for d in one.diagnostics] == [("AIG0108", message)]
        assert one.diagnostics[0].span
        assert 0 < len(one.parts) < 6


def test_a_bound_that_references_meet_is_told_where_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MOST_LINKS", 3)
    refs = ", ".join(f"{{name: p, file: lib/{n}.yaml}}" for n in "abcde")
    tree(tmp_path, {"a.yaml": gateway("a", f"[{refs}]"), **{f"lib/{n}.yaml": part(n) for n in "abcde"}})
    one = opened(tmp_path, "a.yaml")
    found = [one.links["a.yaml", f"lib/{n}.yaml"] for n in "abcde"]
    assert [f if isinstance(f, str) else f.code for f in found] == [
        "lib/a.yaml",
        "lib/b.yaml",
        "lib/c.yaml",
        "AIG0108",
        "AIG0108",
    ]
