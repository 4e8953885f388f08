"""What Kong published, from ../shared: plugin schemas of 3.9 and 3.15, the Lua schemas of 3.9.3, and what each version changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from aigw_compile.plugins.types import Field
from tests import support

VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15")


@cache
def schemas(version: str) -> Mapping[str, Any]:
    """The schema of each plugin's config, by the plugin's name without hyphens."""
    shared = support.shared()
    assert shared
    files = (shared / "upstream/kong" / f"plugins-{version}").glob("*.json")
    return {f.stem.lower(): json.loads(f.read_text("utf-8"))["properties"] for f in files}


@cache
def lua(name: str) -> Any:
    """The schema of a plugin in Kong 3.9.3, as its own code has it; None without KONG_SRC or outside of the edition."""
    source, luajit, shared = os.environ.get("KONG_SRC"), shutil.which("luajit"), support.shared()
    if not source or not luajit or not shared:
        return None
    command = [luajit, str(shared / "tools/kongcheck/kongcheck.lua"), "--schema", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


class Change(NamedTuple):
    """A line of version-diff.txt, for one field."""

    plugin: str
    version: str
    kind: str
    path: str
    after: str


@cache
def changes() -> tuple[Change, ...]:
    """What version-diff.txt says of 3.10 and later."""
    shared = support.shared()
    assert shared
    return tuple(_changes((shared / "upstream/kong/version-diff.txt").read_text("utf-8")))


def _changes(text: str) -> Iterator[Change]:
    plugin = ""
    for line in text.splitlines():
        if line.startswith("## "):
            plugin = line[3:].lower()
        elif (m := re.fullmatch(r"\s+(3\.\d+) ([+~-]) (.*)", line)) and m[1] in VERSIONS:
            if m[2] == "~":
                path, _, change = m[3].partition(": ")
                yield Change(plugin, m[1], "~", path, change.partition(" -> ")[2])
            else:
                yield from (Change(plugin, m[1], m[2], path, "") for path in m[3].split(", "))


def steps(path: str) -> list[str]:
    """`a[].b` to a, 0, b, as places inside a config."""
    return [
        s for part in path.replace("{}", "").split(".") for s in (part.removesuffix("[]"), *["0"] * part.endswith("[]"))
    ]


def unlike(field: Field, schema: Any, marks: bool, path: str = "") -> Iterator[str]:
    """Yield where a field and its published schema say different things; `marks`: whether the schema has x-referenceable."""
    kind = schema.get("type")
    mine = {"set": "array", "map": "object", "record": "object"}.get(field.type, field.type)
    if kind and mine != kind and mine != "any":
        yield f"{path}: {field.type}, published as {kind}"
        return
    if _plain(field.default) != _plain(schema.get("default")) and not (field.default == [] and "default" not in schema):
        yield f"{path}: default {field.default!r}, published as {schema.get('default')!r}"
    if {*map(str, field.one_of)} != {*map(str, schema.get("enum", ()))}:
        yield f"{path}: one of {field.one_of}, published as {schema.get('enum')}"
    for word, own in (("minimum", _low(field)), ("maximum", field.between and field.between[1])):
        if word in schema and own != schema[word]:
            yield f"{path}: {word} {own}, published as {schema[word]}"
    for word, own in (("minLength", field.length[0]), ("maxLength", field.length[1])):
        if word in schema and own != schema[word]:
            yield f"{path}: {word} {own}, published as {schema[word]}"
    if marks and kind not in ("object", "array"):
        for word, mark in (("x-referenceable", field.reference), ("x-encrypted", field.encrypted)):
            if mark != bool(schema.get(word)):
                yield f"{path}: {word} {mark}, published as {schema.get(word)}"
    if field.type == "record":
        yield from _fields(field, schema, marks, path)
    elif field.of and isinstance(schema.get("items"), dict):
        items = {**schema["items"], **{k: v for k, v in schema.items() if k == "x-encrypted"}}
        yield from unlike(field.of, items, marks, f"{path}[]")
    elif field.of and isinstance(schema.get("additionalProperties"), dict):
        yield from unlike(field.of, schema["additionalProperties"], False, f"{path}{{}}")


def _fields(field: Field, schema: Any, marks: bool, path: str) -> Iterator[str]:
    published, needed = schema.get("properties", {}), schema.get("required", ())
    for name in sorted({*field.fields} - {*published}):
        yield f"{path}.{name}: not published"
    if not field.partial:
        for name in sorted({*published} - {*field.fields}):
            yield f"{path}.{name}: missing here"
    for name in sorted({*published} & {*field.fields}):
        one = field.fields[name]
        if name in needed and not one.required and (one.type != "record" or one.optional):
            yield f"{path}.{name}: not required here"
        if one.required and name not in needed:
            yield f"{path}.{name}: required here"
        yield from unlike(one, published[name], marks, f"{path}.{name}")


def _low(field: Field) -> float | None:
    return field.between[0] if field.between else field.above


def _plain(value: Any) -> Any:
    return sorted(value, key=str) if isinstance(value, list) else value


def unlike_lua(field: Field, schema: Any, path: str = "") -> Iterator[str]:
    """Yield where a field and Kong's own Lua schema say different things."""
    if field.type != schema["type"]:
        yield f"{path}: {field.type}, in Kong {schema['type']}"
        return
    default = schema.get("default")
    if _plain(field.default) != _plain([] if default == {} and field.type in ("array", "set") else default):
        yield f"{path}: default {field.default!r}, in Kong {default!r}"
    if field.type == "record":
        if field.optional is not (schema.get("required") is False):
            yield f"{path}: optional {field.optional}"
    elif field.required is not bool(schema.get("required") and default is None) and path:
        yield f"{path}: required {field.required}, in Kong {schema.get('required')}"
    if {*field.one_of} != {*schema.get("one_of", ())}:
        yield f"{path}: one of {field.one_of}, in Kong {schema.get('one_of')}"
    if [*(field.between or ())] != schema.get("between", []) or field.above != schema.get("gt"):
        yield f"{path}: {field.between} {field.above}, in Kong {schema.get('between')} {schema.get('gt')}"
    least = schema.get("len_min", int(field.type == "string"))
    sized = field.type in ("string", "array", "set") and "one_of" not in schema
    if sized and field.length != (least, schema.get("len_max")):
        yield f"{path}: {field.length}, in Kong {least} {schema.get('len_max')}"
    if field.reference is not bool(schema.get("referenceable")):
        yield f"{path}: reference {field.reference}"
    if schema.get("encrypted") and not field.encrypted:
        yield f"{path}: encrypted in Kong"
    inner = {name: one for pair in schema.get("fields", ()) for name, one in pair.items()}
    for name in sorted({*inner} ^ {*field.fields}):
        yield f"{path}.{name}: {'missing here' if name in inner else 'not in Kong'}"
    for name in sorted({*inner} & {*field.fields}):
        yield from unlike_lua(field.fields[name], inner[name], f"{path}.{name}")
    for ours, theirs in ((field.of, "elements" if field.type != "map" else "values"), (field.keys, "keys")):
        if ours and theirs in schema:
            yield from unlike_lua(ours._replace(required=False), {**schema[theirs], "required": None}, f"{path}[]")


