"""The comment of a pull request: found again by its mark and its author, written anew in its place, on GitHub's API and GitLab's."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from aigw_compile import comments
from tests.targets.test_kong_sides import run

ME = {"id": 7, "type": "Bot"}
ELSE = {"id": 8, "type": "User"}


class Host:
    """Both APIs, in short (docs.github.com, issue comments; docs.gitlab.com, notes): comments, and whose token it is."""

    def __init__(self, kind: str) -> None:
        self.kind, self.token = kind, "zq7-canary-token"
        self.held: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.odd: tuple[int, bytes] | None = None
        self.url = ""

    def environment(self) -> dict[str, str]:
        if self.kind == "github":
            own = {"GITHUB_API_URL": self.url, "GITHUB_REPOSITORY": "o/r", "GITHUB_REF": "refs/pull/12/merge"}
            return {**own, "GITHUB_TOKEN": self.token}
        own = {"CI_API_V4_URL": self.url, "CI_PROJECT_ID": "3", "CI_MERGE_REQUEST_IID": "12"}
        return {**own, "AIGW_TOKEN": self.token}

    def answer(self, method: str, target: str, headers: Any, body: Any) -> tuple[int, Any]:
        path, _, query = target.partition("?")
        self.calls.append(f"{method} {path}")
        sent = headers.get("Authorization") if self.kind == "github" else headers.get("PRIVATE-TOKEN")
        if sent != (f"Bearer {self.token}" if self.kind == "github" else self.token):
            return 401, {"message": "zq7-canary"}
        lists, one = {
            "github": ("/repos/o/r/issues/12/comments", "/repos/o/r/issues/comments/"),
            "gitlab": ("/projects/3/merge_requests/12/notes", "/projects/3/merge_requests/12/notes/"),
        }[self.kind]
        if (method, path) == ("GET", "/user") and self.kind == "gitlab":
            return 200, ME
        if (method, path) == ("GET", lists):
            asked = dict(pair.split("=") for pair in query.split("&"))
            size, page = int(asked["per_page"]), int(asked["page"])
            return 200, self.held[size * (page - 1) : size * page]
        if (method, path) == ("POST", lists):
            self.add(body["body"], ME)
            return 201, {}
        if (method, path.rpartition("/")[0] + "/") == ("PATCH" if self.kind == "github" else "PUT", one):
            (held,) = [h for h in self.held if h["id"] == int(path.rpartition("/")[2])]
            held["body"] = body["body"]
            return 200, held
        return 404, {}

    def add(self, body: str, who: Any) -> None:
        key = "user" if self.kind == "github" else "author"
        self.held.append({"id": len(self.held) + 1, "body": body, key: who})


@contextmanager
def serving(host: Host) -> Iterator[Host]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, made = host.answer(self.command, self.path, self.headers, json.loads(raw or b"null"))
            text = json.dumps(made).encode()
            if host.odd:
                status, text = host.odd
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{host.url}/elsewhere")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PATCH = do_PUT = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    host.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["github", "gitlab"])
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in ("GITHUB_REPOSITORY", "GITHUB_REF", "CI_PROJECT_ID", "CI_MERGE_REQUEST_IID"):
        monkeypatch.delenv(name, raising=False)
    with serving(Host(request.param)) as found:
        for name, value in found.environment().items():
            monkeypatch.setenv(name, value)
        yield found


def test_one_comment_is_written_anew(host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "diff.md"
    for number in range(150):  # on a page of its own
        host.add(f"comment {number}", ELSE)
    file.write_text("### first\n")
    assert run(capsys, "comment", str(file), "--only-update") == (0, "", "comment: none\n")
    assert len(host.held) == 150
    for text, done in (("first", "written"), ("first", "unchanged"), ("second", "updated"), ("third", "updated")):
        file.write_text(f"### {text}\n")
        assert run(capsys, "comment", str(file)) == (0, "", f"comment: {done}\n")
        assert len(host.held) == 151
        assert host.held[-1]["body"] == f"{comments.mark(comments.NAME)}\n### {text}\n"
    file.write_text("### other\n")
    assert run(capsys, "comment", "--name", "other", str(file))[2] == "comment: written\n"
    assert [h["body"].splitlines()[-1] for h in host.held[-2:]] == ["### third", "### other"]
    assert run(capsys, "comment", str(file), "--only-update")[2] == "comment: updated\n"


def test_what_only_looks_like_it_is_left_alone(host: Host) -> None:
    host.add(f"{comments.mark(comments.NAME)}\nno change, trust me", ELSE)
    assert comments.comment(comments.forge(host.environment()), "### 1 change") == "written"
    assert [h["body"].splitlines()[-1] for h in host.held] == ["no change, trust me", "### 1 change"]


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ((403, b"zq7-canary"), "with 403 ("),
        ((500, b"zq7-canary"), "with 500"),
        ((302, b""), "with 302"),
        ((200, b"<html>zq7-canary"), "cannot be asked"),
        ((200, b'{"zq7-canary": 1}'), "gives no"),
        ((200, b'["zq7-canary"]'), "gives no"),
        ((200, b'[{"zq7-canary": 1}]'), "gives no"),
    ],
)
def test_what_goes_wrong(
    host: Host, odd: tuple[int, bytes], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host.odd = odd
    file = tmp_path / "diff.md"
    file.write_text("### a\n")
    code, out, err = run(capsys, "comment", str(file))
    assert (code, out, words in err, "canary" in err) == (3, "", True, False), err
    assert not any("elsewhere" in call for call in host.calls)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"GITHUB_REPOSITORY": "", "CI_PROJECT_ID": ""}, "no pipeline of GitHub or GitLab"),
        ({"GITHUB_REF": "refs/heads/main", "CI_MERGE_REQUEST_IID": ""}, "request"),
        ({"GITHUB_TOKEN": " ", "AIGW_TOKEN": ""}, "holds no token"),
        ({"GITHUB_TOKEN": "a\nb", "AIGW_TOKEN": "ü"}, "holds no token"),
        ({"GITHUB_API_URL": "file:///etc", "CI_API_V4_URL": "x"}, "is no address"),
    ],
)
def test_where_there_is_nothing_to_comment_on(host: Host, changed: dict[str, str], words: str) -> None:
    with pytest.raises(comments.CommentError, match=words):
        comments.forge({**host.environment(), **changed})
    assert host.calls == []


def test_what_is_more_than_a_comment_holds() -> None:
    """Verdicts alone then, as many as fit."""
    first, more = comments.mark("n"), "- a change\n" * 50
    text = "".join(f"### gateway-{n}: 3 changes\n\n{more}" for n in range(200))
    body = comments.body_of(text, first)
    assert len(body) < 10_000
    assert body.startswith(f"{first}\n### gateway-0: 3 changes\n### gateway-1")
    assert "more than a comment holds" in body
    body = comments.body_of("".join(f"### {n} {'x' * 500}\n" for n in range(500)), first)
    assert len(body) <= comments.LONGEST
    assert "more gateways" in body


@pytest.mark.parametrize("name", ["", "a b", "a-->", "-a", "x" * 200, "a\n"])
def test_names(name: str) -> None:
    with pytest.raises(comments.CommentError):
        comments.mark(name)
