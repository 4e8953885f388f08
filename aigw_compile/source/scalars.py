"""The text of a plain scalar to its value by YAML 1.2's core schema, noting where others see another."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

Scalar = None | bool | int | float | str


class Noted(NamedTuple):
    """A value together with the finding that it causes."""

    value: Scalar
    code: str
    message: str
    hint: str


# YAML 1.2.2, 10.3.2 (core schema).
_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT: Final = re.compile(r"[-+]?[0-9]+")
_OCTAL: Final = re.compile(r"0o[0-7]+")
_HEX: Final = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

# YAML 1.1, yaml.org/type/: bool, int, float, timestamp, merge, value. Only what the core schema reads otherwise. `off` is
# not listed, since it is a word of the spec language (`rules: {AIG5003: off}`), as is the key `on` (see reader.py).
_BOOL_1_1: Final = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), "true"),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "Off", "OFF"), "false"),
}
_OTHER_1_1: Final = (
    (re.compile(r"[-+]?0[0-9_]+"), "an octal number"),
    (re.compile(r"[-+]?(?:[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)"), "a number"),
    (re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"), "a number in base 60"),
    (re.compile(r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?"), "a number"),
    (
        re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t]+[0-9]{1,2}:[0-9]{2}:[0-9]{2}[-+0-9.:Zz \t]*)?"),
        "a date",
    ),
)
_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**63 - 1
_SHOWN: Final = 40


def resolve(text: str) -> Scalar | Noted:
    """Return the value of the plain scalar `text`.

    >>> resolve("0x1F"), resolve("1e3"), resolve("12s"), resolve("no")[:2]
    (31, 1000.0, '12s', ('no', 'AIG0014'))
    """
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first.isalpha() or first not in "0123456789+-.=<":
        if text in _BOOL_1_1:
            return _differs(text, text, f"the boolean {_BOOL_1_1[text]}")
        return text
    if text in ("=", "<<"):
        return _differs(text, text, "a special key")
    if _INT.fullmatch(text):
        return _whole(text, 10)
    if _OCTAL.fullmatch(text):
        value = _whole(text, 8)
        return value if isinstance(value, Noted) else _differs(text, value, "text")
    if _HEX.fullmatch(text):
        return _whole(text, 16)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            return _out_of_range(text, "about 1.8e308")
        return number
    if _NO_NUMBER.fullmatch(text):
        return Noted(
            None,
            "AIG0023",
            f"{text} is no number that can be used here",
            f'leave the setting out where there should be no limit; text must stand in quotes: "{text}"',
        )
    for pattern, meaning in _OTHER_1_1:
        if pattern.fullmatch(text):
            return _differs(text, text, meaning)
    return text


def _whole(text: str, base: int) -> Scalar | Noted:
    digits = text.lstrip("+-0ox") if base != 10 else text.lstrip("+-0")
    if len(digits) > 64:
        return _out_of_range(text, "2^63 - 1")
    value = int(text[2:], base) if base != 10 else int(text)
    if not _SMALLEST <= value <= _LARGEST:
        return _out_of_range(text, "2^63 - 1" if value > 0 else "-2^63")
    if base == 10 and len(unsigned := text.lstrip("+-")) > 1 and unsigned[0] == "0":
        return _differs(text, value, "text" if set(unsigned) & {"8", "9"} else "an octal number")
    return value


def _out_of_range(text: str, limit: str) -> Noted:
    return Noted(
        None,
        "AIG0022",
        f"{_short(text)} is out of range: the limit is {limit}",
        "an identifier that looks like a number must stand in quotes",
    )


def _differs(text: str, value: Scalar, meaning: str) -> Noted:
    here = "text" if isinstance(value, str) else f"the number {value}"
    fix = f'write "{text}" if text is meant' if isinstance(value, str) else f'write {value}, or "{text}" for text'
    return Noted(value, "AIG0014", f"{_short(text)} is {here} here, but {meaning} to readers of YAML 1.1", fix)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
