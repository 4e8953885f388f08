"""`TARGET:URL` to the address that is asked, what stands behind its `?`, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from aigw_compile.live.codes import LiveError


class Address(NamedTuple):
    base: str
    """Without `?`, and without a slash at its end."""
    query: dict[str, list[str]]
    shown: str


def address(side: str, prefix: str, example: str, *, takes: Sequence[str] = (), token: str = "") -> Address:
    """Return the parts of a side that is an address. Raises LiveError. `takes`: what may stand behind `?`."""
    name, hint = f"{prefix}URL", f"such as {prefix}{example}"
    try:
        url = urlsplit(side.removeprefix(prefix))
        port = f":{url.port}" if url.port else ""
        host = url.hostname or ""
    except ValueError:
        raise LiveError("AIG7110", f"{name} holds no address", hint) from None
    if "@" in url.netloc:
        instead = f"put a token into {token}" if token else "nobody asks for one there"
        raise LiveError("AIG7110", "an address with a name or password in it is not used", instead)
    if url.scheme not in ("http", "https") or not host or url.fragment:
        raise LiveError("AIG7110", f"{name} wants an address with http: or https:", hint)
    query = parse_qs(url.query)
    if set(query) - {*takes} or (url.query and not takes):
        raise LiveError("AIG7110", f"{name} takes nothing behind `?`{' but ' if takes else ''}{', '.join(takes)}", hint)
    if any(not text.isascii() or not text.isprintable() or {" ", "\\"} & {*text} for text in (host, url.path)):
        raise LiveError("AIG7110", f"{name} holds letters that no address has", hint)
    host = f"[{host}]" if ":" in host else host
    base = f"{url.scheme}://{host}{port}{url.path.rstrip('/')}"
    return Address(base, query, f"{prefix}{base}")
