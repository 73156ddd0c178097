"""Realised outcomes of leads that came back: revoked outcomes, and outcomes that recur."""

from datetime import timedelta

import pytest

from configs.targets import Cutoffs, Population, Target
from serve.monitoring.outcomes import OutcomeData, follow_scores, list_published_nights
from serve.store.store import Store
from tests.features.logs import of
from tests.serve.monitoring.test_outcomes import BERLIN, DAY, START, event, publish

WON_BACK = Target(
    outcome="won", outcome_revoked_by=("undone",), horizon="10d", cutoffs=Cutoffs(every="7d")
)
AGAIN = Target(
    population=Population(recurring=True), outcome="won", horizon="5d", cutoffs=Cutoffs(every="7d")
)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "scores.db")
    for week in range(3):
        publish(store, START + 7 * week * DAY, ["L1", "L2"])
    return store


def labels(store, target, log, as_of):
    """Return the label of each followed row by (week, lead), by the data known at ``as_of``."""
    lead = {"account_id": None, "created_at": START - DAY, "available_at": START - DAY}
    data = of([lead | {"entity_id": name} for name in ("L1", "L2")], log).cut_at(as_of)
    nights = list_published_nights(store.runs("p"), "t", as_of, BERLIN)
    followed = follow_scores(store, ("p", "t"), target, nights, OutcomeData(data, as_of), {})
    rows = followed.rows.sort_by([("as_of", "ascending"), ("entity_id", "ascending")]).to_pylist()
    return [((row["as_of"] - START).days // 7, row["entity_id"], row["label"]) for row in rows]


def test_realised_outcome_of_an_earlier_night_is_corrected_by_its_revocation(store):
    log = [event("L1", START + DAY), event("L2", START + 2 * DAY)]
    log.append(event("L1", START + 3 * DAY, "undone", START + 13 * DAY))
    before = labels(store, WON_BACK, log, START + 12 * DAY)
    after = labels(store, WON_BACK, log, START + 14 * DAY)
    assert before == [(0, "L1", 1), (0, "L2", 1)]
    assert after == [(0, "L1", 0), (0, "L2", 1)]


def test_recurring_outcomes_are_realised_week_by_week(store):
    log = [event("L1", START + timedelta(days=day)) for day in (1, 15)]
    log.append(event("L2", START + 8 * DAY))
    assert labels(store, AGAIN, log, START + 30 * DAY) == [
        (0, "L1", 1),
        (0, "L2", 0),
        (1, "L1", 0),
        (1, "L2", 1),
        (2, "L1", 1),
        (2, "L2", 0),
    ]
