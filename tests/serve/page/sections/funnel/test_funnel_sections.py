"""Sections on the funnel show the numbers of its tables, in words that are right."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from models.funnel.curve_table import ENDINGS
from models.funnel.schemas import CURVES, CYCLE, FUNNEL, LEAKS, PATHS
from serve.page.blocks import read_page_texts
from serve.page.build import FUNNEL_SECTIONS, build_page
from serve.page.content.hidden_ids import hide_personal_ids
from serve.page.content.parts import LeadCell
from serve.page.content.words import PageWords
from serve.page.sections.funnel.aging import build_aging
from serve.page.sections.funnel.curves import build_curves
from serve.page.sections.funnel.cycle import build_cycle
from serve.page.sections.funnel.leak import build_leak
from serve.page.sections.funnel.losses import build_losses
from serve.page.sections.funnel.missing import build_missing
from serve.page.sections.funnel.paths import MAX_EDGES, build_paths
from serve.page.sections.funnel.sankey import GAP, HEIGHT, LINE, Edge, lay_out_sankey
from serve.page.sections.funnel.stuck import FIRST_LEADS, MAX_LEADS, build_stuck
from serve.page.sections.funnel.texts import choose_time_unit, write_days
from tests.browser import PHONE, open_file
from tests.models.funnel.histories import GONE, LOST, STATES, WON
from tests.serve.page.funnels import LAST_EVENT, make_tables, make_visits
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import a_run, some_scores

CHANGE = "change_vs_previous_cohort"
LABELS = dict(
    zip(ENDINGS, ("to the next stage", "skipped ahead", "lost", "went back"), strict=True)
)
MANY = 1800
"""Leads of which more are stuck than the page lists."""
OF_A_COLUMN = {"targets": {"close": {"outcome": {"column": "industry", "equals": ["won"]}}}}
"""A target whose outcome has no time."""


@pytest.fixture(scope="module")
def tables():
    return make_tables(*make_visits(MANY))


@pytest.fixture
def show(tmp_path, tables):
    """Return a function that builds a section from the tables, some of them replaced."""

    def build(section, language="en", keys=None, scores=None, **replaced):
        project = make_project(tmp_path, **(keys or {}))
        scores = some_scores(a_run(targets=("close",)), ["lead-0"]) if scores is None else scores
        funnel = replace(tables, **replaced)
        return section(make_data(project, scores, language=language, funnel=funnel))

    return build


def read_numbers(table, column):
    return [int(row[column].replace(",", "")) for row in table.rows]


def read_amount(text):
    """Return an amount from its short form, such as 1.66 M."""
    number, _, unit = text.partition("\xa0")
    return float(number.replace(",", "")) * {"": 1, "k": 1e3, "M": 1e6}[unit]


def change_rows(table, **columns):
    """Return a table with columns of every row replaced."""
    rows = [row | columns for row in table.to_pylist()]
    return pa.Table.from_pylist(rows, schema=table.schema)


def test_losses_are_those_of_the_visits(show):
    visits, _ = make_visits(MANY)
    came = Counter(STATES.stages[visit[1]] for visit in visits)
    lost = Counter(STATES.stages[v[1]] for v in visits if v[4] is not None and v[4] > WON)
    waiting = Counter(STATES.stages[visit[1]] for visit in visits if visit[4] is None)
    section = show(build_losses)
    (table,) = section.tables
    # Both kinds of loss are apart, and add up to all.
    kinds = {
        kind: Counter(STATES.stages[v[1]] for v in visits if v[4] == number)
        for number, kind in ((LOST, "lost"), (GONE, "gone"))
    }
    assert sorted(table.headings[2:4]) == ["gone", "lost"]
    by_kind = [kinds[kind] for kind in table.headings[2:4]]
    for column, counts in enumerate((came, *by_kind, waiting), 1):
        assert read_numbers(table, column) == [counts[stage] for stage in STATES.stages]
    hints = {quote.label: quote.hint for quote in section.quotes}
    for kind, counts in kinds.items():
        assert f"{kind}: {sum(counts.values()):,}" in hints["lost so far"]
    worst, count = lost.most_common(1)[0]
    assert worst == "created"
    assert section.sentence.startswith(
        f"Most losses happen at “created, no stage yet”: {count:,} of {sum(lost.values()):,} lost"
    )
    assert lost == kinds["lost"] + kinds["gone"]
    bars = Counter()
    for row in section.charts[0].rows:
        bars[row["stage"]] += row["visits"]
    assert list(bars.values()) == [came[stage] for stage in STATES.stages]
    assert section.quotes[0].value == f"{sum(waiting.values()):,}"


def test_losses_of_one_kind_or_of_many_are_one_column(show, tables):
    """An event that is called like a column of the page is a kind of loss all the same."""
    paths = tables.paths.to_pylist()
    for kinds, expected in (
        (["gone"] * 2, ["lost"]),
        (["open", "advanced"], ["advanced", "open"]),
        (["a", "b", "c", "d"], ["lost"]),
    ):
        rows = [row for row in paths if row["to"] not in ("lost", "gone")]
        rows += [paths[0] | {"to": kind, "n": 10 + at} for at, kind in enumerate(kinds)]
        rows = {(row["from"], row["to"]): row for row in rows}
        table = show(build_losses, paths=pa.Table.from_pylist([*rows.values()], PATHS)).tables[0]
        assert table.headings[2 : 2 + len(expected)] == expected
        assert table.headings[2 + len(expected) :][:2] == ["still there", "of these stuck"]
        counts = read_numbers(table, 2)
        assert counts[0] == (tables.funnel["lost"][0].as_py() if expected == ["lost"] else 11)


@pytest.mark.parametrize(
    ("change", "low", "high", "cell", "sentence"),
    [
        (-0.05, -0.08, -0.01, "worse: −5.0 points (−8.0 to −1.0)", "it is getting worse there"),
        (0.05, 0.01, 0.08, "better: +5.0 points (+1.0 to +8.0)", "it is getting better there"),
        (-0.05, -0.08, 0.01, "no change beyond chance: −5.0 points (−8.0 to +1.0)", "neither"),
        # Beyond chance, and still nothing that anybody would act on.
        (-0.0003, -0.0004, -0.0001, "no change beyond chance: 0.0 points (0.0 to 0.0)", "neither"),
        (None, None, None, "–", "There are no earlier leads yet to compare with."),
    ],
)
def test_change_is_named_where_it_is_beyond_chance(show, tables, change, low, high, cell, sentence):
    columns = {CHANGE: change, f"{CHANGE}_low": low, f"{CHANGE}_high": high}
    section = show(build_losses, funnel=change_rows(tables.funnel, **columns))
    assert {row[-1] for row in section.tables[0].rows} == {cell}
    assert sentence in section.sentence


def test_stages_that_changed_are_named_and_the_rest_too(show, tables):
    rows = tables.funnel.to_pylist()
    for row, ends in zip(rows, ((-0.2, -0.1), (-0.1, 0.1), (0.1, 0.2)), strict=True):
        row |= {CHANGE: sum(ends) / 2, f"{CHANGE}_low": ends[0], f"{CHANGE}_high": ends[1]}
    section = show(build_losses, funnel=pa.Table.from_pylist(rows, schema=FUNNEL))
    assert "fewer leads move on within 30 days from created, no stage yet (−15.0 points):" in (
        section.sentence
    )
    assert "more leads move on within 30 days from offer (+15.0 points):" in section.sentence
    assert section.sentence.endswith("Elsewhere nothing has changed beyond chance.")


def test_segments_are_marked_where_they_differ_from_all_leads(show, tables):
    offer = tables.funnel.to_pylist()[2]
    share = offer["advanced_30d"]
    ends = {"fair": (share + 0.05, share + 0.1), "web": (share - 0.1, share - 0.05),
            "mail": (share - 0.05, share + 0.05)}  # fmt: skip
    own = [
        offer | {"segment_by": "source", "segment": name, "advanced_30d": (low + high) / 2}
        | {"advanced_30d_low": low, "advanced_30d_high": high}
        for name, (low, high) in ends.items()
    ]  # fmt: skip
    rows = pa.Table.from_pylist([*tables.funnel.to_pylist(), *own], schema=FUNNEL)
    table = show(build_losses, funnel=rows).tables[1]
    assert table.headings == ["segment", "created, no stage yet", "mql", "offer"]
    assert [row[:3] for row in table.rows[1:]] == [[name, "–", "–"] for name in ends]
    assert table.rows[0][3] == f"{100 * share:.1f}%"
    marks = [f"▲ {100 * share + 7.5:.1f}%", f"▼ {100 * share - 7.5:.1f}%", f"{100 * share:.1f}%"]
    assert [row[3] for row in table.rows[1:]] == marks
    assert len(show(build_losses).tables) == 1


def test_curves_are_those_of_the_table(show, tables):
    section = show(build_curves)
    assert [chart.caption for chart in section.charts] == ["created, no stage yet", "mql", "offer"]
    for stage, chart in zip(STATES.stages, section.charts, strict=True):
        points = [row for row in tables.curves.to_pylist() if row["stage"] == stage]
        for age in {row["age"] for row in chart.rows}:
            last = max((p for p in points if p["age_days"] <= age), key=lambda p: p["age_days"])
            shown = {row["ending"]: row["share"] for row in chart.rows if row["age"] == age}
            assert shown == {LABELS[ending]: last[ending] for ending in ENDINGS}
        assert all(row[0].endswith(" d") for row in chart.table.rows)
    ends = {max(row["age"] for row in chart.rows) for chart in section.charts}
    assert len(ends) == 1


def test_stages_that_all_leave_forward_have_no_curve(show, tables):
    rows = tables.funnel.to_pylist()
    rows[1] |= {"lost": 0, "returned": 0, "open": 1}
    section = show(build_curves, funnel=pa.Table.from_pylist(rows, schema=FUNNEL))
    assert [chart.caption for chart in section.charts] == ["created, no stage yet", "offer"]
    assert section.notes[-1].endswith("wait there: mql.")
    assert show(build_curves, curves=CURVES.empty_table()) is None


def test_recommended_change_has_its_interval_and_its_days(show, tables):
    leak = tables.leaks.to_pylist()[0]
    section = show(build_leak)
    assert (
        f"about {leak['added_wins']:.0f} wins ({leak['added_wins_low']:.0f} to "
        f"{leak['added_wins_high']:.0f})." in section.sentence
    )
    assert "“created, no stage yet”: of the leads" in section.sentence
    assert section.quotes[0].value == f"+{leak['added_wins']:.0f}"
    # Both cohorts are named from the first to the last day, 90 in all.
    for name in ("now", "best"):
        begin = leak[f"{name}_from"]
        days = [f"{begin + timedelta(days=after):%Y-%m-%d}" for after in (0, 89)]
        assert " to ".join(days) in section.sentence
    doubtful = pa.Table.from_pylist([leak | {"added_wins_low": -1.0}], schema=LEAKS)
    section = show(build_leak, leaks=doubtful)
    assert section.sentence.endswith("The interval holds zero, so this may be chance.")
    assert section.charts[0].table.rows[0][-1] == "may be chance"
    assert show(build_leak, leaks=LEAKS.empty_table()).sentence.startswith("Nothing to name")


def test_change_beyond_chance_goes_before_a_bigger_one_that_may_be_chance(show, tables):
    leak = tables.leaks.to_pylist()[0] | {"added_wins": 5.0, "added_wins_high": 9.0}
    rows = [
        leak | {"added_wins_low": -0.2},
        leak | {"stage": "offer", "added_wins": 3.0, "added_wins_low": 1.0},
        leak | {"stage": "mql", "added_wins": 0.01, "added_wins_low": 0.0},
    ]
    section = show(build_leak, leaks=pa.Table.from_pylist(rows, schema=LEAKS))
    assert section.sentence.startswith("“offer”: ")
    assert section.sentence.endswith(
        "At the other stages the difference may be chance: created, no stage yet."
    )
    assert [row[-1] for row in section.charts[0].table.rows] == ["may be chance", "yes"]


def get_count(row):
    return row["n"]


def test_paths_are_all_in_the_diagram_and_the_table(show, tables):
    section = show(build_paths)
    paths, stages = tables.paths.to_pylist(), tables.funnel.to_pylist()
    drawn = section.values["drawn"]
    still_there = {(row["stage"], ""): row["open"] for row in stages}
    assert {(b.edge.source, b.edge.target): b.edge.count for b in drawn.bands} == {
        (row["from"], row["to"]): row["n"] for row in paths
    } | still_there
    kinds = {(b.edge.source, b.edge.target): b.edge.kind for b in drawn.bands}
    assert kinds["created", "offer"] == "forward" and kinds["offer", "mql"] == "back"
    assert kinds["mql", "won"] == "won" and kinds["mql", "gone"] == "lost"
    (table,) = section.tables
    assert read_numbers(table, 2) == sorted((row["n"] for row in paths), reverse=True)
    back = max((row for row in paths if kinds[row["from"], row["to"]] == "back"), key=get_count)
    assert f"from “{back['from']}” to “{back['to']}”: {back['n']} times" in section.sentence


def test_nodes_of_the_diagram_have_the_counts_of_the_tables(show, tables):
    """Also where some of their paths are not drawn."""
    paths, stages = tables.paths.to_pylist(), tables.funnel.to_pylist()
    came = Counter()
    for row in paths:
        came[row["to"]] += row["n"]
    for most in (20, 3):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("serve.page.sections.funnel.paths.MAX_EDGES", most)
            section = show(build_paths)
        drawn = section.values["drawn"]
        left = {node.name: node.count for node in drawn.left}
        assert left == {row["stage"]: row["entered"] for row in stages}
        right = {node.name: node.count for node in drawn.right}
        assert right.pop("") == sum(row["open"] for row in stages)
        assert right.items() <= came.items()
        rest = sum(row["n"] for row in paths) - sum(
            band.edge.count for band in drawn.bands if band.edge.target
        )
        assert (rest == 0) == (most == 20)
        assert (f"of {rest:,} leads in all" in section.notes[0]) == (rest > 0)
    # With place for all, each kind of loss has its node, after the win.
    assert {"won", "lost", "gone"} <= came.keys()
    names = [node.name for node in show(build_paths).values["drawn"].right]
    assert names.index("won") < min(names.index("lost"), names.index("gone"))


def test_rare_paths_are_counted_and_each_state_has_a_band(show):
    # Two ways to each of 24 states, the second one more frequent than any first one.
    rows = [
        {"from": source, "to": f"end {number:02}", "n": size - number, "p30": 0.1, "p30_low": 0.0}
        | {"p30_high": 0.2, "median_days": 1.0, "value": None}
        for number in range(24)
        for source, size in (("created", 100), ("mql", 50))
    ]
    section = show(build_paths, paths=pa.Table.from_pylist(rows, schema=PATHS))
    moves = [b.edge for b in section.values["drawn"].bands if b.edge.target]
    assert len(moves) == MAX_EDGES
    assert {edge.target for edge in moves} == {f"end {n:02}" for n in range(MAX_EDGES)}
    rest = sum(row["n"] for row in rows) - sum(edge.count for edge in moves)
    assert section.notes[0] == (
        f"Not drawn: {48 - MAX_EDGES} rare ways of {rest:,} leads in all. The table has them."
    )


def test_diagram_fills_each_node_and_overlaps_none():
    edges = [Edge("a", "b", 60, "forward"), Edge("b", "a", 30, "back"), Edge("b", "x", 8, "lost")]
    edges.append(Edge("a", "x", 1, "lost"))
    labels = {"a": "a", "b": "a name of several words", "x": "x"}
    drawn = lay_out_sankey(edges, {"a": 61, "b": 39}, {"a": 30, "b": 60, "x": 9}, labels)
    unit = HEIGHT / 100
    assert [(n.name, n.count, n.height) for n in drawn.left] == [
        ("a", 61, pytest.approx(61 * unit)), ("b", 39, pytest.approx(39 * unit))
    ]  # fmt: skip
    assert drawn.left[1].lines == ("a name of", "several words")
    for side in (drawn.left, drawn.right):
        for upper, lower in pairwise(side):
            # Neither bars nor names overlap.
            assert lower.y >= upper.y + upper.height + GAP - 1e-9
            assert lower.label_y >= upper.label_y + LINE * (len(upper.lines) + 1)
        last = side[-1]
        assert max(last.y + last.height, last.label_y + LINE) <= drawn.height
    # Bands fill both sides from above in the order of the other side, so that few cross.
    bands = {(band.edge.source, band.edge.target): read_ends(band.path) for band in drawn.bands}
    left, right = ({node.name: node.y for node in side} for side in (drawn.left, drawn.right))
    assert bands["a", "b"] == pytest.approx((left["a"], right["b"]), abs=0.06)
    assert bands["a", "x"] == pytest.approx((left["a"] + 60 * unit, right["x"]), abs=0.06)
    assert bands["b", "a"] == pytest.approx((left["b"], right["a"]), abs=0.06)
    assert bands["b", "x"] == pytest.approx((left["b"] + 30 * unit, right["x"] + unit), abs=0.06)


def read_ends(path):
    """Return where the upper edge of a band begins and ends."""
    numbers = path.replace("M", " ").replace("C", " ").replace("L", " ").split()
    return float(numbers[1]), float(numbers[7])


def test_cycle_names_what_the_won_so_far_took(show, tables):
    visits, _ = make_visits(MANY)
    begin = {}
    for lead, _, start, _, _ in visits:
        begin.setdefault(lead, start)
    took = [end - begin[lead] for lead, _, _, end, following in visits if following == WON]
    row = tables.cycle.to_pylist()[0]
    section = show(build_cycle)
    assert f"win do so within {row['p50']:.0f} days (" in section.sentence
    alone, right = f"{np.median(took):.0f} days", f"{row['p50']:.0f} days"
    assert f"Leads won so far alone look faster ({alone}) than they really are ({right})" in (
        section.sentence
    )
    assert [quote.value for quote in section.quotes] == [
        f"{100 * row[f'win_by_{days}']:.1f}%" for days in (30, 60, 90)
    ]
    shares = section.tables[-1]
    assert shares.rows[0][4:] == [f"{100 * row[f'lost_by_{days}']:.1f}%" for days in (30, 60, 90)]


def test_cycle_has_the_time_from_each_stage(show, tables):
    """In one unit, so that a reader compares the stages at once."""
    rows = [row for row in tables.cycle.to_pylist() if row["segment_by"] == "stage"]
    assert [row["segment"] for row in rows] == list(STATES.stages)
    section = show(build_cycle)
    times = section.tables[0]
    assert times.caption.startswith("From each stage to the win")
    assert [row[0] for row in times.rows] == ["created, no stage yet", "mql", "offer"]
    for row, cells in zip(rows, times.rows, strict=True):
        low, half, high = (write_number(row[f"p50{end}"]) for end in ("_low", "", "_high"))
        assert cells[2] == f"{half} d ({low} to {high})"
        assert cells[4] == write_number(row["p50"] * (1 + row["bias_of_naive"])) + " d"
    assert [mark["p50"] for mark in section.charts[0].rows] == [row["p50"] for row in rows]


def test_cycle_compares_segments_and_says_where_nothing_was_won(show, tables):
    row = tables.cycle.to_pylist()[0]
    unwon = dict.fromkeys((n for n in CYCLE.names if n[0] == "p" or n[:3] == "bia"), None)
    rows = [row, row | {"segment_by": "source", "segment": "fair"},
            row | {"segment_by": "source", "segment": "web"} | unwon]  # fmt: skip
    section = show(build_cycle, cycle=pa.Table.from_pylist(rows, schema=CYCLE))
    assert [mark["stage"] for mark in section.charts[1].rows] == ["all leads", "source: fair"]
    assert section.tables[0].rows[2] == ["source: web", "–", "–", "–", "–"]
    section = show(build_cycle, cycle=change_rows(tables.cycle, **unwon))
    assert section.sentence.startswith("No lead has been won yet")


def test_ages_add_up_to_the_open_leads(show, tables):
    section = show(build_aging)
    rows = tables.funnel.to_pylist()
    assert f"{sum(r['stuck'] for r in rows)} of {sum(r['open'] for r in rows)}" in section.sentence
    (table,) = section.tables
    for row, cells in zip(rows, table.rows, strict=True):
        assert [int(cell) for cell in cells[1:2]] == [row["open"]]
        assert sum(int(cell) for cell in cells[2:5]) == row["open"]
        assert cells[4] == str(row["stuck"])
        assert read_amount(cells[7]) == pytest.approx(row["value_open"], rel=0.01)
    assert sum(bar["size"] for bar in section.charts[1].rows) == pytest.approx(
        sum(row["value_open"] for row in rows)
    )
    section = show(build_aging, funnel=change_rows(tables.funnel, open=0, stuck=0))
    assert section.sentence == "No lead is open."


def test_stuck_leads_are_listed_and_counted_by_owner(show, tables):
    stuck = tables.stuck.to_pylist()
    assert len(stuck) > MAX_LEADS
    section = show(build_stuck)
    first, owners, following = section.tables
    assert dict(zip([row[0] for row in owners.rows], read_numbers(owners, 1), strict=True)) == (
        Counter(row["owner"] or "without a sales person" for row in stuck)
    )
    amounts = sum(read_amount(row[2]) for row in owners.rows)
    expected = sum(row["expected_value"] for row in stuck)
    # The page has whole amounts.
    assert amounts == pytest.approx(expected, rel=0.01, abs=0.5)
    own = sum(row["expected_value"] for row in stuck[:FIRST_LEADS])
    total = PageWords.load("en", ZoneInfo("UTC")).amount(expected)
    assert section.sentence.endswith(
        f"That does not mean lost: it means ask, or close. Begin with the first 20: they have "
        f"{own / expected:.0%} of what all stuck leads may still bring ({total} on average)."
    )
    assert len(first.rows) == FIRST_LEADS and following.folded
    assert len(first.rows) + len(following.rows) == MAX_LEADS
    for row, cells in zip(stuck, [*first.rows, *following.rows], strict=False):
        assert cells[0] == row["entity_id"]
        assert cells[3] == write_number(row["age_days"]) + " d"
        assert cells[5] == f"{row['silent_days']:.1f} d"
        assert cells[6] == f"{row['probability']:.0%}"
        assert read_amount(cells[7]) == pytest.approx(row["value"], rel=0.01, abs=0.5)
        assert read_amount(cells[8]) == pytest.approx(row["expected_value"], rel=0.01, abs=0.5)
        # What came last before others moved on is one text for a whole stage.
        assert LAST_EVENT not in cells
    assert first.caption == "The 20 stuck leads that may still bring most: chance times amount"
    assert section.notes[0].startswith(f"{len(stuck) - MAX_LEADS} more stuck leads")


def write_number(days):
    return f"{days:.0f}" if round(days, 1) >= 10 else f"{days:.1f}"


def test_stuck_leads_of_one_amount_are_named_by_their_age(show, tables):
    """Neither amounts nor chances may differ: then no lead may bring more than another."""
    schema = tables.stuck.schema
    for same in ({"value": 5.0, "expected_value": 2.0}, {"value": None, "expected_value": None}):
        stuck = [row | same for row in tables.stuck.to_pylist()]
        stuck.sort(key=lambda row: -row["age_days"])
        section = show(build_stuck, stuck=pa.Table.from_pylist(stuck, schema=schema))
        assert section.tables[0].caption == "The 20 stuck leads that wait longest"


def test_stuck_leads_without_amounts_are_in_the_order_of_their_chances(show, tables):
    stuck = [
        row | {"value": None, "expected_value": row["probability"]}
        for row in tables.stuck.to_pylist()
    ]
    section = show(build_stuck, stuck=pa.Table.from_pylist(stuck, schema=tables.stuck.schema))
    first = section.tables[0]
    assert first.caption == "The 20 stuck leads that are likeliest to be won"
    assert first.headings[-1] == "chance to win"
    wins = sum(row["probability"] for row in stuck)
    assert f"may still bring ({wins:.0f} wins on average)." in section.sentence


def test_stuck_leads_of_an_earlier_version_have_no_chance(show, tables):
    gone = {"probability": None, "expected_value": None}
    stuck = [row | gone for row in tables.stuck.to_pylist()]
    section = show(build_stuck, stuck=pa.Table.from_pylist(stuck, schema=tables.stuck.schema))
    assert "chance to win" not in section.tables[0].headings
    assert "Begin" not in section.sentence
    assert not any("Chance to win" in note for note in section.notes)


def test_stuck_lead_with_a_score_opens_its_details(show, tables):
    ids = tables.stuck["entity_id"].to_pylist()[:2]
    scores = some_scores(a_run(targets=("opportunity",)), ids[:1])
    section = show(build_stuck, scores=scores)
    cells = [row[0] for row in section.tables[0].rows]
    assert cells[:2] == [LeadCell("opportunity", ids[0]), ids[1]]


def test_personal_ids_of_stuck_leads_are_hidden(tmp_path, tables, monkeypatch):
    project = make_project(tmp_path, privacy={"personal": ["id"]})
    ids = tables.stuck["entity_id"].to_pylist()
    scores = some_scores(a_run(targets=("close",)), ids[:1])
    data = hide_personal_ids(make_data(project, scores, funnel=tables))
    section = build_stuck(data)
    first, owners, _ = section.tables
    assert [row[0] for row in first.rows[:2]] == [
        LeadCell("close", "close no. 1"), "a lead without a score"
    ]  # fmt: skip
    # Whose they are is known all the same.
    assert sum(read_numbers(owners, 1)) == len(ids)
    monkeypatch.setattr("serve.page.build.bundle_chart_library", lambda workspace: "")
    shown = {text for texts in read_page_texts(build_page(data)) for text in texts}
    assert shown.isdisjoint(ids)


def test_leads_that_must_not_be_scored_are_counted_alone(show, tables):
    section = show(build_stuck, stuck=tables.stuck.slice(3))
    assert "Not listed, since they must not be scored or were erased: 3." in section.notes
    without = tables.stuck.drop_columns(["owner", "value"])
    empty = pa.nulls(tables.stuck.num_rows)
    without = without.append_column("owner", empty).append_column("value", empty)
    section = show(build_stuck, stuck=without)
    assert [len(row) for row in section.tables[0].rows][:1] == [6]
    assert any("`capacity.owner`" in note for note in section.notes)
    assert any("`amount`" in note for note in section.notes)


@pytest.mark.parametrize(
    ("keys", "has_rows", "text"),
    [
        ({}, None, "This night has published no funnel. `leadscore funnel acme.yaml --as-of 20"),
        ({"publish": {"funnel": False}}, None, "`publish.funnel` is false"),
        (OF_A_COLUMN, None, "needs a target whose outcome"),
        ({}, False, "No lead was known"),
    ],
)
def test_project_without_funnel_says_what_is_missing(tmp_path, tables, keys, has_rows, text):
    project = make_project(tmp_path, **keys)
    funnel = None if has_rows is None else replace(tables, funnel=FUNNEL.empty_table())
    data = make_data(project, some_scores(a_run(targets=("close",))), funnel=funnel)
    sections = [section for build in FUNNEL_SECTIONS if (section := build(data)) is not None]
    assert [section.name for section in sections] == ["funnel_missing"]
    assert text in sections[0].sentence


def test_funnel_takes_the_place_of_the_missing_one(show):
    assert show(build_missing) is None


@pytest.mark.parametrize(
    ("days", "text"),
    [(0, "0 s"), (0.5, "12 h"), (1 / 86400, "1.0 s"), (0.01, "14 min"), (1, "1.0 d"),
     (9.94, "9.9 d"), (9.96, "10 d"), (250, "250 d"), (None, "–")],
)  # fmt: skip
def test_times_have_the_unit_that_fits(tmp_path, days, text):
    words = make_data(make_project(tmp_path)).words
    assert write_days(words, days) == text


@pytest.mark.parametrize(
    ("days", "texts"),
    [
        ([33.7, 21.5 / 24, None, 0.0], ["34 d", "0.9 d", "–", "0 d"]),
        # Too different: in days the last would be nothing.
        ([44.0, 1 / 86400], ["44 d", "1.0 s"]),
        ([0.5, 0.25], ["12 h", "6.0 h"]),
        ([None], ["–"]),
    ],
)
def test_times_of_a_column_have_one_unit_where_it_fits_all(tmp_path, days, texts):
    words, unit = make_data(make_project(tmp_path)).words, choose_time_unit(days)
    assert [write_days(words, value, unit) for value in days] == texts


def rename_stage(table, name, renamed):
    rows = [{k: renamed if v == name else v for k, v in row.items()} for row in table.to_pylist()]
    return pa.Table.from_pylist(rows, schema=table.schema)


@pytest.mark.server
def test_phone_shows_the_funnel_and_opens_a_stuck_lead(tmp_path, tables, browser):
    project, hostile = make_project(tmp_path), "<img src=x onerror=\"document.title='run'\">"
    entity = tables.stuck["entity_id"][0].as_py()
    renamed = {
        name: rename_stage(table.slice(0, 5) if name == "stuck" else table, "mql", hostile)
        for name, table in tables.by_name().items()
    }
    scores = some_scores(a_run(targets=("close",)), [entity])
    data = make_data(project, scores, language="ru", funnel=replace(tables, **renamed))
    file = tmp_path / "index.html"
    file.write_bytes(build_page(data))
    with open_file(browser, file, PHONE, "dark") as opened:
        page = opened.page
        page.click("nav a[href='#funnel_stuck']")
        page.locator("#funnel_stuck .lead-link").first.click()
        assert entity in page.inner_text("#one-lead-title")
        page.keyboard.press("Escape")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
        assert page.locator("#funnel_paths svg text").count() >= 8
        assert page.locator("[id^=funnel] [data-chart]:not(:has(svg))").count() == 0
        assert opened.find_violations() == []
        assert opened.complaints == [] and page.title() != "run"
