"""A SecretRef and an environment to the secret, held so that it cannot be printed; or a SecretError that says what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class SecretError(LookupError):
    """A secret cannot be had; the message names the reference, never a value."""


class Secret:
    """Holds a secret. It prints as [redacted]; `reveal` is the one way to the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "[redacted]"

    __str__ = __repr__

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not pickled")

    def reveal(self) -> str:
        return self._value


def fetch(ref: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Return the secret that a reference of the language names. Raises SecretError."""
    if "env" in ref:
        value = environ.get(ref["env"], "")
        if not value:
            raise SecretError(f"the environment variable {ref['env']} is not set")
        return value
    if "file" in ref:
        try:
            value = Path(ref["file"]).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as wrong:
            raise SecretError(f"the file {ref['file']} cannot be read: {type(wrong).__name__}") from None
        if not value:
            raise SecretError(f"the file {ref['file']} is empty")
        return value
    if "vault" in ref:
        raise SecretError(
            f"the vault {ref['vault']} is not read by this version: put {ref['key']} into a variable or a file and refer to that"
        )
    name = ref.get("kubernetes", {}).get("name", "?")
    raise SecretError(f"the Kubernetes Secret {name} is not read by this version: mount it and refer to the file")
