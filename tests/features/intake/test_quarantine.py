"""Quarantined rows: their files, their counts, and the limit that stops a run."""

import csv
import json

import pytest

from configs.errors import DataError
from features.sources import read_sources
from tests.features.company import EVENT, LEAD, project, write

BAD = 'lead,at,what\n1,2024-01-01,won\n,2024-01-01,"a\nb"\n1,2024-01-01,won\n1,"2,3\n2,5,x\n'
ROWS = [
    ("3", "no id", {"lead": None, "at": "2024-01-01", "what": "a\nb"}),
    ("5", "duplicate", {"lead": "1", "at": "2024-01-01", "what": "won"}),
    ("6", "unreadable row", '1,"2,3'),
    ("7", "wrong type", {"lead": "2", "at": "5", "what": "x"}),
]


def bad_project(tmp_path, limit):
    return project(events=[{"path": write(tmp_path / "e.csv", BAD), **EVENT}], max_quarantine=limit)


def quarantined(folder, source="events_1"):
    with (folder / f"{source}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_quarantined_rows_have_line_reason_and_text(tmp_path):
    found = read_sources(bad_project(tmp_path, 0.6), tmp_path / "q")
    rows = quarantined(tmp_path / "q")
    assert [(row["row"], row["reason"], json.loads(row["original"])) for row in rows] == ROWS
    assert {(row["source"], row["file"]) for row in rows} == {("events_1", str(tmp_path / "e.csv"))}
    assert (found.counts[0].rows_in, found.counts[0].used) == (5, 1)


def test_quarantine_file_is_deterministic_and_emptied(tmp_path):
    chosen, path = bad_project(tmp_path, 0.6), tmp_path / "q" / "events_1.csv"
    read_sources(chosen, tmp_path / "q")
    once = path.read_bytes()
    read_sources(chosen, tmp_path / "q")
    assert path.read_bytes() == once
    write(tmp_path / "e.csv", "lead,at,what\n1,2024-01-01,won\n")
    read_sources(chosen, tmp_path / "q")
    assert quarantined(tmp_path / "q") == []
    assert [each.name for each in (tmp_path / "q").iterdir()] == ["events_1.csv"]


def test_quarantine_limit_raises_after_writing(tmp_path):
    with pytest.raises(DataError) as caught:
        read_sources(bad_project(tmp_path, 0.59), tmp_path / "q")
    assert caught.value.exit_code == 3
    assert "3 of 5 (1 duplicate, 1 no id, 1 unreadable row, 1 wrong type)" in caught.value.found
    assert "row 3, no id" in caught.value.found
    assert len(quarantined(tmp_path / "q")) == 4


def test_duplicates_count_towards_the_limit_beyond_their_own_share(tmp_path):
    path = write(tmp_path / "e.csv", "lead,at,what\n" + "1,2024-01-01,won\n" * 50)
    events = [{"path": path, **EVENT}]
    found = read_sources(project(events=events, max_quarantine=0, max_duplicates=0.98))
    assert found.counts[0].quarantined == {"duplicate": 49}
    with pytest.raises(DataError, match="too many bad rows") as caught:
        read_sources(project(events=events))
    assert "24 of 50 (49 duplicate, 24 of them beyond sources.max_duplicates)" in caught.value.found


def test_nul_byte_is_quarantined_in_all_formats(tmp_path):
    lines = [
        json.dumps({"id": "1", "born": "2024-01-01"}),
        json.dumps({"id": "2", "born": "2024-01-01", "x": "a\0b"}),
    ]
    path = write(tmp_path / "l.jsonl", "\n".join(lines))
    found = read_sources(project({"path": path, **LEAD}, max_quarantine=1), tmp_path / "q")
    assert found.leads["entity_id"].to_pylist() == ["1"]
    (row,) = quarantined(tmp_path / "q", "leads")
    assert (row["reason"], json.loads(row["original"])["x"]) == ("unreadable row", "a\0b")
