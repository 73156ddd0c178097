"""Storage of models as UTF-8 text and JSON: the same bytes for the same content, and no code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Self

from configs.errors import DataError


def write_json(path: Path, data: Any) -> None:
    """Write JSON with sorted keys, the same bytes for the same data on every platform."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    # Without newline="\\n" Windows would write other bytes, and the sha256 would differ.
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def read_text(path: Path) -> str:
    """Return the text of a file of a stored model; raise DataError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable_model_error(path, error) from error


def read_json(path: Path) -> Any:
    """Return the content of a JSON file of a stored model; raise DataError if it is not JSON."""
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        raise unreadable_model_error(path, error) from error


def unreadable_model_error(path: Path, error: Exception) -> DataError:
    """Return the error for a stored model that is absent or damaged."""
    return DataError(
        "cannot read the stored model",
        where=str(path),
        found=f"{type(error).__name__}: {error}",
        fix="train again",
    )


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
