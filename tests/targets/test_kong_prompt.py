"""Kong's own guard and decorator, from its source, run with the configuration that is built, held against the language."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import re2

from aigw_compile import compiler
from aigw_compile.kongblocks.names import model_slugs
from aigw_compile.plan import fits
from aigw_compile.policies.prompt_guard import PromptGuard
from tests.targets import kong_specs
from tests.targets.test_kong import output, running

SCRIPT = Path(__file__).with_name("kong_prompt.lua")

Messages = list[dict[str, str]]
TEXTS = [
    "hello",
    "the model.word",
    "modelxword",
    "STAFF ſecret",
    "staff secret",
    "card \t number",
    "card\u000bnumber",
    "robot",
    "ok",
]
ROLES = ["system", "user", "assistant"]


def _conversations() -> list[Messages]:
    single = [[{"role": role, "content": text}] for role, text in itertools.product(ROLES, TEXTS)]
    follow = [
        [{"role": "user", "content": a}, {"role": "assistant", "content": b}]
        for a, b in itertools.permutations(TEXTS, 2)
    ]
    return single + follow


def _refused(guard: PromptGuard, messages: Messages) -> bool:
    """What the language says of deny."""
    scope = messages[-1:] if guard.scope == "last" else messages
    texts = [m["content"] for m in scope if not guard.roles or m["role"] in guard.roles]
    return any(re2.search(pattern, text) for pattern in guard.deny for text in texts)


def _kong(cases: list[dict[str, Any]]) -> list[str]:
    source, lua = os.environ.get("KONG_SRC"), shutil.which("luajit")
    if not source or not lua:
        pytest.skip("needs luajit with rex_pcre2 and cjson, and KONG_SRC with Kong 3.9.3's source")
    text = "".join(f"{json.dumps(case)}\n" for case in cases)
    done = subprocess.run([lua, str(SCRIPT)], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_deny_refuses_what_the_language_refuses() -> None:
    """And nothing else, but where a guard for users alone was joined with one for all roles: then it is the stricter."""
    gateway = compiler.check_text(kong_specs.PLACES).gateway
    assert gateway
    body = output(kong_specs.PLACES, "oss-3.9")
    routes = {model: f"g-{slug}" for model, slug in model_slugs(gateway).items()}
    cases, wants = [], []
    for model, consumer in fits.calls(gateway):
        guards = fits.guards_of([*fits.applying(gateway, model, consumer)])
        where = (routes[model.name], consumer.name if consumer else "")
        decorator, guard = (running(body, p, *where) for p in ("ai-prompt-decorator", "ai-prompt-guard"))
        assert guard
        # An allow list is weaker in Kong, and says so; deny alone is held against the language here.
        guard = {k: v for k, v in guard.items() if k != "allow_patterns"}
        stricter = [g._replace(roles=() if guard["match_all_roles"] else g.roles) for g in guards]
        for messages in _conversations():
            cases.append({"messages": messages, "decorator": decorator or False, "guard": guard})
            wants.append("refuse" if any(_refused(g, messages) for g in stricter) else "pass")
            assert wants[-1] == "refuse" or not any(_refused(g, messages) for g in guards)
    assert {"pass", "refuse"} == set(wants)
    assert _kong(cases) == wants


def test_several_allow_lists_must_all_be_met() -> None:
    guards = [
        PromptGuard((), ("weather", "(?i)rain$"), (), "conversation", ()),
        PromptGuard((), ("please",), (), "last", ()),
    ]
    merged = fits.merged(guards, 10, 500)
    assert merged
    config = {
        "allow_patterns": [*merged.allow],
        "allow_all_conversation_history": False,
        "match_all_roles": merged.all_roles,
    }
    texts = {"weather": "refuse", "weather please": "pass", "please": "refuse", "please, weather\nor not": "pass"}
    cases = [{"messages": [{"role": "user", "content": t}], "decorator": False, "guard": config} for t in texts]
    assert _kong(cases) == [*texts.values()]
