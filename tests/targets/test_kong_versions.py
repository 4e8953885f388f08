"""What is built for each version of Kong Enterprise: nothing that a later version brought, and nothing that an earlier one lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest

from aigw_compile.kongblocks import EDITIONS
from aigw_compile.target import manifest, release
from tests import support
from tests.targets.kong_specs import CASES, SPECS
from tests.targets.test_kong import output, plugins


class Step(NamedTuple):
    """A line of version-diff.txt: what a version did to a field of a plugin."""

    version: tuple[int, ...]
    sign: str
    """`+` it came, `-` it went, `~` it changed."""
    field: str
    before: str = ""
    after: str = ""


@cache
def history() -> dict[str, tuple[Step, ...]]:
    """Plugin (in small letters, without `-`) -> what each version changed of its configuration."""
    shared = support.shared()
    if not shared:
        pytest.skip("needs the shared folder")
    found: dict[str, list[Step]] = {}
    name = ""
    for line in (shared / "upstream/kong/version-diff.txt").read_text("utf-8").splitlines():
        if line.startswith("## "):
            name = line[3:].lower()
        elif match := re.match(r"  (3\.\d+) ([+~-]) (.*)", line):
            version, sign, rest = release(f"x-{match[1]}").version, match[2], match[3]
            if sign == "~":
                field, _, change = rest.partition(": ")
                before, _, after = change.partition(" -> ")
                found.setdefault(name, []).append(Step(version, sign, field, before, after))
            else:
                found.setdefault(name, []).extend(Step(version, sign, field) for field in rest.split(", "))
    return {name: tuple(steps) for name, steps in found.items()}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a configuration, as `targets[].model.name`, with its value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            here = f"{path}.{key}" if path else key
            yield here, inner
            yield from leaves(inner, here)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, f"{path}[]")


def wrong(plugin: str, config: Any, version: tuple[int, ...]) -> Iterator[str]:
    """What of a configuration a version has not, not yet or no more, as far as later or earlier changes tell."""
    steps = history().get(plugin.replace("-", ""), ())
    for field, value in leaves(config):
        mine = [s for s in steps if s.field in (field, f"{field}[]")]
        came_or_went = [s for s in mine if s.sign != "~"]
        before = [s for s in came_or_went if s.version <= version]
        after = [s for s in came_or_went if s.version > version]
        if (before and before[-1].sign == "-") or (not before and after and after[0].sign == "+"):
            yield f"{field} is not there"
        changes = [s for s in mine if s.sign == "~"]
        valid = next((s.before for s in changes if s.version > version), changes[-1].after if changes else "")
        choice = re.search(r"\{([^}]*)\}", valid)
        for one in value if isinstance(value, list) else [value]:
            if choice and isinstance(one, str) and one not in choice[1].split("|"):
                yield f"{field}: {one} is not one of {choice[1]}"
        longest = re.search(r"maxLength=(\d+)", valid)
        if longest and isinstance(value, str) and len(value.encode()) > int(longest[1]):
            yield f"{field} is longer than {longest[1]}"
        kind = valid.split("<")[0].split(" ")[0]
        if kind in ("array", "number", "integer", "string") and not isinstance(value, _KINDS[kind]):
            yield f"{field} is no {kind}"


_KINDS: dict[str, Any] = {"array": list, "number": (int, float), "integer": int, "string": str}


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_each_version_gets_what_it_has(name: str, profile: str) -> None:
    version = release(profile).version
    found = [
        (p["name"], fault)
        for p, _, _ in plugins(output(SPECS[name], profile))
        for fault in wrong(p["name"], p["config"], version)
    ]
    assert found == []


def test_the_oracle_sees_what_is_too_new_and_what_is_gone() -> None:
    old = (3, 10)
    assert [*wrong("ai-proxy-advanced", {"balancer": {"max_fails": 1}}, old)] == ["balancer.max_fails is not there"]
    assert [*wrong("ai-proxy-advanced", {"balancer": {"max_fails": 1}}, (3, 13))] == []
    assert [*wrong("ai-proxy", {"llm_format": "anthropic"}, (3, 12))]
    assert [*wrong("openid-connect", {"consumer_claim": ["sub"]}, (3, 14))] == ["consumer_claim is not there"]
    assert [*wrong("openid-connect", {"consumer_claim": ["sub"]}, (3, 13))] == []
    assert [*wrong("ai-rate-limiting-advanced", {"llm_providers": [{"limit": 5}]}, old)]
    assert [*wrong("ai-prompt-decorator", {"prompts": {"append": [{"content": "x" * 501}]}}, (3, 9))]


def test_editions_are_the_profiles() -> None:
    assert [*EDITIONS] == [*manifest("kong").profiles]
