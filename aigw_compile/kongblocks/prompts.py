"""Guards and decorators of all places to ai-prompt-guard and ai-prompt-decorator, merged for whoever calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from aigw_compile import ir
from aigw_compile.document import Block, at
from aigw_compile.kongblocks.edition import Edition
from aigw_compile.kongblocks.plugin import Plugin, make
from aigw_compile.kongblocks.routes import Route, body_size
from aigw_compile.plan import Plan, fits, sending
from aigw_compile.policies.prompt_decorator import Message


def prompts(
    gateway: ir.Gateway,
    plan: Plan,
    edition: Edition,
    route: Route,
    guarded: Iterable[ir.Consumer],
    decorated: Iterable[ir.Consumer],
) -> Iterator[Plugin]:
    """Yield the guard and the decorator of a chat model's route, and those of each consumer for whom they are others.

    `guarded`, `decorated`: the consumers who have an own one.
    """
    if route.model and sending.embeds(route.model):
        return

    def guard(scopes: list[ir.Scope]) -> Block | None:
        return _guard(gateway, plan, edition, route, scopes)

    def decorator(scopes: list[ir.Scope]) -> Block | None:
        return _decorator(gateway, plan, edition, route, scopes)

    yield from _for_all(gateway, route, "ai-prompt-guard", "guard", guarded, guard)
    yield from _for_all(gateway, route, "ai-prompt-decorator", "decorator", decorated, decorator)


def _for_all(
    gateway: ir.Gateway,
    route: Route,
    name: str,
    short: str,
    special: Iterable[ir.Consumer],
    config: Callable[[list[ir.Scope]], Block | None],
) -> Iterator[Plugin]:
    assert route.model
    base = config([*fits.applying(gateway, route.model, None)])
    if base:
        yield make(name, f"{route.name}-{short}", base, route.name)
    for consumer in special:
        own = config([*fits.applying(gateway, route.model, consumer)])
        if own and own != base:
            yield make(name, f"{route.name}-{short}-{consumer.name}", own, route.name, consumer.name)


def _guard(gateway: ir.Gateway, plan: Plan, edition: Edition, route: Route, scopes: list[ir.Scope]) -> Block | None:
    guards = [g for g in fits.guards_of(scopes) if not plan.lost(g.origin)]
    merged = fits.merged(guards, edition.patterns, edition.pattern_bytes) if guards else None
    if merged is None:
        return None
    block = Block(merged.origins[0], {})
    if merged.deny:
        block["deny_patterns"] = at([*merged.deny], *merged.origins)
    if merged.allow:
        block["allow_patterns"] = at([*merged.allow], *merged.origins)
    # The name says the opposite of what it does: true leaves out all but the last message of a user.
    block["allow_all_conversation_history"] = at(merged.last, *((*o, "scope") for o in merged.origins))
    block["match_all_roles"] = at(merged.all_roles, *((*o, "roles") for o in merged.origins))
    block.update(route.format)
    block["max_request_body_size"] = body_size(gateway)
    return block


def _decorator(gateway: ir.Gateway, plan: Plan, edition: Edition, route: Route, scopes: list[ir.Scope]) -> Block | None:
    before, after = (
        [piece for m in side if not plan.lost(m.origin) for piece in fits.pieces(m, edition.message_bytes)]
        for side in fits.decorations(scopes)
    )
    if not before and not after:
        return None
    sides = (("prepend", before), ("append", after))
    told = Block((before or after)[0].origin, {side: [_message(m) for m in found] for side, found in sides if found})
    origin = (before or after)[0].origin[:-2]
    return Block(origin, {"prompts": told, **route.format, "max_request_body_size": body_size(gateway)})


def _message(message: Message) -> Block:
    role = "system" if message.role == "developer" else message.role
    return Block(message.origin, {"role": role, "content": message.content})
