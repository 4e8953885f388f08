"""The whole document: an AIGateway and what stands at its top."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from aigw_compile.language.base import (
    AVAILABILITY,
    BEHAVIOUR,
    COSMETIC,
    OBSERVED,
    SET,
    Address,
    Label,
    Later,
    Name,
    Port,
    Reserved,
    Size,
    Strict,
    Url,
    field,
    keyed,
    later,
)
from aigw_compile.language.models import Model
from aigw_compile.language.policies import Policies
from aigw_compile.language.providers import Provider
from aigw_compile.language.secrets import SecretRef, Vault

Hostname = Annotated[
    str,
    Field(
        pattern=r"^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        json_schema_extra={"x-aigw-form": "hostname", "examples": ["ai.example.com"]},
    ),
]

INT32 = 2**31 - 1
"""Kubernetes counts replicas in 32 bits."""
BREAKS = {"added": ["behaviour"], "removed": ["breaking"], "changed": ["breaking"]}


class Listener(Strict):
    name: Name = field("Name of the listener.", BREAKS)
    address: Address = field("Address to listen on.", {"changed": ["behaviour", "security-relaxing"]}, "0.0.0.0")
    port: Port = field("Port to listen on.", {"changed": ["breaking"]}, example=8080)
    hostnames: list[Hostname] = field(
        "Host names it answers to; any if absent. `*.example.com` is any name below.",
        {"added": ["behaviour"], "removed": ["breaking"]},
        unset=True,
        extra=SET,
    )
    basePath: str = field(
        "Put before every path.",
        {"changed": ["breaking"]},
        "/",
        example="/ai",
        extra={"x-aigw-form": "path"},
        pattern=r"^/([A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*/?)?$",
    )
    maxBodySize: Size = field("Largest body of a request.", {"raised": ["behaviour"], "lowered": ["breaking"]}, "10Mi")
    tls: Later = later("Certificate, key and client CA.")
    trustedProxies: Later = later("Whose X-Forwarded-For is believed.")
    cors: Later = later("Cross-origin requests.")
    configRef: Later = later("A part to take settings from.")


class ApiKeyAuth(Strict):
    headers: Annotated[
        list[Annotated[str, Field(pattern="^[A-Za-z0-9-]+$", json_schema_extra={"examples": ["x-api-key"]})]],
        Field(min_length=1),
    ] = field(
        "Headers that may carry the key; the first that is present decides. `authorization` means Bearer.",
        {"added": ["security-relaxing"], "removed": ["breaking"], "changed": ["breaking"]},
        ["authorization", "x-api-key"],
        extra={"x-kubernetes-list-type": "atomic"},
    )


class Auth(Strict):
    """Which doors are open: API keys, or, alone, everybody."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-aigw-one-of": ["apiKey", "anonymous"],
            "oneOf": [{"required": ["apiKey"]}, {"required": ["anonymous"]}],
        }
    )

    apiKey: ApiKeyAuth = field(
        "Consumers identify themselves with an API key; the keys stand at the consumers.",
        {"added": ["security-tightening"], "removed": ["breaking"], "changed": ["behaviour"]},
        unset=True,
    )
    anonymous: Literal[True] = field(
        "Everybody may call, without a key.",
        {
            "added": ["security-relaxing"],
            "removed": ["security-tightening", "breaking"],
            "on": ["security-relaxing"],
            "off": ["security-tightening"],
        },
        unset=True,
    )
    jwt: Later = later("JSON Web Tokens.")
    basic: Later = later("User names and passwords.")
    hmac: Later = later("Signed requests.")
    oidc: Later = later("OpenID Connect.")
    mtls: Later = later("Client certificates.")
    configRef: Later = later("A part to take settings from.")

    @model_validator(mode="after")
    def _one(self) -> Auth:
        if len(self.model_fields_set) != 1:
            raise ValueError("apiKey, or anonymous alone")
        return self


class ConsumerCredential(Strict):
    apiKey: SecretRef = field(
        "The consumer's API key.",
        {"added": ["security-relaxing"], "removed": ["breaking"], "changed": ["breaking"]},
        example={"env": "APP_KEY"},
    )
    basic: Later = later("A user name and password.")


class ConsumerGroup(Strict):
    name: Label = field("Name of the group.", BEHAVIOUR)
    policies: Policies = field("Policies of every member.", BEHAVIOUR, unset=True)
    configRef: Later = later("A part to take settings from.")


class Consumer(Strict):
    name: Name = field(
        "Name of the application.", {"added": ["security-relaxing"], "removed": ["breaking"], "changed": ["breaking"]}
    )
    groups: list[Label] = field(
        "Groups it is a member of.", {"added": ["security-relaxing"], "removed": ["breaking"]}, unset=True, extra=SET
    )
    credentials: list[ConsumerCredential] = field(
        "What it identifies itself with.",
        {"added": ["security-relaxing"], "removed": ["breaking"], "changed": ["breaking"]},
        unset=True,
        extra={"x-kubernetes-list-type": "atomic"},
    )
    policies: Policies = field("Policies of this consumer.", BEHAVIOUR, unset=True)
    configRef: Later = later("A part to take settings from.")


class Operations(Strict):
    address: Address = field(
        "Address of /healthz, /readyz and /metrics.",
        {"changed": ["observability", "security-relaxing"]},
        "127.0.0.1",
    )
    port: Port = field("Port of /healthz, /readyz and /metrics.", OBSERVED, 9090)


class Prometheus(Strict):
    port: Port = field("Port of /metrics; the operations port if absent.", OBSERVED, unset=True)


class Metrics(Strict):
    prometheus: Prometheus = field("Metrics for Prometheus.", OBSERVED, unset=True)


