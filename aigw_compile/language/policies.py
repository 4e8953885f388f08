"""Policies: guards, decorators and limits, wherever they stand."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, WithJsonSchema, model_validator

from aigw_compile.language.base import (
    ATOMIC,
    BEHAVIOUR,
    COUNT,
    LONGER,
    SET,
    TIGHTENS_ALONE,
    Cidr,
    ConfigRefs,
    Duration,
    Label,
    Later,
    Name,
    Pattern,
    Strict,
    exactly,
    field,
    keyed,
    later,
    ordered,
    part,
    parts,
)

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
TIGHTENS = {"added": ["security-tightening"], "removed": ["security-relaxing"], "changed": ["security-relaxing"]}
RELAXES = {"added": ["security-relaxing"], "removed": ["security-tightening"], "changed": ["security-relaxing"]}


class PromptGuard(Strict):
    """Refuses a request by its text. Every guard that applies must pass."""

    deny: list[Pattern] = field(
        "RE2 patterns; a match in any text in scope refuses.",
        TIGHTENS,
        unset=True,
        extra=SET | TIGHTENS_ALONE,
        example=["(?i)ignore (all )?previous instructions"],
    )
    allow: list[Pattern] = field(
        "RE2 patterns; every user message in scope must match one.",
        {"added": ["security-relaxing"], "removed": ["security-tightening"], "changed": ["security-relaxing"]},
        unset=True,
        extra=SET,
        example=["(?i)\\border\\b"],
    )
    roles: list[Role] = field(
        "Whose messages deny looks at; all if absent.",
        {"added": ["security-tightening"], "removed": ["security-relaxing"], "changed": ["security-relaxing"]},
        unset=True,
        extra=SET,
        min_length=1,
    )
    scope: Literal["conversation", "last"] = field(
        "The whole conversation, or the last message alone.",
        {"raised": ["security-tightening"], "lowered": ["security-relaxing"]},
        "conversation",
        extra=ordered("last", "conversation"),
    )


class ResponseGuard(Strict):
    """Looks at the text of an answer. A stream is held back until it is whole."""

    deny: list[Pattern] = field(
        "RE2 patterns; a match in the answer triggers the action.",
        TIGHTENS,
        unset=True,
        extra=SET | TIGHTENS_ALONE,
        example=["\\b[0-9]{3}-[0-9]{2}-[0-9]{4}\\b"],
    )
    allow: list[Pattern] = field(
        "RE2 patterns; the answer has to match one.",
        {"added": ["security-relaxing"], "removed": ["security-tightening"], "changed": ["security-relaxing"]},
        unset=True,
        extra=SET,
        example=["^\\{"],
    )
    action: Literal["refuse", "mask", "log"] = field(
        "The answer is left out (finish_reason content_filter), matches are blotted out, or it is noted in the log.",
        {"raised": ["security-tightening"], "lowered": ["security-relaxing"]},
        "refuse",
        extra=ordered("log", "mask", "refuse"),
    )


class IpRestriction(Strict):
    """Which addresses may call. deny wins."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    allow: list[Cidr] = field(
        "Addresses that may call, no others.",
        {
            "added": ["security-relaxing"],
            "removed": ["security-tightening", "breaking"],
            "changed": ["security-relaxing"],
        },
        unset=True,
        min_length=1,
        extra=SET,
    )
    deny: list[Cidr] = field(
        "Addresses that may not call.",
        {
            "added": ["security-tightening", "breaking"],
            "removed": ["security-relaxing"],
            "changed": ["security-relaxing"],
        },
        unset=True,
        min_length=1,
        extra=SET | TIGHTENS_ALONE,
    )

    @model_validator(mode="after")
    def _something(self) -> IpRestriction:
        if not self.model_fields_set:
            raise ValueError("allow or deny")
        return self


Off = Annotated[Literal[True], exactly(bool)]


