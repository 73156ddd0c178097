"""Credits of the channels of a large company.

LEADSCORE_BENCH_JOURNEYS sets the number of journeys (default 200,000).
"""

import os

from joblib import cpu_count

from tests.benchmarks.machine import memory
from tests.benchmarks.measure import run_module

JOURNEYS = int(os.environ.get("LEADSCORE_BENCH_JOURNEYS", "200000"))


def test_credits_of_all_journeys(report):
    found = run_module("attributing", str(JOURNEYS))
    title = (
        f"Credits of {found['journeys']:,} journeys with {found['touches']:,} touches of 8 "
        f"channels in memory; {cpu_count()} cores, {memory():.0f} GiB"
    )
    for row in ("sort", "credits"):
        report.add(title, row, "wall s", f"{found[row]['wall']:.2f}")
        report.add(title, row, "CPU s", f"{found[row]['processor']:.2f}")
        ratio = found[row]["processor"] / found["sort"]["processor"]
        report.add(title, row, "/ sort", f"{ratio:.1f}")
    report.add(title, "peak memory, GiB", "wall s", f"{found['peak']:.2f}")
    assert found["off"] < 1e-6
    # Seven methods and 200 replicates; measured: 2.5 times the floor.
    assert found["credits"]["processor"] < 20 * found["sort"]["processor"]
