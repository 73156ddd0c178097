"""An entity taken out of the rows that were set aside."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

from features.tools.atomic_file import write_whole
from serve.store.named import Named, lines_without


def erase_quarantine(
    folder: Path, named: Named, columns: Mapping[str, str | None]
) -> dict[str, int]:
    """Write each file of bad rows without those of an entity; return how many each held.

    ``columns`` says by source which column holds the id; of other files, and of broken lines, any mention counts.
    """
    found = dict[str, int]()
    for draft in folder.glob(".*"):  # of a run that was killed
        draft.unlink()
    for path in sorted(folder.glob("*.csv")):
        column = columns.get(path.stem)
        rows, content = lines_without(
            path.read_bytes(), named, lambda line, column=column: _of(line, named, column)
        )  # type: ignore[misc]
        if rows:
            write_whole(path, content.decode())
        found[f"quarantine/{path.name}"] = rows
    return found


def _of(line: str, named: Named, column: str | None) -> bool:
    """Say whether a row of a quarantine file is the entity's."""
    *_, original = next(csv.reader(io.StringIO(line)))
    try:
        row = json.loads(original)
    except ValueError:
        return bool(named.words.search(original))
    if isinstance(row, str):
        return bool(named.words.search(row)) or named.is_cell(row.split(","))
    return named.is_cell([row[column]] if column in row else row.values())
