"""Rules about prompt decorators: those that say nothing."""

from __future__ import annotations

from aigw_compile.diagnostic import Json, Severity, value_at
from aigw_compile.rules.base import Finding, Findings, data_rule, entries, policy_places


@data_rule("AIG3050", "decorator-says-nothing", Severity.WARNING)
def says_nothing(data: Json) -> Findings:
    """A prompt decorator has no message, or an empty one.

    An empty message costs tokens and says nothing; some providers refuse it.

    bad:
        policies: {promptDecorator: {prepend: [{role: system, content: "  "}]}}

    bad:
        policies: {promptDecorator: {prepend: []}}

    good:
        policies: {promptDecorator: {prepend: [{role: system, content: "Answer in one sentence."}]}}
    """
    for policies in policy_places(data):
        at = (*policies, "promptDecorator")
        decorator = value_at(at, data)
        if not isinstance(decorator, dict):
            continue
        if not any(key in decorator and decorator[key] != [] for key in decorator):
            yield Finding(
                at, "this decorator has no message: it does nothing", "add `prepend` or `append`, or delete it"
            )
        for side in ("prepend", "append"):
            for place, message in entries(data, (*at, side)):
                content = message.get("content")
                if isinstance(content, str) and content and not content.strip():
                    yield Finding(
                        (*place, "content"), "this message is blank", "write what is to be said, or delete it"
                    )
