"""Forms of times in whole sources: equal events in every form and format, and refusals."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from configs.errors import DataError
from features.intake import reading
from features.sources import read_sources
from tests.features.company import EVENT, LEAD, at, csv_text, project, write

FORMS = {
    "iso": lambda t: t.strftime("%Y-%m-%d %H:%M:%S"),
    "day_first": lambda t: t.strftime("%d.%m.%Y %H:%M:%S"),
    "month_first": lambda t: t.strftime("%m/%d/%Y, %I:%M:%S %p"),
    "year_first": lambda t: t.strftime("%Y/%m/%d %H:%M:%S"),
    "epoch_s": lambda t: str(int(t.timestamp())),
    "epoch_ms": lambda t: str(int(t.timestamp()) * 1000),
    "excel": lambda t: repr((t - datetime(1899, 12, 30, tzinfo=UTC)) / timedelta(days=1)),
    "%H:%M:%S %d %b %Y": lambda t: t.strftime("%H:%M:%S %d %b %Y"),
}
LEADS_CSV = "id,born\n7,2023-12-31\n"


def write_events(folder, kind, texts):
    """Write events at the times that texts give, and return the source without its columns."""
    names = ("lead", "at", "what")
    rows = [dict(zip(names, ("7", text, f"e{i}"), strict=True)) for i, text in enumerate(texts)]
    if kind == "sqlite":
        with sqlite3.connect(folder / "e.db") as base:
            base.execute("DROP TABLE IF EXISTS e")
            base.execute("CREATE TABLE e (lead, at, what)")
            base.executemany("INSERT INTO e VALUES (:lead, :at, :what)", rows)
        return {"database": f"sqlite:///{folder / 'e.db'}", "query": "SELECT * FROM e"}
    if kind == "parquet":
        parquet.write_table(pa.Table.from_pylist(rows), folder / "e.parquet")
        return {"path": str(folder / "e.parquet")}
    if kind == "jsonl":
        return {"path": write(folder / "e.jsonl", "\n".join(map(json.dumps, rows)) + "\n")}
    return {"path": write(folder / "e.csv", csv_text(rows))}


def read(folder, source, **keys):
    lead = {"path": write(folder / "leads.txt", LEADS_CSV), **LEAD}
    return read_sources(project(lead, [{**source, **EVENT, **keys}], max_quarantine=1))


def list_times(dataset):
    rows = dataset.events.select(["event_type", "event_time"]).to_pylist()
    return {row["event_type"]: row["event_time"] for row in rows}


def test_same_instants_in_every_form_read_back(tmp_path):
    days = [
        datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=i * 9, seconds=i * 7919)
        for i in range(20)
    ]
    wanted = {f"e{i}": day for i, day in enumerate(days)}
    some = {"csv": list(FORMS), "jsonl": ["day_first", "epoch_ms"], "parquet": ["month_first"]}
    for kind, names in {**some, "sqlite": ["epoch_s", "excel"]}.items():
        for name in names:
            form = FORMS[name]
            source = write_events(tmp_path, kind, map(form, days))
            keys = {"time_format": name} if "%" in name else {}
            dataset = read(tmp_path, source, **keys)
            assert list_times(dataset) == wanted, (kind, name)
            entries = [e for e in dataset.counts[1].form if e.key == "time_format"]
            assert [(e.column, e.value) for e in entries] == [("at", name)]
    source = write_events(tmp_path, "csv", map(FORMS["epoch_ms"], days))
    assert list_times(read(tmp_path, source, time_format={"at": "epoch_ms"})) == wanted


def test_typed_columns_of_numbers_follow_the_same_rules(tmp_path):
    days = [at(2024, 1, 5), at(2024, 2, 29), at(2024, 12, 31)]
    for unit in ("epoch_s", "epoch_ms"):
        numbers = [int(FORMS[unit](day)) for day in days]
        table = {"lead": ["7"] * 3, "at": numbers, "what": ["e0", "e1", "e2"]}
        parquet.write_table(pa.table(table), tmp_path / "e.parquet")
        dataset = read(tmp_path, {"path": str(tmp_path / "e.parquet")})
        assert list(list_times(dataset).values()) == days


@settings(max_examples=6, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["2024-01-31", "31.01.2024", "02.01.2024", "01/31/2024", "2/1/2024", "x", "45321", "0"]
        ),
        min_size=1,
        max_size=9,
    ),
    st.integers(1, 4),
)
def test_result_depends_neither_on_pieces_nor_on_order(tmp_path_factory, texts, rows):
    folder = tmp_path_factory.mktemp("pieces")
    outcomes = []
    for piece, order in ((1 << 20, texts), (rows, texts), (rows, texts[::-1])):
        for old in folder.glob("*.csv"):
            old.unlink()
        for i, text in enumerate(order):
            line = {"lead": "7", "at": text, "what": f"e{text}"}
            write(folder / f"{i}.csv", csv_text([line]))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reading, "ROWS_PER_PIECE", piece)
            try:
                dataset = read(folder, {"path": str(folder / "*.csv")}, time_format="auto")
                form = [(e.value, e.origin) for e in dataset.counts[1].form]
                outcomes.append((list_times(dataset), form))
            except DataError as error:
                outcomes.append(error.what)
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_ambiguous_times_name_both_readings_and_a_row(tmp_path):
    source = write_events(tmp_path, "csv", ["02/01/2024", "03/01/2024"])
    with pytest.raises(DataError, match="times can be read two ways") as caught:
        read(tmp_path, source)
    text = str(caught.value)
    assert "2 of 2 values can be read two ways, such as '02/01/2024'" in text
    assert "row 2: 2 January 2024 (day_first) or 1 February 2024 (month_first)" in text
    assert "set sources.events[0].time_format: {at: day_first}" in text
    assert list(list_times(read(tmp_path, source, time_format="month_first")).values()) == [
        at(2024, 2, 1),
        at(2024, 3, 1),
    ]


def test_files_that_contradict_each_other_are_both_named(tmp_path):
    for name, text in (("a", "31/12/2023"), ("b", "12/31/2023")):
        write(tmp_path / f"{name}.csv", csv_text([{"lead": "7", "at": text, "what": name}]))
    with pytest.raises(DataError, match="written in different ways") as caught:
        read(tmp_path, {"path": str(tmp_path / "*.csv")})
    assert "a.csv, row 2" in str(caught.value) and "b.csv, row 2" in str(caught.value)


def test_ambiguous_personal_times_are_not_shown(tmp_path):
    lead = {"path": write(tmp_path / "leads.txt", "id,born\n7,02/01/2024\n"), **LEAD}
    config = project(lead, [], {"win": {"outcome": {"column": "id", "equals": "1"}}})
    config = config.model_copy(
        update={"privacy": config.privacy.model_copy(update={"personal": ("born",)})}
    )
    with pytest.raises(DataError) as caught:
        read_sources(config)
    assert "02/01" not in str(caught.value) and "row 2" in str(caught.value)


def test_few_ambiguous_cells_are_bad_rows_with_a_warning(tmp_path):
    source = write_events(tmp_path, "csv", ["2024-01-05"] * 40 + ["02/01/2024"])
    dataset = read(tmp_path, source)
    assert dataset.counts[1].quarantined == {"unreadable time": 1}
    assert any("can be read two ways" in line for line in dataset.warnings)


def test_daylight_saving_is_that_of_the_zone(tmp_path):
    source = write_events(tmp_path, "csv", ["27.10.2024 02:30", "31.03.2024 02:30"])
    lead = {"path": write(tmp_path / "leads.txt", LEADS_CSV), **LEAD}
    dataset = read_sources(project(lead, [{**source, **EVENT}], zone="Europe/Berlin"))
    assert list(list_times(dataset).values()) == [at(2024, 10, 27, 0, 30), at(2024, 3, 31, 1, 30)]


def read_leads(folder, text, **keys):
    lead = {"path": write(Path(folder) / "leads.csv", text), **LEAD, **keys}
    return read_sources(project(lead, [], max_quarantine=1))


@pytest.mark.parametrize(
    ("values", "keys", "kind", "days"),
    [
        (["31.01.2024", "02.01.2024"], {}, "date", [19753, 19724]),
        (["1/31/2024", "1/2/2024"], {}, "date", [19753, 19724]),
        (["5 янв. 2024 г.", "Jan 6, 2024"], {}, "date", [19727, 19728]),
        (["1704412800000", "1704499200000"], {}, "number", [1704412800000, 1704499200000]),
        (["1704412800000", "1704499200000"], {"kinds": {"x": "date"}}, "date", [19727, 19728]),
        (["45296", "45297"], {"time_format": {"x": "excel"}}, "date", [19727, 19728]),
        (["20240105", "20240106"], {}, "number", [20240105, 20240106]),
        (["1.10.23", "2.11.24"], {}, "category", ["1.10.23", "2.11.24"]),
        (["02/01/2024", "03/01/2024"], {}, "category", ["02/01/2024", "03/01/2024"]),
        (["02/01/2024", "03/01/2024"], {"time_format": "day_first"}, "date", [19724, 19725]),
    ],
)
def test_attributes_of_dates_follow_the_same_rule(tmp_path, values, keys, kind, days):
    rows = "".join(f'{i},2023-01-0{i + 1},"{value}"\n' for i, value in enumerate(values))
    dataset = read_leads(tmp_path, f"id,born,x\n{rows}", attributes=["x"], **keys)
    assert dataset.readings.columns["x"].stored.kind == kind
    assert dataset.leads["x"].to_pylist() == days
    warned = any("x is read as text" in line for line in dataset.warnings)
    assert warned == (kind == "category" and "/" in values[0])


def test_missing_texts_may_be_given_by_column(tmp_path):
    text = "id,born,country,size\n1,2024-01-01,NA,NA\n2,2024-01-02,-,12\n"
    keys = {"attributes": ["country", "size"]}
    for missing, country, size in (
        ({"size": ["NA"]}, ["NA", "-"], [None, 12]),
        ({"size": "NA", "*": ["-"]}, ["NA", None], [None, 12]),
        (["NA", "-"], [None, None], [None, 12]),
    ):
        leads = read_leads(tmp_path, text, missing=missing, **keys).leads
        assert leads["country"].to_pylist() in (country, [None, None])
        assert leads["size"].to_pylist() == size
        if any(country):
            assert leads["country"].to_pylist() == country
    with pytest.raises(DataError, match="no such column") as caught:
        read_leads(tmp_path, text, missing={"contry": ["NA"]}, **keys)
    assert "did you mean country?" in str(caught.value)
    with pytest.raises(DataError, match="no such column"):
        read_leads(tmp_path, text, time_format={"borm": "iso"}, **keys)
