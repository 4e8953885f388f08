"""Who called: peers, trusted proxies and X-Forwarded-For; which addresses may call, and where that is looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigw_compile.proxy.addresses import client_address, network, parsed, permitted
from aigw_compile.proxy.app import application
from tests.proxy.harness import Proxy, proxy

TRUSTED = [network(x) for x in ("10.0.0.0/8", "fd00::/8", "::ffff:192.0.2.0/120")]
CLIENTS: list[tuple[str, list[str], str | None]] = [
    # (peer, the values of X-Forwarded-For, who called)
    ("203.0.113.9", [], "203.0.113.9"),
    ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
    ("::ffff:203.0.113.9", [], "203.0.113.9"),
    ("fe80::1%eth0", [], "fe80::1"),
    ("", ["198.51.100.1"], None),
    ("10.0.0.1", [], "10.0.0.1"),
    ("10.0.0.1", [""], "10.0.0.1"),
    ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ("10.0.0.1", ["8.8.8.8, 198.51.100.1"], "198.51.100.1"),
    ("10.0.0.1", ["8.8.8.8", "198.51.100.1"], "198.51.100.1"),
    ("10.0.0.1", ["8.8.8.8,198.51.100.1 , 10.0.0.2"], "198.51.100.1"),
    ("10.0.0.1", ["198.51.100.1, 10.0.0.3", "10.0.0.2"], "198.51.100.1"),
    ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ("10.0.0.1", ["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
    ("10.0.0.1", ["198.51.100.1, , 10.0.0.2"], "10.0.0.2"),
    ("10.0.0.1", ["198.51.100.1,"], "10.0.0.1"),
    ("10.0.0.1", ["198.51.100.1;x"], "10.0.0.1"),
    ("10.0.0.1", ["198.51.100.01"], "10.0.0.1"),
    ("10.0.0.1", ["10.0.0.0/8"], "10.0.0.1"),
    ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
    ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
    ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
    ("10.0.0.1", ["2001:db8::1%eth0"], "10.0.0.1"),
    ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
    ("10.0.0.1", ["198.51.100.1, ::ffff:10.0.0.2"], "198.51.100.1"),
    ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ("192.0.2.7", ["198.51.100.1"], "198.51.100.1"),
    ("fd00::1", ["2001:db8::1, 10.0.0.2"], "2001:db8::1"),
]


@pytest.mark.parametrize(("peer", "forwarded", "want"), CLIENTS)
def test_who_called(peer: str, forwarded: list[str], want: str | None) -> None:
    assert client_address(peer, forwarded, TRUSTED) == (want and ip_address(want))


OUTSIDE = st.ip_addresses(v=4).filter(lambda a: not any(a in n for n in TRUSTED))
INSIDE = st.ip_addresses(v=4, network="10.0.0.0/8")
ANYTHING = st.lists(st.one_of(st.text(max_size=40), st.ip_addresses().map(str), INSIDE.map(str)), max_size=4)


@given(OUTSIDE, ANYTHING)
def test_nobody_outside_can_say_to_be_another(client: Any, forged: list[str]) -> None:
    assert client_address(str(client), forged, TRUSTED) == client


@given(OUTSIDE, ANYTHING, st.lists(INSIDE, min_size=1, max_size=4))
def test_behind_proxies_that_append_whatever_a_client_writes_changes_nothing(
    client: Any, forged: list[str], proxies: list[Any]
) -> None:
    """Each proxy appends its peer: the client first, then one proxy after the other; the last one is our peer."""
    *passed, last = [str(p) for p in proxies]
    chain = ", ".join([*forged, str(client), *passed])
    assert client_address(last, [chain], TRUSTED) == client
    assert client_address(last, [*forged, ", ".join([str(client), *passed])], TRUSTED) == client


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_none(text: str) -> None:
    found = parsed(text)
    assert found is None or parsed(str(found)) == found


MAY: list[tuple[str, list[str], list[str], bool]] = [
    # (address, allow, deny, whether it may call)
    ("203.0.113.9", [], [], True),
    ("203.0.113.9", ["203.0.113.0/24"], [], True),
    ("203.0.113.9", ["203.0.113.9"], [], True),
    ("203.0.113.9", ["198.51.100.0/24", "203.0.113.0/24"], [], True),
    ("203.0.113.9", ["198.51.100.0/24"], [], False),
    ("203.0.113.9", [], ["203.0.113.0/24"], False),
    ("203.0.113.9", [], ["198.51.100.0/24"], True),
    ("203.0.113.9", ["203.0.113.0/24"], ["203.0.113.9/32"], False),
    ("203.0.113.9", ["203.0.113.9/24"], [], True),
    ("::ffff:203.0.113.9", ["203.0.113.0/24"], [], True),
    ("::ffff:203.0.113.9", [], ["203.0.113.0/24"], False),
    ("203.0.113.9", ["::ffff:203.0.113.0/120"], [], True),
    ("203.0.113.9", ["::/0"], [], False),
    ("2001:db8::1", ["::/0"], [], True),
    ("2001:db8::1", ["0.0.0.0/0"], [], False),
    ("2001:db8::1", ["2001:db8::/32"], ["2001:db8::/64"], False),
    ("", [], ["203.0.113.0/24"], False),
]


@pytest.mark.parametrize(("address", "allow", "deny", "want"), MAY)
def test_who_may_call(address: str, allow: list[str], deny: list[str], want: bool) -> None:
    one = (tuple(map(network, allow)), tuple(map(network, deny)))
    assert permitted(parsed(address), [one]) is want
    assert permitted(parsed(address), [((), ()), one]) is want


def test_every_restriction_has_to_pass() -> None:
    wide, narrow = ((network("10.0.0.0/8"),), ()), ((network("10.1.0.0/16"),), ())
    assert [permitted(parsed(a), [wide, narrow]) for a in ("10.1.0.1", "10.2.0.1", "11.1.0.1")] == [True, False, False]
    assert permitted(None, [])


BARRED = """
apiVersion: aigw.dev/v1alpha1
kind: AIGateway
metadata: {name: test}
spec:
  listeners:
    - name: main
      address: 127.0.0.1
      port: 8080
      maxBodySize: 100
      trustedProxies: [10.0.0.0/8]
      cors: {origins: ["https://app.example.com"]}
  providers: [{name: openai, type: openai, auth: {apiKey: {env: OPENAI_API_KEY}}}]
  models:
    - name: chat
      aliases: [gpt-4o]
      targets: [{provider: openai, model: gpt-real}]
      policies: {ipRestriction: {deny: [198.51.1.0/24]}, promptGuard: {deny: ["x"]}}
  auth: {apiKey: {headers: [x-api-key]}}
  consumerGroups: [{name: staff, policies: {ipRestriction: {deny: [198.51.2.0/24]}}}]
  consumers:
    - name: app
      groups: [staff]
      credentials: [{apiKey: {env: A}}]
      policies: {ipRestriction: {deny: [198.51.3.0/24]}}
    - {name: both, groups: [staff], credentials: [{apiKey: {env: B}}]}
    - {name: other, credentials: [{apiKey: {env: C}}]}
  policies: {ipRestriction: {deny: [198.51.0.0/24]}}
