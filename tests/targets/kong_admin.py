"""A stand-in for Kong's Admin API: entities as rows with ids and times of their own, served in pages; and what fills it."""

from __future__ import annotations

import copy
import json
import random
import ssl
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aigw_compile import plugins

Rows = dict[str, list[dict[str, Any]]]
"""Kind -> entities, each with an id; references are {"id": ...}."""

PATHS = {
    "services": "services",
    "routes": "routes",
    "plugins": "plugins",
    "consumers": "consumers",
    "acls": "acls",
    "keyauth_credentials": "key-auths",
    "basicauth_credentials": "basic-auths",
    "hmacauth_credentials": "hmac-auths",
    "jwt_secrets": "jwts",
    "consumer_groups": "consumer_groups",
    "upstreams": "upstreams",
    "targets": "targets",
    "vaults": "vaults",
    "certificates": "certificates",
    "snis": "snis",
}
INFORMATION = {
    "tagline": "Welcome to kong",
    "version": "3.9.3",
    "edition": "community",
    "hostname": "kong-1",
    "lua_version": "LuaJIT 2.1",
    "plugins": {"available_on_server": {}, "enabled_in_cluster": []},
    "configuration": {"database": "postgres", "role": "traditional"},
}
"""What `GET /` answers, in short (3.9.3, kong/api/routes/kong.lua)."""


class Admin:
    """What one stand-in holds and how it answers; `odd` maps a path to (status, content type, body)."""

    def __init__(self, rows: Rows, size: int = 1000, token: str = "", prefix: str = "", **information: Any) -> None:
        self.rows, self.size, self.token, self.prefix = rows, size, token, prefix
        self.information = INFORMATION | information
        self.odd: dict[str, tuple[int, str, bytes]] = {}
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    def answer(self, method: str, target: str, token: str | None) -> tuple[int, str, bytes]:
        split = urlsplit(target)
        self.asked.append((method, target))
        if split.path in self.odd:
            return self.odd[split.path]
        if self.token and token != self.token:
            return _json(401, {"message": "Unauthorized"})
        if not split.path.startswith(self.prefix):
            return _json(404, {"message": "Not found"})
        path = split.path.removeprefix(self.prefix)
        if path in ("/", "/kong") and (path == "/kong" or not self.prefix):
            return _json(200, self.information)
        parts = path.strip("/").split("/")
        if len(parts) == 3 and parts[0] == "upstreams":
            return self._page(split, [r for r in self.rows.get("targets", ()) if r["upstream"]["id"] == parts[1]])
        if len(parts) == 3 and parts[0] == "consumer_groups":
            members = {m["consumer"]["id"] for m in self.rows.get("members", ()) if m["group"]["id"] == parts[1]}
            return self._page(split, [r for r in self.rows["consumers"] if r["id"] in members])
        kind = next((k for k, p in PATHS.items() if p == path.strip("/") and k in self.rows), None)
        return self._page(split, self.rows[kind]) if kind else _json(404, {"message": "Not found"})

    def _page(self, split: Any, rows: list[dict[str, Any]]) -> tuple[int, str, bytes]:
        """As kong/api/endpoints.lua (3.9.3): `next` is null on the last page, `offset` absent."""
        asked = parse_qs(split.query)
        size = min(self.size, int(asked.get("size", ["100"])[0]), 1000)
        start = int(asked.get("offset", ["o0"])[0][1:])
        tags = {t for text in asked.get("tags", ()) for t in text.split(",")}
        rows = [r for r in rows if tags <= {*(r.get("tags") or ())}]
        page: dict[str, Any] = {"data": rows[start : start + size], "next": None}
        if start + size < len(rows):
            page["offset"] = f"o{start + size}"
            page["next"] = f"{split.path.removeprefix(self.prefix)}?offset=o{start + size}"
        return _json(200, page)


def _json(status: int, body: Any) -> tuple[int, str, bytes]:
    return status, "application/json; charset=utf-8", json.dumps(body).encode()


