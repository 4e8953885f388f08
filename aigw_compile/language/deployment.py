"""Deployment: how many run, with what, and where in Kubernetes."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from aigw_compile.language.base import AVAILABILITY, BEHAVIOUR, ConfigRefs, Name, Percent, Strict, field, part, parts

INT32 = 2**31 - 1
"""Kubernetes counts replicas in 32 bits."""


class Autoscaling(Strict):
    minReplicas: int = field("Fewest replicas.", {"raised": ["cost"], "lowered": ["availability"]}, 1, ge=1, le=INT32)
    maxReplicas: int = field(
        "Most replicas.", {"raised": ["cost"], "lowered": ["availability"]}, ge=1, le=INT32, example=10
    )
    targetCPUUtilization: int = field(
        "Percent of the requested CPU to aim at.", {"raised": ["availability"], "lowered": ["cost"]}, 80, ge=1, le=100
    )


Cpu = Annotated[
    str,
    Field(pattern="^([0-9]+m|[0-9]+(\\.[0-9]{1,3})?)$", json_schema_extra={"x-aigw-unit": "cpu", "examples": ["500m"]}),
]
Memory = Annotated[
    str,
    Field(
        pattern=r"^[0-9]+(\.[0-9]+)?(k|M|G|Ki|Mi|Gi)?$",
        json_schema_extra={"x-aigw-unit": "memory", "examples": ["512Mi"]},
    ),
]


class Amounts(Strict):
    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    cpu: Cpu = field(
        "Processors: 500m is half of one.",
        {"raised": ["cost"], "lowered": ["availability"], **AVAILABILITY},
        unset=True,
    )
    memory: Memory = field(
        "Memory, as a quantity.", {"raised": ["cost"], "lowered": ["availability"], **AVAILABILITY}, unset=True
    )

    @model_validator(mode="after")
    def _something(self) -> Amounts:
        if not self.model_fields_set:
            raise ValueError("cpu or memory")
        return self


class Resources(Strict):
    requests: Amounts = field("What is set aside for it.", AVAILABILITY, unset=True, example={"cpu": "500m"})
    limits: Amounts = field("What it may use at most.", AVAILABILITY, unset=True, example={"memory": "1Gi"})


class GatewayRef(Strict):
    name: Name = field("Name of the Gateway.", BEHAVIOUR, example="shared")
    namespace: Name = field("Its namespace; that of this gateway if absent.", BEHAVIOUR, unset=True, example="infra")


class DisruptionBudget(Strict):
    """How many replicas have to stay, or may be gone, while nodes are drained."""

    model_config = ConfigDict(
        json_schema_extra={
            "minProperties": 1,
            "not": {"required": ["minAvailable", "maxUnavailable"]},
            "x-aigw-not-both": ["minAvailable", "maxUnavailable"],
        }
    )

    minAvailable: Percent = field("Replicas that stay, or a share of them.", AVAILABILITY, unset=True, example=1)
    maxUnavailable: Percent = field(
        "Replicas that may be gone, or a share of them.", AVAILABILITY, unset=True, example="25%"
    )

    @model_validator(mode="after")
    def _one(self) -> DisruptionBudget:
        if len(self.model_fields_set) != 1:
            raise ValueError("minAvailable or maxUnavailable")
        return self


class Kubernetes(Strict):
    model_config = ConfigDict(
        json_schema_extra={
            "not": {"required": ["gatewayClassName", "gatewayRef"]},
            "x-aigw-not-both": ["gatewayClassName", "gatewayRef"],
        }
    )

    namespace: Name = field(
        "Namespace of the objects.",
        {e: ["breaking"] for e in ("added", "removed", "changed")},
        unset=True,
        example="ai",
    )
    gatewayClassName: Annotated[
        str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", json_schema_extra={"examples": ["eg"]})
    ] = field("Class of the Gateway that is made.", BEHAVIOUR, unset=True)
    gatewayRef: GatewayRef = field(
        "A Gateway that is there already, instead of making one.", BEHAVIOUR, unset=True, example={"name": "shared"}
    )
    serviceAccount: Name = field("Service account of the gateway's pods.", BEHAVIOUR, unset=True, example="ai-gateway")
    disruptionBudget: DisruptionBudget = field(
        "What stays while nodes are drained.", AVAILABILITY, unset=True, example={"minAvailable": 1}
    )

    @model_validator(mode="after")
    def _not_both(self) -> Kubernetes:
        if {"gatewayClassName", "gatewayRef"} <= self.model_fields_set:
            raise ValueError("gatewayClassName or gatewayRef")
        return self


class Deployment(Strict):
    model_config = part(
        "Deployment",
        {
            "not": {"required": ["replicas", "autoscaling"]},
            "x-aigw-not-both": ["replicas", "autoscaling"],
        },
    )

    replicas: int = field(
        "Number of replicas.",
        {"raised": ["cost"], "lowered": ["availability"], "added": ["behaviour"], "removed": ["behaviour"]},
        unset=True,
        ge=1,
        le=INT32,
        example=2,
    )
    autoscaling: Autoscaling = field("Replicas by load.", AVAILABILITY, unset=True)
    resources: Resources = field("CPU and memory of each replica.", AVAILABILITY, unset=True)
    kubernetes: Kubernetes = field("Where it runs in Kubernetes.", BEHAVIOUR, unset=True)
    configRef: ConfigRefs = parts()

    @model_validator(mode="after")
    def _not_both(self) -> Deployment:
        if {"replicas", "autoscaling"} <= self.model_fields_set:
            raise ValueError("replicas or autoscaling")
        return self
