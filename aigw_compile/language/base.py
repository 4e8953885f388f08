"""What every part of the definition shares: strict models, the field helper, scalars with units, and what comes later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

Change = Mapping[str, Sequence[str]]
"""Event (added, removed, changed, raised, lowered, on, off) -> classes of change, as the diff shows them."""

COSMETIC: Change = {"added": ["cosmetic"], "removed": ["cosmetic"], "changed": ["cosmetic"]}
BEHAVIOUR: Change = {"added": ["behaviour"], "removed": ["behaviour"], "changed": ["behaviour"]}
AVAILABILITY: Change = {"added": ["availability"], "removed": ["availability"], "changed": ["availability"]}
OBSERVED: Change = {"added": ["observability"], "removed": ["observability"], "changed": ["observability"]}


class Strict(BaseModel):
    """Unknown keys are errors, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, regex_engine="rust-regex")


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


SET: dict[str, Any] = {"x-kubernetes-list-type": "set", "uniqueItems": True}
ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}


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
Label = Annotated[
    str,
    Field(
        min_length=1,
        max_length=256,
        pattern=r"^[!-~\u00a1-\U0010ffff]+$",
        json_schema_extra={"x-aigw-form": "a name without spaces"},
    ),
]
"""Model names, aliases and group names."""
Duration = Annotated[
    str, Field(pattern=r"^([0-9]{1,5}(h|m|s|ms)){1,4}$", json_schema_extra={"x-aigw-unit": "duration"})
]
Size = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(k|M|G|Ki|Mi|Gi)?$", json_schema_extra={"x-aigw-unit": "size"})]
_HOST = r"([^\s/?#@]*@)?(\[[0-9A-Fa-f:.]+\]|[^\s/?#:@\[\]]+)(:[0-9]{1,5})?"
Url = Annotated[str, Field(pattern=rf"^https?://{_HOST}(/[^\s?#]*)?$", json_schema_extra={"x-aigw-unit": "url"})]
"""What stands where a port does is a number, so that whoever splits a URL can; rules say what else is wrong with one."""
Port = Annotated[int, Field(ge=1, le=65535)]
Pattern = Annotated[str, Field(min_length=1, json_schema_extra={"x-aigw-unit": "re2"})]
