"""A stand-in for kubectl: objects as an API server keeps them, got by kind and labels or by name; a script that answers from them."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESOURCES = {
    "service": "services", "secret": "secrets", "gatewayclass": "gatewayclasses", "envoyproxy": "envoyproxies",
    "securitypolicy": "securitypolicies", "backendtlspolicy": "backendtlspolicies",
    "backendtrafficpolicy": "backendtrafficpolicies", "clienttrafficpolicy": "clienttrafficpolicies",
    "backendsecuritypolicy": "backendsecuritypolicies",
}  # fmt: skip
"""Kind in small letters -> the name of its list, where that is not the kind and an s."""
EVERYWHERE = frozenset({"GatewayClass", "KongVault"})


class Refused(Exception):
    """What kubectl complains of."""


def resource(one: dict[str, Any]) -> str:
    """How kubectl names the kind of an object in full: gateways.v1.gateway.networking.k8s.io."""
    group, _, version = str(one["apiVersion"]).rpartition("/")
    kind = str(one["kind"]).lower()
    plural = RESOURCES.get(kind, f"{kind}s")
    return f"{plural}.{version}.{group}" if group else plural


def stored(objects: Sequence[Any], seed: int = 0, space: str = "default", cluster: Any = None) -> list[Any]:
    """Objects as a cluster keeps them after `kubectl apply`: defaults filled in, and all that a server and controllers add."""
    rng = random.Random(seed)
    found = []
    for one in json.loads(json.dumps(list(objects))):
        whole = cluster.defaulted(one) if cluster and cluster.kind(one) else one
        metadata = {**whole["metadata"], "uid": str(rng.random()), "resourceVersion": str(rng.randrange(10**6))}
        metadata |= {"creationTimestamp": "2026-01-02T03:04:05Z", "generation": rng.randrange(9)}
        metadata |= {"managedFields": [{"manager": "kubectl"}], "finalizers": ["a/b"], "ownerReferences": []}
        if one["kind"] not in EVERYWHERE:
            metadata.setdefault("namespace", space)
        applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(one)}
        metadata["annotations"] = {**metadata.get("annotations", {}), **applied, "argocd.argoproj.io/tracking-id": "x"}
        metadata["labels"] = {**metadata["labels"], "app.kubernetes.io/instance": "x"}
        whole = {**whole, "metadata": metadata, "status": {"conditions": [{"type": "Accepted"}]}}
        if one["kind"] == "Service":
            whole["spec"] = {**whole["spec"], "internalTrafficPolicy": "Cluster", "clusterIPs": ["10.0.0.1"]}
        found.append(whole)
    rng.shuffle(found)
    return found


def answer(arguments: Sequence[str], objects: Sequence[Any], known: Sequence[str]) -> bytes:
    """What `kubectl get` prints. Raises Refused."""
    options = dict(a.removeprefix("--").partition("=")[::2] for a in arguments if a.startswith("--"))
    words = [a for a in arguments if not a.startswith("--")]
    if words[0] != "get":
        raise Refused("error: this stand-in only gets")
    space = options.get("namespace", "default")
    there = [o for o in objects if o["metadata"].get("namespace", space) == space]
    if "selector" in options:
        wanted = dict(pair.split("=") for pair in options["selector"].split(","))
        kinds = words[1].split(",")
        if unknown := [kind for kind in kinds if kind not in known]:
            raise Refused(f'error: the server doesn\'t have a resource type "{unknown[0].partition(".")[0]}"')
        found = [o for o in there if resource(o) in kinds and wanted.items() <= o["metadata"]["labels"].items()]
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": found}).encode()
    found = [o for o in there if f"{resource(o)}/{o['metadata']['name']}" in words[1:]]
    if not found:
        return b""
    return json.dumps({"kind": "List", "items": found} if len(words) > 2 else found[0]).encode()


def script(folder: Path, objects: Sequence[Any], known: Sequence[str], **more: str) -> Path:
    """Write a program named kubectl that answers so; `context` is the one it knows, `fails` what it always complains of."""
    state = folder / "cluster.json"
    state.write_text(json.dumps({"objects": list(objects), "known": [*known], **more}))
    program = folder / "kubectl"
    program.write_text(
        f"#!{sys.executable} -S\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"from tests.targets.kubectl import main\nmain({str(state)!r})\n"
    )
    program.chmod(0o755)
    return program


def main(state: str) -> None:
    held = json.loads(Path(state).read_text())
    with Path(state).with_name("asked").open("a") as asked:
        asked.write(json.dumps(sys.argv[1:]) + "\n")
    head, rest = sys.argv[1], sys.argv[3:]
    try:
        if "fails" in held:
            raise Refused(held["fails"])
        if head != f"--context={held.get('context', 'kind-aigw')}":
            raise Refused(f'error: context "{head.partition("=")[2]}" does not exist')
        sys.stdout.buffer.write(answer(rest, held["objects"], held["known"]))
    except Refused as wrong:
        sys.exit(str(wrong))
