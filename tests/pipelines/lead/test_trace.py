"""Traces of published scores, against source files cut by hand and read again."""

import csv
import json
import math
import shutil
import sqlite3
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from configs.errors import DataError
from configs.learning import EvaluationConfig
from configs.schema import load_project
from features.build import build_features
from features.contracts import SPINE
from features.sources import read_sources
from features.wording.wording import load_english
from models.calibration import AffineCalibrator
from models.learners import lightgbm
from models.registry.records import TrainingRecord
from models.registry.registry import Registry
from models.scorer_metadata import ScorerMetadata
from models.training.settings import TrainingSettings
from models.training.train import train_scorer
from pipelines.lead.change import CauseEffect
from pipelines.lead.evidence import fingerprint_dataset
from pipelines.lead.explain import read_published_scores
from pipelines.lead.replay import ReplaySources, replay_score
from pipelines.lead.trace import trace_row, trace_rows
from pipelines.nightly.night import score_night
from pipelines.reports.lead_tables import describe_change
from pipelines.reports.terminal import render_explanation
from pipelines.runner import Runner, read_clock
from pipelines.training_data import build_training_rows, load_snapshot
from pipelines.workspace import open_store, open_workspace
from tests.features.logs import examples
from tests.pipelines import tiny

NIGHTS = ("2024-11-20", "2024-11-26", "2024-12-10")
LAST = "2024-12-12"
"""A night after another model was promoted."""

FEATURES = {
    "windows": ["14d"],
    "half_lives": [],
    "families": ["counts", "recency", "account", "journey", "lead"],
}
"""Few, so that the tests are quick."""

BUY = tiny.CONFIG["targets"]["buy"]
TARGETS = {"buy": BUY, "early": BUY | {"cutoffs": {"delay": "1d"}, "horizon": "60d"}}


def traced(project, found, note):
    """Return an explanation with its traces, as the command does."""
    return replace(found, traces=trace_rows(project, found.newest, found.history, note))


def company(folder):
    """Write a company with events seen late and leads that change their plan."""
    tables = {name: str(folder / f"{name}.csv") for name in ("leads", "events", "plans")}
    sources = {
        "leads": tiny.CONFIG["sources"]["leads"] | {"path": tables["leads"]},
        "events": [
            tiny.CONFIG["sources"]["events"][0] | {"path": tables["events"], "known_at": "seen"}
        ],
        "attributes": [
            {
                "path": tables["plans"],
                "entity_id": "lead",
                "valid_from": "since",
                "columns": ["plan"],
            }
        ],
    }
    changes = {
        "sources": sources,
        "targets": TARGETS,
        "features": FEATURES,
        "workspace": str(folder / "workspace"),
    }
    path = tiny.write(folder, leads=300, **changes)
    rows = read_csv(folder / "events.csv")
    for number, row in enumerate(rows):
        at = datetime.fromisoformat(row["at"])
        row["seen"] = (at + timedelta(days=number % 9)).isoformat(" ") if number % 4 == 0 else ""
    write_csv(folder / "events.csv", rows)
    leads = read_csv(folder / "leads.csv")
    plans = [
        {
            "lead": row["id"],
            "since": str(datetime.fromisoformat(row["created"]) + timedelta(days=days)),
            "plan": plan,
        }
        for number, row in enumerate(leads)
        for days, plan in ((0, "free"), (10 + number % 50, "paid"))
    ]
    write_csv(folder / "plans.csv", plans)
    return path


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def champion(project, target, scorer, folder):
    """Register a scorer and make it the champion."""
    scorer.save(folder)
    registry = Registry(project.workspace_path, project.project)
    with open_workspace(project):
        return registry.promote(
            target, registry.log_training(target, TrainingRecord(folder)).number
        )