_TEXT = re.compile(r"(?P<type>[a-z]+)(?:<(?P<of>\w+)>)? ?(?:\{(?P<enum>[^}]*)\})?")


def unlike_text(field: Field, text: str, minor: int) -> Iterator[str]:
    """Yield where a field and one line of version-diff.txt say different things; before 3.14 references came as they were noticed."""
    found = _TEXT.match(text)
    assert found
    of = field.of if found["of"] else None
    kind = {"set": "array", "map": "map", "record": "object"}.get(field.type, field.type)
    if kind != found["type"]:
        yield f"type {field.type}"
    chosen = {*found["enum"].split("|")} if found["enum"] else set()
    if {*map(str, (of or field).one_of)} != chosen:
        yield f"one of {(of or field).one_of}"
    default = re.search(r" =(\{.*?\}|\[.*?\]|\"(?:[^\"])*\"|\S+)", text)
    if _plain(field.default) != (_plain(json.loads(default[1])) if default else None):
        yield f"default {field.default}"
    if field.required is not (" REQ" in text):
        yield f"required {field.required}"
    for word, own in (("minimum", _low(field)), ("maximum", field.between and field.between[1])):
        if (bound := re.search(rf"{word}=(\S+)", text)) and float(bound[1]) != own:
            yield f"{word} {own}"
    if minor >= 14 and (of or field).reference is not (" REF" in text):
        yield f"reference {field.reference}"


