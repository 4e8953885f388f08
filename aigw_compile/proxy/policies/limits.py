"""limits at run time: a caller and a model to the counters that apply to the call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from aigw_compile.proxy.config import Config, Consumer, Limit, Model


class Counter(NamedTuple):
    """One counter of one limit: the limit, and whose count it is."""

    limit: Limit
    key: tuple[str, ...]


def counters(config: Config, model: Model, consumer: Consumer | None) -> Iterator[Counter]:
    """Yield every counter that a call is held against: the gateway's, the model's, its groups' and its own."""
    for limit in config.policies.limits:
        yield from _split(limit, ("gateway", ""), model, consumer)
    for limit in model.policies.limits:
        yield from _split(limit, ("model", model.name), model, consumer)
    for group in consumer.groups if consumer else ():
        for limit in config.groups[group].limits:
            yield from _split(limit, ("group", group), model, consumer)
    for limit in consumer.policies.limits if consumer else ():
        yield from _split(limit, ("consumer", consumer.name if consumer else ""), model, consumer)


def _split(limit: Limit, scope: tuple[str, str], model: Model, consumer: Consumer | None) -> Iterator[Counter]:
    """A limit by group has a counter for each group of the caller, at a group for that one; all others have one."""
    name = consumer.name if consumer else ""
    parts = {"gateway": "", "consumer": name, "model": model.name}
    fixed = tuple(f"{by}={parts[by]}" for by in limit.by if by != "group")
    if "group" not in limit.by:
        yield Counter(limit, (*scope, limit.name, *fixed))
        return
    groups = (scope[1],) if scope[0] == "group" else consumer.groups if consumer else ()
    for group in groups:
        yield Counter(limit, (*scope, limit.name, *fixed, f"group={group}"))
