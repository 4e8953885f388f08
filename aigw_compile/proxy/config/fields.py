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

DIALECTS = ("openai", "anthropic")

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
                    "by": each(one_of("gateway", "consumer", "group", "model"), least=1, unique="."),
                    "per": one_of("second", "minute", "hour", "day", "week", "month"),
                    "requests": null_or(integer(0)),
                    "tokens": null_or(integer(0)),
                    "reserveOutput": integer(0),
                }
            ),
            unique="name",
        ),
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
    }
)
TARGET = Object(
    {"name": NAME, "provider": NAME, "model": NAME, "weight": integer(0), "priority": integer(0)},
)
WHO = null_or(Object({"groups": NAMES, "consumers": NAMES}))
MODEL = Object(
    {
        "name": NAME,
        "aliases": NAMES,
        "capabilities": each(one_of("chat"), least=1),
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
    }
)
FILE = Object(
    {
        "version": integer(1, 1),
        "gateway": NAME,
        "revision": NAME,
        "listeners": each(LISTENER, least=1, unique="name"),
        "operations": Object({"address": NAME, "port": PORT}),
        "auth": by_key(
            {
                "apiKey": Object({"apiKey": Object({"headers": each(HEADER, least=1, unique=".")})}),
                "anonymous": Object({"anonymous": one_of(True)}),
            }
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
                }
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
    }
)
