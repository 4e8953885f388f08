"""The limits of the table on an Envoy that asks a rate limit service: as the language has them, with figures of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.engines import Engine, engine
from tests.conformance.table import Case, Step, cases
from tests.conformance.test_conformance import met
from tests.support import DAY, whole_window
from tests.targets import envoy_runner as runner
from tests.targets.rate_limit_service import serving

CASES = cases("09_limits")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("shared") / "envoy"
    (port,) = runner.free_ports(1)
    options = {"tokenLimits": "rls", "rateLimitService": f"http://127.0.0.1:{port}"}
    with engine("envoy", folder, options) as started, serving(folder / "ratelimit" / "config.yaml", port):
        yield started._replace(name="shared")


def as_envoy(step: Step) -> Step:
    """What any Envoy is excused of, this one is too."""
    excused, instead = ({"shared": x["envoy"]} if "envoy" in x else {} for x in (step.excused, step.instead))
    return step._replace(excused=excused, instead=instead)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_limits_of_a_rate_limit_service(case: Case, shared: Engine) -> None:
    """One worker takes one request after the other, and has told the service of each before it takes the next."""
    whole_window(DAY, 60)
    found = [met(shared, as_envoy(step)) for step in case.steps]
    assert not [fault for _, faults in found for fault in faults]
