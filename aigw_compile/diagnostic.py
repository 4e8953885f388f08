"""What we tell the user: a Diagnostic is a value, made anywhere and rendered in one place (render/)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple, TypeAlias

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"

Pointer: TypeAlias = tuple[str | int, ...]
"""A place inside a document, such as ("spec", "models", 0, "targets", 1, "weight"). The one address of the house."""


class Severity(IntEnum):
    """How bad a finding is; only an error stops an output."""

    HINT = 1
    WARNING = 2
    ERROR = 3


class Span(NamedTuple):
    """Where some text stands in a file: lines and columns count from 1, columns in code points, the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    via: Span | None = None
    """The configRef through which this text was pulled in: a chain, innermost first."""


class Related(NamedTuple):
    """Another place that helps to understand a finding."""

    message: str
    at: Pointer = ()
    span: Span | None = None


class Diagnostic(NamedTuple):
    """One finding: what is wrong, where, and what would be right.

    `at` points into one document; `on_key` says that the key there is meant, not its value. `span` is filled in
    by whoever knows the text (`Source.locate`), so that the steps in between need no text at all.
    """

    code: str
    severity: Severity
    message: str
    at: Pointer = ()
    hint: str = ""
    related: tuple[Related, ...] = ()
    on_key: bool = False
    span: Span | None = None
    place: str = ""
    """`at` as people write it, `models[chat].targets[backup]`; filled in together with `span`."""
    veiled: bool = False
    """It stands at a place that a part hides: neither its words nor the line that it is about are shown."""
    plain: str = ""
    """What may be said of it even then: words in which no value of the document can stand."""


def failed(diagnostics: Iterable[Diagnostic]) -> bool:
    """Say whether any finding is an error."""
    return any(d.severity is Severity.ERROR for d in diagnostics)


def named(pointer: Pointer, data: Json, hides: Callable[[Pointer], bool] | None = None) -> str:
    """Return `pointer` as people write it: list items by name where they have one, `spec` left out.

    `hides` says of a place whether its last step, or the name that stands there, is to be `***`.

    >>> named(("spec", "models", 0, "aliases", 1), {"spec": {"models": [{"name": "chat", "aliases": ["a", "b"]}]}})
    'models[chat].aliases[1]'
    """
    text = ""
    for number, (step, inner) in enumerate(_walk(pointer, data), 1):
        here = pointer[:number]
        if isinstance(step, int):
            label = inner.get("name") if isinstance(inner, dict) else None
            if hides and isinstance(label, str) and hides((*here, "name")):
                label = "***"
            text += f"[{label if isinstance(label, str) else step}]"
        elif hides and hides(here):
            text += ".***" if text else "***"
        elif step != "spec" or text:
            text += f".{step}" if text else step
    return text


def _walk(pointer: Pointer, data: Json) -> Iterator[tuple[str | int, Json]]:
    for step in pointer:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            data = None
        yield step, data


def value_at(pointer: Pointer, data: Json) -> Json:
    """Return what stands at `pointer`, or None where nothing does."""
    return [data, *(inner for _, inner in _walk(pointer, data))][-1]


MOST_KNOWN = 1000
"""Among more words than that none is guessed: a document full of slips would take minutes."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` is most likely a slip of, if any is near enough.

    Near means: equal without case and punctuation, or at most a third of the letters changed (Damerau, one
    transposition counts once).
    """
    plain = _letters(word)
    best: tuple[int, str] | None = None
    words = [*known]
    for candidate in sorted(words) if len(words) <= MOST_KNOWN else ():
        most = max(1, min(len(word), len(candidate)) // 3)
        if _letters(candidate) == plain:
            distance = 0
        elif abs(len(word) - len(candidate)) > most:
            continue  # so many letters more are so many changes at least
        else:
            distance = _distance(word, candidate)
        if distance <= most and (not best or distance < best[0]):
            best = (distance, candidate)
    return best[1] if best else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the tail of a message about an unknown word: the likely one, and all that are known (at most 12)."""
    words = sorted(set(known))
    likely = nearest(word, words)
    listed = ", ".join(words[:12]) + (", ..." if len(words) > 12 else "")
    if likely:
        return f'did you mean "{likely}"? (known: {listed})'
    return f"known: {listed}" if words else "none is defined"


def _letters(word: str) -> str:
    return "".join(c for c in word.lower() if c.isalnum())


def _distance(a: str, b: str) -> int:
    """Optimal string alignment distance, in O(len(a) * len(b)); words here are short."""
    a, b = a[:64], b[:64]
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
