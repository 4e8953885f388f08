"""A syntax error of libyaml to a diagnostic that people understand: what is wrong, where, and what would be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from yaml.error import YAMLError

from aigw_compile.diagnostic import Diagnostic, Related
from aigw_compile.source.text import Text


class _Case(NamedTuple):
    """What libyaml says (libyaml 0.2.5, scanner.c and parser.c), and where and in which text it said so."""

    problem: str
    context: str
    at: int
    opened: int | None
    content: str

    @property
    def char(self) -> str:
        """The character at the problem, or '' at the end of the text."""
        return self.content[self.at : self.at + 1]

    @property
    def line_before(self) -> str:
        """The problem's line up to the problem."""
        return self.content[self.content.rfind("\n", 0, self.at) + 1 : self.at]


class _Told(NamedTuple):
    message: str
    hint: str = ""
    at: int | None = None
    end: int | None = None
    related: str = ""
    code: str = "AIG0010"


_NO_KEY: Final = _Told("a key is missing before the colon", 'write a key, or "" if it is empty; text needs quotes')


def explain(error: YAMLError, offset: int, text: Text) -> Diagnostic:
    """Return the diagnostic for `error`, whose marks count from `offset` in `text`."""
    mark = getattr(error, "problem_mark", None)
    context_mark = getattr(error, "context_mark", None)
    at = offset + (mark.index if mark else int(getattr(error, "position", 0) or 0))
    opened = offset + context_mark.index if context_mark else None
    content = text.content
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", "") or "it cannot be read")
    case = _Case(problem, str(getattr(error, "context", None) or ""), min(at, len(content)), opened, content)
    told = _tab(case) or _TOLD.get(problem, _as_it_is)(case)
    start = case.at if told.at is None else told.at
    end = told.end if told.end is not None else min(start + 1, len(content))
    related = (
        (Related(told.related, span=text.span(opened, opened + 1)),) if told.related and opened is not None else ()
    )
    return text.finding(told.code, told.message, start, end, told.hint, related=related)


def _tab(case: _Case) -> _Told | None:
    places = [i for i in (case.at, case.opened) if i is not None and case.content[i : i + 1] == "\t"]
    if not places or "quoted" in case.context:
        return None
    start = places[0]
    end = start
    while case.content[end : end + 1] == "\t":
        end += 1
    line_end = case.content.find("\n", end)
    rest = case.content[end : line_end if line_end >= 0 else len(case.content)]
    if case.content[case.content.rfind("\n", 0, start) + 1 : start].strip():
        message = "a tab stands where YAML wants a space"
    elif not rest.strip():
        message = "an empty line has a tab in it, where YAML takes it for indentation"
    else:
        message = "a tab is used for indentation"
    others = sum("\t" in line[: len(line) - len(line.lstrip())] for line in case.content[end:].splitlines()[1:])
    if others:
        message += f" ({others} more line{'s' if others > 1 else ''} below with a tab)"
    return _Told(
        message, "YAML is indented with spaces only: replace each tab by two spaces", start, end, "", "AIG0011"
    )


def _as_it_is(case: _Case) -> _Told:
    return _Told(f"this is not valid YAML: {case.problem}{f' ({case.context})' if case.context else ''}")


def _second_colon(case: _Case) -> _Told:
    before = case.line_before
    key = before.lstrip(" -").split(": ", 1)
    if len(key) == 2:
        return _Told(
            'a second ": " stands in one line',
            f'if it belongs to the text, put the text in quotes: {key[0].strip()}: "..."; '
            "else start a new line for the second key",
        )
    start, above = _line_above(case)
    if above and ":" not in above and not above.startswith(("- ", "#")):
        return _Told(
            'this line has no ":"',
            'write "key: value", or put a text of several lines in quotes or below "|"',
            start,
            start + len(above),
        )
    return _Told(
        "a key is not expected here",
        "the line above has a value already, and this line is indented below it: is the indentation right?",
    )


