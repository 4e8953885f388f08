"""A Config and an environment to all that the proxy holds of secrets while it runs, or a StartError that says what is missing."""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from aigw_compile.proxy.config import ClientTls, Config, Consumer, Front, Listener, Located, Login, Provider, Store
from aigw_compile.proxy.secrets import Secret, SecretError, fetch
from aigw_compile.proxy.tls import TlsError, calling, listening


class StartError(RuntimeError):
    """The proxy cannot start; the message has a line for each reason."""


class Outgoing(NamedTuple):
    """What a provider is called with."""

    credential: Secret | None = None
    headers: Mapping[str, Secret] = {}
    """Headers of the spec that are secrets."""
    client_secret: Secret | None = None
    """Of the provider's Entra application."""
    tls: ssl.SSLContext | None = None


class StoreKeys(NamedTuple):
    """What a store is called with."""

    password: Secret | None = None
    tls: ssl.SSLContext | None = None


class Held(NamedTuple):
    """Secrets, ready for use. Those of clients are there as digests alone."""

    keys: Mapping[bytes, Consumer]
    """Digest of an API key -> whose it is."""
    logins: Mapping[bytes, Consumer]
    """Digest of `user:password` -> whose it is."""
    providers: Mapping[str, Outgoing]
    listeners: Mapping[str, ssl.SSLContext]
    """Those that speak TLS."""
    stores: Mapping[str, StoreKeys]
    front: Secret | None = None
    """What the front before the proxy proves itself with."""


