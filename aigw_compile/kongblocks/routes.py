"""Models and listeners to Kong's services and routes: one route for each model, told apart by path."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain, count
from typing import NamedTuple

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer
from aigw_compile.document import At, at, everywhere
from aigw_compile.kongblocks import names
from aigw_compile.kongblocks.edition import Edition
from aigw_compile.plan import Plan, fits, sending

DOORS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "embeddings": "/v1/embeddings"}
MODELS = "/v1/models"


class Route(NamedTuple):
    """A route: `paths` are regular expressions with Kong's `~` before them."""

    name: str
    model: ir.Model | None
    """None: the list of models, or what browsers ask before they call."""
    methods: tuple[str, ...]
    paths: tuple[str, ...]
    hosts: tuple[str, ...]
    origin: Pointer
    paths_from: tuple[Pointer, ...]
    plain_paths: tuple[str, ...] = ()
    """The same as `paths`, as a client writes them."""
    door: str = ""
    """One of DOORS."""
    when: tuple[Pointer, ...] = (("spec", "models"),)
    """What decides that it is there, and at which service."""

    @property
    def format(self) -> dict[str, str]:
        """What the plugins that read a body have to be told of it; nothing where it is OpenAI's, which all expect."""
        return {"llm_format": "anthropic"} if self.door == "messages" else {}


class Service(NamedTuple):
    """What stands between routes and providers. ai-proxy replaces its address; its times count."""

    name: str
    timing: fits.Timing | None
    """None: the balancer of ai-proxy-advanced has the times."""
    routes: tuple[Route, ...]
    origins: tuple[Pointer, ...]
    url: str = ""
    """Where calls go; "" for a sink."""


def model_doors(model: ir.Model, edition: Edition) -> tuple[str, ...]:
    """Return the doors of a model. That of Anthropic's clients is there where every target speaks their dialect."""
    if sending.embeds(model):
        return ("embeddings",)
    return ("chat", "messages") if "messages" in edition.has and sending.speaks(model, "anthropic") else ("chat",)


def routes(gateway: ir.Gateway, plan: Plan, edition: Edition) -> tuple[Route, ...]:
    """Return a route for each door of each model, in spec order, one for the list of models, and one for preflights."""
    slugs = names.model_slugs(gateway)
    hosts = hosts_of(gateway)
    single = len(gateway.models) == 1
    bases = tuple(dict.fromkeys(x.base_path for x in gateway.listeners))
    listeners = tuple(x.origin for x in gateway.listeners)
    made: list[Route] = []
    for model, door in ((m, d) for m in gateway.models for d in model_doors(m, edition)):
        public = names.public_names(model)
        if single:
            paths = tuple(names.only_path(base, DOORS[door]) for base in bases)
            plain = tuple(f"{base}{DOORS[door]}" for base in bases)
        else:
            fit = [name for name, _ in public if not fits.pathless(name)]
            paths = tuple(names.path(base, name, DOORS[door]) for base in bases for name in fit)
            plain = tuple(f"{base}/{name}{DOORS[door]}" for base in bases for name in fit)
        if sending.embeds(model) and plan.lost((*model.origin, "capabilities", model.capabilities.index("embeddings"))):
            continue
        name = f"{gateway.name}-{slugs[model.name]}"
        if door == "messages":
            taken = {f"{gateway.name}-{slug}" for slug in slugs.values()} | {r.name for r in made}
            name = _free(name, taken, "messages")
        origins = (*listeners, *(place for _, place in public))
        if paths:  # a route without a path would take every call
            when = (("spec", "models"), *([everywhere("promptGuard")] if door == "embeddings" else []))
            made.append(Route(name, model, ("POST",), paths, hosts, model.origin, origins, plain, door, when))
    paths = tuple(names.only_path(base, MODELS) for base in bases)
    listed = Route(
        _free(gateway.name, {r.name for r in made}, "models", "models-list"),
        None,
        ("GET",),
        paths,
        hosts,
        ("spec", "models"),
        (*listeners, *(place for m in gateway.models for _, place in names.public_names(m))),
        tuple(f"{base}{MODELS}" for base in bases),
    )
    every = [*made, listed]
    browsers = [x.cors.origin for x in gateway.listeners if x.cors and not plan.lost(x.cors.origin)]
    if browsers:
        # Kong answers a preflight only where a route takes it (3.9.3, plugins/cors/handler.lua runs in access).
        paths = tuple(path for route in every for path in route.paths)
        plain = tuple(path for route in every for path in route.plain_paths)
        name = _free(gateway.name, {r.name for r in made}, "preflight", "preflights")
        places = (*listed.paths_from, *(o for r in made for o in r.when))
        every.append(Route(name, None, ("OPTIONS",), paths, hosts, browsers[0], places, plain))
    return tuple(every)


def _free(start: str, taken: Collection[str], *ends: str) -> str:
    """Return the first of some names that is not taken; numbers are put behind the last where all are."""
    more = (f"{ends[-1]}-{number}" for number in count(2))
    return next(name for end in chain(ends, more) if (name := f"{start}-{end}") not in taken)


def services(gateway: ir.Gateway, plan: Plan, edition: Edition) -> tuple[Service, ...]:
    """Return the services: one, or, where the service has the times, one for each set of them."""
    listed = routes(gateway, plan, edition)
    if edition.advanced:
        return (Service(gateway.name, None, listed, (("spec", "models"),)),)
    groups: dict[fits.Timing, list[Route]] = {}
    for route in listed:
        times = fits.timing(route.model) if route.model else next(iter(groups), fits.timing(gateway.models[0]))
        groups.setdefault(times, []).append(route)
    made = []
    for number, (timing, mine) in enumerate(groups.items()):
        name = gateway.name if len(groups) == 1 else f"{gateway.name}-service-{number + 1}"
        models = [r.model for r in mine if r.model]
        origins = tuple(o for m in models for o in (m.timeouts.origin, m.retries.origin))
        made.append(Service(name, timing, tuple(mine), (*dict.fromkeys(origins), ("spec", "models"))))
    return tuple(made)


def body_size(gateway: ir.Gateway) -> At:
    """Return the largest body in bytes: the smallest that a listener allows, since routes answer on every port."""
    smallest = min(x.max_body_size for x in gateway.listeners)
    return at(max(1, smallest), *((*x.origin, "maxBodySize") for x in gateway.listeners))


def hosts_of(gateway: ir.Gateway) -> tuple[str, ...]:
    """The host names of all listeners; none where a listener answers to any."""
    if not all(x.hostnames for x in gateway.listeners):
        return ()
    return tuple(dict.fromkeys(h for x in gateway.listeners for h in x.hostnames))
