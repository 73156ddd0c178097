"""As-of join of attributes against plain Python: ties, late and cleared values, any order."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import DataError
from features.contracts import LEADS, VALUES, Dataset, filter_available_before
from features.definitions.attributes import as_of_join, infer_attribute_kinds
from features.tools.id_index import IdIndex
from features.tools.instants import to_microseconds
from tests.features.logs import delays, entities, moments

NAMES = "abcd"
LEAD_ROWS = [{"entity_id": name, "created_at": datetime(2024, 1, 1, tzinfo=UTC)} for name in NAMES]
TABLE = pa.Table.from_pylist(
    [row | {"available_at": row["created_at"]} for row in LEAD_ROWS], LEADS
)
IDS = IdIndex.from_column(TABLE["entity_id"])

one_value = st.builds(
    lambda name, attribute, since, delay, value: {
        "entity_id": name,
        "attribute": attribute,
        "valid_from": since,
        "available_at": since + delay,
        "value": value,
    },
    entities | st.just("nobody"),
    st.sampled_from(["size", "size", "size", "other"]),
    moments,
    delays,
    st.sampled_from([None, "1", "2.5", "10", "-3", " 7"]),
)
histories = st.lists(one_value, max_size=25)
questions = st.lists(st.tuples(entities, moments), max_size=12)


def table(rows):
    return pa.Table.from_pylist(rows, VALUES)


def ask(values, questions, kind="category", leads=TABLE):
    ids = leads["entity_id"].to_pylist()
    entity = np.array([ids.index(name) for name, _ in questions], np.int64)
    cutoff = np.array([to_microseconds(at) for _, at in questions], np.int64)
    return as_of_join(
        values, "size", kind, entity, cutoff, IdIndex.from_column(leads["entity_id"])
    ).to_pylist()


def plain(rows, name, cutoff):
    """Return the expected value by scanning all rows."""
    known = [
        (row["valid_from"], row["available_at"], row["value"] is not None, row["value"])
        for row in rows
        if (row["entity_id"], row["attribute"]) == (name, "size") and row["available_at"] < cutoff
    ]
    return max(known)[-1] if known else None


@settings(max_examples=200)
@given(histories, questions)
def test_as_of_join_returns_newest_known_value(rows, questions):
    assert ask(table(rows), questions) == [plain(rows, *question) for question in questions]


@settings(max_examples=20)
@given(histories, questions)
def test_as_of_join_reads_number_from_same_value(rows, questions):
    expected = [plain(rows, *question) for question in questions]
    assert ask(table(rows), questions, "number") == [
        None if text is None else float(text) for text in expected
    ]


@settings(max_examples=60)
@given(histories, questions, st.randoms())
def test_as_of_join_does_not_depend_on_order(rows, questions, chance):
    mixed, leads, asked = rows[:], TABLE.to_pylist(), questions[:]
    for each in (mixed, leads, asked):
        chance.shuffle(each)
    before = dict(zip(questions, ask(table(rows), questions), strict=True))
    assert ask(table(mixed), asked, leads=pa.Table.from_pylist(leads, LEADS)) == [
        before[each] for each in asked
    ]
    assert all(ask(table(rows), [each]) == [before[each]] for each in asked)


@settings(max_examples=20)
@given(histories, histories, moments)
def test_as_of_join_ignores_values_not_yet_known(rows, later, cutoff):
    questions = [(name, cutoff) for name in NAMES]
    unknown = [
        row | {"available_at": max(row["valid_from"], cutoff), "value": "garbled"} for row in later
    ]
    for kind in ("category", "number"):
        expected = ask(filter_available_before(table(rows), cutoff), questions, kind)
        assert ask(table(rows), questions, kind) == expected
        assert ask(table(rows + unknown), questions, kind) == expected


def test_as_of_join_sees_value_just_after_it_is_known():
    since, known = datetime(2024, 1, 5, tzinfo=UTC), datetime(2024, 1, 8, tzinfo=UTC)
    one = {
        "entity_id": "a",
        "attribute": "size",
        "valid_from": since,
        "available_at": known,
        "value": "x",
    }
    old = one | {
        "valid_from": since - timedelta(days=1),
        "available_at": known + timedelta(days=1),
        "value": "late",
    }
    cleared = one | {"valid_from": known, "available_at": known + timedelta(days=2), "value": None}
    ticks = [
        known,
        known + timedelta(microseconds=1),
        *(known + timedelta(days=n, microseconds=1) for n in (1, 2)),
    ]
    assert ask(table([one, old, cleared]), [("a", tick) for tick in ticks]) == [
        None,
        "x",
        "x",
        None,
    ]


@pytest.mark.parametrize("rows", [[], [{"entity_id": "nobody", "attribute": "size", "value": "1"}]])
def test_as_of_join_returns_null_of_requested_kind(rows):
    moment = {
        "valid_from": datetime(2024, 1, 1, tzinfo=UTC),
        "available_at": datetime(2024, 1, 1, tzinfo=UTC),
    }
    nothing, later = (
        table([row | moment for row in rows]),
        np.array([to_microseconds(datetime(2025, 1, 1, tzinfo=UTC))]),
    )
    for kind, wanted in {"number": pa.float64(), "category": pa.string()}.items():
        found = as_of_join(nothing, "size", kind, np.array([1]), later, IDS)
        assert (found.type, found.to_pylist()) == (wanted, [None])
        assert len(as_of_join(nothing, "size", kind, later[:0], later[:0], IDS)) == 0


def test_attribute_kind_fits_all_values():
    texts = {
        "n": ["1", "x1", None],
        "number": ["1", None, "2.5"],
        "none": [None],
        "truth": ["true", "False"],
    }
    texts |= {"day": ["2024-01-05"], "code": ["007"]}
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [
        {
            "entity_id": "a",
            "attribute": name,
            "valid_from": moment,
            "available_at": moment,
            "value": text,
        }
        for name, values in texts.items()
        for text in values
    ]
    found = infer_attribute_kinds(table(rows))
    numbers = dict.fromkeys(["day", "none", "number", "truth"], "number")
    assert found == numbers | {"n": "category", "code": "category"}
    assert list(found) == sorted(found)
    assert infer_attribute_kinds(table([])) == {}
    entity, later = np.array([0]), np.array([to_microseconds(moment) + 1])
    assert as_of_join(table(rows), "day", "number", entity, later, IDS).to_pylist() == [19727.0]
    assert as_of_join(table(rows), "truth", "number", entity, later, IDS).to_pylist() == [1.0]
    with pytest.raises(DataError, match="was a number and is text now"):
        as_of_join(table(rows), "n", "number", entity, later, IDS)


def test_as_of_join_handles_long_history():
    start, count = to_microseconds(datetime(2024, 1, 1, tzinfo=UTC)), 100_000
    rng = np.random.default_rng(5)
    since = start + rng.integers(0, 30_000, count)
    available = since + rng.choice([0, 0, 50, 20_000], count)
    number = rng.integers(0, 1000, count)
    columns = [
        pa.repeat("b", count),
        pa.repeat("size", count),
        pa.array(since),
        pa.array(available),
        pa.array(number),
    ]
    values = pa.table(columns, VALUES.names).cast(VALUES)
    cutoff = start + rng.integers(-10, 60_000, 40)
    found = as_of_join(values, "size", "category", np.ones(40, np.int64), cutoff, IDS).to_pylist()
    for at, text in zip(cutoff, found, strict=True):
        known = [(since[i], available[i], str(number[i])) for i in np.flatnonzero(available < at)]
        assert text == (max(known)[-1] if known else None)


@settings(max_examples=50)
@given(histories, moments)
def test_dataset_cut_filters_values(rows, cutoff):
    whole = Dataset(
        TABLE, pa.table({"available_at": TABLE["available_at"]}), (), "f", values=table(rows)
    )
    kept = whole.cut_at(cutoff)
    assert kept.values.to_pylist() == [row for row in rows if row["available_at"] < cutoff]
    assert (kept.fingerprint, kept.timed, kept.ordered) == ("f", True, True)
    untimed = Dataset(TABLE, TABLE, (), "f", timed=False, values=table(rows))
    assert untimed.cut_at(cutoff) is untimed
