"""Feature selection: signal stays among noise, and only pilot rows are read."""

import numpy as np

from models.training import selection
from models.training.selection import MAX_FEATURES, select_strongest_features


def table(rows, noise, seed=1):
    """Return two informative columns, at places 3 and the last; the rest is noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, noise))
    x[:, -1] = rng.integers(0, 4, rows)
    y = (rng.random(rows) < 1 / (1 + np.exp(2 - 1.5 * x[:, 3] - (x[:, -1] == 2)))).astype(np.int64)
    return x, y


def test_few_features_are_all_selected():
    x, y = table(300, MAX_FEATURES)
    assert select_strongest_features(x.__getitem__, y, [], 0).tolist() == list(range(MAX_FEATURES))


def test_informative_features_are_selected_among_hundreds():
    x, y = table(4_000, MAX_FEATURES + 300)
    selected = select_strongest_features(x.__getitem__, y, [x.shape[1] - 1], 0)
    assert len(selected) == MAX_FEATURES and selected.tolist() == sorted(set(selected.tolist()))
    assert {3, x.shape[1] - 1} <= set(selected.tolist())


def test_selection_is_reproducible_and_depends_on_the_labels():
    x, y = table(2_000, MAX_FEATURES + 100)
    assert (
        select_strongest_features(x.__getitem__, y, [], 0).tolist()
        == select_strongest_features(x.__getitem__, y, [], 0).tolist()
    )
    assert (
        select_strongest_features(x.__getitem__, y, [], 0).tolist()
        != select_strongest_features(x.__getitem__, 1 - y[::-1], [], 0).tolist()
    )


def test_selection_reads_only_the_pilot_rows(monkeypatch):
    monkeypatch.setattr(selection, "MAX_PILOT_ROWS", 500)
    x, y = table(2_000, MAX_FEATURES + 100)
    read = []

    def read_rows(rows):
        read.append(rows)
        return x[rows]

    selected = select_strongest_features(read_rows, y, [], 0)
    (pilot,) = read
    assert len(pilot) == 500 and pilot[0] == 0 and pilot[-1] == 1_999
    assert (
        selected.tolist()
        == select_strongest_features(x[pilot].__getitem__, y[pilot], [], 0).tolist()
    )


def test_activity_adds_the_features_that_forecast_it():
    x, y = table(4_000, MAX_FEATURES + 300)
    random = np.random.default_rng(2)
    activity = random.poisson(np.exp(0.5 * x[:, 7])).astype(float)
    # Counts of unfinished weeks are unknown, and must not be read as none.
    activity[-500:] = np.nan
    categorical = [x.shape[1] - 1]
    alone = select_strongest_features(x.__getitem__, y, categorical, 0)
    selected = select_strongest_features(x.__getitem__, y, categorical, 0, activity=activity)
    assert 7 not in alone
    assert {3, 7, x.shape[1] - 1} <= set(selected.tolist()) and len(selected) == MAX_FEATURES


def test_activity_of_none_changes_no_selection():
    x, y = table(2_000, MAX_FEATURES + 100)
    reference = select_strongest_features(x.__getitem__, y, [], 0).tolist()
    for silent in (np.zeros(len(y)), np.full(len(y), np.nan)):
        assert (
            select_strongest_features(x.__getitem__, y, [], 0, activity=silent).tolist()
            == reference
        )
