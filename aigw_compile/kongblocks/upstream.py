"""A model to the plugins that call its provider: ai-proxy or ai-proxy-advanced, and what is taken away before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from aigw_compile import ir
from aigw_compile.document import Block, at
from aigw_compile.kongblocks.edition import Edition
from aigw_compile.kongblocks.plugin import Plugin, make
from aigw_compile.kongblocks.routes import Route, body_size
from aigw_compile.kongblocks.secrets import reference
from aigw_compile.plan import Plan, fits
from aigw_compile.providers import PROVIDERS

NOT_FOR_PROVIDERS = (
    "x-consumer-id",
    "x-consumer-custom-id",
    "x-consumer-username",
    "x-credential-identifier",
    "x-anonymous-consumer",
    "cookie",
)
"""Headers that Kong itself or a browser adds, which are no business of a provider."""

_DOORS = {"openai": "/chat/completions", "anthropic": "/messages"}
_CRITERIA = {
    "rate-limited": ("http_429",),
    "overloaded": ("http_503",),
    "server-error": ("http_500", "http_502", "http_504"),
    "timeout": ("timeout",),
    "connect-failure": ("error",),
    "auth-error": ("http_403",),
}
"""Cause -> what ai-proxy-advanced calls it (3.15, balancer.failover_criteria)."""
_ORDER = ("error", "timeout", "http_403", "http_429", "http_500", "http_502", "http_503", "http_504")


def targets(model: ir.Model, plan: Plan, edition: Edition) -> tuple[ir.Target, ...]:
    """Return the targets that are written for a model, the first to be tried first."""
    if not edition.advanced:
        first = model.first()
        return (first,) if first else ()
    return tuple(t for group in model.priorities() for t in group if not plan.lost(t.origin))


def upstream(gateway: ir.Gateway, plan: Plan, edition: Edition, route: Route) -> tuple[Plugin, ...]:
    """Return request-transformer and the AI proxy of a model's route; a model that nobody answers gets 503."""
    assert route.model
    mine = targets(route.model, plan, edition)
    if not mine:
        config = Block(route.model.origin, {"status_code": 503, "message": "no target of this model has a weight"})
        return (make("request-termination", f"{route.name}-nobody", config, route.name),)
    proxy = _advanced(gateway, route, route.model, mine, edition) if edition.advanced else None
    return (
        _cleaned(gateway, route, route.model, mine),
        proxy or _proxy(gateway, route, mine[0], edition),
    )


def _cleaned(gateway: ir.Gateway, route: Route, model: ir.Model, mine: Iterable[ir.Target]) -> Plugin:
    """Take the client's credentials away, and its `model` where the provider has another name for it.

    ai-proxy refuses a `model` that is not its own with 400 (3.9.3, llm/plugin/shared-filters/normalize-request.lua).
    """
    headers = [*(gateway.auth.api_key_headers if gateway.auth else ())]
    headers += [h for h in ("authorization", *NOT_FOR_PROVIDERS) if h not in headers]
    removed = Block(model.origin, {"headers": at(headers, ("spec", "auth"))})
    wanted = {t.model for t in mine}
    if "*" not in wanted and wanted != {model.name, *model.aliases}:
        removed["body"] = at(["model"], *((*t.origin, "model") for t in mine))
    return make("request-transformer", f"{route.name}-clean", Block(model.origin, {"remove": removed}), route.name)


def _proxy(gateway: ir.Gateway, route: Route, target: ir.Target, edition: Edition) -> Plugin:
    config = _target(gateway, target, edition)
    config["response_streaming"] = "allow"
    config["max_request_body_size"] = body_size(gateway)
    config["model_name_header"] = False
    return make("ai-proxy", f"{route.name}-proxy", config, route.name)


