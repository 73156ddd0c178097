"""What is told about promised and realised outcomes equals the report of outcomes."""

from datetime import timedelta

import pytest

from pipelines.json_output.nightly import OutcomesOutput
from serve.checks.checks import build_check_table
from serve.page.build import build_page
from serve.page.sections.trust.promised import build_promised
from serve.store.store import Store
from tests.browser import PHONE, open_file
from tests.serve.page.pages import make_data, make_project
from tests.serve.page.sections.trust.test_checks import make_results
from tests.serve.samples import DAY, MONDAY, a_run, publish, some_scores


def make_part(used, leads, expected, actual, low, high, **more):
    ratio = {"value": actual / expected, "low": low, "high": high, "n": used}
    part = {"used": used, "leads": leads, "leads_with_outcome": actual, "too_small": False}
    part |= {"expected": expected, "actual": actual, "metrics": {"actual_to_expected": ratio}}
    return part | more


def make_report(**changed):
    """Return a report of outcomes of one target; the second month came short of its promise."""
    target = {
        "as_of": "2025-07-07T02:00:00+00:00",
        "observed": "2025-07-07T01:00:00+00:00",
        "rows": {
            "published": 930,
            "used": 912,
            "immature": 18,
            "unknown": 0,
            "unknown_because": {},
        },
        "nights_left_out": {},
        "first_mature": "2025-07-20T04:30:00+00:00",
        "all": None,
        "weeks": {},
        "months": {
            "2025-03": make_part(412, 412, 96.4, 91, 0.81, 1.19),
            "2025-04": make_part(500, 130, 80.2, 41, 0.4, 0.7, immature=6),
            "2025-05": {"used": 0, "immature": 12},
        },
        "grades": {"A": make_part(50, 50, 25.0, 24, 0.8, 1.1)},
        "grade_order": [
            {
                "better": "A",
                "worse": "B",
                "rates": [0.1, 0.2],
                "published": [0.3, 0.2],
                "difference": {"value": -0.1, "low": -0.2, "high": -0.01, "n": 100},
                "reversed": True,
                "certain": True,
                "short": True,
            }
        ],
        "stages": {},
        "lists": {},
        "versions": {
            "1": make_part(912, 470, 176.6, 132, 0.6, 1.0),
            "2": {"used": 0, "immature": 18},
        },
        "without_promise": [],
        "warnings": [],
        "champion": "2",
        "recommendation": {"retrain": False, "reasons": [], "doubts": []},
        "handovers": [],
    }
    report = {"targets": {"close": target | changed}}
    OutcomesOutput.model_validate(report)
    return report


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


def make_run(night=0, targets=("close",)):
    return a_run(f"r{night}", MONDAY + night * DAY, targets)


def build(project, report, language="en", **fields):
    data = make_data(project, run=make_run(), language=language, outcomes=report, **fields)
    return build_promised(data)


def test_number_to_quote_is_that_of_the_newest_month_with_mature_scores(project):
    section = build(project, make_report())
    # 80.2 times 0.4 and 0.7.
    assert (
        "close, April 2025: 500 scores of 130 leads (one each week) promised 80 outcomes, 41 came "
        "(by chance it could have been 32 to 56) – fewer than promised."
    ) in section.sentence
    (quote,) = section.quotes
    assert (quote.value, quote.hint) == ("41 of 80", "90% range 32–56")


def test_leads_that_count_once_are_told_as_leads(project):
    months = {"2025-03": make_part(412, 412, 96.4, 91, 0.81, 1.19)}
    section = build(project, make_report(months=months))
    # 96.4 times 0.81 and 1.19.
    assert (
        "close, March 2025: 412 leads promised 96 outcomes, 91 came "
        "(by chance it could have been 78 to 115) – as promised."
    ) in section.sentence


def test_russian_counts_agree_with_their_number(project):
    months = {"2025-03": make_part(421, 421, 96.4, 91, 0.81, 1.19)}
    section = build(project, make_report(months=months), "ru")
    assert "close, март 2025 года: 421 лид обещал исходов: 96, сбылось 91" in section.sentence


def test_more_than_promised_is_told(project):
    months = {"2025-03": make_part(412, 412, 50.0, 91, 1.4, 2.2)}
    assert "more than promised" in build(project, make_report(months=months)).sentence


def test_chart_and_tables_equal_the_report(project):
    report = make_report()["targets"]["close"]
    section = build(project, make_report())
    (chart,) = section.charts
    assert [row["month"] for row in chart.rows] == ["2025-03", "2025-04"]
    for row in chart.rows:
        part = report["months"][row["month"]]
        ratio = part["metrics"]["actual_to_expected"]
        assert (row["expected"], row["actual"]) == (part["expected"], part["actual"])
        assert row["low"] == pytest.approx(ratio["low"] * part["expected"])
        assert row["high"] == pytest.approx(ratio["high"] * part["expected"])
    assert "1 of 2 months" in chart.summary
    assert list(chart.table.rows[2]) == ["May 2025", "0", "–", "–", "–", "–", "12"]
    grades, versions = section.tables
    assert list(grades.rows[0]) == ["close", "A", "50", "50.0%", "48.0%"]
    assert list(versions.rows[0]) == ["close", "1", "912", "176.6", "132", "106.0", "176.6", "0"]
    assert list(versions.rows[1])[2:] == ["0", "–", "–", "–", "–", "18"]


