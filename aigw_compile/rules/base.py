"""What a lint rule is, and how a rule reads plain data of any shape.

A rule is one function. Its docstring is its page, which `aigw-compile explain CODE` prints: the first line is the
title, then comes why, then `bad:` and `good:`, each a part of a `spec`. tests/test_rules.py puts it into a minimal gateway,
in place of the fields that it names (null takes one away), and runs it. A page may show several of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

from aigw_compile import ir
from aigw_compile.diagnostic import Diagnostic, Json, Pointer, Related, Severity, value_at
from aigw_compile.schema import field


class Finding(NamedTuple):
    """What a rule found: a Diagnostic without what the rule itself knows."""

    at: Pointer
    message: str
    hint: str = ""
    related: tuple[Related, ...] = ()
    on_key: bool = False
    about: tuple[Pointer, ...] = ()
    """What was looked at as a whole; if an error stands inside, the finding is dropped as unsure. Default: `at`."""


Findings: TypeAlias = Iterator[Finding]


class _Fields(NamedTuple):
    code: str
    name: str
    severity: Severity
    check: Callable[[Any], Findings]
    on: Literal["data", "gateway"]
    """data: check(plain data of any shape); gateway: check(ir.Gateway)."""


class Rule(_Fields):
    """A rule of the registry."""

    @property
    def page(self) -> str:
        """Return the docstring of the check, without its indentation."""
        from inspect import cleandoc  # only `explain` and tests ask

        return cleandoc(self.check.__doc__ or "")

    def diagnostic(self, found: Finding) -> Diagnostic:
        """Return the finding as a Diagnostic of this rule."""
        return Diagnostic(
            self.code, self.severity, found.message, found.at, found.hint, found.related, on_key=found.on_key
        )


def data_rule(code: str, name: str, severity: Severity) -> Callable[[Callable[[Json], Findings]], Rule]:
    """Make a function a rule on plain data, for what can be said whatever is wrong elsewhere, or is missing."""
    return lambda check: Rule(code, name, severity, check, "data")


def gateway_rule(code: str, name: str, severity: Severity) -> Callable[[Callable[[ir.Gateway], Findings]], Rule]:
    """Make a function a rule on the meaning. It may see a gateway from which broken objects were left out."""
    return lambda check: Rule(code, name, severity, check, "gateway")


def entries(data: Json, at: Pointer) -> Iterator[tuple[Pointer, dict[str, Json]]]:
    """Yield the place and value of each mapping in the list at `at`; nothing where no list is."""
    found = value_at(at, data)
    for index, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, dict):
            yield (*at, index), item


def words(data: Json, at: Pointer) -> Iterator[tuple[Pointer, str]]:
    """Yield the place and value of each text in the list at `at`; nothing where no list is."""
    found = value_at(at, data)
    for index, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, str):
            yield (*at, index), item


def secret_refs(data: Json) -> Iterator[tuple[Pointer, dict[str, Json]]]:
    """Yield the place and value of every SecretRef, wherever the language has one, in the order of the document."""
    rest: list[tuple[Pointer, Pointer, Json]] = [((), (), data)]
    while rest:
        at, plain, value = rest.pop()
        if isinstance(value, dict):
            found = field(plain) or {}
            if found.get("x-aigw-secret") or found.get("x-aigw-text-or-secret"):
                yield at, value
            elif found.get("properties") or found.get("additionalProperties"):
                rest += [((*at, key), (*plain, key), value[key]) for key in reversed(value)]
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            rest += [((*at, index), (*plain, 0), value[index]) for index in reversed(range(len(value)))]


def names(data: Json, at: Pointer) -> list[str]:
    """Return the names in a list of named things."""
    return [name for _, item in entries(data, at) if isinstance(name := item.get("name"), str)]


def policy_places(data: Json) -> Iterator[Pointer]:
    """Yield the place of every `policies` mapping."""
    holders: list[Pointer] = [("spec",)]
    for part in ("models", "consumerGroups", "consumers"):
        holders += (at for at, _ in entries(data, ("spec", part)))
    for holder in holders:
        if isinstance(value_at((*holder, "policies"), data), dict):
            yield (*holder, "policies")


def quoted(texts: Any) -> str:
    """Return texts as a list for a message: `"a", "b"`."""
    return ", ".join(f'"{text}"' for text in texts)
