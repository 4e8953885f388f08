"""A kong.yml with AI plugins, or decK's AI Gateway 2.0 entities, to a spec, and to findings for what it does not carry.

Shapes of AI Gateway 2.0: entities.py. Shapes of kong.yml: shape.py. Each file of this folder names its sources.
"""

from __future__ import annotations

from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity
from aigw_compile.importers.kong import build, entities, shape
from aigw_compile.importers.record import Imported, Record, root
from aigw_compile.source import Source

KINDS = ("services", "routes", "plugins", "consumers", "upstreams", "certificates", "vaults")


def read(source: Source, name: str) -> Imported:
    """Return the spec that a file becomes. `name`: of the gateway; "" is taken from the file."""
    node = root(source)
    if not node.data:
        return _nothing(node.record, "this is no kong.yml: it is no mapping")
    if entities.is_one(node):
        made = entities.spec(node, name)
        if made is None:
            return _nothing(node.record, "no model of this file can be carried over")
        return _imported(node.record, *made)
    if "_format_version" not in node.data and not any(k in node.data for k in KINDS):
        return _nothing(node.record, "this is no kong.yml: it has no _format_version, no services and no models")
    made = build.spec(shape.flat(node), name)
    if made is None:
        return _nothing(node.record, "no route of this file is answered by ai-proxy or ai-proxy-advanced with a model")
    return _imported(node.record, *made)


def _imported(record: Record, spec: Json, comments: dict[Pointer, str]) -> Imported:
    found = record.findings()
    return Imported(spec, comments, found, frozenset(record.told))


def _nothing(record: Record, message: str) -> Imported:
    """Without a spec only what explains that is told, and not each thing that was left out with it."""
    hint = "import a file with an AI plugin: docs/importing.md shows one"
    fatal = Diagnostic("AIG8101", Severity.ERROR, message, (), hint)
    record.told[()] = None
    return Imported(None, {}, tuple(map(record.source.locate, [fatal, *record.early()])))
