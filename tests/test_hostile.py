"""A pull request that means harm: `lint` reads nothing outside the root, ends, and stays below 512 MiB, whatever stands in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
HEAD = "apiVersion: aigw.dev/v1alpha1\nkind: AIGateway\nmetadata: {name: a}\n"
PART = (
    "apiVersion: aigw.dev/v1alpha1\nkind: AIGatewayConfig\nmetadata: {name: NAME}\nspec: {for: AIGateway, config: {}}\n"
)
MIB = 1024 * 1024
FULL = 8 * MIB - 200
SAFETY_NET = 300
"""Seconds; nothing here takes more than some, and no test fails on being slow."""


class Ran(NamedTuple):
    """How a `lint` ended."""

    code: int
    text: str
    mib: int
    """The most memory that it held."""


_WATCHED = """
import atexit, re, resource, runpy, sys
peak = sys.argv.pop(1)
def tell():
    try:
        most = int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1]) // 1024
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 // 1024
    open(peak, "w").write(str(most))
atexit.register(tell)
runpy.run_module("aigw_compile", run_name="__main__", alter_sys=True)
"""
"""The command line, which tells at its end how much it held. Who waits for it cannot say: on Linux a process counts from what its
parent held when it was made, and a worker of the tests holds much."""


def lint(folder: Path) -> Ran:
    """Lint a folder in a process of its own."""
    out, peak = folder.parent / "out.txt", folder.parent / "peak.txt"
    command = [sys.executable, "-c", _WATCHED, str(peak), "lint", str(folder)]
    with out.open("wb") as stream:
        ended = subprocess.run(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            timeout=SAFETY_NET,
        )
    text = out.read_bytes().decode("utf-8", "backslashreplace")
    return Ran(ended.returncode, text, int(peak.read_text()))


def fill(unit: str) -> str:
    return unit * (FULL // len(unit))


def spec(text: str) -> dict[str, str]:
    return {"a.yaml": f"{HEAD}spec: {text}"}


def several(text: Callable[[int], str], count: int) -> dict[str, str]:
    return {f"f{n}.yaml": text(n) for n in range(count)}


def part(number: int) -> str:
    return PART.replace("NAME", f"p{number}")


def parts(*bodies: tuple[str, str, str]) -> str:
    """(name, type, what stands in its spec beside `for`) of each part, in one file."""
    return "---\n".join(
        PART.replace("NAME", name).replace("{for: AIGateway, config: {}}", f"{{for: {type_}, {body}}}")
        for name, type_, body in bodies
    )


def refs(names: Iterable[str]) -> str:
    return "configRef: [" + ",".join(f"{{name: {name}}}" for name in names) + "]"


def on(ref: str, text: str) -> dict[str, str]:
    """A gateway that refers to parts, and these in a file of their own."""
    return {"parts.yaml": text, **spec(f"{{{ref}}}")}


def layers(deep: int, wide: int) -> str:
    """Layers of parts, each of which refers to every one of the layer below."""
    below = [*range(wide)]
    return parts(
        *(
            (
                f"p{level}x{n}",
                "AIGateway",
                "config: {}" + (f", {refs(f'p{level - 1}x{m}' for m in below)}" if level else ""),
            )
            for level in range(deep)
            for n in below
        )
    )


def models(inside: Callable[[int], str], count: int) -> str:
    return "config: {models: [" + ",".join(f"{{name: m{n}{inside(n)}}}" for n in range(count)) + "]}"


ATTACKS: dict[str, tuple[Callable[[], dict[str, str]], str]] = {
    "8 MiB of mappings": (lambda: spec("{models: [" + fill("{a},") + "]}"), "AIG0025"),
    "one text of 8 MiB": (lambda: spec('{models: [{name: "' + fill("\U0001f600"[:1])[: FULL // 4] + '"}]}'), "AIG1"),
    "aliases of large lists": (lambda: spec("{a: &a [" + "x," * 100_000 + "], b: [" + "*a," * 900 + "]}"), "AIG0025"),
    "60,000 faults in items": (lambda: spec("{models: [" + "{a}," * 60_000 + "]}"), "AIG1099"),
    "60,000 faults in one item": (lambda: spec("{models: [{targets: [" + "{a}," * 60_000 + "]}]}"), "AIG1099"),
    "160,000 unknown keys": (lambda: spec("{" + ",".join(f"k{n}" for n in range(160_000)) + "}"), "AIG1099"),
    "secrets without end": (lambda: spec("{models: [" + f"sk-proj-{'0' * 40}," * 100_000 + "]}"), "AIG1099"),
    "names that nothing has": (
        lambda: spec(
            "{auth: {anonymous: true}, listeners: [{name: a, port: 8080}], providers: ["
            + "".join(f"{{name: prov{n:05d}, type: openai, auth: {{apiKey: {{env: A}}}}}}," for n in range(2000))
            + "], models: ["
            + "".join(f"{{name: m{n:05d}, targets: [{{provider: porv{n:05d}, model: a}}]}}," for n in range(2000))
            + "]}"
        ),
        "AIG3001",
    ),
    "many large files": (lambda: several(lambda n: part(n) + f"# {fill('a')}", 9), "AIG0108"),
    "many files of parts": (lambda: several(part, 1200), "AIG0108"),
    "many foreign files": (lambda: several(lambda n: f"a: [{fill('{a},')}]", 2), "no gateway found"),
    "references without end": (
        lambda: spec("{configRef: [" + ",".join(f"{{name: p, file: {n:x}.yaml}}" for n in range(12_000)) + "]}"),
        "AIG0108",
    ),
    "parts in a chain of 5,000": (
        lambda: {
            **spec("{configRef: {name: p0}}"),
            **several(
                lambda file: parts(
                    *((f"p{n}", "AIGateway", refs([f"p{n + 1}"])) for n in range(file * 1000, file * 1000 + 1000))
                ),
                5,
            ),
        },
        "AIG2008",
    ),
    "parts in a ring of 20": (
        lambda: on(refs(["p0"]), parts(*((f"p{n}", "AIGateway", refs([f"p{(n + 1) % 20}"])) for n in range(20)))),
        "AIG2003",
    ),
    "a dense order of parts": (lambda: on(refs(f"p7x{n}" for n in range(30)), layers(8, 30)), "AIG4002"),
    "a denser one": (lambda: on(refs(f"p2x{n}" for n in range(200)), layers(3, 200)), "AIG2008"),
    "an order without end": (
        lambda: on(
            refs(["p0"]),
            parts(*((f"p{n}", "AIGateway", refs(f"p{m}" for m in range(60) if m != n)) for n in range(60))),
        ),
        "AIG2003",
    ),
    "parts nested 1,000 times 1,000 times 1,000": (
        lambda: on(
            refs(["all"]),
            parts(
                (
                    "t",
                    "Target",
                    "config: {parameters: {defaults: {" + ",".join(f"k{n}: 1" for n in range(1000)) + "}}}",
                ),
                ("m", "Model", "config: {targets: [" + "{name: t, configRef: {name: t}}," * 1000 + "]}"),
                ("all", "AIGateway", models(lambda n: ", configRef: {name: m}", 1000)),
            ),
        ),
        "AIG2008",
    ),
    "100,000 names of parts that nothing has": (
        lambda: spec(f"{{{refs(f'p{n}' for n in range(100_000))}}}"),
        "AIG2001",
    ),
    "contracts of thousands of paths": (
        lambda: on(
            f"{refs(['p'])}, models: ["
            + ",".join(f"{{name: m{n}, policies: {{limits: [{{name: h{n}, cost: 3}}]}}}}" for n in range(2000))
            + "]",
            parts(
                (
                    "p",
                    "AIGateway",
                    "fields: {lock: ["
                    + ",".join(f"'models[m{n}].policies.cache'" for n in range(2000))
                    + "], hide: ["
                    + ",".join(f"'models[*].policies.limits[h{n}].cost'" for n in range(2000))
                    + "], constrain: ["
                    + ",".join(f"{{path: 'models[*].name', schema: {{maxLength: {n}}}}}" for n in range(500))
                    + "]}, "
                    + models(lambda n: "", 2000),
                )
            ),
        ),
        "AIG1001",
    ),
    "many gateways on a large part": (
        lambda: {
            "parts.yaml": parts(("p", "AIGateway", models(lambda n: ", targets: [{provider: p, model: a}]", 5000))),
            "a.yaml": "---\n".join(
                HEAD.replace("{name: a}", f"{{name: g{n}}}") + "spec: {configRef: {name: p}}\n" for n in range(500)
            ),
        },
        "AIG2008",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_files_that_mean_harm(tmp_path: Path, name: str) -> None:
    files, told = ATTACKS[name]
    folder = tmp_path / "project"
    folder.mkdir()
    for file, text in files().items():
        (folder / file).write_text(text, "utf-8")
    ran = lint(folder)
    assert ran.code == (0 if told.startswith("no") else 1), ran.text[:2000]
    assert told in ran.text
    assert ran.mib < 512
    assert len(ran.text) < 16 * MIB


def test_folders_that_mean_harm(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "a.yaml").write_text(f"{HEAD}spec: {{configRef: [{{name: p, file: ring/ring/pipe.yaml}}]}}")
    (folder / "ring").symlink_to(".")
    (folder / "zero.yaml").symlink_to("/dev/zero")
    (folder / "everything").symlink_to("/")
    os.mkfifo(folder / "pipe.yaml")
    back = Path.cwd()
    os.chdir(folder)
    try:
        for _ in range(1500):  # deeper than a recursion may go, and a longer path than a call may take
            os.mkdir("deep")
            os.chdir("deep")
    finally:
        os.chdir(back)
    ran = lint(folder)
    subprocess.run(["rm", "-rf", str(folder)], check=True)  # shutil recurses
    assert ran.code == 1
    assert [code for code in ("AIG0106", "AIG0109", "this is no regular file") if code not in ran.text] == []
    assert ran.mib < 512


def test_nothing_outside_is_shown(tmp_path: Path) -> None:
    canary = "canary-of-the-machine"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.yaml").write_text(f"{HEAD}spec: {{{canary}: [}}\n")
    folder = tmp_path / "project"
    (folder / "teams").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text(f"extraheader = {canary}\n")
    (folder / "aigw-compile.yaml").symlink_to(outside / "secret.yaml")
    (folder / "link.yaml").symlink_to(outside / "secret.yaml")
    (folder / "git.yaml").symlink_to(".git/config")
    (folder / "teams/folder").symlink_to(outside)
    paths = ["../../outside/secret.yaml", "folder/secret.yaml", "../link.yaml", "../git.yaml", "../.git/config"]
    paths.append(str(outside / "secret.yaml"))
    for number, path in enumerate(paths):
        text = HEAD.replace("name: a", f"name: a{number}")
        (folder / f"teams/a{number}.yaml").write_text(f"{text}spec: {{configRef: [{{name: p, file: {path}}}]}}")
    ran = lint(folder)
    assert ran.code == 1
    assert canary not in ran.text
    for number in range(len(paths)):
        assert f"teams/a{number}.yaml:4" in ran.text
