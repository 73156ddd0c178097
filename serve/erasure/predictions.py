"""Erasure of an entity from the predictions that trainings keep."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from features.tools.key_hash import hash_key, read_salt
from serve.store.entity_matcher import EntityMatcher

ERASED = "erased"


def erase_predictions(workspace: Path, matcher: EntityMatcher) -> int:
    """Replace an entity's key in the predictions below ``artifacts/``; return the rows changed.

    The rows stay, since metrics are computed from them. They hold no other value of the entity than
    label, probabilities and segments. A key may be the id or its salted hash.
    """
    salt = read_salt(workspace)
    names = {matcher.entity_id, matcher.entity_id.strip()}
    hashes = {hash_key(name, salt) for name in names} if salt else set()
    return sum(
        _erase_file(path, matcher, hashes)
        for path in sorted((workspace / "artifacts").glob("*/artifacts/*.parquet"))
    )


def _erase_file(path: Path, matcher: EntityMatcher, hashes: set[str]) -> int:
    table = pq.read_table(path)
    if "entity_id" not in table.column_names:
        return 0
    keys = table["entity_id"].to_pylist()
    hits = [key in hashes or matcher.matches_any([key]) for key in keys]
    if any(hits):
        # Keys of erased entities differ, since their rows belong to different clusters.
        number = len({key for key in keys if key and key.startswith(ERASED)}) + 1
        erased = [f"{ERASED}-{number}" if hit else key for key, hit in zip(keys, hits, strict=True)]
        place = table.column_names.index("entity_id")
        table = table.set_column(place, "entity_id", pa.array(erased, pa.string()))
        draft = path.with_suffix(".draft")
        pq.write_table(table, draft, compression="zstd")
        draft.replace(path)
    return sum(hits)
