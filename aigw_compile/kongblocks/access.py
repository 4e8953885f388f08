"""Who may call which model: acl for a model with rules, consumers with the groups that the acls ask for."""

from __future__ import annotations

import json
from collections.abc import Iterator

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at
from aigw_compile.kongblocks import names
from aigw_compile.kongblocks.plugin import Plugin, make
from aigw_compile.kongblocks.routes import Route
from aigw_compile.plan import Plan


def rules(gateway: ir.Gateway, plan: Plan, route: Route) -> Iterator[Plugin]:
    """Yield the acl of a model that not everybody may call. A gateway that knows nobody has no such model (AIG4007)."""
    model = route.model
    if not model or not model.access or plan.lost(model.access.origin):
        return
    access = model.access
    groups = allowed_groups(gateway, model)
    origins = (w.origin for w in (access.allow, access.deny) if w)
    config = Block(
        access.origin,
        {"allow": at([*groups], *origins), "hide_groups_header": True, "always_use_authenticated_groups": False},
    )
    yield make("acl", f"{route.name}-acl", config, route.name)


def allowed_groups(gateway: ir.Gateway, model: ir.Model) -> tuple[str, ...]:
    """Return the acl groups whose members may call a model: its own, or, where rules name consumers or deny, a made one."""
    access = model.access
    if access is None:
        return ()
    if access.allow and access.allow.groups and not access.allow.consumers and access.deny is None:
        return tuple(dict.fromkeys(access.allow.groups))
    return (_made_group(gateway, model),)


def _made_group(gateway: ir.Gateway, model: ir.Model) -> str:
    """A group that nobody can be a member of by the spec's own groups."""
    taken = {g for c in gateway.consumers for g in c.groups} | {g.name for g in gateway.consumer_groups}
    name = f"may-call:{model.name}"
    while name in taken:
        name += "+"
    return name


def consumers(gateway: ir.Gateway, plan: Plan) -> list[Block]:
    """Return the consumers: username, acls, tags. Their keys are no part of the configuration."""
    made = []
    for consumer in gateway.consumers:
        block = Block(consumer.origin, {"username": at(consumer.name, (*consumer.origin, "name"))})
        groups = () if gateway.behind else acl_groups(gateway, plan, consumer)
        if groups:
            block["acls"] = [Block(origin, {"group": group, "tags": [names.TAG]}) for group, origin in groups]
        block["tags"] = [names.TAG]
        made.append(block)
    return made


def acl_groups(gateway: ir.Gateway, plan: Plan, consumer: ir.Consumer) -> tuple[tuple[str, Pointer], ...]:
    """Return the acl groups of a consumer, each with its place: its own, and those made for models."""
    origins = {g.name: g.origin for g in gateway.consumer_groups}
    found = {group: origins.get(group, (*consumer.origin, "groups")) for group in consumer.groups}
    for model in gateway.models:
        made = _made_group(gateway, model)
        lost = model.access is None or plan.lost(model.access.origin)
        if not lost and model.access and made in allowed_groups(gateway, model) and ir.may_call(model, consumer):
            found[made] = model.access.origin
    return tuple(found.items())


def refused(route: Route) -> Plugin:
    """Return the answer to OPTIONS that is no preflight: cors has answered those that are."""
    config = Block(route.origin, {"status_code": 405, "message": "method not allowed"})
    return make("request-termination", f"{route.name}-other", config, route.name)


def model_list(gateway: ir.Gateway, route: Route) -> Plugin:
    """Return the fixed answer to GET /v1/models: every name, whoever asks."""
    public = [pair for model in gateway.models for pair in names.public_names(model)]
    data = [{"id": name, "object": "model", "created": 0, "owned_by": gateway.name} for name, _ in public]
    body = json.dumps({"object": "list", "data": data}, ensure_ascii=False, separators=(",", ":"))
    config = Block(
        ("spec", "models"),
        {"status_code": 200, "content_type": "application/json", "body": at(body, *(place for _, place in public))},
    )
    return make("request-termination", f"{route.name}-list", config, route.name)
