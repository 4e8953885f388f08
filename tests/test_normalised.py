"""What normalising removed is listed: nothing that differs in writing is passed over, and nothing is listed twice."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from aigw_compile.cli.group import cli
from aigw_compile.diff import meaning, normalised
from aigw_compile.schema import with_defaults
from tests import support

SPECS = support.specs()


def loaded(name: str) -> Any:
    from aigw_compile.source import parse

    return parse(SPECS[name], "x.yaml")[0][0].data


def shuffled(value: Any) -> Any:
    """Every list of names and texts the other way round."""
    if isinstance(value, dict):
        return {k: shuffled(v) for k, v in reversed(value.items())}
    if isinstance(value, list):
        inner = [shuffled(v) for v in value]
        named = all(isinstance(v, dict) and "name" in v for v in inner)
        return inner[::-1] if named else inner
    return value


@pytest.mark.parametrize("name", sorted(SPECS))
def test_whatever_differs_is_a_change_or_is_listed(name: str) -> None:
    data = loaded(name)
    assert [*normalised(data, copy.deepcopy(data), ())] == []
    whole = with_defaults(copy.deepcopy(data))
    assert meaning(data, whole) == []
    listed = [*normalised(data, whole, ())]
    assert bool(listed) == (data != whole)
    assert {s.why for s in listed} <= {"written out, it holds anyway"}
    assert all(s.before is None and s.after is not None for s in listed)
    assert len({s.place for s in listed}) == len(listed)
    turned = shuffled(data)
    changes = meaning(data, turned)
    orders = [s for s in normalised(data, turned, changes) if "order" in s.why]
    assert changes or orders or json.dumps(data, sort_keys=True) == json.dumps(turned, sort_keys=True)


def test_a_change_is_not_listed_as_well() -> None:
    data = loaded("support-desk")
    other = copy.deepcopy(data)
    other["spec"]["listeners"][0]["port"] = 1234
    other["spec"]["models"][0].setdefault("timeouts", {})["connect"] = "5000ms"
    changes = meaning(data, other)
    assert [c.place for c in changes] == ["listeners[public].port"]
    (same,) = normalised(data, other, changes)
    assert same.place.startswith("models[")


@pytest.mark.parametrize("format_", ["text", "markdown", "json"])
def test_the_command_lists_it(format_: str, tmp_path: Path) -> None:
    spec = (support.ROOT / "examples/minimal/gateway.yaml").read_text()
    for name, text in (("old", spec), ("new", json.dumps(with_defaults(loaded("minimal"))))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gateway.yaml").write_text(text)
    arguments = ["diff", str(tmp_path / "old"), str(tmp_path / "new"), "--format", format_, "--target", "proxy"]
    plain = CliRunner().invoke(cli, arguments).output
    said = CliRunner().invoke(cli, [*arguments, "--show-normalised"]).output
    assert "written out, it holds anyway" in said
    assert "holds anyway" not in plain
    if format_ == "json":
        schema = json.loads((support.ROOT / "schemas/diff.schema.json").read_text())
        jsonschema.validate(json.loads(said), schema)
