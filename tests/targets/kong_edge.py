"""A rendered kong.yml to what Kong does with a call that it hands on: the few plugins of such a file, as 3.9.3 runs them."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from tests.proxy.harness import Answer

Headers = dict[str, list[str]]
"""In small letters, since names of headers have no case."""


class Match(NamedTuple):
    service: dict[str, Any]
    route: dict[str, Any]


class Refused(Exception):
    """Kong answers by itself."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Edge:
    """`port`: where what stands behind really listens. `log`: what file-log wrote, a record for each call."""

    def __init__(self, body: Any, port: int) -> None:
        self.body = body
        self.port = port
        self.log: list[dict[str, Any]] = []
        self._counts: dict[tuple[str, str, str], int] = {}

    def call(
        self, method: str, path: str, raw: bytes, headers: Iterable[tuple[str, str]], peer: str = "127.0.0.1"
    ) -> Answer:
        """Answer a call from a peer."""
        sent: Headers = {}
        for name, value in headers:
            sent.setdefault(name.lower(), []).append(value)
        try:
            return self._handed_on(method, path, raw, sent, peer)
        except Refused as no:
            return Answer(no.status, {}, json.dumps({"message": no.message}).encode())
        finally:
            self._write(sent)

    def _handed_on(self, method: str, path: str, raw: bytes, sent: Headers, peer: str) -> Answer:
        found = self._match(method, path)
        consumer = self._authenticated(found, sent)
        restriction = self._running("ip-restriction", found, consumer)
        if restriction and not _permitted(restriction, peer):
            raise Refused(403, "IP address not allowed")
        size = self._running("request-size-limiting", found, consumer)
        if size and len(raw) > size["allowed_payload_size"]:
            raise Refused(413, "Request size limit exceeded")
        self._counted(found, consumer, peer)
        uri = self._transformed(found, consumer, sent) or path
        host = f"{found.service['host']}:{found.service['port']}"
        sent |= {"host": [host], "x-real-ip": [peer], "x-forwarded-for": [*sent.get("x-forwarded-for", ()), peer]}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, uri, skip_host=True, skip_accept_encoding=True)
            for name, values in sent.items():
                for value in values if name != "content-length" else ():
                    connection.putheader(name, value)
            connection.putheader("content-length", str(len(raw)))
            connection.endheaders(raw)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def _match(self, method: str, path: str) -> Match:
        for service in self.body["services"]:
            for route in service["routes"]:
                if method in route["methods"] and any(re.match(p[1:], path) for p in route["paths"]):
                    return Match(service, route)
        raise Refused(404, "no Route matched with those values")

    def _plugins(self) -> Iterator[tuple[dict[str, Any], tuple[str, str, str]]]:
        """Every plugin with the names of its route, its service and its consumer."""
        for plugin in self.body.get("plugins", ()):
            yield plugin, ("", "", "")
        for service in self.body["services"]:
            for plugin in service.get("plugins", ()):
                yield plugin, ("", service["name"], plugin.get("consumer", ""))
            for route in service["routes"]:
                yield from ((p, (route["name"], "", p.get("consumer", ""))) for p in route["plugins"])
        for consumer in self.body.get("consumers", ()):
            yield from ((p, ("", "", consumer["username"])) for p in consumer.get("plugins", ()))

    def _instance(self, name: str, found: Match, consumer: str) -> dict[str, Any] | None:
        """The one that runs (3.9.3, runloop/plugins_iterator.lua, lookup_cfg)."""
        there = {place: plugin for plugin, place in self._plugins() if plugin["name"] == name}
        route, service = found.route["name"], found.service["name"]
        places = [(route, "", ""), ("", service, ""), ("", "", "")]
        if consumer:
            places = [
                (route, "", consumer),
                ("", service, consumer),
                ("", "", consumer),
                *places,
            ]
        return next((there[place] for place in places if place in there), None)

    def _running(self, name: str, found: Match, consumer: str) -> dict[str, Any] | None:
        instance = self._instance(name, found, consumer)
        return dict(instance["config"]) if instance else None

    def _authenticated(self, found: Match, sent: Headers) -> str:
        """key-auth or basic-auth, and the headers that they set for what stands behind; "" where nobody is asked."""
        keys, passwords = (self._running(name, found, "") for name in ("key-auth", "basic-auth"))
        if keys is None and passwords is None:
            return ""
        shown = ("keyauth_credentials", self._key(keys, sent)) if keys else ("basicauth_credentials", _login(sent))
        kind, wanted = shown
        for consumer in self.body.get("consumers", ()):
            for credential in consumer.get(kind, ()):
                if wanted and wanted == {k: v for k, v in credential.items() if k != "tags"}:
                    sent["x-consumer-username"] = [consumer["username"]]
                    sent["x-consumer-id"] = ["an-id"]
                    sent["x-credential-identifier"] = ["another-id"]
                    for name in ("x-consumer-custom-id", "x-anonymous-consumer"):
                        sent.pop(name, None)
                    return str(consumer["username"])
        raise Refused(401, "Unauthorized")

    def _key(self, config: Mapping[str, Any], sent: Headers) -> dict[str, str] | None:
        for name in config["key_names"]:
            values = sent.get(name, [])
            if values:
                if config["hide_credentials"] and len(values) == 1:
                    del sent[name]
                return {"key": values[0]} if len(values) == 1 else None
        return None

    def _counted(self, found: Match, consumer: str, peer: str) -> None:
        """rate-limiting in a window that does not end."""
        instance = self._instance("rate-limiting", found, consumer)
        if not instance:
            return
        config = instance["config"]
        who = {"consumer": consumer, "ip": peer, "service": found.service["name"]}[config["limit_by"]]
        for window in ("second", "minute", "hour", "day", "month"):
            if window in config:
                key = (instance["instance_name"], who, window)
                self._counts[key] = self._counts.get(key, 0) + 1
                if self._counts[key] > config[window]:
                    raise Refused(429, "API rate limit exceeded")

    def _transformed(self, found: Match, consumer: str, sent: Headers) -> str | None:
        """request-transformer: removing comes before adding, and adding leaves alone what is there."""
        config = self._running("request-transformer", found, consumer) or {}
        for name in config.get("remove", {}).get("headers", ()):
            sent.pop(name.lower(), None)
        for pair in config.get("add", {}).get("headers", ()):
            name, _, value = pair.partition(":")
            sent.setdefault(name, [value.lstrip(":")])
        uri = config.get("replace", {}).get("uri")
        return None if uri is None else str(uri)

    def _write(self, sent: Headers) -> None:
        """What file-log writes of a request's headers as they are at the end (3.9.3, pdk/log.lua, serialize)."""
        shown: dict[str, Any] = {name: ", ".join(values) for name, values in sent.items()}
        shown |= {name: "REDACTED" for name in ("authorization", "proxy-authorization") if name in shown}
        for plugin, _ in self._plugins():
            if plugin["name"] == "file-log":
                for field, expression in plugin["config"].get("custom_fields_by_lua", {}).items():
                    assert expression == "return nil"
                    shown.pop(field.removeprefix("request.headers."), None)
        self.log.append(shown)


def _login(sent: Headers) -> dict[str, str] | None:
    scheme, _, text = ", ".join(sent.pop("authorization", [])).partition(" ")
    user, _, password = base64.b64decode(text).decode().partition(":") if scheme.lower() == "basic" else ("", "", "")
    return {"username": user, "password": password} if user else None


def _permitted(config: Mapping[str, Any], peer: str) -> bool:
    def inside(nets: Iterable[str]) -> bool:
        return any(ip_address(peer) in ip_network(net, strict=False) for net in nets)

    allow = config.get("allow")
    return not inside(config.get("deny", ())) and (not allow or inside(allow))
