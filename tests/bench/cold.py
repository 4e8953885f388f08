"""Print how long a cold `lint` of examples/minimal takes, as a ratio to yamllint on the same file, in one run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "examples" / "minimal" / "gateway.yaml"
ROUNDS = 15
BIN = Path(sys.executable).parent
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "yamllint": [str(BIN / "yamllint"), "-d", "relaxed", str(FILE)],
    "aigw-compile lint": [str(BIN / "aigw-compile"), "lint", str(FILE)],
    "aigw-compile --version": [str(BIN / "aigw-compile"), "--version"],
}


def once(command: list[str]) -> float:
    start = time.perf_counter()
    environment = {**os.environ, "NO_COLOR": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what pip installed is compiled; a checkout is too after one run
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}: {done.stdout.decode()}{done.stderr.decode()}")
    return time.perf_counter() - start


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for round_ in range(ROUNDS + 1):
        for name, command in COMMANDS.items():
            taken = once(command)
            if round_:  # the first round warms the file cache
                times[name].append(taken)
    base = statistics.median(times["yamllint"])
    for name, taken in times.items():
        middle = statistics.median(taken)
        print(f"{name:24} median {middle * 1000:6.1f} ms  {middle / base:5.2f} x yamllint")


if __name__ == "__main__":
    main()
