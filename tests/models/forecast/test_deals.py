"""Open deals at an instant, and histories as of an earlier one."""

import numpy as np
import pytest

from features.paths.visits import OPEN
from features.tools.instants import US_PER_DAY
from models.forecast.deals import collect_visit_facts, list_open_deals
from models.funnel.cycle_table import LOSS, WIN
from models.survival.stays import CENSORED
from tests.models.forecast.companies import BEGIN, simulate_company
from tests.models.funnel.histories import CREATED, MQL, OFFER, make_history
from tests.models.funnel.histories import LOST as LOST_STATE
from tests.models.funnel.histories import WON as WON_STATE

VISITS = [
    (0, CREATED, 0, 4, OFFER),
    (0, OFFER, 4, 10, MQL),
    (0, MQL, 10, 30, WON_STATE),
    (1, CREATED, 5, 50, LOST_STATE),
    (2, CREATED, 60, None, None),
]


def test_facts_by_hand():
    facts = collect_visit_facts(make_history(VISITS, as_of=100))
    assert facts.spell.tolist() == [0, 0, 0, 1, 2]
    assert facts.number.tolist() == [0, 1, 2, 0, 0]
    assert facts.returns.tolist() == [0, 0, 1, 0, 0]
    assert facts.ending.tolist() == [WIN, WIN, WIN, LOSS, CENSORED]
    assert (facts.spell_end // US_PER_DAY).tolist() == [30, 30, 30, 50, 100]


def test_end_that_is_not_complete_yet_is_open():
    facts = collect_visit_facts(make_history(VISITS, as_of=52, delay=5))
    assert facts.ending.tolist()[3] == CENSORED


@pytest.mark.parametrize("day", [0, 1, 4, 10, 29, 30, 50, 61])
def test_open_deals_by_brute_force(day):
    history = make_history(VISITS)
    deals = list_open_deals(history, collect_visit_facts(history), day * US_PER_DAY)
    # Just before the day: begun earlier, and not ended earlier.
    rows = [row for row in VISITS if row[2] < day and (row[3] is None or row[3] >= day)]
    assert deals.lead.tolist() == [row[0] for row in rows]
    assert deals.stage.tolist() == [row[1] for row in rows]
    assert (deals.age / US_PER_DAY).tolist() == [day - row[2] for row in rows]


def test_cut_history_is_the_one_that_was_known():
    """What happens after the instant cannot be told from what a history of that day has."""
    whole = simulate_company(deals=300, seed=3)
    at = BEGIN + 200 * US_PER_DAY
    cut = whole.cut_at(at)
    visits, spells = cut.paths
    assert (visits.start < at).all()
    assert ((visits.end < at) == (visits.exit != OPEN)).all()
    assert ((spells.end < at) == (spells.exit != OPEN)).all()
    assert cut.as_of == cut.observed_until == at
    deals = list_open_deals(cut, collect_visit_facts(cut), at)
    earlier = list_open_deals(whole, collect_visit_facts(whole), at)
    for name in ("lead", "stage", "age"):
        assert (getattr(deals, name) == getattr(earlier, name)).all()
    assert (deals.way == earlier.way).all()
    assert np.unique(deals.lead).size == deals.lead.size
