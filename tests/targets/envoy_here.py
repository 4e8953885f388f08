"""A compiled envoy.yaml to the same one whose network is this machine: ports and addresses change, and no policy does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml

from tests.targets.envoy_runner import free_ports

HERE = "127.0.0.1"


class World(NamedTuple):
    """The ports of all that the gateway calls: by name, as https and as plain http."""

    secure: int
    plain: int
    keys: int
    """Of an issuer's keys, https."""
    collector: int


class Moved(NamedTuple):
    listeners: dict[str, int]
    """Listener of the spec -> its port."""
    operations: int
    admin: int


def hosts(body: Any) -> Iterator[str]:
    """Yield the names of all servers that a bootstrap calls."""
    for cluster in body["static_resources"]["clusters"]:
        yield from (address["address"] for address in _addresses(cluster))


def move(folder: Path, world: World, authority: Path) -> Moved:
    """Rewrite the envoy.yaml in a folder. Certificates are checked against `authority` where the system's CAs were named.

    The name that a certificate must have, SNI and the Host header stay those of the real server. A trusted proxy is believed
    on this machine too, since that is where tests call from.
    """
    config = folder / "envoy.yaml"
    body = yaml.load(config.read_bytes(), yaml.CSafeLoader)
    listeners = [x for x in body["static_resources"]["listeners"] if "internal_listener" not in x]
    *ports, last = free_ports(len(listeners) + 1)
    found: dict[str, int] = {}
    for listener, port in zip(listeners, ports, strict=True):
        listener["address"]["socket_address"] |= {"address": HERE, "port_value": port}
        found[listener["name"]] = port
    admin = last + 1
    body["admin"]["address"]["socket_address"]["port_value"] = admin
    for cluster in body["static_resources"]["clusters"]:
        for address in _addresses(cluster):
            cluster["type"] = "STATIC"
            address |= {"address": HERE, "port_value": _port(cluster, world, admin)}
    for holder in _holders(body, "trusted_ca"):
        holder["trusted_ca"] = {"filename": str(authority)}
    for holder in _holders(body, "xff_trusted_cidrs"):
        holder["xff_trusted_cidrs"]["cidrs"].append({"address_prefix": HERE, "prefix_len": 32})
    config.write_text(json.dumps(body), "utf-8")
    return Moved({k: v for k, v in found.items() if not k.startswith("aigw:")}, found["aigw:operations"], admin)


def _port(cluster: dict[str, Any], world: World, admin: int) -> int:
    name = cluster["name"]
    fixed = {"admin": admin, "otlp": world.collector}
    if name in fixed:
        return fixed[name]
    if name.startswith("jwks:"):
        return world.keys
    return world.secure if "transport_socket" in cluster else world.plain


def _addresses(cluster: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for holder in _holders(cluster.get("load_assignment", {}), "socket_address"):
        yield holder["socket_address"]


def _holders(value: Any, key: str) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if key in value:
            yield value
        for inner in value.values():
            yield from _holders(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _holders(inner, key)


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port
    return port
