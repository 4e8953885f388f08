"""The documents of a target, held against its judgement: our schema of its format, our tables and, asked for, its binary."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from aigw_compile import data, secretfiles
from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Severity
from aigw_compile.document import Document, text_of
from aigw_compile.mask import NO_VEIL, STARS, Veil
from aigw_compile.target import TargetFacts, release
from aigw_compile.verify import envoy, kong
from aigw_compile.verify.origins import Wrong, blamed

CODES: Mapping[str, tuple[str, str, str]] = {
    "AIG9001": (
        "error",
        "an output does not fit the target's format",
        "The compiler wrote something that the target's own format does not allow. This is our mistake: please report "
        "it with the spec. Nothing was written for this target.",
    ),
    "AIG9002": (
        "error",
        "the target's own binary refuses an output",
        "The target itself (`envoy --mode validate`) did not accept what was compiled. This is our mistake: please "
        "report it with the message below. Nothing was written for this target.",
    ),
    "AIG6301": (
        "error",
        "Kong does not take this value",
        "Kong would refuse what was compiled from this value, or take it for something else: a field, a value or a rule of "
        "a plugin or an entity, by the tables of its versions (`targets/kong/plugins/`). The message names the plugin, the "
        "field and the version, and what would be right. Nothing was written for this target.",
    ),
    "AIG6302": (
        "error",
        "Kong would take this text for a template or a reference",
        "Kong looks for `$(headers.x)` in some texts and runs what it finds, and takes `{vault://...}` for a reference to a "
        "secret. A text of a spec is a text: where Kong would read more into it, it is refused. A secret is written as a "
        "SecretRef, never as a reference of Kong's.",
    ),
    "AIG9003": (
        "warning",
        "the target's own judgement could not be asked",
        "`--verify native` runs the target's own binary where there is one: install the extra `aigw-compile[envoy]`. "
        "The output was still held against our schema of its format.",
    ),
}


def verify(target: str, documents: Sequence[Document], hides: Veil = NO_VEIL) -> Iterator[Diagnostic]:
    """Yield an AIG9001 for each place where an output does not fit targets/TARGET/output.schema.json, or a name leads nowhere.

    Where a part hides something, what stands at that place is not quoted: it may have been made from it.
    """
    bodies = {d.filename: _plain(d.body) for d in documents}
    failed = False
    for error in _validator(target).iter_errors(bodies):
        failed = True
        place = "/".join(str(step) for step in error.instance_path)
        said = f"breaks `{'/'.join(map(str, error.schema_path))}` of its schema" if hides else error.message[:300]
        yield Diagnostic("AIG9001", Severity.ERROR, f"{target}: {place}: {said}", ())
    # What is read further may count on its format.
    for place, said in NAMES[target](bodies) if target in NAMES and not failed else ():
        yield Diagnostic("AIG9001", Severity.ERROR, f"{target}: {hides.text(f'{place}: {said}')}", ())


NAMES: Mapping[str, Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]]] = {"envoy": envoy.faults}
"""Target -> what its format cannot say, and its own judgement does not look at: where names lead."""
JUDGES: Mapping[str, Callable[..., Iterator[Wrong]]] = {"kong": kong.faults}
"""Product that does the work -> its tables' judgement of the documents."""


def judged(
    facts: TargetFacts, documents: Sequence[Document], spec: Json, hides: Veil = NO_VEIL
) -> Iterator[Diagnostic]:
    """Yield what the tables of the product say against the documents, at the place of the spec that each value came from.

    What nothing in the spec made is a mistake of ours, an AIG9001. What a part hides is not quoted.
    """
    product, profile = facts.works_as
    said: set[tuple[str, Pointer]] = set()
    for wrong in JUDGES[product](documents, release(profile), spec) if product in JUDGES else ():
        message = f"{wrong.where}: {_QUOTED.sub(STARS, wrong.message) if hides else wrong.message}"
        place = wrong.place if wrong.place is not None else blamed(wrong.document.body, wrong.path, spec)
        if place is None:
            where = "/".join(map(str, (wrong.document.filename, *wrong.path)))
            yield Diagnostic("AIG9001", Severity.ERROR, f"{facts.name}: {where}: {message} ({wrong.right})")
        elif (wrong.code, place) not in said:
            said.add((wrong.code, place))
            yield Diagnostic(wrong.code, Severity.ERROR, message, place, wrong.right)


@cache
def _validator(target: str) -> Any:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(
        json.loads((data.folder("targets") / target / "output.schema.json").read_bytes())
    )


def _plain(value: Any) -> Any:
    """The same data without our own dict type, as jsonschema-rs wants it."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


_QUOTED = re.compile(r"""(["'`]).*?\1|[\[{(<].*[\]})>]""", re.DOTALL)
NATIVE: Mapping[str, Callable[[Path], Iterator[Diagnostic]]] = {"envoy": envoy.refused}
"""Target -> ask its own binary about the outputs in a folder."""


def verify_native(target: str, documents: Sequence[Document], hides: Veil = NO_VEIL) -> tuple[Diagnostic, ...]:
    """Ask the target's own binary, where there is one, about the outputs with made-up secrets in a temporary folder.

    Where a part hides something, what the binary quotes is left out: it may have been made from it.
    """
    if target not in NATIVE:
        return ()
    with tempfile.TemporaryDirectory(prefix="aigw-verify-") as name:
        folder = Path(name)
        for document in documents:
            path = folder / document.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text_of(document), "utf-8")
        secretfiles.write(folder, secretfiles.placeholders(secretfiles.read(folder)))
        found = NATIVE[target](folder)
        return tuple(d._replace(message=hides.text(_QUOTED.sub(STARS, d.message))) if hides else d for d in found)