def _asked(body: Any, folder: Path) -> Any:
    """What Kong's own code says of a file: whether it is sound, with its errors or its entities; None where it stumbles."""
    luajit, shared = shutil.which("luajit"), support.shared()
    assert luajit
    assert shared
    (folder / "kong.yml").write_text(json.dumps(body), "utf-8")
    command = [luajit, str(shared / "tools/kongcheck/kongcheck.lua"), "--json", "--dump", str(folder / "kong.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    return None if any(e.startswith("kong crashed") for e in answer.get("errors", ())) else answer


def _file(name: str, configs: Sequence[Any]) -> Any:
    """A file with one route for each configuration of a plugin."""
    routes = [
        {"name": f"r{i}", "paths": [f"/{i}"], "plugins": [{"name": name, "instance_name": f"p{i}", "config": config}]}
        for i, config in enumerate(configs)
    ]
    return {"_format_version": "3.0", "services": [{"name": "s", "host": "localhost", "routes": routes}]}


def refused(name: str, configs: Sequence[Any], folder: Path) -> dict[int, list[str]]:
    """The configurations of a plugin, by position, in which Kong finds something wrong.

    Kong's own code stumbles where a rule of a plugin's own and one of its schema are broken at once (3.9.3, set_field).
    """
    return judged(lambda part: _file(name, part), r"services\[1\]\.routes\[(\d+)\]", configs, folder)


def judged(
    file: Callable[[Sequence[Any]], Any], place: str, parts: Sequence[Any], folder: Path
) -> dict[int, list[str]]:
    """The parts of a file, by position, in which Kong finds something wrong; `place` finds the position in an error."""
    answer = _asked(file(parts), folder)
    if answer is None and len(parts) == 1:
        return {0: ["Kong stumbled"]}
    if answer is None:
        half = len(parts) // 2
        first, second = (judged(file, place, part, folder) for part in (parts[:half], parts[half:]))
        return first | {half + i: errors for i, errors in second.items()}
    found: dict[int, list[str]] = {}
    for error in answer.get("errors", ()):
        m = re.match(place, error)
        assert m, error
        found.setdefault(int(m[1]) - 1, []).append(error)
    return found


def entities(body: Any, folder: Path) -> Any:
    """The entities of a sound file as Kong keeps them, by kind and id, without nulls."""
    return _without_nulls(_asked(body, folder)["entities"])


def filled(name: str, configs: Sequence[Any], folder: Path) -> list[Any]:
    """The configurations of a plugin as Kong keeps them."""
    entities = _asked(_file(name, configs), folder)["entities"].get("plugins", {})
    return [_without_nulls(p["config"]) for p in sorted(entities.values(), key=lambda p: int(p["instance_name"][1:]))]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


def same(value: Any) -> Any:
    """Lua does not tell an empty list from an empty mapping."""
    if isinstance(value, dict):
        return {k: same(v) for k, v in value.items()}
    return value if not isinstance(value, list) else [same(v) for v in value] or {}
