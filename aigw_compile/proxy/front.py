"""The headers of a request that came through a front, to what it says of the caller; or to None, where it is not the front's."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import NamedTuple

from aigw_compile.proxy.addresses import Address, parsed
from aigw_compile.proxy.config import Front as Settings
from aigw_compile.proxy.secrets import Secret

Headers = Sequence[tuple[bytes, bytes]]


class Passed(NamedTuple):
    """What the front passed on."""

    headers: list[tuple[bytes, bytes]]
    """Those of the client: without the credential, and without what the front says."""
    address: Address | None
    """The client's; None where the front told none, and then no restriction of addresses lets it pass."""
    consumer: str
    """Who calls; "" where the front told nobody, or is not to tell."""


class Front:
    """Knows the front by its credential."""

    def __init__(self, settings: Settings, credential: Secret) -> None:
        self.names_callers = bool(settings.consumer_header)
        self._credential, self._address, self._consumer = (
            name.encode() for name in (settings.header, settings.address_header, settings.consumer_header)
        )
        self._wanted = f"{settings.prefix}{credential.reveal()}".encode()

    def passed(self, headers: Headers) -> Passed | None:
        """Return what the front passed on; None without its credential, told once and compared in constant time."""
        found = [value for key, value in headers if key.lower() == self._credential]
        if len(found) != 1 or not hmac.compare_digest(found[0], self._wanted):
            return None
        own = {self._credential, self._address, self._consumer}
        rest = [(key, value) for key, value in headers if key.lower() not in own]
        return Passed(rest, parsed(self._one(headers, self._address)), self._one(headers, self._consumer))

    def _one(self, headers: Headers, name: bytes) -> str:
        """A header that came once; "" for any other."""
        values = [value for key, value in headers if name and key.lower() == name]
        return values[0].decode("latin-1") if len(values) == 1 else ""
