"""`aigw-compile schema --for PART` on a project: the command, what a team's editor makes of it, and that lint agrees."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from aigw_compile.source import parse
from tests.editor.server import Server, running
from tests.support import ROOT
from tests.test_cli import run

PLATFORM = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGatewayConfig
metadata: {name: company}
spec:
  for: AIGateway
  config:
    vaults: [{name: kanarienvault, type: aws, aws: {region: eu-west-1}}]
    providers:
      - {name: corp, type: openai, region: eu, auth: {apiKey: {vault: kanarienvault, key: kanarienkey}}}
      - {name: kanarienlab, type: vllm, baseUrl: "http://kanarienhost/v1"}
  fields:
    hide: [vaults, "providers[*].auth", "providers[kanarienlab]"]
---
apiVersion: aigw.dev/v1alpha1
kind: AIGatewayConfig
metadata: {name: org-baseline}
spec:
  for: AIGateway
  configRef: {name: company}
  config:
    listeners: [{name: public, port: 8080, address: 127.0.0.1}]
    auth: {apiKey: {}}
    consumers: [{name: app, credentials: [{apiKey: {env: APP_KEY}}]}]
    policies: {promptGuard: {deny: [kanarien]}, limits: [{name: rpm, per: minute, requests: 60}]}
    observability: {accessLog: {payloads: false}}
  fields:
    lock: [auth, observability.accessLog.payloads, {path: policies.limits, allow: add}]
    constrain:
      - {path: "models[*].policies.limits[*].tokens", schema: {maximum: 200000}, required: true}
      - {path: "models[*].timeouts.request", schema: {maximum: 60}}
    secrets: [{env: "SUPPORT_*"}]
---
apiVersion: aigw.dev/v1alpha1
kind: AIGatewayConfig
metadata: {name: broken}
spec:
  for: AIGateway
  config: {}
  fields: {hide: ["modells"]}
"""
TEAM = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: support}
spec:
  configRef: {name: org-baseline}
  models:
    - name: chat
      targets:
        - provider: corp
          model: gpt-4o-mini
      timeouts: {request: 20s}
      policies:
        limits:
          - name: daily
            per: day
            tokens: 100000
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for name, text in {"platform/parts.yaml": PLATFORM, "teams/support.yaml": TEAM, "aigw-compile.yaml": "{}"}.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    code, out, err = run("schema", "--for", "org-baseline", cwd=root)
    assert (code, err) == (0, "")
    (root / "schema.json").write_text(out)
    return root


def test_a_team_file_that_fits_is_one_that_lint_takes(project: Path) -> None:
    judge = jsonschema_rs.Draft202012Validator(json.loads((project / "schema.json").read_text()))
    assert judge.is_valid(parse(TEAM, "x.yaml")[0][0].data)
    assert run("lint", project / "teams")[0] == 0


def test_nothing_hidden_is_in_it(project: Path) -> None:
    text = (project / "schema.json").read_text()
    assert [word for word in ("kanarien", '"vaults"', "HashicorpVault", '"vault"') if word in text] == []
    assert json.loads(text)["$id"].startswith("https://aigw.dev/parts/org-baseline/sha256:")


