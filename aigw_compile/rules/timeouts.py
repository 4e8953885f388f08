"""Rules about time: timeouts that can never act, and a fallback that comes too late."""

from __future__ import annotations

from aigw_compile import ir
from aigw_compile.diagnostic import Json, Related, Severity, value_at
from aigw_compile.rules.base import Finding, Findings, data_rule, entries, gateway_rule
from aigw_compile.units import seconds

REQUEST = "10m"
"""What `timeouts.request` is where it is absent."""


@data_rule("AIG3040", "timeout-never-acts", Severity.WARNING)
def timeout_never_acts(data: Json) -> Findings:
    """A timeout is longer than the time for the whole request.

    `request` is for everything, all tries included, so a longer `connect`, `firstByte` or `idle` never acts.

    bad:
        models:
          - {name: chat, timeouts: {firstByte: 60s, request: 30s}, targets: [{provider: openai, model: gpt-4o-mini}]}

    good:
        models:
          - {name: chat, timeouts: {firstByte: 10s, request: 30s}, targets: [{provider: openai, model: gpt-4o-mini}]}
    """
    for model, _ in entries(data, ("spec", "models")):
        at = (*model, "timeouts")
        timeouts = value_at(at, data)
        whole = timeouts.get("request", REQUEST) if isinstance(timeouts, dict) else None
        if not isinstance(timeouts, dict) or not isinstance(whole, str) or not seconds(whole):
            continue
        for field in ("connect", "firstByte", "idle"):
            own = timeouts.get(field)
            if isinstance(own, str) and seconds(own) > seconds(whole):
                related = (Related("everything", (*at, "request")),) if "request" in timeouts else ()
                message = f"{own} is longer than the {whole} for the whole request: it never acts"
                yield Finding((*at, field), message, f"make it shorter than {whole}, or `request` longer", related)


@data_rule("AIG3041", "backoff-contradicts", Severity.WARNING)
def backoff_contradicts(data: Json) -> Findings:
    """The first pause between retries is longer than the longest.

    Every pause is then `max`, and `base` changes nothing.

    bad:
        models:
          - name: chat
            retries: {attempts: 2, backoff: {base: 5s, max: 1s}}
            targets: [{provider: openai, model: gpt-4o-mini}]

    good:
        models:
          - name: chat
            retries: {attempts: 2, backoff: {base: 1s, max: 5s}}
            targets: [{provider: openai, model: gpt-4o-mini}]
    """
    for model, _ in entries(data, ("spec", "models")):
        at = (*model, "retries", "backoff")
        backoff = value_at(at, data)
        if isinstance(backoff, dict):
            base, most = backoff.get("base", "250ms"), backoff.get("max", "2s")
            if isinstance(base, str) and isinstance(most, str) and 0 < seconds(most) < seconds(base):
                field = "base" if "base" in backoff else "max"
                message = f"the first pause, {base}, is longer than the longest, {most}"
                yield Finding((*at, field), message, "make `base` shorter than `max`")


@gateway_rule("AIG3042", "no-time-to-fall-back", Severity.WARNING)
def no_time_to_fall_back(gateway: ir.Gateway) -> Findings:
    """A provider that hangs uses up the time of the whole request, so the next target is never tried.

    A try ends after `firstByte` (60s), the whole request after `request`. If the first is not the shorter one, falling
    back or trying again on a timeout never happens: the client gets 504 instead.

    bad:
        providers:
          - {name: openai, type: openai, auth: {apiKey: {env: OPENAI_API_KEY}}}
          - {name: claude, type: anthropic, auth: {apiKey: {env: ANTHROPIC_API_KEY}}}
        models:
          - name: chat
            timeouts: {request: 30s}
            targets:
              - {provider: openai, model: gpt-4o-mini}
              - {provider: claude, model: claude-haiku-4-5, priority: 1}

    good:
        providers:
          - {name: openai, type: openai, auth: {apiKey: {env: OPENAI_API_KEY}}}
          - {name: claude, type: anthropic, auth: {apiKey: {env: ANTHROPIC_API_KEY}}}
        models:
          - name: chat
            timeouts: {firstByte: 10s, request: 30s}
            targets:
              - {provider: openai, model: gpt-4o-mini}
              - {provider: claude, model: claude-haiku-4-5, priority: 1}
    """
    for model in gateway.models:
        again = model.retries.attempts > 0 and "timeout" in model.retries.on
        further = len(model.priorities()) > 1 and "timeout" in model.fallback.on
        times = model.timeouts
        if (again or further) and times.first_byte >= times.request:
            message = (
                f"one try may take {times.first_byte:g}s and the whole request {times.request:g}s: "
                "after a timeout nothing else is ever tried"
            )
            hint = f"set `firstByte` well below {times.request:g}s, so that there is time for another try"
            yield Finding((*model.origin, "timeouts"), message, hint, on_key=True, about=(model.origin,))
