"""A gateway to what applies to whom, all places taken together, for targets where one instance of a policy runs per request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.plan import edges
from aigw_compile.policies import pcre
from aigw_compile.policies.limits import Limit
from aigw_compile.policies.prompt_decorator import Message, PromptDecorator
from aigw_compile.policies.prompt_guard import PromptGuard


def applying(gateway: ir.Gateway, model: ir.Model, consumer: ir.Consumer | None) -> Iterator[ir.Scope]:
    """Yield the places whose policies apply to a call, outermost first: gateway, model, the consumer's groups, consumer."""
    yield ir.Scope("gateway", gateway.name, gateway.policies, ("spec",))
    yield ir.Scope("model", model.name, model.policies, model.origin)
    if consumer:
        groups = {g.name: g for g in gateway.consumer_groups}
        for name in dict.fromkeys(consumer.groups):
            if name in groups:
                yield ir.Scope("group", name, groups[name].policies, groups[name].origin)
        yield ir.Scope("consumer", consumer.name, consumer.policies, consumer.origin)


def anonymous(gateway: ir.Gateway) -> bool:
    """Say whether nobody is asked who they are."""
    return gateway.auth is None or gateway.auth.anonymous


def calls(gateway: ir.Gateway) -> Iterator[tuple[ir.Model, ir.Consumer | None]]:
    """Yield a pair of a model and a consumer for every set of policies that applies to a call, and of a model and None.

    None is a caller for whom nothing of their own stands. Of models, and of consumers, that differ in nothing that counts
    here the first stands for all: thousands of each are few kinds.
    """
    models: dict[Pointer, ir.Model] = {}
    callers: dict[object, ir.Consumer] = {}
    for m in gateway.models:
        models.setdefault(m.origin if m.policies else (), m)
    for c in () if anonymous(gateway) else gateway.consumers:
        callers.setdefault((c.groups, c.origin if c.policies else ()), c)
    for model in models.values():
        yield model, None
        yield from ((model, c) for c in callers.values())


def with_own(gateway: ir.Gateway, kind: type[ir.Policy]) -> tuple[ir.Consumer, ...]:
    """Return the consumers at whom, or at a group of whose, a policy of a kind stands: all others are as anybody."""
    if anonymous(gateway):
        return ()
    groups = {g.name for g in gateway.consumer_groups if ir.every(g.policies, kind)}
    return tuple(c for c in gateway.consumers if ir.every(c.policies, kind) or not groups.isdisjoint(c.groups))


def members(gateway: ir.Gateway, group: str) -> tuple[ir.Consumer, ...]:
    """Return the consumers of a group."""
    return tuple(c for c in gateway.consumers if group in c.groups)


LONGEST = 2**31 - 2


class Timing(NamedTuple):
    """What a target sets once for all models behind one upstream, in milliseconds."""

    connect: int
    read: int
    dials: int
    """How often it dials again when nobody answers."""


def timing(model: ir.Model) -> Timing:
    """Return how long a model's upstream may take, where one time limit between two reads is all there is."""
    dials = model.retries.attempts if "connect-failure" in model.retries.on else 0
    return Timing(milliseconds(model.timeouts.connect), milliseconds(model.timeouts.first_byte), dials)


def milliseconds(seconds: float) -> int:
    """Return whole milliseconds; no limit (0) and what is longer become the longest that 31 bits hold, 24 days."""
    return min(max(1, round(seconds * 1000)), LONGEST) if seconds else LONGEST


def pathless(name: str) -> bool:
    """Say whether a name cannot stand in a path: servers and clients take away a part that is empty, `.` or `..`."""
    return any(part in ("", ".", "..") for part in name.split("/"))


# --- Guards and decorators


class Guard(NamedTuple):
    """Several guards in one: PCRE2 patterns, and whose messages they are held against."""

    deny: tuple[str, ...]
    allow: tuple[str, ...]
    all_roles: bool
    """False: user messages alone."""
    last: bool
    """The last message of a user alone."""
    origins: tuple[Pointer, ...]


