"""Models: the names that clients call, and the targets behind them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from aigw_compile.language.base import (
    ALWAYS,
    AVAILABILITY,
    BEHAVIOUR,
    LONGER,
    SET,
    ConfigRefs,
    Date,
    Duration,
    Label,
    Later,
    Name,
    Strict,
    field,
    keyed,
    later,
    part,
    parts,
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


class Parameters(Strict):
    """Fields of the request's body, as the client's dialect names them; `model`, `messages` and `stream` are the client's."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    defaults: dict[str, Any] = field(
        "Set where the client does not.", BEHAVIOUR, unset=True, example={"temperature": 0.2}
    )
    overrides: dict[str, Any] = field("Set always.", BEHAVIOUR, unset=True, example={"seed": 7})
    maximum: dict[str, float] = field(
        "Larger numbers are cut to these.",
        {"raised": ["cost"], "lowered": ["behaviour"], "added": ["behaviour"], "removed": ["cost"]},
        unset=True,
        example={"max_tokens": 4096},
    )

    @model_validator(mode="after")
    def _something(self) -> Parameters:
        if not self.model_fields_set:
            raise ValueError("defaults, overrides or maximum")
        return self


PRICED = {e: ["cost"] for e in ("raised", "lowered", "added", "removed", "changed")}


class Pricing(Strict):
    """US dollars for a million tokens."""

    input: float = field("Price of a million tokens of the prompt.", PRICED, ge=0, le=100_000, example=2.5)
    output: float = field("Price of a million tokens of the answer.", PRICED, ge=0, le=100_000, example=10)
    cacheRead: float = field(
        "Price of a million tokens that the provider read from its cache; as input if absent.",
        PRICED,
        unset=True,
        ge=0,
        le=100_000,
        example=1.25,
    )
    cacheWrite: float = field(
        "Price of a million tokens that the provider wrote to its cache; as input if absent.",
        PRICED,
        unset=True,
        ge=0,
        le=100_000,
        example=3.75,
    )


