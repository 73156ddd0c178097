"""The MLflow run of a training, from its start to its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from configs.addresses.redaction import redact_text
from configs.errors import LeadscoreError
from features.tools.json_values import format_json
from models.registry.records import RunStart, TrainingData, TrainingRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow shows the note of a run first; it is the beginning of the report, because MLflow limits the
# tags of a run to this length.
REPORT_FILE, NOTE_TAG, MAX_NOTE_CHARS = "report.md", "mlflow.note.content", 8_000
# Tag with the mark of a workspace, among others on the same server.
WORKSPACE_TAG = "leadscore.workspace"
# MLflow accepts at most this many parameters or tags in one call.
BATCH_SIZE = 100
# The context that MLflow shows beside a data set.
TRAINING_CONTEXT = "training"
ABANDONED_NOTE = (
    "The process of this training ended without a result, such as by `kill -9` or a lack of "
    "memory. The end is the time at which the next training found it."
)


@contextmanager
def open_run(client: MlflowClient, experiment_id: str, name: str, start: RunStart) -> Iterator[str]:
    """Create a run, yield its id, and end it.

    It ends as FINISHED, as FAILED if the block raises an error, or as KILLED if the process is
    stopped (Ctrl-C, SIGTERM). A run that the block has ended stays as it is.
    """
    run = client.create_run(experiment_id, tags=string_tags(start.tags), run_name=name)
    run_id = run.info.run_id
    try:
        if start.data:
            _log_data(client, run_id, start.data)
        yield run_id
    except BaseException as error:
        # A registry that does not answer any more must not hide the first error.
        with suppress(Exception):
            _end_run(client, run_id, *_describe_end(name, error))
        raise
    _end_run(client, run_id, "FINISHED")


def close_abandoned_runs(client: MlflowClient, experiment_id: str, workspace: str) -> None:
    """End the runs of a workspace whose process was killed: nobody else would.

    ``workspace`` is the value of their WORKSPACE_TAG. A model that they were storing is FAILED.
    """
    from mlflow.entities import LoggedModelStatus

    query = f"attributes.status = 'RUNNING' AND tags.`{WORKSPACE_TAG}` = '{workspace}'"
    for run in client.search_runs([experiment_id], query):
        run_id = run.info.run_id
        stored = client.search_logged_models(
            [experiment_id], filter_string=f"source_run_id = '{run_id}'"
        )
        for model in stored:
            if model.status == LoggedModelStatus.PENDING:
                client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)
        _end_run(client, run_id, "KILLED", ABANDONED_NOTE)


def log_record(client: MlflowClient, run_id: str, record: TrainingRecord) -> None:
    """Log parameters, metrics, tags, texts and files of a finished training to its run."""
    from mlflow.entities import Metric, Param, RunTag

    since = client.get_run(run_id).info.start_time
    params = [Param(name, str(value)) for name, value in record.params.items()]
    metrics = [
        Metric(k, float(v), since, 0) for k, v in record.metrics.items() if abs(v) < float("inf")
    ]
    note = record.texts.get(REPORT_FILE, "")[:MAX_NOTE_CHARS] or None
    tags = [
        RunTag(name, value) for name, value in string_tags({**record.tags, NOTE_TAG: note}).items()
    ]
    for start in range(0, max(len(params), len(metrics), len(tags)), BATCH_SIZE):
        batch = slice(start, start + BATCH_SIZE)
        client.log_batch(run_id, metrics=metrics[batch], params=params[batch], tags=tags[batch])
    for name, text in record.texts.items():
        client.log_text(run_id, text, name)
    if record.plots:
        client.log_artifacts(run_id, str(record.plots), "plots")
    if record.files:
        client.log_artifacts(run_id, str(record.files))


def string_tags(tags: Mapping[str, str | None]) -> dict[str, str]:
    """Return tags as texts, without those that are None."""
    return {name: str(value) for name, value in tags.items() if value is not None}


def _log_data(client: MlflowClient, run_id: str, data: TrainingData) -> None:
    """Log the data of a training as an input of its run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    columns: list[dict[str, Any]] = [
        {"type": kind, "name": name, "required": False} for name, kind in data.columns
    ]
    dataset = Dataset(
        name=data.name,
        digest=data.digest,
        # MLflow's type for data that code has put together; others hold the address of a file.
        source_type="code",
        source=format_json({"tags": dict(data.sources)}),
        schema=format_json({"mlflow_colspec": columns}),
        profile=format_json(dict(data.rows)),
    )
    tags = [InputTag(MLFLOW_DATASET_CONTEXT, TRAINING_CONTEXT)]
    client.log_inputs(run_id, datasets=[DatasetInput(dataset, tags)])


def _describe_end(name: str, error: BaseException) -> tuple[str, str]:
    """Return the status and the note of a run that an error ended."""
    if not isinstance(error, Exception):
        return "KILLED", f"# {name}: stopped\n\nThe process was stopped before the training ended."
    # The message of any other error may hold anything.
    known = redact_text(str(error)) if isinstance(error, LeadscoreError) else type(error).__name__
    return "FAILED", f"# {name}: failed\n\n{known}"


def _end_run(client: MlflowClient, run_id: str, status: str, note: str = "") -> None:
    """End a run that is still RUNNING, with a note if there is one."""
    if client.get_run(run_id).info.status != "RUNNING":
        return
    if note:
        client.set_tag(run_id, NOTE_TAG, note[:MAX_NOTE_CHARS])
    client.set_terminated(run_id, status)
