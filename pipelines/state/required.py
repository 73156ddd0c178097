"""Stored state that a night needs, refused where it was lost or damaged."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow.compute as pc

from configs.errors import StateError
from configs.schema import Project
from features.files.examination import Examination
from features.files.sqlite_file import is_file_absent
from features.intake.objections import FORGET_REASON, WORKSPACE_LIST
from models.registry.champion_cache import Champions
from serve.checks.checks import CheckResult
from serve.export.atomic_folders import require_replaceable_link
from serve.store.reader import ScoreReader
from serve.store.store import Store
from serve.verify.past import require_known_past
from serve.verify.stored_state import read_stored_state
from serve.verify.table import check_published_rows

# A night checks the structure of a SQLite file up to this size, in less than a second.
MAX_CHECKED_BYTES = 256 * 1024 * 1024


def require_sound_state(project: Project, store: Store) -> None:
    """Raise StateError for lost or damaged state that the night would silently replace.

    ``leadscore verify`` checks more, and names everything that is wrong.
    """
    root = project.workspace_path
    store.require_sound_file(MAX_CHECKED_BYTES)
    require_known_past(store, project.project, root, store.address)
    require_own_list(project, store)
    # A delivery to one CRM that fails does not keep scores and other deliveries back, so that the
    # folders of deliveries are checked with them.
    require_replaceable_link(root / "exports", f"leadscore export {project.path}")


def require_complete_night(project: Project, reader: ScoreReader) -> None:
    """Raise StateError if the newest published night lacks rows.

    Its file would be taken for the whole night, and a CRM would clear the leads that are missing.
    """
    state = read_stored_state(reader.database, project.project, newest_only=True)
    examination = Examination("scores")
    check_published_rows(examination, state, project.publish.keep, newest_only=True)
    for finding in examination.findings:
        raise StateError(
            "the newest published night is not whole, so it is not exported",
            where=reader.database.address,
            found=finding.problem,
            fix=finding.fix,
        )


def require_own_list(project: Project, reader: ScoreReader) -> None:
    """Raise StateError if the list of forgotten leads was lost: they would be scored again."""
    path = project.workspace_path / WORKSPACE_LIST
    if not is_file_absent(path):
        return
    reasons = reader.suppressions(project.project)["reason"]
    count = pc.sum(pc.equal(reasons, FORGET_REASON), min_count=0).as_py()
    if count:
        raise StateError(
            "the list of forgotten leads is missing",
            where=str(path),
            found=f"the table suppressions names {count:,} of them",
            fix="restore it from the backup; to score them again on purpose, write a file with "
            "the line entity_id",
        )


def stop_lost_champions(project: Project, store: Store, champions: Champions) -> list[CheckResult]:
    """Return a result that stops the night for each target whose champion was lost."""
    lost = {**_find_unknown_champions(project, store, champions), **champions.lost}
    return [
        CheckResult(
            "champion",
            target,
            "",
            None,
            None,
            None,
            "stop",
            f"it has no champion any more, but {proof}. Restore the registry or name one by "
            f"`leadscore promote {project.path} --target {target} --version N`; to stop scoring "
            f"this target on purpose, `leadscore rollback {project.path} --target {target} "
            "--to-none`",
        )
        for target, proof in sorted(lost.items())
    ]


def _find_unknown_champions(
    project: Project, store: Store, champions: Champions
) -> Mapping[str, str]:
    """Return targets that were published with a version, where the registry never had one."""
    missing = {
        target
        for target, version in champions.versions.items()
        if version is None and target not in champions.withdrawn
    }
    if not missing:
        return {}
    proofs = dict[str, str]()
    for row in store.runs(project.project).to_pylist():
        if row["target"] in missing and row["status"] == "published" and row["model_version"]:
            proofs[row["target"]] = (
                f"version {row['model_version']} scored it as of {row['as_of'].isoformat()}"
            )
    return proofs
