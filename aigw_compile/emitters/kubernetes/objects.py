"""What both profiles write with: objects with their labels, names, durations, sizes, addresses and references."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at
from aigw_compile.plan import Plan

GATEWAY_API = "gateway.networking.k8s.io"
LABELS = ("metadata", "labels")


CLUSTER_WIDE = frozenset({"GatewayClass", "KongVault"})
"""Kinds that belong to no namespace."""


WHERE = tuple(("spec", "deployment", "kubernetes", field) for field in ("namespace", "gatewayRef", "gatewayClassName"))
"""What decides where each object is, and which ones are there already."""


class Scene(NamedTuple):
    """What every object needs to know: the gateway, the plan, and the labels that all objects carry."""

    gateway: ir.Gateway
    plan: Plan
    labels: Mapping[str, Any]

    @property
    def place(self) -> ir.Kubernetes | None:
        """Where in Kubernetes it is wanted."""
        return self.gateway.deployment.kubernetes

    @property
    def attached(self) -> bool:
        """Whether it hangs on a Gateway that is there already, and whose own settings belong to somebody else."""
        return bool(self.place and self.place.gateway)

    def object(
        self,
        origin: Pointer,
        api: str,
        kind: str,
        name: str,
        spec: Mapping[str, Any] | None,
        *,
        root: Mapping[str, Any] | None = None,
        annotations: Mapping[str, Any] | None = None,
        labels: Mapping[str, Any] | None = None,
    ) -> Block:
        """Return an object; `root` holds the fields of the few kinds that have no spec."""
        metadata = Block(origin, {"name": at(name, ("metadata", "name"), origin, *WHERE)})
        if self.place and self.place.namespace and kind not in CLUSTER_WIDE:
            metadata["namespace"] = at(self.place.namespace, (*self.place.origin, "namespace"))
        metadata["labels"] = Block(("metadata",), {**self.labels, **(labels or {})})
        if annotations:
            metadata["annotations"] = Block(("metadata",), annotations)
        fields = {"apiVersion": api, "kind": kind, "metadata": metadata, **(root or {})}
        return Block(origin, fields if spec is None else {**fields, "spec": spec})

    def name(self, *parts: str) -> str:
        """Return the name of an object of this gateway: a DNS label, with a hash where the words do not fit one."""
        return label(self.gateway.name, *parts)


def scene(gateway: ir.Gateway, plan: Plan) -> Scene:
    """Return the scene of a gateway: its own labels, as far as Kubernetes takes them, and the two that say whose it is."""
    own = {k: at(v, (*LABELS, k)) for k, v in gateway.labels.items() if not plan.lost((*LABELS, k))}
    fixed = {"app.kubernetes.io/part-of": at(gateway.name, ("metadata", "name"))}
    return Scene(gateway, plan, {"app.kubernetes.io/managed-by": "aigw-compile", **fixed, **own})


def label(*parts: str) -> str:
    """Return a DNS label made of words. Where something had to be changed or cut, a hash keeps it unique.

    >>> label("support", "chat"), label("support", "openai/gpt-4o")
    ('support-chat', 'support-openai-gpt-4o-472bc7')
    """
    text = "-".join(parts)
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if plain == text and len(plain) <= 63:
        return plain
    return f"{plain[:56].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def duration(seconds: float) -> str:
    """Return a Gateway API duration (GEP-2257): at most four numbers of at most five digits.

    >>> duration(90), duration(0.25), duration(0)
    ('1m30s', '250ms', '0s')
    """
    rest = round(seconds * 1000)
    text = ""
    for unit, length in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, length)
        text += f"{min(count, 99_999)}{unit}" if count else ""
    return text or "0s"


def quantity(size: int) -> str:
    """Return bytes as a Kubernetes quantity, in the largest unit that keeps the number whole.

    >>> quantity(10 * 2**20), quantity(1000)
    ('10Mi', '1000')
    """
    for unit, length in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if size and size % length == 0:
            return f"{size // length}{unit}"
    return str(size)


class Address(NamedTuple):
    """Where a URL points."""

    tls: bool
    host: str
    port: int
    path: str
    """Without a slash at the end: "" for the root."""

    @property
    def is_ip(self) -> bool:
        try:
            return bool(ip_address(self.host))
        except ValueError:
            return False


def address(url: str) -> Address:
    """Take a base URL apart."""
    split = urlsplit(url)
    tls = split.scheme == "https"
    return Address(tls, split.hostname or "", split.port or (443 if tls else 80), split.path.rstrip("/"))


def cidr(text: str) -> str:
    """Return a range of addresses as Kubernetes takes it: with its length, and without bits beyond it.

    >>> cidr("10.1.2.3/8"), cidr("::1")
    ('10.0.0.0/8', '::1/128')
    """
    return str(ip_network(text, strict=False))


def ref(group: str, kind: str, name: str) -> dict[str, str]:
    """Return a reference to an object of the same namespace, with group and kind spelled out."""
    return {"group": group, "kind": kind, "name": name}


def amounts(resources: ir.Resources) -> Block:
    """Return CPU and memory of a container."""
    fields = {"requests": dict(resources.requests), "limits": dict(resources.limits)}
    return Block(resources.origin, {kind: value for kind, value in fields.items() if value})


def budget(wanted: ir.Budget) -> Block:
    """Return how many replicas stay, or may be gone."""
    fields = {"minAvailable": wanted.min_available, "maxUnavailable": wanted.max_unavailable}
    return Block(wanted.origin, {key: value for key, value in fields.items() if value is not None})


def cpu_metric(target: int) -> list[dict[str, Any]]:
    """Return the metrics of an autoscaler that aims at a share of the requested CPU."""
    aim = {"type": "Utilization", "averageUtilization": target}
    return [{"type": "Resource", "resource": {"name": "cpu", "target": aim}}]