"""


@pytest.fixture(scope="module")
def barred() -> Iterator[Proxy]:
    with proxy(BARRED) as running:
        yield running


def asked(running: Proxy, peer: str, path: str, body: Any = None, *, key: str = "", **more: str) -> tuple[int, Any]:
    """Ask the application as a server would that was called from `peer`."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": json.dumps(body).encode() if body else b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    method = more.pop("method", "POST" if body else "GET")
    headers = {
        "host": "x",
        "content-type": "application/json",
        **more,
        **({"x-api-key": f"mock-key-{key}"} if key else {}),
    }
    scope = {
        "type": "http",
        "method": method,
        "raw_path": path.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        "client": (peer, 4711),
    }
    asyncio.run(application(running.gateway, running.config.listeners[0])(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"] or b"null")


CHAT = {"model": "chat", "messages": [{"role": "user", "content": "x"}]}
LONG = {"model": "chat", "messages": [{"role": "user", "content": "x" * 200}]}
ORDER: list[tuple[str, dict[str, Any], int, str]] = [
    ("an unknown path comes first", {"peer": "198.51.0.1", "path": "/nothing", "body": CHAT}, 404, "not_found"),
    ("the gateway before the body", {"peer": "198.51.0.1", "body": LONG}, 403, "ip_not_allowed"),
    ("the gateway before the key", {"peer": "198.51.0.1", "body": CHAT}, 403, "ip_not_allowed"),
    ("the body before the key", {"peer": "198.51.1.1", "body": LONG}, 413, "request_too_large"),
    ("the key before the model", {"peer": "198.51.1.1", "body": CHAT}, 401, "invalid_api_key"),
    ("the model", {"peer": "198.51.1.1", "body": CHAT, "key": "app"}, 403, "ip_not_allowed"),
    ("a group", {"peer": "198.51.2.1", "body": CHAT, "key": "app"}, 403, "ip_not_allowed"),
    ("a group of another member", {"peer": "198.51.2.1", "body": CHAT, "key": "both"}, 403, "ip_not_allowed"),
    ("a group of others", {"peer": "198.51.2.1", "body": CHAT, "key": "other"}, 400, "prompt_rejected"),
    ("a consumer", {"peer": "198.51.3.1", "body": CHAT, "key": "app"}, 403, "ip_not_allowed"),
    ("another consumer", {"peer": "198.51.3.1", "body": CHAT, "key": "both"}, 400, "prompt_rejected"),
    ("elsewhere", {"peer": "198.51.9.1", "body": CHAT, "key": "app"}, 400, "prompt_rejected"),
    ("dressed as IPv6", {"peer": "::ffff:198.51.0.1", "body": CHAT}, 403, "ip_not_allowed"),
    (
        "behind a proxy",
        {"peer": "10.0.0.1", "body": CHAT, "x-forwarded-for": "8.8.8.8, 198.51.0.1"},
        403,
        "ip_not_allowed",
    ),
    ("a forged header", {"peer": "198.51.0.1", "body": CHAT, "x-forwarded-for": "8.8.8.8"}, 403, "ip_not_allowed"),
]


@pytest.mark.parametrize(("send", "status", "code"), [pytest.param(*case, id=name) for name, *case in ORDER])
def test_where_restrictions_stand_in_the_order(barred: Proxy, send: dict[str, Any], status: int, code: str) -> None:
    found, body = asked(barred, **{"path": "/v1/chat/completions", **send})
    assert (found, body["error"]["code"]) == (status, code)


@pytest.mark.parametrize(("peer", "want"), [("198.51.9.1", ["chat", "gpt-4o"]), ("198.51.1.1", []), ("198.51.3.1", [])])
def test_models_that_are_listed_are_those_that_may_be_used_from_there(
    barred: Proxy, peer: str, want: list[str]
) -> None:
    status, body = asked(barred, peer, "/v1/models", key="app")
    assert (status, [m["id"] for m in body["data"]]) == (200, want)


def test_a_preflight_is_answered_whatever_the_address(barred: Proxy) -> None:
    """A browser sends it without a credential, and has to be told; what it then sends is refused."""
    asks = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
    path = "/v1/chat/completions"
    assert asked(barred, "198.51.0.1", path, method="OPTIONS", **asks) == (204, None)
    assert asked(barred, "198.51.0.1", "/nothing", method="OPTIONS", **asks)[0] == 404
    assert asked(barred, "198.51.0.1", path, CHAT, **asks)[0] == 403
