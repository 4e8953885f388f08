"""Providers: accounts at LLM vendors, and servers of one's own."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import ConfigDict, Field, WithJsonSchema, model_validator

from aigw_compile.language.base import (
    BEHAVIOUR,
    HEADER_NAME,
    ConfigRefs,
    Later,
    Name,
    Strict,
    Url,
    blocks,
    check_blocks,
    exactly,
    field,
    goes_to,
    later,
    part,
    parts,
)
from aigw_compile.language.secrets import MOVED, SecretRef
from aigw_compile.language.tls import ClientTls

LATER_TYPES = ["vertex-ai", "bedrock", "cohere", "huggingface"]
Type = Literal[
    "openai",
    "azure-openai",
    "anthropic",
    "gemini",
    "mistral",
    "deepseek",
    "xai",
    "dashscope",
    "moonshot",
    "groq",
    "together",
    "openrouter",
    "ollama",
    "vllm",
    "openai-compatible",
]


class AzureAuth(Strict):
    """An Entra application (tenantId, clientId, clientSecret), or the identity of the machine."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-aigw-one-of": ["clientSecret", "managedIdentity"],
            "oneOf": [{"required": ["clientSecret"]}, {"required": ["managedIdentity"]}],
            "dependentRequired": {"clientSecret": ["tenantId", "clientId"], "tenantId": ["clientSecret"]},
            **goes_to("tenantId", "clientId"),
        }
    )

    tenantId: str = field("Entra tenant.", BEHAVIOUR, unset=True, min_length=1, example="TENANT-ID")
    clientId: str = field(
        "Entra application, or user-assigned identity.", BEHAVIOUR, unset=True, min_length=1, example="CLIENT-ID"
    )
    clientSecret: SecretRef = field("The application's secret.", MOVED, unset=True, example={"env": "AZURE_SECRET"})
    managedIdentity: Annotated[Literal[True], exactly(bool)] = field(
        "The identity of the machine that the gateway runs on.", BEHAVIOUR, unset=True
    )

    @model_validator(mode="after")
    def _whole(self) -> AzureAuth:
        given = self.model_fields_set
        application = {"tenantId", "clientId", "clientSecret"} <= given and "managedIdentity" not in given
        machine = "managedIdentity" in given and not given & {"tenantId", "clientSecret"}
        if not application and not machine:
            raise ValueError("tenantId, clientId and clientSecret, or managedIdentity")
        return self


class ProviderAuth(Strict):
    model_config = ConfigDict(
        json_schema_extra={
            "not": {"required": ["apiKey", "azure"]},
            "x-aigw-not-both": ["apiKey", "azure"],
        }
    )

    apiKey: SecretRef = field("The provider's API key.", MOVED, unset=True, example={"env": "OPENAI_API_KEY"})
    azure: AzureAuth = field(
        "An Entra application or managed identity, for type azure-openai.",
        MOVED,
        unset=True,
        example={"managedIdentity": True},
    )
    aws: Later = later("AWS credentials, for type bedrock.")
    gcp: Later = later("A Google service account, for type vertex-ai.")

    @model_validator(mode="after")
    def _not_both(self) -> ProviderAuth:
        if {"apiKey", "azure"} <= self.model_fields_set:
            raise ValueError("apiKey or azure")
        return self


class Azure(Strict):
    instance: str = field(
        "Name of the Azure OpenAI resource: https://INSTANCE.openai.azure.com.",
        {e: ["behaviour", "data-residency"] for e in ("added", "removed", "changed")},
        pattern="^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$",
        example="my-resource",
    )
    apiVersion: str = field(
        "Version of the API.",
        BEHAVIOUR,
        "2024-10-21",
        pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$",
    )


HeaderValue = Annotated[
    Annotated[str, Field(pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$")] | SecretRef,
    WithJsonSchema(
        {
            "type": ["string", "object"],
            "pattern": r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$",
            "if": {"type": "object"},
            "then": {"x-aigw-ref": "SecretRef"},
            "x-aigw-form": "header",
            "x-aigw-text-or-secret": True,
            "examples": ["research"],
        }
    ),
]
"""Text, or a SecretRef."""


OWN = {"azure-openai": ["azure"]}


class Provider(Strict):
    model_config = part(
        "Provider", goes_to("type", "baseUrl", "headers", "tls", "azure"), blocks(OWN, [*OWN], get_args(Type))
    )

    name: Name = field(
        "Name that targets use.",
        {"added": ["cosmetic"], "removed": ["availability"], "changed": ["behaviour"]},
        example="openai",
    )
    type: Type = field(
        "Which API it speaks, and where it is by default.",
        {"changed": ["behaviour", "data-residency"], "added": ["behaviour"], "removed": ["breaking"]},
        extra={"x-aigw-later-values": LATER_TYPES},
    )
    baseUrl: Url = field(
        "Address, with /v1; the vendor's own if absent.",
        {e: ["behaviour", "data-residency"] for e in ("added", "removed", "changed")},
        unset=True,
        example="http://vllm.internal:8000/v1",
    )
    auth: ProviderAuth = field(
        "How the gateway identifies itself to the provider.",
        MOVED,
        unset=True,
        example={"apiKey": {"env": "OPENAI_API_KEY"}},
    )
    headers: dict[Annotated[str, Field(pattern=HEADER_NAME)], HeaderValue] = field(
        "Further headers to send. A header that carries a credential takes a SecretRef.",
        BEHAVIOUR,
        unset=True,
        example={"OpenAI-Organization": "org-research"},
    )
    tls: ClientTls = field("How the provider is called over TLS.", BEHAVIOUR, unset=True)
    region: Name = field(
        "Where data goes, as `residency` names it: eu, eu-west-1, us.",
        {e: ["data-residency"] for e in ("added", "removed", "changed")},
        unset=True,
        example="eu-west-1",
    )
    egressProxy: Later = later("A proxy on the way to the provider.")
    slo: Later = later("Availability and latency to alert on.")
    azure: Azure = field(
        "Settings of type azure-openai; a target's `model` is the deployment.",
        BEHAVIOUR,
        unset=True,
        example={"instance": "my-resource"},
    )
    bedrock: Later = later("Settings of type bedrock.")
    vertex: Later = later("Settings of type vertex-ai.")
    configRef: ConfigRefs = parts()

    @model_validator(mode="after")
    def _own_block(self) -> Provider:
        check_blocks(self, OWN, [*OWN])
        return self
