"""The cost of nights: what the status says of it, and when it warns."""

from dataclasses import replace

import pytest

from pipelines.orchestration.ledger_checks import check_night_costs
from pipelines.orchestration.status import Watched
from pipelines.results.run_cost import CostMeter
from tests.pipelines.orchestration.test_missing_nights import nights
from tests.pipelines.orchestration.test_watch import MIDNIGHT, company

__all__ = ["company"]
GIB = 2**30


def watch(company, *costs):
    """Return the findings after nights with these costs."""
    attempts = [
        replace(attempt, processor_seconds=seconds, peak_memory_bytes=peak, written_bytes=written)
        for attempt, (seconds, peak, written) in zip(nights(*range(len(costs))), costs, strict=True)
    ]
    return check_night_costs(Watched(company, MIDNIGHT, tuple(attempts), None))


def test_last_night_stands_beside_those_before(company):
    found = watch(company, (90, GIB, 2**20), (110, 2 * GIB, 3 * 2**20), (100, 1.5 * GIB, None))
    assert found.warnings == ()
    (line,) = found.notes
    assert "processor 100 s (before 90 s to 110 s)" in line
    assert "peak memory 1.5 GiB (before 1.0 GiB to 2.0 GiB)" in line
    assert "written" not in line and line.endswith("nights before: 2")


@pytest.mark.parametrize(
    ("last", "warned"),
    [
        ((201, GIB, 0), ["processor 201 s, median 100 s"]),
        ((200, 3 * GIB, 0), ["peak memory 3.0 GiB, median 1.0 GiB"]),
        ((199, 2 * GIB, 2**29), []),
    ],
)
def test_cost_that_doubled_is_a_warning(company, last, warned):
    found = watch(company, *[(100, GIB, 2**20)] * 4, last)
    assert [line.partition(": ")[2] for line in found.warnings] == warned


def test_few_nights_and_small_costs_warn_of_nothing(company):
    assert watch(company, (100, GIB, 0), (1_000, 9 * GIB, 0)).warnings == ()
    assert watch(company, *[(1, 2**20, 0)] * 5, (50, 2**29, 2**29)).warnings == ()
    assert watch(company, (None, None, None)).notes == ()


def test_meter_counts_processor_time_and_memory():
    meter, data = CostMeter(), bytearray(30 * 2**20)
    for place in range(0, len(data), 4096):
        data[place] = 1
    cost = meter.read_cost()
    assert 0 < cost.processor_seconds < 60
    assert cost.peak_memory_bytes > len(data)
    assert cost.written_bytes is None or cost.written_bytes >= 0
