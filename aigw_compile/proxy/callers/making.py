"""A Config and what is held of secrets to the Callers of a gateway: each issuer with a set of keys of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import aiohttp

from aigw_compile.proxy.asking import Answered, ask
from aigw_compile.proxy.callers import Callers
from aigw_compile.proxy.callers.jwks import KeySet
from aigw_compile.proxy.config import Config, Jwt
from aigw_compile.proxy.front import Front
from aigw_compile.proxy.held import Held
from aigw_compile.proxy.telemetry import Metrics

Fetch = Callable[[], Awaitable[Answered]]


def callers(
    config: Config,
    held: Held,
    session: aiohttp.ClientSession,
    metrics: Metrics,
    clock: Callable[[], float],
    instead: Mapping[str, str],
) -> Callers:
    """`instead`: issuer -> another address of its keys, for the mock one."""
    sets: dict[str, KeySet] = {}
    for one in config.jwt:
        from aigw_compile.proxy.callers.tokens import keys

        report = metrics.fetching("jwks", one.name, f"auth.jwt[{one.name}]: its keys cannot be fetched")
        sets[one.name] = KeySet(_fetching(session, one, instead), keys, clock, report)
    front = Front(config.front, held.front) if config.front and held.front else None
    if config.front and not front:
        raise ValueError("a proxy behind a front needs its credential")
    return Callers(config, held.keys, held.logins, sets, clock, front)


def _fetching(session: aiohttp.ClientSession, one: Jwt, instead: Mapping[str, str]) -> Fetch:
    async def fetch() -> Answered:
        return await ask(session, "GET", instead.get(one.name, one.jwks_uri), headers={"accept": "application/json"})

    return fetch