def merged(guards: Sequence[PromptGuard], most: int, size: int) -> Guard | None:
    """Return one guard that refuses what any of several does; None: it needs more patterns, or longer ones.

    Where they differ the stricter counts: all roles rather than users, the conversation rather than its last message.
    """
    deny = [pcre.translate(p) for g in guards for p in g.deny]
    allow = [[pcre.translate(p) for p in g.allow] for g in guards if g.allow]
    if not all(p.faithful for p in [*deny, *(p for one in allow for p in one)]):
        return None
    denied = pcre.packed(deny, most, size)
    allowed = pcre.packed(allow[0] if len(allow) == 1 else [pcre.every(allow)] if allow else [], most, size)
    if denied is None or allowed is None:
        return None
    all_roles = any(g.deny and set(g.roles) != {"user"} for g in guards)
    last = all(g.scope == "last" for g in guards) and not all_roles
    return Guard(denied, allowed, all_roles, last, tuple(g.origin for g in guards if g.deny or g.allow))


def guards_of(scopes: Sequence[ir.Scope]) -> list[PromptGuard]:
    """Return the guards of some places that guard anything."""
    return [g for s in scopes for g in ir.every(s.policies, PromptGuard) if g.deny or g.allow]


def guards_too_much(gateway: ir.Gateway, most: int, size: int) -> tuple[Pointer, ...]:
    """Return the guards that cannot be added to those before them within `most` patterns of `size` bytes."""
    lost: dict[Pointer, None] = {}
    for model, consumer in calls(gateway):
        kept: list[PromptGuard] = []
        for guard in guards_of([*applying(gateway, model, consumer)]):
            if guard.origin in lost or merged([*kept, guard], most, size) is None:
                lost[guard.origin] = None
            else:
                kept.append(guard)
    return tuple(lost)


def decorations(scopes: Sequence[ir.Scope]) -> tuple[list[Message], list[Message]]:
    """Return what is put before and after the client's messages: the outermost place is farthest from them."""
    decorators = [d for s in scopes for d in ir.every(s.policies, PromptDecorator)]
    before = [m for d in decorators for m in d.prepend]
    return before, [m for d in reversed(decorators) for m in d.append]


def pieces(message: Message, longest: int) -> list[Message]:
    """Return a message as several of the same role that have at most `longest` bytes, parted between words.

    The blanks at a border are left out; one word that is too long is parted where it has to be.
    """
    rest, found = message.content, []
    while len(rest.encode()) > longest:
        rest = rest.lstrip(_BLANKS)
        head = rest.encode()[: longest + 1].decode(errors="ignore")  # one more: a blank may stand behind the last word
        cut = max(map(head.rfind, _BLANKS))
        if cut < 0:
            cut = len(rest.encode()[:longest].decode(errors="ignore"))
        found.append(rest[:cut])
        rest = rest[cut:]
    if found:
        rest = rest.lstrip(_BLANKS)
    return [message._replace(content=text) for text in (*found, rest) if text]


_BLANKS = " \n\t"


def decorators_too_much(gateway: ir.Gateway, most: int, longest: int) -> tuple[Pointer, ...]:
    """Return the decorators that bring one side of a call over `most` messages of at most `longest` bytes."""
    lost: dict[Pointer, None] = {}

    def count(messages: Sequence[Message]) -> int:
        return sum(len(pieces(m, longest)) for m in messages)

    for model, consumer in calls(gateway):
        before = after = 0
        for scope in applying(gateway, model, consumer):
            for decorator in ir.every(scope.policies, PromptDecorator):
                first, last = before + count(decorator.prepend), after + count(decorator.append)
                if decorator.origin in lost or max(first, last) > most:
                    lost[decorator.origin] = None
                else:
                    before, after = first, last
    return tuple(lost)


# --- Limits

