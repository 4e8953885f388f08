"""decK's file of AI Gateway 2.0 entities to the same flat form that a kong.yml has, and from there to a spec.

Sources: Kong's documentation (deck ai sync, deck file ai2kong; AI Gateway 2.x concepts), and the types and test data of
Kong/ai-deck-converter at 97cb82b (August 2026), internal/aigw and convert/testdata. A file is one mapping:

    models            name, type model|api, enabled, capabilities, formats [{type}], targets [{name: the provider's model,
                      provider, weight, config {type, max_tokens, ..., deployment_id, api_version, version, format, ...}}],
                      policies [name], access {identity_providers [name], acls {allow, deny}}, config {route {paths, hosts,
                      model {values: what clients call it}}, logging {payloads, statistics}, response_streaming,
                      max_request_body_size, model {name_header}, balancer {algorithm, and what ai-proxy-advanced has}}
    model_providers   name, type, config {auth {type, headers [{name, value}], params, client_id, ...}, instance, ...};
                      the fields of `auth` may stand in `config` itself
    policies          name, type: a plugin's name, config: the plugin's, enabled, global
    consumers         name, custom_id, consumer_groups [name], policies [name], credentials [{type api-key, api_key, ttl}]
    consumer_groups   name, policies [name]
    identity_providers  name, type key-auth|openid-connect, config: the plugin's
    vaults            name: the prefix, type: the kind, config
    certificates, snis, ca_certificates, mcp_servers, agents

Capabilities: generate (also `chat`), embeddings; those of files, images, audio and video are not in the language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aigw_compile.diagnostic import Json, did_you_mean
from aigw_compile.importers.kong import models, targets
from aigw_compile.importers.kong.build import Made, assembled
from aigw_compile.importers.kong.leftover import leftovers
from aigw_compile.importers.kong.models import Model
from aigw_compile.importers.kong.secrets import Keeper, Vault
from aigw_compile.importers.kong.shape import Entity, Instance, Kong, Scope, on
from aigw_compile.importers.record import Node
from aigw_compile.units import derived_name

KINDS = ("models", "model_providers", "identity_providers", "mcp_servers", "agents")
CAPABILITIES = {"generate": "chat", "chat": "chat", "embeddings": "embeddings"}
ROUTE_TYPES = {"chat": "llm/v1/chat", "embeddings": "llm/v1/embeddings"}
KEY_HEADER = "apikey"
"""The header that Kong takes keys from by itself (3.9.3, plugins/key-auth/schema.lua)."""

_COMMON = ("max_tokens", "temperature", "top_p", "top_k", "upstream_url", *targets._COSTS)
_OPTIONS: Mapping[str, str] = {
    **{name: name for name in _COMMON},
    "azure_deployment_id": "deployment_id",
    "azure_api_version": "api_version",
    "anthropic_version": "version",
    "llama2_format": "format",
    "mistral_format": "format",
}
_AUTH: Mapping[str, str] = {
    "azure_client_id": "client_id",
    "azure_client_secret": "client_secret",
    "azure_tenant_id": "tenant_id",
    "azure_use_managed_identity": "use_managed_identity",
    "gcp_use_service_account": "use_gcp_service_account",
}


def is_one(root: Node) -> bool:
    """Say whether a document is such a file: its lists are there, and nothing says that it is a kong.yml."""
    return "_format_version" not in root.data and any(isinstance(root.data.get(k), list) for k in KINDS)


def spec(root: Node, name: str) -> Made | None:
    """Return the spec; None where there is no model."""
    record = root.record
    kong = Kong(root, {}, {}, {}, {}, [], {}, {}, {})
    vaults = [Vault(n.text("name"), n.text("type"), n) for n in root.items("vaults") if n.raw("name")]
    keeper = Keeper(record, vaults)
    providers = {n.text("name"): n for n in root.items("model_providers") if n.raw("name")}
    policies = {n.text("name"): n for n in root.items("policies") if n.raw("name")}
    strategies = {n.text("name"): n for n in root.items("identity_providers") if n.raw("name")}
    used: set[str] = set()
    for node in root.items("consumer_groups"):
        group = node.text("name")
        kong.groups[group] = Entity(group, group, node)
        kong.plugins.extend(_referred(node, policies, Scope(group=group), used))
    for node in root.items("consumers"):
        key = node.text("name") or node.text("custom_id")
        kong.consumers[key] = Entity(key, key, node)
        kong.members[key] = []
        kong.in_groups[key] = node.texts("consumer_groups")
        for group in kong.in_groups[key]:
            kong.groups.setdefault(group, Entity(group, group, node))
        kong.plugins.extend(_referred(node, policies, Scope(consumer=key), used))
        node.usual("type", "api-key", why="what a consumer shows, its credentials say", code="AIG8104")
    made: list[Model] = []
    bases: list[str] = []
    for node in root.items("models"):
        model = _model(kong, keeper, node, providers)
        if model is None:
            continue
        made.append(model)
        bases.append(_base(node, model))
        kong.plugins.extend(_referred(node, policies, Scope(route=model.route), used))
        _access(kong, node, model.route, strategies)
    for label, policy in policies.items():
        if policy.flag("global", False) and on(policy, "policy"):
            kong.plugins.append(Instance(policy.text("type"), policy, policy.child("config"), Scope()))
        elif label not in used:
            record.tell("AIG8104", "nothing refers to this policy, and it is not global", policy.at)
    if not made:
        return None
    for one in kong.plugins:
        one.node.text("name")
    keys = any(n.raw("credentials") for n in root.items("consumers"))
    gateway = derived_name(name) or "gateway"
    shared = [bases[0]] if len(set(bases)) == 1 else []
    whole = assembled(kong, keeper, gateway, made, shared, "", KEY_HEADER if keys else "")
    for node in (*providers.values(), *strategies.values()):
        if not any(at[: len(node.at)] == node.at and "config" in at for at in record.read):
            record.tell("AIG8104", "nothing that the spec holds refers to this", node.at)
    _others(root)
    leftovers(kong, [m.route for m in made], gateway)
    return whole


def _referred(node: Node, policies: Mapping[str, Node], scope: Scope, used: set[str]) -> Iterator[Instance]:
    """The policies that an entity names, as plugins in its scope."""
    for index, name in enumerate(node.texts("policies")):
        policy = policies.get(name)
        if policy is None:
            hint = did_you_mean(name, policies)
            node.record.tell("AIG8108", "there is no such policy in this file", node.place("policies", index), hint)
            continue
        used.add(name)
        if not policy.flag("global", False) and on(policy, "policy"):
            yield Instance(policy.text("type"), policy, policy.child("config"), scope)


def _model(kong: Kong, keeper: Keeper, node: Node, providers: Mapping[str, Node]) -> Model | None:
    record = kong.record
    if not on(node, "model"):
        return None
    name, config = node.text("name"), node.child("config")
    if node.text("type") == "api":
        record.tell("AIG8113", "the language has no files and no batches", node.at)
        return None
    doors = []
    for index, capability in enumerate(node.texts("capabilities") or ["generate"]):
        if door := CAPABILITIES.get(capability):
            doors.append(door)
        else:
            message = "the language has no such capability yet"
            record.tell("AIG8113", message, node.place("capabilities", index), "generate and embeddings are there")
    for form in node.items("formats"):
        form.usual("type", "openai", "anthropic", why="clients speak OpenAI's dialect or Anthropic's", code="AIG8106")
    proxy = Instance("ai-proxy-advanced", node, config, Scope(route=name))
    kong.routes[name] = Entity(name, name, config.child("route"))
    found = [one for n in node.items("targets") if doors and (one := _target(keeper, n, providers, doors[0]))]
    if not found:
        record.tell("AIG8113", "no target of this model can be carried over", node.at)
        return None
    kong.plugins.append(proxy)
    values = config.child("route").child("model").texts("values")
    names = values or [name or "model"]
    if values and name not in values:
        record.tell("AIG8104", "a model is called what clients call it", node.place("name"))
    node.usual("type", "model", why="a model is one of chat or of embeddings")
    body: dict[str, Json] = {"name": names[0]}
    if names[1:]:
        body["aliases"] = [*names[1:]]
    if doors != ["chat"]:
        body["capabilities"] = [*dict.fromkeys(doors)]
    algorithm = config.child("balancer").text("algorithm") or "round-robin"
    if algorithm not in ("round-robin", "priority"):
        at = config.child("balancer").place("algorithm")
        record.note("AIG8106", "the language balances by weight and by priority; this goes by weight now", at)
    weights = [100 if w is None else w for _, w in found]
    ranks = sorted(set(weights), reverse=True)
    listed: list[tuple[targets.Target, dict[str, Json]]] = []
    for (target, _), weight in zip(found, weights, strict=True):
        own: dict[str, Json] = {}
        if algorithm == "priority":
            own["priority"] = ranks.index(weight)
        elif len(found) > 1:
            own["weight"] = weight
        listed.append((target, own))
    body.update(models._times(kong, name, proxy, len(ranks) if algorithm == "priority" else 1, len(found)))
    if config.child("model").flag("name_header", True):
        body["exposeTarget"] = True
    config.usual("response_streaming", "allow", why="whether an answer comes as a stream, the client says")
    return Model(name, proxy, body, listed)


def _target(
    keeper: Keeper, node: Node, providers: Mapping[str, Node], door: str
) -> tuple[targets.Target, int | None] | None:
    record, config = keeper.record, node.child("config")
    label = node.text("provider")
    provider = providers.get(label)
    if provider is None:
        hint = did_you_mean(label, providers)
        record.tell("AIG8108", "there is no such provider in this file", node.place("provider"), hint)
        return None
    kind = config.text("type") or provider.text("type")
    provider.usual("type", kind, why="what a target says of its provider's type counts", code="AIG8106")
    settings = provider.child("config")
    auth = settings.child("auth") if settings.raw("auth") is not None else settings
    auth.usual(
        "type", "basic", "azure", why="the language sends a key in a header, or an identity of Azure", code="AIG8107"
    )
    headers, params = auth.items("headers"), auth.items("params")
    below = auth.named(_AUTH)
    if params:
        below = params[0].named({"param_name": "name", "param_value": "value", "param_location": "location"}, below)
    if headers:
        below = headers[0].named({"header_name": "name", "header_value": "value"}, below)
    block = targets.Block(
        node,
        kind,
        provider.place("type"),
        node.text("name"),
        "",
        below,
        config.named(_OPTIONS, settings.named({"azure_instance": "instance"})),
        node.place("name"),
        ROUTE_TYPES[door],
    )
    found = targets.target(keeper, block, {provider_type(kind): label})
    return (found._replace(label=label), node.whole("weight")) if found else None


def provider_type(kind: str) -> str:
    """Return the type in the language of what Kong calls a provider."""
    return targets.TYPES.get(kind, kind)


def _base(node: Node, model: Model) -> str:
    """The base path of a model; what a client calls below it is another path."""
    route = node.child("config").child("route")
    written = route.texts("paths")
    path = written[0] if written else "/ai"
    at = route.place("paths") if written else node.at
    message = (
        f'clients call BASE/v1/chat/completions with the model "{model.name}"; in Kong it was BASE/chat/completions'
    )
    node.record.note("AIG8109", message, at)
    for field in (
        "methods",
        "headers",
        "snis",
        "regex_priority",
        "path_handling",
        "https_redirect_status_code",
        "name",
    ):
        if route.raw(field) is not None:
            route.record.alike("AIG8104", "routes are made from the names of models", route.place(field))
    models.quiet(route)
    return path.rstrip("/") if path.startswith("/") and path.isascii() else ""


def _access(kong: Kong, node: Node, route: str, strategies: Mapping[str, Node]) -> None:
    access = node.child("access")
    for key in ("identity_providers", "auth_strategies"):
        for index, name in enumerate(access.texts(key)):
            one = strategies.get(name)
            if one is None:
                hint = did_you_mean(name, strategies)
                node.record.tell(
                    "AIG8108", "there is no such identity provider in this file", access.place(key, index), hint
                )
                continue
            kong.plugins.append(Instance(one.text("type"), one, one.child("config"), Scope(route=route)))
    acls = access.child("acls")
    if acls.raw("allow") or acls.raw("deny"):
        kong.plugins.append(Instance("acl", acls, acls, Scope(route=route)))


def _others(root: Node) -> None:
    record = root.record
    for key, message in (
        ("mcp_servers", "MCP servers are reserved in the language, and come later"),
        ("agents", "agents are reserved in the language, and come later"),
        ("ca_certificates", "authorities are named where they are used: `tls.ca`"),
    ):
        for node in root.items(key):
            record.tell("AIG8103", message, node.at)
    stack: list[tuple[tuple[str | int, ...], Json]] = [((), record.source.data)]
    while stack:
        at, value = stack.pop()
        if isinstance(value, dict):
            for key in ("labels", "display_name", "description", "id", *(("name",) if "credentials" in at else ())):
                if len(at) in (2, 4) and value.get(key) is not None and "config" not in at and "tools" not in at:
                    message = "labels, descriptions and ids are not carried over"
                    if not record.covered((*at, key)):
                        record.alike("AIG8104", message, (*at, key))
            stack += [((*at, key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            stack += [((*at, index), inner) for index, inner in enumerate(value)]
