"""Erasure of an entity from quarantined rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from features.tools.atomic_file import write_atomically
from serve.store.entity_matcher import EntityMatcher, remove_lines


def erase_quarantine(
    folder: Path, matcher: EntityMatcher, columns: Mapping[str, str | None]
) -> dict[str, int]:
    """Rewrite each file of bad rows without those of the entity; return its rows by file.

    ``columns`` maps a source to its id column. In other files and in malformed lines, any mention
    counts.
    """
    counts = dict[str, int]()
    for draft in folder.glob(".*"):  # of a run that was killed
        draft.unlink()
    for path in sorted(folder.glob("*.csv")):
        column = columns.get(path.stem)
        rows, content = remove_lines(
            path.read_bytes(),
            matcher,
            partial(_names_entity, matcher=matcher, column=column),
        )
        if rows:
            write_atomically(path, content.decode())
        counts[f"quarantine/{path.name}"] = rows
    return counts


def _names_entity(line: str, matcher: EntityMatcher, column: str | None) -> bool:
    """Return whether a row of a quarantine file is the entity's."""
    *_, original = next(csv.reader(io.StringIO(line)))
    try:
        row = json.loads(original)
    except ValueError:
        return bool(matcher.text_pattern.search(original))
    if isinstance(row, str):
        return bool(matcher.text_pattern.search(row)) or matcher.matches_any(row.split(","))
    return matcher.matches_any([row[column]] if column in row else row.values())
