"""Sections on models show the numbers of the stored evaluation, and say where there is none."""

import dataclasses
from datetime import UTC
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from models.evaluation.gate import GATE_TAG, PASSED, REFUSED
from models.evaluation.record import (
    RecordedEstimate,
    RecordedSegment,
    RecordedTest,
    ReliabilityBin,
)
from models.evaluation.segment_kinds import SegmentModel, SegmentReason
from models.registry.records import RegisteredVersion
from serve.page.build import build_training_page
from serve.page.content.evaluated import TrainingContents
from serve.page.content.words import PageWords
from serve.page.sections.models.champions import build_champions
from serve.page.sections.models.importance import build_importance
from serve.page.sections.models.model_metrics import build_model_metrics
from serve.page.sections.models.segment_models import build_segment_models
from serve.page.sections.trust.capacity import build_capacity
from serve.page.sections.trust.gate_verdict import build_gate_verdict
from serve.page.sections.trust.reliability import build_reliability
from serve.page.sections.trust.suspects import build_suspects
from serve.store.store import Store
from tests.models.stored_evaluation import make_evaluation
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import DAY, MONDAY, a_run, ask, publish

LIKELY_FIRST = "puts likely leads first (0.5 is chance, 1 is perfect)"
OF_MODELS = (
    build_reliability,
    build_capacity,
    build_gate_verdict,
    build_suspects,
    build_model_metrics,
    build_importance,
)


def show(build, language="en", **fields):
    """Return a section of a made-up evaluation with fields replaced, and the evaluation."""
    record = dataclasses.replace(make_evaluation(), **fields)
    words = PageWords.load(language, UTC)
    return build(TrainingContents(words, {record.target: record})), record


def test_reliability_shows_each_bin_with_a_share():
    section, record = show(build_reliability)
    (chart,) = section.charts
    shown = [
        [row[k] for k in ("predicted", "observed", "low", "high", "rows")] for row in chart.rows
    ]
    assert shown == [
        [part.predicted, part.observed, part.low, part.high, part.n]
        for part in record.reliability
        if part.observed is not None
    ]
    assert chart.table.rows == [
        ["10.0%", "10.0%", "0.0%–20.0%", "45"],
        ["40.0%", "–", "–––", "45"],
    ]


def test_means_are_quoted_with_their_rows():
    rate, mean = RecordedEstimate(0.25, 0.2, 0.3, 1234), RecordedEstimate(0.26, None, None, 1234)
    section, _ = show(build_reliability, metrics={"outcome_rate": rate, "mean_predicted": mean})
    assert [(quote.value, quote.hint) for quote in section.quotes] == [
        ("26.0%", "1,234 tested rows"),
        ("25.0%", "20.0% to 30.0%, 1,234 tested rows"),
    ]


@pytest.mark.parametrize(
    ("bins", "text"),
    [
        ([(0.1, 0.05, 0.2), (0.587, 0.448, 0.568)],
         "close: 1 of 2 groups are off; furthest the top group: promised 58.7%, 50.8% came "
         "(44.8%–56.8%)."),
        ([(0.1, 0.2, 0.3), (0.3, 0.31, 0.4), (0.5, 0.4, 0.6)],
         "close: 2 of 3 groups are off; furthest the lowest group: promised 10.0%, 25.0% came"),
        ([(0.1, 0.1, 0.3), (0.3, 0.5, 0.7), (0.5, 0.4, 0.6)],
         "close: 1 of 3 groups are off; furthest group 2, counted from the lowest: promised 30.0%"),
        ([(0.1, 0.1, 0.2), (0.3, 0.2, 0.3)],
         "close: all 2 groups keep their promise"),
    ],
)  # fmt: skip
def test_verdict_compares_each_promise_with_its_interval(bins, text):
    parts = tuple(ReliabilityBin(p, (low + high) / 2, low, high, 9) for p, low, high in bins)
    section, _ = show(build_reliability, reliability=parts)
    assert text in section.sentence


def test_bins_without_an_interval_give_no_verdict():
    section, _ = show(build_reliability, reliability=(ReliabilityBin(0.4, None, None, None, 5),))
    assert "close:" not in section.sentence


def test_outcomes_among_the_best_fifth_are_quoted():
    gain = ((0.0, 0.0), (0.1, 0.3), (0.21, 0.45), (0.5, 0.8), (1.0, 1.0))
    section, _ = show(build_capacity, gain=gain, gain_at_capacity=(0.1, 0.3))
    assert section.quotes[0].value == "45%"
    assert section.quotes[0].hint == "by working the best 21% of the leads"
    assert [row["reached"] for row in section.charts[0].rows] == [0.0, 0.3, 0.45, 0.8, 1.0]


