"""The published schema to docs/reference.md: every field of the language, and how each list is merged and compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Schema = Mapping[str, Any]

APART = {"SecretRef": "SecretRef", "Policies": "policies", "ConfigRefs": "configRef"}
"""Objects that stand at many places, and the section that they have of their own."""

HEAD = """\
# Reference: aigw.dev/v1alpha1

Every field of an AIGateway, and of the [parts](#part) that gateways build on, made from the schemas that
`aigw-compile schema` prints: `make schema` rewrites this page.

Durations have a unit (`250ms`, `1h30m`), sizes are bytes or Kubernetes quantities (`10Mi`), money is US dollars, token
prices are US dollars per million. A field with neither a default nor *required* may be left out; its text says what that
means. Patterns are RE2, searched, not anchored.

Lists: a **map** is told apart by the name of its items, a **set** has no order, an **atomic** list is one value. Where
several layers of configRefs meet, the items of a map are merged by name, those of a set join, and an atomic list is
replaced by the strongest layer. `{$patch: delete}` in place of any field, or beside the name of an item, takes out what
a weaker layer set; `$patch: replace` in a map of fields, or as first item of a map or set, does not merge with it.

In an editor with the YAML language server: `aigw-compile schema > .aigw.schema.json`, and as first line of a spec
`# yaml-language-server: $schema=.aigw.schema.json`. It then completes fields and values, and shows these texts. The same
for a part with `aigw-compile schema part`.
"""
PART = """\
## part

A document of kind AIGatewayConfig: settings that gateways and other parts take over by a [configRef](#configref).
It has `apiVersion`, `kind`, `metadata` and `spec` as a gateway has, and in `spec`:
"""


class Section(NamedTuple):
    title: str
    node: Schema


def page(schema: Schema, part: Schema) -> str:
    """Return the page. `schema`, `part`: the whole documents, with their $defs."""
    found = list(_sections(schema))
    own = list(_below(Section("part", part["$defs"]["PartSpec"]), part["$defs"]))
    about = [_section(s, part["$defs"]) for s in own]
    about[0] = about[0].replace("## part\n", PART, 1)
    parts = [HEAD, *(_section(s, schema["$defs"]) for s in found), *about, _lists(found, schema["$defs"])]
    return "\n".join(parts)


def _sections(schema: Schema) -> Iterator[Section]:
    named = schema["$defs"]
    spec = Section("spec", named["Spec"])
    yield Section("metadata", named["Metadata"])
    yield from _below(spec, named)
    for name, title in APART.items():
        yield from _below(Section(title, named[name]), named)


def _below(section: Section, named: Schema) -> Iterator[Section]:
    """Yield a section, and one for every object that stands in it and has fields of its own."""
    yield section
    for key, raw in _fields(section.node):
        node, items = _followed(raw, named), _followed(raw, named)
        if node.get("type") == "array":
            items = _followed(node["items"], named)
        if items.get("properties") and _apart(items) is None:
            path = f"{section.title}.{key}" if section.title != "spec" else key
            yield from _below(Section(path + ("[]" if node.get("type") == "array" else ""), items), named)


def _fields(node: Schema) -> Iterator[tuple[str, Schema]]:
    for key, inner in node["properties"].items():
        if "not" not in inner:
            yield key, inner


def _followed(node: Schema, named: Schema) -> Schema:
    if "$ref" not in node:
        return node
    name = node["$ref"].rpartition("/")[2]
    return {**named[name], "x-name": name, **{k: v for k, v in node.items() if k != "$ref"}}


def _apart(node: Schema) -> str | None:
    return APART.get(node.get("x-name", ""))


def _section(section: Section, named: Schema) -> str:
    lines = [f"## {section.title}", ""]
    if text := section.node.get("description"):
        lines += [text, ""]
    lines += [_row("field", "type", "default", "what it is"), _row("---", "---", "---", "---")]
    required = section.node.get("required", ())
    for key, raw in _fields(section.node):
        node = _followed(raw, named)
        default = "*required*" if key in required else _code(node["default"]) if "default" in node else ""
        inner = f"{section.title}.{key}" if section.title != "spec" else key
        lines.append(_row(f"`{key}`", _type(node, named, inner), default, _what(node)))
    later = [f"`{key}`" for key, inner in section.node["properties"].items() if "x-aigw-later" in inner]
    if later:
        lines += ["", f"In the language, and not in this version yet: {', '.join(later)}."]
    return "\n".join([*lines, ""])


def _type(node: Schema, named: Schema, path: str) -> str:
    if "const" in node:
        return _code(node["const"])
    if "enum" in node:
        return " ".join(_code(word) for word in node["enum"])
    if title := _apart(node):
        return f"[{title}](#{title.lower()})"
    if node["type"] == "array":
        kind = node.get("x-kubernetes-list-type", "atomic")
        return f"list ({kind}) of {_type(_followed(node['items'], named), named, path)}"
    if "x-aigw-text-or-secret" in node:
        return "text or [SecretRef](#secretref)"
    if node["type"] == "object" and not node.get("properties") and node.get("additionalProperties"):
        values = node["additionalProperties"]
        return (
            f"map of {_type(_followed(values, named), named, path)}" if isinstance(values, dict) and values else "map"
        )
    if node["type"] == "object" and node.get("properties"):
        return f"[object](#{''.join(c for c in path.lower() if c.isalnum())})"
    form = node.get("x-aigw-unit") or node.get("x-aigw-form")
    plain = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    if node.get("properties"):
        plain |= {
            "string": str(form or "text"),
            "object": f"[object](#{''.join(c for c in path.lower() if c.isalnum())})",
        }
        form = None
    kinds = [node["type"]] if isinstance(node["type"], str) else node["type"]
    return str(form) if form else " or ".join(plain.get(kind, kind) for kind in kinds)


def _what(node: Schema) -> str:
    words = str(node.get("description", ""))
    later = node.get("x-aigw-later-values")
    if later:
        words += f" Not in this version yet: {', '.join(map(_code, later))}."
    example = node.get("examples", [{}])[0]
    parts = example if isinstance(example, list) else [example]
    if {"default", "enum", "const"}.isdisjoint(node) and not any(isinstance(part, dict) for part in parts):
        words += f" Example: {_code(example)}"
    return words


def _lists(sections: list[Section], named: Schema) -> str:
    """The table of every list and how it is merged and compared."""
    rows = ["## Lists", "", _row("list", "type"), _row("---", "---")]
    for section in sections:
        for key, raw in _fields(section.node):
            node = _followed(raw, named)
            if node.get("type") == "array":
                path = key if section.title == "spec" else f"{section.title}.{key}"
                kind = node.get("x-kubernetes-list-type", "atomic")
                by = f" by {', '.join(node['x-kubernetes-list-map-keys'])}" if kind == "map" else ""
                rows.append(_row(f"`{path}[]`", f"{kind}{by}"))
    return "\n".join([*rows, ""])


def _code(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{text}`"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
