"""A second route of a model, for clients that speak Anthropic's dialect, to the first one: in the spec both are one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.importers.kong import paths
from aigw_compile.importers.kong.shape import Instance, Kong

# Kong 3.13 has `llm_format: anthropic`; our build writes such a route beside the one for OpenAI's dialect.

FORMAT = "llm_format"


def twins(kong: Kong, routes: Iterable[str]) -> dict[str, str]:
    """Return second routes, each with the first: the same paths but for the door."""
    found: dict[str, str] = {}
    chats = {_below(kong, r, paths.CHAT): r for r in routes}
    for route in routes:
        below = _below(kong, route, paths.MESSAGES)
        if below and below in chats:
            found[route] = chats[below]
    return found


def _below(kong: Kong, route: str, door: str) -> tuple[str, ...]:
    """The paths of a route without its door; () where it has another."""
    read = [paths.plain(p) for p in kong.routes[route].node.seen("paths")]
    texts = [p.text for p in read if p and p.exact and p.text.endswith(door)]
    return tuple(t.removesuffix(door) for t in texts) if texts and len(texts) == len(read) else ()


def compared(kong: Kong, pairs: Mapping[str, str]) -> None:
    """Take what a second route has like the first; tell what differs."""
    for second, first in pairs.items():
        node = kong.routes[second].node
        node.texts("paths")
        for field in ("methods", "hosts"):
            node.usual(field, kong.routes[first].node.raw(field), why="both doors of a model are alike", code="AIG8106")
        mine = {_key(i): i for i in kong.plugins if i.scope.route == second}
        theirs = {_key(i): i for i in kong.plugins if i.scope.route == first}
        for key, one in mine.items():
            other = theirs.get(key)
            if other and _plain(one) == _plain(other):
                _read(kong, one.config.at, one.config.data)
                one.node.secret("consumer")
            else:
                kong.record.tell(
                    "AIG8106", "both doors of a model are alike in the spec: that of chat counts", one.node.at
                )
            if one.config.raw(FORMAT) is not None:
                one.config.usual(
                    FORMAT, "anthropic", why="clients speak OpenAI's dialect or Anthropic's", code="AIG8106"
                )
        for key, one in theirs.items():
            if key not in mine:
                kong.record.note(
                    "AIG8106", "it stands at one door of a model here, and at both in the spec", one.node.at
                )


def _key(one: Instance) -> tuple[str, ...]:
    return (one.name, one.scope.consumer, one.scope.group)


def _plain(one: Instance) -> Json:
    return {k: v for k, v in one.config.data.items() if k != FORMAT}


def _read(kong: Kong, at: Pointer, value: Any) -> None:
    kong.record.read.add(at)
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, deeper in inner:
        _read(kong, (*at, step), deeper)