@pytest.mark.parametrize(("capacity", "best"), [(1200, "1,200 best leads"), (None, "best tenth")])
def test_capacity_for_nearly_all_leads_is_no_selection(capacity, best):
    for worked, is_selection in ((0.899, True), (0.9, False), (1.0, False)):
        section, _ = show(build_capacity, capacity=capacity, gain_at_capacity=(worked, 1.0))
        assert best in section.notes[0]
        assert ("is no selection" not in section.notes[0]) == is_selection


def test_gate_shows_number_and_limit_of_each_test():
    tests = (
        RecordedTest("enough data", True, RecordedEstimate(452, 452, 452, 9), 30, None, ""),
        RecordedTest("ranks", False, RecordedEstimate(0.5, 0.48, 0.52, 9), 0.5, None, ""),
        RecordedTest(
            "calibrated in spread", True, RecordedEstimate(1.0, 0.9, 1.1, 9), 0.7, 1.3, ""
        ),
        RecordedTest("of later", True, RecordedEstimate(None, None, None, 0), None, None, ""),
    )
    gate = dataclasses.replace(make_evaluation().gate, passed=False, tests=tests)
    section, _ = show(build_gate_verdict, gate=gate)
    assert [row[1:] for row in section.tables[0].rows] == [
        ["✓ passed", "452", "at least 30", "9"],
        ["✗ failed", "0.500 (0.480–0.520)", "above 0.500", "9"],
        ["✓ passed", "1.00 (0.90–1.10)", "0.70 to 1.30", "9"],
        ["– not applicable", "not measured", "–", "–"],
    ]
    assert section.tables[0].rows[3][0] == "of later"
    assert section.notes[0].startswith("close: refused; it failed: puts likely leads first")


def test_test_without_a_measure_is_not_counted_as_passed():
    none = RecordedEstimate(None, None, None, 0)
    sentence = "not worse than the champion: there is no champion yet"
    tests = (
        RecordedTest("ranks", True, RecordedEstimate(0.7, 0.6, 0.8, 9), 0.5, None, "ranks: AUC"),
        RecordedTest("not worse than the champion", True, none, -0.005, None, sentence),
    )
    gate = dataclasses.replace(make_evaluation().gate, tests=tests)
    section, _ = show(build_gate_verdict, gate=gate)
    assert section.notes[0] == (
        "close: passed the 1 test that was measured. "
        "Nothing to measure yet: not worse than the model before it."
    )
    full = section.tables[1]
    assert [row[1] for row in full.rows] == ["ranks: AUC", sentence] and full.english == {1}


def test_suspects_are_listed_or_said_to_be_none():
    section, record = show(build_suspects)
    assert section.tables[0].rows == [["rating", "left out", record.suspects[0].evidence]]
    section, _ = show(build_suspects, suspects=())
    assert not section.tables
    assert section.notes == ["close: none found among the columns that the config offers."]


def test_learners_are_compared_where_they_rank():
    section, record = show(
        build_model_metrics,
        baselines={
            "base_rate": {"roc_auc": RecordedEstimate(None, None, None, 90)},
            "hazard": {"roc_auc": RecordedEstimate(0.7, 0.6, 0.8, 90)},
        },
    )
    assert [row["auc"] for row in section.charts[0].rows] == [0.7]
    cells = {row[0]: row[1] for row in section.charts[0].table.rows}
    assert cells == {
        "average rate for everyone": "–",
        "survival trees": "0.700 (0.600–0.800)",
    }
    assert section.tables[0].rows[0][:3] == ["2024-03-01", "90", "20"]
    assert "lowest log loss" in section.notes[0]
    assert record.trained_as_of[:10] in section.notes[1]
    assert "with 1 of 2 features; 2 of them contribute" in section.notes[1]


NO_GAIN = RecordedEstimate(None, None, None, 0)
SEGMENTS = (
    RecordedSegment("farm", "own", "better", 900, 300, 400, 150, "own",
                    RecordedEstimate(0.0213, 0.011, 0.0319, 400),
                    RecordedEstimate(-0.0021, -0.01, 0.005, 90)),
    RecordedSegment("bank", "global", "not_better", 800, 200, 300, 120, "recalibrated",
                    RecordedEstimate(0.001, -0.002, 0.004, 300), NO_GAIN),
    RecordedSegment("(not in training)", "global", "unseen", 0, 0, 0, 0, None, NO_GAIN, NO_GAIN),
)  # fmt: skip


def test_segments_show_their_model_gain_and_reason():
    section, _ = show(build_segment_models, segment_by="industry", segments=SEGMENTS)
    (table,) = section.tables
    assert table.caption == "close: models by industry"
    assert [list(row) for row in table.rows] == [
        ["farm", "its own", "300", "150", "+0.0213 (0.0110…0.0319)", "−0.0021 (−0.0100…0.0050)",
         "better beyond chance"],
        ["bank", "of all leads", "200", "120", "+0.0010 (−0.0020…0.0040)", "–",
         "of all leads, corrected: not better beyond chance"],
        ["(not in training)", "of all leads", "0", "0", "–", "–",
         "values that the training did not see"],
    ]  # fmt: skip
    assert section.notes[0].startswith("close: another model predicts farm;")
    section, _ = show(build_segment_models, segments=SEGMENTS[1:])
    assert section.notes[0] == "close: the model of all leads predicts every kind."


