"""What is new since the night before, and the week's work, against SQL on the scores database."""

import pytest

from pipelines.page.gather import gather_page_data
from serve.page.content.parts import LeadCell
from serve.page.sections.night_changes import MAX_LEADS, build_night_changes
from serve.store.store import Store
from tests.serve.page.nights import FIRST_NIGHT, publish_nights
from tests.serve.page.pages import make_project
from tests.serve.samples import a_run, ask, publish

NEW_BEST = "grade = 'A' AND coalesce(previous_grade, '') <> 'A'"
FALLEN = "(coalesce(grade > previous_grade, 0) OR falling_since IS NOT NULL)"
CAPACITY = {"per_week": 5, "explore": 0.2}


@pytest.fixture
def night(tmp_path):
    """Return a function that publishes nights and returns the section and a query function."""

    def build(nights=3, **keys):
        project = make_project(tmp_path, timezone="Asia/Tokyo", **keys)
        store = Store(tmp_path / "scores.db")
        run = publish_nights(store, project, nights)
        address = f"sqlite:///{tmp_path / 'scores.db'}"
        section = build_night_changes(gather_page_data(project, store, run))
        return section, lambda text: ask(address, text)

    return build


def test_numbers_and_captions_equal_the_table(night):
    section, query = night(capacity=CAPACITY)
    ((new, fallen, listed, explored),) = query(
        f"""SELECT sum({NEW_BEST}), sum({FALLEN}), count(listed), sum(listed = 'explore')
            FROM scores WHERE run_id = 'r2'"""
    )
    assert [quote.value for quote in section.quotes] == [
        str(number) for number in (new, fallen, listed, explored)
    ]
    captions = [table.caption for table in section.tables]
    for caption, number in zip(captions, (new, fallen, explored, listed), strict=True):
        assert f": {number}." in caption


def test_tables_hold_the_best_leads_and_those_that_fell_furthest(night):
    section, query = night(capacity=CAPACITY)
    for table, condition, order in zip(
        section.tables,
        (NEW_BEST, FALLEN, "listed = 'explore'"),
        ('"rank", target', 'coalesce(trend, 0), "rank", target', '"rank", target'),
        strict=False,
    ):
        expected = query(
            f"""SELECT target, entity_id, owner, grade, previous_grade, score, probability
                FROM scores WHERE run_id = 'r2' AND {condition}
                ORDER BY {order} LIMIT {MAX_LEADS}"""
        )
        assert [row[0] for row in table.rows] == [LeadCell(row[0], row[1]) for row in expected]
        for found, cells in zip(table.rows, expected, strict=True):
            assert found[2] == (cells[2] or "without a sales person")
            changed = cells[4] and cells[4] != cells[3]
            assert found[3] == (f"{cells[3]} (was {cells[4]})" if changed else cells[3])
            assert found[4].split()[0] == str(cells[5])
            assert found[5] == f"{100 * cells[6]:.1f}%"


def test_work_is_counted_by_target_and_owner(night):
    section, query = night(capacity=CAPACITY)
    # The last night is that of July 2 in Tokyo; a review on this day is due.
    assert FIRST_NIGHT.day == 30
    expected = query(
        f"""SELECT coalesce(owner, 'without a sales person'), target, count(listed),
                   sum(coalesce(listed = 'explore', 0)), sum({NEW_BEST}), sum({FALLEN}),
                   sum(coalesce(date(review_at, '+9 hours')
                                <= '2025-07-02', 0))
            FROM scores WHERE run_id = 'r2'
            GROUP BY target, owner ORDER BY target, owner IS NULL, owner"""
    )
    assert [tuple(row) for row in section.tables[-1].rows] == [
        tuple(map(str, row)) for row in expected
    ]
    assert len(expected) == 6


def test_first_night_and_missing_capacity_are_explained(tmp_path):
    project = make_project(tmp_path)
    store = Store(tmp_path / "scores.db")
    run = a_run(targets=("close", "opportunity"))
    publish(store, run)
    section = build_night_changes(gather_page_data(project, store, run))
    assert [quote.value for quote in section.quotes] == ["0", "0", "0", "0"]
    assert section.tables == []
    first, capacity = section.notes
    assert "close, opportunity" in first and "`leadscore score`" in first
    assert "`capacity`" in capacity
