"""`aigw-compile pin`: texts to the same texts with digests, and not a byte more; what was pinned is clean with --frozen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigw_compile import compiler
from aigw_compile.diagnostic import failed
from aigw_compile.pinning import Pinning, pinning
from tests.test_cli import run

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
STALE = "sha256:" + "0" * 64
PARTS = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGatewayConfig
metadata: {name: company}
spec:
  for: AIGateway
  config:
    providers: [{name: openai, type: openai, auth: {apiKey: {env: OPENAI_API_KEY}}}]
    auth: {apiKey: {headers: [x-api-key]}}
---
apiVersion: aigw.dev/v1alpha1
kind: AIGatewayConfig
metadata: {name: eu}
spec:
  for: AIGateway
  configRef: {name: company}
  config:
    deployment: {replicas: 2}
---
apiVersion: aigw.dev/v1alpha1
kind: AIGatewayConfig
metadata: {name: careful}
spec:
  for: Policies
  config: {promptGuard: {deny: [secret]}}
"""
HEAD = "apiVersion: aigw.dev/v1alpha1\nkind: AIGateway\nmetadata: {name: support}\nspec:\n"
REST = """\
  models: [{name: chat, targets: [{provider: openai, model: gpt-4o-mini}]}]
  consumers: [{name: app, credentials: [{apiKey: {env: APP_KEY}}]}]
"""

CASES = {
    "short": ("  configRef: {name: company}\n", "  configRef: {name: company, digest: D}\n"),
    "short, with spaces and a comment": (
        "  configRef: { name: company } # why\n",
        "  configRef: { name: company, digest: D } # why\n",
    ),
    "quotes": ("  configRef: {'name': \"company\"}\n", "  configRef: {'name': \"company\", digest: D}\n"),
    "a list": (
        "  configRef: [{name: company}, {name: eu}]\n",
        "  configRef: [{name: company, digest: D}, {name: eu, digest: D}]\n",
    ),
    "long": (
        "  configRef:\n    name: company   # of all\n\n",
        "  configRef:\n    name: company   # of all\n    digest: D\n\n",
    ),
    "a long list": (
        "  configRef:\n  - name: company\n  -   name: 'eu'\n",
        "  configRef:\n  - name: company\n    digest: D\n  -   name: 'eu'\n      digest: D\n",
    ),
    "over several lines": (
        "  configRef: [\n    {\n      name: company, # why\n    },\n  ]\n",
        "  configRef: [\n    {\n      name: company, digest: D, # why\n    },\n  ]\n",
    ),
    "a file beside the name": (
        "  configRef: {file: ./parts.yaml, name: company}\n",
        "  configRef: {file: ./parts.yaml, name: company, digest: D}\n",
    ),
    "a stale digest, as it was quoted": (
        f"  configRef:\n  - {{digest: '{STALE}', name: company}}\n  - digest: \"{STALE}\"\n    name: eu\n",
        "  configRef:\n  - {digest: 'D', name: company}\n  - digest: \"D\"\n    name: eu\n",
    ),
    "a stale digest with a comment": (
        f"  configRef:\n    digest: {STALE}  # read on Monday\n    name: company\n",
        "  configRef:\n    digest: D  # read on Monday\n    name: company\n",
    ),
    "folded text": (
        "  configRef:\n    name: >-\n      company\n\n",
        "  configRef:\n    name: >-\n      company\n    digest: D\n\n",
    ),
    "inside an object": (
        "  configRef: {name: company}\n  policies: {configRef: [{name: careful}]}\n",
        "  configRef: {name: company, digest: D}\n  policies: {configRef: [{name: careful, digest: D}]}\n",
    ),
    "an anchor and its alias": (
        "  policies: {configRef: &careful {name: careful}}\n"
        "  consumerGroups: [{name: one, policies: {configRef: *careful}}]\n  configRef: {name: company}\n",
        "  policies: {configRef: &careful {name: careful, digest: D}}\n"
        "  consumerGroups: [{name: one, policies: {configRef: *careful}}]\n  configRef: {name: company, digest: D}\n",
    ),
    "a long anchor and its alias": (
        "  consumerGroups:\n  - {name: one, policies: {}}\n  policies:\n    configRef: &careful\n      name: careful\n"
        "  configRef: {name: company}\n",
        "  consumerGroups:\n  - {name: one, policies: {}}\n  policies:\n    configRef: &careful\n      name: careful\n"
        "      digest: D\n  configRef: {name: company, digest: D}\n",
    ),
    "letters that take several bytes": (
        "  configRef: {name: company}  # für alle 🙂\n  policies: {configRef: {name: careful}}\n",
        "  configRef: {name: company, digest: D}  # für alle 🙂\n  policies: {configRef: {name: careful, digest: D}}\n",
    ),
}


def project(folder: Path, gateway: str, parts: str = PARTS) -> Path:
    (folder / "aigw-compile.yaml").write_text("targets:\n  proxy: {}\n")
    (folder / "parts.yaml").write_text(parts)
    (folder / "gateway.yaml").write_bytes(gateway.encode())
    return folder


def pins_of(folder: Path, *names: str) -> Pinning:
    return pinning(compiler.open_project([folder / name for name in names] or [folder]))


