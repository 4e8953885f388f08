"""Settings of all tests: where CI is set, hypothesis draws the same examples each time, so that a red run is about the change."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
