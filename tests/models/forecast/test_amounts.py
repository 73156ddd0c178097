"""What wins are worth, learned from deals on their way."""

from dataclasses import replace

import numpy as np
import pytest

from features.tools.instants import US_PER_DAY
from models.forecast.activity import sort_by_lead
from models.forecast.amounts import (
    AmountBase,
    LeadValues,
    learn_amounts,
    take_known_amounts,
)
from models.forecast.deal_model import DealAttributes
from tests.models.forecast.companies import simulate_company


@pytest.fixture(scope="module")
def known():
    """Return a history, its won spells, their amounts, and a value shown with each offer."""
    history = simulate_company(deals=3000, days=200)
    visits, spells = history.paths
    rng = np.random.default_rng(5)
    size = rng.lognormal(3.0, 0.8, len(history.created))
    offers = visits.stage == 1
    lead, at = visits.lead[offers], visits.start[offers] + US_PER_DAY // 24
    times, rows = sort_by_lead(lead, at, len(size), size[lead])
    won = np.flatnonzero(spells.exit == history.states.won)
    # What is paid in the end is within some per cent of the offer.
    amount = size[spells.lead[won]] * rng.uniform(0.9, 1.1, len(won))
    attributes = DealAttributes(np.empty((len(size), 0)), ())
    amounts = learn_amounts(
        history, attributes, (LeadValues(times, size[lead][rows]),), won, amount
    )
    return history, won, amount, size, amounts


def test_deal_with_an_offer_is_worth_it(known):
    history, _, _, size, amounts = known
    visits = history.paths.visits
    asked = visits.lead[(visits.stage == 1) & (visits.end > history.as_of)]
    asked = asked[(size[asked] > 5) & (size[asked] < 80)]
    found = amounts.expect_amounts(asked, history.as_of)
    assert len(asked) > 30
    assert np.median(np.abs(found.amount / size[asked] - 1)) < 0.15


def test_deal_without_an_offer_has_mean_and_spread_of_all(known):
    history, _, amount, _, amounts = known
    visits = history.paths.visits
    asked = visits.lead[(visits.stage == 0) & (visits.end > history.as_of)]
    found = amounts.expect_amounts(asked, history.as_of)
    assert found.amount == pytest.approx(np.full(len(asked), amount.mean()), rel=0.15)
    assert found.spread == pytest.approx(np.full(len(asked), amount.std()), rel=0.2)
    with_offer = amounts.expect_amounts(history.paths.spells.lead, history.as_of)
    assert amounts.spreads[1] < 0.5 * amounts.spreads[0]
    assert (with_offer.spread / with_offer.amount).min() == pytest.approx(amounts.spreads[1])


def test_value_after_the_instant_is_not_seen(known):
    history, _, _, _, amounts = known
    leads = np.arange(len(history.created))
    before = amounts.expect_amounts(leads, history.created)
    assert np.ptp(before.amount) == pytest.approx(0, abs=1e-9)


def test_past_amounts_are_those_of_all_wins(known):
    history, won, amount, _, amounts = known
    assert amounts.mean == pytest.approx(amount.mean())
    assert amounts.of_lead[history.paths.spells.lead[won]] == pytest.approx(amount)
    assert np.isfinite(amounts.of_lead).sum() == len(won)


def test_known_amounts_stay_and_missing_ones_are_the_mean(known):
    history, won, _, size, amounts = known
    value = np.where(np.arange(len(size)) % 3 == 0, np.nan, size)
    found = take_known_amounts(history, amounts.attributes, value)
    expected = found.expect_amounts(np.arange(len(size)), 0)
    assert expected.amount == pytest.approx(np.where(np.isnan(value), np.nanmean(value), value))
    assert not expected.spread.any()
    lead = history.paths.spells.lead[won]
    assert found.past.tolist() == size[lead[lead % 3 != 0]].tolist()
    nothing = take_known_amounts(history, amounts.attributes, np.full(len(size), np.nan))
    assert nothing is None


def test_quick_wins_are_those_of_deals_that_were_open_for_less(known):
    history, won, amount, _, amounts = known
    spells = history.paths.spells
    for days in (20, 60):
        span = days * US_PER_DAY
        own = [
            value
            for row, value in zip(won, amount, strict=True)
            if spells.end[row] - spells.start[row] < span
        ]
        assert len(own) >= 50
        assert amounts.list_quick_wins(span).tolist() == own
    assert amounts.list_quick_wins(0).tolist() == amounts.past.tolist()


def test_large_offer_is_not_cut_off(known):
    """Trees alone would give the largest deals the mean of their leaf."""
    history, _, _, size, amounts = known
    visits = history.paths.visits
    offered = visits.lead[visits.stage == 1]
    largest = offered[np.argsort(size[offered])[-5:]]
    found = amounts.expect_amounts(largest, history.as_of)
    assert found.amount == pytest.approx(size[largest], rel=0.1)
    assert amounts.base.column == 0


def test_value_that_is_no_amount_is_no_base():
    rng = np.random.default_rng(2)
    amount, minutes = rng.lognormal(3, 1, 500), np.ceil(rng.lognormal(2, 0.5, 500))
    offer = np.where(rng.random(500) < 0.5, amount * 1.1, np.nan)
    base = AmountBase.learn(np.column_stack([minutes, offer]), amount)
    assert base.column == 1
    shown = np.isfinite(offer)
    bases = base.find_bases(np.column_stack([minutes, offer]))
    assert bases[shown] == pytest.approx(amount[shown])
    assert bases[~shown] == pytest.approx(amount[~shown].mean())
    alone = AmountBase.learn(minutes[:, None], amount)
    assert alone.column is None
    assert alone.find_bases(minutes[:, None]) == pytest.approx(amount.mean())


def test_wins_without_an_amount_teach_nothing(known):
    history, won, amount, _, amounts = known
    attributes = amounts.attributes
    assert learn_amounts(history, attributes, (), won, np.full(len(amount), np.nan)) is None


def test_sample_has_whole_accounts(known):
    hashes = np.random.default_rng(3).integers(0, 2**63, len(known[0].created)).astype(np.uint64)
    history = replace(known[0], cluster=hashes)
    sample = history.sample_accounts(1000)
    share = len(sample.paths.spells.lead) / len(history.paths.spells.lead)
    assert share == pytest.approx(1000 / len(history.paths.spells.lead), rel=0.25)
    kept = np.isin(history.paths.visits.lead, sample.paths.spells.lead)
    assert (sample.paths.visits.start == history.paths.visits.start[kept]).all()
    assert len(sample.created) == len(history.created)
    assert history.sample_accounts(10_000) is history


def test_sample_of_a_sample_has_its_share(known):
    hashes = np.random.default_rng(3).integers(0, 2**63, len(known[0].created)).astype(np.uint64)
    history = replace(known[0], cluster=hashes)
    half = history.sample_accounts(len(history.paths.spells.lead) // 2)
    quarter = half.sample_accounts(len(half.paths.spells.lead) // 2)
    share = len(quarter.paths.spells.lead) / len(history.paths.spells.lead)
    assert share == pytest.approx(0.25, rel=0.25)
    assert np.isin(quarter.paths.spells.lead, half.paths.spells.lead).all()
    assert half.choose_accounts(0.5)[quarter.paths.spells.lead].all()
