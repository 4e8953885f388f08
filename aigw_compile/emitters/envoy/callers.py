"""Authentication to Envoy's filters: which header decides, API keys and passwords, tokens, and who the caller is then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at
from aigw_compile.emitters.envoy import tls, wire
from aigw_compile.emitters.envoy.providers import remote_cluster

CONSUMER_HEADER, KEY_HEADER, TOKEN_HEADER, KEYS = "x-aigw-consumer", "x-aigw-key", "x-aigw-token", "client-keys"
_JWT = wire.HTTP + "jwt_authn.v3.JwtAuthentication"
_API_KEY = wire.HTTP + "api_key_auth.v3.ApiKeyAuth"
_MATCHED = "envoy.extensions.common.matching.v3.ExtensionWithMatcher"
_NAME = "authorization"
"""The header of tokens and passwords, and of keys where it is among their headers."""


CHALLENGED = (("spec", "auth"), ("metadata", "name"))
"""What a challenge is made from."""


def asked(gateway: ir.Gateway) -> ir.Auth | None:
    """Return the doors that are open; None where nobody is asked who they are."""
    auth = gateway.auth
    return auth if auth and not auth.anonymous else None


def with_keys(auth: ir.Auth) -> bool:
    """Say whether a key or a password can open the door: both are looked up by the same filter."""
    return bool(auth.api_key_headers) or auth.basic


def filters(auth: ir.Auth, *, apart: Sequence[Pointer]) -> Iterator[Block]:
    """Yield the filters of step 3, in their order; request.lua finds the caller by itself unless that is done `apart`."""
    yield wire.lua(auth.origin, "key", "json", "reply", "key")
    if auth.jwt:
        yield _jwt(auth)
    if with_keys(auth):
        yield _client_keys(auth)
    if apart:
        yield wire.lua(apart[0], "caller", "reply", "caller", "apart")


def key_data(gateway: ir.Gateway, auth: ir.Auth) -> Block:
    """Return what key.lua knows."""
    headers = [*auth.api_key_headers]
    if (auth.jwt or auth.basic) and _NAME not in headers:
        headers.append(_NAME)
    key = Block(auth.origin, {"headers": headers, "keys": dict.fromkeys(auth.api_key_headers, True)})
    key["basic"] = auth.basic
    key["challenge"] = at(challenge(gateway, auth), *CHALLENGED)
    if auth.jwt:
        key["issuers"] = {j.issuer: True for j in auth.jwt}
    return key


def caller_data(gateway: ir.Gateway, auth: ir.Auth) -> Block:
    """Return what caller.lua knows."""
    groups = {g.name: g.origin for g in gateway.consumer_groups}
    return Block(
        auth.origin,
        {
            "consumers": Block(("spec", "consumers"), {c.name: _groups(c, groups) for c in gateway.consumers}),
            "groups": at(dict.fromkeys(known_groups(gateway), True), *((*o, "name") for o in groups.values())),
            "tokens": bool(auth.jwt),
            "issuers": {j.name: _issuer(j) for j in auth.jwt},
            "challenge": at(challenge(gateway, auth), *CHALLENGED),
        },
    )


def challenge(gateway: ir.Gateway, auth: ir.Auth) -> str:
    """Return what a 401 asks for (RFC 9110, section 11.6.1); no scheme is registered for a key in a header of its own."""
    realm = f'realm="{gateway.name}"'
    schemes = [f"Bearer {realm}"] if auth.jwt or _NAME in auth.api_key_headers else []
    schemes += [f'Basic {realm}, charset="UTF-8"'] if auth.basic else []
    return ", ".join(schemes or [f"Key {realm}"])


def known_groups(gateway: ir.Gateway) -> list[str]:
    """Return every group that the spec speaks of: a token's other groups mean nothing here."""
    found = {g.name: None for g in gateway.consumer_groups}
    found |= {name: None for c in gateway.consumers for name in c.groups}
    for model in gateway.models:
        for who in (model.access.allow, model.access.deny) if model.access else ():
            found |= dict.fromkeys(who.groups if who else ())
    return [*found]


def most_groups(gateway: ir.Gateway) -> int:
    """Return of how many groups a caller can be."""
    if gateway.auth and any(j.groups_claim for j in gateway.auth.jwt):
        return max(len(known_groups(gateway)), 1)
    return max((len(c.groups) for c in gateway.consumers), default=1) or 1


