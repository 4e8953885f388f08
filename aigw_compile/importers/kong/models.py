"""Routes that an AI plugin answers to models of the spec: names, targets, retries, fallback, times, what is sent along."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.importers.kong import doubles, paths, targets
from aigw_compile.importers.kong.secrets import Keeper
from aigw_compile.importers.kong.shape import Instance, Kong, running
from aigw_compile.importers.record import Node, Record

# Kong 3.9.3: db/schema/entities/{services,routes}.lua, plugins/ai-proxy/schema.lua, plugins/request-transformer; the
# published schema of ai-proxy-advanced, 3.9 and 3.15. A call to a provider is a POST: nginx repeats none that was sent,
# unless it is told to (`non_idempotent`).

PROXIES = ("ai-proxy-advanced", "ai-proxy")
CAUSES = {
    "http_429": "rate-limited",
    "http_503": "overloaded",
    "http_500": "server-error",
    "http_502": "server-error",
    "http_504": "server-error",
    "timeout": "timeout",
    "error": "connect-failure",
    "http_403": "auth-error",
}
ORDER = ("rate-limited", "overloaded", "server-error", "timeout", "connect-failure", "auth-error")
DEFAULT_TIME = 60_000
"""Milliseconds that Kong waits where the file says nothing: for a connection, and between two reads."""


class Model(NamedTuple):
    """A model before its policies: `body` is what the spec has, without `targets`."""

    route: str
    proxy: Instance
    body: dict[str, Json]
    targets: list[tuple[targets.Target, dict[str, Json]]]
    """Each with weight, priority and name."""

    @property
    def name(self) -> str:
        return str(self.body["name"])


def answered(kong: Kong) -> dict[str, Instance]:
    """Return the routes that an AI proxy answers, with the instance that does."""
    found = {}
    for key in kong.routes:
        for name in PROXIES:
            one = running(kong, name, key)
            if one:
                found[key] = one
                break
    return found


def models(
    kong: Kong, keeper: Keeper, routes: Mapping[str, Instance], bases: Sequence[str], listed: Sequence[str]
) -> list[Model]:
    """Return a model for each route, or several where targets have aliases. `listed`: the names that a list of models has."""
    made: list[Model] = []
    taken: set[str] = set()
    twins = doubles.twins(kong, routes)
    for key, proxy in routes.items():
        if key in twins:
            continue
        found = _targets(kong, keeper, key, proxy)
        pools: dict[str, list[tuple[targets.Target, dict[str, Json]]]] = {}
        for one in found:
            pools.setdefault(one[0].alias, []).append(one)
        if len(pools) > 1:
            at = proxy.config.place("targets")
            kong.record.note("AIG8109", "targets with an alias of their own became a model for each alias", at)
        for alias, pool in pools.items():
            body = _called(kong, key, pool[0][0], alias, bases, listed, taken, len(routes) - len(twins) == 1)
            taken |= {str(body["name"]), *(str(a) for a in _list(body.get("aliases")))}
            door = pool[0][0].door
            if door != "chat":
                body["capabilities"] = [door]
            same = [t for t in pool if t[0].door == door]
            for other in pool:
                if other[0].door != door:
                    kong.record.tell("AIG8113", "the targets of a model are all of one kind of call", other[0].node.at)
            tries = {t[1].get("priority", 0) for t in same}
            body.update(_times(kong, key, proxy, len(tries), len(same)))
            if proxy.config.flag("model_name_header", True):
                body["exposeTarget"] = True
            days = running(kong, "response-transformer", key)
            if days and (life := lifecycle(days)):
                body["lifecycle"] = life
            made.append(Model(key, proxy, body, same))
    order = {name: index for index, name in reversed([*enumerate(listed)])}
    return sorted(made, key=lambda m: order.get(m.name, len(order)))


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _called(
    kong: Kong,
    key: str,
    first: targets.Target,
    alias: str,
    bases: Sequence[str],
    listed: Sequence[str],
    taken: set[str],
    alone: bool,
) -> dict[str, Json]:
    """The name of a model and its aliases: what its paths say, else its alias, its target, or its route."""
    route = kong.routes[key].node
    read = paths.called(route.texts("paths"), bases)
    names = [*read.names] or ([*listed] if alone and read.ours else [])
    model = first.model if first.model != "*" else ""
    wishes = [alias] if alias else names[:1]
    wishes += [model, kong.routes[key].name or key.lstrip("#")]
    name = next((w for w in wishes if w and w not in taken and not w.isspace()), "")
    number = 2
    while not name:
        name, number = (f"model-{number}" if f"model-{number}" not in taken else ""), number + 1
    name = name.replace(" ", "-")[:256]
    body: dict[str, Json] = {"name": name}
    aliases = [n for n in names[1:] if n != name and n not in taken]
    if aliases:
        body["aliases"] = [*aliases]
    if not read.ours:
        at = route.place("paths") if route.raw("paths") is not None else route.at
        message = f'clients name the model "{name}" in the body, and call BASE{paths.CHAT}; built for Kong its base has /{name}'
        tell = kong.record.tell if at != route.at else kong.record.note
        tell("AIG8109", message, at, "the paths of the file are not kept")
    methods = route.texts("methods")
    if methods and methods != ["POST"]:
        kong.record.note("AIG8109", "a model is called with POST alone", route.place("methods"))
    quiet(route)
    for field in ("headers", "snis"):
        if route.raw(field) is not None:
            hint = "give the model a name of its own for those callers, or access rules"
            kong.record.tell(
                "AIG8106",
                f"calls are told apart by `{field}`; in the spec by the model's name alone",
                route.place(field),
                hint,
            )
    return body


def quiet(route: Node) -> None:
    """Take the settings of a route that mean nothing to an AI plugin, or that a build makes by itself."""
    listener = "where TLS is spoken, a listener says (`tls`)"
    route.usual("protocols", ["http", "https"], ["https", "http"], why=listener)
    sends = "the AI plugin makes the request by itself, so that this means nothing"
    named = "routes are made from the names of models"
    for field, value, why in _QUIET:
        route.usual(field, value, why={"sends": sends, "named": named}[why], code="AIG8104")


_QUIET: Sequence[tuple[str, Json, str]] = (
    ("strip_path", False, "sends"),
    ("preserve_host", False, "sends"),
    ("request_buffering", True, "sends"),
    ("response_buffering", True, "sends"),
    ("regex_priority", 0, "named"),
    ("path_handling", "v0", "named"),
    ("https_redirect_status_code", 426, "named"),
)


# --- Targets


def _targets(kong: Kong, keeper: Keeper, key: str, proxy: Instance) -> list[tuple[targets.Target, dict[str, Json]]]:
    config, record = proxy.config, kong.record
    config.usual("response_streaming", "allow", why="whether an answer comes as a stream, the client says")
    config.usual("llm_format", "openai", why="clients speak OpenAI's or Anthropic's dialect at doors of their own")
    config.usual("genai_category", "text/generation", "text/embeddings", code="AIG8104")
    for held in [i for i in kong.plugins if i.name in PROXIES and i is not proxy and _same_calls(i, proxy, key)]:
        why = "this does not run, since ai-proxy-advanced stands there too" if held.scope.consumer == "" else ""
        record.tell("AIG8113", why or "a model of its own for one consumer cannot be carried over", held.node.at)
    if proxy.name == "ai-proxy":
        found = targets.target(keeper, targets.block(config), {})
        return [(found, {})] if found else []
    algorithm = config.child("balancer").text("algorithm") or "round-robin"
    if algorithm not in ("round-robin", "priority"):
        at = config.child("balancer").place("algorithm")
        record.note("AIG8106", "the language balances by weight and by priority; this goes by weight now", at)
    weights = [(n, n.whole("weight")) for n in config.items("targets")]
    ranks = sorted({100 if w is None else w for _, w in weights}, reverse=True)
    made = []
    for node, weight in weights:
        found = targets.target(keeper, targets.block(node), {})
        if found is None:
            continue
        own: dict[str, Json] = {}
        if name := node.text("description"):
            own["name"] = name
        if algorithm == "priority":
            own["priority"] = ranks.index(100 if weight is None else weight)
        elif len(weights) > 1:
            own["weight"] = 100 if weight is None else weight
        else:
            node.usual("weight", 1, 100, why="a target that stands alone needs no weight", code="AIG8104")
        made.append((found, own))
    return made


def _same_calls(one: Instance, proxy: Instance, route: str) -> bool:
    s = one.scope
    return s.route == route and (one.name != proxy.name or bool(s.consumer or s.group))


# --- Times, retries, health


def _times(kong: Kong, key: str, proxy: Instance, priorities: int, count: int) -> dict[str, Json]:
    advanced = proxy.name == "ai-proxy-advanced"
    service = kong.services.get(kong.routes[key].service)
    holder = proxy.config.child("balancer") if advanced else (service.node if service else None)
    found: dict[str, Json] = {}
    if holder is None:
        return found
    connect, read = holder.whole("connect_timeout") or DEFAULT_TIME, holder.whole("read_timeout") or DEFAULT_TIME
    write = holder.whole("write_timeout")
    if write not in (None, read):
        message = "the language has one time for sending and waiting, and takes that of read_timeout"
        kong.record.note("AIG8106", message, holder.place("write_timeout"))
    times: dict[str, Json] = {}
    if connect != 5000:
        times["connect"] = paths.duration(connect)
    if read != 60_000:
        times["firstByte"] = paths.duration(read)
    if not 0 < max(connect, read) <= 600_000 and max(connect, read) < 2**31 - 2:
        times["request"] = "0s"
    retries = holder.whole("retries")
    retries = 5 if retries is None else retries
    if advanced:
        found.update(_tries(kong.record, holder, retries, priorities))
        found.update(_health(holder, count))
        _quiet(holder)
    elif retries:
        found["retries"] = {"attempts": retries, "on": ["connect-failure"]}
        if holder.raw("retries") is None:
            kong.record.note("AIG8111", "Kong dials five times more by itself, and so does the spec", holder.at)
    if times:
        found["timeouts"] = times
    return found


def _tries(record: Record, balancer: Node, retries: int, priorities: int) -> dict[str, Json]:
    """Causes and numbers of further tries: Kong counts all of them together, over all targets."""
    written = balancer.texts("failover_criteria")
    criteria = written if balancer.raw("failover_criteria") is not None else ["error", "timeout"]
    at = balancer.place("failover_criteria")
    causes = {CAUSES[c] for c in criteria if c in CAUSES}
    odd = [c for c in criteria if c not in CAUSES and c != "non_idempotent"]
    if odd:
        record.note("AIG8103", f"the language has no cause like {', '.join(sorted(odd))[:60]}", at)
    if len(causes & {"server-error"}) > 0 and len([c for c in criteria if CAUSES.get(c) == "server-error"]) < 3:
        record.note("AIG8106", "server-error is 500, 502 and 504 together", at)
    if "non_idempotent" not in criteria:
        if causes - {"connect-failure"} and balancer.raw("failover_criteria") is not None:
            record.note(
                "AIG8106", "without non_idempotent Kong repeats no call that was sent: only a connection that fails", at
            )
        causes &= {"connect-failure"}
    on: list[Json] = [c for c in ORDER if c in causes]
    if not on or not retries:
        return {}
    attempts = (retries + 1) // priorities - 1
    if (retries + 1) % priorities:
        record.note(
            "AIG8106", "Kong counts tries over all targets; the spec for each priority", balancer.place("retries")
        )
    found: dict[str, Json] = {}
    if attempts > 0:
        found["retries"] = {"attempts": attempts, "on": on}
    if priorities > 1:
        found["fallback"] = {"on": [*on]}
    return found


def _health(balancer: Node, count: int) -> dict[str, Json]:
    failures, cooldown = balancer.whole("max_fails"), balancer.whole("fail_timeout")
    found: dict[str, Json] = {}
    if count > 1 and failures:
        found["failures"] = failures
        found["cooldown"] = paths.duration(10_000 if cooldown is None else cooldown)
    return {"health": found} if found else {}


def _quiet(balancer: Node) -> None:
    """Settings of algorithms that the language does not have: their defaults mean nothing."""
    for key, value in (
        ("slots", 10_000),
        ("latency_strategy", "tpot"),
        ("tokens_count_strategy", "total-tokens"),
        ("hash_on_header", "X-Kong-LLM-Request-ID"),
    ):
        balancer.usual(key, value, code="AIG8104")


# --- What is sent along


def sent(
    kong: Kong, model: Model, one: Instance, not_sent: Sequence[str]
) -> tuple[dict[str, Json], dict[str, tuple[str, Pointer]]]:
    """Return parameters and provider headers that request-transformer sets. `not_sent`: headers that no provider gets."""
    config, record = one.config, kong.record
    remove, add = config.child("remove"), config.child("add")
    for index, header in enumerate(remove.texts("headers")):
        if header.lower() not in not_sent:
            record.alike(
                "AIG8104",
                "no header of a client is sent on, but a few that are the dialect's",
                remove.place("headers", index),
            )
    removed = remove.texts("body")
    names = {t.model for t, _ in model.targets}
    headers: dict[str, tuple[str, Pointer]] = {}
    for index, text in enumerate(add.texts("headers")):
        name, _, value = text.partition(":")
        headers[name.lower()] = (value, add.place("headers", index))
    defaults: dict[str, Json] = {}
    overrides: dict[str, Json] = {}
    for index, text in enumerate(add.texts("body")):
        name, _, value = text.partition(":")
        at = add.place("body", index)
        if name == "model":
            if value not in names:
                record.tell("AIG8106", "the target says which model is asked for, not the body", at)
        elif "$(" in value:
            record.tell("AIG8103", "the language has no templates in parameters", at)
        elif name in removed:
            overrides[name] = value
        else:
            defaults[name] = value
    for index, name in enumerate(removed):
        if name not in overrides and name != "model":
            record.tell("AIG8103", "the language takes no parameter away", remove.place("body", index))
    found: dict[str, Json] = {}
    if defaults:
        found["defaults"] = defaults
    if overrides:
        found["overrides"] = overrides
    return found, headers


def lifecycle(one: Instance) -> dict[str, Json] | None:
    """Return the days that response-transformer writes as Deprecation (RFC 9745) and Sunset (RFC 8594); None: other headers."""
    found: dict[str, Json] = {}
    add = one.config.child("add")
    for index, text in enumerate(add.texts("headers")):
        name, _, value = text.partition(":")
        try:
            if name.lower() == "deprecation" and value.startswith("@"):
                found["deprecated"] = datetime.fromtimestamp(int(value[1:]), UTC).date().isoformat()
                continue
            if name.lower() == "sunset":
                found["sunset"] = parsedate_to_datetime(value).date().isoformat()
                continue
        except (ValueError, OverflowError, OSError):
            pass
        add.record.tell("AIG8103", "the language sets no headers of answers", add.place("headers", index))
    return found or None


def listed(one: Instance) -> list[str]:
    """Return the names that a fixed list of models holds."""
    try:
        body: Any = json.loads(one.config.secret("body") or "null")
        return [str(m["id"]) for m in body["data"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
