"""The feature matrix of a log larger than memory against the same in memory."""

import pytest

from configs.schema import load_project
from features.tools import spill
from pipelines.training import feature_matrix
from tests.pipelines import tiny


@pytest.mark.parametrize("as_of", [tiny.END, "2024-07-01"])
def test_matrix_of_a_log_larger_than_memory_is_the_same(tmp_path, monkeypatch, as_of):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    project = load_project(
        tiny.write(tmp_path, leads=60, sources=tiny.CONFIG["sources"] | {"max_staleness": "999d"})
    )
    feature_matrix.write_feature_matrix(project, as_of, None, tmp_path / "memory.parquet")
    assert not (tmp_path / "workspace" / "scratch").exists()
    monkeypatch.setattr(spill, "get_max_bytes_in_memory", lambda: 0)
    feature_matrix.write_feature_matrix(project, as_of, None, tmp_path / "disk.parquet")
    assert (tmp_path / "disk.parquet").read_bytes() == (tmp_path / "memory.parquet").read_bytes()
    assert list((tmp_path / "workspace" / "scratch").iterdir()) == []
