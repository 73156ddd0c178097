"""The rows of the sources and the last nights equal the tables of checks and runs."""

from datetime import timedelta

import pytest

from features.contracts import EVENTS, LEADS, Dataset, SourceCount
from features.intake.quarantine import NOT_QUARANTINED, REASONS
from features.readings.source_form import FormEntry
from features.score_tables import SCORE_CHECKS
from serve.checks.checks import build_check_table
from serve.checks.source_checks import check_sources
from serve.page.sections.trust.data_health import build_data_health
from serve.store.store import Store
from tests.serve.page.pages import CONFIG, make_data, make_project
from tests.serve.samples import DAY, MONDAY, a_run, ask, do, publish, some_scores

COUNTS = (
    SourceCount(
        "events_1",
        1300,
        1000,
        skipped=200,
        suppressed=60,
        quarantined={"duplicate": 30, "no id": 10},
        form=(
            FormEntry("time_format", "at", "iso", "proven"),
            FormEntry("time_format", "known", "iso", "proven"),
            FormEntry("encoding", "", "windows-1251", "proven"),
        ),
        warnings=("amount: 3 of 9 cells are no numbers",),
    ),
    SourceCount("leads", 7, 7),
)
ROW_QUERY = """SELECT subject, observed FROM score_checks
WHERE run_id = 'r3' AND "check" = '{}' ORDER BY subject"""


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


@pytest.fixture
def store(tmp_path, project):
    """Return a store with four nights, of which the second was refused."""
    store = Store(tmp_path / "scores.db")
    data = Dataset(LEADS.empty_table(), EVENTS.empty_table(), COUNTS, "f")
    for night in range(4):
        run = make_run(project, night)
        results = check_sources(data, run.as_of, SCORE_CHECKS.empty_table(), project.checks)
        checks = build_check_table(results, run.run_id, run.project, run.as_of)
        publish(store, run, some_scores(run), checks)
    do(store.address, "UPDATE score_runs SET status = 'refused', rows = NULL WHERE run_id = 'r1'")
    return store


def make_run(project, night):
    at = MONDAY + night * DAY
    started = at + timedelta(days=1)
    return a_run(f"r{night}", at, tuple(project.targets), started_at=started)


def build(project, store, language="en", night=3):
    run = make_run(project, night)
    checks = store.past_checks(project.project, run.as_of + timedelta(seconds=1))
    data = make_data(
        project, run=run, language=language, checks=checks, runs=store.runs(project.project)
    )
    return build_data_health(data)


def test_rows_equal_the_table_and_add_up(project, store):
    table = build(project, store).tables[0]
    kinds = ("rows_in", "rows_used", "rows_not_yet", "rows_suppressed")
    stored = [dict(ask(store.address, ROW_QUERY.format(kind))) for kind in kinds]
    aside = dict(ask(store.address, ROW_QUERY.format("quarantined")))
    assert aside == {"events_1 duplicate": 30, "events_1 no id": 10}
    assert [row[0] for row in table.rows] == ["events_1 (events.csv)", "leads (leads.csv)"]
    for named, *cells in table.rows:
        source = named.split()[0]
        numbers = [int(cell.replace(",", "")) for cell in cells[:5]]
        mine = sum(rows for subject, rows in aside.items() if subject.startswith(f"{source} "))
        assert numbers == [*(int(each[source]) for each in stored), mine]
        assert numbers[0] == sum(numbers[1:])


@pytest.mark.parametrize(
    ("language", "reason", "part"),
    [("en", "the same row again", "dates"), ("ru", "повтор той же строки", "даты")],
)
def test_reasons_forms_and_doubts_are_told(project, store, language, reason, part):
    _, reasons, forms, doubts, _ = build(project, store, language).tables
    assert reasons.rows[0] == ["events_1 (events.csv)", reason, "30"]
    assert ["events_1 (events.csv)", part, "iso", "at, known"] in [list(row) for row in forms.rows]
    assert ["events_1", "amount: 3 of 9 cells are no numbers"] in doubts.rows
    assert doubts.english == {1}