@contextmanager
def serving(admin: Admin, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve a stand-in on a free port of this machine; yields `kong:http://127.0.0.1:PORT`, https with a context."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            admin.headers.append(dict(self.headers.items()))
            status, kind, body = admin.answer(self.command, self.path, self.headers.get("Kong-Admin-Token"))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if 300 <= status < 400:
                self.send_header("Location", body.decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Who goes away while it is answered has had enough."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    admin.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_port}{admin.prefix}"
    try:
        yield f"kong:{admin.url}"
    finally:
        server.shutdown()
        server.server_close()


# --- what fills it

NESTED = {
    "services": {"routes": "service", "plugins": "service"},
    "routes": {"plugins": "route"},
    "consumers": dict.fromkeys(("plugins", "acls", "keyauth_credentials", "basicauth_credentials"), "consumer"),
    "consumer_groups": {"plugins": "consumer_group"},
    "upstreams": {"targets": "upstream"},
    "certificates": {"snis": "certificate"},
}
FIELDS: dict[str, dict[str, Any]] = {
    "services": {
        "protocol": "http", "port": 80, "path": None, "retries": 5, "connect_timeout": 60000, "write_timeout": 60000,
        "read_timeout": 60000, "enabled": True, "tls_verify": None, "tls_verify_depth": None, "ca_certificates": None,
        "client_certificate": None,
    },
    "routes": {
        "protocols": ["http", "https"], "methods": None, "hosts": None, "paths": None, "headers": None, "snis": None,
        "https_redirect_status_code": 426, "regex_priority": 0, "strip_path": True, "path_handling": "v0",
        "preserve_host": False, "request_buffering": True, "response_buffering": True, "sources": None, "destinations": None,
    },
    "plugins": {
        "protocols": ["grpc", "grpcs", "http", "https"], "enabled": True, "instance_name": None, "route": None,
        "service": None, "consumer": None,
    },
    "consumers": {"custom_id": None},
    "keyauth_credentials": {"ttl": None},
    "vaults": {"description": None, "config": {}},
    "certificates": {"cert_alt": None, "key_alt": None},
    "targets": {"weight": 100},
}  # fmt: skip
"""Kind -> what Kong shows of an entity that does not say it (3.9.3, kong/db/schema/entities)."""
ENTERPRISE: dict[str, dict[str, Any]] = {
    "plugins": {"consumer_group": None, "ordering": None},
    "consumers": {"type": 0, "username_lower": None},
}


@cache
def published(shared: Path, version: str) -> dict[str, Any]:
    """Published schemas of plugins by the plugin's name without hyphens: of `config` and of `protocols`."""
    folder = shared / "upstream/kong" / f"plugins-{version}"
    return {p.stem.lower(): json.loads(p.read_text("utf-8"))["properties"] for p in folder.glob("*.json")}


CLOSED = (
    *(
        "azure_use_managed_identity",
        "azure_client_id",
        "azure_client_secret",
        "azure_tenant_id",
        "cloud_authentication",
    ),
    "max_tokens",
)
"""Fields that are published for 3.9 and that open-source Kong does not have, or not with that default (3.9.3, kong/llm/schemas)."""


def as_shown(schema: Any, value: Any, without: tuple[str, ...] = ()) -> Any:
    """A configuration as Kong shows it: every field, with its default, or null."""
    if isinstance(value, dict) and "properties" in schema:
        made = dict(value)
        for name, inner in schema["properties"].items():
            if name in without:
                continue
            if made.get(name) is None:
                made[name] = copy.deepcopy(inner.get("default"))
            if made[name] is None and "properties" in inner and not _optional(inner):
                made[name] = {}
            if made[name] is not None:
                made[name] = as_shown(inner, made[name], without)
        return made
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [as_shown(schema["items"], v, without) for v in value]
    return value


def _optional(record: Any) -> bool:
    """Whether a record that nobody wrote stays null: nothing in it has a default."""
    return not any("default" in p or ("properties" in p and not _optional(p)) for p in record["properties"].values())


def rows_of(body: dict[str, Any], schemas: dict[str, Any], seed: int = 0, enterprise: bool = False) -> Rows:
    """What a Kong with a database holds of a kong.yml: flat, with random ids and times, in any order, defaults filled in."""
    rng = random.Random(seed)
    rows: Rows = {kind: [] for kind in PATHS if enterprise or kind != "consumer_groups"}

    def fresh() -> str:
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))

    def add(kind: str, entity: dict[str, Any], holder: tuple[str, str] | None) -> None:
        row = {"created_at": rng.randrange(10**9), "updated_at": rng.randrange(10**9), "tags": None}
        row |= copy.deepcopy(FIELDS.get(kind, {})) | (ENTERPRISE.get(kind, {}) if enterprise else {})
        row |= {k: copy.deepcopy(v) for k, v in entity.items() if k not in NESTED.get(kind, {})}
        row["id"] = entity.get("id") or fresh()
        if holder:
            row[holder[0]] = {"id": holder[1]}
        if kind == "plugins" and entity["name"].replace("-", "") in schemas and plugins.known(entity["name"]):
            schema = schemas[entity["name"].replace("-", "")]
            row["config"] = as_shown(schema["config"], row.get("config") or {}, () if enterprise else CLOSED)
            if "protocols" in schema and "protocols" not in entity:
                row["protocols"] = [*schema["protocols"]["default"]]
        rows[kind].append(row)
        for name, field in NESTED.get(kind, {}).items():
            for child in entity.get(name, ()):
                add(name, child, (field, row["id"]))

    for kind in PATHS:
        for entity in body.get(kind, ()):
            add(kind, entity, None)
    ids = {(kind, str(r.get("username") or r.get("name"))): r["id"] for kind in rows for r in rows[kind]}
    for row in rows["plugins"]:
        if isinstance(row.get("consumer"), str):
            row["consumer"] = {"id": ids["consumers", row["consumer"]]}
    groups = [(c["id"], g["name"]) for c in rows["consumers"] for g in c.pop("groups", ())]
    rows["members"] = [{"consumer": {"id": c}, "group": {"id": ids["consumer_groups", g]}} for c, g in groups]
    for row in rows["consumers"]:
        if "username_lower" in row:
            row["username_lower"] = row["username"].lower()
    for listed in rows.values():
        rng.shuffle(listed)
    return rows


