"""The forecast of activity, from the config to the scorer."""

import numpy as np
import pytest

from configs.schema import load_project
from features.contracts import ACTIVITY, ACTIVITY_SPAN
from models.training.train import train_scorer
from pipelines.runner import read_clock
from pipelines.training.train import build_settings
from pipelines.training_data import build_training_rows, load_snapshot
from tests.pipelines.tiny import LITTLE, write


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    """Return the snapshot of one company without and with the key."""
    found = []
    for changes in ({}, {"learning": {"activity": True}}):
        folder = tmp_path_factory.mktemp("tiny")
        write(folder, **LITTLE, **changes)
        project = load_project(str(folder / "company.yaml"))
        found.append(load_snapshot(project, None, read_clock()))
    return found


def test_activity_is_counted_only_where_the_config_asks(snapshots):
    without, asked = (build_training_rows(snapshot, "buy").labels for snapshot in snapshots)
    assert ACTIVITY not in without.column_names
    events = snapshots[1].dataset.events.to_pylist()
    rows = np.random.default_rng(0).choice(asked.num_rows, 40, replace=False)
    for row in asked.take(rows).to_pylist():
        end = row["cutoff"] + ACTIVITY_SPAN
        week = [
            event
            for event in events
            if event["entity_id"] == row["entity_id"]
            and event["event_type"] != "bought"
            and row["cutoff"] <= event["event_time"]
            and event["available_at"] < end
        ]
        assert row[ACTIVITY] == len(week)


def test_scorer_with_activity_explains_its_margin(snapshots):
    models = []
    for snapshot in snapshots:
        rows = build_training_rows(snapshot, "buy")
        settings = build_settings(snapshot, "buy", lambda line: None)
        scorer = train_scorer(rows.matrix, rows.labels, settings).scorer
        models.append(scorer.timing)
    assert models[0].activity is None and models[1].activity is not None
    x = scorer.encoding.encode(rows.matrix)
    parts = models[1].contributions(x)
    np.testing.assert_allclose(parts.sum(axis=1), models[1].margin(x), atol=1e-9)
