"""Changes of the input that must not change a bit of the matrix.

These are rows that are not known yet, order and files of the rows, other rows, shards, workers, and
further requested features.
"""

import csv
import tempfile
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from features.build import build_features, stream_features
from features.sources import read_sources
from tests.features.agreement import same_bits
from tests.features.company import FULL_EVENT, LEAD, project
from tests.features.logs import (
    ACCOUNTS,
    CATALOG,
    ROLES,
    START,
    TAME,
    crowd,
    crowds,
    dataset,
    delays,
    event,
    examples,
    moments,
    of,
    one_of_each,
    spine_of,
    spines,
)


def known_at(data, cutoff, rows):
    """Return the rows whose lead was known, with cutoffs up to this one."""
    leads = {row["entity_id"] for row in data.leads.to_pylist() if row["available_at"] < cutoff}
    return spine_of(
        [(row["entity_id"], row["cutoff"]) for row in rows.to_pylist() if row["entity_id"] in leads]
    )


def at_most(rows, cutoff):
    """Draw the rows' cutoffs forward to one, where they lie behind it."""
    return spine_of([(row["entity_id"], min(row["cutoff"], cutoff)) for row in rows.to_pylist()])


def arrivals(data):
    """Return the instants at which leads and events became known: cutoffs that exclude them."""
    return sorted(
        {row["available_at"] for table in (data.leads, data.events) for row in table.to_pylist()}
    )


@st.composite
def unknown_event(draw, cutoff):
    """Draw an event of any time that is unknown at the cutoff."""
    late = draw(event())
    return late | {"available_at": max(late["available_at"], cutoff) + draw(delays)}


@examples(40)
@given(dataset(), spines, st.data())
def test_future_rows_change_no_bit(data, rows, draw):
    cutoff = draw.draw(moments | st.sampled_from(arrivals(data)))
    spine = known_at(data, cutoff, at_most(rows, cutoff))
    log, leads = data.events.to_pylist(), data.leads.to_pylist()
    known = [row for row in log if row["available_at"] < cutoff]
    changed = draw.draw(st.lists(unknown_event(cutoff), max_size=12))
    strangers = draw.draw(st.sampled_from(ACCOUNTS))
    odd = [
        row
        if row["available_at"] < cutoff
        else row | {"account_id": account, "role": "chief", "size": -1.0}
        for row, account in zip(leads, strangers, strict=True)
    ]
    expected = build_features(data, spine, CATALOG)
    assert same_bits(build_features(of(leads, known), spine, CATALOG), expected)
    assert same_bits(build_features(of(odd, known + changed), spine, CATALOG), expected)
    assert same_bits(build_features(data.cut_at(cutoff), spine, CATALOG), expected)


@examples(30)
@given(dataset(), spines, st.integers(1, 5), st.integers(1, 2))
def test_shards_and_workers_change_no_bit(data, spine, shards, workers):
    expected = build_features(data, spine, CATALOG)
    assert same_bits(build_features(data, spine, CATALOG, shards=shards, workers=workers), expected)


@examples(8)
@given(crowds, st.integers(2, 9), st.integers(1, 2))
def test_shards_and_workers_change_no_bit_of_a_crowd(data, shards, workers):
    names = data.leads["entity_id"].to_pylist()
    spine = spine_of(
        [
            (name, at)
            for name in names
            for at in pc.unique(data.events["event_time"]).to_pylist()[::40]
        ]
    )
    expected = build_features(data, spine, CATALOG)
    assert same_bits(build_features(data, spine, CATALOG, shards=shards, workers=workers), expected)


@examples(30)
@given(dataset(), spines, st.data())
def test_single_row_equals_row_among_others(data, spine, draw):
    matrix = build_features(data, spine, CATALOG)
    row = draw.draw(st.integers(0, spine.num_rows - 1))
    assert same_bits(build_features(data, spine.slice(row, 1), CATALOG), matrix.slice(row, 1))


@examples(30)
@given(dataset(), spines, st.randoms())
def test_spine_order_and_repetition_change_no_bit(data, spine, chance):
    matrix = build_features(data, spine, CATALOG)
    places = [chance.randrange(spine.num_rows) for _ in range(spine.num_rows + 3)]
    assert same_bits(build_features(data, spine.take(places), CATALOG), matrix.take(places))


@examples(30)
@given(dataset(), spines, st.data())
def test_further_features_change_no_bit(data, spine, draw):
    names = [feature.name for feature in CATALOG.features]
    some = draw.draw(st.sets(st.sampled_from(names), min_size=1, max_size=20))
    found = build_features(data, spine, CATALOG.select(some))
    kept = [name for name in names if name in some]
    assert found.column_names == ["entity_id", "cutoff", *kept]
    assert same_bits(
        found, build_features(data, spine, CATALOG).select(["entity_id", "cutoff", *kept])
    )


