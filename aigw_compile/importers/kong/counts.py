"""Instances of Kong's limiters to limits, and the limits that one adds to another."""

from __future__ import annotations

import re
from typing import Any

from aigw_compile.diagnostic import Json
from aigw_compile.importers.kong.secrets import Keeper
from aigw_compile.importers.kong.shape import Instance, Kong
from aigw_compile.importers.record import Node
from aigw_compile.policies.limits import SECONDS
from aigw_compile.units import derived_name

# Kong 3.9.3, plugins/rate-limiting/schema.lua, policies/init.lua (an instance at a route counts for that route, one at no
# route over all); published schemas of rate-limiting-advanced and ai-rate-limiting-advanced, 3.9 and 3.15.

Limit = dict[str, Any]
"""A limit as the spec has it, but that `by` is a set and always there; and `store`, the key of a Redis."""

PERIODS = ("second", "minute", "hour", "day", "month")
_UNITS = {seconds: per for per, seconds in SECONDS.items()}
COUNTED = {"total_tokens": "total", "prompt_tokens": "input", "completion_tokens": "output", "cost": "cost"}
LIMITERS = ("rate-limiting-advanced", "rate-limiting", "ai-rate-limiting-advanced")


class Counts:
    """Reads limiters; Redis servers become stores."""

    def __init__(self, kong: Kong, keeper: Keeper) -> None:
        self.kong = kong
        self.keeper = keeper
        self.stores: dict[str, dict[str, Json]] = {}
        self.groups: dict[str, str] = {}
        """Namespace -> the group whose members share its counter."""

    def limits(self, instance: Instance) -> list[Limit] | None:
        """Return the limits of an instance; None where there is none."""
        readers = {
            "rate-limiting": self._plain,
            "rate-limiting-advanced": self._advanced,
            "ai-rate-limiting-advanced": self._tokens,
        }
        found = readers[instance.name](instance)
        store = self._store(instance)
        for limit in found:
            limit["store"] = store
            limit["name"] = self._name(instance, limit)
            namespace = instance.config.raw("namespace")
            if "group" in limit["by"] and isinstance(namespace, str) and namespace in self.groups:
                limit["group"] = self.groups[namespace]
        return found or None

    def _by(self, instance: Instance, identifier: str, header: str, at: Node, key: str) -> set[str] | None:
        """What has a counter of its own. "service" is nothing: the place of the instance counts."""
        several = instance.config.texts("compound_identifier") if key == "identifier" else []
        if several:
            if identifier != several[0]:
                at.record.tell("AIG8104", "`compound_identifier` says what is counted by", at.place(key))
            parts = [self._by(instance, one, header, at, key + "s") for one in several]
            return set().union(*(p for p in parts if p)) if all(p is not None for p in parts) else None
        by: set[str] = {"model"} if instance.scope.route else set()
        if identifier in ("service", "route", ""):
            namespace = instance.config.raw("namespace")
            if instance.scope.consumer and not self._shared(str(namespace), instance):
                by.add("consumer")
            elif instance.scope.consumer:
                by.add("group")
        elif identifier in ("consumer", "ip"):
            by.add(identifier)
        elif identifier == "credential":
            by.add("consumer")
            at.record.note("AIG8106", "counted by consumer, not by each of its credentials", at.place(key))
        elif identifier == "header" and header:
            by.add(f"header:{header.lower()}")
        elif identifier == "consumer-group":
            by.add("group")
        else:
            message = "the language has no counter by this; the limit is left out"
            at.record.tell("AIG8107", message, instance.node.at, "consumer, ip, header and group can be carried over")
            return None
        return by

    def _shared(self, namespace: str, instance: Instance) -> bool:
        """Say whether consumers share a counter by its namespace, all those of one group and nobody else."""
        mine = {
            i.scope.consumer
            for i in self.kong.plugins
            if i.name == instance.name and i.config.raw("namespace") == namespace
        }
        if namespace in ("", "None") or "-group-" not in namespace:
            return False
        label = namespace.rpartition("-group-")[2]
        members = {c for c, groups in self.kong.members.items() if label in [g for g, _ in groups]}
        if mine != members:
            return False
        self.groups[namespace] = label
        return True

    def _plain(self, instance: Instance) -> list[Limit]:
        config = instance.config
        by = self._by(instance, config.text("limit_by") or "consumer", config.text("header_name"), config, "limit_by")
        found = []
        for per in (*PERIODS, "year"):
            value = config.whole(per)
            if value is None:
                continue
            if per == "year":
                config.record.tell(
                    "AIG8107", "the language has no limit of a year", config.place(per), "write it by month"
                )
            elif by is not None:
                found.append({"by": by, "per": per, "requests": value})
        config.usual("hide_client_headers", False, why="the gateway shows what is left")
        config.usual("error_code", 429, why="whoever is over a limit gets 429")
        config.usual("error_message", "API rate limit exceeded", why="the gateway words its own answer", code="AIG8104")
        config.usual("sync_rate", -1)
        return found

    def _advanced(self, instance: Instance) -> list[Limit]:
        config = instance.config
        by = self._by(
            instance, config.text("identifier") or "consumer", config.text("header_name"), config, "identifier"
        )
        amounts, sizes = config.numbers("limit"), config.numbers("window_size")
        self._window(config)
        self._quiet(config)
        config.usual("disable_penalty", True, False)
        if config.raw("disable_penalty") is not True:
            config.record.note(
                "AIG8106", "a refused call is not counted; Kong counts it", config.place("disable_penalty")
            )
        if len(amounts) != len(sizes):
            config.record.tell("AIG8102", "each limit has a window_size", config.place("limit"))
            return []
        found = []
        for index, (amount, size) in enumerate(zip(amounts, sizes, strict=True)):
            per = self._per(config, "window_size", size, index)
            if per and by is not None:
                found.append({"by": by, "per": per, "requests": int(amount)})
        return found

    def _tokens(self, instance: Instance) -> list[Limit]:
        config = instance.config
        found: list[Limit] = []
        self._quiet(config)
        for policy in config.items("policies"):
            by = self._matched(instance, policy)
            self._window(policy)
            for limit in policy.items("limits"):
                what = COUNTED.get(limit.text("tokens_count_strategy") or "total_tokens")
                amount = limit.number("limit")
                per = self._per(limit, "window_size", limit.number("window_size"), None)
                if what is None or amount is None or not per or by is None:
                    limit.record.tell("AIG8107", "this limit cannot be carried over", limit.at)
                    continue
                found.append(_counted(by, per, what, amount))
        if config.raw("llm_providers") is not None:
            found += self._by_provider(instance)
        return found

    def _by_provider(self, instance: Instance) -> list[Limit]:
        """The older form: limits for each provider."""
        config = instance.config
        by = self._by(
            instance, config.text("identifier") or "consumer", config.text("header_name"), config, "identifier"
        )
        what = COUNTED.get(config.text("tokens_count_strategy") or "total_tokens")
        self._window(config)
        found: list[Limit] = []
        providers = config.items("llm_providers")
        for node in providers:
            name = node.text("name")
            amounts, sizes = node.numbers("limit"), node.numbers("window_size")
            if name in ("requestPrompt", "customCost") or what is None or by is None or len(amounts) != len(sizes):
                node.record.tell("AIG8107", "this limit cannot be carried over", node.at)
                continue
            node.record.note(
                "AIG8106", "the limit counts the tokens of all providers together, not of this one", node.at
            )
            for index, (amount, size) in enumerate(zip(amounts, sizes, strict=True)):
                per = self._per(node, "window_size", size, index)
                if per:
                    found.append(_counted(by, per, what, amount))
        strictest: dict[str, Limit] = {}
        for limit in found:
            field = next(f for f in ("tokens", "cost") if f in limit)
            key = f"{limit['per']}"
            if key not in strictest or limit[field] < strictest[key][field]:
                strictest[key] = limit
        return [*strictest.values()]

    def _matched(self, instance: Instance, policy: Node) -> set[str] | None:
        matches = policy.items("match")
        if not matches:
            return self._by(instance, "service", "", policy, "match")
        by: set[str] = set()
        for match in matches:
            kind = match.text("type").replace("_", "-")
            if match.raw("values") is not None or not match.flag("partition_by", False):
                match.record.tell("AIG8107", "a limit for some values alone cannot be carried over", instance.node.at)
                return None
            one = self._by(instance, kind, match.text("key"), match, "type")
            if one is None:
                return None
            by |= one
        return by

    def _window(self, config: Node) -> None:
        if config.text("window_type") != "fixed":
            at = config.place("window_type")
            config.record.note(
                "AIG8106", "windows of the language are fixed and begin with the minute, the hour, the day", at
            )

    def _quiet(self, config: Node) -> None:
        config.usual("error_code", 429, why="whoever is over a limit gets 429")
        config.usual("error_message", "API rate limit exceeded", why="the gateway words its own answer", code="AIG8104")
        config.usual("hide_client_headers", False, why="the gateway shows what is left")
        config.usual("retry_after_jitter_max", 0)
        config.usual(
            "decrease_by_fractions_in_redis", True, why="money is counted in parts of a dollar", code="AIG8104"
        )
        config.usual("sync_rate", 0, -1, why="counters are always looked up where they are kept", code="AIG8104")
        config.usual("dictionary_name", "kong_rate_limiting_counters", code="AIG8104")
        if isinstance(config.raw("namespace"), str):
            config.record.alike("AIG8104", "namespaces of counters are made by the build", config.place("namespace"))

    def _per(self, node: Node, key: str, size: float | None, index: int | None) -> str:
        per = _UNITS.get(int(size or 0), "")
        if not per:
            at = node.place(key) if index is None else node.place(key, index)
            known = ", ".join(f"{s} ({p})" for s, p in _UNITS.items() if p)
            node.record.tell(
                "AIG8107", "the language has no window of this length; the limit is left out", at, f"known: {known}"
            )
        return per

    def _store(self, instance: Instance) -> str:
        """The key of the Redis in which an instance counts; "" for the memory of each node."""
        config = instance.config
        plain = instance.name == "rate-limiting"
        kind = config.text("policy" if plain else "strategy") or "local"
        closed = plain and not config.flag("fault_tolerant", True)
        if kind not in ("local", "redis", "cluster"):
            config.record.tell(
                "AIG8102", "Kong counts in local, redis or cluster", config.place("policy" if plain else "strategy")
            )
        if plain and kind != "redis":
            config.usual("fault_tolerant", True, why="counting in memory does not fail", code="AIG8104")
        if kind == "cluster":
            key = "policy" if plain else "strategy"
            config.record.note("AIG8106", "Kong counts in its database; the spec counts in memory", config.place(key))
        if kind != "redis":
            return ""
        redis = config.child("redis")
        host = redis.text("host") or config.text("redis_host") or "127.0.0.1"
        port = redis.whole("port") or config.whole("redis_port") or 6379
        one: dict[str, Json] = {"address": f"[{host}]:{port}" if ":" in host else f"{host}:{port}"}
        if database := redis.whole("database"):
            one["database"] = database
        password = self.keeper.reference(redis, "password", "REDIS_PASSWORD", "the password of Redis")
        if password:
            auth: dict[str, Json] = {"password": password.ref}
            if user := redis.text("username"):
                auth = {"username": user, **auth}
            one["auth"] = auth
        if redis.flag("ssl", False):
            tls: dict[str, Json] = {}
            if name := redis.text("server_name"):
                tls["serverName"] = name
            one["tls"] = tls
        redis.usual("ssl_verify", "tls" in one, why="the certificate of Redis is always checked", code="AIG8106")
        redis.usual("timeout", 2000, code="AIG8104")
        key = repr(one)
        held = self.stores.setdefault(key, {"redis": one, "onFailure": "closed" if closed else "open"})
        if closed and held["onFailure"] == "open":
            held["onFailure"] = "closed"
        return key

    def _name(self, instance: Instance, limit: Limit) -> str:
        """The name that our own tags give it, or one from what it says."""
        field = next(f for f in ("requests", "tokens", "cost") if f in limit)
        amount = limit[field]
        shown = f"{amount:g} dollars" if field == "cost" else f"{amount} {field}"
        for tag in instance.tags:
            if found := re.fullmatch(rf"(.+): {re.escape(shown)} a {limit['per']}", tag):
                return found[1]
        by = next((b.partition(":")[0] for b in sorted(limit["by"]) if b != "model"), "")
        return derived_name(f"{field}-a-{limit['per']}" + (f"-each-{by}" if by else ""))


