"""What a binding has to say, each thing once, with the place of the layer that it is said to."""

from __future__ import annotations

from aigw_compile.diagnostic import Diagnostic, Pointer, Related, Severity, Span
from aigw_compile.resolve.layers import Entry, Layer

_TAKEN = frozenset(("AIG1001", "AIG2020", "AIG2022", "AIG2023"))
_REFUSED = frozenset(("AIG1001", "AIG2024"))


class Told:
    """Findings, in the order in which they came up."""

    def __init__(self) -> None:
        self.findings: list[Diagnostic] = []
        self.refused: list[Span] = []
        """The texts that nobody may write there: what else could be said of one would tell what it is compared with."""
        self.taken: list[tuple[Layer, Pointer]] = []
        """What is not merged, since it may not be there: so that nothing is said of what would follow from it."""
        self._keys: set[tuple[object, ...]] = set()

    def __call__(
        self, code: str, message: str, entry: Entry, path: str, hint: str, *related: Related, at: Pointer = ()
    ) -> None:
        at = at or entry.at
        if code in _TAKEN:
            self.taken.append((entry.layer, at))
        key = (code, id(entry.layer.source), at)
        if key not in self._keys:
            self._keys.add(key)
            severity = Severity.HINT if code == "AIG2021" else Severity.ERROR
            on_key = isinstance(at[-1], str)
            span = entry.layer.span(at, on_key=on_key)
            found = Diagnostic(code, severity, message, (), hint, related, on_key, span, path)
            self.findings.append(found)
            if code in _REFUSED:
                self.refused.append(entry.layer.span(at))
