"""The AIG1xxx codes: what can be wrong with the form of a document, and the page of each."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, tuple[str, str, str]] = {
    "AIG1001": (
        "error",
        "unknown field",
        "The language has no such field at this place. Unknown fields are never ignored: a misspelt limit would "
        "otherwise look like one. The message names the nearest field, or where a field of that name belongs.",
    ),
    "AIG1002": (
        "error",
        "a required field is missing",
        "The object cannot mean anything without this field.",
    ),
    "AIG1003": (
        "error",
        "wrong type",
        "The value is of another type than the field: text where a number belongs, one value where a list belongs. "
        "Nothing is converted, so that what is written is what is meant.",
    ),
    "AIG1004": (
        "error",
        "not one of the allowed values",
        "The field takes one of a fixed set of words; the message lists them.",
    ),
    "AIG1005": (
        "error",
        "not in the right form",
        "Durations are written with a unit (`250ms`, `1h30m`), sizes as Kubernetes quantities (`10Mi`), names of "
        "resources as DNS labels (lower case letters, digits and `-`), addresses with http:// or https://.",
    ),
    "AIG1006": (
        "error",
        "out of bounds",
        "The number, or the length of the text or list, is outside what the field allows.",
    ),
    "AIG1007": (
        "error",
        "something stands twice",
        "The list is a set: each item stands in it once.",
    ),
    "AIG1008": (
        "error",
        "fields that exclude each other, or one that is missing",
        "Exactly one of the fields may stand here. A SecretRef, for example, is one of env, file, vault or kubernetes.",
    ),
    "AIG1009": (
        "error",
        "not in this version yet",
        "The field or value is part of the language, and this version cannot compile it yet. Leave it out, or wait.",
    ),
    "AIG1010": ("error", "reserved", "The name is reserved for a later version of the language and means nothing yet."),
    "AIG1011": (
        "error",
        "null",
        "`null` (or `~`, or nothing after the colon) is not the same as leaving a field out. Delete the line instead. Nor "
        "does it take back what a part sets, where a document builds on parts: `field: {$patch: delete}` does.",
    ),
    "AIG1012": (
        "error",
        "unknown version or kind of document",
        "A document starts with `apiVersion: aigw.dev/v1alpha1` and `kind: AIGateway`, a part with `kind: AIGatewayConfig`.",
    ),
    "AIG1013": (
        "error",
        "a secret, or anything else, where a SecretRef belongs",
        "A credential is never written down. A SecretRef names the place where it is: `{env: NAME}`, `{file: /path}`, "
        "`{vault: NAME, key: PATH}` or `{kubernetes: {name: SECRET, key: KEY}}`. What stands in its place is shown in no "
        "message and no line of code, whatever it looks like: it may be the secret. If it is, revoke it.",
    ),
    "AIG1014": (
        "error",
        "unknown $patch",
        "`$patch: delete` takes out what a weaker layer sets, `$patch: replace` does not merge with it. There is no other: "
        "maps and lists with names are merged unless something else is said.",
    ),
    "AIG1015": (
        "error",
        "a $patch that cannot stand here",
        "`{$patch: delete}` stands in place of any field, or beside the name of an item, and nothing else stands with it. "
        "`$patch: replace` stands in a map, or as the first item of a list: `[{$patch: replace}, ...]`. Neither has a place "
        "in what is replaced as a whole anyway: a SecretRef, an item of a list without names, a single value.",
    ),
    "AIG1016": (
        "error",
        "a $patch, and nothing below it",
        "`$patch` changes what a part brings. A gateway that refers to no part, by a configRef, has nothing to change: write "
        "what is wanted, and leave out what is not.",
    ),
    "AIG1099": (
        "error",
        "more faults than are listed",
        "Of one document the first 1,000 places that do not fit the language are listed, so that a file that is something "
        "else altogether cannot fill the memory and the screen. Mend these, and check again.",
    ),
}

MISPLACED: Mapping[str, str] = {
    "timeout": "timeouts.request",
    "retry": "retries.attempts",
    "fallbacks": "fallback.on, and targets with a higher priority",
    "key": "auth.apiKey, as a SecretRef",
    "rateLimit": "policies.limits",
    "rateLimits": "policies.limits",
    "rate_limit": "policies.limits",
    "rpm": "policies.limits: [{name: rpm, per: minute, requests: ...}]",
    "tpm": "policies.limits: [{name: tpm, per: minute, tokens: ...}]",
    "guard": "policies.promptGuard",
    "prompts": "policies.promptDecorator",
    "systemPrompt": "policies.promptDecorator.prepend",
    "alias": "aliases",
    "url": "baseUrl",
    "base_url": "baseUrl",
    "host": "baseUrl",
    "routes": "models (a gateway routes by the model's name)",
    "logging": "observability.accessLog",
    "metrics": "observability.metrics",
    "tracing": "observability.tracing",
    "accessLog": "observability.accessLog",
    "replicas": "deployment.replicas",
    "autoscaling": "deployment.autoscaling",
    "requestsPerMinute": "requests, with per: minute",
    "tokensPerMinute": "tokens, with per: minute",
    "window": "per",
    "ttl": "cache.ttl",
    "ipAllow": "ipRestriction.allow",
    "allowlist": "ipRestriction.allow",
    "denylist": "ipRestriction.deny",
    "budget": "policies.limits: [{name: budget, per: month, cost: ...}]",
    "jwks": "jwksUri",
    "jwks_uri": "jwksUri",
    "audience": "audiences",
    "temperature": "targets[].parameters.defaults",
    "max_tokens": "targets[].parameters.maximum",
    "namespace": "deployment.kubernetes.namespace",
    "members": "consumers[].groups",
    "store": "policies.limitStore",
}
"""Words of other gateways, and ours at the wrong place -> where it belongs here."""

SYNONYMS: Mapping[str, str] = {
    "api_key": "apiKey",
    "prompt": "input",
    "completion": "output",
    "whitelist": "allow",
    "blacklist": "deny",
    "deny_patterns": "deny",
    "allow_patterns": "allow",
    "system": "prepend",
    "secretKeyRef": "kubernetes",
    "interval": "window",
    "max_retries": "attempts",
}
"""Words of other gateways -> our name for it, where there is a field of that name."""
