"""Texts of a spec on their way to the scripts, through the real Envoy: whatever they hold, they arrive as they are.

No text is ever put into a script, so that there is nothing to quote. It crosses YAML, protobuf, Lua, headers and CEL instead.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.targets import envoy_runner as runner
from tests.targets.envoy_runner import chat, request
from tests.targets.envoy_specs import smallest
from tests.targets.mock_upstream import providers

_ODD = [
    "]]==]",
    "%REQ(:path)%",
    "%%",
    "'\"\\",
    "${x}",
    "{{x}}",
    "\\u0041",
    "\u2028",
    "--[[",
    "#{",
    ": ",
    "é\u0301",
    "😀",
    "\x7f",
]
_PIECES = st.one_of(st.sampled_from(_ODD), st.characters(exclude_categories=["Cs", "Cc"]))
_TEXTS = st.lists(_PIECES, min_size=1, max_size=8).map("".join)
_NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp", "Cf", "Co", "Cn"]), min_size=1, max_size=20
)
"""Names of models: printable, without spaces."""
_BASES = st.text("abcxyz0189-._~", min_size=1, max_size=12).filter(lambda base: base not in (".", ".."))


LOST = "a-model-whose-provider-is-gone"


def spec(ports: list[int], url: str, base: str, models: list[tuple[str, str, str]]) -> dict[str, Any]:
    """For each name a model of that name at the provider too, with a decorator; and one whose provider is not there."""
    decorated = [
        {
            "name": name,
            "targets": [{"name": f"t{i}", "provider": "there", "model": real}],
            "exposeTarget": True,
            "policies": {"promptDecorator": {"prepend": [{"role": "system", "content": text}]}},
        }
        for i, (name, real, text) in enumerate(models)
    ]
    lost = {
        "name": LOST,
        "targets": [{"provider": "gone", "model": "x"}],
        "fallback": {"on": ["connect-failure"], "response": {"status": 200, "content": models[0][2]}},
    }
    gone = {"name": "gone", "type": "vllm", "baseUrl": f"http://127.0.0.1:{ports[3]}/v1"}
    return smallest(
        listeners=[{"name": "l", "address": "127.0.0.1", "port": ports[0], "basePath": f"/{base}"}],
        providers=[{"name": "there", "type": "vllm", "baseUrl": url}, gone],
        models=[*decorated, lost],
        observability={"operations": {"port": ports[1]}},
    )


@settings(max_examples=6, phases=[Phase.generate])  # an Envoy for each: no time to shrink
@given(
    base=_BASES,
    models=st.lists(
        st.tuples(_NAMES, _NAMES.filter(lambda n: n != "*"), _TEXTS), min_size=6, max_size=12, unique_by=lambda m: m[0]
    ),
)
def test_texts_arrive_as_they_are(base: str, models: list[tuple[str, str, str]]) -> None:
    with TemporaryDirectory() as folder, providers(1) as (provider,):
        ports = runner.free_ports(4)  # listener, operations, admin, and one where nobody listens
        runner.write(Path(folder), runner.build(spec(ports, provider.url, base, models))[1])

        def ask(name: str, door: str = "chat/completions") -> Any:
            url = f"http://127.0.0.1:{ports[0]}/{base}/v1/{door}"
            return request("POST", url, json.dumps(chat(name)).encode(), [("content-type", "application/json")])

        with runner.process(Path(folder), ports[1] + 1):
            for name, real, text in models:
                provider.plan()
                reply = ask(name)
                assert (reply.status_code, reply.json()["model"]) == (200, name)
                assert provider.seen[0].json["model"] == real
                assert provider.seen[0].json["messages"][0] == {"role": "system", "content": text}
            assert ask(LOST).json()["choices"][0]["message"]["content"] == models[0][2]
            assert ask("nothing", "messages").json()["type"] == "error"  # known by its path, whatever that begins with
