"""Verification of everything that a project stores, without changing anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from configs.schema import Project
from features.files.examination import Examination, run_check
from features.files.sqlite_file import is_file_absent, require_file_not_lost
from models.registry.mlflow_access import find_tracking_address
from models.registry.registry_file import CACHE_FILE, REGISTRY_FILE
from models.registry.stored_models import (
    StoredModels,
    check_champions,
    check_models,
    check_registry,
    read_stored_models,
)
from pipelines.results.verification import Verification
from pipelines.state.required import require_own_list
from pipelines.workspace import OWNER_FILE, find_scores_file, find_scores_proof, get_scores_address
from serve.lock import is_workspace_held
from serve.store.database import Database
from serve.store.reader import ScoreReader
from serve.store.tables import find_missing_tables
from serve.verify.deliveries import check_deliveries
from serve.verify.exports import check_exports, compare_export_with_table
from serve.verify.folders import check_leftovers
from serve.verify.night_tables import check_night_tables, compare_night_files
from serve.verify.past import require_known_past
from serve.verify.stored_state import StoredState, read_stored_state
from serve.verify.table import check_ledger, check_published_rows

# SQLite files up to this size are checked by `integrity_check`, at some 300 MB/s; larger ones by
# `quick_check`, which does not compare indexes with rows.
THOROUGH_BYTES = 256 * 1024 * 1024
# A quick verification does not read larger SQLite files for their structure.
QUICK_BYTES = 64 * 1024 * 1024
# Waiting longer for a database would delay what else is wrong.
PATIENCE_SECONDS = 10.0
# How often all is read again because a run published in between.
MAX_ROUNDS = 3
# Whether a run was killed and whether the export is late, `deploy --status` judges by time.
NOT_QUICK = ("ledger", "tables", "export rows", "export tables", "leftovers")
STATE_MISSING = "the scores database cannot be read"


def verify_project(project: Project, now: datetime, quick: bool = False) -> Verification:
    """Check that what a project stores is whole and agrees; change nothing.

    ``now`` is the machine's time in UTC. Each check is independent. A ``quick`` verification reads
    the newest night, the current files and the champions alone. No lock is taken: if a run
    publishes in between, everything is read again.
    """
    for _ in range(MAX_ROUNDS):
        round_ = _Verifier(project, now, quick)
        checks = round_.run_checks()
        if not any(check.findings for check in checks) or not round_.has_ledger_changed():
            break
    return Verification(project.project, tuple(checks))


@dataclass
class _Verifier:
    """One round of checks.

    Attributes:
        project: Config of the company.
        now: The machine's time in UTC.
        quick: Whether to leave out what takes long.
        state: The scores database's state; None if it cannot be read.
        models: The registered models; None if they cannot be read here.
    """

    project: Project
    now: datetime
    quick: bool
    state: StoredState | None = None
    models: StoredModels | None = None
    database: Database | None = field(default=None, repr=False)

    def run_checks(self) -> list[Examination]:
        """Return the checks in their order; later ones use what the first ones read."""
        checks: dict[str, Callable[[Examination], object]] = {
            "workspace": self._check_workspace,
            "database": self._check_database,
            "ledger": self._check_ledger,
            "scores": self._check_scores,
            "tables": self._check_tables,
            "exports": self._check_exports,
            "export rows": self._compare_export,
            "export tables": self._compare_tables,
            "deliveries": self._check_deliveries,
            "registry": self._check_registry,
            "champions": self._check_champions,
            "models": self._check_models,
            "leftovers": self._check_leftovers,
        }
        left_to_status = (
            ("ledger", "tables", "export rows", "export tables", "leftovers") if self.quick else ()
        )
        return [
            run_check(name, check) for name, check in checks.items() if name not in left_to_status
        ]

    def has_ledger_changed(self) -> bool:
        """Return whether a run began or ended since the ledger was read."""
        if self.state is None or self.database is None:
            return False
        return read_stored_state(self.database, self.project.project, True).runs != self.state.runs

    @property
    def _root(self) -> Path:
        return self.project.workspace_path

    @property
    def _exports(self) -> Path:
        return self._root / "exports"

    @property
    def _is_held(self) -> bool:
        return is_workspace_held(self._root)

    def _check_workspace(self, examination: Examination) -> None:
        """Report a workspace of another project, and files that no run could write."""
        owner = self._root / OWNER_FILE
        if not self._root.exists():
            # A new project has none; the status of its nights says that by itself.
            if not self.quick:
                examination.report(
                    f"there is no workspace {self._root.absolute()}",
                    "call it in the folder of the company, or restore the backup there; "
                    "`leadscore train` makes a new one",
                )
            return
        names = (OWNER_FILE, CACHE_FILE, REGISTRY_FILE, "scores.db", ".lock", "suppressed.csv")
        for path in (self._root, *(self._root / name for name in names)):
            if not path.exists():
                continue
            examination.counts["files"] += path.is_file()
            if path != self._root and not path.is_file():
                examination.report(f"{path} is not a file", "move it away, restore the backup")
            elif not os.access(path, os.R_OK | os.W_OK):
                examination.report(
                    f"{path} cannot be written", "let the user that runs leadscore write it"
                )
        if not owner.is_file():
            # Nothing is lost: a run of another project would not find its own past here.
            if find_scores_proof(self.project):
                examination.left_out.append(f"{OWNER_FILE}, which the next run writes again")
        elif owner.read_text(encoding="utf-8", errors="replace") != self.project.project:
            examination.report(
                f"{owner} does not name {self.project.project}",
                "use this project's own workspace; if only this file is damaged, write the name",
            )

    def _check_database(self, examination: Examination) -> None:
        """Report a lost or damaged scores database, and read its state."""
        path = find_scores_file(self.project)
        if path:
            proof = find_scores_proof(self.project)
            require_file_not_lost("scores database", path, proof, f"exports/ and {CACHE_FILE}")
            if is_file_absent(path):
                self.state = StoredState([], [], frozenset(), [])
                return
            examination.counts["bytes"] = path.stat().st_size
        address = get_scores_address(self.project)
        database = Database(address, PATIENCE_SECONDS, read_only=True)
        self._check_structure(examination, database, path)
        missing, added = database.run(find_missing_tables, writes=False)
        examination.report_all(
            "tables or views are missing", missing, "restore the database from the backup"
        )
        if added and not missing:
            examination.left_out.append(f"what the next run adds: {', '.join(added)}")
        # Set before the reading, which may fail for a damaged page.
        self.database = database
        reader = ScoreReader(database)
        self.state = read_stored_state(database, self.project.project, self.quick)
        require_known_past(reader, self.project.project, self._root, database.address)
        require_own_list(self.project, reader)

    def _check_structure(
        self, examination: Examination, database: Database, path: Path | None
    ) -> None:
        if path is None:
            examination.left_out.append("the structure of PostgreSQL's files")
            return
        size = path.stat().st_size
        if self.quick and size > QUICK_BYTES:
            examination.left_out.append("the structure of the large file")
            return
        if size > THOROUGH_BYTES:
            examination.left_out.append("indexes of the large file")
        problem = database.find_damage(thorough=size <= THOROUGH_BYTES)
        if problem:
            examination.report(
                f"the scores database is damaged: {problem}", f"restore {path} from the backup"
            )

    def _check_ledger(self, examination: Examination) -> None:
        if state := self._require_state(examination):
            alive = timedelta(days=365) if self._is_held else None
            if self.project.publish.database and not self._is_held:
                # Another machine may be working.
                alive = self.project.schedule.limit
            check_ledger(examination, state, self.now, alive)

    def _check_scores(self, examination: Examination) -> None:
        state = self._require_state(examination)
        if state is None:
            return
        keep = self.project.publish.keep
        check_published_rows(examination, state, keep, self.quick)
        if not self.quick and not examination.findings and self.database is not None:
            # As the view of the current scores finds it: by the stored text of its as-of.
            newest = read_stored_state(self.database, self.project.project, newest_only=True)
            again = Examination(examination.check)
            check_published_rows(again, newest, keep, newest_only=True)
            examination.findings += again.findings

    def _check_exports(self, examination: Examination) -> None:
        if not (state := self._require_state(examination)):
            return
        if self._is_held:
            # Between the publication and the switch of the link the export is one night behind.
            examination.left_out.append("a run is working, which may be about to switch")
        check_exports(
            examination,
            self._exports,
            state,
            f"leadscore export {self.project.path}",
            self.quick,
            is_switching=self.quick or self._is_held,
        )

    def _check_tables(self, examination: Examination) -> None:
        if state := self._require_state(examination):
            check_night_tables(examination, state)

    def _compare_export(self, examination: Examination) -> None:
        reader = self._find_comparable(examination)
        if reader and self.state:
            compare_export_with_table(
                examination,
                reader,
                self.project.project,
                self._exports,
                self.state,
                self._may_suppress,
            )

    def _compare_tables(self, examination: Examination) -> None:
        if reader := self._find_comparable(examination):
            compare_night_files(
                examination, reader, self.project.project, self._exports, self._may_suppress
            )

    def _find_comparable(self, examination: Examination) -> ScoreReader | None:
        """Return a reader of the state that the export can be compared with, None if it cannot."""
        if self._require_state(examination) is None or self.database is None:
            return None
        if self._is_held:
            examination.left_out.append("the comparison of export and table")
            return None
        return ScoreReader(self.database)

    @property
    def _may_suppress(self) -> bool:
        """Return whether leads may have been suppressed after they were scored."""
        privacy, own_list = self.project.privacy, self._root / "suppressed.csv"
        return bool(privacy.suppress or privacy.suppress_where) or own_list.exists()

    def _check_deliveries(self, examination: Examination) -> None:
        if state := self._require_state(examination):
            check_deliveries(
                examination,
                self._exports,
                state,
                list(self.project.publish.exports),
                str(self.project.path),
                self.quick,
                is_switching=self.quick or self._is_held,
            )

    def _check_registry(self, examination: Examination) -> None:
        if find_tracking_address():
            examination.left_out.append("models on a tracking server")
            return
        check_registry(examination, self._root, QUICK_BYTES if self.quick else THOROUGH_BYTES)
        if (self._root / REGISTRY_FILE).exists():
            self.models = read_stored_models(
                self._root, self.project.project, list(self.project.targets)
            )

    def _check_champions(self, examination: Examination) -> None:
        published = {
            target: self.state.published_version(target) if self.state else None
            for target in self.project.targets
        }
        if models := self._require_models(examination):
            check_champions(examination, self._root, models, published, str(self.project.path))
        elif not self.quick and any(published.values()) and not find_tracking_address():
            examination.report(
                "scores were published, and the workspace has no registry of models",
                f"restore {REGISTRY_FILE} and artifacts/ from the backup, or train again",
            )

    def _check_models(self, examination: Examination) -> None:
        if models := self._require_models(examination):
            check_models(examination, self._root, models, champions_only=self.quick)

    def _check_leftovers(self, examination: Examination) -> None:
        if self._is_held:
            examination.left_out.append("drafts of the run that is working")
            return
        sources = self.project.sources
        names = [f"events_{i + 1}" for i in range(len(sources.events))]
        names += [f"attributes_{i + 1}" for i in range(len(sources.attributes))]
        names += [f"same_as_{i + 1}" for i in range(len(sources.same_as))]
        names += [f"costs_{i + 1}" for i in range(len(sources.costs))]
        names += [f"identities_{i + 1}" for i in range(len(sources.identities))]
        names += [f"experiments_{i + 1}" for i in range(len(sources.experiments))]
        check_leftovers(examination, self._root, {f"{name}.csv" for name in ("leads", *names)})

    def _require_state(self, examination: Examination) -> StoredState | None:
        if self.state is None:
            examination.left_out.append(STATE_MISSING)
        return self.state

    def _require_models(self, examination: Examination) -> StoredModels | None:
        if self.models is None:
            examination.left_out.append("no registry of this workspace can be read")
        return self.models
