"""How long resolving 10,000 models over 200 parts takes, beside reading the same files with yaml.CSafeLoader: a ratio is printed.

    python -m tests.bench.resolve

Two shapes: one gateway that names 200 parts in a list, and parts that each also set fields of models of the part before.
Every part hides, locks and constrains something, so that contracts are walked too.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median

import yaml

from aigw_compile.resolve import Library, resolve
from aigw_compile.source import Source, parse

PARTS, MODELS, RUNS = 200, 50, 5
HEAD = "apiVersion: aigw.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"


def _model(number: int) -> str:
    return f"""      - name: model-{number}
        aliases: [old-{number}, older-{number}]
        targets:
          - name: main
            provider: openai
            model: gpt-4o-{number}
            weight: 90
          - name: backup
            provider: claude
            model: claude-{number}
            priority: 1
        timeouts: {{firstByte: 20s, request: 60s}}
        retries: {{attempts: 2, on: [rate-limited, timeout]}}
        policies:
          limits:
            - {{name: daily, per: day, tokens: 200000}}
"""


def _part(number: int, overlap: bool) -> str:
    models = "".join(_model(number * MODELS + i) for i in range(MODELS))
    if overlap and number:
        models += "".join(
            f"      - {{name: model-{(number - 1) * MODELS + i}, timeouts: {{request: 90s}}}}\n" for i in range(MODELS)
        )
    fields = (
        '  fields:\n    hide: ["providers[*].auth"]\n    lock: ["models[*].policies.promptDecorator"]\n'
        '    constrain: [{path: "models[*].policies.limits[*].tokens", schema: {maximum: 300000}}]\n'
    )
    head = HEAD.format(kind="AIGatewayConfig", name=f"part-{number}")
    return f"{head}  for: AIGateway\n{fields if number == 0 else ''}  config:\n    models:\n{models}"


def _gateway() -> str:
    refs = "".join(f"    - {{name: part-{n}}}\n" for n in range(PARTS))
    return f"{HEAD.format(kind='AIGateway', name='all')}  configRef:\n{refs}  policies: {{limitStore: s}}\n"


def _seconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        gc.collect()
        gc.disable()
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
        gc.enable()
    return median(times)


def main() -> None:
    for overlap in (False, True):
        texts = [*(_part(n, overlap) for n in range(PARTS)), _gateway()]
        sources: list[Source] = [s for n, text in enumerate(texts) for s in parse(text, f"{n}.yaml")[0]]

        def resolving(sources: list[Source] = sources) -> object:
            return resolve(sources[-1], Library(sources[:-1]))

        def reading(texts: list[str] = texts) -> object:
            return [yaml.load(text, yaml.CSafeLoader) for text in texts]

        found = resolve(sources[-1], Library(sources[:-1]))
        assert isinstance(found.source.data, dict)
        spec = found.source.data["spec"]
        assert isinstance(spec, dict)
        models = spec["models"]
        assert isinstance(models, list)
        assert len(models) == PARTS * MODELS
        assert not found.diagnostics, found.diagnostics[:3]
        ours, theirs = _seconds(resolving), _seconds(reading)
        shape = "each also sets a field of the models of the one before" if overlap else "each with models of its own"
        print(
            f"{PARTS} parts, {len(models)} models, {shape}: resolving {ours:.3f} s, CSafeLoader {theirs:.3f} s,",
            end=" ",
        )
        print(f"ratio {ours / theirs:.3f}")


if __name__ == "__main__":
    main()
