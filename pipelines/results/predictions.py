"""The tested rows of a training with everything that its printed metrics are computed from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from configs.schema import Project
from features.intake.objections import has_personal_ids
from features.tools.key_hash import hash_keys, make_salt
from pipelines.results.evaluation import EvaluationRows

PREDICTIONS_FILE = "out_of_time.parquet"
# The feature that holds the stage of a lead.
STAGE_COLUMN = "stage_now"
# Key of the file's metadata: target, learner, capacity and how ids are written.
METADATA_KEY = b"leadscore"


def build_predictions(target: str, out_of_time: pa.Table, test_rows: EvaluationRows) -> pa.Table:
    """Return one row per tested row, in the order of OUT_OF_TIME.

    Columns: ``target``, those of OUT_OF_TIME with a probability for each model, ``batch`` (leads of
    one batch compete for the capacity), ``unseen_*``, ``segment_*``, and where the target has them
    ``amount``, ``expected_amount`` and the stage.
    """
    columns: dict[str, Any] = {"target": pa.repeat(target, out_of_time.num_rows)}
    columns |= dict(zip(out_of_time.column_names, out_of_time.columns, strict=True))
    columns |= {"batch": test_rows.batch}
    columns |= {f"unseen_{kind}": mask for kind, mask in test_rows.unseen.items()}
    columns |= {} if test_rows.amount is None else {"amount": test_rows.amount}
    columns |= {} if test_rows.expected is None else {"expected_amount": test_rows.expected}
    columns |= {} if test_rows.stage is None else {STAGE_COLUMN: test_rows.stage}
    return pa.table(
        columns | {f"segment_{column}": values for column, values in test_rows.segments.items()}
    )


def write_predictions(
    path: Path,
    project: Project,
    target: str,
    learner: str,
    predictions: pa.Table,
    rows: EvaluationRows,
) -> None:
    """Write the tested rows of a training as Parquet, so that every metric can be recomputed.

    ``cluster`` is a number: rows of one cluster, an account or a lead without one, are drawn
    together by the bootstrap of the intervals. Where ids are personal, ``entity_id`` holds salted
    hashes.
    """
    table, ids = predictions, "as in the data"
    if has_personal_ids(project):
        keys = hash_keys(table["entity_id"], make_salt(project.workspace_path))
        table = table.set_column(table.column_names.index("entity_id"), "entity_id", keys)
        ids = "sha256 of the salt in the workspace's key_salt.txt and the id"
    about = {
        "target": target,
        "learner": learner,
        "capacity_of_a_batch": rows.capacity,
        "entity_id": ids,
    }
    text = json.dumps(about, allow_nan=False)
    table = table.replace_schema_metadata({METADATA_KEY: text.encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd")