Counter = tuple[str, ...]
"""What has a counter of its own, sorted: consumer, model, group:NAME, ip, header:NAME; () is the whole gateway."""

UNITS: Mapping[str, tuple[str, ...]] = {"requests": ("requests",), "tokens": ("tokens", "cost")}
"""What a limiter counts -> the amounts of a limit that it holds."""


def amounts(limit: Limit, unit: str) -> dict[str, float]:
    """Return the amounts of a limit that a limiter of `unit` holds; none where the limit only observes."""
    found = {field: getattr(limit, field) for field in UNITS[unit]}
    return {} if limit.on_exceeded == "observe" else {k: v for k, v in found.items() if v is not None}


class Slot(NamedTuple):
    """What one instance of a limiter can hold."""

    windows: Sequence[str]
    shared: bool = False
    """Instances can share a counter, as the members of a group need it."""
    compound: bool = False
    """It can count by several things at once, such as consumer and address."""
    mixed: bool = False
    """It can count several kinds of tokens, and cost, beside each other."""
    fractions: bool = False
    """It can count cost in a Redis: parts of a dollar."""


class Placed(NamedTuple):
    """Limits that count the same things, the limiter that holds them, and which of their kinds (see `kinds`) it counts."""

    slot: int
    counter: Counter
    limits: tuple[Limit, ...]
    kinds: frozenset[str]


def kind(limit: Limit, field: str) -> str:
    """Return what an amount of a limit counts: requests, cost, or which tokens (total, input, output)."""
    return limit.counted if field == "tokens" else field


def keys(counter: Counter) -> list[str]:
    """Return what has a counter of its own besides models and groups: consumer, ip, header:NAME."""
    return [part for part in counter if part != "model" and not part.startswith("group:")]


def counters(gateway: ir.Gateway, scope: ir.Scope, limit: Limit) -> tuple[Counter, ...]:
    """Return what a limit counts, as seen from the whole gateway: a limit at a model counts that model's calls alone."""
    by = set(limit.by) - {"gateway"}
    if scope.kind == "model":
        by.add("model")
    if anonymous(gateway):
        by -= {"consumer", "group"}
        return (tuple(sorted(by)),)
    if scope.kind == "consumer":
        by.add("consumer")
    if "consumer" in by:
        by.discard("group")
    elif scope.kind == "group":
        by = by - {"group"} | {f"group:{scope.name}"}
    elif "group" in by:
        names = [g.name for g in gateway.consumer_groups]
        return tuple(tuple(sorted(by - {"group"} | {f"group:{name}"})) for name in names)
    return (tuple(sorted(by)),)


def placed(gateway: ir.Gateway, unit: str, slots: Sequence[Slot], gateway_wide: bool) -> tuple[Placed, ...]:
    """Give every limit on `unit` (see UNITS) a limiter; those that fit nowhere are left out.

    Of each limiter (slot) one instance runs for a call, and it counts by one thing. `gateway_wide`: whether there is a
    counter that the whole gateway shares.
    """
    whole = {
        limit.origin: bool(store and store.type == "redis")
        for scope in ir.scopes(gateway)
        for store in (edges.store_of(gateway, scope),)
        for limit in ir.every(scope.policies, Limit)
    }
    reach: dict[Counter, set[tuple[str, str]]] = {}
    wanted: dict[Counter, dict[Pointer, Limit]] = {}
    for model, consumer in calls(gateway):
        for scope in applying(gateway, model, consumer):
            for limit in ir.every(scope.policies, Limit):
                if not amounts(limit, unit):
                    continue
                for counter in counters(gateway, scope, limit):
                    if not _concerns(counter, consumer):
                        continue
                    reach.setdefault(counter, set()).add((model.name, consumer.name if consumer else ""))
                    wanted.setdefault(counter, {})[limit.origin] = limit
    taken: list[list[Counter]] = [[] for _ in slots]
    out: list[Placed] = []
    for counter in wanted:
        if not counter and not gateway_wide:
            continue
        for number, slot in enumerate(slots):
            held, kinds = _fitting(slot, counter, [*wanted[counter].values()], unit, whole)
            if held and not any(reach[counter] & reach[other] for other in taken[number]):
                taken[number].append(counter)
                out.append(Placed(number, counter, held, kinds))
                break
    return tuple(out)