def _advanced(
    gateway: ir.Gateway, route: Route, model: ir.Model, mine: tuple[ir.Target, ...], edition: Edition
) -> Plugin:
    priorities = sorted({t.priority for t in mine})
    written = []
    for target in mine:
        block = _target(gateway, target, edition)
        rank = len(priorities) - priorities.index(target.priority)
        place = "weight" if len(priorities) == 1 else "priority"
        block["weight"] = at(target.weight if len(priorities) == 1 else rank, (*target.origin, place))
        block["description"] = at(target.name, (*target.origin, "name"))
        written.append(block)
    config = Block(
        model.origin,
        {
            "balancer": _balancer(model, mine, len(priorities)),
            "targets": written,
            "response_streaming": "allow",
            "max_request_body_size": body_size(gateway),
            "model_name_header": False,
        },
    )
    return make("ai-proxy-advanced", f"{route.name}-proxy", config, route.name)


def _balancer(model: ir.Model, mine: tuple[ir.Target, ...], priorities: int) -> Block:
    """The causes of retries and fallback in one list, and all further tries in one number.

    A call to a provider is a POST: without `non_idempotent` none that was sent is tried again.
    """
    timing = fits.timing(model)
    causes = [*(model.retries.on if model.retries.attempts else ()), *(model.fallback.on if priorities > 1 else ())]
    found = {c for cause in causes for c in _CRITERIA.get(cause, ())}
    tries = (model.retries.attempts + 1) * priorities - 1 if found else 0
    criteria = [*(c for c in _ORDER if c in found), *(["non_idempotent"] if found else [])]
    block = Block(
        model.origin,
        {
            "algorithm": "priority" if priorities > 1 else "round-robin",
            "connect_timeout": at(timing.connect, (*model.timeouts.origin, "connect")),
            "read_timeout": at(timing.read, (*model.timeouts.origin, "firstByte")),
            "write_timeout": at(timing.read, (*model.timeouts.origin, "firstByte")),
            "retries": at(tries, (*model.retries.origin, "attempts"), *(t.origin for t in mine)),
        },
    )
    if criteria:
        block["failover_criteria"] = at(criteria, model.retries.origin, model.fallback.origin)
    return block


def _target(gateway: ir.Gateway, target: ir.Target, edition: Edition) -> Block:
    """route_type, auth, logging and model: the same in ai-proxy and in a target of ai-proxy-advanced."""
    provider = target.provider
    block = Block(target.origin, {"route_type": "llm/v1/chat"})
    key = provider.credential
    if key:
        auth = {
            "header_name": provider.auth_header,
            "header_value": reference(key, provider.auth_prefix, edition).text,
            "allow_override": False,
        }
        block["auth"] = Block(key.origin, auth)
    watch = gateway.observability
    block["logging"] = Block(
        watch.origin,
        {
            "log_statistics": any((watch.prometheus, watch.otlp, watch.access_log)),
            "log_payloads": at(
                bool(watch.access_log and watch.access_log.payloads), ("spec", "observability", "accessLog", "payloads")
            ),
        },
    )
    block["model"] = _model(target)
    return block


def _model(target: ir.Target) -> Block:
    provider = target.provider
    block = Block(target.origin, {"provider": at(provider.dialect, provider.origin)})
    if target.model != "*":
        block["name"] = at(target.model, (*target.origin, "model"))
    options: dict[str, Any] = {}
    if "anthropic-version" in provider.headers:
        options["anthropic_version"] = provider.headers["anthropic-version"]
    if provider.base_url != PROVIDERS[provider.type].base_url:
        options["upstream_url"] = at(_url(provider), (*provider.origin, "baseUrl"))
    if options:
        block["options"] = Block(provider.origin, options)
    return block


def _url(provider: ir.Provider) -> str:
    """The full URL, with a port: ai-proxy takes 443 where there is none, for http too (3.9.3, llm/drivers/openai.lua)."""
    url = urlsplit(provider.base_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    return f"{url.scheme}://{host}:{port}{url.path}{_DOORS[provider.dialect]}"
