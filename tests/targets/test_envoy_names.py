"""Names that lead nowhere or stand twice in a bootstrap: found before Envoy sees it, since Envoy does not, or crashes on them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aigw_compile.document import Document
from aigw_compile.verify import verify
from aigw_compile.verify.envoy import faults, refused
from tests.targets import envoy_runner as runner
from tests.targets.envoy_specs import SPECS, walk

Bodies = dict[str, Any]


def built(name: str = "edge") -> Bodies:
    """The files of a gateway, as plain data."""
    _, documents = runner.build(copy.deepcopy(SPECS[name]), {"tokenLimits": "local"})
    plain: Bodies = json.loads(json.dumps({d.filename: d.body for d in documents}))
    return plain


def first(bodies: Bodies, key: str, file: str = "envoy.yaml") -> Any:
    """The first object that has a key."""
    return next(v for _, v in walk(bodies[file]) if isinstance(v, dict) and key in v)


def nobodys_settings(b: Bodies) -> None:
    settings = first(b, "typed_per_filter_config")["typed_per_filter_config"]
    settings["nobody"] = next(iter(settings.values()))


def no_listener(b: Bodies) -> None:
    first(b, "envoy_internal_address")["envoy_internal_address"]["server_listener_name"] = "target:none"


def no_keys_of_issuer(b: Bodies) -> None:
    first(b, "remote_jwks")["remote_jwks"]["http_uri"]["cluster"] = "jwks:none"


def no_priority(b: Bodies) -> None:
    routes = [v["route"] for _, v in walk(b["envoy.yaml"]) if isinstance(v, dict) and "cluster" in v.get("route", {})]
    next(r for r in routes if str(r["cluster"]).startswith("priority:"))["cluster"] = "priority:none:0"


def two_on_a_port(b: Bodies) -> None:
    listeners = [x for x in b["envoy.yaml"]["static_resources"]["listeners"] if "address" in x]
    b["envoy.yaml"]["admin"]["address"] = copy.deepcopy(listeners[0]["address"])


def two_clusters(b: Bodies) -> None:
    clusters = b["envoy.yaml"]["static_resources"]["clusters"]
    clusters.append(copy.deepcopy(clusters[0]))


def another_secret(b: Bodies) -> None:
    first(b, "sds_config")["name"] = "nobody"


def no_file(b: Bodies) -> None:
    b["secrets.json"]["files"].pop()


def unknown_value(b: Bodies) -> None:
    secrets = b["secrets.json"]["secrets"]
    secrets["nobody"] = secrets.pop(next(iter(secrets)))


def two_for_a_script(b: Bodies) -> None:
    for _, manager in walk(b["envoy.yaml"]):
        if isinstance(manager, dict) and "request" in str(manager.get("http_filters")):
            hosts = manager["route_config"]["virtual_hosts"]
            another = {**copy.deepcopy(hosts[0]), "name": "another", "domains": ["another.example"]}
            another["typed_per_filter_config"]["request"]["filter_context"]["data"]["aliases"] = {"another": "chat"}
            hosts.append(another)
            return


FAULTS: list[tuple[Callable[[Bodies], None], str, bool]] = [
    (nobodys_settings, 'has settings for the filter "nobody"', True),
    (no_listener, 'leads to the internal listener "target:none"', True),
    (no_keys_of_issuer, 'calls the cluster "jwks:none"', True),
    (no_priority, 'calls the cluster "priority:none:0"', False),
    (two_on_a_port, "is listened on twice", True),
    (two_clusters, "stands twice", False),
    (another_secret, 'is read for "nobody"', True),
    (no_file, "which secrets.json does not put there", False),
    (unknown_value, "which is none of its secrets", True),
    (two_for_a_script, 'two different data for the script "request"', True),
]
"""A change, what is said of it, and whether Envoy's own validation lets it pass."""


@pytest.mark.parametrize(("change", "says", "passes"), FAULTS, ids=lambda x: getattr(x, "__name__", ""))
def test_it_is_found(change: Callable[[Bodies], None], says: str, passes: bool, tmp_path: Path) -> None:
    bodies = built()
    assert not [*faults(bodies)]
    change(bodies)
    found = [f"{place} {said}" for place, said in faults(bodies)]
    assert [x for x in found if says in x], found
    told = [*verify("envoy", tuple(Document(name, body) for name, body in bodies.items()))]
    assert {d.code for d in told} == {"AIG9001"}
    if change is unknown_value:
        return  # Envoy never sees secrets.json
    runner.write(tmp_path, tuple(Document(name, body) for name, body in bodies.items()))
    assert (not [*refused(tmp_path)]) == passes


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("layout", ["single", "files"])
def test_nothing_is_found_in_what_is_built(name: str, layout: str) -> None:
    for tokens in ("refuse", "local"):
        _, documents = runner.build(copy.deepcopy(SPECS[name]), {"tokenLimits": tokens, "layout": layout})
        assert not [*faults({d.filename: d.body for d in documents})]
