"""Authentication: how clients identify themselves, and the consumers that they are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from aigw_compile.language.base import (
    BEHAVIOUR,
    HEADER_NAME,
    SET,
    ConfigRefs,
    Label,
    Later,
    Name,
    Strict,
    Url,
    exactly,
    field,
    goes_to,
    keyed,
    later,
    ordered,
    part,
    parts,
)
from aigw_compile.language.policies import Policies
from aigw_compile.language.secrets import SecretRef

SECURED = {e: ["security-relaxing", "breaking"] for e in ("added", "removed", "changed")}


class ApiKeyAuth(Strict):
    headers: Annotated[
        list[Annotated[str, Field(pattern=HEADER_NAME, json_schema_extra={"examples": ["x-api-key"]})]],
        Field(min_length=1),
    ] = field(
        "Headers that may carry the key; the first that is present decides. `authorization` means Bearer.",
        {"added": ["security-relaxing"], "removed": ["breaking"], "changed": ["breaking"]},
        ["authorization", "x-api-key"],
        extra={"x-kubernetes-list-type": "atomic"},
    )


class Jwt(Strict):
    """An issuer whose tokens are believed."""

    model_config = ConfigDict(json_schema_extra=goes_to("*"))

    name: Name = field("Name of the issuer.", BEHAVIOUR, example="entra")
    issuer: str = field(
        "The `iss` of its tokens.", SECURED, min_length=1, example="https://login.example.com/", pattern=r"^[^\s]+$"
    )
    audiences: list[Annotated[str, Field(min_length=1, json_schema_extra={"examples": ["ai-gateway"]})]] = field(
        "One of them has to be in the token's `aud`.",
        {
            "added": ["security-relaxing"],
            "removed": ["security-tightening", "breaking"],
            "set": ["security-tightening", "breaking"],
            "unset": ["security-relaxing"],
        },
        unset=True,
        min_length=1,
        extra=SET,
    )
    jwksUri: Url = field("Where its keys are.", SECURED, example="https://login.example.com/keys")
    consumerClaim: str = field("Claim that names the consumer.", SECURED, "sub", min_length=1)
    groupsClaim: str = field("Claim that lists groups.", SECURED, unset=True, min_length=1, example="groups")
    groupMap: dict[str, Label] = field(
        "Value of the claim -> group; what is not in it is no group. Values are names of groups if absent.",
        {
            "added": ["security-relaxing"],
            "removed": ["security-tightening", "breaking"],
            "changed": ["security-relaxing", "breaking"],
            "set": ["security-tightening", "breaking"],
            "unset": ["security-relaxing", "breaking"],
        },
        unset=True,
        example={"4e0c9b1a-77aa": "internal"},
    )
    unknownConsumer: Literal["refuse", "accept"] = field(
        "What happens to a valid token whose consumer is not in the spec.",
        {"raised": ["security-relaxing"], "lowered": ["security-tightening", "breaking"]},
        "refuse",
        extra=ordered("refuse", "accept"),
    )


class Basic(Strict):
    """User names and passwords; they stand at the consumers."""


DOORS = ("apiKey", "jwt", "basic")


class Auth(Strict):
    """Which doors are open: API keys, tokens, passwords; or, alone, everybody."""

    model_config = part(
        "Auth",
        {
            "x-aigw-one-of": [*DOORS, "anonymous"],
            "x-aigw-alone": "anonymous",
            "oneOf": [
                {"required": ["anonymous"], "maxProperties": 1},
                {"anyOf": [{"required": [door]} for door in DOORS], "not": {"required": ["anonymous"]}},
            ],
        },
    )

    apiKey: ApiKeyAuth = field(
        "Consumers identify themselves with an API key; the keys stand at the consumers.",
        {"added": ["security-relaxing"], "removed": ["breaking"], "changed": ["behaviour"]},
        unset=True,
    )
    anonymous: Annotated[Literal[True], exactly(bool)] = field(
        "Everybody may call, without a key.",
        {
            "added": ["security-relaxing"],
            "removed": ["security-tightening", "breaking"],
            "on": ["security-relaxing"],
            "off": ["security-tightening"],
        },
        unset=True,
    )
    jwt: Annotated[list[Jwt], Field(min_length=1)] = field(
        "Consumers identify themselves with a JSON Web Token of one of these issuers.",
        {"added": ["security-relaxing"], "removed": ["breaking"], "changed": ["behaviour"]},
        unset=True,
        extra=keyed(),
        example=[
            {"name": "entra", "issuer": "https://login.example.com/", "jwksUri": "https://login.example.com/keys"}
        ],
    )
    basic: Basic = field(
        "Consumers identify themselves with a user name and a password; they stand at the consumers.",
        {"added": ["security-relaxing"], "removed": ["breaking"], "changed": ["behaviour"]},
        unset=True,
    )
    hmac: Later = later("Signed requests.")
    oidc: Later = later("OpenID Connect.")
    mtls: Later = later("Client certificates.")
    configRef: ConfigRefs = parts()

    @model_validator(mode="after")
    def _one(self) -> Auth:
        given = self.model_fields_set
        if not given or ("anonymous" in given and len(given) > 1):
            raise ValueError("apiKey, jwt, basic, or anonymous alone")
        return self


CREDENTIAL = {"added": ["security-relaxing"], "removed": ["breaking"], "changed": ["breaking"]}


class Login(Strict):
    username: str = field(
        "User name, without a colon.",
        CREDENTIAL,
        min_length=1,
        pattern=r"^[^\x00-\x20:\x7f]+$",
        example="app",
        extra={"x-aigw-form": "user name"},
    )
    password: SecretRef = field("The password.", CREDENTIAL, example={"env": "APP_PASSWORD"})


class ConsumerCredential(Strict):
    model_config = ConfigDict(
        json_schema_extra={
            "x-aigw-one-of": ["apiKey", "basic"],
            "oneOf": [{"required": ["apiKey"]}, {"required": ["basic"]}],
        }
    )

    apiKey: SecretRef = field("The consumer's API key.", CREDENTIAL, unset=True, example={"env": "APP_KEY"})
    basic: Login = field(
        "The consumer's user name and password.",
        CREDENTIAL,
        unset=True,
        example={"username": "app", "password": {"env": "APP_PASSWORD"}},
    )

    @model_validator(mode="after")
    def _one(self) -> ConsumerCredential:
        if len(self.model_fields_set) != 1:
            raise ValueError("apiKey or basic")
        return self


class ConsumerGroup(Strict):
    model_config = part("ConsumerGroup")

    name: Label = field("Name of the group.", BEHAVIOUR, example="internal")
    policies: Policies = field("Policies of every member.", BEHAVIOUR, unset=True)
    configRef: ConfigRefs = parts()


class Consumer(Strict):
    model_config = part("Consumer")

    name: Name = field(
        "Name of the application.",
        {"added": ["security-relaxing"], "removed": ["breaking"], "changed": ["breaking"]},
        example="app",
    )
    groups: list[Label] = field(
        "Groups it is a member of.",
        {"added": ["security-relaxing"], "removed": ["breaking"]},
        unset=True,
        extra=SET,
        example=["internal"],
    )
    credentials: list[ConsumerCredential] = field(
        "What it identifies itself with.",
        {
            "added": ["security-relaxing"],
            "removed": ["breaking"],
            "changed": ["breaking"],
            "moved": ["cosmetic"],
        },
        unset=True,
        extra={"x-kubernetes-list-type": "atomic"},
    )
    policies: Policies = field("Policies of this consumer.", BEHAVIOUR, unset=True)
    configRef: ConfigRefs = parts()