def test_single_feature_equals_feature_among_others():
    data = crowd(11)
    spine = spine_of(
        [(name, START + timedelta(days=14)) for name in data.leads["entity_id"].to_pylist()]
    )
    whole, names = (
        build_features(data, spine, CATALOG),
        [feature.name for feature in one_of_each(CATALOG).features],
    )
    alone = {name: build_features(data, spine, CATALOG.select([name])) for name in names}
    assert [
        name
        for name in names
        if not same_bits(alone[name], whole.select(["entity_id", "cutoff", name]))
    ] == []


@examples(30)
@given(dataset(), spines, st.lists(st.integers(0, 25), max_size=4))
def test_table_chunks_change_no_bit(data, spine, cuts):
    def pieces(table):
        edges = [0, *sorted(cut for cut in cuts if cut < table.num_rows), table.num_rows]
        parts = [table.slice(begin, end - begin) for begin, end in pairwise(edges)]
        return pa.concat_tables([table.slice(0, 0), *parts])

    expected = build_features(data, spine, CATALOG)
    cut = replace(data, events=pieces(data.events), leads=pieces(data.leads))
    assert same_bits(build_features(cut, pieces(spine), CATALOG), expected)


tame = event(values=TAME)


@st.composite
def company(draw):
    """Draw rows of two sources, and the same in another order with repeated events."""
    leads = [
        {
            "id": name,
            "born": draw(moments).isoformat(),
            "account": account or "",
            "role": draw(st.sampled_from(ROLES)),
        }
        for name, account in zip("abcd", draw(st.sampled_from(ACCOUNTS)), strict=True)
    ]
    log = [
        {
            "lead": row["entity_id"],
            "at": row["event_time"].isoformat(),
            "known": row["available_at"].isoformat(),
        }
        | {"what": row["event_type"], "via": row["channel"] or "", "amount": row["value"]}
        for row in draw(st.lists(tame, min_size=1, max_size=20))
    ]
    twice = draw(st.lists(st.sampled_from(log), max_size=3))
    return leads, log, draw(st.permutations(leads)), draw(st.permutations(log + twice))


@examples(6)
@given(company(), spines, st.integers(1, 4), st.integers(1, 4))
def test_order_files_and_duplicates_change_no_bit(
    tmp_path_factory, rows, spine, lead_files, event_files
):
    leads, log, mixed_leads, mixed_log = rows
    folder = tmp_path_factory.mktemp("company")
    catalog = replace(CATALOG, attributes=(("role", "category"),))
    once = source(folder / "once", leads, log, 1, 1)
    other = source(folder / "other", mixed_leads, mixed_log, lead_files, event_files)
    assert same_bits(build_features(other, spine, catalog), build_features(once, spine, catalog))


def source(folder, leads, log, lead_files, event_files):
    """Write rows to this number of files and read them."""
    for name, rows, count in (("leads", leads, lead_files), ("events", log, event_files)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            with (folder / name / f"{number}.csv").open("w") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows[number::count])
    lead_rows = LEAD | {
        "path": str(folder / "leads"),
        "account_id": "account",
        "attributes": ["role"],
    }
    events = [FULL_EVENT | {"path": str(folder / "events")}]
    # Up to three rows of a short log occur twice.
    return read_sources(project(lead_rows, events, max_duplicates=1))


@examples(15)
@given(st.one_of(dataset(), crowds), st.data())
def test_stream_equals_the_matrix(data, draw):
    names = data.leads["entity_id"].to_pylist()
    rows = st.lists(st.tuples(st.sampled_from(names), moments), min_size=1, max_size=30)
    spine = spine_of(draw.draw(rows))
    shards = draw.draw(st.sampled_from([None, 1, 2, 5]))
    parts = list(stream_features(data, spine, CATALOG, shards=shards))
    streamed = pa.concat_tables(parts)
    matrix = build_features(data, spine, CATALOG)
    assert same_bits(
        streamed.sort_by([("cutoff", "ascending"), ("entity_id", "ascending")]), matrix
    )
    order = ["entity_id", "cutoff"]
    whole = pa.concat_tables(stream_features(data, spine, CATALOG, shards=1)).select(order)
    assert streamed.select(order).to_pylist() == whole.to_pylist()


@examples(6)
@given(crowds, st.sampled_from([None, 1, 4]), st.booleans())
def test_log_file_and_scratch_arrays_change_no_bit(data, shards, by_time):
    names = data.leads["entity_id"].to_pylist()
    spine = spine_of([(name, START + timedelta(days=day)) for name in names for day in (9, 15)])
    order = ["event_time", "entity_id", *data.events.column_names[2:]]
    keys = [(name, "ascending", "at_start") for name in order]
    events = (
        data.events.take(pc.sort_indices(data.events, sort_keys=keys)) if by_time else data.events
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        pq.write_table(events, path, row_group_size=37)
        parts = list(
            stream_features(
                replace(data, events=path), spine, CATALOG, shards=shards, scratch=Path(folder)
            )
        )
    streamed = pa.concat_tables(parts).sort_by(
        [("cutoff", "ascending"), ("entity_id", "ascending")]
    )
    assert same_bits(streamed, build_features(data, spine, CATALOG))