def pin(folder: Path) -> dict[str, str]:
    """Pin a project, look whether the law holds, and return the new texts."""
    done = pins_of(folder)
    assert not failed(done.diagnostics), done.diagnostics
    for file in done.files:
        (folder / file.file).write_bytes(file.text.encode())
    again = pins_of(folder)
    assert again.files == (), "pin again changes nothing"
    checked, general = compiler.check(compiler.open_project([folder]), frozen=True)
    assert not failed([*general, *(d for one in checked for d in one.diagnostics)]), "what was pinned is clean"
    return {file.file: file.text for file in done.files}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("case", CASES)
def test_nothing_but_the_digest_changes(case: str, line_end: str, tmp_path: Path) -> None:
    before, after = (f"{HEAD}{text}{REST}".replace("\n", line_end) for text in CASES[case])
    written = pin(project(tmp_path, before))
    assert DIGEST.sub("D", written["gateway.yaml"]) == after
    assert DIGEST.sub("D", written["parts.yaml"]) == PARTS.replace(
        "{name: company}\n  config", "{name: company, digest: D}\n  config"
    )


def test_without_a_line_end_at_the_end(tmp_path: Path) -> None:
    written = pin(project(tmp_path, f"{HEAD}{REST}  configRef:\n    name: company"))
    assert DIGEST.sub("D", written["gateway.yaml"]) == f"{HEAD}{REST}  configRef:\n    name: company\n    digest: D"
    assert written["gateway.yaml"].isascii()


STYLES = st.sampled_from(
    ["{name: N}", "{ \"name\": 'N' }", "{name: N,}", "[{name: N}]", "\n    name: N # c", "\n  - name: N"]
)


@given(styles=st.lists(STYLES, min_size=2, max_size=2), crlf=st.booleans(), mark=st.booleans())
def test_pinned_is_frozen(styles: list[str], crlf: bool, mark: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("pin")
    top, inside = (s.replace("N", n) for s, n in zip(styles, ("eu", "careful"), strict=True))
    text = f"{HEAD}  configRef: {top}\n  policies:\n    configRef: {inside.replace(chr(10), chr(10) + '  ')}\n{REST}"
    text = ("\ufeff" if mark else "") + (text.replace("\n", "\r\n") if crlf else text)
    written = pin(project(folder, text))
    without = re.sub(r"(, |\r?\n *)digest: sha256:[0-9a-f]{64}", "", written["gateway.yaml"])
    assert without == text.removeprefix("\ufeff")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("  configRef: [name: company]\n", "AIG2013"),  # a pair without braces
        ("  configRef:\n    ? name\n    : company\n", "AIG2013"),
        ("  configRef: {name: compny}\n", "AIG2001"),
        ("  configRef: {name: company}\n  modles: []\n", "AIG1001"),
    ],
)
def test_nothing_is_written_if_something_is_wrong(lines: str, says: str, tmp_path: Path) -> None:
    before = f"{HEAD}{lines}{REST}"
    code, out, err = run("pin", project(tmp_path, before))
    assert (code, says in out + err) == (1, True), out + err
    assert "nothing was written" in err
    assert (tmp_path / "gateway.yaml").read_text() == before
    assert (tmp_path / "parts.yaml").read_text() == PARTS


def test_the_command(tmp_path: Path) -> None:
    project(tmp_path, f"{HEAD}  configRef: {{name: eu}}\n{REST}")
    (tmp_path / "gateway.yaml").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "gateway.yaml").read_bytes())
    code, out, err = run("lint", "--frozen", tmp_path)
    assert (code, out.count("AIG2007")) == (1, 2)
    code, out, err = run("pin", "--check", tmp_path)
    assert (code, err) == (1, "2 digests are missing or stale: run `aigw-compile pin`\n")
    assert not DIGEST.search((tmp_path / "gateway.yaml").read_text())
    code, out, err = run("pin", tmp_path / "gateway.yaml")
    assert code == 0
    assert re.fullmatch(r"gateway\.yaml:5: eu sha256:[0-9a-f]{64}\n", out), "the files that were named, and no others"
    assert (tmp_path / "gateway.yaml").read_bytes().startswith(b"\xef\xbb\xbfapiVersion")
    assert run("pin", tmp_path)[0] == 0
    assert run("pin", "--check", tmp_path) == (0, "", "every configRef names the digest of its part\n")
    for command in (("lint",), ("build", "--output", tmp_path / "out"), ("diff", tmp_path / "gateway.yaml")):
        assert run(*command, "--frozen", tmp_path)[0] == 0, command
    (tmp_path / "parts.yaml").write_text((tmp_path / "parts.yaml").read_text().replace("x-api-key", "x-key"))
    for command in (("lint",), ("build", "--output", tmp_path / "out"), ("serve",)):
        code, out, err = run(*command, "--frozen", tmp_path)
        assert (code, "is not the part that was pinned" in out + err) == (1, True), command


def test_comments_and_order_of_keys_do_not_count(tmp_path: Path) -> None:
    folder = project(tmp_path, f"{HEAD}  configRef: {{name: eu}}\n{REST}")
    pin(folder)
    parts = folder / "parts.yaml"
    parts.write_text(parts.read_text().replace("  config:\n    deployment", "  config: # two\n    deployment"))
    assert pins_of(folder).files == ()
    parts.write_text(parts.read_text().replace("replicas: 2", "replicas: 3"))
    assert [p.name for f in pins_of(folder).files for p in f.pins] == ["eu"]
