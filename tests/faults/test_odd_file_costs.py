"""Odd files: each is counted or refused in bounded memory and time, and none costs the square."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from configs.errors import DataError
from configs.schema import load_project
from features.intake.formats.limits import MAX_COLUMNS, require_few_columns
from features.intake.quarantine import MAX_NAME_CHARACTERS, MAX_SHOWN_CHARACTERS, TOO_LONG
from features.intake.reading import read_rows
from features.intake.storage.source_file import LocalFile
from features.sources import read_sources
from tests.faults.conftest import is_full_attack
from tests.faults.odd_files import CASES, COUNTED, EVENTS, write_company, write_wide_csv

SIZE = 4 if is_full_attack() else 1
# Cases that run without the full attack too, one of each kind.
QUICK = (
    "unused columns",
    "blank lines",
    "zeros in .gz",
    "an event type of 10 MB",
    "event types",
    "JSON keys",
)


def run_cases(folder: Path, names: list[str]) -> list[dict]:
    """Return the results of the cases, which one program runs."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.odd_files", str(folder)]
    environment = {k: v for k, v in os.environ.items() if k != "LEADSCORE_WORKSPACE"}
    done = subprocess.run(
        [*command, str(SIZE), *names],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_odd_files_are_counted_or_refused(tmp_path, record_attack):
    names = list(CASES if is_full_attack() else QUICK)
    results = run_cases(tmp_path, names)
    wrong = [r for r in results if CASES[r["name"]][0] not in r["outcome"]]
    counted = sum(r["outcome"] == COUNTED for r in results)
    refused = len(results) - counted - len(wrong)
    outcomes = {"counted": counted, "refused": refused, "wrong": len(wrong)}
    record_attack("a file that costs time or memory", outcomes)
    assert not wrong, "\n".join(map(str, wrong))
    assert Counter(r["name"] for r in results) == Counter(names)


def measure_seconds(columns: int, folder: Path) -> float:
    """Return the processor time of reading a file with unused columns, at least 50 ms."""
    folder.mkdir()
    write_wide_csv(folder, columns, "unused {}".format)
    source = load_project(folder / "company.yaml").sources.events[0]
    start = time.process_time()
    raw = read_rows(source.model_copy(update={"path": str(folder / "events.csv")}), {})
    for name in raw.names:
        raw.column(name, "")
    return max(time.process_time() - start, 0.05)


def test_columns_cost_no_more_than_their_number(tmp_path):
    measure_seconds(10, tmp_path / "compiled")
    few, many = measure_seconds(1_500, tmp_path / "few"), measure_seconds(6_000, tmp_path / "many")
    assert many < 8 * few + 1


@pytest.mark.parametrize("column", ["lead", "what", "via"])
def test_long_names_are_quarantined_and_shown_short(column, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    row = {"lead": "L1", "at": "2024-02-02", "what": "visit", "via": "web"}
    texts = ["é" * MAX_NAME_CHARACTERS, "é" * (MAX_NAME_CHARACTERS + 1), "y" * 10**6]
    rows = [",".join((row | {column: text}).values()) + "\n" for text in texts]
    write_company(tmp_path, "events.csv", EVENTS + "".join(rows))
    project = load_project("company.yaml")
    dataset = read_sources(project, quarantine=tmp_path / "quarantine")
    count = next(count for count in dataset.counts if count.source == "events_1")
    unknown = {"unknown entity": 1} if column == "lead" else {}
    assert count.quarantined == {TOO_LONG: 2} | unknown
    size = (tmp_path / "quarantine" / "events_1.csv").stat().st_size
    assert size < 3 * (MAX_SHOWN_CHARACTERS + MAX_NAME_CHARACTERS)


def test_limit_of_columns_is_exact(tmp_path):
    file = LocalFile(str(tmp_path / "wide.csv"), 0)
    require_few_columns(MAX_COLUMNS, MAX_COLUMNS, file)
    with pytest.raises(DataError, match=r"too many columns.*10,001, more than 10,000"):
        require_few_columns(MAX_COLUMNS + 1, MAX_COLUMNS, file)
