"""The schema in an editor: every field is explained, and the language server that editors use completes, explains and finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from aigw_compile.schema import document_schema, follow
from tests.editor.server import Server, running
from tests.support import ROOT, WITHOUT_PARTS

SCHEMA = document_schema()


def fields(node: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of an object, those of the objects in it too."""
    for name, inner in node.get("properties", {}).items():
        found = follow(inner)
        if "not" not in found:
            yield f"{place}.{name}", found
        if "$ref" not in inner:
            yield from fields(inner, f"{place}.{name}")


FIELDS = [row for name, node in {"document": SCHEMA, **SCHEMA["$defs"]}.items() for row in fields(node, name)]


@pytest.mark.parametrize("wanted", ["title", "description", "examples"])
def test_every_field_has(wanted: str) -> None:
    assert len(FIELDS) > 200
    assert [place for place, node in FIELDS if not node.get(wanted)] == []


def test_every_list_says_how_it_is_merged() -> None:
    kinds = {place: node.get("x-kubernetes-list-type") for place, node in FIELDS if node.get("type") == "array"}
    assert set(kinds.values()) == {"map", "set", "atomic"}


def test_examples_and_defaults_are_valid_at_their_place() -> None:
    for place, node in FIELDS:
        validator = jsonschema.Draft202012Validator({**node, "$defs": SCHEMA["$defs"]})
        for value in (*node["examples"], *([node["default"]] if "default" in node else ())):
            assert not list(validator.iter_errors(value)), (place, value)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as found:
        yield found


def opened(server: Server, text: str, name: str, schema: str = "aigateway.schema.json") -> str:
    """Show the server a document whose first line names the schema, as users write it."""
    uri = (ROOT / name).as_uri()
    head = f"# yaml-language-server: $schema={(ROOT / 'schemas' / schema).as_uri()}\n"
    document = {"uri": uri, "languageId": "yaml", "version": 1, "text": head + text}
    server.send("textDocument/didOpen", {"textDocument": document})
    return uri


SPEC = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: support}
spec:
  providers:
    - name: openai
      type: openai
      auth: {apiKey: {env: OPENAI_API_KEY}}
  models:
    - name: chat
      targets:
        - provider: openai
          model: gpt-4o-mini
          @TARGET
      timeouts:
        firstByte: 20s
  auth: {apiKey: {headers: [x-api-key]}}
  policies:
    limits:
      - name: rpm
        per: @PER
        requests: 60
        @LIMIT
