"""A gateway to the objects of Kong Operator 2.2, which runs Kong Gateway 3.15: the blocks of kongblocks, one object each."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from aigw_compile import ir, kongblocks
from aigw_compile.diagnostic import Json
from aigw_compile.document import Block, Document, at
from aigw_compile.emitters.kubernetes.gateways import gateway_class, gateway_object, parent
from aigw_compile.emitters.kubernetes.objects import (
    GATEWAY_API,
    WHERE,
    Scene,
    amounts,
    budget,
    cpu_metric,
    label,
    ref,
    scene,
)
from aigw_compile.emitters.kubernetes.secrets import Secrets, of_consumer, of_login, of_wanted
from aigw_compile.kongblocks import EDITIONS, Blocks, Key, Password, Plugin, Route, Wanted, grouped
from aigw_compile.kongblocks.secrets import NEEDED
from aigw_compile.plan import Plan

OPERATOR, KONG = "gateway-operator.konghq.com", "configuration.konghq.com"
IMAGE = "kong/kong-gateway:3.15"
PATHS, HOSTS, LENGTH = 64, 16, 1024
"""Matches of a rule, host names of an HTTPRoute and characters of a path (Gateway API 1.6.1)."""

_BY_OPERATOR = ("KONG_DATABASE", "KONG_PROXY_LISTEN", "KONG_STATUS_LISTEN")
"""Variables that the operator sets by itself."""
_SECRET = {"konghq.com/secret": "true"}
"""Without this label the operator does not look at a Secret (Kong Operator 2.2, DefaultSecretLabelSelector)."""


def emit(gateway: ir.Gateway, plan: Plan) -> tuple[Document, ...]:
    """Write manifests.yaml, in the order to apply it, and secrets.json."""
    here = scene(gateway, plan)
    secrets = Secrets(here, _SECRET)
    blocks = kongblocks.make(gateway, plan, EDITIONS[plan.facts.works_as[1]])
    at_routes, own = grouped(blocks.plugins, lambda p: p.route), grouped(blocks.plugins, lambda p: p.consumer)
    keys = grouped(blocks.keys, lambda k: k.consumer.name)
    passwords = grouped(blocks.passwords, lambda p: p.consumer.name)

    def consumer(block: Block) -> Iterator[Block]:
        name = block["username"]
        return _consumer(here, secrets, block, keys.get(name, []), passwords.get(name, []), own.get(name, []))

    env = [*_variables(here, secrets, blocks)]
    objects: list[Json] = [
        *_configuration(here, env),
        *gateway_class(here, "konghq.com/gateway-operator"),
        *gateway_object(here, secrets, ref(OPERATOR, "GatewayConfiguration", gateway.name), {}),
        *(_vault(here, vault) for vault in blocks.vaults),
        *(_plugin(here, plugin) for plugin in blocks.plugins),
        _egress(here, blocks),
        *(o for route in blocks.routes for o in _routes(here, at_routes.get(route.name, []), route)),
        *(o for block in blocks.consumers for o in consumer(block)),
    ]
    return (Document("manifests.yaml", objects, stream=True), secrets.document())


def _class(here: Scene) -> dict[str, Any]:
    """The annotation by which the gateway's own control plane, and no other, takes an object."""
    if here.place and here.place.gateway:
        return {"kubernetes.io/ingress.class": at(here.place.gateway[1], (*here.place.origin, "gatewayRef"))}
    return {"kubernetes.io/ingress.class": at(here.gateway.name, ("metadata", "name"))}


def _configuration(here: Scene, env: list[Block]) -> Iterator[Block]:
    if here.attached:
        return
    deployment, place = here.gateway.deployment, here.place
    fields = Block(deployment.origin)
    if deployment.autoscaling:
        auto = deployment.autoscaling
        limits = {"minReplicas": auto.min_replicas, "maxReplicas": auto.max_replicas}
        scaling = Block(auto.origin, {**limits, "metrics": cpu_metric(auto.target_cpu)})
        fields["scaling"] = {"horizontal": scaling}
    else:
        fields["replicas"] = deployment.replicas
    container = Block(here.gateway.origin, {"name": "proxy", "image": IMAGE, "env": env})
    if deployment.resources:
        container["resources"] = amounts(deployment.resources)
    pod = Block(deployment.origin, {"containers": [container]})
    if place and place.service_account:
        pod["serviceAccountName"] = at(place.service_account, (*place.origin, "serviceAccount"))
    fields["podTemplateSpec"] = {"spec": pod}
    control = {
        "ingressClass": here.gateway.name,
        "translation": {"combinedServicesFromDifferentHTTPRoutes": "enabled", "drainSupport": "enabled"},
        "watchNamespaces": {"type": "all"},
    }
    data: dict[str, Any] = {"deployment": fields}
    if place and place.disruption_budget:
        data["resources"] = {"podDisruptionBudget": {"spec": budget(place.disruption_budget)}}
    spec = {"controlPlaneOptions": control, "dataPlaneOptions": data}
    yield here.object(here.gateway.origin, f"{OPERATOR}/v2beta1", "GatewayConfiguration", here.gateway.name, spec)


