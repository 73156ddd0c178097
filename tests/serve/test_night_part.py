"""A part of a night: a result, a reason or a problem, and never an error."""

import pytest

from configs.errors import DataError
from serve.night_part import NightPart, compute_night_part
from serve.night_tables import select_group

TABLES = {table.name: table.rows.empty_table() for table in select_group("fit")}


def compute(error=None, tables=None, **options):
    def fail_or_return():
        if error:
            raise error
        return "result"

    return compute_night_part("fit", fail_or_return, lambda result: tables or TABLES, **options)


def test_part_that_succeeds_has_its_result():
    assert compute() == NightPart("result")


def test_data_that_is_too_young_is_a_reason_unless_none_is_expected():
    error = DataError("too few deals", where="deals", fix="wait")
    assert compute(error) == NightPart(reason="data error: too few deals")
    assert compute(error, reasons=()) == NightPart(problem="data error: too few deals")


@pytest.mark.parametrize("error", [MemoryError("L00001"), BaseException("a panic of L00001")])
def test_failure_is_a_problem_without_a_value_of_a_row(error):
    part = compute(error)
    assert part.result is part.reason is None
    assert part.problem.startswith(type(error).__name__) and "L00001" not in part.problem


def test_tables_that_the_database_would_refuse_are_a_problem():
    part = compute(tables={name: TABLES["fit_grid"] for name in TABLES})
    assert part.result is None and part.problem


def test_interruption_is_passed_on():
    with pytest.raises(KeyboardInterrupt):
        compute(KeyboardInterrupt())
