"""Plots have the same bytes each time, and accept any input that a training has."""

import sys

import numpy as np
from matplotlib.image import imread

from models.evaluation.metrics import Estimate, compute_gain_curve
from models.evaluation.plots import (
    plot_distribution,
    plot_gain,
    plot_importance,
    plot_origins,
    plot_reliability,
)

NAMES = ("reliability", "gain", "importance", "distribution", "origins")


def rows(count: int = 400):
    generator = np.random.default_rng(0)
    probability = 1 / (1 + np.exp(-generator.normal(-2, 1, count)))
    return (generator.random(count) < probability).astype(int), probability, np.arange(count) // 2


def draw_all(directory, count: int = 400):
    label, probability, entity = rows(count)
    cutoff = np.arange(count) % 4
    return [
        plot_reliability(directory, label, probability, entity),
        plot_gain(
            directory,
            *compute_gain_curve(label, probability, cutoff=cutoff, capacity=20),
            capacity=20,
        ),
        plot_importance(directory, ["any_count_7d", "stage_age"], [0.3, 0.5]),
        plot_distribution(directory, label, probability),
        plot_origins(directory, [(f"2025-0{fold}-01", fold_figures(fold)) for fold in (1, 2, 3)]),
    ]


def fold_figures(fold: int) -> dict[str, Estimate]:
    """Return figures that move from fold to fold, one of them undefined."""
    names = ("roc_auc", "log_loss", "outcome_rate", "mean_predicted")
    figures = {
        name: Estimate(0.5 + fold / 10, 0.4 + fold / 10, 0.6 + fold / 10, 100) for name in names
    }
    return figures | {"lift_at_capacity": Estimate(np.nan, np.nan, np.nan, 0)}


def ink(path) -> float:
    """Share of a picture that is not white."""
    return float((imread(path)[..., :3].min(axis=2) < 0.99).mean())


def test_plots_have_same_bytes_for_same_input(tmp_path):
    first, second = draw_all(tmp_path / "a"), draw_all(tmp_path / "b")
    assert [path.name for path in first] == [f"{name}.png" for name in NAMES]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert all(0.02 < ink(path) < 0.6 for path in first)


def test_plots_leave_global_state_alone(tmp_path):
    before = "matplotlib.pyplot" in sys.modules
    plot_importance(tmp_path, ["stage_age"], [0.5])
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_plots_accept_single_row(tmp_path):
    assert all(path.is_file() for path in draw_all(tmp_path, 1))


def test_plots_accept_single_class(tmp_path):
    _, probability, entity = rows()
    assert plot_gain(tmp_path, *compute_gain_curve(np.zeros(400), probability)).is_file()
    assert plot_reliability(tmp_path, np.zeros(400), probability, entity).is_file()
    assert plot_distribution(tmp_path, np.zeros(400), probability).is_file()


def test_origins_plot_skips_folds_without_metrics(tmp_path):
    assert plot_origins(tmp_path, [("1", {}), ("2", fold_figures(1))]).is_file()
    assert plot_origins(tmp_path, []).is_file()


def test_feature_names_are_drawn_as_plain_text(tmp_path):
    names = ["revenue_$_to_$_sum", r"a_\frac{", "отрасль", "x" * 200]
    assert plot_importance(tmp_path, names, [1, 2, 3, 4], title="$a$_b").is_file()


def test_equal_importance_is_ordered_by_name(tmp_path):
    first = plot_importance(tmp_path / "a", ["a", "b"], [1, 1]).read_bytes()
    assert first == plot_importance(tmp_path / "b", ["b", "a"], [1, 1]).read_bytes()
