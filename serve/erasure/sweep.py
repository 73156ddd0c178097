"""Which files of a workspace still name an entity: what cannot be rewritten is said."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from serve.store.named import SHORTEST, Named, without

PIECE = 1 << 24
LOCK, DATABASE, OWN = ".lock", ".db", "scores.db"
"""Endings of files that say who runs, and of databases, in which texts lie next to each other without a gap."""


def still_naming(root: Path, named: Named) -> list[str]:
    """Return the files under a workspace that hold an id as bytes, or as a cell of Parquet, by their relative path.

    A short id may be any number, so nothing is said of it. The scores database, which knows its own rows, is not
    looked at; elsewhere a longer id that holds this one is another.
    """
    if len(named.entity) < SHORTEST:
        return []
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return [path.relative_to(root).as_posix() for path in files if _names(path, named)]


def _names(path: Path, named: Named) -> bool:
    if path.name.endswith(LOCK) or path.name.startswith(OWN):
        return False
    if path.suffix == ".parquet":
        with suppress(pa.ArrowException, OSError):
            return bool(without(path, named)[0])
    pattern = b"|".join(re.escape(needle) for needle in named.needles)
    words = re.compile(pattern if DATABASE in path.name else rb"(?<!\w)(?:%b)(?!\w)" % pattern)
    overlap, rest = max(map(len, named.needles)) + 1, b""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            if words.search(rest + piece):
                return True
            rest = piece[-overlap:]
    return False
