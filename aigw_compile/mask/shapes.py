"""Text to text without secrets: what looks like a credential is found by its shape and never shown."""

from __future__ import annotations

import re
from typing import Final

from aigw_compile.diagnostic import Json

STARS: Final = "***"

# Shapes as their issuers document them, long enough that no ordinary word fits; what may also start a name (sk-, hf_)
# must hold a digit as random text does. Every look-ahead is bounded, so that hostile text costs linear time.
_DIGIT: Final = r"(?=[A-Za-z_-]{0,128}[0-9])"
_MIXED: Final = r"(?=[a-z0-9_-]{0,128}[A-Z])(?=[A-Z0-9_-]{0,128}[a-z])"
_TOKENS: Final = (
    r"sk-(?=[A-Za-z]{0,128}[0-9])[A-Za-z0-9]{20,}",  # OpenAI (older), DeepSeek, Moonshot, LiteLLM and others
    rf"sk-{_DIGIT}{_MIXED}[A-Za-z0-9_-]{{20,}}",
    rf"(?:gsk|xai|pplx|nvapi|r8|fw|tgp_v1|csk)[-_]{_DIGIT}[A-Za-z0-9_-]{{32,}}",  # Groq, xAI, NVIDIA, ...
    rf"xox[abeoprs]-{_DIGIT}[A-Za-z0-9-]{{10,}}",  # Slack
    r"xapp-[0-9]-[A-Za-z0-9-]{10,}",  # Slack app
    r"hf_(?=[a-z]{0,128}[A-Z0-9])[A-Za-z0-9]{30,}",  # Hugging Face
    rf"gl(?:pat|dt|rt|cbt|ptt|ft|agent|soat)-{_DIGIT}[A-Za-z0-9_.-]{{20,}}",  # GitLab
    rf"hv[sbr]\.{_DIGIT}[A-Za-z0-9_-]{{24,}}",  # HashiCorp Vault
    r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
)
# These cannot start by chance, so they count inside a word too.
_ANYWHERE: Final = (
    rf"sk-(?:ant|proj|svcacct|admin|or|lf)-{_DIGIT}[A-Za-z0-9_-]{{16,}}",  # Anthropic, OpenAI, OpenRouter, Langfuse
    r"AIza[A-Za-z0-9_-]{35}",  # Google API key
    r"ya29\.[A-Za-z0-9_.-]{20,}",  # Google OAuth access token
    # AWS access key id, and the secret key if it follows at once
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?:(?P<gap>[\s:,;/|\"']{1,4})[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+]))?",
    r"gh[pousr]_[A-Za-z0-9]{36,}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{22,}",  # GitHub, fine-grained
)
# JWT: three parts (JWS) or five (JWE).
_PART: Final = r"[A-Za-z0-9_-]{8,}"
_JWT: Final = rf"(?:(?<![A-Za-z0-9_-])|(?<=\\[A-Za-z]))eyJ{_PART}\.{_PART}\.{_PART}(?:\.[A-Za-z0-9_-]+){{0,2}}"
_SCHEMES: Final = (
    r"(?i:bearer)[ \t]+(?=[A-Za-z_.~+/-]{0,128}[0-9])(?P<bearer>[A-Za-z0-9._~+/-]{20,}={0,2})",
    r"(?i:basic)[ \t]+(?=[A-Za-z+/]{0,128}[0-9])(?=[a-z0-9+/]{0,128}[A-Z])(?P<basic>[A-Za-z0-9+/]{16,}={0,2})",
)
_URL: Final = r"(?<=://)[^\s/:@\"'{}$]*:(?!\*\*\*@)(?P<in_url>[^\s/@\"'{}$]+)(?=@)"
# A secret access key is 40 letters of base64 with nothing to know it by, so it counts only after a name that says it.
_NAMED: Final = (
    r"(?i:(?:aws[_-]?)?secret[_-]?access[_-]?key)"
    r"[\"']?[ \t]*[:=][ \t]*[\"']?(?P<named>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
)
_LABEL: Final = r"(?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_GAP: Final = r"(?:\s|\\[nr])"
_PEM: Final = (
    rf"-----BEGIN {_LABEL}(?:{_GAP}*[A-Za-z-]{{4,20}}: [^\n\\\"']{{0,200}}(?=\n|\\))*"
    rf"(?:{_GAP}*[A-Za-z0-9+/=]{{16,}})*(?:{_GAP}*[A-Za-z0-9+/=]*{_GAP}*-----END {_LABEL})?"
)
_SECRET: Final = re.compile(
    "|".join(
        (
            _PEM,
            _URL,
            *_SCHEMES,
            _NAMED,
            _JWT,
            *_ANYWHERE,
            rf"(?:(?<![A-Za-z0-9])|(?<=\\[A-Za-z]))(?:{'|'.join(_TOKENS)})",
        )
    )
)
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_GROUPS: Final = ("bearer", "basic", "in_url", "named")


def looks_secret(text: str) -> bool:
    """Say whether `text` holds something that looks like a literal credential.

    Conservative: model names, names of variables and references are none.

    >>> looks_secret("sk-ant-" + "api03-0123456789abcdef"), looks_secret("sk-..."), looks_secret("OPENAI_API_KEY")
    (True, False, False)
    """
    return _SECRET.search(text) is not None


def scrub(text: str) -> str:
    """Return `text` with `***` in place of everything that looks like a credential; doing it twice changes nothing.

    >>> scrub("url: https://bob:pa55@example.com")
    'url: https://bob:***@example.com'
    """
    # Once more where one secret stood right behind another and is seen only now.
    while (again := _SECRET.sub(_starred, text)) != text:
        text = again
    return text


def shown(value: Json, limit: int = 60) -> str:
    """Return `value` as a message quotes it: like JSON in one line, without secrets, with `limit` letters at most.

    >>> shown({"name": "a", "weights": [1, 2]})
    '{"name": "a", "weights": [1, 2]}'
    """
    text = scrub(_json(value, max(limit, 1) * 4))
    if len(text) <= limit:
        return text
    tail = {"{": "}", "[": "]", '"': '"'}.get(text[0], "")
    return text[: max(limit - 3 - len(tail), 1)] + "..." + tail


def _starred(match: re.Match[str]) -> str:
    for group in _GROUPS:
        if match[group] is not None:
            start = match.start(group) - match.start()
            end = match.end(group) - match.start()
            return match[0][:start] + STARS + match[0][end:]
    if match["gap"] is not None:
        return STARS + match["gap"] + STARS
    return STARS


def _json(value: Json, enough: int) -> str:
    """Write `value`; strings are scrubbed before they are cut, so that no half of a secret is left over."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        plain = scrub(value[: enough * 16])[:enough]
        plain = plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return '"' + _CONTROL.sub(lambda m: f"\\u{ord(m[0]):04x}", plain) + '"'
    if isinstance(value, int | float):
        return repr(value)
    parts: list[str] = []
    length = 0
    for item in value.items() if isinstance(value, dict) else value:
        if length > enough:
            break
        part = f"{_json(item[0], enough)}: {_json(item[1], enough)}" if isinstance(item, tuple) else _json(item, enough)
        parts.append(part)
        length += len(part) + 2
    text = ", ".join(parts)
    return f"{{{text}}}" if isinstance(value, dict) else f"[{text}]"
