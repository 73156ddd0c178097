"""A workspace that was moved or copied: its models are found and written below it alone."""

import shutil
import sqlite3

import pytest

from configs.errors import DataError
from models.registry import champion_cache
from models.registry.records import TrainingRecord, hash_directory
from models.registry.registry import Registry


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a workspace with a champion, its predecessor, and a folder named artifacts above."""
    folder = tmp_path_factory.mktemp("moved") / "artifacts" / "models" / "50% ü"
    registry = Registry(folder / "old", "demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for number in (1, 2):
            registry.log_training("close", a_record(folder / f"scorer {number}", f"tree {number}"))
            registry.promote("close")
    return folder


@pytest.fixture(autouse=True)
def own_database(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def a_record(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.txt").write_text(text)
    return TrainingRecord(folder, tags={"as_of": "2024-05-01"}, texts={"report.md": "# r"})


def stored_addresses(root):
    columns = {
        "experiments": ["artifact_location"],
        "runs": ["artifact_uri"],
        "logged_models": ["artifact_location"],
        "model_versions": ["source", "storage_location"],
    }
    with sqlite3.connect(root / "mlflow.db") as db:
        return [
            address
            for table, names in columns.items()
            for name in names
            for (address,) in db.execute(f"SELECT {name} FROM {table}")
            if address and "mlruns" not in address
        ]


def files(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_moved_workspace_reads_promotes_and_registers_below_itself(home, tmp_path):
    shutil.copytree(home / "old", tmp_path / "new")
    original = files(home / "old")
    # A file that differs at the old place must not be noticed: nothing outside is read.
    (model,) = [p for p in original if p.name == "model.txt" and p.read_text() == "tree 2"]
    model.write_text("another workspace's")
    try:
        registry = Registry(tmp_path / "new", "demo")
        champion = registry.champion("close")
        directory = registry.scorer_directory(champion)
        assert registry.root in directory.parents
        assert (directory / "model.txt").read_text() == "tree 2"
        assert registry.rollback("close").number == 1
        third = registry.log_training("close", a_record(tmp_path / "scorer", "tree 3"))
        assert third.number == 3
        promoted = registry.promote("close")
        assert registry.root in registry.scorer_directory(promoted).parents
        assert registry.rollback("close").number == 1
    finally:
        model.write_bytes(original[model])
    assert files(home / "old") == original
    place = (tmp_path / "new" / "artifacts").resolve().as_uri()
    addresses = stored_addresses(tmp_path / "new")
    assert len(addresses) >= 10 and all(address.startswith(place) for address in addresses)
    # MLflow finds the report of the first run at the new place.
    run = registry._client.get_run(registry.version("close", 1).run_id)
    assert run.info.artifact_uri.startswith(place)
    assert [f.path for f in registry._client.list_artifacts(run.info.run_id)] == ["report.md"]


def test_workspace_moves_twice_and_back(home, tmp_path):
    shutil.copytree(home / "old", tmp_path / "a")
    for old, new in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / old).rename(tmp_path / new)
        registry = Registry(tmp_path / new, "demo")
        assert registry.scorer_directory(registry.champion("close")).is_dir()
        registry.log_training("close", a_record(tmp_path / "scorer", f"tree {new}"))
        registry.scorer_directory(registry.promote("close"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "scorer"]


def test_own_place_is_not_rewritten(home, monkeypatch):
    def refuse(*arguments):
        raise AssertionError(arguments)

    monkeypatch.setattr("models.registry.registry.rewrite_addresses", refuse)
    assert Registry(home / "old", "demo")._experiment_id


def test_cached_champion_is_found_after_a_move(home, tmp_path):
    champion_cache.read_champions(Registry(home / "old", "demo"), ["close"])
    shutil.copytree(home / "old", tmp_path / "new")
    (tmp_path / "new" / "mlflow.db").write_text("not a database, but long enough to be one" * 100)
    registry = Registry(tmp_path / "new", "demo")
    champions = champion_cache.read_champions(registry, ["close"])
    versions, error = champions.versions, champions.unreachable
    directory = registry.scorer_directory(versions["close"])
    assert error is not None and registry.root in directory.parents
    assert hash_directory(directory) == versions["close"].tags["scorer_sha256"]


def test_models_left_behind_are_named_with_the_way_back(home, tmp_path):
    shutil.copytree(home / "old", tmp_path / "new", ignore=shutil.ignore_patterns("artifacts"))
    registry = Registry(tmp_path / "new", "demo")
    with pytest.raises(DataError) as failure:
        registry.scorer_directory(registry.champion("close"))
    text = str(failure.value)
    assert "are missing" in text and "was moved" in text
    assert str(home / "old" / "artifacts") in text
    assert f"artifacts/ to {tmp_path / 'new' / 'artifacts'}" in text
