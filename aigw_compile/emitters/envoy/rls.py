"""Limits to the ratelimit filters that ask a rate limit service, the service's cluster, and its own file of limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, Document, at
from aigw_compile.emitters.envoy import limits, wire
from aigw_compile.emitters.envoy.limits import Placed
from aigw_compile.emitters.envoy.providers import remote_cluster
from aigw_compile.plan import edges
from aigw_compile.policies.limits import LimitStore

CLUSTER, FILE = "limits", "ratelimit/config.yaml"
_TIMEOUT = "0.25s"
_FIELD = {"address": "requests", "requests": "requests", "tokens": "tokens", "cost": "cost"}
"""What a filter asks for -> the field of a limit that says how much there is."""


def asked(limited: tuple[Placed, ...], unit: str) -> list[Placed]:
    """Return the limits that the service is asked for in one step; the longest window first.

    Of several that have nothing left Envoy shows the first one's reset; so retry-after is when all of them let pass again.
    """
    early = unit == "address"
    found = [x for x in limited if getattr(x, _FIELD[unit]) is not None and x.fails]
    if _FIELD[unit] == "requests":
        found = [x for x in found if x.early is early]
    return sorted(found, key=lambda x: -x.limit.seconds)


def filters(gateway: ir.Gateway, limited: tuple[Placed, ...], *asks: str) -> list[Block]:
    """Return a filter for each unit that is asked for, and for each way in which the store of a limit fails."""
    found = []
    for unit in asks:
        for fails in ("open", "closed"):
            mine = [x for x in asked(limited, unit) if x.fails == fails]
            if mine:
                found.append(_filter(gateway, unit, fails, mine))
    return found


def _filter(gateway: ir.Gateway, unit: str, fails: str, mine: list[Placed]) -> Block:
    stores = {s.name: s for x in mine if (s := edges.store_of(gateway, x.scope)) and s.type == "redis"}
    named = [at for x in mine for at in _named(x)]
    found = wire.extension(
        mine[0].limit.origin[:-1],
        f"limits-{unit}-{fails}",
        wire.HTTP + "ratelimit.v3.RateLimit",
        {
            "domain": at(gateway.name, ("metadata", "name")),
            **({"stat_prefix": at("-".join(stores), *named, *(s.origin for s in stores.values()))} if stores else {}),
            "timeout": _TIMEOUT,
            **({"failure_mode_deny": True} if fails == "closed" else {}),
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
            "disable_x_envoy_ratelimited_header": True,
            "rate_limit_service": {
                "grpc_service": {"envoy_grpc": {"cluster_name": CLUSTER}},
                "transport_api_version": "V3",
            },
            "rate_limits": [one for x in mine for one in _counted(gateway, unit, x)],
        },
    )
    if stores:
        found["name"] = at(found["name"], *((*s.origin, "onFailure") for s in stores.values()))
    return found


def _named(x: Placed) -> list[Pointer]:
    return [store.origin for store in ir.every(x.scope.policies, LimitStore)]


def _counted(gateway: ir.Gateway, unit: str, x: Placed) -> Iterator[Block]:
    """What is counted when the request comes, and what is charged or given back when its stream is done."""
    key, origin = name(x, unit), x.limit.origin
    if unit == "address":
        by = {"generic_key": {"descriptor_key": key, "descriptor_value": "address"}}
        yield Block(origin, {"actions": [by, {"remote_address": {}}]})
        yield _settled(x, [by, _read("remote_address", "settle", f"address-{x.stage(unit)}")], number=1)
        return
    for i in range(1, limits.keys(gateway, x) + 1):
        if unit == "requests":
            header = f"{x.header}-{i}"
            yield Block(origin, {"actions": [{"request_headers": {"header_name": header, "descriptor_key": key}}]})
            yield _settled(x, [_read(key, "settle", header)], number=1)
        else:
            place = f"{limits.slot(x, unit)}{i}"
            hits = {"format": f"%DYNAMIC_METADATA({_SPACE}:held:{place}.n)%"}
            yield Block(origin, {"actions": [_read(key, "held", place)], "hits_addend": hits})
            amount = f"%DYNAMIC_METADATA({_SPACE}:settle:{place}.n)%"
            yield _settled(x, [_read(key, "settle", f"{place}.up")], more=True, format=amount)
            yield _settled(x, [_read(key, "settle", f"{place}.down")], format=amount)


_SPACE = "aigw.rls"
"""Where the scripts keep what the filters read. What is not there is not asked for."""


def _read(key: str, *path: str) -> dict[str, Any]:
    return {"metadata": {"descriptor_key": key, "metadata_key": {"key": _SPACE, "path": [{"key": p} for p in path]}}}


def _settled(x: Placed, actions: list[dict[str, Any]], *, more: bool = False, **hits: Any) -> Block:
    addend = hits if more else {**hits, "is_negative_hits": True}
    return Block(x.limit.origin, {"actions": actions, "hits_addend": addend, "apply_on_stream_done": True})


def name(x: Placed, unit: str) -> str:
    """Return the key of a limit at the service: where it stands, its name and what it counts.

    The service looks for `KEY_VALUE` first, and parts its own keys by `_`, so that none stands in ours.
    """
    where = (x.scope.kind,) if x.scope.kind == "gateway" else (x.scope.kind, x.scope.name)
    counts = x.limit.counted if unit == "tokens" else _FIELD[unit]
    return ".".join("".join(map(_plain, part)) for part in (*where, x.limit.name, counts))


def _plain(letter: str) -> str:
    good = letter == "-" or (letter.isascii() and letter.isalnum())
    return letter if good else "".join(f"%{byte:02X}" for byte in letter.encode())


def cluster(url: str, ca_file: str) -> Block:
    """Return the cluster of the service, which speaks gRPC."""
    found = remote_cluster((), CLUSTER, url, ca_file)
    if "transport_socket" in found:
        found["transport_socket"]["typed_config"]["common_tls_context"]["alpn_protocols"] = ["h2"]
    kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = wire.typed((), kind, {"explicit_http_config": {"http2_protocol_options": {}}})
    found["typed_extension_protocol_options"] = {kind: options}
    return found


def document(gateway: ir.Gateway, limited: tuple[Placed, ...]) -> Document:
    """Return the file of limits, as envoyproxy/ratelimit reads it."""
    every = [_limit(x, unit) for unit in limits.UNITS for x in asked(limited, unit)]
    body = {"domain": at(gateway.name, ("metadata", "name")), "descriptors": every}
    return Document(FILE, Block(gateway.origin, body))


def _limit(x: Placed, unit: str) -> Block:
    origin, field = x.limit.origin, _FIELD[unit]
    most = round(limits.units(x.cost or 0)) if unit == "cost" else getattr(x, field)
    fields: dict[str, Any] = {
        "rate_limit": Block(
            origin,
            {
                "unit": at(x.limit.per, (*origin, "per")),
                "requests_per_unit": at(most, (*origin, field)),
                "name": f"{unit} {x.stage(unit)}",  # Envoy shows it beside the limit; counted.lua knows by it what was asked
            },
        )
    }
    if x.limit.on_exceeded == "observe":
        fields["shadow_mode"] = at(True, (*origin, "onExceeded"))
    if unit == "address":
        fields = {"descriptors": [Block(origin, {"key": "remote_address", **fields})]}
    return Block(origin, {"key": at(name(x, unit), (*origin, "name")), **fields})
