"""Limits to Envoy's local_ratelimit filters (requests) and to the counters that request.lua names (requests and tokens)."""

from __future__ import annotations

from typing import Any, NamedTuple

from aigw_compile import ir
from aigw_compile.document import Block, at, everywhere
from aigw_compile.emitters.envoy import callers, wire
from aigw_compile.plan import Plan, edges
from aigw_compile.policies.limits import Limit

UNITS = ("address", "requests", "tokens", "cost")
"""What a filter asks a rate limit service for, in the order of the steps; address: requests by address alone."""


class Placed(NamedTuple):
    """A limit and the place where it stands; what the plan lost is left out of it."""

    number: int
    scope: ir.Scope
    limit: Limit
    requests: int | None
    tokens: int | None
    cost: float | None
    fails: str = ""
    """open or closed: what happens while the rate limit service gives no answer; "" where Envoy counts by itself."""

    @property
    def header(self) -> str:
        """The header that names the counter of a request; it never leaves the outer tier."""
        return f"x-aigw-limit-{self.stage('requests')}-{self.number}" if self.fails else f"x-aigw-limit-{self.number}"

    def stage(self, unit: str) -> int:
        """Return the place of a unit in the order of questions to the service, which counted.lua goes by."""
        return 2 * UNITS.index(unit) + (2 if self.fails == "closed" else 1)

    @property
    def early(self) -> bool:
        """Whether requests are counted by address alone, which is done before anybody is asked who they are."""
        return self.limit.by == ("ip",) and self.scope.kind == "gateway"


def placed(gateway: ir.Gateway, plan: Plan) -> tuple[Placed, ...]:
    """Return every limit of which the plan left something, outermost first."""
    shared = plan.facts.options["tokenLimits"] == "rls"
    every = [(s, limit) for s in ir.scopes(gateway) for limit in ir.every(s.policies, Limit)]
    found = []
    for number, (scope, limit) in enumerate(every):
        requests = None if plan.lost((*limit.origin, "requests")) else limit.requests
        tokens = None if plan.lost((*limit.origin, "tokens")) else limit.tokens
        cost = None if plan.lost((*limit.origin, "cost")) else limit.cost
        if requests is not None or tokens is not None or cost is not None:
            fails = edges.on_failure(gateway, scope) if shared else ""
            found.append(Placed(number, scope, limit, requests, tokens, cost, fails))
    return tuple(found)


def data(limits: tuple[Placed, ...]) -> list[Block]:
    """Return what request.lua needs to know of each limit that it names the counters of."""
    return [_data(x) for x in limits if not x.early or x.tokens is not None or x.cost is not None]


def _data(x: Placed) -> Block:
    origin = x.limit.origin
    fields: dict[str, Any] = {
        "id": at(f"{x.number}", everywhere("limits")),
        "limit": at(x.limit.name, (*origin, "name")),
        "scope": x.scope.kind,
        "name": at(x.scope.name, (*x.scope.origin, "name"), ("metadata", "name")),
        "by": at(list(x.limit.by), (*origin, "by")),
    }
    if x.requests is not None and not x.early:
        fields["header"] = at(x.header, (*origin, "requests"), everywhere("limits"))
    amounts = []
    if x.tokens is not None:
        what = {"what": at(x.limit.counted, (*origin, "count")), "most": at(x.tokens, (*origin, "tokens"))}
        amounts.append(Block(origin, {**what, **_shared(x, "tokens", 1)}))
    if x.cost is not None:
        most = at(units(x.cost) if x.fails else x.cost, (*origin, "cost"))
        amounts.append(Block(origin, {"what": "cost", "most": most, **_shared(x, "cost", scale(x.cost))}))
    if amounts:
        fields["amounts"] = amounts
        fields["per"] = at(x.limit.per, (*origin, "per"))
        fields["reserve"] = at(x.limit.reserve_output, (*origin, "reserveOutput"))
        fields["observe"] = at(x.limit.on_exceeded == "observe", (*origin, "onExceeded"))
    return Block(origin, fields)


def _shared(x: Placed, unit: str, per_whole: float) -> dict[str, Any]:
    """What reserve.lua and settle.lua go by: where the filters read a counter, when they do, and how many units are 1."""
    return {"slot": slot(x, unit), "stage": x.stage(unit), "scale": per_whole} if x.fails else {}


