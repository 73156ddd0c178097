"""What MLflow shows of a training from its start: who runs what, of which code, on which data."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa

from configs.addresses.redaction import redact_text
from configs.schema import Project
from configs.source_rows import SourceRows
from models.registry.records import RunStart, TrainingData
from pipelines.runner import TRAIN_FLOW, Runner
from pipelines.training_data import Snapshot
from pipelines.version import find_code_version, find_commit
from pipelines.workspace import get_user_name


def describe_run_start(snapshot: Snapshot, runner: Runner) -> RunStart:
    """Return tags and data of a training; the names of tags are MLflow's where it has one."""
    project, (commit, is_dirty) = snapshot.project, find_commit()
    is_flow = runner.flow_run_id is not None
    command = f"leadscore train {Path(project.path).name}".strip()
    return RunStart(
        tags={
            "mlflow.user": get_user_name(),
            "mlflow.source.name": TRAIN_FLOW if is_flow else command,
            "mlflow.source.type": "JOB" if is_flow else "LOCAL",
            "mlflow.source.git.commit": commit or None,
            "mlflow.source.git.dirty": str(is_dirty).lower() if commit else None,
            "code_version": find_code_version(),
            **runner.tags,
            **tag_data(snapshot),
        },
        data=describe_training_data(snapshot),
    )


def tag_data(snapshot: Snapshot) -> dict[str, str | None]:
    """Return the tags that name the data and the config of a training."""
    return {
        "as_of": snapshot.as_of.isoformat(),
        "data_fingerprint": snapshot.dataset.fingerprint,
        "config_hash": snapshot.project.config_hash,
    }


def describe_training_data(snapshot: Snapshot) -> TrainingData:
    """Return the data of a training by names, columns and numbers of rows: no value of a row."""
    project, dataset = snapshot.project, snapshot.dataset
    tables = {"leads": dataset.leads, "events": dataset.events, "values": dataset.values}
    used = {name: table for name, table in tables.items() if table.num_rows}
    return TrainingData(
        name=project.project,
        digest=dataset.fingerprint,
        sources={
            name: _name_source(project, rows) for name, rows in _list_sources(project).items()
        },
        columns=tuple(
            (f"{name}.{column.name}", _name_kind(column.type))
            for name, table in used.items()
            for column in table.schema
        ),
        rows={name: table.num_rows for name, table in used.items()},
    )


def _list_sources(project: Project) -> dict[str, SourceRows]:
    """Return the sources by the names that counts and messages give them."""
    sources = project.sources
    named: dict[str, SourceRows] = {"leads": sources.leads} if sources.leads else {}
    for kind, parts in (("events", sources.events), ("attributes", sources.attributes)):
        named |= {f"{kind}_{number}": rows for number, rows in enumerate(parts, 1)}
    return named


def _name_source(project: Project, rows: SourceRows) -> str:
    """Return the name of a source's file, or the kind of its database: neither folder nor query.

    A folder, a query and the address of a database may hold what others must not read.
    """
    if rows.database or not rows.path:
        return f"query on {rows.database.scheme}" if rows.database else "query"
    # Values of the environment are hidden first, since the last part of one would not be known.
    shown = redact_text(project.hide_values(rows.path))
    return re.split(r"[?#]", shown)[0].rstrip("/").rpartition("/")[2]


def _name_kind(kind: pa.DataType) -> str:
    """Return MLflow's name of the kind of a column."""
    if pa.types.is_timestamp(kind):
        return "datetime"
    if pa.types.is_floating(kind):
        return "double"
    if pa.types.is_boolean(kind):
        return "boolean"
    return "long" if pa.types.is_integer(kind) else "string"
