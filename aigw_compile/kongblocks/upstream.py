"""A model to the plugins that call its provider: ai-proxy or ai-proxy-advanced, and what is taken away or set before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at
from aigw_compile.kongblocks.edition import Edition
from aigw_compile.kongblocks.llm import EMBEDDINGS, PASSED, llm, route_type
from aigw_compile.kongblocks.plugin import Plugin, make
from aigw_compile.kongblocks.routes import Route, body_size
from aigw_compile.plan import Plan, fits

NOT_FOR_PROVIDERS = (
    "x-consumer-id",
    "x-consumer-custom-id",
    "x-consumer-username",
    "x-credential-identifier",
    "x-anonymous-consumer",
    "cookie",
)
"""Headers that Kong itself or a browser adds, which are no business of a provider."""

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
    first = model.first()
    found = [t for group in model.priorities() for t in group] if edition.advanced else [first] if first else []
    return tuple(t for t in found if not plan.lost(t.origin))


def upstream(gateway: ir.Gateway, plan: Plan, edition: Edition, route: Route) -> tuple[Plugin, ...]:
    """Return request-transformer and the AI proxy of a model's route; a model that nobody answers gets 503."""
    assert route.model
    mine = targets(route.model, plan, edition)
    if not mine:
        config = Block(route.model.origin, {"status_code": 503, "message": "no target of this model can be called"})
        return (make("request-termination", f"{route.name}-nobody", config, route.name),)
    tags = _about(route.model, mine)
    proxy = _advanced if edition.advanced else _proxy
    return (
        _cleaned(gateway, plan, edition, route, route.model, mine),
        proxy(gateway, plan, route, route.model, mine, edition, tags),
        *_announced(plan, route, route.model),
    )


def _about(model: ir.Model, mine: Sequence[ir.Target]) -> Sequence[tuple[str, Pointer]]:
    """What was looked at while compiling, as tags: where data may go, what the providers are, and where."""
    tags = [(f"residency: {region}", (*model.origin, "residency")) for region in model.residency]
    for provider in {t.provider.name: t.provider for t in mine}.values():
        tags.append((f"{provider.name}: {provider.type}", (*provider.origin, "type")))
        if provider.region:
            tags.append((f"{provider.name}: in {provider.region}", (*provider.origin, "region")))
    if len(mine) > 1:  # weights and turns are one algorithm of Kong's
        tags.append((f"algorithm {model.algorithm}", (*model.origin, "loadBalancing")))
    return tags


def _announced(plan: Plan, route: Route, model: ir.Model) -> Sequence[Plugin]:
    """The days of a model's end as headers: Deprecation (RFC 9745) and Sunset (RFC 8594)."""
    life = model.lifecycle
    if not life or plan.lost(life.origin):
        return ()
    headers = [f"deprecation:@{int(_start(life.deprecated).timestamp())}"] if life.deprecated else []
    headers += [f"sunset:{format_datetime(_start(life.sunset), usegmt=True)}"] if life.sunset else []
    config = Block(life.origin, {"add": Block(life.origin, {"headers": headers})})
    return (make("response-transformer", f"{route.name}-lifecycle", config, route.name),)


def _start(date: str) -> datetime:
    return datetime.fromisoformat(date).replace(tzinfo=UTC)