def learn(project, target):
    now = load_snapshot(project, NIGHTS[0], read_clock())
    rows = build_training_rows(now, target)
    metadata = ScorerMetadata(rows.catalog.to_json(), trained_as_of=now.as_of.isoformat())
    length = project.targets[target].horizon
    found = train_scorer(
        rows.matrix,
        rows.labels,
        TrainingSettings(target, length, EvaluationConfig(folds=1, share=0.4), metadata=metadata),
    )
    return found.scorer


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Return a folder with four nights of two targets; other models score the last night."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightgbm, "ROUNDS", 15)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        project = load_project(company(folder))
        scorers = {target: learn(project, target) for target in TARGETS}
        for target, scorer in scorers.items():
            champion(project, target, scorer, folder / f"{target}_1")
        for night in NIGHTS:
            score_night(project, night, Runner())
        for target, scorer in scorers.items():
            moved = AffineCalibrator(scorer.calibrator.slope, scorer.calibrator.intercept + 0.7)
            champion(project, target, replace(scorer, calibrator=moved), folder / f"{target}_2")
        score_night(project, LAST, Runner())
    return folder


@pytest.fixture(scope="module")
def project(kept):
    return load_project(kept / "company.yaml")


@pytest.fixture(scope="module")
def past(project):
    """Return the replay sources of the unchanged folder, read once."""
    return ReplaySources.load(project, read_clock())


@pytest.fixture
def own(kept, tmp_path):
    """Return a copy of the folder that a test may change, except for the models."""
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    return moved(kept, tmp_path)


def moved(kept, folder):
    """Return the project with all its files in another folder."""
    path = folder / "company.yaml"
    path.write_text(
        (kept / "company.yaml").read_text(encoding="utf-8").replace(str(kept), str(folder))
    )
    return load_project(path)


def silent(_):
    pass


def behind(past, row):
    """Return the Trace of a row of scores."""
    store = open_store(past.project)
    history = read_published_scores(past.project, row["entity_id"], None).history
    ledger = store.runs(past.project.project).to_pylist()
    return trace_row(past, row | {"reasons": json.loads(row["reasons"])}, history, ledger)


def scored(project, night, target):
    return (
        open_store(project)
        .scores(project.project, project.parse_instant(night), target)
        .to_pylist()
    )


def on_both(project, target, first, second):
    """Return the rows of the entities that two nights scored, by entity."""
    one, other = (
        {row["entity_id"]: row for row in scored(project, night, target)}
        for night in (first, second)
    )
    return {name: (one[name], other[name]) for name in sorted(one.keys() & other.keys())}


def seen(project, line):
    """Return when a line of one of the files became known."""
    texts = [line[name] for name in ("at", "seen", "since", "created") if line.get(name)]
    return project.to_utc(datetime.fromisoformat(max(texts)))


def by_hand(folder, keep, entity, cutoff, scorer):
    """Return score and probability of an entity from files reduced to the lines to keep."""
    with tempfile.TemporaryDirectory() as name:
        cut = Path(name)
        for file in ("leads.csv", "events.csv", "plans.csv"):
            write_csv(cut / file, [line for line in read_csv(folder / file) if keep(line)])
        data = read_sources(moved(folder, cut))
    spine = pa.table([[entity], [cutoff]], schema=SPINE)
    found = scorer.predict(build_features(data, spine, scorer.catalog)).to_pylist()[0]
    return found["score"], found["probability"]


def parts_by_hand(folder, past, before, now):
    """Return the parts of a change, step by step from cut files, as (points, probability)."""
    old, new = past.load_scorer(before), past.load_scorer(now)
    entity, ends = now["entity_id"], (before["cutoff"], now["cutoff"])

    def known(line, night):
        return seen(past.project, line) < night["as_of"]

    def or_own(line):
        return known(line, before) or (line.get("lead") == entity and known(line, now))

    start = by_hand(folder, lambda line: known(line, before), entity, ends[0], old)
    waited = by_hand(folder, lambda line: known(line, before), entity, ends[1], old)
    acted = by_hand(folder, or_own, entity, ends[1], old)
    joined = by_hand(folder, lambda line: known(line, now), entity, ends[1], old)
    last = by_hand(folder, lambda line: known(line, now), entity, ends[1], new)
    steps = {
        "time": (start, waited),
        "lead": (waited, acted),
        "others": (acted, joined),
        "model": (joined, last),
    }
    return {name: (b[0] - a[0], b[1] - a[1]) for name, (a, b) in steps.items()}


