"""promptDecorator at run time: messages, and the decorators that apply, to the messages that are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aigw_compile.proxy.config import Decorator


def decorated(messages: Sequence[Any], decorators: Sequence[Decorator]) -> list[Any]:
    """Return the messages with those of every decorator around them; the first decorator is the outermost."""
    before = [dict(m) for d in decorators for m in d.prepend]
    after = [dict(m) for d in reversed(decorators) for m in d.append]
    return [*before, *messages, *after]
