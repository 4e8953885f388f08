"""The table on both engines: each does what the language says, and both do the same, but for what target.yaml declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from aigw_compile.target import Support
from tests.conformance import meaning
from tests.conformance.engines import Engine
from tests.conformance.table import Case, Step, cases
from tests.support import DAY, whole_window

CASES = cases()
RATE_HEADERS = {"envoy": "policies.limits.requests"}
"""Engine -> the row that says that it has no x-ratelimit-* headers."""
COUNTED = tuple(f"x-ratelimit-{what}-requests" for what in ("limit", "remaining", "reset"))
"""What the gateway's own limit, under which every call falls, is shown by."""


def test_the_table_is_whole() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 100


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_both_engines(case: Case, engines: Mapping[str, Engine]) -> None:
    if len(case.steps) > 1:
        whole_window(DAY, 60)  # what one step has used up the next one finds, in windows that may end at midnight
    with ThreadPoolExecutor() as pool:
        found = dict(
            zip(engines, pool.map(lambda one: [met(one, step) for step in case.steps], engines.values()), strict=True)
        )
    wrong = [
        f"{name}, step {n + 1}: {x}"
        for name, steps in found.items()
        for n, (_, faults) in enumerate(steps)
        for x in faults
    ]
    for n, step in enumerate(case.steps):
        if not step.excused:
            one, other = (steps[n][0] for steps in found.values())
            wrong += [f"step {n + 1}: {k}: {one[k]} / {other[k]}" for k in one if one[k] != other[k]]
    assert not wrong, "\n" + "\n".join(wrong)


def met(engine: Engine, step: Step) -> tuple[dict[str, Any], list[str]]:
    """What a step came to, and what is wrong with it."""
    told = engine.tell(step.ask, step.providers)
    if told.reply.status == 0:
        return {"means": "no answer"}, [f"no answer: {told.reply}"] if step.answer != "no answer" else []
    means, sent = meaning.of_reply(step.ask, told.reply), meaning.of_sent(told)
    shown = {"means": means, "headers": meaning.promised(step.ask, told.reply), "sent": sent}
    hosts = {name: p.url.split("/")[2] for name, p in engine.providers.items()}
    faults = [*meaning.unfit(step.ask, told, hosts)]
    faults += [f"the reply has {name}" for name in meaning.leaks(told.reply.headers)]
    faults += _hidden(told.reply.headers)
    faults += _rate_headers(engine, step, told.reply.status, told.reply.headers)
    if means.get("model") not in (None, step.ask.data.get("model") if isinstance(step.ask.data, dict) else None):
        faults.append(f"the reply names {means['model']}")
    asked = [*_unmet(step, step.answer, step.sent, means, told.reply.headers, sent)]
    if engine.name not in step.excused:
        return shown, faults + asked
    if not asked:
        faults.append("the difference that is excused is not there")
    instead = step.instead[engine.name]
    faults += _unmet(step, instead["answer"], instead.get("sent"), means, told.reply.headers, sent)
    return shown, faults + _unexcused(engine, step.excused[engine.name])


def _unmet(
    step: Step, answer: Any, asked: Any, means: dict[str, Any], headers: Mapping[str, str], sent: list[dict[str, Any]]
) -> Iterator[str]:
    """What an answer lacks of what is expected."""
    if answer == "ok":
        answer = {"status": 200, "says": "Hello from here"}
    if isinstance(answer, str):
        answer = meaning.error(answer, step.ask.anthropic)
    elif isinstance(answer.get("error"), str):
        answer = {**answer, **meaning.error(answer["error"], step.ask.anthropic)}
    expected = {"status": 200, **{k: v for k, v in answer.items() if k != "headers"}}
    if isinstance(expected.get("end"), str) and expected["end"] in meaning.ERRORS:
        expected["end"] = {k: v for k, v in meaning.error(expected["end"], step.ask.anthropic).items() if k == "error"}
    for key, value in expected.items():
        if not meaning.within(value, means.get(key)):
            yield f"{key} is {means.get(key)}, not {value} ({means})"
    for name, value in answer.get("headers", {}).items():
        if headers.get(name) != value and not (value == "any" and name in headers):
            yield f"header {name} is {headers.get(name)}, not {value}"
    if asked is None:
        from_provider = expected["status"] < 300 and step.ask.door != "models" and step.ask.method != "OPTIONS"
        if len(sent) != from_provider:
            yield f"{len(sent)} requests were sent: {sent}"
        return
    wanted = meaning.names(asked)
    if [one["to"] for one in sent] != [one["to"] for one in wanted]:
        yield f"sent to {[one['to'] for one in sent]}, not {[one['to'] for one in wanted]}"
        return
    for one, want in zip(sent, wanted, strict=True):
        if not meaning.within(want, one):
            yield f"sent {one}, not {want}"


def _hidden(headers: Mapping[str, str]) -> Iterator[str]:
    """Headers of a reply that a page of a browser could not read."""
    exposed = [name.strip() for name in headers.get("access-control-expose-headers", "").split(",")]
    if "access-control-allow-origin" in headers:
        told = ("x-aigw-", "x-ratelimit-", "retry-after", "deprecation", "sunset")
        yield from (f"{k} is hidden from pages" for k in headers if k.startswith(told) and k not in exposed)


def _rate_headers(engine: Engine, step: Step, status: int, headers: Mapping[str, str]) -> Iterator[str]:
    """They are there wherever a limit was counted, or nowhere, where a row says so."""
    there = {k for k in headers if k.startswith("x-ratelimit-")}
    if engine.name in RATE_HEADERS:
        yield from _unexcused(engine, RATE_HEADERS[engine.name])
        if there:
            yield "x-ratelimit headers are there, which the row says are not"
    elif status == 200 and step.ask.door != "models" and step.ask.method != "OPTIONS":
        yield from (f"{k} is not there" for k in COUNTED if k not in there)
        numbers = [headers[k] for k in there]
        yield from (f"{number} is no number" for number in numbers if not number.isdecimal())


def _unexcused(engine: Engine, excuse: str) -> list[str]:
    """Say what is wrong with an excuse: `PATH`, or `PATH if CONDITION`, must be a row that tells of a loss."""
    path, _, when = excuse.partition(" if ")
    known = engine.facts
    rows = [c.capability for c in known.conditions if (c.when, c.feature) == (when, path)]
    rows += [known.rows[path]] if not when and path in known.rows else []
    if any(row.support in (Support.PARTIAL, Support.NONE) for row in rows):
        return []
    return [f"no row {excuse!r} of {engine.name} says partial or none"]
