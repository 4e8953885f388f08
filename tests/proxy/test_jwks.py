"""Keys of issuers: how long they are kept, when they are fetched again, and what happens while they cannot be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from aigw_compile.proxy import asking, server
from aigw_compile.proxy.asking import Answered, Unreachable, ask
from aigw_compile.proxy.callers.jwks import AGAIN, LONGEST, PAUSE, SHORTEST, KeySet
from aigw_compile.proxy.telemetry import Metrics


class Issuer:
    """A scripted issuer with a clock that is moved by hand. `now_says` is what it answers; None: nothing."""

    def __init__(self, says: str | None = "a", cache_control: str = "", status: int = 200) -> None:
        self.now = 1000.0
        self.says, self.cache_control, self.status = says, cache_control, status
        self.fetches = 0
        self.reports: list[str] = []
        self.hold: asyncio.Event | None = None
        self.set = KeySet(self.fetch, self.parse, lambda: self.now, self.reports.append)

    async def fetch(self) -> Answered:
        self.fetches += 1
        if self.hold:
            await self.hold.wait()
        if self.says is None:
            raise Unreachable("no answer within 5 s")
        return Answered(self.status, {"cache-control": self.cache_control}, self.says.encode())

    @staticmethod
    def parse(body: bytes) -> tuple[str, ...]:
        if body == b"bad":
            raise ValueError
        return tuple(body.decode().split())


def run(work: Awaitable[Any]) -> Any:
    async def all_of_it() -> Any:
        return await work

    return asyncio.run(all_of_it())


KEPT = [
    ("", SHORTEST),
    ("no-store", SHORTEST),
    ("max-age=0", SHORTEST),
    ("max-age=299", SHORTEST),
    ("max-age=600", 600),
    ("public, max-age=3600, must-revalidate", 3600),
    ("Max-Age=3600", 3600),
    ("s-maxage=9999", SHORTEST),
    ("max-age=-5", SHORTEST),
    ("max-age=x", SHORTEST),
    ("max-age=99999999", LONGEST),
]


@pytest.mark.parametrize(("cache_control", "seconds"), KEPT)
def test_keys_are_kept_as_long_as_the_issuer_allows(cache_control: str, seconds: float) -> None:
    async def steps() -> None:
        one = Issuer("a", cache_control)
        assert await one.set.keys() == ("a",)
        one.says, one.now = "b", one.now + seconds - 1
        assert await one.set.keys() == ("a",)
        one.now += 1
        assert await one.set.keys() == ("b",)
        assert (one.fetches, one.reports) == (2, ["", ""])

    run(steps())


def test_an_unknown_key_is_asked_for_at_most_once_a_minute() -> None:
    async def steps() -> None:
        one = Issuer("a", "max-age=86400")
        await one.set.keys()
        one.says = "a b"
        assert await one.set.newer() == ("a", "b")
        for second in range(int(AGAIN)):
            assert await one.set.newer() == ("a", "b")
            assert one.fetches == 2, second
            one.now += 1
        assert await one.set.newer() == ("a", "b")
        assert one.fetches == 3

    run(steps())


@pytest.mark.parametrize(
    ("says", "status", "why"),
    [(None, 200, "no answer within 5 s"), ("bad", 200, "its answer is no JWKS"), ("a", 500, "it answers 500")],
)
def test_old_keys_go_on_working_while_new_ones_cannot_be_had(says: str | None, status: int, why: str) -> None:
    async def steps() -> None:
        one = Issuer("a")
        await one.set.keys()
        one.says, one.status, one.now = says, status, one.now + SHORTEST
        assert await one.set.keys() == ("a",)
        assert one.reports == ["", why]
        one.now += PAUSE - 1
        assert await one.set.keys() == ("a",)
        assert await one.set.newer() == ("a",)
        assert one.fetches == 2
        one.says, one.status, one.now = "b", 200, one.now + 1
        assert await one.set.keys() == ("b",)
        assert one.reports == ["", why, ""]

    run(steps())


def test_without_any_key_it_is_tried_again_after_a_pause() -> None:
    async def steps() -> None:
        one = Issuer(None)
        for _ in range(3):
            assert await one.set.keys() == ()
            assert await one.set.newer() == ()
        assert one.fetches == 1
        one.says, one.now = "a", one.now + PAUSE
        assert await one.set.keys() == ("a",)

    run(steps())


def test_one_flight_at_a_time_that_goes_on_when_one_who_waits_leaves() -> None:
    async def steps() -> None:
        one = Issuer("a")
        one.hold = asyncio.Event()
        waiting = [asyncio.create_task(one.set.keys()) for _ in range(20)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        one.hold.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1:] == [("a",)] * 19
        assert one.fetches == 1

    run(steps())


def test_fetches_are_counted_and_the_first_failure_of_a_row_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics()
    report = metrics.fetching("jwks", "corp", "auth.jwt[corp]: its keys cannot be fetched")
    for why in ("", "away", "away", "", "away"):
        report(why)
    assert capsys.readouterr().err == "auth.jwt[corp]: its keys cannot be fetched: away\n" * 2
    assert 'aigw_fetches_total{what="jwks",of="corp",result="failed"} 3\n' in metrics.text()
    assert 'aigw_fetches_total{what="jwks",of="corp",result="ok"} 2\n' in metrics.text()


Serve = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


async def serving(app: Serve, work: Callable[[aiohttp.ClientSession, str], Awaitable[Any]]) -> Any:
    sock = server.bound("127.0.0.1", 0)
    async with aiohttp.ClientSession() as session, server.running(app, sock):
        return await work(session, server.url_of(sock))


def test_asking_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "TIME", 0.3)
    seen: list[str] = []

    async def app(scope: dict[str, Any], _receive: Any, send: Any) -> None:
        path = scope["path"]
        seen.append(path)
        if path == "/slow":
            await asyncio.sleep(1)
        status, headers = (302, [(b"location", b"/keys")]) if path == "/moved" else (200, [(b"Cache-Control", b"x")])
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if path == "/drips":
            for _ in range(10):
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.sleep(0.1)
        body = json.dumps({"keys": []}).encode() if path != "/large" else b"x" * (asking.MOST + 1)
        await send({"type": "http.response.body", "body": body})

    async def work(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in ("keys", "moved", "large", "slow", "drips"):
            try:
                found[path] = await ask(session, "GET", f"{url}/{path}")
            except Unreachable as why:
                found[path] = str(why)
        try:
            await ask(session, "GET", "http://127.0.0.1:1/keys")
        except Unreachable as why:
            found["nobody"] = str(why)
        return found

    found = run(serving(app, work))
    assert found["keys"].status == 200
    assert (found["keys"].headers["cache-control"], found["keys"].body) == ("x", b'{"keys": []}')
    assert found["moved"].status == 302
    assert seen.count("/keys") == 1
    assert found["large"] == f"its answer has more than {asking.MOST} bytes"
    assert found["slow"] == found["drips"] == "no answer within 0.3 s"
    assert found["nobody"] == "ClientConnectorError"
