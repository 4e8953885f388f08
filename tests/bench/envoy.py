"""Print the CPU that Envoy takes for a request through a compiled gateway, as a ratio to its own pass-through, in one run.

    python -m tests.bench.envoy

Every gateway is called with the same body of 600 bytes, by `wrk` with 16 connections, and calls the same upstream, another Envoy
that answers by itself: so each of them is as busy as it can be. What is measured is the CPU time of its process, of
/proc/PID/stat. Rounds alternate between the gateways, and a ratio is taken within each round, since a busy machine changes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aigw_compile.document import Document
from tests.targets import envoy_runner as runner

CONNECTIONS, ROUNDS = 16, 15
BODY_SIZE = 600
KEY = "key-of-the-bench"
TICK = os.sysconf("SC_CLK_TCK")


def body() -> bytes:
    """A chat of several messages, padded to the size."""
    messages = [{"role": "system", "content": "You are the assistant of a support desk. Answer in one sentence."}]
    messages += [{"role": "user", "content": "Where is my order?"}, {"role": "assistant", "content": "On its way."}]
    whole: dict[str, Any] = {
        "model": "chat",
        "max_tokens": 64,
        "messages": [*messages, {"role": "user", "content": ""}],
    }
    whole["messages"][-1]["content"] = "x" * (BODY_SIZE - len(json.dumps(whole)))
    return json.dumps(whole).encode()


def reply() -> bytes:
    message = {"role": "assistant", "content": "It left the warehouse this morning and comes tomorrow."}
    usage = {"prompt_tokens": 150, "completion_tokens": 12, "total_tokens": 162}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "x"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({**head, "choices": [choice], "usage": usage}).encode()


def spec(port: int, operations: int, upstream: int, limits: list[dict[str, Any]], guard: bool) -> dict[str, Any]:
    policies: dict[str, Any] = {"limits": limits} if limits else {}
    if guard:
        policies["promptGuard"] = {"deny": ["(?i)ignore (all )?previous instructions", r"\b\d{3}-\d{2}-\d{4}\b"]}
    return {
        "apiVersion": "aigw.dev/v1alpha1",
        "kind": "AIGateway",
        "metadata": {"name": "bench"},
        "spec": {
            "listeners": [{"name": "l", "address": "127.0.0.1", "port": port}],
            "providers": [
                {
                    "name": "p",
                    "type": "openai-compatible",
                    "baseUrl": f"http://127.0.0.1:{upstream}/v1",
                    "auth": {"apiKey": {"env": "P"}},
                }
            ],
            "models": [{"name": "chat", "targets": [{"provider": "p", "model": "x"}]}],
            "auth": {"apiKey": {"headers": ["authorization"]}},
            "consumers": [{"name": "c", "credentials": [{"apiKey": {"env": "C"}}]}],
            "policies": policies,
            "observability": {"operations": {"port": operations}},
        },
    }


def pass_through(port: int, admin: int, upstream: int) -> Document:
    """A listener, a route and a cluster."""
    endpoints = [{"lb_endpoints": [{"endpoint": _address(upstream)}]}]
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "upstream", "endpoints": endpoints},
    }
    return _bootstrap(port, admin, {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}, [cluster])


def _address(number: int) -> dict[str, Any]:
    return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": number}}}


def _bootstrap(port: int, admin: int, route: Mapping[str, Any], clusters: list[dict[str, Any]]) -> Document:
    kinds = "type.googleapis.com/envoy.extensions.filters."
    manager = {
        "@type": f"{kinds}network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "all",
        "route_config": {"name": "all", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{kinds}http.router.v3.Router"}}],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    listener = {"name": "l", **_address(port), "filter_chains": [chain]}
    whole: dict[str, Any] = {
        "admin": _address(admin),
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }
    return Document("envoy.yaml", whole)


def upstream(port: int, admin: int) -> Document:
    """An Envoy that gives every request the same answer."""
    kind = {"key": "content-type", "value": "application/json"}
    route = {
        "match": {"prefix": "/"},
        "direct_response": {"status": 200, "body": {"inline_string": reply().decode()}},
        "response_headers_to_add": [{"header": kind, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
    }
    return _bootstrap(port, admin, route, [])


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used: utime and stime, fields 14 and 15 of proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Gateway(NamedTuple):
    port: int
    pid: int


@contextlib.contextmanager
def running(folder: Path, upstream: int, options: dict[str, Any] | None) -> Iterator[Gateway]:
    """Run an Envoy: a compiled gateway with these options, or the pass-through for None."""
    port, operations = runner.free_ports(2)
    folder.mkdir()
    if options is None:
        (folder / "envoy.yaml").write_text(json.dumps(pass_through(port, operations + 1, upstream).body))
    else:
        _, documents = runner.build(spec(port, operations, upstream, **options), {"tokenLimits": "local"})
        runner.write(folder, documents, {"consumers.c.0": KEY})
    with runner.process(folder, operations + 1) as envoy:
        yield Gateway(port, envoy.pid)


def load(script: Path, port: int) -> int:
    """Send requests for a second; return how many were answered."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d1s", "-s", str(script)]
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or not (found := re.search(r"(\d+) requests in", said)):
        raise RuntimeError(said)
    return int(found[1])


