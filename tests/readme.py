"""README.md to README.md with the output of every command in its console blocks as it really is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"```console\n\$ aigw-compile (.*)\n(?:.*\n)*?```")


def refreshed(text: str) -> str:
    """Return the text with what each command prints now."""

    def run(match: re.Match[str]) -> str:
        command = [sys.executable, "-m", "aigw_compile", *match[1].split()]
        environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode in (0, 1, 2), done.stderr
        return f"```console\n$ aigw-compile {match[1]}\n{done.stdout.rstrip()}\n```"

    return BLOCK.sub(run, text)


if __name__ == "__main__":
    README.write_text(refreshed(README.read_text("utf-8")), "utf-8")
