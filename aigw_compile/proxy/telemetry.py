"""What operators see: counters as Prometheus text, a line for each request, and spans sent to an OTLP collector."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import aiohttp
import orjson

from aigw_compile.proxy.config import Config
from aigw_compile.proxy.pricing import NANO, Beside
from aigw_compile.proxy.usage import Tokens

UNKNOWN = "unknown"
"""Label of consumers that an issuer names and the spec does not."""
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Record(NamedTuple):
    """One finished request."""

    started: float
    """Seconds since the epoch."""
    duration: float
    method: str
    path: str
    status: int
    """0 where the client got none; 499 where it left before there was one."""
    consumer: str
    model: str
    asked: str
    provider: str
    provider_type: str
    target: str
    attempts: int
    tokens: Tokens
    cost: int | None
    """Nano-dollars; None where something was charged that has no price."""
    code: str
    """The code of an error, or ""."""
    stream: bool
    traceparent: str
    payload: Mapping[str, Any] | None
    besides: tuple[Beside, ...] = ()
    cached: bool = False
    guarded: str = ""
    """What a response guard did: log, mask or refuse."""
    known: bool = True
    """Whether the consumer is one of the spec."""


FAMILIES: Mapping[str, tuple[str, str]] = {
    "aigw_requests_total": ("counter", "Requests by the status that the client got."),
    "aigw_tokens_total": ("counter", "Tokens that were charged, input and output."),
    "aigw_cost_dollars_total": ("counter", "US dollars that were charged, by the prices of the targets."),
    "aigw_limit_events_total": (
        "counter",
        "By limit: requests that it refused (refused), would have refused (observed), or let in at 80 % or more (near).",
    ),
    "aigw_store_failures_total": (
        "counter",
        "Steps of requests that a store did not count: they passed, were refused, or were not settled.",
    ),
    "aigw_attempts_total": ("counter", "Attempts at targets, retries and fallbacks among them."),
    "aigw_dropped_fields_total": (
        "counter",
        "Fields of requests that a provider cannot carry, and that were left out.",
    ),
    "aigw_cache_requests_total": ("counter", "Requests that a cache was asked for, by what it knew."),
    "aigw_response_guard_total": (
        "counter",
        "Answers that a response guard did not let pass as they were, by what it did.",
    ),
    "aigw_transformer_failures_total": ("counter", "Calls of transformers from which no new body came."),
    "aigw_clients_left_total": ("counter", "Requests whose client left before the end of its answer."),
    "aigw_fetches_total": ("counter", "Fetches of issuers' keys (jwks) and of providers' access tokens (token)."),
    "aigw_internal_errors_total": ("counter", "Mistakes of the proxy itself."),
}
DURATION = "aigw_request_duration_seconds"

Labels = tuple[tuple[str, str], ...]


def _shown(labels: Labels) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{k}="{escaped(v)}"' for k, v in labels) + "}" if labels else ""


class Metrics:
    """Counters by their labels, as text on demand. Labels hold names of the configuration, never what a client says."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._counts: dict[str, dict[Labels, float]] = {name: {} for name in FAMILIES}
        self._durations: dict[Labels, tuple[list[int], list[float]]] = {}
        """Labels -> (requests by bucket, [sum of seconds])."""

    def add(self, name: str, amount: float, **labels: str) -> None:
        """Count; `name` is one of FAMILIES."""
        counts, key = self._counts[name], tuple(labels.items())
        counts[key] = counts.get(key, 0) + amount

    def tokens(self, prompt: int, output: int, labels: Mapping[str, str]) -> None:
        """Count what a call was charged."""
        for kind, count in (("input", prompt), ("output", output)):
            if count > 0:
                self.add("aigw_tokens_total", count, **labels, type=kind)

    def fetching(self, what: str, of: str, words: str) -> Callable[[str], None]:
        """Return what to call after each fetch, with "" or why it failed. The first failure of a row is said to operators."""
        failing = False

        def report(why: str) -> None:
            nonlocal failing
            self.add("aigw_fetches_total", 1, what=what, of=of, result="failed" if why else "ok")
            if why and not failing:
                print(f"{words}: {why}", file=sys.stderr, flush=True)
            failing = bool(why)

        return report

    def record(self, r: Record) -> None:
        """Count a finished request. Consumers that the spec does not know share one label: there is no end of them."""
        base = {"consumer": r.consumer if r.known else UNKNOWN, "model": r.model, "provider": r.provider}
        self.add("aigw_requests_total", 1, **base, status=str(r.status))
        own = (r.cost or 0) - sum(beside.spent.cost for beside in r.besides)
        if own > 0:
            self.add("aigw_cost_dollars_total", own / NANO, **base)
        self.tokens(r.tokens.prompt, r.tokens.output, base)
        for beside in r.besides:
            labels = {"consumer": base["consumer"], "model": beside.model, "provider": beside.target.provider.name}
            if beside.spent.cost:
                self.add("aigw_cost_dollars_total", beside.spent.cost / NANO, **labels)
            self.tokens(beside.spent.input, beside.spent.output, labels)
        if r.attempts:
            self.add("aigw_attempts_total", r.attempts, model=r.model)
        buckets, total = self._durations.setdefault((("model", r.model),), ([0] * (len(BUCKETS) + 1), [0.0]))
        buckets[bisect_left(BUCKETS, r.duration)] += 1
        total[0] += r.duration

    def text(self) -> str:
        """Return the text exposition format, version 0.0.4."""
        lines = ["# HELP aigw_in_flight Requests under way.", "# TYPE aigw_in_flight gauge"]
        lines.append(f"aigw_in_flight {self.in_flight}")
        for name, (kind, words) in FAMILIES.items():
            lines += [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{_shown(labels)} {count}" for labels, count in sorted(self._counts[name].items())]
        lines += [f"# HELP {DURATION} Time from a request to the end of its answer.", f"# TYPE {DURATION} histogram"]
        for labels, (buckets, total) in sorted(self._durations.items()):
            seen = 0
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
                seen += count
                lines.append(f"{DURATION}_bucket{_shown((*labels, ('le', bound)))} {seen}")
            lines += [f"{DURATION}_sum{_shown(labels)} {total[0]:.6f}", f"{DURATION}_count{_shown(labels)} {seen}"]
        return "\n".join(lines) + "\n"


def line(r: Record, form: str) -> str:
    """Return the access log line of a request. It never holds a credential; payloads only where they were asked for."""
    fields: dict[str, Any] = {
        "time": moment(r.started),
        "method": r.method,
        "path": r.path,
        "status": r.status,
        "duration_ms": round(r.duration * 1000, 1),
        "consumer": r.consumer,
        "model": r.model,
        "asked": r.asked,
        "provider": r.provider,
        "target": r.target,
        "attempts": r.attempts,
        "prompt_tokens": r.tokens.prompt,
        "completion_tokens": r.tokens.completion,
        "total_tokens": r.tokens.total,
        "estimated": r.tokens.estimated,
        "cost_usd": None if r.cost is None else r.cost / NANO,
        "stream": r.stream,
        "code": r.code,
    }
    besides = sum(b.spent.total for b in r.besides)
    more = {"transformer_tokens": besides, "cache": "hit" if r.cached else "", "response_guard": r.guarded}
    fields |= {name: value for name, value in more.items() if value}
    if not r.known:
        fields["known"] = False
    if r.payload is not None:
        fields["payload"] = r.payload
    return fields_line(fields, form)


def moment(seconds: float) -> str:
    """A time since the epoch, to be read in a log."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def fields_line(fields: Mapping[str, Any], form: str) -> str:
    """Return a line of a log, as JSON or as text."""
    if form == "json":
        return _json(fields)
    return " ".join(f"{k}={_json(v)}" for k, v in fields.items() if v not in ("", None))


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits in a payload, or a very deep one
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Spans:
    """Sends spans in batches in the background. A collector that is away costs spans, never a request."""

    MOST = 512
    """Spans in one batch."""
    PAUSE = 0.2
    """Seconds in which a batch gathers."""

    def __init__(self, config: Config, session: aiohttp.ClientSession) -> None:
        endpoint, self._sampling = config.otlp or ("", 0.0)
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        self._service = config.gateway
        self._session = session
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(4 * self.MOST)

    def add(self, r: Record) -> None:
        """Take a request's span with the sampling's probability (the caller's own decision, where it sent one, wins)."""
        trace, parent, sampled = _context(r.traceparent)
        if sampled is None:
            sampled = int(trace[-14:], 16) < self._sampling * 2**56
        if sampled:
            with contextlib.suppress(asyncio.QueueFull):
                self._queue.put_nowait(_span(r, trace, parent))

    async def run(self) -> None:
        """Send what has gathered, until cancelled."""
        while True:
            batch = [await self._queue.get()]
            try:
                await asyncio.sleep(self.PAUSE)
            finally:
                await self._post(self._gathered(batch))

    async def flush(self) -> None:
        """Send everything that is waiting."""
        while batch := self._gathered([]):
            await self._post(batch)

    def _gathered(self, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
        while not self._queue.empty() and len(batch) < self.MOST:
            batch.append(self._queue.get_nowait())
        return batch

    async def _post(self, batch: list[dict[str, Any]]) -> None:
        """POST OTLP/HTTP with JSON (opentelemetry.io/docs/specs/otlp, "OTLP/HTTP"): ids in hex, numbers of 64 bits as text."""
        service = [{"key": "service.name", "value": {"stringValue": self._service}}]
        scope = {"scope": {"name": "aigw-compile"}, "spans": batch}
        body = {"resourceSpans": [{"resource": {"attributes": service}, "scopeSpans": [scope]}]}
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
            async with self._session.post(self._url, json=body, timeout=aiohttp.ClientTimeout(total=5)):
                pass


_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


def _context(traceparent: str) -> tuple[str, str, bool | None]:
    """Return (trace id, parent span id, sampled) of a W3C traceparent; a new trace where there is none."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found:
        return found[1], found[2], bool(int(found[3], 16) & 1)
    return os.urandom(16).hex(), "", None


def _span(r: Record, trace: str, parent: str) -> dict[str, Any]:
    """A span by OpenTelemetry's semantic conventions for generative AI (names of semconv 1.37)."""
    operation = "embeddings" if r.path.endswith("/embeddings") else "chat"
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": operation if r.model else "",
        "gen_ai.provider.name": r.provider_type,
        "gen_ai.request.model": r.asked,
        "gen_ai.usage.input_tokens": r.tokens.prompt,
        "gen_ai.usage.output_tokens": r.tokens.output,
        "gen_ai.usage.cache_read.input_tokens": r.tokens.cache_read or "",
        "gen_ai.usage.cache_creation.input_tokens": r.tokens.cache_write or "",
        "http.request.method": r.method,
        "url.path": r.path,
        "http.response.status_code": r.status,
        "error.type": r.code,
        "aigw.consumer": r.consumer,
        "aigw.provider": r.provider,
        "aigw.target": r.target,
        "aigw.attempts": r.attempts,
        "aigw.cost_usd": r.cost / NANO if r.cost else "",
    }
    start = int(r.started * 1e9)
    span = {
        "traceId": trace,
        "spanId": os.urandom(8).hex(),
        "name": f"{operation} {r.model}" if r.model else r.method,
        "kind": 2,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + int(r.duration * 1e9)),
        "attributes": [{"key": k, "value": _otlp(v)} for k, v in attributes.items() if v != ""],
        "status": {"code": 2 if r.status >= 500 else 0},
    }
    return {**span, "parentSpanId": parent} if parent else span


def _otlp(value: Any) -> dict[str, Any]:
    """A value as OTLP's JSON writes it: numbers of 64 bits as text."""
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def write_line(text: str) -> None:
    """Write a line to standard output; a closed pipe is nobody's failure."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