class Transformer(Strict):
    """A model that is sent a prompt and the body; what it answers is the new body."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-aigw-one-of": ["model", "off"],
            "x-aigw-alone": "off",
            "oneOf": [{"required": ["off"], "maxProperties": 1}, {"required": ["model"], "not": {"required": ["off"]}}],
            "dependentRequired": {"model": ["prompt"]},
        }
    )

    model: Label = field("Name of a chat model of this gateway.", BEHAVIOUR, unset=True, example="chat")
    prompt: str = field(
        "What it is told to do.", BEHAVIOUR, unset=True, min_length=1, example="Replace the names of people by NAME."
    )
    extract: Pattern = field(
        "RE2 pattern; its first group, else the match, is the new body. The whole answer if absent.",
        BEHAVIOUR,
        unset=True,
        example="(?s)```json(.*)```",
    )
    timeout: Duration = field("How long it may take.", LONGER, "30s")
    onError: Literal["fail", "pass"] = field(
        "What happens when it fails: the call fails, or goes on as it was.",
        {
            "raised": ["behaviour", "security-relaxing"],
            "lowered": ["availability"],
            "added": ["behaviour"],
            "removed": ["behaviour"],
        },
        "fail",
        extra=ordered("fail", "pass"),
    )
    off: Off = field("Switches an outer one off.", BEHAVIOUR, unset=True)

    @model_validator(mode="after")
    def _model_or_off(self) -> Transformer:
        given = self.model_fields_set
        if given != {"off"} and ("off" in given or not {"model", "prompt"} <= given):
            raise ValueError("model and prompt, or off alone")
        return self


class Cache(Strict):
    """Complete answers that are given again to the same request."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-aigw-one-of": ["off"],
            "x-aigw-alone": "off",
            "oneOf": [{"required": ["off"], "maxProperties": 1}, {"not": {"required": ["off"]}}],
        }
    )

    type: Literal["exact"] = field(
        "exact: the same request, byte for byte but for `stream`, `user` and the like.",
        BEHAVIOUR,
        "exact",
        extra={"x-aigw-later-values": ["semantic"]},
    )
    ttl: Duration = field(
        "How long an answer is kept.",
        {"raised": ["behaviour"], "lowered": ["cost"], "added": ["behaviour"], "removed": ["behaviour"]},
        "5m",
    )
    scope: Literal["consumer", "shared"] = field(
        "Whether each consumer has its own answers, or all share them.",
        {
            "raised": ["behaviour", "security-relaxing"],
            "lowered": ["behaviour", "cost"],
            "added": ["behaviour"],
            "removed": ["behaviour"],
        },
        "consumer",
        extra=ordered("consumer", "shared"),
    )
    store: Name = field(
        "Name of a store; the memory of each process if absent.", BEHAVIOUR, unset=True, example="counters"
    )
    off: Off = field("Switches an outer cache off.", BEHAVIOUR, unset=True)
    embeddingModel: Later = later("The model of a semantic cache.")
    threshold: Later = later("How near is near enough in a semantic cache.")

    @model_validator(mode="after")
    def _off_alone(self) -> Cache:
        if "off" in self.model_fields_set and len(self.model_fields_set) > 1:
            raise ValueError("off alone")
        return self


class Message(Strict):
    role: Literal["system", "developer", "user", "assistant"] = field("Who says it.", BEHAVIOUR)
    content: str = field("What is said.", BEHAVIOUR, min_length=1, example="Answer in one sentence.")


class PromptDecorator(Strict):
    """Messages put around the client's own. All that apply do, the gateway's outermost."""

    prepend: list[Message] = field("Before the client's messages.", BEHAVIOUR, unset=True, extra=ATOMIC)
    append: list[Message] = field("After the client's messages.", BEHAVIOUR, unset=True, extra=ATOMIC)


BY = ("gateway", "consumer", "group", "model", "ip", "header:NAME")
_BY = "^(gateway|consumer|group|model|ip|header:[A-Za-z0-9-]+)$"
By = Annotated[
    str, Field(pattern=_BY), WithJsonSchema({"type": "string", "pattern": _BY, "x-aigw-words": BY, "examples": BY[:5]})
]


