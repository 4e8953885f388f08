"""Listeners: where clients call, and what browsers may."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from aigw_compile.language.base import (
    HEADER_NAME,
    LONGER,
    SET,
    Address,
    Cidr,
    ConfigRefs,
    Duration,
    Name,
    Port,
    Size,
    Strict,
    field,
    part,
    parts,
)
from aigw_compile.language.tls import ListenerTls

Hostname = Annotated[
    str,
    Field(
        pattern=r"^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        json_schema_extra={"x-aigw-form": "hostname", "examples": ["ai.example.com"]},
    ),
]
Origin = Annotated[
    str,
    Field(
        pattern=r"^(\*|https?://[a-z0-9.-]+(:[0-9]{1,5})?)$",
        json_schema_extra={"x-aigw-unit": "origin", "examples": ["https://app.example.com"]},
    ),
]
BREAKS = {"added": ["behaviour"], "removed": ["breaking"], "changed": ["breaking"]}
OPENS = {"added": ["security-relaxing"], "removed": ["breaking"]}


class Cors(Strict):
    """What browsers may do from pages of other origins."""

    origins: list[Origin] = field("Origins whose pages may call; `*` is any.", OPENS, min_length=1, extra=SET)
    methods: list[Literal["GET", "POST", "OPTIONS"]] = field(
        "Methods that they may use.", OPENS, ["GET", "POST"], min_length=1, extra=SET
    )
    headers: list[Annotated[str, Field(pattern=HEADER_NAME, json_schema_extra={"examples": ["x-api-key"]})]] = field(
        "Headers that they may send.", OPENS, ["authorization", "content-type", "x-api-key"], extra=SET
    )
    credentials: bool = field(
        "Whether cookies and the like may be sent.", {"on": ["security-relaxing"], "off": ["breaking"]}, False
    )
    maxAge: Duration = field("How long a browser remembers the answer.", LONGER, unset=True, example="1h")


class Listener(Strict):
    model_config = part("Listener")

    name: Name = field("Name of the listener.", BREAKS, example="public")
    address: Address = field("Address to listen on.", {"changed": ["behaviour", "security-relaxing"]}, "0.0.0.0")
    port: Port = field("Port to listen on.", {"changed": ["breaking"]}, example=8080)
    hostnames: list[Hostname] = field(
        "Host names it answers to; any if absent. `*.example.com` is any name below.",
        {"added": ["behaviour"], "removed": ["breaking"], "set": ["breaking"], "unset": ["behaviour"]},
        unset=True,
        extra=SET,
    )
    basePath: str = field(
        "Put before every path.",
        {"changed": ["breaking"]},
        "/",
        example="/ai",
        extra={"x-aigw-form": "path"},
        pattern=r"^/([A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*/?)?$",
    )
    maxBodySize: Size = field("Largest body of a request.", {"raised": ["behaviour"], "lowered": ["breaking"]}, "10Mi")
    tls: ListenerTls = field(
        "Certificate and key; plain HTTP if absent.",
        {
            "added": ["security-tightening", "breaking"],
            "removed": ["security-relaxing", "breaking"],
            "changed": ["behaviour"],
        },
        unset=True,
        example={"certificate": {"file": "/run/secrets/tls/tls.crt"}, "key": {"file": "/run/secrets/tls/tls.key"}},
    )
    trustedProxies: list[Cidr] = field(
        "Addresses of proxies whose X-Forwarded-For is believed.",
        {"added": ["security-relaxing"], "removed": ["behaviour"], "changed": ["security-relaxing"]},
        unset=True,
        extra=SET,
    )
    cors: Cors = field(
        "What browsers may do from pages of other origins; nothing if absent.",
        {"added": ["security-relaxing"], "removed": ["breaking"], "changed": ["behaviour"]},
        unset=True,
        example={"origins": ["https://app.example.com"]},
    )
    configRef: ConfigRefs = parts()
