"""Anonymous events: at each as-of and cutoff exactly those of links known before it, in 10,000
histories, by an oracle in SQL."""

import random
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.build import build_features
from features.contracts import INSTANT, SPINE
from features.definitions.catalog import Catalog
from features.sources import read_sources
from tests.features.company import LEAD, csv_text, project, write
from tests.features.logs import examples
from tests.features.visitors.histories import (
    HOUR_US,
    SPAN,
    START,
    draw_histories,
    hours_to_us,
    to_rows,
)
from tests.features.visitors.oracle import find_owners

HISTORIES, LEADS = 10_000, 4_000
LINK_COLUMNS = {"visitor": "cookie", "lead": "who", "known": "seen"}
LINK_COLUMNS |= {"start": "since", "finish": "till", "revoked": "wrong"}
VISIT_COLUMNS = {"id": "id", "visitor": "cookie", "time": "at", "known": "known"}
LINK_KEYS = {"visitor_id": "cookie", "entity_id": "who", "known_at": "seen"}
LINK_KEYS |= {"valid_from": "since", "valid_to": "till", "revoked_at": "wrong"}
EVENT_KEYS = {"visitor_id": "cookie", "event_time": "at", "known_at": "known"}
EVENT_KEYS |= {"event_type": {"constant": "view"}, "channel": "id", "event_id": "id"}
COUNTS = Catalog(types=("view",), windows=(timedelta(days=2),), accounts=False)


def company(folder, links, visits, leads, parts=1, seed=0, **more):
    """Write a company's files, rows shuffled and split over files; return its config."""
    rng = random.Random(seed)
    born = "".join(f"lead{n},2024-02-01\n" for n in range(leads))
    tables = {"links": to_rows(links, LINK_COLUMNS), "visits": to_rows(visits, VISIT_COLUMNS)}
    for name, rows in tables.items():
        rng.shuffle(rows)
        (folder / name).mkdir(exist_ok=True)
        for part in range(parts):
            path = folder / name / f"{part}.csv"
            columns = (LINK_COLUMNS if name == "links" else VISIT_COLUMNS).values()
            write(path, csv_text(rows[part::parts] or [dict.fromkeys(columns, "")], list(columns)))
    identities = {"path": str(folder / "links"), **LINK_KEYS}
    return project(
        {"path": write(folder / "l.csv", "id,born\n" + born), **LEAD},
        [{"path": str(folder / "visits"), **EVENT_KEYS}],
        identities=identities,
        max_quarantine=1,
        earliest="2024-01-01",
        latest="2025-01-01",
        **more,
    )


def visible(events):
    return dict(zip(*(events[name].to_pylist() for name in ("channel", "entity_id")), strict=True))


def expected_at(links, visits, hour, most=2, leads=LEADS):
    owners = find_owners(links, visits, int(hours_to_us(hour)), most)
    return {event: lead for event, lead in owners.items() if int(lead[4:]) < leads}


@pytest.fixture(scope="module")
def histories(tmp_path_factory):
    links, visits = draw_histories(7, HISTORIES, LEADS)
    folder = tmp_path_factory.mktemp("visitors")
    config = company(folder, links, visits, LEADS, parts=3)
    return links, visits, read_sources(config)


def test_events_of_10_000_histories_are_known_with_their_links_and_not_before(histories):
    links, visits, data = histories
    assert len(pc.unique(visits["visitor"])) == HISTORIES
    leaked = missing = compared = 0
    for hour in (1, 20, 40.5, 41, 60, 90, 121, 150, 200, SPAN, 2 * SPAN, 4 * SPAN):
        as_of = START + timedelta(hours=hour)
        owners = expected_at(links, visits, hour)
        found = visible(data.cut_at(as_of).events)
        assert len(found) == data.cut_at(as_of).events.num_rows
        leaked += sum(owners.get(event) != lead for event, lead in found.items())
        missing += len(owners.keys() - found.keys())
        compared += len(owners)
    assert (leaked, missing) == (0, 0) and compared > 50_000


