"""Kong's plugins and entities by the tables in targets/kong/: a configuration to its faults, its defaults and what is secret in it.

plugins.check("ai-proxy", config, release("oss-3.9"), {"route"})   Fault*, nothing where the release takes it
plugins.check_entity("services", entity, release)                  the same for an entity; not for what stands below it
plugins.filled("ai-proxy", config, release)                        with the defaults of the release, as Kong fills them in
plugins.entity_filled("services", entity, release)
plugins.known("ai-proxy"), .referenceable(name, path), .secret(name, path), .is_set(kind, name, path)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.plugins import checking, filling, reader
from aigw_compile.plugins.reader import title
from aigw_compile.plugins.types import ABSENT, Fault, Field
from aigw_compile.target import Release

__all__ = [
    "Fault",
    "check",
    "check_entity",
    "entity_filled",
    "filled",
    "has",
    "is_set",
    "known",
    "referenceable",
    "secret",
    "templates",
    "title",
    "vault_kinds",
]


def known(name: str) -> bool:
    """Say whether there is a table of a plugin."""
    return name in reader.names()


def check(name: str, config: Json, release: Release, scopes: Collection[str] = ()) -> Iterator[Fault]:
    """Yield what Kong of a release would refuse in a plugin's configuration, or not take as it is meant.

    `scopes` are what the plugin stands at: `service`, `route`, `consumer`, `consumer_group`. An unknown plugin has no faults.
    """
    if not known(name):
        return
    plugin = reader.plugin(name, release)
    if plugin is None:
        yield Fault((), f"{title(release)} has no plugin `{name}`", reader.where(name))
        return
    for scope in sorted({*scopes} - plugin.scopes):
        may = ", ".join(sorted(plugin.scopes)) or "nothing"
        yield Fault((), f"`{name}` may not stand at a {scope.replace('_', ' ')}", f"it may stand at: {may}")
    yield from checking.check(plugin.config, config, release)


def check_entity(kind: str, entity: Json, release: Release) -> Iterator[Fault]:
    """Yield what Kong of a release would refuse in the fields of an entity itself."""
    field = reader.entity(kind, release)
    if field:
        yield from checking.check(field, entity, release)


def filled(name: str, config: Mapping[str, Any], release: Release, *, whole: bool = False) -> dict[str, Any]:
    """Return a configuration with the defaults of a release; that of an unknown plugin as it is.

    With `whole` also records that Kong leaves out where nobody wrote them: for comparing, they say nothing.
    """
    plugin = reader.plugin(name, release)
    return filling.filled(plugin.config, config, whole=whole) if plugin else dict(config)


def entity_filled(kind: str, entity: Mapping[str, Any], release: Release) -> dict[str, Any]:
    """Return an entity with the defaults of a release; the entities below it stay as they are."""
    field = reader.entity(kind, release)
    plugin = reader.plugin(str(entity.get("name")), release) if kind == "plugins" else None
    if plugin and plugin.protocols and entity.get("protocols") is None:
        entity = {**entity, "protocols": [*plugin.protocols]}
    return filling.filled(field, entity) if field else dict(entity)


def has(name: str, path: Pointer) -> bool:
    """Say whether the table of a plugin knows a field, in whatever release; `partial` tables leave some out."""
    return _newest(name, path) is not ABSENT


def referenceable(name: str, path: Pointer) -> bool:
    """Say whether a field of a plugin may hold a reference to a vault, in the newest release that has it."""
    return _newest(name, path).reference


def secret(name: str, path: Pointer) -> bool:
    """Say whether a field of a plugin holds a credential."""
    return _newest(name, path).encrypted


def is_set(kind: str, name: str, path: Pointer) -> bool:
    """Say whether the order of a list does not count; `path` is inside the entity, `name` that of a plugin."""
    if kind == "plugins" and path[:1] == ("config",):
        return _newest(name, path[1:]).type == "set"
    field = reader.entity(kind, reader.NEWEST)
    return field is not None and reader.at(field, path).type == "set"


def vault_kinds(release: Release) -> tuple[str, ...]:
    """Return the kinds of vault of a release; each is a prefix that needs no vault entity."""
    field = reader.entity("vaults", release)
    return field.fields["name"].one_of if field else ()


def templates(name: str, config: Json, release: Release) -> Iterator[tuple[Pointer, str]]:
    """Yield each text of a configuration in which Kong looks for templates, `$(headers.x)`, and that could be one."""
    plugin = reader.plugin(name, release)
    if plugin:
        yield from checking.templates(plugin.config, config, ())


def _newest(name: str, path: Pointer) -> Field:
    for release in (reader.NEWEST, *reader.OLDER):
        plugin = reader.plugin(name, release)
        found = reader.at(plugin.config, path) if plugin else ABSENT
        if found is not ABSENT:
            return found
    return ABSENT
