"""Who calls: authentication plugins, consumers, their keys and groups, and who may call which model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from aigw_compile.diagnostic import Json
from aigw_compile.importers.kong.secrets import Keeper
from aigw_compile.importers.kong.shape import Instance, Kong, meant, running
from aigw_compile.importers.record import Node
from aigw_compile.plan import edges
from aigw_compile.units import derived_name

# Kong 3.9.3, plugins/{key-auth,basic-auth,acl}/schema.lua; the published schema of openid-connect, 3.15.

DOORS = ("key-auth", "basic-auth", "openid-connect")
OTHERS: tuple[str, ...] = (
    "jwt",
    "oauth2",
    "hmac-auth",
    "ldap-auth",
    "ldap-auth-advanced",
    "key-auth-enc",
    "mtls-auth",
    "session",
    "vault-auth",
    "oauth2-introspection",
    "saml",
    "jwt-signer",
    "header-cert-auth",
    "openid-connect-upstream",
)
"""Plugins that say who calls, in ways that the language does not have."""
MADE = "may-call:"
"""What our build puts before the group of those who may call a model."""


class Doors(NamedTuple):
    """How callers say who they are."""

    auth: dict[str, Json]
    nobody: str
    """The consumer that a call without a good credential has, which is refused; "" where there is none."""

    @property
    def headers(self) -> list[str]:
        """The headers in which callers say who they are."""
        key = self.auth.get("apiKey")
        own = [str(h) for h in key["headers"]] if isinstance(key, dict) and isinstance(key["headers"], list) else []
        return [*own, *(["authorization"] if {"basic", "jwt"} & set(self.auth) and "authorization" not in own else [])]

    @property
    def closed(self) -> bool:
        jwt = self.auth.get("jwt")
        open_ = isinstance(jwt, list) and any(isinstance(j, dict) and j.get("unknownConsumer") == "accept" for j in jwt)
        return "anonymous" not in self.auth and not open_


def doors(kong: Kong, routes: Iterable[str], gateway: str, key: str = "") -> Doors:
    """Return the doors of the gateway: those of any model stand before all. `key`: a header for keys, if there is no other."""
    found: dict[int, Instance] = {}
    unknown: dict[int, Instance] = {}
    open_routes = []
    for route in routes:
        mine = [i for name in DOORS if (i := running(kong, name, route))]
        other = [i for name in OTHERS if (i := running(kong, name, route))]
        found.update((id(i), i) for i in mine)
        unknown.update((id(i), i) for i in other)
        if not mine and not other:
            open_routes.append(route)
    auth: dict[str, Json] = {}
    nobodies = set()
    for one in found.values():
        {"key-auth": _keys, "basic-auth": _passwords, "openid-connect": _tokens}[one.name](kong, one, auth, gateway)
        if isinstance(one.config.raw("anonymous"), str):
            nobodies.add(_nobody(kong, one))
    for one in unknown.values():
        kong.record.tell("AIG8107", f"the language has no {one.name}", one.node.at, "apiKey, basic and jwt are there")
    if open_routes and (found or unknown):
        message = "no one is asked who they are here; in the spec everybody is, for every model"
        for route in open_routes:
            kong.record.note("AIG8106", message, kong.routes[route].node.at)
    if not auth and unknown:
        auth["apiKey"] = {"headers": ["authorization"]}
        kong.record.note(
            "AIG8111",
            "the spec asks for keys, so that nobody gets in by mistake: choose",
            next(iter(unknown.values())).node.at,
        )
    elif not auth and key:
        auth["apiKey"] = {"headers": [key]}
        kong.record.note(
            "AIG8111", f"consumers have keys, and nothing asks for one: the spec takes them from `{key}`", ()
        )
    elif not auth:
        auth["anonymous"] = True
        kong.record.note("AIG8111", "nobody is asked who they are: the spec says `anonymous: true`", ())
    return Doors(auth, next(iter(nobodies - {""}), ""))


def _nobody(kong: Kong, one: Instance) -> str:
    """The consumer of calls without a credential, if it is refused everything; else it is told: the spec lets nobody in so."""
    value = one.config.secret("anonymous")
    consumer = next((c for c in kong.consumers.values() if value in (c.key, c.name, c.node.raw("id"))), None)
    if consumer:
        for plugin in kong.plugins:
            if plugin.scope.consumer != consumer.key or plugin.scope.route:
                continue
            if plugin.name == "request-termination" or (
                plugin.name == "ip-restriction" and plugin.config.raw("deny") == [*edges.NOBODY]
            ):
                _quiet_refusal(plugin)
                return consumer.key
    kong.record.tell(
        "AIG8106",
        "who has no good credential gets in as somebody here, and is refused by the spec",
        one.config.place("anonymous"),
    )
    return ""


def _quiet_refusal(plugin: Instance) -> None:
    config = plugin.config
    config.usual("deny", [*edges.NOBODY])
    config.usual("status", 401, why="who has no good credential gets 401", code="AIG8104")
    config.usual("status_code", 401, why="who has no good credential gets 401", code="AIG8104")
    config.usual("message", "Unauthorized", why="the gateway words its own answer", code="AIG8104")


def _keys(kong: Kong, one: Instance, auth: dict[str, Json], gateway: str) -> None:
    config = one.config
    names = [n.lower() for n in config.texts("key_names")] or ["apikey"]
    config.usual("key_in_header", True, why="keys come in a header, and nowhere else", code="AIG8106")
    for key, default in (("key_in_query", True), ("key_in_body", False)):
        if config.flag(key, default):
            message = "a key in the query or the body is not taken: it would stand in logs"
            config.record.note("AIG8106", message, config.place(key), "clients send it in a header")
    config.usual("hide_credentials", True, why="no provider ever gets a client's key", code="AIG8104")
    config.usual("run_on_preflight", True, why="a preflight is answered by `cors`", code="AIG8104")
    config.usual("realm", why="the gateway words its own answer", code="AIG8104")
    held = auth.get("apiKey")
    before = held["headers"] if isinstance(held, dict) and isinstance(held["headers"], list) else []
    auth["apiKey"] = {"headers": [*before, *(n for n in names if n not in before)]}


def _passwords(kong: Kong, one: Instance, auth: dict[str, Json], gateway: str) -> None:
    one.config.usual("hide_credentials", True, why="no provider ever gets a client's password", code="AIG8104")
    one.config.usual("realm", gateway, why="the realm is the gateway's name", code="AIG8104")
    auth["basic"] = {}


def _tokens(kong: Kong, one: Instance, auth: dict[str, Json], gateway: str) -> None:
    """openid-connect as a check of tokens that others issue; its other flows are not in the language."""
    config = one.config
    issuer = config.text("issuer")
    methods = config.texts("auth_methods")
    if methods != ["bearer"]:
        message = "tokens in the authorization header alone are taken: the language has no sign-in of its own"
        config.record.note("AIG8106", message, config.place("auth_methods"))
    name = next((t.removeprefix("issuer: ") for t in one.tags if t.startswith("issuer: ")), "issuer")
    found: dict[str, Json] = {"name": derived_name(name) or "issuer", "issuer": issuer}
    if audiences := config.texts("audience_required"):
        found["audiences"] = [*audiences]
    keys = config.text("jwks_endpoint")
    others = config.texts("extra_jwks_uris")
    if not keys and others:
        keys = others[0]
        config.usual("using_pseudo_issuer", True, why="keys come from `jwksUri` alone")
        if others[1:]:
            config.record.tell("AIG8103", "one address has the keys of an issuer", config.place("extra_jwks_uris"))
    if not keys:
        keys = f"{issuer.rstrip('/')}/.well-known/jwks.json"
        config.record.note(
            "AIG8111",
            "the file does not say where the keys of the issuer are: look at `jwksUri`",
            config.place("issuer"),
        )
    found["jwksUri"] = keys
    claims = config.raw("consumer_claims") or config.raw("consumer_claim")
    flat = (
        [c for part in claims for c in (part if isinstance(part, list) else [part])] if isinstance(claims, list) else []
    )
    if flat and isinstance(flat[0], str):
        key = "consumer_claims" if config.raw("consumer_claims") else "consumer_claim"
        config.record.read |= {config.place(key), config.place(key, 0), config.place(key, 0, 0)}
        found["consumerClaim"] = flat[0]
        config.usual("credential_claim", [flat[0]], why="limits count by consumer", code="AIG8104")
    if config.flag("consumer_optional", False) or not flat:
        found["unknownConsumer"] = "accept"
    config.usual("issuers_allowed", [issuer], why="tokens of this issuer alone are taken")
    config.usual("bearer_token_param_type", ["header"], why="a token comes in the authorization header", code="AIG8106")
    config.usual("consumer_by", ["username"], why="a consumer is found by name")
    for key in ("hide_credentials", "run_on_preflight", "ssl_verify", "verify_claims", "verify_signature"):
        config.usual(key, True, why="this is always so", code="AIG8106")
    secrets = ("client_id", "client_secret", "session_secret")
    for key in secrets:
        if config.raw(key) is not None:
            config.record.alike("AIG8104", "checking tokens needs no client of its own", config.place(key))
    held = auth.get("jwt")
    auth["jwt"] = [*(held if isinstance(held, list) else []), found]


# --- Consumers


class People(NamedTuple):
    """Consumers and groups of the spec, and where each stood in the file."""

    consumers: list[dict[str, Json]]
    places: list[Node]
    keys: dict[str, str]
    """Key in the file -> name in the spec."""
    groups: list[str]


def people(kong: Kong, keeper: Keeper, found: Doors) -> People:
    """Return the consumers with their groups and references to their keys."""
    out = People([], [], {}, [])
    groups: dict[str, None] = {}
    taken: set[str] = set()
    any_credential = False
    for consumer in kong.consumers.values():
        node = consumer.node
        if consumer.key == found.nobody:
            continue
        name = derived_name(consumer.name or consumer.key) or "consumer"
        base, number = name, 2
        while name in taken:
            name, number = f"{base}-{number}"[:63], number + 1
        taken.add(name)
        if name != (consumer.name or consumer.key):
            kong.record.note("AIG8104", f'the consumer is called "{name}" in the spec', node.at)
        out.keys[consumer.key] = name
        if node.raw("custom_id") is not None and consumer.name != node.raw("custom_id"):
            kong.record.alike("AIG8104", "a consumer has one name", node.place("custom_id"))
        own: dict[str, Json] = {"name": name}
        mine = [g for g, _ in kong.members[consumer.key] if g and not g.startswith(MADE)]
        mine = [*dict.fromkeys([*mine, *kong.in_groups.get(consumer.key, [])])]
        groups.update(dict.fromkeys(mine))
        if mine:
            own["groups"] = [*mine]
        credentials = _credentials(kong, keeper, consumer.key, name)
        any_credential = any_credential or bool(credentials)
        if credentials:
            own["credentials"] = [*credentials]
        out.consumers.append(own)
        out.places.append(node)
    if not any_credential and ("apiKey" in found.auth or "basic" in found.auth):
        for own, node in zip(out.consumers, out.places, strict=True):
            held: list[Json] = []
            if "apiKey" in found.auth:
                held.append({"apiKey": {"env": keeper.variable(f"{own['name']}_KEY", node.at)}})
            if "basic" in found.auth:
                password: Json = {"env": keeper.variable(f"{own['name']}_PASSWORD", (*node.at, "basic"))}
                held.append({"basic": {"username": own["name"], "password": password}})
            own["credentials"] = held
            message = "the file holds no key of this consumer; the spec names variables for them"
            kong.record.note("AIG8111", message, node.at, "put the keys there, or change the references")
    groups.update((g.name, None) for g in kong.groups.values() if g.name)
    out.groups.extend(groups)
    return out


def _credentials(kong: Kong, keeper: Keeper, key: str, name: str) -> list[Json]:
    record = kong.record
    found: list[Json] = []
    for node in _of(kong, key, "keyauth_credentials"):
        if node.text("type") not in ("", "api-key"):
            record.tell("AIG8107", "the language has no credential of this kind", node.at, "apiKey and basic are there")
            continue
        ref = keeper.reference(node, "key", f"{name}_KEY", f'a key of "{name}"', "Bearer ")
        if node.raw("ttl") is not None:
            record.tell("AIG8103", "a key of the language does not run out by itself", node.place("ttl"))
        if ref:
            found.append({"apiKey": ref.ref})
        elif node.raw("key") is None:
            record.tell("AIG8103", "Kong would make a key by itself", node.at, "make one, and name where it is kept")
    for node in _of(kong, key, "basicauth_credentials"):
        user = node.text("username")
        ref = keeper.reference(node, "password", f"{name}_PASSWORD", f'a password of "{name}"')
        if user and ref:
            found.append({"basic": {"username": user, "password": ref.ref}})
    kinds = (
        "jwt_secrets",
        "hmacauth_credentials",
        "oauth2_credentials",
        "mtls_auth_credentials",
        "keyauth_enc_credentials",
    )
    for kind in kinds:
        for node in _of(kong, key, kind):
            record.tell("AIG8107", "the language has no credential of this kind", node.at, "apiKey and basic are there")
    return [f for i, f in enumerate(found) if f not in found[:i]]


def _of(kong: Kong, key: str, kind: str) -> list[Node]:
    """The credentials of a consumer, nested and from the top level."""
    consumer = kong.consumers[key]
    mine = consumer.node.items(kind)
    if kind == "keyauth_credentials":  # the entities of AI Gateway 2.0
        mine += [n.named({"key": "api_key", "ttl": "ttl", "type": "type"}) for n in consumer.node.items("credentials")]
    return [*mine, *_top(kong, kind).get(key, ())]


def _top(kong: Kong, kind: str) -> dict[str, list[Node]]:
    """Credentials of a kind at the top level, by consumer."""
    if kind in kong.looked:
        held: dict[str, list[Node]] = kong.looked[kind]
        return held
    found: dict[str, list[Node]] = {}
    for node in kong.root.items(kind):
        whole = isinstance(node.raw("consumer"), dict)
        inner = node.child("consumer") if whole else node
        fields = ("username", "name", "id") if whole else ("consumer",)
        field = next((f for f in fields if isinstance(inner.raw(f), str)), fields[0])
        key = meant(kong, "consumer", inner.raw(field))
        if key:
            inner.secret(field)
            found.setdefault(key, []).append(node)
    kong.looked[kind] = found
    return found


# --- Access


def access(kong: Kong, route: str, folk: People, found: Doors) -> dict[str, Json] | None:
    """Return who may call a model: what its acl says."""
    one = running(kong, "acl", route)
    if one is None:
        return None
    config = one.config
    allow, deny = config.texts("allow"), config.texts("deny")
    config.usual("hide_groups_header", True, why="no provider is told the groups of a caller", code="AIG8104")
    config.usual("always_use_authenticated_groups", False, why="the groups of a caller are those of its consumer")
    why = "groups of acls and consumer groups are one thing in the spec"
    config.usual("include_consumer_groups", bool(kong.groups), why=why, code="AIG8106")
    if "anonymous" in found.auth:
        kong.record.tell("AIG8107", "nobody is known, so that nobody can be let in by group", one.node.at)
        return None
    out: dict[str, Json] = {}
    for side, names in (("allow", allow), ("deny", deny)):
        groups = [n for n in names if not n.startswith(MADE)]
        made = [n for n in names if n.startswith(MADE)]
        members = [folk.keys[c] for c, own in kong.members.items() if c in folk.keys and any(g in made for g, _ in own)]
        rule: dict[str, Json] = {}
        if groups:
            rule["groups"] = [*groups]
            folk.groups.extend(g for g in groups if g not in folk.groups)
        if members:
            rule["consumers"] = [*members]
        if made and not members:
            rule["groups"] = [*groups, *made]
            folk.groups.extend(g for g in made if g not in folk.groups)
        if rule:
            out[side] = rule
    return out or None