def one_that(kept, past, says):
    """Return rows, new lines and change of the first lead whose new lines fulfil ``says``."""
    for before, now in on_both(past.project, "buy", NIGHTS[0], NIGHTS[1]).values():
        found = new_lines(kept, past, [now["entity_id"]], before, now)
        if says(found):
            return before, now, found, behind(past, now).change
    raise AssertionError("no such lead")


def new_lines(kept, past, leads, before, now):
    """Return the lines of some leads that became available between two nights."""
    lines = [
        line
        for name in ("events", "plans")
        for line in read_csv(kept / f"{name}.csv")
        if line["lead"] in leads
    ]
    return [line for line in lines if before["as_of"] <= seen(past.project, line) < now["as_of"]]


@pytest.mark.parametrize("target", TARGETS)
def test_leads_of_a_night_are_reproduced_to_the_bit(project, past, target):
    known, rows = (
        past.dataset.cut_at(project.parse_instant(NIGHTS[1])),
        scored(project, NIGHTS[1], target),
    )
    assert len(rows) > 20
    for row in rows:
        found = replay_score(
            known, past.load_scorer(row), row, past.find_cutoff(row), load_english()
        )
        assert found.reproduced and found.predicted["probability"] == row["probability"]
        assert found.reasons == json.loads(row["reasons"])


def test_kept_grade_counts_as_reproduced(project, past):
    known, row = (
        past.dataset.cut_at(project.parse_instant(NIGHTS[1])),
        scored(project, NIGHTS[1], "buy")[0],
    )
    plain = replay_score(
        known, past.load_scorer(row), row, past.find_cutoff(row), load_english()
    ).predicted["grade"]
    for grade, before, same in (
        ("D", "D", True),
        ("D", "C", False),
        (plain, "C", True),
        ("D", None, False),
    ):
        changed = row | {"grade": grade, "previous_grade": before}
        assert (
            plain != "D"
            and replay_score(
                known, past.load_scorer(row), changed, past.find_cutoff(row), load_english()
            ).reproduced
            == same
        )


def test_contributions_and_base_value_sum_to_the_log_odds(project, past):
    row = scored(project, LAST, "buy")[0]
    found = behind(past, row).replay
    summed = found.base + sum(one["contribution"] for one in found.features)
    assert summed == pytest.approx(
        math.log(row["probability"] / (1 - row["probability"])), abs=1e-9
    )
    assert found.total == pytest.approx(summed, abs=1e-9)
    strongest = found.features[0]
    without = 1 / (1 + math.exp(-(summed - strongest["contribution"])))
    assert strongest["points"] == pytest.approx(100 * (row["probability"] - without), abs=1e-9)
    assert all(one["sentence"] for one in found.features)


@examples(3)
@given(st.data())
def test_change_effects_match_cut_files_and_add_up(kept, past, data):
    first, second = data.draw(st.sampled_from([(0, 1), (1, 2), (2, 3)]))
    nights = (*NIGHTS, LAST)
    target = data.draw(st.sampled_from(sorted(TARGETS)))
    pairs = on_both(past.project, target, nights[first], nights[second])
    before, now = pairs[data.draw(st.sampled_from(sorted(pairs)))]
    found = behind(past, now).change
    for name, (points, probability) in parts_by_hand(kept, past, before, now).items():
        assert found.effects[name].points == points, name
        assert found.effects[name].probability == probability, name
    assert found.effects["data"] == CauseEffect(0, 0.0)
    assert sum(part.points for part in found.effects.values()) == now["score"] - before["score"]
    moved = math.fsum(part.probability for part in found.effects.values())
    assert moved == pytest.approx(now["probability"] - before["probability"], abs=1e-15)


def test_lead_without_new_rows_has_no_lead_effect(kept, past):
    _, _, _, found = one_that(kept, past, lambda new: not new)
    assert found.new_information.events == {} and found.new_information.changed_attributes == []
    assert found.effects["lead"] == CauseEffect(0, 0.0) and found.effects["model"] == CauseEffect(
        0, 0.0
    )


