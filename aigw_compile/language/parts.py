"""Parts: the document that others refer to, what it sets, and its contract with whoever refers to it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, RootModel, model_validator

from aigw_compile.language.base import (
    ATOMIC,
    BEHAVIOUR,
    COSMETIC,
    SET,
    ConfigRefs,
    Name,
    Strict,
    either,
    field,
    parts,
)
from aigw_compile.language.secrets import FORMS

For = Literal[
    "AIGateway",
    "Listener",
    "Vault",
    "Provider",
    "Model",
    "Target",
    "Auth",
    "Consumer",
    "ConsumerGroup",
    "Store",
    "Policies",
    "Observability",
    "Deployment",
]
Text = Annotated[str, Field(min_length=1)]
HIDES = ["providers[*].auth", "vaults"]


class Metadata(Strict):
    name: Name = field("Name of the part; no two of a project have the same.", BEHAVIOUR, example="org-baseline")
    labels: dict[str, str] = field("Labels for people and tools.", COSMETIC, unset=True, example={"team": "platform"})
    annotations: dict[str, str] = field(
        "Annotations for people and tools.", COSMETIC, unset=True, example={"example.com/owner": "platform"}
    )


class Lock(Strict):
    path: Text = field("The field.", BEHAVIOUR, example="policies.promptGuard.deny")
    allow: Literal["add"] = field(
        "add: referrers may add items, and change none. For lists whose items only forbid.", BEHAVIOUR, unset=True
    )


class LockOrPath(RootModel[Text | Lock]):
    """The path of a field, or with what may still be done to it."""

    model_config = either(Lock)


class Constraint(Strict):
    path: Text = field("The field.", BEHAVIOUR, example="models[*].policies.limits[*].tokens")
    rule: dict[str, Any] = field(
        "JSON Schema that every value of the field has to fit; seconds, bytes and US dollars are numbers.",
        BEHAVIOUR,
        alias="schema",
        title="Schema",
        min_length=1,
        example={"maximum": 200000},
    )
    required: bool = field("Whether the field has to be set wherever it can be.", BEHAVIOUR, False)


class KubernetesGlobs(Strict):
    name: Text = field("Glob of names of Secrets.", BEHAVIOUR, example="team-*")
    key: Text = field("Glob of keys inside them.", BEHAVIOUR, example="*")


class SecretGlobs(Strict):
    """SecretRefs with globs, of which `*` is any text: exactly one of env, file, vault or kubernetes."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-aigw-one-of": list(FORMS),
            "oneOf": [{"required": [form]} for form in FORMS],
            "dependentRequired": {"vault": ["key"], "key": ["vault"]},
        }
    )

    env: Text = field("Glob of environment variables.", BEHAVIOUR, unset=True, example="SUPPORT_*")
    file: Text = field("Glob of absolute paths.", BEHAVIOUR, unset=True, example="/run/secrets/support/*")
    vault: Text = field("Glob of vaults.", BEHAVIOUR, unset=True, example="apps")
    key: Text = field("Glob of entries in them.", BEHAVIOUR, unset=True, example="support/*")
    kubernetes: KubernetesGlobs = field("Globs of Kubernetes Secrets and keys in them.", BEHAVIOUR, unset=True)

    @model_validator(mode="after")
    def _one_form(self) -> SecretGlobs:
        given = self.model_fields_set
        if len(given & set(FORMS)) != 1 or ("vault" in given) != ("key" in given):
            raise ValueError("exactly one of env, file, vault or kubernetes; a vault needs a key")
        return self


class Referrer(Strict):
    path: Text = field("Glob of files, from the root of the project; ** is any folders.", BEHAVIOUR, example="teams/**")


class Friend(Strict):
    name: Name = field("Name of the part.", BEHAVIOUR, example="region-eu")
    path: Text = field("File that it has to stand in.", BEHAVIOUR, unset=True, example="platform/region-eu.yaml")


class FriendOrName(RootModel[Name | Friend]):
    """The name of a part, or with where it has to stand."""

    model_config = either(Friend)


class Contract(Strict):
    """What binds whoever refers to the part. Paths are relative to the type it is for; `[*]` is every item."""

    model_config = ConfigDict(
        json_schema_extra={"not": {"required": ["hide", "expose"]}, "x-aigw-not-both": ["hide", "expose"]}
    )

    hide: list[Text] = field(
        "Fields that take effect, cannot be set and are not seen.", BEHAVIOUR, unset=True, extra=SET, example=HIDES
    )
    lock: list[LockOrPath] = field(
        "Fields that are seen, and stay as they are, also where the part leaves them unset.",
        BEHAVIOUR,
        unset=True,
        extra=ATOMIC,
        example=["observability.accessLog.payloads", {"path": "policies.promptGuard.deny", "allow": "add"}],
    )
    expose: list[Text] = field(
        "Instead of hide: the only fields that are seen and may be set.",
        BEHAVIOUR,
        unset=True,
        min_length=1,
        extra=SET,
        example=["models", "policies.limits"],
    )
    open: list[Text] = field(
        "Fields that say where a credential of the part is sent, and may be set all the same.",
        BEHAVIOUR,
        unset=True,
        extra=SET,
        example=["providers[*].headers"],
    )
    constrain: list[Constraint] = field(
        "Bounds that values have to keep.",
        BEHAVIOUR,
        unset=True,
        extra=ATOMIC,
        example=[{"path": "models[*].policies.limits[*].tokens", "schema": {"maximum": 200000}}],
    )
    secrets: list[SecretGlobs] = field(
        "The only secrets that referrers may name; any if absent.",
        BEHAVIOUR,
        unset=True,
        extra=ATOMIC,
        example=[{"env": "SUPPORT_*"}, {"vault": "apps", "key": "support/*"}],
    )
    referrers: list[Referrer] = field(
        "The only files that may refer to the part; any if absent.",
        BEHAVIOUR,
        unset=True,
        min_length=1,
        extra=ATOMIC,
        example=[{"path": "teams/**"}],
    )
    friends: list[FriendOrName] = field(
        "Parts that hide and lock do not bind.", BEHAVIOUR, unset=True, extra=ATOMIC, example=["region-eu"]
    )

    @model_validator(mode="after")
    def _not_both(self) -> Contract:
        if {"hide", "expose"} <= self.model_fields_set:
            raise ValueError("hide or expose")
        return self


class PartSpec(Strict):
    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["config"]}, {"required": ["configRef"]}]})

    kind: For = field("What it is a part of: the type whose fields `config` has.", BEHAVIOUR, alias="for", title="For")
    configRef: ConfigRefs = parts()
    config: dict[str, Any] = field(
        "What it sets: fields of that type, none of them required.",
        BEHAVIOUR,
        unset=True,
        example={"policies": {"limits": [{"name": "rpm", "per": "minute", "requests": 60}]}},
    )
    fields: Contract = field("What binds whoever refers to it.", BEHAVIOUR, unset=True, example={"hide": ["vaults"]})

    @model_validator(mode="after")
    def _something(self) -> PartSpec:
        if not {"config", "configRef"} & self.model_fields_set:
            raise ValueError("config or configRef")
        return self


class AIGatewayConfig(Strict):
    """A part: settings that gateways and other parts take over by a configRef, and what these may do to them."""

    apiVersion: Literal["aigw.dev/v1alpha1"] = field("Version of the language.", COSMETIC)
    kind: Literal["AIGatewayConfig"] = field("Kind of document.", COSMETIC)
    metadata: Metadata = field("Name and labels.", COSMETIC, example={"name": "org-baseline"})
    spec: PartSpec = field("The part.", BEHAVIOUR)
