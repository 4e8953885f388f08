"""Arguments to what kubectl prints for them: a program of its own, without a shell, bounded in bytes and in time."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from aigw_compile.live.codes import LiveError
from aigw_compile.live.told import printable
from aigw_compile.mask import scrub

SECONDS = 120.0
WAIT = 20
"""Seconds for one request of kubectl."""
LARGEST = 256 << 20
"""Bytes of one answer, at most."""


class Kubectl:
    """Asks kubectl, as a program of its own and without a shell, for what it is told to get."""

    def __init__(self, context: str, shown: str, environment: Mapping[str, str]) -> None:
        self._head = [f"--context={context}", f"--request-timeout={WAIT}s"]
        self._shown = shown
        self._environment = {**environment}
        self._left = SECONDS
        self._program = shutil.which("kubectl", path=environment.get("PATH", os.defpath))
        if self._program is None:
            raise LiveError("AIG7116", f"{shown}: kubectl is not there", "install it, or put it on PATH")

    def __call__(self, arguments: Sequence[str]) -> bytes:
        """Return what kubectl prints. Raises LiveError."""
        assert self._program
        command = [self._program, *self._head, *arguments, "--output=json"]
        start = time.monotonic()
        with tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    env=self._environment,
                    start_new_session=True,
                )
            except OSError as error:
                raise LiveError("AIG7116", f"{self._shown}: kubectl does not start: {error.strerror}") from None
            guard = threading.Timer(max(self._left, 0), _end, [process])
            guard.start()
            with process:
                assert process.stdout
                raw = process.stdout.read(LARGEST + 1)
                if len(raw) > LARGEST:
                    _end(process)
            guard.cancel()
            self._left -= time.monotonic() - start
            if len(raw) > LARGEST:
                raise LiveError("AIG7113", f"{self._shown}: kubectl gives more than {LARGEST >> 20} MiB")
            if self._left <= 0:
                raise LiveError("AIG7113", f"{self._shown}: reading takes more than {SECONDS:.0f} seconds")
            if process.returncode:
                said.seek(0)
                raise self._wrong(said.read(1 << 16).decode("utf-8", "replace"))
        return raw

    def _wrong(self, said: str) -> LiveError:
        """What kubectl complains of, by the words that it has for it; of all others its last line."""
        for words, code, what, hint in COMPLAINTS:
            if found := re.search(words, said):
                return LiveError(
                    code, f"{self._shown}: {what}{printable(found[1])[:100] if found.groups() else ''}", hint
                )
        lines = [line for line in said.strip().splitlines() if line.strip()]
        last = scrub(printable(lines[-1]))[:200] if lines else "it ends without a word"
        return LiveError("AIG7110", f"{self._shown} cannot be read: {last}", "does `kubectl get gateways` answer?")


COMPLAINTS = (
    (
        r"context \S+ does not exist|no context exists",
        "AIG7115",
        "kubectl has no such context",
        "`kubectl config get-contexts` lists them",
    ),
    (
        r"(?i)forbidden: .*cannot list resource (\S+)",
        "AIG7111",
        "kubectl may not list ",
        "reading is enough: get and list",
    ),
    (r"(?i)\(forbidden\)", "AIG7111", "the cluster refuses", "reading is enough: get and list"),
    (
        r"(?i)unauthorized|must be logged in|provide credentials",
        "AIG7111",
        "the cluster wants a login",
        "log in, as kubectl itself wants it",
    ),
    (
        r"doesn't have a resource type (\S+)",
        "AIG7112",
        "the cluster does not know ",
        "are the CRDs of the controller installed, and is this its profile?",
    ),
)
"""Words of kubectl, the code, what is wrong, what would be right."""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End kubectl with what it started, such as a program that logs in."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
