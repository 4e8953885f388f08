"""A part to warnings about its contract: locks that leave a door open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aigw_compile.diagnostic import Diagnostic, Pointer, Severity, value_at
from aigw_compile.resolve.contract import Contract
from aigw_compile.resolve.parts import CONFIG, Part
from aigw_compile.resolve.paths import ANY, Path, places, written
from aigw_compile.resolve.shapes import of_type, secrets_in

_LEVELS: tuple[Path, ...] = (("models", ANY), ("consumerGroups", ANY), ("consumers", ANY))
"""Where policies stand beside those of the gateway."""
_REPLACED = ("cache", "requestTransformer", "responseTransformer")
"""Of these policies the most specific one wins whole."""
_COMES_AFTER = {"responseGuard": "responseTransformer"}
"""A guard, and what changes the text that it has passed (the request order of the language, step 16)."""
_BLINDS = {"promptGuard": ("scope", "roles"), "responseGuard": ("action",)}
"""Fields beside the patterns of a guard that say what it looks at, and what it does."""


def advice(part: Part, line: Sequence[Part]) -> Iterator[Diagnostic]:
    """Yield a warning for each lock that somebody who refers to the part can walk around.

    `line`: the part and its own parts, whose contracts bind whoever refers to it just as well.
    """
    if part.type != "AIGateway":
        return
    if all(one.contract.secrets is None for one in line) and any(
        True for _ in secrets_in(part.config, of_type(part.type))
    ):
        message = "this part has credentials, and whoever refers to it may name any secret as one of their own"
        where: Pointer = ("spec", "fields") if part.contract != Contract() else ("spec",)
        yield _warning("AIG2036", message, where, 'list those that are theirs: secrets: [{env: "TEAM_*"}]', on_key=True)
    closed = [term.path for one in line for term in one.contract.hide]
    closed += [lock.path for one in line for lock in one.contract.lock]
    for lock in part.contract.lock:
        if lock.path[:1] == ("auth",) and len(lock.path) > 1 and not _covered(("auth",), closed):
            message = f"`{written(lock.path)}` is locked, and `auth` is not: a sibling `anonymous: true` opens the door"
            yield _warning("AIG2033", message, lock.at, "lock `auth`")
        if len(lock.path) > 1 and lock.path[0] == "policies":
            for what, ways in _open(lock.path, closed):
                if left := [f"`{written(path)}`" for path in ways if not _covered(path, closed)]:
                    message = f"`{written(lock.path)}` is locked, and whoever refers to this part can set what {what}"
                    yield _warning("AIG2035", message, lock.at, f"lock {', '.join(left)} too")
    for pattern in (
        ("policies", "limits", ANY, "cost"),
        *((*level, "policies", "limits", ANY, "cost") for level in _LEVELS),
    ):
        for at in places(pattern, value_at(CONFIG, part.source.data), CONFIG):
            if not _covered(("models", ANY, "targets", ANY, "pricing"), closed):
                message = "this part limits cost, and whoever refers to it can set the prices of a target"
                yield _warning("AIG2034", message, at, "lock `models[*].targets[*].pricing`")
                return


def _open(lock: Path, closed: list[Path]) -> Iterator[tuple[str, list[Path]]]:
    """Yield ways around a locked policy: what they do, and the paths that would have to be locked too."""
    policy = str(lock[1])
    if len(lock) > 2:
        beside: list[Path] = [("policies", policy, key) for key in _BLINDS.get(policy, ()) if lock[2] == "deny"]
        yield "blinds it", beside
    levels: list[Path] = [(*level, "policies") for level in _LEVELS]
    if policy in _REPLACED:
        yield "replaces it", [(*level, policy) for level in levels]
    if after := _COMES_AFTER.get(policy):
        yield "changes what it has passed", [(*level, after) for level in (("policies",), *levels)]


def _covered(path: Path, closed: list[Path]) -> bool:
    return any(path[: len(one)] == one for one in closed)


def _warning(code: str, message: str, at: tuple[str | int, ...], hint: str, on_key: bool = False) -> Diagnostic:
    return Diagnostic(code, Severity.WARNING, message, at, hint, on_key=on_key)