class Limit(Strict):
    """How much may be asked for in a window. Windows are fixed and aligned to UTC."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["requests"]}, {"required": ["tokens"]}, {"required": ["cost"]}]}
    )

    name: Name = field("Name of the limit.", BEHAVIOUR, example="rpm")
    by: list[By] = field(
        "What has a counter of its own; by default where the limit stands, at a group each member.",
        {"added": ["cost"], "removed": ["breaking"], "changed": ["cost"]},
        unset=True,
        min_length=1,
        extra=SET,
    )
    per: Literal["second", "minute", "hour", "day", "week", "month"] = field(
        "The window.",
        {"changed": ["breaking", "cost"], "added": ["breaking"], "removed": ["cost"]},
        example="minute",
    )
    requests: int = field(
        "Requests in a window.",
        {"raised": ["cost"], "lowered": ["breaking"], "added": ["breaking"], "removed": ["cost"]},
        unset=True,
        ge=1,
        le=COUNT,
        example=60,
    )
    tokens: int = field(
        "Tokens in a window, prompts and answers.",
        {"raised": ["cost"], "lowered": ["breaking"], "added": ["breaking"], "removed": ["cost"]},
        unset=True,
        ge=1,
        le=COUNT,
        example=20000,
    )
    reserveOutput: int = field(
        "Tokens reserved for the answer of a request that names no cap.",
        {"raised": ["breaking"], "lowered": ["cost"], "added": ["behaviour"], "removed": ["behaviour"]},
        1024,
        ge=0,
        le=COUNT,
    )
    cost: float = field(
        "US dollars in a window.",
        {"raised": ["cost"], "lowered": ["breaking"], "added": ["breaking"], "removed": ["cost"]},
        unset=True,
        gt=0,
        le=COUNT,
        example=5000,
    )
    count: Literal["total", "input", "output"] = field(
        "Which tokens count against `tokens`.", {"changed": ["breaking", "cost"]}, "total"
    )
    onExceeded: Literal["refuse", "observe"] = field(
        "Refuse with 429, or let it pass, and count it and show it.",
        {"changed": ["breaking", "cost"]},
        "refuse",
        extra={"x-aigw-later-values": ["fallback"]},
    )
    concurrent: Later = later("Requests at the same time.")

    @model_validator(mode="after")
    def _something(self) -> Limit:
        if not self.model_fields_set & {"requests", "tokens", "cost"}:
            raise ValueError("requests, tokens or cost")
        return self


class Policies(Strict):
    model_config = part("Policies")

    promptGuard: PromptGuard = field("Refuses requests by their text.", TIGHTENS, unset=True)
    promptDecorator: PromptDecorator = field("Messages put around the client's own.", BEHAVIOUR, unset=True)
    limits: list[Limit] = field(
        "How much may be asked for.",
        {"added": ["breaking"], "removed": ["cost"], "changed": ["cost"]},
        unset=True,
        extra=keyed() | TIGHTENS_ALONE,
    )
    limitStore: Name = field(
        "Name of the store that keeps the counters of the limits; the memory of each process if absent.",
        {e: ["behaviour", "cost"] for e in ("added", "removed", "changed")},
        unset=True,
        example="counters",
    )
    responseGuard: ResponseGuard = field("Refuses, masks or logs answers by their text.", TIGHTENS, unset=True)
    requestTransformer: Transformer = field("A model that rewrites requests.", BEHAVIOUR, unset=True)
    responseTransformer: Transformer = field("A model that rewrites answers.", BEHAVIOUR, unset=True)
    cache: Cache = field("Answers that are given again.", BEHAVIOUR, unset=True)
    ipRestriction: IpRestriction = field("Which addresses may call.", TIGHTENS, unset=True)
    promptTemplates: Later = later("Templates that clients fill in.")
    configRef: ConfigRefs = parts()
