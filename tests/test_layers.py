"""Layers and parts by themselves, before anything is merged: what is said of each, and that editors are told the same."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aigw_compile.diagnostic import Json, Pointer, value_at
from aigw_compile.language import AIGatewayConfig
from aigw_compile.schema import PLACES, document_schema, field, follow, general
from aigw_compile.validate import has_refs, validate, validate_layer, validate_part, validate_project
from aigw_compile.validate.patches import stripped
from aigw_compile.validate.places import mergeable
from tests.drawn import ODD, document, drawn
from tests.support import ROOT

SEEDS = st.integers(0, 10**9)

# --- the marks that the resolver goes by


def types() -> dict[str, dict[str, Any]]:
    return {node["x-aigw-part"]: node for node in document_schema()["$defs"].values() if "x-aigw-part" in node}


def test_every_type_that_a_part_can_be_for_is_marked_and_has_a_home() -> None:
    assert set(types()) == set(PLACES)
    for kind, home in PLACES.items():
        assert (field(home) or {})["x-aigw-part"] == kind
        assert "configRef" in types()[kind]["properties"]


def objects(node: dict[str, Any], at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    node = follow(node)
    node = follow(node["items"]) if node.get("type") == "array" else node
    if node.get("x-aigw-secret"):
        return
    yield at, node
    for key, inner in node.get("properties", {}).items():
        if key not in ("configRef", "policies"):
            yield from objects(inner, f"{at}.{key}")


def holds_a_secret(node: dict[str, Any]) -> bool:
    """Say whether a SecretRef stands in an object, or in one below it that is not marked itself."""
    for inner in node.get("properties", {}).values():
        found = follow(inner)
        found = follow(found.get("items", found))
        if found.get("x-aigw-secret") or (found.get("properties") and holds_a_secret(found)):
            return True
    return False


NOT_SENT = {".listeners", ".listeners.tls", ".consumers", ".consumers.credentials", ".consumers.credentials.basic"}
"""Where a secret is kept to check others by it: it goes nowhere."""


def test_where_a_credential_goes_is_marked() -> None:
    """Each object with a SecretRef is marked, or stands in one that is: else a team could send a part's key elsewhere."""
    unmarked = set()
    marked: dict[str, list[str]] = {}
    for at, node in objects(types()["AIGateway"]):
        if "x-aigw-destination" in node:
            marked[at] = node["x-aigw-destination"]
        above = any(at == place or at.startswith(f"{place}.") for place in marked)
        if at and not above and holds_a_secret(node):
            unmarked.add(at)
    assert unmarked == NOT_SENT
    assert marked == {
        ".vaults": ["*"],
        ".stores": ["*"],
        ".auth.jwt": ["*"],
        ".providers": ["type", "baseUrl", "headers", "tls", "azure"],
        ".providers.auth.azure": ["tenantId", "clientId"],
    }
    for at, names in marked.items():
        known = dict(objects(types()["AIGateway"]))[at]["properties"]
        assert set(names) - {"*"} <= set(known)


def test_lists_that_only_tighten_are_marked() -> None:
    policies = types()["Policies"]["properties"]
    found = [key for key, node in policies.items() if node.get("x-aigw-only-tightens")]
    for key, node in policies.items():
        inside = follow(node).get("properties", {})
        found += [f"{key}.{name}" for name, inner in inside.items() if inner.get("x-aigw-only-tightens")]
    assert sorted(found) == ["ipRestriction.deny", "limits", "promptGuard.deny", "responseGuard.deny"]


# --- layers


def thinned(value: Json, dice: Random, at: Pointer) -> Json:
    """Leave fields out of what a layer sets; what it replaces whole stays whole, and items keep what names them."""
    node = field(general(at)) or {}
    if isinstance(value, dict):
        named = {"name"} if at and isinstance(at[-1], int) else set()
        if node.get("x-aigw-part") == "Target" and "name" not in value:
            named = {"provider", "model"}
        kept = {k: v for k, v in value.items() if k in named or not mergeable((*at, k)) or dice.random() < 0.7}
        return {key: thinned(inner, dice, (*at, key)) for key, inner in kept.items()}
    if isinstance(value, list):
        return [thinned(item, dice, (*at, index)) for index, item in enumerate(value)]
    return value


def layer(seed: int) -> dict[str, Any]:
    """Return a gateway that fits as a layer."""
    dice = Random(seed)
    found: Any = document(dice.randrange(10**6))
    found["spec"] = thinned(found["spec"], dice, ("spec",))
    found["spec"]["configRef"] = [{"name": "org-baseline"}]
    return dict(found)


