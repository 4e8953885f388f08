"""A file below a folder, reached without following any link, to its bytes or to the finding that says why it is not read."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aigw_compile.diagnostic import Diagnostic, Span
from aigw_compile.source.codes import CODES

LARGEST: Final = 8 * 1024 * 1024
"""Bytes of a file, at most."""

_STEP: Final = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_REASONS: Final = {
    FileNotFoundError: "the file does not exist",
    PermissionError: "the file may not be read: permission denied",
    NotADirectoryError: "a part of the path is a file, not a folder",
}


def load(folder: Path, steps: Sequence[str], file: str, *, cut: bool = False) -> bytes | Diagnostic:
    """Return the bytes of the file that stands at `steps` below `folder`; `file` is its name in messages.

    Each step is opened from the one before it, so that nobody can slip in a link between looking and reading. What is no
    regular file is never opened, so that a pipe cannot make the compiler wait. With `cut` the first bytes of a file that is
    too large are enough.
    """
    try:
        opened = _opened(folder, steps)
        if isinstance(opened, str):
            return _unread(file, "AIG0001", opened)
        with os.fdopen(opened, "rb") as stream:
            size = os.fstat(opened).st_size
            raw = stream.read(LARGEST if cut else LARGEST + 1)
    except OSError as error:
        reason = _REASONS.get(type(error), f"the file cannot be read: {error.strerror or type(error).__name__}")
        return _unread(file, "AIG0001", reason)
    except ValueError:
        return _unread(file, "AIG0001", "this is no path: it contains a NUL character")
    if len(raw) > LARGEST:
        mib = 1024 * 1024
        message = f"the file is too large: {size / mib:.1f} MiB, and at most {LARGEST // mib} MiB are read"
        return _unread(file, "AIG0002", message, "split it, or keep it out of the sources")
    return raw


def _opened(folder: Path, steps: Sequence[str]) -> int | str:
    """The descriptor of a regular file, or why it is none."""
    held = os.open(folder, _STEP & ~getattr(os, "O_NOFOLLOW", 0))
    try:
        for step in steps[:-1]:
            inner = os.open(step, _STEP, dir_fd=held)
            os.close(held)
            held = inner
        kind = os.stat(steps[-1], dir_fd=held, follow_symlinks=False).st_mode
        if stat.S_ISDIR(kind):
            return "this is a folder, not a file"
        if not stat.S_ISREG(kind):
            return "this is no regular file"
        found = os.open(steps[-1], _FILE, dir_fd=held)
    finally:
        os.close(held)
    if stat.S_ISREG(os.fstat(found).st_mode):
        return found
    os.close(found)
    return "this is no regular file"


def _unread(file: str, code: str, message: str, hint: str = "") -> Diagnostic:
    return Diagnostic(code, CODES[code][0], message, hint=hint, span=Span(file, 1, 1, 1, 1))
