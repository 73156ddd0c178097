"""Hazard model against loops, literal person-periods, and a simulated truth."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.tools.instants import NEVER_US, US_PER_DAY
from models.learners.fit_input import FitInput
from models.learners.hazard import MAX_KNOTS, BaselineHazard, FollowUp, Hazard
from models.learners.lightgbm import LightGbm
from models.serialization import DamagedModelError

HORIZON = 30.0
ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 15) | st.just(NEVER_US)), min_size=1, max_size=20
)


def follow_by_steps(cutoff: int, outcome: int, end: int, horizon: int) -> tuple[float, bool]:
    """Walk from the cutoff in steps of a microsecond while the row is followed up."""
    at = cutoff
    while at < end and at < cutoff + horizon:
        if at == outcome:
            return max(at - cutoff, 0.5), True
        at += 1
    return at - cutoff, False


@given(ROWS, st.integers(10, 20), st.integers(1, 12))
@example([(4, 0)], 10, 3)  # at the cutoff
@example([(4, 3), (4, 2)], 10, 3)  # at the horizon and just before it
@example([(4, 6), (4, 5)], 10, 9)  # at the end and just before it
@example([(4, NEVER_US)], 10, 3)
def test_follow_up_equals_a_walk_in_steps(rows, end, horizon):
    cutoff = np.array([start for start, _ in rows])
    outcome = np.array([NEVER_US if wait == NEVER_US else start + wait for start, wait in rows])
    found = FollowUp.from_times(cutoff, outcome, end, horizon)
    expected = [
        follow_by_steps(*row, end, horizon)
        for row in zip(cutoff.tolist(), outcome.tolist(), strict=True)
    ]
    assert (found.days * US_PER_DAY).round(1).tolist() == [time for time, _ in expected]
    assert found.observed.tolist() == [seen for _, seen in expected]


def nelson_aalen(rows: list[tuple[float, bool]], day: float) -> float:
    """Add up, over outcome times, the share of rows at risk that had the outcome."""
    total = 0.0
    for time in sorted({time for time, seen in rows if seen and time <= day}):
        came = sum(seen and other == time for other, seen in rows)
        total += came / sum(other >= time for other, _ in rows)
    return total


FOLLOWED = st.lists(
    st.tuples(st.integers(1, 29).map(float), st.booleans()), min_size=1, max_size=25
).filter(lambda rows: any(seen for _, seen in rows))


def follow_up_of(rows: list[tuple[float, bool]]) -> FollowUp:
    return FollowUp(np.array([time for time, _ in rows]), np.array([seen for _, seen in rows]))


@given(FOLLOWED)
@example([(5.0, False), (5.0, True), (7.0, True)])  # one is censored when another has its outcome
@example([(5.0, True), (5.0, True), (7.0, False)])
def test_baseline_is_that_of_nelson_and_aalen(rows):
    found = BaselineHazard.fit(follow_up_of(rows), HORIZON)
    assert (found.days[0], found.hazard[0], found.days[-1]) == (0.0, 0.0, HORIZON)
    assert set(found.days[1:-1]) == {time for time, seen in rows if seen}
    asked = np.array(found.days[1:])
    np.testing.assert_allclose(
        found.cumulative_hazard(asked), [nelson_aalen(rows, day) for day in asked], rtol=1e-12
    )


@given(FOLLOWED, st.randoms(use_true_random=False))
def test_baseline_ignores_row_order(rows, random):
    assert BaselineHazard.fit(
        follow_up_of(random.sample(rows, len(rows))), HORIZON
    ) == BaselineHazard.fit(follow_up_of(rows), HORIZON)


def test_baseline_of_many_outcomes_has_few_knots():
    random = np.random.default_rng(0)
    days, seen = random.exponential(9, 900), random.random(900) < 0.6
    rows = list(
        zip(np.minimum(days, HORIZON).tolist(), (seen & (days < HORIZON)).tolist(), strict=True)
    )
    found = BaselineHazard.fit(follow_up_of(rows), HORIZON)
    assert len(found.days) <= MAX_KNOTS + 2
    for place in range(1, len(found.days), 40):
        assert found.hazard[place] == pytest.approx(nelson_aalen(rows, found.days[place]))
    assert found.hazard[-1] == pytest.approx(nelson_aalen(rows, HORIZON))
    assert (np.diff(found.hazard[:-1]) > 0).all()


def company(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features, the probability of the outcome within the horizon, and its time.

    The features are a number and a category; the rate is constant in time.
    """
    random = np.random.default_rng(seed)
    x = np.column_stack([random.integers(0, 8, rows), random.integers(0, 3, rows)]).astype(float)
    rate = 0.012 * np.exp(0.5 * (x[:, 0] - 3.5) + (x[:, 1] == 2))
    return x, -np.expm1(-rate * HORIZON), random.exponential(1 / rate)


