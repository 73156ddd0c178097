"""Where the artifacts of a registry lie: found relative to the workspace, not by stored address.

MLflow stores absolute addresses of artifacts in its database. A workspace that was moved or copied
would read, and write, at its old place; so addresses are read by their part below the workspace's
``artifacts/``, and rewritten before a new run is logged.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlparse

# The address of a logged model below the artifact root: models/MODEL_ID/artifacts.
MODEL_DEPTH = 3

# Every column of MLflow's database (3.17) that holds an address of an artifact. MLflow has no call
# that changes them.
UPDATES = (
    "UPDATE experiments SET artifact_location = :new || substr(artifact_location, :rest) "
    "WHERE artifact_location = :old OR substr(artifact_location, 1, :rest) = :old || '/'",
    "UPDATE runs SET artifact_uri = :new || substr(artifact_uri, :rest) "
    "WHERE substr(artifact_uri, 1, :rest) = :old || '/'",
    "UPDATE logged_models SET artifact_location = :new || substr(artifact_location, :rest) "
    "WHERE substr(artifact_location, 1, :rest) = :old || '/'",
    "UPDATE model_versions SET source = :new || substr(source, :rest) "
    "WHERE substr(source, 1, :rest) = :old || '/'",
    "UPDATE model_versions SET storage_location = :new || substr(storage_location, :rest) "
    "WHERE substr(storage_location, 1, :rest) = :old || '/'",
)


def is_local(address: str) -> bool:
    """Return whether an address names a local file."""
    return urlparse(address).scheme == "file"


def address_to_path(address: str) -> Path:
    """Return the path that a ``file:`` address names."""
    return Path(unquote(urlparse(address).path))


def find_model(address: str, artifacts: Path) -> Path:
    """Return the directory of a logged model below the artifact root ``artifacts``.

    ``address`` is the one that was stored, wherever the workspace was then.
    """
    return artifacts.joinpath(*PurePosixPath(unquote(urlparse(address).path)).parts[-MODEL_DEPTH:])


def rewrite_addresses(database: Path, old: str, new: str) -> None:
    """Replace the artifact root ``old`` by ``new`` in all addresses of an MLflow database.

    It is one transaction. Addresses elsewhere stay as they are.
    """
    # SQLite counts from 1: the first sign after the old root, which is a slash.
    values = {"old": old, "new": new, "rest": len(old) + 1}
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        for update in UPDATES:
            connection.execute(update, values)
