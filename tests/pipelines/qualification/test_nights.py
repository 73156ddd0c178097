"""Nights of a company that hands leads over: states, thresholds, lists and the monthly table."""

import csv
import sqlite3
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from configs.learning import EvaluationConfig
from configs.schema import load_project
from features.tools.json_values import to_json_values
from models.learners import lightgbm
from models.registry.records import TrainingRecord
from models.registry.registry import Registry
from models.scorer_metadata import ScorerMetadata
from models.training.settings import TrainingSettings
from models.training.train import train_scorer
from pipelines.json_output.nightly import OutcomesOutput
from pipelines.monitoring.monitor import monitor_targets, outcomes_to_json
from pipelines.nightly.night import score_night
from pipelines.qualification import night as night_tables
from pipelines.reports.monitor_tables import build_monitor_tables
from pipelines.runner import Runner, read_clock
from pipelines.training.reference_profile import attach_reference_profile
from pipelines.training_data import build_training_rows, load_snapshot
from pipelines.workspace import open_store, open_workspace
from serve.page.blocks import read_page_texts
from tests.pipelines import tiny

ZONE = ZoneInfo("Europe/Berlin")
WEEKLY = [datetime(2024, 9, 2) + timedelta(days=7 * week) for week in range(12)]  # noqa: DTZ001
DAILY = [WEEKLY[-1] + timedelta(days=day) for day in range(1, 8)]
NIGHTS = [night.date().isoformat() for night in (*WEEKLY, *DAILY)]
PER_WEEK, VALUE, COST, SLA = 8, 400, 20, timedelta(hours=60)
TARGETS = {
    "accept": {
        "population": {"after": "created", "until": ["lost"], "max_age": "60d"},
        "outcome": "met",
        "horizon": "14d",
        "cutoffs": {"every": "7d"},
    },
    "buy": {
        "population": {"after": "met", "until": ["lost"], "max_age": "60d"},
        "outcome": "bought",
        "horizon": "21d",
        "cutoffs": {"every": "7d"},
        "amount": 900,
    },
}
QUALIFICATION = {
    "mql": {"target": "accept", "cost": COST, "value": VALUE, "per_week": PER_WEEK},
    "sql": {"target": "buy", "cost": 90, "per_week": 4},
    "sla": "60h",
    "recycle": {"silent": "21d", "rejected": ["lost"]},
}


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """Return the folder and the config of a company after all nights."""
    folder = tmp_path_factory.mktemp("handover")
    sources = {
        "leads": tiny.CONFIG["sources"]["leads"] | {"path": str(folder / "leads.csv")},
        "events": [tiny.CONFIG["sources"]["events"][0] | {"path": str(folder / "events.csv")}],
    }
    path = tiny.write(
        folder,
        leads=500,
        **tiny.LITTLE | {"features": tiny.LITTLE["features"] | {"outbound": ["call"]}},
        targets=TARGETS,
        qualification=QUALIFICATION,
        capacity={"per_week": 6, "explore": 0.34},
        sources=sources,
        workspace=str(folder / "workspace"),
    )
    _add_calls(folder / "events.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightgbm, "ROUNDS", 15)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        project = load_project(path)
        _train(project, folder)
        for night in NIGHTS:
            score_night(project, night, Runner())
        yield folder, project


def _add_calls(path):
    """Sales calls the leads of every other number on the day after each of their visits."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    calls = [
        [lead, (datetime.fromisoformat(at) + timedelta(days=1)).isoformat(" "), "call", "phone"]
        for lead, at, what, _ in rows[1:]
        if what == "visit" and int(lead[1:]) % 2
    ]
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(calls)


def _train(project, folder):
    now = load_snapshot(project, NIGHTS[0], read_clock())
    registry = Registry(project.workspace_path, project.project)
    for target in TARGETS:
        rows = build_training_rows(now, target)
        metadata = ScorerMetadata(
            rows.catalog.to_json(),
            trained_as_of=now.as_of.isoformat(),
            observation_date=now.observed.isoformat(),
        )
        settings = TrainingSettings(
            target,
            project.targets[target].horizon,
            EvaluationConfig(folds=1, share=0.4),
            metadata=metadata,
        )
        trained = train_scorer(rows.matrix, rows.labels, settings)
        trained = attach_reference_profile(trained, now, target, rows)
        trained.scorer.save(folder / target)
        with open_workspace(project):
            version = registry.log_training(target, TrainingRecord(folder / target))
            registry.promote(target, version.number)


def read_rows(folder, query="select * from scores order by as_of, target, rank"):
    """Return rows as a stranger reads them."""
    with sqlite3.connect(folder / "workspace/scores.db") as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(query)]


def parse_instant(text):
    return datetime.fromisoformat(text).astimezone(UTC)


def read_events(folder):
    with (folder / "events.csv").open(newline="", encoding="utf-8") as file:
        return [
            (row["lead"], datetime.fromisoformat(row["at"]).replace(tzinfo=ZONE), row["what"])
            for row in csv.DictReader(file)
        ]


def list_handovers(rows, target="accept", name="MQL"):
    return [
        row
        for row in rows
        if row["target"] == target
        and row["qualification"] == name
        and row["qualified_at"] == row["as_of"]
    ]


def test_hand_overs_of_any_seven_days_fit_the_capacity_and_pay_for_their_cost(company):
    folder, _ = company
    handed = list_handovers(read_rows(folder))
    assert len(handed) > 40
    nights = sorted({parse_instant(row["as_of"]) for row in handed})
    for night in nights:
        within = [
            row
            for row in handed
            if night - timedelta(days=7) < parse_instant(row["as_of"]) <= night
        ]
        assert 0 < len(within) <= PER_WEEK
    for row in handed:
        if row["qualified_because"] == "probability":
            assert row["probability"] * VALUE > COST
            assert row["handover_chance"] == 1
        else:
            assert row["qualified_because"] == "explore" == row["listed"]
            assert 0 < row["handover_chance"] < 1


def test_state_stays_until_a_reason_sends_the_lead_back(company):
    folder, _ = company
    rows = [row for row in read_rows(folder) if row["target"] == "accept"]
    nights = sorted({row["as_of"] for row in rows})
    by_night = {
        night: {row["entity_id"]: row for row in rows if row["as_of"] == night} for night in nights
    }
    reasons, flips = set(), 0
    for before, after in pairwise(nights):
        for lead in by_night[before].keys() & by_night[after].keys():
            old, new = by_night[before][lead], by_night[after][lead]
            if old["qualification"] == "MQL" and new["qualification"] == "none":
                reasons.add(new["recycle_reason"])
                assert new["qualified_at"] == after and new["qualified_because"] is None
            elif old["qualification"] == new["qualification"]:
                assert old["qualified_at"] == new["qualified_at"]
            else:
                flips += old["recycle_reason"] is not None
                assert new["qualified_at"] == after and new["recycle_reason"] is None
    assert reasons <= {"silent", "cooled"} and reasons
    # Nobody comes back before the wait of 30 days is over.
    assert flips <= 2


def test_week_list_picks_leads_in_the_hands_of_sales_and_draws_others(company):
    folder, _ = company
    rows = [row for row in read_rows(folder) if row["target"] == "accept"]
    drawn = 0
    for night in {row["as_of"] for row in rows}:
        own = [row for row in rows if row["as_of"] == night]
        new = [row for row in own if row["listed"] == "explore" and row["qualified_at"] == night]
        others = [row for row in own if row["listed"] is None]
        for row in new:
            if row["qualified_because"] == "explore":
                drawn += 1
                explored = [r for r in own if r["listed"] == "explore"]
                expected = len(explored) / (len(explored) + len(others))
                assert row["handover_chance"] == pytest.approx(expected)
    assert drawn > 10
    first = [row for row in rows if row["as_of"] == min(row["as_of"] for row in rows)]
    assert {row["qualification"] for row in first if row["listed"] == "pick"} == {"MQL"}


def test_first_touch_is_due_until_the_call(company):
    folder, _ = company
    calls = [(lead, at) for lead, at, what in read_events(folder) if what == "call"]
    seen = set()
    for row in read_rows(folder):
        if row["qualification"] not in ("MQL", "SQL"):
            assert row["handover_due"] is None
            continue
        since, now = parse_instant(row["qualified_at"]), parse_instant(row["as_of"])
        touched = any(lead == row["entity_id"] and since <= at < now for lead, at in calls)
        seen.add(touched)
        expected = None if touched else since + SLA
        found = row["handover_due"] and parse_instant(row["handover_due"])
        assert found == expected
    assert seen == {True, False}


def test_accepted_leads_are_sal_or_sql(company):
    folder, _ = company
    rows = [row for row in read_rows(folder) if row["target"] == "buy"]
    assert {row["qualification"] for row in rows} == {"SAL", "SQL"}
    assert {row["qualified_because"] for row in rows} == {"accepted", "probability"}
    per_night = [
        len([r for r in list_handovers(rows, "buy", "SQL") if r["as_of"] == night])
        for night in {row["as_of"] for row in rows}
    ]
    assert max(per_night) <= 4


@pytest.mark.parametrize(
    ("step", "target", "name", "outcome", "days"),
    [("mql", "accept", "MQL", "met", 14), ("sql", "buy", "SQL", "bought", 21)],
)
def test_monthly_table_equals_a_count_of_the_rows_and_events(
    company, step, target, name, outcome, days
):
    folder, project = company
    rows, events = read_rows(folder), read_events(folder)
    last = max(row["as_of"] for row in rows)
    observed = load_snapshot(project, NIGHTS[-1], read_clock()).observed
    expected = {}
    for row in list_handovers(rows, target, name):
        since = parse_instant(row["as_of"])
        month = since.astimezone(ZONE).strftime("%Y-%m")
        own = [at for lead, at, what in events if (lead, what) == (row["entity_id"], outcome)]
        calls = [at for lead, at, what in events if (lead, what) == (row["entity_id"], "call")]
        calls = [at for at in calls if since <= at < parse_instant(last)]
        is_mature = since + timedelta(days=days) <= observed
        is_due = since + SLA <= parse_instant(last)
        for key in (
            (month, "all"),
            (month, row["grade"]),
            ("all", "all"),
            ("all", row["grade"]),
        ):
            counts = expected.setdefault(key, [0, 0, 0, 0, 0])
            counts[0] += 1
            counts[1] += is_mature
            counts[2] += is_mature and any(since <= at < since + timedelta(days=days) for at in own)
            counts[3] += is_due
            counts[4] += is_due and any(at <= since + SLA for at in calls)
    query = f"select * from qualification where as_of = '{last}' and step = '{step}'"
    found = {
        (row["month"], row["band"]): [
            row[key] for key in ("handed_over", "mature", "outcomes", "due", "in_time")
        ]
        for row in read_rows(folder, query)
    }
    assert found == expected
    assert any(0 < counts[1] < counts[0] for counts in expected.values())


def test_tables_are_files_beside_the_scores_and_on_the_page(company):
    folder, project = company
    store = open_store(project)
    stored = store.night_tables(store.last_published_run("tiny"))
    current = folder / "workspace/exports/current"
    for name in ("qualification", "thresholds"):
        own = [column for column in stored[name].column_names if column != "run_id"]
        assert pq.read_table(current / f"{name}.parquet").equals(stored[name].select(own))
    limits = {row["step"]: row for row in stored["thresholds"].to_pylist()}
    assert limits["mql"]["expected_per_week"] <= PER_WEEK
    assert limits["mql"]["break_even"] == pytest.approx(COST / VALUE)
    assert limits["sql"]["value"] == pytest.approx(900)
    with (current / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["qualification"] for row in rows} == {"none", "MQL", "SAL", "SQL"}
    texts = {
        text for block in read_page_texts((current / "index.html").read_bytes()) for text in block
    }
    assert "Does sales take the leads?" in texts


def test_night_that_is_scored_again_after_later_events_says_the_same(company):
    """Neither later events nor later nights change what a night says of hand-overs."""
    folder, project = company
    night = NIGHTS[6]
    as_of = project.parse_instant(night)
    nights = {row["as_of"] for row in read_rows(folder, "select distinct as_of from scores")}
    (stored,) = [text for text in nights if parse_instant(text) == as_of]
    names = "entity_id, target, qualification, qualified_at, qualified_because, handover_due"
    query = (
        f"select {names}, recycle_reason, handover_chance, cooling_since, listed from scores "
        f"where as_of = '{stored}' order by target, entity_id"
    )
    tables = {
        name: f"select * from {name} where as_of = '{stored}' order by position"
        for name in ("qualification", "thresholds")
    }
    before = read_rows(folder, query), {n: read_rows(folder, q) for n, q in tables.items()}
    assert len(before[0]) > 20
    text = (folder / "events.csv").read_text(encoding="utf-8")
    later = [
        f"{row['entity_id']},{(as_of + timedelta(days=1)).replace(tzinfo=None)},{what},web\n"
        for row in before[0]
        for what in ("lost", "call", "met")
    ]
    try:
        (folder / "events.csv").write_text(text + "".join(later), encoding="utf-8")
        score_night(project, night, Runner())
    finally:
        (folder / "events.csv").write_text(text, encoding="utf-8")
    after = read_rows(folder, query), {n: read_rows(folder, q) for n, q in tables.items()}
    assert after[0] == before[0]
    for name, rows in before[1].items():
        own = [{k: v for k, v in row.items() if k != "run_id"} for row in rows]
        assert own == [{k: v for k, v in row.items() if k != "run_id"} for row in after[1][name]]


def test_outcomes_show_the_table_of_the_newest_night(company):
    _, project = company
    results = monitor_targets(project, NIGHTS[-1], list(TARGETS), Runner())
    OutcomesOutput.model_validate(outcomes_to_json(results))
    store = open_store(project)
    stored = store.night_tables(store.last_published_run("tiny"))["qualification"].to_pylist()
    for result, step in zip(results, ("mql", "sql"), strict=True):
        found = result.to_json()["handovers"]
        assert len(found) > 3
        assert found == [
            to_json_values({name: row[name] for name in found[0]})
            for row in stored
            if row["step"] == step
        ]
        text = "\n".join(
            " | ".join(line) for table in build_monitor_tables(result) for line in table
        )
        every = next(row for row in found if row["month"] == row["band"] == "all")
        assert f"{step} | all | all | {every['handed_over']} | {every['mature']} |" in text


def test_failure_keeps_no_scores_back(company, monkeypatch):
    _, project = company

    def fail(*arguments):
        raise ZeroDivisionError("secret@example.com")

    monkeypatch.setattr(night_tables, "build_qualification_table", fail)
    lines = []
    published = score_night(project, NIGHTS[-1], Runner(log=lines.append)).published
    assert published.rows["accept"] > 0
    assert "ZeroDivisionError" in published.table_problems["qualification"]
    assert "secret" not in "".join(lines)