def test_repeated_rows_are_counted_apart_from_faults(project, store):
    section = build(project, store)
    repeated, bad, read = (
        round(ask(store.address, f"SELECT SUM(observed) FROM score_checks WHERE {where}")[0][0])
        for where in (
            "run_id = 'r3' AND \"check\" = 'quarantined' AND subject LIKE '% duplicate'",
            "run_id = 'r3' AND \"check\" = 'quarantined' AND subject NOT LIKE '% duplicate'",
            "run_id = 'r3' AND \"check\" = 'rows_in'",
        )
    )
    share = f"{100 * bad / read:.2f}%"
    assert section.sentence.startswith(
        f"Nothing stops: {bad} rows ({share}) were really bad and {repeated} were repeated rows."
    )
    assert section.quotes[1].hint.endswith(f"{bad} bad, {repeated} repeated")


def test_addresses_and_folders_of_sources_are_not_shown(tmp_path):
    events = CONFIG["sources"]["events"][0]
    places = ["s3://bucket/secret/log.csv", "deep/folder/log.csv"]
    sources = CONFIG["sources"] | {"events": [events | {"path": path} for path in places]}
    project = make_project(tmp_path, sources=sources)
    counts = tuple(SourceCount(f"events_{i}", 5, 5) for i in (1, 2, 3))
    data = Dataset(LEADS.empty_table(), EVENTS.empty_table(), counts, "f")
    run = make_run(project, 0)
    results = check_sources(data, run.as_of, SCORE_CHECKS.empty_table(), project.checks)
    checks = build_check_table(results, run.run_id, run.project, run.as_of)
    table = build_data_health(make_data(project, run=run, checks=checks)).tables[0]
    assert [row[0] for row in table.rows] == ["events_1", "events_2 (log.csv)", "events_3"]


def test_nights_equal_the_ledger(project, store):
    section = build(project, store)
    assert "3 of the last 4 nights were published" in section.sentence
    rows = section.tables[-1].rows
    assert section.tables[-1].headings[0] == "night (UTC)"
    for night, row in zip((3, 2, 1, 0), rows, strict=True):
        status, scores = ask(
            store.address,
            f"SELECT MIN(status), SUM(rows) FROM score_runs WHERE run_id = 'r{night}'",
        )[0]
        assert status in row[1] and row[2] == ("–" if scores is None else str(scores))
        assert row[4] == "close 7, opportunity 7"


def test_page_of_a_past_night_knows_no_later_one(project, store):
    assert "1 of the last 2 nights" in build(project, store, night=1).sentence


def test_night_tried_twice_counts_once(project, store):
    again = a_run("again", make_run(project, 1).as_of, tuple(project.targets))
    publish(store, again, some_scores(again))
    section = build(project, store)
    assert "4 of the last 4 nights" in section.sentence and len(section.tables[-1].rows) == 4


def test_night_of_an_earlier_version_says_that_counts_are_missing(project):
    section = build_data_health(make_data(project))
    assert "earlier version" in section.sentence and not section.tables and not section.quotes


def test_reasons_of_quarantine_have_words(project):
    rows = {reason: 1 for reason in REASONS if reason not in NOT_QUARANTINED}
    count = SourceCount("leads", len(rows), 0, quarantined=rows)
    data = Dataset(LEADS.empty_table(), EVENTS.empty_table(), (count,), "f")
    run = make_run(project, 0)
    results = check_sources(data, run.as_of, SCORE_CHECKS.empty_table(), project.checks)
    checks = build_check_table(results, run.run_id, run.project, run.as_of)
    section = build_data_health(make_data(project, run=run, language="ru", checks=checks))
    told = [row[1] for row in section.tables[1].rows]
    assert len(told) == len(rows) and all(text and not text.isascii() for text in told)