def patched(value: Any, dice: Random, at: Pointer) -> Any:
    """Put directives where they may stand."""
    node = field(general(at)) or {}
    whole = "atomic" in (node.get("x-kubernetes-map-type"), node.get("x-kubernetes-list-type"))
    if at[-1:] == ("configRef",) or whole or node.get("x-aigw-text-or-secret"):
        return value
    if isinstance(value, dict):
        found = {}
        for key, inner in value.items():
            naming = key in ("name", "provider", "model", "configRef")
            gone = not naming and dice.random() < 0.1
            found[key] = {"$patch": "delete"} if gone else patched(inner, dice, (*at, key))
        return {"$patch": "replace", **found} if dice.random() < 0.1 else found
    if isinstance(value, list) and node.get("x-kubernetes-list-type"):
        items = [patched(item, dice, (*at, index)) for index, item in enumerate(value)]
        return [{"$patch": "replace"}, *items] if dice.random() < 0.3 else items
    return value


def places(data: Json, at: Pointer = ()) -> Iterator[Pointer]:
    yield at
    for key, inner in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from places(inner, (*at, key))


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_a_layer_may_leave_out_what_others_bring(seed: int) -> None:
    assert validate_layer(layer(seed)) == []


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_directives_are_no_part_of_a_layer_and_places_lead_back(seed: int) -> None:
    data = layer(seed)
    data["spec"] = patched(data["spec"], Random(seed), ("spec",))
    assert validate_layer(data) == []
    found = stripped(data)
    assert "$patch" not in json.dumps(found.data)
    for at in places(found.data):
        there = value_at(found.back(at), data)
        here = value_at(at, found.data)
        assert there == here or isinstance(here, (dict, list)), at


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_what_is_wrong_in_a_layer_is_wrong_in_the_whole(seed: int) -> None:
    """A layer is never asked for more than a whole gateway: what is said of one place changed is said there as well."""
    dice = Random(seed)
    data: Any = document(dice.randrange(10**6))
    at = dice.choice([at for at in places(data["spec"]) if at])
    holder = value_at(("spec", *at[:-1]), data)
    holder[at[-1]] = dice.choice(ODD)  # type: ignore[index, call-overload]
    whole = {d.at for d in validate(data)}
    assert {d.at for d in validate_layer(data)} <= whole


def test_a_layer_in_a_gateway_without_refs_names_every_directive() -> None:
    for seed in range(40):
        data = layer(seed)
        del data["spec"]["configRef"]
        data["spec"] = patched(data["spec"], Random(seed), ("spec",))
        found = {d.at for d in validate(data) if d.code == "AIG1016"}
        assert found == {at for at in places(data) if at[-1:] == ("$patch",)}


# --- what is published


@cache
def published(name: str) -> Any:
    return jsonschema_rs.Draft202012Validator(json.loads((ROOT / "schemas" / name).read_bytes()))


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_editors_demand_nothing_where_a_ref_stands(seed: int) -> None:
    """In each object with a configRef everything else may be left out; without one the schema is that of the whole."""
    dice = Random(seed)
    data: Any = document(dice.randrange(10**6))
    for kind, home in PLACES.items():
        holder = value_at(home, data)
        if isinstance(holder, dict) and dice.random() < 0.3:
            kept = {key: value for key, value in holder.items() if dice.random() < 0.5}
            holder.clear()
            holder |= {**kept, "configRef": {"name": kind.lower()}}
    assert [str(e) for e in published("aigateway.schema.json").iter_errors(data)] == []
    if not has_refs(data):
        assert validate(data) == []


def part(kind: str, config: Any, **fields: Any) -> Any:
    spec = {"for": kind, "config": config, **({"fields": fields} if fields else {})}
    return {
        "apiVersion": "aigw.dev/v1alpha1",
        "kind": "AIGatewayConfig",
        "metadata": {"name": "org-baseline"},
        "spec": spec,
    }


@settings(max_examples=200, deadline=None)
@given(SEEDS, st.sampled_from(sorted(PLACES)))
def test_parts_are_accepted_here_and_in_editors(seed: int, kind: str) -> None:
    dice = Random(seed)
    home = PLACES[kind]
    config: Any = patched(thinned(drawn(home, dice), dice, home), dice, home)
    config.pop("name", None) if dice.random() < 0.5 else None
    data = part(kind, config)
    assert validate_part(data) == []
    assert [str(e) for e in published("aigatewayconfig.schema.json").iter_errors(data)] == []


