"""Metric tables fit a terminal, and are the same as Markdown."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from models.evaluation.metrics import Estimate
from models.evaluation.sliced_metrics import SliceMetrics
from models.learners.kinds import MODELS_BY_NAME
from models.segments.segment_rows import SegmentRow, SegmentSize
from models.training.settings import CANDIDATES
from pipelines.commands.options import WIDTH_WITHOUT_TERMINAL
from pipelines.reports import terminal
from pipelines.reports.markdown import render_markdown_table, render_training_markdown
from pipelines.reports.metric_tables import (
    METRIC_LABELS,
    build_challenger_table,
    build_learner_table,
    build_segment_table,
    build_slice_table,
    describe_row_counts,
)

NARROW = 100
NAN = float("nan")
ROWS = {"rows": 5000, "mature": 4200, "immature": 800, "positive": 310}


def figures(seed):
    """Return an estimate of each metric shown, as wide as possible; seed 0 has no slope."""
    rng = np.random.default_rng(seed)
    metrics = {key: Estimate(0.4567, 0.2345, 0.8765, 1000) for key in METRIC_LABELS}
    wide = ("calibration_error", "calibration_slope", "calibration_intercept")
    metrics |= {key: Estimate(*(-9.0 + rng.random(3)).round(3).tolist(), 1000) for key in wide}
    return metrics | ({"calibration_slope": Estimate(NAN, NAN, NAN, 1000)} if seed == 0 else {})


@pytest.fixture
def learners():
    return {name: figures(seed) for seed, name in enumerate(MODELS_BY_NAME)}


def text_of(part, width):
    text = io.StringIO()
    Console(file=text, width=width, highlight=False).print(part)
    return text.getvalue().splitlines()


def printed(rows, width=NARROW):
    return text_of(terminal.render_table(rows), width)


@pytest.mark.parametrize("chosen", [kind.name for kind in CANDIDATES])
def test_training_tables_fit_a_narrow_terminal(learners, chosen):
    for rows in (
        build_challenger_table(learners[chosen], True),
        build_learner_table(learners, chosen),
    ):
        assert len(printed(rows)) == len(rows)


def test_challenger_table_has_each_metric_with_its_interval(learners):
    some = {
        key: figure
        for key, figure in learners["hazard"].items()
        if key != "value_captured_at_capacity"
    }
    head, *rows = build_challenger_table(some, True)
    assert head == ["out of time (90 % interval)", "challenger"]
    assert build_challenger_table(some, False) == [
        ["random folds (90 % interval)", "challenger"],
        *rows,
    ]
    assert [row[0] for row in rows] == [name for key, name in METRIC_LABELS.items() if key in some]
    assert rows[0] == ["ROC AUC", "0.457 (0.234–0.876)"]


def test_learner_table_marks_the_chosen_learner(learners):
    head, *rows = build_learner_table(learners, "hazard")
    assert head == ["learner", "ROC AUC", "log loss", "avg. precision", "cal. error", "cal. slope"]
    assert [row[0] for row in rows] == [
        "LightGBM",
        "hazard (chosen)",
        "logistic",
        "blend",
        "encoding",
        "by segment",
        "naive Bayes",
        "base rate",
    ]
    slope = learners["hazard"]["calibration_slope"].value
    error = learners["hazard"]["calibration_error"].value
    assert rows[1][1:] == ["0.457 (0.234–0.876)"] * 2 + ["0.457", f"{error:.3f}", f"{slope:.3f}"]
    assert rows[0][-1] == "–"


def test_slice_table_fits_the_width_of_a_file(learners):
    parts = {
        "other_publicities": SliceMetrics(1352, 900, 147, learners["blend"]),
        "email": SliceMetrics(4, 4, 1),
    }
    rows = build_slice_table("origin", parts)
    assert [row[:3] for row in rows[1:]] == [
        ["other_publicities", "1,352", "147"],
        ["email", "4", "1"],
    ]
    assert rows[2][3:] == ["too small"] and rows[1][3] == "0.457 (0.234–0.876)"
    assert len(printed(rows, WIDTH_WITHOUT_TERMINAL)) == len(rows)


def test_markdown_table_has_equal_columns_in_each_line(learners):
    lines = render_markdown_table(build_learner_table(learners, "blend"))
    assert {line.count("|") for line in lines} == {7} and "blend (chosen)" in lines[5]


SEGMENT_ROWS = (
    SegmentRow(
        "farm", "own", "better", SegmentSize(900, 1300, 400, 150), "own",
        Estimate(0.0213, 0.011, 0.0319, 400), Estimate(-0.0021, -0.01, 0.005, 90),
    ),
    SegmentRow("(not in training)", "global", "unseen"),
)  # fmt: skip


def test_segment_table_has_gain_and_reason():
    assert build_segment_table(SEGMENT_ROWS)[1:] == [
        ["farm", "own", "1,300", "150", "+0.0213 (+0.0110 to +0.0319)",
         "-0.0021 (-0.0100 to +0.0050)", "lower log loss beyond noise"],
        ["(not in training)", "global", "0", "0", "–", "–", "not in the training rows"],
    ]  # fmt: skip


@pytest.mark.parametrize("timed", [True, False])
def test_training_is_the_same_in_terminal_and_markdown(learners, timed):
    project = SimpleNamespace(
        project="acme", timed=timed, ordered=timed, follows_up=lambda target: timed
    )
    trained = SimpleNamespace(learner="hazard", folds=[{}, {}], segments=())
    version, figures = SimpleNamespace(number=3, run_id="0f3c"), learners["hazard"]
    done = SimpleNamespace(
        target="buy",
        rows=ROWS,
        metrics=figures,
        baselines=learners,
        trained=trained,
        segments=SEGMENT_ROWS,
        version=version,
        error=None,
    )
    text = render_training_markdown(project, [done])
    page = text_of(terminal.render_training(project, done), WIDTH_WITHOUT_TERMINAL)
    for table in (
        build_challenger_table(figures, timed),
        build_learner_table(learners, "hazard"),
        build_segment_table(SEGMENT_ROWS),
    ):
        assert "\n".join(["", *render_markdown_table(table)]) in text
        assert all(any(row[0] in line and row[1] in line for line in page) for row in table)
    for text_part in (
        describe_row_counts(ROWS, timed),
        "version 3 passed the gate and is the champion",
    ):
        assert text_part in text and text_part in " ".join(page)


def test_row_counts_describe_the_use_of_immature_rows():
    head = "5,000 rows: 4,200 mature with 310 outcomes, 800 immature "
    assert (
        describe_row_counts(ROWS, followed=True)
        == head + "(trained on as far as they were followed, never counted as negative)"
    )
    assert (
        describe_row_counts(ROWS, followed=False) == head + "(not used, never counted as negative)"
    )
