"""Columns read as a model's kinds, whatever they look like alone."""

from dataclasses import replace

import pyarrow as pa
import pytest

from configs.errors import ConfigError, DataError
from features.build import build_features
from features.contracts import SPINE
from features.definitions.catalog import Catalog, build_catalog
from features.sources import read_sources
from tests.features.company import LEAD, at, csv_text, project, write

LATER = at(2019, 1, 1)
HISTORY = {"entity_id": "id", "valid_from": "at"}


def read(tmp_path, columns, history=False, **keys):
    """Return config and data of leads whose attributes, or their histories, are ``columns``."""
    size = len(next(iter(columns.values())))
    ids = [{"id": f"a{n:03}", "born": "2018-01-01", "at": "2018-02-01"} for n in range(size)]
    rows = [
        row | {name: values[n] for name, values in columns.items()} for n, row in enumerate(ids)
    ]
    path = write(tmp_path / "l.csv", csv_text(rows))
    leads = {"path": path, **LEAD}
    if history:
        source = {"path": path, **HISTORY, "columns": list(columns), **keys}
        company = project(leads, attributes=[source])
    else:
        company = project({**leads, "attributes": list(columns), **keys})
    return company, read_sources(company)


def build(data, catalog):
    spine = pa.table([data.leads["entity_id"], [LATER] * data.leads.num_rows], schema=SPINE)
    return build_features(data, spine, catalog)


def train(tmp_path, columns, history=False, **keys):
    catalog = build_catalog(*read(tmp_path, columns, history, **keys))
    assert Catalog.from_json(catalog.to_json()) == catalog
    return catalog


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["a", "b"], ["12", "7.50"], ["12", "7.50"]),
        (["a", "b"], ["", ""], [None, None]),
        (["1", "2"], ["", ""], ["nan", "nan"]),
        (["1.234,5", "2"], ["1.000", "2.500"], [1000, 2500]),
        (["1.5", "2"], ["1.000", "2.500"], [1, 2.5]),
        (["true", "false"], ["1", "0"], [1, 0]),
        (["$1,234.50", "$2"], ["$5.50", "(7)"], [5.5, -7]),
        (["2024-01-05"] * 2, ["1970-01-02", ""], [1, "nan"]),
        (["5"] * 40, ["5"] * 39 + ["x"], [5] * 39 + ["nan"]),
        (["a", "b"] * 20, ["5"] * 36 + ["x"] * 4, ["5"] * 36 + ["x"] * 4),
    ],
)
def test_model_fixes_the_kind(tmp_path, before, after, expected, history):
    catalog = train(tmp_path, {"x": before}, history)
    _, data = read(tmp_path, {"x": after}, history)
    found = build(data, catalog)["x"].to_pylist()
    assert [str(v) if v != v else v for v in found] == expected


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (["5"] * 20, ["5"] * 18 + ["1,200"] * 2, ["was a number", "2 of 20", "'1,200'", "row 20"]),
        (["5"] * 4, ["a", "b"] * 2, ["was a number", "is a category now", "4 of 4", "row 2"]),
        (["2024-01-05"] * 2, ["45000", "45001"], ["was a date", "is a number now"]),
        (["5 €"] * 2, ["$5", "$6"], ["another unit", "'$' now, '€' then"]),
        (["5 %"] * 2, ["5", "6"], ["another unit", "no unit now, '%' then"]),
    ],
)
def test_column_that_does_not_fit_the_model_raises(tmp_path, before, after, words, history):
    catalog = train(tmp_path, {"x": before}, history)
    _, data = read(tmp_path, {"x": after}, history)
    with pytest.raises(DataError) as refused:
        build(data, catalog)
    assert all(word in str(refused.value) for word in words)


def test_models_of_other_kinds_read_the_same_column(tmp_path):
    number, category = (train(tmp_path, {"x": v}) for v in (["1", "2"], ["a", "b"]))
    _, data = read(tmp_path, {"x": ["1.0", "7"]})
    assert build(data, number)["x"].to_pylist() == [1, 7]
    assert build(data, category)["x"].to_pylist() == ["1.0", "7"]
    cut = replace(data, leads=data.leads.slice(1))
    assert build(cut, category)["x"].to_pylist() == ["7"]


def test_model_without_stored_readings_reads_numbers(tmp_path):
    catalog = replace(train(tmp_path, {"x": ["2024-01-05"]}), readings=())
    _, data = read(tmp_path, {"x": ["1970-01-02"]})
    assert build(data, catalog)["x"].to_pylist() == [1]


@pytest.mark.parametrize("history", [False, True])
def test_numeric_codes_are_declared_categories(tmp_path, history):
    company, data = read(tmp_path, {"x": ["1", "2", "2"]}, history, kinds={"x": "category"})
    catalog = build_catalog(company, data)
    assert dict(catalog.dated if history else catalog.attributes) == {"x": "category"}
    assert build(data, catalog)["x"].to_pylist() == ["1", "2", "2"]


def test_uncertain_column_raises_where_it_is_used(tmp_path):
    company, data = read(tmp_path, {"x": ["1.000", "2.500"], "y": ["1", "2"]})
    with pytest.raises(DataError, match="two ways"):
        build_catalog(company, data)
    assert build_catalog(company, data, {"x"}).attributes == (("y", "number"),)


def test_kind_of_unknown_column_raises(tmp_path):
    with pytest.raises(ConfigError, match=r"kinds\.siz.*size"):
        read(tmp_path, {"size": ["1"]}, kinds={"siz": "number"})


def test_warnings_of_a_source_reach_its_counts(tmp_path):
    for history in (False, True):
        _, data = read(tmp_path, {"x": ["5"] * 39 + ["n/a"]}, history)
        assert len(data.warnings) == 1 and "row 41 do not fit" in data.warnings[0]
