"""What is built for Envoy, without serving: Envoy's own judgement, our schema, determinism, and the law of silence."""

from __future__ import annotations

import copy
import json
import math
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile import ir
from aigw_compile.diagnostic import Pointer, named
from aigw_compile.document import source_map, text_of
from aigw_compile.emitters.envoy.wire import duration, header_safe
from aigw_compile.lower import lower
from aigw_compile.plan import asks
from aigw_compile.schema import with_defaults
from aigw_compile.source import parse
from aigw_compile.target import asset
from aigw_compile.validate import validate
from aigw_compile.verify import verify
from tests.targets import envoy_runner as runner
from tests.targets.test_envoy_serves import spec

ROOT = Path(__file__).resolve().parents[2]


def _open(**more: Any) -> dict[str, Any]:
    """The smallest gateway: nobody is asked for a key."""
    body = {
        "listeners": [{"name": "l", "port": 8080}],
        "providers": [{"name": "client-keys", "type": "vllm", "baseUrl": "https://[::1]:8443/a/v1"}],
        "models": [{"name": "m", "targets": [{"provider": "client-keys", "model": "*"}]}],
        "auth": {"anonymous": True},
        **more,
    }
    return {"apiVersion": "aigw.dev/v1alpha1", "kind": "AIGateway", "metadata": {"name": "open"}, "spec": body}


def _zero() -> dict[str, Any]:
    """Zeros, which mean no limit, and the largest numbers there are."""
    zero = _open()
    none = {"connect": "0s", "firstByte": "0s", "idle": "0s", "request": "0s"}
    retries = {"attempts": 10, "backoff": {"base": "0s", "max": "0s"}}
    zero["spec"]["models"][0] |= {"timeouts": none, "retries": retries}
    zero["spec"]["models"][0]["targets"].append({"provider": "client-keys", "model": "y", "priority": 7})
    zero["spec"]["listeners"][0]["maxBodySize"] = "3Gi"
    limits = [
        {"name": "most", "per": "second", "requests": 2**32 - 1},
        {"name": "more", "per": "month", "requests": 2**32},
    ]
    zero["spec"]["policies"] = {"limits": limits}
    return zero


def _rich() -> dict[str, Any]:
    """The gateway that test_envoy_serves serves, and what it does not need."""
    rich = spec(
        [8080, 8081, 9090], ["https://api.openai.com/v1", "https://api.anthropic.com/v1", "http://local.test/v1"]
    )
    rich["spec"]["models"][5]["targets"].pop()  # a target of weight 0 is in no output
    rich["metadata"] |= {"labels": {"team": "x"}, "annotations": {"note": "y"}}
    body = rich["spec"]
    body["vaults"] = [
        {"name": "kept", "type": "hashicorp", "hashicorp": {"address": "https://v.test", "auth": {"method": "token"}}},
        {"name": "aws", "type": "aws", "aws": {"region": "eu-west-1"}, "refresh": "5m"},
    ]
    body["providers"][0]["auth"]["apiKey"] = {"vault": "kept", "key": "a/b", "property": "p", "version": "3"}
    body["providers"][1]["auth"]["apiKey"] = {"kubernetes": {"name": "n", "key": "k"}}
    body["observability"]["tracing"] = {"otlp": {"endpoint": "http://otel.test:4318", "sampling": 0.25}}
    body["observability"]["metrics"]["prometheus"] = {"port": 9100}
    body["policies"]["limits"] += [
        {"name": "both", "by": ["group", "model"], "per": "month", "requests": 9, "tokens": 1000, "reserveOutput": 7},
        {"name": "tokens", "by": ["consumer"], "per": "day", "tokens": 1000},
    ]
    body["deployment"] = {"replicas": 2}
    return rich


def _specs() -> dict[str, dict[str, Any]]:
    found = {"open": _open(), "zero": _zero(), "rich": _rich()}
    for path in sorted((ROOT / "examples").glob("*/gateway.yaml")):
        found[path.parent.name] = parse(path.read_bytes(), path.name)[0][0].data
    for body in found.values():
        body["spec"].setdefault("listeners", [{"name": "public", "port": 8080}])
    return found


SPECS = _specs()
OPTIONS = ({"tokenLimits": "refuse"}, {"tokenLimits": "local"})
CASES = [pytest.param(name, o, id=f"{name}-{o['tokenLimits']}") for name in SPECS for o in OPTIONS]