def _line_above(case: _Case) -> tuple[int, str]:
    """Return the start and the text of the nearest line above that is not empty."""
    end = case.content.rfind("\n", 0, case.at)
    while end > 0:
        start = case.content.rfind("\n", 0, end) + 1
        line = case.content[start:end].rstrip()
        if line:
            return start + len(line) - len(line.lstrip()), line.lstrip()
        end = start - 1
    return 0, ""


def _no_colon(case: _Case) -> _Told:
    start = case.at if case.opened is None else case.opened
    line_end = case.content.find("\n", start)
    end = line_end if line_end >= 0 else len(case.content)
    if case.content[start : start + 1] == "*":
        return _Told(
            'text that starts with "*" must stand in quotes', 'an alias as a key needs a space: "*name : value"', start
        )
    return _Told(
        'this line has no ":" and is no list item either',
        'write "key: value", or put a text of several lines in quotes or below "|"',
        start,
        max(end, start + 1),
    )


def _no_key(case: _Case) -> _Told:
    before = case.line_before
    if case.char == ":":
        return _NO_KEY
    where = "the mapping starts here"
    stripped = before.rstrip()
    if case.char in ("}", "]") or (case.char == "," and stripped):
        return _Told(f'"{case.char}" is not expected here', "nothing is open that it could belong to", related="")
    if stripped.endswith(("'", '"')):
        quote = stripped[-1]
        inner = "write '' for an apostrophe inside '...'" if quote == "'" else 'write \\" for a quote inside "..."'
        return _Told("text follows after the closing quote", f"put the whole value in quotes; {inner}")
    if case.char == "-" and not stripped:
        return _Told(
            "a list item stands where a key is expected",
            'indent the "-" below the key that it belongs to; a key has either a value or a list',
            related=where,
        )
    if not stripped:
        return _Told(
            "this line is indented differently from the keys that it follows",
            "keys of one mapping start in the same column",
            related=where,
        )
    return _Told("something is wrong before this", "only one value can follow a key; is a quote or a comma missing?")


def _no_dash(case: _Case) -> _Told:
    return _Told(
        "a list item is expected here",
        'items of one list start with "- " in the same column; a key beside a list needs a key above that list',
        related="the list starts here",
    )


def _unclosed(kind: str, close: str) -> Callable[[_Case], _Told]:
    def tell(case: _Case) -> _Told:
        if _at_end(case):
            return _Told(f"the {kind} that opens here is never closed", f'add "{close}"', case.opened)
        return _Told(
            f'"," or "{close}" is missing before this',
            f'close the {kind} with "{close}"; text that contains , : [ ] {{ }} needs quotes here',
            related=f"the {kind} opens here",
        )

    return tell


def _at_end(case: _Case) -> bool:
    starts_line = not case.line_before
    return not case.char.strip() or (starts_line and case.content.startswith(("---", "..."), case.at))


def _no_value(case: _Case) -> _Told:
    if case.content.startswith("...", case.at) and not case.content[: case.at].strip():
        return _Told('"..." ends a document that has not begun', 'remove it, or write "---" before the document')
    if _at_end(case):
        return _Told("the document ends where a value is expected", 'is a "]" or "}" missing?')
    if case.char == ":":
        return _NO_KEY
    return _Told(f'a value is missing before "{case.char}"', f'if "{case.char}" is meant as text, put it in quotes')


def _no_token(case: _Case) -> _Told:
    return _Told(
        f'a value cannot start with "{case.char}"',
        f'YAML reserves this character: put the text in quotes, such as "{case.char}..."',
    )


def _name_of_anchor(case: _Case) -> _Told:
    char = "*" if "alias" in case.context else "&"
    what = "an alias" if char == "*" else "an anchor"
    return _Told(
        f'YAML takes "{char}" for the start of {what}, but no name follows',
        f'put the text in quotes: "{char}..."',
        case.opened,
    )