def _variables(here: Scene, secrets: Secrets, blocks: Blocks) -> Iterator[Block]:
    """Kong's environment: its settings, and the providers' keys, each taken from a Secret."""
    for name, value in blocks.environment.items():
        if name not in _BY_OPERATOR:
            origins = blocks.environment.origins.get(name, ())
            yield Block(here.gateway.origin, {"name": name, "value": at(value, *origins)})
    done: set[str] = set()
    for wanted in blocks.wanted:
        if wanted.kind != "listener" and wanted.reference.variable not in done:  # listeners have Secrets of their own
            done.add(wanted.reference.variable)
            yield from _key(here, secrets, wanted)


def _key(here: Scene, secrets: Secrets, wanted: Wanted) -> Iterator[Block]:
    """A secret. Kong sends a value as it stands, so a prefix is put before it by the pod's own variables."""
    credential, variable = wanted.ref, wanted.reference.variable
    if credential.in_cluster:
        name, key = credential.name, credential.property
    else:
        name, key = here.name(wanted.owner), wanted.part
        secrets.put(name, key, credential, of_wanted(wanted))
    prefix = wanted.reference.prefix
    # The operator sorts the variables by name, and a variable can only name one before it: X_BARE is before X_HEADER.
    bare = f"{variable.removesuffix('_HEADER')}_BARE" if prefix else variable
    source = {"secretKeyRef": {"name": name, "key": key}}
    needed = (credential.origin, *NEEDED)
    yield Block(credential.origin, {"name": at(bare, *needed), "valueFrom": source})
    if prefix:
        yield Block(credential.origin, {"name": at(variable, *needed), "value": f"{prefix}$({bare})"})


def _vault(here: Scene, vault: Block) -> Block:
    spec = Block(vault.origin, {"backend": vault["name"], "prefix": vault.placed()["prefix"]})
    if "config" in vault:
        spec["config"] = vault["config"]
    name = here.name("vault", vault["prefix"])
    return here.object(vault.origin, f"{KONG}/v1alpha1", "KongVault", name, spec, annotations=_class(here))


def plugin_name(plugin: Plugin) -> str:
    """Return the name of a KongPlugin. Its `plugin` cannot be changed, so it is part of the name."""
    return label(str(plugin.block["instance_name"]), plugin.name)


def _plugin(here: Scene, plugin: Plugin) -> Block:
    block = plugin.block
    tags = at(",".join(block["tags"]), *block.origins.get("tags", ()))
    root = {"plugin": plugin.name, "instance_name": block.placed()["instance_name"], "config": block["config"]}
    notes = {"konghq.com/tags": tags}
    name = plugin_name(plugin)
    return here.object(block.origin, f"{KONG}/v1", "KongPlugin", name, None, root=root, annotations=notes)


def _named(plugins: Iterable[Plugin]) -> dict[str, Any]:
    mine = [*plugins]
    names = ",".join(map(plugin_name, mine))
    origins = (o for p in mine for o in p.block.origins["instance_name"])
    return {"konghq.com/plugins": at(names, *origins)} if mine else {}


def _egress(here: Scene, blocks: Blocks) -> Block:
    """The one Service behind all routes: the AI proxy replaces its address. What is for every route hangs on it."""
    service = blocks.services[0]
    notes = {
        "konghq.com/protocol": "https",
        "konghq.com/retries": "0",
        **_named(p for p in blocks.plugins if not p.route and not p.consumer),
    }
    spec = {
        "type": "ExternalName",
        "externalName": "localhost",
        "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": 443}],
        "sessionAffinity": "None",
    }
    return here.object(service.origins[0], "v1", "Service", here.name("egress"), spec, annotations=notes)


