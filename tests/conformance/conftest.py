"""Both engines, started once for all tests of this folder that a worker runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from tests.conformance.engines import OPTIONS, Engine, engine


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Engine]]:
    folder = tmp_path_factory.mktemp("engines")
    with ExitStack() as stack:
        yield {name: stack.enter_context(engine(name, folder / name)) for name in OPTIONS}
