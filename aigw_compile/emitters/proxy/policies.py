"""Policies of one place to those of a proxy.json."""

from __future__ import annotations

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at
from aigw_compile.policies.cache import Cache
from aigw_compile.policies.ip_restriction import IpRestriction
from aigw_compile.policies.limits import Limit, LimitStore
from aigw_compile.policies.prompt_decorator import Message, PromptDecorator
from aigw_compile.policies.prompt_guard import PromptGuard
from aigw_compile.policies.response_guard import ResponseGuard
from aigw_compile.policies.transformers import RequestTransformer, ResponseTransformer


def policies(nodes: ir.Policies, origin: Pointer) -> Block:
    block = Block(origin)
    if guard := ir.only(nodes, PromptGuard):
        block["promptGuard"] = Block(
            guard.origin,
            {"deny": [*guard.deny], "allow": [*guard.allow], "roles": [*guard.roles], "scope": guard.scope},
        )
    if (decorator := ir.only(nodes, PromptDecorator)) and (decorator.prepend or decorator.append):
        sides = {"prepend": _messages(decorator.prepend), "append": _messages(decorator.append)}
        block["promptDecorator"] = Block(decorator.origin, sides)
    if limits := ir.every(nodes, Limit):
        block["limits"] = [_limit(limit) for limit in limits]
    if store := ir.only(nodes, LimitStore):
        block["limitStore"] = at(store.store, store.origin)
    if guard_after := ir.only(nodes, ResponseGuard):
        checks = {"deny": [*guard_after.deny], "allow": [*guard_after.allow], "action": guard_after.action}
        block["responseGuard"] = Block(guard_after.origin, checks)
    if before := ir.only(nodes, RequestTransformer):
        block[before.kind] = _transformer(before)
    if after := ir.only(nodes, ResponseTransformer):
        block[after.kind] = _transformer(after)
    if cache := ir.only(nodes, Cache):
        kept = {"type": cache.type, "ttl": cache.ttl, "scope": cache.scope, "store": cache.store or None}
        block["cache"] = Block(cache.origin, {"off": True} if cache.off else kept)
    if restriction := ir.only(nodes, IpRestriction):
        ranges = {"allow": [*restriction.allow], "deny": [*restriction.deny]}
        block["ipRestriction"] = Block(restriction.origin, ranges)
    return block


def _limit(limit: Limit) -> Block:
    fields = {
        "name": limit.name,
        "by": [*limit.by],
        "per": limit.per,
        "requests": limit.requests,
        "tokens": limit.tokens,
        "reserveOutput": limit.reserve_output,
        "cost": limit.cost,
        "count": limit.counted,
        "onExceeded": limit.on_exceeded,
    }
    return Block(limit.origin, fields)


def _transformer(t: RequestTransformer | ResponseTransformer) -> Block:
    if t.off:
        return Block(t.origin, {"off": True})
    fields = {"model": t.model, "prompt": t.prompt, "extract": t.extract, "timeout": t.timeout, "onError": t.on_error}
    return Block(t.origin, fields)


def _messages(messages: tuple[Message, ...]) -> list[Block]:
    return [Block(m.origin, {"role": m.role, "content": m.content}) for m in messages]