class Otlp(Strict):
    endpoint: Url = field(
        "Base address of an OTLP/HTTP collector.",
        {
            "added": ["observability", "data-residency"],
            "removed": ["observability"],
            "changed": ["observability", "data-residency"],
        },
        example="http://otel-collector:4318",
    )
    sampling: float = field(
        "Share of the requests that is traced, 0 to 1.",
        {"raised": ["cosmetic"], "lowered": ["observability"]},
        1.0,
        ge=0,
        le=1,
    )


class Tracing(Strict):
    otlp: Otlp = field("Traces by OpenTelemetry.", OBSERVED, unset=True)


class AccessLog(Strict):
    format: Literal["json", "text"] = field("Form of a line.", OBSERVED, "json")
    payloads: bool = field(
        "Whether prompts and answers are logged.", {"on": ["security-relaxing"], "off": ["security-tightening"]}, False
    )


class Observability(Strict):
    operations: Operations = field("Where operators look.", OBSERVED, unset=True)
    metrics: Metrics = field("Metrics.", OBSERVED, unset=True)
    tracing: Tracing = field("Traces.", OBSERVED, unset=True)
    accessLog: AccessLog = field("A line for each request.", OBSERVED, unset=True)
    labels: Later = later("Labels taken from requests.")
    usage: Later = later("Usage records.")
    configRef: Later = later("A part to take settings from.")


class Autoscaling(Strict):
    minReplicas: int = field("Fewest replicas.", {"raised": ["cost"], "lowered": ["availability"]}, 1, ge=1, le=INT32)
    maxReplicas: int = field(
        "Most replicas.", {"raised": ["cost"], "lowered": ["availability"]}, ge=1, le=INT32, example=10
    )
    targetCPUUtilization: int = field(
        "Percent of the requested CPU to aim at.", {"raised": ["availability"], "lowered": ["cost"]}, 80, ge=1, le=100
    )


class Deployment(Strict):
    model_config = ConfigDict(
        json_schema_extra={
            "not": {"required": ["replicas", "autoscaling"]},
            "x-aigw-not-both": ["replicas", "autoscaling"],
        }
    )

    replicas: int = field(
        "Number of replicas.",
        {"raised": ["cost"], "lowered": ["availability"], "added": ["behaviour"], "removed": ["behaviour"]},
        unset=True,
        ge=1,
        le=INT32,
    )
    autoscaling: Autoscaling = field("Replicas by load.", AVAILABILITY, unset=True)
    resources: Later = later("CPU and memory.")
    kubernetes: Later = later("Namespace, gateway class, service account, disruption budget.")
    configRef: Later = later("A part to take settings from.")

    @model_validator(mode="after")
    def _not_both(self) -> Deployment:
        if {"replicas", "autoscaling"} <= self.model_fields_set:
            raise ValueError("replicas or autoscaling")
        return self


class Metadata(Strict):
    name: Name = field("Name of the gateway; its outputs stand in a folder of this name.", BREAKS, example="support")
    labels: dict[str, str] = field("Labels for people and tools.", COSMETIC, unset=True)
    annotations: dict[str, str] = field("Annotations for people and tools.", COSMETIC, unset=True)


class Spec(Strict):
    listeners: Annotated[list[Listener], Field(min_length=1)] = field(
        "Where clients call.", BREAKS, [{"name": "public", "port": 8080}], extra=keyed()
    )
    vaults: list[Vault] = field("Where secrets are kept.", BEHAVIOUR, unset=True, extra=keyed())
    providers: Annotated[list[Provider], Field(min_length=1)] = field(
        "Who answers.",
        {"added": ["behaviour"], "removed": ["behaviour", "availability"], "changed": ["behaviour"]},
        example=[{"name": "openai", "type": "openai", "auth": {"apiKey": {"env": "OPENAI_API_KEY"}}}],
        extra=keyed(),
    )
    models: Annotated[list[Model], Field(min_length=1)] = field(
        "What clients call.",
        {"added": ["behaviour"], "removed": ["breaking"], "changed": ["behaviour"]},
        example=[{"name": "chat", "targets": [{"provider": "openai", "model": "gpt-4o-mini"}]}],
        extra=keyed(),
    )
    auth: Auth = field(
        "How clients identify themselves.",
        {"added": ["security-tightening"], "removed": ["security-relaxing"], "changed": ["security-relaxing"]},
        unset=True,
        example={"apiKey": {}},
    )
    consumerGroups: list[ConsumerGroup] = field("Groups of consumers.", BEHAVIOUR, unset=True, extra=keyed())
    consumers: list[Consumer] = field(
        "Applications that call.",
        {"added": ["security-relaxing"], "removed": ["breaking"], "changed": ["behaviour"]},
        unset=True,
        extra=keyed(),
    )
    policies: Policies = field("Policies of everybody.", BEHAVIOUR, unset=True)
    observability: Observability = field("What operators see.", OBSERVED, unset=True)
    deployment: Deployment = field("How many run.", AVAILABILITY, unset=True)
    stores: Later = later("Where counters and cached answers are kept.")
    configRef: Later = later("Parts to build on.")
    mcpServers: Reserved = later("Reserved for MCP servers.")
    agents: Reserved = later("Reserved for agents.")


class AIGateway(Strict):
    """One AI gateway: who may call which model, who answers, and what is watched on the way."""

    apiVersion: Literal["aigw.dev/v1alpha1"] = field("Version of the language.", COSMETIC)
    kind: Literal["AIGateway"] = field("Kind of document.", COSMETIC)
    metadata: Metadata = field("Name and labels.", COSMETIC, example={"name": "support"})
    spec: Spec = field("The gateway.", BEHAVIOUR)
