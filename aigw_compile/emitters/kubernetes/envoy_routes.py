"""Models and providers to what Envoy AI Gateway routes with: AIGatewayRoute, AIServiceBackend, Backend and their policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aigw_compile import ir
from aigw_compile.document import Block, at
from aigw_compile.emitters.kubernetes.objects import GATEWAY_API, Scene, address, duration, ref
from aigw_compile.emitters.kubernetes.secrets import Secrets
from aigw_compile.policies.limits import Limit

AIGW, ENVOY = "aigateway.envoyproxy.io", "gateway.envoyproxy.io"
AIGW_API, ENVOY_API = f"{AIGW}/v1beta1", f"{ENVOY}/v1alpha1"

MODEL_HEADER = "x-ai-eg-model"
"""Envoy AI Gateway writes the body's `model` here before it chooses a route (api/v1beta1, AIModelHeaderKey)."""
CONSUMER_HEADER = "x-aigw-consumer"
"""The SecurityPolicy writes the name of the consumer here; what a client sends under this name is taken off first."""
TOTAL = "llm_total_token"
"""Key of the tokens of a call in the dynamic metadata `io.envoy.ai_gateway`."""

NAMES = 64
"""Matches that fit one rule of the HTTPRoute that is made of an AIGatewayRoute (Gateway API 1.6.1)."""

# Which kind of BackendSecurityPolicy carries the key in the header that the dialect wants (Envoy AI Gateway 1.1.0).
_DIALECTS: Mapping[str, tuple[str, str, str, str]] = {
    "openai": ("OpenAI", "APIKey", "apiKey", "authorization"),
    "anthropic": ("Anthropic", "AnthropicAPIKey", "anthropicAPIKey", "x-api-key"),
}

CODES: Mapping[str, tuple[int, ...]] = {
    "rate-limited": (429,),
    "overloaded": (503, 529),
    "server-error": (500, 501, 502, 504, 505, 507, 508, 520, 521, 522, 523, 524, 525, 526, 527),
    "auth-error": (401, 403),
    "quota-exceeded": (402,),
}
"""Cause -> the statuses that say so. `server-error` is any other 5xx; these are the ones that are in use."""
TRIGGERS: Mapping[str, tuple[str, ...]] = {
    "timeout": ("reset",),
    "connect-failure": ("connect-failure", "refused-stream"),
}
"""Cause -> Envoy's retry triggers. A try that ran out of time is a reset."""


def usable(scene: Scene, target: ir.Target) -> bool:
    """Say whether a target can be reached: neither it nor its provider is refused."""
    lost = scene.plan.lost
    return not lost(target.origin) and not lost(target.provider.origin)


def names(model: ir.Model) -> list[str]:
    """Return every name that clients may call a model by."""
    return [model.name, *model.aliases]


def routes(scene: Scene, costs: bool) -> Iterator[Block]:
    """Yield the AIGatewayRoutes: one for each model (and each 64 names of it), so that a model's change touches its own."""
    for model in scene.gateway.models:
        targets = [t for t in model.targets if usable(scene, t)]
        for name, words in route_names(scene, model):
            if targets:
                yield scene.object(
                    model.origin, AIGW_API, "AIGatewayRoute", name, _route(scene, model, words, targets, costs)
                )