@settings(max_examples=200, deadline=None)
@given(SEEDS, st.sampled_from(sorted(PLACES)))
def test_what_is_wrong_in_a_part_is_found_and_led_back(seed: int, kind: str) -> None:
    """Change one place: an editor finds nothing that we do not, and what we say stands at a place of the part."""
    dice = Random(seed)
    home = PLACES[kind]
    data = part(kind, drawn(home, dice))
    at = dice.choice([at for at in places(data) if at])
    holder = value_at(at[:-1], data)
    holder[at[-1]] = dice.choice(ODD)  # type: ignore[index, call-overload]
    found = validate_part(data)
    if [*published("aigatewayconfig.schema.json").iter_errors(data)]:
        assert found
    for d in found:
        assert d.at[:-1] in {*places(data)} or d.at == ()


FIELDS: Any = {
    "hide": ["vaults"],
    "lock": ["auth", {"path": "policies.promptGuard.deny", "allow": "add"}],
    "open": ["providers[*].headers"],
    "constrain": [{"path": "models[*].policies.limits[*].tokens", "schema": {"maximum": 5}, "required": True}],
    "secrets": [{"env": "A_*"}, {"vault": "apps", "key": "a/*"}, {"kubernetes": {"name": "a", "key": "*"}}],
    "referrers": [{"path": "teams/**"}],
    "friends": ["region-eu", {"name": "region-us", "path": "platform/us.yaml"}],
}
WHOLE = part("AIGateway", {}, **FIELDS) | {"metadata": {"name": "a", "labels": {"b": "c"}}}
WHOLE["spec"]["configRef"] = {"name": "company", "file": "company.yaml", "digest": f"sha256:{'0a' * 32}"}
MORE = {
    "expose": ["models"],
    "hide": ["a"],
    "allow": "add",
    "env": "A",
    "vault": "v",
    "zzz": 1,
    "name": "a",
    "key": "k",
}


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([at for at in places(WHOLE) if at and at[:2] != ("spec", "config")]),
    st.one_of(st.sampled_from(ODD), st.sampled_from(sorted(MORE))),
    st.sampled_from(["set", "delete", "add", "twice"]),
)
def test_definition_and_validator_accept_the_same_parts(at: Pointer, value: Any, how: str) -> None:
    data = copy.deepcopy(WHOLE)
    holder: Any = value_at(at[:-1], data)
    if how == "delete":
        del holder[at[-1]]
    elif how == "add" and isinstance(holder[at[-1]], dict) and value in sorted(MORE):
        holder[at[-1]][value] = MORE[value]
    elif how == "twice" and isinstance(holder[at[-1]], list):
        holder[at[-1]] *= 2
    else:
        holder[at[-1]] = value
    try:
        AIGatewayConfig.model_validate(data)
        accepted = True
    except ValidationError:
        accepted = False
    found = [d for d in validate_part(data) if d.code != "AIG1007"]  # of sets pydantic knows nothing
    assert accepted == (found == []), found


@pytest.mark.parametrize("data", [None, [], "x", 1, {}, {"spec": {}}, {"spec": []}, {"spec": {"for": []}}], ids=repr)
def test_anything_gets_an_answer(data: Any) -> None:
    assert validate_part(data)
    assert validate_layer(data)


@pytest.mark.parametrize(
    ("require", "expected"),
    [
        ([{"path": "teams/**", "configRef": "org-baseline"}], []),
        ([{"path": "teams/**", "configRef": {"name": "org-baseline", "path": "platform/**"}}], []),
        ([{"path": "teams/**", "configRef": "Org"}], [("AIG1005", ("require", 0, "configRef"))]),
        ([{"path": "", "configRef": {"nam": "a"}}], [("AIG1001", (0, "configRef", "nam")), ("AIG1006", (0, "path"))]),
        ([{"path": "a"}], [("AIG1002", ("require", 0))]),
        ({"path": "a", "configRef": "b"}, [("AIG1003", ("require",))]),
        ([{"path": "a", "configRef": ["b"]}], [("AIG1003", (0, "configRef"))]),
    ],
    ids=str,
)
def test_a_project_says_which_gateways_need_which_part(require: Any, expected: list[tuple[str, Pointer]]) -> None:
    found = [(d.code, d.at) for d in validate_project({"require": require})]
    assert len(found) == len(expected)
    for (code, at), (wanted, end) in zip(found, expected, strict=True):
        assert (code, at[-len(end) :]) == (wanted, end)
