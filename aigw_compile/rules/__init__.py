"""The registry of the lint rules: plain data, or a gateway, to diagnostics."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from aigw_compile import ir
from aigw_compile.diagnostic import Diagnostic, Json, Pointer
from aigw_compile.rules import (
    access,
    auth,
    decorators,
    deployment,
    fallback,
    guards,
    lifecycle,
    limits,
    money,
    network,
    observability,
    parameters,
    providers,
    references,
    residency,
    secrets,
    targets,
    timeouts,
    tokens,
    transformers,
    unused,
    wire,
)
from aigw_compile.rules.base import Rule

FAMILIES = (
    access,
    auth,
    decorators,
    deployment,
    fallback,
    guards,
    lifecycle,
    limits,
    money,
    network,
    observability,
    parameters,
    providers,
    references,
    residency,
    secrets,
    targets,
    timeouts,
    tokens,
    transformers,
    unused,
    wire,
)

RULES: tuple[Rule, ...] = tuple(
    sorted((r for family in FAMILIES for r in vars(family).values() if isinstance(r, Rule)), key=lambda r: r.code)
)
"""Every rule, by code. A function with @data_rule or @gateway_rule in a file above is in it."""


MOST_OF_A_RULE = 1000
"""Findings of one rule on data of any shape that are listed for a document."""


def run_data(data: Json) -> Iterator[Diagnostic]:
    """Yield what the rules on plain data find. `data` may have any shape."""
    for rule in RULES:
        if rule.on == "data":
            yield from _bounded(map(rule.diagnostic, rule.check(data)))


def _bounded(findings: Iterator[Diagnostic]) -> Iterator[Diagnostic]:
    """The first findings of a rule; the last of them says that there are more."""
    for number, finding in enumerate(findings, 1):
        if number > MOST_OF_A_RULE:
            more = "more findings of this kind follow and are not listed"
            yield finding._replace(message=f"{finding.message}; {more}")
            return
        yield finding


def dangling(data: Json) -> Iterator[Diagnostic]:
    """Yield the names that refer to nothing: an object that was left out as broken leaves some behind."""
    yield from map(references.dangling.diagnostic, references.dangling.check(data))


def run_gateway(gateway: ir.Gateway, broken: Collection[Pointer] = ()) -> Iterator[Diagnostic]:
    """Yield what the rules on the meaning find.

    `broken` are the places of errors found before: what stood there is not in the gateway, so a finding about something
    that holds one of them (a model whose second target is misspelt has one target left) says nothing, and is left out.
    """
    holders = {place[:length] for place in broken for length in range(len(place) + 1)}
    for rule in RULES:
        if rule.on == "gateway":
            for found in rule.check(gateway):
                if holders.isdisjoint(found.about or (found.at,)):
                    yield rule.diagnostic(found)