def digest(key: str) -> bytes:
    """What stands for a client's key in memory; looking it up takes no longer for a key that is nearly right."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def fetched(config: Config, environ: Mapping[str, str]) -> Held:
    """Fetch every secret. Raises StartError, which names all that is missing or wrong by its place in the spec."""
    found = _Fetching(environ)
    held = Held(
        providers={p.name: found.outgoing(p) for p in config.providers},
        keys=found.keys(config),
        logins=found.logins(config),
        listeners={x.name: c for x in config.listeners if (c := found.listener(x))},
        stores={name: found.store(store) for name, store in config.stores.items()},
        front=found.front(config.front),
    )
    found.problems += [f"  {problem}" for problem in _in_clear(config)]
    if found.problems:
        hint = "--mock-providers stands in for every secret"
        raise StartError("\n".join([f"not all that is needed can be had ({hint}):", *found.problems]))
    return held


def _in_clear(config: Config) -> Iterator[str]:
    """Yield the issuers whose keys would be fetched over plain HTTP, where anybody on the way can put in their own."""
    for one in config.jwt:
        url = urlsplit(one.jwks_uri)
        if url.scheme != "https" and url.hostname not in ("localhost", "127.0.0.1", "::1"):
            yield f"auth.jwt[{one.name}].jwksUri: keys are fetched over https alone; this is {url.scheme}"


_FRONT = re.compile(r"[A-Za-z0-9._~+/=-]{16,4096}")
_FRONT_RIGHT = "16 or more letters, digits and -._~+/= are expected, such as `openssl rand -hex 32` prints"


class _Fetching:
    """Fetches secrets, and gathers what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._environ = environ

    def text(self, ref: Mapping[str, Any], place: str, *, lines: bool = False) -> str:
        """Return a secret, or "" and a problem."""
        try:
            return fetch(ref, self._environ, lines=lines)
        except SecretError as missing:
            self.problems.append(f"  {place}: {missing}")
            return ""

    def secret(self, one: Located | None, *, lines: bool = False) -> Secret | None:
        return one and Secret(self.text(one.secret, one.place, lines=lines))

    def outgoing(self, p: Provider) -> Outgoing:
        return Outgoing(
            credential=Secret(self.text(p.auth.secret, p.place)) if p.auth else None,
            headers={h.name: s for h in p.own_headers if (s := self.secret(h.secret))},
            client_secret=self.secret(p.identity.client_secret) if p.identity else None,
            tls=self.calling(p.tls),
        )

    def front(self, f: Front | None) -> Secret | None:
        """Return the credential of the front; one that a header of Kong would carry otherwise than it stands is a problem."""
        found = self.secret(f.credential) if f else None
        if f and found and found.reveal() and not _FRONT.fullmatch(found.reveal()):
            self.problems.append(f"  {f.credential.place}: {_FRONT_RIGHT}")
        return found

    def store(self, s: Store) -> StoreKeys:
        return StoreKeys(self.secret(s.redis.password), self.calling(s.redis.tls)) if s.redis else StoreKeys()

    def calling(self, tls: ClientTls | None) -> ssl.SSLContext | None:
        if tls is None:
            return None
        places = {"ca": tls.ca, "certificate": tls.certificate, "key": tls.key}
        ca, certificate, key = (self.secret(one, lines=True) for one in places.values())
        if any(one and not one.reveal() for one in (ca, certificate, key)):
            return None
        try:
            return calling(ca, certificate, key)
        except TlsError as wrong:
            self._wrong(places, wrong)
            return None

    def listener(self, x: Listener) -> ssl.SSLContext | None:
        if x.tls is None:
            return None
        places = {"certificate": x.tls.certificate, "key": x.tls.key, "ca": x.tls.client_ca}
        certificate, key, ca = (self.secret(one, lines=True) for one in places.values())
        if not (certificate and key) or any(one and not one.reveal() for one in (certificate, key, ca)):
            return None
        try:
            return listening(certificate, key, ca, x.tls.min_version)
        except TlsError as wrong:
            self._wrong(places, wrong)
            return None

    def _wrong(self, places: Mapping[str, Located | None], wrong: TlsError) -> None:
        one = places[wrong.part]
        self.problems.append(f"  {one.place if one else '?'}: this {wrong}")

    def keys(self, config: Config) -> dict[bytes, Consumer]:
        asked = ((c, self.text(ref, place), place) for c in config.consumers for ref, place in c.credentials)
        return self._by_digest("key", asked)

    def logins(self, config: Config) -> dict[bytes, Consumer]:
        asked = (
            (c, login_text(x.username, self.text(x.password, x.place)), x.place)
            for c in config.consumers
            for x in c.logins
        )
        return self._by_digest("user name and password", asked)

    def _by_digest(self, what: str, asked: Iterator[tuple[Consumer, str, str]]) -> dict[bytes, Consumer]:
        found: dict[bytes, Consumer] = {}
        for consumer, text, place in asked:
            key = digest(text)
            if text and key in found:
                self.problems.append(f"  {place}: the same {what} as one of {found[key].name}'s")
            found[key] = consumer
        return found


def login_text(username: str, password: str) -> str:
    """A login as Basic authentication writes it (RFC 7617); "" without a password."""
    return f"{username}:{password}" if password else ""


def mocked(config: Config) -> Held:
    """Return made-up secrets, the same each time. Listeners speak plain HTTP, and no provider is called over TLS."""
    return Held(
        keys={digest(mock_key(c)): c for c in config.consumers if c.credentials},
        logins={digest(mock_login(c, x)): c for c in config.consumers for x in c.logins},
        providers={p.name: _mock_outgoing(p) for p in config.providers},
        listeners={},
        stores={name: StoreKeys() for name in config.stores},
        front=Secret(MOCK_FRONT) if config.front else None,
    )


def _mock_outgoing(p: Provider) -> Outgoing:
    key = Secret(f"mock-credential-{p.name}") if p.auth or p.identity else None
    return Outgoing(key, {h.name: Secret(f"mock-header-{h.name}") for h in p.own_headers if h.secret})


MOCK_FRONT = "mock-credential-front"


def mock_key(consumer: Consumer) -> str:
    return f"mock-key-{consumer.name}"


def mock_login(consumer: Consumer, login: Login) -> str:
    return login_text(login.username, mock_password(consumer))


def mock_password(consumer: Consumer) -> str:
    return f"mock-password-{consumer.name}"
