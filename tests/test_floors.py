"""The architecture as a test: imports only go down, files are small and say what they are for, no target is named in code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "aigw_compile"

FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"proxy"}),
    frozenset({"diagnostic", "data", "prices", "providers", "comments"}),
    frozenset({"schema", "units"}),
    frozenset({"mask"}),
    frozenset({"ir", "source", "document"}),
    frozenset({"policies", "target", "project"}),
    frozenset({"plan", "plugins", "rules", "validate", "lower", "prune", "secretfiles"}),
    frozenset({"meaning", "kongblocks", "resolve", "delegate"}),
    frozenset({"diff", "reuse", "view"}),
    frozenset({"emitters", "importers", "render", "verify", "write", "reading", "approvals", "live", "revisions"}),
    frozenset({"compiler"}),
    frozenset({"comparing", "explain", "local", "pinning"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
"""Rooms of the package by floor, the lowest first: the table of ARCHITECTURE.md. A room is a file or a folder."""
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
ASIDE = {"language", "__init__"}

LONGEST = 400
YAML_ROOMS = {"source", "document", "language", "approvals"}
"""Who may touch a YAML library."""
TO_THE_PROXY = {
    "emitters/proxy.py",
    "cli/serve.py",
    "cli/run.py",
    "cli/secrets.py",
    "local/envoy.py",
    "secretfiles.py",
}
"""Who may import the proxy: to check what was written for it, to run it, and to fetch secrets as it does."""

FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: relative import"
            module = node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names)


def own(path: Path) -> Iterator[str]:
    """Yield what a file imports of the package, without the package's name: `rules.base.Rule`."""
    for module in imported(path):
        head, _, tail = module.partition(".")
        if head == "aigw_compile" and not (tail.startswith("__") and tail != "__main__"):
            yield tail


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=name_of)


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(path) for path in FILES}
    assert rooms - set(FLOOR) - ASIDE == set(), "give a new room its floor here and in ARCHITECTURE.md"


@pytest.mark.parametrize("room", sorted(FLOOR))
def test_the_architecture_page_names_every_room(room: str) -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    table = page.partition("## Floors")[2].partition("```")[2].partition("```")[0]
    row = next((line for line in table.splitlines() if re.search(rf"\b{room}\b", line.partition("  imports")[0])), "")
    assert row, f"{room} is missing in the table of ARCHITECTURE.md"
    assert int(row.split()[0]) == FLOOR[room] + 1


@each([path for path in FILES if room_of(path) not in ASIDE])
def test_imports_only_go_down(path: Path) -> None:
    room = room_of(path)
    for module in own(path):
        other = module.partition(".")[0]
        if other == room:
            continue
        assert other != "language", f"{name_of(path)} imports the pydantic definition, which is slow to load"
        assert FLOOR[other] < FLOOR[room], f"{name_of(path)} imports {module}, which is not below {room}"


@each([path for path in FILES if room_of(path) == "proxy"])
def test_the_proxy_stands_alone(path: Path) -> None:
    assert {module.partition(".")[0] for module in own(path)} <= {"proxy"}


@each([path for path in FILES if room_of(path) != "proxy"])
def test_few_know_the_proxy(path: Path) -> None:
    if any(module.partition(".")[0] == "proxy" for module in own(path)):
        assert name_of(path) in TO_THE_PROXY


@each([path for path in FILES if room_of(path) == "rules"])
def test_rules_know_no_target(path: Path) -> None:
    """A rule that depends on a target is a row in its target.yaml."""
    assert not {"target", "emitters", "plan"} & {module.partition(".")[0] for module in own(path)}


@each([path for path in FILES if room_of(path) == "emitters" and path.name != "__init__.py"])
def test_emitters_do_not_know_each_other(path: Path) -> None:
    mine = path.relative_to(PACKAGE / "emitters").parts[0].removesuffix(".py")
    for module in own(path):
        room, _, rest = module.partition(".")
        assert room != "emitters" or rest.partition(".")[0] in {mine, "common"}, f"{name_of(path)} imports {module}"


@each(FILES)
def test_yaml_is_read_and_written_in_two_rooms(path: Path) -> None:
    libraries = {module.partition(".")[0] for module in imported(path)} & {"yaml", "ruamel", "_yaml"}
    assert not libraries or room_of(path) in YAML_ROOMS


TARGETS = {folder.name for folder in (ROOT / "targets").iterdir() if folder.is_dir()}
ALSO_WORDS = {"kubernetes"}
"""Names of targets that mean something else too: a SecretRef may be of a Kubernetes Secret."""


def named_targets(node: ast.Compare) -> set[str]:
    """Return the targets that a comparison names."""
    sides = [inner for side in (node.left, *node.comparators) for inner in ast.walk(side)]
    found = {n.value for n in sides if isinstance(n, ast.Constant) and isinstance(n.value, str)} & TARGETS
    return found if re.search(r"target|choice|\bname\b", ast.unparse(node)) else found - ALSO_WORDS


@each(FILES)
def test_no_target_is_named_in_a_condition(path: Path) -> None:
    """What differs by target is a row in target.yaml, never an `if target == "kong"`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Compare):
            assert not named_targets(node), f"{name_of(path)}:{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant):
            assert node.value.value not in TARGETS - ALSO_WORDS, f"{name_of(path)}:{node.lineno}"


def test_what_counts_as_naming_a_target() -> None:
    def named_in(text: str) -> set[str]:
        node = ast.parse(text, mode="eval").body
        assert isinstance(node, ast.Compare)
        return named_targets(node)

    assert {"envoy", "proxy"} <= TARGETS
    assert named_in('target == "envoy"') == {"envoy"}
    assert named_in('choice.name in ("envoy", "proxy")') == {"envoy", "proxy"}
    assert named_in('ref.source == "kubernetes"') == set()


@each(FILES)
def test_files_are_small_and_say_what_they_are_for(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") < LONGEST
    doc = ast.get_docstring(ast.parse(text))
    assert doc, "a file opens with a sentence that says what goes in and what comes out"
    assert doc.partition("\n")[0].rstrip().endswith((".", ":", ";", "?", "!")) or "\n" in doc


@each(FILES)
def test_no_file_holds_a_path_of_a_machine(path: Path) -> None:
    assert not re.search(r"[\"'](/home/|/root/|/work/|/Users/|/tmp/|[A-Z]:\\\\)", path.read_text("utf-8"))
