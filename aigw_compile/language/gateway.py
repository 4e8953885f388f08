"""The whole document: an AIGateway and what stands at its top."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from aigw_compile.language.auth import Auth, Consumer, ConsumerGroup
from aigw_compile.language.base import (
    AVAILABILITY,
    BEHAVIOUR,
    COSMETIC,
    OBSERVED,
    ConfigRefs,
    Name,
    Reserved,
    Strict,
    field,
    keyed,
    later,
    part,
    parts,
)
from aigw_compile.language.deployment import Deployment
from aigw_compile.language.listeners import BREAKS, Listener
from aigw_compile.language.models import Model
from aigw_compile.language.observability import Observability
from aigw_compile.language.policies import Policies
from aigw_compile.language.providers import Provider
from aigw_compile.language.secrets import Vault
from aigw_compile.language.stores import Store


class Metadata(Strict):
    name: Name = field("Name of the gateway; its outputs stand in a folder of this name.", BREAKS, example="support")
    labels: dict[str, str] = field("Labels for people and tools.", COSMETIC, unset=True, example={"team": "support"})
    annotations: dict[str, str] = field(
        "Annotations for people and tools.", COSMETIC, unset=True, example={"example.com/owner": "support"}
    )


class Spec(Strict):
    model_config = part("AIGateway")

    listeners: Annotated[list[Listener], Field(min_length=1)] = field(
        "Where clients call.", BREAKS, [{"name": "public", "port": 8080}], extra=keyed()
    )
    vaults: list[Vault] = field("Where secrets are kept.", BEHAVIOUR, unset=True, extra=keyed())
    stores: list[Store] = field("Where counters and cached answers are kept.", BEHAVIOUR, unset=True, extra=keyed())
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
    configRef: ConfigRefs = parts()
    mcpServers: Reserved = later("Reserved for MCP servers.")
    agents: Reserved = later("Reserved for agents.")


class AIGateway(Strict):
    """One AI gateway: who may call which model, who answers, and what is watched on the way."""

    apiVersion: Literal["aigw.dev/v1alpha1"] = field("Version of the language.", COSMETIC)
    kind: Literal["AIGateway"] = field("Kind of document.", COSMETIC)
    metadata: Metadata = field("Name and labels.", COSMETIC, example={"name": "support"})
    spec: Spec = field("The gateway.", BEHAVIOUR)
