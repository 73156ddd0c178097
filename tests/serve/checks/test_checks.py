"""Check results: verdicts on both sides of a limit, and errors with target, count and example."""

from datetime import timedelta

import pyarrow as pa
import pytest

from configs.checks import DurationLimits, Limits
from configs.errors import NotFitToPublish
from features.score_tables import SCORE_CHECKS
from serve.checks.checks import (
    FIXES,
    CheckResult,
    build_check_table,
    judge_value,
    pass_unchecked,
    raise_on_stop,
    report_worst,
    select_alerts,
)
from serve.checks.score_checks import check_any_scored, check_probabilities
from tests.serve.samples import MONDAY


def frame(*rows):
    names = ["entity_id", "probability_low", "probability", "probability_high"]
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})


def test_valid_scores_pass_also_with_an_empty_target():
    frames = {
        "a": frame(("x", 0.0, 0.5, 1.0), ("y", 0.1, 0.1, 0.1)),
        "b": frame(("x", 0.2, 0.3, 0.4)).slice(1),
    }
    assert not select_alerts(
        [
            *check_any_scored(frames),
            *(one for name in frames for one in check_probabilities(name, frames[name])),
        ]
    )


def test_checks_stop_without_any_scored_entity():
    with pytest.raises(NotFitToPublish, match="0 rows"):
        raise_on_stop(check_any_scored({"a": frame(("x", 0.0, 0.5, 1.0)).slice(1)}))


@pytest.mark.parametrize(
    "row",
    [
        ("bad", 0.6, 0.5, 0.7),
        ("bad", 0.1, 0.5, 0.4),
        ("bad", 0.1, 0.5, 1.1),
        ("bad", -0.1, 0.5, 0.6),
        ("bad", 0.1, float("nan"), 0.6),
        ("bad", None, 0.5, 0.6),
    ],
)
def test_probability_outside_its_interval_stops(row):
    with pytest.raises(
        NotFitToPublish, match="1 rows outside their interval or outside 0 to 1, such as 'bad'"
    ):
        raise_on_stop(check_probabilities("a", frame(("x", 0.0, 0.5, 1.0), row)))


def test_repeated_entity_stops():
    with pytest.raises(NotFitToPublish, match="twice"):
        raise_on_stop(check_probabilities("a", frame(("x", 0.0, 0.5, 1.0), ("x", 0.0, 0.5, 1.0))))


@pytest.mark.parametrize(
    ("observed", "limits", "verdict"),
    [
        (0.2, Limits(warn=0.2, stop=0.5), "pass"),
        (0.21, Limits(warn=0.2, stop=0.5), "warn"),
        (0.51, Limits(warn=0.2, stop=0.5), "stop"),
        (0.51, Limits(warn=None, stop=0.5), "stop"),
        (0.49, Limits(warn=None, stop=0.5), "pass"),
        (9e9, Limits(warn=0.2, stop=None), "warn"),
        (9e9, Limits(warn=None, stop=None), "pass"),
        (1.5, DurationLimits(warn=timedelta(days=1), stop=timedelta(days=2)), "warn"),
        (2.5, DurationLimits(warn=timedelta(days=1), stop=timedelta(days=2)), "stop"),
    ],
)
def test_verdict_changes_beyond_a_limit(observed, limits, verdict):
    found = judge_value("drift", "a", "size", observed, limits, "why")
    assert (found.verdict, found.message) == (verdict, None if verdict == "pass" else "why")


def test_stop_error_shows_first_finding_and_names_others():
    stop, limits = "bad", Limits(warn=0.1, stop=0.2)
    checks = [
        pass_unchecked("drift", "a", "fine"),
        judge_value("missing", "a", "size", 0.15, limits, "only a warning"),
        judge_value("rows", "", "events_1", 0.4, limits, stop),
        judge_value("missing", "a", "country", 0.5, limits, stop),
        judge_value("score_drift", "b", "", 0.5, limits, stop),
    ]
    with pytest.raises(NotFitToPublish) as refusal:
        raise_on_stop(checks)
    text = str(refusal.value)
    assert text.count("\n") == 1 and refusal.value.exit_code == 5
    assert (
        "the check rows stops [events_1]: bad; 2 more: missing of country, score_drift of b" in text
    )
    assert "or raise checks.rows.stop" in text
    assert (
        next(str(one) for one in select_alerts(checks))
        == "warn: missing of a · size: only a warning"
    )
    raise_on_stop(checks[:2])


def test_worst_results_are_limited_and_summarized():
    limits = Limits(warn=0.5, stop=8.5)
    found = [judge_value("drift", "a", f"f{i}", float(i), limits, "far") for i in range(10)]
    named = report_worst("drift", "a", found, limits, "features")
    assert [one.subject for one in named] == ["f9", "f8", "f7", "f6", "f5", ""]
    assert [one.verdict for one in named] == ["stop", *["warn"] * 4, "pass"]
    assert named[-1].observed == 9.0 and named[-1].message == "9 of 10 features; the largest is f9"
    assert report_worst("drift", "a", [], limits, "features")[0].observed is None


def test_stop_precedes_larger_warning():
    one = CheckResult("drift", "a", "light", 9.0, 0.2, 2.0, "warn", "far")
    two = CheckResult("drift", "a", "heavy", 3.0, 0.2, 2.0, "stop", "far")
    assert [
        each.subject for each in report_worst("drift", "a", [one, two], Limits(), "features")
    ] == [
        "heavy",
        "light",
        "",
    ]


def test_check_table_has_contract_schema():
    checks = [
        judge_value("rows", "", "leads", 3.0, Limits(warn=1, stop=None), "odd"),
        pass_unchecked("drift", "a", "fine"),
    ]
    table = build_check_table(checks, "r1", "acme", MONDAY)
    assert table.schema.equals(SCORE_CHECKS)
    first = table.to_pylist()[0]
    assert (
        first["as_of"] == MONDAY
        and first["verdict"] == "warn"
        and first["warn"] == 1
        and first["stop"] is None
    )


def test_fixes_cover_all_configured_checks():
    from configs.checks import Checks

    assert set(Checks.model_fields) - {"nights"} <= set(FIXES)
