"""What a contract says of one place: the paths that begin there, and what is left of them one step further."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aigw_compile.resolve.paths import Item, Path, Step

NAME: Path = ("name",)
Steps = Callable[[Step], bool]


class Rules(NamedTuple):
    """What binds a referrer below a place; paths are relative to it."""

    hide: tuple[Path, ...] = ()
    lock: tuple[tuple[Path, bool], ...] = ()
    """With whether items may be added all the same."""
    open: tuple[Path, ...] = ()
    """What may be set although it says where a credential goes."""
    constrain: tuple[tuple[Path, Mapping[str, Any], bool], ...] = ()
    """With the schema, and whether something has to stand there."""

    @property
    def hidden(self) -> bool:
        return () in self.hide

    @property
    def gone(self) -> bool:
        """Nothing can be set here."""
        return self.hidden or ((), False) in self.lock

    @property
    def only_more(self) -> bool:
        """Items may be added, and nothing else be changed."""
        return ((), True) in self.lock

    @property
    def binding(self) -> bool:
        """Something is hidden or locked here or below, so that this cannot be deleted or replaced."""
        return bool(self.hide or self.lock)

    @property
    def free(self) -> bool:
        return not (self.hide or self.lock or self.constrain)

    @property
    def schemas(self) -> list[Mapping[str, Any]]:
        """What a value of this very place has to fit."""
        return [schema for path, schema, _ in self.constrain if not path]

    def field(self, key: str) -> Rules:
        """What is left at a field."""
        return self._through(lambda step: step == key)

    def entry(self, key: str) -> Rules:
        """What is left at an entry of a map with keys of one's own; "" is one that no path names."""
        return self._through(lambda step: step == key if isinstance(step, str) else step.takes(key))

    def item(self, name: str) -> Rules:
        """What is left at an item of a list; "" is one that no path names. Its own name can be written, hidden or not."""
        found = self._through(lambda step: isinstance(step, Item) and step.takes(name))
        return found._replace(hide=tuple(path for path in found.hide if path != NAME))

    def unnamed(self, name: str) -> bool:
        """Say whether an item of a list is not to be known by its name."""
        found = self._through(lambda step: isinstance(step, Item) and step.takes(name))
        return () in found.hide or NAME in found.hide

    @property
    def opened(self) -> bool:
        return () in self.open

    @property
    def inside(self) -> bool:
        """Something below is hidden or locked; where layers replace each other whole, that is all of it."""
        return any(self.hide) or any(path for path, _ in self.lock)

    def asks_for(self, key: str) -> bool:
        """Say whether a constraint demands a field: one with no further item of a list on the way."""
        return any(
            needed and path[:1] == (key,) and not any(isinstance(step, Item) for step in path)
            for path, _, needed in self.constrain
        )

    def names(self) -> list[str]:
        """The items of a list that paths name, in the order of the paths."""
        heads = [path[0] for path in (*self.hide, *(p for p, _ in self.lock), *(p for p, *_ in self.constrain)) if path]
        found: dict[str, None] = {}
        for step in heads:
            if isinstance(step, Item):
                found |= dict.fromkeys([step.name] if step.name else sorted(step.but))
        return list(found)

    def _through(self, takes: Steps) -> Rules:
        return Rules(
            tuple(path[1:] for path in self.hide if path and takes(path[0])),
            tuple((path[1:], add) for path, add in self.lock if path and takes(path[0])),
            tuple(path[1:] for path in self.open if not path or takes(path[0])),
            tuple((path[1:], schema, needed) for path, schema, needed in self.constrain if path and takes(path[0])),
        )