def strangers(rows: Rows, number: int) -> int:
    """Add entities of somebody else, of each kind; returns how many."""
    for n in range(number):
        own = f"stranger-{n}"
        rows["services"].append({"id": f"s{n}", "name": own, "host": "h", "tags": ["others"]})
        rows["routes"].append({"id": f"r{n}", "name": own, "paths": ["/"], "service": {"id": f"s{n}"}, "tags": None})
        rows["plugins"].append({"id": f"p{n}", "name": "cors", "config": {}, "route": {"id": f"r{n}"}, "tags": []})
        rows["consumers"].append({"id": f"c{n}", "username": own})
        rows["keyauth_credentials"].append({"id": f"k{n}", "key": f"their-own-{n}", "consumer": {"id": f"c{n}"}})
        rows["upstreams"].append({"id": f"u{n}", "name": own, "tags": ["managed-by-somebody"]})
    return 6 * number


def dumped(rows: Rows) -> dict[str, Any]:
    """The same as decK dumps it: nested under what entities belong to, with names for references, without times."""
    left = copy.deepcopy(rows)
    members = left.pop("members", [])
    names = {r["id"]: str(r.get("username") or r.get("name")) for kind in left for r in left[kind]}
    by_id = {r["id"]: r for kind in left for r in left[kind]}
    for member in members:
        found = by_id[member["consumer"]["id"]].setdefault("groups", [])
        found.append({"name": names[member["group"]["id"]]})
    for listed in left.values():
        for row in listed:
            for field in (
                "created_at",
                "updated_at",
                "type",
                "username_lower",
                *[k for k, v in row.items() if v is None],
            ):
                row.pop(field, None)
    body: dict[str, Any] = {"_format_version": "3.0", "_info": {"defaults": {}}}
    for kind in ("targets", "snis", "acls", "keyauth_credentials", "basicauth_credentials", "plugins", "routes"):
        for row in left.pop(kind, []):
            scopes = [
                f for f in ("route", "service", "consumer", "consumer_group", "upstream", "certificate") if f in row
            ]
            if not scopes:
                body.setdefault(kind, []).append(row)
                continue
            holder = by_id[row.pop(scopes[0])["id"]]
            for other in scopes[1:]:
                row[other] = names[row[other]["id"]]
            holder.setdefault(kind, []).append(row)
    for kind, listed in left.items():
        if listed:
            body[kind] = listed
    for row in by_id.values():
        if not {"cert"} & {*row}:
            row.pop("id")
    return body
