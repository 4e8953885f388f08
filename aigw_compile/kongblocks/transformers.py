"""Transformers of a model and of the gateway to ai-request-transformer and ai-response-transformer."""

from __future__ import annotations

from collections.abc import Iterator

from aigw_compile import ir
from aigw_compile.document import Block, at
from aigw_compile.kongblocks.edition import Edition
from aigw_compile.kongblocks.llm import llm
from aigw_compile.kongblocks.plugin import Plugin, make
from aigw_compile.kongblocks.routes import Route, body_size
from aigw_compile.kongblocks.upstream import targets
from aigw_compile.plan import Plan, fits, sending
from aigw_compile.policies import pcre
from aigw_compile.policies.transformers import RequestTransformer, ResponseTransformer


def transformers(gateway: ir.Gateway, plan: Plan, edition: Edition, route: Route) -> Iterator[Plugin]:
    """Yield the transformers of a chat model's route: the model's own, else the gateway's; neither where it is off."""
    assert route.model
    if sending.embeds(route.model):
        return
    all_ = [t for scope in fits.applying(gateway, route.model, None) for t in sending.transformers(scope)]
    for node, kind in ((RequestTransformer, "request"), (ResponseTransformer, "response")):
        found = [t for t in all_ if isinstance(t, node)]
        if found and not found[-1].off and not plan.lost(found[-1].origin):
            yield from _made(gateway, plan, edition, route, found[-1], kind)


def _made(
    gateway: ir.Gateway,
    plan: Plan,
    edition: Edition,
    route: Route,
    one: RequestTransformer | ResponseTransformer,
    kind: str,
) -> Iterator[Plugin]:
    model = next(m for m in gateway.models if m.name == one.model)
    asked = targets(model, plan, edition)
    if not asked:
        return
    block = llm(gateway, plan, asked[0], edition)
    config = Block(
        one.origin,
        {
            "prompt": one.prompt,
            "http_timeout": fits.milliseconds(one.timeout),
            "https_verify": True,
            "llm": at(block, (*one.origin, "model")),
        },
    )
    if one.extract:
        # Kong ignores case and takes each line for a text (3.9.3, llm/init.lua, "ijom"), which RE2 does not.
        pattern = pcre.translate(one.extract)
        written = f"{pcre.UTF if pattern.characters else ''}(?-im){pattern.body}"
        config["transformation_extract_pattern"] = at(written, (*one.origin, "extract"))
    config["max_request_body_size"] = body_size(gateway)
    yield make(f"ai-{kind}-transformer", f"{route.name}-{kind}-transformer", config, route.name)
