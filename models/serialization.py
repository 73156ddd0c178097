"""Storage of models as UTF-8 text and JSON: the same bytes for the same content, and no code."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, ClassVar, Self

from configs.errors import DataError

# A stored model has a few megabytes.
MAX_FILE_BYTES = 1 << 26
MAX_DEPTH = 32


class DamagedModelError(ValueError):
    """The content of a stored model that no training writes; the text names the field."""


def write_json(path: Path, data: Any) -> None:
    """Write JSON with sorted keys, the same bytes for the same data on every platform."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    # Without newline="\\n" Windows would write other bytes, and the sha256 would differ.
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def read_text(path: Path) -> str:
    """Return the text of a file of a stored model.

    Raise DataError if it cannot be read or has more than MAX_FILE_BYTES.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DamagedModelError(f"{size:,} bytes, more than {MAX_FILE_BYTES:,}")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise unreadable_model_error(path, error) from error


def read_json(path: Path) -> Any:
    """Return the content of a JSON file of a stored model.

    Raise DataError if it is not JSON, nests deeper than MAX_DEPTH, or has a number beyond the
    range of 64 bits.
    """
    try:
        data = json.loads(read_text(path))
        _require_plain_json(data)
    # A RecursionError is how the parser reports deep nesting.
    except (ValueError, RecursionError) as error:
        raise unreadable_model_error(path, error) from error
    return data


def unreadable_model_error(path: Path, error: Exception) -> DataError:
    """Return the error for a stored model that is absent or damaged."""
    kind = "" if isinstance(error, DamagedModelError) else f"{type(error).__name__}: "
    return DataError(
        "cannot read the stored model",
        where=str(path),
        found=f"{kind}{error}",
        fix="roll back, or train again",
    )


def _require_plain_json(data: Any) -> None:
    """Raise DamagedModelError for deep nesting, and for numbers that no stored value has."""
    level = [data]
    for _ in range(MAX_DEPTH):
        if not all(map(_is_plain_number, level)):
            raise DamagedModelError("a number is not finite, or beyond the range of 64 bits")
        parts = [value for value in level if isinstance(value, dict | list)]
        if not parts:
            return
        level = [
            value for part in parts for value in (part.values() if isinstance(part, dict) else part)
        ]
    raise DamagedModelError(f"values are nested deeper than {MAX_DEPTH} levels")


def _is_plain_number(value: Any) -> bool:
    """Return whether a value is finite and within 64 bits; any value that is no number is."""
    if isinstance(value, int):
        return abs(value) < 1 << 63
    return not isinstance(value, float) or math.isfinite(value)


class JsonModel:
    """A model that is stored as one JSON file.

    Python writes a float so that it reads back to the same bits.
    """

    file: ClassVar[str]

    def to_json(self) -> Any:
        """Return the values that ``from_json`` reads: plain lists, texts, numbers and dicts."""
        raise NotImplementedError

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the model that ``to_json`` described.

        Raise ValueError, TypeError or KeyError for anything else.
        """
        raise NotImplementedError

    def save(self, directory: Path) -> None:
        """Write ``file`` into the directory; the same bytes for the same model."""
        write_json(directory / self.file, self.to_json())

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read a saved model; raise DataError if the file is absent or not a model."""
        data = read_json(directory / cls.file)
        try:
            return cls.from_json(data)
        except (ValueError, TypeError, KeyError) as error:
            raise unreadable_model_error(directory / cls.file, error) from error