def test_it_is_the_same_each_time_and_from_everywhere(project: Path) -> None:
    assert run("schema", "--for", "org-baseline", project / "teams")[1] == (project / "schema.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--for", "org-baselin"), 3, 'no part "org-baselin" is in this project: did you mean "org-baseline"?'),
        (("--for", "org-baseline", "nowhere"), 3, '"nowhere" is not there'),
        (("--for", "broken"), 1, "AIG2030"),
        (("spek",), 3, 'did you mean "spec"?'),
    ],
)
def test_what_can_go_wrong(project: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    found, out, err = run("schema", *arguments, cwd=project)
    assert (found, out) == (code, "")
    assert says in err


PLATFORM_AND_TEAMS = ROOT / "examples/platform-and-teams"
ELSEWHERE = {
    "another-model-at-that-price", "base-url-through-a-part", "file-outside", "friend", "friend-to-come", "second-part",
}  # fmt: skip
"""Attacks whose harm is in another part or file than the gateway's own, where only the compiler sees it."""


@pytest.fixture(scope="module")
def regions() -> dict[str, Any]:
    names = ("region-eu", "region-us")
    found = {name: run("schema", "--for", name, PLATFORM_AND_TEAMS) for name in names}
    return {name: jsonschema_rs.Draft202012Validator(json.loads(out)) for name, (_, out, _) in found.items()}


def gateways(pattern: str) -> Iterator[tuple[str, Any]]:
    for file in sorted(PLATFORM_AND_TEAMS.glob(pattern)):
        yield from ((file.stem, s.data) for s in parse(file.read_text("utf-8"), file.name)[0] if not s.is_part)


@pytest.mark.parametrize(
    "data", [pytest.param(data, id=data["metadata"]["name"]) for _, data in gateways("teams/**/*.yaml")]
)
def test_the_files_of_the_teams_fit(regions: dict[str, Any], data: Any) -> None:
    assert regions[data["spec"]["configRef"]["name"]].is_valid(data)


@pytest.mark.parametrize(("name", "data"), [pytest.param(*row, id=row[0]) for row in gateways("bad/*.yaml")])
def test_an_attack_is_red_while_it_is_written(regions: dict[str, Any], name: str, data: Any) -> None:
    assert any(judge.is_valid(data) for judge in regions.values()) is (name in ELSEWHERE)


NUMBERS = count()
"""Of the documents that the server was shown."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as found:
        yield found


def opened(server: Server, project: Path, text: str, name: str) -> str:
    uri = (project / "teams" / f"{name}-{next(NUMBERS)}.yaml").as_uri()
    head = "# yaml-language-server: $schema=../schema.json\n"
    document = {"uri": uri, "languageId": "yaml", "version": 1, "text": head + text}
    server.send("textDocument/didOpen", {"textDocument": document})
    return uri


def asked(server: Server, project: Path, what: str, text: str, name: str) -> Any:
    """Ask about the place of the mark `@`."""
    before = text[: text.index("@")].splitlines()
    at = {"line": len(before), "character": len(before[-1])}
    uri = opened(server, project, text.replace("@", ""), name)
    return server.ask(f"textDocument/{what}", {"textDocument": {"uri": uri}, "position": at})


@pytest.mark.parametrize(
    ("tail", "wanted", "hidden"),
    [
        ("  @\n", {"providers", "policies", "stores", "deployment"}, {"vaults", "auth"}),
        ("  providers:\n    - name: corp\n      @\n", {"region"}, {"auth", "baseUrl", "type", "headers"}),
        ("  providers:\n    - name: mine\n      @\n", {"type", "baseUrl", "region"}, {"auth"}),
        ("  providers:\n    - name: @\n", set(), {"kanarienlab"}),
        ("  observability:\n    accessLog:\n      @\n", {"format"}, {"payloads"}),
        ("            @\n", {"requests", "cost", "by"}, set()),
    ],
)  # fmt: skip
def test_completion_offers_what_may_be_set(
    server: Server, project: Path, tail: str, wanted: set[str], hidden: set[str]
) -> None:
    answer = asked(server, project, "completion", TEAM + tail, "completion")
    labels = {item["label"] for item in answer["items"]}
    assert wanted <= labels
    assert not hidden & labels


@pytest.mark.parametrize(
    ("word", "says"),
    [("provider", "Name of a provider of this gateway"), ("request", "at most 60s"), ("tokens", "Tokens in a window")],
)
def test_hover(server: Server, project: Path, word: str, says: str) -> None:
    answer = asked(server, project, "hover", TEAM.replace(f"{word}: ", f"{word[:2]}@{word[2:]}: "), "hover")
    assert says in answer["contents"]["value"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("", "", []),
        ("{name: org-baseline}", "[{name: org-baseline}, {name: other}]", []),
        ("timeouts:", "timeout:", ['Missing property "timeouts".', "Property timeout is not allowed."]),
        ("  models:", "  auth: {anonymous: true}\n  models:", ["Property auth is not allowed."]),
        ("  models:", "  vaults: []\n  models:", ["Property vaults is not allowed."]),
        ("tokens: 100000", "tokens: 300000", ["Value is above the maximum of 200000."]),
        ("tokens: 100000", "requests: 1", ['Missing property "tokens".']),
        ("  models:", "  policies: {limits: [{name: rpm, requests: 9}]}\n  models:", None),
        ("  models:", "  policies: {limits: [{name: more, per: day, requests: 9}]}\n  models:", []),
    ],
)
def test_what_an_editor_marks(server: Server, project: Path, old: str, new: str, says: list[str] | None) -> None:
    """`None`: something, in the words of the server."""
    uri = opened(server, project, TEAM.replace(old, new, 1), "marks")
    found = [d["message"] for d in server.diagnostics(uri)]
    assert sorted(found) == sorted(says) if says is not None else found, found
