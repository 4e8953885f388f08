"""aigw-approvals.yaml and a day to the changes that may pass although a class of theirs fails, and what is wrong in the file."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Diagnostic, Json, Severity, failed
from aigw_compile.diff import Change, Diff
from aigw_compile.source import load, parse
from aigw_compile.validate import validate_approvals

FILENAME = "aigw-approvals.yaml"

CODES: Mapping[str, tuple[str, str, str]] = {
    "AIG7003": (
        "warning",
        "an approval has run out",
        "The day of `until` in aigw-approvals.yaml is over, so the change counts for --fail-on again. Delete the entry, or "
        "approve the change anew with a later day: `aigw-compile approve FINGERPRINT --until DATE --reason TEXT`.",
    ),
}


class Approval(NamedTuple):
    """One entry of the file."""

    fingerprint: str
    gateway: str
    until: date
    reason: str


class Approvals(NamedTuple):
    """The entries that hold on a day, and the findings about the file. A file with a mistake approves nothing."""

    entries: tuple[Approval, ...] = ()
    findings: tuple[Diagnostic, ...] = ()

    def of(self, gateway: str, fingerprint: str) -> Approval | None:
        """Return the entry that lets a change of a gateway pass."""
        return next((e for e in self.entries if (e.gateway, e.fingerprint) == (gateway, fingerprint)), None)

    def failing(self, diff: Diff, classes: Collection[str]) -> tuple[Change, ...]:
        """Return the changes that have one of the classes and that nobody approved."""
        wanted = diff.wanted(classes)
        return tuple(c for c in diff.changes if wanted & {*c.classes} and not self.of(diff.gateway, c.fingerprint))


def day(text: str) -> date | None:
    """Return the day that a text such as 2026-12-31 names, or None."""
    try:
        return date.fromisoformat(text) if len(text) == len("2026-12-31") else None
    except ValueError:
        return None


def approvals(root: Path, today: date) -> Approvals:
    """Read the file of a project, if there is one, as it counts on a day."""
    if not os.path.lexists(root / FILENAME):
        return Approvals()
    raw = load(root, (FILENAME,), FILENAME)
    if isinstance(raw, Diagnostic):
        return Approvals((), (raw,))
    sources, found = parse(raw, FILENAME)
    if not sources or sources[0].data is None or failed(found):
        return Approvals((), tuple(found))
    whole, data = sources[0], sources[0].data
    wrong = validate_approvals(data)
    if not wrong:
        wrong = [*_no_days(data)]
    findings = (*found, *map(whole.locate, wrong))
    if failed(findings):
        return Approvals((), findings)
    entries = [
        Approval(item["fingerprint"], item["gateway"], date.fromisoformat(item["until"]), item["reason"])
        for item in _items(data)
    ]
    over = [i for i, entry in enumerate(entries) if entry.until < today]
    findings += tuple(whole.locate(_over(entries[i], i)) for i in over)
    return Approvals(tuple(e for i, e in enumerate(entries) if i not in over), findings)


def _items(data: Json) -> list[dict[str, Any]]:
    """The entries of data that fits the schema."""
    found: Any = data
    return list(found["approvals"])


def _no_days(data: Json) -> Iterator[Diagnostic]:
    for index, item in enumerate(_items(data)):
        if day(item["until"]) is None:
            at = ("approvals", index, "until")
            yield Diagnostic("AIG1005", Severity.ERROR, f"there is no day {item['until']}", at, "such as 2026-12-31")


def _over(entry: Approval, index: int) -> Diagnostic:
    message = f"the approval of {entry.fingerprint} for {entry.gateway} ended on {entry.until}"
    return Diagnostic(
        "AIG7003", Severity.WARNING, message, ("approvals", index, "until"), "delete it, or approve the change anew"
    )


def added(text: str, approval: Approval, sentence: str) -> str:
    """Return the text of a file with one entry more, whatever else stands in it as it was; "" is no file yet.

    An entry for the same change is replaced. The text must be what `approvals` takes.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    whole = yaml.load(text) if text.strip() else {"approvals": []}
    fresh = {
        "fingerprint": approval.fingerprint,
        "gateway": approval.gateway,
        "until": DoubleQuotedScalarString(approval.until.isoformat()),
        "reason": approval.reason,
        "change": sentence,
    }
    entries = whole["approvals"]
    same = [i for i, e in enumerate(entries) if (e["fingerprint"], e["gateway"]) == approval[:2]]
    for index in same[:1]:
        entries[index] = fresh
    if not same:
        entries.append(fresh)
    out = StringIO()
    yaml.dump(whole, out)
    return out.getvalue()
