"""The values that a proxy.json becomes: frozen, with patterns and addresses ready to use."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from aigw_compile.proxy.addresses import Network as Network


class Located(NamedTuple):
    """A secret, and the place in the spec that names it."""

    secret: Mapping[str, Any]
    """A SecretRef as the language writes it."""
    place: str


class ListenerTls(NamedTuple):
    certificate: Located
    key: Located
    client_ca: Located | None
    min_version: str


class ClientTls(NamedTuple):
    ca: Located | None
    server_name: str
    certificate: Located | None
    key: Located | None


class Cors(NamedTuple):
    origins: frozenset[str]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    credentials: bool
    max_age: float | None


class Listener(NamedTuple):
    name: str
    address: str
    port: int
    hostnames: tuple[str, ...]
    base_path: str
    """Without a slash at the end: "" for the root."""
    max_body_size: int
    trusted_proxies: tuple[Network, ...] = ()
    tls: ListenerTls | None = None
    cors: Cors | None = None


class Credential(NamedTuple):
    """What a provider is sent: a header, a prefix, and where the secret is."""

    header: str
    prefix: str
    secret: Mapping[str, Any]


class Identity(NamedTuple):
    """An Entra application; without a secret, the identity of the machine (client_id: a user-assigned one)."""

    tenant_id: str
    client_id: str
    client_secret: Located | None


class OwnHeader(NamedTuple):
    """A header that the spec adds: a text, or a secret."""

    name: str
    value: str
    secret: Located | None


class Provider(NamedTuple):
    name: str
    type: str
    dialect: str
    base_url: str
    auth: Credential | None
    headers: Mapping[str, str]
    """What the dialect always sends."""
    place: str
    identity: Identity | None = None
    own_headers: tuple[OwnHeader, ...] = ()
    tls: ClientTls | None = None
    region: str = ""
    api_version: str = ""


class Parameters(NamedTuple):
    defaults: Mapping[str, Any]
    overrides: Mapping[str, Any]
    maximum: Mapping[str, float]


class Price(NamedTuple):
    """US dollars for a million tokens; cache prices are those of the input where nothing else is known."""

    input: float
    output: float
    cache_read: float
    cache_write: float


class Target(NamedTuple):
    name: str
    provider: Provider
    model: str
    weight: int
    priority: int
    parameters: Parameters | None = None
    drop_unsupported: bool = False
    price: Price | None = None


class Who(NamedTuple):
    groups: frozenset[str]
    consumers: frozenset[str]


class Guard(NamedTuple):
    deny: tuple[str, ...]
    allow: tuple[str, ...]
    roles: frozenset[str]
    scope: str


class Decorator(NamedTuple):
    prepend: tuple[Mapping[str, str], ...]
    append: tuple[Mapping[str, str], ...]


class Limit(NamedTuple):
    name: str
    by: tuple[str, ...]
    per: str
    requests: int | None
    tokens: int | None
    reserve_output: int
    cost: float | None = None
    """US dollars."""
    counted: str = "total"
    """Which tokens count: total, input or output."""
    observe: bool = False
    """Counted and shown, never refused."""

    @property
    def headers(self) -> tuple[str, ...]:
        """The request headers that it counts by."""
        return tuple(key.removeprefix("header:") for key in self.by if key.startswith("header:"))

    @property
    def nano(self) -> int | None:
        """The cost in nano-dollars."""
        return None if self.cost is None else round(self.cost * 1_000_000_000)


class ResponseGuard(NamedTuple):
    deny: tuple[str, ...]
    allow: tuple[str, ...]
    action: str
    """refuse, mask or log."""


class Transformer(NamedTuple):
    off: bool
    model: str
    prompt: str
    extract: str
    timeout: float
    pass_on_error: bool


class Cache(NamedTuple):
    off: bool
    ttl: float
    shared: bool
    store: str
    """"" for the memory of the process."""


class IpRestriction(NamedTuple):
    allow: tuple[Network, ...]
    deny: tuple[Network, ...]


class Policies(NamedTuple):
    guard: Guard | None
    decorator: Decorator | None
    limits: tuple[Limit, ...]
    limit_store: str = ""
    response_guard: ResponseGuard | None = None
    request_transformer: Transformer | None = None
    response_transformer: Transformer | None = None
    cache: Cache | None = None
    ip_restriction: IpRestriction | None = None


class Health(NamedTuple):
    failures: int
    window: float
    cooldown: float


class Lifecycle(NamedTuple):
    """Days as YYYY-MM-DD, "" for none."""

    deprecated: str
    sunset: str
    replaced_by: str


class Model(NamedTuple):
    name: str
    aliases: tuple[str, ...]
    priorities: tuple[tuple[Target, ...], ...]
    """Targets that can be chosen (weight over 0), the priority that is tried first at the front."""
    attempts: int
    retry_on: frozenset[str]
    backoff_base: float
    backoff_max: float
    fallback_on: frozenset[str]
    response: Mapping[str, Any] | None
    connect: float | None
    """Timeouts in seconds; None (0 in the file) means none."""
    first_byte: float | None
    idle: float | None
    request: float | None
    allow: Who | None
    deny: Who | None
    policies: Policies
    capabilities: frozenset[str] = frozenset({"chat"})
    round_robin: bool = False
    health: Health = Health(5, 30.0, 30.0)
    residency: tuple[str, ...] = ()
    lifecycle: Lifecycle | None = None
    drain: bool = False
    """Whether an answer is read on, for its figures, when the client left."""
    expose_target: bool = False


class Login(NamedTuple):
    username: str
    password: Mapping[str, Any]
    """A SecretRef."""
    place: str


class Consumer(NamedTuple):
    name: str
    groups: tuple[str, ...]
    credentials: tuple[tuple[Mapping[str, Any], str], ...]
    """(SecretRef, its place in the spec)"""
    policies: Policies
    logins: tuple[Login, ...] = ()
    known: bool = True
    """False: a token of an issuer with `unknownConsumer: accept` names it, and the spec does not."""


class Jwt(NamedTuple):
    name: str
    issuer: str
    audiences: frozenset[str]
    """Empty: any."""
    jwks_uri: str
    consumer_claim: str
    groups_claim: str
    group_map: Mapping[str, str]
    accept_unknown: bool


class Redis(NamedTuple):
    address: str
    """host:port"""
    database: int
    username: str
    password: Located | None
    tls: ClientTls | None
    open_on_failure: bool


class Store(NamedTuple):
    name: str
    redis: Redis | None
    """None: the memory of the process."""


class Front(NamedTuple):
    """Who keeps the edge before this proxy: what it sends the credential, the caller and the client's address in."""

    credential: Located
    header: str
    prefix: str
    address_header: str
    consumer_header: str
    """"" where callers are asked here."""


class Config(NamedTuple):
    gateway: str
    revision: str
    listeners: tuple[Listener, ...]
    operations: tuple[str, int]
    headers: tuple[str, ...]
    """Headers that may carry a client's key, in small letters; () where no keys are asked for."""
    providers: tuple[Provider, ...]
    models: tuple[Model, ...]
    names: Mapping[str, Model]
    """Every name that a client may call, aliases included."""
    consumers: tuple[Consumer, ...]
    groups: Mapping[str, Policies]
    policies: Policies
    prometheus: int | None
    otlp: tuple[str, float] | None
    access_log: tuple[str, bool] | None
    anonymous: bool = False
    """Whether everybody may call; only where `anonymous: true` stands in the file, alone."""
    jwt: tuple[Jwt, ...] = ()
    basic: bool = False
    stores: Mapping[str, Store] = MappingProxyType({})
    front: Front | None = None
    """None: clients call directly."""
    written: bytes = b""
    """The file that all this was read from: it holds references to secrets, never one."""
