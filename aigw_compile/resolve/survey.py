"""A value to what is to be known of it before it is merged: how large it is, and whether it holds a configRef or a `$patch`."""

from __future__ import annotations

from typing import Any, NamedTuple

from aigw_compile.diagnostic import Json

PATCH = "$patch"


class Survey(NamedTuple):
    """What a whole value is like."""

    plain: bool
    """No configRef and no `$patch` stands anywhere inside of it, its own top aside."""
    size: int
    """How many values stand in it, itself included."""


def survey(value: Json) -> Survey:
    """Look at every value once."""
    count, plain = 1, True
    rest: list[Any] = [value]
    while rest:
        here = rest.pop()
        kind = type(here)
        inner = here.values() if kind is dict else here
        count += len(here)
        for one in inner:
            kind = type(one)
            if kind is dict:
                rest.append(one)
                if "configRef" in one or PATCH in one:
                    plain = False
            elif kind is list:
                rest.append(one)
    return Survey(plain, count)
