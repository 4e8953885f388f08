"""Laws of a diff with a Kong: one that holds what a spec says differs in nothing, and one change shows once, at its place."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from aigw_compile import compiler, plugins, secretfiles
from aigw_compile.document import text_of
from aigw_compile.live import kong as kong_
from aigw_compile.live.kong import admin as reader
from aigw_compile.live.kong.compare import Drift
from aigw_compile.mask import HIDDEN
from aigw_compile.render.changes import FORMATS
from aigw_compile.target import facts
from tests import support
from tests.targets import kong_admin, kong_specs
from tests.targets.by_hand import another, at, leaves
from tests.targets.kong_admin import Admin, Rows
from tests.targets.kong_specs import CHOICES, SPECS

GATEWAYS = {**SPECS, **support.specs()}
PUBLISHED = {"oss-3.9": "3.9", "enterprise-3.15": "3.15"}
"""Profiles whose plugins' schemas are published, and so are the defaults that a stand-in shows."""
SAYS = {"oss-3.9": {}, "enterprise-3.15": {"version": "3.15.0.0", "edition": "enterprise"}}


class Inside:
    """Asks a stand-in without a network."""

    MOST_PAGES = 10_000

    def __init__(self, admin: Admin) -> None:
        self.admin = admin

    def get(self, url: str, shown: str, *, missing: bool = False) -> Any:
        split = urlsplit(url)
        status, _, body = self.admin.answer("GET", f"{split.path}?{split.query}", None)
        assert status in (200, 404)
        return json.loads(body) if status == 200 else None


class Case:
    """A spec, compiled, and the rows of a Kong that holds it."""

    def __init__(self, name: str, profile: str, folder: Path) -> None:
        self.checked = compiler.check_text(GATEWAYS[name])
        self.name, self.profile, self.folder = self.checked.name, profile, folder
        self.built = support.build_all_accepted(self.checked, CHOICES[profile])
        for document in self.built.documents:
            (folder / document.filename).write_text(text_of(document), "utf-8")
        secretfiles.write(folder, secretfiles.placeholders(secretfiles.read(folder)))
        rendered = folder / "kong.rendered.yml"
        self.file = rendered if rendered.exists() else folder / "kong.yml"
        self.spec = kong_.documents(self.name, {d.filename: d.body for d in self.built.documents})

    def rows(self, seed: int = 0) -> Rows:
        shared = support.shared()
        if not shared:
            pytest.skip("needs the shared folder")
        schemas = kong_admin.published(shared, PUBLISHED[self.profile])
        return kong_admin.rows_of(self.body(), schemas, seed, self.profile != "oss-3.9")

    def body(self) -> Any:
        return yaml.safe_load(self.file.read_text("utf-8"))

    def running(self, rows: Rows, size: int = 1000) -> kong_.Kong:
        return reader.read(
            Inside(Admin(rows, size, **SAYS.get(self.profile, {}))), "http://kong", "", "kong:http://kong"
        )

    def drift(self, kong: kong_.Kong) -> Drift:
        return kong_.compare(kong, self.spec, self.name, facts("kong", self.profile))


def said(drift: Drift) -> list[str]:
    return [change.sentence for change in drift.diff.changes]


CASES = [pytest.param(name, profile, id=f"{name}-{profile}") for name in GATEWAYS for profile in PUBLISHED]


# --- laws


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_a_kong_that_holds_what_the_spec_says(name: str, profile: str, tmp_path: Path) -> None:
    """Random ids, times, order and page sizes, defaults filled in as published; strangers beside."""
    case = Case(name, profile, tmp_path)
    for seed, size in ((1, 3), (2, 1000)):
        rows = case.rows(seed)
        number = kong_admin.strangers(rows, seed)
        drift = case.drift(case.running(rows, size))
        assert said(drift) == []
        assert {d.code for d in drift.findings} <= {"AIG7104"}
        assert drift.diff.compared == sum(map(len, rows.values())) - number - len(rows["members"])
        assert f"{number} entities without our tags were left alone" in " ".join(drift.diff.notes)


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_a_dump_that_holds_what_the_spec_says(name: str, profile: str, tmp_path: Path) -> None:
    case = Case(name, profile, tmp_path)
    rows = case.rows(3)
    kong_admin.strangers(rows, 1)
    body = kong_admin.dumped(rows)
    for file, text in (("dump.yaml", yaml.safe_dump(body)), ("dump.json", json.dumps(body))):
        (tmp_path / file).write_text(text)
        dump = kong_.file(tmp_path / file)
        assert dump is not None
        drift = case.drift(dump)
        assert said(drift) == []
        assert said(kong_.compare(dump, case.running(rows), case.name, facts("kong", profile))) == []


