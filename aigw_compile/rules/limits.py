"""Rules about limits: those that another one hides, that no request passes, or that count for each replica alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Json, Pointer, Related, Severity
from aigw_compile.policies.limits import Limit
from aigw_compile.rules.base import Finding, Findings, data_rule, entries, gateway_rule, policy_places


class _Placed(NamedTuple):
    scope: ir.Scope
    limit: Limit

    @property
    def counts(self) -> frozenset[str]:
        """Return what tells its counters apart: at a model, group or consumer that too, besides `by`."""
        fixed = {"model": {"model"}, "group": {"group"}, "consumer": {"consumer"}}.get(self.scope.kind, set())
        return frozenset({*self.limit.by, *fixed} - {"gateway"})


def _limits(gateway: ir.Gateway) -> Iterator[_Placed]:
    for scope in ir.scopes(gateway):
        yield from (_Placed(scope, limit) for limit in ir.every(scope.policies, Limit))


@gateway_rule("AIG5003", "limits-per-replica", Severity.WARNING)
def limits_per_replica(gateway: ir.Gateway) -> Findings:
    """Limits are counted in memory, and several replicas run.

    Each replica counts for itself, so in the worst case the real limit is the written one times the number of replicas.
    Counters that replicas share are not in this version yet: divide the limits, or accept the factor by switching this
    rule off.

    bad:
        policies: {limits: [{name: rpm, per: minute, requests: 60}]}
        deployment: {autoscaling: {maxReplicas: 10}}

    good:
        policies: {limits: [{name: rpm, per: minute, requests: 60}]}
        deployment: {replicas: 1}
    """
    most = gateway.deployment.most_replicas
    placed = next(_limits(gateway), None)
    if most > 1 and placed:
        scaling = gateway.deployment.autoscaling
        at: Pointer = (*scaling.origin, "maxReplicas") if scaling else (*gateway.deployment.origin, "replicas")
        limit = placed.limit
        field, number = ("requests", limit.requests) if limit.requests else ("tokens", limit.tokens or 0)
        message = (
            f"each replica counts for itself: with {most} of them every limit is up to {most} times as high "
            f'("{limit.name}": {number * most} {field} a {limit.per} instead of {number})'
        )
        hint = f"divide the limits by {most}, or set `rules: {{AIG5003: off}}` in aigw-compile.yaml to accept it"
        yield Finding(at, message, hint, (Related(f'limit "{limit.name}"', limit.origin),))


@gateway_rule("AIG5004", "limit-never-reached", Severity.WARNING)
def never_reached(gateway: ir.Gateway) -> Findings:
    """A limit is never reached, since another one always refuses first.

    Every limit that applies must pass: a higher one at a consumer, a group or a model does not replace the one at the
    gateway. And a limit for a minute is never reached if there is a smaller or equal one for the day.

    bad:
        policies:
          limits:
            - {name: rpm, by: [consumer], per: minute, requests: 100}
            - {name: rpd, by: [consumer], per: day, requests: 80}

    bad:
        policies: {limits: [{name: rpm, by: [consumer], per: minute, requests: 60}]}
        consumers:
          - name: app
            credentials: [{apiKey: {env: APP_KEY}}]
            policies: {limits: [{name: more, per: minute, requests: 600}]}

    good:
        policies:
          limits:
            - {name: rpm, by: [consumer], per: minute, requests: 100}
            - {name: rpd, by: [consumer], per: day, requests: 5000}
    """
    everywhere: list[_Placed] = []
    for scope in ir.scopes(gateway):
        here = [_Placed(scope, limit) for limit in ir.every(scope.policies, Limit)]
        yield from _idle(here, [*everywhere, *here])
        everywhere += here if scope.kind == "gateway" else ()


def _idle(limits: Sequence[_Placed], others: Sequence[_Placed]) -> Findings:
    """Yield those of `limits`, which stand at one place, that one of `others` hides."""
    for idle in limits:
        for field in ("requests", "tokens"):
            before = True
            for strict in others:
                if strict is idle:
                    before = False
                elif strict.counts <= idle.counts and _sooner(strict.limit, idle.limit, field, before):
                    number = getattr(strict.limit, field)
                    where = "" if strict.scope is idle.scope else f" at the {strict.scope.kind}"
                    stricter = f'"{strict.limit.name}"{where} refuses first ({number} {field} a {strict.limit.per})'
                    hint = (
                        "every limit must pass, none replaces another: lower this one, raise the other, or delete this"
                    )
                    related = (Related(f'"{strict.limit.name}"', (*strict.limit.origin, field)),)
                    yield Finding((*idle.limit.origin, field), f"never reached: {stricter}", hint, related)
                    break


def _sooner(strict: Limit, idle: Limit, field: str, first: bool) -> bool:
    """Say whether `strict` is used up whenever `idle` would be. Of two equal ones the first in the spec is the strict one."""
    low, high = getattr(strict, field), getattr(idle, field)
    if low is None or high is None:
        return False
    if strict.seconds == idle.seconds:
        return bool(low < high or (low == high and first))
    if strict.seconds > idle.seconds:
        # A week can lie in two months; every other window lies in one of each longer kind.
        return bool(low * (2 if idle.per == "week" else 1) <= high)
    # A shorter window lets at most this much through in the longer one; a call may cost more tokens than were reserved
    # for it, so for tokens nothing follows. A month has at most 31 days, and its weeks do not begin with it.
    longest = 31 * 86_400 if idle.per == "month" else idle.seconds
    windows = ceil(longest / strict.seconds) + (strict.per == "week")
    return field == "requests" and bool(low * windows <= high)


@gateway_rule("AIG5005", "limit-below-reserve", Severity.WARNING)
def below_reserve(gateway: ir.Gateway) -> Findings:
    """A token limit is smaller than what one request reserves.

    Before sending, a request reserves its own size and, if it names no cap, `reserveOutput` tokens (1024) for the answer.
    A request that reserves more than the whole limit is refused, always.

    bad:
        policies: {limits: [{name: tpm, per: minute, tokens: 1000}]}

    good:
        policies: {limits: [{name: tpm, per: minute, tokens: 1000, reserveOutput: 200}]}
    """
    for _, limit in _limits(gateway):
        if limit.tokens is not None and limit.tokens <= limit.reserve_output:
            message = (
                f"a request without a cap of its own reserves {limit.reserve_output} tokens for the answer: "
                f"with {limit.tokens} a {limit.per} it is always refused"
            )
            yield Finding((*limit.origin, "tokens"), message, "raise `tokens`, or lower `reserveOutput`")


@data_rule("AIG5006", "reserve-without-tokens", Severity.HINT)
def reserve_without_tokens(data: Json) -> Findings:
    """`reserveOutput` stands in a limit without `tokens`, so it changes nothing.

    bad:
        policies: {limits: [{name: rpm, per: minute, requests: 60, reserveOutput: 500}]}

    good:
        policies: {limits: [{name: tpm, per: minute, tokens: 20000, reserveOutput: 500}]}
    """
    for at in policy_places(data):
        for place, limit in entries(data, (*at, "limits")):
            if "reserveOutput" in limit and "requests" in limit and "tokens" not in limit:
                message = "`reserveOutput` is for `tokens`, which this limit has not: it changes nothing"
                yield Finding((*place, "reserveOutput"), message, "add `tokens`, or leave it out", on_key=True)


@gateway_rule("AIG5007", "limit-by-unknown", Severity.WARNING)
def by_unknown(gateway: ir.Gateway) -> Findings:
    """A limit counts by something that no caller has.

    Without consumers nobody has a counter of one; without groups, none of a group.

    bad:
        auth: {anonymous: true}
        consumers: null
        policies: {limits: [{name: rpm, by: [consumer], per: minute, requests: 60}]}

    bad:
        policies: {limits: [{name: rpm, by: [group], per: minute, requests: 60}]}

    good:
        policies: {limits: [{name: rpm, by: [consumer], per: minute, requests: 60}]}
    """
    anonymous = bool(gateway.auth and gateway.auth.anonymous)
    grouped = any(consumer.groups for consumer in gateway.consumers)
    for _, limit in _limits(gateway):
        about = ((*limit.origin, "by"), ("spec", "consumers"), ("spec", "consumerGroups"), ("spec", "auth"))
        for what in limit.by:
            if (what in ("consumer", "group") and anonymous) or (what == "group" and not grouped):
                why = "with `anonymous: true` no caller is known" if anonymous else "no consumer is in a group"
                message = f"this limit counts by {what}, and {why}"
                yield Finding(
                    (*limit.origin, "by"), message, "count by gateway or model, or give callers one", about=about
                )
                break
