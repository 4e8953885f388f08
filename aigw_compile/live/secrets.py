"""A value that must not be kept to a Secret, which tells only whether another one is the same."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any

from aigw_compile.document import At, Block

_SALT = os.urandom(32)
"""Of this run alone: what a digest is made of cannot be tried out, and digests of two runs tell nothing."""
_HASHED = re.compile(r"[0-9a-f]{40}|\$argon2.*|\$2[aby]\$.*")
"""A password as Kong keeps it (3.9.3, plugins/basic-auth/crypto.lua: SHA-1)."""
LOGIN = re.compile(r"://[^/?#@\s]*:[^/?#@\s]*@")
"""A name and a password in an address."""


class Secret:
    """A value that is not kept: whether it is another one can be told, where both are known and of one form."""

    __slots__ = ("digest", "form")

    def __init__(self, value: Any = None) -> None:
        text = value if isinstance(value, str) else repr(value)
        self.form = "" if value is None else "hashed" if _HASHED.fullmatch(text) else "plain"
        self.digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=_SALT, digest_size=16).digest()

    @property
    def known(self) -> bool:
        return bool(self.form)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return False
        return self.form != other.form or not self.form or self.digest == other.digest

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return "(secret)"

    __repr__ = __str__


def unknown(value: Any) -> Any:
    """Return what secrets.json asks for with Secrets instead of names of secrets; a Block keeps its origins."""
    if isinstance(value, Block) and "$secret" not in value:
        return Block(
            value.origin,
            {
                k: v._replace(value=unknown(v.value)) if isinstance(v, At) else unknown(v)
                for k, v in value.placed().items()
            },
        )
    if isinstance(value, dict):
        return Secret() if "$secret" in value else {k: unknown(v) for k, v in value.items()}
    return [unknown(v) for v in value] if isinstance(value, list) else value
