"""A stand-in for envoyproxy/ratelimit: its file of limits and a port in, a gRPC service that decides as it does out.

What it does follows the sources of the service as of its pull request #1140 (July 2026, `is_negative_hits`):
src/config/config_impl.go (which limit a descriptor falls under, what a file may hold), src/limiter/cache_key.go and
src/utils/utilities.go (windows), src/redis/fixed_cache_impl.go and src/limiter/base_limiter.go (counting and answers, without
a local cache), src/service/ratelimit.go (the answer over all). The messages are those of envoy/service/ratelimit/v3/rls.proto.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from aigw_compile.source import parse

UNITS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86400,
    "month": 86400 * 30,
    "year": 86400 * 365,
    "week": 604800,
}
"""Unit -> seconds of a window; every window is a multiple of its length since the epoch."""
_NUMBERS = {"second": 1, "minute": 2, "hour": 3, "day": 4, "month": 5, "year": 6, "week": 7}
_OK, _OVER = 1, 2
_KEYS = {"domain", "key", "value", "descriptors", "rate_limit", "unit", "requests_per_unit", "unlimited", "shadow_mode"}
_KEYS |= {"quota_mode", "name", "replaces", "detailed_metric", "value_to_metric", "share_threshold", "metadata"}


# --- The wire


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) for each field of a message: a number, or bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
        else:
            assert tag & 7 == 2, f"wire type {tag & 7}"
            size, at = _varint(data, at)
            yield tag >> 3, data[at : at + size]
            at += size


def _coded(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def _message(*fields: tuple[int, int | bytes]) -> bytes:
    """Return a message; fields of 0 are left out, as proto3 has it."""
    out = b""
    for number, value in fields:
        if isinstance(value, bytes):
            out += _coded(number << 3 | 2) + _coded(len(value)) + value
        elif value:
            out += _coded(number << 3) + _coded(value)
    return out


class Asked(NamedTuple):
    """A descriptor of a request."""

    entries: tuple[tuple[str, str], ...]
    hits: int
    negative: bool

    @property
    def key(self) -> str:
        return self.entries[0][0]

    @property
    def value(self) -> str:
        return self.entries[0][1]


class Request(NamedTuple):
    domain: str
    descriptors: tuple[Asked, ...]


def _descriptor(data: bytes, default: int) -> Asked:
    entries, hits, negative = [], default, False
    for number, value in _fields(data):
        if number == 1:
            parts = {n: v.decode() for n, v in _fields(value)}
            entries.append((parts.get(1, ""), parts.get(2, "")))
        elif number == 3:
            hits = dict(_fields(value)).get(1, 0)
        elif number == 4:
            negative = bool(value)
        else:
            raise AssertionError(f"field {number} of a descriptor")
    return Asked(tuple(entries), hits, negative)


def _request(data: bytes) -> Request:
    fields = [*_fields(data)]
    single = dict(fields)
    default = max(1, single.get(3, 0))
    return Request(single[1].decode(), tuple(_descriptor(v, default) for n, v in fields if n == 2))


# --- The limits


class Limit(NamedTuple):
    name: str
    unit: str
    most: int
    shadow: bool


_Tree = dict[str, tuple[Limit | None, Any]]


def _checked(value: Any) -> None:
    """The service refuses a file with a key that it does not know, and lists of anything but mappings."""
    for key, inner in value.items():
        assert key in _KEYS, f"unknown key {key}"
        for one in inner if isinstance(inner, list) else [inner] if isinstance(inner, dict) else ():
            _checked(one)


def _tree(descriptors: list[dict[str, Any]]) -> _Tree:
    found: _Tree = {}
    for one in descriptors:
        key = one["key"] + (f"_{one['value']}" if one.get("value") else "")
        assert one["key"]
        assert key not in found, f"duplicate descriptor composite key {key}"
        limit = None
        if rate := one.get("rate_limit"):
            assert rate["unit"].lower() in UNITS, rate["unit"]
            assert 0 <= rate["requests_per_unit"] < 2**32
            limit = Limit(
                rate.get("name", ""), rate["unit"].lower(), rate["requests_per_unit"], one.get("shadow_mode", False)
            )
        found[key] = (limit, _tree(one.get("descriptors", [])))
    return found


def _limit_of(tree: _Tree, asked: Asked) -> Limit | None:
    """The limit of a descriptor: each entry by key and value, else by its key; only what stands at the last one counts."""
    limit = None
    for number, (key, value) in enumerate(asked.entries):
        found, below = tree.get(f"{key}_{value}") or tree.get(key) or (None, {})
        if number == len(asked.entries) - 1:
            limit = found
        if not below:
            break
        tree = below
    return limit


class Service:
    """The counters of one service, and what it was asked."""

    def __init__(self, file: Path, clock: Callable[[], float]) -> None:
        self._clock, self._changed = clock, threading.Condition()
        self.counters: dict[str, int] = {}
        self.seen: list[Request] = []
        self.down = False
        self.load(file)

    def load(self, file: Path) -> None:
        """Read the file of limits, as the service does when it changes."""
        root = parse(file.read_bytes(), file.name)[0][0].data
        _checked(root)
        assert root["domain"]
        self._domain, self._tree = root["domain"], _tree(root["descriptors"])

    def used(self, key: str) -> dict[str, int]:
        """Return the counters of a limit in windows that run: by what they count."""
        now = int(self._clock())
        head = f"{self._domain}_{key}_"
        found = {
            name.removeprefix(head).rpartition("_"): n for name, n in self.counters.items() if name.startswith(head)
        }
        return {value: n for (value, _, start), n in found.items() if int(start) <= now}

    def until(self, held: Callable[[], bool]) -> None:
        """Wait until something is so: what a call used is told when it is over, which its client does not wait for."""
        with self._changed:
            assert self._changed.wait_for(held, 10), (self.counters, self.seen[-3:])

    def answer(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        request = _request(data)
        with self._changed:
            self.seen.append(request)
            self._changed.notify_all()
            if self.down:
                context.abort(grpc.StatusCode.UNAVAILABLE, "down")
            assert request.descriptors
            statuses = [self._status(request.domain, asked) for asked in request.descriptors]
        over = any(code == _OVER for code, _ in statuses)
        return _message((1, _OVER if over else _OK), *((2, status) for _, status in statuses))

    def _status(self, domain: str, asked: Asked) -> tuple[int, bytes]:
        limit = _limit_of(self._tree if domain == self._domain else {}, asked)
        if limit is None:
            return _OK, _message((1, _OK))
        now, length = int(self._clock()), UNITS[limit.unit]
        entries = "".join(f"{key}_{value}_" for key, value in asked.entries)
        key = f"{domain}_{entries}{now // length * length}"
        if asked.negative:
            if key in self.counters:  # what is not there is not made
                self.counters[key] = max(0, self.counters[key] - asked.hits)
            used = self.counters.get(key, 0)
        else:
            used = self.counters[key] = self.counters.get(key, 0) + asked.hits
        over = used > limit.most and not asked.negative
        code = _OVER if over and not limit.shadow else _OK
        current = _message((1, limit.most), (2, _NUMBERS[limit.unit]), (3, limit.name.encode()))
        reset = _message((1, length - now % length))
        return code, _message((1, code), (2, current), (3, max(0, limit.most - used)), (4, reset))


@contextmanager
def serving(file: Path, port: int, clock: Callable[[], float] = time.time) -> Iterator[Service]:
    """Serve the limits of a file on a port until the block ends."""
    service = Service(file, clock)
    handler = grpc.method_handlers_generic_handler(
        "envoy.service.ratelimit.v3.RateLimitService",
        {"ShouldRateLimit": grpc.unary_unary_rpc_method_handler(service.answer)},
    )
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler], options=[("grpc.so_reuseport", 0)])
    assert server.add_insecure_port(f"127.0.0.1:{port}") == port
    server.start()
    try:
        yield service
    finally:
        server.stop(None).wait(5)
