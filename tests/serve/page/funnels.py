"""Funnel tables for pages, from the histories of the funnel's own tests."""

import numpy as np
import pyarrow as pa

from features.paths.visits import OPEN
from features.tools.instants import US_PER_DAY
from models.funnel.aging_table import build_aging_table
from models.funnel.curve_table import build_curve_table
from models.funnel.cycle_table import build_cycle_table
from models.funnel.funnel_table import P80, build_funnel_table, estimate_stages, find_stuck_visits
from models.funnel.leaks import build_leak_table, find_leaks
from models.funnel.path_table import build_path_table
from models.funnel.result import FUNNEL_SCHEMAS, FunnelTables
from models.funnel.schemas import STUCK
from models.funnel.stage_cycle import build_stage_cycle
from tests.models.funnel.histories import STATES, all_leads, make_history

LAST_EVENT = "call (60%)"


def make_visits(leads=900, seed=3):
    """Return visits of leads that move on, skip, go back, are lost and stay; with amounts.

    From day 220 on fewer move on, and later.
    """
    random = np.random.default_rng(seed)
    visits = []
    for lead in range(leads):
        stage, day = 0, int(random.integers(0, 395))
        while stage < STATES.won:
            is_good = day < 220
            length = int(random.exponential(8 if is_good else 20)) + 1
            if day + length >= 400 or random.random() < 0.03:
                visits.append((lead, stage, day, None, None))
                break
            ahead = [stage + 1, min(stage + 2, STATES.won)]
            others = [4, 5, stage - 1 if stage else 4]
            is_forward = random.random() < (0.7 if is_good else 0.4)
            following = int(random.choice(ahead if is_forward else others))
            visits.append((lead, stage, day, day + length, following))
            stage, day = following, day + length
    return visits, random.integers(1, 100, leads) * 100.0


def make_tables(visits=None, value=None, ids=None, owners=("Ann", "Bob", None)):
    """Return the funnel's tables of visits at day 400; lead 0 is the first of the ids, and so on.

    Owners take turns.
    """
    if visits is None:
        visits, value = make_visits()
    history = make_history(visits, as_of=400, value=value)
    staged = estimate_stages(history, all_leads(history))
    leads = len(history.created)
    names = list(ids or ())
    names += [f"lead-{number}" for number in range(len(names), leads)]
    return FunnelTables(
        funnel=build_funnel_table(history, all_leads(history), staged),
        paths=build_path_table(history, staged.estimates),
        cycle=pa.concat_tables(
            [build_cycle_table(history, all_leads(history)), build_stage_cycle(history)]
        ),
        stuck=_list_stuck(history, staged, names, owners),
        leaks=build_leak_table(find_leaks(staged)),
        curves=build_curve_table(history.states, staged.estimates),
        aging=build_aging_table(history, staged),
        entries=FUNNEL_SCHEMAS["entries"].empty_table(),
        silence=FUNNEL_SCHEMAS["silence"].empty_table(),
    )


def _list_stuck(history, staged, names, owners):
    visits, p80 = history.paths.visits, staged.moves.quantile[:, P80]
    rows = np.flatnonzero(find_stuck_visits(history, visits.stage, p80))
    age = history.as_of - visits.start
    chance = staged.win_times.chance_ever(visits.stage, age)
    stuck = [
        {
            "entity_id": names[visits.lead[row]],
            "stage": STATES.stages[visits.stage[row]],
            "owner": owners[visits.lead[row] % len(owners)] if owners else None,
            "age_days": (history.as_of - visits.start[row]) / US_PER_DAY,
            "p80_days": p80[visits.stage[row]],
            "silent_days": 1.5 + visits.lead[row] % 7,
            "value": None if history.value is None else history.value[visits.lead[row]],
            "probability": chance[row],
            "expected_value": chance[row]
            * (1.0 if history.value is None else history.value[visits.lead[row]]),
            "moved_others": LAST_EVENT,
        }
        for row in rows
        if visits.exit[row] == OPEN
    ]
    stuck.sort(key=lambda row: (-row["expected_value"], -row["age_days"]))
    return pa.Table.from_pylist(stuck, schema=STUCK)