def _open_quote(case: _Case) -> _Told:
    quote = case.content[case.opened : case.opened + 1] if case.opened is not None else '"'
    ends = "the file ends" if "stream" in case.problem else 'the next document ("---") starts'
    return _Told(f"the quote {quote} that opens here is never closed: {ends}", f"add a closing {quote}", case.opened)


def _escape(case: _Case) -> _Told:
    shown = case.content[case.at : case.at + 2]
    return _Told(
        f"{shown} is no escape that double quotes know",
        f"in single quotes a backslash is a plain character: '{shown}...'; in double quotes write \\\\ for one",
        end=case.at + 2,
    )


def _escaped_code(case: _Case) -> _Told:
    start = case.content.rfind("\\", 0, case.at + 1)
    code = case.content[start + 2 : case.at + 4]
    surrogate = code[:1] in "dD" and code[1:2] in "89abcdefABCDEF" and "Unicode" in case.problem
    hint = (
        "YAML has no surrogate pairs: write the character itself, or \\U and eight digits such as \\U0001F600"
        if surrogate
        else "\\x takes two hexadecimal digits, \\u four, \\U eight"
    )
    return _Told(
        "this escape names no character", hint, start if start >= 0 else None, case.at + 4 if surrogate else None
    )


def _tell(message: str, hint: str = "", *, opened: bool = False, code: str = "AIG0010") -> Callable[[_Case], _Told]:
    def tell(case: _Case) -> _Told:
        return _Told(message, hint, case.opened if opened else None, code=code)

    return tell


_DASH: Final = _tell(
    'a list cannot start here: "- " in the line of a key', 'put the "-" on a line of its own below the key'
)
_TAG: Final = _tell(
    "this tag is not complete", 'text that starts with "!" must stand in quotes', opened=True, code="AIG0016"
)
_TOLD: Final[dict[str, Callable[[_Case], _Told]]] = {
    "mapping values are not allowed in this context": _second_colon,
    "could not find expected ':'": _no_colon,
    "did not find expected key": _no_key,
    "did not find expected '-' indicator": _no_dash,
    "did not find expected ',' or ']'": _unclosed("list", "]"),
    "did not find expected ',' or '}'": _unclosed("mapping", "}"),
    "did not find expected node content": _no_value,
    "found character that cannot start any token": _no_token,
    "did not find expected alphabetic or numeric character": _name_of_anchor,
    "found unexpected end of stream": _open_quote,
    "found unexpected document indicator": _open_quote,
    "found unknown escape character": _escape,
    "did not find expected hexdecimal number": _escaped_code,
    "found invalid Unicode character escape code": _escaped_code,
    "block sequence entries are not allowed in this context": _DASH,
    "mapping keys are not allowed in this context": _tell(
        '"? " starts a complex key, which is not allowed here', "text that starts with ? must stand in quotes"
    ),
    "did not find expected <document start>": _tell(
        "something follows after the end of the document",
        'a document has one value at its top; is this line indented wrongly, or is "---" missing before it?',
    ),
    "did not find expected comment or line break": _tell(
        'text stands in the line of "|" or ">"', "start the text on the next line, indented"
    ),
    "found an indentation indicator equal to 0": _tell("the indentation after | or > is a digit from 1 to 9"),
    "found undefined tag handle": _tell(
        "an unknown tag", 'tags have no meaning here; text that starts with "!" must stand in quotes', code="AIG0016"
    ),
    "did not find the expected '>'": _TAG,
    "did not find expected '!'": _TAG,
    "did not find expected tag URI": _TAG,
    "did not find expected whitespace or line break": _tell("a space is missing here"),
    "found incompatible YAML document": _tell(
        "the %YAML directive names no version that is known", "write %YAML 1.2, or remove the line"
    ),
    "found unknown directive name": _tell(
        "an unknown directive: a line that starts with % says how to read the document", "remove the line", opened=True
    ),
    "found duplicate %YAML directive": _tell("a second %YAML directive for one document", "remove one"),
    "found duplicate %TAG directive": _tell("a second %TAG directive with the same handle", "remove one"),
}
