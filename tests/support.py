"""What several tests share: the examples, every target in every profile and option, and builds with all losses accepted."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from aigw_compile import compiler
from aigw_compile.plan import plan
from aigw_compile.project import Accept, TargetChoice
from aigw_compile.target import TARGETS, facts, manifest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted(p.parent for p in (ROOT / "examples").glob("*/aigw-compile.yaml"))

WITHOUT_PARTS = [folder for folder in EXAMPLES if (folder / "gateway.yaml").is_file()]


def shared() -> Path | None:
    """The folder with data of others that some tests read; they skip where it is absent."""
    for place in (os.environ.get("AIGW_SHARED"), ROOT.parent / "shared", ROOT.parents[1] / "shared"):
        if place and Path(place, "README.md").is_file():
            return Path(place)
    return None


ARRANGED = {("envoy", "layout")}
"""Options that only say in which files the same stands; the target's own tests hold that to be so."""


def every_choice(*targets: str) -> Iterator[TargetChoice]:
    """Every target (or those named) in every profile; its default profile with every combination of options that say
    different things, the others with the defaults."""
    for name in targets or TARGETS:
        m = manifest(name)
        keys = [key for key, option in m.options.items() if option.values and (name, key) not in ARRANGED]
        for profile in m.profiles:
            every = profile == m.default_profile
            said = [m.options[key].values if every else (m.options[key].default,) for key in keys]
            for values in itertools.product(*said):
                yield TargetChoice(name, profile, dict(zip(keys, values, strict=True)))


BETWEEN = {("kong", "enterprise-3.11"), ("kong", "enterprise-3.12"), ("kong", "enterprise-3.14")}
"""Profiles that have nothing of which another profile does not tell; what is slow is asked of the others alone."""


def telling_choices(*targets: str) -> Iterator[TargetChoice]:
    """The same without what is between."""
    yield from (choice for choice in every_choice(*targets) if (choice.name, choice.profile) not in BETWEEN)


def label(choice: TargetChoice) -> str:
    return "-".join([choice.name, choice.profile, *choice.options.values()]).strip("-")


def whole_window(seconds: int, needed: float) -> None:
    """See to it that so much is left of a UTC window: where less is left, wait for the next one to begin."""
    left = seconds - time.time() % seconds
    if left < needed:
        time.sleep(left)


DAY = 86400


class Built(NamedTuple):
    checked: compiler.Checked
    build: compiler.Build


def check_example(folder: Path) -> tuple[compiler.Opened, tuple[compiler.Checked, ...]]:
    opened = compiler.open_project([folder])
    checked, general = compiler.check(opened)
    assert not general, general
    return opened, checked


def gateways(folder: Path) -> tuple[compiler.Opened, tuple[compiler.Checked, ...]]:
    """The same without the parts, from which nothing is built by themselves."""
    opened, checked = check_example(folder)
    return opened, tuple(one for one in checked if one.part is None)


def specs() -> dict[str, str]:
    """Every gateway of the examples, as it would be written without any configRef: name of the example or gateway -> text."""
    found = {folder.name: (folder / "gateway.yaml").read_text("utf-8") for folder in WITHOUT_PARTS}
    merged = [one for folder in EXAMPLES if folder not in WITHOUT_PARTS for one in gateways(folder)[1]]
    return found | {one.name: json.dumps(one.source.data) for one in merged}


def build_all_accepted(checked: compiler.Checked, choice: TargetChoice, *, native: bool = False) -> compiler.Build:
    """Build with every loss accepted, so that no check is vacuous."""
    assert checked.gateway is not None, checked.diagnostics
    target = facts(choice.name, choice.profile, choice.options)
    losses = plan(checked.gateway, checked.source.data, target).losses
    accepts = [
        Accept(x.feature.code, x.place, "a test", x.security, choice.name, "", "", ("accept", i))
        for i, x in enumerate(losses)
    ]
    return compiler.build(checked, choice, accepts, native=native)
