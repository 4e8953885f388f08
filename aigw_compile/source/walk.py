"""The text of a file to its YAML documents, one builder call each; a syntax error ends one document, not the file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from yaml._yaml import CParser
from yaml.error import YAMLError
from yaml.events import DocumentStartEvent, StreamEndEvent, StreamStartEvent

GetEvent = Callable[[], Any]
Builder = Callable[[GetEvent, Any, int, int], None]
"""Called as (get_event, document start event, index of the document, offset of the marks); reads to the end event."""

# `---` at the start of a line begins a document wherever it stands, even inside quotes and block scalars (YAML 1.2.2,
# 9.1.2), so it is safe to go on there after an error. One directive line before it belongs to that document.
_NEXT: Final = re.compile(r"^(?:%[^\r\n]*(?:\r\n|\r|\n))?---(?=[ \t\r\n]|\Z)", re.MULTILINE)
MOST_DOCUMENTS: Final = 1000
MOST_VALUES: Final = 500_000
"""Keys and values in one file, at most, aliases written out: 8 MiB of `{a},` would take gigabytes otherwise."""


class Abandon(Exception):
    """A builder gives one document up; what was wrong is noted already."""


class TooManyDocuments(Exception):
    """The file has more than MOST_DOCUMENTS documents; `index` is where the first of the others starts."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


def walk(content: str, build: Builder, failed: Callable[[YAMLError, int], None]) -> None:
    """Call `build` for each document of `content`, and `failed(error, offset)` for each syntax error.

    After an error or an Abandon the reading goes on at the next `---`. Raises TooManyDocuments.
    """
    count = 0
    begin = 0
    end = len(content)
    while begin < end:
        resume = begin
        get_event = CParser(content if (begin, end) == (0, len(content)) else content[begin:end]).get_event
        try:
            while True:
                event: Any = get_event()
                kind = type(event)
                if kind is StreamStartEvent:
                    continue
                if event is None or kind is StreamEndEvent:
                    break
                if kind is DocumentStartEvent:
                    resume = begin + event.end_mark.index
                    if count >= MOST_DOCUMENTS:
                        raise TooManyDocuments(begin + event.start_mark.index)
                    count += 1
                    build(get_event, event, count - 1, begin)
        except Abandon:
            pass
        except YAMLError as error:
            failed(error, begin)
        else:
            resume = end
        # From the first error on each piece is parsed by itself, so that many errors cost no more than one.
        following = _NEXT.search(content, max(resume, begin + 1))
        if following is None:
            return
        begin = following.start()
        after = _NEXT.search(content, following.end())
        end = after.start() if after else len(content)
