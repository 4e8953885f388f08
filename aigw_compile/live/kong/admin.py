"""`kong:URL`, the Admin API of a running Kong, to the entities that it holds: GET alone, page by page, within bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from aigw_compile.diagnostic import Diagnostic, Severity
from aigw_compile.kongblocks.names import TAG
from aigw_compile.live.address import address
from aigw_compile.live.codes import LiveError
from aigw_compile.live.kong.raw import KINDS, NESTED, Item, Kong, resolved, without
from aigw_compile.live.kong.secrets import masked
from aigw_compile.target import Release

PREFIX = "kong:"
TOKEN = "KONG_ADMIN_TOKEN"
AUTHORITY = "KONG_ADMIN_CA"
SIZE = 1000
"""Entities of a page: as many as Kong gives (3.9.3, kong/db/dao/init.lua)."""

PATHS: Mapping[str, str] = {
    "services": "services",
    "routes": "routes",
    "plugins": "plugins",
    "consumers": "consumers",
    "acls": "acls",
    "keyauth_credentials": "key-auths",
    "basicauth_credentials": "basic-auths",
    "hmacauth_credentials": "hmac-auths",
    "jwt_secrets": "jwts",
    "mtls_auth_credentials": "mtls-auths",
    "consumer_groups": "consumer_groups",
    "upstreams": "upstreams",
    "vaults": "vaults",
    "certificates": "certificates",
    "snis": "snis",
}
"""Kind -> path of its list (3.9.3, kong/api/routes, plugins/*/daos.lua, admin_api_name)."""
ALWAYS = ("services", "routes", "plugins", "consumers")
"""Every Kong has these; of the others 404 says that this one does not know the kind."""


def running(side: str, environment: Mapping[str, str]) -> Kong:
    """Return what a running Kong holds. Raises LiveError."""
    from aigw_compile.live.http import Client, Door  # with ssl, for this side alone

    example = "https://localhost:8444, or kong:https://kong.internal:8444/WORKSPACE"
    base, query, shown = address(side, PREFIX, example, takes=["tags"], token=TOKEN)
    token = environment.get(TOKEN, "").strip()
    door = Door("Kong's Admin API", TOKEN, "Kong-Admin-Token", AUTHORITY)
    kong = read(Client(door, environment), base, ",".join(query.get("tags", ())), shown)
    return kong._replace(findings=tuple(_findings(base, token, shown)))


def read(client: Asks, base: str, tags: str, shown: str) -> Kong:
    """Return what the Kong at an address holds, of all or of what has all of some tags. Raises LiveError."""
    info = _information(client, base, shown)
    items: list[Item] = []
    for kind in PATHS:
        for entity in _pages(client, base, kind, tags, shown):
            # A certificate shows the names of its server names; those come by themselves.
            items.append(Item(kind, masked(kind, without(entity, NESTED[kind]))))
    items += [target for i in [*items] if i.kind == "upstreams" for target in _targets(client, base, i, shown)]
    _join(client, base, items, shown)
    version = str(info["version"])
    notes = (f"read only what is tagged {tags}",) if tags else ()
    return Kong(shown, resolved(items), release(version, info.get("edition")), version, notes=notes)


class Asks(Protocol):
    """Who asks a Kong: http.Client."""

    MOST_PAGES: int

    def get(self, url: str, shown: str, *, missing: bool = False) -> Any:
        """Return the JSON at an address; None for 404, where `missing` says that it may be so."""


def release(version: str, edition: Any) -> Release | None:
    """Return family and version of what Kong says of itself: "3.9.1" and "community", or "3.10.0.2" and "enterprise"."""
    numbers = version.partition("-")[0].split(".")
    if len(numbers) < 2 or not all(n.isdigit() and len(n) < 6 for n in numbers[:2]):
        return None
    enterprise = edition == "enterprise" or "enterprise" in version or len(numbers) > 3
    return Release("enterprise" if enterprise else "oss", (int(numbers[0]), int(numbers[1])))


def _information(client: Asks, base: str, shown: str) -> dict[str, Any]:
    """What Kong says of itself: at the root, and below a workspace at `/kong` (Kong's documentation, workspaces)."""
    for path in ("/", "/kong"):
        found = client.get(f"{base}{path}", shown, missing=path == "/")
        if isinstance(found, dict) and isinstance(found.get("version"), str) and {"plugins", "tagline"} & set(found):
            return found
        if found is not None:
            break
    raise LiveError(
        "AIG7112", f"{shown}: what answers is no Admin API of Kong", "its own port is 8001, or 8444 with TLS"
    )


def _pages(client: Asks, base: str, kind: str, tags: str, shown: str) -> Iterator[dict[str, Any]]:
    """Yield the entities of a kind, those with all of some tags where tags are named."""
    query = {"size": str(SIZE)} | ({"tags": tags} if tags else {})
    yield from _list(client, f"{base}/{PATHS[kind]}", query, shown, missing=kind not in ALWAYS)


def _list(client: Asks, url: str, query: dict[str, str], shown: str, *, missing: bool) -> Iterator[dict[str, Any]]:
    """Yield what a list holds. `offset` is passed on, not `next`: that leaves out the workspace, and could lead elsewhere."""
    seen: set[str] = set()
    while True:
        page = client.get(f"{url}?{urlencode(query)}", shown, missing=missing)
        if page is None:
            return
        data = page.get("data", page.get("consumers")) if isinstance(page, dict) else None
        if data == {}:
            data = []  # how Lua writes an empty list that nothing says is one
        if not isinstance(page, dict) or not isinstance(data, list) or not all(isinstance(e, dict) for e in data):
            raise LiveError(
                "AIG7112", f"{shown}: {urlsplit(url).path} gives no list of entities", "is it Kong's Admin API?"
            )
        yield from data
        offset = page.get("offset") or _offset(page.get("next"))
        if not offset:
            return
        if not isinstance(offset, str) or offset in seen or len(seen) >= client.MOST_PAGES:
            raise LiveError("AIG7113", f"{shown}: {urlsplit(url).path} gives the same page again, without end")
        seen.add(offset)
        query["offset"] = offset


def _offset(following: Any) -> str:
    """The offset in `next`, where a page has no other."""
    try:
        return parse_qs(urlsplit(following).query).get("offset", [""])[0] if isinstance(following, str) else ""
    except ValueError:
        return ""


def _targets(client: Asks, base: str, upstream: Item, shown: str) -> Iterator[Item]:
    """The targets of an upstream of ours; of others nobody asks, and each would be a call."""
    own = upstream.value.get("id")
    if not isinstance(own, str) or TAG not in (upstream.value.get("tags") or ()):
        return
    url = f"{base}/upstreams/{quote(own, safe='')}/targets"
    for target in _list(client, url, {"size": str(SIZE)}, shown, missing=True):
        yield Item("targets", {**masked("targets", target), "upstream": {"id": own}})


def _join(client: Asks, base: str, items: list[Item], shown: str) -> None:
    """Write into consumers the names of their groups."""
    consumers = {
        str(i.value.get("id")): i.value for i in items if KINDS[i.kind].keys[:1] == ("username",) and not i.holder
    }
    for group in [i for i in items if i.kind == "consumer_groups"]:
        url = f"{base}/consumer_groups/{quote(str(group.value.get('id')), safe='')}/consumers"
        for member in _list(client, url, {"size": str(SIZE)}, shown, missing=True):
            if (consumer := consumers.get(str(member.get("id")))) is not None:
                consumer["groups"] = sorted({*consumer.get("groups", ()), str(group.value.get("name"))})


def _findings(base: str, token: str, shown: str) -> Iterator[Diagnostic]:
    url = urlsplit(base)
    host = url.hostname or ""
    try:
        near = ip_address(host).is_loopback
    except ValueError:
        near = host == "localhost" or host.endswith(".localhost")
    if token and url.scheme == "http" and not near:
        message = f"{shown}: the token goes over the network as plain text"
        yield Diagnostic("AIG7103", Severity.WARNING, message, hint="use the https: address of the Admin API")
