"""What is new since the night before, and the week's work, against SQL on the scores database."""

import json

import pytest

from pipelines.page.gather import gather_page_data
from serve.page.content.parts import LeadCell
from serve.page.content.shown_leads import MAX_LEADS
from serve.page.sections.leads.night_changes import build_night_changes
from serve.store.store import Store
from tests.serve.page.nights import FIRST_NIGHT, publish_nights
from tests.serve.page.pages import make_project
from tests.serve.page.sections.leads.test_lead_list import expect_changes
from tests.serve.samples import a_run, ask, publish, some_scores

NEW_BEST = "grade = 'A' AND coalesce(previous_grade, '') <> 'A'"
FALLEN = "coalesce(grade > previous_grade, 0)"
AT_RISK = "(falling_since IS NOT NULL AND coalesce(trend, 0) <= 0)"
LOST = "coalesce(trend < 0, 0)"
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
    ((new, fallen, at_risk, lost, listed, explored),) = query(
        f"""SELECT sum({NEW_BEST}), sum({FALLEN}), sum({AT_RISK}), sum({LOST}), count(listed),
                   sum(listed = 'explore') FROM scores WHERE run_id = 'r2'"""
    )
    assert [quote.value for quote in section.quotes] == [
        str(number) for number in (new, fallen, at_risk, listed, explored)
    ]
    assert len({fallen, at_risk, lost}) == 3
    counted = [section.tables[0], *section.tables[2:]]
    for table, number in zip(counted, (listed, new, fallen, lost, explored), strict=True):
        assert f": {number}." in table.caption
        # Leads drawn at random do not stand before the best.
        assert table.folded == ("at random" in table.caption)


def test_tables_hold_the_best_leads_and_those_that_fell_furthest(night):
    section, query = night(capacity=CAPACITY)
    for table, condition, order in zip(
        section.tables[2:],
        (NEW_BEST, FALLEN, LOST, "listed = 'explore'"),
        ('"rank", target', *['coalesce(trend, 0), "rank", target'] * 2, '"rank", target'),
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


def test_losses_are_told_by_what_changed_as_in_the_list(night, tmp_path):
    section, query = night(capacity=CAPACITY)
    nights = [
        dict(query(f"SELECT target || entity_id, reasons FROM scores WHERE run_id = '{run}'"))
        for run in ("r1", "r2")
    ]
    texts = []
    for table in section.tables[3:5]:
        assert table.headings[-1] == "what changed"
        for cells in table.rows:
            lead = cells[0].target + cells[0].entity
            ((trend,),) = query(
                f"SELECT trend FROM scores WHERE run_id = 'r2' AND target || entity_id = '{lead}'"
            )
            now = json.loads(nights[1][lead])
            before = json.loads(nights[0][lead]) if lead in nights[0] else None
            changes = expect_changes(before, now, trend)
            assert cells[-1] == ("; ".join(f"{kind}: {text}" for kind, text in changes) or "–")
            texts.append(cells[-1])
    assert len(set(texts)) > 5


def test_work_is_counted_by_target_and_owner(night):
    section, query = night(capacity=CAPACITY)
    # The last night is that of July 2 in Tokyo; a review on this day is due.
    assert FIRST_NIGHT.day == 30
    expected = query(
        f"""SELECT coalesce(owner, 'without a sales person'), target, count(listed),
                   sum(coalesce(listed = 'explore', 0)), sum({NEW_BEST}), sum({FALLEN}),
                   sum({AT_RISK}), sum(coalesce(date(review_at, '+9 hours')
                                <= '2025-07-02', 0))
            FROM scores WHERE run_id = 'r2'
            GROUP BY target, owner ORDER BY target, owner IS NULL, owner"""
    )
    assert [tuple(row) for row in section.tables[0].rows] == [
        tuple(map(str, (owner, f"{target} within 30 days", *counts)))
        for owner, target, *counts in expected
    ]
    assert len(expected) == 6


def test_first_night_and_missing_capacity_are_explained(tmp_path):
    project = make_project(tmp_path)
    store = Store(tmp_path / "scores.db")
    run = a_run(targets=("close", "opportunity"))
    publish(store, run)
    section = build_night_changes(gather_page_data(project, store, run))
    assert (section.quotes, section.tables) == ([], [])
    assert section.sentence == "Call the best leads first."
    first, capacity = section.notes
    assert "close within 30 days, opportunity within 30 days" in first and "`leadscore" in first
    assert "`capacity`" in capacity


def test_zeros_have_no_column_and_a_list_of_nearly_all_says_so(tmp_path):
    project = make_project(tmp_path, capacity=CAPACITY)
    store = Store(tmp_path / "scores.db")
    run = a_run(targets=("close", "opportunity"))
    ids = [f"L{number}" for number in range(10)]
    listed = ["pick"] * 9 + [None] + ["pick"] * 8 + [None] * 2
    publish(store, run, some_scores(run, ids, listed=listed, owner=["Ann"] * 20))
    section = build_night_changes(gather_page_data(project, store, run))
    assert section.sentence.startswith("Work through this week's list, the best first. For ")
    assert "“close within 30 days” 9 of 10 open leads are on the list" in section.sentence
    assert "opportunity" not in section.sentence
    assert section.tables[0].headings == ["sales person", "what may happen", "on the list"]
    assert [quote.label for quote in section.quotes] == ["on this week's list"]


def test_best_leads_of_each_person_leave_out_those_drawn_at_random(night):
    section, query = night(capacity=CAPACITY)
    table = section.tables[1]
    assert table.folded and table.caption == "The 3 best leads of each sales person"
    expected = [
        lead
        for owner in ("Ann", "Bob")
        for target in ("close", "opportunity")
        for lead in query(
            f"""SELECT target, entity_id FROM scores WHERE run_id = 'r2' AND owner = '{owner}'
                AND target = '{target}' AND coalesce(listed, '') <> 'explore'
                ORDER BY "rank" LIMIT 3"""
        )
    ]
    assert len(expected) == 12
    assert [row[0] for row in table.rows] == [LeadCell(*lead) for lead in expected]
