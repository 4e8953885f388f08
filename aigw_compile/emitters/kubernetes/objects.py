"""What both profiles write with: objects with their labels, names, durations, sizes, addresses and references."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at
from aigw_compile.plan import Plan

GATEWAY_API = "gateway.networking.k8s.io"
LABELS, NOTES = ("metadata", "labels"), ("metadata", "annotations")


class Scene(NamedTuple):
    """What every object needs to know: the gateway, the plan, and the labels that all objects carry."""

    gateway: ir.Gateway
    plan: Plan
    labels: Mapping[str, Any]

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
        metadata = Block(origin, {"name": at(name, ("metadata", "name"), origin)})
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


def ref(group: str, kind: str, name: str) -> dict[str, str]:
    """Return a reference to an object of the same namespace, with group and kind spelled out."""
    return {"group": group, "kind": kind, "name": name}


def cpu_metric(target: int) -> list[dict[str, Any]]:
    """Return the metrics of an autoscaler that aims at a share of the requested CPU."""
    aim = {"type": "Utilization", "averageUtilization": target}
    return [{"type": "Resource", "resource": {"name": "cpu", "target": aim}}]


def gateway_class(scene: Scene, controller: str) -> Block:
    """Return the GatewayClass. It is cluster-wide, so each gateway has its own; settings hang on the Gateway."""
    spec = {"controllerName": controller}
    return scene.object(scene.gateway.origin, f"{GATEWAY_API}/v1", "GatewayClass", scene.gateway.name, spec)


def gateway_object(scene: Scene, parameters: Mapping[str, str], notes: Mapping[str, Any]) -> Block:
    """Return the Gateway, with the spec's annotations and some more, and its settings by reference."""
    gateway = scene.gateway
    own = {k: at(v, (*NOTES, k)) for k, v in gateway.annotations.items() if not scene.plan.lost((*NOTES, k))}
    if gateway.auth and gateway.auth.anonymous:
        own["aigw.dev/auth"] = at("anonymous", gateway.auth.origin)
    spec = {
        "gatewayClassName": gateway.name,
        "infrastructure": {"parametersRef": parameters},
        "listeners": listeners(scene),
    }
    return scene.object(
        gateway.origin, f"{GATEWAY_API}/v1", "Gateway", gateway.name, spec, annotations={**own, **notes}
    )


def listeners(scene: Scene) -> list[Block]:
    """Return the listeners of a Gateway: one for each host name, since a Gateway's listener has but one."""
    found: list[Block] = []
    taken = {x.name for x in scene.gateway.listeners}
    doors: set[tuple[int, str]] = set()
    for own in scene.gateway.listeners:
        lost = scene.plan.lost((*own.origin, "hostnames"))
        for number, host in enumerate(("",) if lost or not own.hostnames else own.hostnames, 1):
            if (own.port, host) in doors:
                continue
            doors.add((own.port, host))
            name = own.name if number == 1 else _free(f"{own.name}-{number}", taken)
            taken.add(name)
            block = Block(own.origin, {"name": name})
            if host:
                block["hostname"] = at(host, (*own.origin, "hostnames", number - 1))
            block["port"] = at(own.port, (*own.origin, "port"))
            block["protocol"] = "HTTP"
            block["allowedRoutes"] = {"namespaces": {"from": "Same"}}
            found.append(block)
    return found


def _free(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "x"
    return name
