"""What a spec writes to what it means: durations to seconds, quantities to bytes, texts to derived names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SIZES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def seconds(text: str) -> float:
    """Return a Gateway API duration in seconds: `1m30s` is 90.0."""
    return round(sum(float(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|h|m|s)", text)), 3)


def size(value: str | int) -> int:
    """Return a Kubernetes quantity in bytes: `10Mi` is 10485760."""
    if isinstance(value, int):
        return value
    number = re.match(r"[0-9.]+", value)
    assert number
    return int(float(number[0]) * _SIZES[value[number.end() :]])


def derived_name(text: str) -> str:
    """Return the DNS label that a name which was left out is derived as: other characters become `-`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].rstrip("-")


def target_name(t: Mapping[str, Any]) -> str:
    """Return the name of a target that has none of its own: from provider and model."""
    return derived_name(f"{t['provider']}-{t['model']}")


def key_of(item: object) -> str:
    """Return the name that an item of a keyed list is known by; a target's may follow from provider and model. "": none."""
    if not isinstance(item, dict):
        return ""
    name = item.get("name")
    if isinstance(name, str):
        return name
    provider, model = item.get("provider"), item.get("model")
    return derived_name(f"{provider}-{model}") if isinstance(provider, str) and isinstance(model, str) else ""
