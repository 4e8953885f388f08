"""Observability: what operators see."""

from __future__ import annotations

from typing import Literal

from aigw_compile.language.base import (
    OBSERVED,
    Address,
    ConfigRefs,
    Later,
    Port,
    Strict,
    Url,
    field,
    later,
    part,
    parts,
)


class Operations(Strict):
    address: Address = field(
        "Address of /healthz, /readyz and /metrics.",
        {"changed": ["observability", "security-relaxing"]},
        "127.0.0.1",
    )
    port: Port = field("Port of /healthz, /readyz and /metrics.", OBSERVED, 9090)


class Prometheus(Strict):
    port: Port = field("Port of /metrics; the operations port if absent.", OBSERVED, unset=True, example=9100)


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
    model_config = part("Observability")

    operations: Operations = field("Where operators look.", OBSERVED, unset=True)
    metrics: Metrics = field("Metrics.", OBSERVED, unset=True)
    tracing: Tracing = field("Traces.", OBSERVED, unset=True)
    accessLog: AccessLog = field("A line for each request.", OBSERVED, unset=True)
    labels: Later = later("Labels taken from requests.")
    usage: Later = later("Usage records.")
    configRef: ConfigRefs = parts()
