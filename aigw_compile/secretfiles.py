"""secrets.json and the values it asks for to the files that a target reads them from: 0600, each replaced in one step."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from aigw_compile.document import Document, text_of
from aigw_compile.source import parse


def read(folder: Path) -> dict[str, Any]:
    """Return the secrets.json of an output folder. Raises FileNotFoundError or ValueError where there is no such thing."""
    content: Any = json.loads((folder / "secrets.json").read_text("utf-8"))
    if not isinstance(content, dict) or content.get("version") != 1:
        raise ValueError(f"{folder / 'secrets.json'} is no secrets.json of this version")
    return content


def placeholders(asked: Mapping[str, Any]) -> dict[str, str]:
    """Return a made-up value for every secret: for validation and demos. They are not secret, and say so."""
    return {name: f"placeholder-{hashlib.sha256(name.encode()).hexdigest()[:12]}" for name in asked["secrets"]}


def write(folder: Path, values: Mapping[str, str]) -> list[Path]:
    """Fill the values into the files that secrets.json lists, and return their paths.

    Outputs listed under `again` are put in place once more where a file is new: whoever watches them has been waiting for it.
    Raises KeyError where a value is missing; nothing is written then.
    """
    asked = read(folder)
    filled = [(entry["path"], _filled(_body(folder, entry), values)) for entry in asked.get("files", ())]
    some_new = any(not (folder / name).exists() for name, _ in filled)
    written = []
    for name, body in filled:
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        stream = isinstance(body, list)
        _replace(path, text_of(Document(path.name, body, stream)))
        written.append(path)
    for name in asked.get("again", ()) if some_new else ():
        _renew(folder / name)
    return written


def _body(folder: Path, entry: Mapping[str, Any]) -> Any:
    """What a file will hold, with `{"$secret": ...}` where a value belongs: its own body, or another output with changes."""
    if "body" in entry:
        return entry["body"]
    sources, _ = parse((folder / entry["from"]).read_bytes(), entry["from"])
    body = deepcopy(sources[0].data)
    for change in entry["set"]:
        _set(body, change["at"], change["value"])
    return body


def _set(body: Any, at: list[str | int], value: Any) -> None:
    for step in at[:-1]:
        body = body[step]
    body[at[-1]] = value


def _htpasswd_sha(password: str) -> str:
    return f"{{SHA}}{base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest()).decode()}"


FORMS: Mapping[str, Callable[[str], str]] = {"plain": str, "htpasswd-sha": _htpasswd_sha}
"""What a target reads a value as: itself, or the hash that `htpasswd -s` writes (Apache httpd 2.4, password formats)."""


def _filled(body: Any, values: Mapping[str, str]) -> Any:
    if isinstance(body, dict):
        if "$secret" in body:
            return f"{body.get('prefix', '')}{FORMS[body.get('form', 'plain')](values[body['$secret']])}"
        if "$lines" in body:
            return "".join(f"{_filled(line, values)}\n" for line in body["$lines"])
        return {key: _filled(inner, values) for key, inner in body.items()}
    return [_filled(inner, values) for inner in body] if isinstance(body, list) else body


def _renew(path: Path) -> None:
    """Replace a file by itself, with its mode: a reader that was told of a change reads it again."""
    beside = path.with_name(f".{path.name}.new")
    shutil.copy2(path, beside)
    os.replace(beside, path)


def _replace(path: Path, text: str) -> None:
    """Write beside and rename: a reader sees the old file or the new one, never half of one."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    os.replace(beside, path)
