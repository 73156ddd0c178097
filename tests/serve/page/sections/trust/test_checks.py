"""The checks of the night and the drift of the last nights equal the table's."""

import json

import pytest

from serve.checks.checks import CheckResult, build_check_table
from serve.checks.source_checks import SUPPRESSED_CHECK
from serve.checks.source_counts import COUNT_CHECKS
from serve.page.build import build_page
from serve.page.sections.trust.checks import build_checks
from serve.store.store import Store
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import DAY, MONDAY, a_run, ask, publish, some_scores

ALERT = "the newest row became available 4.5 days before the as-of"


def make_results(shift, stale):
    """Return the checks of a night: drift larger by ``shift``, and maybe a stale source."""
    warn = ("warn", ALERT) if stale else ("pass", None)
    return [
        CheckResult("freshness", "", "leads", 1.25, 3.0, None, "pass"),
        CheckResult("freshness", "", "events_1", 4.5 if stale else 0.5, 3.0, None, *warn),
        CheckResult("rows", "", "leads", 95.0, 90.0, 70.0, "pass"),
        CheckResult("rows_in", "", "leads", 1000.0, None, None, "pass"),
        CheckResult("form", "", "leads encoding", None, None, None, "pass", "utf-8"),
        CheckResult("moved", "close", "", None, None, None, "pass", "there is no earlier night"),
        CheckResult("later", "close", "", 1.0, None, None, "pass"),
        *(
            CheckResult(check, target, "", base + shift, warn_at, None, "pass")
            for check, base, warn_at in (
                ("drift", 0, 0.25),
                ("score_drift", 0, 0.25),
                ("mean", 1, 1.5),
            )
            for target in ("close", "opportunity")
        ),
        CheckResult("drift", "close", "employees", 0.3, 0.25, 2.0, "warn", "employees drift"),
    ]


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


@pytest.fixture
def store(tmp_path, project):
    """Return a store with three nights; the last one has a stale source and the most drift."""
    store = Store(tmp_path / "scores.db")
    for night in range(3):
        run = make_run(project, night)
        results = make_results(night / 10, night == 2)
        checks = build_check_table(results, run.run_id, run.project, run.as_of)
        publish(store, run, some_scores(run), checks)
    return store


def make_run(project, night):
    return a_run(f"r{night}", MONDAY + night * DAY, tuple(project.targets))


def build(project, store, language="en"):
    run = make_run(project, 2)
    checks = store.past_checks(project.project, run.as_of + DAY)
    return build_checks(make_data(project, run=run, language=language, checks=checks))


def test_table_has_one_line_a_check_and_warnings_first(tmp_path, project, store):
    table, _ = build(project, store).tables
    counts = ", ".join(f"'{name}'" for name in COUNT_CHECKS)
    names = ask(
        store.address,
        f"SELECT DISTINCT \"check\" FROM score_checks WHERE run_id = 'r2' "
        f'AND "check" NOT IN ({counts})',
    )
    assert len(table.rows) == len(names) == 8
    rows = {row[0]: row[1:] for row in table.rows}
    assert [row[0] for row in table.rows][:2] == ["Freshness", "Drift of the data"]
    assert rows["Freshness"][:3] == ["! warns", "4 days (events_1)", "warns above 3 days"]
    assert rows["Number of rows"][:3] == [
        "✓ in order",
        "95 (leads)",
        "warns below 90, stops below 70",
    ]
    assert rows["Changed grades"][0] == "– nothing to compare with"
    assert rows["Format of the files"][0] == "✓ in order"
    # A check of a later version keeps its name.
    assert rows["later"][:3] == ["✓ in order", "–", "–"]


def test_quoted_numbers_equal_the_tables(project, store):
    section = build(project, store)
    alerts, nights = (
        ask(store.address, query)[0][0]
        for query in (
            "SELECT COUNT(DISTINCT \"check\") FROM score_checks WHERE run_id = 'r2' "
            "AND verdict <> 'pass'",
            "SELECT COUNT(DISTINCT as_of) FROM score_checks WHERE verdict <> 'pass'",
        )
    )
    assert (alerts, nights) == (2, 3)
    # One of the eight, the changed grades, had nothing to compare with.
    assert [quote.value for quote in section.quotes] == ["5 of 7", "0 of 3"]
    assert section.quotes[0].hint == "1 more could not be made: nothing to compare with"
    assert "Tonight 2 of 7 checks warn" in section.sentence


def test_nights_with_warnings_name_their_checks_and_places(project, store):
    table = build(project, store).tables[1]
    assert table.folded
    stored = ask(
        store.address,
        "SELECT DISTINCT as_of FROM score_checks WHERE verdict <> 'pass' ORDER BY as_of DESC",
    )
    assert [row[0] for row in table.rows] == [str(as_of)[:10] for (as_of,) in stored]
    assert table.rows[0][1] == "Freshness (events_1); Drift of the data (close · employees)"
    assert table.rows[1][1] == "Drift of the data (close · employees)"


