"""`kubernetes:CONTEXT`, a cluster, to the objects of a gateway that it holds, as kubectl gets them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json
from aigw_compile.live import parts
from aigw_compile.live.codes import LiveError
from aigw_compile.live.kong.secrets import masked as kong_masked
from aigw_compile.live.kubectl import Kubectl
from aigw_compile.live.parts import Held, Ident, Part
from aigw_compile.live.told import Drift, printable
from aigw_compile.mask import NO_VEIL, Veil
from aigw_compile.target import TargetFacts

PREFIX = "kubernetes:"
FILE = "manifests.yaml"
LABELS = {"app.kubernetes.io/managed-by": "aigw-compile", "app.kubernetes.io/part-of": ""}
"""What every object of ours carries; the last names its gateway."""
_CONTEXT = re.compile(r"[A-Za-z0-9_.@:/+=][A-Za-z0-9_.@:/+=-]{0,252}")

Ask = Callable[[Sequence[str]], bytes]
"""Arguments of kubectl -> what it prints. Raises LiveError."""


class Cluster(NamedTuple):
    """A cluster that is asked once it is known for what."""

    title: str
    ask: Ask
    findings: tuple[Diagnostic, ...] = ()
    veil: Veil = NO_VEIL
    compiled: bool = False


def running(side: str, environment: Mapping[str, str]) -> Cluster:
    """Return the cluster of a context; nothing is asked yet. Raises LiveError."""
    context = side.removeprefix(PREFIX)
    if not _CONTEXT.fullmatch(context):
        hint = "such as kubernetes:kind-aigw; `kubectl config get-contexts -o name` lists them"
        raise LiveError("AIG7115", f'"{printable(context)[:80]}" is no name of a context of kubectl', hint)
    return Cluster(side, Kubectl(context, side, environment))


def documents(title: str, held: Mapping[str, Json], veil: Veil = NO_VEIL) -> Held:
    """Return what compiled outputs hold. Raises LiveError for outputs that no compiler wrote."""
    try:
        found = dict(_parts(held[FILE]))
        return Held(title, found, title, veil=veil, compiled=True)
    except (KeyError, TypeError, AttributeError):
        raise LiveError("AIG7114", f"{title}: there is no {FILE} that was compiled", "build it again") from None


def gateways(side: Held | Cluster) -> dict[str, int]:
    """Return the gateway that a side was compiled from; a cluster is asked for the gateways of a spec."""
    return {side.gateway: len(side.parts)} if isinstance(side, Held) else {}


def compare(old: Held | Cluster, new: Held | Cluster, gateway: str, target: TargetFacts) -> Drift:
    """Return what differs of a gateway. Raises LiveError."""
    compiled = next((side for side in (old, new) if isinstance(side, Held)), None)
    if compiled is None:
        hint = "a spec says which objects are a gateway's, and where"
        raise LiveError("AIG7115", "two clusters cannot be compared with each other", hint)
    before, after = (s if isinstance(s, Held) else read(s, compiled, gateway, target) for s in (old, new))
    return parts.compare(before, after, gateway, target, parts.never)


def read(cluster: Cluster, wanted: Held, gateway: str, target: TargetFacts) -> Held:
    """Return the objects that have the labels of a gateway, or the names of objects that it has. Raises LiveError."""
    resources: Mapping[str, str] = target.settings["objects"][target.profile]
    found: dict[Ident, Any] = {}
    ignored: set[str] = set()
    spaces = sorted({_space(part.value) for part in wanted.parts.values()} - {""})
    for space in spaces or [""]:
        where = [f"--namespace={space}"] if space else []
        objects: list[Any] = []
        for selector, names in _asked(resources, target.settings["selectors"], gateway):
            objects += _list(cluster, ["get", ",".join(names), f"--selector={selector}", *where])
        there = {_ident(one, bool(spaces)) for one in objects}
        here = {ident: part for ident, part in wanted.parts.items() if _space(part.value) in (space, "")}
        lost = [f"{resources[ident[1]]}/{ident[-1]}" for ident in here if ident not in there]
        if lost:
            objects += _list(cluster, ["get", "--ignore-not-found", *lost, *where])
        for one in objects:
            ident = _ident(one, bool(spaces))
            ours = wanted.parts.get(ident)
            found[ident] = _normal(one, ours.value if ours else None, bool(spaces), ignored)
    named = ", ".join(sorted(ignored)[:5]) + (", ..." if len(ignored) > 5 else "")
    notes = (f"labels and annotations of others do not count: {named}",) if ignored else ()
    return Held(cluster.title, {ident: _part(ident, one) for ident, one in found.items()}, gateway, notes=notes)


def _asked(resources: Mapping[str, str], more: Mapping[str, str], gateway: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each selector of labels with the resources that are asked for by it."""
    own = ",".join(f"{label}={value or gateway}" for label, value in LABELS.items())
    yield own, [resource for kind, resource in resources.items() if kind not in more]
    yield from ((f"{own},{label}", [resources[kind]]) for kind, label in more.items() if kind in resources)


