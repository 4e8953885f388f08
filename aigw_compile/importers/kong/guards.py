"""Instances of ai-prompt-guard, ai-prompt-decorator and ip-restriction to policies, and what one adds to another."""

from __future__ import annotations

from typing import Any

from aigw_compile.diagnostic import Json
from aigw_compile.importers.kong import patterns
from aigw_compile.importers.kong.shape import Instance
from aigw_compile.importers.record import Node
from aigw_compile.plan import edges
from aigw_compile.policies.ip_restriction import IpRestriction

# Kong 3.9.3: plugins/ai-prompt-guard/filters/guard-prompt.lua (allow_all_conversation_history: true looks at the last message
# alone), plugins/ai-prompt-decorator/schema.lua, plugins/ip-restriction/handler.lua.

Policy = dict[str, Any]


def _patterns(config: Node, key: str) -> list[str]:
    found = []
    read = config.texts(key)
    for index, pattern in enumerate(read):
        try:
            found.append(patterns.to_re2(pattern))
        except patterns.Refused as why:
            config.record.tell(
                "AIG8110", f"{why}; the guard is without it", config.place(key, index), "write it in another way"
            )
    return [*dict.fromkeys(found)]


def guard(instance: Instance) -> Policy | None:
    """Return a promptGuard."""
    config = instance.config
    last = config.flag("allow_all_conversation_history", False)
    every = config.flag("match_all_roles", False)
    if last and every:
        at = config.place("allow_all_conversation_history")
        config.record.tell("AIG8102", "Kong takes all roles of the whole conversation alone", at)
    deny, allow = _patterns(config, "deny_patterns"), _patterns(config, "allow_patterns")
    if allow and every:
        config.record.note(
            "AIG8106",
            "an allow list is held against the messages of users, not of all roles",
            config.place("match_all_roles"),
        )
    if not deny and not allow:
        config.record.tell("AIG8107", "no pattern of this guard can be carried over", instance.node.at)
        return None
    found: Policy = {}
    if deny:
        found["deny"] = deny
    if allow:
        found["allow"] = allow
    if deny and not every:
        found["roles"] = ["user"]
    if last and not every:
        found["scope"] = "last"
    return found


def guard_beyond(own: Policy, base: Policy | None) -> Policy | None:
    """Return the guard that has to be added to `base` for `own`; {} is none, None: nothing that can be added does it."""
    if base is None:
        return own
    if own == base:
        return {}
    mine, theirs = own.get("deny", []), base.get("deny", [])
    if mine[: len(theirs)] != theirs:
        return None
    found: Policy = {}
    if mine[len(theirs) :]:
        found["deny"] = mine[len(theirs) :]
    if own.get("allow") != base.get("allow"):
        if base.get("allow"):
            return None
        found["allow"] = own["allow"]
    users = own.get("roles") == ["user"] or not mine
    base_users = base.get("roles") == ["user"] or not theirs
    if users and not base_users:
        return None
    if "deny" in found and users:
        found["roles"] = ["user"]
    if not users and base_users and "deny" not in found:
        return None
    if own.get("scope") == "last":
        if base.get("scope") != "last":
            return None
        found["scope"] = "last"
    elif base.get("scope") == "last" and not found and users == base_users:
        return None
    return found if "deny" in found or "allow" in found else None


def decorator(instance: Instance) -> Policy | None:
    """Return a promptDecorator."""
    prompts = instance.config.child("prompts")
    found: Policy = {}
    for side in ("prepend", "append"):
        messages: list[Json] = []
        for node in prompts.items(side):
            role, content = node.text("role") or "system", node.text("content")
            if content:
                messages.append(
                    {"role": role if role in ("system", "user", "assistant") else "system", "content": content}
                )
                if role not in ("system", "user", "assistant"):
                    node.record.tell("AIG8102", "a role is system, user or assistant", node.place("role"))
        if messages:
            found[side] = messages
    return found or None


def decorator_beyond(own: Policy, base: Policy | None) -> Policy | None:
    """Return the messages that come between those of `base` and the client's."""
    if base is None:
        return own
    found: Policy = {}
    before, outer = own.get("prepend", []), base.get("prepend", [])
    if before[: len(outer)] != outer:
        return None
    if before[len(outer) :]:
        found["prepend"] = before[len(outer) :]
    after, outer = own.get("append", []), base.get("append", [])
    inner = len(after) - len(outer)
    if inner < 0 or after[inner:] != outer:
        return None
    if after[:inner]:
        found["append"] = after[:inner]
    return found


def addresses(instance: Instance) -> Policy | None:
    """Return an ipRestriction."""
    config = instance.config
    found: Policy = {}
    for key in ("allow", "deny"):
        values = config.texts(key)
        if values:
            found[key] = values
    config.usual("status", 403, why="an address that is not let in gets 403", code="AIG8104")
    config.usual("message", why="the gateway words its own answer", code="AIG8104")
    return found or None


def addresses_beyond(own: Policy, base: Policy | None) -> Policy | None:
    """Return the restriction that has to be added to `base` for `own`."""
    if base is None:
        return own
    if own == base:
        return {}
    found: Policy = {}
    if own.get("allow", []) != base.get("allow", []):
        found["allow"] = own.get("allow", [])
    outer = base.get("deny", [])
    found["deny"] = [x for x in own.get("deny", []) if x not in outer]
    found = {k: v for k, v in found.items() if v}
    return found if found and addresses_joined(base, found) == own else None


def addresses_joined(base: Policy | None, extra: Policy) -> Policy | None:
    """Return the restriction that two come to; None where an address is none."""
    try:
        both = edges.addresses(_node(x) for x in (base, extra) if x)
    except ValueError:
        return None
    return {k: [*v] for k, v in (("allow", both.allow), ("deny", both.deny)) if v} if both else None


def _node(policy: Policy) -> IpRestriction:
    return IpRestriction(tuple(policy.get("allow", ())), tuple(policy.get("deny", ())), ())
