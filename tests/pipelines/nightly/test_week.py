"""Nights of a company with owners: weekly lists, grades, trends, sides and review dates."""

import csv
import sqlite3
from datetime import datetime, timedelta

import pytest

from configs.learning import EvaluationConfig
from configs.schema import load_project
from models.learners import lightgbm
from models.registry.records import TrainingRecord
from models.registry.registry import Registry
from models.scorer_metadata import ScorerMetadata
from models.training.settings import TrainingSettings
from models.training.train import train_scorer
from pipelines.nightly.night import score_night
from pipelines.runner import Runner, read_clock
from pipelines.training.reference_profile import attach_reference_profile
from pipelines.training_data import build_training_rows, load_snapshot
from pipelines.workspace import open_workspace
from tests.pipelines import tiny

NIGHTS = ("2024-11-25", "2024-11-26", "2024-11-27", "2024-12-02")
"""Three of one week, from Monday, and the next Monday."""
CAPACITY = {"per_week": 5, "owner": "country", "explore": 0.2}


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """Return the folder of a company whose leads belong to DE and FR, after four nights."""
    folder = tmp_path_factory.mktemp("week")
    leads = tiny.CONFIG["sources"]["leads"] | {
        "attributes": ["size"],
        "path": str(folder / "leads.csv"),
    }
    events = tiny.CONFIG["sources"]["events"][0] | {"path": str(folder / "events.csv")}
    changes = {
        "sources": {"leads": leads, "events": [events]},
        "workspace": str(folder / "workspace"),
    }
    path = tiny.write(folder, leads=300, capacity=CAPACITY, **tiny.LITTLE, **changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightgbm, "ROUNDS", 15)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        project = load_project(path)
        now = load_snapshot(project, NIGHTS[0], read_clock())
        rows = build_training_rows(now, "buy")
        metadata = ScorerMetadata(rows.catalog.to_json(), trained_as_of=now.as_of.isoformat())
        settings = TrainingSettings(
            "buy",
            project.targets["buy"].horizon,
            EvaluationConfig(folds=1, share=0.4),
            metadata=metadata,
        )
        trained = train_scorer(rows.matrix, rows.labels, settings)
        trained = attach_reference_profile(trained, now, "buy", rows)
        trained.scorer.save(folder / "model")
        registry = Registry(project.workspace_path, project.project)
        with open_workspace(project):
            version = registry.log_training("buy", TrainingRecord(folder / "model"))
            registry.promote("buy", version.number)
        for night in NIGHTS:
            score_night(project, night, Runner())
        yield folder, project, trained.scorer


def nights(folder):
    """Return the rows of each night by entity, as a stranger reads them."""
    with sqlite3.connect(folder / "workspace" / "scores.db") as db:
        db.row_factory = sqlite3.Row
        rows = [dict(row) for row in db.execute("select * from scores order by as_of, rank")]
    dates = sorted({row["as_of"] for row in rows})
    return [{row["entity_id"]: row for row in rows if row["as_of"] == date} for date in dates]


def test_weekly_list_of_an_owner_has_the_best_and_one_drawn_lead_and_stays(company):
    folder, *_ = company
    monday, *later = nights(folder)
    for owner in ("DE", "FR"):
        own = [row for row in monday.values() if row["owner"] == owner]
        assert [row["listed"] for row in own[:4]] == ["pick"] * 4
        assert [row["listed"] for row in own[4:] if row["listed"]] == ["explore"]
    on_list = {name for name, row in monday.items() if row["listed"]}
    for night in later[:2]:
        assert {name for name, row in night.items() if row["listed"]} == on_list & night.keys()
    assert {name for name, row in later[2].items() if row["listed"]} != on_list


def test_owner_is_no_feature_and_every_lead_has_one(company):
    folder, _, scorer = company
    with (folder / "leads.csv").open(newline="", encoding="utf-8") as file:
        country = {row["id"]: row["country"] for row in csv.DictReader(file)}
    assert all(
        row["owner"] == country[name] for night in nights(folder) for name, row in night.items()
    )
    assert not [feature for feature in scorer.catalog.features if "country" in feature.name]


def test_trends_sides_and_review_dates_are_there(company):
    folder, project, _ = company
    monday, tuesday, _, last = nights(folder)
    for name, row in last.items():
        assert row["trend_7d"] == (row["score"] - monday[name]["score"] if name in monday else None)
        assert row["trend_30d"] is None
        assert 1 <= row["fit"] <= 100 and 1 <= row["engagement"] <= 100
        local = datetime.fromisoformat(row["review_at"]).astimezone(project.zone)
        assert local.time().isoformat() == "00:00:00"
        assert (
            timedelta(0)
            <= local - project.parse_instant(NIGHTS[3]).astimezone(project.zone)
            <= timedelta(days=30)
        )
    assert (
        len({row["fit"] for row in last.values()}) > 5
        and len({row["engagement"] for row in last.values()}) > 5
    )
    for name in monday.keys() & tuesday.keys():
        assert tuesday[name]["previous_grade"] == monday[name]["grade"] <= tuesday[name][
            "grade"
        ] or (tuesday[name]["score"] > monday[name]["score"])


def test_review_date_stays_until_its_day_has_come_or_the_grade_changed(company):
    folder, project, _ = company
    each, kept = nights(folder), 0
    for at, before, night in zip(NIGHTS[1:], each, each[1:], strict=False):
        for name in before.keys() & night.keys():
            old, new = (datetime.fromisoformat(one[name]["review_at"]) for one in (before, night))
            if old >= project.parse_instant(at) and before[name]["grade"] == night[name]["grade"]:
                assert new == old
                kept += 1
            else:
                assert new > project.parse_instant(at)
    assert kept > 50


def test_night_again_is_the_same_and_the_file_is_complete(company):
    folder, project, _ = company
    before = nights(folder)
    score_night(project, NIGHTS[1], Runner())
    same = [name for name in next(iter(before[0].values())) if name not in ("run_id", "scored_at")]
    for old, new in zip(before, nights(folder), strict=True):
        assert [[row[name] for name in same] for row in old.values()] == [
            [row[name] for name in same] for row in new.values()
        ]
    with (folder / "workspace/exports/current/scores.csv").open(
        newline="", encoding="utf-8"
    ) as file:
        rows = list(csv.DictReader(file))
    kept = before[-1]
    names = ("owner", "listed", "fit", "engagement", "trend_7d", "grade")
    assert [[row[name] for name in names] for row in rows] == [
        ["" if one[name] is None else str(one[name]) for name in names] for one in kept.values()
    ]
