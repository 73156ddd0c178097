"""Keys of an erased entity disappear from the predictions of trainings; the rows stay."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.tools.key_hash import hash_keys, make_salt
from serve.erasure.predictions import erase_predictions
from serve.store.entity_matcher import EntityMatcher

IDS = ["ann@example.com", "bob@example.com", "ann@example.com", "cat@example.com"]


@pytest.fixture(params=[False, True], ids=["ids", "hashes"])
def workspace(request, tmp_path):
    folder = tmp_path / "artifacts" / "0f3c" / "artifacts"
    folder.mkdir(parents=True)
    keys = pa.chunked_array([IDS])
    if request.param:
        keys = hash_keys(keys, make_salt(tmp_path))
    table = pa.table({"entity_id": keys, "probability": [0.1, 0.2, 0.3, 0.4]})
    pq.write_table(table.replace_schema_metadata({"a": "b"}), folder / "out_of_time.parquet")
    (folder / "report.md").write_text("# report")
    return tmp_path


def test_keys_are_replaced_and_rows_stay(workspace):
    (path,) = workspace.rglob("*.parquet")
    before = pq.read_table(path)
    assert erase_predictions(workspace, EntityMatcher("ann@example.com")) == 2
    assert erase_predictions(workspace, EntityMatcher("ann@example.com")) == 0
    assert erase_predictions(workspace, EntityMatcher("cat@example.com")) == 1
    after = pq.read_table(path)
    bob = before["entity_id"][1].as_py()
    assert after["entity_id"].to_pylist() == ["erased-1", bob, "erased-1", "erased-2"]
    assert after["probability"] == before["probability"]
    assert after.schema.metadata == {b"a": b"b"}
    assert before["entity_id"][0].as_py().encode() not in path.read_bytes()
    assert sorted(p.name for p in path.parent.iterdir()) == ["out_of_time.parquet", "report.md"]


def test_workspace_without_trainings_has_nothing_to_erase(tmp_path):
    assert erase_predictions(tmp_path, EntityMatcher("ann@example.com")) == 0
