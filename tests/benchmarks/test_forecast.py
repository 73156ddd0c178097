"""The forecast of 100,000 open deals, beside the funnel of the same company.

LEADSCORE_BENCH_LEADS sets the number of leads, of which about a fifth are open deals (default
50,000).
"""

import os

from joblib import cpu_count

from tests.benchmarks.machine import memory
from tests.benchmarks.measure import run_module

LEADS = int(os.environ.get("LEADSCORE_BENCH_LEADS", "50000"))


def test_forecast_against_the_funnel(report):
    found = run_module("forecasting", str(LEADS))
    title = (
        f"The forecast of {found['deals']:,} open deals of {found['leads']:,} leads with "
        f"{found['events']:,} events in memory, with {found['past']} past forecasts; "
        f"{cpu_count()} cores, {memory():.0f} GiB, load {found['load']:.1f}"
    )
    for row in ("paths", "funnel", "forecast"):
        report.add(title, row, "wall s", f"{found[row]['wall']:.1f}")
        report.add(title, row, "CPU s", f"{found[row]['processor']:.1f}")
        ratio = found[row]["processor"] / found["funnel"]["processor"]
        report.add(title, row, "/ funnel", f"{ratio:.2f}")
    report.add(title, "peak memory, GiB", "wall s", f"{found['peak']:.2f}")
    assert found["deals"] > LEADS / 20
