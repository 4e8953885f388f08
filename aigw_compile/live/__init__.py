"""What runs to a side of a diff, whichever target it is of; two such sides to what differs of a gateway.

side = live.running("envoy:http://127.0.0.1:9091", environment)    None where the text names nothing that runs
side = live.file(path)                                             None where a file is not what such a thing holds
side = live.documents("envoy", "support", {"envoy.yaml": ...})     what was compiled
live.compare(old, new, "support", facts("envoy"))                  Drift: a Diff, and findings
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json
from aigw_compile.live import envoy, kong, kubernetes, proxy
from aigw_compile.live.codes import CODES, LiveError
from aigw_compile.live.told import Drift
from aigw_compile.mask import NO_VEIL, Veil
from aigw_compile.target import TargetFacts

__all__ = ["CODES", "PREFIXES", "Drift", "LiveError", "Running", "compare", "documents", "file", "running"]


class Way(NamedTuple):
    """How what runs for one target is read, and compared with what was compiled."""

    running: Callable[[str, Mapping[str, str]], Any]
    documents: Callable[[str, Mapping[str, Json], Veil], Any]
    compare: Callable[[Any, Any, str, TargetFacts], Drift]
    gateways: Callable[[Any], Mapping[str, int]]
    """Whose it says it is: names, each with how many entities."""
    alone: bool = False
    """It runs one gateway, and no more."""


WAYS: Mapping[str, Way] = {
    "kong": Way(kong.running, kong.documents, kong.compare, kong.gateways),
    "envoy": Way(envoy.running, envoy.documents, envoy.compare, envoy.gateways, alone=True),
    "kubernetes": Way(kubernetes.running, kubernetes.documents, kubernetes.compare, kubernetes.gateways),
    "proxy": Way(proxy.running, proxy.documents, proxy.compare, proxy.gateways, alone=True),
}
PREFIXES: Mapping[str, str] = {f"{target}:": target for target in WAYS}
FILES: Mapping[str, Callable[[Path], Any]] = {"kong": kong.file}
"""Targets whose own tools write what runs into a file."""


class Running(NamedTuple):
    """A side, read or compiled, of a target."""

    target: str
    side: Any

    @property
    def title(self) -> str:
        return str(self.side.title)

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        """What there is to say of it, whatever it is compared with."""
        found: tuple[Diagnostic, ...] = self.side.findings
        return found

    @property
    def gateways(self) -> Mapping[str, int]:
        return WAYS[self.target].gateways(self.side)

    @property
    def alone(self) -> bool:
        return WAYS[self.target].alone


def running(text: str, environment: Mapping[str, str]) -> Running | None:
    """Return what runs at `kong:URL`, `envoy:URL`, `kubernetes:CONTEXT` or `proxy:URL`. Raises LiveError."""
    head, colon, _ = text.partition(":")
    target = PREFIXES.get(f"{head}{colon}")
    return Running(target, WAYS[target].running(text, environment)) if target else None


def file(path: Path) -> Running | None:
    """Return what a file holds that a target's own tools wrote, or read. Raises LiveError."""
    found = ((target, read(path)) for target, read in FILES.items())
    return next((Running(target, side) for target, side in found if side), None)


def documents(target: str, title: str, held: Mapping[str, Json], veil: Veil = NO_VEIL) -> Running:
    """Return what was compiled for a target. Raises LiveError for outputs that no compiler wrote."""
    return Running(target, WAYS[target].documents(title, held, veil))


def compare(old: Running, new: Running, gateway: str, facts: TargetFacts) -> Drift:
    """Return what differs of a gateway between two sides of one target. Raises LiveError."""
    return WAYS[old.target].compare(old.side, new.side, gateway, facts)