def test_new_events_are_counted_by_type_with_late_ones(kept, past):
    def is_late(line):
        return "at" in line and past.project.to_utc(
            datetime.fromisoformat(line["at"])
        ) < past.project.parse_instant(NIGHTS[0])

    _, _, new, found = one_that(kept, past, lambda new: any(map(is_late, new)))
    late = [line for line in new if is_late(line)]
    assert found.new_information.events == Counter(line["what"] for line in new if "what" in line)
    assert found.new_information.late_events == Counter(line["what"] for line in late)
    told = describe_change(found, past.project.zone)
    assert (
        f"since {NIGHTS[0]}: " in told[0]
        and f"of which {len(late)} had occurred before and arrived late" in told[0]
    )


def test_changed_attribute_is_named_with_both_values(kept, past):
    _, _, _, found = one_that(
        kept, past, lambda new: any(line.get("plan") == "paid" for line in new)
    )
    assert found.new_information.changed_attributes == [
        {"attribute": "plan", "before": "free", "after": "paid"}
    ]
    assert "plan from free to paid" in describe_change(found, past.project.zone)[0]


def test_account_events_are_counted_separately(kept, past):
    firm = {line["id"]: line["firm"] for line in read_csv(kept / "leads.csv")}
    before, now = next(
        (before, now)
        for before, now in on_both(past.project, "buy", NIGHTS[0], NIGHTS[1]).values()
        if new_lines(kept, past, others_of(now["entity_id"], firm), before, now)
    )
    new = new_lines(kept, past, others_of(now["entity_id"], firm), before, now)
    found = behind(past, now).change
    assert found.new_information.account_events == Counter(
        line["what"] for line in new if "what" in line
    )


def others_of(lead, firm):
    return {name for name, own in firm.items() if own == firm[lead]} - {lead}


def test_model_change_alone_takes_all_points(kept, past):
    pairs = on_both(past.project, "early", NIGHTS[2], LAST)
    for before, now in list(pairs.values())[:3]:
        found = behind(past, now).change
        assert (
            found.effects["model"].points == now["score"] - before["score"]
            and not found.cutoff_moved
        )
        assert found.effects["model"].probability == now["probability"] - before["probability"] > 0
        assert {found.effects[name] for name in ("lead", "others", "time", "data")} == {
            CauseEffect(0, 0.0)
        }
        told = describe_change(found, past.project.zone)
        assert "the model (version 1 to 2)" in told[0] and "one fixed cutoff" in told[-1]


def test_first_score_of_a_lead_has_no_change(project, past):
    row = scored(project, NIGHTS[0], "buy")[0]
    found = behind(past, row)
    assert found.first and found.change is None and found.replay.reproduced


def test_unscored_night_is_counted_and_skipped(project, past):
    _, row = next(iter(on_both(project, "buy", NIGHTS[0], NIGHTS[2]).values()))
    history = read_published_scores(project, row["entity_id"], None).history
    without = [one for one in history if one["as_of"] != project.parse_instant(NIGHTS[1])]
    found = trace_row(
        past, row | {"reasons": []}, without, open_store(project).runs(project.project).to_pylist()
    ).change
    assert found.since == project.parse_instant(NIGHTS[0]) and found.unscored_nights == 1
    assert "in between, 1 night did not score this lead" in describe_change(found, project.zone)


def test_overwritten_rows_are_reported_as_differences(own, tmp_path):
    rows = scored(own, LAST, "buy")
    row = next(
        row for row in rows if any("visit" in one["feature"] for one in json.loads(row["reasons"]))
    )
    lines = read_csv(tmp_path / "events.csv")
    write_csv(tmp_path / "events.csv", [line for line in lines if line["lead"] != row["entity_id"]])
    found = traced(own, read_published_scores(own, row["entity_id"], LAST), silent).traces["buy"]
    assert not found.replay.reproduced
    assert f"{row['probability']:.6f}" in found.differences[0]
    assert any(" was " in line and " is " in line for line in found.differences)
    assert any("fingerprint" in line for line in found.differences)
    moved = sum(part.points for part in found.change.effects.values())
    assert moved == found.change.score[1] - found.change.score[0] and found.change.effects[
        "data"
    ] != CauseEffect(0, 0.0)


