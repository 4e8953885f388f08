"""A schema in which the same objects stand at several places, to one that has them once, in `$defs`."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]
LEAST = 400
"""Letters of an object's schema that are worth a name."""


def shared(schema: Schema) -> Schema:
    """Return the schema with every large object that it has more than once under a name."""
    texts: dict[int, str] = {}
    often: Counter[str] = Counter()
    _count(schema, texts, often)
    named: dict[str, str] = {}
    taken = {*schema.get("$defs", ())}
    defs: Schema = {}

    def share(node: Any) -> Any:
        if isinstance(node, list):
            return [share(one) for one in node]
        if not isinstance(node, dict):
            return node
        text = texts.get(id(node), "")
        if often[text] < 2:
            return {key: share(one) for key, one in node.items()}
        if text not in named:
            named[text] = _name(node, taken)
            taken.add(named[text])
            defs[named[text]] = {key: share(one) for key, one in node.items()}
        return {"$ref": f"#/$defs/{named[text]}"}

    top = {key: share(one) for key, one in schema.items() if key != "$defs"}
    own = {name: {key: share(one) for key, one in node.items()} for name, node in schema.get("$defs", {}).items()}
    every = {**own, **defs}
    return {**top, "$defs": {name: every[name] for name in sorted(every)}} if every else top


def _count(node: Any, texts: dict[int, str], often: Counter[str]) -> str:
    """Write a node down, and count the objects in it."""
    if isinstance(node, list):
        return f"[{','.join(_count(one, texts, often) for one in node)}]"
    if not isinstance(node, dict):
        return json.dumps(node)
    text = "{" + ",".join(f"{json.dumps(key)}:{_count(node[key], texts, often)}" for key in sorted(node)) + "}"
    if len(text) >= LEAST and node.get("type") in ("object", "array") and "title" in node:
        texts[id(node)] = text
        often[text] += 1
    return text


def _name(node: Mapping[str, Any], taken: set[str]) -> str:
    """The title in one word, with the first number that is free."""
    word = "".join(part[:1].upper() + part[1:] for part in re.findall(r"[A-Za-z0-9]+", str(node["title"])))
    return next(name for name in (f"{word}{number}" for number in range(2, len(taken) + 3)) if name not in taken)
