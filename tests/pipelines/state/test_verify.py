"""`leadscore verify` on a company: what it finds, that it changes nothing, and lost champions."""

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from configs.errors import ConfigError, NotFitToPublish, StateError
from configs.schema import load_project
from models.registry.registry import Registry
from pipelines import cli
from pipelines.nightly.export import export_from_store
from pipelines.nightly.forget import forget_entity
from pipelines.nightly.night import score_night
from pipelines.orchestration import watch
from pipelines.runner import Runner, read_clock
from pipelines.state.verify import verify_project
from pipelines.workspace import open_store
from tests.faults.company import copy_and_publish
from tests.faults.damage import list_entries

FIRST, SECOND = "2024-12-10", "2024-12-20"


@pytest.fixture(scope="module")
def published(guarded_company, tmp_path_factory):
    """Return the folder of a company with one published night."""
    folder = tmp_path_factory.mktemp("verify") / "company"
    return copy_and_publish(guarded_company, folder, FIRST)


@pytest.fixture
def project(published, tmp_path, monkeypatch):
    """Return the config of a copy, in its folder."""
    shutil.copytree(published, tmp_path / "company", symlinks=True)
    monkeypatch.chdir(tmp_path / "company")
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    return load_project("company.yaml")


def find_problems(project, quick=False):
    checks = verify_project(project, read_clock(), quick).checks
    return {check.check: [f.problem for f in check.findings] for check in checks if check.findings}


def change(project, name, sql):
    with closing(sqlite3.connect(project.workspace_path / name)) as db, db:
        db.execute(sql)


