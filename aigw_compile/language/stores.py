"""Stores: where counters and cached answers are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from aigw_compile.language.base import (
    BEHAVIOUR,
    ConfigRefs,
    HostPort,
    Name,
    Strict,
    blocks,
    check_blocks,
    field,
    goes_to,
    ordered,
    part,
    parts,
)
from aigw_compile.language.secrets import MOVED, SecretRef
from aigw_compile.language.tls import ClientTls


class RedisAuth(Strict):
    username: str = field("User name; the default user if absent.", BEHAVIOUR, unset=True, min_length=1, example="aigw")
    password: SecretRef = field("The password.", MOVED, example={"env": "REDIS_PASSWORD"})


class Redis(Strict):
    address: HostPort = field("Host and port.", {e: ["behaviour"] for e in ("added", "removed", "changed")})
    database: int = field("Number of the database.", BEHAVIOUR, 0, ge=0, le=15)
    auth: RedisAuth = field("How the gateway identifies itself.", MOVED, unset=True)
    tls: ClientTls = field(
        "TLS; `{}` with the authorities of the system. Without TLS if absent.",
        {"added": ["security-tightening"], "removed": ["security-relaxing"], "changed": ["behaviour"]},
        unset=True,
        example={"ca": {"file": "/run/secrets/ca.crt"}},
    )


OWN = {"memory": [], "redis": ["redis", "onFailure"]}


class Store(Strict):
    """The memory of each process, which forgets and counts for itself, or a Redis that all share."""

    model_config = part("Store", goes_to("*"), blocks(OWN, ["redis"], default="memory"))

    name: Name = field("Name that limitStore and cache.store use.", BEHAVIOUR, example="counters")
    type: Literal["memory", "redis"] = field(
        "Kind of store.",
        {"raised": ["behaviour"], "lowered": ["cost"]},
        "memory",
        extra=ordered("memory", "redis"),
    )
    redis: Redis = field("Settings of type redis.", BEHAVIOUR, unset=True, example={"address": "redis.internal:6379"})
    onFailure: Literal["open", "closed"] = field(
        "Whether requests pass, or are refused, while a Redis cannot be reached.",
        {"raised": ["cost"], "lowered": ["availability"], "added": ["behaviour"], "removed": ["behaviour"]},
        unset=True,
        extra=ordered("closed", "open"),
    )
    configRef: ConfigRefs = parts()

    @model_validator(mode="after")
    def _own_block(self) -> Store:
        check_blocks(self, OWN, ["redis"])
        return self