class Target(Strict):
    model_config = part("Target")

    name: Name = field("Name of the target; from provider and model if absent.", BEHAVIOUR, unset=True, example="main")
    provider: Name = field(
        "Name of a provider of this gateway.",
        {e: ["behaviour", "cost", "data-residency"] for e in ("added", "removed", "changed")},
        example="openai",
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
    parameters: Parameters = field("Fields that are set, defaulted or capped.", BEHAVIOUR, unset=True)
    onUnsupported: Literal["error", "drop"] = field(
        "What happens to a request with fields that the provider's dialect cannot carry: it is refused, or they are dropped.",
        BEHAVIOUR,
        "error",
    )
    pricing: Pricing = field(
        "Price of its tokens; from the table that ships if absent.",
        PRICED,
        unset=True,
        example={"input": 2.5, "output": 10},
    )
    configRef: ConfigRefs = parts()


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
    backoff: Backoff = field("Pauses between tries.", BEHAVIOUR, unset=True, extra=ALWAYS)


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
    response: StaticResponse = field(
        "The answer when every target failed.",
        {"added": ["behaviour"], "removed": ["availability"], "changed": ["behaviour"]},
        unset=True,
    )


class Timeouts(Strict):
    connect: Duration = field("To connect.", LONGER, "5s")
    firstByte: Duration = field("To the response headers, each attempt.", LONGER, "60s")
    idle: Duration = field("Between two pieces of an answer.", LONGER, "60s")
    request: Duration = field("For everything.", LONGER, "10m")


class LoadBalancing(Strict):
    algorithm: Literal["weighted", "round-robin"] = field(
        "How one of the targets of a priority is chosen.",
        BEHAVIOUR,
        "weighted",
        extra={"x-aigw-later-values": ["least-busy", "lowest-latency", "lowest-cost", "consistent-hash"]},
    )
    hashOn: Later = later("What consistent-hash looks at.")


PAUSES = {"raised": ["availability"], "lowered": ["availability"]}


class Health(Strict):
    """When a target is left alone."""

    failures: int = field(
        "Failures in the window after which it is left alone.",
        {"raised": ["availability"], "lowered": ["availability"]},
        5,
        ge=1,
        le=10_000,
    )
    window: Duration = field("The window in which failures count.", PAUSES, "30s")
    cooldown: Duration = field("How long it is left alone.", PAUSES, "30s")


class Lifecycle(Strict):
    """Dates, as YYYY-MM-DD, at which clients have to move on."""

    model_config = ConfigDict(
        json_schema_extra={"minProperties": 1, "dependentRequired": {"replacedBy": ["sunset"]}},
    )

    deprecated: Date = field("Since when clients are told to move.", BEHAVIOUR, unset=True)
    sunset: Date = field(
        "From when on it does not answer, or is what replaced it.",
        {"added": ["breaking"], "removed": ["behaviour"], "changed": ["breaking"]},
        unset=True,
    )
    replacedBy: Label = field(
        "Name of the model that answers from the sunset on.",
        {"added": ["behaviour"], "removed": ["breaking"], "changed": ["behaviour"]},
        unset=True,
        example="chat",
    )

    @model_validator(mode="after")
    def _something(self) -> Lifecycle:
        given = self.model_fields_set
        if not given or ("replacedBy" in given and "sunset" not in given):
            raise ValueError("deprecated or sunset; replacedBy goes with sunset")
        return self


OPENS = {"added": ["security-relaxing"], "removed": ["security-tightening", "breaking"]}
SHUTS = {"added": ["security-tightening", "breaking"], "removed": ["security-relaxing"]}


class Allowed(Strict):
    """Some callers, by group or by name."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    groups: list[Label] = field("Names of consumer groups.", OPENS, unset=True, extra=SET, example=["internal"])
    consumers: list[Name] = field("Names of consumers.", OPENS, unset=True, extra=SET, example=["app"])

    @model_validator(mode="after")
    def _somebody(self) -> Allowed:
        if not self.model_fields_set:
            raise ValueError("groups or consumers")
        return self


class Denied(Allowed):
    """The same, but one more of them closes a door where in allow it opens one."""

    groups: list[Label] = field("Names of consumer groups.", SHUTS, unset=True, extra=SET, example=["trial"])
    consumers: list[Name] = field("Names of consumers.", SHUTS, unset=True, extra=SET, example=["intern"])


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
    model_config = part("Model")

    name: Label = field(
        "The name that clients call.",
        {"added": ["behaviour"], "removed": ["breaking"], "changed": ["breaking"]},
        example="chat",
    )
    aliases: list[Label] = field(
        "Further names.",
        {"added": ["behaviour"], "removed": ["breaking"]},
        unset=True,
        extra=SET,
        example=["gpt-4o"],
    )
    capabilities: list[Literal["chat", "embeddings"]] = field(
        "What it can do.",
        {"added": ["behaviour"], "removed": ["breaking"]},
        ["chat"],
        min_length=1,
        extra={**SET, "x-aigw-later-values": ["responses", "completions", "images", "audio", "rerank"]},
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
        extra=ALWAYS,
    )
    fallback: Fallback = field("When the next priority is tried, and the last resort.", AVAILABILITY, unset=True)
    timeouts: Timeouts = field("How long things may take.", AVAILABILITY, unset=True, extra=ALWAYS)
    access: Access = field(
        "Who may call it.",
        {"added": ["security-tightening"], "removed": ["security-relaxing"], "changed": ["security-relaxing"]},
        unset=True,
    )
    policies: Policies = field("Policies of this model.", BEHAVIOUR, unset=True)
    match: Later = later("A pattern of names.")
    loadBalancing: LoadBalancing = field("How a target is chosen.", BEHAVIOUR, unset=True, extra=ALWAYS)
    health: Health = field("When a target is left alone.", AVAILABILITY, unset=True, extra=ALWAYS)
    residency: list[Name] = field(
        "Regions that data may go to: every target's provider has such a `region`. `eu` is also `eu-west-1`.",
        {
            "added": ["data-residency"],
            "removed": ["security-tightening"],
            "set": ["security-tightening"],
            "unset": ["data-residency"],
        },
        unset=True,
        min_length=1,
        extra=SET,
        example=["eu"],
    )
    lifecycle: Lifecycle = field("Deprecation and sunset.", BEHAVIOUR, unset=True)
    onDisconnect: Literal["estimate", "drain"] = field(
        "What is billed when a client leaves: what was sent until then, or the whole answer, which is read on.",
        {"changed": ["cost"]},
        "estimate",
    )
    exposeTarget: bool = field(
        "Whether clients see which target answered (x-aigw-target).", {"on": ["behaviour"], "off": ["breaking"]}, False
    )
    configRef: ConfigRefs = parts()