"""


def place(text: str, mark: str, after: int = 0) -> tuple[str, dict[str, int]]:
    """Return the text without its marks, and where one of them stood (the line of the schema comes first)."""
    before = text[: text.index(mark)].splitlines()
    at = {"line": len(before), "character": len(before[-1]) + after}
    for name in ("@TARGET", "@LIMIT", "@CONFIG", "@FIELDS", "@REF", "@CACHE", "@MODEL"):
        text = text.replace(name, "")
    for name, word in (("@PER", "minute"), ("@FOR", "AIGateway")):
        text = text.replace(name, "" if mark == name else word)
    return text, at


@pytest.mark.parametrize(
    ("mark", "wanted"),
    [
        ("@TARGET", {"weight", "priority", "parameters", "onUnsupported", "pricing"}),
        ("@PER", {"second", "minute", "hour", "day", "week", "month"}),
        ("@LIMIT", {"by", "tokens", "cost", "count", "onExceeded", "reserveOutput"}),
    ],
)
def test_completion(server: Server, mark: str, wanted: set[str]) -> None:
    text, at = place(SPEC, mark)
    uri = opened(server, text, f"completion-{mark[1:].lower()}.yaml")
    answer = server.ask("textDocument/completion", {"textDocument": {"uri": uri}, "position": at})
    assert wanted <= {item["label"] for item in answer["items"]}


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("firstByte", "To the response headers"),
        ("requests", "Requests in a window."),
        ("apiKey: {headers", "Consumers identify themselves with an API key"),
    ],
)
def test_hover(server: Server, word: str, wanted: str) -> None:
    text, at = place(SPEC, word, after=2)
    uri = opened(server, text, f"hover-{word[:6].strip().lower()}.yaml")
    answer = server.ask("textDocument/hover", {"textDocument": {"uri": uri}, "position": at})
    assert wanted.lower() in str(answer["contents"]).lower()


@pytest.mark.parametrize("folder", WITHOUT_PARTS, ids=lambda folder: folder.name)
def test_examples_are_clean_in_an_editor(server: Server, folder: Path) -> None:
    uri = opened(server, (folder / "gateway.yaml").read_text("utf-8"), f"{folder.name}.yaml")
    assert server.diagnostics(uri) == []


def test_a_misspelt_field_is_found_while_typing(server: Server) -> None:
    text, _ = place(SPEC.replace("firstByte", "firstBite"), "@LIMIT")
    found = server.diagnostics(opened(server, text, "misspelt.yaml"))
    assert [d["message"] for d in found] == ["Property firstBite is not allowed."]


PART = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGatewayConfig
metadata: {name: org-baseline}
spec:
  for: @FOR
  configRef:
    - name: company
      @REF
  config:
    @CONFIG
    policies:
      promptGuard: {deny: [{$patch: replace}, secret]}
      limits: [{$patch: delete, name: rpm}]
      cache:
        ttl: 5m
        @CACHE
    models:
      - name: chat
        exposeTarget: {$patch: delete}
        onDisconnect: {$patch: delete}
        @MODEL
  fields:
    hide: [vaults]
    @FIELDS
"""


@pytest.mark.parametrize(
    ("mark", "wanted"),
    [
        ("@FOR", {"AIGateway", "Provider", "Target", "Policies"}),
        ("@REF", {"file", "digest"}),
        ("@CONFIG", {"listeners", "vaults", "providers", "auth", "consumers", "observability", "deployment"}),
        ("@CACHE", {"type", "scope", "store"}),
        ("@MODEL", {"targets", "retries", "timeouts", "configRef"}),
        ("@FIELDS", {"lock", "expose", "open", "constrain", "secrets", "referrers", "friends"}),
    ],
)
def test_completion_in_a_part(server: Server, mark: str, wanted: set[str]) -> None:
    text, at = place(PART, mark)
    uri = opened(server, text, f"part-{mark[1:].lower()}.yaml", "aigatewayconfig.schema.json")
    answer = server.ask("textDocument/completion", {"textDocument": {"uri": uri}, "position": at})
    assert wanted <= {item["label"] for item in answer["items"]}


def test_a_part_is_clean_in_an_editor_and_its_faults_are_found(server: Server) -> None:
    text, _ = place(PART, "@FIELDS")
    assert server.diagnostics(opened(server, text, "part.yaml", "aigatewayconfig.schema.json")) == []
    wrong = text.replace("ttl: 5m", "tttl: 5m").replace("hide:", "hid:")
    found = server.diagnostics(opened(server, wrong, "part-wrong.yaml", "aigatewayconfig.schema.json"))
    assert sorted(d["message"] for d in found) == ["Property hid is not allowed.", "Property tttl is not allowed."]


def test_a_gateway_with_a_ref_is_clean_in_an_editor(server: Server) -> None:
    text = """\
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: support}
spec:
  configRef: {name: org-baseline}
  models:
    - {name: chat, configRef: [{name: chat-base, file: ../platform/chat.yaml}]}
  listeners: [{configRef: {name: public}}]
"""
    assert server.diagnostics(opened(server, text, "with-ref.yaml")) == []
    found = server.diagnostics(opened(server, text.replace("  configRef: {name: org-baseline}\n", ""), "no-ref.yaml"))
    assert [d["message"] for d in found] == ['Missing property "providers".']
