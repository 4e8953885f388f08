"""A report of a diff and what normalising removed, to one report with both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

from aigw_compile.diff import Same
from aigw_compile.mask import scrub


def into(report: str, found: Sequence[Same], format_: str) -> str:
    """Return a report of a diff (text, markdown, json or html) with the differences that mean nothing."""
    if format_ == "json":
        whole = json.loads(report) | {"normalised": [same._asdict() for same in found]}
        return scrub(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    title = f"written differently, with the same meaning: {len(found)}"
    said = [*map(_line, found)]
    if format_ == "html":
        items = "".join(f"<li>{escape(line)}</li>" for line in said)
        folded_ = f"<details><summary>{title}</summary><ul>{items}</ul></details>\n"
        return scrub(report.replace("</body>", f"{folded_}</body>"))
    if format_ == "markdown":
        folded = [f"- {line}" for line in said]
        return report + scrub(
            "\n".join(["", f"<details><summary>{title}</summary>", "", *folded, "", "</details>", ""])
        )
    return report + scrub("".join(f"{line}\n" for line in [f"  {title}", *(f"    {line}" for line in said)]))


def _line(same: Same) -> str:
    sides = [_short(x) for x in (same.before, same.after) if x is not None]
    return f"{same.place}: {' -> '.join(sides)} ({same.why})"


def _short(value: Any) -> str:
    text = str(value).replace("\n", " ")
    return text if len(text) <= 80 else f"{text[:77]}..."