MANY = 4_000_000_000
REQUEST_LIMITS = [{"name": f"r{per}", "by": ["consumer"], "per": per, "requests": MANY} for per in ("minute", "day")]
TOKEN_LIMITS = [{"name": "t", "by": ["consumer"], "per": "day", "tokens": 10**12}]
CASES: dict[str, dict[str, Any] | None] = {
    "pass-through": None,
    "auth": {"limits": [], "guard": False},
    "auth, guard": {"limits": [], "guard": True},
    "auth, limits, guard": {"limits": REQUEST_LIMITS, "guard": True},
    "... tokens too": {"limits": [*REQUEST_LIMITS, *TOKEN_LIMITS], "guard": True},
}


def measured() -> list[dict[str, float]]:
    """Return the seconds of CPU for a request, by the name of the case, of each round."""
    rounds: list[dict[str, float]] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aigw-bench-")))
        called, admin = runner.free_ports(2)
        (folder / "upstream").mkdir()
        (folder / "upstream" / "envoy.yaml").write_text(json.dumps(upstream(called, admin).body))
        stack.enter_context(runner.process(folder / "upstream", admin))
        script = folder / "request.lua"
        script.write_text(request())
        gateways = {
            name: stack.enter_context(running(folder / str(number), called, options))
            for number, (name, options) in enumerate(CASES.items())
        }
        for _ in range(ROUNDS + 1):
            taken = {}
            for name, gateway in gateways.items():
                before = cpu(gateway.pid)
                answered = load(script, gateway.port)
                taken[name] = (cpu(gateway.pid) - before) / answered
            rounds.append(taken)
    return rounds[1:]  # the first one warms up


def request() -> str:
    """What wrk sends, in its own words."""
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    lines = ['wrk.method = "POST"', f"wrk.body = [==[{body().decode()}]==]"]
    return "\n".join([*lines, *(f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items())])


def main() -> None:
    if not shutil.which("wrk"):
        sys.exit("not measured: there is no wrk here (Debian's package wrk has it)")
    try:
        rounds = measured()
    except (RuntimeError, AssertionError, subprocess.SubprocessError) as wrong:
        sys.exit(f"not measured: {wrong}")
    for name in CASES:
        middle = statistics.median(taken[name] for taken in rounds)
        ratio = statistics.median(taken[name] / taken["pass-through"] for taken in rounds)
        print(f"envoy: {name:20} median {middle * 1e6:6.1f} us of CPU  {ratio:5.2f} x pass-through")


if __name__ == "__main__":
    main()
