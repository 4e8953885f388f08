"""Rules about providers: addresses that cannot be right, keys that are missing, and headers that do not belong there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aigw_compile.diagnostic import Json, Pointer, Related, Severity
from aigw_compile.providers import PROVIDERS
from aigw_compile.rules.base import Finding, Findings, data_rule, entries

ENDPOINTS = ("/chat/completions", "/completions", "/messages", "/responses", "/embeddings")
"""Calls: the gateway adds them to a base URL by itself. (/models is none here: Azure AI Foundry has a base URL that ends so.)"""

WITH_VERSION = ("openai", "anthropic", "vllm")
"""Types whose servers have their API below /v1 (API references of OpenAI and Anthropic; vLLM's "OpenAI-Compatible Server")."""


@data_rule("AIG3005", "base-url-missing", Severity.ERROR)
def base_url_missing(data: Json) -> Findings:
    """A provider of this type has no address of its own, and the spec gives none.

    Types such as vllm and openai-compatible are servers that run anywhere.

    bad:
        providers: [{name: openai, type: vllm}]

    good:
        providers: [{name: openai, type: vllm, baseUrl: "http://127.0.0.1:8000/v1"}]
    """
    for at, provider in entries(data, ("spec", "providers")):
        known = PROVIDERS.get(kind) if isinstance(kind := provider.get("type"), str) else None
        if known and known.base_url is None and kind != "azure-openai" and "baseUrl" not in provider:
            message = f"a provider of type {kind} needs a `baseUrl`"
            yield Finding((*at, "type"), message, "add it, with the version: baseUrl: http://HOST:8000/v1")


def _base_urls(data: Json) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    for at, provider in entries(data, ("spec", "providers")):
        if isinstance(url := provider.get("baseUrl"), str) and re.match(r"https?://[^/]", url):
            yield (*at, "baseUrl"), url, str(provider.get("type"))


@data_rule("AIG3006", "base-url-malformed", Severity.ERROR)
def base_url_malformed(data: Json) -> Findings:
    """A base URL holds what does not belong there.

    The gateway adds the path of the call, such as `/chat/completions`, by itself. A user name or password does not
    belong into an address: the credential is `auth.apiKey`.

    bad:
        providers: [{name: openai, type: vllm, baseUrl: "http://127.0.0.1:8000/v1/chat/completions"}]

    good:
        providers: [{name: openai, type: vllm, baseUrl: "http://127.0.0.1:8000/v1"}]
    """
    for at, url, _ in _base_urls(data):
        authority, _, path = url.partition("://")[2].partition("/")
        ending = next((end for end in ENDPOINTS if f"/{path}".rstrip("/").endswith(end)), "")
        port = re.search(r":(\d*)$", authority)
        if ending:
            message = f'the gateway adds "{ending}" by itself: requests would go to a path that is not there'
            yield Finding(
                at, message, f"write {url.rstrip('/').removesuffix(ending)}" if "@" not in url else "leave it out"
            )
        if "@" in authority:
            yield Finding(at, "an address holds no user name or password", "put the credential into auth.apiKey")
        elif port and not 0 < int(port[1] or 0) < 65536:
            yield Finding(at, f'"{port[1]}" is no port', "ports go from 1 to 65535")


@data_rule("AIG3007", "base-url-without-version", Severity.WARNING)
def base_url_without_version(data: Json) -> Findings:
    """A base URL has no path, though this type of server has its API below /v1.

    `/chat/completions` or `/messages` is added to the base URL as it stands, so the server would answer 404.

    bad:
        providers: [{name: openai, type: vllm, baseUrl: "http://127.0.0.1:8000"}]

    good:
        providers: [{name: openai, type: vllm, baseUrl: "http://127.0.0.1:8000/v1"}]
    """
    for at, url, kind in _base_urls(data):
        if kind in WITH_VERSION and "/" not in url.partition("://")[2].rstrip("/"):
            call = "messages" if PROVIDERS[kind].dialect == "anthropic" else "chat/completions"
            message = f"requests would go to /{call}, and servers of type {kind} have it below /v1"
            yield Finding(at, message, "add /v1 to the address")


@data_rule("AIG3008", "provider-without-key", Severity.ERROR)
def provider_without_key(data: Json) -> Findings:
    """A provider that asks for a key has none.

    Every request to it would fail with 401. An azure-openai takes `auth.azure` as well. A secret in `headers` under the
    name of the key's header, which holds all of its value, is a key too.

    bad:
        providers: [{name: openai, type: openai}]

    good:
        providers: [{name: openai, type: openai, auth: {apiKey: {env: OPENAI_API_KEY}}}]
    """
    for at, provider in entries(data, ("spec", "providers")):
        known = PROVIDERS.get(kind) if isinstance(kind := provider.get("type"), str) else None
        auth = provider.get("auth")
        headers = provider.get("headers")
        whole = (
            known
            and isinstance(headers, dict)
            and any(
                str(name).lower() == known.auth_header and isinstance(value, dict) for name, value in headers.items()
            )
        )
        if known and known.needs_key and not whole and (auth is None or (isinstance(auth, dict) and not auth)):
            message = f"a provider of type {kind} needs a key: every request would fail with 401"
            hint = (
                f"add auth: {{apiKey: {{env: {str(kind).upper()}_API_KEY}}}}; a server of your own is openai-compatible"
            )
            yield Finding((*at, "type") if auth is None else (*at, "auth"), message, hint)


CREDENTIAL_HEADER = re.compile(
    r"(proxy-)?authorization|cookie|(x-)?(auth|amz-security|vault)-token|(.+-)?(api-?key|access-?key|access-token)"
    r"|(.+-)?(secret|password|client-secret)"
)
"""Headers whose value is a credential, by their own standard (RFC 9110, RFC 6265) or by the habit of their name."""

OF_THE_CONNECTION = ("host", "content-length", "content-type", "transfer-encoding", "connection", "te", "upgrade")
"""Headers that belong to the message or the connection (RFC 9110): whoever sends the request writes them."""


def _headers(data: Json) -> Iterator[tuple[Pointer, str, Json, dict[str, Json]]]:
    for at, provider in entries(data, ("spec", "providers")):
        headers = provider.get("headers")
        for name, value in headers.items() if isinstance(headers, dict) else ():
            yield (*at, "headers", name), str(name).lower(), value, provider


@data_rule("AIG4031", "credential-as-text", Severity.ERROR)
def credential_as_text(data: Json) -> Findings:
    """A header that carries a credential is written as text.

    A spec is kept in git and read by many. Such a header takes a reference to the secret, never the secret.

    bad:
        providers:
          - name: openai
            type: openai
            auth: {apiKey: {env: OPENAI_API_KEY}}
            headers: {X-Gateway-Api-Key: team-blue}

    good:
        providers:
          - name: openai
            type: openai
            auth: {apiKey: {env: OPENAI_API_KEY}}
            headers: {X-Gateway-Api-Key: {env: GATEWAY_KEY}}
    """
    for at, name, value, _ in _headers(data):
        if isinstance(value, str) and CREDENTIAL_HEADER.fullmatch(name):
            message = f"`{name}` carries a credential, which is never written down"
            yield Finding(at, message, "name where it is kept: {env: NAME}, {file: /path} or {vault: NAME, key: KEY}")


@data_rule("AIG3009", "header-of-the-gateway", Severity.ERROR)
def header_of_the_gateway(data: Json) -> Findings:
    """A provider's header is one that the gateway writes itself.

    The length and type of a body, the host and the connection are what they are, and the header of the key is made from
    `auth`. A second value would contradict the first.

    bad:
        providers:
          - name: openai
            type: openai
            auth: {apiKey: {env: OPENAI_API_KEY}}
            headers: {Authorization: {env: OTHER_KEY}}

    good:
        providers:
          - name: openai
            type: openai
            auth: {apiKey: {env: OPENAI_API_KEY}}
            headers: {OpenAI-Organization: org-research}
    """
    for at, name, value, provider in _headers(data):
        known = PROVIDERS.get(kind) if isinstance(kind := provider.get("type"), str) else None
        if name in OF_THE_CONNECTION:
            yield Finding(at, f"the gateway writes `{name}` itself", "delete it", on_key=True)
        elif known and name == known.auth_header and provider.get("auth") and not isinstance(value, str):
            message = f"`{name}` is made from `auth`: there cannot be a second one"
            yield Finding(at, message, "keep one of the two", (Related("auth", (*at[:-2], "auth")),), on_key=True)


@data_rule("AIG4032", "tls-without-https", Severity.WARNING)
def tls_without_https(data: Json) -> Findings:
    """A provider has `tls` settings and an address without TLS.

    They read as if the way were encrypted. It is not: the address begins with http.

    bad:
        providers:
          - {name: openai, type: vllm, baseUrl: "http://127.0.0.1:8000/v1", tls: {ca: {file: /run/secrets/ca.crt}}}

    good:
        providers:
          - {name: openai, type: vllm, baseUrl: "https://vllm.internal/v1", tls: {ca: {file: /run/secrets/ca.crt}}}
    """
    for at, provider in entries(data, ("spec", "providers")):
        url = provider.get("baseUrl")
        if isinstance(url, str) and url.startswith("http://") and isinstance(provider.get("tls"), dict):
            related = (Related("its address", (*at, "baseUrl")),)
            yield Finding(
                (*at, "tls"), "its address is plain HTTP: this is never used", "use https://", related, on_key=True
            )


@data_rule("AIG3090", "instance-not-used", Severity.WARNING)
def instance_not_used(data: Json) -> Findings:
    """An Azure OpenAI resource is named, and its address is another one.

    The address is made from `azure.instance`, unless `baseUrl` says another: then the name of the resource means nothing.

    bad:
        providers:
          - name: openai
            type: azure-openai
            baseUrl: https://ai.example.com
            auth: {apiKey: {env: OPENAI_API_KEY}}
            azure: {instance: eu-resource}

    good:
        providers:
          - {name: openai, type: azure-openai, auth: {apiKey: {env: OPENAI_API_KEY}}, azure: {instance: eu-resource}}
    """
    for at, provider in entries(data, ("spec", "providers")):
        azure = provider.get("azure")
        if "baseUrl" in provider and isinstance(azure, dict) and "instance" in azure:
            hint = "delete `baseUrl`, so that the address is the resource's own, or accept that the name is a comment"
            yield Finding((*at, "azure", "instance"), "`baseUrl` decides: this resource is not called", hint)
