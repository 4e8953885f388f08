"""What was written for Kong, as kong.yml or as objects of Kong Operator, to what Kong of a release would refuse or misread in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from aigw_compile import plugins
from aigw_compile.diagnostic import Json, Pointer, value_at
from aigw_compile.document import Block, Document
from aigw_compile.target import Release
from aigw_compile.verify.origins import Wrong

REFERENCE = "{vault://"
DECK = "${{"
"""Where decK puts in what its environment holds (decK's documentation, "Using environment variables")."""
TEMPLATE = "$("
_MARKED = re.compile("|".join(map(re.escape, (REFERENCE, DECK, TEMPLATE)))).search
PASSED_ON = "*"
"""The model of a target that passes the client's name on."""
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
    odd = [(document, path, text) for document in read for path, text in _odd(document.body)]
    templates = any(TEMPLATE in text for _, _, text in odd)
    entities = [e for document in read for e in _entities(document)]
    references = [*_written(odd, spec)]
    yield from references
    for entity in entities:
        for wrong in (*_faults(entity, release, templates), *_nameless(entity, release, spec)):
            if not references or REFERENCE not in str(value_at(wrong.path, entity.document.body)):
                yield wrong
    yield from _twice(entities, release)
    if not references:
        yield from _unknown_vaults(odd, entities, release)
    yield from _filled_in(odd)


def _faults(entity: Entity, release: Release, templates: bool) -> Iterator[Wrong]:
    if entity.shown:
        for fault in plugins.check_entity(entity.kind, entity.fields, release):
            yield _wrong(entity, fault, release, ())
    if entity.kind == "plugins":
        yield from _plugin(entity, release, templates)


def _plugin(entity: Entity, release: Release, templates: bool) -> Iterator[Wrong]:
    name, config = str(entity.fields.get("name")), entity.fields.get("config", {})
    for fault in plugins.check(name, config, release, entity.scopes):
        yield _wrong(entity, fault, release, ("config",))
    for path, text in plugins.templates(name, config, release) if templates else ():
        fault = plugins.Fault(path, f"Kong would run `{text}` as a template", "a text without `$(`")
        yield _wrong(entity, fault, release, ("config",))._replace(code="AIG6302")


def _wrong(entity: Entity, fault: plugins.Fault, release: Release, below: Pointer) -> Wrong:
    what = f"plugin `{entity.fields.get('name')}`" if entity.kind == "plugins" else entity.kind
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault.path).lstrip(".")
    where = f"{plugins.title(release)}, {what}" + (f", field `{field}`" if field else "")
    return Wrong("AIG6301", entity.document, (*entity.path, *below, *fault.path), where, fault.message, fault.right)


def _nameless(entity: Entity, release: Release, spec: Json) -> Iterator[Wrong]:
    """Kong takes a model without a name, and sends on what a client asks for: only where a target is written so."""
    config = entity.fields.get("config") if entity.kind == "plugins" else None
    if not isinstance(config, dict):
        return
    held = ((("targets", i), one) for i, one in enumerate(config.get("targets", ())))
    for path, block in (((), config), (("llm",), config.get("llm")), *held):
        model = block.get("model") if isinstance(block, dict) else None
        if isinstance(model, Block) and "provider" in model and not model.get("name"):
            target = value_at(model.origin, spec)
            if not (isinstance(target, dict) and target.get("model") == PASSED_ON):
                fault = plugins.Fault((*path, "model", "name"), "`model.name` is missing", "the name of a model")
                yield _wrong(entity, fault, release, ("config",))


def _twice(entities: Sequence[Entity], release: Release) -> Iterator[Wrong]:
    """Two plugins of a Kong cannot have one instance name (Kong 3.9, kong/db/schema/entities/plugins.lua: its endpoint_key)."""
    seen = set()
    for entity in entities:
        name = entity.fields.get("instance_name") if entity.kind == "plugins" else None
        if name in seen:
            message = f"another plugin has the instance name `{name}` too"
            fault = plugins.Fault(("instance_name",), message, "other names in the spec for what the two are made of")
            yield _wrong(entity, fault, release, ())
        if name:
            seen.add(name)


Odd = tuple[Document, Pointer, str]


def _unknown_vaults(odd: Sequence[Odd], entities: Sequence[Entity], release: Release) -> Iterator[Wrong]:
    """Kong itself takes any prefix; at run time an unknown one is an empty text and a line in its log."""
    own = {e.fields.get("prefix") for e in entities if e.kind == "vaults"}
    prefixes = {*plugins.vault_kinds(release), *(p for p in own if isinstance(p, str))}
    for document, path, text in odd:
        if text.startswith(REFERENCE) and (prefix := text[len(REFERENCE) :].partition("/")[0]) not in prefixes:
            message = f"no vault has the prefix `{prefix}`: Kong would send an empty text"
            where = f"{plugins.title(release)}, {document.filename}"
            yield Wrong("AIG6301", document, path, where, message, f"one of {', '.join(sorted(prefixes))}")


def _written(odd: Sequence[Odd], spec: Json) -> Iterator[Wrong]:
    """A text of the spec that is a reference of Kong's would be resolved, and the secret sent to somebody."""
    for place, text in _odd(spec):
        if REFERENCE not in text:
            continue
        found = next(((document, path) for document, path, shown in odd if text in shown), None)
        if found:
            message = "this text holds a reference to a vault: Kong resolves one that is a whole value, and sends others as they stand"
            right = "a SecretRef where it is a secret, else another text"
            yield Wrong("AIG6302", *found, found[0].filename, message, right, place)


def _filled_in(odd: Sequence[Odd]) -> Iterator[Wrong]:
    for document, path, text in odd:
        if DECK in text and isinstance(document.body, dict) and "_format_version" in document.body:
            message = f"decK would put a value of its environment in place of `{DECK} ... }}}}`"
            yield Wrong("AIG6302", document, path, document.filename, message, f"a text without `{DECK}`")


def _odd(value: Any) -> Iterator[tuple[Pointer, str]]:
    """Yield every text that Kong or decK could take for more than a text."""
    held: list[tuple[Pointer, Any]] = [((), value)]
    while held:
        path, inside = held.pop()
        items = inside.items() if isinstance(inside, dict) else enumerate(inside) if isinstance(inside, list) else ()
        for key, inner in items:
            if isinstance(inner, str):
                if _MARKED(inner):
                    yield (*path, key), inner
            elif inner.__class__ is not int and inner is not None:
                held.append(((*path, key), inner))


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
