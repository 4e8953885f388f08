"""Rules about what is defined and plays no part."""

from __future__ import annotations

from aigw_compile.diagnostic import Json, Severity, value_at
from aigw_compile.rules.base import Finding, Findings, data_rule, entries, quoted, words


@data_rule("AIG3060", "unused", Severity.WARNING)
def unused(data: Json) -> Findings:
    """A vault, provider or group is defined, and nothing uses it.

    Often a target, a secret or a consumer was meant to name it.

    bad:
        vaults: [{name: aws-prod, type: aws, aws: {region: eu-west-1}}]

    bad:
        providers:
          - {name: openai, type: openai, auth: {apiKey: {env: OPENAI_API_KEY}}}
          - {name: claude, type: anthropic, auth: {apiKey: {env: ANTHROPIC_API_KEY}}}

    bad:
        consumerGroups: [{name: internal}]

    good:
        vaults: [{name: aws-prod, type: aws, aws: {region: eu-west-1}}]
        providers: [{name: openai, type: openai, auth: {apiKey: {vault: aws-prod, key: llm/openai}}}]
    """
    providers = [provider for _, provider in entries(data, ("spec", "providers"))]
    refs = [value_at(("auth", "apiKey"), provider) for provider in providers]
    used: dict[str, set[str]] = {"vaults": set(), "providers": set(), "consumerGroups": set()}
    for at, _ in entries(data, ("spec", "consumers")):
        refs += [credential.get("apiKey") for _, credential in entries(data, (*at, "credentials"))]
        used["consumerGroups"] |= {name for _, name in words(data, (*at, "groups"))}
    used["vaults"] = {name for ref in refs if isinstance(ref, dict) and isinstance(name := ref.get("vault"), str)}
    for at, _ in entries(data, ("spec", "models")):
        targets = (target for _, target in entries(data, (*at, "targets")))
        used["providers"] |= {name for target in targets if isinstance(name := target.get("provider"), str)}
    says = {
        "vaults": ("no secret names this vault", "name it in a secret: {vault: NAME, key: KEY}; or delete it"),
        "providers": ("no target names this provider", "name it in a model's target, or delete it"),
        "consumerGroups": ("no consumer is in this group", "name it in a consumer's `groups`, or delete it"),
    }
    for part, (message, hint) in says.items():
        for at, item in entries(data, ("spec", part)):
            if isinstance(name := item.get("name"), str) and name not in used[part]:
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
    if not isinstance(value_at(("spec", "auth", "apiKey"), data), dict):
        return
    consumers = [*entries(data, ("spec", "consumers"))]
    if any(consumer.get("credentials") for _, consumer in consumers):
        for at, consumer in consumers:
            if isinstance(name := consumer.get("name"), str) and not consumer.get("credentials"):
                hint = "add `credentials: [{apiKey: {env: NAME}}]`, or delete the consumer"
                yield Finding((*at, "name"), f'consumer "{name}" has no key: no caller can be it', hint)
