"""A value that does not fit its field to what would be right, as text that can be written down."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from aigw_compile.diagnostic import Json
from aigw_compile.mask import looks_secret, shown
from aigw_compile.schema import follow

SHORT: Mapping[str, str] = {
    "retries": "attempts",
    "timeouts": "request",
    "response": "content",
    "prometheus": "port",
    "otlp": "endpoint",
    "accessLog": "format",
    "autoscaling": "maxReplicas",
    "aws": "region",
    "gcp": "projectId",
    "azure": "instance",
    "redis": "address",
    "cache": "ttl",
    "loadBalancing": "algorithm",
    "health": "failures",
    "lifecycle": "sunset",
    "gatewayRef": "name",
    "hashicorp": "address",
    "operations": "port",
    "configRef": "name",
    "referrers": "path",
}
"""Field that takes a map -> the field in it that a bare value was probably meant for."""

LISTS: Mapping[str, str] = {
    "access": "allow: {groups: [...]}",
    "cors": "origins: [...]",
    "fallback": "on: [...]",
    "ipRestriction": "allow: [...]",
    "promptDecorator": "prepend: [...]",
    "promptGuard": "deny: [...]",
    "responseGuard": "deny: [...]",
    "retries": "on: [...], attempts: 1",
}
"""Field that takes a map -> what in it a bare list was probably meant for."""

_WINDOWS: Mapping[str, str] = {
    "s": "second",
    "sec": "second",
    "1s": "second",
    "m": "minute",
    "min": "minute",
    "1m": "minute",
    "60s": "minute",
    "h": "hour",
    "hr": "hour",
    "1h": "hour",
    "60m": "hour",
    "d": "day",
    "1d": "day",
    "24h": "day",
    "daily": "day",
    "w": "week",
    "7d": "week",
    "weekly": "week",
    "mo": "month",
    "30d": "month",
    "monthly": "month",
    "hourly": "hour",
}
_CAUSES: Mapping[str, str] = {
    "429": "rate-limited",
    "500": "server-error",
    "502": "server-error",
    "503": "overloaded",
    "504": "server-error",
    "529": "overloaded",
    "5xx": "server-error",
    "401": "auth-error",
    "403": "auth-error",
    "402": "quota-exceeded",
    "connect-timeout": "connect-failure",
    "reset": "connect-failure",
    "retriable-4xx": "rate-limited",
}
ENUMS: Mapping[str, Mapping[str, str]] = {
    "per": _WINDOWS,
    "on": _CAUSES,
    "role": {"ai": "assistant", "model": "assistant", "human": "user", "bot": "assistant"},
    "type": {
        "openai-compat": "openai-compatible",
        "claude": "anthropic",
        "custom": "openai-compatible",
        "azure": "azure-openai",
        "azure-key-vault": "azure",
        "google": "gemini",
        "grok": "xai",
        "qwen": "dashscope",
        "kimi": "moonshot",
        "aws-secrets-manager": "aws",
        "gcp-secret-manager": "gcp",
        "vault": "hashicorp",
        "hcv": "hashicorp",
        "valkey": "redis",
        "in-memory": "memory",
        "local": "memory",
    },
    "minVersion": {"tlsv1.2": "1.2", "tls1.2": "1.2", "tlsv1.3": "1.3", "tls1.3": "1.3", "1.0": "1.2", "1.1": "1.2"},
    "method": {"k8s": "kubernetes", "app-role": "approle"},
    "onUnsupported": {"ignore": "drop", "strip": "drop", "fail": "error", "refuse": "error"},
    "onDisconnect": {"cancel": "estimate", "abort": "estimate", "continue": "drain", "wait": "drain"},
    "unknownConsumer": {"allow": "accept", "deny": "refuse", "reject": "refuse"},
    "by": {"user": "consumer", "client": "consumer", "api-key": "consumer", "team": "group", "global": "gateway"},
    "scope": {"all": "conversation", "last-message": "last", "global": "shared", "user": "consumer"},
    "algorithm": {"roundrobin": "round-robin", "rr": "round-robin", "weight": "weighted", "random": "weighted"},
    "action": {"block": "refuse", "deny": "refuse", "reject": "refuse", "redact": "mask", "warn": "log"},
    "onExceeded": {"block": "refuse", "deny": "refuse", "reject": "refuse", "log": "observe", "warn": "observe"},
    "onError": {"ignore": "pass", "continue": "pass", "error": "fail", "refuse": "fail"},
    "onFailure": {"allow": "open", "fail-open": "open", "deny": "closed", "fail-closed": "closed"},
    "capabilities": {"embedding": "embeddings", "completion": "completions", "chat-completions": "chat"},
    "count": {"all": "total", "prompt": "input", "completion": "output"},
}
"""Field -> words that others use for a value of it -> ours."""

_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SPELLINGS = {
    "": "s",
    "millisecond": "ms",
    "msec": "ms",
    "sec": "s",
    "second": "s",
    "min": "m",
    "minute": "m",
    "hr": "h",
    "hour": "h",
    "day": "d",
}


def duration(value: Json) -> str:
    """Return a duration near to what was written: `30` is 30s, `1.5s` 1500ms, `2 days` 48h; an example where none is."""
    example = "write it like 250ms, 30s or 1h30m"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return example
    found = re.fullmatch(r"\s*([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([A-Za-z]{0,12})\s*", str(value))
    if not found:
        return example
    word = found[2] if found[2] in _MILLISECONDS else found[2].lower()
    word = word if word in _MILLISECONDS else _SPELLINGS.get(word, _SPELLINGS.get(word.removesuffix("s"), ""))
    if word not in _MILLISECONDS:
        return example
    written = _duration(round(float(found[1]) * _MILLISECONDS[word]), word)
    return (
        f"a duration has a unit: {written}" if not found[2] and written else f"write {written}" if written else example
    )


def _duration(milliseconds: int, word: str) -> str:
    """The way to write it: in the unit that was used or the largest that is exact, else in several; "" if none can."""
    for unit in (*([word] if word != "d" else []), "h", "m", "s", "ms"):
        if milliseconds % _MILLISECONDS[unit] == 0 and milliseconds // _MILLISECONDS[unit] <= 99_999:
            return f"{milliseconds // _MILLISECONDS[unit]}{unit}"
    text = ""
    for unit in ("h", "m", "s", "ms"):
        count, milliseconds = divmod(milliseconds, _MILLISECONDS[unit])
        text += f"{count}{unit}" if count else ""
        if count > 99_999:
            return ""
    return text


def size(value: Json) -> str:
    """Return a size near to what was written: `10MB` is 10M."""
    found = re.fullmatch(r"\s*([0-9]{1,12})\s*([kKmMgG])(i?)[bB]?\s*", str(value))
    if not found:
        return "write it like 512Ki, 10Mi or 1Gi"
    letter = found[2].upper() if found[3] or found[2] in "mMgG" else "k"
    if found[3]:
        return f"write {found[1]}{letter}i"
    binary = f"{found[1]}{found[2].upper()}i"
    return f"write {binary} (powers of 1024) or {found[1]}{letter} (powers of 1000)"


def url(value: Json) -> str:
    """Return what an address looks like."""
    text = str(value)
    if "://" not in text and not looks_secret(text) and not re.search(r"[\s?#@]", text) and text.isprintable():
        return f"write http://{text} or https://{text}"
    return "write http://HOST:PORT/PATH or https://HOST/PATH, without ? and #"


def ip(value: Json) -> str:
    """Return an address to listen on."""
    plain = str(value).strip("[]").lower()
    known = {"localhost": "127.0.0.1", "*": "0.0.0.0", "any": "0.0.0.0", "": "0.0.0.0"}
    return f"write {known[plain]}" if plain in known else "an IPv4 or IPv6 address, such as 127.0.0.1 or 0.0.0.0"


def label(value: Json) -> str:
    """Return a DNS label near to what was written."""
    fixed = re.sub(r"[^a-z0-9]+", "-", str(value).lower()).strip("-")[:63].rstrip("-")
    proposal = f", such as {fixed}" if fixed and not looks_secret(str(value)) else ""
    return f"lower case letters, digits and `-`, at most 63{proposal}"


def plain_name(value: Json) -> str:
    """Return a name of a model or group near to what was written."""
    fixed = re.sub(r"\s+", "-", str(value).strip())
    seen = fixed.isascii() and fixed.isprintable() and fixed and fixed != value and not looks_secret(fixed)
    return "1 to 256 characters, no spaces and nothing invisible" + (f", such as {shown(fixed)}" if seen else "")


def hostname(value: Json) -> str:
    """Return a host name near to what was written."""
    found = re.fullmatch(r"(?:[a-zA-Z]+://)?([A-Za-z0-9.*-]+)(?::[0-9]+)?/?.*", str(value))
    fixed = found[1].lower().strip(".") if found else ""
    if fixed and re.fullmatch(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?", fixed) and fixed != value:
        return f"write {fixed}"
    return "a name without scheme, port and path, such as ai.example.com or *.example.com"


def path(value: Json) -> str:
    """Return a path near to what was written."""
    fixed = "/" + "/".join(part for part in re.split(r"/+", str(value)) if re.fullmatch(r"[A-Za-z0-9._~-]+", part))
    return f"write {fixed}" if fixed != "/" else "letters, digits and . _ ~ - between slashes, such as /ai"


def cidr(value: Json) -> str:
    """Return a range of addresses near to what was written."""
    known = {"*": "0.0.0.0/0", "any": "0.0.0.0/0", "localhost": "127.0.0.1", "all": "0.0.0.0/0"}
    star = re.fullmatch(r"((?:[0-9]{1,3}\.){1,3})\*", str(value))
    if star:
        parts = star[1].count(".")
        return f"write {star[1]}{'.'.join(['0'] * (4 - parts))}/{8 * parts}"
    plain = str(value).lower()
    return f"write {known[plain]}" if plain in known else "an address or a range such as 10.0.0.0/8 or 2001:db8::/32"


def date(value: Json) -> str:
    """Return a date near to what was written."""
    found = re.fullmatch(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})([T ].*)?", str(value))
    year, month, day = (found[1], found[2], found[3]) if found else ("", "0", "0")
    if german := re.fullmatch(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})", str(value)):
        day, month, year = german.groups()
    if 1 <= int(month) <= 12 and 1 <= int(day) <= 31:
        return f'write "{year}-{int(month):02}-{int(day):02}"'
    return 'write it like "2027-03-31"'


def host_port(value: Json) -> str:
    """Return host and port near to what was written."""
    found = re.fullmatch(r"(?:[a-z]+://)?(?:[^@/]*@)?([A-Za-z0-9._-]+)(:[0-9]{1,5})?(/.*)?", str(value))
    return f"write {found[1]}{found[2] or ':6379'}" if found else "write HOST:PORT, such as redis.internal:6379"


def origin(value: Json) -> str:
    """Return an origin near to what was written."""
    found = re.fullmatch(r"(?:(https?)://)?([A-Za-z0-9.-]+(?::[0-9]{1,5})?)/?.*", str(value))
    if found:
        return f"write {found[1] or 'https'}://{found[2].lower()}"
    return "scheme and host alone, such as https://app.example.com, or *"


def percent(value: Json) -> str:
    """Return a share near to what was written."""
    found = re.fullmatch(r"\s*([0-9]{1,3})\s*%?\s*", str(value))
    return f"write {found[1]} or {found[1]}%" if found and int(found[1]) <= 100 else "a number, or a share such as 50%"


def cpu(value: Json) -> str:
    """Return an amount of CPU near to what was written."""
    found = re.fullmatch(r"\s*([0-9.]{1,8})\s*(m|c|cpus?|cores?|vcpus?)\s*", str(value).lower())
    if found:
        return f"write {found[1]}{'m' if found[2] == 'm' else ''}"
    return "processors, such as 2 or 500m (half of one)"


FORMS = {
    "duration": ("is no duration", duration),
    "size": ("is no size", size),
    "url": ("is no address", url),
    "ip": ("is no IP address", ip),
    "cidr": ("is no range of addresses", cidr),
    "date": ("is no date", date),
    "hostport": ("is no host and port", host_port),
    "origin": ("is no origin", origin),
    "percent": ("is neither a number nor a share", percent),
    "cpu": ("is no amount of CPU", cpu),
    "memory": ("is no amount of memory", size),
    "server name": ("is no host name", hostname),
    "user name": ("is no user name", lambda _: "without colon and spaces: a colon is where the password begins"),
    "header": ("is no value of a header", lambda _: "printable ASCII, without spaces around it"),
    "hostname": ("is no host name", hostname),
    "path": ("is no path", path),
    "a DNS label": ("is not a DNS label", label),
    "relative path": (
        "is no relative path",
        lambda _: "a path from the folder of this file, such as ../platform/base.yaml",
    ),
    "digest": ("is no digest", lambda _: "sha256: and 64 digits of 0-9a-f, as `aigw-compile pin` writes it"),
    "a name without spaces": ("is not a name without spaces", plain_name),
}
"""Unit or form of a field -> what to say of a value that is none, and what would be right."""


def flow(value: Any) -> str:
    """Return a value as a person writes it in YAML, in one line."""
    if isinstance(value, dict):
        first = [k for k in ("name", "type", "provider") if k in value]
        return "{" + ", ".join(f"{k}: {flow(value[k])}" for k in dict.fromkeys([*first, *value])) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    plain = re.fullmatch(r"[0-9]{1,5}(ms|s|m|h)|[A-Za-z/][A-Za-z0-9 ._/-]*(:[/0-9][^\s,{}\[\]#]*)?", text)
    return text if plain or not isinstance(value, str) else json.dumps(text, ensure_ascii=False)


def example(key: str, schema: Mapping[str, Any]) -> str:
    """Return `key: value` as an example of a field, or ""."""
    given = [schema["const"]] if "const" in schema else schema.get("examples") or schema.get("enum") or []
    return f"{key}: {flow(given[0])}" if given else ""


def shape(
    key: str, value: Json, wanted: list[str], schema: Mapping[str, Any], quotable: bool, item: bool = False
) -> str:
    """Return how to write a value of another type than its field's; "" where nothing is known. `item`: it is one of a list."""
    one = (schema.get("examples") or schema.get("enum") or [schema.get("default")])[0]
    scalar = isinstance(value, (str, int, float)) and quotable
    if schema.get("x-aigw-unit") == "duration" and not isinstance(value, (list, dict)):
        return duration(value)
    if "array" in wanted and isinstance(value, dict):
        keyed = schema.get("x-kubernetes-list-type") == "map" and "name" not in value
        if keyed and value and all(isinstance(inner, dict) for inner in value.values()):
            first = next(iter(value))
            return f"write a list whose items have a name: `- name: {first if first.isidentifier() else 'NAME'}`"
        return f"put it in a list: {key}: [{{...}}]"
    if "array" in wanted and "object" in wanted and scalar:
        return f"write {key}: {{{SHORT[key]}: {flow(value)}}}"
    if item and wanted == ["object"] and scalar and key in SHORT:
        return f"write {{{SHORT[key]}: {flow(value)}}}"
    if "array" in wanted and scalar and schema.get("x-kubernetes-list-type") != "map":
        return f"write a list: [{shown(value)}]"
    if "object" in wanted and isinstance(value, list) and key:
        return f"write {key}: {{{LISTS[key]}}}" if key in LISTS else f"one map, not a list of them: {key}: {{...}}"
    if "object" in wanted and isinstance(value, bool) and not (value and schema.get("required")):
        return f"write {key}: {{}}" if value else "delete the line"
    if (
        "object" in wanted
        and scalar
        and key in SHORT
        and _fits(value, schema.get("properties", {}).get(SHORT[key], {}))
    ):
        return f"write {key}: {{{SHORT[key]}: {flow(value)}}}"
    if schema.get("x-aigw-unit") in FORMS and isinstance(value, bool):
        return str(FORMS[schema["x-aigw-unit"]][1](value))
    if {"integer", "number"} & {*wanted} and isinstance(value, str) and (counted := _number(value)):
        return f"write {counted}"
    if (meant := ENUMS.get(key, {}).get(str(value).lower())) in schema.get("enum", ()):
        return f"write {meant}"
    if "string" in wanted and isinstance(value, (bool, int, float)):
        return f'write it in quotes: "{shown(value)}"'
    if "integer" in wanted and isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value):
        return f"write it without quotes: {value}"
    if "integer" in wanted and isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    if "boolean" in wanted and isinstance(value, str) and value.lower() in _BOOLEANS:
        return f"write {str(_BOOLEANS[value.lower()]).lower()}, without quotes"
    if "number" in wanted and isinstance(value, str) and (share := re.fullmatch(r"([0-9]{1,3})\s*%", value)):
        return f"write {int(share[1]) / 100:g}"
    if one is None and "object" in wanted and schema.get("properties"):
        return f"a map with {', '.join(k for k, v in schema['properties'].items() if not v.get('x-aigw-later'))}"
    return f"for example {flow(one)}" if one is not None else ""


_THOUSANDS = {"": 1, "k": 1000, "m": 1_000_000}


def _number(text: str) -> str:
    """Return the number that a text with a currency or with thousands means: `$50` is 50, `2M` is 2000000; "" for none."""
    found = re.fullmatch(r"\s*(\$?)([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([kKmM]?)\s*(?:USD|usd|\$)?\s*", text)
    if not found or text.strip() == found[2]:
        return ""
    amount = float(found[2]) * _THOUSANDS[found[3].lower()]
    return f"{int(amount)}" if amount == int(amount) else f"{amount:g}"


def _fits(value: Json, schema: Mapping[str, Any]) -> bool:
    kind = {"integer": int, "string": str}.get(str(follow(schema).get("type")), ())
    return isinstance(value, kind)


_BOOLEANS = {"true": True, "yes": True, "on": True, "y": True, "false": False, "no": False, "off": False, "n": False}
