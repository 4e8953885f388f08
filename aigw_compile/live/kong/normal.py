"""An entity of Kong to its normal form: defaults filled in, what only a running Kong adds left out, order where it counts alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from aigw_compile import plugins
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at
from aigw_compile.live.secrets import Secret
from aigw_compile.target import Release

RUNTIME = frozenset({"id", "created_at", "updated_at", "ws_id", "cache_key", "__key__", "_comment", "_ignore"})
"""What Kong adds by itself, and what only a file has."""
ALSO_RUNTIME: Mapping[str, frozenset[str]] = {
    "consumers": frozenset({"username_lower", "type"}),
    "certificates": frozenset({"metadata"}),
    "ca_certificates": frozenset({"cert_digest", "metadata"}),
}
"""Fields that Enterprise and Konnect add (Kong's documentation; go-kong's types)."""
ELSEWHERE = frozenset({"tcp", "tls", "tls_passthrough", "udp", "ws", "wss"})
"""Protocols that no route of ours has. Which of them a plugin has by default differs by plugin, version and edition."""
PORTS = {"http": 80, "https": 443}


class Values(tuple[Any, ...]):
    """A list of plain values: it changes as one."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"[{', '.join(map(_word, self))}]"


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def normal(kind: str, entity: Mapping[str, Any], release: Release) -> dict[str, Any]:
    """Return an entity as Kong of that version would have it; a Block keeps its origins."""
    left = RUNTIME | ALSO_RUNTIME.get(kind, frozenset())
    value = {k: v for k, v in entity.items() if k not in left and v is not None}
    if isinstance(url := value.get("url"), str):
        value = {**_split(url), **{k: v for k, v in value.items() if k != "url"}}
    if kind == "plugins":
        config = value.get("config")
        written = _renamed(config) if isinstance(config, dict) else {}
        value["config"] = plugins.filled(str(value.get("name")), written, release, whole=True)
    filled = plugins.entity_filled(kind, value, release)
    if kind == "plugins" and isinstance(protocols := filled.get("protocols"), list):
        filled["protocols"] = [p for p in protocols if p not in ELSEWHERE]
    made = _canonical(_traced(filled, entity), kind, value, ())
    assert isinstance(made, dict)
    return made


def _split(url: str) -> dict[str, Any]:
    """The fields that the shorthand `url` of a service stands for."""
    try:
        split = urlsplit(url)
        fields = {"protocol": split.scheme, "host": split.hostname, "port": split.port or PORTS.get(split.scheme)}
    except ValueError:
        return {"host": url}
    return {k: v for k, v in {**fields, "path": split.path}.items() if v}


def _renamed(config: Mapping[str, Any]) -> dict[str, Any]:
    """Old names of the fields below `redis`, which a running Kong still shows beside the new ones (3.9.3, shorthand_fields)."""
    old = {k: v for k, v in config.items() if k.startswith("redis_")}
    made = {k: v for k, v in config.items() if k not in old}
    given = {k.removeprefix("redis_"): v for k, v in old.items() if v is not None}
    redis = made.get("redis")
    if given:
        made["redis"] = (
            {**given, **{k: v for k, v in redis.items() if v is not None}} if isinstance(redis, dict) else given
        )
    return made


def _traced(value: Any, source: Any) -> Any:
    """The same value with the origins that its source has."""
    if isinstance(value, dict):
        inner = source if isinstance(source, dict) else {}
        made = {k: _traced(v, inner.get(k)) for k, v in value.items()}
        if not isinstance(source, Block):
            return made
        origins = source.origins
        return Block(source.origin, {k: at(v, *origins[k]) if k in origins else v for k, v in made.items()})
    if isinstance(value, list):
        items = source if isinstance(source, list) and len(source) == len(value) else [None] * len(value)
        return [_traced(v, s) for v, s in zip(value, items, strict=True)]
    return value


def _canonical(value: Any, kind: str, entity: Mapping[str, Any], path: Pointer) -> Any:
    """What is nothing left out, numbers in one form, lists of plain values as one value, sets sorted."""
    if isinstance(value, dict):
        made = {k: _canonical(v, kind, entity, (*path, k)) for k, v in value.items()}
        kept = {k: v for k, v in made.items() if not _nothing(v)}
        if not isinstance(value, Block):
            return kept
        origins = value.origins
        return Block(value.origin, {k: at(v, *origins[k]) if k in origins else v for k, v in kept.items()})
    if isinstance(value, list):
        made_list = [_canonical(v, kind, entity, (*path, i)) for i, v in enumerate(value)]
        if any(isinstance(v, (dict, Values, Secret)) for v in made_list):
            return made_list
        return Values(
            sorted(made_list, key=_order) if plugins.is_set(kind, str(entity.get("name")), path) else made_list
        )
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, (dict, list, Values)) and not value)


def _order(value: Any) -> tuple[str, str]:
    return type(value).__name__, str(value)


def paths(value: Any, path: Pointer = ()) -> Iterator[Pointer]:
    """Yield the place of every value of an entity that holds no others."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, (*path, index))
    else:
        yield path