def test_limits_are_told(project):
    notes = " ".join(build(project, make_report()).notes)
    assert "18 scores are too young" in notes and "complete through 2025-07-20" in notes
    assert "grade A did worse than grade B (more than chance explains)" in notes


def test_range_that_is_not_known_is_left_out(project):
    months = {"2025-03": make_part(3, 3, 0.1, 0, None, None)}
    section = build(project, make_report(months=months))
    assert "0 came – as promised" in section.sentence and section.quotes[0].hint == ""


@pytest.mark.parametrize("language", ["en", "ru"])
def test_first_day_and_command_are_named_before_any_report(project, tmp_path, language):
    store = Store(tmp_path / "scores.db")
    for night in (0, 1):
        publish(store, make_run(night))
    section = build(project, None, language, runs=store.runs("acme"))
    notes = " ".join(section.notes)
    # The horizon is 30 days, the first night 7 July.
    assert "2025-08-06" in notes and "leadscore outcomes" in notes
    assert not section.quotes and not section.charts and not section.tables


def test_first_day_is_that_of_the_report_before_a_score_is_mature(project):
    young = {"2025-05": {"used": 0, "immature": 18}}
    versions = {"2": {"used": 0, "immature": 18}}
    section = build(
        project, make_report(months=young, grades={}, grade_order=[], versions=versions)
    )
    assert section.sentence.startswith("Nothing can be compared yet")
    assert any("2025-07-20" in note for note in section.notes) and not section.charts


@pytest.mark.parametrize(
    ("nights", "language", "text"),
    [(30, "en", "since 2025-08-06, but `leadscore outcomes` has not"), (30, "ru", "с 2025-08-06"),
     (29, "en", "Nothing can be compared yet")],
)  # fmt: skip
def test_warning_says_that_outcomes_could_be_compared(project, tmp_path, nights, language, text):
    store = Store(tmp_path / "scores.db")
    publish(store, make_run(0))
    run, runs = make_run(nights), store.runs("acme")
    section = build_promised(make_data(project, run=run, language=language, runs=runs))
    assert text in section.sentence
    assert section.sentence.startswith("! close") == (nights == 30)
    assert any("2025-08-06" in note for note in section.notes) == (nights == 29)


def test_warning_says_that_the_report_is_too_old(project):
    months = {"2025-05": {"used": 0, "immature": 18}}
    report = make_report(months=months, grades={}, grade_order=[])
    for night, is_overdue in ((13, False), (14, True)):
        data = make_data(project, run=make_run(night), outcomes=report)
        # The first score of the report is known from 20 July, 04:30, the first night is 7 July.
        assert ("since 2025-07-20" in build_promised(data).sentence) == is_overdue
    # It has run since, but the data was not complete.
    report["targets"]["close"]["as_of"] = "2025-07-21T00:00:00+00:00"
    data = make_data(project, run=make_run(14), outcomes=report)
    assert build_promised(data).sentence.startswith("Nothing can be compared yet")


def test_report_of_an_earlier_version_has_no_months(project):
    report = make_report()
    del report["targets"]["close"]["months"]
    section = build(project, report)
    assert not section.charts and any("has no months" in note for note in section.notes)


def test_page_of_a_past_night_says_that_outcomes_are_later(project, tmp_path):
    store = Store(tmp_path / "scores.db")
    publish(store, make_run(0))
    runs = store.runs("acme")
    newest = build(project, make_report(as_of="2025-07-09T04:30:00+00:00"), runs=runs)
    assert "Outcomes as known on 2025-07-09 04:30 UTC." in newest.notes
    publish(store, make_run(1))
    runs = store.runs("acme")
    past = build(project, make_report(as_of="2025-07-09T04:30:00+00:00"), runs=runs)
    assert any("known on 2025-07-09 04:30 UTC, later than the page" in note for note in past.notes)
    older = build(project, make_report(as_of="2025-07-01T04:30:00+00:00"), runs=runs)
    assert "Outcomes as known on 2025-07-01 04:30 UTC." in older.notes


@pytest.mark.server
def test_browser_draws_outcomes_checks_and_data(project, tmp_path, browser):
    store, run = Store(tmp_path / "scores.db"), make_run(0, tuple(project.targets))
    for night in (-2, -1, 0):
        each = make_run(night, tuple(project.targets))
        results = make_results(0.3 + night / 10, night == 0)
        checks = build_check_table(results, each.run_id, "acme", each.as_of)
        publish(store, each, some_scores(each), checks)
    data = make_data(
        project,
        store.scores("acme", run.as_of),
        run,
        "ru",
        runs=store.runs("acme"),
        checks=store.past_checks("acme", run.as_of + timedelta(seconds=1)),
        outcomes=make_report(),
    )
    file = tmp_path / "index.html"
    file.write_bytes(build_page(data))
    with open_file(browser, file, PHONE) as opened:
        for name in ("promised", "checks", "data_health"):
            section = opened.page.locator(f"#{name}")
            charts = section.locator("[data-chart]")
            assert section.locator("[data-chart] svg").count() == charts.count()
        for summary in opened.page.locator("#checks details > summary").all():
            summary.click()
        assert opened.page.locator("#checks table").last.is_visible()
        assert opened.complaints == [] and opened.find_violations() == []
