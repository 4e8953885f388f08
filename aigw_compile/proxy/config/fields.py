"""The fields of proxy.json, version 1: what the compiler writes and the proxy reads, and all that they share."""

from __future__ import annotations

from aigw_compile.proxy.config.shape import (
    Object,
    anything,
    by_key,
    each,
    flag,
    integer,
    null_or,
    number,
    one_of,
    text,
    texts_by_name,
)

CAUSES = (
    "rate-limited",
    "overloaded",
    "server-error",
    "timeout",
    "connect-failure",
    "auth-error",
    "quota-exceeded",
    "context-length",
    "content-filter",
    "bad-response",
)
"""Why an attempt at a target fails, in the words of the language."""

DIALECTS = ("openai", "anthropic", "azure-openai", "gemini")

NAME = text()
PORT = integer(1, 65_535)
SECONDS = number(0)
HEADER = text(r"[A-Za-z0-9-]+")
URL = text(r"https?://[^/\s]+(/\S*)?")
NAMES = each(NAME, unique=".")

SECRET = by_key(
    {
        "env": Object({"env": NAME}),
        "file": Object({"file": NAME}),
        "vault": Object({"vault": NAME, "key": NAME}, {"property": NAME, "version": NAME}),
        "kubernetes": Object({"kubernetes": Object({"name": NAME, "key": NAME})}),
    }
)
CIDRS = each(text(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?"), unique=".")
DAY = text(r"([0-9]{4}-[0-9]{2}-[0-9]{2})?", empty=True)
USD = number(0)
LOCATED = Object({"secret": SECRET, "place": NAME})
"""A secret, and the place in the spec that names it."""
CLIENT_TLS = Object({"serverName": text(empty=True)}, {"ca": LOCATED, "certificate": LOCATED, "key": LOCATED})
OFF = Object({"off": one_of(True)})
TRANSFORMER = by_key(
    {
        "off": OFF,
        "model": Object(
            {
                "model": NAME,
                "prompt": text(),
                "extract": text(empty=True),
                "timeout": SECONDS,
                "onError": one_of("fail", "pass"),
            }
        ),
    }
)
MESSAGES = each(Object({"role": NAME, "content": text(empty=True)}))
POLICIES = Object(
    {},
    {
        "promptGuard": Object(
            {
                "deny": each(text()),
                "allow": each(text()),
                "roles": each(text()),
                "scope": one_of("conversation", "last"),
            }
        ),
        "promptDecorator": Object({"prepend": MESSAGES, "append": MESSAGES}),
        "limits": each(
            Object(
                {
                    "name": NAME,
                    "by": each(text(r"gateway|consumer|group|model|ip|header:[a-z0-9-]+"), least=1, unique="."),
                    "per": one_of("second", "minute", "hour", "day", "week", "month"),
                    "requests": null_or(integer(0)),
                    "tokens": null_or(integer(0)),
                    "reserveOutput": integer(0),
                },
                {
                    "cost": null_or(USD),
                    "count": one_of("total", "input", "output"),
                    "onExceeded": one_of("refuse", "observe"),
                },
            ),
            unique="name",
        ),
        "limitStore": NAME,
        "responseGuard": Object(
            {"deny": each(text()), "allow": each(text()), "action": one_of("refuse", "mask", "log")}
        ),
        "requestTransformer": TRANSFORMER,
        "responseTransformer": TRANSFORMER,
        "cache": by_key(
            {
                "off": OFF,
                "type": Object(
                    {
                        "type": one_of("exact"),
                        "ttl": SECONDS,
                        "scope": one_of("consumer", "shared"),
                        "store": null_or(NAME),
                    }
                ),
            }
        ),
        "ipRestriction": Object({"allow": CIDRS, "deny": CIDRS}),
    },
)
LISTENER = Object(
    {
        "name": NAME,
        "address": NAME,
        "port": PORT,
        "hostnames": NAMES,
        "basePath": text(r"/\S*"),
        "maxBodySize": integer(0),
    },
    {
        "trustedProxies": CIDRS,
        "tls": Object(
            {"certificate": LOCATED, "key": LOCATED, "minVersion": one_of("1.2", "1.3")}, {"clientCA": LOCATED}
        ),
        "cors": Object(
            {
                "origins": NAMES,
                "methods": NAMES,
                "headers": NAMES,
                "credentials": flag,
                "maxAge": null_or(SECONDS),
            }
        ),
    },
)
STORE = by_key(
    {
        "memory": Object({"name": NAME, "memory": one_of(True)}),
        "redis": Object(
            {
                "name": NAME,
                "redis": Object(
                    {"address": text(r"\S+:[0-9]{1,5}"), "database": integer(0), "username": text(empty=True)},
                    {"password": LOCATED, "tls": CLIENT_TLS},
                ),
                "onFailure": one_of("open", "closed"),
            }
        ),
    }
)
JWT = Object(
    {
        "name": NAME,
        "issuer": NAME,
        "audiences": NAMES,
        "jwksUri": URL,
        "consumerClaim": NAME,
        "groupsClaim": text(empty=True),
        "groupMap": texts_by_name,
        "unknownConsumer": one_of("refuse", "accept"),
    }
)
PROVIDER = Object(
    {
        "name": NAME,
        "type": NAME,
        "dialect": one_of(*DIALECTS),
        "baseUrl": URL,
        "auth": null_or(Object({"header": HEADER, "prefix": text(empty=True), "secret": SECRET})),
        "headers": texts_by_name,
        "place": NAME,
    },
    {
        "identity": Object({"tenantId": text(empty=True), "clientId": text(empty=True)}, {"clientSecret": LOCATED}),
        "ownHeaders": each(Object({"name": HEADER}, {"value": text(), "secret": LOCATED}), unique="name"),
        "tls": CLIENT_TLS,
        "region": text(empty=True),
        "apiVersion": NAME,
    },
)
PRICE = Object(
    {"input": USD, "output": USD, "cacheRead": null_or(USD), "cacheWrite": null_or(USD)},
    {"source": text()},
)
TARGET = Object(
    {"name": NAME, "provider": NAME, "model": NAME, "weight": integer(0), "priority": integer(0)},
    {
        "parameters": Object({"defaults": anything, "overrides": anything, "maximum": anything}),
        "onUnsupported": one_of("error", "drop"),
        "price": null_or(PRICE),
    },
)
WHO = null_or(Object({"groups": NAMES, "consumers": NAMES}))
MODEL = Object(
    {
        "name": NAME,
        "aliases": NAMES,
        "capabilities": each(one_of("chat", "embeddings"), least=1),
        "targets": each(TARGET, least=1, unique="name"),
        "retries": Object(
            {
                "attempts": integer(0, 100),
                "on": each(one_of(*CAUSES)),
                "backoff": Object({"base": SECONDS, "max": SECONDS}),
            }
        ),
        "fallback": Object(
            {
                "on": each(one_of(*CAUSES)),
                "response": null_or(Object({"status": integer(200, 599), "content": text(empty=True)})),
            }
        ),
        "timeouts": Object({"connect": SECONDS, "firstByte": SECONDS, "idle": SECONDS, "request": SECONDS}),
        "access": null_or(Object({"allow": WHO, "deny": WHO})),
        "policies": POLICIES,
    },
    {
        "algorithm": one_of("weighted", "round-robin"),
        "health": Object({"failures": integer(1), "window": SECONDS, "cooldown": SECONDS}),
        "residency": NAMES,
        "lifecycle": Object({"deprecated": DAY, "sunset": DAY, "replacedBy": text(empty=True)}),
        "onDisconnect": one_of("estimate", "drain"),
        "exposeTarget": flag,
    },
)
FRONT = Object(
    {"credential": LOCATED, "header": HEADER, "prefix": text(empty=True), "addressHeader": HEADER},
    {"consumerHeader": HEADER},
)
"""Who keeps the edge before this proxy, and what it is believed by."""
FILE = Object(
    {
        "version": integer(1, 1),
        "gateway": NAME,
        "revision": NAME,
        "listeners": each(LISTENER, least=1, unique="name"),
        "operations": Object({"address": NAME, "port": PORT}),
        "auth": Object(
            {},
            {
                "anonymous": one_of(True),
                "apiKey": Object({"headers": each(HEADER, least=1, unique=".")}),
                "jwt": each(JWT, least=1, unique="name"),
                "basic": one_of(True),
            },
        ),
        "vaults": each(
            Object({"name": NAME, "type": NAME, "settings": anything, "refresh": null_or(SECONDS)}), unique="name"
        ),
        "providers": each(PROVIDER, least=1, unique="name"),
        "models": each(MODEL, least=1, unique="name"),
        "consumers": each(
            Object(
                {
                    "name": NAME,
                    "groups": NAMES,
                    "credentials": each(Object({"apiKey": SECRET, "place": NAME})),
                    "policies": POLICIES,
                },
                {"logins": each(Object({"username": NAME, "password": SECRET, "place": NAME}), unique="username")},
            ),
            unique="name",
        ),
        "consumerGroups": each(Object({"name": NAME, "policies": POLICIES}), unique="name"),
        "policies": POLICIES,
        "observability": Object(
            {
                "prometheus": null_or(Object({"port": PORT})),
                "otlp": null_or(Object({"endpoint": URL, "sampling": number(0, 1)})),
                "accessLog": null_or(Object({"format": one_of("json", "text"), "payloads": flag})),
            }
        ),
    },
    {"stores": each(STORE, unique="name"), "front": FRONT},
)
