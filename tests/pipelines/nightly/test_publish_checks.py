"""A company whose data or model is broken in one way at a time: the night is refused or warns."""

import csv
import json
import shutil
from dataclasses import replace

import pytest
import yaml

from configs.errors import DataError, NotFitToPublish
from configs.schema import load_project
from models.learners import lightgbm
from models.registry.registry import Registry
from models.scorer import Scorer
from pipelines.check import examine_data
from pipelines.nightly.night import score_night
from pipelines.runner import Runner
from pipelines.training.train import train_targets
from pipelines.workspace import open_store
from tests.pipelines import tiny

TRAINED, MONDAY, TUESDAY = "2024-12-16", "2024-12-16", "2024-12-17"
BUY = tiny.CONFIG["targets"]["buy"]
TARGETS = {"buy": BUY, "soon": BUY | {"horizon": "14d"}}
LITTLE = tiny.LITTLE | {"targets": TARGETS}


def rewrite(path, change):
    """Apply ``change`` to each row of a CSV file, a dict; None leaves a row out."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [row for row in map(change, rows) if row is not None]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, kept[0])
        writer.writeheader()
        writer.writerows(kept)


def sized(folder):
    """Let leads that bought be larger, so that the model looks at their size."""
    with (folder / "events.csv").open(encoding="utf-8") as file:
        bought = {row["lead"] for row in csv.DictReader(file) if row["what"] == "bought"}
    rewrite(
        folder / "leads.csv",
        lambda row: (
            row | {"size": str((30 if row["id"] in bought else 1) + 7 * int(row["size"]) // 10)}
        ),
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a company that was trained, and scored on Monday, without a warning."""
    folder = tmp_path_factory.mktemp("fit")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(lightgbm, "ROUNDS", 40)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        # As many windows as by default: a model of few outcomes is flat until calibrated by them.
        tiny.write(folder, **LITTLE | {"evaluation": {"folds": 3}})
        sized(folder)
        project = load_project("company.yaml")
        assert [
            str(each.error)
            for each in train_targets(project, TRAINED, list(TARGETS), Runner())
            if each.error
        ] == []
        assert score_night(project, MONDAY, Runner()).published.checks == ()
    return folder


@pytest.fixture
def company(trained, tmp_path, monkeypatch):
    """A copy of it in the current directory, to be broken."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True, symlinks=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    return tmp_path


def found(night):
    return {(one.verdict, one.check, one.target, one.subject) for one in night.published.checks}


def ledger(project):
    return open_store(project).runs("tiny").to_pylist()


def left(folder, project):
    """What a CRM and a reader of the table see."""
    current = folder / "workspace" / "exports" / "current"
    return (current / "scores.csv").read_bytes(), open_store(project).scores("tiny").to_pylist()


def refused(folder, *parts):
    """Score on Tuesday, see it refused for a reason, and Monday's scores and export stay."""
    project, said = load_project("company.yaml"), []
    before = left(folder, project)
    with pytest.raises(NotFitToPublish) as refusal:
        score_night(project, TUESDAY, Runner(log=said.append))
    assert refusal.value.exit_code == 5
    for part in parts:
        assert part in str(refusal.value)
    assert left(folder, project) == before
    last = [row for row in ledger(project) if row["status"] != "published"]
    assert {row["target"] for row in last} == set(TARGETS) and {row["status"] for row in last} == {
        "refused"
    }
    assert {row["message"] for row in last} == {str(refusal.value)}
    assert any(line.startswith("stop: ") for line in said)
    return last[0]["run_id"]


def test_ordinary_night_passes_every_check_and_stores_the_results(company):
    project = load_project("company.yaml")
    night = score_night(project, TUESDAY, Runner())
    assert night.published.checks == () and night.to_json()["checks"] == []
    as_of = project.parse_instant("2024-12-18")
    kept = open_store(project).past_checks("tiny", as_of, 1).to_pylist()
    assert {row["verdict"] for row in kept} == {"pass"} and {row["run_id"] for row in kept} == {
        night.published.run_id
    }
    compared = {(row["check"], row["target"], row["subject"]): row for row in kept}
    assert compared["rows", "", "events_1"]["warn"] == pytest.approx(
        0.9 * _rows_before(company, MONDAY)
    )
    assert compared["rows", "", "events_1"]["observed"] == _rows_before(company, TUESDAY)
    assert compared["leads", "buy", ""]["observed"] == night.published.rows["buy"]
    # Nobody objects here, so there is no list that could have shrunk.
    assert set(project.checks.model_dump()) - {"nights", "suppressed"} <= {
        row["check"] for row in kept
    }


def _rows_before(folder, day):
    with (folder / "events.csv").open(encoding="utf-8") as file:
        return sum(row["at"] < day for row in csv.DictReader(file))


