"""Location of one project's state: a workspace holds one project, and one run at a time."""

from __future__ import annotations

import grp
import logging
import os
import pwd
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from configs.addresses.database import SQLITE
from configs.addresses.parser import Address
from configs.errors import ConfigError, LeadscoreError
from configs.loading.workspace_place import OWNER_FILE, SCORES_FILE
from configs.schema import Project
from features.files.os_errors import suggest_os_fix
from features.files.sqlite_file import require_file_not_lost
from features.tools.atomic_file import write_atomically
from models.registry.mlflow_access import find_tracking_address
from models.registry.registry import Registry
from models.registry.registry_file import CACHE_FILE, REGISTRY_FILE, find_registry_proof
from serve.lock import lock_workspace
from serve.private_files import create_private_files, find_closed_parent, set_workspace_access
from serve.run import Run
from serve.store.database import RETRY_SECONDS
from serve.store.store import Store
from serve.verify.past import find_published_proof

# A process has the groups of the session that started it.
AFTER_JOINING = "then log in again, and restart its services"
LOG = logging.getLogger(__name__)


@contextmanager
def open_workspace(project: Project) -> Iterator[Path]:
    """Lock a project's workspace and yield its directory.

    Raises WorkspaceBusy while another run holds it, and ConfigError if it belongs to another
    project: two projects that share LEADSCORE_WORKSPACE would overwrite each other's export. An
    OSError of the block is raised as LeadscoreError. What the block creates is private, except that
    the group ``publish.readers`` may read the exports.
    """
    readers = find_readers(project)
    with create_private_files(), lock_workspace(project.workspace_path):
        try:
            # Under the lock, or two first runs could both become the owner.
            _claim_workspace(project)
            _restrict_access(project, readers)
            yield project.workspace_path
        # Any library may meet a full disk, so the translation stands here and not at each write.
        except OSError as error:
            raise LeadscoreError(
                "a file could not be read or written",
                where=str(error.filename or project.workspace_path),
                found=error.strerror or str(error),
                fix=f"{suggest_os_fix(error)}, then run it again; published data is intact",
            ) from error


def find_readers(project: Project) -> int | None:
    """Return the id of the group that may read the exports, None if there is none.

    Raises ConfigError for an unknown group, and for one to which this user cannot give a file.
    """
    name = project.publish.readers
    if name is None:
        return None
    where, user = f"{project.path}: publish.readers", get_user_name()
    try:
        group = int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(
            "no such group on this machine",
            where=where,
            found=name,
            fix=f"create it: groupadd {shlex.quote(name)} && "
            f"usermod -aG {shlex.quote(name)} {user}; {AFTER_JOINING}",
        ) from None
    # Only the superuser may give files to a group of others (chown(2)).
    if os.geteuid() != 0 and group not in (os.getegid(), *os.getgroups()):
        raise ConfigError(
            "this user is not in the group",
            where=where,
            found=f"{user} in {name}",
            fix=f"usermod -aG {shlex.quote(name)} {user}; {AFTER_JOINING}",
        )
    return group


def open_store(project: Project, patience: float = RETRY_SECONDS) -> Store:
    """Open a project's scores database, by default ``scores.db`` in its workspace.

    ``patience`` is the time limit of retries while the database does not answer, in seconds. Raises
    StateError for a SQLite file that is missing, empty or cut although scores were published.
    """
    path = find_scores_file(project)
    if path:
        require_file_not_lost(
            "scores database",
            path,
            find_scores_proof(project),
            f"exports/ and {CACHE_FILE}",
        )
    return Store(get_scores_address(project), patience)


def get_scores_address(project: Project) -> Address | Path:
    """Return the address of a project's scores database, or the path of its file."""
    return project.publish.database or project.workspace_path / SCORES_FILE


def find_scores_file(project: Project) -> Path | None:
    """Return the file of a project's scores database; None for a database on a server."""
    address = get_scores_address(project)
    if isinstance(address, Path):
        return address
    return Path(address.path) if address.scheme == SQLITE else None


def find_scores_proof(project: Project) -> str:
    """Return what shows that a project had a scores database; empty if nothing does."""
    if proof := find_published_proof(project.workspace_path):
        return proof
    # A night creates the database before it writes the cache of champions.
    if project.publish.database or not (project.workspace_path / CACHE_FILE).is_file():
        return ""
    return f"{CACHE_FILE} is of a night"


def find_published_run(store: Store, project: Project, as_of: datetime | None = None) -> Run:
    """Return the newest run that published, or that of an as-of; raise ConfigError if none did."""
    run = store.last_published_run(project.project, as_of)
    if run is None:
        raise ConfigError(
            "nothing was published",
            where=f"the ledger of {project.project}",
            found=f"as of {as_of.isoformat()}" if as_of else "no run",
            fix=f"run `leadscore score {project.path}` first",
        )
    return run


def find_registry(project: Project) -> Registry | None:
    """Return a project's registry if it may hold a model, else None; none is created."""
    root = project.workspace_path
    # A tracking server may hold models although the workspace has no database. Opening a registry
    # would create one, and refuses to where one was lost.
    may_exist = (
        find_tracking_address() or (root / REGISTRY_FILE).exists() or find_registry_proof(root)
    )
    return Registry(project.workspace_path, project.project) if may_exist else None


def get_user_name() -> str:
    """Return the name of this process's user, or the number of one that has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    # A container may run under any number.
    except KeyError:
        return str(os.geteuid())


def _restrict_access(project: Project, readers: int | None) -> None:
    """Make the workspace private and its exports readable for the readers; log what changed."""
    root, exports = project.workspace_path, project.workspace_path / "exports"
    if readers is not None:
        exports.mkdir(exist_ok=True)
    # A workspace that holds the config holds other files of the user, whose modes are theirs.
    is_own = not Path(project.path).resolve().is_relative_to(root.resolve())
    changes = set_workspace_access(root, exports, readers, exports_only=not is_own)
    if changes.closed:
        LOG.warning(
            "%d files and folders of the workspace could be read by other users and are private "
            "now, such as %s; publish.readers names a group that may read the exports",
            len(changes.closed),
            changes.closed[-1],
        )
    if readers is not None and (parent := find_closed_parent(root, readers)):
        LOG.warning(
            "the group %s of publish.readers cannot enter %s; chmod o+x %s",
            project.publish.readers,
            parent,
            shlex.quote(str(parent)),
        )
    if changes.failed:
        path, error = changes.failed[0]
        LOG.warning(
            "%d files and folders of the workspace cannot be made private, such as %s: %s; "
            "give them to this user, or use a disk that keeps file modes",
            len(changes.failed),
            path,
            error.strerror,
        )


def _claim_workspace(project: Project) -> None:
    """Make the project the owner of a new workspace; raise ConfigError for another's workspace."""
    path = project.workspace_path / OWNER_FILE
    if not path.exists():
        write_atomically(path, project.project)
    require_owner(project)


def require_owner(project: Project) -> None:
    """Raise ConfigError for a workspace of another project; a new one has no owner yet."""
    path = project.workspace_path / OWNER_FILE
    if not path.exists():
        return
    owner = path.read_text(encoding="utf-8", errors="replace")
    if owner != project.project:
        raise ConfigError(
            "the workspace belongs to another project",
            where=str(path),
            found=f"{owner!r}, not {project.project!r}",
            fix="give each project its own workspace, in its YAML or by LEADSCORE_WORKSPACE; if "
            "only this file is damaged, write the project's name into it",
        )
