"""``sources.same_as``: what is read, counted, refused and warned about."""

import pytest

from configs.errors import DataError
from configs.privacy import Privacy
from features.merges import NEVER_US
from features.sources import read_sources
from tests.features.company import EVENT, LEAD, at, project, write

LEADS = "id,born\nA,2024-01-01\nB,2024-01-02\nC,2024-01-03\n"
EVENTS = "lead,at,what\nOLD,2024-01-05,visit\nA,2024-01-06,visit\nB,2024-01-07,won\n"


def company(folder, merges, leads=LEADS, events=EVENTS, known=False, **more):
    rows = {"path": write(folder / "m.csv", merges), "from": "old", "to": "new"}
    rows |= {"known_at": "known"} if known else {}
    return project(
        {"path": write(folder / "l.csv", leads), **LEAD},
        [{"path": write(folder / "e.csv", events), **EVENT}],
        same_as=rows,
        max_quarantine=1,
        **more,
    )


def events_of(data, name):
    rows = [row for row in data.events.to_pylist() if row["entity_id"] == name]
    return sorted((row["event_time"].day, row["available_at"].day) for row in rows)


def count_of(data, source):
    (count,) = (count for count in data.counts if count.source == source)
    total = count.used + count.skipped + count.suppressed + sum(count.quarantined.values())
    assert count.rows_in == total
    return count


def test_rows_of_an_id_without_a_lead_count_for_the_new_one(tmp_path):
    data = read_sources(company(tmp_path, "old,new,known\nOLD,A,2024-01-09\n", known=True))
    assert events_of(data, "A") == [(5, 9), (6, 6)]
    assert events_of(data, "OLD") == []
    assert count_of(data, "events_1").moved == 1
    assert count_of(data, "same_as_1").used == 1
    assert events_of(data.cut_at(at(2024, 1, 9)), "A") == [(6, 6)]


def test_merge_without_a_time_holds_always_and_says_so(tmp_path):
    data = read_sources(company(tmp_path, "old,new\nOLD,A\n"))
    assert events_of(data, "A") == [(5, 5), (6, 6)]
    (line,) = count_of(data, "same_as_1").warnings
    assert "sources.same_as[0]: has no known_at" in line


def test_chain_counts_for_the_last_record(tmp_path):
    text = "old,new,known\nOLD,mid,2024-01-08\nmid,A,2024-01-07\nB,A,2024-01-10\n"
    data = read_sources(company(tmp_path, text, known=True))
    assert events_of(data, "A") == [(5, 8), (6, 6), (7, 10)]
    assert events_of(data, "B") == [(7, 7)]
    ends = data.merges.ends(data.leads["entity_id"]).tolist()
    assert ends[0] == ends[2] == NEVER_US > ends[1]


def test_old_id_that_lives_on_counts_for_the_new_one_alone(tmp_path):
    text = EVENTS + "B,2024-01-20,visit\n"
    data = read_sources(
        company(tmp_path, "old,new,known\nB,A,2024-01-10\n", events=text, known=True)
    )
    assert events_of(data, "B") == [(7, 7)]
    assert events_of(data, "A") == [(6, 6), (7, 10), (20, 20)]


@pytest.mark.parametrize(
    ("text", "what", "found"),
    [
        ("OLD,A\nOLD,B\n", "merged into two others", "'OLD' into 'A' and into 'B'"),
        ("A,B\nB,C\nC,A\n", "merged in a circle", "'A' → 'B' → 'C' → 'A'"),
    ],
)
def test_contradictions_are_refused(tmp_path, text, what, found):
    chosen = company(tmp_path, "old,new\n" + text)
    with pytest.raises(DataError, match=what) as caught:
        read_sources(chosen)
    assert caught.value.found == found
    hidden = chosen.model_copy(update={"privacy": Privacy(personal=("old", "new"))})
    with pytest.raises(DataError, match=what) as caught:
        read_sources(hidden)
    assert "OLD" not in str(caught.value) and "'A'" not in str(caught.value)


def test_odd_rows_are_counted(tmp_path):
    text = "old,new,known\nOLD,A,2024-01-09\nOLD,A,2024-01-12\nB,B,2024-01-09\n,A,2024-01-09\n"
    text += "C,,2024-01-09\nC,A,never\n"
    data = read_sources(company(tmp_path, text, known=True))
    count = count_of(data, "same_as_1")
    assert (count.used, count.skipped) == (1, 1)
    assert count.quarantined == {"duplicate": 1, "no id": 2, "unreadable time": 1}
    assert events_of(data, "A") == [(5, 9), (6, 6)]
    assert "1 of 6 rows merge an id into itself" in "".join(count.warnings)


def test_merge_after_the_clock_does_not_hold_yet(tmp_path):
    chosen = company(tmp_path, "old,new,known\nB,A,2024-01-09\n", known=True)
    data = read_sources(chosen, clock=at(2024, 1, 8))
    assert not data.merges and count_of(data, "same_as_1").skipped == 1


def test_unknown_new_id_changes_nothing_and_is_named(tmp_path):
    data = read_sources(company(tmp_path, "old,new\nOLD,a\nB,nobody\n"))
    assert not data.merges and events_of(data, "B") == [(7, 7)]
    line = count_of(data, "same_as_1").warnings[-1]
    assert "2 of 2 new ids are no leads" in line and "1 without case ('a' is 'A')" in line


def test_objection_to_one_record_holds_for_all_of_the_person(tmp_path):
    for listed in ("OLD", "old ", "A", "mid"):
        path = write(tmp_path / "s.csv", f"id\n{listed}\n")
        listing = {"suppress": {"path": path, "entity_id": "id"}}
        chosen = company(tmp_path, "old,new\nOLD,mid\nmid,A\n").model_copy(
            update={"privacy": Privacy.model_validate(listing)}
        )
        data = read_sources(chosen)
        assert data.leads["entity_id"].to_pylist() == ["B", "C"]
        assert count_of(data, "events_1").suppressed == 2
        assert (
            data.suppressed.listed_counts == data.suppressed.met_counts == {"privacy.suppress": 1}
        )
        assert not data.suppressed.warnings


def test_wide_history_moves_with_its_record(tmp_path):
    path = write(tmp_path / "v.csv", "lead,at,size\nOLD,2024-01-04,7\nB,2024-01-04,3\n")
    history = {"path": path, "entity_id": "lead", "valid_from": "at", "columns": ["size"]}
    chosen = company(
        tmp_path, "old,new,known\nOLD,A,2024-01-09\n", known=True, attributes=[history]
    )
    data = read_sources(chosen)
    rows = {(r["entity_id"], r["value"], r["available_at"].day) for r in data.values.to_pylist()}
    assert rows == {("A", "7", 9), ("B", "3", 4)}
    assert count_of(data, "attributes_1").moved == 1


def test_fingerprint_depends_on_merges(tmp_path):
    prints = set()
    for text in ("B,A,2024-01-09\n", "B,A,2024-01-10\n", "B,C,2024-01-09\n"):
        prints.add(
            read_sources(company(tmp_path, "old,new,known\n" + text, known=True)).fingerprint
        )
    assert len(prints) == 3


def test_leads_are_required(tmp_path):
    with pytest.raises(ValueError, match=r"same_as needs sources\.leads"):
        project(None, [{"path": "e.csv", **EVENT}], same_as={"path": "m", "from": "a", "to": "b"})
