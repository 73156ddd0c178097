"""Regression tests: inputs that once ended in a traceback, a hang or silently missing rows."""

import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet
from pydantic import ValidationError

from configs.errors import ConfigError, DataError
from configs.schema import load_project
from features.intake.formats.listing import list_files
from features.intake.formats.texts import to_plain_text, to_text
from features.intake.storage.source_file import LocalFile
from features.sources import read_sources
from tests.faults.corrupt import CONFIG
from tests.features.company import EVENT, LEAD, project, write

EVENTS = "lead,at,what\n1,2024-01-01,won\n"


def config(tmp_path, text="", **changes):
    shape = CONFIG | {"sources": {"events": [{"path": "e.csv", **EVENT}]}} | changes
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(shape, allow_unicode=True) + text, encoding="utf-8")
    return path


BOMB = "\n".join(
    [
        "a0: &a0 [x, x, x, x]",
        *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]" for i in range(1, 30)),
    ]
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "config is too large"),
        ("learning: &x {search: *x}", "config is too large"),
        ("x: " + "[" * 5000, "nested too deeply"),
        ("capacity: 2024-13-45", "is not a valid timestamp"),
        ("capacity: " + "1" * 5000, "is not a valid int"),
        ("x: !!timestamp abc", "is not a valid timestamp"),
        ("x: !!bool maybe", "is not a valid bool"),
        ("x: !!map [a]", "invalid YAML"),
        ("? [a]\n: 1\n? [a]\n: 2", "invalid YAML"),
    ],
)
def test_unreadable_yaml_is_a_config_error(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        load_project(config(tmp_path, text))


def target(**changes):
    return {"targets": {"buy": CONFIG["targets"]["buy"] | changes}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"timezone": "America"}, "is not a time zone"),
        ({"timezone": "x" * 300}, "is not a time zone"),
        (target(horizon="99999999999w"), "longer than 300 years"),
        (target(horizon="400000d"), "longer than 300 years"),
        (target(observed_from="9999-12-31T23:59:59-12:00"), "supported range of dates"),
        (target(cutoffs={"every": "1s"}), "at least 1h"),
        ({"workspace": "a\0b"}, "must not contain a NUL"),
        (
            {"sources": {"events": [{"path": "e.csv", "delimiter": ";;", **EVENT}]}},
            "one ASCII character",
        ),
        (
            {"sources": {"events": [{"path": "e.csv", "delimiter": "", **EVENT}]}},
            "one ASCII character",
        ),
    ],
)
def test_invalid_config_values_are_rejected(tmp_path, changes, words):
    with pytest.raises(ConfigError, match=words):
        load_project(config(tmp_path, **changes))


def test_as_of_outside_calendar_is_rejected(tmp_path):
    with pytest.raises(ConfigError, match="not a date or instant"):
        load_project(config(tmp_path)).parse_instant("0001-01-01T00:00:00")


def test_error_text_is_two_lines_for_any_data():
    error = DataError("odd", where="a\nb", found="\ud800\x1b[2J" + "x" * 5000, fix="é\r\n")
    text = str(error)
    assert text.count("\n") == 1 and len(text) < 1000
    assert "a\\nb" in text and "\\ud800\\x1b[2J" in text and "é" in text
    text.encode()


@pytest.mark.parametrize("kind", ["dangling", "loop", "pipe"])
def test_unreadable_paths_are_not_ignored(tmp_path, kind):
    write(tmp_path / "e1.csv", EVENTS)
    unreadable = tmp_path / "e2.csv"
    os.mkfifo(unreadable) if kind == "pipe" else unreadable.symlink_to(
        unreadable if kind == "loop" else tmp_path / "nowhere"
    )
    for path in (tmp_path, tmp_path / "e*.csv", unreadable):
        with pytest.raises(DataError, match=r"not a readable file.*e2\.csv"):
            list_files(str(path))
    unreadable.unlink()
    unreadable.mkdir()
    assert list_files(str(tmp_path / "e*.csv")) == [LocalFile.find(tmp_path / "e1.csv")]


def test_file_names_that_are_not_utf8_or_too_long_are_rejected(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv")).write_text(EVENTS)
    with pytest.raises(DataError, match="not a readable file"):
        list_files(str(tmp_path))
    with pytest.raises(DataError, match="cannot list files"):
        list_files("x" * 5000)
    with pytest.raises(DataError, match="database file not found"):
        read_sources(
            project(events=[{"database": "sqlite:///" + "x" * 5000, "query": "SELECT 1", **EVENT}])
        )


def test_malformed_address_is_not_echoed():
    address = "postgresql://u:secret@[x/db"
    with pytest.raises(ValidationError, match="the host of the address") as caught:
        project(events=[{"database": address, "query": "SELECT 1", **EVENT}])
    assert "secret" not in str(caught.value)


def test_overlong_csv_header_is_rejected(tmp_path):
    path = write(tmp_path / "e.csv", "lead,at,what," + "x" * 140_000 + "\n")
    with pytest.raises(DataError, match="unreadable header"):
        read_sources(project(events=[{"path": path, **EVENT}]))


def test_unwritable_quarantine_is_a_config_error(tmp_path):
    path = write(tmp_path / "e.csv", EVENTS)
    write(tmp_path / "q", "a file where the folder should be")
    with pytest.raises(ConfigError, match="cannot write the quarantined rows"):
        read_sources(project(events=[{"path": path, **EVENT}]), tmp_path / "q")


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (
            pa.array([np.float16(0.1), np.float16(12), np.float16("nan"), None]),
            ["0.1", "12", None, None],
        ),
        (
            pa.array([Decimal("1" * 50 + ".10"), None], pa.decimal256(76, 2)),
            ["1" * 50 + ".10", None],
        ),
        (
            pa.array([0, 2**63 - 1, -(2**63) + 1, None]).cast(pa.timestamp("ms")),
            ["1970-01-01 00:00:00", str(2**63 - 1), str(-(2**63) + 1), None],
        ),
        (
            pa.array([0, 2**63 - 1]).cast(pa.timestamp("ms", "UTC")),
            ["1970-01-01 00:00:00+00", str(2**63 - 1)],
        ),
    ],
)
def test_types_unsupported_by_duckdb_become_text(column, expected):
    assert to_plain_text(to_text(pa.chunked_array([column]))).to_pylist() == expected


def test_rows_with_unsupported_types_are_counted(tmp_path):
    instants = pa.array([2**63 - 1, 5]).cast(pa.timestamp("ms"))
    rows = pa.table(
        {
            "id": instants,
            "born": ["2024-01-01", "2024-01-02"],
            "size": pa.array([np.float16(0.1), None]),
        }
    )
    parquet.write_table(rows, tmp_path / "x.parquet")
    dataset = read_sources(
        project(leads={"path": str(tmp_path / "x.parquet"), **LEAD, "attributes": ["size"]})
    )
    assert (dataset.counts[0].rows_in, dataset.counts[0].used) == (2, 2)
    assert dataset.leads["size"].to_pylist() == [None, 0.1]


def test_duration_of_whole_span_is_accepted(tmp_path):
    assert load_project(config(tmp_path, **target(horizon="109000d"))).targets[
        "buy"
    ].horizon == timedelta(days=109_000)
