"""A part to warnings about its contract: locks that leave a door open."""

from __future__ import annotations

from collections.abc import Iterator

from aigw_compile.diagnostic import Diagnostic, Severity, value_at
from aigw_compile.resolve.parts import CONFIG, Part
from aigw_compile.resolve.paths import ANY, Path, places, written

_LEVELS: tuple[Path, ...] = (("models", ANY), ("consumerGroups", ANY), ("consumers", ANY))
"""Where policies stand beside those of the gateway."""
_REPLACED = ("cache", "requestTransformer", "responseTransformer")
"""Of these policies the most specific one wins whole."""
_LOOKS_AT = {
    "promptGuard": ("requestTransformer",),
    "responseGuard": ("responseTransformer", "cache"),
    "promptDecorator": ("requestTransformer",),
}
"""A policy, and those that change what it looks at."""


def advice(part: Part) -> Iterator[Diagnostic]:
    """Yield a warning for each lock that somebody who refers to the part can walk around."""
    if part.type != "AIGateway":
        return
    closed = [term.path for term in part.contract.hide] + [lock.path for lock in part.contract.lock]
    for lock in part.contract.lock:
        if lock.path[:1] == ("auth",) and len(lock.path) > 1 and not _covered(("auth",), closed):
            message = f"`{written(lock.path)}` is locked, and `auth` is not: a sibling `anonymous: true` opens the door"
            yield _warning("AIG2033", message, lock.at, "lock `auth`")
        if len(lock.path) > 1 and lock.path[0] == "policies":
            yield from _replaceable(str(lock.path[1]), lock.at, closed)
    for pattern in (
        ("policies", "limits", ANY, "cost"),
        *((*level, "policies", "limits", ANY, "cost") for level in _LEVELS),
    ):
        for at in places(pattern, value_at(CONFIG, part.source.data), CONFIG):
            if not _covered(("models", ANY, "targets", ANY, "pricing"), closed):
                message = "this part limits cost, and whoever refers to it can set the prices of a target"
                yield _warning("AIG2034", message, at, "lock `models[*].targets[*].pricing`")
                return


def _replaceable(policy: str, at: tuple[str | int, ...], closed: list[Path]) -> Iterator[Diagnostic]:
    own = [policy] if policy in _REPLACED else []
    for other in (*own, *_LOOKS_AT.get(policy, ())):
        paths: list[Path] = [(*level, "policies", other) for level in _LEVELS]
        if other not in own:
            paths.insert(0, ("policies", other))
        open_ = [path for path in paths if not _covered(path, closed)]
        if open_:
            what = "replaces it" if other in own else "changes what it looks at"
            message = f"`policies.{policy}` is locked, and whoever refers to this part can set what {what}"
            yield _warning("AIG2035", message, at, f"lock {', '.join(f'`{written(path)}`' for path in open_)} too")
            return


def _covered(path: Path, closed: list[Path]) -> bool:
    return any(path[: len(one)] == one for one in closed)


def _warning(code: str, message: str, at: tuple[str | int, ...], hint: str) -> Diagnostic:
    return Diagnostic(code, Severity.WARNING, message, at, hint)