def test_the_examples_are_there() -> None:
    assert {"minimal", "support-desk", "local-models"} <= set(SPECS)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_envoy_accepts_it(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    _, documents = runner.build(SPECS[name], options)
    assert not list(verify("envoy", documents))
    runner.write(tmp_path, documents)
    command = [runner.binary(), "--mode", "validate", "-c", "envoy.yaml", "-l", "warning"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    # Envoy's own marks on whole features are known (README); a deprecated field or a doubtful setting is not.
    warnings = [line for line in done.stderr.splitlines() if "][warning]" in line and "work-in-progress" not in line]
    assert not warnings


@pytest.mark.parametrize(("name", "options"), CASES)
def test_same_bytes_and_no_secret(name: str, options: dict[str, str]) -> None:
    first, second = ([text_of(d) for d in runner.build(copy.deepcopy(SPECS[name]), options)[1]] for _ in range(2))
    assert first == second
    assert "$secret" in first[1] or name in ("open", "zero")
    assert "placeholder" not in first[0] + first[1]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_every_leaf_has_a_place_in_the_output(name: str, options: dict[str, str]) -> None:
    decided, documents = runner.build(SPECS[name], options)
    known = {origin for d in documents for _, origin in source_map(d.body)} | {x.at for x in decided.losses}
    for ask in asks(SPECS[name]):
        around = {ask.at[:n] for n in range(2, len(ask.at) + 1)}
        assert around & known or len(ask.at) <= 2, named(ask.at, SPECS[name])


def test_scripts_are_constant() -> None:
    """Whatever a spec says, the scripts of an output are the files in targets/envoy/assets; what they know is data."""
    scripts = []
    for _, value in _walk(runner.build(_rich())[1][0].body):
        if isinstance(value, dict) and "default_source_code" in value:
            scripts.append(value["default_source_code"]["inline_string"])
    names = [p.stem for p in (ROOT / "targets/envoy/assets").glob("*.lua")]
    parts = [asset("envoy", f"{n}.lua") for n in names]
    assert scripts
    for script in scripts:
        rest = script
        while rest:
            rest = next(rest[len(p) :] for p in parts if rest.startswith(p))


@pytest.mark.parametrize("path", sorted((ROOT / "targets/envoy/assets").glob("*.lua")), ids=lambda p: p.stem)
def test_scripts_are_short_and_plain(path: Path) -> None:
    text = path.read_text("ascii")
    assert len(text.splitlines()) < 200
    assert text.startswith("-- ")


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b["envoy.yaml"].update(extra=1),
        lambda b: b["envoy.yaml"]["static_resources"]["clusters"][0].pop("connect_timeout"),
        lambda b: b["envoy.yaml"]["static_resources"]["listeners"][0].update(address={"pipe": {"path": "x"}}),
        lambda b: b["secrets.json"]["secrets"]["providers.openai"]["ref"].update(value="sk"),
        lambda b: b["secrets.json"]["files"][0]["body"]["resources"][0].update({"@type": "x"}),
    ],
)
def test_the_schema_is_strict(change: Any) -> None:
    documents = runner.build(_rich())[1]
    change({d.filename: d.body for d in documents})
    assert list(verify("envoy", documents))


def test_a_limit_of_tokens_alone_leaves_nothing() -> None:
    _, documents = runner.build(_rich(), {"tokenLimits": "refuse"})
    data = _request_data(documents[0].body)
    assert [x["name"] for x in data["limits"]] == ["tried", "tried", "few"]
    assert not any("tokens" in x for x in data["limits"])
    _, documents = runner.build(_rich(), {"tokenLimits": "local"})
    assert [x.get("tokens") for x in _request_data(documents[0].body)["limits"]] == [None, 1000, 1000, None]


def test_what_is_too_large_is_refused() -> None:
    decided, documents = runner.build(SPECS["zero"])
    refused = {x.place for x in decided.losses if x.capability.support.value == "none"}
    assert refused == {"listeners[l].maxBodySize", "policies.limits[more]"}
    assert [x["limit"] for x in _request_data(documents[0].body)["limits"]] == ["most"]


def test_a_guard_that_is_lost_is_an_error_only_where_it_is_weaker() -> None:
    for options in OPTIONS:
        decided, _ = runner.build(_rich(), options)
        assert not [x for x in decided.losses if x.security]


