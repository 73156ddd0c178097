"""The funnel on real logs, as known in the past, beside what became of the leads in the end.

The tests print a table of our estimates and of the plain figures that others show.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from configs.schema import load_project
from features.paths.states import list_funnel_states
from features.paths.visits import OPEN, find_paths
from features.tools.instants import US_PER_DAY, to_microseconds
from models.funnel.cycle_table import LOSS, build_cycle_table
from models.funnel.win_times import estimate_win_times
from models.survival.incidence import summarize_incidence
from models.survival.stays import CENSORED, count_stays
from pipelines.funnel.funnel import build_history
from pipelines.funnel.segments import take_all_leads
from pipelines.runner import read_clock
from pipelines.training_data import cut_snapshot, read_dataset

CONFIGS = Path(__file__).parents[3] / "configs"
DATA = os.environ.get("LEADSCORE_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="LEADSCORE_DATA is not set")
MONTH = 30 * US_PER_DAY


def read_company(name, workspace):
    """Return project, states, and the whole data set."""
    project = load_project(CONFIGS / f"{name}.yaml")
    dataset = read_dataset(project, read_clock(), workspace)
    return project, list_funnel_states(project), dataset


def history_at(project, states, dataset, as_of):
    return build_history(cut_snapshot(project, dataset, as_of, read_clock()), states)


def estimate_with_losses_censored(history):
    """Return the share won within 30 days by Kaplan and Meier's estimator: a known mistake."""
    spells = history.list_spell_stays(np.zeros(len(history.paths.spells.lead), np.int64))
    mistaken = replace(spells, exit=np.where(spells.exit == LOSS, CENSORED, spells.exit))
    questions = (1, 1, np.array([MONTH]), np.array([0.5]))
    return summarize_incidence(count_stays(mistaken), *questions).within[0, 0, 0]


def format_row(name, values):
    return f"{name:36}" + "".join(f"{value:>12}" for value in values)


def write_table(title, lines):
    sys.stdout.write("\n".join(["", title, *lines, ""]))


def test_bpi2012_share_approved_within_30_days(tmp_path, capsys):
    project, states, dataset = read_company("bpi2012", tmp_path)
    final = find_paths(dataset, project, states).spells
    columns = []
    for as_of in ("2011-12-01", "2012-01-15"):
        history = history_at(project, states, dataset, as_of)
        spells = history.paths.spells
        entered = final.start < history.as_of
        truth = np.mean(
            (final.exit == states.won) & (final.end - final.start < MONTH), where=entered
        )
        (row,) = build_cycle_table(history, take_all_leads(len(history.created))).to_pylist()
        won, closed = spells.exit == states.won, spells.exit != OPEN
        plain = [won.mean(), won.sum() / closed.sum(), estimate_with_losses_censored(history)]
        columns.append([as_of, truth, row["win_by_30"], *plain])
        assert len(spells.exit) == pytest.approx({0: 5337, 1: 8766}[len(columns) - 1], abs=5)
    names = ("as of", "truth", "ours", "approved so far / submitted", "approved / closed")
    lines = [
        format_row(name, [v if isinstance(v, str) else f"{v:.1%}" for v in values])
        for name, values in zip(
            (*names, "losses as censored"), zip(*columns, strict=True), strict=True
        )
    ]
    with capsys.disabled():
        write_table("BPI2012, approved within 30 days of the submission", lines)
    for _, truth, ours, so_far, _, censored in columns:
        assert abs(ours - truth) <= 0.007
        assert abs(so_far - truth) > abs(ours - truth)
        assert censored > 2 * truth


def test_olist_median_days_to_a_win(tmp_path, capsys):
    project, states, dataset = read_company("olist", tmp_path)
    final = find_paths(dataset, project, states).spells
    recorded = to_microseconds(project.targets["close"].observed_from)
    lines, errors = [format_row("as of", ["finally", "ours", "won so far", "its bias"])], {}
    for as_of in ("2018-03-01", "2018-04-01", "2018-05-01"):
        history = history_at(project, states, dataset, as_of)
        (row,) = build_cycle_table(history, take_all_leads(len(history.created))).to_pylist()
        own = (final.start >= recorded) & (final.start < history.as_of)
        won = own & (final.exit == states.won)
        truth = np.median(final.end[won] - final.start[won]) / US_PER_DAY
        naive = row["p50"] * (1 + row["bias_of_naive"])
        figures = [f"{days:.1f} d" for days in (truth, row["p50"], naive)]
        lines.append(format_row(as_of, [*figures, f"{row['bias_of_naive']:+.0%}"]))
        errors[as_of] = (row["p50"] / truth - 1, naive / truth - 1)
    with capsys.disabled():
        write_table("Olist, median days from the contact to the win", lines)
    ours, naive = errors["2018-05-01"]
    assert abs(ours) <= 0.2
    assert naive < -0.2
    for ours, naive in errors.values():
        assert abs(ours) < abs(naive)


def test_bpi2012_open_applications_approved_in_the_next_30_days(tmp_path, capsys):
    project, states, dataset = read_company("bpi2012", tmp_path)
    final = find_paths(dataset, project, states).spells
    rows, open_chances, open_wins = [], [], []
    for as_of in ("2011-12-15", "2012-01-01", "2012-01-15", "2012-02-01", "2012-02-12"):
        history = history_at(project, states, dataset, as_of)
        visits = history.paths.visits
        own = np.flatnonzero(visits.exit == OPEN)
        age = history.as_of - visits.start[own]
        chance = estimate_win_times(history).chance_within(visits.stage[own], age, MONTH)
        until = history.as_of + MONTH
        is_won = (final.exit == states.won) & (final.end >= history.as_of) & (final.end < until)
        wins = np.isin(visits.lead[own], final.lead[is_won])
        rows.append([as_of, f"{chance.sum():.0f}", f"{wins.sum()}"])
        open_chances.append(chance)
        open_wins.append(wins)
    errors = [c.sum() / w.sum() - 1 for c, w in zip(open_chances, open_wins, strict=True)]
    chance, wins = np.concatenate(open_chances), np.concatenate(open_wins)
    lines = [
        format_row(name, values)
        for name, values in zip(("as of", "ours", "truth"), zip(*rows, strict=True), strict=True)
    ]
    edges = [0.1, 0.3, 0.5]
    for band in range(len(edges) + 1):
        own = np.digitize(chance, edges) == band
        lines.append(
            f"chance {chance[own].mean():4.0%}: won {wins[own].mean():4.0%} of {own.sum()}"
        )
        assert abs(chance[own].mean() - wins[own].mean()) < 0.06
    with capsys.disabled():
        write_table("BPI2012, open applications approved in the next 30 days", lines)
    assert np.mean(np.abs(errors)) < 0.065
