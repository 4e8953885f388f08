"""The credentials that a gateway asks for to secrets.json: where each is kept, and the files that Envoy reads them from."""

from __future__ import annotations

from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, Document
from aigw_compile.emitters.common import secret_ref
from aigw_compile.emitters.envoy import wire
from aigw_compile.emitters.envoy.listener import CONSUMER_HEADER, KEY_HEADER, KEYS
from aigw_compile.emitters.envoy.tiers import CLIENT_KEYS, secret_file


def secrets(gateway: ir.Gateway) -> Document:
    """Return secrets.json: an SDS file for each provider's key, and the client keys as one api_key_auth filter (ECDS)."""
    found = Block(gateway.origin)
    files: list[Block] = []
    for provider in gateway.providers:
        if provider.credential:
            name = f"providers.{provider.name}"
            found[name] = _asked(
                provider.credential, f"provider {provider.name}", f"providers[{provider.name}].auth.apiKey"
            )
            files.append(_provider_file(provider, provider.credential.origin, name))
    credentials: list[Any] = []
    for consumer in gateway.consumers:
        for number, credential in enumerate(consumer.credentials):
            name = f"consumers.{consumer.name}.{number}"
            place = f"consumers[{consumer.name}].credentials[{number}].apiKey"
            found[name] = _asked(credential.api_key, f"consumer {consumer.name} key {number}", place)
            credentials.append(Block(credential.origin, {"key": {"$secret": name}, "client": consumer.name}))
    if gateway.auth and gateway.auth.api_key_headers:
        files.append(_client_keys(gateway.auth, credentials))
    body = {"version": 1, "gateway": gateway.name, "target": "envoy", "secrets": found, "files": files}
    return Document("secrets.json", Block(gateway.origin, body))


def _asked(ref: ir.SecretRef, what: str, place: str) -> Block:
    return Block(ref.origin, {"ref": secret_ref(ref), "for": what, "place": place})


def _provider_file(provider: ir.Provider, origin: Pointer, secret: str) -> Block:
    kind = "envoy.extensions.transport_sockets.tls.v3.Secret"
    value = {"secret": {"inline_string": {"$secret": secret}}}
    resource = wire.typed(origin, kind, {"name": provider.name, "generic_secret": value})
    return Block(origin, {"path": secret_file(provider.name), "body": {"resources": [resource]}})


def _client_keys(auth: ir.Auth, credentials: list[Any]) -> Block:
    origin = auth.origin
    fields: dict[str, Any] = {
        "credentials": credentials,
        "key_sources": [{"header": KEY_HEADER}],
        "forwarding": {"header": CONSUMER_HEADER, "hide_credentials": True},
    }
    keys = wire.typed(origin, wire.HTTP + "api_key_auth.v3.ApiKeyAuth", fields)
    resource = wire.typed(origin, "envoy.config.core.v3.TypedExtensionConfig", {"name": KEYS, "typed_config": keys})
    return Block(origin, {"path": CLIENT_KEYS, "body": {"resources": [resource]}})
