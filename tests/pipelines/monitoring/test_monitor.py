"""The monitoring report, against SQL and plain Python on the scores table and the CSVs."""

import csv
import json
import sqlite3
import sys
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml
from rich.console import Console

from configs.schema import load_project
from features.spine import build_scoring_spine
from models.evaluation.gate import GATE_TAG, PASSED
from models.learners import lightgbm
from models.registry.records import TrainingRecord
from models.registry.registry import Registry
from models.scorer import SCORER_FILE
from models.serialization import read_json, write_json
from pipelines import cli
from pipelines.commands import training
from pipelines.commands.options import WIDTH_WITHOUT_TERMINAL
from pipelines.monitoring.monitor import follow_target, monitor_targets, recommend_for_targets
from pipelines.reports.terminal import render_monitor_result
from pipelines.runner import Runner, read_clock
from pipelines.training_data import load_snapshot
from pipelines.workspace import find_registry, open_store
from serve.monitoring import realised
from tests.models.stored_scorer import CATALOG, save_base_rate
from tests.pipelines import tiny
from tests.serve.samples import LATER, a_run, some_scores

BERLIN = ZoneInfo("Europe/Berlin")
FIRST, DAY = datetime(2024, 6, 2, 22, tzinfo=UTC), timedelta(days=1)
TODAY = "2024-12-01"
HORIZON = 21 * DAY
WORTH = 250.0
PROMISE = {
    "roc_auc": {"value": 0.9, "low": 0.88, "high": 0.92, "n": 2000},
    "log_loss": {"value": 0.2, "low": 0.18, "high": 0.22, "n": 2000},
    "predicted_to_observed": {"value": 1.0, "low": 0.9, "high": 1.1, "n": 2000},
    "calibration_slope": {"value": 1.0, "low": None, "high": None, "n": 2000},
}


def register(project, folder, learnt, **more):
    """Register a version of “buy” with the smallest model: the monitor never scores."""
    meta = {"horizon": "21d", "trained_as_of": learnt, "observation_date": learnt, **more}
    folder.mkdir()
    parts = save_base_rate(folder)
    write_json(folder / "scorer.json", parts | {"meta": {"catalog": CATALOG, "audit": [], **meta}})
    registry = Registry(project.workspace_path, project.project)
    return registry.promote(
        "buy",
        registry.log_training("buy", TrainingRecord(scorer=folder, tags={GATE_TAG: PASSED})).number,
    )


def publish(project, night, version, ids, chance):
    run = replace(a_run(f"run {night}", night, (), "tiny"), models={"buy": version})
    scores = {
        "probability": chance,
        "cutoff": [night] * len(ids),
        "expected_value": [WORTH * p for p in chance],
    }
    store = open_store(project)
    store.start(run)
    grades = ["ABCD"[min(3, int(4 * (1 - p)))] for p in chance]
    listed = [("pick", "explore", None)[place % 3] for place in range(len(ids))]
    store.publish(some_scores(run, ids, grade=grades, listed=listed, **scores), run.run_id, LATER)


