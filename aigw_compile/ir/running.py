"""What runs: listeners, stores, what operators see, and deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aigw_compile.diagnostic import Pointer
from aigw_compile.ir.secrets import ClientTls, SecretRef, Tls


class Cors(NamedTuple):
    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    credentials: bool
    max_age: float | None
    """Seconds; None: the browser's own habit."""
    origin: Pointer


class Store(NamedTuple):
    """Where counters and cached answers are kept: the memory of each process, or a Redis."""

    name: str
    type: str
    """memory or redis."""
    address: str
    """host:port of the Redis."""
    username: str
    password: SecretRef | None
    database: int
    tls: ClientTls | None
    """None: without TLS."""
    on_failure: str
    """open or closed: whether requests pass while the Redis cannot be reached."""
    origin: Pointer


class Listener(NamedTuple):
    name: str
    address: str
    port: int
    hostnames: tuple[str, ...]
    base_path: str
    """Without a slash at the end: "" for the root."""
    max_body_size: int
    """Bytes."""
    trusted_proxies: tuple[str, ...]
    """CIDRs whose X-Forwarded-For is believed."""
    tls: Tls | None
    cors: Cors | None
    origin: Pointer


class Operations(NamedTuple):
    address: str
    port: int
    origin: Pointer


class Prometheus(NamedTuple):
    port: int
    origin: Pointer


class Otlp(NamedTuple):
    endpoint: str
    sampling: float
    origin: Pointer


class AccessLog(NamedTuple):
    format: str
    payloads: bool
    origin: Pointer


class Observability(NamedTuple):
    operations: Operations
    prometheus: Prometheus | None
    otlp: Otlp | None
    access_log: AccessLog | None
    origin: Pointer


class Autoscaling(NamedTuple):
    min_replicas: int
    max_replicas: int
    target_cpu: int
    """Percent of the request."""
    origin: Pointer


class Resources(NamedTuple):
    """cpu and memory as written, each only where it is."""

    requests: Mapping[str, str]
    limits: Mapping[str, str]
    origin: Pointer


class Budget(NamedTuple):
    """A number of replicas or a percentage, as written; one of the two."""

    min_available: int | str | None
    max_unavailable: int | str | None
    origin: Pointer


class Kubernetes(NamedTuple):
    namespace: str
    gateway_class: str
    gateway: tuple[str, str] | None
    """(namespace or "", name) of a Gateway that is there already."""
    service_account: str
    disruption_budget: Budget | None
    origin: Pointer


class Deployment(NamedTuple):
    replicas: int
    """1 where nobody says; `autoscaling` stands instead of it."""
    autoscaling: Autoscaling | None
    resources: Resources | None
    kubernetes: Kubernetes | None
    origin: Pointer

    @property
    def most_replicas(self) -> int:
        return self.autoscaling.max_replicas if self.autoscaling else self.replicas


class Handover(NamedTuple):
    """Between a gateway that keeps the edge and the one behind it that answers; both are built with the same one."""

    url: str
    """Where the one behind listens."""
    credential: SecretRef
    """What the one in front proves itself with."""
    header: str
    """The header that carries it, after `prefix`."""
    prefix: str
    consumer_header: str
    """The header that names the consumer; "" where the one behind asks callers itself."""
    address_header: str
    """The header that has the client's address."""
    passing: tuple[str, ...]
    """The headers in which a client's own credential passes the one in front."""
