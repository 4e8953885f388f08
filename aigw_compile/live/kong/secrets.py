"""Entities of Kong as they are read to entities without a secret: what stands at a secret place becomes a Secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aigw_compile import plugins
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at
from aigw_compile.live.secrets import LOGIN, Secret
from aigw_compile.rules.providers import CREDENTIAL_HEADER

FIELDS: Mapping[str, frozenset[str]] = {
    "keyauth_credentials": frozenset({"key"}),
    "basicauth_credentials": frozenset({"password"}),
    "hmacauth_credentials": frozenset({"secret"}),
    "jwt_secrets": frozenset({"secret"}),
    "certificates": frozenset({"key", "key_alt"}),
}
"""Kind -> its fields that are secret."""

_VAULT = re.compile(r"(.*_)?(token|secret|secret_id|password|api_key|access_key|cert_key)")
"""Fields of a vault's configuration that hold what it logs in with (Kong's documentation, vaults)."""
_LISTED = re.compile(r"(?P<head>[A-Za-z0-9_.-]+)\s*:")
_LISTS = ("headers", "querystring", "body")
"""Lists of `name:value`, as request-transformer has them."""


def masked(kind: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return an entity without its secrets. References to a vault are none."""
    made = _copy(value, lambda path, text: _secret(kind, value, path, text), ())
    assert isinstance(made, dict)
    return made


def _secret(kind: str, entity: Mapping[str, Any], path: Pointer, value: Any) -> bool:
    if isinstance(value, str) and value.startswith("{vault://"):
        return False
    field = str(path[-1]) if path and isinstance(path[-1], str) else ""
    if len(path) == 1:
        return field in FIELDS.get(kind, ())
    if kind == "vaults" and path[0] == "config":
        return _VAULT.fullmatch(field) is not None
    names = [step for step in path if isinstance(step, str)]
    if CREDENTIAL_HEADER.fullmatch(names[-1].lower()) and len(names) > 1 and names[-2] == "headers":
        return True
    if isinstance(value, str) and LOGIN.search(value):
        return True
    listed = _LISTED.match(value) if isinstance(value, str) and names[-1] in _LISTS else None
    if listed and CREDENTIAL_HEADER.fullmatch(listed["head"].lower()):
        return True
    if kind == "plugins" and path[0] == "config":
        name = str(entity.get("name"))
        inside = path[1:]
        if isinstance(inside[0], str) and inside[0].startswith("redis_"):  # an old name of a field below `redis`
            inside = ("redis", inside[0].removeprefix("redis_"), *inside[1:])
        places = (inside[:end] for end in range(1, len(inside) + 1))
        return any(plugins.secret(name, place) for place in places) or not plugins.has(name, inside)
    return False


def _copy(value: Any, secret: Any, path: Pointer) -> Any:
    if isinstance(value, Block):
        origins = value.origins
        made = {k: _copy(v, secret, (*path, k)) for k, v in value.items()}
        return Block(value.origin, {k: at(v, *origins[k]) if k in origins else v for k, v in made.items()})
    if isinstance(value, dict):
        return {k: _copy(v, secret, (*path, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_copy(v, secret, (*path, i)) for i, v in enumerate(value)]
    if value is None or isinstance(value, (bool, Secret)):
        return value
    if secret(path, value):
        return Secret(value)
    return value