@pytest.mark.parametrize("profile", kong_specs.TELLING)
@pytest.mark.parametrize("name", GATEWAYS)
def test_what_was_compiled_is_what_was_compiled(name: str, profile: str, tmp_path: Path) -> None:
    """As a file, and as a Kong that shows no default at all."""
    case = Case(name, profile, tmp_path)
    for path in {case.file, tmp_path / "kong.yml"}:
        written = kong_.file(path)
        assert written is not None
        assert said(case.drift(written)) == []
    rows = kong_admin.rows_of(case.body(), {}, 4, profile != "oss-3.9")
    drift = case.drift(reader.read(Inside(Admin(rows)), "http://kong", "", "kong")._replace(release=None, version=""))
    assert said(drift) == []


@pytest.mark.parametrize("name", GATEWAYS)
def test_kongs_own_ids_and_defaults(name: str, tmp_path: Path) -> None:
    """What Kong's own schema code makes of the file, as a stand-in shows it."""
    source, lua, shared = os.environ.get("KONG_SRC"), shutil.which("luajit"), support.shared()
    if not source or not lua or not shared:
        pytest.skip("needs luajit, the shared folder, and KONG_SRC with Kong 3.9.3's source")
    case = Case(name, "oss-3.9", tmp_path)
    command = [lua, str(shared / "tools/kongcheck/kongcheck.lua"), "--json", "--dump", str(case.file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    held = json.loads(done.stdout)["entities"]
    rows = {kind: [*held.get(kind, {}).values()] for kind in kong_admin.PATHS if kind != "consumer_groups"}
    for row in rows["certificates"]:
        row["snis"] = [s["name"] for s in rows["snis"] if s["certificate"]["id"] == row["id"]]
    with kong_admin.serving(Admin(rows, 5)) as url:
        drift = case.drift(kong_.running(url, {}))
    unknown = {row["name"] for row in rows["plugins"] if not plugins.known(row["name"])}
    assert [s for s in said(drift) if not any(f"plugins[{name}:" in s for name in unknown)] == []


# --- one change shows once

NAMES = {
    "services": {"name"}, "routes": {"name"}, "plugins": {"name"}, "consumers": {"username"}, "acls": {"group"},
    "consumer_groups": {"name"}, "upstreams": {"name"}, "targets": {"target"}, "vaults": {"prefix"}, "snis": {"name"},
    "basicauth_credentials": {"username"},
}  # fmt: skip
NOT_TOLD = {
    "keyauth_credentials": {"key"}, "basicauth_credentials": {"password"}, "consumers": {"type", "username_lower"},
}  # fmt: skip
"""What a spec cannot tell, and what only a running Kong has."""
REFERENCES = {"service", "route", "consumer", "consumer_group", "upstream", "certificate", "client_certificate"}
RUNTIME = {"id", "created_at", "updated_at"}


def told_of(kind: str, row: dict[str, Any]) -> Iterator[tuple[str | int, ...]]:
    """Every field but those that tell an entity, or an item of a list, from the others."""
    own = {
        k: v
        for k, v in row.items()
        if k not in RUNTIME | REFERENCES | NAMES.get(kind, set()) | NOT_TOLD.get(kind, set())
    }
    yield from (
        path for path in leaves(own) if path[-1] not in ("name", "description") or isinstance(path[-2:][0], str)
    )


def in_table(kind: str, row: dict[str, Any], path: tuple[str | int, ...]) -> bool:
    return kind != "plugins" or path[0] != "config" or plugins.has(row["name"], path[1:])


def put(row: dict[str, Any], path: tuple[str | int, ...], value: Any) -> None:
    inner: Any = row
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value


CHANGED = ("support-desk", "edge", "places", "targets", "counted")


ENTITY = re.compile(r"kong\.yml: (\w+\[[^]]*\]\.?)+")


@pytest.mark.parametrize("profile", PUBLISHED)
@pytest.mark.parametrize("name", CHANGED)
def test_each_field_that_changes_shows_once_at_its_place(name: str, profile: str, tmp_path: Path) -> None:
    """In each round one field of every entity, until there is none left that was not changed."""
    case = Case(name, profile, tmp_path)
    rows = case.rows(5)
    left = [
        (k, row, [p for p in told_of(k, row) if in_table(k, row, p)])
        for k, listed in rows.items()
        if k != "members"
        for row in listed
    ]
    number = sum(len(paths) for _, _, paths in left)
    assert number > 200
    while left := [(kind, row, paths) for kind, row, paths in left if paths]:
        undo = [(row, path, at(row, path)) for _, row, paths in left for path in [paths.pop()]]
        for row, path, before in undo:
            put(row, path, another(before))
        changes = case.drift(case.running(rows)).diff.changes
        steps = Counter(f".{next(s for s in reversed(path) if isinstance(s, str))}" for _, path, _ in undo)
        assert len(changes) == steps.total()
        for step, often in steps.items():
            assert sum(1 for c in changes if c.place.endswith(step)) >= often, (step, [c.place for c in changes])
        assert len({ENTITY.match(c.place)[0] for c in changes}) == len(undo)  # type: ignore[index]
        assert {c.classes for c in changes} == {("unclassified",)}
        for row, path, before in undo:
            put(row, path, before)
    assert said(case.drift(case.running(rows))) == []


def test_what_parts_hide_is_not_shown_beside_what_a_kong_has(tmp_path: Path) -> None:
    """Each value of a Kong changed once: neither side shows what stands at a hidden place of the spec."""
    opened = compiler.open_project([support.ROOT / "tests/cases/canaries"])
    canary = re.compile(r"(?i)zq.?7.?canary|74[,.]?01[78]")
    masked = 0
    for checked in (one for one in compiler.check(opened)[0] if one.part is None and one.gateway):
        built = support.build_all_accepted(checked, CHOICES["oss-3.9"])
        held = {d.filename: d.body for d in built.documents}
        spec = kong_.documents(checked.name, held, checked.source.veil)
        rows = kong_admin.rows_of(json.loads(json.dumps(held["kong.yml"])), {})
        for kind, listed in rows.items():
            for row in listed if kind != "members" else ():
                for path in told_of(kind, row):
                    before = at(row, path)
                    put(row, path, another(before))
                    kong = reader.read(Inside(Admin(rows)), "http://kong", "", "kong:http://kong")
                    for sides in ((kong, spec), (spec, kong)):
                        drift = kong_.compare(*sides, checked.name, facts("kong"))
                        assert drift.diff.changes
                        told = " ".join(f([(drift.diff, lambda _: "")]) for f in FORMATS.values())
                        assert not canary.search(told), (path, told)
                        masked += HIDDEN in told
                    put(row, path, before)
    assert masked > 10


@pytest.mark.parametrize("profile", PUBLISHED)
def test_the_other_way_round_is_the_mirror(profile: str, tmp_path: Path) -> None:
    case = Case("support-desk", profile, tmp_path)
    rows = case.rows(6)
    del rows["plugins"][0], rows["acls"][0]
    for row in (*rows["services"], *rows["routes"], *rows["consumers"]):
        row["tags"] = [*row["tags"], "more"]
    rows["plugins"].append({**rows["plugins"][0], "id": "new", "name": "cors", "config": {}, "instance_name": "new"})
    kong, back = case.running(rows), {"added": "removed", "removed": "added", "changed": "changed"}
    there = kong_.compare(kong, case.spec, case.name, facts("kong", profile)).diff.changes
    here = kong_.compare(case.spec, kong, case.name, facts("kong", profile)).diff.changes
    mirrored = sorted((back[c.op], c.place, c.after, c.before) for c in there)
    assert len(there) > 5
    assert sorted((c.op, c.place, c.before, c.after) for c in here) == mirrored


def test_ten_thousand_entities(tmp_path: Path) -> None:
    """The time grows with the number of entities, not with its square."""
    case = Case("minimal", "oss-3.9", tmp_path)
    tags = ["managed-by-aigw-compile", f"aigw-gateway:{case.name}"]

    def seconds(number: int) -> float:
        routes = [{"id": f"r{n}", "name": f"r{n}", "paths": [f"/{n}"], "tags": tags} for n in range(number)]
        plugins = [
            {"id": f"p{n}", "name": "acl", "route": {"id": f"r{n}"}, "config": {"allow": ["a"]}, "tags": tags}
            for n in range(number)
        ]
        keys = [{"id": f"k{n}", "key": f"{n}", "consumer": {"id": "c"}, "tags": tags} for n in range(number)]
        rows: Rows = {
            "services": [],
            "routes": routes,
            "plugins": plugins,
            "consumers": [{"id": "c", "username": "c", "tags": tags}],
            "keyauth_credentials": keys,
        }
        start = time.process_time()
        one = case.running(rows)
        two = case.running({kind: listed[::-1] for kind, listed in rows.items()})
        assert kong_.compare(one, two, case.name, facts("kong")).diff.changes == ()
        return time.process_time() - start

    seconds(50)
    small, large = seconds(500), seconds(4000)
    assert large < 8 * small * 3, (small, large)
