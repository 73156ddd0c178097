"""The section on web visitors: its figures are those of the table, in each language."""

import pyarrow as pa
import pytest

from models.visitors.schemas import WEB_FUNNEL
from models.visitors.web_funnel import select_web_funnel
from serve.page.sections.visitors.web_funnel import MAX_SEGMENTS, build_web_funnel_section
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import a_run, some_scores


def make_row(column, segment, visitors, **fields):
    row = {"segment_by": column, "segment": segment, "visitors": visitors}
    row |= {"contacts": visitors // 4, "never_identified": 1 - visitors // 4 / visitors}
    row |= {"mature": visitors // 2, "contacts_30d": 0.25, "days_to_contact": 12.0}
    row |= {"contacts_30d_low": 0.2, "contacts_30d_high": 0.31, "followed": visitors // 3}
    return row | {"customers_mature": visitors // 9, "value": 1_500.0 * visitors} | fields


ROWS = [
    make_row("all", "all", 4_000),
    *(make_row("landing_page", f"page {n}", 900 - n) for n in range(MAX_SEGMENTS + 3)),
    make_row("channel", "ads", 700),
    make_row("channel", "missing", 300, days_to_contact=None, followed=0, value=None),
    make_row("call_to_action", "book a demo", 120),
    make_row("call_to_action", "other", 60, contacts_30d=None),
]


@pytest.fixture
def make(tmp_path):
    def build(rows, language="en"):
        project = make_project(tmp_path)
        run = a_run(targets=tuple(project.targets))
        table = None if rows is None else pa.Table.from_pylist(rows, schema=WEB_FUNNEL)
        return make_data(project, some_scores(run, ["L0020"]), run, language, visitors=table)

    return build


@pytest.mark.parametrize("language", ["en", "ru"])
def test_segments_are_shown_with_their_figures(make, language):
    data = make(ROWS, language)
    section, words = build_web_funnel_section(data), data.words
    pages, actions, channels = section.tables
    assert [table.folded for table in section.tables] == [False, True, True]
    assert [row[0] for row in pages.rows[1:]] == [f"page {n}" for n in range(MAX_SEGMENTS)]
    assert pages.rows[0][0] == words.text("web_funnel", "segment_all")
    assert pages.rows[0][1] == words.number(4_000) and words.number(1_333) in pages.rows[0][5]
    for text in (words.percent(0.25), words.number(20, 1), words.number(31, 1)):
        assert text in pages.rows[0][2]
    assert pages.rows[0][4] == words.percent(0.75) and pages.rows[0][6] == words.amount(6_000_000)
    assert [row[0] for row in actions.rows] == [
        "book a demo",
        words.text("web_funnel", "segment_other"),
    ]
    assert actions.rows[1][2] == "–"
    assert channels.rows[1] == [
        words.text("web_funnel", "segment_missing"),
        words.number(300),
        channels.rows[0][2],
        "–",
        words.percent(0.75),
        "–",
        "–",
    ]
    assert all(len(row) == len(table.headings) for table in section.tables for row in table.rows)
    texts = [section.sentence, *section.notes, *(table.caption for table in section.tables)]
    assert not any("{" in text for text in texts)
    assert words.number(4_000) in section.sentence and words.percent(0.75, 0) in section.sentence


def test_young_visitors_have_no_share_and_no_segments_no_further_tables(make):
    young = make_row("all", "all", 40, mature=0, contacts_30d=None)
    section = build_web_funnel_section(make([young]))
    (table,) = section.tables
    assert [row[0] for row in table.rows] == ["all visitors"] and table.rows[0][2] == "–"
    assert "None was first seen 30 days ago" in section.sentence


def test_section_is_absent_without_visitors(make):
    assert build_web_funnel_section(make(None)) is None
    assert select_web_funnel({}) is select_web_funnel({"web_funnel": WEB_FUNNEL.empty_table()})
    night = pa.Table.from_pylist(ROWS, schema=WEB_FUNNEL)
    stored = night.append_column("run_id", pa.array(["r"] * len(night)))
    assert select_web_funnel({"web_funnel": stored}).equals(night)
