"""Events that count as the same: by their own id, or by the mapped columns."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from configs.privacy import Privacy
from features.intake.identity.equal_events import (
    EqualRows,
    choose_first_known,
    pair_equal_rows,
)
from features.sources import read_sources
from features.tools.duplicates import HASHES, find_duplicate_rows
from tests.features.company import EVENT, csv_text, project, write

OWN = {**EVENT, "event_id": "nr", "known_at": "known"}


def row(nr, lead="a", what="x", product="p", known="2024-01-02"):
    return {
        "nr": nr,
        "lead": lead,
        "at": "2024-01-01",
        "what": what,
        "known": known,
        "product": product,
    }


def read(folder, rows, mapped=EVENT, name="e.csv", **more):
    source = {"path": write(folder / name, csv_text(rows)), **mapped}
    return read_sources(project(events=[source], max_duplicates=1, **more))


def test_events_with_ids_of_their_own_are_kept_apart(tmp_path):
    rows = [row(1), row(2), row(1), row(""), row("")]
    found = read(tmp_path, rows, OWN)
    assert found.events.num_rows == 3 and found.counts[0].quarantined == {"duplicate": 2}
    assert not found.warnings
    table = pa.Table.from_pylist([{**each, "nr": None} for each in rows])
    table = table.set_column(0, "nr", pa.array([1.0, 2.0, 1.0, None, None]))
    parquet.write_table(table, tmp_path / "e.parquet")
    typed = read_sources(
        project(events=[{"path": str(tmp_path / "e.parquet"), **OWN}], max_duplicates=1)
    )
    assert typed.events.num_rows == 3 and typed.fingerprint == found.fingerprint


@pytest.mark.parametrize("turned", [False, True])
def test_event_known_first_is_used_of_equal_ids(tmp_path, turned):
    rows = [row(1, what="late", known="2024-01-09"), row(1, what="early"), row(2)]
    found = read(tmp_path, rows[::-1] if turned else rows, OWN)
    assert sorted(found.events["event_type"].to_pylist()) == ["early", "x"]
    (line,) = found.warnings
    assert "e.csv: events_1: nr: 1 of 1 rows that repeat an event's id have other content" in line


def test_ids_of_two_sources_have_nothing_to_do_with_each_other(tmp_path):
    path = write(tmp_path / "e.csv", csv_text([row(1)]))
    other = write(tmp_path / "f.csv", csv_text([row(1)]))
    found = read_sources(project(events=[{"path": path, **OWN}, {"path": other, **OWN}]))
    assert found.events.num_rows == 2 and not found.warnings


def test_rows_that_differ_in_unmapped_columns_are_named(tmp_path):
    rows = [row(1), row(2, product="q"), row(3, lead="b"), row(3, lead="b")]
    found = read(tmp_path, rows)
    (line,) = found.warnings
    assert "1 of 2 rows dropped as duplicates are equal in the mapped columns only" in line
    assert "rows 2 and 3, which differ in 'product'" in line or "differ in 'nr'" in line
    assert "sources.events[0].event_id" in line
    table = pa.Table.from_pylist(rows)
    parquet.write_table(table, tmp_path / "e.parquet")
    source = {"path": str(tmp_path / "e.parquet"), **EVENT}
    (line,) = read_sources(project(events=[source], max_duplicates=1)).warnings
    assert "rows 1 and 2" in line
    assert not read(tmp_path, [row(1), row(1)]).warnings


def test_warning_holds_no_values(tmp_path):
    path = write(tmp_path / "e.csv", csv_text([row(1, product="CANARY"), row(1)]))
    chosen = project(events=[{"path": path, **EVENT}], max_duplicates=1)
    chosen = chosen.model_copy(update={"privacy": Privacy(personal=("product",))})
    (line,) = read_sources(chosen).warnings
    assert "CANARY" not in line


def hashes_of(pairs, cut):
    whole = pa.table(
        {"high": [high for high, _ in pairs], "low": [low for _, low in pairs]}, schema=HASHES
    )
    return pa.concat_tables([whole.slice(0, cut), whole.slice(cut)])


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=12), st.integers(0, 12))
def test_duplicates_are_paired_with_the_first_row_of_their_hash(pairs, cut):
    hashes = hashes_of(pairs, cut)
    found = pair_equal_rows(hashes, find_duplicate_rows(hashes))
    wanted = [(i, pairs.index(pair)) for i, pair in enumerate(pairs) if pairs.index(pair) != i]
    assert list(zip(found.again.tolist(), found.firsts.tolist(), strict=True)) == wanted
    known = np.array([(7 * i) % 5 for i in range(len(pairs))])
    chosen = choose_first_known(found, lambda rows: [known[rows]])
    best = {}
    for i in sorted(range(len(pairs)), key=lambda i: (known[i], i)):
        best.setdefault(pairs[i], i)
    wanted = [(i, best[pair]) for i, pair in enumerate(pairs) if best[pair] != i]
    assert list(zip(chosen.again.tolist(), chosen.firsts.tolist(), strict=True)) == wanted


def test_pairs_of_a_range_count_from_its_begin():
    pairs = EqualRows(np.array([3, 5, 6]), np.array([0, 4, 5]))
    found = pairs.between(4, 7)
    assert (found.again.tolist(), found.firsts.tolist()) == ([1, 2], [0, 1])
