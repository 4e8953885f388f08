"""The proxy as ASGI applications: one for each listener, and one for operators."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from aigw_compile.proxy.addresses import parsed
from aigw_compile.proxy.balance import Balance
from aigw_compile.proxy.cache import caches
from aigw_compile.proxy.callers import Callers
from aigw_compile.proxy.config import Config, Listener
from aigw_compile.proxy.decide import Call
from aigw_compile.proxy.errors import NOT_FOUND
from aigw_compile.proxy.limits import Limits
from aigw_compile.proxy.request import JSON, Receive, Request, Send
from aigw_compile.proxy.stores import Redis
from aigw_compile.proxy.telemetry import UNKNOWN, Metrics, Record, Spans, fields_line, line, moment, write_line
from aigw_compile.proxy.upstream import Upstream

PLAIN = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


class Gateway:
    """Everything that requests share."""

    def __init__(
        self,
        config: Config,
        callers: Callers,
        upstream: Upstream,
        limits: Limits,
        balance: Balance,
        spans: Spans | None,
        out: Callable[[str], None] = write_line,
        *,
        clock: Callable[[], float] = time.time,
        metrics: Metrics | None = None,
        stores: Mapping[str, Redis] | None = None,
    ) -> None:
        self.config = config
        self.callers = callers
        self.upstream = upstream
        self.limits = limits
        self.balance = balance
        self.metrics = metrics or Metrics()
        self.spans = spans
        self.ready = True
        """False while the proxy is stopping."""
        self.stores = stores or {}
        """Those that are a Redis; all others are the memory of this process."""
        self.clock = clock
        """Seconds since the epoch: what day it is decides about a model's lifecycle."""
        self.cache = caches(self.stores, config.gateway, clock)
        self._out = out

    def guarded(self, call: Call, action: str) -> None:
        """Count what a response guard did about an answer; where it is only to be noted, a line says so without its words."""
        consumer = call.consumer.name if call.consumer else ""
        label = UNKNOWN if call.consumer and not call.consumer.known else consumer
        self.metrics.add("aigw_response_guard_total", 1, consumer=label, model=call.model.name, action=action)
        if action == "log":
            form = self.config.access_log[0] if self.config.access_log else "json"
            noted = {
                "time": moment(self.clock()),
                "event": "response_guard",
                "consumer": consumer,
                "model": call.model.name,
            }
            self._out(fields_line(noted, form))

    def finish(self, record: Record) -> None:
        """Step 19: count, log and trace a request."""
        self.metrics.record(record)
        if self.config.access_log:
            self._out(line(record, self.config.access_log[0]))
        if self.spans:
            self.spans.add(record)


def application(gateway: Gateway, listener: Listener) -> Any:
    """Return the ASGI application of one listener."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await Request(gateway, listener, scope, receive, send).run()

    return app


def operations(gateway: Gateway, *, metrics: bool = True, health: bool = True) -> Any:
    """Return the ASGI application of an operations port: /healthz, /readyz, /metrics where the spec asks for it.

    `/config` tells callers of this machine, and nobody else, the proxy.json that runs.
    """

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path, kind, status = scope["path"], JSON, 200
        if path == "/metrics" and metrics and gateway.config.prometheus is not None:
            body, kind = gateway.metrics.text().encode(), PLAIN
        elif path in ("/healthz", "/readyz") and health:
            status = 200 if gateway.ready or path == "/healthz" else 503
            word = "ok" if status == 200 else "stopping"
            body = json.dumps({"status": word, "gateway": gateway.config.gateway}).encode()
        elif path == "/config" and health and scope["method"] == "GET" and _near(scope):
            body = gateway.config.written
        else:
            body, status = NOT_FOUND.body(), 404
        headers = [kind, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def _near(scope: dict[str, Any]) -> bool:
    """Whether a request comes from this machine and means it: a page in a browser could have its own name lead here."""
    peer = parsed(scope["client"][0]) if scope.get("client") else None
    names = [value.decode("latin-1") for key, value in scope["headers"] if key == b"host"]
    if peer is None or not peer.is_loopback or len(names) != 1:
        return False
    named = parsed(names[0]) or parsed(names[0].strip("[]"))
    return names[0].partition(":")[0] == "localhost" or (named is not None and named.is_loopback)
