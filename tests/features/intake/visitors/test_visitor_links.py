"""``sources.identities``: what is read, counted, refused and warned about, by example."""

import pytest
from pydantic import ValidationError

from configs.privacy import Privacy
from features.sources import read_sources
from tests.features.company import EVENT, LEAD, at, project, write

LEADS = "id,born\nA,2024-01-01\nB,2024-01-01\nC,2024-01-01\n"
VISITS = "cookie,at,what\nv1,2024-01-02,view\nv1,2024-01-08,view\nv2,2024-01-03,view\n"
VISIT = {"visitor_id": "cookie", "event_time": "at", "event_type": "what"}
LINK = {"visitor_id": "cookie", "entity_id": "who", "known_at": "seen"}
FULL_LINK = {**LINK, "valid_from": "since", "valid_to": "till", "revoked_at": "wrong"}


def company(folder, links, visits=VISITS, link=LINK, events=None, **more):
    source = {"path": write(folder / "v.csv", visits), **(events or VISIT)}
    more = {"max_quarantine": 1} | more
    return project(
        {"path": write(folder / "l.csv", LEADS), **LEAD},
        [source],
        identities={"path": write(folder / "i.csv", links), **link},
        **more,
    )


def days_of(data, name):
    rows = [row for row in data.events.to_pylist() if row["entity_id"] == name]
    return sorted((row["event_time"].day, row["available_at"].day) for row in rows)


def count_of(data, source):
    (count,) = (count for count in data.counts if count.source == source)
    total = count.used + count.skipped + count.suppressed + sum(count.quarantined.values())
    assert count.rows_in == total
    return count


def test_past_of_a_visitor_is_known_with_the_link(tmp_path):
    data = read_sources(company(tmp_path, "cookie,who,seen\nv1,A,2024-01-05\n"))
    assert days_of(data, "A") == [(2, 5), (8, 8)]
    count = count_of(data, "events_1")
    assert (count.used, count.identified, count.anonymous, count.skipped) == (2, 2, 1, 1)
    assert not count.quarantined and count_of(data, "identities_1").used == 1
    assert days_of(data.cut_at(at(2024, 1, 5)), "A") == []


def test_anonymous_rows_do_not_count_as_bad(tmp_path):
    text = "cookie,at,what\n" + "nobody,2024-01-02,view\n" * 50 + "v1,2024-01-02,view\n"
    chosen = company(tmp_path, "cookie,who,seen\nv1,A,2024-01-05\n", text, max_quarantine=0.0)
    data = read_sources(chosen, quarantine=tmp_path / "q")
    assert count_of(data, "events_1").anonymous == 50
    assert (tmp_path / "q" / "events_1.csv").read_text().count("\n") == 1


def test_end_and_start_bound_what_belongs_to_the_lead(tmp_path):
    links = "cookie,who,seen,since,till,wrong\nv1,A,2024-01-05,2024-01-02,2024-01-08,\n"
    data = read_sources(company(tmp_path, links, link=FULL_LINK))
    assert days_of(data, "A") == [(2, 5)] and not data.withdrawn.num_rows
    links = "cookie,who,seen,since,till,wrong\nv1,A,2024-01-05,2024-01-03,9999-12-31,\n"
    assert days_of(read_sources(company(tmp_path, links, link=FULL_LINK)), "A") == [(8, 8)]


def test_correction_undoes_a_link_from_when_it_was_known(tmp_path):
    links = "cookie,who,seen,since,till,wrong\nv1,A,2024-01-05,,,2024-01-10\n"
    links += "v1,B,2024-01-10,,,\n"
    data = read_sources(company(tmp_path, links, link=FULL_LINK))
    assert days_of(data, "A") == [] and days_of(data, "B") == [(2, 10), (8, 10)]
    assert data.withdrawn["until"].to_pylist() == [at(2024, 1, 10)] * 2
    before, after = data.cut_at(at(2024, 1, 10)), data.cut_at(at(2024, 1, 11))
    assert days_of(before, "A") == [(2, 5), (8, 8)] and days_of(before, "B") == []
    assert days_of(after, "A") == [] and days_of(after, "B") == [(2, 10), (8, 10)]
    assert count_of(data, "events_1").used == 2


def test_late_log_out_takes_back_what_came_after_it(tmp_path):
    links = "cookie,who,seen,since,till,wrong\nv1,A,2024-01-01,2024-01-01,,\n"
    links += "v1,A,2024-01-12,2024-01-01,2024-01-05,\n"
    data = read_sources(company(tmp_path, links, link=FULL_LINK))
    assert days_of(data, "A") == [(2, 2)]
    assert days_of(data.cut_at(at(2024, 1, 12)), "A") == [(2, 2), (8, 8)]


