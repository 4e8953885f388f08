"""The scripts between two dialects in a LuaJIT as Envoy has it: a request, a reply, an error or a stream to what they make of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lupa import luajit21

from aigw_compile.target import asset

_SAID = r"""
local way = messages or dialect
function _G.ask(text, drop, embeds, strict, cap)
  return (way.request(text, drop, {embeds = embeds, hub = {strict = strict, cap = cap}}))
end
function _G.reply(text, embeds)
  local doc, spans = decode(text)
  local ok, found = pcall(way.response, text, doc, spans, embeds)
  if ok then return found end
  return nil, type(found) == 'table' and found.refused and encode(found.refused) or ''
end
function _G.used(text)
  local doc, spans = decode(text)
  local ok, _, used = pcall(way.response, text, doc, spans)
  used = ok and figures(nil, used)
  return used and used_text(used)
end
function _G.fault(text)
  local inner = decode(text)
  local found = {message = inner.message}
  dialect.error(found, inner)
  return encode(found)
end
function _G.stream(pieces)
  local at, out = 0, {}
  local function piece(text)
    local part = {}
    function part:length() return #text end
    function part:getBytes() return text end
    function part:setBytes(new) out[at] = new end
    return part
  end
  way.stream({bodyChunks = function()
    return function()
      at = at + 1
      local text = pieces[at]
      if text then return piece(text) end
      at = at - 1
    end
  end})
  return table.concat(out)
end
"""


def latin(value: Any) -> str:
    """JSON as bytes, each of which is a character for the scripts."""
    return json.dumps(value, ensure_ascii=False).encode().decode("latin-1")


def read(text: str) -> Any:
    return json.loads(text.encode("latin-1"))


class Scripts:
    """A LuaJIT with the assets of these names."""

    def __init__(self, *names: str) -> None:
        self._lua = luajit21.LuaRuntime(encoding="latin-1")
        self._lua.execute("\n".join(asset("envoy", f"{name}.lua") for name in ("json", *names)) + _SAID)
        self._said = self._lua.globals()

    def ask(
        self, body: Any, *, drop: bool = False, embeds: bool = False, strict: bool = False, cap: str = "max_tokens"
    ) -> Any:
        """The body for the provider; None where it is refused."""
        made = self._said.ask(latin(body), drop, embeds, strict, cap)
        return read(made) if made else None

    def reply(self, body: Any, *, embeds: bool = False) -> tuple[Any, Any]:
        """The reply for the client, and none; or none, and the error that it is in truth, if that."""
        made = self._said.reply(latin(body), embeds)
        if isinstance(made, tuple):
            return None, read(made[1]) if made[1] else None
        return read(made), None

    def used(self, body: Any) -> list[int] | None:
        """What is charged for a reply: input, output, read from a cache, written to one, total."""
        made = self._said.used(latin(body))
        return [int(n) for n in made.split()] if made else None

    def fault(self, inner: Any) -> Any:
        """A provider's error in OpenAI's words."""
        return read(self._said.fault(latin(inner)))

    def stream(self, *pieces: str) -> str:
        """What becomes of a stream that comes in these pieces, each character of which is a byte."""
        return str(self._said.stream(self._lua.table_from(pieces))).encode("latin-1").decode()


def cut(text: str, size: int) -> Iterator[str]:
    """A text in pieces, and a last one without anything, as Envoy has it."""
    yield from (text[i : i + size] for i in range(0, len(text), size))
    yield ""
