"""Providers: accounts at LLM vendors, and servers of one's own."""

from __future__ import annotations

from typing import Literal

from aigw_compile.language.base import Later, Name, Strict, Url, field, later
from aigw_compile.language.secrets import MOVED, SecretRef

LATER_TYPES = [
    "azure-openai",
    "gemini",
    "vertex-ai",
    "bedrock",
    "cohere",
    "mistral",
    "huggingface",
    "deepseek",
    "xai",
    "dashscope",
    "moonshot",
    "groq",
    "together",
    "openrouter",
    "ollama",
]


class ProviderAuth(Strict):
    apiKey: SecretRef = field("The provider's API key.", MOVED, unset=True)
    aws: Later = later("AWS credentials.")
    gcp: Later = later("A Google service account.")
    azure: Later = later("An Azure application or managed identity.")


class Provider(Strict):
    name: Name = field(
        "Name that targets use.", {"added": ["cosmetic"], "removed": ["availability"], "changed": ["behaviour"]}
    )
    type: Literal["openai", "anthropic", "openai-compatible", "vllm"] = field(
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
    headers: Later = later("Further headers to send.")
    tls: Later = later("CA, server name and client certificate.")
    egressProxy: Later = later("A proxy on the way to the provider.")
    region: Later = later("Region of the provider, for residency.")
    slo: Later = later("Availability and latency to alert on.")
    azure: Later = later("Settings of type azure-openai.")
    bedrock: Later = later("Settings of type bedrock.")
    vertex: Later = later("Settings of type vertex-ai.")
    configRef: Later = later("A part to take settings from.")
