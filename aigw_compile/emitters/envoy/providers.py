"""Providers to Envoy: the cluster that reaches one, and the filters that put its credential and secret headers on a call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import At, Block, at
from aigw_compile.emitters.envoy import tls, wire

_NO_LIMIT = 86400.0
_INJECTED = "envoy.extensions.http.injected_credentials."


def credentials(provider: ir.Provider) -> Iterator[Block]:
    """Yield a filter for each secret that a call of the provider carries in a header."""
    if provider.credential:
        ref = provider.credential
        yield _injector(ref.origin, "credential", provider.name, "", provider.auth_header, provider.auth_prefix)
    if provider.identity and provider.identity.client_secret:
        yield _entra(provider, provider.identity)
    for header in provider.own_headers:
        if isinstance(header.value, ir.SecretRef):
            name = f"header-{header.name}"
            yield _injector(header.origin, name, provider.name, f"header.{header.name}", header.name, "")


def secret_headers(provider: ir.Provider) -> Iterator[str]:
    """Yield the headers in which those secrets are, in small letters."""
    if provider.credential or provider.identity:
        yield provider.auth_header.lower() if provider.credential else "authorization"
    yield from (h.name.lower() for h in provider.own_headers if isinstance(h.value, ir.SecretRef))


def _injector(origin: Pointer, name: str, owner: str, part: str, header: str, prefix: str) -> Block:
    """A header from a file of its own that Envoy reads again when it is replaced."""
    fields: dict[str, Any] = {"credential": tls.sds(owner, part), "header": header}
    if prefix:
        fields["header_value_prefix"] = prefix
    kind = "envoy.http.injected_credentials.generic"
    return _filter(origin, name, wire.extension(origin, kind, _INJECTED + "generic.v3.Generic", fields))


def _filter(origin: Pointer, name: str, credential: Block) -> Block:
    kind = wire.HTTP + "credential_injector.v3.CredentialInjector"
    return wire.extension(origin, name, kind, {"overwrite": True, "credential": credential})


_ENTRA = "https://login.microsoftonline.com"
"""Microsoft identity platform, "OAuth 2.0 client credentials flow"; the scope is in the Azure OpenAI REST reference."""
_AZURE_SCOPE = "https://cognitiveservices.azure.com/.default"


def _entra(provider: ir.Provider, identity: ir.AzureIdentity) -> Block:
    """Tokens of an Entra application: Envoy fetches them and puts them into `authorization`."""
    fields = Block(
        identity.origin,
        {
            "token_endpoint": at(
                {
                    "uri": f"{_ENTRA}/{identity.tenant_id}/oauth2/v2.0/token",
                    "cluster": entra_cluster(provider),
                    "timeout": "5s",
                },
                (*identity.origin, "tenantId"),
            ),
            "scopes": [_AZURE_SCOPE],
            "client_credentials": {
                "client_id": identity.client_id,
                "client_secret": tls.sds(provider.name, "client-secret"),
                "auth_type": "URL_ENCODED_BODY",
            },
        },
    )
    kind = "envoy.http.injected_credentials.oauth2"
    credential = wire.extension(identity.origin, kind, _INJECTED + "oauth2.v3.OAuth2", fields)
    return _filter(identity.origin, "credential", credential)


def entra_cluster(provider: ir.Provider) -> str:
    return f"entra:{provider.name}"


def identities(gateway: ir.Gateway, ca_file: str) -> Iterator[Block]:
    """Yield the clusters from which tokens are fetched."""
    for provider in gateway.providers:
        if provider.identity and provider.identity.client_secret:
            yield remote_cluster(provider.identity.origin, entra_cluster(provider), _ENTRA, ca_file)


def provider_cluster(model: ir.Model, target: ir.Target, name: str, buffer: At, ca_file: str) -> Block:
    """Return the cluster of a target's provider."""
    provider = target.provider
    cluster = remote_cluster(provider.origin, name, provider.base_url, ca_file, provider.name, provider.tls)
    about = Block(provider.origin, {"provider": provider.name, "type": at(provider.type, (*provider.origin, "type"))})
    if provider.region:
        about["region"] = at(provider.region, (*provider.origin, "region"))
    cluster["metadata"] = {"filter_metadata": {"aigw": about}}
    cluster["load_assignment"] = at(cluster["load_assignment"], (*provider.origin, "baseUrl"))
    # Everywhere else Envoy takes 0 for no limit, as the language does; here it wants a number.
    connect = model.timeouts.connect or _NO_LIMIT
    cluster["connect_timeout"] = at(wire.duration(connect), model.timeouts.origin)
    cluster["per_connection_buffer_limit_bytes"] = buffer
    return cluster


def remote_cluster(
    origin: Pointer, name: str, url: str, ca_file: str, owner: str = "", client: ir.ClientTls | None = None
) -> Block:
    """Return a cluster for the host of a URL; https is checked against the system's CAs, or as `client` says."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    port = _port(parts.netloc) or (443 if secure else 80)
    cluster = Block(
        origin,
        {
            "name": name,
            "type": "STATIC" if tls.is_address(host) else "STRICT_DNS",
            "connect_timeout": "5s",
            "circuit_breakers": wire.BREAKERS,
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [
                    {
                        "lb_endpoints": [
                            {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
                        ]
                    }
                ],
            },
        },
    )
    if not tls.is_address(host):
        # Every address is an endpoint: a name like localhost must not stand for one where nobody listens as well.
        cluster["dns_lookup_family"] = "V4_PREFERRED"
    if secure:
        cluster["transport_socket"] = tls.upstream(client.origin if client else origin, host, ca_file, owner, client)
    return cluster


def _port(netloc: str) -> int:
    """The port of a URL, 0 for none. Not urlsplit's: that one raises where the number is too large, which a rule reports."""
    found = re.search(r":([0-9]+)$", netloc)
    return int(found[1]) if found else 0
