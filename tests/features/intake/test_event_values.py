"""Values of events: one choice of number signs for the whole source, in pieces of any size."""

import pytest

from configs.errors import DataError
from features.intake import reading
from features.sources import read_sources
from tests.features.company import EVENT, project, write


def read(tmp_path, values, quarantine=None, personal=(), **keys):
    rows = "".join(
        f"a;2024-01-{n % 28 + 1:02} 00:{n // 28:02};won;{v}\n" for n, v in enumerate(values)
    )
    path = write(tmp_path / "e.csv", "lead;at;what;amount\n" + rows)
    company = project(events=[{"path": path, **EVENT, "value": "amount", **keys}], max_quarantine=1)
    company = company.model_copy(
        update={"privacy": company.privacy.model_copy(update={"personal": personal})}
    )
    return read_sources(company)


@pytest.mark.parametrize("rows_per_piece", [1, 1 << 20])
@pytest.mark.parametrize(
    ("values", "expected", "form", "words"),
    [
        (["1.5", "1.200", "", "7"], [1.5, 1.2, None, 7], {"decimal": ("'.'", "'1.5'")}, []),
        (
            ["1.200", "1.200,50"],
            [1200, 1200.5],
            {"decimal": ("','", "'1.200,50'"), "thousands": ("'.'", "'1.200,50'")},
            [],
        ),
        (
            ["1 100,00", "x"],
            [1100],
            {"decimal": ("','", "'1 100,00'"), "thousands": ("' '", "'1 100,00'")},
            [],
        ),
        (
            ["1,200.50", "1,200"],
            [1200.5, 1200],
            {"decimal": ("'.'", "'1,200.50'"), "thousands": ("','", "'1,200.50'")},
            [],
        ),
        (
            ["5"] * 40 + ["1,200"],
            [5] * 40,
            {},
            ["1 of 41 values can be read two ways", "row 42"],
        ),
        (["5", "NaN", "inf"], [5], {}, []),
        (
            ["$1,234.50", "", "($5.00)", "7"],
            [1234.5, None, -5, 7],
            {
                "decimal": ("'.'", "'$1,234.50'"),
                "thousands": ("','", "'$1,234.50'"),
                "unit": ("$", "'$1,234.50'"),
            },
            [],
        ),
        (["12 %", "13 %", "x"], [12, 13], {"unit": ("%", "'12 %'")}, []),
        (
            ["5 €"] * 39 + ["$6", "EUR 7"],
            [5] * 39 + [7],
            {"unit": ("€", "'5 €'")},
            ["40 with '€', 1 with '$', such as '$6' in", "row 41"],
        ),
    ],
)
def test_values_of_all_pieces_decide(
    tmp_path, monkeypatch, rows_per_piece, values, expected, form, words
):
    monkeypatch.setattr(reading, "ROWS_PER_PIECE", rows_per_piece)
    data = read(tmp_path, values)
    assert sorted(str(value) for value in data.events["value"].to_pylist()) == sorted(
        str(None if value is None else float(value)) for value in expected
    )
    count = data.counts[0]
    assert count.rows_in == count.used + sum(count.quarantined.values())
    assert len(count.warnings) == bool(words)
    assert all(word in count.warnings[0] for word in words)
    entries = {entry.key: entry for entry in count.form if entry.column == "amount"}
    assert entries.keys() == form.keys()
    for key, (value, text) in form.items():
        assert (entries[key].value, entries[key].origin) == (value, "proven")
        assert "e.csv, row " in entries[key].evidence and text in entries[key].evidence


def test_signs_that_the_config_gives_are_said_to_be_given(tmp_path):
    (count,) = read(tmp_path, ["1.200,5"], decimal=",", thousands=".").counts
    signs = [(e.key, e.value, e.origin) for e in count.form if e.column == "amount"]
    assert signs == [("decimal", "','", "config"), ("thousands", "'.'", "config")]


def test_ambiguous_values_are_refused_with_both_readings(tmp_path):
    with pytest.raises(
        DataError, match=r"two ways.*amount.*2 of 2.*'1.000' in .*row 2: 1 with.*1000"
    ):
        read(tmp_path, ["1.000", "2.500"])
    with pytest.raises(DataError) as refused:
        read(tmp_path, ["1.000", "2.500"], personal=("amount",))
    assert "1.000" not in str(refused.value) and "***" in str(refused.value)


def test_keys_settle_the_signs(tmp_path):
    for decimal, expected in ((".", [1, 2.5]), (",", [1000, 2500])):
        data = read(tmp_path, ["1.000", "2.500"], decimal=decimal)
        assert sorted(data.events["value"].to_pylist()) == expected
    data = read(tmp_path, ["1’000,5"], decimal=",", thousands="'")
    assert data.events["value"].to_pylist() == [1000.5] and data.counts[0].warnings == ()


@pytest.mark.parametrize("rows_per_piece", [1, 1 << 20])
@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["$5", "6 €", "7 €"], ["2 with '€', 1 with '$', such as '$5' in"]),
        (["0.5", "12 %"], ["1 with '%'", "1 without a unit"]),
    ],
)
def test_values_of_different_units_are_refused(
    tmp_path, monkeypatch, rows_per_piece, values, words
):
    monkeypatch.setattr(reading, "ROWS_PER_PIECE", rows_per_piece)
    for order in (values, values[::-1]):
        with pytest.raises(DataError) as refused:
            read(tmp_path, order)
        assert "different units" in str(refused.value)
        assert all(word in str(refused.value) for word in words)
    with pytest.raises(DataError) as refused:
        read(tmp_path, values, personal=("amount",))
    assert values[0] not in str(refused.value) and "***" in str(refused.value)
