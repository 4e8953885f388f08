"""Kong's `llm` block, of a plugin or of a target, to a provider and a target of the spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from aigw_compile.diagnostic import Json, Pointer
from aigw_compile.importers.kong.secrets import Keeper
from aigw_compile.importers.record import Node, Record
from aigw_compile.providers import PROVIDERS, azure_base
from aigw_compile.units import derived_name

# Kong 3.9.3, llm/schemas/init.lua, llm/drivers/*.lua, and the published schemas of ai-proxy and ai-proxy-advanced up to 3.15.

TYPES: Mapping[str, str] = {
    "openai": "openai",
    "azure": "azure-openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "mistral": "mistral",
    "llama2": "openai-compatible",
    "xai": "xai",
    "dashscope": "dashscope",
    "deepseek": "deepseek",
    "ollama": "ollama",
    "vllm": "vllm",
}
"""What Kong calls a provider -> its type in the language; the others are of a dialect that is not in this version."""
DOORS = {"llm/v1/chat": "chat", "llm/v1/embeddings": "embeddings", "preserve": "embeddings"}
_TAILS = {"chat": "/chat/completions", "embeddings": "/embeddings"}
_OPTIONS = ("max_tokens", "temperature", "top_p", "top_k")
_COSTS = {
    "input_cost": "input",
    "output_cost": "output",
    "cache_read_cost": "cacheRead",
    "cache_write_cost": "cacheWrite",
}
_OPENAI = ("max_tokens", "temperature", "top_p", "top_k")
_CARRIED = {"anthropic": ("max_tokens", "temperature")}


class Provider(NamedTuple):
    """A provider without its name: what makes two of them one."""

    type: str
    fields: tuple[tuple[str, str], ...]
    """(field, value as text), so that providers can be compared."""
    body: dict[str, Json]


class Target(NamedTuple):
    """One `llm` block."""

    provider: Provider
    model: str
    door: str
    extra: dict[str, Json]
    """parameters, pricing."""
    node: Node
    alias: str = ""
    label: str = ""
    """What the file calls its provider."""


class Block(NamedTuple):
    """Where the parts of an `llm` block are: they stand otherwise in the entities of AI Gateway 2.0."""

    whole: Node
    kind: str
    """What Kong calls the provider."""
    kind_at: Pointer
    name: str
    alias: str
    auth: Node
    options: Node
    name_at: Pointer
    route_type: str


def block(node: Node) -> Block:
    """Return the parts of an `llm` block as the plugins have it."""
    model = node.child("model")
    return Block(
        node,
        model.text("provider"),
        model.place("provider"),
        model.text("name"),
        model.text("model_alias"),
        node.child("auth"),
        model.child("options"),
        model.place("name"),
        node.text("route_type"),
    )


def target(keeper: Keeper, b: Block, names: Mapping[str, str]) -> Target | None:
    """Return the target; None, and a finding, where the language has none like it. `names`: provider's type -> wish."""
    record = keeper.record
    kind = TYPES.get(b.kind)
    at = b.kind_at or b.whole.at
    if not b.kind:
        record.tell("AIG8113", "the file does not say which provider this is", b.whole.at, "write model.provider")
        return None
    if kind is None:
        known = ", ".join(TYPES)
        record.tell(
            "AIG8113", f"the language has no provider like Kong's {_word(b.kind)} yet", b.whole.at, f"known: {known}"
        )
        return None
    door = DOORS.get(b.route_type)
    if door is None or (b.route_type == "preserve" and not _embeds(b.options)):
        why = (
            "this kind of call is none that the language has"
            if b.route_type
            else "the file does not say the kind of call"
        )
        record.tell("AIG8113", why, b.whole.at, "llm/v1/chat and llm/v1/embeddings can be carried over")
        return None
    formats = {"llama2": "llama2_format", "mistral": "mistral_format"}
    if b.kind in formats:
        spoken = b.options.text(formats[b.kind])
        if spoken not in ("openai", ""):
            at = b.options.place(formats[b.kind])
            record.tell(
                "AIG8113", "the language has no provider that speaks this format", b.whole.at, "openai can be", [at]
            )
            return None
    vertex = b.options.child("gemini")
    if vertex.raw("project_id") or vertex.raw("api_endpoint"):
        record.tell("AIG8113", "the language has no Vertex AI yet", b.whole.at, "Gemini's own API can be carried over")
        return None
    name = b.name
    if "$(" in name:
        record.tell(
            "AIG8113", "a model whose name comes from the request cannot be carried over", b.whole.at, "name it"
        )
        return None
    address = _address(record, b, kind, door)
    if address is None:
        return None
    kind, base = address
    deployment = b.options.text("azure_deployment_id")
    if kind == "azure-openai":
        name = deployment or name
        if b.name and deployment and b.name != deployment:
            record.tell("AIG8104", "the name of a model of Azure is its deployment", b.name_at)
    elif deployment:
        record.tell("AIG8103", "a deployment is Azure's alone", b.options.place("azure_deployment_id"))
    provider = _provider(keeper, b, kind, base, names.get(kind, kind))
    return Target(provider, name or "*", door, _extra(b, kind), b.whole, b.alias)


