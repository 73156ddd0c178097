"""The funnel against the common features of the same log: the price of one more report a night.

LEADSCORE_BENCH_EVENTS sets the size of the log (default one million events).
"""

from joblib import cpu_count

from tests.benchmarks.machine import EVENTS, memory
from tests.benchmarks.measure import run_module


def test_funnel_against_the_common_features(report):
    found = run_module("counting", str(EVENTS))
    title = (
        f"The funnel of {found['events']:,} events of {found['leads']:,} leads in memory; "
        f"{cpu_count()} cores, {memory():.0f} GiB, load {found['load']:.1f}"
    )
    engines = {"funnel, paths, cycle, leaks": "funnel", "all tables": "all tables"}
    for column in ("1 cutoff", "6 monthly cutoffs"):
        features = found[column]["processor"]
        report.add(title, "common features, CPU s", column, f"{features:.2f}")
        for row, name in engines.items():
            own = found[name]["processor"]
            report.add(title, f"{row}, CPU s", column, f"{own:.2f}")
            report.add(title, f"{row} / common features", column, f"{own / features:.2f}")
    report.add(title, "peak memory, GiB", "1 cutoff", f"{found['peak']:.2f}")
    for name in engines.values():
        assert found[name]["rows"] == found["1 cutoff"]["rows"] == found["leads"]
    assert found["6 monthly cutoffs"]["rows"] == 6 * found["leads"]
