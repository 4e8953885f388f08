"""A target to Kong's `llm` block: route_type, auth, logging and model; ai-proxy, its advanced form and the transformers share it."""

from __future__ import annotations

from urllib.parse import urlsplit

from aigw_compile import ir
from aigw_compile.document import Block, at
from aigw_compile.kongblocks.edition import Edition
from aigw_compile.kongblocks.secrets import reference
from aigw_compile.plan import Plan, sending
from aigw_compile.providers import PROVIDERS

CHAT, EMBEDDINGS = "llm/v1/chat", "llm/v1/embeddings"
PASSED = "preserve"
"""The route_type with which ai-proxy sets address and credential, and leaves bodies as they are."""
NAMES = {"openai": "openai", "anthropic": "anthropic", "azure-openai": "azure", "gemini": "gemini"}
"""Dialect -> what Kong calls it: a provider of its own, with counters of its own."""
_DOORS = {CHAT: "/chat/completions", EMBEDDINGS: "/embeddings", PASSED: "/embeddings"}
_COSTS = (("input", "input_cost"), ("output", "output_cost"))
_CACHE_COSTS = (("cache_read", "cache_read_cost"), ("cache_write", "cache_write_cost"))


def route_type(model: ir.Model, edition: Edition) -> str:
    """Return what Kong calls the door of a model. What knows no embeddings passes them on."""
    if not sending.embeds(model):
        return CHAT
    return EMBEDDINGS if "embeddings" in edition.has else PASSED


def llm(gateway: ir.Gateway, plan: Plan, target: ir.Target, edition: Edition, kind: str = CHAT) -> Block:
    """Return the block of a target."""
    block = Block(target.origin, {"route_type": kind})
    auth = _auth(plan, target.provider, edition)
    if auth:
        block["auth"] = auth
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
    block["model"] = _model(plan, target, edition, kind)
    return block


def _auth(plan: Plan, provider: ir.Provider, edition: Edition) -> Block | None:
    """The credential, or the secret header that stands in its place, or an Entra identity."""
    key, header, identity = provider.credential, sending.secret_header(provider), provider.identity
    if identity and not plan.lost((*provider.origin, "auth", "azure")):
        block = Block(identity.origin, {"azure_use_managed_identity": True})
        if identity.tenant_id:
            block["azure_tenant_id"] = identity.tenant_id
        if identity.client_id:
            block["azure_client_id"] = identity.client_id
        if identity.client_secret:
            block["azure_client_secret"] = reference(identity.client_secret, "", edition).text
        return block
    if key:
        found = (provider.auth_header, reference(key, provider.auth_prefix, edition).text, key.origin)
    elif header and isinstance(header.value, ir.SecretRef):
        found = (header.name, reference(header.value, "", edition).text, header.origin)
    else:
        return None
    name, value, origin = found
    return Block(origin, {"header_name": name, "header_value": value, "allow_override": False})


def _model(plan: Plan, target: ir.Target, edition: Edition, kind: str) -> Block:
    provider = target.provider
    block = Block(target.origin, {"provider": at(NAMES[provider.dialect], provider.origin)})
    if target.model != "*":
        block["name"] = at(target.model, (*target.origin, "model"))
    options = _options(plan, target, edition, kind)
    if options:
        block["options"] = options
    return block


def _options(plan: Plan, target: ir.Target, edition: Edition, kind: str) -> Block:
    provider = target.provider
    options = Block(provider.origin)
    if provider.dialect == "anthropic":
        options["anthropic_version"] = provider.headers["anthropic-version"]
    if provider.dialect == "azure-openai":
        place = (*provider.origin, "azure")
        options["azure_instance"] = at(provider.settings["instance"], (*place, "instance"))
        options["azure_api_version"] = at(provider.settings["apiVersion"], (*place, "apiVersion"))
        options["azure_deployment_id"] = at(target.model, (*target.origin, "model"))
    usual = PROVIDERS[provider.dialect].base_url  # where Kong calls, whatever the type is
    elsewhere = provider.base_url != usual if usual else not sending.usual_address(provider)
    if elsewhere or kind == PASSED:
        options["upstream_url"] = at(_url(target, kind), (*provider.origin, "baseUrl"), (*target.origin, "model"))
    for name, value in (target.parameters.overrides if target.parameters else {}).items():
        assert target.parameters
        place = (*target.parameters.origin, "overrides", name)
        if sending.is_option(target, name, value) and not plan.lost(place):
            options[name] = at(value, place)
    if price := target.price:
        costs = {name: getattr(price, field) or None for field, name in _COSTS}  # Kong refuses a price of 0 here
        if "cache-prices" in edition.has:
            costs |= {name: getattr(price, field) for field, name in _CACHE_COSTS}
        for name, cost in costs.items():
            if cost is not None:
                options[name] = at(cost, price.origin)
    return options


def _url(target: ir.Target, kind: str) -> str:
    """The full URL, with a port: ai-proxy takes 443 where there is none, for http too (3.9.3, llm/drivers/openai.lua)."""
    url = urlsplit(target.provider.base_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    door = {"anthropic": "/messages"}.get(target.provider.dialect, _DOORS[kind])
    if target.provider.dialect == "azure-openai":
        door = f"/openai/deployments/{target.model}{door}"
    return f"{url.scheme}://{host}:{port}{url.path}{door}"
