"""Listeners to what Kong has for all of them: certificates, cors, addresses that may call, and KONG_* variables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

from aigw_compile import ir
from aigw_compile.document import At, Block, at
from aigw_compile.kongblocks.edition import Edition
from aigw_compile.kongblocks.names import TAG
from aigw_compile.kongblocks.plugin import Plugin, make
from aigw_compile.kongblocks.routes import Route, body_size
from aigw_compile.kongblocks.secrets import reference
from aigw_compile.plan import Plan, edges, fits, sending
from aigw_compile.policies.ip_restriction import IpRestriction

SYSTEM = "/etc/ssl/certs/ca-certificates.crt"
"""Where the images of Kong, which are made from Debian and Ubuntu, have the authorities of the system."""
DEPTH = "5"
"""How many authorities may stand between a certificate and a root; nginx would take one."""


def certificates(gateway: ir.Gateway, plan: Plan, edition: Edition) -> Iterator[Block]:
    """Yield a certificate for each listener with TLS, with the names for which it is shown. decK asks for an id."""
    taken: set[str] = set()
    for listener in gateway.listeners:
        tls = listener.tls
        if not tls or plan.lost(tls.origin):
            continue
        names = [n for n in edges.server_names(listener) if n not in taken]
        taken |= {*names}
        own = str(uuid5(NAMESPACE_URL, f"aigw.dev/{gateway.name}/listeners/{listener.name}"))
        found = {
            "id": at(own, ("metadata", "name"), (*listener.origin, "name")),
            "cert": at(reference(tls.certificate, "", edition).text, tls.certificate.origin),
            "key": at(reference(tls.key, "", edition).text, tls.key.origin),
            "tags": [TAG],
        }
        block = Block(tls.origin, found)
        if names:
            # Kong finds the certificate around a name by itself only where nothing else has to be found (3.9.3,
            # db/schema/others/declarative_config.lua, populate_ids_for_validation).
            shown = [{"name": name, "certificate": {"id": own}, "tags": [TAG]} for name in names]
            # The first listener that has a name shows its certificate.
            block["snis"] = at(shown, ("spec", "listeners"), ("metadata", "name"))
        yield block


def cors(gateway: ir.Gateway, plan: Plan) -> Iterator[Plugin]:
    """Yield cors for every route, with what any listener lets browsers do."""
    rules = [x.cors for x in gateway.listeners if x.cors and not plan.lost(x.cors.origin)]
    if not rules:
        return
    fields = {
        "origins": [*dict.fromkeys(o for r in rules for o in r.origins)],
        "methods": [*dict.fromkeys(m for r in rules for m in r.methods)],
        "headers": [*dict.fromkeys(h for r in rules for h in r.headers)],
        "credentials": any(r.credentials for r in rules),
        "preflight_continue": False,
        "private_network": False,
    }
    ages = [r.max_age for r in rules if r.max_age is not None]
    if ages:
        fields["max_age"] = round(min(ages))
    made = Block(rules[0].origin, {k: at(v, *(r.origin for r in rules)) for k, v in fields.items()})
    yield make("cors", f"{gateway.name}-cors", made)


def addresses(gateway: ir.Gateway, plan: Plan, route: Route, restricted: Iterable[ir.Consumer]) -> Iterator[Plugin]:
    """Yield ip-restriction for a route, and for each consumer for whom it is another: one that lets through whom all do.

    `restricted`: the consumers who have an own one.
    """

    def config(consumer: ir.Consumer | None) -> Block | None:
        scopes = fits.applying(gateway, route.model or gateway.models[0], consumer)
        found = edges.addresses(
            r
            for s in scopes
            for r in ir.every(s.policies, IpRestriction)
            if (route.model or s.kind != "model") and not plan.lost(r.origin)
        )
        if not found:
            return None
        block = Block(found.origins[0])
        for name, values in (("allow", found.allow), ("deny", found.deny)):
            if values:
                block[name] = at([*values], *found.origins)
        block["status"] = 403
        return block

    base = config(None)
    if base:
        yield make("ip-restriction", f"{route.name}-addresses", base, route.name)
    for consumer in restricted:
        own = config(consumer)
        if own and own != base:
            yield make("ip-restriction", f"{route.name}-addresses-{consumer.name}", own, route.name, consumer.name)


def size(gateway: ir.Gateway, route: Route) -> Plugin:
    """Return the limit on the size of a body."""
    found = body_size(gateway)
    fields = {"allowed_payload_size": found, "size_unit": "bytes", "require_content_length": False}
    return make("request-size-limiting", f"{route.name}-size", Block(found.origins[0], fields), route.name)


def variables(gateway: ir.Gateway, plan: Plan, edition: Edition) -> Iterator[tuple[str, At]]:
    """Yield KONG_* variables: addresses and ports, TLS towards clients and providers, proxies that are trusted."""
    yield "KONG_PROXY_LISTEN", at(", ".join(map(_listen, gateway.listeners)), *(x.origin for x in gateway.listeners))
    secure = [x.tls for x in gateway.listeners if x.tls and not plan.lost(x.tls.origin)]
    if secure:
        newest = any(t.min_version == "1.3" for t in secure)
        # ssl_protocols alone has no effect: the suite sets it (3.9.3, conf_loader/parse.lua).
        yield (
            "KONG_SSL_CIPHER_SUITE",
            at("modern" if newest else "intermediate", *((*t.origin, "minVersion") for t in secure)),
        )
    clients = edges.client_authority(gateway)
    if clients and not plan.lost(clients.origin):
        asking = [t.client_ca.origin for t in secure if t.client_ca]
        yield "KONG_NGINX_PROXY_SSL_VERIFY_CLIENT", at("on", *asking)
        yield "KONG_NGINX_PROXY_SSL_VERIFY_DEPTH", at(DEPTH, *asking)
        yield "KONG_NGINX_PROXY_SSL_CLIENT_CERTIFICATE", at(clients.name, *asking)
    trusted = edges.trusted(gateway)
    origins = [(*x.origin, "trustedProxies") for x in gateway.listeners]
    if trusted and not any(map(plan.lost, origins)):
        yield "KONG_TRUSTED_IPS", at(", ".join(trusted), *origins)
        yield "KONG_REAL_IP_HEADER", at("X-Forwarded-For", *origins)
        yield "KONG_REAL_IP_RECURSIVE", at("on", *origins)
    yield from _outwards(gateway, plan, edition)


def _outwards(gateway: ir.Gateway, plan: Plan, edition: Edition) -> Iterator[tuple[str, At]]:
    """TLS towards providers, which nginx does not check by itself, and towards what Kong's own code calls."""
    which = "all" if edition.advanced else "first"
    called = sending.providers(gateway, which)
    secure = [p for p in called if p.base_url.startswith("https:")]
    one = sending.one_tls(gateway, which)
    if secure:
        origins = [p.tls.ca.origin for p in secure if p.tls and p.tls.ca] if one.ca else [("spec", "providers")]
        origins.append(("spec", "models"))  # which of them are called
        yield "KONG_NGINX_PROXY_PROXY_SSL_VERIFY", at("on", *origins)
        yield "KONG_NGINX_PROXY_PROXY_SSL_VERIFY_DEPTH", at(DEPTH, *origins)
        yield "KONG_NGINX_PROXY_PROXY_SSL_TRUSTED_CERTIFICATE", at(one.ca.name if one.ca else SYSTEM, *origins)
    if one.certificate and one.key:
        yield "KONG_CLIENT_SSL", at("on", one.certificate.origin)
        yield "KONG_CLIENT_SSL_CERT", at(one.certificate.name, one.certificate.origin)
        yield "KONG_CLIENT_SSL_CERT_KEY", at(one.key.name, one.key.origin)
    stores = [s.tls for s in edges.counting_stores(gateway) if s.tls and not plan.lost(s.origin)]
    transformers = [t for s in ir.scopes(gateway) for t in sending.transformers(s) if not t.off]
    cas = [t.ca for t in stores if t.ca and t.ca.source == "file" and not plan.lost(t.ca.origin)]
    if one.ca and transformers:
        cas.append(one.ca)
    if stores or transformers:
        origins = [*(t.origin for t in stores), *(t.origin for t in transformers)]
        yield "KONG_LUA_SSL_VERIFY_DEPTH", at(DEPTH, *origins)
        files = dict.fromkeys(ca.name for ca in cas)
        yield "KONG_LUA_SSL_TRUSTED_CERTIFICATE", at(",".join(["system", *files]), *origins, *(ca.origin for ca in cas))


def _listen(listener: ir.Listener) -> str:
    return f"{address(listener.address)}:{listener.port}" + (" ssl" if listener.tls else "")


def address(text: str) -> str:
    """Return an address as it stands before a port."""
    return f"[{text}]" if ":" in text else text


def host_and_port(text: str) -> tuple[str, int]:
    """Return the two parts of `host:port`."""
    split = urlsplit(f"//{text}")
    return split.hostname or "", split.port or 6379
