"""Regions of a file to what may be shown of them: a text with stars in their place, and findings without words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from aigw_compile.diagnostic import Diagnostic, Span

NOT_SHOWN: Final = "there is something to mend at a place that a part hides"
"""In place of the message of a finding at a hidden place, until somebody who knows the titles of codes puts one there."""


def starred(text: str, spans: Iterable[Span]) -> str:
    """Return the text with a star for every letter of `spans`, so that all columns stay what they are."""
    spans = [*spans]
    if not spans:
        return text
    parts = re.split("(\r\n|\r|\n)", text)  # lines at the even places, their ends between them
    for span in spans:
        for number in range(span.line, min(span.end_line, len(parts) // 2 + 1) + 1):
            line = parts[2 * number - 2]
            start = span.column - 1 if number == span.line else 0
            end = span.end_column - 1 if number == span.end_line else len(line)
            parts[2 * number - 2] = line[:start] + "*" * (min(end, len(line)) - start) + line[end:]
    return "".join(parts)


def overlaps(span: Span, others: Sequence[Span]) -> bool:
    """Say whether a region of a file shares a letter with one of the others."""
    start, end = (span.line, span.column), (span.end_line, span.end_column)
    return any(
        span.file == other.file
        and (other.line, other.column) < max(end, (start[0], start[1] + 1))
        and start < (other.end_line, other.end_column)
        for other in others
    )


def bare(diagnostic: Diagnostic) -> Diagnostic:
    """Return a finding that says its code and its place in the file, and no word of what stands there."""
    return diagnostic._replace(message=diagnostic.plain or NOT_SHOWN, at=(), hint="", related=(), place="", veiled=True)
