"""Settings of all tests: none fails on a clock, and where CI is set hypothesis draws the same examples each time, so that a red
run is about the change."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
