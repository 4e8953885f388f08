"""What a table says of one release: fields, rules and plugins as frozen values, and a fault that is found with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Pointer


class Fault(NamedTuple):
    """Something that Kong would refuse, or take for something else."""

    path: Pointer
    """Inside the config of the plugin, or inside the entity."""
    message: str
    right: str
    """What would be right, and which version has it."""


class Field(NamedTuple):
    """A field of a configuration, as one release has it. The words are explained in targets/kong/plugins/README.md."""

    type: str
    required: bool = False
    optional: bool = False
    """A record that is not filled in where nobody wrote it."""
    default: Any = None
    one_of: tuple[Any, ...] = ()
    later: Mapping[Any, str] = {}
    """Value -> which releases take it, where this one does not."""
    between: tuple[float, float] | None = None
    above: float | None = None
    length: tuple[int, int | None] = (1, None)
    match: str = ""
    form: str = ""
    exclusive: tuple[frozenset[str], ...] = ()
    reference: bool = False
    encrypted: bool = False
    template: bool = False
    of: Field | None = None
    keys: Field | None = None
    fields: Mapping[str, Field] = {}
    elsewhere: Mapping[str, str] = {}
    """Field -> which releases have it, where this one does not."""
    needed: tuple[str, ...] = ()
    """Those fields that must be written."""
    rules: tuple[Rule, ...] = ()
    partial: bool = False
    """There are more fields than the table knows."""


class Rule(NamedTuple):
    """A rule over several fields: `kind` names its function in rules.py; `when` says where it holds."""

    kind: str
    fields: tuple[str, ...]
    values: Mapping[str, Any] = {}
    when: Mapping[str, Any] = {}


class Plugin(NamedTuple):
    config: Field
    scopes: frozenset[str]
    """What it may stand at beside standing at nothing."""
    protocols: tuple[str, ...] = ()
    """For which it is, where nobody says; empty is what every plugin has."""


ABSENT = Field("absent")
