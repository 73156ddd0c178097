"""Past forecasts beside what came, and what a reader is told of them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from features.tools.instants import US_PER_DAY, from_microseconds
from models.forecast import past_errors
from models.forecast.amounts import learn_amounts
from models.forecast.past_errors import PRIOR_VARIANCE, SharedFactor, measure_past_errors
from models.forecast.schemas import AMOUNT, FORECAST_TRACK, WINS
from models.forecast.track import PastTotal, build_track, summarize_track
from tests.models.forecast.companies import (
    BEGIN,
    WON,
    make_grid,
    no_attributes,
    simulate_company,
)

AS_OF = BEGIN + 300 * US_PER_DAY
AHEAD = 28 * US_PER_DAY


@pytest.fixture(scope="module")
def known():
    return simulate_company(deals=4000).cut_at(AS_OF)


def look_back(history, amounts=None):
    ends = np.array([history.as_of + AHEAD])
    return measure_past_errors(history, no_attributes(history), make_grid(history), ends, amounts)


def list_won(history, begin, end):
    spells = history.paths.spells
    return np.flatnonzero((spells.exit == WON) & (spells.end >= begin) & (spells.end < end))


def test_wins_that_came_are_counted(known):
    errors = look_back(known)
    totals = errors.totals
    assert errors.sample_share == 1.0
    assert [total.at for total in totals] == [
        AS_OF - AHEAD - number * AHEAD // 2 for number in range(7, -1, -1)
    ]
    for total in totals:
        assert total.end == total.at + AHEAD
        assert total.came == len(list_won(known, total.at, total.end))
        assert total.expected == pytest.approx(total.came, rel=0.25)
        assert (total.expected_amount, total.came_amount) == (None, None)


def learn(history, amount_of_lead):
    won = np.flatnonzero(history.paths.spells.exit == WON)
    amount = amount_of_lead[history.paths.spells.lead[won]]
    return learn_amounts(history, no_attributes(history), (), won, amount)


def test_past_forecast_knows_no_later_amount(known):
    """Of late a win is worth ten times as much, which no earlier forecast could expect."""
    change = AS_OF - 40 * US_PER_DAY
    spells = known.paths.spells
    amount = np.full(len(known.created), np.nan)
    amount[spells.lead] = np.where(spells.end < change, 100.0, 1000.0)
    totals = look_back(known, learn(known, amount)).totals
    before = [total for total in totals if total.at < change]
    assert 0 < len(before) < len(totals)
    for total in before:
        assert total.expected_amount == pytest.approx(100 * total.expected)
    for total in totals:
        won = list_won(known, total.at, total.end)
        assert total.came_amount == pytest.approx(amount[spells.lead[won]].sum())


def test_win_without_an_amount_counts_with_what_was_expected(known):
    amount = np.full(len(known.created), 50.0)
    amount[::2] = np.nan
    for total in look_back(known, learn(known, amount)).totals:
        assert total.came_amount == pytest.approx(50 * total.came)
        assert total.expected_amount == pytest.approx(50 * total.expected)


def test_amounts_are_expected_after_the_first_win_with_one(known):
    amount = np.full(len(known.created), np.nan)
    spells = known.paths.spells
    first = AS_OF - 60 * US_PER_DAY
    late = (spells.exit == WON) & (spells.end >= first)
    amount[spells.lead[late]] = 70.0
    for total in look_back(known, learn(known, amount)).totals:
        assert (total.expected_amount is None) == (total.at <= first)


def test_correction_is_learned_from_forecasts_that_had_ended(known, monkeypatch):
    """A bias that the next forecast did not know yet is not taken from it."""
    learned = []

    def estimate(past, place, uses_trees, ahead):
        learned.append([forecast.ends[0] for forecast in past])
        mean = np.array([np.log(2.0) if past else 0.0, 0.0])
        return SharedFactor(mean, PRIOR_VARIANCE)

    plain = look_back(known).totals
    monkeypatch.setattr(past_errors, "_estimate_factor", estimate)
    corrected = look_back(known).totals
    # The first list is that of the current forecast.
    for total, ends in zip(corrected, learned[1:], strict=True):
        assert ends == [before.end for before in plain if before.end <= total.at][::-1]
    assert [len(ends) for ends in learned] == [8, 0, 0, 1, 2, 3, 4, 5, 6]
    assert corrected[1].expected < 1.2 * plain[1].expected
    assert corrected[2].expected > 1.3 * plain[2].expected


def test_sample_says_its_share(known, monkeypatch):
    # Accounts are chosen by their hash.
    hashes = np.random.default_rng(3).integers(0, 2**63, len(known.created)).astype(np.uint64)
    monkeypatch.setattr(past_errors, "MAX_PAST_SPELLS", 1000)
    errors = look_back(replace(known, cluster=hashes))
    deals = len(known.paths.spells.lead)
    assert errors.sample_share == pytest.approx(1000 / deals, rel=0.15)
    whole = [len(list_won(known, total.at, total.end)) for total in errors.totals]
    came = sum(total.came for total in errors.totals)
    # The wins of the chosen accounts, which are a share of all.
    assert came == pytest.approx(errors.sample_share * sum(whole), rel=0.25)


def make_track(errors, came=100.0, step=14, ahead=28, share=1.0, amounts=False):
    """Return the table of forecasts that were off by ``errors``, ``step`` days apart."""
    totals = [
        PastTotal(
            BEGIN + number * step * US_PER_DAY,
            BEGIN + (number * step + ahead) * US_PER_DAY,
            came * (1 + error),
            came,
            *((1000 * came * (1 + 2 * error), 1000 * came) if amounts else ()),
        )
        for number, error in enumerate(errors)
    ]
    return build_track(totals, share)


def test_table_has_a_row_for_each_unit():
    track = make_track([0.1, -0.2], amounts=True)
    assert track.schema == FORECAST_TRACK
    rows = track.to_pylist()
    assert [row["unit"] for row in rows] == [WINS, WINS, AMOUNT, AMOUNT]
    assert rows[1] == {
        "unit": WINS,
        "forecast_as_of": from_microseconds(BEGIN + 14 * US_PER_DAY),
        "forecast_end": from_microseconds(BEGIN + 42 * US_PER_DAY),
        "expected": 80.0,
        "came": 100.0,
        "error_share": pytest.approx(-0.2),
        "sample_share": 1.0,
    }
    assert rows[3]["error_share"] == pytest.approx(-0.4)
    # Nothing came: there is nothing to take a share of.
    (row,) = build_track([PastTotal(BEGIN, BEGIN + 1, 0.4, 0.0)], 1.0).to_pylist()
    assert row["error_share"] is None
    assert build_track([], 1.0).schema == FORECAST_TRACK


def test_summary_holds_for_every_forecast():
    errors = [0.01, -0.02, 0.03, 0.041, -0.05, 0.0661, 0.09, -0.139]
    summary = summarize_track(make_track(errors), WINS)
    # Two of three of eight are six; 6.61 % is within 7 %.
    assert (summary.forecasts, summary.within, summary.limit) == (8, 6, 0.07)
    assert summary.worst == pytest.approx(-0.139)
    assert (summary.days, summary.shared_days) == (28, 14)
    assert summary.sample_share == 1.0


@pytest.mark.parametrize(
    ("errors", "within", "limit"),
    [
        ([0.0], 1, 0.01),
        ([0.07], 1, 0.07),
        ([0.05, -0.0499], 2, 0.05),
        ([0.01, 0.02, 0.0201, 0.5], 3, 0.03),
        ([0.0101, 0.0102, 0.0199], 3, 0.02),
        ([0.29, -0.57, 0.58], 2, 0.57),
    ],
)
def test_limit_is_a_whole_per_cent_that_two_of_three_keep(errors, within, limit):
    summary = summarize_track(make_track(errors), WINS)
    assert (summary.within, summary.limit) == (within, pytest.approx(limit))
    assert summary.within == sum(abs(error) <= limit + 1e-9 for error in errors)
    assert summary.within * 3 >= 2 * len(errors)


def test_bias_of_apart_forecasts_is_that_of_the_t_test():
    errors = [-0.1, -0.05, 0.02, -0.2, -0.12]
    bias = summarize_track(make_track(errors, step=28), WINS).bias
    exact = ttest_1samp(errors, 0).confidence_interval(0.9)
    assert (bias.low, bias.high) == (pytest.approx(exact.low), pytest.approx(exact.high))
    assert bias.mean == pytest.approx(np.mean(errors))
    assert (bias.too_low, bias.too_high, bias.is_beyond_chance) == (4, 1, True)


def test_bias_of_overlapping_forecasts_is_less_sure():
    errors = [-0.1, -0.05, 0.02, -0.2, -0.12]
    apart = summarize_track(make_track(errors, step=28), WINS).bias
    close = summarize_track(make_track(errors, step=14), WINS).bias
    assert close.mean == apart.mean
    assert close.high - close.mean > 1.5 * (apart.high - apart.mean)
    assert not close.is_beyond_chance
    # All on one side by much is beyond chance all the same.
    one_side = summarize_track(make_track([-0.2, -0.25] * 4), WINS).bias
    assert (one_side.too_low, one_side.is_beyond_chance) == (8, True)


def test_bias_interval_holds_the_truth_as_often_as_it_says():
    """Errors that are means over overlapping days have no bias; nine of ten intervals hold zero."""
    random, held = np.random.default_rng(4), 0
    for _ in range(600):
        days = random.normal(0, 0.5, 7 * 14 + 28)
        errors = [days[14 * place : 14 * place + 28].mean() for place in range(8)]
        bias = summarize_track(make_track(errors), WINS).bias
        held += not bias.is_beyond_chance
    assert held / 600 == pytest.approx(0.9, abs=0.035)


def test_bias_needs_more_than_one_independent_forecast():
    for track in (make_track([0.1]), make_track([0.1, 0.2]), make_track([0.1, 0.2], step=1)):
        assert summarize_track(track, WINS).bias is None
    assert summarize_track(make_track([0.1, 0.2], step=28), WINS).bias is not None
    exact = summarize_track(make_track([0.0] * 4), WINS).bias
    assert (exact.mean, exact.low, exact.high, exact.is_beyond_chance) == (0, 0, 0, False)


def test_summary_of_apart_windows_and_of_nothing():
    assert summarize_track(make_track([0.1, 0.1], step=28), WINS).shared_days == 0
    assert summarize_track(make_track([0.1]), WINS).shared_days == 0
    assert summarize_track(make_track([]), WINS) is None
    assert summarize_track(make_track([0.1]), AMOUNT) is None
    assert summarize_track(build_track([PastTotal(BEGIN, BEGIN + 1, 0.4, 0.0)], 1.0), WINS) is None
    assert summarize_track(make_track([0.1], share=0.12), WINS).sample_share == 0.12
    amounts = summarize_track(make_track([0.1, 0.1, 0.1], amounts=True), AMOUNT)
    assert (amounts.within, amounts.limit) == (3, 0.2)