def route_names(scene: Scene, model: ir.Model) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Yield (name of a route, the names of the model that it takes, numbered)."""
    words = [*enumerate(names(model))]
    for number, start in enumerate(range(0, len(words), NAMES), 1):
        more = f".{number}" if number > 1 else ""
        yield f"{scene.name(model.name)}{more}", words[start : start + NAMES]


def _route(
    scene: Scene, model: ir.Model, words: list[tuple[int, str]], targets: list[ir.Target], costs: bool
) -> dict[str, Any]:
    steps = [(*model.origin, "name") if number == 0 else (*model.origin, "aliases", number - 1) for number, _ in words]
    matches = [
        Block(origin, {"headers": [{"type": "Exact", "name": MODEL_HEADER, "value": word}]})
        for origin, (_, word) in zip(steps, words, strict=True)
    ]
    rule = Block(model.origin, {"matches": matches, "backendRefs": [_backend_ref(scene, model, t) for t in targets]})
    rule["timeouts"] = Block(model.timeouts.origin, {"request": duration(model.timeouts.request)})
    rule["streamIdleTimeout"] = at(duration(model.timeouts.idle), model.timeouts.origin)
    rule["modelsOwnedBy"] = "Envoy AI Gateway"
    spec: dict[str, Any] = {"parentRefs": [ref(GATEWAY_API, "Gateway", scene.gateway.name)]}
    if costs:
        spec["llmRequestCosts"] = [{"metadataKey": TOTAL, "type": "TotalToken"}]
    return {**spec, "rules": [rule]}


def _backend_ref(scene: Scene, model: ir.Model, target: ir.Target) -> Block:
    """A target. Envoy's priorities have no gaps, so they are numbered anew; a weight of 0 stands beside its neighbours."""
    reached = sorted({t.priority for t in model.targets if t.weight > 0 and usable(scene, t)})
    priority = sum(p < target.priority for p in reached)
    block = Block(target.origin, {"name": at(scene.name(target.provider.name), (*target.origin, "provider"))})
    if target.model != "*":
        block["modelNameOverride"] = at(target.model, (*target.origin, "model"))
    block["priority"] = at(min(priority, max(len(reached) - 1, 0)), (*target.origin, "priority"))
    block["weight"] = at(target.weight, (*target.origin, "weight"))
    return block


def providers(scene: Scene, secrets: Secrets) -> Iterator[Block]:
    """Yield the objects of each provider that can be reached: Backend, its TLS, AIServiceBackend and its credential."""
    for provider in scene.gateway.providers:
        if not scene.plan.lost(provider.origin):
            yield from _provider(scene, secrets, provider)


def _provider(scene: Scene, secrets: Secrets, provider: ir.Provider) -> Iterator[Block]:
    name, base = scene.name(provider.name), (*provider.origin, "baseUrl")
    to = address(provider.base_url)
    where = (
        {"ip": {"address": to.host, "port": to.port}} if to.is_ip else {"fqdn": {"hostname": to.host, "port": to.port}}
    )
    backend = Block(provider.origin, {"type": "Endpoints", "endpoints": at([where], base)})
    yield scene.object(provider.origin, ENVOY_API, "Backend", name, backend)
    if to.tls:
        spec = {
            "targetRefs": [ref(ENVOY, "Backend", name)],
            "validation": {"hostname": to.host.rstrip("."), "wellKnownCACertificates": "System"},
        }
        yield scene.object(provider.origin, f"{GATEWAY_API}/v1", "BackendTLSPolicy", name, spec)
    schema, kind, field, header = _DIALECTS[provider.dialect]
    own = {header} if provider.credential else set()
    service = Block(
        provider.origin,
        {
            "schema": Block((*provider.origin, "type"), {"name": schema, "prefix": at(to.path or "/", base)}),
            "backendRef": ref(ENVOY, "Backend", name),
            "headerMutation": {"remove": [h for h in (CONSUMER_HEADER, "authorization", "x-api-key") if h not in own]},
        },
    )
    yield scene.object(provider.origin, AIGW_API, "AIServiceBackend", name, service)
    if provider.credential:
        secret = ref("", "Secret", _key(secrets, provider, provider.credential))
        spec = {
            "targetRefs": [ref(AIGW, "AIServiceBackend", name)],
            "type": kind,
            field: Block(provider.credential.origin, {"secretRef": secret}),
        }
        yield scene.object(provider.credential.origin, AIGW_API, "BackendSecurityPolicy", name, spec)