def censor(when: np.ndarray, seed: int = 1) -> FollowUp:
    """Follow half of the rows to the horizon, the others to any day before it."""
    random = np.random.default_rng(seed)
    last = np.where(random.random(len(when)) < 0.5, HORIZON, random.uniform(0, HORIZON, len(when)))
    return FollowUp(np.minimum(when, last), when < last)


@pytest.fixture(scope="module")
def fitted_hazard() -> Hazard:
    x, _, when = company(4000)
    parameters = {"num_iterations": 150, "learning_rate": 0.06}
    return Hazard.fit_follow_up(FitInput(x, [1], 1, parameters=parameters), censor(when), HORIZON)


def expand_periods(
    follow_up: FollowUp, baseline: BaselineHazard
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a row for each row and stretch between two knots.

    Its row, the hazard of the stretch, and whether the outcome came.
    """
    whose, met, came = [], [], []
    for row, (days, happened) in enumerate(zip(follow_up.days, follow_up.observed, strict=True)):
        edges = [0.0, *[day for day in baseline.days[1:] if day < days], days]
        hazard = np.diff(baseline.cumulative_hazard(np.array(edges)))
        positive = hazard > 0
        whose += [row] * int(positive.sum())
        met += hazard[positive].tolist()
        came += [0.0] * int(positive.sum() - 1) + [float(happened)]
    return np.array(whose), np.array(met), np.array(came)


def test_likelihood_equals_that_of_person_periods_up_to_a_constant():
    _, _, when = company(60)
    follow_up = censor(when)
    baseline = BaselineHazard.fit(follow_up, HORIZON)
    whose, met, came = expand_periods(follow_up, baseline)
    random = np.random.default_rng(2)
    apart = []
    for _ in range(5):
        relative = random.normal(size=60)
        long = came * (relative[whose] + np.log(met)) - np.exp(relative[whose]) * met
        cumulative = baseline.cumulative_hazard(follow_up.days)
        short = follow_up.observed * (relative + np.log(cumulative)) - np.exp(relative) * cumulative
        apart.append(long.sum() - short.sum())
    assert len(whose) > 600
    np.testing.assert_allclose(apart, apart[0], rtol=1e-9)


def test_trees_equal_those_of_literal_person_periods():
    """Splits and leaves are equal with all parameters off that depend on the number of rows."""
    x, _, when = company(150)
    follow_up = censor(when)
    parameters = {
        **{"num_leaves": 4, "num_iterations": 30, "learning_rate": 0.2, "lambda_l2": 1.0},
        **{"min_data_in_leaf": 1, "bagging_freq": 0, "feature_fraction": 1.0, "extra_trees": False},
    }
    model = Hazard.fit_follow_up(FitInput(x, [], 1, parameters=parameters), follow_up, HORIZON)
    whose, met, came = expand_periods(follow_up, BaselineHazard.fit(follow_up, HORIZON))
    poisson = {"objective": "poisson", "boost_from_average": False, "poisson_max_delta_step": 0.01}
    literal = LightGbm.fit_trees(
        FitInput(x[whose], [], 1), came, {**parameters, **poisson}, np.log(met)
    )
    assert np.ptp(model.log_relative_hazard(x)) > 1
    np.testing.assert_allclose(model.log_relative_hazard(x), literal.margin(x), atol=1e-3)


def test_censored_rows_bias_nothing_unlike_negative_labels(fitted_hazard):
    x, _, when = company(4000)
    follow_up = censor(when)
    later, chance, _ = company(20_000, seed=7)
    naive = LightGbm.fit(FitInput(x, [1], 1), follow_up.observed.astype(np.int64))
    found, low = (1 / (1 + np.exp(-model.margin(later))) for model in (fitted_hazard, naive))
    assert found.mean() == pytest.approx(chance.mean(), rel=0.05)
    assert low.mean() < 0.85 * chance.mean()
    assert np.abs(found - chance).mean() < 0.03
    for value in range(8):
        alike = later[:, 0] == value
        assert found[alike].mean() == pytest.approx(chance[alike].mean(), abs=0.04)


def test_contributions_sum_to_the_margin_and_have_the_signs_of_the_trees(fitted_hazard):
    x, _, _ = company(500, seed=3)
    parts, trees = fitted_hazard.contributions(x), fitted_hazard.trees.contributions(x)
    np.testing.assert_allclose(parts.sum(axis=1), fitted_hazard.margin(x), atol=1e-9)
    assert (np.sign(parts[:, :-1]) == np.sign(trees[:, :-1])).all()
    assert len(set(parts[:, -1].round(12))) == 1


def test_margin_without_splits_is_the_bias():
    """Trees without a split predict the same for every row."""
    follow_up = FollowUp(
        np.array([3.0, 9.0, HORIZON, HORIZON]), np.array([True, True, False, False])
    )
    model = Hazard.fit_follow_up(FitInput(np.zeros((4, 1)), [], 1), follow_up, HORIZON)
    parts = model.contributions(np.zeros((2, 1)))
    assert parts[:, 0].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(parts[:, 1], model.margin(np.zeros((2, 1))), atol=1e-12)


@settings(max_examples=50)
@given(st.floats(0.001, 0.999), st.integers(0, 7), st.integers(0, 2))
def test_days_to_share_invert_the_cumulative_probability(fitted_hazard, share, number, category):
    x = np.array([[number, category]], dtype=float)
    log_relative = fitted_hazard.log_relative_hazard(x)
    days, relative = fitted_hazard.days_to_share(log_relative, share), np.exp(log_relative)
    assert 0 < days[0] < HORIZON
    by_then, in_all = (
        -np.expm1(-relative * fitted_hazard.baseline.cumulative_hazard(at))
        for at in (days, np.array([HORIZON]))
    )
    assert by_then / in_all == pytest.approx(share, rel=1e-9)
    assert 1 / (1 + np.exp(-fitted_hazard.margin(x))) == pytest.approx(in_all, rel=1e-9)


def test_days_to_share_hold_on_simulated_outcomes(fitted_hazard):
    later, _, when = company(20_000, seed=8)
    came = when < HORIZON
    log_relative = fitted_hazard.log_relative_hazard(later)
    for share in (0.5, 0.8):
        days = fitted_hazard.days_to_share(log_relative, share)
        assert np.mean(when[came] <= days[came]) == pytest.approx(share, abs=0.03)


def test_predictions_are_independent_of_other_rows(fitted_hazard):
    x, _, _ = company(200, seed=4)
    for predict in (
        fitted_hazard.margin,
        fitted_hazard.contributions,
        lambda rows: fitted_hazard.days_to_share(fitted_hazard.log_relative_hazard(rows), 0.5),
    ):
        alone = np.concatenate([predict(x[i : i + 1]) for i in range(len(x))])
        backwards = np.ascontiguousarray(predict(x[::-1])[::-1])
        assert predict(x).tobytes() == alone.tobytes() == backwards.tobytes()


def test_saved_model_loads_with_every_bit(fitted_hazard, tmp_path):
    fitted_hazard.save(tmp_path)
    again = Hazard.load(tmp_path)
    x, _, _ = company(200, seed=5)
    assert again == fitted_hazard
    for predict in (
        Hazard.margin,
        Hazard.contributions,
        lambda model, rows: model.days_to_share(model.log_relative_hazard(rows), 0.8),
    ):
        assert predict(again, x).tobytes() == predict(fitted_hazard, x).tobytes()


def test_rows_without_weight_have_no_effect():
    """Half of the rows say the opposite and have no weight."""
    x, _, when = company(2000)
    follow_up = censor(when)
    turned = np.where(np.arange(2000)[:, None] < 1000, x, 7 - x)
    weight = 2.0 * (np.arange(2000) < 1000)
    fast = {"num_iterations": 50, "learning_rate": 0.1}
    model = Hazard.fit_follow_up(
        FitInput(turned, [], 1, weight=weight, parameters=fast), follow_up, HORIZON
    )
    first = FollowUp(follow_up.days[:1000], follow_up.observed[:1000])
    alone = Hazard.fit_follow_up(FitInput(x[:1000], [], 1, parameters=fast), first, HORIZON)
    assert np.corrcoef(model.margin(x), alone.margin(x))[0, 1] > 0.9


def two_states(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, FollowUp]:
    """Return features, the log hazard, and a follow-up with the events of the next days.

    The first two features together show whether a row is in a state with six times the events and
    eight times the outcomes; the third changes the outcomes alone, the others mean nothing.
    """
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 12))
    log_rate = np.where(x[:, 0] + x[:, 1] > 0, np.log(8.0), 0.0) + 0.4 * x[:, 2] - 6.0
    activity = random.poisson(np.where(x[:, 0] + x[:, 1] > 0, 6.0, 1.0)).astype(float)
    when = random.exponential(np.exp(-log_rate))
    follow_up = FollowUp(np.minimum(when, HORIZON), when < HORIZON, activity)
    return x, log_rate, follow_up


@pytest.fixture(scope="module")
def active_hazard() -> Hazard:
    x, _, follow_up = two_states(3000, 0)
    return Hazard.fit_follow_up(FitInput(x, [], 1), follow_up, HORIZON)


def test_activity_brings_the_hazard_nearer_to_the_truth(active_hazard):
    x, _, follow_up = two_states(3000, 0)
    alone = Hazard.fit_follow_up(FitInput(x, [], 1), replace(follow_up, activity=None), HORIZON)
    later, log_rate, _ = two_states(4000, 1)
    chance = -np.expm1(-np.exp(log_rate) * HORIZON)
    without, with_activity = (
        np.mean(np.logaddexp(0, model.margin(later)) - chance * model.margin(later))
        for model in (alone, active_hazard)
    )
    best = -np.mean(chance * np.log(chance) + (1 - chance) * np.log1p(-chance))
    assert alone.activity is None
    assert 0 < with_activity - best < 0.6 * (without - best)


def test_contributions_with_activity_sum_to_the_margin(active_hazard):
    x, _, _ = two_states(300, 2)
    parts = active_hazard.contributions(x)
    np.testing.assert_allclose(parts.sum(axis=1), active_hazard.margin(x), atol=1e-9)
    total = active_hazard.activity.contributions(x).sum(axis=1)
    np.testing.assert_allclose(total, active_hazard.activity.margin(x), atol=1e-9)


def test_weight_of_the_activity_is_the_most_likely_one(active_hazard):
    x, _, follow_up = two_states(3000, 0)
    model, seen = active_hazard.activity, follow_up.observed
    exposure = BaselineHazard.fit(follow_up, HORIZON).cumulative_hazard(follow_up.days)
    log_activity = model.trees.margin(x) - model.center
    weights = np.linspace(0, 3, 3001)
    costs = []
    for weight in weights:
        expected = exposure * np.exp(weight * log_activity)
        # The level at which as many outcomes are expected as there were.
        rate = expected * seen.sum() / expected.sum()
        costs.append(np.sum(rate - seen * np.log(rate)) + weight**2 / 2)
    assert model.weight == pytest.approx(weights[int(np.argmin(costs))], abs=2e-3)


def test_saved_activity_loads_with_every_bit(active_hazard, tmp_path):
    active_hazard.save(tmp_path)
    x, _, _ = two_states(100, 3)
    again = Hazard.load(tmp_path)
    assert again == active_hazard
    assert again.margin(x).tobytes() == active_hazard.margin(x).tobytes()


def test_hazard_of_an_earlier_version_has_no_activity(fitted_hazard):
    stored = json.loads(json.dumps(fitted_hazard.to_json()))
    assert stored.pop("activity") is None
    assert Hazard.from_json(stored) == fitted_hazard


@pytest.mark.parametrize("weight", [0.0, -1.0, 3.5, "1", None])
def test_stored_weight_outside_its_range_is_refused(active_hazard, weight):
    stored = json.loads(json.dumps(active_hazard.to_json()))
    stored["activity"]["weight"] = weight
    with pytest.raises(DamagedModelError, match=r"activity\.weight"):
        Hazard.from_json(stored)


def test_activity_that_says_nothing_of_outcomes_is_left_out():
    x, _, follow_up = two_states(3000, 0)
    noise = np.random.default_rng(5).poisson(2.0, 3000).astype(float)
    for activity in (np.zeros(3000), noise, np.full(3000, np.nan)):
        fitted = Hazard.fit_follow_up(
            FitInput(x, [], 1), replace(follow_up, activity=activity), HORIZON
        )
        assert fitted.activity is None


@given(st.lists(st.integers(0, 20), min_size=1, max_size=9), st.integers(1, 30))
def test_activity_counts_once_its_days_are_over(start, end):
    cutoff = np.array(start) * US_PER_DAY
    kept = cutoff < end * US_PER_DAY
    cutoff = cutoff[kept]
    never = np.full(len(cutoff), NEVER_US)
    count = np.arange(len(cutoff), dtype=float)
    found = FollowUp.from_times(cutoff, never, end * US_PER_DAY, 30 * US_PER_DAY, count)
    for number, row in enumerate(cutoff.tolist()):
        is_over = row + 7 * US_PER_DAY <= end * US_PER_DAY
        assert found.activity[number] == number if is_over else np.isnan(found.activity[number])
