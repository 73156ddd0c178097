"""How models lie on disk: UTF-8 text and JSON, the same bytes for the same content, nothing that could run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from configs.errors import DataError


def write_json(path: Path, data: Any) -> None:
    """Write JSON with sorted keys, the same bytes for the same data."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def read_text(path: Path) -> str:
    """Read a file of a stored model; raises DataError naming it if that cannot be done."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def read_json(path: Path) -> Any:
    """Read a JSON file of a stored model; raises DataError naming it if that cannot be done."""
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> DataError:
    """Return the error for a stored model that is absent or damaged."""
    found = f"{type(error).__name__}: {error}"
    return DataError("cannot read the stored model", where=str(path), found=found, mend="train again")
