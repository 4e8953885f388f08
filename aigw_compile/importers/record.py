"""Data of a file to nodes that know their place, and a record of what was read, told and left: nothing of it is lost in silence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from aigw_compile import mask
from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Related, Severity
from aigw_compile.importers.codes import CODES
from aigw_compile.source import Source

_SEVERITIES = {"error": Severity.ERROR, "warning": Severity.WARNING, "hint": Severity.HINT}
MOST_ALIKE = 20
"""Further places that one finding names; it says how many more there are."""


class Imported(NamedTuple):
    """What came out. `spec` is None where a finding is an error."""

    spec: Json
    comments: dict[Pointer, str]
    """Place in the spec -> what a person should know of it."""
    findings: tuple[Diagnostic, ...]
    told: frozenset[Pointer] = frozenset()
    """Places of the file that a finding speaks of, with all below them: the rest is in the spec."""


class Record:
    """What was done with each place of a file: read into the spec, or told."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.read: set[Pointer] = set()
        self.told: dict[Pointer, None] = {}
        self._found: dict[Diagnostic, None] = {}
        self._alike: dict[tuple[str, str, str], list[Pointer]] = {}

    def tell(self, code: str, message: str, at: Pointer, hint: str = "", also: Iterable[Pointer] = ()) -> None:
        """Say something about a place and all below it; `also`: about others too."""
        others = [*also]
        self.told.update(dict.fromkeys([at, *others]))
        related = tuple(Related("with this", place) for place in others[:MOST_ALIKE])
        found = Diagnostic(code, _SEVERITIES[CODES[code][0]], message, at, hint, related)
        self._found[found] = None

    def note(self, code: str, message: str, at: Pointer, hint: str = "") -> None:
        """Say something about a place that was read: what is below it is not told by this."""
        found = Diagnostic(code, _SEVERITIES[CODES[code][0]], message, at, hint)
        self._found[found] = None

    def alike(self, code: str, message: str, at: Pointer, hint: str = "") -> None:
        """Say the same of many places at once, in one finding."""
        self.told[at] = None
        self._alike.setdefault((code, message, hint), []).append(at)

    def findings(self) -> tuple[Diagnostic, ...]:
        """Return all that there is to say, with places in the file, and what is left last."""
        for at in self._left((), self.source.data):
            self.alike("AIG8103", "this has no place in the spec", at, "keep it where it is if it matters")
        found = list(self._found)
        for (code, message, hint), places in self._alike.items():
            more = f" (and {len(places) - 1 - MOST_ALIKE} more places)" if len(places) > MOST_ALIKE + 1 else ""
            related = tuple(Related("here too", place) for place in places[1 : MOST_ALIKE + 1])
            found.append(Diagnostic(code, _SEVERITIES[CODES[code][0]], message + more, places[0], hint, related))
        return tuple(map(self._located, found))

    def early(self) -> list[Diagnostic]:
        """Return what was said so far that keeps a model from being carried over."""
        return [d for d in self._found if d.code in ("AIG8102", "AIG8108", "AIG8113")]

    def _located(self, found: Diagnostic) -> Diagnostic:
        """With its place. Names of entities are shown, and what looks like a credential nowhere."""
        located = self.source.locate(found)
        return located._replace(place=mask.scrub(located.place), message=mask.scrub(found.message))

    def covered(self, at: Pointer) -> bool:
        """Say whether a place was told, or something that it is in."""
        return any(at[:depth] in self.told for depth in range(len(at) + 1))

    def _left(self, at: Pointer, value: Json) -> Iterator[Pointer]:
        """Yield what is neither read nor told: the outermost place of which nothing was."""
        if at in self.told or (at in self.read and not isinstance(value, (dict, list))):
            return
        if value is None or value == [] or value == {}:
            return  # Kong takes it for not being there
        inner = [*_inner(at, value)]
        if not inner:
            yield at
            return
        left = [place for step, deeper in inner for place in self._left(step, deeper)]
        steps = [step for step, _ in inner]
        if at and left == steps and at not in self.read:
            yield at
        else:
            yield from left


def _inner(at: Pointer, value: Json) -> Iterator[tuple[Pointer, Json]]:
    if isinstance(value, dict):
        yield from (((*at, key), inner) for key, inner in value.items())
    elif isinstance(value, list):
        yield from (((*at, index), inner) for index, inner in enumerate(value))


_TOO_LARGE = 2**63


