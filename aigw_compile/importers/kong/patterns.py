"""A pattern that Kong gives to PCRE2 to one that RE2 reads the same way, or why there is none."""

from __future__ import annotations

import re

import re2

# pcre2pattern(3): `$` is the end or before a last newline, `\\s` has the vertical tab, `\\v` is any vertical space, `\\h`
# any horizontal one. Kong searches bytes without options (3.9.3, ai-prompt-guard, "jo"); `(*UTF)` is ours.

UTF = "(*UTF)"
_REFUSED = {
    "(?=": "looking ahead",
    "(?!": "looking ahead",
    "(?<=": "looking behind",
    "(?<!": "looking behind",
    "(?>": "an atomic group",
    "(?|": "a branch reset",
    "(?R": "recursion",
    "(?&": "recursion",
    "(?(": "a condition",
    "(*": "a verb",
}
_ESCAPES = {
    "Z": "\\n?\\z",
    "h": "[\\t ]",
    "H": "[^\\t ]",
    "N": "[^\\n]",
    "R": "(?:\\r\\n|[\\n\\v\\f\\r])",
    "e": "\\x1b",
}
_KEPT = re.compile(r"\\[0-9]|\\[gkKXGE]")
_NAMED = re.compile(r"\(\?<([A-Za-z_]\w*)>")


class Refused(ValueError):
    """Why a pattern cannot be written."""


def to_re2(pattern: str) -> str:
    """Return the same for RE2. Raises Refused."""
    ours = pattern.startswith(UTF)
    body = pattern.removeprefix(UTF)
    text = body if _ours(body, ours) else _read(body)
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text, options)
    except re2.error as wrong:
        raise Refused(f"RE2 refuses it: {str(wrong)[:80]}") from None
    return text


def _ours(body: str, utf: bool) -> bool:
    """Say whether a pattern is one that our own build makes: then it holds nothing that the two read differently."""
    return utf and not re.search(r"(?<!\\)\$|\\[sSvZhHNR]|\(\?[=!<>|]|\(\*", body)


def _read(body: str) -> str:
    out: list[str] = []
    place, inside = 0, False
    lines = "(?m" in body
    while place < len(body):
        c = body[place]
        if c == "\\":
            escape = body[place + 1 : place + 2]
            if _KEPT.match(body, place) and not (escape == "0" or (inside and escape.isdigit())):
                raise Refused("a reference back, or an escape that RE2 lacks")
            out.append(_escape(escape, inside))
            place += 2
            continue
        if inside:
            inside = c != "]" or body[place - 1] == "[" or body[place - 2 : place] == "[^"
        elif c == "[":
            inside = True
        elif c == "(":
            for start, what in _REFUSED.items():
                if body.startswith(start, place):
                    raise Refused(f"RE2 has no {what.removeprefix('a ').removeprefix('an ')}")
            named = _NAMED.match(body, place)
            if named:
                out.append(f"(?P<{named[1]}>")
                place = named.end()
                continue
        elif c == "+" and place and body[place - 1] in "*+?}" and not _escaped(body, place - 1):
            raise Refused("RE2 has no possessive quantifier")
        elif c == "$" and not lines:
            out.append("\\n?\\z")
            place += 1
            continue
        out.append(c)
        place += 1
    return "".join(out)


def _escape(c: str, inside: bool) -> str:
    if c == "s":
        return "\\s\\v" if inside else "[\\s\\v]"
    if c == "S":
        if inside:
            raise Refused("RE2 has no \\S of PCRE among other characters")
        return "[^\\s\\v]"
    if c == "v":
        return "\\n\\v\\f\\r" if inside else "[\\n\\v\\f\\r]"
    if c in _ESCAPES and inside:
        if c in "hRNZH":
            return "\\t " if c == "h" else f"\\{c}"
        return _ESCAPES[c]
    return _ESCAPES.get(c, f"\\{c}")


def _escaped(body: str, place: int) -> bool:
    count = 0
    while place > 0 and body[place - 1] == "\\":
        place, count = place - 1, count + 1
    return count % 2 == 1
