"""Events that are equal but for the visitor: counted, kept, and only those of one lead."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from features.sources import read_sources
from tests.features.company import LEAD, csv_text, project, write
from tests.features.logs import examples

EVENT = {"visitor_id": "cookie", "event_time": "at", "event_type": "what"}
EVENT |= {"channel": "via", "value": "sum"}
LINK = {"visitor_id": "cookie", "entity_id": "lead", "known_at": "seen"}


def read_company(folder, visits, links, **keys):
    """Read visits of (cookie, hour, type, channel, value) and links of (cookie, lead)."""
    rows = [
        {"cookie": cookie, "at": f"2024-01-02T{hour:02}:00", "what": what, "via": via, "sum": value}
        | {"id": str(n)}
        for n, (cookie, hour, what, via, value) in enumerate(visits)
    ]
    linked = [{"cookie": cookie, "lead": lead, "seen": "2024-01-05"} for cookie, lead in links]
    columns = [*EVENT.values(), "id"]
    config = project(
        {"path": write(folder / "l.csv", "id,born\nA,2024-01-01\nB,2024-01-01\n"), **LEAD},
        [{"path": write(folder / "v.csv", csv_text(rows, columns)), **EVENT, **keys}],
        identities={
            "path": write(folder / "i.csv", csv_text(linked, [*LINK.values()])),
            **LINK,
        },
        max_duplicates=1,
        max_quarantine=1,
    )
    return read_sources(config)


def list_warnings(data):
    lines = [line for count in data.counts for line in count.warnings]
    return [line for line in lines if "another of these visitors" in line]


def test_event_of_two_visitors_is_kept_twice_with_a_warning(tmp_path):
    visits = [("phone", 9, "view", "ads", ""), ("desk", 9, "view", "ads", "")]
    visits += [("phone", 10, "view", "ads", "3"), ("desk", 10, "view", "ads", "4")]
    links = [("phone", "A"), ("desk", "A")]
    data = read_company(tmp_path, visits, links)
    (line,) = list_warnings(data)
    assert "events_1: 1 of 4 compared" in line and "2024-01-02T09:00:00+00:00" in line
    assert "sources.events[0].event_id" in line and data.events.num_rows == 4


def test_events_with_ids_and_of_other_leads_need_no_warning(tmp_path):
    visits = [(cookie, 9, "view", "ads", "") for cookie in ("phone", "desk")]
    both = [("phone", "A"), ("desk", "A")]
    with_ids = read_company(tmp_path, visits, both, event_id="id")
    other = read_company(tmp_path, visits, [("phone", "A"), ("desk", "B"), ("car", "A")])
    assert not list_warnings(with_ids) and not list_warnings(other)
    # The same row of the same visitor is a duplicate, as anywhere.
    again = read_company(tmp_path, [visits[0], visits[0]], both)
    assert not list_warnings(again) and again.events.num_rows == 1


visit_rows = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.integers(8, 9),
    st.sampled_from(["view", "form"]),
    st.sampled_from(["", "ads"]),
    st.sampled_from(["", "1"]),
)


@given(
    st.lists(visit_rows, max_size=12),
    st.fixed_dictionaries({name: st.sampled_from(["A", "B", None]) for name in "abc"}),
)
@examples(40)
def test_number_of_repeats_is_that_of_a_count_by_hand(tmp_path_factory, visits, owners):
    folder = tmp_path_factory.mktemp("repeats")
    links = [(cookie, lead) for cookie, lead in owners.items() if lead]
    data = read_company(folder, [("a", 20, "end", "", ""), *visits], links)
    seen = defaultdict(set)
    for cookie, *rest in visits:
        if owners[cookie]:
            seen[(owners[cookie], *rest)].add(cookie)
    wanted = sum(len(cookies) - 1 for cookies in seen.values())
    lines = list_warnings(data)
    assert len(lines) == (wanted > 0)
    assert all(f": {wanted} of " in line for line in lines)
