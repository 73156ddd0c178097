"""Forecasts of the demo company's customers, over many companies, beside the exact truth.

Their law is none of the models. LEADSCORE_BENCH_DEMOS sets the number of companies (default 20).
"""

import os
from datetime import timedelta

import numpy as np

from features.tools.instants import US_PER_DAY, to_microseconds
from models.customers.backtest import backtest_customers
from models.customers.chance_calibration import calibrate_chances
from models.customers.past_accuracy import measure_accuracy
from models.purchases.histories import Purchases, merge_days, summarize_purchases
from pipelines.simulated.company import END, build_demo_clock
from pipelines.simulated.customer_truth import count_future, expect_future
from pipelines.simulated.customers import SimulatedCustomers, simulate_customers
from pipelines.simulated.simulate import simulate_block
from tests.models.customers.simulated import describe_nothing

DEMOS = int(os.environ.get("LEADSCORE_BENCH_DEMOS", "20"))
LEADS, AHEAD, BUY = 5_000, 150, 90


def collect_true_purchases(company: SimulatedCustomers, amounts: np.ndarray) -> Purchases:
    """Return first wins, which brought ``amounts``, and orders until END, all entered in time."""
    orders, clock = company.orders, build_demo_clock()
    customer = np.concatenate([np.arange(len(amounts)), orders.customer])
    time = clock.to_instants(np.concatenate([company.truth.won, orders.tau]))
    amount = np.concatenate([amounts, orders.amount])
    rows = time < to_microseconds(END)
    return merge_days(customer[rows], time[rows] // US_PER_DAY, amount[rows])


def test_demo_customers_against_the_truth(report):
    held, sums, bins = [], [], np.zeros((5, 3))
    chances, calibrated = [], []
    start = END - timedelta(days=AHEAD)
    origin = to_microseconds(start) // US_PER_DAY
    for seed in range(DEMOS):
        block = simulate_block(1_000 + seed, 0, LEADS)
        company = simulate_customers(1_000 + seed, 0, *block)
        value = dict(
            zip(*(block.events[c].to_pylist() for c in ("entity_id", "value")), strict=True)
        )
        # The win ends a lead, so its amount is the last value of the lead.
        amounts = np.array([value[lead] for lead in company.truth.entity_id.to_pylist()])
        purchases = collect_true_purchases(company, amounts)
        seeds = np.arange(len(amounts)).astype(np.uint32)
        traits = describe_nothing(len(amounts))
        result = backtest_customers(purchases, origin, AHEAD, seeds, traits)
        assert result is not None and result.margin is not None
        held.append([low <= came <= high for came, low, high in (result.orders, result.margin)])
        histories = summarize_purchases(purchases, origin)
        exact = expect_future(company, start, END).days[histories.customer]
        came = count_future(company, start, END).days[histories.customer]
        own = result.models[result.used]
        best = measure_accuracy(origin, AHEAD, "exact", exact, came)
        sums.append([own.counts.expected / best.expected, own.counts.ranking, best.ranking])
        soon = expect_future(company, start, start + timedelta(days=BUY)).any_order
        chosen = result.chosen.fitted
        buys = chosen.forecast(histories).predict_any(BUY / 7)
        calibration = calibrate_chances(purchases.select_before(origin), origin, chosen.name)
        corrected = calibration.correct(buys) if calibration else buys
        exact_chance = soon[histories.customer]
        chances.append([np.sqrt(np.mean((c - exact_chance) ** 2)) for c in (buys, corrected)])
        calibrated.append(calibration is not None and calibration.trial.passed)
        place = np.minimum((corrected * 5).astype(int), 4)
        for column, values in enumerate((np.ones(len(buys)), corrected, exact_chance)):
            bins[:, column] += np.bincount(place, values, 5)
    ratio, ranking, best = np.array(sums).T
    title = f"Customers of {DEMOS} demo companies of {LEADS:,} leads, {AHEAD} days ahead"
    for name, column in zip(("purchases", "margin"), np.array(held).T, strict=True):
        report.add(
            title, f"total {name} in its 90 % interval", "seen", f"{column.sum()} of {DEMOS}"
        )
    off = np.sqrt(np.mean(np.log(ratio) ** 2))
    report.add(title, "expected purchases off the exact ones (RMS)", "seen", f"{off:.1%}")
    report.add(title, "ROC AUC of the model", "seen", f"{ranking.mean():.3f}")
    report.add(title, "ROC AUC of the exact truth", "seen", f"{best.mean():.3f}")
    apart = np.sqrt(np.mean(np.square(chances), axis=0))
    report.add(title, "chances calibrated", "seen", f"{sum(calibrated)} of {DEMOS}")
    for name, value in zip(("model", "calibrated where that is better"), apart, strict=True):
        report.add(
            title, f"chances apart from the exact ones (RMS), {name}", "seen", f"{value:.3f}"
        )
    for number, (size, model, truth) in enumerate(bins):
        name = f"chance of a purchase in {BUY} days from {number / 5:.0%}"
        report.add(title, name, "seen", f"{model / size:.1%}, exact {truth / size:.1%}")
    assert (ranking < best).all()
