"""A model to its tiers: one internal listener for a priority that retries, one for each target, and the providers' clusters."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from aigw_compile import ir
from aigw_compile.document import Block, at
from aigw_compile.emitters.envoy import wire

_DIALECTS = {"openai": (), "anthropic": ("anthropic_request", "anthropic_reply")}
"""Dialect of a provider -> the assets that translate from the client's and back."""
_DOORS = {"openai": "/chat/completions", "anthropic": "/messages"}


class Tiers(NamedTuple):
    """What stands behind the route of a model."""

    clusters: tuple[str, ...]
    """One for each priority, the first to be tried first."""
    listeners: list[Block]
    definitions: list[Block]


def tiers(model: ir.Model, buffer: int, ca_file: str) -> Tiers:
    """Return the listeners and clusters of a model; `buffer` is in bytes."""
    listeners: list[Block] = []
    definitions: list[Block] = []
    names: list[str] = []
    for targets in model.priorities():
        number = targets[0].priority
        name = f"priority:{model.name}:{number}"
        items = []
        for target in targets:
            listeners.append(_target(model, target, buffer))
            definitions.append(_provider_cluster(model, target, buffer, ca_file))
            item = {
                "listener": f"target:{model.name}:{target.name}",
                "weight": at(target.weight, (*target.origin, "weight")),
            }
            items.append(Block(target.origin, item))
        origin = targets[0].origin
        if model.retries.attempts:
            tries = f"tries:{model.name}:{number}"
            definitions.append(wire.internal_cluster(origin, tries, buffer, items))
            listeners.append(_priority(model, name, tries, len(targets), buffer))
            items = [Block(origin, {"listener": name, "weight": 1})]
        definitions.append(wire.internal_cluster(origin, name, buffer, items))
        names.append(name)
    return Tiers(tuple(names), listeners, definitions)


