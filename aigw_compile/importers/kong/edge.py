"""Certificates, host names, browsers, sizes, and what operators see of a Kong, to listeners and observability."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aigw_compile.diagnostic import Json
from aigw_compile.importers.kong import paths
from aigw_compile.importers.kong.secrets import Keeper
from aigw_compile.importers.kong.shape import VIRTUAL, Instance, Kong, running
from aigw_compile.importers.record import Node

# Kong 3.9.3, db/schema/entities/{certificates,snis}.lua, plugins/{cors,request-size-limiting,prometheus,opentelemetry,file-log}.

_UNITS = {"megabytes": 2**20, "kilobytes": 2**10, "bytes": 1}
SIZED: tuple[str, ...] = (
    "ai-proxy",
    "ai-proxy-advanced",
    "ai-prompt-guard",
    "ai-prompt-decorator",
    "ai-request-transformer",
    "ai-response-transformer",
    "ai-prompt-template",
)
PORT, TLS_PORT = 8000, 8443
"""Where Kong listens by itself (3.9.3, kong.conf, proxy_listen)."""


def listeners(
    kong: Kong, keeper: Keeper, routes: Sequence[str], bases: Sequence[str], keys: Sequence[str]
) -> list[Json]:
    """Return the listeners: one for each certificate, and one for each base path, or for whatever has no certificate.

    `keys`: headers in which clients send what says who they are.
    """
    hosts = [*dict.fromkeys(h for r in routes for h in kong.routes[r].node.texts("hosts"))]
    if hosts and any(not kong.routes[r].node.raw("hosts") for r in routes):
        at = next(kong.routes[r].node.place("hosts") for r in routes if kong.routes[r].node.raw("hosts"))
        kong.record.note(
            "AIG8106", "one model answers under some host names here; in the spec all answer under all", at
        )
        hosts = []
    secure: list[dict[str, Json]] = []
    for node in kong.root.items("certificates"):
        one = _certificate(kong, keeper, node)
        if one:
            secure.append(one)
    shown = {h for one in secure for h in _texts(one.get("hostnames"))}
    rest = [h for h in hosts if h not in shown]
    found = [*secure]
    if rest or not secure or (not hosts and all(one.get("hostnames") for one in secure)) or len(bases) > len(secure):
        for _ in range(max(1, len(bases) - len(secure))):
            found.append({"hostnames": [*(rest or hosts)]} if rest or hosts else {})
    made: list[Json] = []
    body = size(kong, routes)
    browsers = cors(kong, routes, keys)
    for index, one in enumerate(found):
        base = bases[min(index, len(bases) - 1)] if bases else ""
        port = (TLS_PORT if "tls" in one else PORT) + index
        name = "public" if index == 0 else f"public-{index + 1}"
        listener: dict[str, Json] = {"name": name, "port": port, **one}
        if base not in ("", "/"):
            listener["basePath"] = base
        if body is not None:
            listener["maxBodySize"] = paths.size(body)
        if browsers:
            listener["cors"] = {**browsers}
        made.append(listener)
    return made


def _texts(value: Json) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def _certificate(kong: Kong, keeper: Keeper, node: Node) -> dict[str, Json] | None:
    cert = keeper.reference(node, "cert", "TLS_CERTIFICATE", "a certificate")
    key = keeper.reference(node, "key", "TLS_KEY", "the key of a certificate")
    if cert is None or key is None:
        kong.record.tell("AIG8102", "a certificate has `cert` and `key`", node.at)
        return None
    if isinstance(node.raw("id"), str):
        kong.record.alike("AIG8104", "ids are left out: names take their place", node.place("id"))
    for field in ("cert_alt", "key_alt"):
        if node.raw(field) is not None:
            kong.record.tell("AIG8103", "a listener shows one certificate", node.place(field))
    names = []
    for sni in node.items("snis"):
        names.append(sni.text("name"))
        inner = sni.child("certificate")
        for field in ("id",):
            if inner.raw(field) is not None:
                inner.usual(field, node.raw("id"))
    for sni in kong.root.items("snis"):
        whose = (
            sni.child("certificate").secret("id")
            if isinstance(sni.raw("certificate"), dict)
            else sni.secret("certificate")
        )
        if whose and whose == node.raw("id"):
            names.append(sni.text("name"))
    if not names:
        kong.record.tell("AIG8104", "Kong shows this certificate for no name, so that it is left out", node.at)
        return None
    one: dict[str, Json] = {}
    shown = [n for n in names if n and n != "*"]
    if shown and "*" not in names:
        one["hostnames"] = [*shown]
    one["tls"] = {"certificate": cert.ref, "key": key.ref}
    return one


def size(kong: Kong, routes: Sequence[str]) -> int | None:
    """Return the largest body in bytes: the smallest that any plugin of a model allows; None where none says."""
    given: dict[int, tuple[int, Instance, str]] = {}
    for route in routes:
        limiting = running(kong, "request-size-limiting", route)
        if limiting:
            config = limiting.config
            number = config.whole("allowed_payload_size")
            unit = _UNITS.get(config.text("size_unit") or "megabytes", 2**20)
            given[id(limiting)] = ((128 if number is None else number) * unit, limiting, "allowed_payload_size")
            config.usual(
                "require_content_length", False, why="a body without a length is counted as it comes", code="AIG8106"
            )
    for one in kong.plugins:
        if one.name in SIZED and one.config.raw("max_request_body_size") is not None and _of(kong, one, routes):
            number = one.config.whole("max_request_body_size")
            if number is not None:
                given[id(one)] = (number, one, "max_request_body_size")
    if not given:
        return None
    smallest = min(number for number, _, _ in given.values())
    for number, one, key in given.values():
        if number != smallest:
            message = "the gateway has one size for all bodies: the smallest of those that the file has"
            kong.record.alike(
                "AIG8106", message, one.config.place(key), "raise maxBodySize of the listener if it is too small"
            )
    return max(1, smallest)


def _of(kong: Kong, one: Instance, routes: Sequence[str]) -> bool:
    services = {kong.routes[r].service for r in routes}
    return (one.scope.route in ("", *routes, *(r.partition(VIRTUAL)[0] for r in routes))) and (
        one.scope.service == "" or one.scope.service in services
    )


def cors(kong: Kong, routes: Iterable[str], keys: Sequence[str]) -> dict[str, Json] | None:
    """Return what browsers may do."""
    found = {id(i): i for r in routes if (i := running(kong, "cors", r))}
    if not found:
        return None
    first, *others = found.values()
    for other in others:
        kong.record.tell("AIG8106", "one rule for browsers holds for all models: the first", other.node.at)
    config = first.config
    out: dict[str, Json] = {"origins": [*(config.texts("origins") or ["*"])]}
    usual = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"]
    methods = config.texts("methods") or usual
    asked = [m for m in methods if m in ("GET", "POST")]
    if methods != ["GET", "POST"]:
        out["methods"] = [*(methods if config.raw("methods") is not None else asked)]
    if headers := config.texts("headers"):
        out["headers"] = [*headers]
    else:
        config.record.note(
            "AIG8106", "pages may send what a call needs, not every header that they ask for", config.place("headers")
        )
        out["headers"] = ["content-type", *keys]
    if config.flag("credentials", False):
        out["credentials"] = True
    age = config.number("max_age")
    if age is not None:
        out["maxAge"] = f"{int(age)}s"
    config.usual("preflight_continue", False, why="a preflight is answered here")
    config.usual("private_network", False)
    return out


def observability(kong: Kong, routes: Sequence[str], gateway: str) -> dict[str, Json] | None:
    """Return what operators see."""
    out: dict[str, Json] = {}

    def one(name: str) -> Instance | None:
        mine = [i for i in kong.plugins if i.name == name and _of(kong, i, routes)]
        for other in mine[1:]:
            kong.record.tell("AIG8106", f"one {name} is for the whole gateway: the first", other.node.at)
        if mine and (mine[0].scope.route or mine[0].scope.consumer):
            kong.record.note("AIG8106", f"{name} is for the whole gateway in the spec", mine[0].node.at)
        return mine[0] if mine else None

    metrics = one("prometheus")
    if metrics:
        out["metrics"] = {"prometheus": {}}
        for key in ("ai_metrics", "per_consumer", "status_code_metrics", "latency_metrics"):
            metrics.config.usual(key, True, why="metrics have all of this", code="AIG8104")
        for key in ("bandwidth_metrics", "upstream_health_metrics"):
            metrics.config.usual(key, False, why="metrics of the spec have none of this")
    traces = one("opentelemetry")
    if traces:
        out["tracing"] = _tracing(traces, gateway)
    log = one("file-log")
    if log:
        log.config.usual("path", "/dev/stdout", why="the log goes to the standard output", code="AIG8106")
        log.config.usual("reopen", False, why="the log is a stream", code="AIG8104")
    nodes = _logging(kong, routes)
    payloads = any(n.flag(k, False) for n in nodes for k in _PAYLOADS)
    statistics = any(n.flag(k, False) for n in nodes for k in _STATISTICS)
    if log or payloads or (statistics and not metrics and not traces):
        access: dict[str, Json] = {"format": "json" if log else "text"}
        if payloads:
            access["payloads"] = True
        out["accessLog"] = access
    for node in nodes:
        for key in _STATISTICS:
            node.usual(key, bool(out), why="statistics are there for all models, or for none", code="AIG8106")
        for key in _PAYLOADS:
            node.usual(key, payloads, why="prompts and answers are logged for all models, or for none", code="AIG8106")
    return out or None


_PAYLOADS, _STATISTICS = ("log_payloads", "payloads"), ("log_statistics", "statistics")
"""What the plugins, and the entities of AI Gateway 2.0, call it."""


def _tracing(one: Instance, gateway: str) -> dict[str, Json]:
    config = one.config
    key = next((k for k in ("traces_endpoint", "endpoint") if config.raw(k) is not None), "traces_endpoint")
    endpoint = config.text(key)
    if not endpoint.endswith("/v1/traces"):
        config.record.note("AIG8106", "spans go to ENDPOINT/v1/traces", config.place(key))
    otlp: dict[str, Json] = {"endpoint": endpoint.removesuffix("/v1/traces") or "http://fill-in.invalid:4318"}
    sampling = config.number("sampling_rate")
    if sampling is not None:
        otlp["sampling"] = sampling
    config.child("resource_attributes").usual(
        "service.name", gateway, why="the service is called like the gateway", code="AIG8104"
    )
    config.child("propagation").usual("default_format", "w3c", why="traces are passed on as W3C has it")
    return {"otlp": otlp}


def _logging(kong: Kong, routes: Sequence[str]) -> list[Node]:
    """Where the AI plugins say what they log."""
    found = []
    for one in kong.plugins:
        if not _of(kong, one, routes):
            continue
        if one.name in ("ai-proxy", "ai-proxy-advanced"):
            found += [one.config.child("logging"), *(n.child("logging") for n in one.config.items("targets"))]
        elif one.name in ("ai-request-transformer", "ai-response-transformer"):
            found.append(one.config.child("llm").child("logging"))
    return found
