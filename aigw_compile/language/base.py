"""What every part of the definition shares: strict models, the field helper, scalars with units, and what comes later."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, RootModel, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

Change = Mapping[str, Sequence[str]]
"""Event (added, removed, changed, raised, lowered, on, off, moved) -> classes of change, as the diff shows them. `set` and `unset`:
a list or map as a whole comes or goes, where an absent one means all; a text with an order is raised or lowered in it."""

COSMETIC: Change = {"added": ["cosmetic"], "removed": ["cosmetic"], "changed": ["cosmetic"]}
BEHAVIOUR: Change = {"added": ["behaviour"], "removed": ["behaviour"], "changed": ["behaviour"]}
AVAILABILITY: Change = {"added": ["availability"], "removed": ["availability"], "changed": ["availability"]}
LONGER: Change = {
    "raised": ["behaviour"],
    "lowered": ["availability"],
    "added": ["behaviour"],
    "removed": ["behaviour"],
}
"""A timeout."""
OBSERVED: Change = {"added": ["observability"], "removed": ["observability"], "changed": ["observability"]}


_CAPITALS = {"url": "URL", "uri": "URI", "id": "ID", "ip": "IP", "tls": "TLS", "cpu": "CPU", "ca": "CA", "kv": "KV"}
_CAPITALS |= {
    "jwt": "JWT",
    "jwks": "JWKS",
    "cors": "CORS",
    "otlp": "OTLP",
    "aws": "AWS",
    "arn": "ARN",
    "ttl": "TTL",
    "gcp": "GCP",
    "api": "API",
}


def words(name: str) -> str:
    """Return a name of the language as words, which editors show: baseUrl is `Base URL`."""
    found = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
    found[0] = found[0].capitalize()
    return " ".join(_CAPITALS.get(word.lower(), word) for word in found)


class Strict(BaseModel):
    """Unknown keys are errors, and nothing is converted."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        regex_engine="rust-regex",
        field_title_generator=lambda name, _: words(name),
        model_title_generator=lambda model: words(model.__name__),
    )


def field(description: str, change: Change, default: Any = ..., **more: Any) -> Any:
    """Declare a field: what it is for, what a change of it means, and its default. `unset=True`: optional, no default."""
    extra: dict[str, Any] = {"x-aigw-change": {k: list(v) for k, v in change.items()}, **more.pop("extra", {})}
    if more.pop("unset", False):
        default = None
        extra["x-aigw-unset"] = True
    if "example" in more:
        extra["examples"] = [more.pop("example")]
    return Field(default, description=description, json_schema_extra=extra, **more)


def keyed() -> dict[str, Any]:
    """A list whose items are told apart by their name."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}


def ordered(*values: str) -> dict[str, Any]:
    """Values of which each is more than the one before it: a change is raised or lowered."""
    return {"x-aigw-order": [*values]}


SET: dict[str, Any] = {"x-kubernetes-list-type": "set", "uniqueItems": True}
ALWAYS: dict[str, Any] = {"x-aigw-always": True}
"""An object whose defaults hold where nobody wrote it."""
ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}


def blocks(
    own: Mapping[str, Sequence[str]], needed: Sequence[str], types: Sequence[str] = (), default: str = ""
) -> dict[str, Any]:
    """Say which fields stand only with a certain `type`, and which types need theirs.

    own: type -> its fields; `types`: every type, where some have no fields of their own; `default`: what an absent type is.
    """
    rules = []
    for kind in types or own:
        others = {name: other for other in own if other != kind for name in own[other]}
        then: dict[str, Any] = {
            "properties": {name: {"not": {}, "x-aigw-only-with": f"type: {other}"} for name, other in others.items()}
        }
        if kind in needed:
            then["required"] = [*own[kind]]
        given = {} if kind == default else {"required": ["type"]}
        rules.append({"if": {"properties": {"type": {"const": kind}}, **given}, "then": then})
    return {"allOf": rules}


def check_blocks(model: BaseModel, own: Mapping[str, Sequence[str]], needed: Sequence[str]) -> None:
    """The same for pydantic. Raises ValueError."""
    kind = str(getattr(model, "type"))  # noqa: B009 - a field of those models that have blocks
    mine = set(own.get(kind, ()))
    given = model.model_fields_set & {name for names in own.values() for name in names}
    if given - mine or (kind in needed and mine - given):
        raise ValueError("the fields of this type, and no others")


def exactly(kind: type) -> BeforeValidator:
    """A literal of this very type: to Python `1 == True == 1.0`, to a schema they are three things."""

    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise PydanticCustomError("type", "of another type")
        return value

    return BeforeValidator(check)


class _Never:
    """A field that exists in the language but not in this version, or is reserved: any value is refused."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        def refuse(value: Any) -> Any:
            raise PydanticCustomError("later", "not in this version yet")

        return core_schema.no_info_plain_validator_function(refuse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"not": {}, self.mark: True}


