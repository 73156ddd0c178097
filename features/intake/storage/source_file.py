"""A file of a source: what all readers need of it, wherever it is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pyarrow as pa

from configs.errors import DataError
from features.intake.storage.permission import make_permission_error

FIX_SOURCES = "check `sources` in the config, and LEADSCORE_DATA if it is used"

# Name of the folder of rows without a value.
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class SourceFile(ABC):
    """A file of a source.

    Attributes:
        address: Path or address, as messages name it.
        size: Number of its bytes when it was listed.
    """

    address: str
    size: int

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> PurePosixPath:
        """Return the last part of the address, with its extensions."""
        return PurePosixPath(PurePosixPath(self.address).name)

    @property
    def partitions(self) -> dict[str, str]:
        """Return the columns that folders on the way give, such as ``dt`` of ``dt=2024-01-01``."""
        pairs = (part.partition("=") for part in self.address.split("/")[:-1])
        return {
            name: "" if value == NULL_PARTITION else unquote(value)
            for name, equals, value in pairs
            if name and equals
        }

    @abstractmethod
    def open(self) -> pa.NativeFile:
        """Return the bytes of the file, from its start, with seeking."""

    @abstractmethod
    def require_unchanged(self) -> None:
        """Raise DataError if the file is no longer the one that was read."""

    @abstractmethod
    def explain(self, error: Exception) -> DataError:
        """Return the error to raise for one that reading the file has raised."""


@dataclass(frozen=True)
class LocalFile(SourceFile):
    """A file in a folder of this machine."""

    @classmethod
    def find(cls, path: Path) -> LocalFile:
        """Return the file at a path; raise OSError if there is none."""
        return cls(str(path), path.stat().st_size)

    def open(self) -> pa.NativeFile:
        """Return the bytes of the file, from its start, with seeking."""
        return pa.OSFile(self.address, "rb")

    def require_unchanged(self) -> None:
        """Accept any change: an open file of this machine keeps its bytes when it is replaced."""

    def explain(self, error: Exception) -> DataError:
        """Return the error to raise for one that reading the file has raised."""
        if isinstance(error, PermissionError):
            return make_permission_error(Path(self.address))
        return make_unreadable_error(self.address, error)


def make_unreadable_error(address: str, error: Exception) -> DataError:
    """Return the error for a file whose bytes are not what its format requires."""
    observed = next(iter(str(error).splitlines()), type(error).__name__)
    fix = "export or copy it again: it may be damaged or incomplete"
    return DataError("cannot read the file", where=address, found=observed, fix=fix)
