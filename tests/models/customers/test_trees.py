"""Trees of what customers do: what they see, when they are used, and what they correct."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_poisson_deviance, mean_tweedie_deviance

from models.customers import trees
from models.customers.margins import fit_margins
from models.customers.past_accuracy import MARGIN, ORDERS, measure_poisson
from models.customers.tree_trial import correct_by_trees, measure_tweedie, try_trees
from models.customers.trees import (
    CustomerTraits,
    TreeBasis,
    build_tree_rows,
    fit_customer_trees,
)
from models.purchases.histories import Purchases, merge_days, summarize_purchases
from models.purchases.purchase_model import fit_purchases
from tests.models.customers.simulated import describe_nothing, simulate_purchases

SIZE, END = 1_500, 900


def simulate_kinds(seed: int) -> tuple[Purchases, CustomerTraits]:
    """Return purchases of two kinds of customers: one buys twice as much once it is a year old.

    No history of a young customer says which kind it is; a trait does.
    """
    random = np.random.default_rng(seed)
    kind = random.integers(0, 2, SIZE)
    customer, day = [], []
    for number in range(SIZE):
        time = start = random.uniform(0, END)
        rate = random.gamma(2.0, 1 / 120)
        while time < END:
            customer.append(number)
            day.append(int(time))
            grown = kind[number] and time - start > 120
            time += random.exponential(1 / (rate * (4 if grown else 1)))
    margin = random.gamma(4.0, 5.0, len(day))
    purchases = merge_days(np.array(customer), np.array(day, np.int64), margin)
    return purchases, CustomerTraits(kind[:, None].astype(float), [0])


@pytest.fixture(scope="module")
def kinds() -> tuple[Purchases, CustomerTraits]:
    return simulate_kinds(1)


def test_rows_see_nothing_on_or_after_their_day() -> None:
    purchases = simulate_purchases(400, 600, 3)
    later = purchases.day >= 400
    garbled = Purchases(purchases.customer, purchases.day, np.where(later, 1e9, purchases.margin))
    histories, earlier = (summarize_purchases(purchases, day) for day in (400, 300))
    basis = TreeBasis(90, fit_purchases(earlier), fit_margins(earlier))
    rows, seen, alone = (
        build_tree_rows(some, histories, describe_nothing(400), basis, 400)
        for some in (purchases, garbled, purchases.select_before(400))
    )
    assert np.array_equal(rows, seen) and np.array_equal(rows, alone)
    # Trailing purchases, by a loop.
    for place, days in enumerate(trees.TRAILING_DAYS):
        count = [
            sum(
                int(c) == number and 400 - days <= int(d) < 400
                for c, d in zip(purchases.customer, purchases.day, strict=True)
            )
            for number in histories.customer[:20].tolist()
        ]
        assert rows[:20, 7 + 2 * place].tolist() == count


def test_correction_sees_nothing_on_or_after_the_end(
    kinds: tuple[Purchases, CustomerTraits], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "MIN_BUYERS", 100)
    purchases, traits = kinds
    fitted = fit_purchases(summarize_purchases(purchases, 600)).select("pareto_nbd")
    margins = fit_margins(summarize_purchases(purchases, 600))
    known = correct_by_trees(purchases.select_before(600), traits, 600, fitted, margins)
    garbled = Purchases(
        purchases.customer,
        purchases.day,
        np.where(purchases.day >= 600, 1e9, purchases.margin),
    )
    margins = fit_margins(summarize_purchases(garbled, 600))
    other = correct_by_trees(garbled.select_before(600), traits, 600, fitted, margins)
    assert known is not None and other is not None
    assert known.trials == other.trials
    assert np.array_equal(known.margin, other.margin)


def test_trait_that_no_history_shows_is_learned(
    kinds: tuple[Purchases, CustomerTraits],
) -> None:
    purchases, traits = kinds
    fitted = fit_purchases(summarize_purchases(purchases, END)).select("pareto_nbd")
    margins = fit_margins(summarize_purchases(purchases, END))
    correction = correct_by_trees(purchases, traits, END, fitted, margins)
    assert correction is not None
    assert {trial.what: trial.passed for trial in correction.trials}[ORDERS]
    histories = summarize_purchases(purchases, END)
    young = (histories.repeats <= 1) & (histories.age < 26)
    kind = traits.values[histories.customer, 0] > 0
    # Of young customers alike in what they bought, those of the kind that grows are raised.
    assert np.median(correction.orders[young & kind]) > 1.3 * np.median(
        correction.orders[young & ~kind]
    )


def test_trees_are_not_used_where_customers_behave_as_the_model_says() -> None:
    passed = 0
    for seed in range(3):
        purchases = simulate_purchases(SIZE, END, 20 + seed)
        trials = try_trees(purchases, describe_nothing(SIZE), END, 150, "pareto_nbd")
        passed += sum(trial.passed for trial in trials)
    # Of six comparisons, each may pass by chance in one of twenty.
    assert passed <= 1


def test_correction_is_one_where_no_trial_passed() -> None:
    purchases = simulate_purchases(SIZE, END, 21)
    fitted = fit_purchases(summarize_purchases(purchases, END)).select("pareto_nbd")
    margins = fit_margins(summarize_purchases(purchases, END))
    correction = correct_by_trees(purchases, describe_nothing(SIZE), END, fitted, margins)
    assert correction is not None
    for trial in correction.trials:
        factor = correction.orders if trial.what == ORDERS else correction.margin
        assert trial.passed or (factor == 1).all()
    assert {trial.what for trial in correction.trials} == {ORDERS, MARGIN}


def test_few_buyers_teach_no_trees() -> None:
    purchases = simulate_purchases(60, 600, 5)
    assert fit_customer_trees(purchases, describe_nothing(60), 600, 90) is None
    assert try_trees(purchases, describe_nothing(60), 600, 90, "bg_nbd") == ()


def test_deviances_are_those_of_the_library() -> None:
    random = np.random.default_rng(6)
    expected, count = random.gamma(1, 1, 300) + 0.01, random.poisson(1.0, 300).astype(float)
    margin = count * random.gamma(2, 10, 300)
    assert measure_poisson(count, expected).mean() == pytest.approx(
        mean_poisson_deviance(count, expected)
    )
    assert measure_tweedie(margin, 20 * expected).mean() == pytest.approx(
        mean_tweedie_deviance(margin, 20 * expected, power=trees.POWER)
    )
