"""Step 14 of the request order: a call to an answer, by way of targets, retries and priorities."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from aigw_compile.proxy.balance import Balance
from aigw_compile.proxy.config import Target
from aigw_compile.proxy.decide import Call
from aigw_compile.proxy.dialects.anthropic import Unsupported
from aigw_compile.proxy.errors import INVALID, Refuse, invalid
from aigw_compile.proxy.upstream import Failed, Reply, Streamed, Upstream


class Static(NamedTuple):
    """The last resort of a model: its own answer, with no usage."""

    status: int
    content: str


class Answer(NamedTuple):
    result: Reply | Streamed | Static | Refuse
    target: Target | None
    attempts: int
    cause: str = ""


async def answer(
    upstream: Upstream, balance: Balance, call: Call, body: dict[str, Any], client: list[tuple[bytes, bytes]]
) -> Answer:
    """Try targets until one answers, or everything is spent. Never raises for what a provider does."""
    model = call.model
    attempts = 0
    last = Failed("connect-failure", 502, {})
    target: Target | None = None
    try:
        async with asyncio.timeout(model.request):
            for level, targets in enumerate(model.priorities):
                tried: set[str] = set()
                for try_ in range(model.attempts + 1):
                    chosen = balance.choose(model.name, targets, tried, anyway=level == 0 or try_ > 0)
                    if chosen is None:
                        break
                    if try_:
                        await asyncio.sleep(min(model.backoff_base * 2 ** (try_ - 1), model.backoff_max))
                    target = chosen
                    tried.add(target.name)
                    attempts += 1
                    result = await upstream.attempt(model, target, body, call.asked, client)
                    if not isinstance(result, Failed):
                        balance.report(model.name, target, None)
                        return Answer(result, target, attempts)
                    balance.report(model.name, target, result.cause)
                    last = result
                    if result.cause not in model.retry_on:
                        break
                if last.cause not in model.fallback_on:
                    return Answer(_refusal(last), target, attempts, last.cause or "")
    except Unsupported as field:
        message = f"The provider of this model cannot take `{field}`."
        return Answer(invalid("unsupported_by_provider", message, param=str(field)), target, attempts)
    except TimeoutError:
        last = Failed("timeout", 504, {})
    if model.response is not None and last.cause in model.fallback_on:
        return Answer(Static(model.response["status"], model.response["content"]), None, attempts, last.cause or "")
    return Answer(_refusal(last), target, attempts, last.cause or "")


def _refusal(failed: Failed) -> Refuse:
    """What a client is told: the provider's own words only where they are about the client's request."""
    if failed.cause == "timeout":
        return Refuse(504, "api_error", "upstream_timeout", "The provider did not answer in time.")
    if failed.cause == "rate-limited":
        headers = {"retry-after": failed.retry_after} if failed.retry_after else {}
        return Refuse(429, "rate_limit_error", "rate_limit_exceeded", "The provider is rate limited.", None, headers)
    if failed.cause in ("auth-error", "quota-exceeded"):
        return Refuse(502, "api_error", "upstream_auth", "The provider refused the gateway's credential.")
    if failed.cause in (None, "context-length", "content-filter"):
        words = str(failed.error.get("message") or "The provider refused the request.")
        code = failed.error.get("code")
        param = failed.error.get("param")
        status = failed.status if 400 <= failed.status < 500 else 502
        return Refuse(
            status,
            str(failed.error.get("type") or INVALID),
            str(code) if code else "invalid_request",
            words,
            str(param) if param else None,
        )
    return Refuse(502, "api_error", "upstream_error", "No provider could answer.")
