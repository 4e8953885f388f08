"""Rules about what is defined and plays no part."""

from __future__ import annotations

from aigw_compile.diagnostic import Json, Severity, value_at
from aigw_compile.rules.base import Finding, Findings, data_rule, entries, names, quoted
from aigw_compile.rules.references import uses


@data_rule("AIG3060", "unused", Severity.WARNING)
def unused(data: Json) -> Findings:
    """A vault, store, provider or group is defined, and nothing uses it.

    Often a target, a secret or a consumer was meant to name it. Of what a part brings nothing is said: another gateway may
    use it.

    bad:
        vaults: [{name: aws-prod, type: aws, aws: {region: eu-west-1}}]

    bad:
        providers:
          - {name: openai, type: openai, auth: {apiKey: {env: OPENAI_API_KEY}}}
          - {name: claude, type: anthropic, auth: {apiKey: {env: ANTHROPIC_API_KEY}}}

    bad:
        consumerGroups: [{name: internal}]

    bad:
        stores: [{name: counters}]

    good:
        vaults: [{name: aws-prod, type: aws, aws: {region: eu-west-1}}]
        providers: [{name: openai, type: openai, auth: {apiKey: {vault: aws-prod, key: llm/openai}}}]
    """
    used: dict[str, set[str]] = {}
    known: dict[str, set[str]] = {}
    misspelt: set[str] = set()
    for kind, use, who in uses(data):
        if kind not in known:
            known[kind] = {*names(data, ("spec", kind))}
        if who not in known[kind] and kind not in misspelt:
            misspelt.add(kind)
            used.setdefault(kind, set()).update(known[kind])  # a misspelt name may mean any, and is said
        if kind != "consumerGroups" or "access" not in use:  # to name a group in `access` puts nobody into it
            used.setdefault(kind, set()).add(who)
    for _, consumer in entries(data, ("spec", "consumers")):
        if isinstance(group := consumer.get("groups"), str):  # a list is missing around it, and that is said
            used.setdefault("consumerGroups", set()).add(group)
    issuers = [issuer for _, issuer in entries(data, ("spec", "auth", "jwt"))]
    if any("groupsClaim" in issuer and "groupMap" not in issuer for issuer in issuers):
        used["consumerGroups"] = {*names(data, ("spec", "consumerGroups"))}  # a token may name any
    says = {
        "vaults": ("no secret names this vault", "name it in a secret: {vault: NAME, key: KEY}; or delete it"),
        "stores": ("nothing is kept in this store", "name it as `limitStore` or `cache.store`, or delete it"),
        "providers": ("no target names this provider", "name it in a model's target, or delete it"),
        "consumerGroups": ("no consumer is in this group", "name it in a consumer's `groups`, or delete it"),
    }
    for part, (message, hint) in says.items():
        for at, item in entries(data, ("spec", part)):
            if isinstance(name := item.get("name"), str) and name not in used.get(part, ()):
                yield Finding((*at, "name"), f"{message}: {quoted([name])}", hint)


@data_rule("AIG3061", "consumer-without-key", Severity.WARNING)
def consumer_without_key(data: Json) -> Findings:
    """A consumer has no credential, so no caller can be this consumer.

    bad:
        consumers:
          - {name: app, credentials: [{apiKey: {env: APP_KEY}}]}
          - {name: job}

    good:
        consumers:
          - {name: app, credentials: [{apiKey: {env: APP_KEY}}]}
          - {name: job, credentials: [{apiKey: {env: JOB_KEY}}]}
    """
    auth = value_at(("spec", "auth"), data)
    if not isinstance(auth, dict) or not {"apiKey", "basic"} & {*auth} or "jwt" in auth:
        return
    consumers = [*entries(data, ("spec", "consumers"))]
    if any(consumer.get("credentials") for _, consumer in consumers):
        for at, consumer in consumers:
            if isinstance(name := consumer.get("name"), str) and not consumer.get("credentials"):
                hint = "add `credentials: [{apiKey: {env: NAME}}]`, or delete the consumer"
                yield Finding((*at, "name"), f'consumer "{name}" has no key: no caller can be it', hint)