def test_sound_company_has_no_problem_and_is_not_changed(project, capsys, monkeypatch):
    before = list_entries(project.workspace_path)
    monkeypatch.setattr(sys, "argv", ["leadscore", "verify", "company.yaml"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    lines = capsys.readouterr().out.splitlines()
    assert not stop.value.code and len(lines) == 13
    assert all(line.startswith("ok ") for line in lines)
    assert list_entries(project.workspace_path) == before
    assert not [line for line in watch.read_status(project, read_clock()).alarms if "state" in line]


def test_missing_workspace_is_named_and_not_created(project, monkeypatch):
    monkeypatch.setenv("LEADSCORE_WORKSPACE", str(project.workspace_path.with_name("none")))
    other = load_project("company.yaml")
    (problem,) = find_problems(other)["workspace"]
    assert str(Path("none").absolute()) in problem and not other.workspace_path.exists()


def test_quick_verification_sees_a_changed_current_export(project):
    path = project.workspace_path / "exports" / "current" / "manifest.json"
    assert not project.workspace_path.is_absolute() and not find_problems(project, quick=True)
    path.write_text("[]", encoding="utf-8")
    assert set(find_problems(project, quick=True)) == {"exports"}


def test_night_that_lacks_rows_is_not_exported_and_can_be_scored_again(project):
    link = project.workspace_path / "exports" / "current"
    before = link.resolve()
    change(project, "scores.db", "DELETE FROM scores WHERE rank > 3")
    with pytest.raises(StateError, match="newest published night is not whole"):
        export_from_store(project, None, "csv", lambda line: None)
    assert link.resolve() == before
    assert score_night(project, FIRST, Runner()).published.rows
    assert find_problems(project) == {}


def test_night_of_the_future_without_rows_takes_no_export_away(project):
    text = (project.workspace_path / "exports" / "current" / "scores.csv").read_text("utf-8")
    with closing(sqlite3.connect(project.workspace_path / "scores.db")) as db, db:
        names = [row[1] for row in db.execute("PRAGMA table_info(score_runs)")]
        values = {"run_id": "'e'", "as_of": "'2031-01-01T00:00:00.000000Z'"}
        selected = ", ".join(values.get(name, name) for name in names)
        db.execute(f"INSERT INTO score_runs SELECT {selected} FROM score_runs")
    with pytest.raises(StateError, match="newest published night is not whole"):
        score_night(project, SECOND, Runner())
    assert (link := project.workspace_path / "exports" / "current").is_symlink()
    assert (link / "scores.csv").read_text("utf-8") == text


def test_as_of_in_another_spelling_is_seen(project):
    change(project, "scores.db", "UPDATE score_runs SET as_of = replace(as_of, '.000000Z', 'Z')")
    assert "scores" in find_problems(project)


def test_fault_is_named_by_its_own_check(project, capsys, monkeypatch):
    root = project.workspace_path
    current = (root / "exports" / "current").resolve()
    (current / "scores.csv").write_text("entity_id\n")
    change(project, "scores.db", "UPDATE scores SET score = 101 WHERE rank = 1")
    change(project, "scores.db", "DELETE FROM scores WHERE rank = 2")
    change(project, "scores.db", "UPDATE score_runs SET status = 'started', rows = NULL")
    change(project, "mlflow.db", "DELETE FROM registered_model_aliases")
    scorer = next((root / "artifacts").rglob("scorer.json"))
    scorer.write_text(scorer.read_text() + " ")
    (root / "exports" / ".staging").mkdir()
    (root / "quarantine" / "stray.csv").write_text("L0001\n")
    assert set(find_problems(project)) == {
        *("database", "ledger", "scores", "tables", "exports"),
        *("champions", "models", "leftovers"),
    }
    monkeypatch.setattr(sys, "argv", ["leadscore", "verify", "company.yaml", "--json"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    printed = json.loads(capsys.readouterr().out)
    assert stop.value.code == 5 and not printed["ok"]
    problems = [problem for check in printed["checks"] for problem in check["problems"]]
    assert problems and all(problem["fix"] for problem in problems)
    assert "L0001" not in str(problems)
    alarms = "\n".join(watch.read_status(project, read_clock()).alarms)
    assert "database: the scores database has lost its past" in alarms


def test_rows_are_compared_with_ledger_and_export(project):
    change(project, "scores.db", "UPDATE scores SET score = score % 100 + 1 WHERE rank = 3")
    assert set(find_problems(project)) == {"export rows"}
    change(project, "scores.db", "DELETE FROM scores WHERE rank = 3")
    (lacking,) = find_problems(project)["scores"]
    assert "published nights lack rows or have more, such as buy as of 2024-12-09T23" in lacking


def test_night_removed_by_retention_is_no_problem(project):
    score_night(project, SECOND, Runner())
    store = open_store(project)
    assert store.delete_scores_before("tiny", project.parse_instant(SECOND)) == 1
    assert find_problems(project) == {}
    # Without its checks it was removed; with them its rows were lost.
    change(
        project,
        "scores.db",
        "INSERT INTO score_checks SELECT run_id, project, target, "
        "(SELECT min(as_of) FROM score_runs), 'x', '', NULL, NULL, NULL, 'pass', NULL "
        "FROM score_runs LIMIT 1",
    )
    assert set(find_problems(project)) == {"scores"}


def test_erased_lead_is_no_problem(project):
    with (project.workspace_path / "exports/current/scores.csv").open(encoding="utf-8") as file:
        column = next(file).strip().split(",").index("entity_id")
        entity = next(file).split(",")[column]
    erased = forget_entity(project, entity, and_suppress=True).erased
    assert erased["scores"] == 1 and find_problems(project) == {}
    score_night(project, SECOND, Runner())
    own_list = project.workspace_path / "suppressed.csv"
    own_list.unlink()
    with pytest.raises(StateError, match="list of forgotten leads is missing"):
        score_night(project, SECOND, Runner())
    assert set(find_problems(project)) == {"database"}
    own_list.write_text("entity_id\n")
    assert score_night(project, SECOND, Runner()).published.rows


def test_night_stops_for_a_lost_champion_and_goes_on_for_a_withdrawn_one(project):
    change(project, "mlflow.db", "DELETE FROM registered_model_aliases WHERE alias = 'champion'")
    for proof in ("champions.json names version 1", "version 1 was its champion"):
        with pytest.raises(NotFitToPublish, match=f"the check champion stops.*{proof}"):
            score_night(project, SECOND, Runner())
        (project.workspace_path / "champions.json").unlink(missing_ok=True)
    registry = Registry(project.workspace_path, "tiny")
    registry.promote("buy")
    assert score_night(project, SECOND, Runner()).published.rows["buy"]
    assert registry.withdraw("buy").number == 1 and registry.champion("buy") is None
    with pytest.raises(ConfigError, match="no champion to withdraw"):
        registry.withdraw("buy")
    with pytest.raises(NotFitToPublish, match="no target has a champion"):
        score_night(project, SECOND, Runner())
    assert "champions" not in find_problems(project)
    registry.promote("buy")
    change(project, "mlflow.db", "DELETE FROM registered_model_aliases WHERE alias = 'champion'")
    with pytest.raises(NotFitToPublish, match="has no champion any more"):
        score_night(project, SECOND, Runner())


def test_new_registry_in_place_of_a_lost_one_is_noticed(project):
    root = project.workspace_path
    for name in ("mlflow.db", "champions.json"):
        (root / name).unlink()
    with pytest.raises(StateError, match=r"registry is missing.*artifacts/.* holds files"):
        score_night(project, SECOND, Runner())
    shutil.rmtree(root / "artifacts")
    assert set(find_problems(project)) == {"champions"}
    with pytest.raises(NotFitToPublish, match="version 1 scored it as of 2024-12-09"):
        score_night(project, SECOND, Runner())


def test_begin_anew_is_possible_on_purpose(project):
    root, aside = project.workspace_path, Path("aside")
    (root / "scores.db").unlink()
    with pytest.raises(StateError, match=r"scores database is missing.*exports/current") as lost:
        score_night(project, SECOND, Runner())
    assert "move exports/ and champions.json out of the workspace" in lost.value.fix
    assert not (root / "scores.db").exists()
    aside.mkdir()
    for name in ("exports", "champions.json"):
        (root / name).rename(aside / name)
    assert score_night(project, SECOND, Runner()).published.rows
    assert find_problems(project) == {}


def test_database_without_the_past_is_refused(project):
    root = project.workspace_path
    older = root / "older.db"
    shutil.copy(root / "scores.db", older)
    score_night(project, SECOND, Runner())
    older.replace(root / "scores.db")
    with pytest.raises(StateError, match=r"older than the export.*it has no run"):
        score_night(project, SECOND, Runner())
    change(project, "scores.db", "DELETE FROM score_runs")
    with pytest.raises(StateError, match="has lost its past"):
        score_night(project, SECOND, Runner())
    shutil.copy(root / "mlflow.db", root / "scores.db")
    with pytest.raises(Exception, match="a database of another program"):
        score_night(project, SECOND, Runner())
    assert "database" in find_problems(project)


def test_copied_link_is_named_before_anything_is_published(project):
    link = project.workspace_path / "exports" / "current"
    copy = link.resolve()
    link.unlink()
    shutil.copytree(copy, link)
    with pytest.raises(StateError, match=r"no link to its folder(.|\n)*mv .*leadscore export"):
        score_night(project, SECOND, Runner())
    assert len(open_store(project).runs("tiny")) == 1
    link.rename(link.with_name("current.copied"))
    (link.with_name(".staging")).symlink_to("nowhere")
    assert score_night(project, SECOND, Runner()).export.file.exists() and link.is_symlink()