Later = Annotated[Any, _Never("x-aigw-later")]
Reserved = Annotated[Any, _Never("x-aigw-reserved")]


def later(description: str) -> Any:
    """Declare a field of the language that this version answers with AIG1009."""
    return Field(None, description=description, json_schema_extra={"x-aigw-unset": True, "x-aigw-change": {}})


Name = Annotated[
    str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", json_schema_extra={"x-aigw-form": "a DNS label"})
]
"""Resource and part names."""
_UNSEEN = (
    r"\u0000-\u0020\u007f-\u00a0\u00ad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff0-\ufffb"
)
"""Controls, spaces, and what is invisible or turns the direction of text: the same in the regular expressions of
Rust, ECMAScript and Python, which editors and other readers of the schema have."""
Label = Annotated[
    str,
    Field(
        min_length=1,
        max_length=256,
        pattern=rf"^[^{_UNSEEN}]+$",
        json_schema_extra={"x-aigw-form": "a name without spaces"},
    ),
]
"""Model names, aliases and group names."""
Duration = Annotated[
    str, Field(pattern=r"^([0-9]{1,5}(h|m|s|ms)){1,4}$", json_schema_extra={"x-aigw-unit": "duration"})
]
_SIZE = r"^[0-9]+(\.[0-9]+)?(k|M|G|Ki|Mi|Gi)?$"
Size = Annotated[
    Annotated[str, Field(pattern=_SIZE)] | Annotated[int, Field(ge=1)],
    WithJsonSchema({"type": ["string", "integer"], "pattern": _SIZE, "minimum": 1, "x-aigw-unit": "size"}),
]
"""A Kubernetes quantity of bytes; a bare number is bytes."""
_HOST = r"([^\s/?#@]*@)?(\[[0-9A-Fa-f:.]+\]|[^\s/?#:@\[\]]+)(:[0-9]{1,5})?"
Url = Annotated[str, Field(pattern=rf"^https?://{_HOST}(/[^\s?#]*)?$", json_schema_extra={"x-aigw-unit": "url"})]
"""What stands where a port does is a number, so that whoever splits a URL can; rules say what else is wrong with one."""
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_V4 = rf"{_BYTE}(\.{_BYTE}){{3}}"
_HEX = "[0-9A-Fa-f]{1,4}"
_V6 = "|".join(
    [
        f"({_HEX}:){{7}}{_HEX}",
        *(f"({_HEX}:){{{n}}}(:{_HEX}){{1,{7 - n}}}" for n in range(1, 7)),
        f"({_HEX}:){{1,7}}:",
        f":((:{_HEX}){{1,7}}|:)",
    ]
)
Address = Annotated[
    str,
    Field(pattern=f"^({_V4}|{_V6})$", json_schema_extra={"x-aigw-unit": "ip", "examples": ["127.0.0.1"]}),
]
"""An IPv4 or IPv6 address to listen on; no names, since nothing is looked up while compiling."""
Cidr = Annotated[
    str,
    Field(
        pattern=f"^(({_V4})(/(3[0-2]|[12]?[0-9]))?|({_V6})(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)$",
        json_schema_extra={"x-aigw-unit": "cidr", "examples": ["10.0.0.0/8"]},
    ),
]
"""A range of addresses; an address alone is a range of one."""
Date = Annotated[
    str,
    Field(
        pattern="^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
        json_schema_extra={"x-aigw-unit": "date", "examples": ["2027-03-31"]},
    ),
]
HostPort = Annotated[
    str,
    Field(
        pattern=r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$",
        json_schema_extra={"x-aigw-unit": "hostport", "examples": ["redis.internal:6379"]},
    ),
]
HEADER_NAME = "^[A-Za-z0-9-]+$"
Percent = Annotated[
    Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern="^(100|[1-9]?[0-9])%$")],
    WithJsonSchema(
        {"type": ["integer", "string"], "pattern": "^(100|[1-9]?[0-9])%$", "minimum": 0, "x-aigw-unit": "percent"}
    ),
]
"""A number, or a share of all such as 50%."""
COUNT = 9_007_199_254_740_991
"""Largest whole number that every reader of JSON and Lua keeps as it is (2^53 - 1)."""
Port = Annotated[int, Field(ge=1, le=65535)]
Pattern = Annotated[str, Field(min_length=1, json_schema_extra={"x-aigw-unit": "re2"})]