def _request_data(body: Any) -> Any:
    host = body["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]
    return host["virtual_hosts"][0]["typed_per_filter_config"]["request"]["filter_context"]["data"]


def test_ports_of_the_admin_interface() -> None:
    from aigw_compile.emitters.envoy.observe import admin_port

    def gateway(*ports: int, operations: int = 9090, prometheus: int | None = None) -> ir.Gateway:
        body = _open(
            listeners=[{"name": f"l{p}", "port": p} for p in ports],
            observability={
                "operations": {"port": operations},
                "metrics": {"prometheus": {"port": prometheus or operations}},
            },
        )
        return lower(with_defaults(body))

    assert admin_port(gateway(8080)) == 9091
    assert admin_port(gateway(9091, prometheus=9092)) == 9093
    assert admin_port(gateway(8080, operations=65535)) == 1024


@pytest.mark.parametrize(("seconds", "text"), [(60.0, "60s"), (0.25, "0.25s"), (600, "600s"), (0.001, "0.001s")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# --- The law of silence: change any leaf, and an output changes, or a finding names the leaf or what is around it.

_OTHER = {
    "timeout": "content-filter",
    "rate-limited": "context-length",
    "server-error": "auth-error",
    "overloaded": "quota-exceeded",
    "connect-failure": "bad-response",
    "minute": "hour",
    "hour": "day",
    "day": "hour",
    "month": "week",
    "consumer": "gateway",
    "group": "gateway",
    "model": "gateway",
    "system": "user",
    "user": "assistant",
    "last": "conversation",
    "json": "text",
    "openai": "anthropic",
    "anthropic": "openai",
    "vllm": "openai-compatible",
    "openai-compatible": "anthropic",
}


def _others(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, float):
        yield value / 2
    elif isinstance(value, str):
        digits = value.rstrip("msihMK")
        yield _OTHER.get(value) or (f"{int(digits) + 1}{value[len(digits) :]}" if digits.isdigit() else f"{value}x")


def _mutants(data: Any) -> Iterator[tuple[Pointer, Any]]:
    for at, value in _walk(data):
        holder = _at(data, at[:-1]) if at else None
        if not isinstance(value, (dict, list)):
            for other in _others(value):
                mutant = copy.deepcopy(data)
                _at(mutant, at[:-1])[at[-1]] = other
                yield at, mutant
        if (isinstance(holder, list) and len(holder) > 1) or (isinstance(holder, dict) and len(at) > 3):
            mutant = copy.deepcopy(data)
            del _at(mutant, at[:-1])[at[-1]]
            yield at, mutant


def _walk(value: Any, at: Pointer = ()) -> Iterator[tuple[Pointer, Any]]:
    yield at, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _walk(inner, (*at, key))


def _at(data: Any, at: Pointer) -> Any:
    for step in at:
        data = data[step]
    return data


def _dangling(data: Any) -> bool:
    """Whether a consumer is in a group that is not there, which a rule reports."""
    known = {g["name"] for g in data["spec"].get("consumerGroups", ())}
    return any(set(c.get("groups", ())) - known for c in data["spec"].get("consumers", ()))


def _meaning(value: Any) -> Any:
    """A gateway without the places that it was made from."""
    if hasattr(value, "_asdict"):
        return {key: _meaning(inner) for key, inner in value._asdict().items() if key != "origin"}
    return [_meaning(inner) for inner in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize(("name", "options"), [c for c in CASES if c.values[0] in ("rich", "support-desk")])
def test_changing_any_leaf_changes_an_output_or_is_named(name: str, options: dict[str, str]) -> None:
    data = SPECS[name]
    decided, documents = runner.build(data, options)
    before = [d.body for d in documents]
    meant = _meaning(lower(with_defaults(data)))
    lost = [x.at for x in decided.losses]
    silent = []
    for at, mutant in _mutants(data):
        if any(at[: len(place)] == place for place in lost if place):
            continue
        if list(validate(mutant)):
            continue  # a finding of the first phase, which has its own law
        try:
            again, after = runner.build(mutant, options)
        except KeyError:
            continue  # a dangling name, which a rule reports before anything is built
        if _dangling(mutant):
            continue
        places = [x.at for x in again.losses if x.at]
        places += [at] if any(place[: len(at)] == at for place in lost) else []  # it held what is lost
        if [d.body for d in after] == before and not any(at[: len(p)] == p for p in places):
            if _meaning(lower(with_defaults(mutant))) == meant:
                continue  # what was written is the default
            silent.append(f"{named(at, data)}: {_at(data, at)!r}")
    # apiVersion and kind have one value each.
    assert not silent


# --- The JSON of the scripts, in a LuaJIT as Envoy has it, against Python's.

LUAJIT = shutil.which("luajit")
needs_luajit = pytest.mark.skipif(LUAJIT is None, reason="there is no luajit on this machine")

_ECHO = r"""
local function plain(hex) return (hex:gsub('%x%x', function(x) return string.char(tonumber(x, 16)) end)) end
for line in io.lines() do
  local ok, value, spans = pcall(decode, plain(line))
  local out = ok and encode(value) or ''
  if ok and type(value) == 'table' and spans[value] then
    out = out .. '\n' .. plain(line):sub(spans[value][1], spans[value][2])
  end
  io.write(ok and '1' or '0', (out:gsub('.', function(c) return string.format('%02x', c:byte()) end)), '\n')
end
"""


def _lua(*texts: bytes) -> list[bytes | None]:
    """Return for each text what decode and encode make of it, and the span of the root; None where it is refused."""
    assert LUAJIT
    script = asset("envoy", "json.lua") + _ECHO
    lines = "".join(f"{t.hex()}\n" for t in texts)
    done = subprocess.run([LUAJIT, "-e", script], input=lines, capture_output=True, text=True, timeout=60, check=True)
    answers = done.stdout.splitlines()
    assert len(answers) == len(texts)
    return [bytes.fromhex(a[1:]) if a[0] == "1" else None for a in answers]


def _strict(text: bytes) -> Any:
    """Python's reading, as strict as the language wants it. Raises ValueError."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({k for k, _ in items}) != len(items):
            raise ValueError("duplicate")
        return dict(items)

    def number(word: str) -> float:
        value = float(word)
        if math.isinf(value):
            raise ValueError("too large")
        return value

    def constant(word: str) -> Any:
        raise ValueError(word)

    value = json.loads(
        text.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant, parse_float=number, parse_int=number
    )
    json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate is no UTF-8
    return value


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@needs_luajit
@settings(max_examples=40, deadline=None)
@given(st.lists(JSON, min_size=1, max_size=20), st.booleans())
def test_lua_reads_and_writes_json(values: list[Any], ascii_only: bool) -> None:
    texts = [json.dumps(v, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") for v in values]
    for text, answer in zip(texts, _lua(*texts), strict=True):
        assert answer is not None
        written, _, span = answer.partition(b"\n")
        read = json.loads(written, parse_int=float)
        wanted = json.loads(text, parse_int=float)
        assert read == wanted or (wanted in ([], {}) and read in ([], {}))
        assert not span or span == text


@needs_luajit
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_lua_refuses_what_is_no_json(data: st.DataObject) -> None:
    """Cut, doubled and changed bytes: both readers say yes, or both say no."""
    texts = []
    for _ in range(20):
        text = bytearray(
            json.dumps(data.draw(JSON), ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
        )
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b",", b'"', b"\\", b"0", b"\xff", b"}", b"\x01"])
        )
        texts.append(bytes(text))
    for text, answer in zip(texts, _lua(*texts), strict=True):
        try:
            _strict(text)
            fine = True
        except (ValueError, RecursionError):
            fine = False
        assert (answer is not None) == fine, text


@needs_luajit
@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"\\u0061":2}',
        b'{"a":{"b":1,"b":1}}',
        b'"\\ud83d"',
        b'"\\ude00"',
        b'"\xed\xa0\x80"',
        b'"\xc0\xaf"',
        b'"\xf4\x90\x80\x80"',
        b"01",
        b"1.",
        b"+1",
        b".5",
        b"1e999",
        b"NaN",
        b"nul",
        b"[1 2]",
        b'{"a" 1}',
        b"{a:1}",
        b"\xef\xbb\xbf{}",
        b"",
        b" ",
        b"[" * 300 + b"]" * 300,
        b'"\x7f\t"',
    ],
)
def test_lua_refuses(text: bytes) -> None:
    assert _lua(text) == [None]


@given(st.text())
def test_header_values_are_plain(text: str) -> None:
    from urllib.parse import unquote

    safe = header_safe(text.encode("utf-8", "ignore").decode())
    assert all("!" <= c <= "~" for c in safe)
    assert unquote(safe) == text.encode("utf-8", "ignore").decode()