def test_features_of_10_000_histories_see_no_past_before_the_link_is_known(histories):
    links, visits, data = histories
    hours = (20, 40.5, 90, 121, 150, SPAN, 2 * SPAN)
    ids = data.leads["entity_id"].to_pylist()
    rows = [(lead, START + timedelta(hours=hour)) for hour in hours for lead in ids]
    spine = pa.table([*map(list, zip(*rows, strict=True))], names=SPINE.names).cast(SPINE)
    built = build_features(data, spine, COUNTS.select(["view_count_all", "view_count_2d"]))
    times = dict(zip(visits["id"].to_pylist(), visits["time"].to_pylist(), strict=True))
    wrong = seen = 0
    for place, hour in enumerate(hours):
        part = built.slice(place * len(ids), len(ids))
        everything, recent = dict.fromkeys(ids, 0), dict.fromkeys(ids, 0)
        for event, lead in expected_at(links, visits, hour).items():
            everything[lead] += 1
            recent[lead] += times[event] >= hours_to_us(hour - 48)
        for name, counts in (("view_count_all", everything), ("view_count_2d", recent)):
            values = part[name].to_pylist()
            wrong += sum(a != counts[lead] for lead, a in zip(ids, values, strict=True))
        seen += sum(everything.values())
    assert wrong == 0 and seen > 30_000


def test_histories_count_every_row_once(histories):
    _, visits, data = histories
    (count,) = (count for count in data.counts if count.source == "events_1")
    used = {*data.events["channel"].to_pylist(), *data.withdrawn["channel"].to_pylist()}
    assert count.rows_in == len(visits) and count.used == count.identified == len(used)
    assert count.used + count.anonymous == len(visits) and not count.quarantined
    assert count.skipped == count.anonymous > 0


@pytest.mark.parametrize(("parts", "seed"), [(1, 1), (5, 2)])
def test_order_and_files_of_rows_change_nothing(tmp_path, parts, seed):
    links, visits = draw_histories(3, 200, 60)
    ordered, mixed = tmp_path / "a", tmp_path / "b"
    ordered.mkdir()
    mixed.mkdir()
    first = read_sources(company(ordered, links, visits, 60))
    twice = pa.concat_tables([links, links.slice(0, 50)]), pa.concat_tables([visits, visits[:40]])
    again = read_sources(company(mixed, *twice, 60, parts, seed, max_duplicates=1))
    assert again.fingerprint == first.fingerprint
    for name in ("events", "withdrawn"):
        keys = [(column, "ascending") for column in getattr(first, name).column_names]
        tables = [getattr(data, name).sort_by(keys) for data in (first, again)]
        assert tables[0].combine_chunks().equals(tables[1].combine_chunks())


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(0, SPAN * 2), st.booleans())
@examples(25)
def test_small_histories_agree_with_the_oracle_by_limit_and_as_of(
    tmp_path_factory, seed, most, hour, spilled
):
    links, visits = draw_histories(seed, 12, 8)
    folder = tmp_path_factory.mktemp("small")
    config = company(folder, links, visits, 8, max_identities=most)
    data = read_sources(config, scratch=folder / "scratch" if spilled else None)
    cut = data.cut_at(START + timedelta(hours=hour))
    assert visible(cut.events) == expected_at(links, visits, hour, most, 8)
    available = cut.events["available_at"].cast(INSTANT).cast(pa.int64()).to_pylist()
    known = dict(zip(visits["id"].to_pylist(), visits["known"].to_pylist(), strict=True))
    firsts = {}
    for row in links.to_pylist():
        key = row["visitor"], row["lead"]
        firsts[key] = min(row["known"], firsts.get(key, row["known"]))
    whose = dict(zip(visits["id"].to_pylist(), visits["visitor"].to_pylist(), strict=True))
    for (event, lead), at in zip(visible(cut.events).items(), available, strict=True):
        assert at >= max(known[event], firsts[whose[event], lead])
        assert at < int(hours_to_us(hour)) and (at - int(hours_to_us(0))) % HOUR_US == 0