class ConfigRef(Strict):
    """Names a part: a document of kind AIGatewayConfig, whose settings are taken over."""

    name: Name = field("Name of the part.", BEHAVIOUR, example="org-baseline")
    file: str = field(
        "File that holds it, relative to this one, where it is not among the files of the project.",
        BEHAVIOUR,
        unset=True,
        pattern=r"^[^/\\\x00-\x1f][^\\\x00-\x1f]*$",
        example="../platform/baseline.yaml",
        extra={"x-aigw-form": "relative path"},
    )
    digest: str = field(
        "Digest that it must have; `aigw-compile pin` writes it.",
        BEHAVIOUR,
        unset=True,
        pattern="^sha256:[0-9a-f]{64}$",
        example="sha256:" + "0123456789abcdef" * 4,
        extra={"x-aigw-form": "digest"},
    )


def either(one: type[BaseModel]) -> ConfigDict:
    """Write `anyOf` a model and something else as one schema with a say on both, which messages and editors read best."""

    def flatten(schema: dict[str, Any]) -> None:
        other = next(choice for choice in schema.pop("anyOf") if "$ref" not in choice)
        mine = one.model_json_schema()
        schema |= other | {key: mine[key] for key in ("additionalProperties", "properties", "required")}
        schema |= {"title": mine["title"], "type": [other["type"], "object"]}

    return ConfigDict(strict=True, json_schema_extra=flatten)


_Several = Annotated[
    list[ConfigRef], Field(min_length=1, json_schema_extra={**ATOMIC, "x-kubernetes-map-type": "atomic"})
]


class ConfigRefs(RootModel[_Several | ConfigRef]):
    """A part to build on, or several, the weakest first."""

    model_config = either(ConfigRef)


def parts() -> Any:
    """Declare the field that takes over the settings of parts."""
    text = "Parts to take settings from, the weakest first; what stands beside it is stronger than all of them."
    return field(text, BEHAVIOUR, unset=True, example=[{"name": "org-baseline"}])


def part(kind: str, *marks: Mapping[str, Any]) -> ConfigDict:
    """Mark a type that a part can be for. `marks`: what else its schema says."""
    extra: dict[str, Any] = {"x-aigw-part": kind}
    for mark in marks:
        extra |= mark
    return ConfigDict(json_schema_extra=extra)


def goes_to(*fields: str) -> dict[str, Any]:
    """Mark an object that holds a credential with the fields that say where it is sent; `*` is every field."""
    return {"x-aigw-destination": [*fields]}


TIGHTENS_ALONE = {"x-aigw-only-tightens": True}
"""A list whose items only forbid, so that adding one cannot undo what another says."""
