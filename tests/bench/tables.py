"""Print what holding a kong.yml of a thousand plugins against Kong's tables adds to planning, emitting and the schema, in one run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from aigw_compile import compiler
from aigw_compile.project import TargetChoice
from aigw_compile.verify import judged
from tests import support

MODELS = 200
ROUNDS = 5
HEAD = """apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: g}
spec:
  providers: [{name: p, type: openai, auth: {apiKey: {env: K}}}]
  auth: {apiKey: {}}
  consumers: [{name: c, credentials: [{apiKey: {env: C}}]}]
  policies: {promptGuard: {deny: [word]}, promptDecorator: {prepend: [{role: system, content: text}]}}
  models:
"""


def best(run: Callable[[], object]) -> float:
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return min(taken)


def main() -> None:
    models = "".join(f"    - {{name: m{i}, targets: [{{provider: p, model: x{i}}}]}}\n" for i in range(MODELS))
    checked = compiler.check_text(HEAD + models)
    for profile in ("oss-3.9", "enterprise-3.15"):
        choice = TargetChoice("kong", profile, {})
        build = support.build_all_accepted(checked, choice)
        whole = best(lambda choice=choice: support.build_all_accepted(checked, choice))  # type: ignore[misc]
        own = best(lambda build=build: [*judged(build.target, build.documents, checked.source.data)])  # type: ignore[misc]
        print(f"{profile}: {whole:.3f} s, of it tables {own:.3f} s; ratio {whole / (whole - own):.2f}")


if __name__ == "__main__":
    main()
