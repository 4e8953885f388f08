"""`envoy:URL`, the admin interface of a running Envoy, to what it holds: its config_dump, as the files that it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aigw_compile.diagnostic import Diagnostic, Json, Severity
from aigw_compile.live import parts
from aigw_compile.live.address import address
from aigw_compile.live.codes import LiveError
from aigw_compile.live.parts import Held, Ident, Part, gateways
from aigw_compile.live.secrets import Secret, unknown
from aigw_compile.live.told import Drift, printable
from aigw_compile.mask import NO_VEIL, Veil, scrub
from aigw_compile.target import TargetFacts

__all__ = ["compare", "documents", "gateways", "running"]

PREFIX = "envoy:"
BOOTSTRAP = "envoy.yaml"
LISTS = {"listeners": "lds.yaml", "clusters": "cds.yaml"}
"""What stands in static_resources, or in a file of its own."""
FILES = (BOOTSTRAP, *LISTS.values(), "secrets.json")
RUNTIME = ("user_agent_name", "user_agent_version", "user_agent_build_version", "extensions")
"""What Envoy itself writes into `node` (1.40, source/common/local_info)."""
REDACTED = frozenset({"[redacted]", "W3JlZGFjdGVkXQ=="})
"""What Envoy shows instead of a secret; of bytes, in base64 (1.40, MessageUtil::redact)."""
SHOWN_TEXTS = frozenset(
    {"default_source_code", "source_code", "body", "body_format", "text_format_source", "format_string"}
)
"""Where `inline_string` is a script or an answer, and no secret."""
PLAIN: Mapping[tuple[str, str], Any] = {
    ("", "lb_policy"): "ROUND_ROBIN",
    ("load_assignment", "endpoints"): [],
    ("typed_config", "merge_slashes"): False,
    ("typed_config", "failure_mode_deny"): False,
    ("sourced_metadata", "metadata_source"): "DYNAMIC",
    ("default_value", "numerator"): 0,
    ("client_sampling", "value"): 0,
    ("random_sampling", "value"): 0,
    ("overall_sampling", "value"): 0,
    ("healthy_panic_threshold", "value"): 0,
}
"""Fields that Envoy does not show where they are the zero of their type, which we write (1.40); most zeros it does show."""


def running(side: str, environment: Mapping[str, str]) -> Held:
    """Return what a running Envoy holds. Raises LiveError."""
    from aigw_compile.live.http import Client, Door  # with ssl, for this side alone

    base, _, shown = address(side, PREFIX, "http://127.0.0.1:9091")
    client = Client(Door("Envoy's admin interface"), environment)
    return read(client.get(f"{base}/config_dump?include_eds", shown), shown)


def read(dump: Any, shown: str) -> Held:
    """Return what a config_dump holds. Raises LiveError for what is none."""
    try:
        configs = {c["@type"].rpartition(".")[2]: c for c in dump["configs"]}
        bootstrap = configs["BootstrapConfigDump"]["bootstrap"]
        found = {ident: Part(part.file, part.place, masked(part.value)) for ident, part in _parts(configs, bootstrap)}
        refused = tuple(_refused(configs, shown))
        version = _version(bootstrap)
        name = bootstrap.get("node", {}).get("cluster", "")
    except (KeyError, TypeError, AttributeError, ValueError):
        hint = "it is the address in `admin` of the bootstrap: the operations port and one"
        raise LiveError("AIG7112", f"{shown}: what answers is no Envoy with a config_dump", hint) from None
    hidden = sum(map(_hidden, (part.value for part in found.values())))
    notes = (f"{hidden} values that Envoy does not show were compared by number alone",) if hidden else ()
    return Held(shown, found, str(name), refused, notes, version=version)


def documents(title: str, held: Mapping[str, Json], veil: Veil = NO_VEIL) -> Held:
    """Return what compiled outputs hold. Raises LiveError for outputs that no compiler wrote."""
    try:
        beside = ", ".join(name for name in held if name not in FILES)
        notes = (f"{beside}: no Envoy holds it, so it was not compared",) if beside else ()
        return Held(title, dict(_compiled(held)), title, notes=notes, veil=veil, compiled=True)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise LiveError("AIG7114", f"{title}: this is no bootstrap that was compiled", "build it again") from None


def compare(old: Held, new: Held, gateway: str, target: TargetFacts) -> Drift:
    """Return what differs of a gateway."""
    drift = parts.compare(old, new, gateway, target, absent)
    return drift._replace(findings=tuple(_versions((old, new), target)))


def absent(within: str, key: str, value: Any) -> bool:
    """Whether Envoy does not show a field of a record that has this value."""
    return (within, key) in PLAIN and bool(PLAIN[within, key] == value)


def masked(value: Any) -> Any:
    """Return a part of a dump without its secrets: what Envoy hides, inline texts but scripts and answers, and what is named so."""
    return _without_redacted(parts.masked(value, _opaque))


def _opaque(path: tuple[str, ...], text: str) -> bool:
    return path[-1:] in (("inline_string",), ("inline_bytes",)) and text not in REDACTED and path[-2] not in SHOWN_TEXTS


def _without_redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_redacted(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_redacted(v) for v in value]
    return Secret() if isinstance(value, str) and value in REDACTED else value


def _hidden(value: Any) -> int:
    if isinstance(value, (dict, list)):
        return sum(map(_hidden, value.values() if isinstance(value, dict) else value))
    return isinstance(value, Secret) and not value.known


# --- parts

Parts = Iterator[tuple[Ident, Part]]


def _parts(configs: Mapping[str, Any], bootstrap: Mapping[str, Any]) -> Parts:
    node = {k: v for k, v in bootstrap.get("node", {}).items() if k not in RUNTIME}
    own = {**bootstrap, "node": node} if node else {**bootstrap}
    static = {k: v for k, v in own.pop("static_resources", {}).items() if k not in LISTS}
    yield ("bootstrap",), Part(BOOTSTRAP, "", {**own, "static_resources": static} if static else own)
    clusters = configs.get("ClustersConfigDump", {})
    for entry in clusters.get("static_clusters", ()):
        yield _listed("clusters", entry["cluster"], static=True)
    for entry in (*clusters.get("dynamic_active_clusters", ()), *clusters.get("dynamic_warming_clusters", ())):
        if "cluster" in entry:
            yield _listed("clusters", entry["cluster"])
    listeners = configs.get("ListenersConfigDump", {})
    for entry in listeners.get("static_listeners", ()):
        yield _listed("listeners", entry["listener"], static=True)
    for entry in listeners.get("dynamic_listeners", ()):
        state = entry.get("active_state") or entry.get("warming_state")
        if state:
            yield _listed("listeners", state["listener"])
    for entry in configs.get("EcdsConfigDump", {}).get("ecds_filters", ()):
        yield _resource("filters", entry["ecds_filter"], "")
    secrets = configs.get("SecretsConfigDump", {})
    for kind in ("static_secrets", "dynamic_active_secrets", "dynamic_warming_secrets"):
        for entry in secrets.get(kind, ()):
            yield _resource("secrets", entry.get("secret") or {"name": entry["name"]}, "")


def _compiled(held: Mapping[str, Json]) -> Parts:
    body: Any = held[BOOTSTRAP]
    static = body.get("static_resources", {})
    yield ("bootstrap",), Part(BOOTSTRAP, "", parts.without(body, "static_resources"))
    for kind, file in LISTS.items():
        for resource in static.get(kind, ()):
            yield _listed(kind, resource, static=True)
        listed: Any = held.get(file) or {"resources": []}
        for resource in listed["resources"]:
            yield _listed(kind, resource)
    asked: Any = held.get("secrets.json") or {}
    for file in asked.get("files", ()):
        for resource in file["body"]["resources"]:
            kind = "secrets" if resource["@type"].endswith(".Secret") else "filters"
            yield _resource(kind, unknown(resource), file["path"])


def _listed(kind: str, resource: Any, *, static: bool = False) -> tuple[Ident, Part]:
    name = str(resource["name"])
    file, above = (BOOTSTRAP, f"static_resources.{kind}") if static else (LISTS[kind], "resources")
    return (kind, name), Part(file, f"{above}[{name}]", parts.without(resource, "@type"))


def _resource(kind: str, resource: Any, file: str) -> tuple[Ident, Part]:
    name = str(resource["name"])
    return (kind, name), Part(file or kind, f"resources[{name}]", parts.without(resource, "@type"))


# --- what there is to say of it


def _refused(configs: Mapping[str, Any], shown: str) -> Iterator[Diagnostic]:
    """What Envoy was sent and did not take: it goes on with what it had before."""
    listeners = configs.get("ListenersConfigDump", {}).get("dynamic_listeners", ())
    clusters = configs.get("ClustersConfigDump", {}).get("dynamic_warming_clusters", ())
    for kind, entries in (("listener", listeners), ("cluster", clusters)):
        for entry in entries:
            name = entry.get("name") or entry.get("cluster", {}).get("name", "")
            if "error_state" in entry:  # its details may quote what somebody wrote there, so they are not told
                yield _warning(f"{shown}: a newer {kind} {name} was refused", "Envoy's log says why")
            elif "warming_state" in entry or kind == "cluster":
                yield _warning(f"{shown}: {kind} {name} is not ready yet", "it waits for something, such as a secret")


def _warning(message: str, hint: str) -> Diagnostic:
    return Diagnostic("AIG7105", Severity.WARNING, scrub(printable(message))[:400], hint=hint)


def _version(bootstrap: Mapping[str, Any]) -> str:
    version = bootstrap.get("node", {}).get("user_agent_build_version", {}).get("version", {})
    return ".".join(str(int(version.get(f"{part}_number", 0))) for part in ("major", "minor")) if version else ""


def _versions(sides: tuple[Held, Held], target: TargetFacts) -> Iterator[Diagnostic]:
    for side in sides:
        if side.version and side.version != target.profile:
            message = f"{side.title} is Envoy {side.version}, and the profile is {target.title}"
            yield Diagnostic("AIG7101", Severity.WARNING, message, hint="run the version that the profile is for")