def _word(text: str) -> str:
    return text if text.isascii() and len(text) <= 20 and text.replace("-", "").isalnum() else "provider"


def _embeds(options: Node) -> bool:
    url = options.raw("upstream_url")
    return isinstance(url, str) and url.rstrip("/").endswith("/embeddings")


def _address(record: Record, b: Block, kind: str, door: str) -> tuple[str, str] | None:
    """The type, and the base URL where it is none that the type has by itself; None: it cannot be said."""
    options = b.options
    url = options.text("upstream_url") or options.text("upstream_path")
    at = options.place("upstream_url")
    if not url:
        if kind in ("openai-compatible", "ollama", "vllm"):
            record.tell("AIG8113", "the file does not say where this server is", b.whole.at, "write upstream_url")
            return None
        return kind, ""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        split, port = urlsplit(""), None
    if split.scheme not in ("http", "https") or not split.hostname or "$(" in url or split.query or split.username:
        hint = "write the whole URL without a query, without templates"
        record.tell("AIG8113", "this address cannot be that of a provider", b.whole.at, hint, [at])
        return None
    tail = "/messages" if kind == "anthropic" else _TAILS[door]
    if kind == "azure-openai":
        tail = f"/openai/deployments/{options.raw('azure_deployment_id') or b.name}{tail}"
    path = split.path.rstrip("/")
    if kind == "gemini" or not path.endswith(tail):
        hint = f"an address that ends with {tail} can be carried over" if kind != "gemini" else "leave it out"
        record.tell("AIG8113", "the language has no provider under this path", b.whole.at, hint, [at])
        return None
    host = f"[{split.hostname}]" if ":" in split.hostname else split.hostname
    usual = 443 if split.scheme == "https" else 80
    base = f"{split.scheme}://{host}{'' if port in (None, usual) else f':{port}'}{path.removesuffix(tail)}"
    if kind in ("openai", "mistral", "openai-compatible"):
        of_type = [t for t, p in PROVIDERS.items() if p.base_url == base and p.dialect == "openai"]
        return (of_type[0], "") if of_type else ("openai-compatible", base)
    if kind == "azure-openai" and base == azure_base(str(options.raw("azure_instance") or "")):
        return kind, ""
    return kind, "" if PROVIDERS[kind].base_url == base else base


