"""What was written for Kong, as kong.yml or as objects of Kong Operator, to what Kong of a release would refuse or misread in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from aigw_compile import plugins
from aigw_compile.diagnostic import Json, Pointer, value_at
from aigw_compile.document import Document
from aigw_compile.target import Release
from aigw_compile.verify.origins import Wrong

REFERENCE = "{vault://"
DECK = "${{"
"""Where decK puts in what its environment holds (decK's documentation, "Using environment variables")."""
FETCHED = "secrets.json"
"""Kong does not read it: it says which secrets are put into other files."""
_SCOPES = {"services": "service", "routes": "route", "consumers": "consumer", "consumer_groups": "consumer_group"}
_BELOW = {
    "services": ("routes", "plugins"),
    "routes": ("plugins",),
    "consumers": (
        "plugins",
        "acls",
        "keyauth_credentials",
        "basicauth_credentials",
        "hmacauth_credentials",
        "jwt_secrets",
    ),
    "consumer_groups": ("plugins",),
    "upstreams": ("targets",),
    "certificates": ("snis",),
}
_TOP = ("vaults", "certificates", "services", "routes", "plugins", "consumers", "consumer_groups", "upstreams")


class Entity(NamedTuple):
    kind: str
    fields: dict[str, Any]
    path: Pointer
    document: Document
    scopes: frozenset[str] = frozenset()
    shown: bool = True
    """As Kong reads it: an object of Kubernetes has other fields beside name and config."""


def faults(documents: Sequence[Document], release: Release, spec: Json) -> Iterator[Wrong]:
    """Yield everything in the documents that Kong would refuse, or take for something else than it is."""
    read = [document for document in documents if document.filename != FETCHED]
    entities = [e for document in read for e in _entities(document)]
    own = {e.fields.get("prefix") for e in entities if e.kind == "vaults"}
    prefixes = {*plugins.vault_kinds(release), *(p for p in own if isinstance(p, str))}
    references = [*_written(read, spec)]
    yield from references
    for entity in entities:
        for wrong in _faults(entity, release, prefixes):
            if not references or REFERENCE not in str(value_at(wrong.path, entity.document.body)):
                yield wrong
    yield from _filled_in(read)


def _faults(entity: Entity, release: Release, prefixes: set[str]) -> Iterator[Wrong]:
    if entity.shown:
        for fault in plugins.check_entity(entity.kind, entity.fields, release):
            yield _wrong(entity, fault, release, ())
    yield from _unknown_vaults(entity, release, prefixes)
    if entity.kind == "plugins":
        yield from _plugin(entity, release)


def _plugin(entity: Entity, release: Release) -> Iterator[Wrong]:
    name, config = str(entity.fields.get("name")), entity.fields.get("config", {})
    for fault in plugins.check(name, config, release, entity.scopes):
        yield _wrong(entity, fault, release, ("config",))
    for path, text in plugins.templates(name, config, release):
        fault = plugins.Fault(path, f"Kong would run `{text}` as a template", "a text without `$(`")
        yield _wrong(entity, fault, release, ("config",))._replace(code="AIG6302")


def _wrong(entity: Entity, fault: plugins.Fault, release: Release, below: Pointer) -> Wrong:
    what = f"plugin `{entity.fields.get('name')}`" if entity.kind == "plugins" else entity.kind
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault.path).lstrip(".")
    where = f"{plugins.title(release)}, {what}" + (f", field `{field}`" if field else "")
    return Wrong("AIG6301", entity.document, (*entity.path, *below, *fault.path), where, fault.message, fault.right)


def _unknown_vaults(entity: Entity, release: Release, prefixes: set[str]) -> Iterator[Wrong]:
    """Kong itself takes any prefix; at run time an unknown one is an empty text and a line in its log."""
    below = {*_BELOW.get(entity.kind, ())}
    for path, text in _texts({k: v for k, v in entity.fields.items() if k not in below}):
        if text.startswith(REFERENCE) and (prefix := text[len(REFERENCE) :].partition("/")[0]) not in prefixes:
            message = f"no vault has the prefix `{prefix}`: Kong would send an empty text"
            fault = plugins.Fault(path, message, f"one of {', '.join(sorted(prefixes))}")
            yield _wrong(entity, fault, release, ())


def _written(documents: Sequence[Document], spec: Json) -> Iterator[Wrong]:
    """A text of the spec that is a reference of Kong's would be resolved, and the secret sent to somebody."""
    for place, text in _texts(spec):
        if REFERENCE not in text:
            continue
        for document in documents:
            path = next((path for path, shown in _texts(document.body) if text in shown), None)
            if path is not None:
                message = "Kong would take this text for a reference to a vault"
                right = "a SecretRef where it is a secret, else another text"
                yield Wrong("AIG6302", document, path, document.filename, message, right, place)
                break


def _filled_in(documents: Sequence[Document]) -> Iterator[Wrong]:
    for document in documents:
        if isinstance(document.body, dict) and "_format_version" in document.body:
            for path, text in _texts(document.body):
                if DECK in text:
                    message = f"decK would put a value of its environment in place of `{DECK} ... }}}}`"
                    yield Wrong("AIG6302", document, path, document.filename, message, f"a text without `{DECK}`")


def _texts(value: Any, path: Pointer = ()) -> Iterator[tuple[Pointer, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(inner, (*path, key))


def _entities(document: Document) -> Iterator[Entity]:
    if document.stream and isinstance(document.body, list):
        for index, item in enumerate(document.body):
            yield from _object(item, (index,), document)
    elif isinstance(document.body, dict) and "_format_version" in document.body:
        for kind in _TOP:
            yield from _all(kind, document.body.get(kind, ()), (kind,), document, frozenset())


def _all(kind: str, items: Any, path: Pointer, document: Document, scopes: frozenset[str]) -> Iterator[Entity]:
    for index, item in enumerate(items):
        here = (*path, index)
        mine = scopes | {s for s in ("service", "route", "consumer", "consumer_group") if item.get(s)}
        yield Entity(kind, item, here, document, mine if kind == "plugins" else frozenset())
        inside = scopes | {_SCOPES[kind]} if kind in _SCOPES else scopes
        for below in _BELOW.get(kind, ()):
            yield from _all(below, item.get(below, ()), (*here, below), document, inside)


def _object(item: Any, path: Pointer, document: Document) -> Iterator[Entity]:
    """Objects of Kong Operator that stand for a plugin or a vault (Kong Operator 2.2: KongPlugin, KongVault)."""
    if item.get("kind") == "KongPlugin":
        fields = {"name": item.get("plugin"), "config": item.get("config", {})}
        yield Entity("plugins", fields, path, document, shown=False)
    elif item.get("kind") == "KongVault":
        spec = item.get("spec", {})
        fields = {"prefix": spec.get("prefix"), "config": spec.get("config", {})}
        yield Entity("vaults", fields, (*path, "spec"), document, shown=False)
