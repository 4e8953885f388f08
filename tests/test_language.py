"""The definition and its schema: fresh, complete, and of one mind with the validator that runs."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aigw_compile import schema
from aigw_compile.diff import CLASSES
from aigw_compile.language import AIGateway
from aigw_compile.language.generate import generated
from aigw_compile.source import parse
from aigw_compile.validate import validate
from tests.support import EXAMPLES, ROOT


def examples() -> list[Any]:
    texts = [(folder / "gateway.yaml").read_text() for folder in EXAMPLES]
    return [parse(text, "x")[0][0].data for text in texts]


def test_the_schema_is_fresh() -> None:
    assert (ROOT / "schemas/aigateway.schema.json").read_text("utf-8") == generated(), "run `make schema`"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema.document_schema())


def fields(node: dict[str, Any], path: str, seen: tuple[str, ...] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of the language with its path."""
    node = schema.follow(node)
    title = str(node.get("title"))
    if title in seen and node.get("properties"):
        return
    for key, inner in node.get("properties", {}).items():
        found = schema.follow(inner)
        yield f"{path}.{key}", {**found, **inner}
        yield from fields(found.get("items", found), f"{path}.{key}", (*seen, title))


def every_field() -> list[Any]:
    return [pytest.param(path, node, id=path) for path, node in fields(schema.document_schema(), "")]


@pytest.mark.parametrize(("path", "node"), every_field())
def test_every_field_says_what_it_is_and_what_a_change_means(path: str, node: dict[str, Any]) -> None:
    assert node.get("description"), path
    later = node.get("x-aigw-later") or node.get("x-aigw-reserved")
    changes = node.get("x-aigw-change")
    assert changes is not None
    assert later or changes, f"{path} declares no change"
    assert {c for classes in changes.values() for c in classes} <= set(CLASSES)
    assert set(changes) <= {"added", "removed", "changed", "raised", "lowered", "on", "off"}
    if node.get("type") == "array":
        assert node["x-kubernetes-list-type"] in ("map", "set", "atomic"), path


def test_list_types_are_those_of_the_language() -> None:
    spec = ("spec",)
    for name in ("listeners", "vaults", "providers", "models", "consumers", "consumerGroups"):
        assert schema.list_type((*spec, name)) == "map"
    for name in ("aliases", "capabilities"):
        assert schema.list_type((*spec, "models", 3, name)) == "set"
    assert schema.list_type((*spec, "policies", "promptGuard", "deny")) == "set"
    assert schema.list_type((*spec, "policies", "promptDecorator", "prepend")) == "atomic"
    assert schema.is_secret((*spec, "providers", 0, "auth", "apiKey"))
    assert not schema.is_secret((*spec, "providers", 0, "auth"))


def test_defaults_are_filled_in_and_nothing_is_made_up() -> None:
    data: Any = {
        "apiVersion": "aigw.dev/v1alpha1",
        "kind": "AIGateway",
        "metadata": {"name": "x"},
        "spec": {"models": [{"name": "m", "targets": [{"provider": "p", "model": "m"}]}], "providers": []},
    }
    before = copy.deepcopy(data)
    whole: Any = schema.with_defaults(data)
    assert data == before
    assert whole["spec"]["listeners"][0]["maxBodySize"] == "10Mi"
    assert whole["spec"]["models"][0]["targets"][0] == {"provider": "p", "model": "m", "weight": 1, "priority": 0}
    assert "timeouts" not in whole["spec"]["models"][0]
    assert schema.with_defaults(whole) == whole


def places(data: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if isinstance(data, dict):
        for key, inner in data.items():
            yield from places(inner, (*at, key))
    elif isinstance(data, list):
        for index, inner in enumerate(data):
            yield from places(inner, (*at, index))


PLACES = [(number, at) for number, data in enumerate(examples()) for at in places(data) if at]
VALUES = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        -1,
        7,
        70000,
        0.5,
        "",
        "x",
        "a b",
        "30s",
        "10Mi",
        "no such",
        [],
        ["x"],
        ["x", "x"],
        {},
        {"env": "A"},
        {"x": 1},
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(PLACES), VALUES, st.sampled_from(["set", "delete", "add", "twice"]))
def test_definition_and_validator_accept_the_same(where: tuple[int, tuple[Any, ...]], value: Any, how: str) -> None:
    """Change one place of an example: pydantic accepts it if and only if the running validator does."""
    number, at = where
    data = copy.deepcopy(examples()[number])
    holder = data
    for step in at[:-1]:
        holder = holder[step]
    if how == "delete":
        del holder[at[-1]]
    elif how == "add" and isinstance(holder[at[-1]], dict):
        holder[at[-1]]["zzz"] = value
    elif how == "twice" and isinstance(holder[at[-1]], list):
        holder[at[-1]] *= 2
    else:
        holder[at[-1]] = value
    try:
        AIGateway.model_validate(data)
        accepted = True
    except ValidationError:
        accepted = False
    # A list is a set in the schema alone: pydantic has no such thing for what JSON calls an array.
    found = [d for d in validate(data) if d.code != "AIG1007"]
    assert accepted == (found == []), found


def test_running_needs_no_pydantic() -> None:
    code = "import sys, aigw_compile.compiler; print([m for m in ('pydantic', 'ruamel', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_schema_reads_as_json_everywhere() -> None:
    assert json.loads(generated())["$id"].startswith("https://aigw.dev/")
