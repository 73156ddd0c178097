"""Expected renewals, discounted values and quantiles against a simulation in plain Python."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.contracts.past_renewals import FittedRenewals, choose_renewals, count_renewals
from models.contracts.renewal_draws import draw_renewals
from models.contracts.renewal_forecast import RenewalForecast, measure_delays, measure_exits
from models.contracts.renewal_rates import (
    BY_PERIOD,
    SAME_FOR_ALL,
    SBG,
    TenureRates,
    fit_renewal_rates,
)
from models.contracts.status import ContractsAt, RenewalDecisions, count_decisions
from models.contracts.terms import ContractTerms
from models.customers.value_draws import ValueHorizon
from models.purchases.gamma_gamma import GammaGamma
from models.purchases.histories import DAYS_PER_WEEK, summarize_purchases
from models.purchases.parameters import FittedLogs
from models.purchases.shifted_beta_geometric import ShiftedBetaGeometric
from tests.models.contracts.made_contracts import make_events, simulate_contracts

TERMS = ContractTerms(30, 10)
LATE = np.array([-6, -2, 0, 0, 1, 1, 3, 4, 7, 10])
ALPHA, BETA = 0.8, 3.0
DISCOUNT = 0.004
# Not due yet; early payments still possible; in grace; renewed twice; left.
ROWS = [
    *[(0, 95, 20.0)],
    *[(1, 71, 20.0)],
    *[(2, 64, 20.0)],
    *[(3, 30, 20.0), (3, 61, 20.0), (3, 90, 20.0)],
    *[(4, 10, 20.0)],
]
END = 100


def make_rates(alpha: float, beta: float) -> TenureRates:
    """Return chances of known parameters."""
    fit = FittedLogs(np.log([alpha, beta]), 0.0, np.zeros((2, 2)))
    return TenureRates(ShiftedBetaGeometric(alpha, beta), fit)


def build_of(contracts: ContractsAt, left: Sequence[int] = ()) -> RenewalForecast:
    """Return a forecast of contracts; ``left`` are the days of the losses that were seen."""
    exits = measure_exits(np.array(left, np.int64), TERMS)
    return RenewalForecast(make_rates(ALPHA, BETA), measure_delays(LATE, TERMS), exits, contracts)


def build_forecast() -> RenewalForecast:
    contracts = make_events(ROWS, terms=TERMS).describe_day(END)
    return build_of(contracts)


def simulate(customer: int, size: int) -> list[list[int]]:
    """Return the days ahead of the renewals of a customer, by rejection of what was not seen."""
    random = np.random.default_rng(customer)
    days = [row[1] for row in ROWS if row[0] == customer]
    late = np.concatenate([np.repeat(LATE, 11), np.arange(11)])
    futures: list[list[int]] = []
    while len(futures) < size:
        # The customer's own chance of leaving, given the renewals that it paid.
        leaves = random.beta(ALPHA, BETA + len(days) - 1)
        time, future = days[-1], []
        while random.random() >= leaves and time < END + 400:
            time += TERMS.period + int(random.choice(late))
            future.append(time - END)
        if not future or future[0] >= 0:
            futures.append(future)
    return futures


@pytest.mark.parametrize("customer", range(4))
def test_forecast_is_that_of_a_simulation(customer: int) -> None:
    forecast, futures = build_forecast(), simulate(customer, 20_000)
    renews = np.array([bool(future) for future in futures])
    assert forecast.renews[customer] == pytest.approx(renews.mean(), abs=0.012)
    soon = np.array([bool(future) and future[0] < 20 for future in futures])
    assert forecast.predict_any(20)[customer] == pytest.approx(soon.mean(), abs=0.012)
    for days in (20, 100, 300):
        counts = np.array([sum(day < days for day in future) for future in futures])
        error = 4 * counts.std() / np.sqrt(len(counts)) + 1e-9
        assert forecast.predict_orders(days)[customer] == pytest.approx(counts.mean(), abs=error)
    sums = np.array([sum(np.exp(-DISCOUNT * d) for d in f if d < 300) for f in futures])
    error = 4 * sums.std() / np.sqrt(len(sums))
    assert forecast.predict_orders(300, DISCOUNT)[customer] == pytest.approx(sums.mean(), abs=error)


def test_customer_in_grace_is_never_lost() -> None:
    for end in range(95, 106):
        contracts = make_events([(0, 64, 20.0)], terms=TERMS).describe_day(end)
        forecast = build_of(contracts)
        assert contracts.in_grace[0] == (95 <= end <= 104)
        assert (forecast.alive[0] > 0) == (end <= 104)
    assert forecast.predict_orders(1_000)[0] == 0


def test_draws_have_the_mean_and_quantiles_of_the_simulation() -> None:
    forecast = build_forecast()
    margins, horizon = GammaGamma(4.0, 5.0, 15.0), ValueHorizon(100 / 7, 300 / 7, DISCOUNT * 7, 0.9)
    histories = summarize_purchases(forecast.contracts.periods.as_purchases(), END)
    spread = [
        draw_renewals(forecast, margins, histories, horizon, np.full(5, seed, np.uint32))
        for seed in range(200)
    ]
    for customer in range(4):
        random, futures = np.random.default_rng(7), simulate(customer, 20_000)
        paid, mean = histories.paid[customer], histories.mean_margin[customer]
        rate = random.gamma(margins.q + margins.p * paid, 1 / (margins.gamma + paid * mean), 20_000)
        totals = np.zeros(20_000)
        for place, future in enumerate(futures):
            for day in future:
                if day < 300 and random.random() < 0.9:
                    amount = random.gamma(margins.p, 1 / rate[place])
                    totals[place] += amount * np.exp(-DISCOUNT * day)
        for name, share in (("total_low", 0.05), ("total_high", 0.95)):
            seen = np.mean([getattr(draws, name)[customer] for draws in spread])
            assert seen == pytest.approx(np.quantile(totals, share), rel=0.06, abs=0.5), name
        variance = np.mean([draws.total_variance[customer] for draws in spread])
        assert variance == pytest.approx(totals.var(), rel=0.08)
    assert all(draws.total_high[4] == 0 for draws in spread)


def test_moving_all_days_changes_nothing() -> None:
    events = simulate_contracts(300, 2_000, 3)
    shifted = make_events(
        zip(
            events.payments.customer,
            events.payments.day + 1_234,
            events.payments.margin,
            strict=True,
        )
    )
    first = choose_renewals(events, 2_000, 700)
    second = choose_renewals(shifted, 3_234, 700)
    assert first is not None and second is not None
    assert first.fitted.list_parameters() == second.fitted.list_parameters()
    before = first.fitted.forecast(events.describe_day(2_000)).predict_orders(500)
    after = second.fitted.forecast(shifted.describe_day(3_234)).predict_orders(500)
    assert before.tolist() == after.tolist()


def test_choice_sees_nothing_on_or_after_the_end() -> None:
    events = simulate_contracts(300, 2_000, 4)
    later = events.payments.day >= 1_500
    rows = zip(events.payments.customer, events.payments.day, events.payments.margin, strict=True)
    garbled = make_events(
        (customer, 1_500 if late else day, 1e9 if late else margin)
        for (customer, day, margin), late in zip(rows, later, strict=True)
    )
    first, second = (choose_renewals(rows, 1_500, 500) for rows in (events, garbled))
    assert first is not None and second is not None
    assert first.past == second.past
    assert first.fitted.list_parameters() == second.fitted.list_parameters()


def test_rates_are_shares_of_decisions() -> None:
    decisions = RenewalDecisions(
        np.array([80, 60]), np.array([20, 10]), np.array([0]), np.array([0])
    )
    rates = fit_renewal_rates(decisions)
    number = np.array([1, 2, 3])
    all_kept = 141 / 172
    assert rates[SAME_FOR_ALL].predict_rates(number).tolist() == [all_kept] * 3
    by_period = [(80 + all_kept) / 101, (60 + all_kept) / 71, all_kept]
    assert rates[BY_PERIOD].predict_rates(number) == pytest.approx(by_period)
    fitted = rates[SBG]
    assert isinstance(fitted, TenureRates)
    tenure = fitted.model.beta + number - 1
    chance = tenure / (fitted.model.alpha + tenure)
    assert fitted.predict_rates(number) == pytest.approx(chance)


def test_best_rates_at_the_latest_origin_are_used() -> None:
    events = simulate_contracts(1_500, 2_500, 5, (0.4, 1.2))
    chosen = choose_renewals(events, 2_500, 800)
    assert chosen is not None and chosen.fitted.name == SBG
    latest = [row for row in chosen.past if row.origin == chosen.past[0].origin]
    assert min(latest, key=lambda row: row.deviance).model == SBG
    same = simulate_contracts(1_500, 2_500, 5, (200.0, 800.0))
    simple = choose_renewals(same, 2_500, 800)
    assert simple is not None
    latest = [row for row in simple.past if row.origin == simple.past[0].origin]
    assert simple.fitted.name == min(latest, key=lambda row: row.deviance).model


def test_renewals_that_came_are_counted_without_new_contracts() -> None:
    rows = [(0, 0, 1.0), (0, 365, 2.0), (0, 800, 4.0), (1, 10, 1.0), (1, 600, 9.0), (2, 500, 3.0)]
    events = make_events(rows)
    contracts = events.describe_day(300)
    counts, margin = count_renewals(events, contracts, 1_000)
    assert (counts.tolist(), margin.tolist()) == ([1, 0], [2, 0])
    assert contracts.end / DAYS_PER_WEEK > 1


def test_estimation_error_is_that_of_other_samples() -> None:
    """Refit on samples of customers: the totals they give differ as the errors say."""
    contracts = simulate_contracts(400, 2_500, 8).describe_day(2_500)
    decisions = count_decisions(contracts)
    random = np.random.default_rng(3)
    rates = fit_renewal_rates(decisions)
    delays = measure_delays(decisions.late, contracts.terms)
    exits = measure_exits(decisions.left, contracts.terms)
    logs: dict[str, list[float]] = {name: [] for name in rates}
    total = decisions.kept + decisions.lost
    for _ in range(80):
        # Decisions are drawn again by the chances of the model, period by period.
        number = np.arange(1, len(total) + 1)
        kept, reached = [], int(total[0])
        for place, chance in enumerate(rates[SBG].predict_rates(number)):
            decided = min(reached, int(total[place]))
            kept.append(int(random.binomial(decided, chance)))
            reached = kept[-1]
        lost = np.minimum(np.append(total[0], kept[:-1]), total) - kept
        sample = RenewalDecisions(np.array(kept), lost, decisions.late, decisions.left)
        for name, fitted in fit_renewal_rates(sample).items():
            forecast = RenewalForecast(fitted, delays, exits, contracts)
            logs[name].append(float(np.log(forecast.predict_orders(700).sum())))
    for name in rates:
        fit = FittedRenewals(name, rates, delays, exits)
        error = np.sqrt(fit.estimate_log_variance(contracts, 700, name))
        assert error == pytest.approx(np.std(logs[name]), rel=0.25), name


def test_contract_that_was_not_ended_renews_more_likely() -> None:
    # Of four losses and one more, two were ended 10 days before they were due.
    left = [-10, -10, 10, 10]
    rate = BETA / (ALPHA + BETA)
    for end, still in ((80, 1.0), (84, 1.0), (85, 3 / 5), (90, 3 / 5)):
        contracts = make_events([(0, 64, 20.0)], terms=TERMS).describe_day(end)
        paid = build_of(contracts).delays.predict_later(np.array([end - 94]))[0]
        expected = rate * paid / (rate * paid + (1 - rate) * still)
        assert build_of(contracts, left).renews[0] == pytest.approx(expected)


def test_exits_are_the_first_endings_of_lost_contracts() -> None:
    rows = [(0, 0, 1.0), (1, 0, 1.0), (2, 0, 1.0), (2, 30, 1.0), (3, 5, 1.0), (3, 90, 1.0)]
    events = make_events(rows, [(0, 20), (0, 25), (2, 10), (3, 35), (3, 60)], TERMS)
    decisions = count_decisions(events.describe_day(500))
    # Customer 2 paid after its ending, and its second period was lost without one.
    assert decisions.left.tolist() == [-10, 10, 10, 0, 10]
    assert decisions.lost.tolist() == [4, 1] and decisions.kept.tolist() == [1, 0]
