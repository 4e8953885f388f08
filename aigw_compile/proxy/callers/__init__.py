"""Step 3 of the request order: the headers of a request to the consumer that it comes from, or to a refusal."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from aigw_compile.proxy.callers.jwks import KeySet
from aigw_compile.proxy.config import Config, Consumer, Jwt, Policies
from aigw_compile.proxy.errors import UNAUTHORISED, Refuse
from aigw_compile.proxy.front import Front, Passed
from aigw_compile.proxy.held import digest

Headers = Sequence[tuple[bytes, bytes]]

AUTHORIZATION = "authorization"
NOBODY = Policies(None, None, ())
LONGEST_NAME = 256


class ApiKey(NamedTuple):
    key: str


class Login(NamedTuple):
    """`user:password`"""

    text: str


class Token(NamedTuple):
    """A token that says to be of an issuer that is configured. Nothing of it has been checked."""

    jwt: Jwt
    text: str
    head: Mapping[str, Any]


def presented(config: Config, headers: Headers) -> ApiKey | Login | Token | None:
    """Return what a request identifies itself with. The first configured header that is present decides, no second try.

    Tokens and logins come in `authorization`, which is the last header where the keys' list does not name it.
    """
    names = config.headers
    if (config.jwt or config.basic) and AUTHORIZATION not in names:
        names = (*names, AUTHORIZATION)
    for name in names:
        values = [value for key, value in headers if key.lower() == name.encode()]
        if not values:
            continue
        text = values[0].decode("utf-8", "surrogateescape").strip() if len(values) == 1 else ""
        if name == AUTHORIZATION:
            scheme, _, text = text.partition(" ")
            text = text.strip()
            if scheme.lower() == "basic" and config.basic:
                return _login(text)
            if scheme.lower() != "bearer":
                return None
        token = _token(config.jwt, text)
        return token or (ApiKey(text) if text and name in config.headers else None)
    return None


def _login(text: str) -> Login | None:
    try:
        user, colon, password = base64.b64decode(text, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return None
    return Login(f"{user}:{password}") if user and colon and password else None


def _token(issuers: Iterable[Jwt], text: str) -> Token | None:
    """A three-part token whose issuer is configured; anything else may be an API key."""
    parts = text.split(".")
    if not issuers or len(parts) != 3:
        return None
    head, claims = _object(parts[0]), _object(parts[1])
    issuer = claims and claims.get("iss")
    return next((Token(one, text, head or {}) for one in issuers if one.issuer == issuer), None)


def _object(part: str) -> dict[str, Any] | None:
    """A JSON object in base64url."""
    try:
        return _json(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True))
    except ValueError:
        return None


def _json(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class Callers:
    """Knows who calls. `sets`: the keys of each issuer, by the name of its entry."""

    def __init__(
        self,
        config: Config,
        keys: Mapping[bytes, Consumer],
        logins: Mapping[bytes, Consumer],
        sets: Mapping[str, KeySet],
        clock: Callable[[], float],
        front: Front | None = None,
    ) -> None:
        self.front = front
        """Through whom every call has to come; None: nobody in particular."""
        self._config = config
        self._keys = keys
        self._logins = logins
        self._sets = sets
        self._clock = clock
        self._consumers = {c.name: c for c in config.consumers}
        self._several = sum(one.accept_unknown for one in config.jwt) > 1
        self._refusal = UNAUTHORISED._replace(headers=MappingProxyType({"www-authenticate": challenge(config)}))

    def passed(self, headers: Headers) -> Passed | Refuse:
        """Return what the front says of a call, or 401 where it does not come from there."""
        found = self.front.passed(headers) if self.front else None
        return found or self._refusal

    def told(self, name: str) -> Consumer | Refuse:
        """Return the caller whom the front names."""
        return self._consumers.get(name, self._refusal)

    async def who(self, headers: Headers) -> Consumer | Refuse | None:
        """Return the caller; None is an anonymous one, where the configuration says that everybody may call."""
        if self._config.anonymous:
            return None
        found = presented(self._config, headers)
        if isinstance(found, ApiKey):
            return self._keys.get(digest(found.key), self._refusal)
        if isinstance(found, Login):
            return self._logins.get(digest(found.text), self._refusal)
        return (await self._bearer(found) if found else None) or self._refusal

    async def _bearer(self, token: Token) -> Consumer | None:
        from aigw_compile.proxy.callers.tokens import believed, signed

        of = self._sets[token.jwt.name]
        payload = signed(token.text, token.head, await of.keys())
        if payload is None:  # perhaps of a key that is newer than ours
            payload = signed(token.text, token.head, await of.newer())
        if payload is None:
            return None
        claims = _json(payload)
        if claims is None or not believed(token.jwt, claims, self._clock()):
            return None
        name = claims.get(token.jwt.consumer_claim)
        groups = groups_of(token.jwt, claims, self._config.groups)
        return self._known(name, groups, token.jwt) if isinstance(name, str) else None

    def _known(self, name: str, groups: Sequence[str], jwt: Jwt) -> Consumer | None:
        """The consumer of the spec with this name, or a stranger; strangers of several issuers are told apart by issuer."""
        one = self._consumers.get(name)
        if one:
            return one._replace(groups=(*one.groups, *(g for g in groups if g not in one.groups)))
        usable = 0 < len(name) <= LONGEST_NAME and name.isprintable()
        name = f"{jwt.name}/{name}" if self._several else name
        return Consumer(name, tuple(groups), (), NOBODY, known=False) if jwt.accept_unknown and usable else None


def groups_of(jwt: Jwt, claims: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    """Return the groups of the spec that a token speaks of, in the order of the spec."""
    listed = claims.get(jwt.groups_claim) if jwt.groups_claim else None
    values = listed.split() if isinstance(listed, str) else listed if isinstance(listed, list) else []
    texts = [v for v in values if isinstance(v, str)]
    named = {jwt.group_map[v] for v in texts if v in jwt.group_map} if jwt.group_map else {*texts}
    return [group for group in known if group in named]


def challenge(config: Config) -> str:
    """What a 401 asks for (RFC 9110 section 11.6.1). A key in a header of its own has no registered scheme: `Key` is Kong's."""
    realm = f'realm="{config.gateway}"'
    bearer = config.jwt or AUTHORIZATION in config.headers
    schemes = [f"Bearer {realm}"] if bearer else []
    schemes += [f'Basic {realm}, charset="UTF-8"'] if config.basic else []
    return ", ".join(schemes or [f"Key {realm}"])
