"""Models: the names that clients call, and the targets behind them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from aigw_compile.language.base import (
    AVAILABILITY,
    BEHAVIOUR,
    SET,
    Duration,
    Label,
    Later,
    Name,
    Strict,
    field,
    keyed,
    later,
)
from aigw_compile.language.policies import Policies

Cause = Literal[
    "rate-limited",
    "overloaded",
    "server-error",
    "timeout",
    "connect-failure",
    "auth-error",
    "quota-exceeded",
    "context-length",
    "content-filter",
    "bad-response",
]
LONGER = {"raised": ["behaviour"], "lowered": ["availability"], "added": ["behaviour"], "removed": ["behaviour"]}


class Target(Strict):
    name: Name = field("Name of the target; from provider and model if absent.", BEHAVIOUR, unset=True)
    provider: Name = field(
        "Name of a provider of this gateway.",
        {e: ["behaviour", "cost", "data-residency"] for e in ("added", "removed", "changed")},
    )
    model: Label = field(
        "The provider's name of the model; `*` passes the client's name on.",
        {e: ["behaviour", "cost"] for e in ("added", "removed", "changed")},
        example="gpt-4o-2024-11-20",
    )
    weight: int = field(
        "Share among the targets of one priority; 0 is never chosen.",
        {"raised": ["behaviour", "cost"], "lowered": ["behaviour", "cost"]},
        1,
        ge=0,
        le=65535,
    )
    priority: int = field(
        "0 is tried first, higher ones when it fails.",
        {"raised": ["behaviour"], "lowered": ["behaviour", "cost"]},
        0,
        ge=0,
        le=100,
    )
    parameters: Later = later("Parameters that are set, defaulted or capped.")
    onUnsupported: Later = later("What happens to fields that the dialect cannot carry.")
    pricing: Later = later("Price of a million tokens.")
    configRef: Later = later("A part to take settings from.")


class Backoff(Strict):
    base: Duration = field("Pause before the first further try, a duration.", LONGER, "250ms")
    max: Duration = field("Longest pause, a duration.", LONGER, "2s")


class Retries(Strict):
    attempts: int = field(
        "Further tries inside one priority.", {"raised": ["cost"], "lowered": ["availability"]}, 0, ge=0, le=10
    )
    on: list[Cause] = field(
        "Causes that are tried again.",
        {"added": ["cost"], "removed": ["availability"]},
        unset=True,
        min_length=1,
        extra=SET,
    )
    backoff: Backoff = field("Pauses between tries.", BEHAVIOUR, unset=True)


class StaticResponse(Strict):
    status: int = field("Status of the answer.", BEHAVIOUR, 200, ge=200, le=599)
    content: str = field("Text of the answer.", BEHAVIOUR, min_length=1, example="A person will answer soon.")


class Fallback(Strict):
    on: list[Cause] = field(
        "Causes that move on to the next priority.",
        {"added": ["cost"], "removed": ["availability"]},
        unset=True,
        min_length=1,
        extra=SET,
    )
    response: StaticResponse = field("The answer when every target failed.", AVAILABILITY, unset=True)


class Timeouts(Strict):
    connect: Duration = field("To connect.", LONGER, "5s")
    firstByte: Duration = field("To the response headers, each attempt.", LONGER, "60s")
    idle: Duration = field("Between two pieces of an answer.", LONGER, "60s")
    request: Duration = field("For everything.", LONGER, "10m")


OPENS = {"added": ["security-relaxing"], "removed": ["security-tightening", "breaking"]}
SHUTS = {"added": ["security-tightening", "breaking"], "removed": ["security-relaxing"]}


class Allowed(Strict):
    """Some callers, by group or by name."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    groups: list[Label] = field("Names of consumer groups.", OPENS, unset=True, extra=SET)
    consumers: list[Name] = field("Names of consumers.", OPENS, unset=True, extra=SET)

    @model_validator(mode="after")
    def _somebody(self) -> Allowed:
        if not self.model_fields_set:
            raise ValueError("groups or consumers")
        return self


class Denied(Allowed):
    """The same, but one more of them closes a door where in allow it opens one."""

    groups: list[Label] = field("Names of consumer groups.", SHUTS, unset=True, extra=SET)
    consumers: list[Name] = field("Names of consumers.", SHUTS, unset=True, extra=SET)


class Access(Strict):
    """Who may call. deny wins; without allow everybody else may."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    allow: Allowed = field(
        "Only these may call.",
        {
            "added": ["security-tightening", "breaking"],
            "removed": ["security-relaxing"],
            "changed": ["security-relaxing"],
        },
        unset=True,
    )
    deny: Denied = field(
        "These may not call.",
        {
            "added": ["security-tightening", "breaking"],
            "removed": ["security-relaxing"],
            "changed": ["security-relaxing"],
        },
        unset=True,
    )

    @model_validator(mode="after")
    def _something(self) -> Access:
        if not self.model_fields_set:
            raise ValueError("allow or deny")
        return self


class Model(Strict):
    name: Label = field(
        "The name that clients call.", {"added": ["behaviour"], "removed": ["breaking"], "changed": ["breaking"]}
    )
    aliases: list[Label] = field(
        "Further names.", {"added": ["behaviour"], "removed": ["breaking"]}, unset=True, extra=SET
    )
    capabilities: list[Literal["chat"]] = field(
        "What it can do.",
        {"added": ["behaviour"], "removed": ["breaking"]},
        ["chat"],
        min_length=1,
        extra={**SET, "x-aigw-later-values": ["responses", "embeddings", "completions", "images", "audio", "rerank"]},
    )
    targets: Annotated[list[Target], Field(min_length=1)] = field(
        "Who answers.",
        {"added": ["behaviour", "cost", "data-residency"], "removed": ["availability"], "changed": ["behaviour"]},
        example=[{"provider": "openai", "model": "gpt-4o-mini"}],
        extra=keyed(),
    )
    retries: Retries = field(
        "Further tries inside one priority.",
        {"added": ["availability", "cost"], "removed": ["availability"], "changed": ["availability"]},
        unset=True,
    )
    fallback: Fallback = field("When the next priority is tried, and the last resort.", AVAILABILITY, unset=True)
    timeouts: Timeouts = field("How long things may take.", AVAILABILITY, unset=True)
    access: Access = field(
        "Who may call it.",
        {"added": ["security-tightening"], "removed": ["security-relaxing"], "changed": ["security-relaxing"]},
        unset=True,
    )
    policies: Policies = field("Policies of this model.", BEHAVIOUR, unset=True)
    match: Later = later("A pattern of names.")
    loadBalancing: Later = later("How a target is chosen.")
    health: Later = later("When a target is left alone.")
    residency: Later = later("Regions that data may go to.")
    lifecycle: Later = later("Deprecation and sunset.")
    onDisconnect: Later = later("What is billed when a client leaves.")
    exposeTarget: Later = later("Whether clients see which target answered.")
    configRef: Later = later("A part to take settings from.")
