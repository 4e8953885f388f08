"""Rules about the front door: who may come in, and whether anybody can."""

from __future__ import annotations

from aigw_compile import ir
from aigw_compile.diagnostic import Json, Pointer, Related, Severity, value_at
from aigw_compile.policies.limits import Limit
from aigw_compile.rules.base import Finding, Findings, data_rule, entries, gateway_rule

AUTH: Pointer = ("spec", "auth")

NO_PLACE_FOR_A_KEY = (
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "transfer-encoding",
    "user-agent",
)
"""Headers that nearly every request carries for another purpose (RFC 9110, RFC 6265)."""


def is_loopback(address: str) -> bool:
    """Say whether a listener's address can be reached from this machine alone."""
    return address == "::1" or address.startswith("127.")


def _credentials(data: Json) -> list[Pointer]:
    return [place for at, _ in entries(data, ("spec", "consumers")) for place, _ in entries(data, (*at, "credentials"))]


@data_rule("AIG4002", "no-auth", Severity.ERROR)
def no_auth(data: Json) -> Findings:
    """The spec does not say who may call.

    Without authentication everybody who reaches the port spends your money at the provider. That is never a default:
    say `auth: {apiKey: {}}` and give consumers keys, or `auth: {anonymous: true}` if everybody is meant.

    bad:
        auth: null

    good:
        auth: {anonymous: true}
        consumers: null
    """
    spec = value_at(("spec",), data)
    whole = value_at(("kind",), data) != "AIGatewayConfig"  # a part need not say it
    if whole and isinstance(spec, dict) and "auth" not in spec:
        hint = "choose: `auth: {apiKey: {}}` with a key for each consumer, or `auth: {anonymous: true}` for everybody"
        yield Finding(AUTH, "this gateway does not say who may call", hint)


@data_rule("AIG4007", "anonymous-with-consumers", Severity.ERROR)
def anonymous_with_consumers(data: Json) -> Findings:
    """Consumers or access rules stand in a gateway that never knows who calls.

    With `anonymous: true` no key is read, so no caller is ever a consumer: their limits and guards, and `access`, do not
    act as they read. Ask for keys, or take the consumers away.

    bad:
        auth: {anonymous: true}

    good:
        auth: {anonymous: true}
        consumers: null
    """
    if value_at((*AUTH, "anonymous"), data) is not True:
        return
    hint = "ask for keys with `auth: {apiKey: {}}`, or take this away"
    for part in ("consumers", "consumerGroups"):
        if value_at(("spec", part), data):
            message = f"with `anonymous: true` no caller is known: these {part} are never recognised"
            yield Finding(("spec", part), message, hint, (Related("anonymous", (*AUTH, "anonymous")),), on_key=True)
    for at, model in entries(data, ("spec", "models")):
        if model.get("access"):
            message = "with `anonymous: true` no caller is known: `access` cannot tell them apart"
            yield Finding((*at, "access"), message, hint, (Related("anonymous", (*AUTH, "anonymous")),), on_key=True)


@data_rule("AIG4008", "nobody-has-a-key", Severity.ERROR)
def nobody_has_a_key(data: Json) -> Findings:
    """Keys are asked for, and no consumer has one.

    Every request would be refused with 401.

    bad:
        consumers: null

    bad:
        consumers: [{name: app}]

    good:
        consumers: [{name: app, credentials: [{apiKey: {env: APP_KEY}}]}]
    """
    if isinstance(value_at((*AUTH, "apiKey"), data), dict) and not _credentials(data):
        hint = "add one: consumers: [{name: app, credentials: [{apiKey: {env: APP_KEY}}]}]"
        message = "no consumer has a key, so every request is refused with 401"
        yield Finding((*AUTH, "apiKey"), message, hint, on_key=True)


@gateway_rule("AIG4009", "plain-http-listener", Severity.HINT)
def plain_http(gateway: ir.Gateway) -> Findings:
    """A listener that others can reach speaks plain HTTP.

    Keys and prompts cross the network in clear. This version compiles no `tls` yet, so end TLS in front of the gateway
    (a load balancer, an ingress), or listen on 127.0.0.1 alone. It is said once for a gateway.

    bad:
        listeners: [{name: public, port: 8080}]

    good:
        listeners: [{name: local, address: 127.0.0.1, port: 8080}]
    """
    open_ones = [listener for listener in gateway.listeners if not is_loopback(listener.address)]
    if open_ones:
        message = f'listener "{open_ones[0].name}" takes keys and prompts over plain HTTP'
        hint = "this version has no `tls` yet: end TLS in front of it, or listen on 127.0.0.1"
        yield Finding(open_ones[0].origin, message, hint)


@gateway_rule("AIG4010", "header-carries-no-key", Severity.ERROR)
def header_carries_no_key(gateway: ir.Gateway) -> Findings:
    """A client's key is looked for in a header that is there for something else.

    The first configured header that is present decides, so a header that every request has makes every key wrong.

    bad:
        auth: {apiKey: {headers: [content-type, x-api-key]}}

    good:
        auth: {apiKey: {headers: [authorization, x-api-key]}}
    """
    for index, header in enumerate(gateway.auth.api_key_headers if gateway.auth else ()):
        if header in NO_PLACE_FOR_A_KEY:
            message = f'requests carry "{header}" for another purpose: it would be taken for a wrong key'
            yield Finding(
                (*AUTH, "apiKey", "headers", index), message, "use authorization, x-api-key or a name of your own"
            )


@gateway_rule("AIG5001", "anonymous-without-limit", Severity.WARNING)
def anonymous_without_limit(gateway: ir.Gateway) -> Findings:
    """Everybody may call, from anywhere, as often as they like.

    Whoever finds the port can spend all that the provider's account allows. Set a limit at the gateway or the models,
    listen on 127.0.0.1 alone, or ask for keys.

    bad:
        listeners: [{name: public, port: 8080}]
        auth: {anonymous: true}
        consumers: null

    good:
        listeners: [{name: local, address: 127.0.0.1, port: 8080}]
        auth: {anonymous: true}
        consumers: null
    """
    if not (gateway.auth and gateway.auth.anonymous) or all(is_loopback(x.address) for x in gateway.listeners):
        return
    everywhere = bool(ir.every(gateway.policies, Limit))
    if not everywhere and not all(ir.every(model.policies, Limit) for model in gateway.models):
        message = "everybody who reaches the port may spend your provider's money, without any limit"
        hint = "add `policies: {limits: [{name: all, per: minute, requests: ...}]}`, or ask for keys"
        yield Finding((*AUTH, "anonymous"), message, hint, about=(("spec", "policies"), ("spec", "models")))