def _routes(here: Scene, plugins: Iterable[Plugin], route: Route) -> Iterator[Block]:
    """An HTTPRoute; several where it has more paths or host names than one holds."""
    notes = {
        "konghq.com/strip-path": "false",
        "konghq.com/preserve-host": "false",
        **_named(plugins),
    }
    backend = {"group": "", "kind": "Service", "name": here.name("egress"), "port": 443, "weight": 1}
    number = 0
    known = () if any(here.plan.lost((*x.origin, "hostnames")) for x in here.gateway.listeners) else route.hosts
    for hosts in _parts(known, HOSTS) or [()]:
        for paths in _parts(tuple(p for p in route.paths if len(p) <= LENGTH), PATHS):
            number += 1
            matches = [_match(path, method) for path in paths for method in route.methods]
            rule = {"matches": matches, "backendRefs": [backend]}
            spec = Block(route.origin, {"parentRefs": at([parent(here)], *WHERE)})
            if hosts:
                spec["hostnames"] = at([*hosts], *route.paths_from)
            spec["rules"] = at([rule], *route.paths_from, *route.when)
            name = label(route.name) if number == 1 else f"{label(route.name)}.{number}"
            yield here.object(route.origin, f"{GATEWAY_API}/v1", "HTTPRoute", name, spec, annotations=notes)


def _match(path: str, method: str) -> dict[str, Any]:
    """A regular expression of Kong's router, without the `~` that the operator puts before it again."""
    return {"path": {"type": "RegularExpression", "value": path.removeprefix("~")}, "method": method}


def _parts(values: tuple[str, ...], most: int) -> list[tuple[str, ...]]:
    return [values[start : start + most] for start in range(0, len(values), most)]


def _consumer(
    here: Scene,
    secrets: Secrets,
    consumer: Block,
    keys: Sequence[Key],
    passwords: Sequence[Password],
    plugins: Sequence[Plugin],
) -> Iterator[Block]:
    """A KongConsumer, and its acl groups: Secrets, though there is nothing secret in them."""
    name = str(consumer["username"])
    credentials: list[str] = []
    for number, acl in enumerate(consumer.get("acls", ()), 1):
        group = f"{here.gateway.name}.{name}.group.{number}"
        credentials.append(group)
        labels = {**_SECRET, "konghq.com/credential": "acl"}
        text = base64.b64encode(str(acl["group"]).encode()).decode()
        data = Block(acl.origin, {"group": at(text, *acl.origins["group"])})
        yield here.object(acl.origin, "v1", "Secret", group, None, root={"type": "Opaque", "data": data}, labels=labels)
    for key in keys:
        credentials += _keys(here, secrets, key)
    credentials += (_password(here, secrets, one) for one in passwords)
    notes = {**_class(here), **_named(plugins)}
    root: dict[str, Any] = {"username": at(name, *consumer.origins.get("username", ()))}
    if credentials:
        origins = [*(k.ref.origin for k in keys), *(p.login.origin for p in passwords)]
        origins += (acl.origin for acl in consumer.get("acls", ()))
        root["credentials"] = at([*dict.fromkeys(credentials)], *origins, ("spec", "auth"), ("spec", "models"))
    yield here.object(
        consumer.origin, f"{KONG}/v1", "KongConsumer", here.name(name), None, root=root, annotations=notes
    )


def _keys(here: Scene, secrets: Secrets, key: Key) -> Iterator[str]:
    """The Secrets of a key, one for each prefix: key-auth compares a header as a whole."""
    borrowed = key.ref.in_cluster and key.ref.property == "key" and key.prefixes == ("",)
    if borrowed:
        yield key.ref.name
        return
    for prefix in key.prefixes:
        kind = f".{prefix.strip().lower()}" if prefix else ""
        name = f"{here.gateway.name}.{key.consumer.name}.key.{key.number + 1}{kind}"
        if not key.ref.in_cluster:
            secrets.secret(name, key.ref.origin, {"konghq.com/credential": "key-auth"})
            secrets.put(name, "key", key.ref, of_consumer(key.consumer, key.number), prefix)
        yield name


def _password(here: Scene, secrets: Secrets, one: Password) -> str:
    """The Secret of a user name and its password. One of the cluster's own has to be copied by hand: it has no user name."""
    name = f"{here.gateway.name}.{one.consumer.name}.password.{one.number + 1}"
    if not one.login.password.in_cluster:
        held = secrets.secret(name, one.login.origin, {"konghq.com/credential": "basic-auth"})
        held["stringData"]["username"] = at(one.login.username, (*one.login.origin, "basic", "username"))
        secrets.put(name, "password", one.login.password, of_login(one.consumer, one.login))
    return name
