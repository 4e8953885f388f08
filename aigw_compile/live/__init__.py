"""A running Kong, or a file of Kong's or decK's, to its entities; two such sides to the diff of what they hold for a gateway.

side = live.running("kong:https://host:8444", environment)    the Admin API, read-only
side = live.file(path)                                         None where a file is none of Kong's
side = live.documents(title, {"kong.yml": ..., ...})           what was compiled
live.compare(old, new, "support", facts("kong"))               Drift: a Diff, and findings
"""

from __future__ import annotations

from aigw_compile.live.admin import PREFIX, running
from aigw_compile.live.codes import CODES, LiveError
from aigw_compile.live.compare import Drift, compare, gateways
from aigw_compile.live.files import documents, file
from aigw_compile.live.raw import Kong

TARGET = "kong"
"""The target whose outputs are compared."""

__all__ = [
    "CODES",
    "PREFIX",
    "TARGET",
    "Drift",
    "Kong",
    "LiveError",
    "compare",
    "documents",
    "file",
    "gateways",
    "running",
]
