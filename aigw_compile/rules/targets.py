"""Rules about a model's targets: weights that choose nobody, and weights that choose nothing."""

from __future__ import annotations

from aigw_compile import ir
from aigw_compile.diagnostic import Json, Severity
from aigw_compile.rules.base import Finding, Findings, data_rule, entries, gateway_rule


@gateway_rule("AIG3015", "no-target-left", Severity.ERROR)
def no_target_left(gateway: ir.Gateway) -> Findings:
    """Every target of a model has weight 0, which means never.

    No request for this model can be answered.

    bad:
        models: [{name: chat, targets: [{provider: openai, model: gpt-4o-mini, weight: 0}]}]

    good:
        models: [{name: chat, targets: [{provider: openai, model: gpt-4o-mini}]}]
    """
    for model in gateway.models:
        if not model.priorities():
            message = f'every target of "{model.name}" has weight 0: no request can be answered'
            hint = "give one of them a weight, or delete the model"
            yield Finding((*model.origin, "targets"), message, hint, about=(model.origin,))


@gateway_rule("AIG3016", "priority-without-target", Severity.WARNING)
def priority_without_target(gateway: ir.Gateway) -> Findings:
    """Every target of one priority has weight 0, so that priority is skipped.

    A single target with weight 0 beside others is a fine way to switch it off. A whole priority that is off is a step
    of the fallback that is not there.

    bad:
        models:
          - name: chat
            targets:
              - {provider: openai, model: gpt-4o-mini, weight: 0}
              - {provider: openai, model: gpt-4o, priority: 1}

    good:
        models:
          - name: chat
            targets:
              - {provider: openai, model: gpt-4o-mini, weight: 0}
              - {provider: openai, model: gpt-4o}
    """
    for model in gateway.models:
        left = {step[0].priority for step in model.priorities()}
        for priority in sorted({target.priority for target in model.targets} - left):
            off = [target for target in model.targets if target.priority == priority]
            if left:
                message = f"every target of priority {priority} has weight 0: this priority is skipped"
                hint = "give one of them a weight, or delete them"
                yield Finding((*off[0].origin, "weight"), message, hint, about=(model.origin,))


@data_rule("AIG3017", "weight-alone", Severity.HINT)
def weight_alone(data: Json) -> Findings:
    """A weight stands at the only target of its priority.

    Weights share the load among the targets of one priority. Alone, a target gets all of it, whatever its weight.

    bad:
        models: [{name: chat, targets: [{provider: openai, model: gpt-4o-mini, weight: 90}]}]

    good:
        models: [{name: chat, targets: [{provider: openai, model: gpt-4o-mini}]}]
    """
    for at, _ in entries(data, ("spec", "models")):
        targets = [*entries(data, (*at, "targets"))]
        priorities = [target.get("priority", 0) for _, target in targets]
        for place, target in targets:
            if target.get("weight", 0) not in (0, 1) and priorities.count(target.get("priority", 0)) == 1:
                message = f"this is the only target of priority {target.get('priority', 0)}: its weight changes nothing"
                yield Finding(
                    (*place, "weight"), message, "leave it out; another `priority` is tried only after this one"
                )
