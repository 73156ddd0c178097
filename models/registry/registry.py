"""Registry of models: runs, versions and aliases in MLflow. Only this package imports MLflow.

MLflow is imported inside functions, since its import takes seconds, and used through its client
alone, so that no global tracking URI, active run or autologging leaks into the process. A
registered version is complete when it appears: its files are stored before it is created, and their
hash is created with it.
"""

# No postponed annotations here: MLflow reads the type of `predict`'s argument off the function.
import hashlib
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from configs.addresses.redaction import redact_exception
from configs.errors import ConfigError, DataError
from features.tools.json_values import format_json
from models.evaluation.gate import require_gate_passed
from models.registry.artifact_paths import (
    address_to_path,
    find_model,
    is_local,
    rewrite_addresses,
)
from models.registry.mlflow_access import (
    TRACKING_URI_VARIABLE,
    find_tracking_address,
    get_or_none,
    lock_registry,
    make_unreachable_error,
    quiet_mlflow,
)
from models.registry.pyfunc import SCORER_ARTIFACT, save_pyfunc
from models.registry.records import (
    RegisteredVersion,
    RunStart,
    TrainingRecord,
    hash_directory,
)
from models.registry.registry_file import ARTIFACTS_FOLDER, REGISTRY_FILE, require_registry_file
from models.registry.runs import (
    REPORT_FILE,
    WORKSPACE_TAG,
    close_abandoned_runs,
    log_record,
    open_run,
    string_tags,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER = "champion", "challenger"
# A version with the second tag was a champion once; it names the champion before, or none.
SHA256_TAG, PREVIOUS_TAG = "scorer_sha256", "previous_champion"
# Tag of a registered model whose target is meant to have no champion.
WITHDRAWN_TAG = "champion_withdrawn"


class Registry:
    """The models of one project, stored under ``root``: ``mlflow.db`` and ``artifacts/``.

    The environment variable MLFLOW_TRACKING_URI replaces them by a server. A target's model is
    registered as ``{project}.{target}``. ``root`` may be moved: models are found below it wherever
    it was when they were logged. Each method raises ConfigError if the registry cannot be opened.
    """

    def __init__(self, root: Path, project: str) -> None:
        self.root, self.project = Path(root).resolve(), project

    @contextmanager
    def open_run(self, target: str, start: RunStart) -> Iterator[str]:
        """Start the run of a training and yield its id; the block is the training.

        ``log_training`` finishes it. If the block raises, it ends as FAILED, or as KILLED where the
        process was stopped. A process that was killed by force leaves it RUNNING: the next training
        of the workspace ends it as KILLED. The caller holds the workspace's lock, so that no other
        training of it is under way.
        """
        mark = self._workspace_mark
        close_abandoned_runs(self._client, self._experiment_id, mark)
        tags = {**start.tags, WORKSPACE_TAG: mark}
        with open_run(self._client, self._experiment_id, target, replace(start, tags=tags)) as run:
            yield run

    def log_training(
        self, target: str, record: TrainingRecord, run_id: str | None = None
    ) -> RegisteredVersion:
        """Log a finished training as a new version with the alias ``challenger``.

        Its run is ``run_id``, or a new one. If anything fails, the run ends as FAILED and no
        version is registered.
        """
        name = self._registered_name(target)
        with nullcontext(run_id) if run_id else self.open_run(target, RunStart()) as run_id:
            log_record(self._client, run_id, record)
            model = self._log_model(target, record, run_id)
            number = self._register(name, model, record)
            self._client.set_terminated(run_id)
        self._client.set_registered_model_alias(name, CHALLENGER, number)
        link = format_json([{"name": name, "version": number}])
        self._client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": link})
        return self._require_version(target, int(number))

    def versions(self, target: str) -> list[RegisteredVersion]:
        """Return all versions of a target, the newest first."""
        versions = self._client.search_model_versions(f"name='{self._registered_name(target)}'")
        return [
            self._require_version(target, n)
            for n in sorted((int(version.version) for version in versions), reverse=True)
        ]

    def version(self, target: str, number: int) -> RegisteredVersion:
        """Return one version; raise ConfigError if there is none with this number."""
        return self._require_version(target, number)

    def champion(self, target: str) -> RegisteredVersion | None:
        """Return the version in use, or None."""
        return self._find_version(target, CHAMPION)

    def challenger(self, target: str) -> RegisteredVersion | None:
        """Return the version that was trained last, or None."""
        return self._find_version(target, CHALLENGER)

    def promote(self, target: str, version: int | None = None) -> RegisteredVersion:
        """Make a version the champion; the default is the challenger.

        The version stores which champion it replaced. Raise ConfigError if there is no such
        version, GateRefused if the gate refused it, DataError if its files are missing or changed.
        """
        chosen, champion = self._require_version(target, version), self.champion(target)
        require_gate_passed(target, chosen.number, chosen.tags)
        if champion and champion.number == chosen.number:
            return champion
        # Files are verified, and the predecessor is stored, before the champion changes: a process
        # that is killed in between leaves a champion that works.
        self.scorer_directory(chosen)
        before = str(champion.number) if champion else ""
        self._client.set_model_version_tag(
            self._registered_name(target), str(chosen.number), PREVIOUS_TAG, before
        )
        return self._set_champion(chosen)

    def rollback(self, target: str) -> RegisteredVersion:
        """Make the champion's predecessor the champion again.

        Raise ConfigError if there is none, DataError if its files are missing or changed.
        """
        champion = self.champion(target)
        before = champion.tags.get(PREVIOUS_TAG) if champion else None
        if not before:
            raise ConfigError(
                "there is no earlier champion to roll back to",
                where=f"target {target}",
                found=f"version {champion.number} is the first champion"
                if champion
                else "no champion",
                fix="promote a version by its number",
            )
        chosen = self._require_version(target, int(before))
        self.scorer_directory(chosen)
        return self._set_champion(chosen)

    def withdraw(self, target: str) -> RegisteredVersion:
        """Leave a target without a champion, on purpose; return the one that it had.

        Raise ConfigError if it has none.
        """
        champion, name = self.champion(target), self._registered_name(target)
        if champion is None:
            raise ConfigError(
                "there is no champion to withdraw", where=f"target {target}", found="no champion"
            )
        # The tag comes first: without it the missing alias would count as lost.
        self._client.set_registered_model_tag(name, WITHDRAWN_TAG, str(champion.number))
        self._client.delete_registered_model_alias(name, CHAMPION)
        return champion

    def is_withdrawn(self, target: str) -> bool:
        """Return whether a person left the target without a champion."""
        name = self._registered_name(target)
        model = get_or_none(lambda: self._client.get_registered_model(name))
        return model is not None and bool(model.tags.get(WITHDRAWN_TAG))

    def former_champions(self, target: str) -> list[int]:
        """Return the versions that were ever the champion, the newest first."""
        return [version.number for version in self.versions(target) if PREVIOUS_TAG in version.tags]

    def scorer_directory(self, version: RegisteredVersion) -> Path:
        """Return a local directory with the version's scorer files.

        Local files are used in place, others are downloaded. Raise DataError if files are missing
        or differ from those that were logged.
        """
        directory = self._find_scorer(version)
        sha256 = hash_directory(directory) if directory.is_dir() else "missing"
        if sha256 != version.tags.get(SHA256_TAG):
            raise self._make_damage_error(version, directory, sha256)
        return directory

    def report_address(self, version: RegisteredVersion) -> str:
        """Return the path of a version's training report, or its address on a server."""
        place = self._client.get_run(version.run_id).info.artifact_uri
        if not is_local(place):
            return f"{place}/{REPORT_FILE}"
        # The layout of MLflow: RUN_ID/artifacts below the artifact root.
        own = self._artifact_root / version.run_id / "artifacts"
        return str((own if self._owns_database else address_to_path(place)) / REPORT_FILE)

    def _find_scorer(self, version: RegisteredVersion) -> Path:
        """Return the directory of a version's scorer, downloaded if it is not local."""
        if not is_local(version.artifacts):
            return self._download(version, f"{version.artifacts}/artifacts/{SCORER_ARTIFACT}")
        model = address_to_path(version.artifacts)
        # The own database may have been moved with the workspace. What still lies at the old place
        # belongs to another workspace.
        if self._owns_database or not model.is_dir():
            model = find_model(version.artifacts, self._artifact_root)
        return model / "artifacts" / SCORER_ARTIFACT

    def _make_damage_error(
        self, version: RegisteredVersion, directory: Path, sha256: str
    ) -> DataError:
        """Return the error for files that are missing or have changed."""
        problem = f"sha256 {sha256[:12]}, logged as {version.tags.get(SHA256_TAG, 'none')[:12]}"
        fix = "restore them from a backup, roll back, or train again"
        place = address_to_path(version.artifacts)
        moved = is_local(version.artifacts) and place not in directory.parents
        if moved and sha256 == "missing":
            problem = f"the workspace was moved; they were logged at {place}"
            fix = f"copy the old workspace's artifacts/ to {self._artifact_root}, or train again"
        state = "are missing" if sha256 == "missing" else "have changed"
        return DataError(
            f"the files of a model {state}",
            where=f"{self._registered_name(version.target)} version {version.number}: {directory}",
            found=problem,
            fix=fix,
        )

    def _registered_name(self, target: str) -> str:
        return f"{self.project}.{target}"

    @cached_property
    def _uri(self) -> str:
        return find_tracking_address() or f"sqlite:///{self.root / REGISTRY_FILE}"

    @property
    def _owns_database(self) -> bool:
        return find_tracking_address() is None

    @property
    def _workspace_mark(self) -> str:
        """Return the mark of the runs of this workspace, among others in one registry."""
        if self._owns_database:
            # All runs of its own database are its own, wherever it was moved.
            return "own"
        place = f"{platform.node()}\0{self.root}"
        return hashlib.sha256(place.encode()).hexdigest()[:16]

    @property
    def _artifact_root(self) -> Path:
        return self.root / ARTIFACTS_FOLDER

    @cached_property
    def _client(self) -> "MlflowClient":
        """Open the registry, one process at a time.

        MLflow fails if two processes create its tables at the same time.
        """
        quiet_mlflow()
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        with lock_registry(self.root):
            if self._owns_database:
                # MLflow would create a new database in the place of a lost one.
                require_registry_file(self.root)
            try:
                client = MlflowClient(self._uri, self._uri)
                client.search_registered_models(max_results=1)
                client.search_experiments(max_results=1)
            except (MlflowException, SQLAlchemyError) as error:
                where = self._uri if self._owns_database else TRACKING_URI_VARIABLE
                raise make_unreachable_error(where, redact_exception(error)) from error
        return client

    @cached_property
    def _experiment_id(self) -> str:
        """Return the id of the project's experiment, whose artifacts lie in this workspace."""
        client = self._client
        with lock_registry(self.root):
            experiment = client.get_experiment_by_name(self.project)
            place = self._artifact_root.as_uri()
            if experiment is None:
                location = place if self._uri.startswith("sqlite") else None
                return str(client.create_experiment(self.project, artifact_location=location))
            # MLflow would write into the place where the workspace was.
            stored = experiment.artifact_location
            if self._owns_database and is_local(stored) and stored != place:
                rewrite_addresses(self.root / REGISTRY_FILE, stored, place)
            return str(experiment.experiment_id)

    def _log_model(self, target: str, record: TrainingRecord, run_id: str) -> "LoggedModel":
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus

        client = self._client
        model = client.create_logged_model(self._experiment_id, name=target, source_run_id=run_id)
        status = LoggedModelStatus.FAILED
        try:
            with tempfile.TemporaryDirectory() as temporary:
                saved = save_pyfunc(
                    Path(temporary), record.scorer, model, run_id, record.input_example
                )
                client.log_model_artifacts(model.model_id, str(saved))
            client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
            status = LoggedModelStatus.READY
        finally:
            client.finalize_logged_model(model.model_id, status)
        return model

    def _register(self, name: str, model: "LoggedModel", record: TrainingRecord) -> str:
        client = self._client
        if get_or_none(lambda: client.get_registered_model(name)) is None:
            client.create_registered_model(name)
        local = is_local(model.artifact_location)
        version = client.create_model_version(
            name,
            # A models:/ address would be looked up in MLflow's global store, which is not this one.
            source=model.artifact_location if local else f"models:/{model.model_id}",
            run_id=model.source_run_id,
            tags={**string_tags(record.tags), SHA256_TAG: hash_directory(record.scorer)},
            model_id=model.model_id,
        )
        return str(version.version)

    def _find_version(self, target: str, which: str) -> RegisteredVersion | None:
        """Return the version with this number or alias, or None."""
        client, name = self._client, self._registered_name(target)
        get = client.get_model_version if which.isdigit() else client.get_model_version_by_alias
        version = get_or_none(lambda: get(name, which))
        return self._to_version(target, version) if version else None

    def _require_version(self, target: str, number: int | None) -> RegisteredVersion:
        """Return a version, by default the challenger; raise ConfigError if there is none."""
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
            fix="choose one of them" if known != "none" else "run leadscore train first",
        )

    def _set_champion(self, version: RegisteredVersion) -> RegisteredVersion:
        self._client.set_registered_model_alias(
            self._registered_name(version.target), CHAMPION, str(version.number)
        )
        if self.is_withdrawn(version.target):
            self._client.delete_registered_model_tag(
                self._registered_name(version.target), WITHDRAWN_TAG
            )
        return self._require_version(version.target, version.number)

    def _to_version(self, target: str, version: "ModelVersion") -> RegisteredVersion:
        place = self._client.get_model_version_download_uri(
            self._registered_name(target), str(version.version)
        )
        tags, aliases = dict(version.tags), tuple(sorted(version.aliases))
        return RegisteredVersion(
            target, int(version.version), str(version.run_id), tags, aliases, place
        )

    def _download(self, version: RegisteredVersion, uri: str) -> Path:
        """Download the scorer once.

        A directory that exists is not downloaded again; its hash is checked like that of any other.
        """
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
                # Renamed when complete, so that a directory that exists is never half a download.
                Path(fetched).rename(place)
        except (MlflowException, OSError) as error:
            raise DataError(
                "the files of a model cannot be downloaded", where=uri, found=str(error)
            ) from error
        return place
