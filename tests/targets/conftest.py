"""The gateway of envoy_gateway.py, started once for each file of tests that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.targets.envoy_gateway import Gateway, serve


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serve(tmp_path_factory.mktemp("envoy")) as found:
        yield found


@pytest.fixture
def gateway(served: Gateway) -> Gateway:
    served.reset()
    return served
