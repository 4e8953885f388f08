"""What `serve` and `run` share: one gateway of a path built for a target, and what somebody who calls it is told."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stderr
from functools import partial
from io import TextIOBase
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import click

from aigw_compile import compiler
from aigw_compile.cli import common
from aigw_compile.diagnostic import Severity
from aigw_compile.mask import Veil
from aigw_compile.project import TargetChoice


class Compiled(NamedTuple):
    """A gateway without an error, built for a target."""

    checked: compiler.Checked
    build: compiler.Build


def compiled(path: Path, gateway: str | None, frozen: bool, target: str) -> Compiled:
    """Build the gateway of a path for a target and show its warnings. Ends the command where there is an error, or no one gateway."""
    opened = compiler.open_project([path])
    checked, general = compiler.check(opened, frozen=frozen)
    gateways = [one for one in checked if one.part is None]
    chosen = [one for one in gateways if gateway in (None, one.name)]
    if not gateways and general:
        raise click.exceptions.Exit(common.show(general, opened.shown_from, "text", ()) or 1)
    if len(chosen) != 1:
        names = ", ".join(one.name for one in gateways) or "none"
        raise click.UsageError(f"which gateway? --gateway NAME; {path} holds: {names}")
    (one,) = chosen
    findings = [*general, *one.diagnostics]
    built: compiler.Build | None = None
    if one.gateway is not None:
        (choice,) = compiler.choices(opened.project, [TargetChoice(target, "", {})])
        built = compiler.build(one, choice, opened.project.accepts)
        findings += built.diagnostics
    told = [d for d in findings if d.severity > Severity.HINT]
    hidden = partial(compiler.hidden_spans, checked)
    code = common.show(told, opened.shown_from, "text", (), hidden=hidden) if told else 0
    if code or built is None or not built.documents:
        raise click.exceptions.Exit(code or 1)
    return Compiled(one, built)


class _Masked(TextIOBase):
    """What a gateway tells its operator (a store at its address does not answer), without what parts hide."""

    def __init__(self, hides: Veil, out: TextIO) -> None:
        self._hides = hides
        self._out = out

    def write(self, text: str) -> int:
        self._out.write(self._hides.text(text))
        return len(text)

    def flush(self) -> None:
        self._out.flush()


@contextmanager
def masked(hides: Veil) -> Iterator[None]:
    """Mask what is written to standard error while the context lasts."""
    with redirect_stderr(_Masked(hides, sys.stderr)) if hides else nullcontext():
        yield


def lasting() -> None:
    """Collect garbage again, which a command that ends soon goes without; what is there by now stays."""
    gc.freeze()
    gc.enable()


def ready(hides: Veil, state: Mapping[str, Any]) -> None:
    """Say where a gateway listens and what to call it with; the last line is JSON, for programs that wait for it."""
    for name, url in state["listeners"].items():
        click.echo(hides.text(f"listener {name}: {url}"))
    click.echo(f"operations: {state['operations']}")
    if state["metrics"] != state["operations"]:
        click.echo(f"metrics: {state['metrics']}")
    for kind in ("key", "login", "token"):
        for whose, text in state.get(f"{kind}s", {}).items():
            click.echo(f"{kind} of {hides.text(whose)}: {text}")
    for header, text in state.get("front", {}).items():
        click.echo(f"header of the front: {header}: {text}")
    for name in state.get("plain", ()):
        click.echo(
            f"listener {hides.text(name)} speaks plain HTTP: with made-up secrets it has no certificate", err=True
        )
    if "try" in state:
        click.echo(f"try: {hides.text(state['try'])}")
    click.echo(json.dumps({"ready": True}))
