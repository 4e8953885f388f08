"""The data of a proxy.json, known to fit its shape, to its frozen values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from aigw_compile.proxy.addresses import network
from aigw_compile.proxy.config.values import (
    Cache,
    ClientTls,
    Config,
    Consumer,
    Cors,
    Credential,
    Decorator,
    Front,
    Guard,
    Health,
    Identity,
    IpRestriction,
    Jwt,
    Lifecycle,
    Limit,
    Listener,
    ListenerTls,
    Located,
    Login,
    Model,
    Network,
    OwnHeader,
    Parameters,
    Policies,
    Price,
    Provider,
    Redis,
    ResponseGuard,
    Store,
    Target,
    Transformer,
    Who,
)


def config(data: dict[str, Any]) -> Config:
    """Make the values; the data is known to fit."""
    providers = {p["name"]: _provider(p) for p in data["providers"]}
    models = tuple(_model(m, providers) for m in data["models"])
    seen = data["observability"]
    prometheus, otlp, log = seen["prometheus"], seen["otlp"], seen["accessLog"]
    return Config(
        gateway=data["gateway"],
        revision=data["revision"],
        listeners=tuple(_listener(x) for x in data["listeners"]),
        operations=(data["operations"]["address"], data["operations"]["port"]),
        headers=tuple(h.lower() for h in data["auth"].get("apiKey", {}).get("headers", ())),
        providers=tuple(providers.values()),
        models=models,
        names=MappingProxyType({name: model for model in models for name in (model.name, *model.aliases)}),
        consumers=tuple(_consumer(c) for c in data["consumers"]),
        groups=MappingProxyType({g["name"]: _policies(g["policies"]) for g in data["consumerGroups"]}),
        policies=_policies(data["policies"]),
        prometheus=prometheus and prometheus["port"],
        otlp=otlp and (otlp["endpoint"], otlp["sampling"]),
        access_log=log and (log["format"], log["payloads"]),
        anonymous="anonymous" in data["auth"],
        jwt=tuple(_jwt(j) for j in data["auth"].get("jwt", ())),
        basic="basic" in data["auth"],
        stores=MappingProxyType({s["name"]: _store(s) for s in data.get("stores", ())}),
        front=_front(data.get("front")),
    )


def _front(f: Any) -> Front | None:
    if f is None:
        return None
    credential = Located(f["credential"]["secret"], f["credential"]["place"])
    header, address = f["header"].lower(), f["addressHeader"].lower()
    return Front(credential, header, f["prefix"], address, f.get("consumerHeader", "").lower())


def _listener(x: Mapping[str, Any]) -> Listener:
    hosts = tuple(h.lower() for h in x["hostnames"])
    return Listener(
        name=x["name"],
        address=x["address"],
        port=x["port"],
        hostnames=hosts,
        base_path=x["basePath"].rstrip("/"),
        max_body_size=x["maxBodySize"],
        trusted_proxies=_networks(x.get("trustedProxies", ())),
        tls=_listener_tls(x.get("tls")),
        cors=_cors(x.get("cors")),
    )


def _networks(texts: Iterable[str]) -> tuple[Network, ...]:
    return tuple(network(text) for text in texts)


def _located(data: Any) -> Located | None:
    return data and Located(data["secret"], data["place"])


def _listener_tls(t: Any) -> ListenerTls | None:
    if not t:
        return None
    certificate, key = (Located(t[part]["secret"], t[part]["place"]) for part in ("certificate", "key"))
    return ListenerTls(certificate, key, _located(t.get("clientCA")), t["minVersion"])


def _client_tls(t: Any) -> ClientTls | None:
    if t is None:
        return None
    return ClientTls(_located(t.get("ca")), t["serverName"], _located(t.get("certificate")), _located(t.get("key")))


def _cors(c: Any) -> Cors | None:
    if not c:
        return None
    return Cors(frozenset(c["origins"]), tuple(c["methods"]), tuple(c["headers"]), c["credentials"], c["maxAge"])


def _jwt(j: Mapping[str, Any]) -> Jwt:
    return Jwt(
        name=j["name"],
        issuer=j["issuer"],
        audiences=frozenset(j["audiences"]),
        jwks_uri=j["jwksUri"],
        consumer_claim=j["consumerClaim"],
        groups_claim=j["groupsClaim"],
        group_map=MappingProxyType(dict(j["groupMap"])),
        accept_unknown=j["unknownConsumer"] == "accept",
    )


def _store(s: Mapping[str, Any]) -> Store:
    redis = s.get("redis")
    if not redis:
        return Store(s["name"], None)
    found = Redis(
        address=redis["address"],
        database=redis["database"],
        username=redis["username"],
        password=_located(redis.get("password")),
        tls=_client_tls(redis.get("tls")),
        open_on_failure=s["onFailure"] == "open",
    )
    return Store(s["name"], found)


def _provider(p: Mapping[str, Any]) -> Provider:
    auth = p["auth"]
    credential = auth and Credential(auth["header"].lower(), auth["prefix"], auth["secret"])
    headers = MappingProxyType({k.lower(): v for k, v in p["headers"].items()})
    identity = p.get("identity")
    return Provider(
        name=p["name"],
        type=p["type"],
        dialect=p["dialect"],
        base_url=p["baseUrl"].rstrip("/"),
        auth=credential,
        headers=headers,
        place=p["place"],
        identity=identity
        and Identity(identity["tenantId"], identity["clientId"], _located(identity.get("clientSecret"))),
        own_headers=tuple(
            OwnHeader(h["name"].lower(), h.get("value", ""), _located(h.get("secret"))) for h in p.get("ownHeaders", ())
        ),
        tls=_client_tls(p.get("tls")),
        region=p.get("region", ""),
        api_version=p.get("apiVersion", ""),
    )


def _target(t: Mapping[str, Any], providers: Mapping[str, Provider]) -> Target:
    given, price = t.get("parameters"), t.get("price")
    return Target(
        name=t["name"],
        provider=providers[t["provider"]],
        model=t["model"],
        weight=t["weight"],
        priority=t["priority"],
        parameters=given and Parameters(given["defaults"], given["overrides"], given["maximum"]),
        drop_unsupported=t.get("onUnsupported") == "drop",
        price=price and _price(price),
    )


def _price(p: Mapping[str, Any]) -> Price:
    cached = (p["input"] if p[kind] is None else p[kind] for kind in ("cacheRead", "cacheWrite"))
    return Price(p["input"], p["output"], *cached)


def _who(data: Any) -> Who | None:
    return data and Who(frozenset(data["groups"]), frozenset(data["consumers"]))


def _model(m: Mapping[str, Any], providers: Mapping[str, Provider]) -> Model:
    found = [_target(t, providers) for t in m["targets"] if t["weight"]]
    levels = sorted({t.priority for t in found})
    access = m["access"] or {"allow": None, "deny": None}
    times, health, life = m["timeouts"], m.get("health"), m.get("lifecycle")
    return Model(
        name=m["name"],
        aliases=tuple(m["aliases"]),
        priorities=tuple(tuple(t for t in found if t.priority == level) for level in levels),
        attempts=m["retries"]["attempts"],
        retry_on=frozenset(m["retries"]["on"]),
        backoff_base=m["retries"]["backoff"]["base"],
        backoff_max=m["retries"]["backoff"]["max"],
        fallback_on=frozenset(m["fallback"]["on"]),
        response=m["fallback"]["response"],
        connect=times["connect"] or None,
        first_byte=times["firstByte"] or None,
        idle=times["idle"] or None,
        request=times["request"] or None,
        allow=_who(access["allow"]),
        deny=_who(access["deny"]),
        policies=_policies(m["policies"]),
        capabilities=frozenset(m["capabilities"]),
        round_robin=m.get("algorithm") == "round-robin",
        health=Health(health["failures"], health["window"], health["cooldown"]) if health else Health(5, 30.0, 30.0),
        residency=tuple(m.get("residency", ())),
        lifecycle=life and Lifecycle(life["deprecated"], life["sunset"], life["replacedBy"]),
        drain=m.get("onDisconnect") == "drain",
        expose_target=m.get("exposeTarget", False),
    )


def _consumer(c: Mapping[str, Any]) -> Consumer:
    keys = tuple((k["apiKey"], k["place"]) for k in c["credentials"])
    logins = tuple(Login(x["username"], x["password"], x["place"]) for x in c.get("logins", ()))
    return Consumer(c["name"], tuple(c["groups"]), keys, _policies(c["policies"]), logins)


def _policies(data: Mapping[str, Any]) -> Policies:
    guard, decorator, after = data.get("promptGuard"), data.get("promptDecorator"), data.get("responseGuard")
    cache, ip = data.get("cache"), data.get("ipRestriction")
    return Policies(
        guard=guard and Guard(tuple(guard["deny"]), tuple(guard["allow"]), frozenset(guard["roles"]), guard["scope"]),
        decorator=decorator and Decorator(tuple(decorator["prepend"]), tuple(decorator["append"])),
        limits=tuple(_limit(x) for x in data.get("limits", ())),
        limit_store=data.get("limitStore", ""),
        response_guard=after and ResponseGuard(tuple(after["deny"]), tuple(after["allow"]), after["action"]),
        request_transformer=_transformer(data.get("requestTransformer")),
        response_transformer=_transformer(data.get("responseTransformer")),
        cache=cache and _cache(cache),
        ip_restriction=ip and IpRestriction(_networks(ip["allow"]), _networks(ip["deny"])),
    )


def _limit(x: Mapping[str, Any]) -> Limit:
    return Limit(
        name=x["name"],
        by=tuple(x["by"]),
        per=x["per"],
        requests=x["requests"],
        tokens=x["tokens"],
        reserve_output=x["reserveOutput"],
        cost=x.get("cost"),
        counted=x.get("count", "total"),
        observe=x.get("onExceeded") == "observe",
    )


def _transformer(t: Any) -> Transformer | None:
    if t is None:
        return None
    if "off" in t:
        return Transformer(True, "", "", "", 0.0, False)
    return Transformer(False, t["model"], t["prompt"], t["extract"], t["timeout"], t["onError"] == "pass")


def _cache(c: Mapping[str, Any]) -> Cache:
    if "off" in c:
        return Cache(True, 0.0, False, "")
    return Cache(False, c["ttl"], c["scope"] == "shared", c["store"] or "")
