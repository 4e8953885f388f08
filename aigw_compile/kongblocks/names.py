"""Names of the spec to names that Kong takes: the same each time, told apart where they would be equal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import At, Block, at

TAG = "managed-by-aigw-compile"
GATEWAY_TAG = "aigw-gateway:"
"""What stands before a gateway's name in the second tag: several gateways can share a Kong."""


def gateway_tag(name: str) -> str:
    """Return the tag that says whose an entity is."""
    return f"{GATEWAY_TAG}{name}"


def tags(gateway: ir.Gateway) -> At:
    """Return the tags of every entity: who made it, and for which gateway."""
    return at([TAG, gateway_tag(gateway.name)], ("metadata", "name"))


def sign(gateway: ir.Gateway, value: Any) -> None:
    """Put the gateway's tag behind ours, wherever in a value that stands alone."""
    if isinstance(value, list):
        for item in value:
            sign(gateway, item)
    elif isinstance(value, dict):
        for inner in value.values():
            sign(gateway, inner)
        found, signed = value.get("tags"), tags(gateway)
        if isinstance(found, list) and found[:1] == [TAG] and found[:2] != signed.value:
            origins = value.origins.get("tags", ()) if isinstance(value, Block) else ()
            written = at([*signed.value, *found[1:]], *signed.origins, *origins)
            value["tags"] = written if isinstance(value, Block) else written.value


def slugs(names: Iterable[str]) -> Mapping[str, str]:
    """Return a short name of small letters, digits and `-` for each name; an equal one gets a number."""
    taken: dict[str, str] = {}
    for name in names:
        base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "x"
        slug, number = base, 2
        while slug in taken.values():
            slug, number = f"{base}-{number}", number + 1
        taken[name] = slug
    return taken


def tag(text: str) -> str:
    """Return a text as Kong allows it in a tag: without `,` and `/` (3.9.3, db/schema/typedefs.lua)."""
    return re.sub(r"[,/\x00-\x1f\x7f]", "-", text)


def model_slugs(gateway: ir.Gateway) -> Mapping[str, str]:
    """Return the short name of each model."""
    return slugs(m.name for m in gateway.models)


def public_names(model: ir.Model) -> tuple[tuple[str, Pointer], ...]:
    """Return the names that clients call a model by, each with its place."""
    aliases = ((alias, (*model.origin, "aliases", i)) for i, alias in enumerate(model.aliases))
    return ((model.name, (*model.origin, "name")), *aliases)


_REGEX = re.compile(r"[\\.+*?()|\[\]{}^$]")
_RESERVED = "!*'();:@&=+$,?%#[]"


def path(base: str, name: str, door: str) -> str:
    """Return the exact route path for a model name below a base path, as a regular expression of Kong's router.

    Kong compares the path after decoding all but reserved characters (3.9.3, tools/uri.lua); those may come both ways.
    """
    return f"~{_plain(base)}/{''.join(map(_either, name))}{_plain(door)}$"


def only_path(base: str, door: str) -> str:
    """Return the exact route path of a door that names no model."""
    return f"~{_plain(base)}{door}$"


def _plain(text: str) -> str:
    return _REGEX.sub(lambda m: f"\\{m[0]}", text)


def _either(c: str) -> str:
    if c not in _RESERVED:
        return _plain(c)
    encoded = f"%{ord(c):02X}"
    return encoded if c in "?%#" else f"(?:{_plain(c)}|{encoded})"
