"""Shapes of credentials to ***, and ordinary words to themselves."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigw_compile.diagnostic import Json
from aigw_compile.mask import STARS, looks_secret, scrub, shown

# Put together from parts, so that no scanner takes this file for a leak.
R = "Zx9Qw3Er7Ty1Ui5Op2As8Df4Gh6Jk0Lm3Nb7Vc1Xz5"
HEX = "0123456789abcdef0123456789abcdef"
PEM = f"-----BEGIN RSA PRIVATE {'KEY'}-----\n{R}\n{R}\nAb=\n-----END RSA PRIVATE {'KEY'}-----"
SHAPES = {
    "openai": "sk-" + R,
    "openai project": "sk-proj-" + R + "_-" + R,
    "openai service account": "sk-svcacct-" + R,
    "lower hex": "sk-" + HEX,
    "anthropic": "sk-ant-" + "api03-" + R + "-" + R + "AA",
    "openrouter": "sk-or-v1-" + HEX,
    "google": "AIza" + R[:35],
    "google oauth": "ya29." + R,
    "aws id": "AKIA" + "IOSFODNN7EXAMPLE",
    "aws temporary id": "ASIA" + "IOSFODNN7EXAMPLE",
    "aws pair": "AKIA" + "IOSFODNN7EXAMPLE:" + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "github": "ghp_" + R[:36],
    "github oauth": "gho_" + R[:36],
    "github server": "ghs_" + R[:36],
    "github fine-grained": "github_pat_" + R[:22] + "_" + R,
    "slack bot": "xoxb-" + "1234567890-" + R[:24],
    "slack user": "xoxp-" + "1234567890-" + R[:24],
    "hugging face": "hf_" + R[:34],
    "gitlab": "glpat-" + R[:20],
    "vault": "hvs." + R[:30],
    "groq": "gsk_" + R,
    "xai": "xai-" + R,
    "stripe": "sk_live_" + R[:24],
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + R,
    "bearer": R,
    "pem": PEM,
    "pem pkcs8": PEM.replace("RSA ", ""),
}
MISSES = (
    "sk-",
    "sk-...",
    "sk-ant-",
    "sk-ant-...",
    "sk-ant-your-api-key-goes-here",
    "sk-learn-pipelines-and-models",
    "task-0123456789abcdef0123456789",
    "risk-assessment-model-2025-01-01",
    "gpt-4o-2024-11-20",
    "claude-sonnet-4-5-20250929",
    "anthropic.claude-3-5-sonnet-20241022-v2:0",
    "meta-llama/Llama-3.1-70B-Instruct",
    "hf_models_for_everyone_who_wants_them",
    "hf_hub",
    "accounts/fireworks/models/llama-v3p1-405b-instruct",
    "OPENAI_API_KEY",
    "${OPENAI_API_KEY}",
    "Bearer",
    "Bearer $OPENAI_API_KEY",
    "Bearer {vault://aws/llm/openai}",
    "Bearer tokens are checked before anything else",
    "bearer authentication-is-required-for-this",
    "basic understanding of gpt-4o-2024-11-20",
    "{vault://aws-prod/llm/openai/api_key}",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:llm/openai-AbCdEf",
    "https://example.com:8443/v1/chat@2",
    "http://[::1]:8080/v1",
    "postgres://user@host/db",
    "https://user:${PASSWORD}@host/",
    "AKIA",
    "AIza",
    "eyJ",
    "eyJhbGciOiJIUzI1NiJ9",
    "xoxb-...",
    "ghp_short",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "(?i)ignore (all )?previous instructions",
    r"\b\d{3}-\d{2}-\d{4}\b",
    "secretAccessKey: {env: AWS_SECRET_ACCESS_KEY}",
)


def written(name: str) -> str:
    return f"Bearer {SHAPES[name]}" if name == "bearer" else SHAPES[name]


@pytest.mark.parametrize("name", SHAPES)
def test_a_credential_is_known_by_its_shape(name: str) -> None:
    assert looks_secret(written(name))
    assert SHAPES[name] not in scrub(f'key: "{written(name)}" # here')
    left = {"bearer": f"Bearer {STARS}", "aws pair": f"{STARS}:{STARS}"}.get(name, STARS)
    assert scrub(f"before {written(name)} after") == f"before {left} after"


@pytest.mark.parametrize("text", MISSES)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert not looks_secret(text)
    assert scrub(text) == text


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("redis://bob:pa55w0rd@host:6379/0", "redis://bob:***@host:6379/0"),
        ("redis://:p:a@host", "redis://:***@host"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZDE=", "Authorization: Basic ***"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = ***"),
        ('"secretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"', '"secretAccessKey": "***"'),
        (PEM.replace("\n", "\\n") + '"}', STARS + '"}'),
        (f"-----BEGIN PRIVATE {'KEY'}----- stands here", f"{STARS} stands here"),
    ],
)
def test_what_is_left_of_a_line(text: str, scrubbed: str) -> None:
    assert looks_secret(text)
    assert scrub(text) == scrubbed


AROUND = st.text(alphabet=st.characters(codec="utf-8"), max_size=40)
EDGE = st.sampled_from([" ", "\n", '"', "'", ":", "=", ",", "(", "[", "/", "\t", "|", "ä", ".", "\\n", "\\t"])


@settings(deadline=None)
@given(st.sampled_from(sorted(SHAPES)), AROUND, EDGE, EDGE, AROUND)
def test_no_canary_gets_through(name: str, before: str, left: str, right: str, after: str) -> None:
    text = f"{before}{left}{written(name)}{right}{after}"
    assert SHAPES[name] not in scrub(text)


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(AROUND, st.sampled_from([*map(written, SHAPES), *MISSES, STARS, "Bearer ", "sk-", "://a:", "\\n"]))
    )
)
def test_scrubbing_twice_changes_nothing(parts: list[str]) -> None:
    once = scrub("".join(parts))
    assert scrub(once) == once


@pytest.mark.parametrize(
    "piece", ["sk-", "eyJ", "eyJa.", "Bearer ", "://a:", "-----BEGIN PRIVATE KEY-----", "hf_a", "AKIA", "a: "]
)
def test_hostile_text_costs_linear_time(piece: str) -> None:
    def seconds(text: str) -> float:
        start = time.perf_counter()
        scrub(text)
        return time.perf_counter() - start

    small = min(seconds(piece * 4_000) for _ in range(3))
    assert seconds(piece * 32_000) < 40 * small + 0.05


@pytest.mark.parametrize(
    ("value", "limit", "text"),
    [
        (None, 60, "null"),
        (True, 60, "true"),
        (0.5, 60, "0.5"),
        ('say "hi"\n', 60, '"say \\"hi\\"\\n"'),
        ("\x1b[31m\u202e", 60, '"\\u001b[31m\\u202e"'),
        ({"name": "a", "on": [1, False]}, 60, '{"name": "a", "on": [1, false]}'),
        ("x" * 100, 10, '"xxxxx..."'),
        ([1] * 1000, 12, "[1, 1, 1...]"),
        (written("bearer"), 60, '"Bearer ***"'),
        ({"key": SHAPES["anthropic"]}, 60, '{"key": "***"}'),
        (SHAPES["anthropic"], 8, '"***"'),
    ],
)
def test_how_a_value_is_quoted(value: Json, limit: int, text: str) -> None:
    assert shown(value, limit) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=80) | st.sampled_from([*map(written, SHAPES)]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None)
@given(JSON, st.integers(8, 100))
def test_a_quoted_value_is_short_and_holds_no_secret(value: Json, limit: int) -> None:
    text = shown(value, limit)
    assert len(text) <= limit
    assert "\n" not in text
    assert not any(secret in text for secret in SHAPES.values())
