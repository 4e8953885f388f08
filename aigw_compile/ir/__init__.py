"""A gateway as it is meant: every reference resolved, every default filled in, units normal (seconds, bytes); frozen values.

NamedTuples, since importing them is cheap. Each node carries `origin`, the place in the spec that it was made from;
a default that nobody wrote has the origin of the object around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from aigw_compile.diagnostic import Pointer
from aigw_compile.ir.callers import Auth as Auth
from aigw_compile.ir.callers import Consumer as Consumer
from aigw_compile.ir.callers import ConsumerGroup as ConsumerGroup
from aigw_compile.ir.callers import Credential as Credential
from aigw_compile.ir.callers import Jwt as Jwt
from aigw_compile.ir.callers import Login as Login
from aigw_compile.ir.models import Access as Access
from aigw_compile.ir.models import Fallback as Fallback
from aigw_compile.ir.models import Health as Health
from aigw_compile.ir.models import Lifecycle as Lifecycle
from aigw_compile.ir.models import Model as Model
from aigw_compile.ir.models import Parameters as Parameters
from aigw_compile.ir.models import Price as Price
from aigw_compile.ir.models import Retries as Retries
from aigw_compile.ir.models import StaticResponse as StaticResponse
from aigw_compile.ir.models import Target as Target
from aigw_compile.ir.models import Timeouts as Timeouts
from aigw_compile.ir.models import Who as Who
from aigw_compile.ir.policies import Policies as Policies
from aigw_compile.ir.policies import Policy as Policy
from aigw_compile.ir.policies import every as every
from aigw_compile.ir.policies import only as only
from aigw_compile.ir.providers import AzureIdentity as AzureIdentity
from aigw_compile.ir.providers import Header as Header
from aigw_compile.ir.providers import Provider as Provider
from aigw_compile.ir.running import AccessLog as AccessLog
from aigw_compile.ir.running import Autoscaling as Autoscaling
from aigw_compile.ir.running import Budget as Budget
from aigw_compile.ir.running import Cors as Cors
from aigw_compile.ir.running import Deployment as Deployment
from aigw_compile.ir.running import Handover as Handover
from aigw_compile.ir.running import Kubernetes as Kubernetes
from aigw_compile.ir.running import Listener as Listener
from aigw_compile.ir.running import Observability as Observability
from aigw_compile.ir.running import Operations as Operations
from aigw_compile.ir.running import Otlp as Otlp
from aigw_compile.ir.running import Prometheus as Prometheus
from aigw_compile.ir.running import Resources as Resources
from aigw_compile.ir.running import Store as Store
from aigw_compile.ir.secrets import IN_CLUSTER as IN_CLUSTER
from aigw_compile.ir.secrets import ClientTls as ClientTls
from aigw_compile.ir.secrets import SecretRef as SecretRef
from aigw_compile.ir.secrets import Tls as Tls
from aigw_compile.ir.secrets import Vault as Vault


class Gateway(NamedTuple):
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    listeners: tuple[Listener, ...]
    vaults: tuple[Vault, ...]
    stores: tuple[Store, ...]
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
    front: Handover | None = None
    """Where another gateway keeps the edge before this one."""
    behind: Handover | None = None
    """Where this gateway keeps the edge, and another one answers behind it."""


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
    """Yield (what it is for, reference) for every secret of a gateway but those of vaults."""
    for listener in gateway.listeners:
        if listener.tls:
            yield f"listener {listener.name} certificate", listener.tls.certificate
            yield f"listener {listener.name} key", listener.tls.key
            if listener.tls.client_ca:
                yield f"listener {listener.name} client CA", listener.tls.client_ca
    for store in gateway.stores:
        if store.password:
            yield f"store {store.name} password", store.password
        yield from _tls_secrets(f"store {store.name}", store.tls)
    for provider in gateway.providers:
        if provider.credential:
            yield f"provider {provider.name}", provider.credential
        if provider.identity and provider.identity.client_secret:
            yield f"provider {provider.name} client secret", provider.identity.client_secret
        for header in provider.own_headers:
            if isinstance(header.value, SecretRef):
                yield f"provider {provider.name} header {header.name}", header.value
        yield from _tls_secrets(f"provider {provider.name}", provider.tls)
    for consumer in gateway.consumers:
        for number, credential in enumerate(consumer.credentials):
            yield f"consumer {consumer.name} key {number}", credential.api_key
        for login in consumer.logins:
            yield f"consumer {consumer.name} password of {login.username}", login.password


def _tls_secrets(what: str, tls: ClientTls | None) -> Iterator[tuple[str, SecretRef]]:
    for part, ref in (("CA", tls.ca), ("certificate", tls.certificate), ("key", tls.key)) if tls else ():
        if ref:
            yield f"{what} {part}", ref
