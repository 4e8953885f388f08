"""A kong.yml, a dump that decK wrote, or what was compiled, to the entities that it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aigw_compile.diagnostic import Json, Severity
from aigw_compile.live.codes import LiveError
from aigw_compile.live.kong.raw import KINDS, NESTED, Item, Kong, flat, resolved, without
from aigw_compile.live.kong.secrets import masked
from aigw_compile.live.secrets import unknown
from aigw_compile.mask import NO_VEIL, Veil
from aigw_compile.source import parse

LARGEST = 64 * 1024 * 1024
"""Bytes of a file, at most."""
VERSION = "_format_version"
"""The key that says that a file is one of Kong's."""


def file(path: Path) -> Kong | None:
    """Return what a file of Kong's or decK's holds; None where it is no such file. Raises LiveError."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            raw = stream.read(LARGEST + 1)
    except OSError:
        return None
    if VERSION.encode() not in raw:
        return None
    if len(raw) > LARGEST:
        raise LiveError("AIG7114", f"{path}: the file is too large, and at most {LARGEST >> 20} MiB are read")
    data = _data(raw, path)
    if not isinstance(data, dict) or VERSION not in data:
        return None
    try:
        items = [*_items(_with_asked(data, _beside(path)))]
        return Kong(str(path), resolved(_masked(items)), notes=_notes(data))
    except _WrongShape as wrong:
        raise LiveError("AIG7114", f"{path}: {wrong}", "see Kong's documentation, declarative configuration") from None
    except _STRANGE:
        raise LiveError("AIG7114", f"{path}: the secrets.json beside it is not its own", "build it again") from None


def _data(raw: bytes, path: Path) -> Json:
    if raw.lstrip()[:1] == b"{":  # `deck gateway dump --format json`; as YAML it would take many times as long
        try:
            found: Json = json.loads(raw)
        except (ValueError, RecursionError):
            pass
        else:
            return found
    sources, diagnostics = parse(raw, str(path))
    errors = [d for d in diagnostics if d.severity is Severity.ERROR]
    if errors and any(isinstance(s.data, dict) and "apiVersion" in s.data for s in sources):
        return None  # a spec that speaks of such files: it is told where it is read as one
    if errors:
        where = f"{errors[0].span.file}:{errors[0].span.line}" if errors[0].span else str(path)
        raise LiveError("AIG7114", f"{where}: {errors[0].message}", errors[0].hint)
    return sources[0].data if len(sources) == 1 else None


class _WrongShape(Exception):
    pass


_STRANGE = (KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What reading data of another shape raises."""


def _items(data: Mapping[str, Any]) -> Iterator[Item]:
    """The entities of a file, nested or not; what decK leaves to `_info` and `_plugin_configs` is filled in."""
    info = _mapping(data.get("_info") or {}, "_info")
    shared = _mapping(data.get("_plugin_configs") or {}, "_plugin_configs")
    defaults = _mapping(info.get("defaults") or {}, "_info.defaults")
    selected = [t for t in info.get("select_tags") or () if isinstance(t, str)]
    items: list[Item] = []
    for kind in KINDS:
        for number, value in enumerate(_list(data.get(kind), kind)):
            flat(kind, _checked(kind, value, f"{kind}[{number}]"), items)
    groups = _members(data)
    for item in items:
        value = dict(item.value) if type(item.value) is dict else item.value
        for field, default in _mapping(defaults.get(item.kind[:-1]) or {}, "_info.defaults").items():
            value.setdefault(field, default)
        if selected:
            value["tags"] = [*selected, *(t for t in value.get("tags") or () if t not in selected)]
        named = value.pop("_config", None)
        if isinstance(named, str):
            value["config"] = {**_mapping(shared.get(named) or {}, named), **(value.get("config") or {})}
        if "groups" in value or groups:
            own = [str(g.get("name")) if isinstance(g, dict) else str(g) for g in value.get("groups") or ()]
            own += groups.get(str(value.get("username")), ()) if item.kind == "consumers" else ()
            if own:
                value["groups"] = sorted({*own})
        yield item._replace(value=value)


def _members(data: Mapping[str, Any]) -> dict[str, list[str]]:
    """The groups of each consumer, where the groups name them."""
    found: dict[str, list[str]] = {}
    for group in _list(data.get("consumer_groups"), "consumer_groups"):
        for consumer in group.get("consumers") or () if isinstance(group, dict) else ():
            name = consumer.get("username") if isinstance(consumer, dict) else consumer
            found.setdefault(str(name), []).append(str(group.get("name")))
    return found


def _checked(kind: str, value: Any, place: str) -> dict[str, Any]:
    """An entity of the right shape, and so all that is nested in it."""
    entity = _mapping(value, place)
    for name in NESTED[kind]:
        for number, child in enumerate(_list(entity.get(name), f"{place}.{name}")):
            _checked(name, child, f"{place}.{name}[{number}]")
    if "consumers" in entity:
        entity = without(entity, ["consumers"])
    return entity


def _mapping(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _WrongShape(f"{place} is {_word(value)}, where a mapping should stand")
    return value


def _list(value: Any, place: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise _WrongShape(f"{place} is {_word(value)}, where a list should stand")
    return value or []


def _word(value: Any) -> str:
    words = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return words.get(type(value), "a number")


def _masked(items: list[Item]) -> list[Item]:
    return [item._replace(value=masked(item.kind, item.value)) for item in items]


def _notes(data: Mapping[str, Any]) -> tuple[str, ...]:
    """What else the file holds, which is not looked at."""
    others = {k: len(v) for k, v in data.items() if k not in KINDS and not k.startswith("_") and isinstance(v, list)}
    return (f"not looked at: {', '.join(f'{n} {k}' for k, n in others.items() if n)}",) if any(others.values()) else ()


def documents(title: str, held: Mapping[str, Json], veil: Veil = NO_VEIL) -> Kong:
    """Return what compiled outputs hold, with the keys and passwords that secrets.json asks for, which nobody knows here.

    Raises LiveError for outputs that no compiler wrote.
    """
    body = held["kong.yml"]
    try:
        items = [*_items(_with_asked(_mapping(body, title), held.get("secrets.json")))]
        return Kong(title, resolved(_masked(items)), veil=veil, compiled=True)
    except (_WrongShape, *_STRANGE):
        raise LiveError("AIG7114", f"{title}: this is no kong.yml that was compiled", "build it again") from None


def _beside(path: Path) -> Any:
    """What secrets.json says, where a kong.yml is one that was compiled and lies beside it."""
    asked = path.with_name("secrets.json")
    try:
        if path.name != "kong.yml" or not asked.is_file() or asked.stat().st_size > LARGEST:
            return None
        return json.loads(asked.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _with_asked(body: Any, secrets: Any) -> Any:
    """Return a kong.yml with the values that secrets.json asks for, which nobody knows here. Raises errors of all kinds."""
    files = secrets.get("files") if isinstance(secrets, dict) else None
    for file_ in files if isinstance(files, list) else ():
        for change in file_.get("set", ()):
            body = _put(body, change["at"], unknown(change["value"]))
    return body


def _put(value: Any, path: list[Any], new: Any) -> Any:
    """A copy with another value at a place; a Block keeps its origins."""
    if not path:
        return new
    step, *rest = path
    made = list(value) if isinstance(value, list) else without(value, ())
    made[step] = _put(made[step] if rest else None, rest, new)
    return made
