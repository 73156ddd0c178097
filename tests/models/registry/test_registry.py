"""Versions and aliases in a real MLflow store on disk."""

import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from configs.errors import ConfigError, DataError
from features.contracts import INSTANT
from models.calibration import AffineCalibrator, ProbabilityBand, to_probability
from models.encoding import Encoding
from models.learners.fit_input import FitInput
from models.learners.logistic import Logistic
from models.registry.registry import Registry, TrainingRecord, hash_directory
from models.scorer import Scorer, ScoreScale

OPEN = "import sys; from pathlib import Path; from models.registry.registry import Registry; "
OPEN += "Registry(Path(sys.argv[1]), 'race')._experiment"
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x93NUMPY", b"PK\x03\x04")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A new database that two processes opened at once, and what became of them."""
    root = tmp_path_factory.mktemp("opened")
    command = [sys.executable, "-c", OPEN, str(root / "workspace")]
    both = [
        subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [b"".join(process.communicate(timeout=120)).decode() for process in both]
    return root, [process.returncode for process in both], said


@pytest.fixture
def registry(opened, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "a workspace, 100% ü"
    root.mkdir()
    shutil.copy(opened[0] / "workspace" / "mlflow.db", root)
    return Registry(root, "demo")


@pytest.fixture
def story(tmp_path):
    scorer, plots = tmp_path / "saved", tmp_path / "pictures"
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


def test_two_processes_open_a_new_database_at_once_and_in_silence(opened):
    root, codes, said = opened
    assert codes == [0, 0], said
    assert said == ["", ""]
    client = Registry(root / "workspace", "race")._client
    assert [found.name for found in client.search_experiments(filter_string="name = 'race'")] == [
        "race"
    ]
    assert sorted(path.name for path in root.iterdir()) == ["workspace"]


def test_a_training_becomes_a_run_and_a_challenger(registry, story):
    version = registry.log_training("close", story)
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
    assert registry.log_training("close", story).number == 2
    assert [v.aliases for v in registry.versions("close")] == [("challenger",), ()]


def test_the_report_is_the_runs_description_as_far_as_it_fits_and_not_the_versions(registry, story):
    report = "# what was trained\n" + "word " * 3_000
    version = registry.log_training(
        "close", replace(story, texts={"report.md": report, "tables/parts.csv": "by,part\n"})
    )
    assert runs(registry)[0].data.tags["mlflow.note.content"] == report[:8_000]
    assert "mlflow.note.content" not in version.tags
    found = {
        path.name: path.read_text() for path in files(registry) if path.suffix in (".md", ".csv")
    }
    assert found == {"report.md": report, "parts.csv": "by,part\n"}


def test_the_scorer_is_read_where_it_lies(registry, story):
    directory = registry.scorer_directory(registry.log_training("close", story))
    assert registry.root in directory.parents
    assert hash_directory(directory) == hash_directory(story.scorer)
    assert (directory / "parts" / "scorer.json").read_text() == '{"features": ["a"]}'


def test_nothing_that_is_logged_is_a_pickle(registry, story):
    registry.log_training("close", story)
    found = files(registry)
    assert len(found) >= 8
    for path in found:
        assert not path.read_bytes().startswith(PICKLES), path
        assert path.suffix not in (".pkl", ".pickle", ".joblib", ".npy")


def test_mlflow_serves_the_scorer_from_its_files(registry, story, tmp_path):
    matrix = pa.table(
        {
            "entity_id": [f"lead-{i}" for i in range(200)],
            "cutoff": pa.array(
                [datetime(2024, 1, 1 + i % 28, tzinfo=UTC) for i in range(200)], INSTANT
            ),
            "visits": [float(i % 7) for i in range(200)],
            "origin": [("web", "fair", None)[i % 3] for i in range(200)],
        }
    )
    saved = small_scorer(matrix)
    saved.save(tmp_path / "scored")
    version = registry.log_training("close", replace(story, scorer=tmp_path / "scored"))
    from mlflow.pyfunc import load_model

    # As a JSON request would carry it: whole numbers, and instants as text.
    frame = pd.DataFrame(matrix.to_pydict()).astype({"visits": int, "cutoff": str})
    served = load_model(version.artifacts).predict(frame)
    assert served["probability"].tolist() == saved.predict(matrix)["probability"].to_pylist()
    assert served["grade"].nunique() > 1


def small_scorer(matrix: pa.Table) -> Scorer:
    encoding = Encoding.fit(matrix, ["visits", "origin"])
    x = encoding.encode(matrix)
    y = (x[:, 0] > 3).astype(np.int64) ^ (np.arange(len(x)) % 5 == 0)
    model = Logistic.fit(FitInput(x, encoding.categorical, 0), y)
    chance = to_probability(model.margin(x))
    band = ProbabilityBand.fit(chance, y, np.arange(len(x)), np.zeros(len(x)))
    return Scorer("close", model, encoding, AffineCalibrator(1.0, 0.0), band, ScoreScale.fit(chance))


def test_promotion_and_rollback_follow_the_champions(registry, story):
    for _ in range(3):
        registry.log_training("close", story)
    assert registry.promote("close", 1).aliases == ("champion",)
    assert registry.promote("close").number == 3
    assert registry.promote("close").tags["previous_champion"] == "1"
    assert registry.champion("close").number == 3
    assert registry.rollback("close").number == 1
    assert registry.champion("close").number == 1
    with pytest.raises(ConfigError, match=r"no earlier champion.*version 1 is the first"):
        registry.rollback("close")
    assert registry.promote("close", 2).tags["previous_champion"] == "1"


def test_targets_have_their_own_champions(registry, story):
    registry.log_training("close", story)
    registry.promote("close")
    registry.log_training("propensity", story)
    assert registry.champion("propensity") is None
    assert registry.promote("propensity").number == 1


def test_what_does_not_exist_is_said_in_words(registry, story):
    assert registry.versions("close") == []
    with pytest.raises(ConfigError, match=r"no challenger"):
        registry.promote("close")
    with pytest.raises(ConfigError, match=r"no earlier champion.*no champion"):
        registry.rollback("close")
    registry.log_training("close", story)
    with pytest.raises(ConfigError, match=r"no such version.*7; the newest are 1"):
        registry.promote("close", 7)


def test_a_changed_file_is_found_and_never_promoted(registry, story):
    version = registry.log_training("close", story)
    (registry.scorer_directory(version) / "model.txt").write_text("another tree")
    with pytest.raises(DataError, match=r"have changed.*demo\.close version 1"):
        registry.scorer_directory(version)
    with pytest.raises(DataError):
        registry.promote("close")
    assert registry.champion("close") is None


def test_missing_files_are_found(registry, story):
    version = registry.log_training("close", story)
    shutil.rmtree(registry.scorer_directory(version))
    with pytest.raises(DataError, match="are missing"):
        registry.scorer_directory(version)


def test_a_story_that_cannot_be_kept_leaves_a_failed_run_and_no_version(registry, story):
    with pytest.raises(FileNotFoundError):
        registry.log_training("close", replace(story, scorer=story.scorer / "nowhere"))
    assert [run.info.status for run in runs(registry)] == ["FAILED"]
    assert registry.versions("close") == []


def test_the_hash_sees_names_contents_and_their_limits(tmp_path):
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


def test_a_workspace_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write the workspace"):
        Registry(tmp_path / "file" / "workspace", "demo").champion("close")


def test_a_database_that_is_not_ours_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow.db").write_text("not a database, and long enough to be read as one" * 100)
    with pytest.raises(ConfigError, match="the model registry does not answer"):
        Registry(tmp_path, "demo").champion("close")


def test_the_environment_overrides_where_the_registry_is(
    opened, registry, story, tmp_path, monkeypatch
):
    shutil.copy(opened[0] / "workspace" / "mlflow.db", tmp_path / "elsewhere.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    elsewhere = Registry(registry.root, "demo")
    elsewhere.log_training("close", story)
    assert elsewhere.scorer_directory(elsewhere.challenger("close")).is_dir()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert Registry(registry.root, "demo").challenger("close") is None
