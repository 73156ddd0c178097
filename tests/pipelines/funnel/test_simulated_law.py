"""The demo company: intervals hold the truth, and shares are right where plain ratios are not.

The truth of an as-of is the share among all leads of a far larger company of the same law, followed
to the end. The full attack takes 10 seeds and 20 as-ofs.
"""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from configs.schema import load_project
from features.contracts import EVENTS, Dataset
from features.paths.states import list_funnel_states
from features.paths.visits import OPEN
from features.tools.instants import US_PER_DAY, to_microseconds
from models.funnel.cycle_table import build_cycle_table
from models.funnel.funnel_table import build_funnel_table, estimate_stages
from models.funnel.moves import mark_moves
from models.funnel.win_times import estimate_win_times, number_spells
from models.survival.incidence import summarize_incidence
from models.survival.stays import count_stays
from pipelines.funnel.funnel import build_history
from pipelines.funnel.segments import take_all_leads
from pipelines.simulated.company import END
from pipelines.simulated.simulate import simulate_block
from pipelines.training_data import Snapshot

FULL = os.environ.get("LEADSCORE_ATTACK", "") not in ("", "0")
SEEDS, AS_OFS, TRUTH_BLOCKS = (10, 20, 40) if FULL else (1, 6, 3)
FIRST = datetime(2024, 7, 1, tzinfo=UTC)
MONTH = 30 * US_PER_DAY
PROJECT = load_project(Path(__file__).parents[3] / "configs" / "demo.yaml")
STATES = list_funnel_states(PROJECT)


@pytest.fixture(scope="module")
def whole():
    """Return the history of a large company, followed to the end."""
    return history_at(simulate(1, TRUTH_BLOCKS), END)


def simulate(seed, blocks, leads=5000):
    """Return the clean data set of a simulated company."""
    parts = [simulate_block(seed, number, leads) for number in range(blocks)]
    tables = [pa.concat_tables(pieces) for pieces in zip(*parts, strict=True)]
    return Dataset(tables[0], tables[1].select(EVENTS.names), (), "simulated")


def history_at(dataset, as_of):
    cut = dataset.cut_at(as_of)
    return build_history(Snapshot(PROJECT, cut, as_of, as_of, as_of), STATES)


def list_as_ofs():
    """Return as-ofs whose visits are all followed for a month in the whole data."""
    last = END - timedelta(days=31)
    return [FIRST + (last - FIRST) * k / (AS_OFS - 1) for k in range(AS_OFS)]


def list_truths(whole, as_of):
    """Return by stage the share of the visits begun before the as-of that move on in 30 days."""
    visits, now = whole.paths.visits, to_microseconds(as_of)
    own = visits.start < now
    shares = {}
    for number, stage in enumerate(STATES.stages):
        at_stage = own & (visits.stage == number)
        moved = mark_moves(number, visits.exit, STATES.won) & (visits.end - visits.start <= MONTH)
        shares[stage] = moved[at_stage].mean()
    return shares


def estimate_median(history):
    """Return the median days of the wins within the time observed, for very many leads."""
    stays = history.list_spell_stays(np.zeros(len(history.paths.spells.lead), np.int64))
    questions = (1, 2, np.array([MONTH]), np.array([0.5]))
    return summarize_incidence(count_stays(stays), *questions).quantile[0, 0, 0] / US_PER_DAY


def estimate_shares(history):
    """Return by stage the estimated share that moves on within 30 days, and the plain ratio."""
    visits = history.paths.visits
    stays = history.list_visit_stays(visits.stage)
    questions = (len(STATES.stages), len(STATES.names), np.array([MONTH]), np.array([0.5]))
    within = summarize_incidence(count_stays(stays), *questions).within[:, 0]
    moved = mark_moves(visits.stage, visits.exit, STATES.won)
    return {
        stage: (within[number, number + 1 : STATES.won + 1].sum(), moved[own].mean())
        for number, stage in enumerate(STATES.stages)
        for own in [visits.stage == number]
    }