def _priority(model: ir.Model, name: str, cluster: str, targets: int, buffer: int) -> Block:
    """The tier that tries again inside one priority."""
    retries = model.retries
    policy = Block(
        retries.origin,
        {
            **wire.on_causes(retries.on),
            "num_retries": retries.attempts,
            "retry_back_off": {
                # Envoy wants a pause, and the first no longer than the longest.
                "base_interval": wire.duration(max(min(retries.backoff_base, retries.backoff_max), 0.001)),
                "max_interval": wire.duration(max(retries.backoff_max, 0.001)),
            },
        },
    )
    if targets > 1:
        previous = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
        policy["retry_host_predicate"] = [
            wire.extension(retries.origin, "envoy.retry_host_predicates.previous_hosts", previous)
        ]
        policy["host_selection_retry_max_attempts"] = 10
    route = {"cluster": cluster, "timeout": "0s", "idle_timeout": "0s", "retry_policy": policy}
    virtual_host = {
        "name": "all",
        "domains": ["*"],
        "request_body_buffer_limit": buffer,
        "response_headers_to_add": wire.header_values({"x-aigw-tries": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"}),
        "routes": [{"match": {"prefix": "/"}, "route": route}],
    }
    manager = wire.manager(
        retries.origin, name, {**_inner(model, name, virtual_host), "http_filters": [wire.router(retries.origin)]}
    )
    return wire.internal_listener(retries.origin, name, buffer, manager)


def _target(model: ir.Model, target: ir.Target, buffer: int) -> Block:
    """The tier that speaks to one provider: path, host, headers, model name, key, dialect, and the cause of a failure."""
    provider, timeouts, name = target.provider, model.timeouts, f"target:{model.name}:{target.name}"
    url = urlsplit(provider.base_url)
    base = (*provider.origin, "baseUrl")
    rewrite = {
        "pattern": {"regex": "^.*$"},
        "substitution": (url.path + _DOORS[provider.dialect]).replace("\\", "%5C"),
    }
    route = Block(
        timeouts.origin,
        {
            "cluster": f"provider:{model.name}:{target.name}",
            "host_rewrite_literal": at(url.netloc.rpartition("@")[2], base),
            "regex_rewrite": at(rewrite, base),
            "timeout": "0s",
            "idle_timeout": wire.duration(timeouts.idle),
            "retry_policy": {
                "num_retries": 0,
                "retry_on": "retriable-headers",
                "per_try_timeout": wire.duration(timeouts.first_byte),
            },
        },
    )
    data = Block(
        target.origin,
        {
            "target": target.name,
            "model": at(target.model, (*target.origin, "model")),
            "headers": dict(provider.headers),
        },
    )
    virtual_host = {
        "name": "all",
        "domains": ["*"],
        "response_headers_to_remove": list(wire.ENDED_HERE),
        "routes": [
            Block(
                target.origin,
                {
                    "match": {"prefix": "/"},
                    "route": route,
                    "typed_per_filter_config": {"target": wire.lua_data(target.origin, name, data)},
                },
            )
        ],
    }
    filters = [wire.lua(target.origin, "target", "json", "reply", *_DIALECTS[provider.dialect], "target")]
    if provider.credential:
        filters.append(_credential(provider, provider.credential))
    filters.append(wire.router(target.origin))
    manager = wire.manager(target.origin, name, {**_inner(model, target.name, virtual_host), "http_filters": filters})
    return wire.internal_listener(target.origin, name, buffer, manager)


def _inner(model: ir.Model, name: str, virtual_host: dict[str, Any]) -> dict[str, Any]:
    """What the managers of both inner tiers share: no deadline of their own, and a cause for Envoy's own answers."""
    details = "response.code_details"
    body = wire.error_text("api_error", "upstream_error", "The provider failed.")
    own = {"x-aigw-target": header_value(name)}
    mappers = [
        # `connection_timeout` is a failure to connect, so that it stands first.
        wire.local_reply(model.origin, when, 503, body, {**own, "x-aigw-cause": cause})
        for when, cause in (
            (f"response.code >= 500 && {details}.contains('connect')", "connect-failure"),
            (f"response.code >= 408 && {details}.contains('timeout')", "timeout"),
            (f"response.code >= 500 && {details} != 'lua_response'", "connect-failure"),
        )
    ]
    return {
        "generate_request_id": False,
        "stream_idle_timeout": "0s",
        # A stream that breaks off is cut at once: waiting for a peer makes sense only where one is far away.
        "delayed_close_timeout": "0s",
        "local_reply_config": {"mappers": mappers},
        "route_config": {"name": "inner", "virtual_hosts": [virtual_host]},
    }


def header_value(text: str) -> str:
    return wire.header_safe(text).replace("%", "%%")


def _credential(provider: ir.Provider, ref: ir.SecretRef) -> Block:
    """The provider's key, from a file of its own that Envoy reads again when it is replaced."""
    generic = "envoy.extensions.http.injected_credentials.generic.v3.Generic"
    source = {
        "name": provider.name,
        "sds_config": {
            "path_config_source": {
                "path": secret_file(provider.name),
                "watched_directory": {"path": "secrets"},
            },
            "resource_api_version": "V3",
        },
    }
    fields: dict[str, Any] = {"credential": source, "header": provider.auth_header}
    if provider.auth_prefix:
        fields["header_value_prefix"] = provider.auth_prefix
    injected = wire.extension(ref.origin, "envoy.http.injected_credentials.generic", generic, fields)
    kind = wire.HTTP + "credential_injector.v3.CredentialInjector"
    return wire.extension(ref.origin, "credential", kind, {"overwrite": True, "credential": injected})


_NO_LIMIT = 86400.0
CLIENT_KEYS = "secrets/client-keys.yaml"


def secret_file(provider: str) -> str:
    """Return where the key of a provider stands, seen from the folder of envoy.yaml."""
    path = f"secrets/{provider}.yaml"
    return path if path != CLIENT_KEYS else f"secrets/{provider}.provider.yaml"


def _provider_cluster(model: ir.Model, target: ir.Target, buffer: int, ca_file: str) -> Block:
    provider, name = target.provider, f"provider:{model.name}:{target.name}"
    cluster = remote_cluster(provider.origin, name, provider.base_url, ca_file)
    about = Block(provider.origin, {"provider": provider.name, "type": at(provider.type, (*provider.origin, "type"))})
    cluster["metadata"] = {"filter_metadata": {"aigw": about}}
    cluster["load_assignment"] = at(cluster["load_assignment"], (*provider.origin, "baseUrl"))
    # Everywhere else Envoy takes 0 for no limit, as the language does; here it wants a number.
    connect = model.timeouts.connect or _NO_LIMIT
    cluster["connect_timeout"] = at(wire.duration(connect), model.timeouts.origin)
    cluster["per_connection_buffer_limit_bytes"] = buffer
    return cluster


def remote_cluster(origin: tuple[str | int, ...], name: str, url: str, ca_file: str) -> Block:
    """Return a cluster for the host of a URL; https is checked against the system's CAs and the name of the host."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    port = _port(parts.netloc) or (443 if secure else 80)
    cluster = Block(
        origin,
        {
            "name": name,
            "type": "STATIC" if _is_address(host) else "STRICT_DNS",
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
    if not _is_address(host):
        # Every address is an endpoint: a name like localhost must not stand for one where nobody listens as well.
        cluster["dns_lookup_family"] = "V4_PREFERRED"
    if secure:
        san_type = "IP_ADDRESS" if _is_address(host) else "DNS"
        validation = {
            "trusted_ca": {"filename": ca_file},
            "match_typed_subject_alt_names": [{"san_type": san_type, "matcher": {"exact": host}}],
        }
        context = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
        fields: dict[str, Any] = {"common_tls_context": {"validation_context": validation}}
        if not _is_address(host):
            fields = {"sni": host, **fields}
        cluster["transport_socket"] = wire.extension(origin, "tls", context, fields)
    return cluster


def _port(netloc: str) -> int:
    """The port of a URL, 0 for none. Not urlsplit's: that one raises where the number is too large, which a rule reports."""
    found = re.search(r":([0-9]+)$", netloc)
    return int(found[1]) if found else 0


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
