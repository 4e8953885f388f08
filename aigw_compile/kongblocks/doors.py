"""How callers say who they are, to Kong's plugins of authentication; several of them are an "or" by way of a consumer nobody is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aigw_compile import ir
from aigw_compile.document import Block, at
from aigw_compile.kongblocks.edition import Edition
from aigw_compile.kongblocks.names import TAG
from aigw_compile.kongblocks.plugin import Plugin, make
from aigw_compile.plan import Plan, edges

AUTH = ("spec", "auth")


def open_doors(gateway: ir.Gateway, plan: Plan, edition: Edition) -> tuple[str, ...]:
    """Return the doors that are made. Where the only one is lost nobody gets in: key-auth stands, and there is no key."""
    if gateway.auth is None or gateway.auth.anonymous:
        return ()
    lost = {"apiKey": False, "basic": plan.lost((*AUTH, "basic"))}
    lost["jwt"] = not edition.advanced or all(plan.lost(j.origin) for j in gateway.auth.jwt)
    return tuple(d for d in edges.doors(gateway.auth) if not lost[d]) or ("apiKey",)


def authentication(gateway: ir.Gateway, plan: Plan, edition: Edition) -> Iterator[Plugin]:
    """Yield the plugins of authentication, for every route. Defaults that differ by version are written out."""
    doors = open_doors(gateway, plan, edition)
    makers = {"apiKey": _keys, "basic": _passwords, "jwt": _tokens}
    fallback = nobody(gateway) if len(doors) > 1 else ""
    for door in doors:
        name, instance, config = makers[door](gateway, plan, edition)
        if fallback:
            config["anonymous"] = fallback
        issuers = (
            [(f"issuer: {j.name}", j.origin) for j in gateway.auth.jwt[:1]] if door == "jwt" and gateway.auth else []
        )
        yield make(name, f"{gateway.name}-{instance}", config, tags=issuers)
    if fallback:
        # After the doors (ip-restriction is 990, they are over 1000) and before all that costs anything.
        refused = {"deny": [*edges.NOBODY], "status": 401, "message": "Unauthorized"}
        yield make("ip-restriction", f"{gateway.name}-nobody", Block(AUTH, refused), "", fallback)


def nobody(gateway: ir.Gateway) -> str:
    """Return the name of the consumer that a call without a good credential has: none of the spec's."""
    taken = {c.name for c in gateway.consumers}
    return next(n for n in ("nobody", *(f"nobody-{i}" for i in range(2, len(taken) + 3))) if n not in taken)


def nobodies(gateway: ir.Gateway, plan: Plan, edition: Edition) -> Iterator[Block]:
    """Yield that consumer, where there are several doors."""
    if len(open_doors(gateway, plan, edition)) > 1:
        yield Block(AUTH, {"username": nobody(gateway), "tags": [TAG]})


def _keys(gateway: ir.Gateway, plan: Plan, edition: Edition) -> tuple[str, str, Block]:
    assert gateway.auth
    names = [*gateway.auth.api_key_headers] or ["authorization"]
    fields = {
        "key_names": at(names, (*AUTH, "apiKey", "headers")),
        "key_in_header": True,
        "key_in_query": False,
        "key_in_body": False,
        "hide_credentials": True,
        "run_on_preflight": True,
    }
    return "key-auth", "keys", Block(gateway.auth.origin, fields)


def _passwords(gateway: ir.Gateway, plan: Plan, edition: Edition) -> tuple[str, str, Block]:
    return "basic-auth", "passwords", Block((*AUTH, "basic"), {"hide_credentials": True, "realm": gateway.name})


def _tokens(gateway: ir.Gateway, plan: Plan, edition: Edition) -> tuple[str, str, Block]:
    """One instance runs, and it believes one issuer. Where it takes no address of keys, it is told not to look for any."""
    assert gateway.auth
    issuer = next(j for j in gateway.auth.jwt if not plan.lost(j.origin))
    keys: dict[str, Any] = {"using_pseudo_issuer": True, "extra_jwks_uris": [issuer.jwks_uri]}
    named: dict[str, Any] = {"consumer_claim": [issuer.consumer_claim]}
    if "jwks-endpoint" in edition.has:
        keys, named = {"jwks_endpoint": issuer.jwks_uri}, {"consumer_claims": [[issuer.consumer_claim]]}
    fields = {
        "issuer": issuer.issuer,
        "issuers_allowed": [issuer.issuer],
        **keys,
        "auth_methods": ["bearer"],
        "bearer_token_param_type": ["header"],
        **named,
        "consumer_by": ["username"],
        "consumer_optional": issuer.unknown_consumer == "accept",
        "credential_claim": [issuer.consumer_claim],
        "hide_credentials": True,
        "run_on_preflight": True,
        "ssl_verify": True,
        "verify_claims": True,
        "verify_signature": True,
    }
    if issuer.audiences:
        fields["audience_required"] = [*issuer.audiences]
    return "openid-connect", "issuer", Block(issuer.origin, fields)


def credential_prefixes(gateway: ir.Gateway) -> tuple[str, ...]:
    """Return what stands before a consumer's key in the credentials: key-auth compares a header as a whole.

    `authorization` carries `Bearer KEY`, any other header the key alone; a gateway with both has two credentials a key.
    """
    headers = gateway.auth.api_key_headers if gateway.auth else ()
    return tuple(dict.fromkeys("Bearer " if h == "authorization" else "" for h in headers))