def _counted(by: set[str], per: str, what: str, amount: float) -> Limit:
    if what == "cost":
        return {"by": by, "per": per, "cost": amount}
    return {"by": by, "per": per, "tokens": int(amount), "count": what}


def _key(limit: Limit) -> tuple[Any, ...]:
    field = next(f for f in ("requests", "tokens", "cost") if f in limit)
    return field, limit.get("count", ""), frozenset(limit["by"]) - {"consumer"}


def _amount(limit: Limit) -> float:
    return next(float(limit[f]) for f in ("requests", "tokens", "cost") if f in limit)


def beyond(own: list[Limit], base: list[Limit] | None) -> list[Limit] | None:
    """Return the limits that have to be added to `base` for `own`; None: one of `base` is missing or wider in it.

    A window that a longer one never lets be used up may be missing: our own build leaves it out.
    """
    found = []
    for limit in own:
        same = [b for b in base or () if _key(b) == _key(limit) and b["per"] == limit["per"]]
        if any(_amount(limit) > _amount(b) for b in same):
            return None
        if not any(_amount(limit) == _amount(b) and limit["store"] == b["store"] for b in same):
            found.append(limit)
    for limit in base or ():
        held = [o for o in own if _key(o) == _key(limit) and SECONDS[o["per"]] >= SECONDS[limit["per"]]]
        if not any(_amount(o) <= _amount(limit) for o in held):
            return None
    return found
