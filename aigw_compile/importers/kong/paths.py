"""Paths of Kong's routes to what a client calls: below which base, which model, and at which door."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

CHAT, MESSAGES, EMBEDDINGS = "/v1/chat/completions", "/v1/messages", "/v1/embeddings"
MODELS = "/v1/models"


class Path(NamedTuple):
    """An exact path, without what stands for a regular expression."""

    text: str
    exact: bool


def plain(path: str) -> Path | None:
    """Return the one path that a route path matches; None where it matches several."""
    if not path.startswith("~"):
        return Path(path, False)
    body = path[1:]
    exact = body.endswith("$")
    body = body.removesuffix("$").removeprefix("^")
    either = re.sub(r"\(\?:(\\?.)\|%[0-9A-Fa-f]{2}\)", lambda m: m[1] if m[1][0] == "\\" else f"\\{m[1]}", body)
    text = re.sub(r"\\([^A-Za-z0-9])", lambda m: chr(0xE000 + ord(m[1])) if ord(m[1]) < 0x80 else m[1], either)
    if re.search(r"[\\.+*?()|\[\]{}^$]", text):
        return None
    text = "".join(chr(ord(c) - 0xE000) if 0xE000 <= ord(c) < 0xE080 else c for c in text)
    return Path(re.sub(r"%(3F|25|23)", lambda m: chr(int(m[1], 16)), text), exact)


class Called(NamedTuple):
    """What the paths of a route say: base paths, and names of the model; both empty where they say nothing."""

    bases: tuple[str, ...]
    names: tuple[str, ...]
    ours: bool
    """Whether a build would write the same paths."""


def called(paths: Sequence[str], bases: Sequence[str]) -> Called:
    """Return what the paths of a model's route say. `bases`: those of the list of models, where there is one."""
    found = [plain(p) for p in paths]
    texts = []
    for path in found:
        door = next((d for d in (CHAT, MESSAGES, EMBEDDINGS) if path and path.text.endswith(d)), "")
        if path is None or not door:
            return Called((), (), False)
        texts.append(path.text.removesuffix(door))
    exact = all(p and p.exact for p in found)
    if bases:
        if all(t in bases for t in texts):
            return Called(tuple(dict.fromkeys(texts)), (), exact)
        outermost = sorted(bases, key=len, reverse=True)
        below = [next((b for b in outermost if t.startswith(f"{b}/")), None) for t in texts]
        split = [(b, t[len(b) + 1 :]) for b, t in zip(below, texts, strict=True) if b is not None]
        names = tuple(dict.fromkeys(n for _, n in split))
        if len(split) == len(texts) and len(texts) == len(names) * len(bases):
            return Called(tuple(dict.fromkeys(b for b, _ in split)), names, exact)
    if len(texts) == 1 and texts[0] == "":
        return Called(("",), (), False)
    names = tuple(t.rpartition("/")[2] for t in texts)
    outer = tuple(dict.fromkeys(t.rpartition("/")[0] for t in texts))
    return (
        Called(outer, tuple(dict.fromkeys(n for n in names if n)), False) if len(outer) == 1 else Called((), (), False)
    )


def duration(milliseconds: float) -> str:
    """Return a duration as the language has it; 24 days stand for no limit."""
    whole = int(milliseconds)
    if whole >= 2**31 - 2:
        return "0s"
    if whole % 1000:
        return f"{whole}ms"
    seconds = whole // 1000
    return f"{seconds // 60}m" if seconds and seconds % 60 == 0 and seconds > 60 else f"{seconds}s"


def size(number: int) -> str | int:
    """Return a size as people write it."""
    for unit, factor in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10), ("M", 10**6), ("k", 10**3)):
        if number and number % factor == 0:
            return f"{number // factor}{unit}"
    return number
