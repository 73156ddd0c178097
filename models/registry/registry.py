"""Runs, versions and aliases in MLflow: the only file that imports it.

MLflow is imported inside functions, because that takes seconds, and used through its client alone, so that no
global tracking address, active run or autologging leaks into the process. A registered version is complete
from its first instant: its files are stored before it is created, and their hash is created with it.
"""

# No postponed annotations here: MLflow reads the type of `predict`'s argument off the function.
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlparse

from filelock import FileLock

from configs.errors import ConfigError, DataError
from models.evaluation.gate import require_gate_passed

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion

TRACKING_URI_VARIABLE = "MLFLOW_TRACKING_URI"
CHAMPION, CHALLENGER = "champion", "challenger"
SCORER_ARTIFACT, SHA256_TAG, PREVIOUS_TAG = "scorer", "scorer_sha256", "previous_champion"
REPORT_FILE, NOTE_TAG, MAX_NOTE_CHARS = (
    "report.md",
    "mlflow.note.content",
    8_000,
)  # MLflow shows a run's note first
REQUIRED_PACKAGES = ("lightgbm", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy")
"""What a served scorer needs beside leadscore itself; written down, since MLflow's guess costs seconds."""
BATCH_SIZE = 100  # MLflow takes at most this many parameters in one call.
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class TrainingRecord:
    """All that is kept of one training.

    ``scorer`` is the directory that ``Scorer.save`` wrote, ``plots`` one of pictures. ``metrics`` that are
    not finite are left out, and so are ``tags`` that are None; tags stand on the run and on the version.
    ``texts`` maps a file name to its text; ``report.md`` is the run's description too.
    """

    scorer: Path
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str | None] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    plots: Path | None = None


@dataclass(frozen=True)
class RegisteredVersion:
    """One registered version of a target's model; ``tags`` are those of its story and those of the registry."""

    target: str
    number: int
    run_id: str
    tags: dict[str, str]
    aliases: tuple[str, ...]
    artifacts: str


