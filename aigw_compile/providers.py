"""The provider catalog: what is true of each type of AI provider, whatever gateway stands before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Catalogued(NamedTuple):
    base_url: str | None
    """None: the spec has to say."""
    dialect: str
    auth_header: str
    auth_prefix: str
    needs_key: bool
    headers: Mapping[str, str] = {}


PROVIDERS: Mapping[str, Catalogued] = {
    # OpenAI API reference, "Authentication"; Anthropic API reference, "Getting started" and "Versions".
    "openai": Catalogued("https://api.openai.com/v1", "openai", "authorization", "Bearer ", True),
    "anthropic": Catalogued(
        "https://api.anthropic.com/v1", "anthropic", "x-api-key", "", True, {"anthropic-version": "2023-06-01"}
    ),
    "openai-compatible": Catalogued(None, "openai", "authorization", "Bearer ", False),
    "vllm": Catalogued(None, "openai", "authorization", "Bearer ", False),
}
