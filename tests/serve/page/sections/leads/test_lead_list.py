"""The list of leads holds what the scores database says, read back by an independent reader."""

import json
import math
from datetime import timedelta

import pytest

from pipelines.page.gather import gather_page_data
from serve.page.content import lead_columns, shown_leads
from serve.page.sections.leads.lead_list import build_lead_list
from serve.store.store import Store
from tests.serve.page.nights import FIRST_NIGHT, publish_nights, read_list
from tests.serve.page.pages import make_project
from tests.serve.samples import ask

NULLS = {"u1": 255, "u2": 65535, "u4": 2**32 - 1, "i1": -128}
DAYS = 24 * 60 * 60
MARKS = ("new_best", "fallen", "at_risk", "kept")


@pytest.fixture
def night(tmp_path):
    """Return the data of the last of three nights, and the address of its database."""
    project = make_project(tmp_path, timezone="Asia/Tokyo")
    store = Store(tmp_path / "scores.db")
    run = publish_nights(store, project)
    return gather_page_data(project, store, run), str(tmp_path / "scores.db")


def query(address, text):
    return ask(f"sqlite:///{address}", text)


def value(array, row):
    number = array[row].item()
    kind = array.dtype.str[1:]
    return None if number == NULLS.get(kind) or math.isnan(number) else number


def text(header, arrays, name, row):
    place = value(arrays[name], row)
    names = header["sentences" if name not in header else name]
    return None if place is None else names[place]


def test_cells_equal_the_table(night):
    data, address = night
    header, arrays = read_list(build_lead_list(data))
    rows = query(
        address,
        """SELECT target, entity_id, account_id, owner, grade, previous_grade, score, trend,
                  trend_7d, trend_30d, probability, probability_low, probability_high,
                  expected_value, outcome_days_50, outcome_days_80, listed, evidence
           FROM scores WHERE run_id = 'r2' ORDER BY target, "rank" """,
    )
    assert len(rows) == len(header["ids"]) == 80
    assert [one["name"] for one in header["targets"]] == ["close", "opportunity"]
    assert header["targets"][0]["label"] == "close within 30 days"
    for row, cells in enumerate(rows):
        target = next(t for t in header["targets"] if t["first"] <= row < t["first"] + t["count"])
        numbers = [value(arrays[n], row) for n in ("score", "trend", "trend_7d", "trend_30d")]
        percents = [value(arrays[n], row) for n in lead_columns.PROBABILITIES]
        money, days = (
            value(arrays["value"], row),
            [value(arrays[n], row) for n in lead_columns.OUTCOME_COLUMNS],
        )
        grades = [value(arrays[n], row) for n in ("grade", "previous_grade")]
        lists = value(arrays["listed"], row)
        found = [
            target["name"],
            header["ids"][row],
            text(header, arrays, "account", row),
            text(header, arrays, "owner", row),
            *(None if place is None else "ABCD"[place] for place in grades),
            *numbers,
            *(f"{tenths / 10:.1f}" for tenths in percents),
            money and round(money / 10 ** header["value_digits"], 2),
            *days,
            None if lists is None else ("pick", "explore")[lists],
            "too little" if arrays["little_evidence"][row] else "enough",
        ]
        expected = [
            *cells[:10],
            *(f"{100 * share:.1f}" for share in cells[10:13]),
            cells[13] and round(cells[13], 2 if header["value_digits"] else 0),
            *(None if day is None else max(1, math.ceil(day)) for day in cells[14:16]),
            *cells[16:],
        ]
        assert found == expected


def test_marks_and_review_days_equal_the_table(night):
    data, address = night
    header, arrays = read_list(build_lead_list(data))
    rows = query(
        address,
        """SELECT grade = 'A' AND coalesce(previous_grade, '') <> 'A',
                  coalesce(grade > previous_grade, 0),
                  falling_since IS NOT NULL AND coalesce(trend, 0) <= 0,
                  falling_since IS NOT NULL,
                  date(review_at, '+9 hours')
           FROM scores WHERE run_id = 'r2' ORDER BY target, "rank" """,
    )
    found = [
        (
            *(arrays[name][row] for name in MARKS),
            text(header, arrays, "review", row),
        )
        for row in range(len(rows))
    ]
    assert found == rows
    assert all(0 < arrays[name].sum() < len(rows) for name in MARKS)
    assert (arrays["at_risk"] < arrays["kept"]).any()


def test_reasons_are_those_of_the_table(night):
    data, address = night
    header, arrays = read_list(build_lead_list(data))
    stored = query(
        address, """SELECT reasons FROM scores WHERE run_id = 'r2' ORDER BY target, "rank" """
    )
    for row, (reasons,) in enumerate(stored):
        for side, sign in (("reason", 1), ("against", -1)):
            names = [f"{side}_{place}" for place in (1, 2, 3)]
            found = [text(header, arrays, name, row) for name in names]
            expected = [r["sentence"] for r in json.loads(reasons) if r["contribution"] * sign > 0]
            assert found == [*expected, None, None, None][:3]


