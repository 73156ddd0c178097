"""Kind of a column by the bulk of its values."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import DataError
from configs.source_rows import LeadRows
from features.intake.column_kinds import parse_as, read_attribute, settle_reading
from features.intake.formats.number_form import list_attribute_form
from features.intake.formats.number_signs import ALL_SIGNS
from features.readings.columns import NumberSigns, ReadingRules, StoredReading

RULES = ReadingRules("sources.leads", ALL_SIGNS, 0.05)


def column(values, kind=None):
    return pa.chunked_array([pa.array(values, kind or pa.string())])


def read(values, kind=None, **kinds):
    rules = ReadingRules("sources.leads", ALL_SIGNS, 0.05, kinds)
    return read_attribute(
        "x", column(values, kind), rules, lambda at: f"l.csv, row {at + 2}", typed=kind is not None
    )


KINDS = {
    "number": st.integers(-(10**6), 10**6).map(str)
    | st.floats(-1e4, 1e4).map(lambda v: f"{v:.2f}"),
    "truth": st.sampled_from(["true", "false", "TRUE"]),
    "date": st.dates().filter(lambda day: day.year > 999).map(str),
    "category": st.sampled_from(["red", "blue", "A1", "x 7"]),
}
bad = st.sampled_from(["n/a", "1,200", "$5", "12 %", "#REF!", "007", "1.000", "yes", "2024-13-01"])


@pytest.mark.slow
@settings(max_examples=1000)
@given(st.data(), st.sampled_from(list(KINDS)), bad, st.integers(0, 30))
def test_bad_cell_changes_neither_kind_nor_other_values(data, kind, cell, place):
    values = data.draw(st.lists(KINDS[kind], min_size=30, max_size=40))
    before, clean = read(values)
    after, dirty = read([*values[:place], cell, *values[place:]])
    assert (clean.stored.kind, clean.problem, clean.warnings) == (kind, None, ())
    assert (dirty.stored.kind, dirty.problem) == (kind, None)
    others = after.to_pylist()
    mine = others.pop(place)
    assert others == before.to_pylist()
    if kind != "category" and mine is None:
        assert f"{cell!r} in l.csv, row {place + 2}" in " ".join(dirty.warnings)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["A1", "10", "20", "B3", "C5"], "category"),
        (["S", "M", "L", "38", "40"], "category"),
        (["007", "12", "13"], "category"),
        (["12345"] * 99 + ["00501"], "category"),
        (["12"] * 99 + ["007"], "number"),
        (["true", "1"], "category"),
        (["1970-01-02", "soon"], "category"),
        ([None], "number"),
        (["NaN", "5"], "number"),
    ],
)
def test_kind_of_a_column(values, kind):
    for order in (values, values[::-1]):
        assert (read(order)[1].stored.kind, read(order)[1].problem) == (kind, None)


def test_frequent_text_is_named_and_proposed_as_missing():
    _, found = read(["unknown"] * 3 + ["5"] * 97)
    assert found.warnings == (
        "attribute x is read as numbers: 3 of 100 values, such as 'unknown', 3 times, first in "
        "l.csv, row 2 do not fit and are missing; correct them, list them as missing "
        "(sources.leads.missing: ['unknown']), or declare sources.leads.kinds: {x: category}",
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["unknown"] * 10 + ["5"] * 90, ["10 of 100 values, such as 'unknown', 10 times", "kinds"]),
        (["1.000", "2.500"], ["2 of 2 values, such as '1.000' in l.csv, row 2: 1 with", "1000"]),
        (["1,200", "5", "7"], ["1 of 3", "1200 with decimal '.', 1.2 with decimal ','"]),
        (["1,5", "1.5"] * 5, ["5 of 10 values"]),
    ],
)
def test_uncertain_column_has_a_problem_with_counts_and_row(values, words):
    table, found = read(values)
    assert table.to_pylist() == values
    assert all(word in str(found.problem) for word in words)


def test_declared_kinds_take_precedence():
    assert read(["1", "2"], x="category")[0].to_pylist() == ["1", "2"]
    assert read([1, 2], pa.int64(), x="category")[0].to_pylist() == ["1", "2"]
    _, found = read(["5"] * 60 + ["x"] * 40, x="number")
    assert "declared kind, number" in str(found.problem) and "40 of 100" in str(found.problem)
    assert read(["2024-01-05"], x="date")[0].to_pylist() == [19727.0]
    assert read(["1.5", None], x="number")[0].to_pylist() == [1.5, None]


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
def test_typed_numbers_are_certain(kind):
    values, found = read([1.125, 2.5, 1.25], kind)
    assert (values.to_pylist(), found.problem, found.warnings) == ([1.125, 2.5, 1.25], None, ())


def test_values_of_a_hidden_column_are_in_no_message():
    for values in (["5"] * 99 + ["Ann"], ["Ann"] * 9 + ["5"] * 91, ["1.000"], ["1.200,50"]):
        _, found = read_attribute("x", column(values), RULES, str, hidden=True)
        form = list(list_attribute_form(LeadRows(path="l.csv"), [found]))
        text = f"{found.warnings} {found.problem} {form}"
        assert "x" in text and not any(word in text for word in ("Ann", "1.000", "1.200"))


def settle(values, kind, signs=None):
    _, found = read(values)
    stored = settle_reading(found, StoredReading(kind, signs or NumberSigns()))
    return parse_as(found.written, stored).to_pylist()


def test_model_settles_the_kind():
    assert settle(["12", "7.50"], "category") == ["12", "7.50"]
    assert settle([None, None], "category") == [None, None]
    assert settle([None, None], "date") == [None, None]
    assert settle(["5"] * 90 + ["x"] * 10, "category")[-1] == "x"
    assert settle(["true", "false"], "number") == [1, 0]
    german = NumberSigns(",", ".")
    assert settle(["1.000", "2.500"], "number", german) == [1000, 2500]
    # A file that is certain by itself needs no signs of the training.
    assert settle(["1.5", "2.5"], "number", german) == [1.5, 2.5]


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        (["5"] * 90 + ["x"] * 10, "number", ["10 of 100", "'x', 10 times, first in l.csv, row 92"]),
        (["20240105", "20240106"], "date", ["is a number now", "2 of 2"]),
        (["a", "b"], "number", ["was a number", "is a category now", "'a' in l.csv, row 2"]),
    ],
)
def test_column_that_does_not_fit_the_model_raises(values, kind, words):
    with pytest.raises(DataError) as refused:
        settle(values, kind)
    assert all(word in str(refused.value) for word in words)


@pytest.mark.parametrize(
    ("values", "unit", "text"),
    [
        (["$1,234.50", "($5.00)", "7"], "$", "$1,234.50"),
        (["29.600,50 €", "EUR 5"], "€", "29.600,50 €"),
        (["12 %", "13 %"], "%", "12 %"),
        (["29'600.–", "CHF 29'600.50"], "CHF", "CHF 29'600.50"),
    ],
)
def test_unit_of_a_column_is_part_of_its_form(values, unit, text):
    numbers, found = read(values)
    assert pa.types.is_floating(numbers.type) and found.stored.unit == unit
    assert (found.problem, found.warnings) == (None, ())
    form = {entry.key: entry for entry in list_attribute_form(LeadRows(path="l.csv"), [found])}
    assert (form["unit"].value, form["unit"].origin) == (unit, "proven")
    assert repr(text) in form["unit"].evidence


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["$5"] * 6 + ["5 €"] * 4, "6 with '$', 4 with '€': 4 of 10 values, such as '5 €'"),
        (["12 %"] * 3 + ["0.5"] * 2, "3 with '%', 2 without a unit: 2 of 5 values, such as '0.5'"),
    ],
)
def test_column_of_several_units_is_in_doubt(values, words):
    for order in (values, values[::-1]):
        _, found = read(order)
        assert "different units" in str(found.problem) and words in str(found.problem)
        assert read(order, x="category")[1].problem is None


def test_few_numbers_in_another_unit_are_missing_and_named():
    numbers, found = read(["5 €"] * 99 + ["$6"])
    assert (numbers.null_count, found.problem) == (1, None)
    assert "(99 with '€', 1 with '$'; one unit is read)" in found.warnings[0]
    assert "'$6' in l.csv, row 101" in found.warnings[0]


@pytest.mark.parametrize(("before", "now"), [("€", "5 $"), ("%", "5"), ("€", "5 %"), ("", "5 %")])
def test_unit_that_changes_after_the_training_stops_the_night(before, now):
    _, found = read([now])
    with pytest.raises(DataError, match="another unit") as stopped:
        settle_reading(found, StoredReading("number", unit=before))
    assert repr(before) in str(stopped.value)


def test_model_reads_the_unit_of_its_training():
    for before, now in (("€", "5"), ("", "5 €"), ("€", "5 EUR")):
        _, found = read([now])
        stored = settle_reading(found, StoredReading("number", unit=before))
        assert (stored.unit, parse_as(found.written, stored).to_pylist()) == ("€", [5])
    # The doubtful mixture is mostly in the other unit, which the model does not know.
    _, found = read(["$5"] * 6 + ["5 €"] * 4)
    with pytest.raises(DataError, match="6 of 10 values, such as '\\$5'"):
        settle_reading(found, StoredReading("number", unit="€"))
    assert parse_as(found.written, StoredReading("number", unit="$")).null_count == 4
    # A night without values has no unit.
    _, found = read([None])
    assert settle_reading(found, StoredReading("number", unit="%")).unit == "%"
