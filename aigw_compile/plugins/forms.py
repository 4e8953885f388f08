"""A text and the name of a form to what is wrong with it: addresses, hosts, names of headers, as Kong's typedefs judge them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

NAMES: Mapping[str, str] = {
    "url": "URL",
    "host": "host",
    "wildcard_host": "host",
    "sni": "name of a server",
    "header": "name of a header",
    "path": "path",
    "router_path": "path of a route",
    "cidr": "IP address or range",
    "utf8_name": "name",
    "tag": "tag",
    "target": "address",
    "lua": "Lua",
}

_HEADER = re.compile(r"[A-Za-z0-9_-]+")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?")
_NAME = re.compile(r"[A-Za-z0-9._~\u0080-\U0010ffff-]+")
_PATH = re.compile(r"/[A-Za-z0-9\-._~%!$&'()*+,;=:@/]*")


def wrong(form: str, text: str) -> str:
    """Return what would be right where a text is not of a form, else nothing."""
    return "" if _FORMS[form][0](text) else _FORMS[form][1]


def _url(text: str) -> bool:
    try:
        split = urlsplit(text)
        return bool(split.scheme and split.hostname) and (split.port is None or split.port > 0)
    except ValueError:
        return False


def _host(text: str) -> bool:
    if ":" in text or re.fullmatch(r"[0-9.]+", text):
        return _address(text.strip("[]"))
    return len(text) <= 253 and all(_LABEL.fullmatch(label) for label in text.removesuffix(".").split("."))


def _wildcard(text: str) -> bool:
    return (
        text.count("*") <= 1
        and _host(text.replace("*", "a"))
        and ("*" not in text or text[0] == "*" or text[-1] == "*")
    )


def _address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _target(text: str) -> bool:
    head, colon, port = text.rpartition(":")
    if colon and port.isdigit() and (head.count(":") == 0 or head.endswith("]")):
        return 0 < int(port) <= 65535 and _host(head)
    return _host(text)


_FORMS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "url": (_url, "a scheme and a host, as in https://example.com/path"),
    "host": (_host, "a host name or an IP address, without scheme and port"),
    "wildcard_host": (_wildcard, "a host name; its first or last label may be `*`"),
    "sni": (lambda text: _host(text) and not _address(text), "a host name, and no IP address"),
    "header": (lambda text: bool(_HEADER.fullmatch(text)), "letters, digits, `-` and `_`"),
    "path": (lambda text: bool(_PATH.fullmatch(text)) and "//" not in text, "it begins with `/` and has no `//`"),
    "router_path": (
        lambda text: text.startswith(("/", "~/")) and "//" not in text,
        "it begins with `/`, or `~/` for a regular expression, and has no `//`",
    ),
    "cidr": (_cidr, "as in 10.0.0.1 or 10.0.0.0/8"),
    "utf8_name": (lambda text: bool(_NAME.fullmatch(text)), "letters, digits, `.`, `-`, `_` and `~`"),
    "tag": (lambda text: not re.search(r"[,/\x00-\x1f\x7f]", text), "printable characters but `,` and `/`"),
    "lua": (lambda _: True, ""),  # Kong compiles it; nobody here does
    "target": (_target, "a host or an IP address, and a port, as in 10.0.0.1:80"),
}
