"""Credits from a table of paths: without a config, and refused where the table is wrong."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from configs.errors import ConfigError, DataError
from models.channels.path_result import PATH_METHODS
from pipelines import cli
from pipelines.channels.path_credits import compute_path_credits
from pipelines.commands.funnel import channels
from tests.models.channels.plain import convert_by_powers

DATA = os.environ.get("LEADSCORE_DATA")
ROWS = [
    ("ads > mail > ads", 3, 7),
    ("mail", 2, 11),
    ("fair > ads", 4, 1),
    ("fair > mail > fair", 1, 5),
]
PUBLISHED = (
    "alpha 5,344.9, iota 3,884.6, eta 3,340.8, beta 2,527.4, theta 1,971.9, lambda 1,282.8, "
    "epsilon 599.6, zeta 381.1, kappa 274.4, gamma 171.1, delta 4.6, mi 1.7"
)


def write_csv(folder: Path, rows: list[tuple[Any, ...]], head: str = "path,conversions,nulls"):
    path = folder / "paths.csv"
    lines = (",".join(map(str, row)) for row in rows)
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


def expand_rows() -> list[tuple[list[str], bool]]:
    """Return every single journey, and whether it ended in a conversion."""
    return [
        (path.split(" > "), converted)
        for path, conversions, nulls in ROWS
        for converted, count in ((True, conversions), (False, nulls))
        for _ in range(count)
    ]


def test_credits_equal_loops_over_single_journeys(tmp_path: Path) -> None:
    result = compute_path_credits(write_csv(tmp_path, ROWS))
    rows = {row["channel"]: row for row in result.tables.list_rows("path_credits")}
    journeys = expand_rows()
    touches = Counter(name for path, _ in journeys for name in path)
    touched = Counter(name for path, _ in journeys for name in {*path})
    assert {name: row["touches"] for name, row in rows.items()} == touches
    assert {name: row["journeys"] for name, row in rows.items()} == touched
    first = Counter(path[0] for path, converted in journeys if converted)
    last = Counter(path[-1] for path, converted in journeys if converted)
    for name, row in rows.items():
        assert row["first_credit"] == pytest.approx(first[name])
        assert row["last_credit"] == pytest.approx(last[name])
        linear = sum(path.count(name) / len(path) for path, converted in journeys if converted)
        assert row["linear_credit"] == pytest.approx(linear)
        shared = sum(name in path and 1 / len({*path}) for path, converted in journeys if converted)
        assert row["shapley_credit"] == pytest.approx(shared)
    paths, conversions, nulls = zip(*((p.split(" > "), c, n) for p, c, n in ROWS), strict=True)
    whole = convert_by_powers(paths, conversions, nulls)
    assert result.basis["probability"] == pytest.approx(whole)
    effect = {
        name: 1 - convert_by_powers(paths, conversions, nulls, without=name) / whole
        for name in rows
    }
    for name, row in rows.items():
        expected = 10 * effect[name] / sum(effect.values())
        assert row["markov_credit"] == pytest.approx(expected)
    for method in PATH_METHODS:
        assert sum(row[f"{method}_credit"] for row in rows.values()) == pytest.approx(10)
    assert result.basis | {"probability": 0} == {
        "paths": 4,
        "conversions": 10,
        "nulls": 24,
        "probability": 0,
    }


def test_parquet_and_names_of_other_tools_give_the_same(tmp_path: Path) -> None:
    expected = compute_path_credits(write_csv(tmp_path, ROWS)).to_json()
    paths, conversions, nulls = zip(*ROWS, strict=True)
    table = pa.table({"total_null": nulls, "path": paths, "total_conversions": conversions})
    parquet.write_table(table, tmp_path / "paths.parquet")
    assert compute_path_credits(tmp_path / "paths.parquet").to_json() == expected
    swapped = write_csv(tmp_path, [(n, f'"{p}"', c) for p, c, n in ROWS], "nulls,path,conversions")
    assert compute_path_credits(swapped).to_json() == expected


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([("a > b", 1, 2), ("a", -1, 0)], r"column conversions.*1 of 2 rows.*row 2: '-1'"),
        ([("a > b", 1, 2.5)], r"column nulls.*row 1: '2.5'"),
        ([("a > b", 1, "")], r"column nulls.*row 1: ''"),
        ([("a", 1, 1), ("", 1, 2), ("a > > b", 1, 1)], r"lacks a channel.*2 of 3 rows.*row 2: ''"),
        ([("a", 0, 5)], r"no path has a conversion"),
    ],
)
def test_wrong_rows_are_refused(tmp_path: Path, rows: list[tuple[Any, ...]], text: str) -> None:
    with pytest.raises(DataError, match=text):
        compute_path_credits(write_csv(tmp_path, rows))


def test_missing_file_column_and_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        compute_path_credits(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"lacks a column.*column nulls.*path, conversions"):
        compute_path_credits(write_csv(tmp_path, [("a", 1)], "path,conversions"))
    with pytest.raises(DataError, match="no path has a conversion"):
        compute_path_credits(write_csv(tmp_path, []))


def test_command_needs_a_config_or_paths_and_not_both(tmp_path: Path) -> None:
    path = write_csv(tmp_path, ROWS)
    with pytest.raises(ConfigError, match="neither a config nor paths"):
        channels()
    with pytest.raises(ConfigError, match="paths need no config"):
        channels(Path("company.yaml"), paths=path)
    with pytest.raises(ConfigError, match="paths have no times"):
        channels(paths=path, as_of="2025-01-01")


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["leadscore", "channels", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0


def test_command_prints_and_writes_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_csv(tmp_path, ROWS))
    run_command(monkeypatch, "--paths", path, "--out", str(tmp_path / "out"), "--json")
    printed = json.loads(capsys.readouterr().out)
    assert printed == compute_path_credits(Path(path)).to_json()
    names = {file.stem for file in (tmp_path / "out").iterdir()}
    assert names == {"path_credits", "channel_steps", "path_basis"}
    run_command(monkeypatch, "--paths", path)
    shown = capsys.readouterr().out
    assert "4 paths: 10 of 34 journeys ended in a conversion" in shown
    assert "it is not effect" in shown


@pytest.mark.skipif(not DATA, reason="LEADSCORE_DATA is not set")
def test_command_gives_the_credits_of_the_published_sample() -> None:
    result = compute_path_credits(Path(str(DATA)) / "attribution_paths" / "paths.parquet")
    rows = result.tables.list_rows("path_credits")
    shown = ", ".join(f"{row['channel']} {row['markov_credit']:,.1f}" for row in rows)
    assert shown == PUBLISHED
    assert result.basis["probability"] == pytest.approx(0.22384514, abs=5e-9)
