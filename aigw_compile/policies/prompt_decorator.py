"""promptDecorator, as data with defaults, to its node: messages put before and after the client's own."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from aigw_compile.diagnostic import Pointer


class Message(NamedTuple):
    role: str
    content: str
    origin: Pointer


class _Fields(NamedTuple):
    prepend: tuple[Message, ...]
    append: tuple[Message, ...]
    origin: Pointer


class PromptDecorator(_Fields):
    kind: ClassVar[str] = "promptDecorator"


def lower(data: Any, at: Pointer) -> tuple[PromptDecorator, ...]:
    def messages(side: str) -> tuple[Message, ...]:
        items = [(m, (*at, side, i)) for i, m in enumerate(data.get(side, ())) if m is not None]
        return tuple(Message(m["role"], m["content"], place) for m, place in items)

    return (PromptDecorator(messages("prepend"), messages("append"), at),)