@pytest.mark.parametrize(
    ("check", "none", "some", "sentence"),
    [
        ("mean", 1.0, 1.02, "Mean probability: no difference from the training's beyond chance on"),
        ("score_drift", 0.0, 0.02, "Scores: no drift beyond chance on"),
        ("drift", 0.0, 0.02, "Features: no drift beyond chance on"),
    ],
)
def test_sentence_stands_for_a_chart_of_no_drift(project, check, none, some, sentence):
    run = make_run(project, 0)
    for observed in (none, some):
        results = [
            CheckResult(check, "close", "", none, 1.5, None, "pass"),
            CheckResult(check, "opportunity", "", observed, 1.5, None, "pass"),
        ]
        checks = build_check_table(results, run.run_id, run.project, run.as_of)
        section = build_checks(make_data(project, run=run, checks=checks))
        is_calm = observed == none
        assert [chart.name for chart in section.charts] == ([] if is_calm else [f"checks-{check}"])
        assert any(note.startswith(f"{sentence} the 1 night") for note in section.notes) == is_calm


def test_check_that_has_nothing_to_report_says_none(project):
    run = make_run(project, 0)
    result = CheckResult("gone_types", "", "", None, 0.0, 0.1, "pass", "0 of 0 silent subjects")
    checks = build_check_table([result], run.run_id, run.project, run.as_of)
    section = build_checks(make_data(project, run=run, checks=checks))
    assert section.tables[0].rows[0][1:3] == ["✓ in order", "none"]
    assert section.quotes[0].value == "1 of 1" and not section.quotes[0].hint


def test_time_of_day_without_a_number_counts_as_not_made(project):
    run = make_run(project, 0)
    result = CheckResult("time_of_day", "", "leads", None, None, None, "pass", "too few rows")
    checks = build_check_table([result], run.run_id, run.project, run.as_of)
    section = build_checks(make_data(project, run=run, checks=checks))
    assert section.quotes[0].value == "0 of 0" and "1 more" in section.quotes[0].hint


@pytest.mark.parametrize("language", ["en", "ru"])
def test_findings_are_quoted_in_english_before_the_charts(project, store, language):
    (table,) = build(project, store, language).opening
    stored = ask(
        store.address,
        "SELECT message FROM score_checks WHERE run_id = 'r2' AND verdict <> 'pass'",
    )
    (english,) = table.english
    assert {row[english] for row in table.rows} == {message for (message,) in stored}
    place = table.headings.index("where" if language == "en" else "где")
    assert {row[place] for row in table.rows} == {"events_1", "close · employees"}


def test_russian_page_marks_english_messages(project, store):
    run = make_run(project, 2)
    checks = store.past_checks(project.project, run.as_of + DAY)
    scores = store.scores(project.project, run.as_of)
    data = make_data(project, scores, run, "ru", checks=checks)
    assert f' lang="en">{ALERT}</td>' in build_page(data).decode()


def test_drift_by_night_equals_the_table(project, store):
    charts = {chart.name: chart for chart in build(project, store).charts}
    assert set(charts) == {"checks-score_drift", "checks-mean", "checks-drift"}
    for name, chart in charts.items():
        stored = ask(
            store.address,
            "SELECT as_of, target, observed, warn FROM score_checks "
            f"WHERE \"check\" = '{name.removeprefix('checks-')}' AND subject = ''",
        )
        shown = {(row["target"], row["observed"], row["warn"]) for row in chart.rows}
        assert shown == {row[1:] for row in stored}
        assert len(chart.rows) == len(chart.table.rows) == len(stored) == 6
        # The limit is drawn once; the one of a stop is far above all values, or there is none.
        assert [layer["mark"]["type"] for layer in chart.spec["layer"]][2:] == ["rule", "text"]
    assert "0.20; 0 of 3 nights" in charts["checks-drift"].summary


def test_night_without_stored_checks_says_so(project):
    section = build_checks(make_data(project))
    assert "leadscore score" in section.sentence and not section.tables and not section.charts


def test_model_without_training_distribution_is_named(project):
    run = make_run(project, 0)
    result = CheckResult("drift", "close", "", None, None, None, "pass", "train again")
    checks = build_check_table([result], run.run_id, run.project, run.as_of)
    section = build_checks(make_data(project, run=run, checks=checks))
    assert not section.charts and any("leadscore train" in note for note in section.notes)
    assert section.tables[0].rows[0][1] == "– nothing to compare with"
    assert json.dumps(section.tables[0].rows)


def test_checks_of_the_config_have_plain_names(project):
    texts = make_data(project).words.texts["checks"]
    names = {*type(project.checks).model_fields} - {"nights"} | {"champion", "form", "names"}
    names |= {"reading", "probabilities", SUPPRESSED_CHECK}
    assert {f"name_{name}" for name in names} <= set(texts)
    assert {f"watch_{name}" for name in names} <= set(texts)