def slot(x: Placed, unit: str) -> str:
    """Return how the places of a limit's counters in the metadata of a request begin; their number follows."""
    return f"{x.number}-{unit}-"


_LARGEST = 1_000_000_000
"""What Envoy adds to a counter at once, at most; a request may reserve all of a limit."""


def scale(cost: float) -> float:
    """Return the units of a dollar that a limit on cost is counted in: as fine as its whole allows, 10^-9 at the finest."""
    exponent = 9
    while cost * 10.0**exponent > _LARGEST:
        exponent -= 1
    return float(10.0**exponent) if exponent < 0 else int(10**exponent)


def units(cost: float) -> float:
    """Return a limit on cost in those units: whole, where only a float's error parts it from that."""
    found = cost * scale(cost)
    return round(found) if abs(found - round(found)) < 5e-7 else found


OF_GROUPS = tuple(("spec", kind) for kind in ("auth", "consumers", "consumerGroups", "models"))
"""What speaks of groups: of how many a caller can be is known from all of it."""


def keys(gateway: ir.Gateway, x: Placed) -> int:
    """Return how many counters of one limit a request can fall under: several where it counts by group."""
    return callers.most_groups(gateway) if "group" in x.limit.by and x.scope.kind != "group" else 1


def filters(gateway: ir.Gateway, limits: tuple[Placed, ...], *, early: bool) -> list[Block]:
    """Return a local_ratelimit filter for each limit on requests, early or not, in the order of the limits."""
    return [_filter(gateway, x, x.requests) for x in limits if x.requests is not None and x.early is early]


_CHOSEN = 50_000
"""Counters that are kept where clients decide how many there are: of addresses, and of what stands in a header."""


def _counters(gateway: ir.Gateway, x: Placed) -> int:
    if any(key == "ip" or key.startswith("header:") for key in x.limit.by):
        return _CHOSEN
    callers_known = len(gateway.consumers) + 1 if not (gateway.auth and gateway.auth.jwt) else _CHOSEN
    return max(callers_known * max(len(gateway.models), 1) * max(len(gateway.consumer_groups), 1), 1000)


def _filter(gateway: ir.Gateway, x: Placed, requests: int) -> Block:
    limit, always = x.limit, {"default_value": {"numerator": 100}}
    enforced = {"default_value": {"numerator": 0 if limit.on_exceeded == "observe" else 100}}
    unlimited = {"max_tokens": 1000000000, "tokens_per_fill": 1000000000, "fill_interval": "1s"}
    bucket = Block(
        limit.origin,
        {
            "max_tokens": at(requests, (*limit.origin, "requests")),
            "tokens_per_fill": at(requests, (*limit.origin, "requests")),
            "fill_interval": at(wire.duration(limit.seconds), (*limit.origin, "per")),
        },
    )
    actions: list[dict[str, Any]] = [
        {"actions": [{"request_headers": {"header_name": f"{x.header}-{i + 1}", "descriptor_key": "counter"}}]}
        for i in range(keys(gateway, x))
    ]
    if x.early:
        actions = [{"actions": [{"remote_address": {}}]}]
    counted = "remote_address" if x.early else "counter"
    return wire.extension(
        limit.origin,
        f"limit-{x.number}",
        wire.HTTP + "local_ratelimit.v3.LocalRateLimit",
        {
            "stat_prefix": at(f"limit.{limit.name}", (*limit.origin, "name")),
            "filter_enabled": always,
            "filter_enforced": at(enforced, (*limit.origin, "onExceeded")),
            # Envoy demands a bucket for requests under no descriptor, that is, for those whom the limit does not mean.
            "token_bucket": unlimited,
            "always_consume_default_token_bucket": False,
            "max_dynamic_descriptors": at(
                min(_counters(gateway, x), 1_000_000),
                *(("spec", kind) for kind in ("models", "consumerGroups", "consumers")),
            ),
            "enable_retry_after_header": True,
            "descriptors": [{"entries": [{"key": counted}], "token_bucket": bucket}],
            "rate_limits": at(actions, limit.origin, *OF_GROUPS),
        },
    )
