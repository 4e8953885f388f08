"""The AIG0xxx codes: for each its severity, title and explanation, as `explain AIG0011` prints them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aigw_compile.diagnostic import Severity

_ERROR, _WARNING, _HINT = Severity.ERROR, Severity.WARNING, Severity.HINT

CODES: Final[Mapping[str, tuple[Severity, str, str]]] = {
    "AIG0001": (
        _ERROR,
        "a file cannot be read",
        "The path does not exist, is a folder, is no regular file (a socket, a device), or the user who runs the "
        "compiler may not read it. Check the path and its permissions.",
    ),
    "AIG0002": (
        _ERROR,
        "a file is too large",
        "A file may have at most 8 MiB. A spec of that size is nearly always something else that was put into the "
        "folder by mistake. Split a real one into several files.",
    ),
    "AIG0003": (
        _ERROR,
        "a file is not UTF-8",
        "YAML files are read as UTF-8. The message says what the bytes look like (UTF-16, UTF-32, Latin-1) and where "
        "the first bad byte stands. Save the file again as UTF-8.",
    ),
    "AIG0004": (
        _HINT,
        "a file starts with a byte order mark",
        "UTF-8 needs no byte order mark (the bytes EF BB BF). It is skipped here, but other tools stumble over it. "
        "Save the file as UTF-8 without BOM.",
    ),
    "AIG0005": (
        _ERROR,
        "a character is not allowed in YAML",
        "Control characters (NUL, DEL, ...) cannot stand in a YAML file. U+0085, U+2028 and U+2029 are refused too: a "
        "YAML 1.1 reader takes them for line breaks and a YAML 1.2 reader does not, so the same file would have two "
        'meanings. Write such a character as an escape in double quotes: "\\x1b", "\\u2028".',
    ),
    "AIG0006": (
        _WARNING,
        "an invisible character changes the order of the text on the screen",
        "Bidirectional control characters (U+202A to U+202E, U+2066 to U+2069) make a line look different from what "
        'is read. Remove them, or write them as escapes in double quotes: "\\u202e".',
    ),
    "AIG0010": (
        _ERROR,
        "the YAML cannot be parsed",
        "The message names what was expected. One such error is reported for each document (between `---` lines); the "
        "other documents of the file are still read and checked.",
    ),
    "AIG0011": (
        _ERROR,
        "a tab is used for indentation",
        "YAML is indented with spaces only. Replace each tab by two spaces. Most editors can be told to do so for "
        ".yaml files.",
    ),
    "AIG0012": (
        _ERROR,
        "a key stands twice in one mapping",
        "Many readers silently take the last one; this is nearly always a copied line. Remove one. Keys are compared "
        "after their quotes and escapes have been read: a, 'a' and \"a\" are the same key.",
    ),
    "AIG0013": (
        _ERROR,
        "a key is not text",
        "Keys are text. A plain 1, true or null is a number, a boolean or null: write it in quotes. Lists and mappings "
        "cannot be keys. A template such as {{name}} must stand in quotes, since { opens a mapping.",
    ),
    "AIG0014": (
        _HINT,
        "a plain word that YAML 1.1 readers take for something else",
        "Files are read by YAML 1.2 (core schema). Other tools that read the same file may follow YAML 1.1, where yes, "
        "no, on, off, y, n are booleans, 012 is octal, 1_000 is 1000, 12:30:45 is a number of seconds, and 2026-01-31 "
        "is a date. Quotes make the meaning the same for all. The key `on` and the word "
        "`off` are exempt: they belong to the spec language.",
    ),
    "AIG0015": (
        _ERROR,
        "a merge key",
        "`<<` merges mappings in YAML 1.1; it is not part of YAML 1.2. Use configRef to take over settings from "
        "somewhere else. A key that is really called << must stand in quotes.",
    ),
    "AIG0016": (
        _ERROR,
        "an unknown tag",
        "Tags such as !secret or !!python/object have no meaning here. Allowed are !!str, !!int, !!float, !!bool, "
        "!!null, !!map and !!seq. Text that starts with ! must stand in quotes.",
    ),
    "AIG0017": (
        _ERROR,
        "an alias names no anchor",
        "*name repeats what &name marked earlier in the same document. Text that starts with * must stand in quotes.",
    ),
    "AIG0018": (
        _ERROR,
        "an alias stands inside what it repeats",
        "*name inside the value that &name marks would have no end.",
    ),
    "AIG0019": (
        _ERROR,
        "aliases repeat too much",
        "A document may use at most 1,000 aliases, and written out in full it may have at most 10 times as many values "
        "as were written, plus 10,000, and 100 levels. This stops files that are small on disk and huge in memory.",
    ),
    "AIG0020": (
        _ERROR,
        "values are nested too deeply",
        "At most 100 lists and mappings may stand inside each other.",
    ),
    "AIG0021": (
        _ERROR,
        "too many documents in one file",
        "A file may have at most 1,000 documents. Split it into several files.",
    ),
    "AIG0022": (
        _ERROR,
        "a number is out of range",
        "Whole numbers go from -2^63 to 2^63 - 1, other numbers up to about 1.8e308. An identifier that only looks "
        "like a number must stand in quotes.",
    ),
    "AIG0023": (
        _ERROR,
        "infinity or not-a-number",
        ".inf and .nan are numbers in YAML, but JSON has no such numbers, and no setting needs one. Leave the setting "
        "out where there should be no limit. Text must stand in quotes.",
    ),
    "AIG0024": (
        _HINT,
        "a %YAML directive asks for another version",
        "Files are read by YAML 1.2, whatever the directive says. Remove the line, or write %YAML 1.2.",
    ),
    "AIG0025": (
        _ERROR,
        "a file holds too many values",
        "A file may hold at most 500,000 keys and values, aliases written out, so that nobody can make the compiler run "
        "out of memory. The document that goes beyond is not read. Split the file.",
    ),
}
