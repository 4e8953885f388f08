"""A part to its digest, and the digests that configRefs name to what does not fit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256

from aigw_compile.diagnostic import Diagnostic, Json, Severity
from aigw_compile.resolve.merged import Layering
from aigw_compile.resolve.parts import CONFIG, Library, Part, Ref
from aigw_compile.source import Source


def digest(part: Part, library: Library) -> str:
    """Return `sha256:...` over the canonical JSON of what a part is with its own parts: type, config and contracts.

    Keys sorted, no white space, UTF-8 (as RFC 8785 for what can stand in a spec): comments and order of keys do not count.
    """
    known = library.digests.get(part)
    if known is None:
        contracts: list[Json] = [
            [p.name, p.type, _fields(p)] for p in sorted(library.closure(part), key=lambda p: p.name)
        ]
        value = Layering(library, part.source, (part.config, CONFIG), part).value()
        text = canonical({"for": part.type, "config": value, "fields": contracts})
        known = library.digests[part] = "sha256:" + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return known


def canonical(value: Json) -> str:
    """Return the canonical JSON of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _fields(part: Part) -> Json:
    spec = part.source.data.get("spec") if isinstance(part.source.data, dict) else None
    return spec.get("fields") if isinstance(spec, dict) else None


def pins(refs: Iterable[Ref], source: Source, library: Library, frozen: bool) -> Iterator[Diagnostic]:
    """Yield each reference whose digest is another one than its part's; if `frozen`, those that have none too."""
    for ref in refs:
        part = library.parts.get(ref.name)
        if part is None:
            continue
        if ref.digest and ref.digest != digest(part, library):
            message = f'"{ref.name}" is not the part that was pinned: it is {digest(part, library)}'
            at, hint = (*ref.at, "digest"), "read what changed in it, then run `aigw-compile pin`"
            yield source.locate(Diagnostic("AIG2006", Severity.ERROR, message, at, hint))
        elif frozen and not ref.digest:
            message = f'the reference to "{ref.name}" names no digest'
            hint = "run `aigw-compile pin`, or leave out --frozen"
            yield source.locate(Diagnostic("AIG2007", Severity.ERROR, message, ref.at, hint))
