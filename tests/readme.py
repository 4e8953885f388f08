"""README.md with what its commands print now, and docs/targets.md from the tables of targets/."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
MATRIX = ROOT / "docs" / "targets.md"
MATRIX_HEAD = """\
# What each target does

What `aigw-compile targets --markdown` prints: native, emulated (by other means), delegated (done by another target that
stands behind this one), partial (with the difference that the note names), outside (the target has no place for it) or
none. A star: another answer for some parts, values or gateways. A plus: it stands on what the target's maker calls alpha or
work in progress. The numbers are those of the notes at the end. Of several versions of one thing the first and the last have
a column, and below the table stands what each version changes.
`make golden` rewrites this page.
"""
BLOCK = re.compile(r"```console\n\$ aigw-compile (.*)\n(?:.*\n)*?```")


def refreshed(text: str) -> str:
    """Return the text with what each command prints now."""

    return BLOCK.sub(lambda match: f"```console\n$ aigw-compile {match[1]}\n{said(match[1])}\n```", text)


def said(arguments: str) -> str:
    """Return what aigw-compile prints."""
    command = [sys.executable, "-m", "aigw_compile", *arguments.split()]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode in (0, 1, 2), done.stderr
    return done.stdout.rstrip()


def matrix() -> str:
    """Return the page of the capability matrix."""
    return f"{MATRIX_HEAD}\n{said('targets --markdown')}\n"


if __name__ == "__main__":
    README.write_text(refreshed(README.read_text("utf-8")), "utf-8")
    MATRIX.write_text(matrix(), "utf-8")