class Registry:
    """The models of one project, kept under ``root``: ``mlflow.db`` and ``artifacts/``.

    The environment variable MLFLOW_TRACKING_URI puts them on a server instead. A target's model is registered
    as ``{project}.{target}``. Every method raises ConfigError if the registry cannot be opened.
    """

    def __init__(self, root: Path, project: str) -> None:
        self.root, self.project = Path(root).resolve(), project

    def log_training(self, target: str, record: TrainingRecord) -> RegisteredVersion:
        """Keep a finished training as a run and a new version with the alias ``challenger``.

        If anything fails the run ends as FAILED and no version is registered.
        """
        name = self._registered_name(target)
        with self._open_run(target, record) as run:
            model = self._log_model(target, record.scorer, run)
            number = self._register(name, model, record)
        self._client.set_registered_model_alias(name, CHALLENGER, number)
        link = json.dumps([{"name": name, "version": number}])
        self._client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": link})
        return self._require_version(target, int(number))

    def versions(self, target: str) -> list[RegisteredVersion]:
        """Return all versions of a target, the newest first."""
        found = self._client.search_model_versions(f"name='{self._registered_name(target)}'")
        return [
            self._require_version(target, n)
            for n in sorted((int(version.version) for version in found), reverse=True)
        ]

    def version(self, target: str, number: int) -> RegisteredVersion:
        """Return one version; raises ConfigError if there is none with this number."""
        return self._require_version(target, number)

    def champion(self, target: str) -> RegisteredVersion | None:
        """Return the version in use, or None."""
        return self._find_version(target, CHAMPION)

    def challenger(self, target: str) -> RegisteredVersion | None:
        """Return the version that was trained last, or None."""
        return self._find_version(target, CHALLENGER)

    def promote(self, target: str, version: int | None = None) -> RegisteredVersion:
        """Make a version (default: the challenger) the champion; the version remembers whom it followed.

        Raises ConfigError for no such version, GateRefused for one refused, DataError if files are missing or changed.
        """
        chosen, champion = self._require_version(target, version), self.champion(target)
        require_gate_passed(target, chosen.number, chosen.tags)
        if champion and champion.number == chosen.number:
            return champion
        self.scorer_directory(chosen)
        before = str(champion.number) if champion else ""
        self._client.set_model_version_tag(self._registered_name(target), str(chosen.number), PREVIOUS_TAG, before)
        return self._set_champion(chosen)

    def rollback(self, target: str) -> RegisteredVersion:
        """Make the champion's predecessor the champion again.

        Raises ConfigError if there is none, DataError if its files are missing or changed.
        """
        champion = self.champion(target)
        before = champion.tags.get(PREVIOUS_TAG) if champion else None
        if not before:
            raise ConfigError(
                "there is no earlier champion to go back to",
                where=f"target {target}",
                found=f"version {champion.number} is the first champion"
                if champion
                else "no champion",
                fix="promote a version by its number",
            )
        chosen = self._require_version(target, int(before))
        self.scorer_directory(chosen)
        return self._set_champion(chosen)

    def scorer_directory(self, version: RegisteredVersion) -> Path:
        """Return a local directory with the version's scorer files, in place where they are local.

        Raises DataError if files are missing or are not the ones that were logged.
        """
        uri = f"{version.artifacts}/artifacts/{SCORER_ARTIFACT}"
        local = urlparse(uri).scheme == "file"
        directory = Path(unquote(urlparse(uri).path)) if local else self._download(version, uri)
        found = hash_directory(directory) if directory.is_dir() else "missing"
        if found != version.tags.get(SHA256_TAG):
            raise DataError(
                "the files of a model are missing"
                if found == "missing"
                else "the files of a model have changed",
                where=f"{self._registered_name(version.target)} version {version.number}: {directory}",
                found=f"sha256 {found[:12]}, logged as {version.tags.get(SHA256_TAG, 'none')[:12]}",
                fix="restore them from a backup, roll back, or train again",
            )
        return directory

    def _registered_name(self, target: str) -> str:
        return f"{self.project}.{target}"

    @cached_property
    def _uri(self) -> str:
        return os.environ.get(TRACKING_URI_VARIABLE) or f"sqlite:///{self.root / 'mlflow.db'}"

    @cached_property
    def _client(self) -> "MlflowClient":
        """Open the registry, one process at a time: MLflow fails where two create its tables at once."""
        _quiet_mlflow()
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        with _lock_registry(self.root):
            try:
                client = MlflowClient(self._uri, self._uri)
                client.search_registered_models(max_results=1)
                client.search_experiments(max_results=1)
            except (MlflowException, SQLAlchemyError) as error:
                raise _unreachable_error(
                    self._uri if self._uri.startswith("sqlite") else TRACKING_URI_VARIABLE, error
                ) from error
        return client

    @cached_property
    def _experiment_id(self) -> str:
        client = self._client
        with _lock_registry(self.root):
            found = client.get_experiment_by_name(self.project)
            if found:
                return str(found.experiment_id)
            place = (self.root / "artifacts").as_uri() if self._uri.startswith("sqlite") else None
            return str(client.create_experiment(self.project, artifact_location=place))

    @contextmanager
    def _open_run(self, target: str, record: TrainingRecord) -> Iterator["Run"]:
        """Open a run and close it, as FAILED if the block or the logging of the story raises anything at all."""
        client = self._client
        tags = _string_tags({**record.tags, NOTE_TAG: record.texts.get(REPORT_FILE, "")[:MAX_NOTE_CHARS] or None})
        run = client.create_run(self._experiment_id, tags=tags, run_name=target)
        status = "FAILED"
        try:
            self._log_record(run, record)
            yield run
            status = "FINISHED"
        finally:
            client.set_terminated(run.info.run_id, status)

    def _log_record(self, run: "Run", record: TrainingRecord) -> None:
        from mlflow.entities import Metric, Param

        client, run_id, since = self._client, run.info.run_id, run.info.start_time
        params = [Param(name, str(value)) for name, value in record.params.items()]
        metrics = [
            Metric(k, float(v), since, 0) for k, v in record.metrics.items() if abs(v) < float("inf")
        ]
        for start in range(0, max(len(params), len(metrics)), BATCH_SIZE):
            batch = slice(start, start + BATCH_SIZE)
            client.log_batch(run_id, metrics=metrics[batch], params=params[batch])
        for name, text in record.texts.items():
            client.log_text(run_id, text, name)
        if record.plots:
            client.log_artifacts(run_id, str(record.plots), "plots")

    def _log_model(self, target: str, scorer: Path, run: "Run") -> "LoggedModel":
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus

        client, run_id = self._client, run.info.run_id
        model = client.create_logged_model(self._experiment_id, name=target, source_run_id=run_id)
        status = LoggedModelStatus.FAILED
        try:
            with tempfile.TemporaryDirectory() as temporary:
                place = save_pyfunc(Path(temporary), scorer, model, run_id)
                client.log_model_artifacts(model.model_id, str(place))
            client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
            status = LoggedModelStatus.READY
        finally:
            client.finalize_logged_model(model.model_id, status)
        return model

    def _register(self, name: str, model: "LoggedModel", record: TrainingRecord) -> str:
        client = self._client
        if _get_or_none(lambda: client.get_registered_model(name)) is None:
            client.create_registered_model(name)
        local = urlparse(model.artifact_location).scheme == "file"
        version = client.create_model_version(
            name,
            # A models:/ address would be looked up in MLflow's global store, which is not this one.
            source=model.artifact_location if local else f"models:/{model.model_id}",
            run_id=model.source_run_id,
            tags={**_string_tags(record.tags), SHA256_TAG: hash_directory(record.scorer)},
            model_id=model.model_id,
        )
        return str(version.version)

    def _find_version(self, target: str, which: str) -> RegisteredVersion | None:
        """Return the version with this number or alias, or None."""
        client, name = self._client, self._registered_name(target)
        ask = client.get_model_version if which.isdigit() else client.get_model_version_by_alias
        version = _get_or_none(lambda: ask(name, which))
        return self._to_version(target, version) if version else None

    def _require_version(self, target: str, number: int | None) -> RegisteredVersion:
        chosen = self._find_version(target, CHALLENGER if number is None else str(number))
        if chosen:
            return chosen
        known = ", ".join(str(version.number) for version in self.versions(target)[:10]) or "none"
        raise ConfigError(
            "no such version" if number is not None else "there is no challenger",
            where=f"target {target}",
            found=f"{number}; the newest are {known}"
            if number is not None
            else f"versions: {known}",
            fix="name one of them" if known != "none" else "train first",
        )

    def _set_champion(self, version: RegisteredVersion) -> RegisteredVersion:
        self._client.set_registered_model_alias(
            self._registered_name(version.target), CHAMPION, str(version.number)
        )
        return self._require_version(version.target, version.number)

    def _to_version(self, target: str, version: "ModelVersion") -> RegisteredVersion:
        place = self._client.get_model_version_download_uri(
            self._registered_name(target), str(version.version)
        )
        tags, aliases = dict(version.tags), tuple(sorted(version.aliases))
        return RegisteredVersion(target, int(version.version), str(version.run_id), tags, aliases, place)

    def _download(self, version: RegisteredVersion, uri: str) -> Path:
        """Fetch the scorer once; what is already here is checked by its hash like anything else."""
        place = (
            self.root
            / "downloads"
            / self._registered_name(version.target)
            / version.tags.get(SHA256_TAG, "unknown")
        )
        if place.is_dir():
            return place
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
                fetched = download_artifacts(
                    artifact_uri=uri, dst_path=temporary, tracking_uri=self._uri
                )
                Path(fetched).rename(place)
        except (MlflowException, OSError) as error:
            raise DataError(
                "the files of a model cannot be fetched", where=uri, found=str(error)
            ) from error
        return place


