"""`proxy:URL`, the operations port of a running reference proxy, to the proxy.json that it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aigw_compile.diagnostic import Json
from aigw_compile.live import parts
from aigw_compile.live.address import address
from aigw_compile.live.codes import LiveError
from aigw_compile.live.parts import Held, Part, gateways
from aigw_compile.live.told import Drift
from aigw_compile.mask import NO_VEIL, Veil
from aigw_compile.target import TargetFacts

__all__ = ["compare", "documents", "gateways", "running"]

PREFIX = "proxy:"
FILE = "proxy.json"
DERIVED = "revision"
"""A digest of all else: it says nothing of its own."""


def running(side: str, environment: Mapping[str, str]) -> Held:
    """Return what a running proxy holds. Raises LiveError."""
    from aigw_compile.live.http import Client, Door  # with ssl, for this side alone

    base, _, shown = address(side, PREFIX, "http://127.0.0.1:9090")
    client = Client(Door("the proxy's operations port"), environment)
    found = client.get(f"{base}/config", shown, missing=True)
    if not isinstance(found, dict) or not isinstance(found.get("gateway"), str) or DERIVED not in found:
        hint = "it answers on the operations port, to callers of its own machine alone"
        raise LiveError("AIG7112", f"{shown}: what answers tells no {FILE}", hint)
    whole = parts.masked(_without_digest(found), lambda path, text: False)
    return Held(shown, {(FILE,): Part(FILE, "", whole)}, found["gateway"])


def documents(title: str, held: Mapping[str, Json], veil: Veil = NO_VEIL) -> Held:
    """Return what compiled outputs hold. Raises LiveError for outputs that no compiler wrote."""
    body: Any = held.get(FILE)
    if not isinstance(body, dict):
        raise LiveError("AIG7114", f"{title}: there is no {FILE} that was compiled", "build it again")
    return Held(title, {(FILE,): Part(FILE, "", _without_digest(body))}, title, veil=veil, compiled=True)


def compare(old: Held, new: Held, gateway: str, target: TargetFacts) -> Drift:
    """Return what differs of a gateway."""
    return parts.compare(old, new, gateway, target, parts.never)


def _without_digest(body: Any) -> Any:
    return parts.without(body, DERIVED)
