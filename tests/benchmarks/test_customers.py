"""The customers of a large company, and how often intervals of totals hold.

LEADSCORE_BENCH_CUSTOMERS sets the number of customers (default 200,000).
"""

import os

import numpy as np
from joblib import cpu_count

from models.contracts.backtest import backtest_renewals
from models.customers.backtest import backtest_customers
from tests.benchmarks.machine import memory
from tests.benchmarks.measure import run_module
from tests.models.contracts.made_contracts import simulate_contracts
from tests.models.customers.simulated import describe_nothing, simulate_purchases

CUSTOMERS = int(os.environ.get("LEADSCORE_BENCH_CUSTOMERS", "200000"))
COMPANIES = 20


def test_values_of_all_customers(report):
    found = run_module("valuing", str(CUSTOMERS))
    title = (
        f"Values of {found['customers']:,} customers with {found['purchases']:,} purchases in "
        f"memory; {cpu_count()} cores, {memory():.0f} GiB"
    )
    for row in ("sort", "fit and predict"):
        report.add(title, row, "wall s", f"{found[row]['wall']:.1f}")
        report.add(title, row, "CPU s", f"{found[row]['processor']:.1f}")
        ratio = found[row]["wall"] / found["sort"]["wall"]
        report.add(title, row, "/ sort", f"{ratio:.1f}")
    report.add(title, "peak memory, GiB", "wall s", f"{found['peak']:.2f}")
    assert found["value"] > 0


def test_intervals_of_totals_hold(report):
    """Companies whose customers behave as the model says: chance and the few past as-ofs remain."""
    held, covered, off = [], [], []
    for seed in range(COMPANIES):
        purchases = simulate_purchases(1_500, 900, 100 + seed)
        result = backtest_customers(
            purchases, 600, 180, np.arange(1_500).astype(np.uint32), describe_nothing(1_500)
        )
        actual, low, high = result.orders
        held.append(low <= actual <= high)
        covered.append(result.covered)
        off.append(result.models[result.chosen.fitted.name].counts.expected / actual - 1)
    title = f"Forecasts of 180 days in {COMPANIES} simulated companies of 1,500 customers"
    report.add(title, "total in its 90 % interval", "seen", f"{sum(held)} of {COMPANIES}")
    report.add(title, "total off (RMS)", "seen", f"{np.sqrt(np.mean(np.square(off))):.1%}")
    report.add(title, "customers in their 90 % interval", "seen", f"{np.mean(covered):.1%}")
    assert sum(held) >= COMPANIES // 2


def test_intervals_of_renewals_hold(report):
    """Companies whose contracts behave as the shifted beta-geometric model says."""
    held, covered, off = [], [], []
    for seed in range(COMPANIES):
        events = simulate_contracts(600, 2_500, 200 + seed)
        result = backtest_renewals(events, 2_135, 365, np.arange(600).astype(np.uint32))
        assert result is not None and result.margin is not None
        totals = (result.orders, result.margin)
        held.append([low <= actual <= high for actual, low, high in totals])
        covered.append(result.covered)
        off.append(result.models[result.used].counts.expected / result.orders[0] - 1)
    title = (
        f"Forecasts of a year in {COMPANIES} simulated companies of 600 customers with contracts"
    )
    for name, column in zip(("renewals", "margin"), np.array(held).T, strict=True):
        kept = f"{column.sum()} of {COMPANIES}"
        report.add(title, f"total {name} in its 90 % interval", "seen", kept)
    report.add(title, "renewals off (RMS)", "seen", f"{np.sqrt(np.mean(np.square(off))):.1%}")
    report.add(title, "customers in their 90 % interval", "seen", f"{np.mean(covered):.1%}")
    assert np.array(held).sum() >= COMPANIES
