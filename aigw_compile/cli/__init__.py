"""The command line: the table of the commands, each of which is a file of this folder."""

from __future__ import annotations

from collections.abc import Mapping

COMMANDS: Mapping[str, str] = {
    "lint": "Check specs; nothing is written.",
    "build": "Compile specs for their targets.",
    "diff": "Say what a change means.",
    "approve": "Let a change pass until a day.",
    "comment": "Write a diff as the one comment of a pull request.",
    "explain": "Explain a code, a place in a spec, or a line of an output.",
    "targets": "Show what each target can do.",
    "pin": "Write the digests of parts into the specs that refer to them.",
    "schema": "Print a JSON schema, for editors and for CI.",
    "secrets": "Fetch the secrets that an output needs and write them beside it.",
    "serve": "Run the reference proxy on a spec.",
    "run": "Run a spec on this machine with mock providers, on a real Envoy or the proxy.",
    "init": "Start a new project.",
    "import": "Make a spec from another gateway's configuration.",
}
"""Name -> one line of help; the command itself is `command` in cli/NAME.py."""
