"""The demo company: intervals hold the truth, and shares are right where plain ratios are not.

The truth of an as-of is the share among all leads of a far larger company of the same law, followed
to the end. The full attack takes 10 seeds and 20 as-ofs.
"""

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from configs.schema import load_project
from features.contracts import EVENTS, Dataset
from features.paths.states import list_funnel_states
from features.paths.visits import OPEN
from features.tools.instants import NEVER_US, US_PER_DAY, to_microseconds
from models.funnel.cycle_table import build_cycle_table
from models.funnel.funnel_table import build_funnel_table, estimate_stages
from models.funnel.history import estimate_groups
from pipelines.funnel.funnel import build_history
from pipelines.funnel.segments import take_all_leads
from pipelines.simulated.company import END
from pipelines.simulated.simulate import simulate_block
from pipelines.training_data import Snapshot

FULL = os.environ.get("LEADSCORE_ATTACK", "") not in ("", "0")
SEEDS, AS_OFS, TRUTH_BLOCKS = (10, 20, 40) if FULL else (2, 5, 4)
FIRST = datetime(2024, 7, 1, tzinfo=UTC)
MONTH = 30 * US_PER_DAY
PROJECT = load_project(Path(__file__).parents[3] / "configs" / "demo.yaml")
STATES = list_funnel_states(PROJECT)


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
    """Return what the shares and the median of a large company are, and the median's limit.

    The share of a stage is that of the visits begun before the as-of. The median refers to the
    wins within the time that was observed, which the estimator itself says of so many leads.
    """
    visits, now = whole.paths.visits, to_microseconds(as_of)
    own = visits.start < now
    shares = {}
    for number, stage in enumerate(STATES.stages):
        at_stage = own & (visits.stage == number)
        advanced = (visits.exit == number + 1) & (visits.end - visits.start <= MONTH)
        shares[stage] = advanced[at_stage].mean()
    return shares


def estimate_median(history):
    group = np.zeros(len(history.paths.spells.lead), np.int64)
    stays = history.list_spell_stays(group)
    return estimate_groups(stays, 1, 2).point.quantile[0, 0, 1]


def cut_history(whole, as_of):
    """Return a history as known at an earlier as-of, without reading its data again."""
    now = to_microseconds(as_of)
    visits, spells = whole.paths.visits, whole.paths.spells

    def cut(part):
        begun = part.start < now
        columns = {name: column[begun] for name, column in vars(part).items()}
        lasts = columns["end"] >= now
        columns["exit"] = np.where(lasts, OPEN, columns["exit"])
        return type(part)(**{**columns, "end": np.where(lasts, NEVER_US, columns["end"])})

    paths = type(whole.paths)(cut(visits), cut(spells))
    return replace(whole, paths=paths, as_of=now, observed_until=now)


def test_intervals_hold_the_truth(capsys):
    whole = history_at(simulate(1, TRUTH_BLOCKS), END)
    every = take_all_leads(len(whole.created))
    truths = {as_of: list_truths(whole, as_of) for as_of in list_as_ofs()}
    medians = {as_of: estimate_median(cut_history(whole, as_of)) for as_of in truths}
    held = {"stages": [], "cycle": []}
    ours, plain = [], []
    for seed in range(100, 100 + SEEDS):
        small = history_at(simulate(seed, 1, 3000), END)
        every = take_all_leads(len(small.created))
        for as_of, shares in truths.items():
            history = cut_history(small, as_of)
            table = build_funnel_table(history, every, estimate_stages(history, every))
            for row in table.to_pylist():
                truth = shares[row["stage"]]
                low, high = row["advanced_30d_low"], row["advanced_30d_high"]
                held["stages"].append(low <= truth <= high)
                ours.append(row["advanced_30d"] / truth - 1)
                plain.append(row["advanced"] / row["entered"] / truth - 1)
            (row,) = build_cycle_table(history, every).to_pylist()
            held["cycle"].append(row["p50_low"] <= medians[as_of] <= row["p50_high"])
    coverage = {name: np.mean(hits) for name, hits in held.items()}
    noise = 2 * np.std(ours) / np.sqrt(SEEDS * len(STATES.stages))
    with capsys.disabled():
        sys.stdout.write(
            f"\ndemo company, {SEEDS} seeds × {AS_OFS} as-ofs: intervals hold the truth in "
            f"{coverage['stages']:.1%} (stages) and {coverage['cycle']:.1%} (cycle); bias of the "
            f"share that advances {np.mean(ours):+.2%}, of advanced / entered {np.mean(plain):+.1%}\n"
        )
    slack = 0.0 if FULL else 0.12
    for share in coverage.values():
        assert 0.85 - slack <= share <= 0.95 + slack
    assert abs(np.mean(ours)) < 0.01 + noise
    assert abs(np.mean(plain)) > 0.05
