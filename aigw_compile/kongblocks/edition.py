"""What differs between the releases of Kong that blocks are made for, as tables of what each version brought."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aigw_compile.plan.fits import Slot
from aigw_compile.target import Release, release

SINCE: Mapping[str, str] = {
    "ai-proxy-advanced": "3.8",  # and failover_criteria, the algorithm priority, llm_providers with lists: all since 3.10
    "embeddings": "3.11",  # route_type llm/v1/embeddings, genai_category
    "redis-fractions": "3.11",  # ai-rate-limiting-advanced: decrease_by_fractions_in_redis
    "token-namespace": "3.11",  # ai-rate-limiting-advanced: namespace
    "circuit-breaker": "3.13",  # balancer.max_fails, fail_timeout
    "messages": "3.13",  # llm_format anthropic
    "cache-prices": "3.14",  # model.options.cache_read_cost, cache_write_cost
    "token-policies": "3.14",  # ai-rate-limiting-advanced: policies in place of llm_providers
    "jwks-endpoint": "3.14",  # openid-connect: jwks_endpoint, and consumer_claims in place of consumer_claim
}
"""What Enterprise has -> the version that brought it (Kong's published plugin schemas). The open-source edition has none of it."""

VERSIONS: Mapping[str, tuple[str, ...]] = {
    "oss": ("3.9",),
    "enterprise": ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15"),
}

ALL_WINDOWS = ("second", "minute", "hour", "day", "week", "month")
PERIODS = ("second", "minute", "hour", "day", "month")
"""The windows that the plugin rate-limiting has (3.9.3, plugins/rate-limiting/schema.lua)."""
_VAULTS = {"oss": ("env",), "enterprise": ("env", "aws", "gcp", "azure", "hashicorp")}
_MESSAGE_BYTES = {"oss": 500, "enterprise": 100_000}


class Edition(NamedTuple):
    name: str
    """The profile."""
    has: frozenset[str]
    """Those of SINCE that are there."""
    vaults: tuple[str, ...]
    """The kinds of vault that it reads by itself."""
    message_bytes: int
    """How long a message of ai-prompt-decorator may be: Lua counts bytes."""
    limiters: tuple[tuple[str, Slot], ...]
    """Plugins that count requests, with what they can count; of each, one instance runs for a call."""
    token_limiters: tuple[tuple[str, Slot], ...]
    patterns: int = 10
    pattern_bytes: int = 500

    @property
    def advanced(self) -> bool:
        """Whether the AI licence is there: ai-proxy-advanced, ai-rate-limiting-advanced, openid-connect, Entra identities."""
        return "ai-proxy-advanced" in self.has


def edition(profile: str) -> Edition:
    """Return what a profile has. It must be one of the profiles of target.yaml."""
    known = release(profile)
    found = frozenset(name for name, since in SINCE.items() if known.family == "enterprise" and known.has(since))
    return Edition(
        profile,
        found,
        _VAULTS[known.family],
        _MESSAGE_BYTES[known.family],
        _limiters(known),
        _token_limiters(found),
    )


def _limiters(known: Release) -> tuple[tuple[str, Slot], ...]:
    plain = ("rate-limiting", Slot(PERIODS))
    if known.family == "oss":
        return (plain,)
    return (("rate-limiting-advanced", Slot(ALL_WINDOWS, shared=True, compound=True)), plain)


def _token_limiters(has: frozenset[str]) -> tuple[tuple[str, Slot], ...]:
    if "ai-proxy-advanced" not in has:
        return ()
    policies = "token-policies" in has
    shared, fractions = "token-namespace" in has, "redis-fractions" in has
    slot = Slot(ALL_WINDOWS, shared=shared, compound=policies, mixed=policies, fractions=fractions)
    return (("ai-rate-limiting-advanced", slot),)


EDITIONS: Mapping[str, Edition] = {
    profile: edition(profile) for family, found in VERSIONS.items() for v in found for profile in (f"{family}-{v}",)
}
