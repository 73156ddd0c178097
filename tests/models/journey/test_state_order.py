"""First against second order: by brute force, and where the order is planted or absent."""

from collections import Counter
from math import log

import numpy as np
import pytest

from models.funnel.result import OrderTest
from models.journey.state_order import (
    FIT_SHARE,
    MIN_VISITS,
    compare_orders,
    find_previous_stages,
)
from tests.models.funnel.histories import CREATED, LOST, MQL, OFFER, WON, make_history

NONE_YET, KINDS = "none", 7


def simulate(chance_of_win, leads=700, seed=1, days=400):
    """Return visits; an offer is won with a chance that may depend on the stage before it."""
    rng, visits = np.random.default_rng(seed), []
    for lead in range(leads):
        at, stage, before = int(rng.integers(0, days)), CREATED, None
        while stage < WON and len(visits) < 50 * leads:
            if stage == CREATED:
                following = rng.choice([MQL, OFFER])
            elif stage == MQL:
                following = rng.choice([OFFER, LOST], p=[0.7, 0.3])
            else:
                win = rng.random() < chance_of_win(before)
                following = WON if win else rng.choice([MQL, LOST])
            end = at + int(rng.integers(1, 45))
            visits.append((lead, stage, at, end, int(following)))
            before, stage, at = stage, int(following), end
    limit = days + 60
    return [(*v[:3], None, None) if v[3] >= limit else v for v in visits if v[2] < limit], limit


def judge_by_brute_force(visits, limit):
    """Return both log losses, by loops over visits in whole days."""
    rows, previous = [], {}
    for lead, stage, start, end, following in visits:
        is_soon = end is not None and end - start <= 30
        rows.append((previous.get(lead), stage, start, following if is_soon else NONE_YET))
        previous[lead] = stage
    mature = [row for row in rows if row[2] + 30 < limit]
    split = sorted(row[2] for row in mature)[int(FIT_SHARE * len(mature))]
    fitted = [row for row in mature if row[2] + 30 < split]
    tested = [row for row in mature if row[2] >= split]
    single, pair = (
        Counter((r[1], r[3]) for r in fitted),
        Counter((r[0], r[1], r[3]) for r in fitted),
    )
    losses = [0.0, 0.0]
    for before, stage, _, following in tested:
        of_stage = sum(n for (s, _), n in single.items() if s == stage)
        of_pair = sum(n for (b, s, _), n in pair.items() if (b, s) == (before, stage))
        chance = (single[stage, following] + 1 / KINDS) / (of_stage + 1)
        prior = KINDS * single[stage, following] / of_stage
        both = (pair[before, stage, following] + prior + 1 / KINDS) / (of_pair + KINDS + 1)
        losses = [losses[0] - log(chance), losses[1] - log(both)]
    return [loss / len(tested) for loss in losses], len(tested)


@pytest.mark.parametrize("seed", [1, 2])
def test_losses_equal_those_of_loops(seed):
    visits, limit = simulate(lambda before: 0.5, seed=seed)
    order = compare_orders(make_history(visits, as_of=limit))
    losses, tested = judge_by_brute_force(visits, limit)
    assert [order.first, order.second] == pytest.approx(losses, rel=1e-12)
    assert order.difference == order.first - order.second
    assert order.visits == tested


def test_planted_order_is_needed():
    visits, limit = simulate(lambda before: 0.9 if before == MQL else 0.1)
    order = compare_orders(make_history(visits, as_of=limit))
    assert order.needed
    assert 0 < order.low < order.difference < order.high


def test_absent_order_is_not():
    """Without a dependence the table with more cells predicts no better."""
    verdicts = []
    for seed in range(8):
        visits, limit = simulate(lambda before: 0.5, seed=10 + seed)
        verdicts.append(compare_orders(make_history(visits, as_of=limit)))
    assert not any(order.needed for order in verdicts)
    assert np.mean([order.difference for order in verdicts]) < 0.0005


def test_later_visits_change_no_earlier_fit():
    """What happens after the split is never fitted: the first visits alone decide the chances."""
    visits, limit = simulate(lambda before: 0.5)
    whole = compare_orders(make_history(visits, as_of=limit))
    # All that ends after the split is lost now; the fit, and with it the loss, sees none of it.
    starts = sorted(v[2] for v in visits if v[2] + 30 < limit)
    split = starts[int(FIT_SHARE * len(starts))]
    changed = [
        (*v[:4], LOST) if v[3] is not None and v[2] < split <= v[3] and v[4] >= WON else v
        for v in visits
    ]
    assert changed != visits
    assert compare_orders(make_history(changed, as_of=limit)) == whole


def test_few_visits_say_nothing():
    visits, limit = simulate(lambda before: 0.5, leads=MIN_VISITS // 4)
    assert compare_orders(make_history(visits, as_of=limit)) is None
    assert compare_orders(make_history([(0, CREATED, 99, None, None)])) is None


def test_previous_stage_is_that_of_the_same_spell():
    visits = [(0, CREATED, 0, 1, MQL), (0, MQL, 1, 2, OFFER), (0, OFFER, 2, 3, LOST)]
    visits += [(0, OFFER, 5, 6, MQL), (0, MQL, 6, None, None), (1, MQL, 0, 4, WON)]
    history = make_history(visits)
    assert find_previous_stages(history).tolist() == [3, CREATED, MQL, 3, OFFER, 3]


def test_small_gain_is_not_needed():
    visits, limit = simulate(lambda before: 0.52 if before == MQL else 0.48, leads=2000)
    order = compare_orders(make_history(visits, as_of=limit))
    assert isinstance(order, OrderTest)
    assert not order.needed