def test_device_of_many_leads_is_nobodys_from_when_that_is_known(tmp_path):
    links = "cookie,who,seen\nv1,A,2024-01-01\nv1,B,2024-01-04\nv1,nobody,2024-01-09\n"
    data = read_sources(company(tmp_path, links))
    assert not data.events.num_rows
    assert days_of(data.cut_at(at(2024, 1, 9)), "A") == [(2, 2)]
    assert days_of(data.cut_at(at(2024, 1, 9)), "B") == [(8, 8)]
    lines = "".join(count_of(data, "identities_1").warnings)
    assert "1 of 1 visitors are more than 2 leads each" in lines
    assert "1 of 3 ids are no leads, such as 'nobody'" in lines
    both = read_sources(company(tmp_path, links, max_identities=3))
    assert days_of(both, "A") == [(2, 2)] and days_of(both, "B") == [(8, 8)]


def test_row_with_a_lead_belongs_to_it_and_ids_of_visitors_are_no_lead_ids(tmp_path):
    visits = "cookie,lead,at,what\nA,,2024-01-02,view\nv1,C,2024-01-02,view\n,,2024-01-02,view\n"
    keys = {**EVENT, "visitor_id": "cookie"}
    links = "cookie,who,seen\nv1,A,2024-01-01\n"
    data = read_sources(company(tmp_path, links, visits, events=keys))
    assert days_of(data, "A") == [] and days_of(data, "C") == [(2, 2)]
    count = count_of(data, "events_1")
    assert (count.used, count.identified, count.anonymous) == (1, 0, 1)
    assert count.quarantined == {"no id": 1}


def test_link_to_a_merged_record_counts_for_the_new_one(tmp_path):
    merges = {"path": write(tmp_path / "m.csv", "o,n,k\nOLD,A,2024-01-07\nB,A,2024-01-20\n")}
    merges |= {"from": "o", "to": "n", "known_at": "k"}
    links = "cookie,who,seen,since,till,wrong\nv1,OLD,2024-01-05,,,\nv2,B,2024-01-04,,,2024-01-25\n"
    data = read_sources(company(tmp_path, links, link=FULL_LINK, same_as=merges))
    assert days_of(data, "A") == [(2, 7), (8, 8)]
    moved = data.cut_at(at(2024, 1, 21))
    assert days_of(moved, "A") == [(2, 7), (3, 20), (8, 8)]
    assert days_of(data.cut_at(at(2024, 1, 26)), "A") == [(2, 7), (8, 8)]


def test_links_of_suppressed_leads_are_left_out(tmp_path):
    listing = {"path": write(tmp_path / "s.csv", "id\nA\n"), "entity_id": "id"}
    chosen = company(tmp_path, "cookie,who,seen\nv1,A,2024-01-05\nv2,B,2024-01-05\n").model_copy(
        update={"privacy": Privacy.model_validate({"suppress": listing})}
    )
    data = read_sources(chosen)
    assert days_of(data, "B") == [(3, 5)] and data.events.num_rows == 1
    assert count_of(data, "identities_1").suppressed == 1


def test_odd_rows_of_links_are_counted(tmp_path):
    links = "cookie,who,seen\nv1,A,2024-01-05\nv1,A,2024-01-05\n,A,2024-01-05\nv1,,2024-01-05\n"
    links += "v1,A,never\nv2,B,2024-06-01\n"
    data = read_sources(company(tmp_path, links), clock=at(2024, 5, 1))
    count = count_of(data, "identities_1")
    assert (count.used, count.skipped) == (1, 1)
    assert count.quarantined == {"duplicate": 1, "no id": 2, "unreadable time": 1}
    assert days_of(data, "A") == [(2, 5), (8, 8)] and days_of(data, "B") == []


@pytest.mark.parametrize(
    ("events", "links", "message"),
    [
        (EVENT, LINK, "no source of events has visitor_id: map the column"),
        (VISIT, None, r"events\[0\].visitor_id needs sources.identities"),
        ({**VISIT, "visitor_id": None}, LINK, "entity_id: give the column with the lead, or"),
        (VISIT, {**LINK, "entity_id": "cookie"}, "visitor_id and entity_id are both 'cookie'"),
        (VISIT, {"visitor_id": "a", "entity_id": "b"}, "known_at"),
    ],
)
def test_configs_that_cannot_link_visitors_are_refused(events, links, message):
    given = {"identities": {"path": "i.csv", **links}} if links else {}
    with pytest.raises(ValidationError, match=message):
        project({"path": "l.csv", **LEAD}, [{"path": "v.csv", **events}], **given)


def test_links_without_leads_are_refused():
    links = {"path": "i.csv", **LINK}
    with pytest.raises(ValidationError, match=r"identities needs sources\.leads"):
        project(None, [{"path": "v.csv", **VISIT}], identities=links)