def test_half_written_source_is_refused(company):
    text = (company / "events.csv").read_text(encoding="utf-8")
    (company / "events.csv").write_text(text[: len(text) // 2], encoding="utf-8")
    refused(company, "the check rows stops", "events_1", "written completely")


def test_ids_that_are_all_written_in_another_way_are_refused(company):
    # As many leads as before, with the same events: only their ids have lost a letter.
    rewrite(company / "leads.csv", lambda row: row | {"id": row["id"].removeprefix("L")})
    rewrite(company / "events.csv", lambda row: row | {"lead": row["lead"].removeprefix("L")})
    refused(company, "the check gone_leads stops", "published on the last night", "ids")


def test_renamed_event_type_is_refused(company):
    rewrite(
        company / "events.csv",
        lambda row: row | {"what": row["what"].replace("visit", "page_view")},
    )
    run = refused(
        company, "the check gone_types stops", "event type visit", "none in the last 7 days"
    )
    kept = [row for row in _kept(run) if row["check"] == "new_types" and row["subject"]]
    assert [(row["subject"], row["verdict"]) for row in kept] == [("event type page_view", "warn")]


def _kept(run):
    import sqlite3

    with sqlite3.connect("workspace/scores.db") as db:
        db.row_factory = sqlite3.Row
        return [
            dict(row) for row in db.execute("select * from score_checks where run_id = ?", [run])
        ]


def test_emptied_column_is_refused(company):
    rewrite(company / "leads.csv", lambda row: row | {"country": ""})
    refused(
        company,
        "the check missing stops",
        "country: missing in 100% of the leads, in 0% of the training rows",
    )


def test_amount_in_another_unit_is_refused(company):
    rewrite(company / "leads.csv", lambda row: row | {"size": str(100 * int(row["size"]))})
    refused(
        company, "the check drift stops", "size: population stability index", "in 100% of the leads"
    )


def test_categories_under_other_names_are_refused(company):
    rewrite(
        company / "leads.csv",
        lambda row: row | {"country": {"DE": "Germany", "FR": "France"}[row["country"]]},
    )
    refused(company, "the check new_categories stops", "country: 100% of the leads have a category")


def test_new_category_and_vanished_category_warn(company):
    rewrite(
        company / "leads.csv",
        lambda row: row | {"country": row["country"].replace("DE", "Germany")},
    )
    told = found(score_night(load_project("company.yaml"), TUESDAY, Runner()))
    assert ("warn", "new_categories", "buy", "country") in told
    assert ("warn", "gone_categories", "buy", "country: DE") in told


def test_stale_source_warns_and_is_refused_where_the_config_says_so(company):
    rewrite(company / "events.csv", lambda row: row if row["at"] < "2024-12-12" else None)
    said = []
    night = score_night(load_project("company.yaml"), TUESDAY, Runner(log=said.append))
    assert ("warn", "freshness", "", "events_1") in found(night)
    assert any(
        line.startswith("warn: freshness of events_1: the newest row became available at")
        for line in said
    )
    text = yaml.safe_load((company / "company.yaml").read_text(encoding="utf-8"))
    text["checks"] = {"freshness": {"stop": "4d"}}
    (company / "company.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
    with pytest.raises(NotFitToPublish, match=r"the check freshness stops \[events_1\]"):
        score_night(load_project("company.yaml"), "2024-12-18", Runner())


@pytest.fixture
def swap(company, monkeypatch, tmp_path_factory):
    """Put another scorer in place of the champion of one target; None takes its files away."""
    real = Registry.scorer_directory

    def swapped(target, change):
        project = load_project("company.yaml")
        registry = Registry(project.workspace_path, "tiny")
        champion = Scorer.load(real(registry, registry.champion(target)))
        place = tmp_path_factory.mktemp("swapped")
        if change is not None:
            change(champion).save(place)
        monkeypatch.setattr(
            Registry,
            "scorer_directory",
            lambda self, v: place if v.target == target else real(self, v),
            raising=True,
        )

    return swapped


def test_model_of_another_target_is_refused(company, swap):
    swap("buy", lambda scorer: replace(scorer, target="soon"))
    refused(company, "the check champion stops [target buy]", "is a model of the target soon")


def test_model_without_files_refuses_the_night_of_every_target(company, swap):
    swap("soon", None)
    refused(company, "the check champion stops [target soon]", "cannot read the stored model")


def test_changed_model_files_are_refused(company):
    project = load_project("company.yaml")
    registry = Registry(project.workspace_path, "tiny")
    file = registry.scorer_directory(registry.champion("buy")) / "scorer.json"
    text = file.read_text(encoding="utf-8")
    try:
        file.write_text(text.replace('"slope"', '"slope" '), encoding="utf-8")
        refused(
            company, "the check champion stops [target buy]", "the files of a model have changed"
        )
    finally:
        file.write_text(text, encoding="utf-8")


def test_model_with_other_probabilities_warns_of_grades_and_is_refused_for_its_mean(company, swap):
    def bold(scorer):
        return replace(
            scorer,
            calibrator=replace(scorer.calibrator, intercept=scorer.calibrator.intercept + 3.0),
        )

    swap("buy", bold)
    run = refused(company, "stops [target buy]", "mean")
    verdicts = {
        row["check"]: row["verdict"]
        for row in _kept(run)
        if row["target"] == "buy" and not row["subject"]
    }
    assert (
        verdicts["moved"] == "warn"
        and verdicts["score_drift"] == "stop"
        and verdicts["mean"] == "stop"
    )


def test_model_of_an_earlier_version_scores_and_reports_skipped_checks(company, swap):
    def old(scorer):
        older = replace(scorer.metadata, feature_distribution=None, event_volume=None)
        return replace(scorer, metadata=older)

    swap("buy", old)
    night = score_night(load_project("company.yaml"), TUESDAY, Runner())
    rows = _kept(night.published.run_id)
    kept = [row for row in rows if (row["target"], row["check"]) == ("buy", "drift")]
    assert [row["verdict"] for row in kept] == ["pass"] and "train again" in kept[0]["message"]


def test_target_without_a_champion_warns_and_the_others_are_published(company):
    text = yaml.safe_load((company / "company.yaml").read_text(encoding="utf-8"))
    text["targets"]["later"] = text["targets"]["buy"] | {"horizon": "30d"}
    (company / "company.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
    night = score_night(load_project("company.yaml"), TUESDAY, Runner())
    assert set(night.published.rows) == set(TARGETS)
    assert found(night) == {("warn", "champion", "", "later")}
    assert json.dumps(night.to_json()["checks"])


def test_night_before_the_training_is_not_compared_with_later_weeks(company):
    night = score_night(load_project("company.yaml"), "2024-12-01", Runner())
    kept = [row for row in _kept(night.published.run_id) if row["check"] == "gone_types"]
    assert [row["verdict"] for row in kept] == ["pass"] and "after this as-of" in kept[0]["message"]


def _replace_size(folder, ids, text):
    rewrite(folder / "leads.csv", lambda row: row | {"size": text} if row["id"] in ids else row)


def _score_rows(project):
    return {
        (row["target"], row["entity_id"]): row
        for row in open_store(project).scores("tiny").to_pylist()
    }


@pytest.mark.parametrize("text", ["1,200", "n/a"])
def test_unreadable_cell_is_missing_and_changes_no_other_score(company, text):
    project = load_project("company.yaml")
    score_night(project, TUESDAY, Runner())
    before = _score_rows(project)
    scored = sorted({entity for _, entity in before})[0]
    _replace_size(company, {scored}, text)
    said = []
    night = score_night(project, TUESDAY, Runner(log=said.append))
    (check,) = [check for check in night.published.checks if check.check == "reading"]
    place = f"{text!r} in leads.csv, row {int(scored[1:]) + 2} "
    assert (check.verdict, check.subject) == ("warn", "leads") and place in check.message
    assert "attribute size is read as numbers: 1 of 900 values" in check.message
    after = _score_rows(project)
    assert after.keys() == before.keys()
    varying = {"run_id", "scored_at", "reasons", "rank", "percentile", "listed"}
    for key, row in after.items():
        if key[1] != scored:
            own = {name: value for name, value in row.items() if name not in varying}
            assert own == {name: before[key][name] for name in own}


def test_too_many_unreadable_cells_publish_nothing(company):
    project = load_project("company.yaml")
    before = left(company, project)
    ids = {f"L{number:04}" for number in range(0, 900, 10)}
    _replace_size(company, ids, "1,200")
    with pytest.raises(DataError, match=r"was a number when.*90 of 900.*'1,200', 90 times.*row 2"):
        score_night(project, TUESDAY, Runner())
    assert left(company, project) == before


def test_near_twins_of_the_outcome_stop_the_night(company):
    rewrite(
        company / "events.csv",
        lambda row: (
            row | {"what": "Bought" if row["what"] == "bought" else row["what"]}
            if row["at"] > "2024-12-01"
            else row
        ),
    )
    refused(company, "the check names stops", '"Bought"', 'names: {"bought": ["Bought"]}')


def test_contract_that_is_broken_stops_the_night_and_the_training(company):
    config = yaml.safe_load((company / "company.yaml").read_text("utf-8"))
    columns = {"what": {"accepted": ["visit", "met"], "severity": "stop"}}
    config["sources"]["contract"] = {"events_1": {"columns": columns}}
    (company / "company.yaml").write_text(yaml.safe_dump(config), "utf-8")
    project = load_project("company.yaml")
    before = left(company, project)
    for run in (
        lambda: score_night(project, TUESDAY, Runner()),
        lambda: examine_data(project, TUESDAY),
        lambda: train_targets(project, TRAINED, list(TARGETS), Runner()),
    ):
        with pytest.raises(DataError, match=r"not accepted, such as 'bought' in events\.csv, row"):
            run()
    assert left(company, project) == before
    assert {row["status"] for row in ledger(project)} == {"published", "failed"}
    columns["what"]["severity"] = "warn"
    (company / "company.yaml").write_text(yaml.safe_dump(config), "utf-8")
    night = score_night(load_project("company.yaml"), TUESDAY, Runner())
    assert any("not accepted" in str(check) for check in night.published.checks)