def _groups(consumer: ir.Consumer, defined: dict[str, Any]) -> Any:
    """The consumer's groups: those that are defined in the order of their definition, then the others."""
    own = {name: origin for name, origin in defined.items() if name in consumer.groups}
    names = [*own, *(name for name in consumer.groups if name not in own)]
    return at(names, consumer.origin, *((*origin, "name") for origin in own.values()))


def _issuer(j: ir.Jwt) -> Block:
    body = Block(j.origin, {"consumer": at(j.consumer_claim, (*j.origin, "consumerClaim"))})
    if j.unknown_consumer == "accept":
        body["accept"] = at(True, (*j.origin, "unknownConsumer"))
    if j.groups_claim:
        body["groups"] = at(j.groups_claim, (*j.origin, "groupsClaim"))
    if j.group_map:
        body["map"] = at(dict(j.group_map), (*j.origin, "groupMap"))
    return body


def _jwt(auth: ir.Auth) -> Block:
    """The filter that checks the token which key.lua has found; a request without one passes it."""
    providers = {j.name: _provider(j) for j in auth.jwt}
    names: list[dict[str, Any]] = [{"provider_name": j.name} for j in auth.jwt]
    present = {"prefix": "/", "headers": [{"name": TOKEN_HEADER, "present_match": True}]}
    requires = names[0] if len(names) == 1 else {"requires_any": {"requirements": names}}
    rule = {"match": present, "requires": requires}
    return wire.extension(auth.origin, "envoy.filters.http.jwt_authn", _JWT, {"providers": providers, "rules": [rule]})


def _provider(j: ir.Jwt) -> Block:
    fields = Block(
        j.origin,
        {
            "issuer": at(j.issuer, (*j.origin, "issuer")),
            "remote_jwks": at(
                {
                    "http_uri": {"uri": j.jwks_uri, "cluster": _cluster(j), "timeout": "5s"},
                    "cache_duration": "300s",
                    "async_fetch": {"fast_listener": True},
                },
                (*j.origin, "jwksUri"),
            ),
            "from_headers": [{"name": TOKEN_HEADER}],
            "forward": True,
            "payload_in_metadata": j.name,
        },
    )
    if j.audiences:
        fields["audiences"] = at([*j.audiences], (*j.origin, "audiences"))
    return fields


def _cluster(j: ir.Jwt) -> str:
    return f"jwks:{j.name}"


def clusters(gateway: ir.Gateway, ca_file: str) -> Iterator[Block]:
    """Yield the clusters from which the keys of issuers are fetched."""
    for j in gateway.auth.jwt if gateway.auth else ():
        yield remote_cluster((*j.origin, "jwksUri"), _cluster(j), j.jwks_uri, ca_file)


def _client_keys(auth: ir.Auth) -> Block:
    """The api_key_auth filter comes from a file of its own, so that keys change while Envoy runs."""
    urls = [wire.type_url(_MATCHED if auth.jwt else _API_KEY)]
    source = {"config_source": tls.watched(tls.CLIENT_KEYS), "type_urls": urls}
    return Block(auth.origin, {"name": KEYS, "config_discovery": source})


def key_filter(auth: ir.Auth, credentials: list[Any]) -> Block:
    """Return what stands in the file of client keys: the filter, for requests without a token."""
    fields: dict[str, Any] = {
        "credentials": credentials,
        "key_sources": [{"header": KEY_HEADER}],
        "forwarding": {"header": CONSUMER_HEADER, "hide_credentials": True},
    }
    keys = wire.typed(auth.origin, _API_KEY, fields)
    if not auth.jwt:
        return keys
    header = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
    skip = "envoy.extensions.filters.common.matcher.action.v3.SkipFilter"
    token = {
        "input": wire.extension(auth.origin, "token", header, {"header_name": TOKEN_HEADER}),
        "value_match": {"safe_regex": {"google_re2": {}, "regex": ".+"}},
    }
    chosen = {"predicate": {"single_predicate": token}, "on_match": {"action": wire.extension((), "skip", skip)}}
    return wire.typed(
        auth.origin,
        _MATCHED,
        {
            "extension_config": {"name": KEYS, "typed_config": keys},
            "xds_matcher": {"matcher_list": {"matchers": [chosen]}},
        },
    )