def test_unchanged_data_leaves_the_difference_unexplained(project, past):
    row = scored(project, LAST, "buy")[0]
    found = behind(past, row | {"probability": row["probability"] / 2})
    assert not found.replay.reproduced
    assert found.differences[-1].startswith("data, config and version are unchanged")


def test_fingerprint_of_all_rows_equals_that_of_reading(past):
    assert fingerprint_dataset(past.dataset) == past.dataset.fingerprint
    assert (
        fingerprint_dataset(past.dataset.cut_at(past.project.parse_instant(NIGHTS[0])))
        != past.dataset.fingerprint
    )


def test_published_scores_are_shown_without_data_or_model(own, tmp_path):
    name = scored(own, LAST, "buy")[0]["entity_id"]
    with sqlite3.connect(tmp_path / "workspace" / "scores.db") as database:
        database.execute("UPDATE scores SET model_version = '99'")
    table = read_published_scores(own, name, None)
    found = traced(own, table, silent)
    assert found.newest == table.newest and found.traces["buy"].replay is None
    assert "no such version" in found.traces["buy"].missing[0]
    (tmp_path / "events.csv").unlink()
    found = traced(own, table, silent)
    assert found.history == table.history and "events.csv" in found.traces["buy"].missing[0]
    assert "missing: " in shown(found, own)


def test_trace_does_not_disturb_a_running_night(own, tmp_path):
    name = scored(own, LAST, "buy")[0]["entity_id"]
    note = tmp_path / "workspace" / "quarantine" / "events_1.csv"
    note.write_text("of the night that runs")
    with open_workspace(own):
        assert (
            traced(own, read_published_scores(own, name, None), silent)
            .traces["buy"]
            .replay.reproduced
        )
    assert note.read_text() == "of the night that runs"


def test_explanation_shows_strongest_features_or_all(project, past):
    row = scored(project, LAST, "buy")[0]
    found = read_published_scores(project, row["entity_id"], LAST)
    found = replace(
        found,
        traces={"buy": behind(past, row)},
        newest=[one for one in found.newest if one["target"] == "buy"],
    )
    few, every = shown(found, project, 3), shown(found, project, None)
    assert (
        "reproduced to the bit" in few and "more features" in few and "more features" not in every
    )
    assert all(one["feature"] in every for one in found.traces["buy"].replay.features)
    json.dumps(found.to_json(), allow_nan=False)


def shown(found, project, most=15):
    console = Console(width=200, highlight=False)
    with console.capture() as capture:
        for part in render_explanation(found, project.zone, most):
            console.print(part)
    return capture.get()


def test_cutoff_without_times_follows_row_order(tmp_path):
    rows = [
        {"id": f"L{number}", "size": number, "won": ["yes", "no", ""][number % 3]}
        for number in range(9)
    ]
    write_csv(tmp_path / "leads.csv", rows)
    leads = {
        "path": str(tmp_path / "leads.csv"),
        "entity_id": "id",
        "attributes": ["size"],
        "order": "rows",
    }
    config = {
        "project": "plain",
        "workspace": str(tmp_path / "workspace"),
        "sources": {"leads": leads},
    }
    config["targets"] = {"win": {"outcome": {"column": "won", "equals": "yes"}}}
    (tmp_path / "plain.yaml").write_text(json.dumps(config))
    past = ReplaySources.load(load_project(tmp_path / "plain.yaml"), read_clock())
    assert past.registry is None
    night = past.project.parse_instant("2025-01-01")
    places = dict(
        zip(
            *(past.dataset.leads[name].to_pylist() for name in ("entity_id", "available_at")),
            strict=True,
        )
    )
    for entity in ("L2", "L3"):  # one that is open still, and one that has its outcome by now
        found = past.find_cutoff(
            {"target": "win", "entity_id": entity, "as_of": night, "cutoff": night}
        )
        assert found == places[entity] + timedelta(microseconds=1)
    with pytest.raises(DataError, match="L99"):
        past.find_cutoff({"target": "win", "entity_id": "L99", "as_of": night, "cutoff": night})
