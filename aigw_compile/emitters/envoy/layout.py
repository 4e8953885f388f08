"""A whole bootstrap to the files that it is written in: itself alone, or a small one beside cds.yaml and lds.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aigw_compile.document import Block, Document
from aigw_compile.emitters.envoy import tls, wire

_KINDS = {"clusters": "envoy.config.cluster.v3.Cluster", "listeners": "envoy.config.listener.v3.Listener"}
_NAMES = {"clusters": "cds.yaml", "listeners": "lds.yaml"}
"""Clusters come first: what a listener calls should be there when it comes."""

Laid = tuple[tuple[Document, ...], tuple[str, ...]]
"""The files, and those of them that Envoy reads again while it runs."""


def _single(body: Block) -> Laid:
    return (Document("envoy.yaml", body),), ()


def _files(body: Block) -> Laid:
    """Listeners and clusters are read again when a file is renamed into the folder that they stand in."""
    resources = body.pop("static_resources")
    _wait_for_clusters(resources["listeners"])
    body["dynamic_resources"] = {
        "cds_config": tls.watched(_NAMES["clusters"], "."),
        "lds_config": tls.watched(_NAMES["listeners"], "."),
    }
    found = [
        Document(name, Block(body.origin, {"resources": [*_typed(_KINDS[what], resources[what])]}))
        for what, name in _NAMES.items()
    ]
    return (Document("envoy.yaml", body), *found), tuple(_NAMES.values())


def _typed(kind: str, blocks: list[Block]) -> Iterator[Block]:
    for block in blocks:
        resource = wire.typed(block.origin, kind, block)
        resource.origins = block.origins
        yield resource


def _wait_for_clusters(value: Any) -> None:
    """Envoy reads the two files in no certain order, and would refuse a listener whose cluster is not there yet, for good."""
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _wait_for_clusters(inner)
    if isinstance(value, dict) and "route_config" in value:
        value["route_config"]["validate_clusters"] = False


LAYOUTS: Mapping[str, Callable[[Block], Laid]] = {"single": _single, "files": _files}
"""By the target's option `layout`."""