def _key(secrets: Secrets, provider: ir.Provider, credential: ir.SecretRef) -> str:
    """Return the name of the Secret with a provider's key: its own where that has the data key `apiKey`."""
    if credential.in_cluster and credential.property == "apiKey":
        return credential.name
    name = secrets.scene.name(provider.name)
    if not credential.in_cluster:
        secrets.put(name, "apiKey", secrets.provider(provider, credential))
    return name


def traffic(scene: Scene, merged: bool) -> Iterator[Block]:
    """Yield a BackendTrafficPolicy for each model: retries, falling back, and what its connections may take."""
    for model in scene.gateway.models:
        targets = [t for t in model.targets if usable(scene, t)]
        if not targets:
            continue
        refs = [ref(GATEWAY_API, "HTTPRoute", name) for name, _ in route_names(scene, model)]
        spec: dict[str, Any] = {"targetRefs": refs, **({"mergeType": "StrategicMerge"} if merged else {})}
        spec["retry"] = _retry(scene, model, targets)
        spec["timeout"] = {"tcp": Block(model.timeouts.origin, {"connectTimeout": duration(model.timeouts.connect)})}
        spec["healthCheck"] = {"passive": dict(_PASSIVE)}
        yield scene.object(model.origin, ENVOY_API, "BackendTrafficPolicy", scene.name(model.name), spec)


# A target is left alone for 30s after 5 failures, as the language says of `health`; the rest are the CRD's own defaults.
_PASSIVE = {
    "alwaysEjectOneEndpoint": False,
    "baseEjectionTime": "30s",
    "consecutive5XxErrors": 5,
    "consecutiveLocalOriginFailures": 5,
    "interval": "3s",
    "maxEjectionPercent": 100,
    "splitExternalLocalOriginErrors": False,
}


def _retry(scene: Scene, model: ir.Model, targets: list[ir.Target]) -> Block:
    """Tries inside a priority and over the priorities: Envoy has one number and one list of causes for both."""
    levels = len({t.priority for t in targets if t.weight > 0}) or 1
    tries = model.retries.attempts + 1
    causes: list[str] = []
    if model.retries.attempts:
        causes += [c for n, c in enumerate(model.retries.on) if not scene.plan.lost((*model.retries.origin, "on", n))]
    if levels > 1:
        causes += [c for n, c in enumerate(model.fallback.on) if not scene.plan.lost((*model.fallback.origin, "on", n))]
    block = Block(model.retries.origin, {"numRetries": at(levels * tries - 1 if causes else 0, *_both(model))})
    block["numAttemptsPerPriority"] = at(tries, *_both(model))
    block["perRetry"] = Block(model.timeouts.origin, {"timeout": duration(model.timeouts.first_byte)})
    pause = {"baseInterval": duration(model.retries.backoff_base), "maxInterval": duration(model.retries.backoff_max)}
    block["perRetry"]["backOff"] = Block(model.retries.origin, pause)
    if causes:
        codes = _each(CODES, causes)
        triggers = [*_each(TRIGGERS, causes), *(["retriable-status-codes"] if codes else [])]
        on = {"triggers": triggers, **({"httpStatusCodes": sorted(codes)} if codes else {})}
        block["retryOn"] = at(Block(model.fallback.origin, on), *_both(model))
    return block


def _both(model: ir.Model) -> tuple[Any, ...]:
    return (model.retries.origin, model.fallback.origin)


def _each(table: Mapping[str, tuple[Any, ...]], causes: Iterable[str]) -> list[Any]:
    return list(dict.fromkeys(value for cause in causes for value in table.get(cause, ())))


def counts_tokens(scene: Scene) -> bool:
    """Say whether calls have to say what they took: for a limit that is written, or for the access log."""
    if scene.gateway.observability.access_log:
        return True
    limits = (limit for s in ir.scopes(scene.gateway) for limit in ir.every(s.policies, Limit))
    return any(limit.tokens is not None and not scene.plan.lost(limit.origin) for limit in limits)
