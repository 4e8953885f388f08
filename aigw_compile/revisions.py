"""A revision of git to a folder with its YAML files: read through git's own objects, without touching the work tree."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from aigw_compile.source import LARGEST


class SideError(ValueError):
    """A side cannot be read; the message says why, and what would be right."""


def unpack(revision: str, root: Path, folder: Path) -> None:
    """Write the YAML files and the links of a revision below the root into a folder; the work tree is not touched.

    Raises SideError.
    """
    if revision.startswith("-") or not revision:
        raise SideError(f'"{revision}" is no revision')
    prefix = _prefix(root)
    # git refuses an empty path, which is what the prefix of the repository's own root is.
    listed = _git(root, "ls-tree", "-r", "-z", "--full-tree", revision, "--", *filter(None, [prefix]))
    files: list[tuple[str, Path]] = []
    links: list[tuple[str, Path]] = []
    for entry in os.fsdecode(listed).split("\0"):
        head, _, name = entry.partition("\t")
        path = folder / name.removeprefix(prefix)
        if ".." in path.parts or not path.is_relative_to(folder):  # no git makes such a tree, but somebody can
            continue
        if head.startswith(("100644 blob", "100755 blob")) and name.endswith((".yaml", ".yml")):
            files.append((head.split()[2], path))
        elif head.startswith("120000 blob"):
            links.append((head.split()[2], path))
    try:
        for path, raw in _blobs(root, files):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
        for path, raw in _blobs(root, links):  # last, so that nothing is written through one
            path.parent.mkdir(parents=True, exist_ok=True)
            if raw and b"\0" not in raw and not os.path.lexists(path):
                path.symlink_to(os.fsdecode(raw))
    except OSError as error:
        raise SideError(f"git:{revision} cannot be written to {folder}: {error.strerror}") from None
    (folder / ".git").mkdir()  # the folder stands for a repository: a project file above it is not its own


def _blobs(root: Path, wanted: Sequence[tuple[str, Path]]) -> Iterator[tuple[Path, bytes]]:
    """Yield the bytes of each blob of git, one by one; what is too large to be read is cut where that shows."""
    with tempfile.TemporaryFile() as names:
        names.write("".join(f"{sha}\n" for sha, _ in wanted).encode())
        names.seek(0)
        command = ["git", "cat-file", "--batch"]
        with subprocess.Popen(command, cwd=root, stdin=names, stdout=subprocess.PIPE) as git:
            assert git.stdout
            for _, path in wanted:
                left = int(git.stdout.readline().split()[2])
                raw = git.stdout.read(min(left, LARGEST + 1))
                left -= len(raw)
                while left > 0:
                    left -= len(git.stdout.read(min(left, LARGEST)) or b"." * left)
                git.stdout.read(1)
                yield path, raw


def _prefix(root: Path) -> str:
    return _git(root, "rev-parse", "--show-prefix").decode().strip()


def _git(root: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except OSError:
        raise SideError("git is not installed") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise SideError(f"git {arguments[0]}: {said[0] if said else 'failed'}")
    return done.stdout