class Node:
    """A mapping of the file. `below` is another one that says what this one does not (defaults, shared configuration).

    `names`: what is asked for -> what it is called here; with them nothing else is found here.
    """

    __slots__ = ("at", "below", "data", "names", "record")

    def __init__(
        self,
        record: Record,
        at: Pointer,
        data: Json,
        below: Node | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.record = record
        self.at = at
        self.data: dict[str, Json] = data if isinstance(data, dict) else {}
        self.below = below
        self.names = names

    def named(self, names: Mapping[str, str], below: Node | None = None) -> Node:
        """Return the same mapping under other names."""
        return Node(self.record, self.at, self.data, below, names)

    def _name(self, key: str) -> str:
        return key if self.names is None else self.names.get(key, "")

    def holder(self, key: str) -> Node | None:
        """Return the one that says it: this one, or what is below it. A null says nothing."""
        if self.data.get(self._name(key)) is not None:
            return self
        return self.below.holder(key) if self.below else None

    def raw(self, key: str) -> Json:
        """Return the value as it stands, without saying that it was read."""
        holder = self.holder(key)
        return holder.data[holder._name(key)] if holder else None

    def place(self, *keys: str | int) -> Pointer:
        """Return where something stands, or would."""
        holder = self.holder(str(keys[0])) if keys else None
        return (
            *(holder or self).at,
            *([(holder or self)._name(str(keys[0])) or str(keys[0])] if keys else []),
            *keys[1:],
        )

    def keys(self) -> list[str]:
        """Return the keys that say something."""
        return [*dict.fromkeys([*(self.below.keys() if self.below else ()), *self.data])]

    # --- Reading: what is of another kind is told

    def text(self, key: str) -> str:
        """Return a text; "" where there is none."""
        value = self._of(key, (str,), "a text")
        if isinstance(value, str) and mask.looks_secret(value) and not value.startswith("{vault://"):
            self.record.tell("AIG8105", "this looks like a secret, and was not copied", self.place(key), SECRET_HINT)
            return ""
        return value if isinstance(value, str) else ""

    def secret(self, key: str) -> str:
        """Return a text that may be a secret, for whoever makes a reference of it."""
        value = self._of(key, (str,), "a text")
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> float | int | None:
        """Return a number; None where there is none."""
        value = self._of(key, (int, float), "a number")
        if isinstance(value, (int, float)) and abs(value) >= _TOO_LARGE:
            self.record.tell(
                "AIG8102", f"`{key}` is larger than a spec can write", self.place(key), "nobody reaches it"
            )
            return None
        return value if isinstance(value, (int, float)) else None

    def whole(self, key: str) -> int | None:
        """Return a whole number; None where there is none."""
        value = self.number(key)
        if value is not None and value != int(value):
            self.record.tell("AIG8102", f"`{key}` is a whole number in Kong", self.place(key), "write a whole number")
            return None
        return None if value is None else int(value)

    def flag(self, key: str, default: bool) -> bool:
        """Return a boolean."""
        value = self._of(key, (bool,), "true or false")
        return value if isinstance(value, bool) else default

    def texts(self, key: str) -> list[str]:
        """Return a list of texts; what is none is told, and left out."""
        value = self._of(key, (list,), "a list")
        found = []
        for index, item in enumerate(value if isinstance(value, list) else ()):
            at = self.place(key, index)
            if not isinstance(item, str):
                self.record.tell(
                    "AIG8102", f"`{key}` is a list of texts in Kong, and this is none", at, "put it in quotes"
                )
            elif mask.looks_secret(item) and not item.startswith("{vault://"):
                self.record.tell("AIG8105", "this looks like a secret, and was not copied", at, SECRET_HINT)
            else:
                self.record.read.add(at)
                found.append(item)
        return found

    def seen(self, key: str) -> list[str]:
        """Return the texts of a list without saying that they were read."""
        value = self.raw(key)
        return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []

    def numbers(self, key: str) -> list[float]:
        """Return a list of numbers; a number by itself is a list of one."""
        raw = self.raw(key)
        if isinstance(raw, (int, float)) and not isinstance(raw, bool):
            one = self.number(key)
            return [] if one is None else [one]
        value = self._of(key, (list,), "a list of numbers")
        found: list[float] = []
        for index, item in enumerate(value if isinstance(value, list) else ()):
            if isinstance(item, (int, float)) and not isinstance(item, bool) and abs(item) < _TOO_LARGE:
                self.record.read.add(self.place(key, index))
                found.append(item)
            else:
                self.record.tell("AIG8102", f"`{key}` is a list of numbers in Kong", self.place(key, index))
        return found

    def child(self, key: str) -> Node:
        """Return the mapping at a key; an empty one where there is none."""
        value = self._of(key, (dict,), "a mapping")
        deeper = self.below.child(key) if self.below and self.below.holder(key) else None
        if self.data.get(self._name(key)) is None and deeper:
            return deeper
        return Node(self.record, (*self.at, self._name(key) or key), value if isinstance(value, dict) else {}, deeper)

    def items(self, key: str) -> list[Node]:
        """Return the mappings of a list."""
        value = self._of(key, (list,), "a list")
        found = []
        for index, item in enumerate(value if isinstance(value, list) else ()):
            at = self.place(key, index)
            if isinstance(item, dict):
                found.append(Node(self.record, at, item))
            elif item is not None:
                self.record.tell("AIG8102", f"`{key}` is a list of mappings in Kong, and this is none", at)
        return found

    def usual(self, key: str, *values: Json, why: str = "", code: str = "AIG8103") -> None:
        """Take a value that means nothing to the spec; any other than these is told, with why."""
        value = self.raw(key)
        if value is None:
            return
        at = self.place(key)
        if any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in values):
            self.record.read.update(leaves(at, value))
        else:
            self.record.alike(code, why or f"`{key}` has no place in the spec", at)

    def _of(self, key: str, kinds: tuple[type, ...], wanted: str) -> Json:
        value = self.raw(key)
        if value is None:
            return None
        at = self.place(key)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            unquoted = isinstance(value, dict) and any("vault:" in str(k) for k in value)
            hint = 'put it in quotes: "{vault://...}"' if unquoted else f"write {wanted}"
            self.record.tell("AIG8102", f"`{key}` is {wanted} in Kong, and this is none", at, hint)
            return None
        self.record.read.add(at)
        return value


SECRET_HINT = (
    "write a reference where the language takes one, or leave it out; a secret that stood in a file is better renewed"
)


def leaves(at: Pointer, value: Json) -> Iterator[Pointer]:
    yield at
    for step, inner in _inner(at, value):
        yield from leaves(step, inner)


def root(source: Source) -> Node:
    """Return the whole document."""
    return Node(Record(source), (), source.data)
