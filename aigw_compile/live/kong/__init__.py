"""A running Kong, or a file of Kong's or decK's, to its entities; two such sides to the diff of what they hold for a gateway.

side = kong.running("kong:https://host:8444", environment)    the Admin API, read-only
side = kong.file(path)                                         None where a file is none of Kong's
side = kong.documents(title, {"kong.yml": ..., ...})           what was compiled
kong.compare(old, new, "support", facts("kong"))               Drift: a Diff, and findings
"""

from __future__ import annotations

from aigw_compile.live.kong.admin import running
from aigw_compile.live.kong.compare import compare, gateways
from aigw_compile.live.kong.files import documents, file
from aigw_compile.live.kong.raw import Kong

__all__ = ["Kong", "compare", "documents", "file", "gateways", "running"]
