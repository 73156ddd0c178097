"""Order of rows: files from new to old are refused, all others are read as they are."""

import csv
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from configs.errors import ConfigError
from configs.schema import load_project
from features.intake.row_order import _rank_correlation
from features.sources import read_sources

CONFIG = """
project: p
workspace: w
sources:
  leads: {{path: {path}, order: rows, attributes: {{all_except: [left_out]}}}}
targets:
  win: {{outcome: {{column: won, equals: 1}}}}
privacy: {{personal: [{personal}]}}
"""
DAYS = [date(2024, 1, 1) + timedelta(days=2 * number) for number in range(60)]
WRITINGS = {
    "iso": "%Y-%m-%d",
    "time": "%Y-%m-%d %H:%M:%S",
    "day first": "%d.%m.%Y",
    "month first": "%m/%d/%Y",
    "minutes": "%d/%m/%Y %H:%M",
}


def read(folder, columns, personal=""):
    """Read columns of leads as a CSV file with ``order: rows``."""
    with (folder / "leads.csv").open("w", newline="", encoding="utf-8") as file:
        rows = zip(*columns.values(), strict=True)
        csv.writer(file).writerows([list(columns), *rows])
    config = folder / "company.yaml"
    config.write_text(CONFIG.format(path=folder / "leads.csv", personal=personal), "utf-8")
    return read_sources(load_project(config))


def won(count):
    return [number % 3 == 0 for number in range(count)]


@pytest.mark.parametrize("writing", WRITINGS.values(), ids=WRITINGS.keys())
@pytest.mark.parametrize("name", ["seen", "left_out"])
def test_newest_first_is_refused_with_first_and_last_value(tmp_path, writing, name):
    dates = [day.strftime(writing) for day in reversed(DAYS)]
    with pytest.raises(ConfigError, match="ordered from new to old") as refused:
        read(
            tmp_path,
            {name: dates, "left_out" if name == "seen" else "x": 1, "won": 1}
            | {
                "left_out" if name == "seen" else "x": range(60),
                "won": won(60),
            },
        )
    found = refused.value.found
    assert found.startswith(f"{name} falls from {dates[0]} in the first row to {dates[-1]} in the")
    assert "order: rows" in str(refused.value) and f"order: {name}" in refused.value.fix


@pytest.mark.parametrize("kind", ["rising", "unrelated", "few", "no dates", "confirmed", "equal"])
def test_other_orders_are_read(tmp_path, kind):
    chance = np.random.default_rng(3).permutation(60)
    falling = [str(day) for day in reversed(DAYS)]
    columns = {
        "rising": {"seen": map(str, DAYS)},
        "unrelated": {"seen": [str(DAYS[place]) for place in chance]},
        "few": {"seen": [*falling[:9], *[""] * 51]},
        "no dates": {"seen": range(60, 0, -1)},
        "confirmed": {"seen": map(str, DAYS), "due": falling},
        "equal": {"seen": ["2024-01-01"] * 60},
    }[kind]
    data = read(tmp_path, columns | {"left_out": won(60), "won": won(60)})
    assert data.leads.num_rows == 60


def test_broken_values_do_not_hide_the_order(tmp_path):
    dates = [str(day) for day in reversed(DAYS)]
    dates[5], dates[20] = "soon", ""
    with pytest.raises(ConfigError, match="new to old"):
        read(tmp_path, {"seen": dates, "left_out": won(60), "won": won(60)})


def test_personal_dates_are_masked(tmp_path):
    dates = [str(day) for day in reversed(DAYS)]
    with pytest.raises(ConfigError, match=r"seen falls from \*\*\*") as refused:
        read(tmp_path, {"seen": dates, "left_out": won(60), "won": won(60)}, personal="seen")
    assert "2024" not in refused.value.found


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("ms"), pa.timestamp("us", "UTC")])
def test_typed_dates_are_compared(tmp_path, kind):
    table = {"seen": pa.array(DAYS[::-1]).cast(pa.timestamp("us")).cast(kind), "won": won(60)}
    parquet.write_table(pa.table(table | {"left_out": won(60)}), tmp_path / "leads.parquet")
    config = tmp_path / "company.yaml"
    config.write_text(CONFIG.format(path=tmp_path / "leads.parquet", personal=""), "utf-8")
    with pytest.raises(ConfigError, match="new to old"):
        read_sources(load_project(config))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=12).filter(lambda x: len(set(x)) > 1))
def test_rank_correlation_equals_loops(values):
    count = len(values)
    rank = [sum(b < a for b in values) + sum(b == a for b in values) / 2 for a in values]
    x, y = (
        [place - (count - 1) / 2 for place in range(count)],
        [r - sum(rank) / count for r in rank],
    )
    product = sum(a * b for a, b in zip(x, y, strict=True))
    expected = product / (sum(a * a for a in x) * sum(b * b for b in y)) ** 0.5
    assert _rank_correlation(np.arange(count), np.array(values)) == pytest.approx(expected)
