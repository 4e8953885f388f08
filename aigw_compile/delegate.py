"""A gateway and its plan to the gateways that are built of it: itself, or one that keeps the edge and one behind it that answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from aigw_compile import ir
from aigw_compile.diagnostic import Diagnostic, Pointer, Severity
from aigw_compile.plan import Plan, handed
from aigw_compile.rules.auth import is_loopback

CREDENTIAL = ir.SecretRef("env", "AIGW_FRONT_CREDENTIAL", "", "", None, ())
"""What the gateway in front proves itself with: whoever has it can call as any consumer."""
HEADER, PREFIX = "proxy-authorization", "Bearer "
"""The header for a proxy's own credential (RFC 9110, 11.7.2): logs of Kong redact it (3.9.3, pdk/log.lua), clients do not use it."""
CONSUMER_HEADER = "x-consumer-username"
ADDRESS_HEADER = "x-real-ip"
"""Both are set by the gateway in front, whatever a client sent (Kong 3.9.3, key-auth, basic-auth; templates/nginx_kong.lua)."""
STATUS = ir.Operations("127.0.0.1", 8007, ("spec", "observability", "operations"))
"""Where a gateway in front shows its own state: the spec's port is that of the gateway behind it (Kong 3.9.3, status_listen)."""


CODES: Mapping[str, tuple[str, str, str]] = {
    "AIG6401": (
        "error",
        "a target and the one behind it would listen on one port",
        "With `delegate` a target keeps the edge and hands its calls to another one, at `delegateUrl`. Where that is on the same "
        "machine, its port must be no other's: not that of a listener, which the edge takes, and not that of "
        "`observability`, which the one behind takes.",
    ),
}


class Part(NamedTuple):
    """A gateway, and the target that it is built for."""

    target: str
    gateway: ir.Gateway


def clashes(gateway: ir.Gateway, plan: Plan) -> Iterator[Diagnostic]:
    """Yield the ports of a gateway that are taken by what stands behind it on the same machine."""
    url = urlsplit(plan.facts.options.get("delegateUrl", ""))
    if plan.facts.delegates is None or not (url.hostname == "localhost" or is_loopback(url.hostname or "")):
        return
    seen = gateway.observability
    places = [(x.port, (*x.origin, "port")) for x in gateway.listeners]
    places.append((seen.operations.port, (*seen.operations.origin, "port")))
    if seen.prometheus:
        places.append((seen.prometheus.port, (*seen.prometheus.origin, "port")))
    for port, at in places:
        if port == url.port:
            message = f"{plan.facts.delegates.target} listens on port {port} of this machine too"
            yield Diagnostic(
                "AIG6401", Severity.ERROR, message, at, "another port here, or in delegateUrl of aigw-compile.yaml"
            )


def split(gateway: ir.Gateway, plan: Plan) -> tuple[Part, ...]:
    """Return what is to be built, the target's own part first."""
    delegation = plan.facts.delegates
    if delegation is None:
        return (Part(plan.facts.name, gateway),)
    known = handed.knows_callers(gateway)
    between = ir.Handover(
        url=plan.facts.options["delegateUrl"],
        credential=CREDENTIAL,
        header=HEADER,
        prefix=PREFIX,
        consumer_header=CONSUMER_HEADER if known else "",
        address_header=ADDRESS_HEADER,
        passing=() if known or not gateway.auth else gateway.auth.api_key_headers,
    )
    kept = frozenset(handed.kept(gateway, delegation.windows))
    return (
        Part(plan.facts.name, _front(gateway, between, kept, known)),
        Part(delegation.target, _behind(gateway, between, kept, known)),
    )


def _front(gateway: ir.Gateway, between: ir.Handover, kept: frozenset[Pointer], known: bool) -> ir.Gateway:
    """The edge: listeners, callers, what it keeps of the policies, and what it shows. One model stands for all of them."""
    left = handed.parted(gateway, kept, inside=False)
    longest = max((m.timeouts for m in gateway.models), key=lambda t: t.request or float("inf"))
    model = left.models[0]._replace(targets=(), access=None, lifecycle=None, timeouts=longest)
    seen = gateway.observability
    metrics = seen.prometheus and seen.prometheus._replace(port=STATUS.port)
    anybody = ir.Auth((), True, (), False, gateway.auth.origin if gateway.auth else ("spec",))
    return left._replace(
        models=(model,),
        providers=(),
        stores=(),
        auth=gateway.auth if known else anybody,
        consumers=left.consumers if known else (),
        consumer_groups=left.consumer_groups if known else (),
        observability=seen._replace(operations=STATUS, prometheus=metrics),
        behind=between,
    )


def _behind(gateway: ir.Gateway, between: ir.Handover, kept: frozenset[Pointer], known: bool) -> ir.Gateway:
    """All else: it listens where the edge calls, and asks callers itself where the edge does not."""
    left = handed.parted(gateway, kept, inside=True)
    bare = tuple(c._replace(credentials=(), logins=()) for c in left.consumers)
    return left._replace(
        listeners=(_listener(gateway, between),), consumers=bare if known else left.consumers, front=between
    )


def _listener(gateway: ir.Gateway, between: ir.Handover) -> ir.Listener:
    """Where the URL says; a name that is not this machine is reached by some address of it. TLS is for whoever ends it before."""
    url = urlsplit(between.url)
    host = url.hostname or ""
    numeric = ":" in host or host.replace(".", "").isdigit()
    outermost = gateway.listeners[0]
    return ir.Listener(
        name="behind",
        address=host if numeric else "127.0.0.1" if host == "localhost" else "0.0.0.0",
        port=url.port or (443 if url.scheme == "https" else 80),
        hostnames=(),
        base_path=url.path.rstrip("/"),
        max_body_size=min(x.max_body_size for x in gateway.listeners),
        trusted_proxies=(),
        tls=None,
        cors=None,
        origin=outermost.origin,
    )