def test_changes_explain_the_score_by_the_reasons_of_the_night_before(night):
    data, address = night
    header, arrays = read_list(build_lead_list(data))
    nights = [
        {(target, entity): json.loads(reasons) for target, entity, reasons in query(address, ask_)}
        for ask_ in (
            f"SELECT target, entity_id, reasons FROM scores WHERE run_id = '{run}'"
            for run in ("r1", "r2")
        )
    ]
    keys = query(
        address,
        """SELECT target, entity_id, trend FROM scores WHERE run_id = 'r2'
           ORDER BY target, "rank" """,
    )
    explained = 0
    for row, (target, entity, trend) in enumerate(keys):
        found = [
            (header["kinds"][arrays[f"kind_{place}"][row]], sentence)
            for place in range(3)
            if (sentence := text(header, arrays, f"change_{place}", row)) is not None
        ]
        key = (target, entity)
        expected = expect_changes(nights[0].get(key), nights[1][key], trend)
        assert found == expected
        explained += bool(found)
        compared = key in nights[0] and trend is not None and nights[1][key] != []
        assert arrays["other_model"][row] == compared
    assert explained > 20


def expect_changes(before, now, trend):
    """Return the changes by a loop in Python."""
    if before is None or not trend or not now:
        return []
    old, new = ({r["feature"]: r for r in reasons} for reasons in (before, now))
    found = []
    for feature in {*old, *new}:
        was, now_is = (side.get(feature, {"contribution": 0}) for side in (old, new))
        move = now_is["contribution"] - was["contribution"]
        if move * trend < 0 or abs(move) < 0.05:
            continue
        stronger = abs(now_is["contribution"]) > abs(was["contribution"])
        kind = "gone" if feature not in new else "weaker"
        kind = "new" if feature not in old else "stronger" if stronger else kind
        found.append((-abs(move), feature, kind, (now_is if feature in new else was)["sentence"]))
    return [(kind, sentence) for _, _, kind, sentence in sorted(found)][:3]


def test_history_is_that_of_the_table(night):
    data, address = night
    header, arrays = read_list(build_lead_list(data))
    place = {}
    for one in header["targets"]:
        for row in range(one["first"], one["first"] + one["count"]):
            place[one["name"], header["ids"][row]] = row
    rows = query(
        address,
        "SELECT target, entity_id, unixepoch(as_of), score FROM scores WHERE run_id <> 'r2'",
    )
    tonight = (FIRST_NIGHT + timedelta(days=2)).timestamp()
    expected = sorted(
        (place[target, entity], tonight - as_of, score)
        for target, entity, as_of, score in rows
        if (target, entity) in place
    )
    expected.sort(key=lambda point: (point[0], -point[1]))
    found = zip(arrays["past_row"], arrays["past_days"] * DAYS, arrays["past_score"], strict=True)
    assert [tuple(map(float, point)) for point in found] == expected
    assert len(expected) > 100


def test_note_says_how_many_of_many_are_shown(night, monkeypatch):
    data, address = night
    whole = build_lead_list(data)
    assert not any("scores.csv" in note for note in whole.notes)
    monkeypatch.setattr(shown_leads.choose_shown_rows, "__defaults__", (10,))
    section = build_lead_list(data)
    header, arrays = read_list(section)
    shown = len(header["ids"])
    assert f"{shown} of 80" in section.notes[0] and "scores.csv" in section.notes[0]
    assert [one["all"] for one in header["targets"]] == [40, 40]
    kept = query(
        address,
        """SELECT entity_id FROM scores WHERE run_id = 'r2' AND (listed IS NOT NULL
           OR falling_since IS NOT NULL AND coalesce(trend, 0) <= 0 OR grade > previous_grade
           OR (target, entity_id) IN (SELECT target, entity_id FROM scores WHERE run_id = 'r2'
               AND trend < 0 ORDER BY trend, "rank", target LIMIT 10)
           OR grade = 'A' AND coalesce(previous_grade, '') <> 'A') ORDER BY target, "rank" """,
    )
    assert len(kept) >= 10 and header["ids"] == [entity for (entity,) in kept]
    # Marks do not depend on which rows are shown.
    (new_best,) = query(
        address,
        """SELECT count(*) FROM scores WHERE run_id = 'r2' AND grade = 'A'
           AND coalesce(previous_grade, '') <> 'A' """,
    )
    assert arrays["new_best"].sum() == new_best[0]


def test_hidden_accounts_and_empty_nights_are_left_out(tmp_path):
    leads = {
        "path": "leads.csv",
        "entity_id": "id",
        "account_id": "household",
        "created_at": "created",
    }
    sources = {
        "leads": leads,
        "events": [
            {"path": "events.csv", "entity_id": "id", "event_time": "at", "event_type": "type"}
        ],
    }
    project = make_project(tmp_path, sources=sources, privacy={"personal": ["household"]})
    store = Store(tmp_path / "scores.db")
    run = publish_nights(store, project, nights=1)
    header, _ = read_list(build_lead_list(gather_page_data(project, store, run)))
    assert header["account"] == []
    empty = publish_nights(Store(tmp_path / "empty.db"), project, nights=1, leads=0)
    data = gather_page_data(project, Store(tmp_path / "empty.db"), empty)
    header, arrays = read_list(build_lead_list(data))
    assert header["ids"] == [] and len(arrays["past_row"]) == 0
    assert [one["count"] for one in header["targets"]] == [0, 0]