@pytest.fixture(autouse=True)
def few_drawings(monkeypatch):
    """Draw few replicates: intervals have tests of their own."""
    monkeypatch.setattr(realised, "REPLICATES", 20)


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """Publish 120 nights of a small company by two versions; the champion has no expectations."""
    folder = tmp_path_factory.mktemp("monitor")
    buy = {**tiny.CONFIG["targets"]["buy"], "amount": WORTH}
    path = tiny.write(folder, leads=400, targets={"buy": buy}, workspace=str(folder / "workspace"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        project = load_project(path)
        for source in (project.sources.leads, *project.sources.events):
            object.__setattr__(source, "path", str(folder / source.path))
        numbers = [
            register(project, folder / "one", "2024-06-03T00:00:00+02:00", promise=PROMISE).number,
            register(project, folder / "two", "2024-09-01T00:00:00+02:00").number,
        ]
        now = load_snapshot(project, TODAY, read_clock())
        rng = np.random.default_rng(6)
        for number in range(120):
            night = FIRST + 2 * number * DAY
            if night < now.as_of:
                spine = build_scoring_spine(
                    now.dataset.cut_at(night), project.target_config("buy"), night
                )
                ids = spine["entity_id"].to_pylist()
                publish(project, night, str(numbers[number >= 50]), ids, rng.random(len(ids)) ** 4)
        yield folder, project, path


def local(text):
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def by_hand(folder):
    """Label the rows of each week's last night by loops: yield (week, row, label, stage)."""
    with sqlite3.connect(folder / "workspace" / "scores.db") as db:
        db.row_factory = sqlite3.Row
        nights = [
            r[0]
            for r in db.execute("select distinct as_of from score_runs where status = 'published'")
        ]
        last = {}
        for night in sorted(nights):
            last[
                "{}-W{:02}".format(
                    *datetime.fromisoformat(night).astimezone(BERLIN).isocalendar()[:2]
                )
            ] = night
        rows = [
            (w, r)
            for w, n in last.items()
            for r in db.execute("select * from scores where as_of = ?", (n,))
        ]
    with (folder / "events.csv").open() as file:
        events = [(e["lead"], local(e["at"]), e["what"]) for e in csv.DictReader(file)]
    today = local(TODAY)
    observed = max(at for _, at, _ in events if at < today)
    bought, met = defaultdict(list), defaultdict(list)
    for name, at, what in events:
        if at < today:
            {"bought": bought, "met": met}.get(what, defaultdict(list))[name].append(at)
    for week, row in rows:
        cutoff, name = datetime.fromisoformat(row["as_of"]), row["entity_id"]
        label = int(any(cutoff <= at < cutoff + HORIZON for at in bought[name]))
        stage = "met" if any(at < cutoff for at in met[name]) else "(missing)"
        yield week, row, label if cutoff + HORIZON <= observed else None, stage


@pytest.fixture
def run(monkeypatch, capsys, company):
    """Return a caller of commands in the company's folder: exit code, stdout and stderr."""
    monkeypatch.chdir(company[0])
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    return caller(monkeypatch, capsys)


def caller(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["leadscore", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    return call


def test_report_matches_sql_and_raw_files(run, company):
    folder, *_ = company
    code, out, _ = run("outcomes", "company.yaml", "--as-of", TODAY, "--direct", "--json")
    found = json.loads(out)["targets"]["buy"]
    hand = list(by_hand(folder))
    used = [each for each in hand if each[2] is not None]
    assert code == 0 and len(used) > 500
    counts = {
        "published": len(hand),
        "used": len(used),
        "immature": len(hand) - len(used),
        "unknown": 0,
    }
    assert found["rows"] == {**counts, "unknown_because": {}}
    assert (
        found["first_mature"]
        == (
            min(datetime.fromisoformat(r["as_of"]) for _, r, y, _ in hand if y is None) + HORIZON
        ).isoformat()
    )
    kinds = {
        "weeks": lambda w, r, s: w,
        "months": lambda w, r, s: f"{datetime.fromisoformat(r['as_of']).astimezone(BERLIN):%Y-%m}",
        "versions": lambda w, r, s: r["model_version"],
        "grades": lambda w, r, s: r["grade"],
        "stages": lambda w, r, s: s,
    }
    for kind, key in kinds.items():
        for name, part in found[kind].items():
            mine = [(r, y) for w, r, y, s in used if key(w, r, s) == name]
            waiting = sum(y is None and key(w, r, s) == name for w, r, y, s in hand)
            assert part["used"] == len(mine) and part.get("immature", 0) == (
                waiting if "immature" in part else 0
            )
            if mine:
                expected, actual = sum(r["probability"] for r, _ in mine), sum(y for _, y in mine)
                assert part["expected"] == pytest.approx(expected) and part["actual"] == actual
                assert part["value"]["expected"] == pytest.approx(WORTH * expected)
                assert part["value"]["actual"] == pytest.approx(WORTH * actual)
        assert sum(part["used"] for part in found[kind].values()) == len(used)
    assert {w for w, *_ in hand} == set(found["weeks"]) and set(found["stages"]) == {
        "met",
        "(missing)",
    }


def test_lists_are_followed_from_the_first_night_of_each_lead(run, company):
    folder, *_ = company
    _, out, _ = run("outcomes", "company.yaml", "--as-of", TODAY, "--direct", "--json")
    found, first, bought, today = (
        json.loads(out)["targets"]["buy"]["lists"],
        {},
        defaultdict(list),
        local(TODAY),
    )
    with sqlite3.connect(folder / "workspace" / "scores.db") as db:
        for name, at, kind, chance in db.execute(
            "select entity_id, as_of, listed, probability from scores order by 2"
        ):
            week = datetime.fromisoformat(at).astimezone(BERLIN).isocalendar()[:2]
            if kind:
                first.setdefault((week, name), (datetime.fromisoformat(at), kind, chance))
    with (folder / "events.csv").open() as file:
        events = [
            (e["lead"], local(e["at"]), e["what"])
            for e in csv.DictReader(file)
            if local(e["at"]) < today
        ]
    observed = max(at for _, at, _ in events)
    for name, at, what in events:
        bought[name] += [at] if what == "bought" else []
    for kind in ("pick", "explore"):
        mine = [
            (n, at, p)
            for (_, n), (at, k, p) in first.items()
            if k == kind and at + HORIZON <= observed
        ]
        assert found[kind]["used"] == len(mine) > 100
        assert found[kind]["expected"] == pytest.approx(sum(p for *_, p in mine))
        assert found[kind]["actual"] == sum(
            any(at <= b < at + HORIZON for b in bought[n]) for n, at, _ in mine
        )
    _, shown, _ = run("outcomes", "company.yaml", "--as-of", TODAY, "--direct")
    assert set(found) == {"pick", "explore"} and "explore" in shown


def test_report_is_reproducible_to_the_byte(run, company):
    folder, *_ = company
    reports = [folder / "workspace" / "reports" / f"outcomes.{ending}" for ending in ("json", "md")]
    code, out, _ = run("outcomes", "company.yaml", "--as-of", TODAY, "--direct", "--json")
    first = [path.read_bytes() for path in reports]
    _, again, _ = run("outcomes", "company.yaml", "--as-of", TODAY, "--direct", "--json")
    assert code == 0 and out == again and first == [path.read_bytes() for path in reports]
    assert json.loads(first[0]) == json.loads(out)
    assert sorted(path.name for path in reports[0].parent.iterdir()) == [
        "outcomes.json",
        "outcomes.md",
    ]
    text = first[1].decode()
    assert "| week | used | immature |" in text and "| 0.900 (0.880–0.920) |" in text
    assert "- warning: version 2: actual to expected outcomes is 0." in text  # version 1 is history
    assert (
        "- version 2: no expected metrics are recorded" in text
        and "- train again: version 2: actual to expected" in text
    )


def test_versions_are_compared_with_expectations_or_the_gate(company):
    _, project, _ = company
    (found,) = monitor_targets(project, TODAY, ["buy"], Runner())
    one, two = ({c.metric: c for c in found.versions[name]} for name in ("1", "2"))
    assert (
        one["roc_auc"].is_recorded and one["roc_auc"].is_off
    )  # the probabilities are drawn by lot
    assert one["actual_to_expected"].expected.low == pytest.approx(1 / 1.1)
    assert not one["calibration_slope"].is_off  # promised without an interval
    assert not any(c.is_recorded for c in two.values()) and found.without_expectations == ("2",)
    assert found.champion == "2" and found.recommendation.retrain
    assert all("version 2" in reason for reason in found.recommendation.reasons)
    assert all(len(line) <= WIDTH_WITHOUT_TERMINAL for line in rendered(project, found))


def rendered(project, found):
    console = Console(width=WIDTH_WITHOUT_TERMINAL, highlight=False)
    with console.capture() as captured:
        console.print(render_monitor_result(project, found))
    return captured.get().splitlines()


def test_report_without_mature_rows_states_first_maturity(run, company):
    code, out, _ = run("outcomes", "company.yaml", "--as-of", "2024-06-10", "--direct")
    text = "no outcome is known yet: the first is known once outcomes are complete through "
    assert code == 0 and text + "2024-06-" in out


def test_monitor_without_published_scores_is_an_error(tmp_path, monkeypatch, capsys):
    tiny.write(tmp_path, leads=20)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    code, _, err = caller(monkeypatch, capsys)("outcomes", "company.yaml", "--direct")
    assert code == 2 and "no scores were published" in err and "leadscore score company.yaml" in err


def test_old_champion_is_retrained_once_enough_rows_matured(company):
    """Version 2 is of the first of September; 60 days are allowed."""
    _, project, _ = company
    young = recommend_for_targets(project, "2024-10-30", ["buy"], Runner())["buy"]
    old = recommend_for_targets(project, TODAY, ["buy"], Runner())["buy"]
    assert not any("days ago" in reason for reason in young.reasons)
    said = next(reason for reason in old.reasons if "days ago" in reason)
    assert "was trained 91 days ago, more than the 60 allowed" in said
    (found,) = monitor_targets(project, TODAY, ["buy"], Runner())
    assert found.recommendation == old  # the advice alone is quicker, and the same


def test_target_without_champion_needs_training(company):
    _, project, _ = company
    now = load_snapshot(project, TODAY, read_clock())
    found = follow_target(now, "buy", open_store(project), None, Runner())
    assert found.recommendation.reasons == ("there is no champion",)
    assert found.counts["used"] and set(found.without_expectations) == {"1", "2"}


@pytest.mark.parametrize(("as_of", "wanted"), [(TODAY, ["buy"]), ("2024-09-02", [])])
def test_train_if_needed_trains_recommended_targets(run, monkeypatch, as_of, wanted):
    trained = []
    monkeypatch.setattr(
        training, "run_training", lambda config, as_of, names, prefect: trained.extend(names) or []
    )
    code, out, err = run(
        "train", "company.yaml", "--as-of", as_of, "--if-needed", "--direct", "--json"
    )
    advice = json.loads(out)["targets"]["buy"]["recommendation"]
    assert code == 0 and trained == wanted and advice["retrain"] == bool(wanted)
    assert ("no need to train" in err) == (not wanted)


def test_lead_without_times_is_followed_until_outcome_is_filled(tmp_path, monkeypatch, capsys):
    fates = ["yes" if n % 3 == 0 else "no" if n % 3 == 1 else "" for n in range(30)]
    with (tmp_path / "leads.csv").open("w") as file:
        file.writelines(
            ["id,size,fate\n", *(f"L{n:02},{n},{fate}\n" for n, fate in enumerate(fates))]
        )
    target = {"buy": {"outcome": {"column": "fate", "equals": "yes"}}}
    leads = {"path": "leads.csv", "entity_id": "id", "attributes": ["size"]}
    whole = {
        "project": "tiny",
        "workspace": "workspace",
        "sources": {"leads": leads},
        "targets": target,
    }
    (tmp_path / "company.yaml").write_text(yaml.safe_dump(whole))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    project = load_project("company.yaml")
    for night in (FIRST, FIRST + 9 * DAY):
        publish(project, night, "1", [f"L{n:02}" for n in range(30)], np.full(30, 0.25))
    code, out, _ = caller(monkeypatch, capsys)("outcomes", "company.yaml", "--direct", "--json")
    found = json.loads(out)["targets"]["buy"]
    assert code == 0 and found["as_of"] is found["observed"] is found["first_mature"] is None
    assert found["rows"] == {
        "published": 30,
        "used": 20,
        "immature": 10,
        "unknown": 0,
        "unknown_because": {},
    }
    assert (found["all"]["expected"], found["all"]["actual"]) == (5.0, 10) and set(
        found["weeks"]
    ) == {"2024-W22"}
    assert found["recommendation"]["reasons"] == ["there is no champion"]


def test_training_stores_its_metrics_as_expectations(tmp_path, monkeypatch, capsys):
    """Train, score and follow: the expected metrics are those that the training printed."""
    monkeypatch.setattr(lightgbm, "ROUNDS", 15)
    tiny.write(tmp_path, leads=1200)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    run = caller(monkeypatch, capsys)
    code, out, err = run("train", "company.yaml", "--as-of", "2024-09-15", "--direct", "--json")
    assert code == 0, err
    metrics = json.loads(out)["targets"]["buy"]["metrics"]
    for night in ("2024-09-10", "2024-09-15", "2024-09-22"):
        assert run("score", "company.yaml", "--as-of", night, "--direct")[0] == 0
    code, out, err = run("outcomes", "company.yaml", "--as-of", TODAY, "--direct", "--json")
    assert code == 0, err
    found = json.loads(out)["targets"]["buy"]
    assert found["nights_left_out"] == {"the model had learnt from later data": 1}
    against = found["versions"]["1"]["against_promise"]
    champion = (registry := find_registry(load_project("company.yaml"))).champion("buy")
    promise = read_json(registry.scorer_directory(champion) / SCORER_FILE)["meta"]["promise"]
    assert promise == {name: metrics[name] for name in promise} and {"roc_auc", "log_loss"} < set(
        promise
    )
    assert against["actual_to_expected"]["kept"] and found["without_promise"] == []
    ratio = metrics["predicted_to_observed"]
    assert against["actual_to_expected"]["promised"]["value"] == pytest.approx(1 / ratio["value"])
    assert against["actual_to_expected"]["promised"]["low"] == pytest.approx(1 / ratio["high"])
    with sqlite3.connect(tmp_path / "workspace" / "scores.db") as db:
        rows, expected = db.execute(
            "select count(*), sum(probability) from scores where as_of > '2024-09-12'"
        ).fetchone()
    assert found["rows"]["used"] == rows and found["all"]["expected"] == pytest.approx(expected)
