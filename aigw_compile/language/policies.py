"""Policies: guards, decorators and limits, wherever they stand."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, model_validator

from aigw_compile.language.base import ATOMIC, BEHAVIOUR, COUNT, SET, Later, Name, Pattern, Strict, field, keyed, later

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
TIGHTENS = {"added": ["security-tightening"], "removed": ["security-relaxing"], "changed": ["security-relaxing"]}
RELAXES = {"added": ["security-relaxing"], "removed": ["security-tightening"], "changed": ["security-relaxing"]}


class PromptGuard(Strict):
    """Refuses a request by its text. Every guard that applies must pass."""

    deny: list[Pattern] = field("RE2 patterns; a match in any text in scope refuses.", TIGHTENS, unset=True, extra=SET)
    allow: list[Pattern] = field(
        "RE2 patterns; every user message in scope must match one.",
        {"added": ["security-relaxing"], "removed": ["security-tightening"], "changed": ["security-relaxing"]},
        unset=True,
        extra=SET,
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
        {"changed": ["security-relaxing"], "added": [], "removed": []},
        "conversation",
    )


class Message(Strict):
    role: Literal["system", "developer", "user", "assistant"] = field("Who says it.", BEHAVIOUR)
    content: str = field("What is said.", BEHAVIOUR, min_length=1, example="Answer in one sentence.")


class PromptDecorator(Strict):
    """Messages put around the client's own. All that apply do, the gateway's outermost."""

    prepend: list[Message] = field("Before the client's messages.", BEHAVIOUR, unset=True, extra=ATOMIC)
    append: list[Message] = field("After the client's messages.", BEHAVIOUR, unset=True, extra=ATOMIC)


class Limit(Strict):
    """How much may be asked for in a window. Windows are fixed and aligned to UTC."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["requests"]}, {"required": ["tokens"]}]})

    name: Name = field("Name of the limit.", BEHAVIOUR, example="rpm")
    by: list[Literal["gateway", "consumer", "group", "model"]] = field(
        "What has a counter of its own; by default where the limit stands, at a group each member.",
        {"added": ["cost"], "removed": ["breaking"], "changed": ["cost"]},
        unset=True,
        min_length=1,
        extra={**SET, "x-aigw-later-values": ["ip", "header:"]},
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
    cost: Later = later("US dollars in a window.")
    concurrent: Later = later("Requests at the same time.")
    count: Later = later("Which tokens count.")
    onExceeded: Later = later("Refuse, observe or fall back.")

    @model_validator(mode="after")
    def _something(self) -> Limit:
        if not self.model_fields_set & {"requests", "tokens"}:
            raise ValueError("requests or tokens")
        return self


class Policies(Strict):
    promptGuard: PromptGuard = field("Refuses requests by their text.", TIGHTENS, unset=True)
    promptDecorator: PromptDecorator = field("Messages put around the client's own.", BEHAVIOUR, unset=True)
    limits: list[Limit] = field(
        "How much may be asked for.",
        {"added": ["breaking"], "removed": ["cost"], "changed": ["cost"]},
        unset=True,
        extra=keyed(),
    )
    responseGuard: Later = later("Refuses, masks or logs answers by their text.")
    promptTemplates: Later = later("Templates that clients fill in.")
    requestTransformer: Later = later("A model that rewrites requests.")
    responseTransformer: Later = later("A model that rewrites answers.")
    cache: Later = later("Answers that are given again.")
    ipRestriction: Later = later("Which addresses may call.")
    limitStore: Later = later("The store of the counters.")
    configRef: Later = later("A part to take policies from.")