def test_leads_of_no_segment_are_named_in_the_language_of_the_page():
    section, _ = show(build_segment_models, "ru", segment_by="industry", segments=SEGMENTS)
    names = [row[0] for row in section.tables[0].rows]
    assert names == ["farm", "bank", "(не было при обучении)"]


def test_models_without_segments_have_no_section():
    assert show(build_segment_models)[0] is None


@pytest.mark.parametrize("language", ["en", "ru"])
def test_models_and_reasons_have_words(language):
    words = PageWords.load(language, UTC).texts["segment_models"]
    assert {f"model_{name}" for name in get_args(SegmentModel)} <= set(words)
    assert {f"why_{name}" for name in get_args(SegmentReason)} <= set(words)


def test_importance_adds_up_by_group():
    section, record = show(build_importance)
    total = sum(part.mean_absolute_log_odds for part in record.importance)
    shares = {row["group"]: row["share"] for row in section.charts[0].rows}
    assert shares == pytest.approx(
        {"what the lead does": 0.5 / total, "who the lead is": 0.1 / total}
    )
    assert section.quotes[0].value == "83%"
    assert [row[0] for row in section.tables[0].rows] == ["the a", "the b"]


@pytest.mark.parametrize("build", OF_MODELS)
def test_targets_without_evaluation_are_named(tmp_path, build):
    project = make_project(tmp_path)
    notes = build(make_data(project)).notes
    assert [target for target in project.targets if any(target in note for note in notes)] == [
        "close",
        "opportunity",
    ]


@pytest.mark.parametrize("build", [build_reliability, build_model_metrics])
def test_single_target_without_evaluation_is_named_once(tmp_path, build):
    project = make_project(tmp_path)
    notes = build(make_data(project, evaluations={"close": make_evaluation()})).notes
    assert [note for note in notes if "`leadscore train`" in note] == [
        note for note in notes if "opportunity" in note
    ]
    assert sum("opportunity" in note for note in notes) == 1


@pytest.mark.parametrize("language", ["en", "ru"])
def test_report_of_a_training_is_a_page(tmp_path, language):
    words = PageWords.load(language, ZoneInfo("Europe/Berlin"))
    text = build_training_page(make_evaluation(), make_project(tmp_path), words).decode()
    assert "Content-Security-Policy" in text
    assert "close" in text


def test_versions_show_the_nights_that_they_scored(tmp_path):
    project = make_project(tmp_path)
    store = Store(tmp_path / "scores.db")
    for night, version in enumerate(["7", "7", "8"]):
        run = dataclasses.replace(
            a_run(f"r{night}", MONDAY + night * DAY), models={"close": version}
        )
        publish(store, run)
    # Published again, by another version: the night counts for that one.
    publish(store, dataclasses.replace(a_run("r9", MONDAY + DAY), models={"close": "8"}))
    later = dataclasses.replace(a_run("r10", MONDAY + 9 * DAY), models={"close": "9"})
    publish(store, later)
    tags = {"as_of": "2025-07-01T00:00:00+00:00"}
    versions = [
        RegisteredVersion("close", 8, "x", tags | {GATE_TAG: PASSED}, (), ""),
        RegisteredVersion("close", 6, "x", tags | {GATE_TAG: REFUSED}, (), ""),
    ]
    run = dataclasses.replace(a_run("r2", MONDAY + 2 * DAY), models={"close": "8"})
    ranks = RecordedTest("ranks", False, RecordedEstimate(0.5, 0.4, 0.6, 9), 0.5, None, "")
    gate = dataclasses.replace(make_evaluation().gate, passed=False, tests=(ranks,))
    refused = dataclasses.replace(make_evaluation(), gate=gate)
    versions.append(RegisteredVersion("close", 5, "x", tags | {GATE_TAG: REFUSED}, (), ""))
    refusals = {"close": {"6": refused}}
    data = make_data(project, run=run, versions={"close": versions}, refusals=refusals)
    section = build_champions(dataclasses.replace(data, runs=store.runs(project.project)))
    assert section.tables[0].rows == [
        ["8", "2025-07-01", "✓ passed", "–", "2", "2025-07-08 – 2025-07-09"],
        ["7", "–", "–", "–", "1", "2025-07-07"],
        ["6", "2025-07-01", "✗ refused", LIKELY_FIRST, "0", "–"],
        ["5", "2025-07-01", "✗ refused", "–", "0", "–"],
    ]
    query = "SELECT count(DISTINCT as_of) FROM score_runs WHERE as_of < '2025-07-10'"
    assert ask(f"sqlite:///{tmp_path / 'scores.db'}", query) == [(3,)]
