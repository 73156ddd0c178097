"""Search of a workspace for files that still mention an entity and cannot be rewritten."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from serve.erasure.pages import PAGE_SUFFIXES, page_names_entity
from serve.store.entity_matcher import MIN_WORD_LENGTH, EntityMatcher, remove_rows

# Bytes read at a time, so that large files are not loaded whole.
CHUNK_BYTES = 1 << 24
# Files that name a running process, and databases, in which texts are adjacent without a gap.
LOCK_SUFFIX, DATABASE_SUFFIX, SCORES_DATABASE_NAME = ".lock", ".db", "scores.db"


def find_remaining_mentions(root: Path, matcher: EntityMatcher) -> list[str]:
    """Return the files under ``root`` that hold the id, by relative path.

    The id is searched as bytes, in Parquet files as a cell, and in pages in their packed data too.
    A short id may be any number, so it is not searched. The scores database, which erases its own
    rows, is skipped. Outside databases a longer id that contains this one is another.
    """
    if len(matcher.entity_id) < MIN_WORD_LENGTH:
        return []
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return [path.relative_to(root).as_posix() for path in files if _mentions_entity(path, matcher)]


def _mentions_entity(path: Path, matcher: EntityMatcher) -> bool:
    if path.name.endswith(LOCK_SUFFIX) or path.name.startswith(SCORES_DATABASE_NAME):
        return False
    if path.suffix == ".parquet":
        with suppress(pa.ArrowException, OSError):
            return bool(remove_rows(path, matcher)[0])
    if path.suffix in PAGE_SUFFIXES and page_names_entity(path, matcher):
        return True
    pattern = matcher.bytes_pattern.pattern
    expression = re.compile(
        pattern if DATABASE_SUFFIX in path.name else rb"(?<!\w)(?:%b)(?!\w)" % pattern,
        re.IGNORECASE,
    )
    overlap, tail = max(map(len, matcher.byte_patterns)) + 1, b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            if expression.search(tail + chunk):
                return True
            tail = chunk[-overlap:]
    return False
