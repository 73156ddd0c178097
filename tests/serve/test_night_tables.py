"""Rows of a night's tables before they are published: what the databases would refuse."""

import math

import pyarrow as pa
import pytest

from configs.errors import DataError
from serve.night_tables import NIGHT_TABLES, prepare_night_table, stamp_night_tables
from tests.serve.samples import MONDAY, a_run, some_tables

TABLES = {table.name: table for table in NIGHT_TABLES}


def rows_of(name):
    return some_tables(a_run())[name].select(TABLES[name].rows.names)


def put(rows, name, values):
    return rows.set_column(
        rows.column_names.index(name),
        name,
        pa.array(values) if isinstance(values, list) else values,
    )


@pytest.mark.parametrize("name", TABLES)
def test_rows_that_the_database_would_refuse_are_named(name):
    table = TABLES[name]
    rows = rows_of(name)
    with pytest.raises(DataError, match=rf"same key \[table {name}, column {', '.join(table.key)}"):
        prepare_night_table(table, pa.concat_tables([rows, rows.slice(1, 1)]))
    for key in table.key:
        with pytest.raises(DataError, match=rf"required value is missing \[table {name}, "):
            prepare_night_table(
                table, put(rows, key, pa.array([rows[key][0].as_py(), None, None], rows[key].type))
            )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_number_that_is_none_is_missing(value):
    rows = put(rows_of("cycle"), "p50", [1.5, value, None])
    assert prepare_night_table(TABLES["cycle"], rows)["p50"].to_pylist() == [1.5, None, None]
    with pytest.raises(DataError, match="column age_days"):
        prepare_night_table(TABLES["stuck"], put(rows_of("stuck"), "age_days", [1.0, value, 2.0]))


def test_text_that_postgresql_cannot_hold_is_refused():
    rows = put(rows_of("funnel"), "segment", ["a", "b\0c", "d"])
    with pytest.raises(
        DataError, match=r"NUL character \[table funnel, column segment\]: 1 of 3 rows"
    ):
        prepare_night_table(TABLES["funnel"], rows)


def test_rows_are_stamped_in_their_order():
    run = a_run()
    stamped = stamp_night_tables({"stuck": rows_of("stuck")}, run)
    assert list(stamped) == ["stuck"]
    assert stamped["stuck"].schema == TABLES["stuck"].stored
    assert stamped["stuck"]["position"].to_pylist() == [1, 2, 3]
    own = stamped["stuck"].select(["project", "as_of", "run_id"]).to_pylist()
    assert own == [{"project": "acme", "as_of": MONDAY, "run_id": "r1"}] * 3