def _list(cluster: Cluster, arguments: Sequence[str]) -> list[Any]:
    raw = cluster.ask(arguments)
    try:
        data = json.loads(raw) if raw.strip() else {"items": []}
        found = data.get("items", [data])
        if all(
            isinstance(o["metadata"]["name"], str) and isinstance(o["kind"], str) and o["apiVersion"] for o in found
        ):
            return [*found]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        pass
    raise LiveError("AIG7112", f"{cluster.title}: kubectl gives no list of objects", "is it kubectl itself?")


# --- objects

RUNTIME = ("kubectl.kubernetes.io/last-applied-configuration",)
ACTING = re.compile(r"(.*\.)?(konghq\.com|envoyproxy\.io|gateway\.networking\.k8s\.io)/.*")
"""Labels and annotations that a controller of ours obeys: they count, whoever wrote them."""
ASSIGNED: Mapping[str, frozenset[str]] = {
    "Service": frozenset({"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"}),
}
"""Kind -> fields of its spec that the API server fills in by itself, beyond what a schema says (Kubernetes 1.36)."""


def _parts(body: Any) -> Iterator[tuple[Ident, Part]]:
    spaces = any(_space(one) for one in body)
    for one in body:
        ident = _ident(one, spaces)
        yield ident, _part(ident, one)


def _part(ident: Ident, one: Any) -> Part:
    return Part(FILE, f"[{'/'.join(filter(None, ident))}]", one)


def _space(one: Mapping[str, Any]) -> str:
    return str(one["metadata"].get("namespace") or "")


def _ident(one: Mapping[str, Any], spaces: bool) -> Ident:
    """Group, kind, namespace and name; no namespace where the outputs leave it to the context."""
    group = str(one["apiVersion"]).rpartition("/")[0]
    return group, str(one["kind"]), _space(one) if spaces else "", str(one["metadata"]["name"])


def _normal(one: Mapping[str, Any], ours: Mapping[str, Any] | None, spaces: bool, ignored: set[str]) -> dict[str, Any]:
    """An object without what only a running cluster has, and without its secrets."""
    kept = {k: v for k, v in _masked(one).items() if k != "status"}
    metadata: dict[str, Any] = {"name": one["metadata"]["name"]}
    if spaces and _space(one):
        metadata["namespace"] = _space(one)
    for field in ("labels", "annotations"):
        own = (ours or {}).get("metadata", {}).get(field, {})
        there = one["metadata"].get(field) or {}
        counts = {k: v for k, v in there.items() if k in own or ACTING.fullmatch(k)}
        ignored |= {*there} - {*counts} - {*RUNTIME} if ours else set()
        if counts or field in (ours or {}).get("metadata", {}):
            metadata[field] = counts
    assigned = ASSIGNED.get(str(one["kind"]), frozenset()) - {*(ours or {}).get("spec", {})}
    if assigned and isinstance(kept.get("spec"), dict):
        kept["spec"] = {k: v for k, v in kept["spec"].items() if k not in assigned}
    return {**kept, "metadata": metadata}


def _masked(one: Mapping[str, Any]) -> dict[str, Any]:
    kind = one["kind"]
    config = one.get("config")
    value = {k: v for k, v in one.items() if k not in ("metadata", "config")}
    made: dict[str, Any] = parts.masked(value, lambda path, text: kind == "Secret" and path[:1] in _DATA)
    if isinstance(config, dict):  # of a KongPlugin: Kong's own tables know what is secret in it
        plugin = {"name": one.get("plugin"), "config": config}
        made["config"] = kong_masked("plugins", plugin)["config"]
    return made


_DATA = (("data",), ("stringData",))
