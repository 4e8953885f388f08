"""A part and the library that it stands in, to the schema of whoever refers to it."""

from __future__ import annotations

from aigw_compile.diagnostic import value_at
from aigw_compile.resolve import CONFIG, Library, Part, digest, resolve_part
from aigw_compile.view import Rules, view
from aigw_compile.view.demands import Schema


def view_of(part: Part, library: Library) -> Schema:
    """Return the schema that a referring team sees: what binds it are the contracts of the part and of all its own parts."""
    resolved = resolve_part(part, library)
    value = value_at(CONFIG, resolved.source.data)
    bound = [(m.path, m.layer.part.contract) for m in resolved.mounts if m.layer.part]
    rules = Rules(
        tuple(dict.fromkeys((*at, *term.path) for at, told in bound for term in told.hide)),
        tuple(dict.fromkeys(((*at, *lock.path), lock.add) for at, told in bound for lock in told.lock)),
        tuple(dict.fromkeys((*at, *path) for at, told in bound for path in told.open)),
        tuple(((*at, *one.path), one.schema, one.required) for at, told in bound for one in told.constrain),
    )
    secrets = [told.secrets for at, told in bound if not at and told.secrets is not None]
    return view(part.type, part.name, digest(part, library), value if isinstance(value, dict) else {}, rules, secrets)
