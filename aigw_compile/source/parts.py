"""What reading found in a file that holds a part: the same, without words of a part that could not be read as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from aigw_compile.diagnostic import Diagnostic, Severity
from aigw_compile.mask import bare, hiding
from aigw_compile.source.text import Text

_KIND: Final = "AIGatewayConfig"
_PART: Final = re.compile(rf"""\bkind["']?\s*:\s*["']?{_KIND}\b""")
_NEXT: Final = re.compile(r"^---", re.MULTILINE)
_WORDLESS: Final = frozenset({"AIG0010", "AIG0011"})
"""Their messages are about marks of YAML and quote no word."""


def without_words(found: Sequence[Diagnostic], text: Text) -> list[Diagnostic]:
    """Return the findings; those of a part with an error say what is wrong and where, and nothing of what stands there.

    What a part hides is known only when all of it was read: until then all of it counts as hidden.
    """
    if _KIND not in text.content:
        return [*found]
    hiding()
    parts = [*_parts(text)]
    wrong = {
        part
        for d in found
        for part in parts
        if d.severity is Severity.ERROR and d.span and part[0] <= d.span.line <= part[1]
    }
    return [_told(d) if d.span and any(first <= d.span.line <= last for first, last in wrong) else d for d in found]


def _parts(text: Text) -> Iterator[tuple[int, int]]:
    """Yield the first and last line of each document that says it is a part."""
    starts = [0, *(m.start() for m in _NEXT.finditer(text.content)), len(text.content)]
    for start, end in pairwise(starts):
        if _PART.search(text.content, start, end):
            yield text.position(start)[0], text.position(end)[0]  # what is missing is missing at the next "---"


def _told(d: Diagnostic) -> Diagnostic:
    return bare(d)._replace(message=d.message) if d.code in _WORDLESS else bare(d)
