"""Files of SQLite databases: whether one is there, and how damage is named."""

from __future__ import annotations

from pathlib import Path

from configs.errors import StateError

# Parts of SQLite's messages for SQLITE_CORRUPT and SQLITE_NOTADB, which no retry repairs, and of
# DuckDB's for a damaged or incomplete file and one of a newer version.
DAMAGE_MESSAGES = (
    *("malformed", "is not a database", "unsupported file format"),
    *("not a valid DuckDB", "Corrupt database file", "Could not read", "storage version"),
)
BACKUP_PAGE = "docs/operations.md, Backup and restore"


def describes_damage(message: str) -> bool:
    """Return whether a message of SQLite or DuckDB says that the file is damaged."""
    return any(words in message for words in DAMAGE_MESSAGES)


def is_file_absent(path: Path) -> bool:
    """Return whether a database file is missing or has no content, so that opening creates it.

    The file is not opened: closing it would release this process's SQLite locks on it.
    """
    return not path.exists() or (path.is_file() and path.stat().st_size == 0)


def has_write_ahead_log(path: Path) -> bool:
    """Return whether pages of a database may still be in its write-ahead log only."""
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def make_damage_error(content: str, path: Path, problem: str) -> StateError:
    """Return the error for a damaged database file; ``content`` is the word for what it holds."""
    return StateError(
        f"the {content} is damaged",
        where=str(path),
        found=problem,
        fix=f"restore it from the backup ({BACKUP_PAGE}); without one, "
        f"`sqlite3 {path.name} .recover | sqlite3 recovered.db` saves what can be read",
    )


def require_file_not_lost(content: str, path: Path, proof: str, parts: str) -> None:
    """Raise StateError for a directory, or for an absent file that ``proof`` shows was there.

    ``content`` is the word for what the file holds, ``proof`` names what shows that it existed;
    empty if nothing does. ``parts`` are the files to move away to begin anew.
    """
    if path.exists() and not path.is_file():
        raise StateError(
            f"the {content} is not a file",
            where=str(path),
            found="a directory" if path.is_dir() else "a special file",
            fix=f"move it away and restore the file from the backup ({BACKUP_PAGE})",
        )
    if proof and is_file_absent(path):
        raise StateError(
            f"the {content} is {'empty' if path.exists() else 'missing'}",
            where=str(path),
            found=f"there was one: {proof}",
            fix=f"restore it from the backup ({BACKUP_PAGE}); to begin anew on purpose, move "
            f"{parts} out of the workspace",
        )
