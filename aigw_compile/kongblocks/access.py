"""Who may call which model: acl for a model with rules, consumers with the groups that the acls ask for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from aigw_compile import ir
from aigw_compile.document import Block, at
from aigw_compile.kongblocks import names
from aigw_compile.kongblocks.plugin import Plugin, make
from aigw_compile.kongblocks.routes import Route
from aigw_compile.plan import Plan


def rules(plan: Plan, route: Route, made: Mapping[str, str]) -> Iterator[Plugin]:
    """Yield the acl of a model that not everybody may call. A gateway that knows nobody has no such model (AIG4007)."""
    model = route.model
    if not model or not model.access or plan.lost(model.access.origin):
        return
    access = model.access
    groups = (made[model.name],) if model.name in made else dict.fromkeys(access.allow.groups if access.allow else ())
    origins = (w.origin for w in (access.allow, access.deny) if w)
    config = Block(
        access.origin,
        {"allow": at([*groups], *origins), "hide_groups_header": True, "always_use_authenticated_groups": False},
    )
    yield make("acl", f"{route.name}-acl", config, route.name)


def made_groups(gateway: ir.Gateway) -> dict[str, str]:
    """Return the acl group of each model whose rules name consumers or deny: one that nobody is in by the spec's own groups."""
    taken = {g for c in gateway.consumers for g in c.groups} | {g.name for g in gateway.consumer_groups}
    found = {}
    for model in gateway.models:
        access = model.access
        if access and not (access.allow and access.allow.groups and not access.allow.consumers and not access.deny):
            name = f"may-call:{model.name}"
            while name in taken:
                name += "+"
            found[model.name] = name
    return found


def consumers(gateway: ir.Gateway, plan: Plan) -> list[Block]:
    """Return the consumers: username, acls, tags. Their keys are no part of the configuration."""
    made = []
    origins = {g.name: g.origin for g in gateway.consumer_groups}
    groups_of = made_groups(gateway)
    ruled = [m for m in gateway.models if m.name in groups_of and m.access and not plan.lost(m.access.origin)]
    for consumer in gateway.consumers:
        block = Block(consumer.origin, {"username": at(consumer.name, (*consumer.origin, "name"))})
        groups = {group: origins.get(group, (*consumer.origin, "groups")) for group in consumer.groups}
        groups |= {groups_of[m.name]: m.access.origin for m in ruled if m.access and ir.may_call(m, consumer)}
        if groups and not gateway.behind:
            block["acls"] = [
                Block(
                    origin,
                    {
                        "group": at(group, origin, (*consumer.origin, "groups"), ("spec", "models")),
                        "tags": [names.TAG],
                    },
                )
                for group, origin in groups.items()
            ]
        block["tags"] = [names.TAG]
        made.append(block)
    return made


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
