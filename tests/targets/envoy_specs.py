"""Specs that tests build for Envoy: the examples, the gateway that is served, the smallest one, and one of zeros."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aigw_compile.diagnostic import Pointer
from aigw_compile.source import parse
from tests.targets import envoy_edge
from tests.targets.envoy_gateway import spec

ROOT = Path(__file__).resolve().parents[2]


def smallest(**more: Any) -> dict[str, Any]:
    """The smallest gateway: nobody is asked for a key."""
    body = {
        "listeners": [{"name": "l", "port": 8080}],
        "providers": [{"name": "client-keys", "type": "vllm", "baseUrl": "https://[::1]:8443/a/v1"}],
        "models": [{"name": "m", "targets": [{"provider": "client-keys", "model": "*"}]}],
        "auth": {"anonymous": True},
        **more,
    }
    return {"apiVersion": "aigw.dev/v1alpha1", "kind": "AIGateway", "metadata": {"name": "open"}, "spec": body}


def zeros() -> dict[str, Any]:
    """Zeros, which mean no limit, and the largest numbers there are."""
    zero = smallest()
    none = {"connect": "0s", "firstByte": "0s", "idle": "0s", "request": "0s"}
    retries = {"attempts": 10, "backoff": {"base": "0s", "max": "0s"}}
    zero["spec"]["models"][0] |= {"timeouts": none, "retries": retries}
    zero["spec"]["models"][0]["targets"].append({"provider": "client-keys", "model": "y", "priority": 7})
    zero["spec"]["listeners"][0]["maxBodySize"] = "3Gi"
    limits = [
        {"name": "most", "per": "second", "requests": 2**32 - 1},
        {"name": "more", "per": "month", "requests": 2**32},
    ]
    zero["spec"]["policies"] = {"limits": limits}
    return zero


def rich() -> dict[str, Any]:
    """The gateway that test_envoy_serves serves, and what it does not need."""
    whole = spec(
        [8080, 8081, 9090], ["https://api.openai.com/v1", "https://api.anthropic.com/v1", "http://local.test/v1"]
    )
    whole["spec"]["models"][5]["targets"].pop()  # a target of weight 0 is in no output
    whole["metadata"] |= {"labels": {"team": "x"}, "annotations": {"note": "y"}}
    body = whole["spec"]
    body["vaults"] = [
        {"name": "kept", "type": "hashicorp", "hashicorp": {"address": "https://v.test", "auth": {"method": "token"}}},
        {"name": "aws", "type": "aws", "aws": {"region": "eu-west-1"}, "refresh": "5m"},
    ]
    body["providers"][0]["auth"]["apiKey"] = {"vault": "kept", "key": "a/b", "property": "p", "version": "3"}
    body["providers"][1]["auth"]["apiKey"] = {"kubernetes": {"name": "n", "key": "k"}}
    body["observability"]["tracing"] = {"otlp": {"endpoint": "http://otel.test:4318", "sampling": 0.25}}
    body["observability"]["metrics"]["prometheus"] = {"port": 9100}
    body["policies"]["limits"] += [
        {"name": "both", "by": ["group", "model"], "per": "month", "requests": 9, "tokens": 1000, "reserveOutput": 7},
        {"name": "tokens", "by": ["consumer"], "per": "day", "tokens": 1000},
    ]
    body["deployment"] = {"replicas": 2}
    return whole


def edge() -> dict[str, Any]:
    """The gateway that test_envoy_edge serves, before the vendors themselves, and with money counted."""
    names = ("openai", "azure", "claude", "keys", "other", "inside")
    whole = envoy_edge.spec([8080, 8443, 8444, 9090], {name: f"https://{name}.test/v1" for name in names})
    body = whole["spec"]
    body["providers"][2].pop("baseUrl")  # the one of Azure itself
    body["providers"].append({"name": "managed", "type": "azure-openai", "azure": {"instance": "r"}})
    body["providers"][-1]["auth"] = {"azure": {"managedIdentity": True, "clientId": "C"}}
    body["providers"].append({"name": "gemini", "type": "gemini", "auth": {"apiKey": {"env": "G"}}})
    body["models"].append({"name": "managed", "targets": [{"provider": "managed", "model": "x"}]})
    body["models"].append({"name": "gemini", "targets": [{"provider": "gemini", "model": "gemini-2.5-pro"}]})
    mixed = [{"provider": "gemini", "model": "gemini-2.5-pro"}, {"provider": "openai", "model": "gpt-5"}]
    mixed[1]["pricing"] = {"input": 1, "output": 2.5, "cacheRead": 0.25}
    body["models"].append({"name": "mixed", "targets": mixed, "residency": ["eu"], "onDisconnect": "drain"})
    body["policies"]["limits"] += [
        {"name": "money", "per": "month", "cost": 12.5},
        {"name": "input", "by": ["consumer", "ip"], "per": "day", "tokens": 7_000_000_000, "count": "input"},
        {"name": "watched", "per": "week", "tokens": 9, "cost": 1, "requests": 7, "onExceeded": "observe"},
    ]
    body["stores"] = [{"name": "redis", "type": "redis", "redis": {"address": "r.test:6379"}, "onFailure": "closed"}]
    body["policies"] |= {
        "limitStore": "redis",
        "responseGuard": {"deny": ["x"], "action": "mask"},
        "cache": {"type": "exact", "ttl": "5m"},
        "requestTransformer": {"model": "chat", "prompt": "Shorten it."},
    }
    for provider in body["providers"]:
        provider["region"] = "eu-west-1"
    for target in (t for m in body["models"] for t in m["targets"]):
        target.setdefault("pricing", {"input": 1.5, "output": 3, "cacheWrite": 2})
    body["deployment"] = {"replicas": 2, "resources": {"requests": {"cpu": "1"}}, "kubernetes": {"namespace": "n"}}
    return whole


def narrow() -> dict[str, Any]:
    """edge(), with each thing once: changing each of its leaves takes time."""
    whole = edge()
    once = {
        "chat",
        "here",
        "azure-any",
        "claude",
        "tuned",
        "old",
        "resting",
        "gemini",
        "mixed",
        "managed",
        "entra",
        "inside",
    }
    body = whole["spec"]
    body["models"] = [m for m in body["models"] if m["name"] in once]
    body["listeners"] = body["listeners"][:2]
    body["providers"] = [p for p in body["providers"] if p["name"] != "wrong-name"]
    return whole


def _specs() -> dict[str, dict[str, Any]]:
    found = {"open": smallest(), "zero": zeros(), "rich": rich(), "edge": edge()}
    for path in sorted((ROOT / "examples").glob("*/gateway.yaml")):
        found[path.parent.name] = parse(path.read_bytes(), path.name)[0][0].data
    for body in found.values():
        body["spec"].setdefault("listeners", [{"name": "public", "port": 8080}])
    return found


SPECS = _specs()
OPTIONS = ({"tokenLimits": "refuse"}, {"tokenLimits": "local"}, {"tokenLimits": "rls"})
CASES = [pytest.param(name, o, id=f"{name}-{o['tokenLimits']}") for name in SPECS for o in OPTIONS]


def walk(value: Any, at: Pointer = ()) -> Iterator[tuple[Pointer, Any]]:
    yield at, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from walk(inner, (*at, key))