def _provider(keeper: Keeper, b: Block, kind: str, base: str, wish: str) -> Provider:
    known = PROVIDERS[kind]
    body: dict[str, Json] = {"type": kind}
    if base:
        body["baseUrl"] = base
    options, auth = b.options, b.auth
    if kind == "azure-openai":
        azure: dict[str, Json] = {"instance": options.text("azure_instance") or "fill-in"}
        azure["apiVersion"] = options.text("azure_api_version") or "2023-05-15"
        if not options.raw("azure_instance"):
            keeper.record.note("AIG8111", "the file names no instance of Azure: fill it in", options.at)
        body["azure"] = azure
    if kind == "anthropic":
        version = known.headers["anthropic-version"]
        options.usual("anthropic_version", version, why=f"the gateway sends anthropic-version {version}, not another")
    own = auth.raw("azure_client_secret") is not None and auth.raw("azure_use_managed_identity") is None
    entra = _entra(keeper, auth) if auth.flag("azure_use_managed_identity", False) or own else {}
    if entra:
        body["auth"] = {"azure": entra}
    elif header := auth.text("header_name").lower():
        prefix = known.auth_prefix if header == known.auth_header else ""
        wished = f"{wish}_API_KEY" if header == known.auth_header else f"{wish}_{header}"
        found = keeper.reference(auth, "header_value", wished, f"the key of {kind}", prefix)
        if found and header == known.auth_header and found.bare:
            body["auth"] = {"apiKey": found.ref}
        elif found:
            body["headers"] = {header: found.ref}
    if auth.raw("param_name"):
        places = [auth.place(k) for k in ("param_value", "param_location") if auth.raw(k) is not None]
        hint = f"its key goes into the header {known.auth_header}: put it into auth.apiKey"
        keeper.record.tell(
            "AIG8107", "the language sends no key as a parameter", auth.place("param_name"), hint, places
        )
    if known.needs_key and "auth" not in body and not body.get("headers"):
        variable = keeper.variable(f"{wish}_API_KEY", ("missing", kind, base))
        body["auth"] = {"apiKey": {"env": variable}}
        hint = f"the spec names {variable}: put the key there"
        keeper.record.note("AIG8111", f"the file holds no key for {kind}, and every call needs one", b.kind_at, hint)
    auth.usual("allow_override", False, why="clients cannot bring a provider's key of their own")
    auth.usual("gcp_use_service_account", False)
    return Provider(kind, tuple(sorted((k, repr(v)) for k, v in body.items())), body)


def _entra(keeper: Keeper, auth: Node) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, field in (("azure_tenant_id", "tenantId"), ("azure_client_id", "clientId")):
        if value := auth.text(key):
            found[field] = value
    secret = keeper.reference(auth, "azure_client_secret", "AZURE_CLIENT_SECRET", "the client secret of Azure")
    if secret:
        found["clientSecret"] = secret.ref
    return (
        found
        if secret
        else {"managedIdentity": True, **({"clientId": found["clientId"]} if "clientId" in found else {})}
    )


def _extra(b: Block, kind: str) -> dict[str, Json]:
    """Options beside the model: those of the language's `overrides`, and prices."""
    found: dict[str, Json] = {}
    overrides: dict[str, Json] = {}
    for key in _OPTIONS:
        value = b.options.number(key)
        if value is None:
            continue
        if key in _CARRIED.get(PROVIDERS[kind].dialect, _OPENAI):
            overrides[key] = value
        else:
            b.whole.record.tell("AIG8103", f"`{key}` does not reach this provider", b.options.place(key))
    if overrides:
        found["parameters"] = {"overrides": overrides}
    prices: dict[str, Json] = {}
    for key, field in _COSTS.items():
        value = b.options.number(key)
        if value is not None:
            prices[field] = value
    if prices:
        found["pricing"] = {"input": 0, "output": 0, **prices}
    return found


def named(providers: Iterable[Provider], wishes: Mapping[tuple[tuple[str, str], ...], str]) -> dict[object, str]:
    """Return a name for each provider: the one that was wished for, else its type, with a number where it is taken."""
    names: dict[object, str] = {}
    for provider in providers:
        if provider.fields in names:
            continue
        base = derived_name(wishes.get(provider.fields, "") or provider.type) or "provider"
        name, number = base, 2
        while name in names.values():
            name, number = f"{base}-{number}", number + 1
        names[provider.fields] = name
    return names
