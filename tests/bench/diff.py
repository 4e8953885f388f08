"""How long comparing a gateway of 10,000 entities with 20 changes takes, beside building it: a ratio is printed, 0.2 at most.

    python -m tests.bench.diff [TARGET...]

Building is checking the text and making the documents of one target; comparing is all that `diff` does with two such sides:
meaning with judgement, and every document of the target explained.
"""

from __future__ import annotations

import gc
import re
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from aigw_compile import compiler
from aigw_compile.diff import Diff, Side, diff
from aigw_compile.plan import plan
from aigw_compile.project import Accept, TargetChoice
from aigw_compile.target import TARGETS, facts

MODELS, CONSUMERS, GROUPS, CHANGES, RUNS = 1_000, 8_890, 100, 20, 3
HEAD = """apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: large}
spec:
  listeners: [{name: public, port: 8080, address: 127.0.0.1}]
  providers:
"""


def spec() -> str:
    lines = [HEAD]
    lines += [f"    - {{name: p-{i}, type: openai, auth: {{apiKey: {{env: KEY_{i}}}}}}}\n" for i in range(10)]
    lines.append("  models:\n")
    for i in range(MODELS):
        lines.append(
            f"    - name: model-{i}\n      aliases: [old-{i}]\n      timeouts: {{firstByte: 20s, request: 60s}}\n"
            f"      access: {{allow: {{groups: [group-{i % GROUPS}]}}}}\n"
            f"      targets: [{{provider: p-{i % 10}, model: gpt-4o}}]\n"
        )
    lines.append("  auth: {apiKey: {headers: [x-api-key]}}\n  consumerGroups:\n")
    lines += [
        f"    - {{name: group-{i}, policies: {{limits: [{{name: rpm, per: minute, requests: {100 + i}}}]}}}}\n"
        for i in range(GROUPS)
    ]
    lines.append("  consumers:\n")
    lines += [
        f"    - {{name: c-{i}, groups: [group-{i % GROUPS}], credentials: [{{apiKey: {{env: C_{i}}}}}]}}\n"
        for i in range(CONSUMERS)
    ]
    lines.append("  policies: {promptGuard: {deny: ['(?i)ignore previous instructions']}}\n")
    return "".join(lines)


def edited(text: str) -> str:
    for i in range(CHANGES // 2):
        text = text.replace(f"env: C_{i * 7}}}", f"env: N_{i}}}")
        text = text.replace(
            f"name: model-{i * 11}\n      aliases: [old-{i * 11}]", f"name: model-{i * 11}\n      aliases: [older-{i}]"
        )
    return text


def losses_of(text: str, target: str) -> list[Accept]:
    """What accepts every loss, as somebody writes it who has thousands of consumers: `[*]` for all of them."""
    checked = compiler.check_text(text)
    assert checked.gateway is not None, checked.diagnostics[:3]
    lost = plan(checked.gateway, checked.source.data, facts(target)).losses
    asked = {(x.feature.code, re.sub(r"\[[^\]]*\]", "[*]", x.place), x.security): None for x in lost}
    return [Accept(code, at, "a bench", weak, target, "", "", ()) for code, at, weak in asked]


def built(text: str, target: str, accepts: Sequence[Accept]) -> Side:
    checked = compiler.check_text(text)
    assert checked.gateway is not None, checked.diagnostics[:3]
    documents = compiler.build(checked, TargetChoice(target, "", {}), accepts).documents
    assert documents
    return Side(
        checked.source.data, {target: {d.filename: d.body for d in documents}}, checked.name, meant=checked.gateway
    )


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    taken, found = [], None
    for _ in range(RUNS):
        gc.collect()
        start = time.process_time()
        found = job()
        taken.append(time.process_time() - start)
    return median(taken), found


def main(*targets: str) -> None:
    text = spec()
    for target in targets or TARGETS:
        measured(text, target)


def measured(text: str, target: str) -> None:
    accepts = losses_of(text, target)
    build, old = timed(lambda: built(text, target, accepts))
    new = built(edited(text), target, accepts)
    compare, found = timed(lambda: diff(old, new, {target: facts(target)}))
    assert isinstance(found, Diff)
    outputs = sum(map(len, found.targets.values()))
    print(f"{target}: {len(found.changes)} changes, {outputs} differences in outputs")
    print(f"building {build:.2f} s, comparing {compare:.2f} s: ratio {compare / build:.2f} (at most 0.2)")


if __name__ == "__main__":
    main(*sys.argv[1:])