def _fitting(
    slot: Slot, counter: Counter, limits: Sequence[Limit], unit: str, whole: Mapping[Pointer, bool]
) -> tuple[tuple[Limit, ...], frozenset[str]]:
    """Those of some limits with one counter that a limiter can hold, and the kinds that it counts.

    `whole`: the limits that count in a Redis, which may know whole numbers alone.
    """
    own = keys(counter)
    grouped = any(part.startswith("group:") for part in counter)
    several_headers = sum(part.startswith("header:") for part in own) > 1
    if (grouped and not slot.shared) or (len(own) > 1 and not slot.compound) or several_headers:
        return (), frozenset()
    timely = [x for x in limits if x.per in slot.windows]

    def kinds(limit: Limit) -> list[str]:
        found = [kind(limit, field) for field in amounts(limit, unit)]
        return [k for k in found if k != "cost" or slot.fractions or not whole[limit.origin]]

    every_kind = [k for limit in timely for k in kinds(limit)]
    counted = frozenset(every_kind if slot.mixed else every_kind[:1])
    return tuple(x for x in timely if counted & {*kinds(x)}), counted


def _concerns(counter: Counter, consumer: ir.Consumer | None) -> bool:
    """A counter of a group is there for its members alone."""
    names = {part.removeprefix("group:") for part in counter if part.startswith("group:")}
    return not names or (consumer is not None and bool(names & set(consumer.groups)))


def limits_too_much(
    gateway: ir.Gateway, unit: str, limiters: Mapping[str, Sequence[Slot]], gateway_wide: bool
) -> tuple[Pointer, ...]:
    """Return the places of the limits on `unit` that `placed` leaves out: its amounts, or the limit where all are left out.

    `limiters`: unit -> slots, as `placed` takes them; what has none is never limited.
    """
    held = {u: placed(gateway, u, limiters.get(u, ()), gateway_wide) for u in UNITS}

    def gone(scope: ir.Scope, limit: Limit, one: str, field: str) -> bool:
        kept = {p.counter for p in held[one] if limit in p.limits and kind(limit, field) in p.kinds}
        return any(c not in kept and _anybody(gateway, c) for c in counters(gateway, scope, limit))

    lost: list[Pointer] = []
    for scope in ir.scopes(gateway):
        for limit in () if nobody(gateway, scope) else ir.every(scope.policies, Limit):
            mine = [(u, field) for u in UNITS for field in amounts(limit, u)]
            left_out = [(u, field) for u, field in mine if gone(scope, limit, u, field)]
            fields = [field for u, field in left_out if u == unit]
            if fields:
                whole = len(left_out) == len(mine)
                if "tokens" in fields and limit.counted != "total":
                    fields.append("count")
                lost += [limit.origin] if whole else [(*limit.origin, field) for field in fields]
    return tuple(lost)


def nobody(gateway: ir.Gateway, scope: ir.Scope) -> bool:
    """Say whether no caller can be one for whom the policies of a group or consumer stand."""
    if scope.kind not in ("group", "consumer"):
        return False
    return anonymous(gateway) or (scope.kind == "group" and not members(gateway, scope.name))


def of_nobody(gateway: ir.Gateway, scope: ir.Scope, limit: Limit) -> bool:
    """Say whether nobody can be one for whom a limit counts: it counts by group, and no group has a member."""
    return not any(_anybody(gateway, counter) for counter in counters(gateway, scope, limit))


def _anybody(gateway: ir.Gateway, counter: Counter) -> bool:
    groups = [part.removeprefix("group:") for part in counter if part.startswith("group:")]
    return all(members(gateway, group) for group in groups)