def hash_directory(directory: Path) -> str:
    """Return the SHA-256 of all files of a directory, names and contents, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(directory).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def register_pyfunc(load: Callable[[Path], Any], predict: Callable[[Any, Any], Any]) -> None:
    """Give MLflow the model that a logged code file stands for: ``predict(load(scorer directory), frame)``."""
    import pandas as pd
    from mlflow.models import set_model
    from mlflow.pyfunc import PythonModel, PythonModelContext

    class ServedScorer(PythonModel):
        def load_context(self, context: PythonModelContext) -> None:
            self.scorer = load(Path(context.artifacts[SCORER_ARTIFACT]))

        def predict(
            self,
            context: PythonModelContext,
            model_input: pd.DataFrame,
            params: dict[str, Any] | None = None,
        ) -> Any:
            return predict(self.scorer, model_input)

    set_model(ServedScorer())


def save_pyfunc(temporary: Path, scorer: Path, model: "LoggedModel", run_id: str) -> Path:
    """Write an MLflow model from code: the serving file and the scorer's files, nothing pickled."""
    from mlflow.models import Model
    from mlflow.pyfunc import save_model

    # MLflow stores a directory under its own name.
    named = shutil.copytree(scorer, temporary / SCORER_ARTIFACT)
    save_model(
        temporary / "model",
        python_model=str(Path(__file__).with_name("serving_code.py")),
        artifacts={SCORER_ARTIFACT: str(named)},
        pip_requirements=[f"{name}=={metadata.version(name)}" for name in ("mlflow", *REQUIRED_PACKAGES)],
        mlflow_model=Model(
            artifact_path=model.artifact_location,
            run_id=run_id,
            model_uuid=model.model_id,
            model_id=model.model_id,
        ),
    )
    return temporary / "model"


def _quiet_mlflow() -> None:
    """Keep MLflow from calling home and from writing its doings on the console; its import reads the environment."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    # By default it asks a server that is down for four minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    # It warns of a model without a signature; but one would refuse whole numbers and missing values.
    logging.getLogger("mlflow.pyfunc").setLevel(logging.ERROR)


@contextmanager
def _lock_registry(root: Path) -> Iterator[None]:
    """Wait for the registry's lock (``flock(2)``), which vanishes with the process that holds it."""
    # No soft lock: where flock(2) is missing it would outlive a killed process (filelock 3.30+).
    lock = FileLock(root / ".registry.lock", thread_local=False, fallback_to_soft=False)
    try:
        root.mkdir(parents=True, exist_ok=True)
        acquired = lock.acquire()
    except OSError as error:
        raise ConfigError(
            "cannot write the workspace", where=str(root), found=str(error)
        ) from error
    with acquired:
        yield


def _unreachable_error(where: str, error: Exception) -> ConfigError:
    return ConfigError(
        "the model registry does not answer",
        where=where,
        found=str(error).splitlines()[0][:300],
        fix="see whether its server is up; if MLflow was updated, back its database up and run `mlflow db upgrade`",
    )


def _get_or_none(ask: Callable[[], Answer]) -> Answer | None:
    """Return the answer, or None where MLflow says that there is no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as error:
        # A missing alias is reported as an invalid parameter.
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"):
            return None
        raise _unreachable_error(TRACKING_URI_VARIABLE, error) from error


def _string_tags(tags: Mapping[str, str | None]) -> dict[str, str]:
    return {name: str(value) for name, value in tags.items() if value is not None}
