"""What emitters share: a SecretRef as the secrets.json beside an output describes it."""

from __future__ import annotations

from typing import Any

from aigw_compile import ir
from aigw_compile.document import Block


def secret_ref(ref: ir.SecretRef) -> Block:
    """Return a reference as data: {source, name, property, version, vault: null or {name, type, settings}}."""
    vault: Any = None
    if ref.vault:
        settings = dict(ref.vault.settings)
        vault = Block(ref.vault.origin, {"name": ref.vault.name, "type": ref.vault.type, "settings": settings})
    fields = {"source": ref.source, "name": ref.name, "property": ref.property, "version": ref.version, "vault": vault}
    return Block(ref.origin, fields)