def _cleaned(
    gateway: ir.Gateway, plan: Plan, edition: Edition, route: Route, model: ir.Model, mine: Sequence[ir.Target]
) -> Plugin:
    """Take the client's credentials away, and its `model` where the provider has another name for it; set what is to be set.

    ai-proxy refuses a `model` that is not its own with 400 (3.9.3, llm/plugin/shared-filters/normalize-request.lua).
    Removing comes before adding, and adding leaves alone what is there (plugins/request-transformer/access.lua).
    """
    own = _own_headers(plan, mine[0])
    defaults, overrides = (_texts(plan, mine[0], side) for side in ("defaults", "overrides"))
    headers = [*(gateway.auth.api_key_headers if gateway.auth else ())]
    headers += [h for h in ("authorization", *NOT_FOR_PROVIDERS, *own) if h not in headers]
    removed = Block(model.origin, {"headers": at(headers, ("spec", "auth"), *(o for _, o in own.values()))})
    fields = {name: place for name, (_, place) in overrides.items()}
    wanted = {t.model for t in mine}
    renamed = "*" not in wanted and wanted != {model.name, *model.aliases}
    places = [(*t.origin, "model") for t in mine] if renamed else []
    if renamed or fields:
        removed["body"] = at([*(["model"] if renamed else []), *fields], *places, *fields.values())
    config = Block(model.origin, {"remove": removed})
    body = {**{k: v for k, v in defaults.items() if k not in overrides}, **overrides}
    if renamed and route_type(model, edition) == PASSED:  # nobody else puts the provider's name in
        body["model"] = (mine[0].model, (*mine[0].origin, "model"))
    added = Block(model.origin)
    for kind, found in (("headers", own), ("body", body)):
        if found:
            added[kind] = at([f"{name}:{value}" for name, (value, _) in found.items()], *(o for _, o in found.values()))
    if added:
        config["add"] = added
    return make("request-transformer", f"{route.name}-clean", config, route.name)


def _own_headers(plan: Plan, target: ir.Target) -> dict[str, tuple[str, Pointer]]:
    headers = target.provider.own_headers
    return {h.name: (h.value, h.origin) for h in headers if isinstance(h.value, str) and not plan.lost(h.origin)}


def _texts(plan: Plan, target: ir.Target, side: str) -> dict[str, tuple[str, Pointer]]:
    """The parameters that are texts; numbers stand beside the model."""
    if not target.parameters:
        return {}
    place = (*target.parameters.origin, side)
    values = getattr(target.parameters, side).items()
    return {k: (v, (*place, k)) for k, v in values if isinstance(v, str) and not plan.lost((*place, k))}


def _proxy(
    gateway: ir.Gateway,
    plan: Plan,
    route: Route,
    model: ir.Model,
    mine: Sequence[ir.Target],
    edition: Edition,
    tags: Sequence[tuple[str, Pointer]],
) -> Plugin:
    config = llm(gateway, plan, mine[0], edition, route_type(model, edition))
    config.update(route.format)
    config["response_streaming"] = "allow"
    config["max_request_body_size"] = body_size(gateway)
    config["model_name_header"] = at(model.expose_target, (*model.origin, "exposeTarget"))
    return make("ai-proxy", f"{route.name}-proxy", config, route.name, tags=tags)


def _advanced(
    gateway: ir.Gateway,
    plan: Plan,
    route: Route,
    model: ir.Model,
    mine: Sequence[ir.Target],
    edition: Edition,
    tags: Sequence[tuple[str, Pointer]],
) -> Plugin:
    priorities = sorted({t.priority for t in mine})
    kind = route_type(model, edition)
    written = []
    for target in mine:
        block = llm(gateway, plan, target, edition, kind)
        rank = len(priorities) - priorities.index(target.priority)
        place = "weight" if len(priorities) == 1 else "priority"
        block["weight"] = at(target.weight if len(priorities) == 1 else rank, (*target.origin, place))
        block["description"] = at(target.name, (*target.origin, "name"))
        written.append(block)
    config = Block(
        model.origin,
        {
            "balancer": _balancer(model, mine, len(priorities), edition),
            "targets": written,
            **({"genai_category": "text/embeddings"} if kind == EMBEDDINGS else {}),
            **route.format,
            "response_streaming": "allow",
            "max_request_body_size": body_size(gateway),
            "model_name_header": at(model.expose_target, (*model.origin, "exposeTarget")),
        },
    )
    return make("ai-proxy-advanced", f"{route.name}-proxy", config, route.name, tags=tags)


def _balancer(model: ir.Model, mine: Sequence[ir.Target], priorities: int, edition: Edition) -> Block:
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
    if len(mine) > 1 and "circuit-breaker" in edition.has:
        block["max_fails"] = at(model.health.failures, (*model.health.origin, "failures"))
        block["fail_timeout"] = at(fits.milliseconds(model.health.cooldown), (*model.health.origin, "cooldown"))
    return block
