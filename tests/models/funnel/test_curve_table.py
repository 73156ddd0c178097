"""Curves of the stages: by hand, next to the funnel's shares, and thinned."""

import numpy as np
import pytest

from models.funnel.curve_table import ENDINGS, MAX_POINTS, build_curve_table
from models.funnel.funnel_table import estimate_stages
from tests.models.funnel.histories import (
    CREATED,
    LOST,
    MQL,
    OFFER,
    STATES,
    WON,
    all_leads,
    make_history,
)
from tests.models.funnel.test_funnel_table import EXAMPLE, rows_of


def points_of(history):
    """Return the points of each stage: the age, and the share of each ending."""
    points = {}
    estimates = estimate_stages(history, all_leads(history)).estimates
    for row in build_curve_table(STATES, estimates).to_pylist():
        points.setdefault(row["stage"], []).append([row["age_days"], *(row[n] for n in ENDINGS)])
    return points


def make_long_history(visits=3000, seed=5):
    """Return a history of leads that leave their first stage at an age of their own."""
    random = np.random.default_rng(seed)
    rows = []
    for lead in range(visits):
        start, length = random.integers(0, 300), random.exponential(40)
        exits = [MQL, OFFER, WON, LOST]
        is_open = start + length > 300
        end = None if is_open else start + int(length) + 1
        rows.append((lead, CREATED, start, end, None if is_open else exits[lead % 4]))
    return make_history(rows, as_of=400)


def test_curves_by_hand():
    points = points_of(make_history(EXAMPLE))
    assert points["mql"][0] == [0.0, 0.0, 0.0, 0.0, 0.0]
    # Of three visits one is lost after two days, and two advance, after five and after ten.
    expected = [[2, 0, 0, 1 / 3, 0], [5, 1 / 3, 0, 1 / 3, 0], [10, 2 / 3, 0, 1 / 3, 0]]
    assert np.array(points["mql"][1:]) == pytest.approx(np.array(expected))
    # A win from the first stage is a skip. One of the seven was seen for ten days, not for more.
    assert points["created"][-1] == pytest.approx([40, 1 / 3, 1 / 3, 1 / 7, 0])
    # Of three offers one goes back and one is won; the third is open, for longer.
    assert points["offer"][-1] == pytest.approx([20, 1 / 3, 0, 0, 1 / 3])


def test_curves_end_at_the_shares_of_the_funnel():
    history = make_long_history()
    points, row = points_of(history)["created"], rows_of(history)["all", "created"]
    assert sum(points[-1][1:3]) == pytest.approx(row["advanced_eventually"])
    assert len(points) <= MAX_POINTS
    assert all(0 <= share <= 1 for point in points for share in point[1:])
    assert (np.diff(np.array(points), axis=0) >= 0).all()
    # Thinned, a curve is off by less than what leaves between two points.
    step = sum(points[-1][1:]) / (MAX_POINTS - 1)
    at_30 = sum([point for point in points if point[0] <= 30][-1][1:3])
    assert 0 <= row["advanced_30d"] - at_30 <= step + 1e-9
    gaps = np.diff([sum(point[1:]) for point in points])
    # Exits at one age cannot be parted.
    assert gaps.max() <= step + 0.03


def test_visits_that_end_when_they_begin_are_at_age_zero():
    visits = [(0, CREATED, 0, 0, MQL), (0, MQL, 0, 8, LOST), (1, CREATED, 0, 5, LOST)]
    assert points_of(make_history(visits))["created"] == [[0, 0.5, 0, 0, 0], [5, 0.5, 0, 0.5, 0]]


def test_stage_that_nobody_leaves_has_no_curve():
    assert points_of(make_history([(0, CREATED, 0, None, None)])) == {}
