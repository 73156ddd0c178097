"""Versions and aliases in an MLflow store on disk."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from configs.errors import ConfigError, DataError, StateError
from models.evaluation.record import EVALUATION_FILE, read_evaluation, write_evaluation
from models.registry.records import TrainingRecord, hash_directory
from models.registry.registry import Registry
from tests.models.stored_evaluation import make_evaluation

PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x93NUMPY", b"PK\x03\x04")


@pytest.fixture
def registry(opened, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "a workspace, 100% ü"
    root.mkdir()
    shutil.copy(opened[0] / "workspace" / "mlflow.db", root)
    return Registry(root, "demo")


@pytest.fixture
def record(tmp_path):
    scorer, plots = tmp_path / "saved", tmp_path / "plots"
    (scorer / "parts").mkdir(parents=True)
    plots.mkdir()
    (scorer / "model.txt").write_text("tree")
    (scorer / "parts" / "scorer.json").write_text('{"features": ["a"]}')
    (plots / "gain.svg").write_text("<svg/>")
    return TrainingRecord(
        scorer,
        params={f"p{i}": i for i in range(150)},
        metrics={"roc_auc": 0.75, "undefined": float("nan")},
        tags={"as_of": "2024-05-01", "prefect.flow_run_id": None},
        texts={"config.json": "{}"},
        plots=plots,
    )


def files(registry: Registry) -> list[Path]:
    return [path for path in (registry.root / "artifacts").rglob("*") if path.is_file()]


def runs(registry: Registry) -> list:
    return registry._client.search_runs([registry._experiment_id])


def test_registry_is_created_by_two_processes_silently(opened):
    root, codes, outputs = opened
    assert codes == [0, 0], outputs
    assert outputs == ["", ""]
    client = Registry(root / "workspace", "race")._client
    assert [
        experiment.name for experiment in client.search_experiments(filter_string="name = 'race'")
    ] == ["race"]
    assert sorted(path.name for path in root.iterdir()) == ["workspace"]


def test_training_becomes_run_and_challenger(registry, record):
    version = registry.log_training("close", record)
    assert (version.number, version.aliases) == (1, ("challenger",))
    assert version.tags["as_of"] == "2024-05-01"
    assert "prefect.flow_run_id" not in version.tags
    (run,) = runs(registry)
    assert run.info.status == "FINISHED"
    assert run.info.run_id == version.run_id
    assert len(run.data.params) == 150
    assert run.data.metrics == {"roc_auc": 0.75}
    assert run.data.tags["as_of"] == "2024-05-01"
    assert {"config.json", "gain.svg", "model.txt"} <= {path.name for path in files(registry)}
    assert registry.champion("close") is None
    assert registry.log_training("close", record).number == 2
    assert [v.aliases for v in registry.versions("close")] == [("challenger",), ()]


def test_report_is_truncated_description_of_run_only(registry, record):
    report = "# what was trained\n" + "word " * 3_000
    version = registry.log_training(
        "close", replace(record, texts={"report.md": report, "tables/parts.csv": "by,part\n"})
    )
    assert runs(registry)[0].data.tags["mlflow.note.content"] == report[:8_000]
    assert "mlflow.note.content" not in version.tags
    texts = {
        path.name: path.read_text() for path in files(registry) if path.suffix in (".md", ".csv")
    }
    assert texts == {"report.md": report, "parts.csv": "by,part\n"}


def test_scorer_is_read_in_place(registry, record):
    directory = registry.scorer_directory(registry.log_training("close", record))
    assert registry.root in directory.parents
    assert hash_directory(directory) == hash_directory(record.scorer)
    assert (directory / "parts" / "scorer.json").read_text() == '{"features": ["a"]}'


def test_artifacts_contain_no_pickle(registry, record):
    registry.log_training("close", record)
    paths = files(registry)
    assert len(paths) >= 8
    for path in paths:
        assert not path.read_bytes().startswith(PICKLES), path
        assert path.suffix not in (".pkl", ".pickle", ".joblib", ".npy")


def test_promotion_and_rollback_follow_champions(registry, record):
    for _ in range(3):
        registry.log_training("close", record)
    assert registry.promote("close", 1).aliases == ("champion",)
    assert registry.promote("close").number == 3
    assert registry.promote("close").tags["previous_champion"] == "1"
    assert registry.champion("close").number == 3
    assert registry.rollback("close").number == 1
    assert registry.champion("close").number == 1
    with pytest.raises(ConfigError, match=r"no earlier champion.*version 1 is the first"):
        registry.rollback("close")
    assert registry.promote("close", 2).tags["previous_champion"] == "1"


def test_targets_have_own_champions(registry, record):
    registry.log_training("close", record)
    registry.promote("close")
    registry.log_training("propensity", record)
    assert registry.champion("propensity") is None
    assert registry.promote("propensity").number == 1


def test_registry_reports_missing_versions(registry, record):
    assert registry.versions("close") == []
    with pytest.raises(ConfigError, match=r"no challenger"):
        registry.promote("close")
    with pytest.raises(ConfigError, match=r"no earlier champion.*no champion"):
        registry.rollback("close")
    registry.log_training("close", record)
    with pytest.raises(ConfigError, match=r"no such version.*7; the newest are 1"):
        registry.promote("close", 7)


def test_changed_file_is_never_promoted(registry, record):
    version = registry.log_training("close", record)
    (registry.scorer_directory(version) / "model.txt").write_text("another tree")
    with pytest.raises(DataError, match=r"have changed.*demo\.close version 1"):
        registry.scorer_directory(version)
    with pytest.raises(DataError):
        registry.promote("close")
    assert registry.champion("close") is None


def test_hash_covers_the_evaluation(registry, record):
    write_evaluation(record.scorer, make_evaluation())
    version = registry.log_training("close", record)
    directory = registry.scorer_directory(version)
    assert read_evaluation(directory) == make_evaluation()
    write_evaluation(directory, replace(make_evaluation(), capacity=21))
    with pytest.raises(DataError, match="have changed"):
        registry.scorer_directory(version)
    (directory / EVALUATION_FILE).unlink()
    with pytest.raises(DataError, match="have changed"):
        registry.scorer_directory(version)


def test_missing_files_are_reported(registry, record):
    version = registry.log_training("close", record)
    shutil.rmtree(registry.scorer_directory(version))
    with pytest.raises(DataError, match="are missing"):
        registry.scorer_directory(version)


def test_failed_logging_leaves_failed_run_and_no_version(registry, record):
    with pytest.raises(FileNotFoundError):
        registry.log_training("close", replace(record, scorer=record.scorer / "nowhere"))
    assert [run.info.status for run in runs(registry)] == ["FAILED"]
    assert registry.versions("close") == []


def test_directory_hash_depends_on_names_contents_and_boundaries(tmp_path):
    def written(**texts) -> str:
        directory = tmp_path / str(len(list(tmp_path.iterdir())))
        directory.mkdir()
        for name, text in texts.items():
            (directory / name).write_text(text)
        return hash_directory(directory)

    assert written(a="1", b="2") == written(b="2", a="1")
    assert (
        len({written(a="1", b="2"), written(a="2", b="1"), written(a="12"), written(ab="12")}) == 4
    )


def test_unwritable_workspace_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write the workspace"):
        Registry(tmp_path / "file" / "workspace", "demo").champion("close")


def test_foreign_database_is_reported(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow.db").write_text("not a database, and long enough to be read as one" * 100)
    with pytest.raises(StateError, match=r"the model registry is damaged.*not a database"):
        Registry(tmp_path, "demo").champion("close")


def test_environment_variable_overrides_location(opened, registry, record, tmp_path, monkeypatch):
    shutil.copy(opened[0] / "workspace" / "mlflow.db", tmp_path / "elsewhere.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    elsewhere = Registry(registry.root, "demo")
    elsewhere.log_training("close", record)
    assert elsewhere.scorer_directory(elsewhere.challenger("close")).is_dir()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert Registry(registry.root, "demo").challenger("close") is None
