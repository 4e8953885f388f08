"""Two sides that are made of named parts to what differs: part by part, field by field, as the compiler would write it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Diagnostic
from aigw_compile.diff import Change, Diff, differences
from aigw_compile.document import Block
from aigw_compile.live.codes import LiveError
from aigw_compile.live.secrets import LOGIN, Secret
from aigw_compile.live.told import Drift, change, printable
from aigw_compile.mask import NO_VEIL, Veil
from aigw_compile.rules.providers import CREDENTIAL_HEADER
from aigw_compile.target import TargetFacts

Ident = tuple[str, ...]


class Part(NamedTuple):
    """Something with a name of its own: a listener, an object, a whole file."""

    file: str
    place: str
    """In the file: "" where it is the whole."""
    value: Any


class Held(NamedTuple):
    """Everything that one side holds."""

    title: str
    parts: Mapping[Ident, Part]
    gateway: str = ""
    """Whose it says it is."""
    findings: tuple[Diagnostic, ...] = ()
    notes: tuple[str, ...] = ()
    veil: Veil = NO_VEIL
    compiled: bool = False
    version: str = ""
    """Of what runs, as it says itself."""


Opaque = Callable[[tuple[str, ...], str], bool]
"""Names above a text, and the text -> whether it is one that nobody is to see."""
Absent = Callable[[str, str, Any], bool]
"""Key of a record, key in it and value -> whether a target that does not show the field means this value."""


def never(within: str, key: str, value: Any) -> bool:
    """Return False: what is not shown is not there."""
    return False


def gateways(side: Held) -> dict[str, int]:
    """Return the gateway that a side says it is, with the number of its parts."""
    return {side.gateway: len(side.parts)} if side.gateway else {}


def compare(old: Held, new: Held, gateway: str, target: TargetFacts, absent: Absent) -> Drift:
    """Return what differs. What was read is written as the compiler writes it, where it means the same."""
    changes: list[Change] = []
    for ident in dict.fromkeys((*new.parts, *old.parts)):
        before, after = old.parts.get(ident), new.parts.get(ident)
        ours = after if new.compiled else before
        place = ours or after or before
        assert place
        spec = ours.value if ours and (old.compiled or new.compiled) else None
        if before and after:
            a, b = before.value, after.value
            a, b = (a, alike(b, a, absent)) if old.compiled else (alike(a, b, absent), b)
            found = differences(a, b, target.identity, place.place, (), ())
            changes += (change(each, place.file, spec, old, new) for each in found)
        else:
            op = "added" if after else "removed"
            sides = (None, ()) if after else ((), None)
            whole = (op, place.place, None, None, *sides)
            changes.append(change(whole, place.file, spec, old, new))
    changes.sort(key=lambda c: (c.place, c.op))
    notes = tuple(f"{side.title}: {note}" for side in (old, new) for note in side.notes)
    number = len({*old.parts, *new.parts})
    diff = Diff(gateway, False, tuple(changes), {}, (), number, tuple(dict.fromkeys(map(printable, notes))))
    return Drift(diff, ())


def without(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a mapping without one field; a Block keeps its origins."""
    made = Block(value.origin, value.placed()) if isinstance(value, Block) else {**value}
    made.pop(key, None)
    return made


# --- what means the same


def alike(live: Any, spec: Any, absent: Absent, within: str = "") -> Any:
    """Return what was read, written as `spec` is wherever both mean the same."""
    if isinstance(live, dict) and isinstance(spec, dict):
        made = {k: alike(v, spec[k], absent, k) if k in spec else v for k, v in live.items()}
        made |= {k: v for k, v in spec.items() if k not in live and absent(within, k, v)}
        return made
    if isinstance(live, list) and isinstance(spec, list):
        named = {v["name"]: v for v in spec if isinstance(v, dict) and isinstance(v.get("name"), str)}
        by_name = len(named) == len(spec)
        twins = [
            named.get(v.get("name")) if by_name and isinstance(v, dict) else spec[i] if i < len(spec) else None
            for i, v in enumerate(live)
        ]
        return [alike(v, twin, absent, within) for v, twin in zip(live, twins, strict=True)]
    return spec if live == spec or same(live, spec) else live


_DURATION = re.compile(r"-?\d{1,15}(\.\d{1,9})?s")
_NUMBER = re.compile(r"-?\d{1,25}(\.\d{1,25})?")


def same(live: Any, spec: Any) -> bool:
    """Whether two values mean the same, though they are written differently: 1.0 and "1", 0.25s and 0.250s, a hidden one."""
    if isinstance(live, Secret):
        known = spec if isinstance(spec, Secret) else Secret(spec)
        return spec is not None and not isinstance(spec, (dict, list)) and live == known
    if isinstance(spec, bool) or isinstance(live, bool):
        return False
    if isinstance(spec, (int, float)):
        text = live if isinstance(live, str) else repr(live)
        return _NUMBER.fullmatch(text) is not None and Decimal(text) == Decimal(repr(spec))
    if isinstance(spec, str) and isinstance(live, str) and _DURATION.fullmatch(spec) and _DURATION.fullmatch(live):
        return Decimal(live[:-1]) == Decimal(spec[:-1])
    return False


# --- what is not kept

_NAMED = re.compile(
    r"(?i)(.*[_-])?(token|secret|password|passphrase|api_?key|access_?key|private_?key|client_?secret|credentials?)"
)
"""Fields whose text lets somebody in, whatever they stand in."""


DEEPEST = 150
"""Levels of what is read, at most."""


def masked(value: Any, opaque: Opaque, path: tuple[str, ...] = (), depth: int = 0) -> Any:
    """Return a value without its secrets: values of credential headers, fields named so, passwords in addresses, what is opaque.

    Raises LiveError for what is nested too deeply.
    """
    if depth > DEEPEST:
        raise LiveError("AIG7112", f"what was read is nested more than {DEEPEST} levels deep")
    if isinstance(value, dict):
        header = value.get("key", value.get("name"))
        credential = isinstance(header, str) and CREDENTIAL_HEADER.fullmatch(header.lower()) is not None
        return {
            k: Secret(v)
            if credential and k == "value" and isinstance(v, str)
            else masked(v, opaque, (*path, k), depth + 1)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [masked(v, opaque, path, depth + 1) for v in value]
    if not isinstance(value, str):
        return value
    secret = (path and _NAMED.fullmatch(path[-1])) or LOGIN.search(value) or opaque(path, value)
    return Secret(value) if secret else value
