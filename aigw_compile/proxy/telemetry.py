"""What operators see: counters as Prometheus text, a line for each request, and spans sent to an OTLP collector."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp

from aigw_compile.proxy.config import Config

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Record(NamedTuple):
    """One finished request."""

    started: float
    """Seconds since the epoch."""
    duration: float
    method: str
    path: str
    status: int
    consumer: str
    model: str
    asked: str
    provider: str
    target: str
    attempts: int
    prompt_tokens: int
    completion_tokens: int
    estimated: bool
    """The tokens are our estimate, since the provider named none."""
    code: str
    """The code of an error, or ""."""
    stream: bool
    traceparent: str
    payload: Mapping[str, Any] | None


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _in_order(item: tuple[tuple[str, tuple[tuple[str, str], ...]], float]) -> tuple[str, list[tuple[str, str]], float]:
    """By name and labels, the buckets of a histogram by their bounds, as the text format wants them."""
    (name, labels), _ = item
    bound = next((float(v) for k, v in labels if k == "le"), 0.0)
    return name, [(k, v) for k, v in labels if k != "le"], bound


class Metrics:
    """Counters by their labels, as text on demand."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self.in_flight = 0

    def add(self, name: str, amount: float, **labels: str) -> None:
        key = (name, tuple(labels.items()))
        self._counts[key] = self._counts.get(key, 0.0) + amount

    def record(self, r: Record) -> None:
        """Count a finished request."""
        base = {"consumer": r.consumer, "model": r.model, "provider": r.provider}
        self.add("aigw_requests_total", 1, **base, status=str(r.status))
        for kind, tokens in (("input", r.prompt_tokens), ("output", r.completion_tokens)):
            if tokens:
                self.add("aigw_tokens_total", tokens, **base, type=kind)
        if r.attempts:
            self.add("aigw_attempts_total", r.attempts, model=r.model)
        for bucket in (*BUCKETS, float("inf")):
            if r.duration <= bucket:
                label = "+Inf" if bucket == float("inf") else str(bucket)
                self.add("aigw_request_duration_seconds_bucket", 1, model=r.model, le=label)
        self.add("aigw_request_duration_seconds_sum", r.duration, model=r.model)
        self.add("aigw_request_duration_seconds_count", 1, model=r.model)

    def text(self) -> str:
        """Return the text exposition format, version 0.0.4."""
        lines = ["# TYPE aigw_in_flight gauge", f"aigw_in_flight {self.in_flight}"]
        kind = ""
        for (name, labels), value in sorted(self._counts.items(), key=_in_order):
            family = name
            for tail in ("_bucket", "_sum", "_count"):
                family = family.removesuffix(tail)
            if family != kind:
                kind = family
                lines.append(f"# TYPE {family} {'histogram' if family.endswith('_seconds') else 'counter'}")
            shown = ",".join(f'{k}="{_escape(v)}"' for k, v in labels)
            lines.append(f"{name}{{{shown}}} {value:g}" if value < 1e15 else f"{name}{{{shown}}} {value}")
        return "\n".join(lines) + "\n"


def line(r: Record, form: str) -> str:
    """Return the access log line of a request. It never holds a credential; payloads only where they were asked for."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(r.started))
    fields: dict[str, Any] = {
        "time": stamp,
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
        "prompt_tokens": r.prompt_tokens,
        "completion_tokens": r.completion_tokens,
        "estimated": r.estimated,
        "stream": r.stream,
        "code": r.code,
    }
    if r.payload is not None:
        fields["payload"] = r.payload
    if form == "json":
        return json.dumps(fields, ensure_ascii=False)
    return " ".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in fields.items() if v not in ("", None))


class Spans:
    """Sends spans in batches in the background. A collector that is away costs spans, never a request."""

    def __init__(self, config: Config, session: aiohttp.ClientSession) -> None:
        endpoint, self._sampling = config.otlp or ("", 0.0)
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        self._service = config.gateway
        self._session = session
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(2048)

    def add(self, r: Record) -> None:
        """Take a request's span with the sampling's probability (the caller's own decision, where it sent one, wins)."""
        trace, parent, sampled = _context(r.traceparent)
        if sampled is None:
            sampled = int(trace[:14], 16) < self._sampling * 2**56
        if sampled:
            with contextlib.suppress(asyncio.QueueFull):
                self._queue.put_nowait(_span(r, trace, parent))

    async def run(self) -> None:
        """Send what has gathered, until cancelled; then send the rest."""
        while True:
            batch = [await self._queue.get()]
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.2)
            await self.flush(batch)

    async def flush(self, batch: list[dict[str, Any]] | None = None) -> None:
        batch = batch or []
        while not self._queue.empty() and len(batch) < 512:
            batch.append(self._queue.get_nowait())
        if not batch:
            return
        service = [{"key": "service.name", "value": {"stringValue": self._service}}]
        scope = {"scope": {"name": "aigw-compile"}, "spans": batch}
        body = {"resourceSpans": [{"resource": {"attributes": service}, "scopeSpans": [scope]}]}
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._session.post(self._url, json=body, timeout=aiohttp.ClientTimeout(total=5)):
                pass


def _context(traceparent: str) -> tuple[str, str, bool | None]:
    """Return (trace id, parent span id, sampled) of a W3C traceparent; a new trace where there is none."""
    parts = traceparent.split("-")
    if len(parts) == 4 and len(parts[1]) == 32 and len(parts[2]) == 16:
        with contextlib.suppress(ValueError):
            return parts[1], parts[2], bool(int(parts[3], 16) & 1)
    return os.urandom(16).hex(), "", None


def _span(r: Record, trace: str, parent: str) -> dict[str, Any]:
    """A span by OpenTelemetry's semantic conventions for generative AI."""
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": r.provider,
        "gen_ai.request.model": r.asked,
        "gen_ai.usage.input_tokens": r.prompt_tokens,
        "gen_ai.usage.output_tokens": r.completion_tokens,
        "http.response.status_code": r.status,
        "aigw.consumer": r.consumer,
        "aigw.target": r.target,
        "aigw.attempts": r.attempts,
    }
    start = int(r.started * 1e9)
    span = {
        "traceId": trace,
        "spanId": os.urandom(8).hex(),
        "name": f"chat {r.model}" if r.model else r.path,
        "kind": 2,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + int(r.duration * 1e9)),
        "attributes": [
            {"key": k, "value": {"intValue": str(v)} if isinstance(v, int) else {"stringValue": v}}
            for k, v in attributes.items()
            if v != ""
        ],
        "status": {"code": 2 if r.status >= 500 else 0},
    }
    return {**span, "parentSpanId": parent} if parent else span


def write_line(text: str) -> None:
    """Write a line to standard output; a closed pipe is nobody's failure."""
    with contextlib.suppress(BrokenPipeError, ValueError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
