"""A diff as Markdown to the one comment of a pull request of GitHub, or of a merge request of GitLab, written anew in its place."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

NAME = "aigw-diff"
"""What tells a comment from others of ours, where a pipeline writes several."""
LONGEST = 65_000
"""Characters of a comment: GitHub takes 65,536."""
PAGES = 50
WAIT = 20.0
"""Seconds without a byte."""
LARGEST = 32 << 20


class CommentError(Exception):
    """A comment cannot be written; the message says why, and what would be right. It quotes no token and no answer."""


class Forge(NamedTuple):
    """Where comments are listed and written, one of them is changed, and who we are."""

    name: str
    comments: str
    one: str
    """The address of one comment, up to its number."""
    change: str
    """The method that changes a comment."""
    headers: Mapping[str, str]
    who: str
    """The address that says whose token it is; "" where the comments themselves tell."""
    permission: str


def forge(environment: Mapping[str, str]) -> Forge:
    """Return the forge whose pipeline this is. Raises CommentError outside one, or outside a pull request."""
    for of in (_github, _gitlab):
        if found := of(environment):
            return found
    raise CommentError("this is no pipeline of GitHub or GitLab: neither GITHUB_REPOSITORY nor CI_PROJECT_ID is set")


def _github(environment: Mapping[str, str]) -> Forge | None:
    repository = environment.get("GITHUB_REPOSITORY")
    if not repository:
        return None
    pull = re.fullmatch(r"refs/pull/(\d+)/\w+", environment.get("GITHUB_REF", ""))
    if not pull:
        raise CommentError("GITHUB_REF names no pull request: run it `on: pull_request`")
    token = _token(environment, "GITHUB_TOKEN")
    base = f"{_base(environment, 'GITHUB_API_URL', 'https://api.github.com')}/repos/{quote(repository)}/issues"
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    permission = "the job needs `permissions: {pull-requests: write}`, which pull requests of forks never have"
    return Forge("GitHub", f"{base}/{pull[1]}/comments", f"{base}/comments/", "PATCH", headers, "", permission)


def _gitlab(environment: Mapping[str, str]) -> Forge | None:
    project = environment.get("CI_PROJECT_ID")
    if not project:
        return None
    merge = environment.get("CI_MERGE_REQUEST_IID", "")
    if not merge.isdigit():
        raise CommentError("CI_MERGE_REQUEST_IID names no merge request: run it in pipelines of merge requests")
    token = _token(environment, "AIGW_TOKEN")
    base = _base(environment, "CI_API_V4_URL", "https://gitlab.com/api/v4")
    notes = f"{base}/projects/{quote(project, safe='')}/merge_requests/{merge}/notes"
    permission = "AIGW_TOKEN is a token of the project with the scope `api`"
    return Forge("GitLab", notes, f"{notes}/", "PUT", {"PRIVATE-TOKEN": token}, f"{base}/user", permission)


def _token(environment: Mapping[str, str], name: str) -> str:
    token = environment.get(name, "").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise CommentError(f"{name} holds no token")
    return token


def _base(environment: Mapping[str, str], name: str, usual: str) -> str:
    base = environment.get(name) or usual
    if urlsplit(base).scheme not in ("https", "http") or not urlsplit(base).hostname:
        raise CommentError(f"{name} is no address")
    return base.rstrip("/")


def comment(at: Forge, text: str, name: str = NAME, *, only_update: bool = False) -> str:
    """Write the comment, or write it anew; return what was done: written, updated, unchanged, or none. Raises CommentError."""
    body = body_of(text, mark(name))
    held = _own(at, mark(name))
    if held is None:
        if only_update:
            return "none"
        _ask(at, "POST", at.comments, {"body": body})
        return "written"
    if str(held.get("body")).strip() == body.strip():
        return "unchanged"
    _ask(at, at.change, f"{at.one}{held['id']}", {"body": body})
    return "updated"


def mark(name: str) -> str:
    """Return the first line of a comment, by which it is found again. Raises CommentError."""
    if not re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}", name) or "--" in name:
        raise CommentError(f'"{name[:40]}" is no name of a comment: letters, digits and . _ - make one')
    return f"<!-- aigw-compile:comment:{name} -->"


def body_of(text: str, first: str) -> str:
    """Return the comment that tells a diff: all of it, or its verdicts alone where a comment cannot hold it."""
    body = f"{first}\n{text.strip()}\n"
    if len(body) <= LONGEST:
        return body
    verdicts = [line for line in text.splitlines() if line.startswith("### ")]
    kept: list[str] = []
    while verdicts and sum(map(len, kept)) + len(kept) < LONGEST - 1000:
        kept.append(verdicts.pop(0))
    left = [f"and {len(verdicts)} more gateways"] if verdicts else []
    return "\n".join(
        [first, *kept, *left, "", "This is more than a comment holds: the rest is in the report of the job.", ""]
    )


def _own(at: Forge, first: str) -> dict[str, Any] | None:
    """The comment that was written before. One of somebody else that only looks like it is left alone."""
    me = _number(at, _ask(at, "GET", at.who)) if at.who else None
    for held in _listed(at):
        author = held.get("author") or held.get("user") or {}
        ours = author.get("id") == me if at.who else author.get("type") == "Bot"
        if ours and str(held.get("body", "")).startswith(first):
            return held
    return None


def _listed(at: Forge) -> Iterator[dict[str, Any]]:
    for page in range(1, PAGES + 1):
        found = _ask(at, "GET", f"{at.comments}?per_page=100&page={page}")
        if not isinstance(found, list) or not all(_number(at, one) for one in found):
            raise CommentError(f"{at.name} gives no list of comments")
        yield from found
        if len(found) < 100:
            return


def _number(at: Forge, found: Any) -> int:
    """The id of what was answered."""
    number = found.get("id") if isinstance(found, dict) else None
    if not isinstance(number, int):
        raise CommentError(f"{at.name} gives no comments: {at.permission}")
    return number


class _Here(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token is for this address alone."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _ask(at: Forge, method: str, url: str, data: Any = None) -> Any:
    raw = json.dumps(data).encode() if data is not None else None
    headers = {**at.headers, "User-Agent": "aigw-compile"} | ({"Content-Type": "application/json"} if raw else {})
    request = urllib.request.Request(url, raw, headers, method=method)
    try:
        with urllib.request.build_opener(_Here).open(request, timeout=WAIT) as answer:
            return json.loads(answer.read(LARGEST) or b"null")
    except urllib.error.HTTPError as error:
        error.close()
        why = f" ({at.permission})" if error.code in (401, 403, 404) else ""
        raise CommentError(f"{at.name} answers {method} of the comment with {error.code}{why}") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise CommentError(f"{at.name} cannot be asked: {reason}") from None
