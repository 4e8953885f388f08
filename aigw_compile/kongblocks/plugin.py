"""A plugin instance and where it stands: what every maker of blocks gives back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from aigw_compile.diagnostic import Pointer
from aigw_compile.document import Block, at
from aigw_compile.kongblocks.names import TAG, tag

T = TypeVar("T")


class Plugin(NamedTuple):
    """`block` has name, instance_name, config, tags; `route`, `consumer` and `service` are names, "" for every one.

    Of several instances of a plugin Kong runs one for a call: route and consumer, service and consumer, then consumer,
    then route, then service, then neither (3.9.3, runloop/plugins_iterator.lua, lookup_cfg).
    """

    block: Block
    route: str = ""
    consumer: str = ""
    service: str = ""

    @property
    def name(self) -> str:
        return str(self.block["name"])

    @property
    def config(self) -> dict[str, Any]:
        return dict(self.block["config"])


def grouped(items: Iterable[T], name: Callable[[T], str]) -> dict[str, list[T]]:
    """Return what belongs to each name, in its order; a gateway may have thousands of them."""
    found: dict[str, list[T]] = {}
    for item in items:
        found.setdefault(name(item), []).append(item)
    return found


def make(
    name: str,
    instance: str,
    config: Block,
    route: str = "",
    consumer: str = "",
    tags: Iterable[tuple[str, Pointer]] = (),
) -> Plugin:
    """Return an instance; `tags` say what of the spec is in it, each with its place."""
    said = [*tags]
    texts = [TAG, *dict.fromkeys(tag(text) for text, _ in said)]
    fields = {"name": name, "instance_name": instance, "config": config, "tags": at(texts, *(p for _, p in said))}
    return Plugin(Block(config.origin, fields), route, consumer)


def spread(
    gateway: str, services: Sequence[str], plugins: Iterable[Plugin], counting: Collection[str]
) -> Iterator[Plugin]:
    """Put what stands nowhere at the services of a gateway: a Kong may serve other APIs, which it is no business of.

    With several services, the plugins that count (`counting`) stay as they are, since each service would count for itself;
    all else gets a copy for each.
    """
    for plugin in plugins:
        if plugin.route or plugin.service or (len(services) > 1 and (plugin.name in counting or plugin.consumer)):
            yield plugin
            continue
        for service in services:
            instance = str(plugin.block["instance_name"]).replace(gateway, service, 1)
            block = Block(plugin.block.origin, plugin.block.placed(), instance_name=instance)
            yield plugin._replace(block=block, service=service)
