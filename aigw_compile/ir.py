"""A gateway as it is meant: every reference resolved, every default filled in, units normal (seconds, bytes); frozen values.

NamedTuples, since importing them is cheap. Each node carries `origin`, the place in the spec that it was made from;
a default that nobody wrote has the origin of the object around it.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, NamedTuple, Protocol, TypeVar

from aigw_compile.diagnostic import Json, Pointer


class Vault(NamedTuple):
    """A place where secrets are kept. `settings` is the block of its type, as written, with defaults."""

    name: str
    type: str
    settings: Mapping[str, Json]
    refresh: float | None
    """Seconds between two readings; None: the target's own habit."""
    origin: Pointer


IN_CLUSTER = "kubernetes"
"""Source of a SecretRef that names a Kubernetes Secret, as the language writes it."""


class SecretRef(NamedTuple):
    """Names a secret. The secret itself never enters the compiler."""

    source: str
    """env, file, vault or kubernetes."""
    name: str
    """The variable, the path, the key in the vault, or the name of the Kubernetes Secret."""
    property: str
    """The property inside a vault's entry, or the key inside a Kubernetes Secret; "" for none."""
    version: str
    vault: Vault | None
    origin: Pointer

    @builtins.property  # a field of this name hides it here
    def in_cluster(self) -> bool:
        """Whether it is a Kubernetes Secret."""
        return self.source == IN_CLUSTER

    def __str__(self) -> str:
        place = f"vault:{self.vault.name}" if self.vault else self.source
        tail = f"#{self.property}" if self.property else ""
        return f"{place}:{self.name}{tail}" + (f"@{self.version}" if self.version else "")


class Provider(NamedTuple):
    name: str
    type: str
    base_url: str
    """Without a slash at the end; `/chat/completions` or `/messages` is added to it."""
    dialect: str
    auth_header: str
    auth_prefix: str
    credential: SecretRef | None
    headers: Mapping[str, str]
    """What the dialect always sends, such as anthropic-version."""
    origin: Pointer


class Target(NamedTuple):
    name: str
    provider: Provider
    model: str
    """The provider's name for it; `*` passes the client's name on."""
    weight: int
    priority: int
    origin: Pointer


class Retries(NamedTuple):
    attempts: int
    on: tuple[str, ...]
    backoff_base: float
    backoff_max: float
    origin: Pointer


class StaticResponse(NamedTuple):
    status: int
    content: str
    origin: Pointer


class Fallback(NamedTuple):
    on: tuple[str, ...]
    response: StaticResponse | None
    origin: Pointer


class Timeouts(NamedTuple):
    """All in seconds."""

    connect: float
    first_byte: float
    idle: float
    request: float
    origin: Pointer


class Who(NamedTuple):
    groups: tuple[str, ...]
    consumers: tuple[str, ...]
    origin: Pointer


class Access(NamedTuple):
    """Who may call a model. deny wins; allow None means everybody who is not denied."""

    allow: Who | None
    deny: Who | None
    origin: Pointer


class Policy(Protocol):
    """What every policy node has; the nodes themselves are in policies/, one a file."""

    kind: ClassVar[str]

    @property
    def origin(self) -> Pointer: ...


Policies = tuple[Policy, ...]

P = TypeVar("P")


def every(policies: Iterable[Policy], node: type[P]) -> tuple[P, ...]:
    """Return the policies of one kind: `every(model.policies, Limit)`."""
    return tuple(p for p in policies if isinstance(p, node))


def only(policies: Iterable[Policy], node: type[P]) -> P | None:
    """Return the policy of a kind that stands at most once at a place: `only(model.policies, PromptGuard)`."""
    return next(iter(every(policies, node)), None)


class Model(NamedTuple):
    name: str
    aliases: tuple[str, ...]
    capabilities: tuple[str, ...]
    targets: tuple[Target, ...]
    """In the order of the spec."""
    retries: Retries
    fallback: Fallback
    timeouts: Timeouts
    access: Access | None
    policies: Policies
    origin: Pointer

    def priorities(self) -> tuple[tuple[Target, ...], ...]:
        """The targets that can be chosen (weight over 0), by priority, the first to be tried first."""
        reachable = [t for t in self.targets if t.weight > 0]
        return tuple(tuple(t for t in reachable if t.priority == p) for p in sorted({t.priority for t in reachable}))

    def first(self) -> Target | None:
        """The target that a gateway with one upstream per model calls: the heaviest of the first priority."""
        return max(self.priorities()[0], key=lambda t: t.weight) if self.priorities() else None


class ConsumerGroup(NamedTuple):
    name: str
    policies: Policies
    origin: Pointer


class Credential(NamedTuple):
    api_key: SecretRef
    origin: Pointer


class Consumer(NamedTuple):
    name: str
    groups: tuple[str, ...]
    credentials: tuple[Credential, ...]
    policies: Policies
    origin: Pointer


class Auth(NamedTuple):
    """Which doors are open: API keys in one of these headers, or, alone, everybody (anonymous)."""

    api_key_headers: tuple[str, ...]
    anonymous: bool
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


class Deployment(NamedTuple):
    replicas: int | None
    autoscaling: Autoscaling | None
    origin: Pointer

    @property
    def most_replicas(self) -> int:
        return self.autoscaling.max_replicas if self.autoscaling else self.replicas or 1


class Gateway(NamedTuple):
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    listeners: tuple[Listener, ...]
    vaults: tuple[Vault, ...]
    providers: tuple[Provider, ...]
    models: tuple[Model, ...]
    auth: Auth | None
    """None where the spec says nothing, which a rule reports."""
    consumer_groups: tuple[ConsumerGroup, ...]
    consumers: tuple[Consumer, ...]
    policies: Policies
    observability: Observability
    deployment: Deployment
    origin: Pointer = ()


class Scope(NamedTuple):
    """A place where policies stand."""

    kind: str
    """gateway, model, group or consumer."""
    name: str
    policies: Policies
    origin: Pointer


def scopes(gateway: Gateway) -> Iterator[Scope]:
    """Yield every place where policies stand, outermost first: gateway, models, groups, consumers."""
    yield Scope("gateway", gateway.name, gateway.policies, ("spec",))
    yield from (Scope("model", m.name, m.policies, m.origin) for m in gateway.models)
    yield from (Scope("group", g.name, g.policies, g.origin) for g in gateway.consumer_groups)
    yield from (Scope("consumer", c.name, c.policies, c.origin) for c in gateway.consumers)


def may_call(model: Model, consumer: Consumer) -> bool:
    """Say whether `access` lets the consumer call the model: deny wins, an absent allow means everybody."""
    if model.access is None:
        return True

    def hit(who: Who | None) -> bool:
        return who is not None and (consumer.name in who.consumers or bool(set(consumer.groups) & set(who.groups)))

    return not hit(model.access.deny) and (model.access.allow is None or hit(model.access.allow))


def secrets(gateway: Gateway) -> Iterator[tuple[str, SecretRef]]:
    """Yield (what it is for, reference) for every secret of a gateway."""
    for provider in gateway.providers:
        if provider.credential:
            yield f"provider {provider.name}", provider.credential
    for consumer in gateway.consumers:
        for number, credential in enumerate(consumer.credentials):
            yield f"consumer {consumer.name} key {number}", credential.api_key
