"""Kong's kinds of entities as a table; entities, nested or flat, to one flat list whose references are resolved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Diagnostic
from aigw_compile.document import Block, at
from aigw_compile.mask import NO_VEIL, Veil
from aigw_compile.target import Release


class Kind(NamedTuple):
    """`keys` name it, the first that is there; `refs` are its references; `home` those under which it is shown."""

    keys: tuple[str, ...]
    refs: Mapping[str, str]
    home: tuple[str, ...] = ()
    within: bool = False
    """Its key is unique in its home alone."""


_OF_CONSUMER = {"consumer": "consumers"}
_SCOPES = {"route": "routes", "service": "services", "consumer": "consumers", "consumer_group": "consumer_groups"}

KINDS: Mapping[str, Kind] = {
    "services": Kind(("name", "id"), {"client_certificate": "certificates"}),
    "routes": Kind(("name", "id"), {"service": "services"}, ("service",)),
    "plugins": Kind(("name",), _SCOPES, ("route", "service", "consumer", "consumer_group")),
    "consumers": Kind(("username", "custom_id", "id"), {}),
    "acls": Kind(("group",), _OF_CONSUMER, ("consumer",), True),
    "keyauth_credentials": Kind((), _OF_CONSUMER, ("consumer",), True),
    "basicauth_credentials": Kind(("username",), _OF_CONSUMER, ("consumer",), True),
    "hmacauth_credentials": Kind(("username",), _OF_CONSUMER, ("consumer",), True),
    "jwt_secrets": Kind((), _OF_CONSUMER, ("consumer",), True),
    "mtls_auth_credentials": Kind(("subject_name",), _OF_CONSUMER, ("consumer",), True),
    "consumer_groups": Kind(("name", "id"), {}),
    "upstreams": Kind(("name", "id"), {"client_certificate": "certificates"}),
    "targets": Kind(("target",), {"upstream": "upstreams"}, ("upstream",), True),
    "vaults": Kind(("prefix", "id"), {}),
    "certificates": Kind(("id",), {}),
    "snis": Kind(("name", "id"), {"certificate": "certificates"}, ("certificate",)),
}
"""Kong 3.9.3, kong/db/schema/entities and plugins/*/daos.lua; consumer groups and mtls-auth: Kong's documentation."""

NESTED: Mapping[str, Mapping[str, str]] = {
    parent: {kind: field for kind, row in KINDS.items() for field in row.home if row.refs[field] == parent}
    for parent in KINDS
}
"""Kind -> lists inside it, each with the field by which its items refer to it."""

Ident = tuple[Any, ...]
"""What tells an entity from all others of a Kong, whatever its id."""


class Entity(NamedTuple):
    kind: str
    ident: Ident
    label: str
    """As people write it: services[a].routes[b]."""
    value: dict[str, Any]
    refs: Mapping[str, Ident]
    home: Ident
    """() at the top."""
    tags: frozenset[str]


class Kong(NamedTuple):
    """Everything that one side holds."""

    title: str
    entities: tuple[Entity, ...]
    release: Release | None = None
    """What it says of itself."""
    version: str = ""
    findings: tuple[Diagnostic, ...] = ()
    veil: Veil = NO_VEIL
    """What parts hide in the spec that it was compiled from."""
    notes: tuple[str, ...] = ()
    compiled: bool = False
    """It was compiled from a spec, and is not what a Kong holds."""


class Item(NamedTuple):
    """An entity as it is read; `holder` is the field that refers to the item that it stood in, and that one's number."""

    kind: str
    value: dict[str, Any]
    holder: tuple[str, int] | None = None


def flat(kind: str, value: dict[str, Any], items: list[Item], holder: tuple[str, int] | None = None) -> None:
    """Add an entity and what is nested in it. A Block keeps its origins."""
    inside = NESTED[kind]
    number = len(items)
    items.append(Item(kind, without(value, inside), holder))
    for name, field in inside.items():
        for child in value.get(name) or ():
            flat(name, child, items, (field, number))


def without(value: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return a copy without some fields."""
    left = {*names}
    if not isinstance(value, Block):
        return {k: v for k, v in value.items() if k not in left}
    origins = value.origins
    kept = {k: at(v, *origins[k]) if k in origins else v for k, v in value.items() if k not in left}
    return Block(value.origin, kept)


def resolved(items: list[Item]) -> tuple[Entity, ...]:
    """Return the entities with references resolved: by place, by id, or by any name."""
    return tuple(_Resolver(items).all())


class _Resolver:
    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self.found: dict[tuple[str, str], int] = {}
        self.bases: dict[int, Ident] = {}
        self.shown: dict[int, list[str]] = {}
        for number, item in enumerate(items):
            row = KINDS[item.kind]
            for name in (item.value.get(field) for field in ("id", *(() if row.within else row.keys))):
                if isinstance(name, str):
                    self.found.setdefault((item.kind, name), number)
        for number, item in enumerate(items):
            name = item.value.get("name")
            if "certificate" in KINDS[item.kind].home and isinstance(name, str):
                self.shown.setdefault(self._other(number, "certificate"), []).append(name)

    def all(self) -> Iterator[Entity]:
        often = Counter(self._base(number) for number in range(len(self.items)))
        told: Counter[Ident] = Counter()
        for number, item in enumerate(self.items):
            row = KINDS[item.kind]
            refs = {field: self._ref(number, field) for field in row.refs if self._has(number, field)}
            home = next((refs[field] for field in row.home if field in refs), ())
            tags = item.value.get("tags")
            marks = frozenset(t for t in tags if isinstance(t, str)) if isinstance(tags, list) else frozenset()
            ident, more = self._base(number), ""
            if often[ident] > 1:  # Kong lets none of these stand twice, but keys, which have no name
                ident = (*ident, str(item.value.get("instance_name") or ""))
                told[ident] += 1
                more = str(told[ident])
                ident = (*ident, told[ident])
            label = self._label(number, more)
            yield Entity(item.kind, ident, label, without(item.value, row.refs), refs, home, marks)

    def _has(self, number: int, field: str) -> bool:
        item = self.items[number]
        return bool(item.value.get(field)) or (item.holder is not None and item.holder[0] == field)

    def _other(self, number: int, field: str) -> int:
        """The number of the item that a field refers to; -1 where that is not there."""
        item = self.items[number]
        if item.holder is not None and item.holder[0] == field:
            return item.holder[1]
        kind = KINDS[item.kind].refs[field]
        return next((self.found[kind, n] for n in _names(item.value.get(field)) if (kind, n) in self.found), -1)

    def _ref(self, number: int, field: str) -> Ident:
        other = self._other(number, field)
        if other >= 0:
            return self._base(other)
        item = self.items[number]
        return (KINDS[item.kind].refs[field], f"?{next(_names(item.value.get(field)), '')}")

    def _base(self, number: int) -> Ident:
        """What Kong itself lets stand only once; a certificate goes by the first of its server names."""
        if number not in self.bases:
            item = self.items[number]
            row = KINDS[item.kind]
            key = next((str(v) for f in row.keys if (v := item.value.get(f)) is not None), "")
            scoped = row.within or len(row.home) > 1
            key = min(self.shown.get(number, ()), default=key)
            scope = [self._ref(number, f) if self._has(number, f) else () for f in row.home if scoped]
            self.bases[number] = (item.kind, key, *scope)
        return self.bases[number]

    def _label(self, number: int, more: str = "") -> str:
        item = self.items[number]
        row = KINDS[item.kind]
        has = [field for field in row.home if self._has(number, field)]
        above = ""
        if has:
            other = self._other(number, has[0])
            ref = self._ref(number, has[0])
            above = f"{self._label(other) if other >= 0 else f'{ref[0]}[{ref[1]}]'}."
        key, instance = str(self._base(number)[1]), item.value.get("instance_name")
        others = [f"{field} {self._ref(number, field)[1]}" for field in has[1:]]
        key += f":{instance}" if instance else f", {', '.join(others)}" if others else ""
        return f"{above}{item.kind}[{f'{key}#{more}'.removeprefix('#') if more else key or '1'}]"


def _names(ref: Any) -> Iterator[str]:
    """The id or the names that a reference says."""
    for name in ref.values() if isinstance(ref, dict) else [ref]:
        if isinstance(name, str):
            yield name
