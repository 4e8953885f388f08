"""Rules about what operators see, and how many run."""

from __future__ import annotations

from aigw_compile import ir
from aigw_compile.diagnostic import Severity
from aigw_compile.rules.base import Finding, Findings, gateway_rule


@gateway_rule("AIG3043", "traces-nothing", Severity.WARNING)
def traces_nothing(gateway: ir.Gateway) -> Findings:
    """Tracing is configured and no request is traced.

    bad:
        observability: {tracing: {otlp: {endpoint: "http://127.0.0.1:4318", sampling: 0}}}

    good:
        observability: {tracing: {otlp: {endpoint: "http://127.0.0.1:4318", sampling: 0.1}}}
    """
    otlp = gateway.observability.otlp
    if otlp and otlp.sampling == 0:
        hint = "0.1 traces every tenth request; delete `otlp` to switch tracing off"
        yield Finding((*otlp.origin, "sampling"), "a share of 0 traces no request", hint)


@gateway_rule("AIG3044", "replicas-contradict", Severity.ERROR)
def replicas_contradict(gateway: ir.Gateway) -> Findings:
    """minReplicas is more than maxReplicas.

    Kubernetes refuses such an autoscaler.

    bad:
        deployment: {autoscaling: {minReplicas: 4, maxReplicas: 2}}

    good:
        deployment: {autoscaling: {minReplicas: 2, maxReplicas: 4}}
    """
    scaling = gateway.deployment.autoscaling
    if scaling and scaling.min_replicas > scaling.max_replicas:
        message = f"at least {scaling.min_replicas} and at most {scaling.max_replicas} replicas cannot be"
        yield Finding((*scaling.origin, "maxReplicas"), message, f"set maxReplicas to {scaling.min_replicas} or more")


@gateway_rule("AIG4011", "payloads-logged", Severity.HINT)
def payloads_logged(gateway: ir.Gateway) -> Findings:
    """The access log holds prompts and answers.

    People write names, health and passwords into prompts, and all of it goes wherever the log goes. Who reads the log,
    and how long it is kept, has to fit that.

    bad:
        observability: {accessLog: {payloads: true}}

    good:
        observability: {accessLog: {payloads: false}}
    """
    log = gateway.observability.access_log
    if log and log.payloads:
        message = "prompts and answers are written to the access log, with whatever people put into them"
        yield Finding(
            (*log.origin, "payloads"), message, "leave it off unless readers and retention of the log fit that"
        )
