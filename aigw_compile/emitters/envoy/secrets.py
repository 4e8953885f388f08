"""The credentials that a gateway asks for to secrets.json: where each is kept, and the files that Envoy reads them from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from aigw_compile import ir
from aigw_compile.document import Block, Document
from aigw_compile.emitters.common import secret_ref
from aigw_compile.emitters.envoy import callers, tls, wire


class _Asked(NamedTuple):
    """A secret: its name in secrets.json, what it is for, and its place in the spec."""

    name: str
    ref: ir.SecretRef
    what: str
    place: str

    @property
    def value(self) -> dict[str, str]:
        return {"$secret": self.name}


def secrets(gateway: ir.Gateway, again: tuple[str, ...] = ()) -> Document:
    """Return secrets.json: SDS files of keys and certificates, and the client keys as one api_key_auth filter (ECDS).

    `again`: outputs that Envoy has to read again when a file is new, since it refuses what names a file that is not there.
    """
    asked: list[_Asked] = []
    files: list[Block] = []
    for owner, part, body, needed in (*_of_listeners(gateway), *_of_providers(gateway)):
        asked += needed
        name = f"{owner}.{part}" if part else owner
        origin = needed[0].ref.origin
        resource = wire.typed(origin, tls.SECRET, {"name": name, **body})
        files.append(Block(origin, {"path": tls.secret_file(owner, part), "body": {"resources": [resource]}}))
    keys = [*_of_consumers(gateway)]
    asked += [found for found, _ in keys]
    auth = callers.asked(gateway)
    if auth and callers.with_keys(auth):
        credentials = [credential for _, credential in keys]
        found = {"name": callers.KEYS, "typed_config": callers.key_filter(auth, credentials)}
        resource = wire.typed(auth.origin, "envoy.config.core.v3.TypedExtensionConfig", found)
        files.append(Block(auth.origin, {"path": tls.CLIENT_KEYS, "body": {"resources": [resource]}}))
    listed = Block(gateway.origin)
    for one in asked:
        listed[one.name] = Block(one.ref.origin, {"ref": secret_ref(one.ref), "for": one.what, "place": one.place})
    body = {"version": 1, "gateway": gateway.name, "target": "envoy", "secrets": listed, "files": files}
    if again:
        body["again"] = [*again]
    return Document("secrets.json", Block(gateway.origin, body))


_File = tuple[str, str, dict[str, Any], tuple[_Asked, ...]]
"""Owner and part (tls.secret_file), the body of an SDS secret, and the secrets that it is filled with."""


def _of_listeners(gateway: ir.Gateway) -> Iterator[_File]:
    for listener in gateway.listeners:
        if listener.tls:
            name, place = f"listeners.{listener.name}", f"listeners[{listener.name}].tls"
            what = f"listener {listener.name}"
            certificate = _Asked(
                f"{name}.certificate", listener.tls.certificate, f"{what} certificate", f"{place}.certificate"
            )
            key = _Asked(f"{name}.key", listener.tls.key, f"{what} key", f"{place}.key")
            yield listener.name, "listener", _pair(certificate, key), (certificate, key)
            if listener.tls.client_ca:
                ca = _Asked(f"{name}.client-ca", listener.tls.client_ca, f"{what} client CA", f"{place}.clientCA")
                yield listener.name, "listener-ca", _authority(ca), (ca,)


def _of_providers(gateway: ir.Gateway) -> Iterator[_File]:
    for p in gateway.providers:
        name, place, what = f"providers.{p.name}", f"providers[{p.name}]", f"provider {p.name}"
        if p.credential:
            key = _Asked(name, p.credential, what, f"{place}.auth.apiKey")
            yield p.name, "", _generic(key), (key,)
        if p.identity and p.identity.client_secret:
            secret = p.identity.client_secret
            asked = _Asked(f"{name}.client-secret", secret, f"{what} client secret", f"{place}.auth.azure.clientSecret")
            yield p.name, "client-secret", _generic(asked), (asked,)
        for header in p.own_headers:
            if isinstance(header.value, ir.SecretRef):
                part = f"header.{header.name}"
                asked = _Asked(
                    f"{name}.{part}", header.value, f"{what} header {header.name}", f"{place}.headers.{header.name}"
                )
                yield p.name, part, _generic(asked), (asked,)
        if p.tls and p.tls.ca:
            ca = _Asked(f"{name}.ca", p.tls.ca, f"{what} CA", f"{place}.tls.ca")
            yield p.name, "ca", _authority(ca), (ca,)
        if p.tls and p.tls.certificate and p.tls.key:
            certificate = _Asked(
                f"{name}.certificate", p.tls.certificate, f"{what} certificate", f"{place}.tls.clientCertificate"
            )
            key = _Asked(f"{name}.key", p.tls.key, f"{what} key", f"{place}.tls.clientKey")
            yield p.name, "certificate", _pair(certificate, key), (certificate, key)


def _of_consumers(gateway: ir.Gateway) -> Iterator[tuple[_Asked, Block]]:
    """Yield each key and password with what api_key_auth needs; key.lua gives it `name:password` behind a space."""
    for c in gateway.consumers:
        for number, credential in enumerate(c.credentials):
            place = f"consumers[{c.name}].credentials[{credential.origin[-1]}].apiKey"
            asked = _Asked(f"consumers.{c.name}.{number}", credential.api_key, f"consumer {c.name} key {number}", place)
            yield asked, Block(credential.origin, {"key": asked.value, "client": c.name})
        for number, login in enumerate(c.logins):
            place = f"consumers[{c.name}].credentials[{login.origin[-1]}].basic.password"
            what = f"consumer {c.name} password of {login.username}"
            asked = _Asked(f"consumers.{c.name}.login.{number}", login.password, what, place)
            value = {**asked.value, "prefix": f" {login.username}:"}
            yield asked, Block(login.origin, {"key": value, "client": c.name})


def _generic(asked: _Asked) -> dict[str, Any]:
    return {"generic_secret": {"secret": {"inline_string": asked.value}}}


def _authority(asked: _Asked) -> dict[str, Any]:
    return {"validation_context": {"trusted_ca": {"inline_string": asked.value}}}


def _pair(certificate: _Asked, key: _Asked) -> dict[str, Any]:
    chain, private = ({"inline_string": asked.value} for asked in (certificate, key))
    return {"tls_certificate": {"certificate_chain": chain, "private_key": private}}