def test_shares_are_right_where_plain_ratios_are_not(capsys, whole):
    """Estimates of a large company's past as-ofs, against what became of the same leads."""
    ours, plain = [], []
    for as_of in list_as_ofs():
        estimates = estimate_shares(whole.cut_at(to_microseconds(as_of)))
        for stage, truth in list_truths(whole, as_of).items():
            ours.append(estimates[stage][0] / truth - 1)
            plain.append(estimates[stage][1] / truth - 1)
    with capsys.disabled():
        sys.stdout.write(
            f"\ndemo company, {len(whole.created):,} leads × {AS_OFS} as-ofs: bias of the share "
            f"that moves on in 30 days {np.mean(ours):+.2%}, of moved on / entered "
            f"{np.mean(plain):+.1%}\n"
        )
    assert abs(np.mean(ours)) < 0.01
    assert abs(np.mean(plain)) > 0.05


def test_intervals_hold_the_truth(capsys, whole):
    held = {"stages": [], "cycle": []}
    truths = {as_of: list_truths(whole, as_of) for as_of in list_as_ofs()}
    medians = {as_of: estimate_median(whole.cut_at(to_microseconds(as_of))) for as_of in truths}
    for seed in range(100, 100 + SEEDS):
        small = history_at(simulate(seed, 1, 3000), END)
        every = take_all_leads(len(small.created))
        for as_of, shares in truths.items():
            history = small.cut_at(to_microseconds(as_of))
            staged = estimate_stages(history, every)
            for row in build_funnel_table(history, every, staged).to_pylist():
                low, high = row["advanced_30d_low"], row["advanced_30d_high"]
                held["stages"].append(low <= shares[row["stage"]] <= high)
            (row,) = build_cycle_table(history, every).to_pylist()
            held["cycle"].append(row["p50_low"] <= medians[as_of] <= row["p50_high"])
    coverage = {name: np.mean(hits) for name, hits in held.items()}
    with capsys.disabled():
        sys.stdout.write(
            f"\ndemo company, {SEEDS} seeds × {AS_OFS} as-ofs: intervals hold the truth in "
            f"{coverage['stages']:.1%} (stages) and {coverage['cycle']:.1%} (cycle)\n"
        )
    slack = 0.0 if FULL else 0.15
    for share in coverage.values():
        assert 0.85 - slack <= share <= 0.95 + slack


def list_open_visits(whole, history):
    """Return the rows of the open visits of a history, and whether each is won within 30 days."""
    rows = np.flatnonzero(history.paths.visits.exit == OPEN)
    # In the whole history the visits that began later come after those of the same lead.
    begun = np.flatnonzero(whole.paths.visits.start < history.as_of)
    spell, spells = number_spells(whole)[begun[rows]], whole.paths.spells
    is_won = (spells.exit[spell] == STATES.won) & (spells.end[spell] < history.as_of + MONTH)
    return rows, is_won


def test_open_leads_are_won_as_often_as_estimated(capsys, whole):
    """Chances given stage and age, against those of a new lead in the stage, and the wins."""
    columns = []
    for as_of in list_as_ofs():
        history = whole.cut_at(to_microseconds(as_of))
        rows, is_won = list_open_visits(whole, history)
        stage = history.paths.visits.stage[rows]
        age = history.as_of - history.paths.visits.start[rows]
        times = estimate_win_times(history)
        chances = [times.chance_within(stage, days, MONTH) for days in (age, np.zeros_like(age))]
        columns.append(np.stack([*chances, is_won, stage, age / US_PER_DAY]))
    ours, new, won, stage, days = np.concatenate(columns, axis=1)
    groups = [stage == number for number in range(len(STATES.stages))]
    groups += [days < 30, (days >= 30) & (days < 120), days >= 120]
    errors = [abs(ours[own].sum() / won[own].sum() - 1) for own in groups]
    bias, plain = (chance.sum() / won.sum() - 1 for chance in (ours, new))
    with capsys.disabled():
        sys.stdout.write(
            f"\ndemo company, {len(won):,} open leads of {AS_OFS} as-ofs, {won.sum():,.0f} "
            f"of them won in 30 days: estimated {bias:+.1%}, at most {max(errors):.0%} off by "
            f"stage or age; without the age {plain:+.0%}\n"
        )
    assert abs(bias) < (0.015 if FULL else 0.04)
    assert max(errors) < (0.06 if FULL else 0.15)
    assert plain > 0.5
