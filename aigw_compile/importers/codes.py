"""The codes of findings about what was imported: severity, title, page."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, tuple[str, str, str]] = {
    "AIG8101": (
        "error",
        "the file holds nothing that can be imported",
        "A spec is made from a kong.yml (DB-less or decK) with at least one route that ai-proxy or ai-proxy-advanced "
        "answers, or from a file of decK's AI Gateway 2.0 entities with a model. Neither was found here.",
    ),
    "AIG8102": (
        "warning",
        "a value is not of the kind that Kong takes at this place",
        "It was left out. Kong would refuse the file, or take the value for something else. A reference to a vault has to "
        "stand in quotes: without them YAML reads `{vault://...}` as a mapping.",
    ),
    "AIG8103": (
        "warning",
        "something of the file is not in the spec",
        "The language has no place for it, or this importer does not know it. What was built from the spec would do "
        "without it: look whether it matters, and keep it where it is if it does.",
    ),
    "AIG8104": (
        "hint",
        "something of the file is not in the spec, and nothing is lost with it",
        "Ids, tags, comments and the like: a build makes its own. The rest of the message says what takes its place.",
    ),
    "AIG8105": (
        "warning",
        "a secret stands in the file; the spec names where it is to be kept",
        "A spec never holds a secret, so its value was not copied, and it is not shown. The spec refers to a variable of the "
        "environment: put the secret there, or write another reference (`file`, `vault`, `kubernetes`). A key that was kept "
        "in a file that many read is better replaced by a new one.",
    ),
    "AIG8106": (
        "warning",
        "the spec says nearly the same",
        "The language has no word for exactly this. The nearest thing is in the spec, and the message says where they differ. "
        "Where there was a choice, the stricter one was taken.",
    ),
    "AIG8107": (
        "warning",
        "a protection of the file is not in the spec",
        "Authentication, access, a guard, an address list or a limit. What was built from the spec would let through what "
        "Kong now refuses: write it by hand before the spec is used.",
    ),
    "AIG8108": (
        "warning",
        "a name in the file refers to nothing",
        "The service, route, consumer, group, provider, policy or vault is not in this file. It may be in another one: import "
        "them together, or merge them first (`deck file merge`).",
    ),
    "AIG8109": (
        "hint",
        "clients call another address",
        "In the language a client names the model in the body, and every gateway answers under the same paths. Built for "
        "Kong a model has the path BASE/MODEL/v1/chat/completions, so the base URL of clients changes.",
    ),
    "AIG8110": (
        "warning",
        "a pattern cannot be written for RE2",
        "Patterns of the language are RE2's, which matches in linear time: no looking ahead or behind, no references back, no "
        "possessive or atomic groups. Write it in another way, as two patterns for example.",
    ),
    "AIG8111": (
        "hint",
        "something is to be looked at in the spec",
        "The file does not say it and the spec has to, or the spec says it in the way of Kong's own defaults.",
    ),
    "AIG8112": (
        "hint",
        "something in the file is switched off",
        "`enabled: false`: Kong does not run it, so it is not in the spec.",
    ),
    "AIG8113": (
        "warning",
        "a model or a target cannot be carried over",
        "The provider, its format or the kind of call is none that the language has. The message names what would be.",
    ),
}
"""Code -> (severity, title, page)."""
