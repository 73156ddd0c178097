"""``sources.experiments``: what is read, counted, set aside, skipped, refused and warned about."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from configs.errors import DataError
from configs.schema import Project
from features.contracts import Dataset, SourceCount
from features.sources import list_source_columns, read_sources
from tests.features.company import EVENT, LEAD, at, project, write

LEADS = "id,born\nA,2024-01-01\nB,2024-01-02\nC,2024-01-03\n"
EVENTS = "lead,at,what\nA,2024-02-05,visit\nB,2024-01-07,won\n"
DRAW = {"entity_id": "lead", "assigned_at": "at", "arm": "arm"}


def company(folder: Path, text: str, leads: str = LEADS, **keys: Any) -> Project:
    more = {key: keys.pop(key) for key in ("max_quarantine", "same_as") if key in keys}
    source = {"path": write(folder / "x.csv", text), **DRAW, **keys}
    return project(
        {"path": write(folder / "l.csv", leads), **LEAD},
        [{"path": write(folder / "e.csv", EVENTS), **EVENT}],
        experiments=source,
        **more,
    )


def list_draws(data: Dataset, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in data.experiments.to_pylist()]


def count_of(data: Dataset) -> SourceCount:
    (count,) = (count for count in data.counts if count.source == "experiments_1")
    total = count.used + count.skipped + count.suppressed + sum(count.quarantined.values())
    assert count.rows_in == total
    return count


def test_draws_are_read_with_arm_time_and_share(tmp_path: Path) -> None:
    text = "lead,at,arm\nB,2024-01-06,control\nA,2024-01-05,mail\nC,2024-01-07,mail\n"
    data = read_sources(company(tmp_path, text))
    names = ("entity_id", "assigned_at", "arm", "treated")
    assert list_draws(data, *names) == [
        ("A", at(2024, 1, 5), "mail", True),
        ("B", at(2024, 1, 6), "control", False),
        ("C", at(2024, 1, 7), "mail", True),
    ]
    assert data.experiments["propensity"].to_pylist() == pytest.approx([2 / 3] * 3)
    assert data.experiments["available_at"] == data.experiments["assigned_at"]


def test_share_is_that_of_the_channel(tmp_path: Path) -> None:
    text = "lead,at,arm,via\n" + "".join(
        f"{lead},2024-01-0{day},{arm},{via}\n"
        for lead, day, arm, via in (
            ("A", 5, "go", "mail"),
            ("B", 5, "control", "mail"),
            ("A", 6, "go", "fair"),
            ("B", 6, "go", "fair"),
            ("C", 6, "go", "fair"),
            ("A", 7, "control", "fair"),
        )
    )
    data = read_sources(company(tmp_path, text, channel="via"))
    shares = {row["channel"]: row["propensity"] for row in data.experiments.to_pylist()}
    assert shares == pytest.approx({"mail": 0.5, "fair": 0.75})


def test_bad_rows_are_set_aside_with_their_reasons(tmp_path: Path) -> None:
    text = (
        "lead,at,arm,p\nA,2024-01-05,mail,0.4\n,2024-01-05,mail,0.4\nB,,mail,0.4\n"
        "B,2024-01-05,,0.4\nB,2024-01-05,mail,1\nB,2024-01-05,mail,much\nX,2024-01-05,mail,0.4\n"
        "A,2024-01-05,mail,0.4\nB,1850-01-05,mail,0.4\n"
    )
    wanted = company(tmp_path, text, propensity="p", max_quarantine=1)
    data = read_sources(wanted, tmp_path / "q")
    assert list_draws(data, "entity_id", "propensity") == [("A", 0.4)]
    assert count_of(data).quarantined == {
        "duplicate": 1,
        "impossible time": 1,
        "no arm": 1,
        "no id": 1,
        "no propensity between 0 and 1": 1,
        "unknown entity": 1,
        "unreadable time": 1,
        "wrong type": 1,
    }
    with (tmp_path / "q" / "experiments_1.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 8


def test_other_arms_are_skipped_and_counted(tmp_path: Path) -> None:
    text = "lead,at,arm\nA,2024-01-05,w\nB,2024-01-05,m\nC,2024-01-05,none\n"
    data = read_sources(company(tmp_path, text, control="none", treated="w", propensity=0.5))
    assert list_draws(data, "entity_id", "treated") == [("A", True), ("C", False)]
    assert (count_of(data).skipped, count_of(data).used) == (1, 2)


def test_arm_known_first_counts_where_two_are_recorded(tmp_path: Path) -> None:
    text = (
        "lead,at,arm,seen\nA,2024-01-05,mail,2024-01-09\nA,2024-01-05,control,2024-01-08\n"
        "B,2024-01-05,mail,2024-01-06\n"
    )
    data = read_sources(company(tmp_path, text, known_at="seen", max_quarantine=1))
    assert list_draws(data, "entity_id", "arm") == [("A", "control"), ("B", "mail")]
    assert any("a different arm" in line for line in data.warnings)
    # Nobody knew of the second lead's arm before it had arrived.
    assert list_draws(data.cut_at(at(2024, 1, 7)), "entity_id") == [("B",)]


def test_too_many_bad_rows_stop_the_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too many bad rows"):
        read_sources(company(tmp_path, "lead,at,arm\nA,2024-01-05,mail\nX,2024-01-05,mail\n"))


def test_draws_change_neither_fingerprint_nor_hash(tmp_path: Path) -> None:
    text = "lead,at,arm\nA,2024-01-05,mail\n"
    data = read_sources(company(tmp_path, text))
    other = read_sources(company(tmp_path, text.replace("mail", "control")))
    assert data.fingerprint == other.fingerprint
    assert {"lead", "at", "arm"} <= list_source_columns(company(tmp_path, text))


def test_draws_of_merged_records_count(tmp_path: Path) -> None:
    merges = {"path": write(tmp_path / "m.csv", "old,new\nZ,A\n"), "from": "old", "to": "new"}
    text = "lead,at,arm\nZ,2024-01-05,mail\n"
    data = read_sources(company(tmp_path, text, same_as=merges))
    assert count_of(data).used == 1


def test_data_without_times_has_draws_without_times(tmp_path: Path) -> None:
    rows = "size,arm,bought\n1,w,1\n2,none,0\n3,w,0\n"
    path = write(tmp_path / "all.csv", rows)
    wanted = project(
        {"path": path, "attributes": ["size"]},
        targets={"buy": {"outcome": {"column": "bought", "equals": 1}}},
        experiments={"path": path, "arm": "arm", "control": "none"},
    )
    data = read_sources(wanted)
    assert list_draws(data, "entity_id", "treated") == [("1", True), ("2", False), ("3", True)]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"assigned_at": None}, "assigned_at is missing"),
        ({"entity_id": None}, "entity_id is missing"),
        ({"control": "mail", "treated": "mail"}, "is a control arm too"),
        ({"control": []}, "name the arm without outreach"),
        ({"propensity": 1.0}, "propensity"),
    ],
)
def test_incomplete_sources_are_refused(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        company(tmp_path, "lead,at,arm\n", **keys)
