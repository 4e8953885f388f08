"""The documents of a gateway's builds to files, all of them or none; and what stood there before, read back."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aigw_compile.diagnostic import Json, Pointer, value_at
from aigw_compile.document import Document, text_of
from aigw_compile.mask import NO_VEIL, Veil, veil
from aigw_compile.source import parse

SPEC = "gateway.json"
"""Beside the outputs of a target: the spec that they were made from, so that the next build can say what changed."""

INNER = ("ratelimit",)
"""Folders of outputs below a target's own. No other is looked into: what stands in `secrets` is nobody's to read or delete."""

UNCOUNTED = frozenset({"diff.json", "diff.md"})
"""Written beside the outputs; `--check` does not count them."""


HIDDEN_PLACES = "x-aigw-hidden"
"""In the spec beside the outputs: the places of it that parts hide, as JSON pointers; not there where nothing is hidden."""


def spec_document(data: Any, hidden: Collection[Pointer] = ()) -> Document:
    """Return the document that keeps a spec beside its outputs. A spec holds no secret, only references.

    Hidden values do stand in it, as in every output, so it says which they are: a diff with it tells none.
    """
    listed: list[Json] = [*sorted(map(_json_pointer, hidden))]
    return Document(SPEC, {**data, HIDDEN_PLACES: listed} if listed else data)


def spec_of(body: Any) -> tuple[Any, tuple[Pointer, ...]]:
    """Return the spec that such a document keeps, and its hidden places."""
    if not isinstance(body, dict) or HIDDEN_PLACES not in body:
        return body, ()
    data = {key: value for key, value in body.items() if key != HIDDEN_PLACES}
    return data, tuple(_pointer(str(text), data) for text in body[HIDDEN_PLACES])


def veil_of(folder: Path) -> Veil:
    """Return what is hidden in the spec that an output folder was made from."""
    try:
        return veil(*spec_of(json.loads((folder / SPEC).read_bytes())))
    except (OSError, ValueError):
        return NO_VEIL


def _json_pointer(at: Pointer) -> str:
    """RFC 6901."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in at)


def _pointer(text: str, data: Any) -> Pointer:
    at: list[str | int] = []
    for part in text.split("/")[1:]:
        step = part.replace("~1", "/").replace("~0", "~")
        at.append(int(step) if isinstance(value_at(tuple(at), data), list) and step.isdecimal() else step)
    return tuple(at)


def as_json(documents: Iterable[Document]) -> tuple[Document, ...]:
    """Return the documents for `--emit json`: the same data in files that end in .json; a stream becomes a v1 List."""
    renamed = {d.filename: json_name(d.filename) for d in documents}

    def follow(value: Any) -> Any:
        """What names another file of these: the one that secrets.json changes and writes, one that is read again."""
        if isinstance(value, dict) and value.get("from") in renamed:
            path = str(Path(value["path"]).with_suffix(".json"))
            return {**value, "from": renamed[value["from"]], "path": path}
        if isinstance(value, dict):
            return {k: named(v) if k in ("path", "again") else follow(v) for k, v in value.items()}
        return [follow(v) for v in value] if isinstance(value, list) else value

    def named(value: Any) -> Any:
        if isinstance(value, list):
            return [named(v) for v in value]
        return renamed.get(value, value) if isinstance(value, str) else follow(value)

    return tuple(
        Document(
            renamed[d.filename],
            {"apiVersion": "v1", "kind": "List", "items": d.body} if d.stream else follow(d.body),
        )
        for d in documents
    )


def json_name(filename: str) -> str:
    """Return what `--emit json` calls a file."""
    return str(Path(filename).with_suffix(".json"))


def from_json(held: Mapping[str, Json], names: Collection[str]) -> dict[str, Json]:
    """Return outputs under these names, where `--emit json` wrote them, so that both forms can be compared."""
    back = {json_name(name): name for name in names if name not in held}

    def body(value: Json) -> Json:
        if isinstance(value, list):
            return [body(v) for v in value]
        if not isinstance(value, dict):
            return value
        return {k: back.get(v, v) if k == "path" and isinstance(v, str) else body(v) for k, v in value.items()}

    return {back.get(name, name): body(_stream(found)) if name in back else found for name, found in held.items()}


def _stream(body: Json) -> Json:
    """The objects of a v1 List, which a stream is in JSON."""
    whole = isinstance(body, dict) and (body.get("kind"), body.get("apiVersion")) == ("List", "v1")
    return body["items"] if isinstance(body, dict) and whole else body


def previous(folder: Path) -> dict[str, str]:
    """Return the text of every file that stands in an output folder, without diffs and without what holds secrets."""
    if not folder.is_dir():
        return {}
    inner = [p for name in INNER for p in (folder / name).glob("*")]
    names = sorted(p for p in (*folder.iterdir(), *inner) if p.is_file() and p.suffix in (".yaml", ".yml", ".json"))
    return {
        p.relative_to(folder).as_posix(): p.read_text("utf-8", "replace")
        for p in names
        if p.name not in UNCOUNTED and ".rendered." not in p.name and not p.name.endswith(".map.json")
    }


def bodies(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return what files hold as data: {filename: body}; a YAML stream is the list of its documents."""
    found: dict[str, Any] = {}
    for name, text in texts.items():
        if name.endswith(".json"):
            try:
                found[name] = json.loads(text)
            except ValueError:
                continue
        else:
            sources, _ = parse(text, name)
            data = [s.data for s in sources]
            found[name] = data if "\n---\n" in text or name == "manifests.yaml" else data[0] if data else None
    return found


def stale(folder: Path, documents: Sequence[Document]) -> list[str]:
    """Return the names of the files that differ from what a build would write, with those that it would delete."""
    old = previous(folder)
    new = {d.filename: text_of(d) for d in documents}
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def write(folders: Mapping[Path, Sequence[Document]]) -> None:
    """Write every document; files of an earlier build that are not written any more are deleted.

    Each file is written beside its place first and put there by a rename when all of them are complete.
    """
    ready: list[tuple[Path, Path]] = []
    for folder, documents in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        for document in documents:
            path = folder / document.filename
            path.parent.mkdir(exist_ok=True)
            beside = path.with_name(f".{path.name}.new")
            beside.write_bytes(text_of(document).encode())
            ready.append((beside, path))
    for folder, documents in folders.items():
        kept = {d.filename for d in documents}
        for name in previous(folder):
            if name not in kept:
                (folder / name).unlink()
    for beside, path in ready:
        os.replace(beside, path)
